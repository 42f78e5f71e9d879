//! Making an image, whatever version of the API makes it: first its record,
//! under an ID of our own, then its data; what fails leaves nothing behind.

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
        // Whether it was carried out is not known; an ID that was given may be that of somebody else's image.
        Err(failure) if draft.id.is_some() || failure.unsent => return Err(failure),
        Err(failure) if may_have_been_done(&failure) => return Err(after(maker, failure, draft, &id, None).await),
        Err(failure) => return Err(after_refusal(maker, failure, draft, &id).await),
    };
    if draft.owner.is_some() && created.owner() != draft.owner.as_deref() {
        return Err(after(maker, not_the_owner(&created), draft, created.id(), None).await);
    }
    let Some(content) = content else { return Ok(created) };
    let resume = (on_failure == OnFailure::Keep).then(|| resume(&content));
    match maker.fill(&mut created, draft, content).await {
        Ok(image) => Ok(image),
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
        let failure = match http.send(maker.record(&draft)?).await {
            Ok(answer) => match answer.ok().await {
                Ok(answer) => return maker.recorded(answer).await,
                Err(failure) => failure,
            },
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
        None => cleanup::undo(&*quiet, id, draft.protected == Some(true), failure).await,
    }
}

/// The commands that send the data of the image with an ID once more.
fn resume(content: &Content) -> Box<dyn Fn(&str) -> String> {
    let file = |data: &Data| match data.name.as_str() {
        "stdin" => "FILE".to_owned(),
        path => shlex::try_quote(path).map_or_else(|_| "FILE".to_owned(), Into::into),
    };
    match content {
        Content::Upload { data, store } => {
            let store = store.as_ref().map(|store| format!(" --store {store}")).unwrap_or_default();
            let file = file(data);
            Box::new(move |id| format!("rimg image upload {id} --file {file}{store}"))
        }
        Content::Import { data: Some(data), .. } => {
            let file = file(data);
            Box::new(move |id| format!("rimg image stage {id} --file {file} && rimg image import {id}"))
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
