//! Signatures over image data, as Glance and Nova verify them
//! (<https://docs.openstack.org/glance/latest/user/signature.html>): the
//! signature and what made it are four properties of the image; the
//! certificate to verify it with is in the cloud's key manager.
//!
//! Of the schemes that their verifier, cursive, knows
//! (<https://opendev.org/x/cursive/src/branch/master/cursive/signature_utils.py>)
//! these are made and verified: RSA-PSS, and ECDSA on P-384 and P-521, each
//! with SHA-256, SHA-384 and SHA-512. Both ways take a digest, not the data: the
//! image is hashed while it streams by.

mod certificate;
mod key;

use std::fmt;

use aws_lc_rs::digest::{self as sha, Digest};
use aws_lc_rs::signature::{self as ec, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::ValueEnum;
use rsa::pkcs8::ObjectIdentifier;
use rsa::rand_core::OsRng;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::traits::PublicKeyParts;
use rsa::{Pss, RsaPrivateKey};

pub use certificate::Certificate;
pub use key::KeyFile;

use crate::error::{Error, Kind, Result};
use crate::image::Image;
use crate::transfer::Algorithm;
use certificate::PublicKey;

/// The largest key or certificate file that is read, in bytes: a key of 16,384
/// bits with its certificates stays well below it.
const LIMIT: u64 = 256 * 1024;

// The properties of a signed image.
const SIGNATURE: &str = "img_signature";
const CERTIFICATE: &str = "img_signature_certificate_uuid";
const HASH_METHOD: &str = "img_signature_hash_method";
const KEY_TYPE: &str = "img_signature_key_type";

/// The `img_signature_key_type` of RSA keys.
const RSA_PSS: &str = "RSA-PSS";

/// id-ecPublicKey (RFC 5480, section 2.1.1).
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The digest that is signed, by the names of `img_signature_hash_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HashMethod {
    /// What RSA keys sign unless told otherwise.
    #[value(name = "SHA-256", alias = "sha256")]
    Sha256,
    /// What keys on P-384 sign unless told otherwise.
    #[value(name = "SHA-384", alias = "sha384")]
    Sha384,
    /// What keys on P-521 sign unless told otherwise.
    #[value(name = "SHA-512", alias = "sha512")]
    Sha512,
}

impl HashMethod {
    fn name(self) -> &'static str {
        match self {
            HashMethod::Sha256 => "SHA-256",
            HashMethod::Sha384 => "SHA-384",
            HashMethod::Sha512 => "SHA-512",
        }
    }

    /// As the verifier does: the name must be exactly that.
    fn named(name: &str) -> Option<Self> {
        HashMethod::value_variants().iter().copied().find(|method| method.name() == name)
    }

    fn algorithm(self) -> Algorithm {
        match self {
            HashMethod::Sha256 => Algorithm::Sha256,
            HashMethod::Sha384 => Algorithm::Sha384,
            HashMethod::Sha512 => Algorithm::Sha512,
        }
    }

    fn sha(self) -> &'static sha::Algorithm {
        match self {
            HashMethod::Sha256 => &sha::SHA256,
            HashMethod::Sha384 => &sha::SHA384,
            HashMethod::Sha512 => &sha::SHA512,
        }
    }

    /// The bytes of a hexadecimal digest of this method.
    fn bytes(self, hex: &str) -> Result<Vec<u8>> {
        let length = self.sha().output_len();
        let byte = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
        let bytes = if hex.len() == length * 2 { (0..length).map(byte).collect() } else { None };
        bytes.ok_or_else(|| Error::new(Kind::Io, format!("`{hex}` is not a {}", self.name())))
    }

    /// The longest salt in bytes that a key of so many bits has room for, as the
    /// verifier wants it. The encoded message is one bit shorter than the
    /// modulus. `None` when the key is too short.
    fn longest_salt(self, bits: usize) -> Option<usize> {
        bits.checked_sub(1)?.div_ceil(8).checked_sub(self.sha().output_len() + 2)
    }

    /// RSASSA-PSS (RFC 8017, section 8.1) with MGF1 on the same hash.
    fn pss(self, salt: usize) -> Pss {
        match self {
            HashMethod::Sha256 => Pss::new_blinded_with_salt::<Sha256>(salt),
            HashMethod::Sha384 => Pss::new_blinded_with_salt::<Sha384>(salt),
            HashMethod::Sha512 => Pss::new_blinded_with_salt::<Sha512>(salt),
        }
    }
}

/// The curves of RFC 5480 that the verifier knows and libraries still have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P384,
    P521,
}

impl Curve {
    /// The curve of this object identifier (RFC 5480, section 2.1.1.1).
    fn named(oid: ObjectIdentifier) -> Option<Self> {
        const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
        match oid {
            P384 => Some(Curve::P384),
            P521 => Some(Curve::P521),
            _ => None,
        }
    }

    fn key_type(self) -> &'static str {
        match self {
            Curve::P384 => "ECC_SECP384R1",
            Curve::P521 => "ECC_SECP521R1",
        }
    }

    /// The hash that is as strong as the curve (RFC 5480, section 4).
    fn hash(self) -> HashMethod {
        match self {
            Curve::P384 => HashMethod::Sha384,
            Curve::P521 => HashMethod::Sha512,
        }
    }

    /// Signing with [`hash`](Self::hash).
    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Curve::P384 => &ec::ECDSA_P384_SHA384_ASN1_SIGNING,
            Curve::P521 => &ec::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    fn verifying(self, hash: HashMethod) -> &'static EcdsaVerificationAlgorithm {
        match (self, hash) {
            (Curve::P384, HashMethod::Sha256) => &ec::ECDSA_P384_SHA256_ASN1,
            (Curve::P384, HashMethod::Sha384) => &ec::ECDSA_P384_SHA384_ASN1,
            (Curve::P384, HashMethod::Sha512) => &ec::ECDSA_P384_SHA512_ASN1,
            (Curve::P521, HashMethod::Sha256) => &ec::ECDSA_P521_SHA256_ASN1,
            (Curve::P521, HashMethod::Sha384) => &ec::ECDSA_P521_SHA384_ASN1,
            (Curve::P521, HashMethod::Sha512) => &ec::ECDSA_P521_SHA512_ASN1,
        }
    }

    /// A digest as the library takes it to sign. It ties each curve to one
    /// hash, while ECDSA ties none: it signs a number, the leftmost bits of the
    /// digest, as many as the curve has (FIPS 186-5, section 6.4.1). So a longer
    /// digest is cut, and a shorter one filled with zeroes on its left.
    fn number(self, digest: &[u8]) -> Option<Digest> {
        let sha = self.hash().sha();
        let kept = &digest[..digest.len().min(sha.output_len())];
        let mut number = vec![0; sha.output_len() - kept.len()];
        number.extend_from_slice(kept);
        Digest::import_less_safe(&number, sha).ok()
    }
}

/// A private key that signs.
pub struct Signer {
    key: PrivateKey,
    hash: HashMethod,
}

enum PrivateKey {
    // The Marvin attack (RUSTSEC-2023-0071) times many private-key operations
    // over a network. Here there is one for each run, on the user's own
    // machine and blinded, over a digest and a salt that nobody else chooses.
    Rsa(Box<RsaPrivateKey>),
    Ec(Curve, EcdsaKeyPair),
}

impl Signer {
    /// A signer by `hash`, else by the hash that suits the key.
    fn new(key: PrivateKey, hash: Option<HashMethod>) -> Result<Self> {
        let hash = hash.unwrap_or(match &key {
            PrivateKey::Rsa(_) => HashMethod::Sha256,
            PrivateKey::Ec(curve, _) => curve.hash(),
        });
        match &key {
            PrivateKey::Rsa(key) if hash.longest_salt(key.n().bits()).is_none() => Err(too_short(key.n().bits(), hash)),
            _ => Ok(Signer { key, hash }),
        }
    }

    /// The digest to sign.
    pub fn algorithm(&self) -> Algorithm {
        self.hash.algorithm()
    }

    /// The properties of an image whose data has the hexadecimal `digest`, by
    /// [`algorithm`](Self::algorithm). `certificate` is the ID of the
    /// certificate in the key manager.
    ///
    /// # Errors
    /// It is no such digest.
    pub fn properties(&self, digest: &str, certificate: &str) -> Result<[(&'static str, String); 4]> {
        Ok([
            (SIGNATURE, BASE64.encode(self.sign(digest)?)),
            (CERTIFICATE, certificate.to_owned()),
            (HASH_METHOD, self.hash.name().to_owned()),
            (KEY_TYPE, self.key_type().to_owned()),
        ])
    }

    fn key_type(&self) -> &'static str {
        match &self.key {
            PrivateKey::Rsa(_) => RSA_PSS,
            PrivateKey::Ec(curve, _) => curve.key_type(),
        }
    }

    fn sign(&self, digest: &str) -> Result<Vec<u8>> {
        let digest = self.hash.bytes(digest)?;
        match &self.key {
            PrivateKey::Rsa(key) => {
                let bits = key.n().bits();
                let salt = self.hash.longest_salt(bits);
                let signed = salt.and_then(|salt| key.sign_with_rng(&mut OsRng, self.hash.pss(salt), &digest).ok());
                signed.ok_or_else(|| too_short(bits, self.hash))
            }
            PrivateKey::Ec(curve, key) => {
                let signed = curve.number(&digest).and_then(|number| key.sign_digest(&number).ok());
                let signed = signed.ok_or_else(|| Error::new(Kind::Io, "signing with the EC key failed"))?;
                Ok(signed.as_ref().to_vec())
            }
        }
    }
}

/// Nothing of the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_type", &self.key_type()).field("hash", &self.hash).finish_non_exhaustive()
    }
}

fn too_short(bits: usize, hash: HashMethod) -> Error {
    Error::config(format!("a key of {bits} bits cannot sign a {}", hash.name()))
}

/// Whether the image claims to be signed.
pub fn is_signed(image: &Image) -> bool {
    image.fields.get(SIGNATURE).is_some_and(|value| !value.is_null())
}

/// The signature of an image, and the key that verifies it.
pub struct Verifier {
    image: String,
    certificate: Certificate,
    /// The certificate that the image names, in the key manager.
    named: String,
    hash: HashMethod,
    signature: Vec<u8>,
}

impl Verifier {
    /// What verifies the data of `image` with `certificate`.
    ///
    /// The certificate is trusted because the user names it: neither its dates
    /// nor who issued it are looked at, as by cursive.
    ///
    /// # Errors
    /// The image is not signed, in a way that rimg cannot verify, or by a key of
    /// another type than the certificate's.
    pub fn new(image: &Image, certificate: Certificate) -> Result<Self> {
        let id = image.id();
        let failed = |what: String| Error::new(Kind::Verification, what);
        let property = |name: &str| {
            let value = image.fields.get(name).and_then(serde_json::Value::as_str);
            value.ok_or_else(|| {
                failed(format!("image `{id}` has no `{name}`, so it has no signature to verify"))
                    .next("leave out `--verify-certificate` to save it all the same")
            })
        };
        let (signature, named) = (property(SIGNATURE)?, property(CERTIFICATE)?);
        let (method, key_type) = (property(HASH_METHOD)?, property(KEY_TYPE)?);
        let hash = HashMethod::named(method).ok_or_else(|| {
            failed(format!("image `{id}` is signed with the hash `{method}`, which rimg cannot verify"))
                .next("it can be SHA-256, SHA-384 or SHA-512")
        })?;
        let known = [RSA_PSS, Curve::P384.key_type(), Curve::P521.key_type()];
        if !known.contains(&key_type) {
            return Err(failed(format!("image `{id}` is signed with `{key_type}`, which rimg cannot verify"))
                .next(format!("it can be {}", known.join(", "))));
        }
        let theirs = certificate.key.key_type();
        if theirs != key_type {
            return Err(failed(format!(
                "image `{id}` is signed with `{key_type}`, the key of the certificate `{}` is for `{theirs}`",
                certificate.path
            ))
            .next(format!("the image names the certificate `{named}` of the key manager")));
        }
        // Base64 of many tools comes in lines; the verifier reads over them, too.
        let text: String = signature.split_ascii_whitespace().collect();
        let signature =
            BASE64.decode(text).map_err(|_| failed(format!("`{SIGNATURE}` of image `{id}` is no Base64")))?;
        Ok(Verifier { image: id.to_owned(), named: named.to_owned(), certificate, hash, signature })
    }

    /// The digest that was signed.
    pub fn algorithm(&self) -> Algorithm {
        self.hash.algorithm()
    }

    /// Whether data with this hexadecimal digest, by
    /// [`algorithm`](Self::algorithm), is what was signed.
    ///
    /// # Errors
    /// It is not, or is signed in a way that Glance and Nova refuse.
    pub fn verify(&self, digest: &str) -> Result<()> {
        let digest = self.hash.bytes(digest)?;
        let holds = match &self.certificate.key {
            PublicKey::Rsa(key) => {
                let salt = self.hash.longest_salt(key.n().bits());
                salt.is_some_and(|salt| key.verify(self.hash.pss(salt), &digest, &self.signature).is_ok())
            }
            PublicKey::Ec(curve, point) => {
                let digest = Digest::import_less_safe(&digest, self.hash.sha());
                let key = ec::UnparsedPublicKey::new(curve.verifying(self.hash), point);
                digest.is_ok_and(|digest| key.verify_digest(&digest, &self.signature).is_ok())
            }
        };
        if holds {
            return Ok(());
        }
        let (image, path) = (&self.image, &self.certificate.path);
        // What other tools make by default is no sign of other data.
        let usual = self.hash.sha().output_len();
        if let PublicKey::Rsa(key) = &self.certificate.key
            && key.verify(self.hash.pss(usual), &digest, &self.signature).is_ok()
        {
            let message =
                format!("image `{image}` is signed with a salt of {usual} bytes, which Glance and Nova refuse");
            return Err(Error::new(Kind::Verification, message)
                .next("sign it with the longest salt, as `openssl dgst -sigopt rsa_pss_saltlen:max` does"));
        }
        let message = format!("the data of image `{image}` is not what was signed with the key of `{path}`");
        Err(Error::new(Kind::Verification, message).next(format!(
            "do not use the data, unless `{path}` is not the certificate `{}` that the image names",
            self.named
        )))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;

    // One key of each type in several forms; the passphrase is `opensesame`.
    const PKCS1: &str = include_str!("../../tests/keys/pkcs1.pem");
    const PKCS8: &str = include_str!("../../tests/keys/pkcs8.pem");
    const ENCRYPTED: &str = include_str!("../../tests/keys/encrypted.pem");
    const P384: &str = include_str!("../../tests/keys/p384.pem");
    const P384_SEC1: &str = include_str!("../../tests/keys/p384-sec1.pem");
    const P521_SEC1: &str = include_str!("../../tests/keys/p521-sec1.pem");
    const P521_ENCRYPTED: &str = include_str!("../../tests/keys/p521-encrypted.pem");
    /// Keys that cannot be used.
    const HMAC_SHA1: &str = include_str!("../../tests/keys/encrypted-hmac-sha1.pem");
    const OLD: &str = include_str!("../../tests/keys/encrypted-pkcs1.pem");
    const OLD_SEC1: &str = include_str!("../../tests/keys/encrypted-sec1.pem");
    const P256: &str = include_str!("../../tests/keys/p256.pem");
    const P256_SEC1: &str = include_str!("../../tests/keys/p256-sec1.pem");
    const EXPLICIT: &str = include_str!("../../tests/keys/explicit-curve.pem");
    const ED25519: &str = include_str!("../../tests/keys/ed25519.pem");

    const RSA_CERT: &str = include_str!("../../tests/keys/rsa-cert.pem");
    const P384_CERT: &str = include_str!("../../tests/keys/p384-cert.pem");
    const P521_CERT: &str = include_str!("../../tests/keys/p521-cert.pem");
    const P256_CERT: &str = include_str!("../../tests/keys/p256-cert.pem");
    const ED25519_CERT: &str = include_str!("../../tests/keys/ed25519-cert.pem");

    /// Signatures of `abc` by OpenSSL: key type, hash method, Base64.
    const SIGNATURES: &str = include_str!("../../tests/keys/signatures.txt");

    /// The digest of `abc` (FIPS 180-2, appendices B to D).
    fn abc(hash: HashMethod) -> &'static str {
        match hash {
            HashMethod::Sha256 => "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            HashMethod::Sha384 => {
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7"
            }
            HashMethod::Sha512 => {
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            }
        }
    }

    fn unlock(text: &str, passphrase: &str) -> Result<Signer> {
        unlock_for(text, passphrase, None)
    }

    fn unlock_for(text: &str, passphrase: &str, hash: Option<HashMethod>) -> Result<Signer> {
        let passphrase = Some(passphrase).filter(|text| !text.is_empty()).map(SecretString::from);
        KeyFile::parse("key.pem", text)?.unlock(passphrase.as_ref(), hash)
    }

    fn certificate(key_type: &str) -> &'static str {
        match key_type {
            RSA_PSS => RSA_CERT,
            "ECC_SECP384R1" => P384_CERT,
            _ => P521_CERT,
        }
    }

    fn image(properties: &[(&str, &str)]) -> Image {
        let id = [("id".to_owned(), json!("i"))];
        Image { fields: id.into_iter().chain(properties.iter().map(|(k, v)| ((*k).to_owned(), json!(v)))).collect() }
    }

    fn signed(signature: &str, hash: &str, key_type: &str) -> Image {
        image(&[(SIGNATURE, signature), (CERTIFICATE, "1b2c"), (HASH_METHOD, hash), (KEY_TYPE, key_type)])
    }

    fn verifier(image: &Image, certificate: &str) -> Result<Verifier> {
        Verifier::new(image, Certificate::parse("cert.pem", certificate.as_bytes())?)
    }

    /// OpenSSL's verdict on all that it made itself.
    #[test]
    fn signatures_of_openssl_are_verified() {
        let mut seen = 0;
        for line in SIGNATURES.lines().filter(|line| !line.starts_with('#')) {
            let [key_type, method, signature] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let hash = HashMethod::named(method).unwrap();
            let of = |signature: &str| verifier(&signed(signature, method, key_type), certificate(key_type)).unwrap();
            assert_eq!(of(signature).algorithm(), hash.algorithm());
            of(signature).verify(abc(hash)).unwrap();
            of(&signature.replace('w', "w\r\n ")).verify(abc(hash)).unwrap();
            // Another digest, a signature with one bit changed, one too short, none.
            let error = of(signature).verify(&abc(hash).replace('a', "b")).unwrap_err();
            assert_eq!(error.kind, Kind::Verification);
            assert_eq!(error.message, "the data of image `i` is not what was signed with the key of `cert.pem`");
            let mut bytes = BASE64.decode(signature).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            assert!(of(&BASE64.encode(&bytes)).verify(abc(hash)).is_err());
            assert!(of(&BASE64.encode(&bytes[1..])).verify(abc(hash)).is_err());
            assert!(of("").verify(abc(hash)).is_err());
            // A digest of another length is never taken for one of this method.
            assert!(of(signature).verify("").is_err());
            assert!(of(signature).verify(&abc(hash)[2..]).is_err());
            seen += 1;
        }
        assert_eq!(seen, 9);
    }

    #[test]
    fn what_is_signed_is_verified_by_every_hash_and_by_its_own_certificate_alone() {
        for (key, key_type) in [(PKCS8, RSA_PSS), (P384, "ECC_SECP384R1"), (P521_SEC1, "ECC_SECP521R1")] {
            for &hash in HashMethod::value_variants() {
                let signer = unlock_for(key, "", Some(hash)).unwrap();
                assert_eq!(signer.algorithm(), hash.algorithm());
                let properties = signer.properties(abc(hash), "c").unwrap();
                let image = image(&properties.each_ref().map(|(key, value)| (*key, value.as_str())));
                verifier(&image, certificate(key_type)).unwrap().verify(abc(hash)).unwrap();
                for other in [RSA_CERT, P384_CERT, P521_CERT] {
                    assert_eq!(verifier(&image, other).is_ok(), other == certificate(key_type));
                }
            }
        }
    }

    #[test]
    fn a_signature_has_the_longest_salt() {
        for (hash, salt) in [(HashMethod::Sha256, 222), (HashMethod::Sha384, 206), (HashMethod::Sha512, 190)] {
            assert_eq!(hash.longest_salt(2048).unwrap(), salt);
            assert_eq!(hash.longest_salt(2049).unwrap(), salt);
            assert_eq!(hash.longest_salt(2050).unwrap(), salt + 1);
        }
        assert!(HashMethod::Sha512.longest_salt(521).is_none());
        assert!(HashMethod::Sha512.longest_salt(522).is_some());
        assert!(HashMethod::Sha256.longest_salt(0).is_none());
    }

    #[test]
    fn a_signature_with_another_salt_is_refused_as_such() {
        let PrivateKey::Rsa(key) = unlock(PKCS8, "").unwrap().key else { unreachable!() };
        let hash = HashMethod::Sha256;
        let digest = hash.bytes(abc(hash)).unwrap();
        let signature = BASE64.encode(key.sign_with_rng(&mut OsRng, hash.pss(32), &digest).unwrap());
        let verifier = verifier(&signed(&signature, "SHA-256", RSA_PSS), RSA_CERT).unwrap();
        let error = verifier.verify(abc(hash)).unwrap_err();
        assert_eq!(error.message, "image `i` is signed with a salt of 32 bytes, which Glance and Nova refuse");
        let other = verifier.verify(&abc(hash).replace('a', "b")).unwrap_err();
        assert_eq!(other.message, "the data of image `i` is not what was signed with the key of `cert.pem`");
    }

    #[test]
    fn every_form_of_a_key_is_the_same_key() {
        let rsa = |text: &str, passphrase: &str| match unlock(text, passphrase).unwrap().key {
            PrivateKey::Rsa(key) => key,
            PrivateKey::Ec(..) => unreachable!(),
        };
        let key = rsa(PKCS8, "");
        assert_eq!(rsa(PKCS1, ""), key);
        assert_eq!(rsa(ENCRYPTED, "opensesame"), key);
        assert_eq!(rsa(&PKCS8.replace('\n', "\r\n"), ""), key);
        let both = format!("{RSA_CERT}{PKCS8}");
        assert_eq!(rsa(&both, ""), key);

        let ec = |text: &str, passphrase: &str| match unlock(text, passphrase).unwrap().key {
            PrivateKey::Ec(_, key) => ec::KeyPair::public_key(&key).as_ref().to_vec(),
            PrivateKey::Rsa(_) => unreachable!(),
        };
        assert_eq!(ec(P384_SEC1, ""), ec(P384, ""));
        assert_eq!(ec(P521_SEC1, ""), ec(P521_ENCRYPTED, "opensesame"));

        for (text, encrypted) in [(ENCRYPTED, true), (P521_ENCRYPTED, true), (PKCS1, false), (P384_SEC1, false)] {
            assert_eq!(KeyFile::parse("key.pem", text).unwrap().is_encrypted(), encrypted);
        }
    }

    #[test]
    fn the_properties_are_those_that_the_verifier_reads() {
        for (key, hash, values) in [
            (PKCS1, HashMethod::Sha256, ["1b2c", "SHA-256", "RSA-PSS"]),
            (P384, HashMethod::Sha384, ["1b2c", "SHA-384", "ECC_SECP384R1"]),
            (P521_SEC1, HashMethod::Sha512, ["1b2c", "SHA-512", "ECC_SECP521R1"]),
        ] {
            let properties = unlock(key, "").unwrap().properties(abc(hash), "1b2c").unwrap();
            assert_eq!(
                properties.each_ref().map(|(key, _)| *key),
                [
                    "img_signature",
                    "img_signature_certificate_uuid",
                    "img_signature_hash_method",
                    "img_signature_key_type"
                ]
            );
            assert_eq!(properties.each_ref().map(|(_, value)| value.as_str())[1..], values);
        }
    }

    #[test]
    fn keys_that_cannot_be_used_say_why() {
        let neither = "the signing key `key.pem` is neither an RSA key nor an EC key, or is damaged";
        let old = "the signing key `key.pem` is encrypted in a form older than PKCS#8";
        let curve = "the signing key `key.pem` is on another curve than P-384 and P-521, the ones that image \
                     signatures know";
        let relabelled = PKCS1.replace("RSA PRIVATE", "EC PRIVATE");
        let cases = [
            (ENCRYPTED, "", "the signing key `key.pem` is encrypted and there is no passphrase"),
            (ENCRYPTED, "wrong", "the passphrase of the signing key `key.pem` is wrong"),
            (P521_ENCRYPTED, "wrong", "the passphrase of the signing key `key.pem` is wrong"),
            (HMAC_SHA1, "opensesame", "the signing key `key.pem` is encrypted in a way that rimg cannot read"),
            (OLD, "opensesame", old),
            (OLD_SEC1, "opensesame", old),
            (P256, "", curve),
            (P256_SEC1, "", curve),
            (EXPLICIT, "", curve),
            (ED25519, "", neither),
            (&relabelled, "", neither),
            ("", "", "the signing key `key.pem` holds no private key in PEM form"),
            ("-----BEGIN PRIVATE KEY-----\n", "", "the signing key `key.pem` holds no private key in PEM form"),
            (
                "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n",
                "",
                "the signing key `key.pem` is damaged: its PEM block cannot be read",
            ),
        ];
        for (text, passphrase, message) in cases {
            assert_eq!(unlock(text, passphrase).unwrap_err().message, message);
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_say_why() {
        let parse = |text: &str| Certificate::parse("cert.pem", text.as_bytes());
        let message = |text: &str| parse(text).unwrap_err().message;
        assert_eq!(
            message(P256_CERT),
            "the certificate `cert.pem` has a key on another curve than P-384 and P-521, the ones that image \
             signatures know"
        );
        assert_eq!(
            message(ED25519_CERT),
            "the certificate `cert.pem` has neither an RSA key nor an EC key, so it verifies no image signature"
        );
        assert_eq!(message(PKCS8), "`cert.pem` holds no certificate in PEM form");
        assert_eq!(message(""), "`cert.pem` holds no certificate in PEM form");
        assert_eq!(parse(&format!("{PKCS8}{RSA_CERT}{P384_CERT}")).unwrap().key.key_type(), RSA_PSS);

        // Cut or changed anywhere, a certificate is refused or another one, never a panic.
        use rustls::pki_types::pem::PemObject as _;
        for text in [RSA_CERT, P384_CERT, P521_CERT] {
            let der = rustls::pki_types::CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            let block = |der: &[u8]| {
                format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der))
            };
            for at in 0..der.len() {
                assert_eq!(
                    message(&block(&der[..at])),
                    "the certificate `cert.pem` is damaged: it cannot be read",
                    "{at}"
                );
                let mut changed = der.to_vec();
                changed[at] ^= 0x81;
                if let Ok(certificate) = parse(&block(&changed))
                    && let Ok(verifier) = Verifier::new(&signed("AAAA", "SHA-256", RSA_PSS), certificate)
                {
                    assert!(verifier.verify(abc(HashMethod::Sha256)).is_err());
                }
            }
        }
    }

    #[test]
    fn images_that_cannot_be_verified_say_why() {
        let message = |image: Image| verifier(&image, RSA_CERT).err().unwrap().message;
        let lacks = |what: &str| format!("image `i` has no `{what}`, so it has no signature to verify");
        assert_eq!(message(image(&[])), lacks("img_signature"));
        let all = [(SIGNATURE, "AAAA"), (CERTIFICATE, "1b2c"), (HASH_METHOD, "SHA-256"), (KEY_TYPE, RSA_PSS)];
        for left_out in 0..4 {
            let rest: Vec<_> = all.iter().copied().filter(|pair| *pair != all[left_out]).collect();
            assert_eq!(message(image(&rest)), lacks(all[left_out].0));
            assert_eq!(is_signed(&image(&rest)), left_out != 0);
        }
        assert_eq!(
            message(signed("AAAA", "SHA-224", RSA_PSS)),
            "image `i` is signed with the hash `SHA-224`, which rimg cannot verify"
        );
        assert_eq!(
            message(signed("AAAA", "SHA-256", "DSA")),
            "image `i` is signed with `DSA`, which rimg cannot verify"
        );
        assert_eq!(
            message(signed("AAAA", "SHA-256", "ECC_SECP384R1")),
            "image `i` is signed with `ECC_SECP384R1`, the key of the certificate `cert.pem` is for `RSA-PSS`"
        );
        assert_eq!(message(signed("?", "SHA-256", RSA_PSS)), "`img_signature` of image `i` is no Base64");
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        for (key, debug) in [
            (PKCS1, "Signer { key_type: \"RSA-PSS\", hash: Sha256, .. }"),
            (P384, "Signer { key_type: \"ECC_SECP384R1\", hash: Sha384, .. }"),
        ] {
            assert_eq!(format!("{:?}", unlock(key, "").unwrap()), debug);
        }
    }

    #[test]
    fn a_digest_must_be_one() {
        for key in [PKCS1, P384] {
            let signer = unlock(key, "").unwrap();
            assert!(signer.sign("abc").is_err());
            assert!(signer.sign(&"é".repeat(32)).is_err());
            assert!(signer.sign(&"é".repeat(48)).is_err());
        }
    }
}
