//! Where image data comes from: a file, or stdin. Whatever can be wrong with
//! it is found here, before anything is created.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::PIECE;
use super::digest::{Algorithm, Digests};
use super::progress::Meter;
use crate::disk_format::{self, Inspection};
use crate::error::{Error, Kind, Result};

/// How many bytes of a pipe are looked at to recognise its format: enough for
/// every format that has its mark near the start.
const PEEK: u64 = 1024 * 1024;

/// Image data that is ready to be sent.
pub struct Data {
    /// What messages call it: a path, or `stdin`.
    pub name: String,
    /// Its length in bytes; `None` for a pipe that does not end soon.
    pub len: Option<u64>,
    /// Counts what has been sent.
    pub meter: Arc<Meter>,
    /// Whether a digest is computed on the way and compared with the service's.
    pub verify: bool,
    /// The bytes themselves.
    pub input: Input,
}

/// The bytes: all of them at hand, or flowing.
pub enum Input {
    /// A regular file, read from `start` on, at positions of our own: nobody
    /// who reads it at the same time is disturbed.
    File {
        /// The open file.
        file: Arc<File>,
        /// Where the data begins: 0, or where stdin stood.
        start: u64,
        /// What it was when it was opened.
        stamp: Stamp,
    },
    /// A pipe: the bytes already taken from it, and the rest.
    Pipe {
        /// What was peeked.
        head: Bytes,
        /// What follows.
        rest: Rest,
    },
}

/// What follows the beginning of a pipe.
pub enum Rest {
    /// Nothing: the beginning is all, and can be had any number of times.
    Nothing,
    /// This, once.
    Unread(Box<dyn Read + Send>),
    /// It has been read.
    Taken,
}

/// Size and time of change of a file: one that is written to while it is sent
/// is neither the old image nor the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// That of `file` now.
    pub(super) fn of(file: &File) -> std::io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Stamp { len: meta.len(), modified: meta.modified().ok() })
    }
}

/// Reads a file from a position of its own.
pub(super) struct At {
    /// The file, which others may read too.
    pub file: Arc<File>,
    /// Where the next byte is read, from the start of the file.
    pub position: u64,
}

impl Read for At {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(&*self.file, to, self.position)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(&*self.file, to, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// A file that can be read once more, for a digest that the transfer does not give.
#[derive(Clone)]
pub struct Rehash {
    file: Arc<File>,
    start: u64,
    len: u64,
    /// Counts what has been read again.
    pub meter: Arc<Meter>,
}

impl Rehash {
    /// The hexadecimal digest of the data.
    pub fn digest(self, algorithm: Algorithm) -> Result<String> {
        let failed = |e: std::io::Error| Error::io("cannot read the image to hash it", &e);
        let mut rest = At { file: self.file, position: self.start }.take(self.len);
        let digests = Digests::start(&[algorithm]);
        loop {
            let mut piece = vec![0; PIECE];
            let count = rest.read(&mut piece).map_err(failed)?;
            if count == 0 {
                break;
            }
            piece.truncate(count);
            digests.update(&piece.into());
            self.meter.add(count as u64);
        }
        Ok(digests.finish()?.pop().map(|(_, sum)| sum).unwrap_or_default())
    }
}

impl Data {
    /// The file at `path`; a missing, unreadable or empty one and a directory
    /// are errors. `if_empty` is the step to take where there is no data.
    pub fn file(path: &str, if_empty: &str) -> Result<Self> {
        let cannot = |e: std::io::Error| {
            let error = Error::io(format!("cannot read `{path}`"), &e);
            match e.kind() {
                std::io::ErrorKind::NotFound => error.next("check the path given to `--file`"),
                _ => error,
            }
        };
        let file = File::open(Path::new(path)).map_err(cannot)?;
        let meta = file.metadata().map_err(cannot)?;
        if meta.is_dir() {
            return Err(Error::new(Kind::Io, format!("cannot read `{path}`: it is a directory"))
                .next("`--file` wants the image file itself"));
        }
        if meta.is_file() {
            if meta.len() == 0 {
                return Err(empty(path, if_empty));
            }
            return Data::whole(path, file, 0, meta.len());
        }
        // A named pipe, a block device, /dev/fd/3: length unknown until read.
        Data::pipe(path, Box::new(file))?.ok_or_else(|| empty(path, if_empty))
    }

    /// Stdin, asked for by `--file -`: without data it is an error, with the
    /// step `if_empty`.
    pub fn stdin_required(if_empty: &str) -> Result<Self> {
        if std::io::stdin().is_terminal() {
            return Err(Error::usage("`--file -` reads the image from stdin, but stdin is a terminal")
                .next("pipe the image in, or name its file with `--file`"));
        }
        Data::stdin()?.ok_or_else(|| empty("stdin", if_empty))
    }

    /// Stdin if it holds data. A terminal, `/dev/null`, a closed and an empty
    /// stdin hold none: in cron and CI stdin is open but means nothing.
    pub fn stdin() -> Result<Option<Self>> {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Ok(None);
        }
        let Some(mut file) = duplicate(&stdin) else { return Ok(None) };
        let Ok(meta) = file.metadata() else { return Ok(None) };
        if meta.is_file() {
            let start = file.stream_position().unwrap_or_default();
            return match meta.len().saturating_sub(start) {
                0 => Ok(None),
                len => Data::whole("stdin", file, start, len).map(Some),
            };
        }
        if is_device(&meta) {
            return Ok(None);
        }
        Data::pipe("stdin", Box::new(file))
    }

    fn whole(name: &str, file: File, start: u64, len: u64) -> Result<Self> {
        let stamp = Stamp::of(&file).map_err(|e| Error::io(format!("cannot read `{name}`"), &e))?;
        let input = Input::File { file: Arc::new(file), start, stamp };
        Ok(Data { name: name.to_owned(), len: Some(len), meter: Meter::new(Some(len)), verify: true, input })
    }

    /// A pipe, of which the beginning is read; `None` if it ends at once.
    fn pipe(name: &str, mut rest: Box<dyn Read + Send>) -> Result<Option<Self>> {
        let mut head = Vec::new();
        let mut beginning = rest.by_ref().take(PEEK);
        match beginning.read_to_end(&mut head) {
            Ok(_) => {}
            // A read of a closed descriptor: nothing is there.
            Err(e) if head.is_empty() && e.raw_os_error() == Some(9) => return Ok(None),
            Err(e) => return Err(Error::io(format!("cannot read `{name}`"), &e)),
        }
        if head.is_empty() {
            return Ok(None);
        }
        // Ended within the peek: the length is known after all.
        let len = ((head.len() as u64) < PEEK).then_some(head.len() as u64);
        let rest = if len.is_some() { Rest::Nothing } else { Rest::Unread(rest) };
        let input = Input::Pipe { head: head.into(), rest };
        Ok(Some(Data { name: name.to_owned(), len, meter: Meter::new(len), verify: true, input }))
    }

    /// Whether the data can be sent from its first byte: always for a file,
    /// once for a pipe that did not end soon.
    pub fn is_whole(&self) -> bool {
        !matches!(&self.input, Input::Pipe { rest: Rest::Taken, .. })
    }

    /// Whether `path`, under which the data was opened, is that of another file
    /// by now, or of none: what was sent is not what is found there.
    pub fn was_replaced(&self) -> bool {
        let Input::File { file, start: 0, .. } = &self.input else { return false };
        if self.name == "stdin" {
            return false;
        }
        let ours = file.metadata().ok();
        let there = std::fs::metadata(&self.name).ok();
        ours.is_some_and(|ours| there.is_none_or(|there| !is_same(&ours, &there)))
    }

    /// The means to read the data a second time; a pipe has none.
    pub fn rehash(&self) -> Option<Rehash> {
        match &self.input {
            Input::File { file, start, .. } => {
                Some(Rehash { file: Arc::clone(file), start: *start, len: self.len?, meter: Meter::new(self.len) })
            }
            Input::Pipe { .. } => None,
        }
    }

    /// Looks into the data before it is sent: into all of a file, into the
    /// beginning of a pipe.
    pub fn inspect(&self) -> Result<Inspection> {
        match &self.input {
            Input::File { file, start: 0, .. } => {
                disk_format::inspect(&**file).map_err(|e| Error::io(format!("cannot read `{}`", self.name), &e))
            }
            // Stdin that stands in the middle of a file: its beginning is not the image's.
            Input::File { file, start, .. } => {
                let mut beginning = Vec::new();
                At { file: Arc::clone(file), position: *start }
                    .take(disk_format::HEAD as u64)
                    .read_to_end(&mut beginning)
                    .map_err(|e| Error::io(format!("cannot read `{}`", self.name), &e))?;
                Ok(disk_format::inspect_prefix(&beginning, self.len == Some(beginning.len() as u64)))
            }
            Input::Pipe { head, .. } => Ok(disk_format::inspect_prefix(head, self.len.is_some())),
        }
    }

    /// The user says how long the data is. A file's own length must agree; of a
    /// pipe exactly so many bytes are sent.
    pub fn expect(&mut self, size: u64) -> Result<()> {
        match self.len {
            Some(len) if len != size => {
                Err(Error::config(format!("`{}` has {len} bytes, not {size} as `--size` says", self.name))
                    .next("leave `--size` out: the length is known"))
            }
            Some(_) => Ok(()),
            None => {
                self.len = Some(size);
                self.meter.expect(size);
                Ok(())
            }
        }
    }
}

fn empty(name: &str, next: &str) -> Error {
    Error::new(Kind::Io, format!("`{name}` is empty: there is no image in it")).next(next)
}

#[cfg(unix)]
fn is_same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(windows)]
fn is_same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    one.created().ok() == other.created().ok()
}

/// Stdin as a file that can be asked what it is.
#[cfg(unix)]
fn duplicate(stdin: &std::io::Stdin) -> Option<File> {
    use std::os::fd::AsFd;
    stdin.as_fd().try_clone_to_owned().ok().map(File::from)
}

#[cfg(windows)]
fn duplicate(stdin: &std::io::Stdin) -> Option<File> {
    use std::os::windows::io::AsHandle;
    stdin.as_handle().try_clone_to_owned().ok().map(File::from)
}

#[cfg(unix)]
fn is_device(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    meta.file_type().is_char_device()
}

#[cfg(windows)]
fn is_device(_: &std::fs::Metadata) -> bool {
    false
}
