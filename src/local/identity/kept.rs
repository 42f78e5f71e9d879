//! Files of secrets that are kept in the data directory.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes the file at `path`, whole or not at all; nobody else may read it.
///
/// # Errors
/// Besides those of the disk: there is a file already, which `over` does not
/// let be replaced ([`io::ErrorKind::AlreadyExists`]).
pub fn write(path: &Path, bytes: &[u8], over: bool) -> io::Result<()> {
    // The system gives a temporary file to its owner alone: 0600.
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let placed = if over { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map(drop).map_err(|e| e.error)
}
