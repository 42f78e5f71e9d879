//! qcow2, and its ancestor qcow: <https://www.qemu.org/docs/master/interop/qcow2.html>.

use super::source::{Seen, be32, be64};
use super::{Danger, Findings};

/// The smallest cluster, and so the smallest image; Glance sees no qcow2 in fewer bytes.
const SMALLEST: usize = 512;

const DATA_FILE: u64 = 1 << 2;
const CORRUPT: u64 = 1 << 1;
const EXTENDED_L2: u64 = 1 << 4;
const KNOWN: u64 = (1 << 5) - 1;

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(b"QFI\xfb")
}

pub(super) fn inspect(head: &Seen) -> Findings {
    let mut found = Findings::default();
    let header = &head.bytes;
    if header.len() < SMALLEST {
        found.missing(head);
    }
    found.virtual_size = be64(header, 24);
    if be64(header, 8).is_some_and(|offset| offset != 0) {
        found.danger(Danger::BackingFile);
    }
    match be32(header, 4) {
        // Version 2 has no feature bits: other things lie there.
        Some(2) | None => {}
        Some(3) => {
            let features = be64(header, 72).unwrap_or(0);
            for (bits, danger) in [
                (DATA_FILE, Danger::DataFile),
                (EXTENDED_L2, Danger::ExtendedL2),
                (!KNOWN, Danger::UnknownFeatures),
                (CORRUPT, Danger::MarkedCorrupt),
            ] {
                if features & bits != 0 {
                    found.danger(danger);
                }
            }
        }
        Some(_) => found.danger(Danger::Version),
    }
    found
}

#[cfg(test)]
pub(super) fn sample(version: u32, backing: u64, size: u64, features: u64) -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[..4].copy_from_slice(b"QFI\xfb");
    image[4..8].copy_from_slice(&version.to_be_bytes());
    image[8..16].copy_from_slice(&backing.to_be_bytes());
    image[24..32].copy_from_slice(&size.to_be_bytes());
    image[72..80].copy_from_slice(&features.to_be_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::sample;
    use crate::disk_format::{Danger, DiskFormat, inspect_prefix};

    #[test]
    fn a_plain_image_is_safe() {
        // Dirty (bit 0) and the compression type (bit 3) are fine.
        for image in [sample(2, 0, 7 << 20, 0), sample(3, 0, 7 << 20, 0b1001)] {
            let found = inspect_prefix(&image, true);
            assert_eq!(found.format, DiskFormat::Qcow2);
            assert_eq!(found.virtual_size, Some(7 << 20));
            assert_eq!(found.dangers, []);
            assert!(found.is_conclusive());
        }
    }

    #[test]
    fn what_reaches_outside_of_the_file_is_named() {
        for (image, danger) in [
            (sample(3, 104, 1, 0), Danger::BackingFile),
            (sample(2, 104, 1, 0), Danger::BackingFile),
            (sample(3, 0, 1, 1 << 2), Danger::DataFile),
            (sample(3, 0, 1, 1 << 4), Danger::ExtendedL2),
            (sample(3, 0, 1, 1 << 5), Danger::UnknownFeatures),
            (sample(3, 0, 1, 1 << 63), Danger::UnknownFeatures),
            (sample(3, 0, 1, 1 << 1), Danger::MarkedCorrupt),
            (sample(1, 0, 1, 0), Danger::Version),
            (sample(4, 0, 1, 0), Danger::Version),
            (sample(3, 0, 1, 0)[..100].to_vec(), Danger::Malformed),
        ] {
            assert_eq!(inspect_prefix(&image, true).dangers, [danger]);
        }
    }

    #[test]
    fn version_2_has_no_feature_bits() {
        assert_eq!(inspect_prefix(&sample(2, 0, 1, u64::MAX), true).dangers, []);
    }
}
