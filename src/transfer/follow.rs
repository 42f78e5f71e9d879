//! Digests of a file that is still being written: each reads what is there
//! from the beginning on, close behind the writer, so that it comes from
//! memory and not from the disk.

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::PIECE;
use super::digest::{Algorithm, Running};
use super::part::read_at;

/// How far the writer may be ahead, in bytes: what it wrote should still be in
/// memory when it is read.
const AHEAD: u64 = 256 << 20;

/// The digests, at work.
pub(super) struct Follow {
    shared: Arc<Shared>,
    threads: Vec<(Algorithm, JoinHandle<io::Result<Option<String>>>)>,
    /// What was there at first: the writer is ahead of that only by what it adds.
    start: u64,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

struct Seen {
    /// Up to here the file is written.
    mark: u64,
    /// There will be no more.
    ended: bool,
    /// The digests are not wanted any more.
    stopped: bool,
    /// Up to where each digest is.
    read: Vec<u64>,
}

impl Follow {
    /// Follows `file`, which is written up to `start`.
    pub fn start(algorithms: &[Algorithm], file: &File, start: u64) -> io::Result<Self> {
        let seen = Seen { mark: start, ended: false, stopped: false, read: vec![0; algorithms.len()] };
        let shared = Arc::new(Shared { seen: Mutex::new(seen), changed: Condvar::new() });
        let mut threads = Vec::new();
        for (index, &algorithm) in algorithms.iter().enumerate() {
            let (file, shared) = (file.try_clone()?, Arc::clone(&shared));
            threads.push((algorithm, std::thread::spawn(move || shared.read(index, algorithm, &file))));
        }
        Ok(Follow { shared, threads, start })
    }

    /// The file is now written up to `mark`. Waits while that is too far ahead.
    pub fn written(&self, mark: u64) {
        let mut seen = self.shared.seen();
        seen.mark = mark;
        self.shared.changed.notify_all();
        while !seen.stopped && seen.read.iter().any(|&read| mark.saturating_sub(read.max(self.start)) > AHEAD) {
            seen = self.shared.changed.wait(seen).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What ends the digests before they are finished.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || {
            shared.seen().stopped = true;
            shared.changed.notify_all();
        }
    }

    /// The digests of all that was written; none if they were stopped.
    pub fn finish(mut self) -> io::Result<Vec<(Algorithm, String)>> {
        self.shared.seen().ended = true;
        self.shared.changed.notify_all();
        let mut sums = Vec::new();
        for (algorithm, thread) in std::mem::take(&mut self.threads) {
            let sum =
                thread.join().map_err(|_| io::Error::other(format!("the {} digest failed", algorithm.name())))??;
            sums.extend(sum.map(|sum| (algorithm, sum)));
        }
        Ok(sums)
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.shared.seen().stopped = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, index: usize, algorithm: Algorithm, file: &File) -> io::Result<Option<String>> {
        let outcome = self.sum(index, algorithm, file);
        if outcome.is_err() {
            // The writer does not wait for who has gone.
            self.seen().read[index] = u64::MAX;
            self.changed.notify_all();
        }
        outcome
    }

    fn sum(&self, index: usize, algorithm: Algorithm, file: &File) -> io::Result<Option<String>> {
        let mut sum = Running::start(algorithm);
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        loop {
            let mark = {
                let mut seen = self.seen();
                while seen.mark == at && !seen.ended && !seen.stopped {
                    seen = self.changed.wait(seen).unwrap_or_else(PoisonError::into_inner);
                }
                if seen.stopped {
                    return Ok(None);
                }
                seen.mark
            };
            if mark == at {
                return Ok(Some(sum.finish()));
            }
            let most = (mark - at).min(PIECE as u64) as usize;
            let count = read_at(file, at, &mut buffer[..most])?;
            if count == 0 {
                // A hole at the end, which the file does not reach over yet.
                buffer[..most].fill(0);
            }
            let count = if count == 0 { most } else { count };
            sum.update(&buffer[..count]);
            at += count as u64;
            self.seen().read[index] = at;
            self.changed.notify_all();
        }
    }
}
