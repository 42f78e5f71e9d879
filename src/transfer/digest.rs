//! Digests computed while data passes by, each on a thread of its own, so that
//! the slowest digest is the only cost and the socket never waits for a sum.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use aws_lc_rs::digest as sha;
use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::QUEUE;
use crate::error::{Error, Kind, Result};

/// A digest algorithm by the name that Glance and Python's `hashlib` use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// The algorithm of Glance's `checksum` field.
    Md5,
    /// For clouds that chose it.
    Sha1,
    /// For clouds that chose it.
    Sha256,
    /// For clouds that chose it.
    Sha384,
    /// Glance's default for `os_hash_algo`.
    Sha512,
}

impl Algorithm {
    /// The algorithm that a service names, if rimg knows it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "md5" => Algorithm::Md5,
            "sha1" => Algorithm::Sha1,
            "sha256" => Algorithm::Sha256,
            "sha384" => Algorithm::Sha384,
            "sha512" => Algorithm::Sha512,
            _ => return None,
        })
    }

    /// The name that services use.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }
}

/// One digest under way.
pub(super) enum Running {
    Md5(Md5),
    Sha(sha::Context),
}

impl Running {
    pub(super) fn start(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Running::Md5(Md5::new()),
            Algorithm::Sha1 => Running::Sha(sha::Context::new(&sha::SHA1_FOR_LEGACY_USE_ONLY)),
            Algorithm::Sha256 => Running::Sha(sha::Context::new(&sha::SHA256)),
            Algorithm::Sha384 => Running::Sha(sha::Context::new(&sha::SHA384)),
            Algorithm::Sha512 => Running::Sha(sha::Context::new(&sha::SHA512)),
        }
    }

    pub(super) fn update(&mut self, piece: &[u8]) {
        match self {
            Running::Md5(sum) => sum.update(piece),
            Running::Sha(sum) => sum.update(piece),
        }
    }

    pub(super) fn finish(self) -> String {
        match self {
            Running::Md5(sum) => hex(&sum.finalize()),
            Running::Sha(sum) => hex(sum.finish().as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Several digests of the same bytes.
pub struct Digests {
    threads: Vec<(Algorithm, SyncSender<Bytes>, JoinHandle<String>)>,
}

impl Digests {
    /// Starts a thread for each of `algorithms`.
    pub fn start(algorithms: &[Algorithm]) -> Self {
        let threads = algorithms
            .iter()
            .map(|&algorithm| {
                let (feed, pieces) = sync_channel::<Bytes>(QUEUE);
                let thread = std::thread::spawn(move || {
                    let mut sum = Running::start(algorithm);
                    for piece in pieces {
                        sum.update(&piece);
                    }
                    sum.finish()
                });
                (algorithm, feed, thread)
            })
            .collect();
        Digests { threads }
    }

    /// Feeds the next piece to every digest; blocks while they are behind.
    pub fn update(&self, piece: &Bytes) {
        for (_, feed, _) in &self.threads {
            // A digest thread ends only with its feed.
            let _ = feed.send(piece.clone());
        }
    }

    /// The hexadecimal digests of all that was fed.
    pub fn finish(self) -> Result<Vec<(Algorithm, String)>> {
        self.threads
            .into_iter()
            .map(|(algorithm, feed, thread)| {
                drop(feed);
                let sum = thread
                    .join()
                    .map_err(|_| Error::new(Kind::Io, format!("the {} digest failed", algorithm.name())))?;
                Ok((algorithm, sum))
            })
            .collect()
    }
}
