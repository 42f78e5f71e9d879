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
mod schemes;
mod signer;
#[cfg(test)]
mod tests;
mod verifier;

pub use certificate::Certificate;
pub use key::KeyFile;
pub use schemes::HashMethod;
pub use signer::Signer;
pub use verifier::Verifier;

use crate::image::Image;

/// The largest key or certificate file that is read, in bytes: a key of 16,384
/// bits with its certificates stays well below it.
const LIMIT: u64 = 256 * 1024;

// The properties of a signed image.
const SIGNATURE: &str = "img_signature";
const CERTIFICATE: &str = "img_signature_certificate_uuid";
const HASH_METHOD: &str = "img_signature_hash_method";
const KEY_TYPE: &str = "img_signature_key_type";

/// Whether the image claims to be signed.
pub fn is_signed(image: &Image) -> bool {
    image.fields.get(SIGNATURE).is_some_and(|value| !value.is_null())
}
