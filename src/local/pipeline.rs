//! How an image comes to be, each step its own gate: policy, protected
//! properties, quota, registry (reserved as `queued` before any byte is
//! taken), store (`saving`), what the bytes are, and then `active`. On failure
//! no data stays, and it is `queued` again or, as v1 wants it, `killed`.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::aside::aside;
use super::caller::Caller;
use super::failure::{Failure, Result, storage};
use super::inspect::inspect;
use super::policy::Target;
use super::protection::Act;
use super::quota::Room;
use super::registry::{FileState, Image, Session, Status};
use super::request::Body;
use super::service::Service;
use super::status::{filled, go_to, kill, requeue, to_status};
use super::store::{Blocks, Store, Written};
use super::web_download::Reading;

/// Policy and protected properties: whether the caller may make this image.
pub fn admit(service: &Service, caller: &Caller, image: &Image) -> Result<()> {
    let target = Target { owner: image.owner.as_deref(), member: None, visibility: Some(image.visibility.name()) };
    service.enforce_on("add_image", caller, &target).map_err(|refused| match image.owner == caller.project_id {
        true => refused,
        false => {
            let owner = image.owner.as_deref().unwrap_or("None");
            let words = format!("You are not permitted to create images owned by '{owner}'");
            Failure::detailed(StatusCode::FORBIDDEN, words)
        }
    })?;
    service.enforce_visibility(caller, image.visibility, &target)?;
    image.properties.keys().try_for_each(|name| service.protection.check(caller, Act::Create, name))
}

/// Quota and registry: takes the ID and records the image as it is.
pub fn reserve(service: &Service, session: &Session, image: &Image) -> Result<()> {
    service.settings.quota.check_tags(image)?;
    service.settings.quota.check_properties(image)?;
    if session.knows(&image.id)? {
        return Err(Failure::conflict(format!("Image ID {} already exists!", image.id)));
    }
    Ok(session.add(image)?)
}

/// Takes the image that `find` finds, and lets go, away, and its data after it.
pub fn delete(service: &Service, find: impl FnOnce(&Session) -> Result<Image>) -> Result<()> {
    let files = service.registry.write(|session| {
        let image = find(session)?;
        let id = &image.id;
        let mut files = session.files(id, FileState::Stored)?;
        files.extend(session.files(id, FileState::Staged)?);
        session.discard_files(&files, service.run.id())?;
        session.delete(&image)?;
        Ok::<_, Failure>(files)
    })?;
    service.remove_files(&files);
    Ok(())
}

/// Where data goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Into this store; then the image is active.
    Store(String),
    /// Aside, until an import takes it up.
    Staging,
}

/// What the data is held against, and what becomes of an image whose data does
/// not come as it should.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How many bytes are to come, as the client says: signed, for it may say less
    /// than none, and then any data is too much.
    pub declared: Option<i128>,
    /// What the client said before of the data, which must be true of it.
    pub facts: Facts,
    /// Whether the disk format counts: it must be known, and be that of the data.
    pub inspected: bool,
    /// What becomes of an image whose data failed.
    pub failed: Failed,
}

/// What becomes of an image whose data failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is `queued`, to be tried again.
    Queued,
    /// It is `killed`, and stays so.
    Killed,
}

/// What a client said of the data. What is `None` was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its MD5, hexadecimal.
    pub checksum: Option<String>,
}

impl Facts {
    /// Refuses (400) data of which they are not true.
    fn check(&self, written: &Written) -> Result<()> {
        let differ = |what: &str, said: String, found: &str| {
            Failure::bad_request(format!(
                "Supplied {what} ({said}) and {what} generated from uploaded image ({found}) did not match. Setting \
                 image status to 'killed'."
            ))
        };
        match (&self.size, &self.checksum) {
            (Some(size), _) if *size != written.size => {
                Err(differ("size", size.to_string(), &written.size.to_string()))
            }
            (_, Some(checksum)) if *checksum != written.md5 => Err(differ("checksum", checksum.clone(), &written.md5)),
            _ => Ok(()),
        }
    }
}

/// Where data comes from.
pub enum Feed<'a> {
    /// The body of a request.
    Body(&'a mut Body),
    /// The web.
    Web(Reading),
}

impl Feed<'_> {
    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        match self {
            Feed::Body(body) => body.piece().await,
            Feed::Web(reading) => reading.piece().await,
        }
    }
}

/// What the writing thread is told.
enum Message {
    /// The next piece.
    Piece(Bytes),
    /// There are no more: all has come.
    End,
}

/// Takes the data of an image from `feed`. All that is left behind when
/// anything fails, or the client goes away, is an image as `terms` say.
pub async fn upload(
    service: &Arc<Service>,
    caller: &Arc<Caller>,
    id: &str,
    destination: Destination,
    terms: Terms,
    mut feed: Feed<'_>,
) -> Result<()> {
    let (ready, reserved) = oneshot::channel();
    let (sink, pieces) = mpsc::channel(2);
    // The thread that has reserved the image is the one that undoes it: this
    // future may be dropped at any time, with its client.
    let work = {
        let (service, caller, id) = (Arc::clone(service), Arc::clone(caller), id.to_owned());
        aside(move || Upload::run(&service, &caller, &id, &destination, &terms, ready, pieces))
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        biased;
        refused = &mut work => return refused,
        _ = reserved => {}
    }
    let forward = async {
        let mut block = service.blocks.empty();
        loop {
            let piece = feed.piece().await?;
            let ended = piece.is_none();
            let mut piece = piece.unwrap_or_default();
            while !piece.is_empty() {
                let now = piece.split_to(piece.len().min(Blocks::SIZE - block.len()));
                block.extend_from_slice(&now);
                if block.len() == Blocks::SIZE && !send(service, &sink, &mut block).await {
                    return Ok::<(), Failure>(());
                }
            }
            if ended {
                if block.is_empty() || send(service, &sink, &mut block).await {
                    let _ = sink.send(Message::End).await;
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
async fn send(service: &Service, feed: &mpsc::Sender<Message>, block: &mut Vec<u8>) -> bool {
    let Some(filled) = service.blocks.filled(std::mem::take(block)).await else { return false };
    let sent = feed.send(Message::Piece(filled)).await.is_ok();
    *block = service.blocks.empty();
    sent
}

/// An upload under way: a file, and an image that is `saving` for it.
struct Upload<'a> {
    service: &'a Service,
    store: &'a Store,
    destination: &'a Destination,
    image: Image,
    file: String,
    room: Room,
    terms: &'a Terms,
}

impl<'a> Upload<'a> {
    /// The whole of it, on a thread that may wait.
    fn run(
        service: &'a Service,
        caller: &Caller,
        id: &str,
        destination: &'a Destination,
        terms: &'a Terms,
        ready: oneshot::Sender<()>,
        mut pieces: mpsc::Receiver<Message>,
    ) -> Result<()> {
        let upload = Upload::reserve(service, caller, id, destination, terms)?;
        let _ = ready.send(());
        let outcome = upload.receive(&mut pieces).and_then(|(written, size)| upload.complete(&written, size));
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
        terms: &'a Terms,
    ) -> Result<Self> {
        let (store, next, rule) = match destination {
            Destination::Store(name) => (service.store(name)?, Status::Saving, "upload_image"),
            Destination::Staging => (&service.staging, Status::Uploading, "modify_image"),
        };
        let file = Uuid::new_v4().simple().to_string();
        service.registry.write(|session| {
            let mut image = service.image(session, caller, id)?;
            service.enforce(rule, caller, &image)?;
            let room = service.settings.quota.room(session, caller.project_id.as_deref(), &image)?;
            if let Some(declared) = terms.declared.and_then(|declared| u64::try_from(declared).ok()) {
                room.check(declared)?;
            }
            match terms.inspected {
                true => go_to(&mut image, next)?,
                false => to_status(&mut image, next)?,
            }
            session.save(&mut image)?;
            session.add_file(&file, id, &store.name, service.run.id())?;
            Ok(Upload { service, store, destination, image, file: file.clone(), room, terms })
        })
    }

    /// Writes what comes, and looks at it when it is all there. The data is on
    /// the disk under its name when this returns, with its virtual size.
    fn receive(&self, pieces: &mut mpsc::Receiver<Message>) -> Result<(Written, Option<u64>)> {
        let mut incoming = self.store.begin(&self.file).map_err(storage)?;
        loop {
            match pieces.blocking_recv() {
                Some(Message::Piece(piece)) => {
                    let size = incoming.size() + piece.len() as u64;
                    self.room.check(size)?;
                    if let Some(expected) = self.terms.declared.filter(|&declared| i128::from(size) > declared) {
                        let words = format!("Size exceeds: expected {expected} bytes, got {size} bytes");
                        return Err(Failure::bad_request(words));
                    }
                    incoming.write(&piece).map_err(storage)?;
                }
                Some(Message::End) => break,
                None => return Err(Failure::bad_request("The body of the request was cut short.")),
            }
        }
        let size = incoming.size();
        if let Some(expected) = self.terms.declared.filter(|&declared| i128::from(size) != declared) {
            let words = format!("Size mismatch: expected {expected} bytes, got {size} bytes");
            return Err(Failure::bad_request(words));
        }
        let virtual_size = match self.destination {
            Destination::Store(_) if self.terms.inspected => inspect(incoming.file(), &self.image, size)?,
            Destination::Store(_) => self.image.virtual_size,
            Destination::Staging => None,
        };
        let written = incoming.finish().map_err(storage)?;
        self.terms.facts.check(&written)?;
        Ok((written, virtual_size))
    }

    /// Makes the image what the data makes it.
    fn complete(&self, written: &Written, virtual_size: Option<u64>) -> Result<()> {
        self.service.registry.write(|session| {
            let gone = || {
                Failure::new(
                    StatusCode::GONE,
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
            match state {
                FileState::Stored => {
                    filled(&mut image, written, virtual_size);
                    image.status = Status::Active;
                }
                _ => image.size = Some(written.size),
            }
            session.save(&mut image)?;
            Ok(())
        })
    }

    /// Leaves an image as the terms say, and no data.
    fn undo(&self) {
        self.service.discard(self.store, &self.file, |session| match self.terms.failed {
            Failed::Killed => kill(session, &self.image.id),
            Failed::Queued => requeue(session, &self.image.id),
        });
    }
}
