//! An upload, whatever version of the API takes it: sent in one pass, waited
//! for, and compared with what the service has.
//!
//! A body is never sent again from the middle: no version of the API can go
//! on there. After a failure that may pass, the image itself is asked what
//! became of it: it may have the data all the same, or still be taking it in;
//! only when it is empty again is the data sent again, from its first byte.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::api::{Api, PASSING};
use crate::error::{Error, Kind, Result};
use crate::http::{Http, Request, Tries, spoken};
use crate::image::Image;
use crate::transfer::{Algorithm, Data, Outgoing, Rehash, Sent, read_before};

/// How often data is sent again where the configuration does not say.
const RESENDS: u32 = 3;

/// How often in a row looking at the image may fail where the configuration
/// does not say: this moves no data, so it may outlast a restart of the service.
const LOOKS: u32 = 6;

/// How often a token may expire under way.
const RENEWALS: u32 = 2;

/// The rate that is counted on before one was measured, in bytes a second.
const CAUTIOUS_RATE: u64 = 20 << 20;

/// How long a token should be good for when the length of a pipe is not known:
/// what a pipe has given cannot be sent again.
const LONG: Duration = Duration::from_secs(60 * 60);

/// A token that lasts no longer may be too short for a pipe.
const LITTLE: Duration = Duration::from_secs(10 * 60);

/// How an image stands to its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// It has none and takes some.
    Empty,
    /// The service is at work on it.
    Taking,
    /// It has it.
    Taken,
    /// It never will.
    Lost,
}

/// Where the data of one image goes in: what a version of the API knows of it.
#[async_trait(?Send)]
pub(super) trait Intake {
    /// The request that takes the data, still without it. `size` is in bytes,
    /// where it is known.
    fn request(&self, size: Option<u64>) -> Result<Request>;

    /// The image as it stands.
    async fn look(&self) -> Result<Image>;

    /// What that says of its data; `answered` is whether the service has said
    /// that it has all of it.
    fn stands(&self, image: &Image, answered: bool) -> Stands;

    /// Puts a new image in the place of one that is lost after `failure`; where
    /// that cannot be it answers with the failure.
    async fn begin_anew(&self, failure: Error) -> Result<()> {
        Err(failure)
    }

    /// The API that takes it.
    fn api(&self) -> &Api;
}

/// Data that the service has.
pub(super) struct Delivery {
    /// The image, as the service said last.
    pub image: Image,
    name: String,
    /// What was read and sent; `None` if the connection broke before the end
    /// was read, and the service has the data all the same.
    sent: Option<Sent>,
    rehash: Option<Rehash>,
    len: Option<u64>,
    verify: bool,
}

/// Sends `data` into an image that has none; the answer is the image once the
/// service is done with the data and has the same size and digest.
pub(super) async fn upload(http: &Http, intake: &dyn Intake, image: &Image, mut data: Data) -> Result<Image> {
    let delivery = deliver(http, intake, image, &mut data).await?;
    delivery.compare(http, &delivery.image).await?;
    Ok(delivery.image)
}

/// Sends `data` until the service has it.
pub(super) async fn deliver(http: &Http, intake: &dyn Intake, image: &Image, data: &mut Data) -> Result<Delivery> {
    let rehash = data.rehash();
    let algorithms = match data.verify {
        true => expected_digests(image, rehash.is_some()),
        false => Vec::new(),
    };
    let retries = &http.settings().retries;
    let mut tries = Tries::new(retries, RESENDS);
    let mut renewals = 0;
    let mut rate = CAUTIOUS_RATE;
    // Why the last try failed, if it did.
    let mut cause = None;
    loop {
        outlive(http, intake, data, rate).await?;
        let begun = Instant::now();
        let (failure, sent) = send(http, intake, data, &algorithms).await?;
        if begun.elapsed() > Duration::from_secs(1) {
            rate = (data.meter.moved() as f64 / begun.elapsed().as_secs_f64()) as u64;
        }
        let answered = failure.is_none();
        // In the way of this try is one before it, whose end the service has not noticed yet: that one's failure tells.
        let in_the_way = tries.tried() > 1 && failure.as_ref().is_some_and(|failure| failure.kind == Kind::Conflict);
        if !in_the_way {
            cause.clone_from(&failure);
        }
        let again = match failure {
            None => Ok(()),
            Some(failure) if failure.kind == Kind::Auth && renewals < RENEWALS && intake.api().renew().await? => {
                renewals += 1;
                http.log().note("the token was refused under way; going on with a new one");
                Ok(())
            }
            Some(failure) if in_the_way => {
                rest(http, data, &mut tries, failure).await?.map_err(|last| cause.clone().unwrap_or(last))
            }
            Some(failure) if retries.passing(&failure, &PASSING) => rest(http, data, &mut tries, failure).await?,
            Some(failure) => return Err(explained(failure, image.id())),
        };
        let (stands, now) = match (settled(http, intake, data, answered).await, &again) {
            (Err(error), Err(failure)) if error.kind != Kind::Interrupted && retries.passing(&error, &PASSING) => {
                let unknown = format!("what became of the image is not known: {error}");
                return Err(failure.clone().details([unknown]));
            }
            (settled, _) => settled?,
        };
        if stands == Stands::Lost {
            let lost = format!("the image did not become active: it is `{}`", now.status());
            match (cause.clone(), again) {
                // What the service gave up although it had all of the data it would give up once more.
                (None, _) => return Err(Error::new(Kind::Unavailable, lost)),
                (Some(first), Ok(())) if data.is_whole() => intake.begin_anew(first.details([lost])).await?,
                (Some(failure), Ok(())) | (_, Err(failure)) => return Err(failure.details([lost])),
            }
            data.meter.restart(0);
            continue;
        }
        if stands == Stands::Taken {
            if !answered {
                http.log().note("the service has all of the data all the same");
            }
            if data.was_replaced() {
                let name = &data.name;
                http.log()
                    .warn(&format!("`{name}` is another file by now: the image has what it was at the beginning"));
            }
            let (name, len, verify) = (data.name.clone(), data.len, data.verify);
            return Ok(Delivery { image: now, name, sent, rehash, len, verify });
        }
        if answered {
            let message = "the service took the data and let go of it again";
            rest(http, data, &mut tries, Error::new(Kind::Unavailable, message).with_status(500)).await??;
        } else {
            again?;
        }
        data.meter.restart(0);
        if !data.is_whole() {
            return Err(read_before(&data.name).details(["the image is empty again and could be sent to".to_owned()]));
        }
    }
}

/// Waits for the next try after `failure`, or comes back with it when there is
/// to be none. (The outer error is an interrupt.)
async fn rest(http: &Http, data: &Data, tries: &mut Tries, failure: Error) -> Result<Result<()>> {
    let next = tries.next(failure.clone());
    let pause = match &next {
        Ok(next) if data.is_whole() => {
            http.log().note(&format!("{failure}; {next}"));
            next.pause
        }
        Ok(next) => {
            let pause = spoken(next.pause);
            http.log().note(&format!("{failure}; asking what became of the image in {pause}"));
            next.pause
        }
        // A service that has lost a connection takes a moment to notice.
        Err(_) => Duration::from_millis(200),
    };
    data.meter.phase(format!("waiting to try again: {failure}"));
    http.pause(pause).await?;
    Ok(next.map(drop))
}

/// One try: why it failed, if it did, and what was read, if all of it was. A
/// source that fails ends the upload.
async fn send(
    http: &Http,
    intake: &dyn Intake,
    data: &mut Data,
    algorithms: &[Algorithm],
) -> Result<(Option<Error>, Option<Sent>)> {
    let request = intake.request(data.len)?;
    let (outgoing, body) = Outgoing::start(data, algorithms)?;
    let answer = match http.send(request.data(body, data.meter.clone())).await {
        Ok(answer) => answer.ok().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(_) => Ok((None, Some(outgoing.finish().await?))),
        Err(error) if error.kind == Kind::Interrupted => Err(error),
        // A source that failed is the true reason for a broken request, and for the service's complaint of it.
        Err(error) => Ok((Some(error), outgoing.after_failure().await?)),
    }
}

/// Sees that the token outlives what is about to be sent at `rate`.
async fn outlive(http: &Http, intake: &dyn Intake, data: &Data, rate: u64) -> Result<()> {
    let api = intake.api();
    // The service may look at the token once more when it has all of the data.
    let needed = data.len.map(|len| Duration::from_secs(len / rate.max(1) + 60));
    if api.token_life().is_none_or(|life| life >= needed.unwrap_or(LONG)) {
        return Ok(());
    }
    // Of all tokens that last no hour a new one is no better than one that is new itself.
    if needed.is_some() || api.token_age().is_none_or(|age| age > Duration::from_secs(60)) {
        // The one at hand may do all the same: only an interrupt stops here.
        match api.renew().await {
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            _ => {}
        }
    }
    if let Some(life) = api.token_life().filter(|life| *life < needed.unwrap_or(LITTLE)) {
        let takes = match needed {
            Some(needed) => format!("this upload may take {}", spoken(needed)),
            None => "how long this upload takes is not known".to_owned(),
        };
        http.log().warn(&format!("the token is good for another {}, and {takes}", spoken(life)));
    }
    Ok(())
}

/// Waits until the service has finished with the data: it has it, or the image
/// is empty, or lost.
async fn settled(http: &Http, intake: &dyn Intake, data: &Data, answered: bool) -> Result<(Stands, Image)> {
    let limit = http.settings().digest_limit;
    let looks = || Tries::new(&http.settings().retries, LOOKS);
    let mut failing = looks();
    let started = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        match intake.look().await {
            Ok(image) => {
                failing = looks();
                let stands = intake.stands(&image, answered);
                let status = image.status();
                match stands {
                    Stands::Taken | Stands::Empty | Stands::Lost => return Ok((stands, image)),
                    Stands::Taking if started.elapsed() > limit => {
                        let message = format!("the image is still `{status}` after {}", spoken(limit));
                        return Err(Error::new(Kind::Unavailable, message).next(
                            "ask who runs the cloud what holds it up; `api_timeout` in clouds.yaml sets another limit",
                        ));
                    }
                    Stands::Taking => data.meter.phase(format!("waiting for the service: the image is `{status}`")),
                }
                http.pause(pause).await?;
                pause = (pause * 2).min(Duration::from_secs(3));
            }
            Err(error) if error.kind == Kind::NotFound => {
                return Err(Error { message: "the image was deleted while its data was sent".to_owned(), ..error });
            }
            Err(error) if http.settings().retries.passing(&error, &PASSING) => {
                let next = failing.next(error.clone())?;
                http.log().note(&format!("cannot look at the image: {error}; {next}"));
                http.pause(next.pause).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

impl Delivery {
    /// Compares what the service says of `image` with what was sent.
    pub(super) async fn compare(&self, http: &Http, image: &Image) -> Result<()> {
        let size = self.compare_size(image)?;
        let silent = || {
            let message =
                format!("the service says that the image is `{}`, but not how much data it has", image.status());
            Error::new(Kind::Verification, message).next("try again; if it stays, ask who runs the cloud")
        };
        if !self.verify {
            image.size().ok_or_else(silent)?;
            http.log().note(&format!("the digest was not verified: only the size, {size} bytes, was compared"));
            return Ok(());
        }
        let ours = |algorithm: Algorithm| {
            let digests = self.sent.iter().flat_map(|sent| &sent.digests);
            digests.into_iter().find(|(a, _)| *a == algorithm).map(|(_, sum)| sum)
        };
        let named = image.hash().map(|(name, sum)| (Algorithm::named(name), sum));
        let md5 = image.checksum().map(|sum| (Some(Algorithm::Md5), sum));
        for (algorithm, theirs) in [named, md5].into_iter().flatten() {
            if let Some((algorithm, sum)) = algorithm.and_then(|algorithm| Some((algorithm, ours(algorithm)?))) {
                return agree(sum, theirs, algorithm);
            }
        }
        // Another algorithm than is usual, or a try that broke off: the file is still here to ask.
        let known = [named, md5].into_iter().flatten().find_map(|(algorithm, theirs)| Some((algorithm?, theirs)));
        if let (Some((algorithm, theirs)), Some(rehash)) = (known, self.rehash.clone()) {
            let digest = http.aside(move || rehash.digest(algorithm)).await?;
            return agree(&digest, theirs, algorithm);
        }
        image.size().ok_or_else(silent)?;
        http.log()
            .warn("the service names no digest that rimg can compute, so the upload is verified by its size alone");
        Ok(())
    }

    /// Compares the size alone; answers with it.
    pub(super) fn compare_size(&self, image: &Image) -> Result<u64> {
        let whole = self.len.filter(|_| self.rehash.is_some());
        let Some(size) = self.sent.as_ref().map(|sent| sent.size).or(whole) else {
            let message = format!("`{}` was not read to its end, and yet the image is `{}`", self.name, image.status());
            return Err(Error::new(Kind::Verification, message));
        };
        match image.size() {
            Some(there) if there != size => Err(corrupt(format!("{size} bytes were sent and the service has {there}"))),
            _ => Ok(size),
        }
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

fn agree(ours: &str, theirs: &str, algorithm: Algorithm) -> Result<()> {
    match ours.eq_ignore_ascii_case(theirs) {
        true => Ok(()),
        false => {
            let algorithm = algorithm.name();
            Err(corrupt(format!("the {algorithm} of what was sent is {ours}, the service has {theirs}")))
        }
    }
}

fn corrupt(what: String) -> Error {
    Error::new(Kind::Verification, format!("the image arrived damaged: {what}"))
        .next("try again; if it stays, ask who runs the cloud about its storage")
}

/// A refusal that stays, with the step to take.
fn explained(refusal: Error, id: &str) -> Error {
    if refusal.next.is_some() {
        return refusal;
    }
    let step = match refusal.status {
        Some(404 | 410) => {
            format!("the image may have been deleted while its data was sent: `rimg image show {id}` tells")
        }
        Some(409) => format!("somebody else may have sent data: `rimg image show {id}` tells what it is"),
        Some(413) => "`rimg image usage` shows the quotas; who runs the cloud can raise them".to_owned(),
        Some(415) => "the service looks into the data too: name its true format with `--disk-format`".to_owned(),
        _ => return refusal,
    };
    refusal.next(step)
}
