//! Verifying.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature as ec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rsa::traits::PublicKeyParts;

use super::certificate::{Certificate, PublicKey};
use super::schemes::{Curve, HashMethod, RSA_PSS};
use super::{CERTIFICATE, HASH_METHOD, KEY_TYPE, SIGNATURE};
use crate::error::{Error, Kind, Result};
use crate::image::Image;
use crate::transfer::Algorithm;

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
