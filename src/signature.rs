//! Signatures over image data, as Glance and Nova verify them
//! (<https://docs.openstack.org/glance/latest/user/signature.html>): the
//! signature and what made it are four properties of the image; the
//! certificate to verify it with is in the cloud's key manager.
//!
//! Of the schemes that the verifier knows this makes RSA-PSS with SHA-256. It
//! takes a digest, not the data: the image is hashed while it streams by.

use std::fmt;
use std::fs::File;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{self, DecodePrivateKey as _, EncryptedPrivateKeyInfo, SecretDocument, pkcs5};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pss, RsaPrivateKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, Kind, Result};
use crate::transfer::Algorithm;

/// The largest key file that is read, in bytes: a key of 16,384 bits with its
/// certificates stays well below it.
const LIMIT: u64 = 256 * 1024;

/// The digest that is signed.
pub const DIGEST: Algorithm = Algorithm::Sha256;

/// Its length in bytes.
const DIGEST_LEN: usize = 32;

/// A private key as it stands in its file, perhaps encrypted.
pub struct KeyFile {
    path: String,
    form: Form,
    der: SecretDocument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 8017, appendix A.1.2
    Pkcs1,
    /// RFC 5208
    Pkcs8,
    /// RFC 5208, encrypted as RFC 8018 (PBES2) describes
    Encrypted,
}

impl KeyFile {
    /// Reads the first private key of a PEM file (RFC 7468).
    ///
    /// # Errors
    /// The file cannot be read, or holds no private key of a form that rimg reads.
    pub fn read(path: &str) -> Result<Self> {
        let cannot = |e: std::io::Error| Error::io(format!("cannot read the signing key `{path}`"), &e);
        let mut bytes = Vec::new();
        File::open(path).map_err(cannot)?.take(LIMIT).read_to_end(&mut bytes).map_err(cannot)?;
        let text = SecretString::from(String::from_utf8(bytes).unwrap_or_default());
        KeyFile::parse(path, text.expose_secret())
    }

    fn parse(path: &str, text: &str) -> Result<Self> {
        let Some((label, block)) = private_key(text) else {
            return Err(wrong(path, "holds no private key in PEM form")
                .next("name the file that begins with `-----BEGIN PRIVATE KEY-----`"));
        };
        let form = match label {
            "PRIVATE KEY" => Form::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => Form::Encrypted,
            "RSA PRIVATE KEY" if !block.contains("Proc-Type:") => Form::Pkcs1,
            "RSA PRIVATE KEY" => {
                return Err(wrong(path, "is encrypted in a form older than PKCS#8").next(CONVERT));
            }
            _ => return Err(not_rsa(path)),
        };
        let (_, der) = SecretDocument::from_pem(block)
            .map_err(|_| wrong(path, "is damaged: its PEM block cannot be read").next("check that it is whole"))?;
        Ok(KeyFile { path: path.to_owned(), form, der })
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.form == Form::Encrypted
    }

    /// The key, ready to sign. A passphrase that is not needed is not used.
    ///
    /// # Errors
    /// The passphrase is missing or wrong; the key is not an RSA key.
    pub fn unlock(&self, passphrase: Option<&SecretString>) -> Result<Signer> {
        let path = &self.path;
        let key = match self.form {
            Form::Pkcs1 => RsaPrivateKey::from_pkcs1_der(self.der.as_bytes()).map_err(|_| not_rsa(path))?,
            Form::Pkcs8 => RsaPrivateKey::from_pkcs8_der(self.der.as_bytes()).map_err(|_| not_rsa(path))?,
            Form::Encrypted => {
                let passphrase = passphrase.ok_or_else(|| wrong(path, "is encrypted and there is no passphrase"))?;
                let unreadable = || wrong(path, "is encrypted in a way that rimg cannot read").next(CONVERT);
                let sealed = EncryptedPrivateKeyInfo::try_from(self.der.as_bytes()).map_err(|_| unreadable())?;
                let opened = sealed.decrypt(passphrase.expose_secret()).map_err(|error| match error {
                    // The library has one name for a bad padding either way.
                    pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed | pkcs5::Error::EncryptFailed) => {
                        wrong_passphrase(path)
                    }
                    // A wrong passphrase may leave a padding that looks right, and noise before it.
                    pkcs8::Error::Asn1(_) | pkcs8::Error::KeyMalformed => wrong_passphrase(path),
                    _ => unreadable(),
                })?;
                RsaPrivateKey::from_pkcs8_der(opened.as_bytes()).map_err(|_| not_rsa(path))?
            }
        };
        Ok(Signer { key })
    }
}

const CONVERT: &str = "convert it with `openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW`";

/// The label and the whole block of the first private key in a PEM file, which
/// may hold certificates and remarks as well.
fn private_key(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        let block = &rest[rest.find("-----BEGIN ")?..];
        let label = block["-----BEGIN ".len()..].split_once("-----")?.0;
        let end = format!("-----END {label}-----");
        let length = block.find(&end)? + end.len();
        if label.ends_with("PRIVATE KEY") {
            return Some((label, &block[..length]));
        }
        rest = &block[length..];
    }
}

fn wrong(path: &str, what: &str) -> Error {
    Error::config(format!("the signing key `{path}` {what}"))
}

fn wrong_passphrase(path: &str) -> Error {
    Error::new(Kind::Auth, format!("the passphrase of the signing key `{path}` is wrong"))
}

fn not_rsa(path: &str) -> Error {
    wrong(path, "is not an RSA key with two primes, or is damaged")
        .next("sign with an RSA key: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`")
}

/// A private key that signs.
pub struct Signer {
    // The Marvin attack (RUSTSEC-2023-0071) times many private-key operations
    // over a network. Here there is one for each run, on the user's own
    // machine and blinded, over a digest and a salt that nobody else chooses.
    key: RsaPrivateKey,
}

impl Signer {
    /// The properties of an image whose data has the hexadecimal SHA-256
    /// `digest`. `certificate` is the ID of the certificate in the key manager.
    ///
    /// # Errors
    /// The key is too short for the digest.
    pub fn properties(&self, digest: &str, certificate: &str) -> Result<[(&'static str, String); 4]> {
        Ok([
            ("img_signature", BASE64.encode(self.sign(digest)?)),
            ("img_signature_certificate_uuid", certificate.to_owned()),
            ("img_signature_hash_method", "SHA-256".to_owned()),
            ("img_signature_key_type", "RSA-PSS".to_owned()),
        ])
    }

    /// RSASSA-PSS (RFC 8017, section 8.1) with MGF1 on SHA-256.
    fn sign(&self, digest: &str) -> Result<Vec<u8>> {
        let digest = bytes(digest).ok_or_else(|| Error::new(Kind::Io, format!("`{digest}` is not a SHA-256")))?;
        // The verifier wants the longest salt that fits
        // (https://opendev.org/x/cursive/src/branch/master/cursive/signature_utils.py);
        // the encoded message is one bit shorter than the modulus.
        let encoded = (self.key.n().bits() - 1).div_ceil(8);
        let salt = encoded.checked_sub(DIGEST_LEN + 2);
        let signed = salt.and_then(|salt| {
            self.key.sign_with_rng(&mut OsRng, Pss::new_blinded_with_salt::<Sha256>(salt), &digest).ok()
        });
        signed.ok_or_else(|| Error::config(format!("a key of {} bits cannot sign a SHA-256", self.key.n().bits())))
    }
}

/// Nothing of the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("bits", &self.key.n().bits()).finish_non_exhaustive()
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != DIGEST_LEN * 2 {
        return None;
    }
    (0..DIGEST_LEN).map(|at| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // One key in several forms; the passphrase is `opensesame`.
    const PKCS1: &str = include_str!("../tests/keys/pkcs1.pem");
    const PKCS8: &str = include_str!("../tests/keys/pkcs8.pem");
    const ENCRYPTED: &str = include_str!("../tests/keys/encrypted.pem");
    /// Keys that cannot be used.
    const HMAC_SHA1: &str = include_str!("../tests/keys/encrypted-hmac-sha1.pem");
    const OLD: &str = include_str!("../tests/keys/encrypted-pkcs1.pem");
    const EC: &str = include_str!("../tests/keys/ec.pem");

    /// SHA-256 of `abc` (FIPS 180-2, appendix B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn unlock(text: &str, passphrase: &str) -> Result<Signer> {
        let passphrase = Some(passphrase).filter(|text| !text.is_empty()).map(SecretString::from);
        KeyFile::parse("key.pem", text)?.unlock(passphrase.as_ref())
    }

    #[test]
    fn a_signature_has_the_longest_salt_and_holds_for_its_digest_alone() {
        let signer = unlock(PKCS8, "").unwrap();
        let [(_, signature), ..] = signer.properties(ABC, "c").unwrap();
        let signature = BASE64.decode(signature).unwrap();
        let public = signer.key.to_public_key();
        let holds =
            |salt: usize, digest: &[u8]| public.verify(Pss::new_with_salt::<Sha256>(salt), digest, &signature).is_ok();
        // 2048 bits: 256 - 32 - 2.
        let digest = bytes(ABC).unwrap();
        assert!(holds(222, &digest));
        assert!(!holds(32, &digest));
        assert!(!holds(222, &[0; 32]));
    }

    #[test]
    fn every_form_of_a_key_is_the_same_key() {
        let key = unlock(PKCS8, "").unwrap().key;
        assert_eq!(unlock(PKCS1, "").unwrap().key, key);
        assert_eq!(unlock(ENCRYPTED, "opensesame").unwrap().key, key);
        assert_eq!(unlock(&PKCS8.replace('\n', "\r\n"), "").unwrap().key, key);
        assert!(KeyFile::parse("key.pem", ENCRYPTED).unwrap().is_encrypted());
        assert!(!KeyFile::parse("key.pem", PKCS1).unwrap().is_encrypted());
    }

    #[test]
    fn the_key_is_found_behind_a_certificate() {
        let both = format!("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n{PKCS8}");
        assert_eq!(unlock(&both, "").unwrap().key, unlock(PKCS8, "").unwrap().key);
    }

    #[test]
    fn the_properties_are_those_that_the_verifier_reads() {
        let properties = unlock(PKCS1, "").unwrap().properties(ABC, "1b2c").unwrap();
        assert_eq!(
            properties.each_ref().map(|(key, _)| *key),
            ["img_signature", "img_signature_certificate_uuid", "img_signature_hash_method", "img_signature_key_type"]
        );
        assert_eq!(properties.each_ref().map(|(_, value)| value.as_str())[1..], ["1b2c", "SHA-256", "RSA-PSS"]);
    }

    #[test]
    fn keys_that_cannot_be_used_say_why() {
        let cases = [
            (ENCRYPTED, "", "the signing key `key.pem` is encrypted and there is no passphrase"),
            (ENCRYPTED, "wrong", "the passphrase of the signing key `key.pem` is wrong"),
            (HMAC_SHA1, "opensesame", "the signing key `key.pem` is encrypted in a way that rimg cannot read"),
            (OLD, "opensesame", "the signing key `key.pem` is encrypted in a form older than PKCS#8"),
            (EC, "", "the signing key `key.pem` is not an RSA key with two primes, or is damaged"),
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
    fn debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", unlock(PKCS1, "").unwrap()), "Signer { bits: 2048, .. }");
    }

    #[test]
    fn a_digest_must_be_one() {
        let signer = unlock(PKCS1, "").unwrap();
        assert!(signer.sign("abc").is_err());
        assert!(signer.sign(&"é".repeat(32)).is_err());
    }
}
