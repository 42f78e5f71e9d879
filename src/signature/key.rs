//! Private keys as they stand in their files.

use std::fs::File;
use std::io::Read as _;

use aws_lc_rs::signature::EcdsaKeyPair;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{self, DecodeRsaPrivateKey as _};
use rsa::pkcs8::der::asn1::{AnyRef, ContextSpecific, OctetStringRef};
use rsa::pkcs8::der::{self, Decode as _, Reader as _, SliceReader, TagNumber};
use rsa::pkcs8::{
    self, DecodePrivateKey as _, EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo, SecretDocument, pkcs5,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::LIMIT;
use super::schemes::{Curve, EC_KEY, HashMethod};
use super::signer::{PrivateKey, Signer};
use crate::error::{Error, Kind, Result};

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
    /// RFC 5915
    Sec1,
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

    pub(super) fn parse(path: &str, text: &str) -> Result<Self> {
        let Some((label, block)) = private_key(text) else {
            return Err(wrong(path, "holds no private key in PEM form")
                .next("name the file that begins with `-----BEGIN PRIVATE KEY-----`"));
        };
        let form = match label {
            "PRIVATE KEY" => Form::Pkcs8,
            "ENCRYPTED PRIVATE KEY" => Form::Encrypted,
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" if block.contains("Proc-Type:") => {
                return Err(wrong(path, "is encrypted in a form older than PKCS#8").next(CONVERT));
            }
            "RSA PRIVATE KEY" => Form::Pkcs1,
            "EC PRIVATE KEY" => Form::Sec1,
            _ => return Err(neither(path)),
        };
        let (_, der) = SecretDocument::from_pem(block)
            .map_err(|_| wrong(path, "is damaged: its PEM block cannot be read").next("check that it is whole"))?;
        Ok(KeyFile { path: path.to_owned(), form, der })
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.form == Form::Encrypted
    }

    /// The key, ready to sign by `hash`, else by the hash that suits it. A
    /// passphrase that is not needed is not used.
    ///
    /// # Errors
    /// The passphrase is missing or wrong; the key is neither an RSA key nor an
    /// EC key on P-384 or P-521, or too short for the hash.
    pub fn unlock(&self, passphrase: Option<&SecretString>, hash: Option<HashMethod>) -> Result<Signer> {
        let path = &self.path;
        let key = match self.form {
            Form::Pkcs1 => rsa(RsaPrivateKey::from_pkcs1_der(self.der.as_bytes()).ok(), path)?,
            Form::Sec1 => {
                let curve = curve_of_sec1(self.der.as_bytes()).map_err(|_| neither(path))?;
                ec(curve, self.der.as_bytes(), path)?
            }
            Form::Pkcs8 => from_pkcs8(self.der.as_bytes(), path)?,
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
                from_pkcs8(opened.as_bytes(), path)?
            }
        };
        Signer::new(key, hash)
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

fn neither(path: &str) -> Error {
    wrong(path, "is neither an RSA key nor an EC key, or is damaged").next(MAKE)
}

const MAKE: &str = "sign with an RSA key of two primes, or an EC key on P-384 or P-521: \
                    `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`";

fn from_pkcs8(der: &[u8], path: &str) -> Result<PrivateKey> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| neither(path))?;
    match info.algorithm.oid {
        pkcs1::ALGORITHM_OID => rsa(RsaPrivateKey::from_pkcs8_der(der).ok(), path),
        EC_KEY => ec(info.algorithm.parameters_oid().ok(), der, path),
        _ => Err(neither(path)),
    }
}

fn rsa(key: Option<RsaPrivateKey>, path: &str) -> Result<PrivateKey> {
    let not_rsa = || wrong(path, "is not an RSA key with two primes, or is damaged").next(MAKE);
    Ok(PrivateKey::Rsa(Box::new(key.ok_or_else(not_rsa)?)))
}

/// `der` is SEC 1 or PKCS#8; `curve` is what it names, if it names one.
fn ec(curve: Option<ObjectIdentifier>, der: &[u8], path: &str) -> Result<PrivateKey> {
    let curve = curve.and_then(Curve::named).ok_or_else(|| {
        wrong(path, "is on another curve than P-384 and P-521, the ones that image signatures know").next(MAKE)
    })?;
    let key = EcdsaKeyPair::from_private_key_der(curve.signing(), der)
        .map_err(|_| wrong(path, "is damaged: its EC key cannot be read").next("check that it is whole"))?;
    Ok(PrivateKey::Ec(curve, key))
}

/// The curve that an `ECPrivateKey` (RFC 5915, section 3) names.
fn curve_of_sec1(der: &[u8]) -> der::Result<Option<ObjectIdentifier>> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|key| {
        u8::decode(key)?;
        OctetStringRef::decode(key)?;
        let parameters = ContextSpecific::<AnyRef<'_>>::decode_explicit(key, TagNumber::N0)?;
        while !key.is_finished() {
            key.tlv_bytes()?;
        }
        // They may spell the curve out in place of its name.
        Ok(parameters.and_then(|field| field.value.decode_as().ok()))
    })
}
