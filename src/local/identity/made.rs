//! Where the application credentials are that users make: in a file of the data
//! directory, with their secrets as hashes, read anew for each request, so that
//! all processes on the same data know the same ones.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::directory::ApplicationCredential;
use super::kept;
use super::reply::{Refusal, Result};
use crate::error::{self, Error};

/// More than many users can make.
const MOST_BYTES: u64 = 16 << 20;

/// An application credential and whose it is.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    pub user_id: String,
    #[serde(flatten)]
    pub credential: ApplicationCredential,
}

/// Where the application credentials are that users made; nowhere by default.
#[derive(Default)]
pub struct Made(Option<PathBuf>);

impl Made {
    /// Those that are kept in the data directory `directory`.
    ///
    /// # Errors
    /// What is kept there cannot be read.
    pub fn kept_in(directory: &Path) -> error::Result<Self> {
        let made = Made(Some(directory.join("application-credentials.json")));
        made.read()?;
        Ok(made)
    }

    fn read(&self) -> error::Result<Vec<Entry>> {
        let Some(path) = &self.0 else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::io(format!("cannot read `{}`", path.display()), &e)),
            Ok(_) => {}
        }
        serde_json::from_slice(&bytes).map_err(|_| {
            Error::config(format!("`{}` does not hold application credentials", path.display()))
                .next("remove it; the credentials in it have to be made again")
        })
    }

    /// All of them, each with the ID of its user.
    pub(super) fn all(&self) -> Result<impl Iterator<Item = (String, ApplicationCredential)>> {
        Ok(self.read().map_err(failed)?.into_iter().map(|entry| (entry.user_id, entry.credential)))
    }

    /// Changes what is kept, one process at a time.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Vec<Entry>) -> Result<T>) -> Result<T> {
        let Some(path) = &self.0 else { return Err(Refusal::fixed()) };
        let io = |e: std::io::Error| failed(Error::io(format!("cannot write `{}`", path.display()), &e));
        let lock = File::create(path.with_extension("lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut entries = self.read().map_err(failed)?;
        let done = change(&mut entries)?;
        let bytes = serde_json::to_vec(&entries).map_err(|e| io(e.into()))?;
        kept::write(path, &bytes, true).map_err(io)?;
        Ok(done)
    }
}

/// What is wrong here is not for clients to mend.
pub(super) fn failed(error: Error) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.message)
}
