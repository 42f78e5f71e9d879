//! The SHA-512 of a file and nothing else, computed as rimg computes it: what a
//! verified transfer cannot be faster than. `benches/compare.py` runs it.

use std::fs::File;
use std::io::{Error, Read as _, Write as _};

use rimg::transfer::{Algorithm, Digests};

/// How much is read at a time, in bytes: as much as an upload reads.
const PIECE: usize = 256 * 1024;

fn main() -> Result<(), Error> {
    let path = std::env::args_os().nth(1).ok_or_else(|| Error::other("usage: digest FILE"))?;
    let mut file = File::open(path)?;
    let digests = Digests::start(&[Algorithm::Sha512]);
    loop {
        let mut piece = vec![0; PIECE];
        let count = file.read(&mut piece)?;
        if count == 0 {
            break;
        }
        piece.truncate(count);
        digests.update(&piece.into());
    }
    let sums = digests.finish().map_err(|error| Error::other(error.message))?;
    sums.iter().try_for_each(|(algorithm, sum)| writeln!(std::io::stdout(), "{} {sum}", algorithm.name()))
}
