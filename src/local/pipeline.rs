//! How an image comes to be, each step its own gate: policy, protected
//! properties, quota, registry (reserved as `queued` before any byte is
//! taken), store (`saving`), what the bytes are, and then `active`. On failure
//! it is `queued` again and no data stays.

use std::io::{self, BufReader, Read, Seek};
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::Service;
use super::access::aside;
use super::caller::Caller;
use super::failure::{Failure, Result};
use super::policy::Target;
use super::protection::Act;
use super::quota::Room;
use super::registry::{FileState, Image, Session, Status};
use super::server::Body;
use super::store::{Blocks, Store, Written};
use crate::disk_format::{self, Danger, DiskFormat, Inspection};

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

/// Takes an image away, and its data after it.
pub fn delete(service: &Service, caller: &Caller, id: &str) -> Result<()> {
    let files = service.registry.write(|session| {
        let image = session.visible(caller, id)?;
        let image = image.ok_or_else(|| Failure::not_found(format!("Failed to find image {id} to delete")))?;
        service.enforce("delete_image", caller, &image)?;
        if image.protected {
            return Err(Failure::forbidden(format!("Image {id} is protected and cannot be deleted.")));
        }
        let mut files = session.files(id, FileState::Stored)?;
        files.extend(session.files(id, FileState::Staged)?);
        for file in &files {
            session.discard_file(&file.id, service.run.id())?;
        }
        session.delete(&image)?;
        Ok(files)
    })?;
    for file in files {
        service.remove(service.store_of(&file)?, &file.id);
    }
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

/// What the writing thread is told.
enum Message {
    /// The next piece.
    Piece(Bytes),
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
    declared: Option<i128>,
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
        let mut block = service.blocks.empty();
        loop {
            let piece = body.piece().await?;
            let ended = piece.is_none();
            let mut piece = piece.unwrap_or_default();
            while !piece.is_empty() {
                let now = piece.split_to(piece.len().min(Blocks::SIZE - block.len()));
                block.extend_from_slice(&now);
                if block.len() == Blocks::SIZE && !send(service, &feed, &mut block).await {
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
    /// How many bytes the client says will come.
    declared: Option<i128>,
}

impl<'a> Upload<'a> {
    /// The whole of it, on a thread that may wait.
    fn run(
        service: &'a Service,
        caller: &Caller,
        id: &str,
        destination: &'a Destination,
        declared: Option<i128>,
        ready: oneshot::Sender<()>,
        mut pieces: mpsc::Receiver<Message>,
    ) -> Result<()> {
        let upload = Upload::reserve(service, caller, id, destination, declared)?;
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
        declared: Option<i128>,
    ) -> Result<Self> {
        let (store, next, rule) = match destination {
            Destination::Store(name) => (service.store(name)?, Status::Saving, "upload_image"),
            Destination::Staging => (&service.staging, Status::Uploading, "modify_image"),
        };
        let file = Uuid::new_v4().simple().to_string();
        service.registry.write(|session| {
            let mut image = service.image(session, caller, id)?;
            service.enforce(rule, caller, &image)?;
            let room = service.settings.quota.room(session, &image)?;
            if let Some(declared) = declared.and_then(|declared| u64::try_from(declared).ok()) {
                room.check(declared)?;
            }
            go_to(&mut image, next)?;
            session.save(&mut image)?;
            session.add_file(&file, id, &store.name, service.run.id())?;
            Ok(Upload { service, store, destination, image, file: file.clone(), room, declared })
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
                    if let Some(expected) = self.declared.filter(|&declared| i128::from(size) > declared) {
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
        if let Some(expected) = self.declared.filter(|&declared| i128::from(size) != declared) {
            let words = format!("Size mismatch: expected {expected} bytes, got {size} bytes");
            return Err(Failure::bad_request(words));
        }
        let virtual_size = match self.destination {
            Destination::Store(_) => inspect(incoming.file(), &self.image, size)?,
            Destination::Staging => None,
        };
        Ok((incoming.finish().map_err(storage)?, virtual_size))
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
        self.service.discard(self.store, &self.file, |session| requeue(session, &self.image.id));
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

/// Lets an image wait again whose data was on its way, and will not come.
pub fn requeue(session: &Session, id: &str) -> Result<()> {
    let Some(mut image) = session.image(id)? else { return Ok(()) };
    if matches!(image.status, Status::Saving | Status::Uploading) {
        back_to_queued(&mut image);
        session.save(&mut image)?;
    }
    Ok(())
}

/// What an image is again when its data did not come.
pub fn back_to_queued(image: &mut Image) {
    image.status = Status::Queued;
    image.size = None;
    image.virtual_size = None;
}

/// Looks into the data: what it is must be what was declared, and safe to
/// hand on. Answers with the size of the disk in it. What is inside a container
/// is not looked into, as Glance does not.
pub fn inspect(data: impl Read + Seek, image: &Image, size: u64) -> Result<Option<u64>> {
    if image.container_format.as_deref() != Some("bare") {
        return Ok(None);
    }
    let declared = image.disk_format.as_deref().unwrap_or_default();
    let found = disk_format::inspect(BufReader::new(data)).map_err(storage)?;
    // A bootable ISO may be an ISO, but not whatever one likes.
    let is_bootable_iso = found.format == DiskFormat::Iso && found.partition_table.is_some();
    if found.dangers.contains(&Danger::SeveralFormats) || (is_bootable_iso && declared == "raw") {
        return Err(Failure::unsupported_media_type("Multiple formats detected in the data"));
    }
    let seen = glance_sees(&found);
    let virtual_size = if seen == declared {
        found.virtual_size
    } else if declared == "raw" {
        // Taken at its word: the disk is what the bytes are.
        Some(size)
    } else if seen == "raw" && !RECOGNISED.contains(&declared) {
        None
    } else {
        let words = format!("Image disk_format {declared} does not match stream data {seen}");
        return Err(Failure::unsupported_media_type(words));
    };
    // Of these Glance knows nothing; and the boot sector of a kernel may be anything.
    let is_kernel = seen == "gpt" && matches!(declared, "aki" | "ari");
    let is_harmless = |danger: &Danger| match danger {
        Danger::MarkedCorrupt | Danger::Parent => true,
        Danger::Malformed => found.format == DiskFormat::Vhd,
        _ => is_kernel,
    };
    match found.dangers.iter().all(is_harmless) {
        true => Ok(virtual_size.filter(|size| *size > 0)),
        false => Err(Failure::unsupported_media_type("Image failed safety checks")),
    }
}

/// The formats that Glance recognises.
const RECOGNISED: [&str; 10] = ["raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "qed", "iso", "gpt", "luks"];

/// What Glance calls the data.
fn glance_sees(found: &Inspection) -> &'static str {
    match found.format {
        DiskFormat::Luks => "luks",
        DiskFormat::Qed => "qed",
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Vmdk => "vmdk",
        DiskFormat::Vhd => "vhd",
        DiskFormat::Vhdx => "vhdx",
        DiskFormat::Vdi => "vdi",
        DiskFormat::Iso => "iso",
        _ if found.partition_table.is_some() => "gpt",
        _ => "raw",
    }
}

/// A store that fails, in Glance's words.
pub fn storage(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Failure::too_large(
            "Image storage media is full: There is not enough disk space on the image storage media.",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Insufficient permissions on image storage media: Permission to write image storage media denied.",
        ),
        _ => Failure::internal(format!("the store: {error}")),
    }
}
