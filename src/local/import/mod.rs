//! Imports: data that waits in the staging area, or on the web, or in another
//! store, becomes an image's while nobody waits for it
//! (<https://docs.openstack.org/glance/latest/admin/interoperable-image-import.html>).
//!
//! ```text
//! staged file \
//! the web      > source -> a file in each store -> active
//! a store     /
//! ```
//!
//! A task tells how it goes. What an import has in hand when its process ends
//! is undone by the next one that starts.

pub mod lock;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Handle;
use url::Url;
use uuid::Uuid;

use super::aside::aside;
use super::failure::{Failure, Result, storage};
use super::inspect::inspect;
use super::registry::{FileRow, FileState, Image, Session, Status, TaskStatus};
use super::service::Service;
use super::status::{filled, go_to};
use super::store::{Incoming, Store, Written};
use super::web_download::Reading;
use lock::{FAILED, IMPORTING, TASK, put, release, take};

/// How often a task tells how far it is.
const TELL: Duration = Duration::from_secs(10);

/// Where the data comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was staged.
    Staged,
    /// The web.
    Web(Url),
    /// Another store.
    Copy,
}

/// An import to be done.
#[derive(Debug, Clone)]
pub struct Import {
    /// The task's ID.
    pub task: String,
    /// The project that asked for it, whose quota counts.
    pub project: Option<String>,
    /// The image's ID.
    pub image: String,
    /// Where the data comes from.
    pub source: Source,
    /// Where it goes, in this order.
    pub stores: Vec<String>,
    /// Whether one store that fails fails all.
    pub all_must_succeed: bool,
}

/// Begins an import that was recorded, and does not wait for it.
pub fn start(service: &Arc<Service>, import: Import) {
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let Some(_turn) = service.imports.next().await else { return };
        // What goes wrong is told by the task.
        let _ = aside(move || {
            import.run(&service);
            Ok(())
        })
        .await;
    });
}

impl Import {
    fn run(&self, service: &Service) {
        let mut made = Vec::new();
        let begun = service.imports.check().and_then(|()| self.begin(service));
        let outcome = begun.and_then(|()| self.bring_all(service, &mut made));
        let settled = service.registry.write(|session| self.settle(service, session, &outcome, &made));
        // What cannot be undone now is swept when the service starts again.
        service.remove_files(&settled.unwrap_or_default());
    }

    /// The image, if it is still this import's.
    fn image(&self, session: &Session) -> Result<Image> {
        let image = session.image(&self.image)?;
        image
            .filter(|image| image.properties.get(TASK) == Some(&self.task))
            .ok_or_else(|| Failure::conflict("Image has been deleted, aborting import."))
    }

    fn begin(&self, service: &Service) -> Result<()> {
        service.registry.write(|session| {
            session.save_task(&self.task, TaskStatus::Processing, None, "")?;
            let mut image = self.image(session)?;
            if self.source != Source::Copy {
                go_to(&mut image, Status::Importing)?;
            }
            put(&mut image, IMPORTING, &self.stores);
            take(&mut image, FAILED, &self.stores);
            Ok(session.save(&mut image)?)
        })
    }

    /// Brings the data to each store. The files that it made are in `made`.
    fn bring_all(&self, service: &Service, made: &mut Vec<FileRow>) -> Result<u64> {
        let mut all_failed = None;
        let source = match self.source(service) {
            Ok(source) => source,
            Err(failure) => {
                self.mark(service, |image| put(image, FAILED, &self.stores))?;
                return Err(failure);
            }
        };
        let size = source.size.unwrap_or_default();
        for (at, name) in self.stores.iter().enumerate() {
            let activate = !self.all_must_succeed || at + 1 == self.stores.len();
            let one = std::slice::from_ref(name);
            if let Err(failure) = self.bring(service, &source, name, activate, made) {
                self.mark(service, |image| {
                    put(image, FAILED, one);
                    take(image, IMPORTING, one);
                })?;
                if self.all_must_succeed {
                    return Err(failure);
                }
                all_failed = Some(failure);
            }
        }
        let image = service.read(|session| self.image(session))?;
        match image.status {
            Status::Active | Status::Deactivated => Ok(size),
            _ => Err(all_failed.unwrap_or_else(|| Failure::bad_request("None of the uploads finished!"))),
        }
    }

    fn mark(&self, service: &Service, change: impl FnOnce(&mut Image)) -> Result<()> {
        service.registry.write(|session| {
            let mut image = self.image(session)?;
            change(&mut image);
            Ok(session.save(&mut image)?)
        })
    }

    /// The file that holds the data; from the web it is fetched first.
    fn source(&self, service: &Service) -> Result<FileRow> {
        let (staged, stored) = service.read(|session| {
            Ok((session.files(&self.image, FileState::Staged)?, session.files(&self.image, FileState::Stored)?))
        })?;
        match &self.source {
            Source::Staged => staged.into_iter().next_back().ok_or_else(|| Failure::bad_request("No data is staged.")),
            Source::Copy => {
                let preferred = stored.iter().find(|file| file.store == service.default_store().name);
                let file = preferred.or(stored.first()).cloned();
                file.ok_or_else(|| Failure::bad_request("Image not found in any configured store"))
            }
            Source::Web(uri) => self.fetch(service, uri),
        }
    }

    fn fetch(&self, service: &Service, uri: &Url) -> Result<FileRow> {
        let file = Uuid::new_v4().simple().to_string();
        let store = &service.staging;
        let room = service.registry.write(|session| {
            let image = self.image(session)?;
            session.add_file(&file, &self.image, &store.name, service.run.id())?;
            service.settings.quota.room(session, self.project.as_deref(), &image)
        })?;
        let fetched = self.write(service, store, &file, |incoming, told| {
            // This thread may wait.
            Handle::current().block_on(async {
                let settings = &service.settings;
                let reading = async {
                    let mut reading = Reading::begin(&settings.web_download, uri, settings.limits.stall).await?;
                    if let Some(length) = reading.length {
                        room.check(length)?;
                    }
                    while let Some(piece) = reading.piece().await? {
                        room.check(incoming.size() + piece.len() as u64)?;
                        incoming.write(&piece).map_err(storage)?;
                        told(incoming.size())?;
                    }
                    match reading.length {
                        Some(length) if length != incoming.size() => {
                            Err(Failure::bad_request(format!("{} bytes came of {length}", incoming.size())))
                        }
                        _ => Ok(()),
                    }
                };
                service.imports.until_stopped(reading).await
            })
        });
        let done = fetched.and_then(|written| {
            service.registry.write(|session| {
                self.image(session)?;
                match session.complete_file(&file, FileState::Staged, written.size, &written.sums)? {
                    true => Ok(written.size),
                    false => Err(Failure::conflict("Image has been deleted, aborting import.")),
                }
            })
        });
        match done {
            Ok(size) => {
                Ok(FileRow { id: file, image_id: self.image.clone(), store: store.name.clone(), size: Some(size) })
            }
            Err(failure) => {
                service.discard(store, &file, |_| Ok(()));
                Err(failure)
            }
        }
    }

    /// Copies the data to a store.
    fn bring(
        &self,
        service: &Service,
        source: &FileRow,
        name: &str,
        activate: bool,
        made: &mut Vec<FileRow>,
    ) -> Result<()> {
        let store = service.store(name)?;
        let size = source.size.unwrap_or_default();
        let file = Uuid::new_v4().simple().to_string();
        let (image, sums) = service.registry.write(|session| {
            let image = self.image(session)?;
            service.settings.quota.room(session, self.project.as_deref(), &image)?.check(size)?;
            session.add_file(&file, &self.image, name, service.run.id())?;
            Ok::<_, Failure>((image, session.sums(&source.id)?.unwrap_or_default()))
        })?;
        let mut virtual_size = None;
        let written = self.write(service, store, &file, |incoming, told| {
            let data = service.store_of(source)?.data(&source.id, size, sums).map_err(storage)?;
            while incoming.size() < size {
                incoming.write(&data.read(incoming.size()).map_err(storage)?).map_err(storage)?;
                told(incoming.size())?;
            }
            if self.source != Source::Copy {
                virtual_size = inspect(incoming.file(), &image, size)?;
            }
            Ok(())
        });
        let done = written.and_then(|written| {
            service.registry.write(|session| {
                let mut image = self.image(session)?;
                if image.os_hash_algo.as_deref() == Some("sha512")
                    && image.os_hash_value.as_ref().is_some_and(|known| *known != written.sha512)
                {
                    return Err(Failure::internal(format!("the copy in store `{name}` is not what the image is")));
                }
                if !session.complete_file(&file, FileState::Stored, written.size, &written.sums)? {
                    return Err(Failure::conflict("Image has been deleted, aborting import."));
                }
                if self.source != Source::Copy {
                    filled(&mut image, &written, virtual_size);
                    if activate {
                        image.status = Status::Active;
                    }
                }
                take(&mut image, IMPORTING, &[name.to_owned()]);
                Ok(session.save(&mut image)?)
            })
        });
        match done {
            Ok(()) => {
                made.push(FileRow { id: file, image_id: self.image.clone(), store: name.to_owned(), size: Some(size) });
                Ok(())
            }
            Err(failure) => {
                service.discard(store, &file, |_| Ok(()));
                Err(failure)
            }
        }
    }

    /// Makes a file of what `fill` writes, and tells from time to time how much
    /// there is.
    fn write(
        &self,
        service: &Service,
        store: &Store,
        file: &str,
        fill: impl FnOnce(&mut Incoming, &mut dyn FnMut(u64) -> Result<()>) -> Result<()>,
    ) -> Result<Written> {
        let mut incoming = store.begin(file).map_err(storage)?;
        let mut last = Instant::now();
        let mut told = |size: u64| {
            if last.elapsed() >= TELL {
                last = Instant::now();
                let _ = service.registry.write(|session| {
                    let saved = session.save_task(&self.task, TaskStatus::Processing, None, &copied(size));
                    saved.map_err(Failure::from)
                });
            }
            service.imports.check()
        };
        fill(&mut incoming, &mut told)?;
        incoming.finish().map_err(storage)
    }

    /// Records how it ended; answers with the files that are to be removed.
    fn settle(
        &self,
        service: &Service,
        session: &Session,
        outcome: &Result<u64>,
        made: &[FileRow],
    ) -> Result<Vec<FileRow>> {
        let mut garbage = Vec::new();
        // What is staged is another's, if another has taken the image over.
        let image = session.image(&self.image)?;
        let is_lost = image.is_some_and(|image| image.properties.get(TASK).is_some_and(|task| *task != self.task));
        if self.source != Source::Copy && !is_lost {
            garbage.extend(session.files(&self.image, FileState::Staged)?);
        }
        if let Err(failure) = outcome {
            // Where one store that fails fails all, nothing stays in any.
            if self.all_must_succeed {
                garbage.extend_from_slice(made);
            }
            let message = match failure.status.is_server_error() {
                true => "Task failed due to Internal Error",
                false => failure.cause(),
            };
            session.save_task(&self.task, TaskStatus::Failure, None, message)?;
        } else {
            let size = outcome.as_ref().copied().unwrap_or_default();
            let result = json!({"image_id": self.image});
            session.save_task(&self.task, TaskStatus::Success, Some(&result), &copied(size))?;
        }
        session.discard_files(&garbage, service.run.id())?;
        if let Ok(mut image) = self.image(session) {
            release(&mut image, &self.stores, outcome.is_err());
            session.save(&mut image)?;
        }
        Ok(garbage)
    }
}

fn copied(size: u64) -> String {
    format!("Copied {} MiB", size >> 20)
}

#[cfg(test)]
mod tests;
