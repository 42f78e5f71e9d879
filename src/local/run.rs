//! Which processes are at work on a data directory: each holds a lock on a
//! file of its own, which the system takes from it when it ends, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::{Error, Result};

/// This process's presence on a data directory.
pub struct Run {
    id: String,
    directory: PathBuf,
    _lock: File,
}

impl Run {
    /// Makes this process known in `directory`.
    pub fn begin(directory: &Path) -> Result<Self> {
        let failed = |e: io::Error| Error::io(format!("cannot write in `{}`", directory.display()), &e);
        std::fs::create_dir_all(directory).map_err(failed)?;
        loop {
            let id = Uuid::new_v4().simple().to_string();
            let path = directory.join(&id);
            let lock = File::create_new(&path).map_err(failed)?;
            lock.lock().map_err(failed)?;
            // Who found it before it was locked took it for a dead one's, and removed it.
            if path.try_exists().map_err(failed)? {
                return Ok(Run { id, directory: directory.to_owned(), _lock: lock });
            }
        }
    }

    /// The processes that are known here, this one too, whether they still run or not.
    pub fn known(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.directory)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    /// The name that the registry knows this process by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the process of this name still runs.
    pub fn is_alive(&self, id: &str) -> bool {
        match File::open(self.directory.join(id)) {
            Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Forgets a process that is no more and has nothing left in hand.
    pub fn forget(&self, id: &str) {
        let path = self.directory.join(id);
        // Removed under its lock: see `begin`.
        if let Ok(file) = File::open(&path)
            && file.try_lock().is_ok()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.directory.join(&self.id));
    }
}
