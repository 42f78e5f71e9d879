//! Making an image, whatever version of the API makes it: first its record,
//! under an ID of our own, then its data; what fails leaves nothing behind.

use std::pin::pin;
use std::time::Duration;

use super::cleanup;
use super::maker::Maker;
use crate::error::{Error, Kind, Result};
use crate::http::Tries;
use crate::image::{Draft, Image};
use crate::service::{Content, OnFailure};
use crate::transfer::Data;

/// How often the record of an image is asked for again where the configuration
/// does not say.
const RECORDS: u32 = 3;

/// How long the answer to a request that makes a record is waited for after an interrupt.
const ANSWER: Duration = Duration::from_secs(10);

/// How often the record itself is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// Makes the image of `draft`, with `content` if there is some.
pub(super) async fn create(
    maker: &dyn Maker,
    draft: &Draft,
    content: Option<Content>,
    on_failure: OnFailure,
) -> Result<Image> {
    // Chosen here, so that a request that is cut off leaves nothing that cannot be found again.
    let id = draft.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut created = match record(maker, draft, &id).await {
        Ok(created) => created,
        Err(failure) if failure.unsent => return Err(failure),
        // Whether it was carried out is not known; an ID that was given may be that of somebody else's image.
        Err(failure) if draft.id.is_some() => {
            return Err(match failure.kind {
                Kind::Interrupted => failure
                    .details([format!("whether the image `{id}` was made is not known: `rimg image show {id}` tells")]),
                _ => failure,
            });
        }
        Err(failure) if may_have_been_done(&failure) => {
            let in_doubt = cleanup::unanswered(&failure);
            return Err(cleanup::undo(&*maker.undisturbed(), &id, is_protected(draft), in_doubt, failure).await);
        }
        Err(failure) => return Err(after_refusal(maker, failure, draft, &id).await),
    };
    if draft.owner.is_some() && created.owner() != draft.owner.as_deref() {
        return Err(after(maker, not_the_owner(&created), draft, created.id(), None).await);
    }
    let Some(content) = content else {
        // Interrupted while it was made, it is not wanted any more.
        return match maker.http().pause(Duration::ZERO).await {
            Ok(()) => Ok(created),
            Err(failure) => Err(after(maker, failure, draft, created.id(), None).await),
        };
    };
    let resume = match &on_failure {
        OnFailure::Keep { options } => Some(resume(&content, options)),
        OnFailure::Delete => None,
    };
    match maker.fill(&mut created, draft, content).await {
        Ok(image) => Ok(image),
        // It may have its data yet: to delete it would be to undo that.
        Err(failure) if failure.goes_on => Err(failure),
        Err(failure) => {
            let resume = resume.map(|resume| resume(created.id()));
            Err(after(maker, failure, draft, created.id(), resume.as_deref()).await)
        }
    }
}

/// That `image` belongs to another project than it was to.
pub(super) fn not_the_owner(image: &Image) -> Error {
    let owner = image.owner().unwrap_or("nobody");
    Error::new(Kind::Forbidden, format!("the service leaves the image `{}` to the project `{owner}`", image.id()))
        .next("only administrators give images to other projects")
}

fn is_protected(draft: &Draft) -> bool {
    draft.protected == Some(true)
}

/// Sends the request that makes the record `id`. An interrupt does not cut it
/// off at once: what the service has begun it ends, and the record could come
/// after the last look for it.
async fn post(maker: &dyn Maker, draft: &Draft, id: &str, ours: bool) -> Result<Image> {
    let quiet = maker.undisturbed();
    let request = quiet.record(draft)?;
    let mut posted = pin!(async { quiet.recorded(quiet.http().send(request).await?.ok().await?).await });
    let interrupted = async {
        match maker.http().pause(Duration::MAX).await {
            Err(interrupted) => interrupted,
            Ok(()) => std::future::pending().await,
        }
    };
    let interrupted = tokio::select! {
        biased;
        answered = &mut posted => return answered,
        interrupted = interrupted => interrupted,
    };
    let log = quiet.http().log();
    log.note(&format!("waiting to hear whether the image `{id}` was made; interrupt again to stop at once"));
    let is_there = async {
        loop {
            tokio::time::sleep(LOOK).await;
            // Under an ID that was given there may be another's.
            if ours && quiet.look(id).await.is_ok() {
                return;
            }
        }
    };
    tokio::select! {
        answered = &mut posted => match answered {
            // Whoever goes on with it is stopped.
            Ok(created) => Ok(created),
            Err(failure) if may_have_been_done(&failure) => Err(interrupted),
            Err(_) => Err(Error { unsent: true, ..interrupted }),
        },
        () = is_there => Err(interrupted),
        () = tokio::time::sleep(ANSWER) => Err(interrupted),
    }
}

/// Creates the record of an image whose ID is `id`, or the one given in
/// `draft`. Ours tells what became of a request that got no answer, so the
/// request can be made again and never makes two images; of one that was
/// given nobody can say who made the image that has it.
pub(super) async fn record(maker: &dyn Maker, draft: &Draft, id: &str) -> Result<Image> {
    let ours = draft.id.is_none();
    let draft = Draft { id: Some(id.to_owned()), ..draft.clone() };
    let http = maker.http().insisting(false);
    let retries = &http.settings().retries;
    let mut tries = Tries::new(retries, RECORDS);
    let mut in_doubt = false;
    loop {
        let failure = match post(maker, &draft, id, ours).await {
            Ok(created) => return Ok(created),
            Err(failure) => failure,
        };
        // What says so itself was not carried out.
        let open = !failure.unsent && !matches!(failure.status, Some(429 | 503));
        let next = match failure.kind {
            // Nobody else has an ID that was just drawn: an earlier request was carried out, whatever its
            // answer said. (Some proxies answer 503 when it is the answer that was lost.)
            Kind::Conflict if ours || in_doubt => {
                in_doubt = true;
                Err(failure.clone())
            }
            _ if retries.passing(&failure, &[429, 502, 503, 504]) => {
                in_doubt |= open;
                tries.next(failure.clone())
            }
            _ => return Err(failure),
        };
        if let Ok(next) = &next {
            http.log().note(&format!("{failure}; {next}"));
            http.pause(next.pause).await?;
        }
        if in_doubt {
            match maker.look(id).await {
                Ok(image) if ours => {
                    http.log().note(&format!("the image `{id}` was created all the same"));
                    return Ok(image);
                }
                Ok(_) => {
                    let there = format!("an image `{id}` is there; whether this command made it is not known");
                    return Err(failure.details([there]).next(format!("`rimg image show {id}` tells what it is")));
                }
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Err(_) => {}
            }
        }
        next?;
    }
}

/// What a service that refuses to make an image has made all the same is
/// deleted: the refusal may be of a second try, or of somebody on the way.
async fn after_refusal(maker: &dyn Maker, failure: Error, draft: &Draft, id: &str) -> Error {
    match maker.undisturbed().look(id).await {
        Ok(_) => after(maker, failure, draft, id, None).await,
        Err(error) if matches!(error.kind, Kind::Network | Kind::Unavailable) => {
            failure.details([format!("whether an image `{id}` was made all the same is not known: {error}")])
        }
        Err(_) => failure,
    }
}

/// Sees to it that the failed create of the image `id` leaves nothing behind,
/// or, if it is to be kept, says how to go on with it.
async fn after(maker: &dyn Maker, failure: Error, draft: &Draft, id: &str, resume: Option<&str>) -> Error {
    let quiet = maker.undisturbed();
    match resume {
        Some(resume) => cleanup::keep(&*quiet, id, resume, failure).await,
        None => cleanup::undo(&*quiet, id, is_protected(draft), false, failure).await,
    }
}

/// The commands that send the data of the image with an ID once more;
/// `options` say of it what was said at first.
fn resume(content: &Content, options: &str) -> Box<dyn Fn(&str) -> String> {
    let quoted = |word: &str, or: &str| shlex::try_quote(word).map_or_else(|_| or.to_owned(), Into::into);
    let file = |data: &Data| match data.name.as_str() {
        "stdin" => "FILE".to_owned(),
        path => quoted(path, "FILE"),
    };
    match content {
        Content::Upload { data, store } => {
            let no_verify = if data.verify { "" } else { " --no-verify" };
            let store = store.as_ref().map(|store| format!(" --store {}", quoted(store, "STORE"))).unwrap_or_default();
            let rest = format!("--file {}{options}{no_verify}{store}", file(data));
            Box::new(move |id| format!("rimg image upload {id} {rest}"))
        }
        Content::Import { data: Some(data), .. } => {
            let rest = format!("--file {}{options}", file(data));
            Box::new(move |id| format!("rimg image stage {id} {rest} && rimg image import {id}"))
        }
        Content::Import { data: None, .. } => Box::new(|id| format!("rimg image import {id}")),
        Content::External => Box::new(|id| format!("rimg image show {id}")),
    }
}

/// Whether a request that failed so may have been carried out.
fn may_have_been_done(failure: &Error) -> bool {
    match failure.status {
        Some(status) => matches!(status, 500 | 502 | 504),
        None => !failure.unsent && matches!(failure.kind, Kind::Network | Kind::Interrupted | Kind::Unavailable),
    }
}
