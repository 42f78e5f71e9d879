//! Where image data comes from: a file, or stdin. Whatever can be wrong with
//! it is found here, before anything is created.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

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
    /// The bytes themselves.
    pub input: Input,
}

/// The bytes: all of them at hand, or flowing.
pub enum Input {
    /// A regular file, read from `start` on.
    File {
        /// The open file.
        file: File,
        /// Where the data begins: 0, or where stdin stood.
        start: u64,
    },
    /// A pipe: the bytes already taken from it, and the rest.
    Pipe {
        /// What was peeked.
        head: Vec<u8>,
        /// What follows.
        rest: Box<dyn Read + Send>,
    },
}

/// A file that can be read once more, for a digest that the transfer does not give.
pub struct Rehash {
    file: File,
    start: u64,
    len: u64,
    /// Counts what has been read again.
    pub meter: Arc<Meter>,
}

impl Rehash {
    /// The hexadecimal digest of the data.
    pub fn digest(mut self, algorithm: Algorithm) -> Result<String> {
        let failed = |e: std::io::Error| Error::io("cannot read the image to hash it", &e);
        self.file.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        let mut rest = self.file.take(self.len);
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
    /// The file at `path`; a missing, unreadable or empty one and a directory are errors.
    pub fn file(path: &str) -> Result<Self> {
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
                return Err(empty(path));
            }
            return Ok(Data::whole(path, file, 0, meta.len()));
        }
        // A named pipe, a block device, /dev/fd/3: length unknown until read.
        Data::pipe(path, Box::new(file))?.ok_or_else(|| empty(path))
    }

    /// Stdin, asked for by `--file -`: without data it is an error.
    pub fn stdin_required() -> Result<Self> {
        if std::io::stdin().is_terminal() {
            return Err(Error::usage("`--file -` reads the image from stdin, but stdin is a terminal")
                .next("pipe the image in, or name its file with `--file`"));
        }
        Data::stdin()?.ok_or_else(|| empty("stdin"))
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
            return Ok(match meta.len().saturating_sub(start) {
                0 => None,
                len => Some(Data::whole("stdin", file, start, len)),
            });
        }
        if is_device(&meta) {
            return Ok(None);
        }
        Data::pipe("stdin", Box::new(file))
    }

    fn whole(name: &str, file: File, start: u64, len: u64) -> Self {
        Data { name: name.to_owned(), len: Some(len), meter: Meter::new(Some(len)), input: Input::File { file, start } }
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
        Ok(Some(Data { name: name.to_owned(), len, meter: Meter::new(len), input: Input::Pipe { head, rest } }))
    }

    /// The means to read the data a second time; a pipe has none.
    pub fn rehash(&self) -> Option<Rehash> {
        match &self.input {
            Input::File { file, start } => Some(Rehash {
                file: file.try_clone().ok()?,
                start: *start,
                len: self.len?,
                meter: Meter::new(self.len),
            }),
            Input::Pipe { .. } => None,
        }
    }

    /// Looks into the data before it is sent: into all of a file, into the
    /// beginning of a pipe.
    pub fn inspect(&self) -> Result<Inspection> {
        match &self.input {
            Input::File { file, start: 0 } => {
                disk_format::inspect(file).map_err(|e| Error::io(format!("cannot read `{}`", self.name), &e))
            }
            // Stdin that stands in the middle of a file: its beginning is not the image's.
            Input::File { file, start } => {
                let mut beginning = Vec::new();
                let mut file = file;
                file.seek(SeekFrom::Start(*start))
                    .and_then(|_| file.take(disk_format::HEAD as u64).read_to_end(&mut beginning))
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

fn empty(name: &str) -> Error {
    Error::new(Kind::Io, format!("`{name}` is empty: there is no image in it"))
        .next("to create an image without data, leave out `--file` and give no stdin")
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
