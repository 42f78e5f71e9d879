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

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Handle;
use url::Url;
use uuid::Uuid;

use super::aside::aside;
use super::failure::{Failure, Result, storage};
use super::pipeline::{back_to_queued, inspect};
use super::registry::{FileRow, FileState, Image, Session, Status, Task, TaskStatus, now};
use super::service::Service;
use super::store::{Incoming, Store, Written};
use super::web_download::Reading;

/// The task that has an image in hand: a property of the image.
pub const TASK: &str = "os_glance_import_task";
/// The stores that an image is on its way to: a property of the image.
pub const IMPORTING: &str = "os_glance_importing_to_stores";
/// The stores that an image did not get to: a property of the image.
pub const FAILED: &str = "os_glance_failed_import";

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
        for file in settled.unwrap_or_default() {
            if let Ok(store) = service.store_of(&file) {
                service.remove(store, &file.id);
            }
        }
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
                super::pipeline::go_to(&mut image, Status::Importing)?;
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
            service.settings.quota.room(session, &image)
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
            service.settings.quota.room(session, &image)?.check(size)?;
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
                    image.size = Some(written.size);
                    image.virtual_size = virtual_size;
                    image.checksum = Some(written.md5.clone());
                    image.os_hash_algo = Some("sha512".to_owned());
                    image.os_hash_value = Some(written.sha512.clone());
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
        for file in &garbage {
            session.discard_file(&file.id, service.run.id())?;
        }
        if let Ok(mut image) = self.image(session) {
            release(&mut image, &self.stores, outcome.is_err());
            session.save(&mut image)?;
        }
        Ok(garbage)
    }
}

/// How long a task may say nothing, in microseconds, before another may have
/// its image: as long as in Glance. One that works tells every [`TELL`], and
/// those of dead processes are swept: what is left hangs, or waits for its turn.
const SILENT: i64 = 60 * 60 * 1_000_000;

/// Whether a task has the image in hand, and is not to be disturbed.
pub fn is_locked(session: &Session, image: &Image) -> Result<bool> {
    let Some(id) = image.properties.get(TASK) else { return Ok(false) };
    let Some(task) = session.task(id)? else { return Ok(false) };
    // One that waits will go on as soon as it can.
    let silent = if task.status == TaskStatus::Pending { 2 * SILENT } else { SILENT };
    Ok(now() - task.updated_at < silent)
}

/// Takes the image from the task that has it and lost its right to it.
pub fn take_over(session: &Session, image: &mut Image) -> Result<()> {
    let Some(id) = image.properties.remove(TASK) else { return Ok(()) };
    let Some(task) = session.task(&id)? else { return Ok(()) };
    session.save_task(&id, TaskStatus::Failure, None, "Expired lock preempted")?;
    for property in [IMPORTING, FAILED] {
        take(image, property, &stores_of(&task));
    }
    Ok(())
}

/// The stores that a task is to bring data to.
pub fn stores_of(task: &Task) -> Vec<String> {
    let stores = task.input["backend"].as_array().into_iter().flatten();
    stores.filter_map(|store| store.as_str().map(str::to_owned)).collect()
}

fn copied(size: u64) -> String {
    format!("Copied {} MiB", size >> 20)
}

/// What an image is when no import has it in hand any more.
pub fn release(image: &mut Image, stores: &[String], failed: bool) {
    image.properties.remove(TASK);
    take(image, IMPORTING, stores);
    if failed && matches!(image.status, Status::Importing) {
        back_to_queued(image);
        image.checksum = None;
        image.os_hash_algo = None;
        image.os_hash_value = None;
    }
}

/// Adds stores to a list that is a property.
fn put(image: &mut Image, property: &str, stores: &[String]) {
    change(image, property, |list| list.extend(stores.iter().cloned()));
}

/// Takes stores from a list that is a property.
fn take(image: &mut Image, property: &str, stores: &[String]) {
    change(image, property, |list| list.retain(|known| !stores.contains(known)));
}

fn change(image: &mut Image, property: &str, change: impl FnOnce(&mut Vec<String>)) {
    let list = image.properties.entry(property.to_owned()).or_default();
    let mut stores: Vec<String> = list.split(',').filter(|store| !store.is_empty()).map(str::to_owned).collect();
    change(&mut stores);
    stores.sort();
    stores.dedup();
    *list = stores.join(",");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use serde_json::Value;

    use super::*;
    use crate::local::{Caller, FixedToken, Running, Settings, StoreSettings, WebFilter};

    #[test]
    fn lists_of_stores_are_sorted_and_hold_each_once() {
        let mut image = Image::new("id".to_owned());
        let stores = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        put(&mut image, IMPORTING, &stores(&["b", "a"]));
        put(&mut image, IMPORTING, &stores(&["a", "c"]));
        assert_eq!(image.properties[IMPORTING], "a,b,c");
        take(&mut image, IMPORTING, &stores(&["b", "x"]));
        assert_eq!(image.properties[IMPORTING], "a,c");
        take(&mut image, FAILED, &stores(&["a"]));
        assert_eq!(image.properties[FAILED], "");
    }

    /// Serves each request, in turn, one of these answers; says where.
    fn web(answers: Vec<String>) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        port
    }

    fn settings(ports: &[u16]) -> Settings {
        let store = |name: &str| StoreSettings { name: name.into(), description: String::new(), directory: None };
        let web_download = WebFilter { hosts: vec!["127.0.0.1".into()], ports: ports.into(), ..WebFilter::default() };
        Settings {
            stores: vec![store("one"), store("two")],
            default_store: "one".into(),
            web_download,
            ..Settings::default()
        }
    }

    /// The token of the one caller there is.
    const TOKEN: &str = "a token";

    /// Serves `directory` to an administrator.
    fn start(directory: &std::path::Path, settings: Settings) -> Running {
        let (service, _) = Service::open(directory, settings).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        crate::local::run(service, listener, Arc::new(FixedToken::new(TOKEN.to_owned(), admin()))).unwrap()
    }

    fn admin() -> Caller {
        Caller {
            user_id: "u".into(),
            project_id: Some("p".into()),
            roles: ["admin", "member", "reader"].map(str::to_owned).into(),
            is_admin: true,
            ..Caller::default()
        }
    }

    /// Asks the service over a connection of its own.
    fn ask(running: &Running, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
        let kind = if path.ends_with("/stage") { "application/octet-stream" } else { "application/json" };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            TOKEN,
            body.len(),
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    fn create(running: &Running, disk_format: &str) -> String {
        let body = json!({"disk_format": disk_format, "container_format": "bare"}).to_string();
        ask(running, "POST", "/v2/images", &body).1["id"].as_str().unwrap().to_owned()
    }

    /// Imports and waits for the end; answers with the image and the task.
    fn import(running: &Running, id: &str, body: &Value) -> (Value, Value) {
        let (status, answer) = ask(running, "POST", &format!("/v2/images/{id}/import"), &body.to_string());
        assert_eq!(status, 202, "{answer}");
        loop {
            let mut tasks = ask(running, "GET", &format!("/v2/images/{id}/tasks"), "").1;
            let task = tasks["tasks"].as_array_mut().unwrap().pop().unwrap();
            if task["status"] == "success" || task["status"] == "failure" {
                return (ask(running, "GET", &format!("/v2/images/{id}"), "").1, task);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn staged_data_gets_to_all_stores_and_can_be_copied_no_further() {
        let directory = tempfile::tempdir().unwrap();
        let running = start(directory.path(), settings(&[]));
        let id = create(&running, "raw");
        assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
        let body = json!({"method": {"name": "glance-direct"}, "all_stores": true});
        let (image, task) = import(&running, &id, &body);
        assert_eq!(
            (&image["status"], &image["stores"], &image["size"]),
            (&json!("active"), &json!("one,two"), &json!(4))
        );
        assert_eq!((&image[IMPORTING], &image[FAILED], image.get(TASK)), (&json!(""), &json!(""), None));
        assert_eq!((&task["message"], &task["result"]["image_id"]), (&json!("Copied 0 MiB"), &json!(id)));
        assert_eq!(std::fs::read_dir(directory.path().join("staging")).unwrap().count(), 0);
        let copy = json!({"method": {"name": "copy-image"}, "stores": ["two"]}).to_string();
        assert_eq!(ask(&running, "POST", &format!("/v2/images/{id}/import"), &copy).0, 400);
    }

    #[test]
    fn what_is_not_what_was_declared_leaves_a_queued_image_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let running = start(directory.path(), settings(&[]));
        let id = create(&running, "qcow2");
        assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
        let (image, task) = import(&running, &id, &json!({"method": {"name": "glance-direct"}, "all_stores": true}));
        assert_eq!(
            (&image["status"], &image[FAILED], &image[IMPORTING]),
            (&json!("queued"), &json!("one"), &json!(""))
        );
        assert_eq!(task["status"], "failure");
        for left in ["staging", "stores/one", "stores/two"] {
            assert_eq!(std::fs::read_dir(directory.path().join(left)).unwrap().count(), 0, "{left}");
        }
    }

    #[test]
    fn the_web_is_read_and_a_redirect_goes_nowhere_else() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndata".to_owned();
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\ndata".to_owned();
        let away = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/x\r\nConnection: close\r\n\r\n".to_owned();
        let here = "HTTP/1.1 302 Found\r\nLocation: /there\r\nConnection: close\r\n\r\n".to_owned();
        let port = web(vec![whole.clone(), short, away, here, whole]);
        let directory = tempfile::tempdir().unwrap();
        let running = start(directory.path(), settings(&[port]));
        let body = json!({"method": {"name": "web-download", "uri": format!("http://127.0.0.1:{port}/x")}});
        for (status, words) in [
            ("active", "Copied"),
            ("queued", "broke off"),
            ("queued", "Redirect to disallowed URL"),
            ("active", "Copied"),
        ] {
            let id = create(&running, "raw");
            let (image, task) = import(&running, &id, &body);
            assert_eq!(image["status"], status, "{task}");
            assert!(task["message"].as_str().unwrap().contains(words), "{task}");
        }
        let id = create(&running, "raw");
        for uri in ["http://127.0.0.1:1/x", "file:///etc/passwd", "http://127.0.0.2/x"] {
            let body = json!({"method": {"name": "web-download", "uri": uri}}).to_string();
            assert_eq!(ask(&running, "POST", &format!("/v2/images/{id}/import"), &body).0, 400, "{uri}");
        }
        assert_eq!(std::fs::read_dir(directory.path().join("staging")).unwrap().count(), 0);
    }

    #[test]
    fn a_service_that_stops_waits_for_no_web_server() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(&[port]);
        settings.limits.grace = Duration::from_millis(50);
        let running = start(directory.path(), settings.clone());
        let id = create(&running, "raw");
        let body = json!({"method": {"name": "web-download", "uri": format!("http://127.0.0.1:{port}/x")}});
        assert_eq!(ask(&running, "POST", &format!("/v2/images/{id}/import"), &body.to_string()).0, 202);
        // Someone has come, and is told nothing.
        let _silent = listener.accept().unwrap();
        let started = Instant::now();
        drop(running);
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        let (service, swept) = Service::open(directory.path(), settings).unwrap();
        assert!(swept.is_empty(), "{swept:?}");
        let (image, tasks) =
            service.registry.read(|s| Ok::<_, Failure>((s.image(&id)?.unwrap(), s.tasks_of(&id)?))).unwrap();
        assert_eq!((image.status, image.properties.get(TASK)), (Status::Queued, None));
        assert_eq!(tasks[0].status, TaskStatus::Failure);
    }

    #[test]
    fn an_import_whose_process_ended_is_undone() {
        let directory = tempfile::tempdir().unwrap();
        let (service, _) = Service::open(directory.path(), settings(&[])).unwrap();
        let mut image = Image::new(Uuid::new_v4().to_string());
        image.status = Status::Importing;
        image.properties.insert(TASK.to_owned(), "task".to_owned());
        put(&mut image, IMPORTING, &["one".to_owned(), "two".to_owned()]);
        let input = json!({"backend": ["one", "two"]});
        let task = Task { input, ..task("task", &image.id, TaskStatus::Pending, 1) };
        let files = [("one", FileState::Stored), (crate::local::settings::STAGING, FileState::Staged)];
        service
            .registry
            .write(|session| {
                session.add(&image)?;
                session.add_task(&task, "gone")?;
                for (store, state) in files {
                    session.add_file(store, &image.id, store, "gone")?;
                    session.complete_file(store, state, 0, &[])?;
                }
                Ok::<_, Failure>(())
            })
            .unwrap();
        drop(service);
        let (service, swept) = Service::open(directory.path(), settings(&[])).unwrap();
        assert_eq!(swept, [format!("image {}: an unfinished import", image.id)]);
        service
            .registry
            .read(|session| {
                let found = session.image(&image.id)?.unwrap();
                assert_eq!((found.status, &found.stores[..]), (Status::Queued, &[][..]));
                assert_eq!((found.properties.get(TASK), &*found.properties[IMPORTING]), (None, ""));
                assert_eq!(session.task("task")?.unwrap().status, TaskStatus::Failure);
                assert!(session.files(&image.id, FileState::Staged)?.is_empty());
                Ok::<_, Failure>(())
            })
            .unwrap();
    }

    /// A task that last said something so many minutes ago.
    fn task(id: &str, image: &str, status: TaskStatus, minutes: i64) -> Task {
        let then = now() - minutes * 60 * 1_000_000;
        Task {
            id: id.into(),
            status,
            owner: Some("p".into()),
            user_id: "u".into(),
            image_id: image.into(),
            request_id: "r".into(),
            input: json!({"backend": ["two"]}),
            result: None,
            message: String::new(),
            created_at: then,
            updated_at: then,
            expires_at: None,
        }
    }

    #[test]
    fn an_import_takes_over_what_another_has_let_lie_for_an_hour() {
        let directory = tempfile::tempdir().unwrap();
        let (service, _) = Service::open(directory.path(), settings(&[])).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let identity = Arc::new(FixedToken::new(TOKEN.to_owned(), admin()));
        let running = crate::local::run(Arc::clone(&service), listener, identity).unwrap();
        let direct = json!({"method": {"name": "glance-direct"}, "stores": ["one"]});
        for (status, minutes, is_taken) in [
            (TaskStatus::Processing, 59, false),
            (TaskStatus::Processing, 61, true),
            (TaskStatus::Pending, 61, false),
            (TaskStatus::Pending, 121, true),
            (TaskStatus::Success, 1, false),
            (TaskStatus::Success, 61, true),
            (TaskStatus::Failure, 61, true),
        ] {
            let case = format!("{status:?} {minutes}");
            let id = create(&running, "raw");
            assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
            service
                .registry
                .write(|session| {
                    let mut image = session.image(&id)?.unwrap();
                    image.properties.insert(TASK.to_owned(), case.clone());
                    put(&mut image, IMPORTING, &["two".to_owned()]);
                    session.save(&mut image)?;
                    // Of a process that lives: nothing to be swept.
                    session.add_task(&task(&case, &id, status, minutes), service.run.id())?;
                    Ok::<_, Failure>(())
                })
                .unwrap();
            if !is_taken {
                let refused = ask(&running, "POST", &format!("/v2/images/{id}/import"), &direct.to_string());
                assert_eq!(refused.0, 409, "{case}: {}", refused.1);
                continue;
            }
            let (image, _) = import(&running, &id, &direct);
            assert_eq!((&image["status"], &image[IMPORTING], image.get(TASK)), (&json!("active"), &json!(""), None));
            let old = service.registry.read(|session| session.task(&case)).unwrap().unwrap();
            let expected = match status {
                TaskStatus::Success => (TaskStatus::Success, ""),
                TaskStatus::Failure => (TaskStatus::Failure, ""),
                _ => (TaskStatus::Failure, "Expired lock preempted"),
            };
            assert_eq!((old.status, old.message.as_str()), expected, "{case}");
        }
        // A task that nobody knows any more holds nothing.
        let id = create(&running, "raw");
        assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
        service
            .registry
            .write(|session| {
                let mut image = session.image(&id)?.unwrap();
                image.properties.insert(TASK.to_owned(), "forgotten".to_owned());
                session.save(&mut image).map_err(Failure::from)
            })
            .unwrap();
        assert_eq!(import(&running, &id, &direct).0["status"], "active");
    }

    #[test]
    fn an_import_that_lost_its_image_leaves_it_alone() {
        let directory = tempfile::tempdir().unwrap();
        let running = start(directory.path(), settings(&[]));
        let id = create(&running, "raw");
        assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
        drop(running);
        let (service, _) = Service::open(directory.path(), settings(&[])).unwrap();
        service
            .registry
            .write(|session| {
                let mut image = session.image(&id)?.unwrap();
                image.properties.insert(TASK.to_owned(), "new".to_owned());
                session.save(&mut image)?;
                session.add_task(&task("old", &id, TaskStatus::Failure, 0), service.run.id()).map_err(Failure::from)
            })
            .unwrap();
        let old = Import {
            task: "old".into(),
            image: id.clone(),
            source: Source::Staged,
            stores: vec!["one".into()],
            all_must_succeed: true,
        };
        old.run(&service);
        service
            .registry
            .read(|session| {
                let image = session.image(&id)?.unwrap();
                assert_eq!((image.status, &*image.properties[TASK]), (Status::Uploading, "new"));
                assert_eq!(session.files(&id, FileState::Staged)?.len(), 1);
                Ok::<_, Failure>(())
            })
            .unwrap();
    }
}
