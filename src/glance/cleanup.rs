//! What becomes of an image whose creation failed: it is deleted again, or
//! kept, if the user wants to go on with it.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::maker::Maker;
use crate::error::{Error, Kind, Result};

/// How long cleaning up after a failure may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a service may take to notice that a client is gone.
const NOTICED: Duration = Duration::from_secs(3);

/// How long cleaning up goes on without a word after a failure that is none of
/// the user's.
const SILENCE: Duration = Duration::from_secs(2);

/// Deletes the image `id` that a failed create left behind; answers with the
/// failure, and says in it when the image could not be deleted, or, where the
/// request to make it was never answered (`in_doubt`), may come after all.
/// `maker` may not stop for an interrupt.
pub(super) async fn undo(maker: &dyn Maker, id: &str, protected: bool, in_doubt: bool, failure: Error) -> Error {
    let removing = remove(maker, id, protected, unanswered(&failure));
    match within_limit(maker, &failure, &format!("removing the image `{id}`"), removing).await {
        Some(Ok(false)) if in_doubt => failure.details([format!(
            "an image `{id}` may still appear, as the service has not said what became of the request to make it: \
             `rimg image delete {id}` deletes it then"
        )]),
        Some(Ok(_)) => failure,
        failed => {
            let reason = match failed {
                Some(Err(e)) => e.message,
                _ => "no answer in time".to_owned(),
            };
            failure
                .details([format!("the unfinished image `{id}` could not be deleted: {reason}")])
                .next(format!("delete it with `rimg image delete {id}`"))
        }
    }
}

/// Leaves the image `id` where it is; answers with the failure, and says in it
/// how the image stands and how to go on: `resume` is the command that sends the data.
pub(super) async fn keep(maker: &dyn Maker, id: &str, resume: &str, failure: Error) -> Error {
    let status = match status(maker, id, &failure).await {
        Ok(status) => status,
        Err(error) if error.kind == Kind::NotFound => return failure,
        Err(_) => "in a state that the service did not tell".to_owned(),
    };
    let failure = failure.details([format!("the image `{id}` is kept: it is `{status}`")]);
    let step = match status.as_str() {
        "killed" => return lost(id, failure),
        "queued" => format!("go on with `{resume}`"),
        "uploading" => format!("if its data was staged: `rimg image import {id}`"),
        "active" => format!("delete it with `rimg image delete {id}`"),
        _ => format!("when it is `queued` again: `{resume}`"),
    };
    let step = match &failure.next {
        Some(next) => format!("{next}; then {step}"),
        None => step,
    };
    failure.next(step)
}

/// Says of a failed upload into the image `id` what to do if the service has
/// given the image up with it, as v1 does.
pub(super) async fn given_up(maker: &dyn Maker, id: &str, failure: Error) -> Error {
    match status(maker, id, &failure).await.as_deref() {
        Ok("killed") => lost(id, failure),
        _ => failure,
    }
}

/// The failure of an image that takes no data any more: what else could be tried next is of no use to it.
fn lost(id: &str, failure: Error) -> Error {
    failure.next(format!("delete it with `rimg image delete {id}` and create it again"))
}

/// How the image `id` stands once the service knows of `failure`.
async fn status(maker: &dyn Maker, id: &str, failure: &Error) -> Result<String> {
    let look = async {
        if unanswered(failure) {
            noticed(maker, id).await?;
        }
        maker.look(id).await
    };
    let what = format!("looking at what became of the image `{id}`");
    match within_limit(maker, failure, &what, look).await {
        Some(looked) => Ok(looked?.status().to_owned()),
        None => Err(Error::new(Kind::Network, "no answer in time")),
    }
}

/// Does `work`, for so long as cleaning up may take, and says `what` it is: at
/// once to who has interrupted and waits.
async fn within_limit<T>(
    maker: &dyn Maker,
    failure: &Error,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Option<Result<T>> {
    let (patience, often) = match failure.kind {
        Kind::Interrupted => (Duration::ZERO, "again"),
        _ => (SILENCE, "twice"),
    };
    let mut work = pin!(tokio::time::timeout(LIMIT, work));
    let done = match tokio::time::timeout(patience, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            maker.http().log().note(&format!("{what}; interrupt {often} to stop at once"));
            work.await
        }
    };
    done.ok()
}

/// Whether the service may still be at work on the image.
pub(super) fn unanswered(failure: &Error) -> bool {
    matches!(failure.kind, Kind::Network | Kind::Interrupted | Kind::Io) || matches!(failure.status, Some(502 | 504))
}

/// Waits until the service has noticed that its client is gone.
async fn noticed(maker: &dyn Maker, id: &str) -> Result<()> {
    let end = Instant::now() + NOTICED;
    while Instant::now() < end && maker.look(id).await.is_ok_and(|now| matches!(now.status(), "saving" | "uploading")) {
        maker.http().pause(Duration::from_millis(100)).await?;
    }
    Ok(())
}

/// Deletes an image and sees that it stays deleted: a Glance that notices
/// only afterwards that its client is gone puts the image back to `queued`,
/// and with that brings it back. Answers with whether it ever was there.
async fn remove(maker: &dyn Maker, id: &str, protected: bool, unanswered: bool) -> Result<bool> {
    if unanswered {
        noticed(maker, id).await?;
    }
    if protected {
        match maker.unprotect(id).await {
            Err(e) if e.kind == Kind::NotFound => return Ok(false),
            unprotected => unprotected?,
        }
    }
    let mut was_there = delete_insisting(maker, id).await?;
    let looks: &[u64] = if unanswered { &[200, 800] } else { &[] };
    for pause in looks {
        maker.http().pause(Duration::from_millis(*pause)).await?;
        if maker.look(id).await.is_ok() {
            was_there |= delete_insisting(maker, id).await?;
        }
    }
    Ok(was_there)
}

/// Deletes an image, several times over if the service is in trouble; one
/// that is gone already is fine. Answers with whether it was there.
pub(super) async fn delete_insisting(maker: &dyn Maker, id: &str) -> Result<bool> {
    let mut pause = Duration::from_millis(200);
    loop {
        match maker.remove(id).await {
            Err(e) if e.kind == Kind::NotFound => return Ok(false),
            Err(e) if matches!(e.kind, Kind::Unavailable | Kind::Network | Kind::Conflict) && pause.as_secs() < 4 => {
                maker.http().pause(pause).await?;
                pause *= 2;
            }
            deleted => return deleted.map(|()| true),
        }
    }
}
