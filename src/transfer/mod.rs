//! Image data on the move: one source, one pass, counted, digested, cancellable.
//!
//! ```text
//! upload:    file or stdin -> reader thread -> queue -> socket
//!                                  \-> digest threads
//! download:  socket -> queue -> writer thread -> file or stdout
//!                                   \-> digest threads
//! ```
//!
//! Pieces are shared, not copied; every queue is short, so memory stays flat
//! whatever the size of the image.

mod digest;
mod download;
mod follow;
mod part;
mod progress;
mod ranges;
mod source;
mod upload;

pub use digest::{Algorithm, Digests};
pub use download::{Receiver, Sums, Target, Verify, WriteTo};
pub use part::{Part, Subject};
pub use progress::{Bar, Meter, Show, Style};
pub use ranges::Ranges;
pub use source::{Data, Given, Input, Rehash, Rest, Stamp};
pub(crate) use upload::read_before;
pub use upload::{Outbody, Outgoing, Sent};

/// How much is read, sent, hashed and written at a time, in bytes. Between
/// 256 KiB and 1 MiB the speed is the same; the smaller keeps memory low.
pub(crate) const PIECE: usize = 256 * 1024;

/// How many pieces wait between two threads.
pub(crate) const QUEUE: usize = 4;
