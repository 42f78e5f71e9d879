//! Image data on its way to the service and back, verified on both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method};

use super::V2;
use crate::error::{Error, Kind, Result};
use crate::image::Image;
use crate::service::{Content, IMPORT_LIMIT};
use crate::signature::Verifier;
use crate::transfer::{Algorithm, Data, Outgoing, Receiver, Rehash, Sent, Verify, WriteTo};

/// How long the service may take to make an image active after it has all of
/// the data and has said so.
const SETTLE_LIMIT: Duration = Duration::from_secs(15 * 60);

impl V2 {
    /// Sees the data of the image just created through.
    pub(super) async fn fill(&self, created: &Image, content: Content) -> Result<Image> {
        let id = created.id();
        match content {
            Content::Upload { data, store } => self.take_in(created, data, store.as_deref()).await,
            Content::Import { data: None, import } => {
                self.begin(id, &import).await?;
                self.imported(id, &import.method, &[], IMPORT_LIMIT).await
            }
            Content::Import { data: Some(data), import } => {
                let rehash = data.rehash();
                let digests = expected_digests(created, rehash.is_some());
                let sent = self.send_data(&["images", id, "stage"], data, None, digests).await?;
                self.begin(id, &import).await?;
                let image = self.imported(id, &import.method, &[], IMPORT_LIMIT).await?;
                match self.compare(&image, &sent, rehash) {
                    // An import plug-in may have converted the image; then the service's sum is of its own work.
                    Err(_) if image.disk_format() != created.disk_format() => {
                        let (was, is) = (created.disk_format().unwrap_or("?"), image.disk_format().unwrap_or("?"));
                        self.http.log().note(&format!("the service converted the image from `{was}` to `{is}`"));
                        Ok(image)
                    }
                    compared => compared.map(|()| image),
                }
            }
        }
    }

    /// Sends `data` straight into an image that has none.
    pub(super) async fn take_in(&self, image: &Image, data: Data, store: Option<&str>) -> Result<Image> {
        let rehash = data.rehash();
        let digests = expected_digests(image, rehash.is_some());
        let sent = self.send_data(&["images", image.id(), "file"], data, store, digests).await?;
        let image = self.settled(image.id()).await?;
        self.compare(&image, &sent, rehash)?;
        Ok(image)
    }

    pub(super) async fn send_data(
        &self,
        parts: &[&str],
        data: Data,
        store: Option<&str>,
        algorithms: Vec<Algorithm>,
    ) -> Result<Sent> {
        let mut request = self.request(Method::PUT, self.url(parts)?).header(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(store) = store {
            let name = HeaderValue::from_str(store)
                .map_err(|_| Error::usage(format!("`{store}` cannot be the name of a store")))?;
            request = request.header(HeaderName::from_static("x-image-meta-store"), name);
        }
        if let Some(len) = data.len {
            request = request.header(HeaderName::from_static("x-openstack-image-size"), len.into());
        }
        let meter = Arc::clone(&data.meter);
        let (outgoing, body) = Outgoing::start(data, &algorithms);
        let answer = match self.http.send(request.data(body, meter)).await {
            Ok(answer) => answer.ok().await,
            Err(error) => Err(error),
        };
        if let Err(error) = answer {
            // A source that failed is the true reason for a broken request.
            return Err(match error.kind {
                Kind::Network => outgoing.source_error().await.unwrap_or(error),
                _ => error,
            });
        }
        outgoing.finish().await
    }

    /// Waits until the service has finished with the data.
    async fn settled(&self, id: &str) -> Result<Image> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let image = self.get(id).await?;
            match image.status() {
                "active" => return Ok(image),
                "saving" => {}
                status => {
                    let message = format!("the image did not become active: it is `{status}`");
                    return Err(Error::new(Kind::Unavailable, message));
                }
            }
            if started.elapsed() > SETTLE_LIMIT {
                let status = image.status();
                let message = format!("the image is still `{status}` after {} minutes", SETTLE_LIMIT.as_secs() / 60);
                return Err(Error::new(Kind::Unavailable, message).next("ask who runs the cloud what holds it up"));
            }
            self.http.pause(pause).await?;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }

    /// Compares what the service has with what was sent.
    fn compare(&self, image: &Image, sent: &Sent, rehash: Option<Rehash>) -> Result<()> {
        if image.size().is_some_and(|size| size != sent.size) {
            return Err(wrong_size(sent.size, image.size().unwrap_or_default()));
        }
        let ours = |algorithm: Algorithm| sent.digests.iter().find(|(a, _)| *a == algorithm).map(|(_, sum)| sum);
        let named = image.hash().map(|(name, sum)| (Algorithm::named(name), name, sum));
        let md5 = image.checksum().map(|sum| (Some(Algorithm::Md5), "md5", sum));
        for (algorithm, _, theirs) in [named, md5].into_iter().flatten() {
            if let Some(sum) = algorithm.and_then(ours) {
                return agree(sum, theirs, algorithm.map_or("", Algorithm::name));
            }
        }
        // The service chose another algorithm than is usual: the file is still here to ask.
        if let (Some((Some(algorithm), _, theirs)), Some(rehash)) = (named.or(md5), rehash) {
            return agree(&rehash.digest(algorithm)?, theirs, algorithm.name());
        }
        let message = "the service names no digest that rimg can compute, so the upload is verified by its size alone";
        self.http.log().warn(message);
        Ok(())
    }

    /// The data of `image`, verified.
    pub(super) async fn fetch(
        &self,
        image: &Image,
        to: WriteTo,
        verify: Verify,
        signature: Option<&Verifier>,
        prefer: &[String],
    ) -> Result<()> {
        let id = image.id();
        let expected = expected_sum(image, verify)?;
        let mut url = self.url(&["images", id, "file"])?;
        if !prefer.is_empty() {
            url.query_pairs_mut().append_pair("prefer", &prefer.join(","));
        }
        let request = self.request(Method::GET, url).header(ACCEPT, HeaderValue::from_static("*/*"));
        let mut answer = self.http.send(request).await?.ok().await?;
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
}

/// The digests to compute while sending: the one that the service will name,
/// and for a pipe, which cannot be read again, both that any Glance names.
fn expected_digests(created: &Image, can_be_read_again: bool) -> Vec<Algorithm> {
    match (created.has_multihash(), can_be_read_again) {
        (true, true) => vec![Algorithm::Sha512],
        (true, false) => vec![Algorithm::Sha512, Algorithm::Md5],
        (false, _) => vec![Algorithm::Md5],
    }
}

fn agree(ours: &str, theirs: &str, algorithm: &str) -> Result<()> {
    match ours.eq_ignore_ascii_case(theirs) {
        true => Ok(()),
        false => Err(corrupt(format!("the {algorithm} of what was sent is {ours}, the service has {theirs}"))),
    }
}

pub(super) fn wrong_size(sent: u64, there: u64) -> Error {
    corrupt(format!("{sent} bytes were sent and the service has {there}"))
}

fn corrupt(what: String) -> Error {
    Error::new(Kind::Verification, format!("the image arrived damaged: {what}"))
        .next("try again; if it stays, ask who runs the cloud about its storage")
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
