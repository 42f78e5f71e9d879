//! A download, whatever version of the API gives it: into its place only once
//! it is whole and verified.

use crate::error::{Error, Kind, Result};
use crate::http::{Http, Request};
use crate::image::Image;
use crate::signature::Verifier;
use crate::transfer::{Algorithm, Receiver, Verify, WriteTo};

/// Moves the data of `image` to `to`, verified. `request` makes the request
/// that the service answers with the data.
pub(super) async fn download(
    http: &Http,
    request: &dyn Fn() -> Request,
    image: &Image,
    to: WriteTo,
    verify: Verify,
    signature: Option<&Verifier>,
) -> Result<()> {
    let expected = expected_sum(image, verify)?;
    let mut answer = http.send(request()).await?.ok().await?;
    if answer.status().as_u16() == 204 {
        return Err(no_data(image));
    }
    let length = answer.length().or(image.size());
    if let (Some(announced), Some(size)) = (answer.length(), image.size())
        && announced != size
    {
        return Err(corrupt_copy(format!("the service sends {announced} bytes of an image of {size}")));
    }
    if let Some(length) = length {
        to.meter.expect(length);
    }
    let signed = signature.map(Verifier::algorithm);
    let mut algorithms: Vec<_> = expected.iter().map(|(algorithm, _)| *algorithm).chain(signed).collect();
    algorithms.dedup();
    let mut receiver = Receiver::start(to, &algorithms);
    let moved = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => {
                if !receiver.take(piece).await {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Also after a failure: then the half file is gone once this is back.
    let received = receiver.finish().await;
    moved?;
    let received = received?;
    if let Some(length) = length.filter(|&length| length != received.size) {
        return Err(corrupt_copy(format!("{} of {length} bytes arrived", received.size)));
    }
    let sum = |wanted: Algorithm| {
        let found = received.digests.iter().find(|(algorithm, _)| *algorithm == wanted);
        found.map(|(_, sum)| sum.as_str()).unwrap_or_default()
    };
    if let Some((algorithm, theirs)) = expected {
        let (name, ours) = (algorithm.name(), sum(algorithm));
        if !ours.eq_ignore_ascii_case(&theirs) {
            return Err(corrupt_copy(format!("its {name} is {ours}, the service says {theirs}")));
        }
    }
    if let Some(signature) = signature {
        signature.verify(sum(signature.algorithm()))?;
    }
    received.keep()
}

/// The digest that the data of `image` must have; none if only its length counts.
fn expected_sum(image: &Image, verify: Verify) -> Result<Option<(Algorithm, String)>> {
    if matches!(image.status(), "queued" | "saving" | "uploading" | "importing" | "killed" | "deleted") {
        return Err(no_data(image));
    }
    let md5 = image.checksum().map(|sum| (Algorithm::Md5, sum.to_owned()));
    match (verify, image.hash()) {
        (Verify::LengthOnly, _) => Ok(None),
        (_, Some((name, sum))) => match (Algorithm::named(name), verify) {
            (Some(algorithm), _) => Ok(Some((algorithm, sum.to_owned()))),
            (None, Verify::AllowMd5) if md5.is_some() => Ok(md5),
            (None, _) => Err(Error::new(
                Kind::Verification,
                format!("image `{}` is hashed with `{name}`, which rimg cannot compute", image.id()),
            )
            .next("`--allow-md5-fallback` checks its MD5 instead, `--no-verify` only its length")),
        },
        (_, None) if md5.is_some() => Ok(md5),
        (_, None) => Err(Error::new(
            Kind::Verification,
            format!("the service knows no digest of image `{}`, so its bytes cannot be verified", image.id()),
        )
        .next("`--no-verify` saves it all the same, checked by its length only")),
    }
}

fn no_data(image: &Image) -> Error {
    Error::new(Kind::Conflict, format!("image `{}` has no data: it is `{}`", image.id(), image.status()))
}

fn corrupt_copy(what: String) -> Error {
    Error::new(Kind::Verification, format!("the data arrived damaged: {what}"))
        .next("try again; if it stays, ask who runs the cloud about its storage")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::glance::wire::v2 as wire;

    fn image(fields: Value) -> Image {
        wire::image(fields).unwrap()
    }

    #[test]
    fn a_download_is_checked_by_the_best_digest_there_is() {
        let both =
            json!({"id": "i", "status": "active", "os_hash_algo": "sha512", "os_hash_value": "aa", "checksum": "bb"});
        assert_eq!(expected_sum(&image(both), Verify::Required).unwrap(), Some((Algorithm::Sha512, "aa".to_owned())));
        let old = json!({"id": "i", "status": "active", "checksum": "bb"});
        assert_eq!(expected_sum(&image(old), Verify::Required).unwrap(), Some((Algorithm::Md5, "bb".to_owned())));
        let none = json!({"id": "i", "status": "active"});
        assert_eq!(expected_sum(&image(none.clone()), Verify::Required).unwrap_err().kind, Kind::Verification);
        assert_eq!(expected_sum(&image(none), Verify::LengthOnly).unwrap(), None);
        let strange =
            json!({"id": "i", "status": "active", "os_hash_algo": "crc", "os_hash_value": "aa", "checksum": "bb"});
        assert_eq!(expected_sum(&image(strange.clone()), Verify::Required).unwrap_err().kind, Kind::Verification);
        assert_eq!(expected_sum(&image(strange), Verify::AllowMd5).unwrap(), Some((Algorithm::Md5, "bb".to_owned())));
    }
}
