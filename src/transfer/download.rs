//! Data on its way from the service: into a file that appears only when it is
//! whole and verified, or onto stdout.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::digest::{Algorithm, Digests};
use super::follow::Follow;
use super::part::Part;
use super::progress::Meter;
use crate::error::{Error, Kind, Result};

/// How many pieces wait for the writer. They are as large as the connection
/// gives them, up to 400 KiB.
const QUEUE: usize = 2;

/// Where a download goes, and what counts it.
pub struct WriteTo {
    /// The place.
    pub target: Target,
    /// Counts what arrives.
    pub meter: Arc<Meter>,
    /// How many ranges of it may be fetched at a time, where the place allows it.
    pub jobs: usize,
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
    /// A file: collected beside its final name, then renamed onto it.
    File(Box<Part>),
    /// A pipe or a device: bytes cannot be taken back.
    Direct(File, String),
    /// Stdout.
    Stdout,
}

impl Target {
    /// Prepares to write `path`. The old file, if any, stays as it is until
    /// the download is kept.
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
        let path = match existing.is_some() && Path::new(path).is_symlink() {
            true => std::fs::canonicalize(path).map_err(cannot)?,
            false => PathBuf::from(path),
        };
        Part::open(path).map(|part| Target::File(Box::new(part)))
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
            Target::File(part) => part.path().display().to_string(),
            Target::Direct(_, name) => name.clone(),
            Target::Stdout => "stdout".to_owned(),
        }
    }

    fn write(&mut self, at: u64, piece: &[u8]) -> io::Result<()> {
        match self {
            Target::File(part) => part.write(at, piece),
            Target::Direct(file, _) => file.write_all(piece),
            Target::Stdout => io::stdout().lock().write_all(piece),
        }
    }
}

/// What has arrived so far, on its way to the target.
pub struct Receiver {
    name: String,
    /// Nobody else has the target: it must come back. (Onto a pipe nobody may read, and its writer waits for ever.)
    is_file: bool,
    queue: mpsc::Sender<(u64, Bytes)>,
    done: oneshot::Receiver<(Target, io::Result<Sums>)>,
    stop: Option<Box<dyn Fn() + Send + Sync>>,
    meter: Arc<Meter>,
}

/// Digests by their algorithms.
pub type Sums = Vec<(Algorithm, String)>;

/// Who computes the digests.
enum Hashing {
    /// What arrives in order passes by.
    Passing(Digests),
    /// What is in the file already, or arrives in any order, is read from there.
    Following(Follow),
}

impl Receiver {
    /// Begins to write to `target`, computing `algorithms` on the way.
    /// `in_order` says that the pieces will come in the order of their bytes.
    pub fn start(mut target: Target, meter: &Arc<Meter>, algorithms: &[Algorithm], in_order: bool) -> Result<Self> {
        let hashing = match &target {
            Target::File(part) if !in_order || part.there().count() > 0 => {
                let follow = Follow::start(algorithms, &part.reader()?, part.there().beginning());
                let cannot = |e| Error::io(format!("cannot read `{}`", part.path().display()), &e);
                Hashing::Following(follow.map_err(cannot)?)
            }
            _ => Hashing::Passing(Digests::start(algorithms)),
        };
        let stop: Option<Box<dyn Fn() + Send + Sync>> = match &hashing {
            Hashing::Following(follow) => Some(Box::new(follow.stopper())),
            Hashing::Passing(_) => None,
        };
        let (queue, mut pieces) = mpsc::channel::<(u64, Bytes)>(QUEUE);
        let name = target.name();
        let is_file = matches!(target, Target::File(_));
        let (tell, done) = oneshot::channel();
        std::thread::spawn(move || {
            let mut write = || {
                while let Some((at, piece)) = pieces.blocking_recv() {
                    target.write(at, &piece)?;
                    match (&hashing, &target) {
                        (Hashing::Passing(digests), _) => digests.update(&piece),
                        (Hashing::Following(follow), Target::File(part)) => follow.written(part.there().beginning()),
                        (Hashing::Following(_), _) => {}
                    }
                }
                match target {
                    Target::Stdout => io::stdout().lock().flush(),
                    _ => Ok(()),
                }
            };
            let written = write();
            drop(pieces);
            let sums = written.and_then(|()| match hashing {
                Hashing::Passing(digests) => digests.finish().map_err(io::Error::other),
                Hashing::Following(follow) => follow.finish(),
            });
            let _ = tell.send((target, sums));
        });
        Ok(Receiver { name, is_file, queue, done, stop, meter: Arc::clone(meter) })
    }

    /// Takes the bytes that begin at `at`; `false` when the writer has failed
    /// and the rest is not wanted ([`finish`](Self::finish) tells why).
    pub async fn take(&self, at: u64, piece: Bytes) -> bool {
        self.meter.add(piece.len() as u64);
        self.queue.send((at, piece)).await.is_ok()
    }

    /// Waits until everything is written and digested; a file comes back also
    /// after a failure. `stopped` ends the wait.
    pub async fn finish(self, stopped: impl Future<Output = Error>) -> (Option<Target>, Result<Sums>) {
        let Receiver { name, is_file, queue, mut done, stop, .. } = self;
        drop(queue);
        let (outcome, stopped) = tokio::select! {
            biased;
            outcome = &mut done => (outcome, None),
            error = stopped => {
                if !is_file {
                    return (None, Err(error));
                }
                stop.iter().for_each(|stop| stop());
                (done.await, Some(error))
            }
        };
        let (target, sums) = match outcome {
            Ok((target, sums)) => (Some(target), sums),
            Err(_) => (None, Err(io::Error::other("its writer failed"))),
        };
        let sums = sums.map_err(|e| {
            let failure = Error::io(format!("cannot write `{name}`"), &e);
            match e.kind() {
                io::ErrorKind::StorageFull => failure.next("free some space and try again"),
                _ => failure,
            }
        });
        (target, stopped.map_or(sums, Err))
    }
}
