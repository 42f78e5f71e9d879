//! A file that is being collected: `NAME.part`, and beside it
//! `NAME.part.json`, which says of what image it is and which bytes of it can
//! be relied on. So a download that was interrupted, killed or cut off goes on
//! where it was, and only what is whole and verified gets the name.
//!
//! Nobody else's file is ever touched: without a state that fits, a file at
//! these names is left alone and the download is refused. One process at a
//! time: the state file is locked as long as it works.

use std::ffi::OsString;
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ranges::Ranges;
use crate::error::{Error, Kind, Result};

/// Blocks of this size that are zero become holes, in bytes.
const BLOCK: u64 = 64 * 1024;
static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// How often it is written down what has arrived: a kill costs that much.
const MARK_EVERY: Duration = Duration::from_millis(200);

/// After so many bytes the disk begins to write, so that little is left to
/// wait for at the end.
const FLUSH_EVERY: u64 = 64 << 20;

/// How long a state may be, in bytes: one has a handful of spans.
const STATE_LIMIT: u64 = 64 * 1024;

/// The first key of a state, which says what the file is.
const FORMAT: &str = "rimg download 1";

/// What is being downloaded. A part of something else is not gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The ID of the image.
    pub image: String,
    /// Where its data comes from.
    pub url: String,
    /// Its length in bytes, if the service knows it.
    pub size: Option<u64>,
    /// Its digest, if the service knows one: name of the algorithm, hexadecimal value.
    pub digest: Option<(String, String)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    format: String,
    subject: Option<Subject>,
    /// The bytes were on the disk before they were written down here: they can
    /// be relied on without a digest, even after a crash of the machine.
    synced: bool,
    there: Ranges,
}

/// The file being collected, locked.
pub struct Part {
    name: PathBuf,
    path: PathBuf,
    file: File,
    state_path: PathBuf,
    state_file: File,
    state: State,
    /// From here on the file holds nothing yet, so that zeros can be left out.
    clean_from: u64,
    len: u64,
    marked: Instant,
    /// Bytes written since the disk was told to begin.
    unflushed: u64,
    /// Who waits for it meanwhile.
    flusher: Option<JoinHandle<io::Result<()>>>,
    /// What to leave behind is decided.
    settled: bool,
}

impl Part {
    /// Opens the part of `name`, or makes it. A new one is gone again if
    /// nothing is ever written to it.
    pub fn open(name: PathBuf) -> Result<Self> {
        let path = with_suffix(&name, ".part");
        let state_path = with_suffix(&name, ".part.json");
        let cannot = |e: &io::Error| {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let error = Error::io(format!("cannot write in `{}`", folder.display()), e);
            if e.kind() == io::ErrorKind::NotFound { error.next("create the directory first") } else { error }
        };
        let (state_file, new) = lock(&name, &state_path, &cannot)?;
        let text = read_bounded(&state_file).map_err(|e| cannot(&e))?;
        let found = std::fs::symlink_metadata(&path).ok();
        let state = match text.is_empty() {
            true if found.is_none() => {
                // Before there is a part: it is never without a state.
                let state = State::default();
                write_state(&state_file, &state).map_err(|e| {
                    let _ = std::fs::remove_file(&state_path);
                    cannot(&e)
                })?;
                state
            }
            true => {
                if new {
                    let _ = std::fs::remove_file(&state_path);
                }
                let why = match &found {
                    Some(meta) if !meta.is_file() => kind(meta).to_owned(),
                    _ => format!("no `{}` tells of what image it is", state_path.display()),
                };
                return Err(foreign(&path, &why));
            }
            false => serde_json::from_slice::<State>(&text)
                .ok()
                .filter(|state| state.format == FORMAT)
                .ok_or_else(|| foreign(&state_path, "it does not tell of a download"))?,
        };
        let mut options = File::options();
        options.read(true).write(true);
        let file = match &found {
            None => options.create_new(true).open(&path),
            Some(_) => {
                no_link(&mut options);
                options.open(&path)
            }
        };
        let file = match (file, &found) {
            (Ok(file), _) => file,
            (Err(e), None) => {
                let _ = std::fs::remove_file(&state_path);
                return Err(cannot(&e));
            }
            (Err(_), Some(meta)) if !meta.is_file() => return Err(foreign(&path, kind(meta))),
            (Err(e), Some(_)) => return Err(Error::io(format!("cannot write `{}`", path.display()), &e)),
        };
        let meta = file.metadata().map_err(|e| cannot(&e))?;
        if let Some(why) = not_ours(&meta) {
            return Err(foreign(&path, why));
        }
        let mut part = Part {
            name,
            path,
            file,
            state_path,
            state_file,
            state,
            clean_from: 0,
            len: meta.len(),
            marked: Instant::now(),
            unflushed: 0,
            flusher: None,
            settled: false,
        };
        if part.len < part.state.there.end() {
            // Somebody has cut it: nothing in it is what was written down.
            part.state.there = Ranges::default();
        }
        if let Ok(old) = std::fs::metadata(&part.name) {
            part.file.set_permissions(old.permissions()).map_err(|e| part.cannot(&e))?;
        }
        Ok(part)
    }

    /// What a part is called before it has its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that it is for.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Goes on with `subject`: keeps what is there of it, forgets anything
    /// else. `trusting` is for data that no digest will judge: only what was
    /// on the disk for certain counts then. True: there was something of
    /// another subject.
    pub fn resume(&mut self, subject: &Subject, trusting: bool) -> Result<bool> {
        let there = self.state.there.count() > 0;
        let other = there && self.state.subject.as_ref() != Some(subject);
        if other || trusting && !self.state.synced {
            self.state.there = Ranges::default();
        }
        self.state.subject = Some(subject.clone());
        self.state.synced = trusting;
        // What was not written down may be anything.
        self.begin()?;
        Ok(other)
    }

    /// Forgets all that is there.
    pub fn restart(&mut self) -> Result<()> {
        self.state.there = Ranges::default();
        self.begin()
    }

    fn begin(&mut self) -> Result<()> {
        self.clean_from = self.state.there.end();
        self.len = self.clean_from;
        self.file.set_len(self.len).map_err(|e| self.cannot(&e))?;
        self.mark().map_err(|e| self.cannot(&e))
    }

    /// The bytes that are there.
    pub fn there(&self) -> &Ranges {
        &self.state.there
    }

    /// A second handle, to read what is written.
    pub fn reader(&self) -> Result<File> {
        self.file.try_clone().map_err(|e| self.cannot(&e))
    }

    /// How many bytes fit beside what is there; `None` where that is not told.
    #[cfg(unix)]
    pub fn free(&self) -> Option<u64> {
        let room = rustix::fs::fstatvfs(&self.file).ok()?;
        (room.f_blocks > 0).then(|| room.f_bavail.saturating_mul(room.f_frsize))
    }

    /// How many bytes fit beside what is there; `None` where that is not told.
    #[cfg(not(unix))]
    pub fn free(&self) -> Option<u64> {
        None
    }

    /// Writes `piece` at its place, where nothing is yet: what is there may
    /// have been read for the digest. Zeros are left out where nothing was.
    pub fn write(&mut self, at: u64, piece: &[u8]) -> io::Result<()> {
        let end = at + piece.len() as u64;
        debug_assert!(piece.is_empty() || self.state.there.gaps(at, end) == [(at, end)], "{at}..{end} is there");
        // What is to be written: from here on, in `piece`.
        let (mut pending, mut place) = (0, 0);
        while place < piece.len() {
            let here = at + place as u64;
            let next = (place + (BLOCK - here % BLOCK) as usize).min(piece.len());
            if here >= self.clean_from && piece[place..next] == ZEROS[..next - place] {
                write_at(&self.file, at + pending as u64, &piece[pending..place])?;
                pending = next;
            }
            place = next;
        }
        write_at(&self.file, at + pending as u64, &piece[pending..])?;
        if pending < piece.len() {
            self.len = self.len.max(end);
        }
        self.state.there.insert(at, end);
        if self.marked.elapsed() >= MARK_EVERY {
            self.mark()?;
        }
        self.unflushed += piece.len() as u64;
        if self.unflushed >= FLUSH_EVERY && self.flusher.as_ref().is_none_or(JoinHandle::is_finished) {
            self.flushed()?;
            self.unflushed = 0;
            let file = self.file.try_clone()?;
            self.flusher = Some(std::thread::spawn(move || file.sync_data()));
        }
        Ok(())
    }

    /// Waits for the disk. What it could not write it tells only once.
    fn flushed(&mut self) -> io::Result<()> {
        match self.flusher.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(outcome) => outcome.unwrap_or_else(|_| Err(io::Error::other("waiting for the disk failed"))),
        }
    }

    /// Writes down what is there.
    fn mark(&mut self) -> io::Result<()> {
        self.fill()?;
        if self.state.synced {
            self.flushed()?;
            self.file.sync_data()?;
        }
        write_state(&self.state_file, &self.state)?;
        self.marked = Instant::now();
        Ok(())
    }

    /// Makes the file as long as what is there, where it ends with a hole.
    fn fill(&mut self) -> io::Result<()> {
        let end = self.state.there.end();
        if self.len < end {
            self.file.set_len(end)?;
            self.len = end;
        }
        Ok(())
    }

    /// Leaves the part for another run, and tells how many bytes it has; without
    /// any it is gone.
    pub fn suspend(mut self) -> u64 {
        let count = self.state.there.count();
        if count == 0 {
            self.remove();
        } else {
            self.leave();
        }
        count
    }

    /// Writes down what is there for the last time. Where that fails, for
    /// instance on a full disk, what was written down before still holds.
    fn leave(&mut self) {
        self.settled = true;
        let _ = self.mark();
    }

    /// Removes what was collected.
    pub fn discard(mut self) {
        self.remove();
    }

    /// Gives the file its name: on disk first, so that a crash cannot leave
    /// the name with half of the bytes.
    pub fn keep(mut self) -> Result<()> {
        let end = self.state.there.end();
        let filled = self.flushed().and_then(|()| self.fill()).and_then(|()| self.file.set_len(end));
        let synced = filled.and_then(|()| self.file.sync_all());
        synced
            .and_then(|()| std::fs::rename(&self.path, &self.name))
            .map_err(|e| Error::io(format!("cannot write `{}`", self.name.display()), &e))?;
        self.settled = true;
        let _ = std::fs::remove_file(&self.state_path);
        Ok(())
    }

    /// Puts bytes that are not what they should be aside, as `NAME.corrupt`;
    /// tells where. Only once: an older one stays and these are gone.
    pub fn condemn(mut self) -> Option<PathBuf> {
        let aside = with_suffix(&self.name, ".corrupt");
        let free = std::fs::symlink_metadata(&aside).is_err();
        if free && self.fill().is_ok() && std::fs::rename(&self.path, &aside).is_ok() {
            self.settled = true;
            let _ = std::fs::remove_file(&self.state_path);
            return Some(aside);
        }
        self.remove();
        None
    }

    fn remove(&mut self) {
        self.settled = true;
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(&self.state_path);
    }

    fn cannot(&self, error: &io::Error) -> Error {
        Error::io(format!("cannot write `{}`", self.path.display()), error)
    }

    /// How to call the two files in a message.
    pub fn files(&self) -> String {
        format!("`{}` and `{}`", self.path.display(), self.state_path.display())
    }
}

impl Drop for Part {
    /// Nothing was decided: what is there stays, an empty part does not.
    fn drop(&mut self) {
        match self.state.there.count() {
            _ if self.settled => {}
            0 => self.remove(),
            _ => self.leave(),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        State { format: FORMAT.to_owned(), subject: None, synced: false, there: Ranges::default() }
    }
}

/// Writes `state` in place and in one size, so that there is one at any moment.
fn write_state(file: &File, state: &State) -> io::Result<()> {
    let mut text = serde_json::to_vec(state).map_err(io::Error::other)?;
    text.resize((text.len() + 1).next_multiple_of(4096) - 1, b' ');
    text.push(b'\n');
    write_at(file, 0, &text)?;
    file.set_len(text.len() as u64)
}

/// Opens the state file, or makes it, and locks it. True: it was made.
fn lock(name: &Path, path: &Path, cannot: &dyn Fn(&io::Error) -> Error) -> Result<(File, bool)> {
    // Each round somebody else has just finished; nobody does that a thousand times.
    for _ in 0..1000 {
        let mut options = File::options();
        options.read(true).write(true);
        let mut new = true;
        let file = match options.clone().create_new(true).open(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let meta = match std::fs::symlink_metadata(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    meta => meta.map_err(|e| cannot(&e))?,
                };
                if !meta.is_file() {
                    return Err(foreign(path, kind(&meta)));
                }
                new = false;
                no_link(&mut options);
                match options.open(path) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    file => file.map_err(|e| Error::io(format!("cannot write `{}`", path.display()), &e))?,
                }
            }
            file => file.map_err(|e| cannot(&e))?,
        };
        match file.try_lock() {
            // Some network file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    Kind::Conflict,
                    format!("another rimg is saving to `{}` at this moment", name.display()),
                )
                .next("wait for it, or save to another name"));
            }
        }
        let meta = file.metadata().map_err(|e| cannot(&e))?;
        if let Some(why) = not_ours(&meta) {
            return Err(foreign(path, why));
        }
        // Who had the lock before may have finished and removed it.
        if std::fs::symlink_metadata(path).is_ok_and(|now| same_file(&now, &meta)) {
            return Ok((file, new));
        }
    }
    Err(Error::new(Kind::Io, format!("cannot lock `{}`", path.display())))
}

/// Why a file cannot be one of ours.
fn not_ours(meta: &Metadata) -> Option<&'static str> {
    if !meta.is_file() {
        return Some(kind(meta));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Some("it belongs to another user");
        }
        // One that is about to be removed has none.
        if meta.nlink() > 1 {
            return Some("it has a second name");
        }
    }
    None
}

fn kind(meta: &Metadata) -> &'static str {
    if meta.is_dir() {
        "it is a directory"
    } else if meta.is_symlink() {
        "it is a symbolic link"
    } else {
        "it is not a regular file"
    }
}

fn foreign(path: &Path, why: &str) -> Error {
    Error::new(Kind::Io, format!("`{}` is in the way: {why}", path.display()))
        .next("a download is collected there: move it away, or save to another name")
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut text = OsString::from(name);
    text.push(suffix);
    PathBuf::from(text)
}

fn read_bounded(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(STATE_LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(unix)]
fn no_link(options: &mut std::fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed());
}

#[cfg(not(unix))]
fn no_link(_options: &mut std::fs::OpenOptions) {}

#[cfg(unix)]
fn same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn same_file(_one: &Metadata, _other: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn write_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        bytes = &bytes[count..];
        at += count as u64;
    }
    Ok(())
}

/// Reads up to a buffer at a place; 0 at the end of the file.
#[cfg(unix)]
pub(super) fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

/// Reads up to a buffer at a place; 0 at the end of the file.
#[cfg(windows)]
pub(super) fn read_at(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
