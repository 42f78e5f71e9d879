//! VHD (Virtual PC, Hyper-V, Azure): <https://learn.microsoft.com/en-us/azure/virtual-machines/vhd-specification>
//! for the fixed kind; the others begin with a copy of the same 512-byte footer.

use super::source::{Seen, be16, be32, be64};
use super::{Danger, Findings};

/// The length of the footer, and of its copy at the start.
pub(super) const FOOTER: usize = 512;

const COOKIE: &[u8] = b"conectix";
const CHECKSUM: usize = 64;
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// A dynamic or differencing image: the copy of the footer is at the start.
pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(COOKIE)
}

/// A fixed image: a raw disk that only its last 512 bytes call a VHD. Eight
/// letters at the end of any file prove little, so the rest must agree.
pub(super) fn matches_fixed(end: &[u8]) -> bool {
    end.len() == FOOTER
        && end.starts_with(COOKIE)
        && be16(end, 12) == Some(1)
        && be32(end, 60) == Some(FIXED)
        && be32(end, CHECKSUM) == Some(checksum(end))
}

pub(super) fn inspect(footer: &Seen) -> Findings {
    let mut found = Findings::default();
    let bytes = &footer.bytes;
    if bytes.len() < FOOTER {
        found.missing(footer);
    }
    // The current size; the original one, before it at 40, is what oslo reports.
    found.virtual_size = be64(bytes, 48);
    match be32(bytes, 60) {
        Some(FIXED | DYNAMIC) | None => {}
        Some(DIFFERENCING) => found.danger(Danger::Parent),
        Some(_) => found.danger(Danger::Malformed),
    }
    found
}

/// The complement of the sum of all bytes, those of the sum itself left out.
fn checksum(footer: &[u8]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u32, |sum, b| sum.wrapping_add(u32::from(*b)));
    let own = footer.get(CHECKSUM..CHECKSUM + 4).map_or(0, sum);
    !sum(footer).wrapping_sub(own)
}

#[cfg(test)]
pub(super) fn sample(kind: u32, size: u64) -> Vec<u8> {
    let mut footer = vec![0; FOOTER];
    footer[..8].copy_from_slice(COOKIE);
    footer[12..16].copy_from_slice(&0x0001_0000u32.to_be_bytes());
    footer[48..56].copy_from_slice(&size.to_be_bytes());
    footer[60..64].copy_from_slice(&kind.to_be_bytes());
    let sum = checksum(&footer);
    footer[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_be_bytes());
    footer
}

#[cfg(test)]
mod tests {
    use super::{DIFFERENCING, DYNAMIC, FIXED, sample};
    use crate::disk_format::{Danger, DiskFormat, inspect_prefix};

    #[test]
    fn a_dynamic_image_is_known_by_its_start() {
        let found = inspect_prefix(&sample(DYNAMIC, 9 << 20), false);
        assert_eq!(found.format, DiskFormat::Vhd);
        assert_eq!(found.virtual_size, Some(9 << 20));
        assert_eq!(found.dangers, []);
    }

    #[test]
    fn a_differencing_image_has_a_parent() {
        assert_eq!(inspect_prefix(&sample(DIFFERENCING, 1), true).dangers, [Danger::Parent]);
        assert_eq!(inspect_prefix(&sample(99, 1), true).dangers, [Danger::Malformed]);
    }

    #[test]
    fn a_fixed_image_is_known_by_its_end_only() {
        let image = [vec![1; 70_000], sample(FIXED, 70_000)].concat();
        let found = inspect_prefix(&image, true);
        assert_eq!(found.format, DiskFormat::VhdFixed);
        assert_eq!(found.virtual_size, Some(70_000));

        let unseen = inspect_prefix(&image[..65_536], false);
        assert_eq!(unseen.format, DiskFormat::Raw);
        assert_eq!(unseen.maybe, [DiskFormat::VhdFixed]);
        assert!(!unseen.is_conclusive());
    }

    #[test]
    fn a_raw_disk_that_ends_in_eight_letters_stays_raw() {
        let mut image = [vec![1; 70_000], sample(FIXED, 70_000)].concat();
        let last = image.len() - 1;
        image[last] ^= 1;
        assert_eq!(inspect_prefix(&image, true).format, DiskFormat::Raw);
    }
}
