//! What the bytes of an image are, and whether they are safe to hand to a cloud.
//!
//! [`inspect`] looks at a file, [`inspect_prefix`] at the first bytes of a
//! stream that is going to be sent on. Both answer with an [`Inspection`]:
//! the format, the size of the disk inside, and each [`Danger`]. Then
//! [`Inspection::verdict`] holds a declared `--disk-format` against it.
//!
//! The formats are recognised as Glance does it (oslo.utils
//! `imageutils.format_inspector`), after their published specifications, each
//! in its own file. Foreign bytes are parsed here, so: a number read from an
//! image is never a size to allocate, every look is at most 1 MiB, there are
//! at most five of them, and nothing panics.

mod archive;
mod danger;
mod iso;
mod luks;
mod partitions;
mod ploop;
mod qcow2;
mod qed;
mod source;
mod vdi;
mod verdict;
mod vhd;
mod vhdx;
mod vmdk;

use std::fmt;
use std::io::{self, Read, Seek};

pub use danger::Danger;
use source::{Prefix, Seen, Source, Whole};
pub use verdict::Verdict;

/// How many first bytes of a stream [`inspect_prefix`] wants, unless the
/// stream ends before: all formats but a fixed VHD can be told from them.
pub const HEAD: usize = 64 << 10;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// A disk byte by byte, or anything else that was not recognised.
    Raw,
    /// QEMU's format, and its ancestor qcow.
    Qcow2,
    /// VMware's format.
    Vmdk,
    /// Virtual PC's format, dynamic or differencing.
    Vhd,
    /// A raw disk followed by the footer of a VHD.
    VhdFixed,
    /// Hyper-V's format.
    Vhdx,
    /// VirtualBox's format.
    Vdi,
    /// An optical disc, possibly bootable as a disk too.
    Iso,
    /// Virtuozzo's format.
    Ploop,
    /// QEMU's format that was given up.
    Qed,
    /// An encrypted raw disk.
    Luks,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with xz.
    Xz,
    /// Compressed with Zstandard.
    Zstd,
    /// Compressed with bzip2.
    Bzip2,
    /// Compressed with LZ4.
    Lz4,
    /// A zip archive.
    Zip,
    /// A 7z archive.
    SevenZip,
    /// A tar archive.
    Tar,
    /// A tar archive that begins with an OVF descriptor.
    Ova,
}

impl DiskFormat {
    /// The `disk_format` to declare to Glance for such bytes, if there is one.
    pub fn glance_name(self) -> Option<&'static str> {
        Some(match self {
            DiskFormat::Raw | DiskFormat::Luks => "raw",
            DiskFormat::Qcow2 => "qcow2",
            DiskFormat::Vmdk => "vmdk",
            DiskFormat::Vhd | DiskFormat::VhdFixed => "vhd",
            DiskFormat::Vhdx => "vhdx",
            DiskFormat::Vdi => "vdi",
            DiskFormat::Iso => "iso",
            DiskFormat::Ploop => "ploop",
            _ => return None,
        })
    }

    /// Whether the bytes must be unpacked before they are a disk.
    pub fn is_packed(self) -> bool {
        use DiskFormat::*;
        matches!(self, Gzip | Xz | Zstd | Bzip2 | Lz4 | Zip | SevenZip | Tar | Ova)
    }
}

/// In words that complete "the data is …".
impl fmt::Display for DiskFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskFormat::Raw => "raw",
            DiskFormat::Qcow2 => "qcow2",
            DiskFormat::Vmdk => "vmdk",
            DiskFormat::Vhd => "vhd",
            DiskFormat::VhdFixed => "a fixed vhd",
            DiskFormat::Vhdx => "vhdx",
            DiskFormat::Vdi => "vdi",
            DiskFormat::Iso => "an iso",
            DiskFormat::Ploop => "ploop",
            DiskFormat::Qed => "qed",
            DiskFormat::Luks => "an encrypted disk (luks)",
            DiskFormat::Gzip => "compressed (gzip)",
            DiskFormat::Xz => "compressed (xz)",
            DiskFormat::Zstd => "compressed (zstd)",
            DiskFormat::Bzip2 => "compressed (bzip2)",
            DiskFormat::Lz4 => "compressed (lz4)",
            DiskFormat::Zip => "a zip archive",
            DiskFormat::SevenZip => "a 7z archive",
            DiskFormat::Tar => "a tar archive",
            DiskFormat::Ova => "an ova archive",
        })
    }
}

/// What the first sector says, where it ends as a boot sector does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionTable {
    /// A master boot record.
    Mbr,
    /// A protective master boot record, which stands before a GPT.
    Gpt,
}

/// What an image was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What the bytes are: [`DiskFormat::Raw`] if nothing else was recognised.
    pub format: DiskFormat,
    /// The boot sector, which a raw disk or a bootable ISO may have.
    pub partition_table: Option<PartitionTable>,
    /// The size in bytes of the disk that a machine sees; `None` if the bytes
    /// do not tell, or where they do was out of sight.
    pub virtual_size: Option<u64>,
    /// Why the image should not be handed to a cloud.
    pub dangers: Vec<Danger>,
    /// For the start of a stream: formats that only bytes out of sight could tell.
    pub maybe: Vec<DiskFormat>,
    /// For the start of a stream: some check for dangers needs bytes out of sight.
    pub unchecked: bool,
}

#[cfg(test)]
impl Inspection {
    /// Whether all that matters was seen; always so for a file.
    pub fn is_conclusive(&self) -> bool {
        self.maybe.is_empty() && !self.unchecked
    }
}

/// Inspects an image that can be read at any offset. The position of `image`
/// is somewhere else afterwards.
///
/// # Errors
///
/// Those of reading and seeking. Odd bytes are no error but a [`Danger`].
pub fn inspect(image: impl Read + Seek) -> io::Result<Inspection> {
    look(&mut Whole::new(image)?)
}

/// Inspects the first bytes of a stream, [`HEAD`] or more of them; `ended`
/// says that the stream has no others.
pub fn inspect_prefix(bytes: &[u8], ended: bool) -> Inspection {
    let Ok(inspection) = look(&mut Prefix { bytes, ended });
    inspection
}

/// What one format's file finds out.
#[derive(Default)]
struct Findings {
    virtual_size: Option<u64>,
    dangers: Vec<Danger>,
    unchecked: bool,
}

impl Findings {
    fn danger(&mut self, danger: Danger) {
        if !self.dangers.contains(&danger) {
            self.dangers.push(danger);
        }
    }

    /// Bytes that the format needs are not among those seen: they are out of
    /// sight, or the image ends too early.
    fn missing(&mut self, seen: &Seen) {
        if seen.cut {
            self.unchecked = true;
        } else {
            self.danger(Danger::Malformed);
        }
    }
}

/// Tells from the first bytes whether they are of a format.
type Matches = fn(&Seen) -> bool;

/// The formats that Glance recognises by their first bytes, how many of those
/// it takes to tell, and how.
const BY_HEAD: [(DiskFormat, usize, Matches); 8] = [
    (DiskFormat::Qcow2, 4, qcow2::matches),
    (DiskFormat::Vmdk, vmdk::NEEDS, vmdk::matches),
    (DiskFormat::Vhd, 8, vhd::matches),
    (DiskFormat::Vhdx, 8, vhdx::matches),
    (DiskFormat::Vdi, vdi::NEEDS, vdi::matches),
    (DiskFormat::Iso, iso::NEEDS, iso::matches),
    (DiskFormat::Luks, 6, luks::matches),
    (DiskFormat::Qed, 4, qed::matches),
];

fn look<S: Source>(image: &mut S) -> Result<Inspection, S::Error> {
    let head = image.at(0, HEAD)?;
    let partition_table = partitions::detect(&head.bytes);

    let is = |(format, _, matches): &(DiskFormat, usize, Matches)| matches(&head).then_some(*format);
    let recognised: Vec<DiskFormat> = BY_HEAD.iter().filter_map(is).collect();
    let format = match recognised.first() {
        Some(format) => *format,
        None => unknown_to_glance(image, &head)?,
    };

    let mut found = match format {
        DiskFormat::Qcow2 => qcow2::inspect(&head),
        DiskFormat::Vmdk => vmdk::inspect(image, &head)?,
        DiskFormat::Vhd => vhd::inspect(&head),
        DiskFormat::VhdFixed => vhd::inspect(&image.end(vhd::FOOTER)?),
        DiskFormat::Vhdx => vhdx::inspect(image)?,
        DiskFormat::Vdi => vdi::inspect(&head),
        DiskFormat::Iso => iso::inspect(&head),
        DiskFormat::Luks => luks::inspect(&head, image.length()),
        DiskFormat::Qed => qed::inspect(&head),
        DiskFormat::Ploop => ploop::inspect(&head),
        DiskFormat::Raw => Findings { virtual_size: image.length(), ..Findings::default() },
        _ => Findings::default(),
    };

    match (recognised.as_slice(), partition_table) {
        // Glance counts a boot sector as a format, and checks it when it is the only one.
        ([], Some(_)) => partitions::danger(&head.bytes).into_iter().for_each(|d| found.danger(d)),
        // A bootable ISO is the one mixture that is meant.
        ([] | [_], None) | ([DiskFormat::Iso], Some(_)) => {}
        _ => found.danger(Danger::SeveralFormats),
    }

    // What could not be decided from as many bytes as there were.
    let seen = head.bytes.len();
    let undecided = |needs: usize| head.cut && seen < needs;
    let mut maybe: Vec<DiskFormat> = BY_HEAD
        .iter()
        .filter(|(format, needs, _)| undecided(*needs) && !recognised.contains(format))
        .map(|(format, ..)| *format)
        .collect();
    if format == DiskFormat::Raw {
        if undecided(ploop::NEEDS) {
            maybe.push(DiskFormat::Ploop);
        }
        if undecided(archive::NEEDS) {
            maybe.extend(archive::ALL);
        }
        if image.length().is_none() {
            maybe.push(DiskFormat::VhdFixed);
        }
    }
    let unchecked = found.unchecked || undecided(partitions::NEEDS);

    Ok(Inspection {
        format,
        partition_table,
        virtual_size: found.virtual_size,
        dangers: found.dangers,
        maybe,
        unchecked,
    })
}

/// What we recognise beyond Glance, to whom all of this is raw.
fn unknown_to_glance<S: Source>(image: &mut S, head: &Seen) -> Result<DiskFormat, S::Error> {
    if ploop::matches(head) {
        return Ok(DiskFormat::Ploop);
    }
    if let Some(packed) = archive::detect(&head.bytes) {
        return Ok(packed);
    }
    let fixed = vhd::matches_fixed(&image.end(vhd::FOOTER)?.bytes);
    Ok(if fixed { DiskFormat::VhdFixed } else { DiskFormat::Raw })
}

#[cfg(test)]
mod tests;
