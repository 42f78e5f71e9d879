//! Data on its way to the service: a reader thread, a short queue, a body.
//!
//! The body is an `http_body::Body` with an exact length where the length is
//! known, so that the request carries Content-Length: storage drivers resize
//! as they go when it is missing
//! (<https://specs.openstack.org/openstack/glance-specs/specs/2025.2/approved/glance/set-size-on-upload.html>).

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::digest::{Algorithm, Digests};
use super::progress::Meter;
use super::source::{At, Data, Input, Rest, Stamp};
use super::{PIECE, QUEUE};
use crate::error::{Error, Kind, Result};

/// What was sent, once all of it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// How many bytes.
    pub size: u64,
    /// Their digests.
    pub digests: Vec<(Algorithm, String)>,
}

/// Data being read; [`Outgoing::finish`] tells what it was. Dropped, it takes
/// its body with it: what is left of one try never mixes with the next.
pub struct Outgoing {
    name: String,
    done: oneshot::Receiver<io::Result<Sent>>,
    body: Arc<AtomicBool>,
}

/// The request body that goes with an [`Outgoing`].
pub struct Outbody {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: Option<u64>,
    meter: Arc<Meter>,
    wanted: Arc<AtomicBool>,
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.body.store(false, Ordering::Relaxed);
    }
}

/// What a reader thread reads from: the source of one try.
enum Source {
    File { file: At, stamp: Stamp },
    Pipe { head: Bytes, rest: Option<Box<dyn Read + Send>> },
}

impl Outgoing {
    /// Begins to read `data` from its first byte, computing `algorithms` on the
    /// way.
    ///
    /// # Errors
    /// It is a pipe that was read before.
    pub fn start(data: &mut Data, algorithms: &[Algorithm]) -> Result<(Self, Outbody)> {
        let source = match &mut data.input {
            Input::File { file, start, stamp } => {
                Source::File { file: At { file: Arc::clone(file), position: *start }, stamp: *stamp }
            }
            Input::Pipe { head, rest } => {
                let rest = match rest {
                    Rest::Nothing => None,
                    rest => match std::mem::replace(rest, Rest::Taken) {
                        Rest::Unread(unread) => Some(unread),
                        _ => return Err(read_before(&data.name)),
                    },
                };
                // What can be had only once need not be kept.
                let head = if rest.is_some() { std::mem::take(head) } else { head.clone() };
                Source::Pipe { head, rest }
            }
        };
        let (queue, pieces) = mpsc::channel(QUEUE);
        let digests = Digests::start(algorithms);
        let (tell, done) = oneshot::channel();
        let len = data.len;
        std::thread::spawn(move || {
            let read = pump(source, len, &digests, &queue);
            if let Err(error) = &read {
                // The body must fail too, or the request would end short of its length.
                let _ = queue.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
            }
            drop(queue);
            let sent = read.and_then(|size| Ok(Sent { size, digests: digests.finish().map_err(io::Error::other)? }));
            let _ = tell.send(sent);
        });
        let wanted = Arc::new(AtomicBool::new(true));
        let body = Outbody { pieces, left: len, meter: Arc::clone(&data.meter), wanted: Arc::clone(&wanted) };
        Ok((Outgoing { name: data.name.clone(), done, body: wanted }, body))
    }

    /// What was read. When the source failed, its error is the true reason why
    /// the request failed, so ask this first. (Waits without blocking: it is
    /// the connection's task that lets go of the body when it breaks.)
    pub async fn finish(mut self) -> Result<Sent> {
        match (&mut self.done).await {
            Ok(Ok(sent)) => Ok(sent),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {
                Err(Error::new(Kind::Network, "the service stopped taking the data"))
            }
            Ok(Err(error)) => Err(Error::io(format!("cannot read `{}`", self.name), &error)),
            Err(_) => Err(Error::new(Kind::Io, format!("reading `{}` failed", self.name))),
        }
    }

    /// What was read, after the request failed: all of it, if the source had
    /// been read to its end; the error of a source that failed itself; `None`
    /// when only the connection broke.
    pub async fn after_failure(self) -> Result<Option<Sent>> {
        // A source that has nothing to give (a silent pipe) did not fail.
        match tokio::time::timeout(Duration::from_secs(1), self.finish()).await {
            Ok(Ok(sent)) => Ok(Some(sent)),
            Ok(Err(error)) if error.kind == Kind::Io => Err(error),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }
}

/// A pipe cannot be sent again.
pub(crate) fn read_before(name: &str) -> Error {
    Error::new(Kind::Io, format!("`{name}` cannot be read twice"))
        .next("put the data into a file and name it with `--file`: a file can be sent again from its first byte")
}

/// Reads the source to its end, or to the length that was announced.
fn pump(
    source: Source,
    len: Option<u64>,
    digests: &Digests,
    queue: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<u64> {
    let mut size = 0u64;
    let mut pass = |piece: Bytes| -> io::Result<()> {
        size += piece.len() as u64;
        if let Some(len) = len.filter(|len| size > *len) {
            return Err(io::Error::other(format!("it has more than the {len} bytes that were announced")));
        }
        digests.update(&piece);
        queue
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::new(io::ErrorKind::ConnectionAborted, "the request ended"))
    };
    match source {
        Source::File { mut file, stamp } => {
            let unchanged = |file: &At| match Stamp::of(&file.file)? == stamp {
                true => Ok(()),
                false => Err(io::Error::other("it changed while it was being read")),
            };
            let mut left = len.unwrap_or(u64::MAX);
            while left > 0 {
                let piece = read_piece(&mut file, left)?;
                if piece.is_empty() {
                    break;
                }
                left -= piece.len() as u64;
                if left == 0 {
                    unchanged(&file)?;
                }
                pass(piece.into())?;
            }
        }
        Source::Pipe { mut head, rest } => {
            while !head.is_empty() {
                pass(head.split_to(PIECE.min(head.len())))?;
            }
            drop(head);
            let mut rest = rest.unwrap_or_else(|| Box::new(io::empty()));
            loop {
                let piece = read_piece(&mut rest, u64::MAX)?;
                if piece.is_empty() {
                    break;
                }
                pass(piece.into())?;
            }
        }
    }
    match len {
        Some(len) if size != len => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ended after {size} of {len} bytes")))
        }
        _ => Ok(size),
    }
}

/// The next full piece, shorter only at the end of the source.
fn read_piece(source: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE.min(usize::try_from(most).unwrap_or(PIECE))];
    let mut filled = 0;
    while filled < piece.len() {
        match source.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    piece.truncate(filled);
    Ok(piece)
}

impl Body for Outbody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.wanted.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "given up"))));
        }
        let piece = self.pieces.poll_recv(cx);
        // While the source has nothing to give, the service cannot be called slow.
        self.meter.starve(piece.is_pending());
        piece.map(|piece| match piece {
            None => {
                self.meter.finish();
                None
            }
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(piece)) => {
                let count = piece.len() as u64;
                self.meter.add(count);
                self.left = self.left.map(|left| left.saturating_sub(count));
                if self.left == Some(0) {
                    self.meter.finish();
                }
                Some(Ok(Frame::data(piece)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_read_piece_is_full_until_the_source_ends() {
        let bytes = vec![7u8; PIECE + 5];
        let mut source = &bytes[..];
        assert_eq!(read_piece(&mut source, u64::MAX).unwrap().len(), PIECE);
        assert_eq!(read_piece(&mut source, u64::MAX).unwrap().len(), 5);
        assert!(read_piece(&mut source, u64::MAX).unwrap().is_empty());
    }

    /// Starts to send a file of 8 MiB, changes it, and answers with what comes of it.
    fn sending(change: impl FnOnce(&std::fs::File)) -> io::Result<Sent> {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 << 20).unwrap();
        let mut data = Data::file(file.path().to_str().unwrap(), "").unwrap();
        let (mut outgoing, mut body) = Outgoing::start(&mut data, &[]).unwrap();
        body.pieces.blocking_recv().unwrap().unwrap();
        change(file.as_file());
        while body.pieces.blocking_recv().is_some() {}
        std::mem::replace(&mut outgoing.done, oneshot::channel().1).blocking_recv().unwrap()
    }

    #[test]
    fn a_file_that_changes_while_it_is_sent_is_an_error() {
        assert_eq!(sending(|_| ()).unwrap().size, 8 << 20);
        let shrunk = sending(|file| file.set_len(1).unwrap()).unwrap_err();
        assert!(shrunk.to_string().starts_with("it ended after "), "{shrunk}");
        let grown = sending(|file| file.set_len(9 << 20).unwrap()).unwrap_err();
        assert_eq!(grown.to_string(), "it changed while it was being read");
    }
}
