//! How an image comes to be, each step its own gate: policy, protected
//! properties, quota, registry (reserved as `queued` before any byte is
//! taken), store (`saving`), what the bytes are, and then `active`. On failure
//! it is `queued` again and no data stays.

use std::io::{self, BufReader};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use uuid::Uuid;

use super::Service;
use super::access::aside;
use super::caller::Caller;
use super::failure::{Failure, Result};
use super::registry::{FileState, Image, Session, Status};
use super::server::Body;
use super::store::{BLOCK, Store, Written};
use crate::disk_format;

/// Where data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into this store; then the image is active.
    Store(String),
    /// Aside, until an import takes it up.
    Staging,
}

/// What the writing thread is told.
enum Message {
    /// The next piece, and its share of the memory that pieces may take.
    Piece(Bytes, OwnedSemaphorePermit),
    /// There are no more: all has come.
    End,
}

/// Takes the data of an image from `body`. All that is left behind when
/// anything fails, or the client goes away, is a queued image.
pub async fn upload(
    service: &Arc<Service>,
    caller: &Arc<Caller>,
    id: &str,
    destination: Destination,
    declared: Option<u64>,
    body: &mut Body,
) -> Result<()> {
    let (ready, reserved) = oneshot::channel();
    let (feed, pieces) = mpsc::channel(2);
    // The thread that has reserved the image is the one that undoes it: this
    // future may be dropped at any time, with its client.
    let work = {
        let (service, caller, id) = (Arc::clone(service), Arc::clone(caller), id.to_owned());
        aside(move || Upload::run(&service, &caller, &id, &destination, declared, ready, pieces))
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        refused = &mut work => return refused,
        _ = reserved => {}
    }
    let forward = async {
        let mut block = BytesMut::new();
        loop {
            let piece = body.piece().await?;
            let ended = piece.is_none();
            let mut piece = piece.unwrap_or_default();
            while !piece.is_empty() {
                block.reserve(BLOCK - block.len());
                let now = piece.split_to(piece.len().min(BLOCK - block.len()));
                block.extend_from_slice(&now);
                if block.len() == BLOCK && !send(service, &feed, &mut block).await {
                    return Ok::<(), Failure>(());
                }
            }
            if ended {
                if block.is_empty() || send(service, &feed, &mut block).await {
                    let _ = feed.send(Message::End).await;
                }
                return Ok(());
            }
        }
    };
    let mut forward = std::pin::pin!(forward);
    tokio::select! {
        biased;
        // Refused in the middle, for instance for its size.
        done = &mut work => return done,
        forwarded = &mut forward => forwarded?,
    }
    work.await
}

/// Passes a block on; false if nobody takes it any more.
async fn send(service: &Service, feed: &mpsc::Sender<Message>, block: &mut BytesMut) -> bool {
    let Ok(permit) = Arc::clone(&service.blocks).acquire_owned().await else { return false };
    feed.send(Message::Piece(std::mem::take(block).freeze(), permit)).await.is_ok()
}

/// An upload under way: a file, and an image that is `saving` for it.
struct Upload<'a> {
    service: &'a Service,
    store: &'a Store,
    destination: &'a Destination,
    image: Image,
    file: String,
    /// The most bytes that may come.
    limit: Limit,
}

/// How much may come, and what is said when it is more.
struct Limit {
    bytes: u64,
    words: &'static str,
}

impl<'a> Upload<'a> {
    /// The whole of it, on a thread that may wait.
    fn run(
        service: &'a Service,
        caller: &Caller,
        id: &str,
        destination: &'a Destination,
        declared: Option<u64>,
        ready: oneshot::Sender<()>,
        mut pieces: mpsc::Receiver<Message>,
    ) -> Result<()> {
        let upload = Upload::reserve(service, caller, id, destination, declared)?;
        let _ = ready.send(());
        let outcome = upload.receive(&mut pieces).and_then(|written| upload.complete(&written));
        if let Err(failure) = outcome {
            upload.undo();
            return Err(failure);
        }
        Ok(())
    }

    /// Checks that the caller may, and that it fits; from here on the image is taken.
    fn reserve(
        service: &'a Service,
        caller: &Caller,
        id: &str,
        destination: &'a Destination,
        declared: Option<u64>,
    ) -> Result<Self> {
        let (store, next, rule) = match destination {
            Destination::Store(name) => (service.store(name)?, Status::Saving, "upload_image"),
            Destination::Staging => (&service.staging, Status::Uploading, "modify_image"),
        };
        let file = Uuid::new_v4().simple().to_string();
        service.registry.write(|session| {
            let mut image = service.image(session, caller, id)?;
            service.enforce(rule, caller, &image)?;
            let limit = limit(service, session, &image, declared)?;
            go_to(&mut image, next)?;
            session.save(&mut image)?;
            session.add_file(&file, id, &store.name, service.run.id())?;
            Ok(Upload { service, store, destination, image, file: file.clone(), limit })
        })
    }

    /// Writes what comes.
    fn receive(&self, pieces: &mut mpsc::Receiver<Message>) -> Result<Written> {
        let mut incoming = self.store.begin(&self.file).map_err(storage)?;
        loop {
            match pieces.blocking_recv() {
                Some(Message::Piece(piece, permit)) => {
                    if incoming.size() + piece.len() as u64 > self.limit.bytes {
                        return Err(Failure::too_large(self.limit.words));
                    }
                    incoming.write(&piece).map_err(storage)?;
                    drop(permit);
                }
                Some(Message::End) => break,
                None => return Err(Failure::bad_request("The body of the request was cut short.")),
            }
        }
        incoming.finish().map_err(storage)
    }

    /// Makes the image what the data makes it.
    fn complete(&self, written: &Written) -> Result<()> {
        let virtual_size = match self.destination {
            Destination::Store(_) => inspect(self.store, &self.file, &self.image, written.size)?,
            Destination::Staging => None,
        };
        self.service.registry.write(|session| {
            let gone = || {
                Failure::new(
                    http::StatusCode::GONE,
                    format!(
                        "Image {} could not be found after upload. The image may have been deleted during the \
                         upload, cleaning up the chunks uploaded.",
                        self.image.id
                    ),
                )
            };
            let mut image = session.image(&self.image.id)?.ok_or_else(gone)?;
            let state = match self.destination {
                Destination::Store(_) => FileState::Stored,
                Destination::Staging => FileState::Staged,
            };
            if image.status != self.image.status
                || !session.complete_file(&self.file, state, written.size, &written.sums)?
            {
                return Err(gone());
            }
            image.size = Some(written.size);
            if state == FileState::Stored {
                image.status = Status::Active;
                image.virtual_size = virtual_size;
                image.checksum = Some(written.md5.clone());
                image.os_hash_algo = Some("sha512".to_owned());
                image.os_hash_value = Some(written.sha512.clone());
            }
            session.save(&mut image)?;
            Ok(())
        })
    }

    /// Leaves a queued image and no data.
    fn undo(&self) {
        let undone = self.service.registry.write(|session| {
            session.discard_file(&self.file, self.service.run.id())?;
            let Some(mut image) = session.image(&self.image.id)? else { return Ok(()) };
            if image.status == self.image.status {
                back_to_queued(&mut image);
                session.save(&mut image)?;
            }
            Ok::<(), Failure>(())
        });
        // What cannot be undone now is swept when the service starts again.
        if undone.is_ok() {
            self.service.remove(self.store, &self.file);
        }
    }
}

/// The most bytes that may come for `image`; refuses at once what is known to
/// be more.
fn limit(service: &Service, session: &Session, image: &Image, declared: Option<u64>) -> Result<Limit> {
    let quota = &service.settings.quota;
    let mut limit = Limit { bytes: quota.image_size, words: "The incoming image is too large" };
    if let Some(total) = quota.user_storage {
        let used = match &image.owner {
            Some(owner) => session.usage(owner, &image.id)?,
            None => 0,
        };
        let left = total.saturating_sub(used);
        if left < limit.bytes {
            limit = Limit { bytes: left, words: "Image exceeds the storage quota" };
        }
    }
    match declared {
        Some(declared) if declared > limit.bytes => Err(Failure::too_large(limit.words)),
        _ => Ok(limit),
    }
}

/// Lets an image go to its next status, if it may.
pub fn go_to(image: &mut Image, next: Status) -> Result<()> {
    if !image.status.leads_to(next) {
        return Err(Failure::conflict(format!(
            "Image status transition from {} to {} is not allowed",
            image.status.name(),
            next.name()
        )));
    }
    let takes_data = matches!(next, Status::Saving | Status::Active | Status::Importing);
    if matches!(image.status, Status::Queued | Status::Uploading) && takes_data {
        let missing = match (&image.disk_format, &image.container_format) {
            (None, None) => Some("Properties disk_format, container_format must be set prior to saving data."),
            (None, Some(_)) => Some("Property disk_format must be set prior to saving data."),
            (Some(_), None) => Some("Property container_format must be set prior to saving data."),
            (Some(_), Some(_)) => None,
        };
        if let Some(missing) = missing {
            return Err(Failure::bad_request(missing));
        }
    }
    image.status = next;
    Ok(())
}

/// What an image is again when its data did not come.
pub fn back_to_queued(image: &mut Image) {
    image.status = Status::Queued;
    image.size = None;
    image.virtual_size = None;
}

/// Looks into the data: what it is must be what was declared. Answers with the
/// size of the disk in it.
fn inspect(store: &Store, file: &str, image: &Image, size: u64) -> Result<Option<u64>> {
    // As Glance: what is wrapped in a container is not looked into.
    if image.container_format.as_deref() != Some("bare") {
        return Ok(None);
    }
    let opened = store.reader(file).map_err(storage)?;
    let found = disk_format::inspect(BufReader::new(opened)).map_err(storage)?;
    let declared = image.disk_format.as_deref().unwrap_or_default();
    let _ = (declared, size);
    Ok(found.virtual_size)
}

/// A store that fails, in Glance's words.
fn storage(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Failure::too_large(
            "Image storage media is full: There is not enough disk space on the image storage media.",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failure::new(
            http::StatusCode::SERVICE_UNAVAILABLE,
            "Insufficient permissions on image storage media: Permission to write image storage media denied.",
        ),
        _ => Failure::internal(format!("the store: {error}")),
    }
}
