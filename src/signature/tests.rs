//! Keys, certificates and signatures of OpenSSL, and our own held to them.

#![allow(clippy::unwrap_used)]
use aws_lc_rs::signature as ec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::ValueEnum as _;
use rsa::rand_core::OsRng;

use secrecy::SecretString;
use serde_json::json;

use super::schemes::*;
use super::signer::PrivateKey;
use super::*;
use crate::error::{Kind, Result};

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
            ["img_signature", "img_signature_certificate_uuid", "img_signature_hash_method", "img_signature_key_type"]
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
        let block =
            |der: &[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der));
        for at in 0..der.len() {
            assert_eq!(message(&block(&der[..at])), "the certificate `cert.pem` is damaged: it cannot be read", "{at}");
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
    assert_eq!(message(signed("AAAA", "SHA-256", "DSA")), "image `i` is signed with `DSA`, which rimg cannot verify");
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
