//! Data on its way from the service: into a file that appears only when it is
//! whole and verified, or onto stdout.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::{mpsc, oneshot};

use super::QUEUE;
use super::digest::{Algorithm, Digests};
use super::progress::Meter;
use crate::error::{Error, Kind, Result};

/// Where a download goes, and what counts it.
pub struct WriteTo {
    /// The place.
    pub target: Target,
    /// Counts what arrives.
    pub meter: Arc<Meter>,
}

/// How a download is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// By the digest that the service names; an image without one that rimg
    /// can compute is refused.
    #[default]
    Required,
    /// As `Required`, but by the MD5 when the other algorithm is not known.
    AllowMd5,
    /// By its length alone.
    LengthOnly,
}

/// The place that a download goes to.
pub enum Target {
    /// A file: written beside its final name, then renamed onto it.
    File {
        /// The temporary file; gone when dropped.
        part: NamedTempFile,
        /// The final name, links resolved.
        path: PathBuf,
    },
    /// A pipe or a device: bytes cannot be taken back.
    Direct(File, String),
    /// Stdout.
    Stdout,
}

impl Target {
    /// Prepares to write `path`. The old file, if any, stays as it is until
    /// [`Receiver::keep`].
    pub fn file(path: &str) -> Result<Self> {
        let cannot = |e: io::Error| Error::io(format!("cannot write `{path}`"), &e);
        let existing = std::fs::metadata(path).ok();
        if existing.as_ref().is_some_and(|meta| meta.is_dir()) {
            return Err(Error::new(Kind::Io, format!("cannot write `{path}`: it is a directory"))
                .next("name the file to write, for instance `--file image.qcow2`"));
        }
        if existing.as_ref().is_some_and(|meta| !meta.is_file()) {
            let file = File::options().write(true).open(path).map_err(cannot)?;
            return Ok(Target::Direct(file, path.to_owned()));
        }
        // Through a link, the file behind it is replaced, as writing would do.
        let path = match &existing {
            Some(_) => std::fs::canonicalize(path).map_err(cannot)?,
            None => PathBuf::from(path),
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(path.file_name().unwrap_or_default());
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".part");
        // As the umask wants it, not private: this will be the user's file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let part = builder.tempfile_in(folder).map_err(|e| {
            let error = Error::io(format!("cannot write in `{}`", folder.display()), &e);
            if e.kind() == io::ErrorKind::NotFound { error.next("create the directory first") } else { error }
        })?;
        if let Some(meta) = existing {
            part.as_file().set_permissions(meta.permissions()).map_err(cannot)?;
        }
        Ok(Target::File { part, path })
    }

    /// Stdout, unless it is a terminal: image data would garble it.
    pub fn stdout() -> Result<Self> {
        if io::stdout().is_terminal() {
            return Err(Error::usage("image data will not be written to a terminal")
                .next("name a file with `--file`, or pipe stdout into one"));
        }
        Ok(Target::Stdout)
    }

    fn name(&self) -> String {
        match self {
            Target::File { path, .. } => path.display().to_string(),
            Target::Direct(_, name) => name.clone(),
            Target::Stdout => "stdout".to_owned(),
        }
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Target::File { part, .. } => part.as_file_mut().write_all(piece),
            Target::Direct(file, _) => file.write_all(piece),
            Target::Stdout => io::stdout().lock().write_all(piece),
        }
    }
}

/// What has arrived so far.
pub struct Receiver {
    name: String,
    queue: mpsc::Sender<Bytes>,
    written: oneshot::Receiver<io::Result<Target>>,
    digests: Digests,
    size: u64,
    meter: Arc<Meter>,
}

/// All that has arrived, written but not yet kept.
pub struct Received {
    /// Bytes that arrived.
    pub size: u64,
    /// Their digests.
    pub digests: Vec<(Algorithm, String)>,
    target: Target,
}

impl Receiver {
    /// Begins to write to `to`, computing `algorithms` on the way.
    pub fn start(to: WriteTo, algorithms: &[Algorithm]) -> Self {
        let WriteTo { mut target, meter } = to;
        let (queue, mut pieces) = mpsc::channel::<Bytes>(QUEUE);
        let name = target.name();
        let (tell, written) = oneshot::channel();
        std::thread::spawn(move || {
            let mut write = || {
                while let Some(piece) = pieces.blocking_recv() {
                    target.write(&piece)?;
                }
                if let Target::Stdout = target {
                    io::stdout().lock().flush()?;
                }
                Ok(())
            };
            let outcome = write();
            // On failure the temporary file is gone before that is told.
            let _ = tell.send(outcome.map(|()| target));
        });
        Receiver { name, queue, written, digests: Digests::start(algorithms), size: 0, meter }
    }

    /// Takes the next piece; `false` when the writer has failed and the rest is
    /// not wanted ([`finish`](Self::finish) tells why).
    pub async fn take(&mut self, piece: Bytes) -> bool {
        self.size += piece.len() as u64;
        self.meter.add(piece.len() as u64);
        self.digests.update(&piece);
        self.queue.send(piece).await.is_ok()
    }

    /// Waits until everything is written.
    pub async fn finish(self) -> Result<Received> {
        drop(self.queue);
        let target = match self.written.await {
            Ok(Ok(target)) => target,
            Ok(Err(error)) => {
                let failure = Error::io(format!("cannot write `{}`", self.name), &error);
                return Err(match error.kind() {
                    io::ErrorKind::StorageFull => failure.next("free some space and try again"),
                    _ => failure,
                });
            }
            Err(_) => return Err(Error::new(Kind::Io, format!("writing `{}` failed", self.name))),
        };
        Ok(Received { size: self.size, digests: self.digests.finish()?, target })
    }
}

impl Received {
    /// Puts the file in its place: on disk first, so that a crash cannot leave
    /// the name with half of the bytes.
    pub fn keep(self) -> Result<()> {
        let Target::File { part, path } = self.target else { return Ok(()) };
        let cannot = |e: &io::Error| Error::io(format!("cannot write `{}`", path.display()), e);
        part.as_file().sync_all().map_err(|e| cannot(&e))?;
        part.persist(&path).map_err(|e| cannot(&e.error))?;
        Ok(())
    }
}
