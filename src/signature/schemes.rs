//! The schemes: what is hashed how, and which keys sign it.

use aws_lc_rs::digest::{self as sha, Digest};
use aws_lc_rs::signature::{self as ec, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm};
use clap::ValueEnum;
use rsa::Pss;
use rsa::pkcs8::ObjectIdentifier;
use rsa::sha2::{Sha256, Sha384, Sha512};

use crate::error::{Error, Kind, Result};
use crate::transfer::Algorithm;

/// The `img_signature_key_type` of RSA keys.
pub(super) const RSA_PSS: &str = "RSA-PSS";

/// id-ecPublicKey (RFC 5480, section 2.1.1).
pub(super) const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

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
    pub(super) fn name(self) -> &'static str {
        match self {
            HashMethod::Sha256 => "SHA-256",
            HashMethod::Sha384 => "SHA-384",
            HashMethod::Sha512 => "SHA-512",
        }
    }

    /// As the verifier does: the name must be exactly that.
    pub(super) fn named(name: &str) -> Option<Self> {
        HashMethod::value_variants().iter().copied().find(|method| method.name() == name)
    }

    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            HashMethod::Sha256 => Algorithm::Sha256,
            HashMethod::Sha384 => Algorithm::Sha384,
            HashMethod::Sha512 => Algorithm::Sha512,
        }
    }

    pub(super) fn sha(self) -> &'static sha::Algorithm {
        match self {
            HashMethod::Sha256 => &sha::SHA256,
            HashMethod::Sha384 => &sha::SHA384,
            HashMethod::Sha512 => &sha::SHA512,
        }
    }

    /// The bytes of a hexadecimal digest of this method.
    pub(super) fn bytes(self, hex: &str) -> Result<Vec<u8>> {
        let length = self.sha().output_len();
        let byte = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
        let bytes = if hex.len() == length * 2 { (0..length).map(byte).collect() } else { None };
        bytes.ok_or_else(|| Error::new(Kind::Io, format!("`{hex}` is not a {}", self.name())))
    }

    /// The longest salt in bytes that a key of so many bits has room for, as the
    /// verifier wants it. The encoded message is one bit shorter than the
    /// modulus. `None` when the key is too short.
    pub(super) fn longest_salt(self, bits: usize) -> Option<usize> {
        bits.checked_sub(1)?.div_ceil(8).checked_sub(self.sha().output_len() + 2)
    }

    /// RSASSA-PSS (RFC 8017, section 8.1) with MGF1 on the same hash.
    pub(super) fn pss(self, salt: usize) -> Pss {
        match self {
            HashMethod::Sha256 => Pss::new_blinded_with_salt::<Sha256>(salt),
            HashMethod::Sha384 => Pss::new_blinded_with_salt::<Sha384>(salt),
            HashMethod::Sha512 => Pss::new_blinded_with_salt::<Sha512>(salt),
        }
    }
}

/// The curves of RFC 5480 that the verifier knows and libraries still have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P384,
    P521,
}

impl Curve {
    /// The curve of this object identifier (RFC 5480, section 2.1.1.1).
    pub(super) fn named(oid: ObjectIdentifier) -> Option<Self> {
        const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
        match oid {
            P384 => Some(Curve::P384),
            P521 => Some(Curve::P521),
            _ => None,
        }
    }

    pub(super) fn key_type(self) -> &'static str {
        match self {
            Curve::P384 => "ECC_SECP384R1",
            Curve::P521 => "ECC_SECP521R1",
        }
    }

    /// The hash that is as strong as the curve (RFC 5480, section 4).
    pub(super) fn hash(self) -> HashMethod {
        match self {
            Curve::P384 => HashMethod::Sha384,
            Curve::P521 => HashMethod::Sha512,
        }
    }

    /// Signing with [`hash`](Self::hash).
    pub(super) fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Curve::P384 => &ec::ECDSA_P384_SHA384_ASN1_SIGNING,
            Curve::P521 => &ec::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    pub(super) fn verifying(self, hash: HashMethod) -> &'static EcdsaVerificationAlgorithm {
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
    pub(super) fn number(self, digest: &[u8]) -> Option<Digest> {
        let sha = self.hash().sha();
        let kept = &digest[..digest.len().min(sha.output_len())];
        let mut number = vec![0; sha.output_len() - kept.len()];
        number.extend_from_slice(kept);
        Digest::import_less_safe(&number, sha).ok()
    }
}
