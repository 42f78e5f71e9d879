//! An upload, whatever version of the API takes it: sent in one pass, waited
//! for, and compared with what the service has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::error::{Error, Kind, Result};
use crate::http::{Http, Request};
use crate::image::Image;
use crate::log::Log;
use crate::transfer::{Algorithm, Data, Outgoing, Rehash, Sent};

/// How long the service may take to make an image active after it has all of
/// the data and has said so.
const SETTLE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Where the data of one image goes in: what a version of the API knows of it.
#[async_trait(?Send)]
pub(super) trait Intake {
    /// The request that takes the data, still without it. `size` is in bytes,
    /// where it is known.
    fn request(&self, size: Option<u64>) -> Result<Request>;

    /// The image as it stands.
    async fn look(&self) -> Result<Image>;
}

/// Sends `data` into an image that has none; the answer is the image once the
/// service is done with the data and has the same size and digest.
pub(super) async fn upload(http: &Http, intake: &dyn Intake, image: &Image, data: Data) -> Result<Image> {
    let rehash = data.rehash();
    let digests = expected_digests(image, rehash.is_some());
    let sent = send(http, intake, data, digests).await?;
    let image = settled(http, intake).await?;
    compare(http.log(), &image, &sent, rehash)?;
    Ok(image)
}

/// Sends `data`, computing `algorithms` on the way.
pub(super) async fn send(http: &Http, intake: &dyn Intake, data: Data, algorithms: Vec<Algorithm>) -> Result<Sent> {
    let request = intake.request(data.len)?;
    let meter = Arc::clone(&data.meter);
    let (outgoing, body) = Outgoing::start(data, &algorithms);
    let answer = match http.send(request.data(body, meter)).await {
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
async fn settled(http: &Http, intake: &dyn Intake) -> Result<Image> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let image = intake.look().await?;
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
        http.pause(pause).await?;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
}

/// Compares what the service has with what was sent.
pub(super) fn compare(log: &Log, image: &Image, sent: &Sent, rehash: Option<Rehash>) -> Result<()> {
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
    log.warn(message);
    Ok(())
}

/// The digests to compute while sending: the one that the service will name,
/// and for a pipe, which cannot be read again, both that any Glance names.
pub(super) fn expected_digests(created: &Image, can_be_read_again: bool) -> Vec<Algorithm> {
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
