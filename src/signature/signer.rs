//! Signing.

use std::fmt;

use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::RsaPrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;

use super::schemes::{Curve, HashMethod, RSA_PSS};
use super::{CERTIFICATE, HASH_METHOD, KEY_TYPE, SIGNATURE};
use crate::error::{Error, Kind, Result};
use crate::transfer::Algorithm;

/// A private key that signs.
pub struct Signer {
    pub(super) key: PrivateKey,
    hash: HashMethod,
}

pub(super) enum PrivateKey {
    // The Marvin attack (RUSTSEC-2023-0071) times many private-key operations
    // over a network. Here there is one for each run, on the user's own
    // machine and blinded, over a digest and a salt that nobody else chooses.
    Rsa(Box<RsaPrivateKey>),
    Ec(Curve, EcdsaKeyPair),
}

impl Signer {
    /// A signer by `hash`, else by the hash that suits the key.
    pub(super) fn new(key: PrivateKey, hash: Option<HashMethod>) -> Result<Self> {
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

    pub(super) fn sign(&self, digest: &str) -> Result<Vec<u8>> {
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
