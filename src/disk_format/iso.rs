//! ISO 9660 (ECMA-119) and UDF: a volume descriptor follows 32 KiB that belong
//! to the system, so an ISO may begin with anything, a partition table included.

use super::Findings;
use super::source::{Seen, le16, le32};

const DESCRIPTOR: usize = 32 << 10;
/// How many bytes must be seen to tell: the system's area and one descriptor.
pub(super) const NEEDS: usize = DESCRIPTOR + (2 << 10);

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.len() >= NEEDS && matches!(&head.bytes[DESCRIPTOR + 1..DESCRIPTOR + 6], b"CD001" | b"NSR02" | b"NSR03")
}

pub(super) fn inspect(head: &Seen) -> Findings {
    let descriptor = head.bytes.get(DESCRIPTOR..).unwrap_or_default();
    let blocks = le32(descriptor, 80).map(u64::from);
    let block_size = le16(descriptor, 128).map(u64::from);
    // Only a primary volume descriptor (type 1) has the size.
    let primary = descriptor.first() == Some(&1);
    let virtual_size = blocks.zip(block_size).filter(|_| primary).map(|(n, size)| n * size);
    Findings { virtual_size, ..Findings::default() }
}

#[cfg(test)]
pub(super) fn sample(blocks: u32) -> Vec<u8> {
    let mut image = vec![0; NEEDS + 2048];
    image[DESCRIPTOR] = 1;
    image[DESCRIPTOR + 1..DESCRIPTOR + 6].copy_from_slice(b"CD001");
    image[DESCRIPTOR + 80..DESCRIPTOR + 84].copy_from_slice(&blocks.to_le_bytes());
    image[DESCRIPTOR + 128..DESCRIPTOR + 130].copy_from_slice(&2048u16.to_le_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::{NEEDS, sample};
    use crate::disk_format::{DiskFormat, PartitionTable, inspect_prefix};

    #[test]
    fn the_size_is_that_of_the_volume() {
        let found = inspect_prefix(&sample(300), true);
        assert_eq!(found.format, DiskFormat::Iso);
        assert_eq!(found.virtual_size, Some(300 * 2048));
    }

    #[test]
    fn a_bootable_iso_is_an_iso_with_a_partition_table() {
        let mut image = sample(300);
        image[510..512].copy_from_slice(b"\x55\xaa");
        let found = inspect_prefix(&image, true);
        assert_eq!(found.format, DiskFormat::Iso);
        assert_eq!(found.partition_table, Some(PartitionTable::Mbr));
        assert_eq!(found.dangers, []);
    }

    #[test]
    fn too_little_of_a_stream_leaves_it_open() {
        let image = sample(300);
        assert!(inspect_prefix(&image[..NEEDS - 1], false).maybe.contains(&DiskFormat::Iso));
        assert_eq!(inspect_prefix(&image[..NEEDS - 1], true).format, DiskFormat::Raw);
        assert_eq!(inspect_prefix(&image[..NEEDS], false).format, DiskFormat::Iso);
    }
}
