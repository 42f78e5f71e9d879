//! Which processes are at work on a data directory: each holds a lock on a
//! file of its own, which the system takes from it when it ends, however it ends.

use std::fs::{File, TryLockError};
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
        let failed = |e: std::io::Error| Error::io(format!("cannot write in `{}`", directory.display()), &e);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let id = Uuid::new_v4().simple().to_string();
        // Locked before it has its name, so that nobody finds it unlocked.
        let unnamed = directory.join(format!("{id}.new"));
        let lock = File::create(&unnamed).map_err(failed)?;
        lock.lock().map_err(failed)?;
        std::fs::rename(&unnamed, directory.join(&id)).map_err(failed)?;
        Ok(Run { id, directory: directory.to_owned(), _lock: lock })
    }

    /// The name that the registry knows this process by.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the process of this name still runs.
    pub fn is_alive(&self, id: &str) -> bool {
        match File::open(self.directory.join(id)) {
            Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Err(e) => e.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// Forgets a process that is no more and has nothing left in hand.
    pub fn forget(&self, id: &str) {
        let _ = std::fs::remove_file(self.directory.join(id));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.forget(&self.id);
    }
}
