//! File stores: where the data is.
//!
//! A file gets its final name only when it is whole and on the disk, and the
//! name is one that we made. Every block has a sum, taken while the data came
//! in and checked each time it is read, so bad data is noticed before it is
//! sent. (CRC-32 is for accidents, and fast enough to check every read; against
//! malice there is the SHA-512 that the image has.)

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::transfer::{Algorithm, Digests};

/// How much is read, checked and sent at a time, in bytes.
pub const BLOCK: usize = 256 * 1024;

/// How much is written before it is brought to the disk, in bytes.
const FLUSH: u64 = 32 << 20;

/// The memory of data on its way in: blocks that wait to be hashed and written,
/// over all uploads no more than so many, so that memory is flat however many
/// uploads there are. A block is used again: fresh memory costs a fault a page.
pub struct Blocks {
    places: Arc<Semaphore>,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// Blocks kept for use again: about as many as one upload has under way.
const SPARE: usize = 12;

impl Blocks {
    /// How many bytes a block holds. Half of this costs twice the hand-overs
    /// between threads; twice this, memory in each of many uploads.
    pub const SIZE: usize = 128 * 1024;

    /// No more than `most` blocks may wait.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Blocks { places: Arc::new(Semaphore::new(most)), spare: Mutex::default() })
    }

    /// A block to fill.
    pub fn empty(&self) -> Vec<u8> {
        self.spare().pop().unwrap_or_else(|| Vec::with_capacity(Blocks::SIZE))
    }

    /// A block to pass on, once there is a place for it. The place is free again
    /// when nobody holds the block any more.
    pub async fn filled(self: &Arc<Self>, bytes: Vec<u8>) -> Option<Bytes> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Bytes::from_owner(Block { bytes, blocks: Arc::clone(self), _place: place }))
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Block {
    bytes: Vec<u8>,
    blocks: Arc<Blocks>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut spare = self.blocks.spare();
        if spare.len() < SPARE {
            spare.push(bytes);
        }
    }
}

/// A directory of data files.
#[derive(Debug, Clone)]
pub struct Store {
    /// As users choose it.
    pub name: String,
    /// What users read of it.
    pub description: String,
    directory: PathBuf,
}

impl Store {
    /// The store in `directory`, which is made if need be.
    pub fn open(name: String, description: String, directory: PathBuf) -> Result<Self> {
        make(&directory).map_err(|e| Error::io(format!("cannot make the store `{}`", directory.display()), &e))?;
        Ok(Store { name, description, directory })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file as a URL, for services on the same machine.
    pub fn url(&self, id: &str) -> String {
        let path = std::path::absolute(self.finished(id)).unwrap_or_else(|_| self.finished(id));
        match url::Url::from_file_path(path) {
            Ok(url) => url.into(),
            Err(()) => String::new(),
        }
    }

    /// Begins a file, counting and hashing all that is written to it.
    pub fn begin(&self, id: &str) -> io::Result<Incoming> {
        let path = self.unfinished(id);
        let file = File::options().write(true).read(true).create_new(true).open(&path)?;
        Ok(Incoming {
            file,
            part: Part(path),
            finished: self.finished(id),
            directory: self.directory.clone(),
            digests: Digests::start(&[Algorithm::Md5, Algorithm::Sha512]),
            size: 0,
            sums: Sums::default(),
            flushing: 0,
            flusher: None,
        })
    }

    /// Opens a file that is to be of `size` bytes and have `sums`.
    pub fn data(&self, id: &str, size: u64, sums: Vec<u8>) -> io::Result<Stored> {
        let file = File::open(self.finished(id))?;
        let found = file.metadata()?.len();
        if found != size {
            return Err(damaged(format!("file `{id}` in store `{}` has {found} bytes of {size}", self.name)));
        }
        if sums.len() as u64 != size.div_ceil(BLOCK as u64) * 4 {
            return Err(damaged(format!("the sums of file `{id}` are not of {size} bytes")));
        }
        Ok(Stored { file, size, sums, id: id.to_owned() })
    }

    /// Removes a file, finished or not; one that is not there is removed.
    pub fn remove(&self, id: &str) -> io::Result<()> {
        for path in [self.unfinished(id), self.finished(id)] {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    fn finished(&self, id: &str) -> PathBuf {
        self.directory.join(id)
    }

    fn unfinished(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.part"))
    }
}

/// Makes a directory, and has its name on the disk before anything is in it.
fn make(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    #[cfg(unix)]
    for parent in directory.ancestors().skip(1).take(2).filter(|parent| !parent.as_os_str().is_empty()) {
        // One that we may not read was not made by us.
        let _ = File::open(parent).and_then(|parent| parent.sync_all());
    }
    Ok(())
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The CRC-32 of each block.
#[derive(Default)]
struct Sums {
    done: Vec<u8>,
    open: crc32fast::Hasher,
    filled: usize,
}

impl Sums {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.open.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let sum = std::mem::take(&mut self.open).finalize();
        self.done.extend(sum.to_le_bytes());
        self.filled = 0;
    }

    fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.close();
        }
        self.done
    }
}

/// A file being written.
pub struct Incoming {
    file: File,
    part: Part,
    finished: PathBuf,
    directory: PathBuf,
    digests: Digests,
    size: u64,
    sums: Sums,
    /// How much had been written when the flusher was last told.
    flushing: u64,
    flusher: Option<Flusher>,
}

/// Brings a file to the disk while it is still being written. The kernel does
/// not begin by itself before there is a lot, and then all of it would have to
/// be waited for at the end.
struct Flusher {
    wake: SyncSender<()>,
    thread: std::thread::JoinHandle<io::Result<()>>,
}

impl Flusher {
    fn start(file: File) -> Self {
        let (wake, woken) = sync_channel::<()>(1);
        let thread = std::thread::spawn(move || woken.iter().try_for_each(|()| file.sync_data()));
        Flusher { wake, thread }
    }

    /// Never waits: a flush that has not begun yet takes this along.
    fn flush(&self) {
        let _ = self.wake.try_send(());
    }

    /// Waits for what is under way. What went wrong there would not be told
    /// again by the system.
    fn finish(self) -> io::Result<()> {
        drop(self.wake);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the flusher failed")))
    }
}

/// The name that a file has until it is whole; gone when this is, so that a
/// full disk has room again before anything else is to be written.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What is known of a file when it is whole.
pub struct Written {
    /// Its length in bytes.
    pub size: u64,
    /// Its MD5, hexadecimal.
    pub md5: String,
    /// Its SHA-512, hexadecimal.
    pub sha512: String,
    /// The CRC-32 of each block, for the registry.
    pub sums: Vec<u8>,
}

impl Incoming {
    /// Adds a piece.
    pub fn write(&mut self, piece: &Bytes) -> io::Result<()> {
        self.digests.update(piece);
        self.sums.update(piece);
        self.file.write_all(piece)?;
        self.size += piece.len() as u64;
        if self.size - self.flushing >= FLUSH {
            self.flushing = self.size;
            if self.flusher.is_none() {
                self.flusher = Some(Flusher::start(self.file.try_clone()?));
            }
            self.flusher.as_ref().inspect(|flusher| flusher.flush());
        }
        Ok(())
    }

    /// How many bytes were written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file, to look into.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Brings the file to the disk and gives it its name.
    pub fn finish(mut self) -> io::Result<Written> {
        self.flusher.take().map_or(Ok(()), Flusher::finish)?;
        self.file.sync_all()?;
        std::fs::rename(&self.part.0, &self.finished)?;
        File::open(&self.directory)?.sync_all()?;
        let mut sums = self.digests.finish().map_err(|e| io::Error::other(e.message))?.into_iter();
        let mut next = || sums.next().map(|(_, sum)| sum).unwrap_or_default();
        Ok(Written { size: self.size, md5: next(), sha512: next(), sums: self.sums.finish() })
    }
}

/// A file that can be read.
pub struct Stored {
    file: File,
    size: u64,
    sums: Vec<u8>,
    id: String,
}

impl Stored {
    /// The block that holds the byte at `offset`, from there on.
    pub fn read(&self, offset: u64) -> io::Result<Bytes> {
        self.read_into(BytesMut::new(), offset)
    }

    /// As [`Stored::read`], in memory that was used before: fresh memory costs a fault a page.
    fn read_into(&self, mut block: BytesMut, offset: u64) -> io::Result<Bytes> {
        let number = offset / BLOCK as u64;
        let start = number * BLOCK as u64;
        let length = (self.size - start).min(BLOCK as u64) as usize;
        block.resize(length, 0);
        read_exact_at(&self.file, &mut block, start)?;
        let at = number as usize * 4;
        let expected = self.sums.get(at..at + 4);
        if expected != Some(&crc32fast::hash(&block).to_le_bytes()[..]) {
            return Err(damaged(format!("file `{}` is damaged at byte {start} or soon after", self.id)));
        }
        Ok(block.freeze().slice((offset - start) as usize..))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Part of a file on its way out: one block is read while another is sent.
pub struct Download {
    stored: Arc<Stored>,
    next: u64,
    end: u64,
    first: Option<Bytes>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// What was sent before, and its memory is to be used again.
    sent: Bytes,
}

impl Download {
    /// The bytes from `start` up to but not including `end`. The first of them
    /// are read here, so that data which is bad from the beginning is told
    /// before any answer is given.
    pub fn begin(stored: Stored, start: u64, end: u64) -> io::Result<Self> {
        let end = end.min(stored.size);
        let next = start.min(end);
        let first = if next < end { Some(stored.read(next)?) } else { None };
        Ok(Download { stored: Arc::new(stored), next, end, first, reading: None, sent: Bytes::new() })
    }

    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.end - self.next
    }

    fn read(&mut self, offset: u64) -> JoinHandle<io::Result<Bytes>> {
        let (stored, used) = (Arc::clone(&self.stored), std::mem::take(&mut self.sent));
        tokio::task::spawn_blocking(move || stored.read_into(used.try_into_mut().unwrap_or_default(), offset))
    }

    /// The next piece.
    pub fn poll_piece(&mut self, context: &mut Context) -> Poll<Option<io::Result<Bytes>>> {
        if self.next == self.end {
            return Poll::Ready(None);
        }
        let piece = match self.first.take() {
            Some(first) => first,
            None => {
                let next = self.next;
                let mut reading = self.reading.take().unwrap_or_else(|| self.read(next));
                let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
                    self.reading = Some(reading);
                    return Poll::Pending;
                };
                match read.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
                    Ok(piece) => piece,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            }
        };
        let piece = piece.slice(..piece.len().min(usize::try_from(self.left()).unwrap_or(usize::MAX)));
        self.next += piece.len() as u64;
        if self.next < self.end {
            self.reading = Some(self.read(self.next));
            self.sent = piece.clone();
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(ready!(self.poll_piece(context)).map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
