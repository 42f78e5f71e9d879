//! The local image service: a whole Glance, for one machine.
//!
//! ```text
//! server -> {v1, v2} -> pipeline -> access -> {policy, registry, store}
//!    \-> caller (whose token is it?) <- identity (who is there?)
//! ```
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`server`] | connections, who asks, the request log |
//! | [`connection`] | that of a client, which may be slow, but not for ever |
//! | [`request`] | what is asked, and its body, read within limits |
//! | [`answer`] | what an answer is made of |
//! | [`identity`] | Identity API v3: signing in, and who there is |
//! | [`config`] | the configuration file of `rimg serve` |
//! | [`versions`] | which versions of the Images API there are |
//! | [`v1`] | Images API v1: headers and answers |
//! | [`v2`] | Images API v2: requests and answers |
//! | [`filter`] | what a filter of a list asks of an image |
//! | [`pipeline`] | how an image comes to be, gate by gate |
//! | [`import`] | how data gets in while nobody waits |
//! | [`web_download`] | from where on the web |
//! | [`access`] | what a caller may do to an image |
//! | [`policy`] | Glance's rules |
//! | [`protection`] | which roles may touch which properties |
//! | [`quota`] | how much of what |
//! | [`registry`] | all metadata |
//! | [`store`] | all data |
//! | [`failure`] | what went wrong, in Glance's words |
//! | [`webob`] | the pages that tell it |
//!
//! It shares nothing with the client but words for errors, digests and disk
//! formats, so that the one checks the other over a real socket.

mod access;
mod answer;
mod caller;
pub mod config;
mod connection;
mod failure;
mod filter;
pub mod identity;
mod import;
mod pipeline;
mod policy;
mod protection;
mod quota;
mod registry;
mod request;
mod run;
mod server;
mod settings;
mod store;
mod v1;
mod v2;
mod versions;
mod web_download;
mod webob;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

pub use caller::{Caller, FixedToken, Identity};
pub use protection::ProtectedProperty;
pub use quota::Quota;
pub use settings::{Limits, Log, Logged, Notes, Settings, StoreSettings};
pub use v2::metadefs::{Catalogue, Loaded};
pub use web_download::WebFilter;

use crate::error::{Error, Kind, Result};
use failure::Failure;
use import::Imports;
use policy::Policy;
use protection::Protection;
use registry::{FileRow, FileState, Registry, Session};
use run::Run;
use store::{Blocks, Store};

/// The blocks that may wait to be hashed and written, over all uploads: what
/// keeps memory flat however many there are.
const WAITING_BLOCKS: usize = 48;

/// An image service on a data directory.
pub struct Service {
    settings: Settings,
    policy: Policy,
    protection: Protection,
    registry: Registry,
    stores: Vec<Store>,
    staging: Store,
    run: Run,
    blocks: Arc<Blocks>,
    imports: Imports,
    sign_ins: Arc<Semaphore>,
}

/// How many passwords are checked at a time. Half of the processors, so that
/// guessing many takes neither the time nor the threads of those who send data.
fn password_checks() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

impl Service {
    /// Opens the data directory, which is made if need be, and sweeps up what
    /// processes left behind that ended in the middle of something. Answers
    /// also with what was swept, a line each.
    pub fn open(directory: &Path, settings: Settings) -> Result<(Arc<Self>, Vec<String>)> {
        let policy = Policy::new(settings.policy.iter().map(|(name, check)| (name.as_str(), check.as_str())))?;
        let protection = Protection::new(&settings.protected_properties)?;
        let private = make_private(directory);
        private.map_err(|e| Error::io(format!("cannot make the data directory `{}`", directory.display()), &e))?;
        let registry = Registry::open(&directory.join("registry.sqlite"))?;
        let mut stores = Vec::new();
        for store in &settings.stores {
            let at = store.directory.clone().unwrap_or_else(|| directory.join("stores").join(&store.name));
            stores.push(Store::open(store.name.clone(), store.description.clone(), at)?);
        }
        if stores.is_empty() {
            return Err(Error::config("an image service needs at least one store"));
        }
        let staging = Store::open(settings::STAGING.to_owned(), String::new(), directory.join("staging"))?;
        let run = Run::begin(&directory.join("runs"))?;
        let blocks = Blocks::new(WAITING_BLOCKS);
        let imports = Imports::default();
        let sign_ins = Arc::new(Semaphore::new(password_checks()));
        let service =
            Service { settings, policy, protection, registry, stores, staging, run, blocks, imports, sign_ins };
        let swept = service.sweep().map_err(|failure| {
            Error::new(
                Kind::Io,
                format!("cannot sweep the data directory `{}`: {}", directory.display(), failure.cause()),
            )
        })?;
        Ok((Arc::new(service), swept))
    }

    /// The store of this name.
    fn store(&self, name: &str) -> failure::Result<&Store> {
        self.stores
            .iter()
            .find(|store| store.name == name)
            .ok_or_else(|| Failure::bad_request(format!("Store for identifier {name} not found")))
    }

    /// Where a file of this store is: also one that is no user's choice.
    fn store_of(&self, file: &FileRow) -> failure::Result<&Store> {
        match file.store == self.staging.name {
            true => Ok(&self.staging),
            false => self.store(&file.store),
        }
    }

    /// The store that data goes to when none is named.
    fn default_store(&self) -> &Store {
        // There is always a first: `open` refuses to go without.
        self.stores.iter().find(|store| store.name == self.settings.default_store).unwrap_or(&self.stores[0])
    }

    /// Removes a file that the registry calls garbage, and then its row. What
    /// fails is tried again by the next sweep.
    fn remove(&self, store: &Store, file: &str) {
        if store.remove(file).is_ok() {
            let _ = self.registry.write(|session| session.forget_file(file).map_err(Failure::from));
        }
    }

    /// Gives up a file that was to become an image's, `along` with what else that changes.
    fn discard(&self, store: &Store, file: &str, along: impl Fn(&Session) -> failure::Result<()>) {
        let discard = || {
            self.registry.write(|session| {
                session.discard_file(file, self.run.id())?;
                along(session)
            })
        };
        let discarded = discard().or_else(|_| {
            // A full disk may have no room for the registry's change while the data is there.
            if self.read(|session| Ok(session.is_incoming(file)?))? {
                store.remove(file).map_err(failure::storage)?;
            }
            discard()
        });
        // What cannot be undone now is swept when the service starts again.
        if discarded.is_ok() {
            self.remove(store, file);
        }
    }

    /// Undoes what processes that are no more had in hand.
    fn sweep(&self) -> failure::Result<Vec<String>> {
        let mut swept = Vec::new();
        let mut runs: BTreeSet<String> = self.read(|session| Ok(session.runs()?))?.into_iter().collect();
        runs.extend(self.run.known().map_err(failure::storage)?);
        for run in runs.iter().filter(|run| !self.run.is_alive(run)) {
            // Data first: on a full disk the registry cannot be changed before there is room.
            // What was being written when its process ended can become nobody's any more.
            let listed = self.read(|session| {
                let mut listed = session.unsettled(run, FileState::Incoming)?;
                listed.extend(session.unsettled(run, FileState::Garbage)?);
                Ok(listed)
            })?;
            let is_removed = |file: &&FileRow| self.store_of(file).is_ok_and(|store| store.remove(&file.id).is_ok());
            let removed: BTreeSet<&str> = listed.iter().filter(is_removed).map(|file| &*file.id).collect();
            if !listed.is_empty() {
                self.registry.write(|session| {
                    // Looked up again: another process may sweep, too, and be done.
                    for state in [FileState::Incoming, FileState::Garbage] {
                        for file in session.unsettled(run, state)? {
                            match removed.contains(&*file.id) {
                                true => session.forget_file(&file.id)?,
                                false => session.discard_file(&file.id, self.run.id())?,
                            }
                            swept.push(format!("image {}: unfinished data in store `{}`", file.image_id, file.store));
                            if state == FileState::Incoming {
                                pipeline::requeue(session, &file.image_id)?;
                            }
                        }
                    }
                    Ok::<_, Failure>(())
                })?;
            }
            self.run.forget(run);
        }
        swept.extend(import::sweep(self)?);
        // What this process could not remove before, perhaps it can now.
        for file in self.read(|session| Ok(session.unsettled(self.run.id(), FileState::Garbage)?))? {
            if let Ok(store) = self.store_of(&file) {
                self.remove(store, &file.id);
            }
        }
        Ok(swept)
    }
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// A service that runs on a thread of its own, for as long as this lives.
pub struct Running {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    done: Option<oneshot::Receiver<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Stops taking connections, and ends when what is under way has ended or
    /// was undone.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(done) = self.done.take() {
            let _ = done.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends by itself; that it panicked was told on stderr.
            let _ = thread.join();
        }
    }
}

/// The service of the cloud `local`: for one user, inside the user's own program.
pub struct Private {
    /// The service.
    pub running: Running,
    /// The token that it takes, and no other.
    pub token: String,
    /// The project that the user's images belong to.
    pub project_id: Option<String>,
    /// What was swept up at the start, a line each.
    pub swept: Vec<String>,
}

/// Starts the service on a thread of its own and a free loopback port, for
/// the administrator of a service without a configuration file.
///
/// When it is dropped nobody can be waiting for an answer any more: what is
/// under way then is undone at once.
pub fn start(directory: &Path) -> Result<Private> {
    let mut settings = Settings::default();
    settings.limits.grace = std::time::Duration::ZERO;
    let caller = identity::admin(&settings.policy)?;
    let project_id = caller.project_id.clone();
    let (service, swept) = Service::open(directory, settings)?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(|e| not_started(&e))?;
    let token = identity::password::made_up()?;
    let running = run(service, listener, Arc::new(FixedToken::new(token.clone(), caller)))?;
    Ok(Private { running, token, project_id, swept })
}

/// Runs `service` on a thread of its own, answering on `listener`.
pub fn run(service: Arc<Service>, listener: std::net::TcpListener, identity: Arc<dyn Identity>) -> Result<Running> {
    listener.set_nonblocking(true).map_err(|e| not_started(&e))?;
    let url = format!("http://{}", listener.local_addr().map_err(|e| not_started(&e))?);
    let (stop, stopped) = oneshot::channel::<()>();
    let (ended, done) = oneshot::channel::<()>();
    let runtime = runtime(service.settings.limits.connections).map_err(|e| not_started(&e))?;
    let thread = std::thread::Builder::new()
        .name("local-image-service".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    let stopped = async { drop(stopped.await) };
                    serve(listener, service, identity, stopped).await;
                }
            });
            // Lets threads finish that undo what was in hand.
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
            drop(ended);
        })
        .map_err(|e| not_started(&e))?;
    Ok(Running { url, stop: Some(stop), done: Some(done), thread: Some(thread) })
}

fn not_started(error: &std::io::Error) -> Error {
    Error::io("cannot start the local image service", error)
}

/// The runtime that a service of so many connections wants.
pub fn runtime(connections: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // An upload holds a thread for as long as it takes.
        .max_blocking_threads(connections + 16)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .build()
}

/// Answers on `listener` until `shutdown` ends, then lets transfers under way
/// end within [`Limits::grace`]; what is not done by then is undone.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    identity: Arc<dyn Identity>,
    shutdown: impl Future<Output = ()>,
) {
    let grace = service.settings.limits.grace;
    let sweeping = tokio::spawn(sweep_again(Arc::clone(&service)));
    server::serve(listener, Arc::clone(&service), identity, shutdown).await;
    sweeping.abort();
    service.imports.finish(grace).await;
}

/// Sweeps now and then: another process on the same data may have ended in the
/// middle of something, and none may start for a long time.
async fn sweep_again(service: Arc<Service>) {
    loop {
        tokio::time::sleep(service.settings.limits.sweep).await;
        let sweeping = Arc::clone(&service);
        let lines = match access::aside(move || sweeping.sweep()).await {
            Ok(swept) => swept.into_iter().map(|what| format!("swept up {what}")).collect(),
            Err(failure) => vec![format!("cannot sweep: {}", failure.cause())],
        };
        if let Some(tell) = &service.settings.swept {
            lines.iter().for_each(|line| tell(line));
        }
    }
}

#[cfg(test)]
mod tests;
