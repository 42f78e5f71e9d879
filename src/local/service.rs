//! The service: what it is made of, and what it keeps on the disk.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::failure::{self, Failure, storage};
use super::policy::Policy;
use super::protection::Protection;
use super::registry::{FileRow, Registry, Session};
use super::run::Run;
use super::settings::{STAGING, Settings};
use super::store::{Blocks, Store};
use super::turns::Turns;
use crate::error::{Error, Kind, Result};

/// The blocks that may wait to be hashed and written, over all uploads: what
/// keeps memory flat however many there are.
const WAITING_BLOCKS: usize = 48;

/// An image service on a data directory.
pub struct Service {
    pub(super) settings: Settings,
    pub(super) policy: Policy,
    pub(super) protection: Protection,
    pub(super) registry: Registry,
    pub(super) stores: Vec<Store>,
    pub(super) staging: Store,
    pub(super) run: Run,
    pub(super) blocks: Arc<Blocks>,
    pub(super) imports: Turns,
    pub(super) sign_ins: Arc<Semaphore>,
}

/// How many passwords are checked at a time. Half of the processors, so that
/// guessing many takes neither the time nor the threads of those who send data.
pub(super) fn password_checks() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

impl Service {
    /// Opens the data directory, which is made if need be, and sweeps up what
    /// processes left behind that ended in the middle of something. Answers
    /// also with what was swept, a line each.
    ///
    /// # Errors
    /// The rules of the settings make no sense, or the data directory cannot be
    /// made, read or written, or was written by a newer rimg.
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
        let staging = Store::open(STAGING.to_owned(), String::new(), directory.join("staging"))?;
        let run = Run::begin(&directory.join("runs"))?;
        let blocks = Blocks::new(WAITING_BLOCKS);
        let imports = Turns::default();
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
    pub(super) fn store(&self, name: &str) -> failure::Result<&Store> {
        self.stores
            .iter()
            .find(|store| store.name == name)
            .ok_or_else(|| Failure::bad_request(format!("Store for identifier {name} not found")))
    }

    /// Where a file of this store is: also one that is no user's choice.
    pub(super) fn store_of(&self, file: &FileRow) -> failure::Result<&Store> {
        match file.store == self.staging.name {
            true => Ok(&self.staging),
            false => self.store(&file.store),
        }
    }

    /// The store that data goes to when none is named.
    pub(super) fn default_store(&self) -> &Store {
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

    /// Removes files that the registry calls garbage, as [`Service::remove`] does.
    /// Those of a store that is not set up any more stay until it is again.
    pub(super) fn remove_files(&self, files: &[FileRow]) {
        for file in files {
            if let Ok(store) = self.store_of(file) {
                self.remove(store, &file.id);
            }
        }
    }

    /// Gives up a file that was to become an image's, `along` with what else that changes.
    pub(super) fn discard(&self, store: &Store, file: &str, along: impl Fn(&Session) -> failure::Result<()>) {
        let discard = || {
            self.registry.write(|session| {
                session.discard_file(file, self.run.id())?;
                along(session)
            })
        };
        let discarded = discard().or_else(|_| {
            // A full disk may have no room for the registry's change while the data is there.
            if self.registry.read(|session| session.is_incoming(file))? {
                store.remove(file).map_err(storage)?;
            }
            discard()
        });
        // What cannot be undone now is swept when the service starts again.
        if discarded.is_ok() {
            self.remove(store, file);
        }
    }
}

fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
