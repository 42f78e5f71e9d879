//! Where the bytes of an image can be looked at, and how to take numbers from them.
//!
//! The only door to the image: every look is cut to [`MAX_LOOK`], and says
//! whether bytes that should be there are out of sight.

use std::convert::Infallible;
use std::io::{self, Read, Seek, SeekFrom};

/// The most bytes that one look takes: the largest VMDK descriptor, which is
/// the largest thing that any format makes us read.
pub(super) const MAX_LOOK: usize = 1 << 20;

/// What one look found.
pub(super) struct Seen {
    /// The bytes from the offset asked for; fewer than asked when the image ends there.
    pub bytes: Vec<u8>,
    /// Some of the bytes asked for may exist, but cannot be seen from here.
    pub cut: bool,
}

/// The bytes of one image.
pub(super) trait Source {
    /// Why a look failed.
    type Error;

    /// The length of the image in bytes, if its end is in sight.
    fn length(&self) -> Option<u64>;

    /// Looks at `count` bytes from `offset`.
    fn at(&mut self, offset: u64, count: usize) -> Result<Seen, Self::Error>;

    /// Looks at the last `count` bytes, or at all if there are fewer.
    fn end(&mut self, count: usize) -> Result<Seen, Self::Error> {
        match self.length() {
            Some(length) => self.at(length.saturating_sub(count as u64), count),
            None => Ok(Seen { bytes: Vec::new(), cut: true }),
        }
    }
}

/// An image that can be read at any offset.
pub(super) struct Whole<R> {
    reader: R,
    length: u64,
}

impl<R: Read + Seek> Whole<R> {
    /// All of what `reader` has.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let length = reader.seek(SeekFrom::End(0))?;
        Ok(Whole { reader, length })
    }
}

impl<R: Read + Seek> Source for Whole<R> {
    type Error = io::Error;

    fn length(&self) -> Option<u64> {
        Some(self.length)
    }

    fn at(&mut self, offset: u64, count: usize) -> io::Result<Seen> {
        let count = (count.min(MAX_LOOK) as u64).min(self.length.saturating_sub(offset));
        let mut bytes = Vec::new();
        if count > 0 {
            self.reader.seek(SeekFrom::Start(offset))?;
            (&mut self.reader).take(count).read_to_end(&mut bytes)?;
        }
        Ok(Seen { bytes, cut: false })
    }
}

/// The first bytes of a stream that cannot be rewound.
pub(super) struct Prefix<'a> {
    /// The bytes, from the first.
    pub bytes: &'a [u8],
    /// The stream has no more than these bytes.
    pub ended: bool,
}

impl Source for Prefix<'_> {
    type Error = Infallible;

    fn length(&self) -> Option<u64> {
        self.ended.then_some(self.bytes.len() as u64)
    }

    fn at(&mut self, offset: u64, count: usize) -> Result<Seen, Infallible> {
        let count = count.min(MAX_LOOK);
        let start = usize::try_from(offset).map_or(self.bytes.len(), |o| o.min(self.bytes.len()));
        let end = start.saturating_add(count).min(self.bytes.len());
        let bytes = self.bytes[start..end].to_vec();
        let cut = !self.ended && bytes.len() < count;
        Ok(Seen { bytes, cut })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

pub(super) fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}
