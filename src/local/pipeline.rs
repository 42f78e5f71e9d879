//! How an image comes to be, each step its own gate: policy, protected
//! properties, quota, registry (reserved as `queued` before any byte is
//! taken), store (`saving`), what the bytes are, and then `active`. On failure
//! it is `queued` again and no data stays.

use std::io::{self, BufReader, Read, Seek};
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use url::Url;
use uuid::Uuid;

use super::aside::aside;
use super::caller::Caller;
use super::failure::{Failure, Result, storage};
use super::policy::Target;
use super::protection::Act;
use super::quota::Room;
use super::registry::{FileRow, FileState, Image, Session, Status};
use super::request::Body;
use super::service::Service;
use super::store::{Blocks, Download, Store, Written};
use super::web_download::{Reading, Remote};
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

/// Takes the image that `find` finds, and lets go, away, and its data after it.
pub fn delete(service: &Service, find: impl FnOnce(&Session) -> Result<Image>) -> Result<()> {
    let files = service.registry.write(|session| {
        let image = find(session)?;
        let id = &image.id;
        let mut files = session.files(id, FileState::Stored)?;
        files.extend(session.files(id, FileState::Staged)?);
        for file in &files {
            session.discard_file(&file.id, service.run.id())?;
        }
        session.delete(&image)?;
        Ok::<_, Failure>(files)
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

/// What the data is held against, and what becomes of an image whose data does
/// not come as it should.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How many bytes are to come.
    pub declared: Option<i128>,
    /// What the client said before of the data, which must be true of it.
    pub facts: Facts,
    /// Whether the disk format counts: it must be known, and be that of the data.
    pub inspected: bool,
    /// What an image is whose data failed: `queued`, to be tried again, or `killed`.
    pub failed: Status,
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
            let room = service.settings.quota.room(session, &image)?;
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

    /// Leaves an image as the terms say, and no data.
    fn undo(&self) {
        self.service.discard(self.store, &self.file, |session| match self.terms.failed {
            Status::Killed => kill(session, &self.image.id),
            _ => requeue(session, &self.image.id),
        });
    }
}

/// Lets an image go to its next status, if it may and has the formats that this takes.
pub fn go_to(image: &mut Image, next: Status) -> Result<()> {
    let from = image.status;
    to_status(image, next)?;
    check_formats(image, from).inspect_err(|_| image.status = from)
}

fn to_status(image: &mut Image, next: Status) -> Result<()> {
    if !image.status.leads_to(next) {
        return Err(Failure::conflict(format!(
            "Image status transition from {} to {} is not allowed",
            image.status.name(),
            next.name()
        )));
    }
    image.status = next;
    Ok(())
}

/// Refuses (400) an image that is to have data and does not say of what formats.
fn check_formats(image: &Image, from: Status) -> Result<()> {
    let takes_data = matches!(image.status, Status::Saving | Status::Active | Status::Importing);
    if !takes_data || !matches!(from, Status::Queued | Status::Uploading) {
        return Ok(());
    }
    let missing = match (&image.disk_format, &image.container_format) {
        (None, None) => "Properties disk_format, container_format must be set prior to saving data.",
        (None, Some(_)) => "Property disk_format must be set prior to saving data.",
        (Some(_), None) => "Property container_format must be set prior to saving data.",
        (Some(_), Some(_)) => return Ok(()),
    };
    Err(Failure::bad_request(missing))
}

/// Marks an image whose data will not come, and that is not to be tried again.
pub fn kill(session: &Session, id: &str) -> Result<()> {
    let Some(mut image) = session.image(id)? else { return Ok(()) };
    if matches!(image.status, Status::Queued | Status::Saving) {
        image.status = Status::Killed;
        session.save(&mut image)?;
    }
    Ok(())
}

/// The files that have an image's data, with the sums of their blocks.
pub fn stored(session: &Session, id: &str) -> Result<Vec<(FileRow, Vec<u8>)>> {
    let mut stored = Vec::new();
    for file in session.files(id, FileState::Stored)? {
        let sums = session.sums(&file.id)?.unwrap_or_default();
        stored.push((file, sums));
    }
    Ok(stored)
}

/// The bytes of an image from `start` up to but not including `end`: from the
/// first of its files that can be read.
pub async fn download(
    service: &Arc<Service>,
    id: &str,
    files: Vec<(FileRow, Vec<u8>)>,
    start: u64,
    end: u64,
) -> Result<Download> {
    let (service, id) = (Arc::clone(service), id.to_owned());
    aside(move || {
        let mut last = Failure::internal("the image has no data file");
        // What is lost or damaged in one store may be whole in another.
        for (file, sums) in files {
            let stored = service.store(&file.store)?.data(&file.id, file.size.unwrap_or_default(), sums);
            match stored.and_then(|stored| Download::begin(stored, start, end)) {
                Ok(download) => return Ok(download),
                // Deleted since we looked.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && service.read(|session| Ok(session.image(&id)?.is_none()))? =>
                {
                    return Err(Failure::not_found(format!("No image found with ID {id}")));
                }
                Err(error) => last = Failure::internal(format!("the store: {error}")),
            }
        }
        Err(last)
    })
    .await
}

/// The data of an image that is in no store of ours, and how many bytes it has.
pub async fn remote(service: &Service, image: &Image, location: &str) -> Result<(Remote, u64)> {
    let settings = &service.settings;
    let uri = Url::parse(location).map_err(|e| Failure::internal(format!("the location of an image: {e}")))?;
    let reading = Reading::begin(&settings.web_download, &uri, settings.limits.stall).await;
    let reading = reading.map_err(|failure| match failure.status {
        StatusCode::NOT_FOUND => Failure::not_found("HTTP datastore could not find image at URI."),
        _ => {
            let words = "Remote server where the image is present is unavailable.";
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, words).logged(failure.cause().to_owned())
        }
    })?;
    let size = reading.length.or(image.size).unwrap_or_default();
    Ok((Remote::begin(reading, size), size))
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
