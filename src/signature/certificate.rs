//! X.509 certificates (RFC 5280), read for their public key alone.

use std::fs::File;
use std::io::Read as _;

use aws_lc_rs::signature::ParsedPublicKey;
use rsa::pkcs1;
use rsa::pkcs8::SubjectPublicKeyInfoRef;
use rsa::pkcs8::der::{self, Decode as _, Reader, SliceReader, TagMode, TagNumber};
use rsa::{BigUint, RsaPublicKey};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::LIMIT;
use super::schemes::{Curve, EC_KEY, HashMethod, RSA_PSS};
use crate::error::{Error, Result};

/// The longest RSA modulus that is verified with, in bits; OpenSSL's limit.
const RSA_BITS: usize = 16_384;

/// A certificate to verify a signature with.
#[derive(Debug)]
pub struct Certificate {
    pub(super) path: String,
    pub(super) key: PublicKey,
}

#[derive(Debug)]
pub(super) enum PublicKey {
    Rsa(RsaPublicKey),
    /// The point as SEC 1 writes it.
    Ec(Curve, Vec<u8>),
}

impl PublicKey {
    pub(super) fn key_type(&self) -> &'static str {
        match self {
            PublicKey::Rsa(_) => RSA_PSS,
            PublicKey::Ec(curve, _) => curve.key_type(),
        }
    }
}

impl Certificate {
    /// Reads the first certificate of a PEM file (RFC 7468).
    ///
    /// # Errors
    /// The file cannot be read, holds no certificate, or one with a key that
    /// rimg does not verify with.
    pub fn read(path: &str) -> Result<Self> {
        let cannot = |e: std::io::Error| Error::io(format!("cannot read the certificate `{path}`"), &e);
        let mut bytes = Vec::new();
        File::open(path).map_err(cannot)?.take(LIMIT).read_to_end(&mut bytes).map_err(cannot)?;
        Certificate::parse(path, &bytes)
    }

    pub(super) fn parse(path: &str, pem: &[u8]) -> Result<Self> {
        let wrong = |what: &str| Error::config(format!("the certificate `{path}` {what}"));
        let damaged = || wrong("is damaged: it cannot be read").next("check that it is whole");
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| {
            Error::config(format!("`{path}` holds no certificate in PEM form"))
                .next("name the file that begins with `-----BEGIN CERTIFICATE-----`")
        })?;
        let info = public_key_info(&certificate).map_err(|_| damaged())?;
        let bytes = info.subject_public_key.as_bytes().ok_or_else(damaged)?;
        let key = match info.algorithm.oid {
            pkcs1::ALGORITHM_OID => PublicKey::Rsa(rsa(bytes).ok_or_else(damaged)?),
            EC_KEY => {
                let curve = info.algorithm.parameters_oid().ok().and_then(Curve::named);
                let curve = curve.ok_or_else(|| {
                    wrong("has a key on another curve than P-384 and P-521, the ones that image signatures know")
                })?;
                let algorithm = curve.verifying(HashMethod::Sha512);
                ParsedPublicKey::new(algorithm, bytes).map_err(|_| damaged())?;
                PublicKey::Ec(curve, bytes.to_vec())
            }
            _ => return Err(wrong("has neither an RSA key nor an EC key, so it verifies no image signature")),
        };
        Ok(Certificate { path: path.to_owned(), key })
    }
}

fn rsa(der: &[u8]) -> Option<RsaPublicKey> {
    let key = pkcs1::RsaPublicKey::try_from(der).ok()?;
    let [n, e] = [key.modulus, key.public_exponent].map(|number| BigUint::from_bytes_be(number.as_bytes()));
    RsaPublicKey::new_with_max_size(n, e, RSA_BITS).ok()
}

/// The `SubjectPublicKeyInfo` (RFC 5280, section 4.1). All else is skipped
/// unread, so that a certificate of version 1, which `openssl x509 -req` makes
/// and webpki refuses, is as good as any.
fn public_key_info(der: &[u8]) -> der::Result<SubjectPublicKeyInfoRef<'_>> {
    let mut reader = SliceReader::new(der)?;
    let info = reader.sequence(|certificate| {
        let info = certificate.sequence(|body| {
            body.context_specific::<u8>(TagNumber::N0, TagMode::Explicit)?;
            // serialNumber, signature, issuer, validity, subject
            for _ in 0..5 {
                body.tlv_bytes()?;
            }
            let info = SubjectPublicKeyInfoRef::decode(body)?;
            skip(body)?;
            Ok(info)
        })?;
        // signatureAlgorithm, signatureValue
        skip(certificate)?;
        Ok(info)
    })?;
    reader.finish(info)
}

fn skip<'a>(reader: &mut impl Reader<'a>) -> der::Result<()> {
    while !reader.is_finished() {
        reader.tlv_bytes()?;
    }
    Ok(())
}
