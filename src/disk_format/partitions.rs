//! The boot sector of a raw disk: an MBR, or the protective MBR before a GPT.
//!
//! The rules are those of oslo.utils, where both are called `gpt`
//! (UEFI 2.10, 5.2: <https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html>).

use super::source::le32;
use super::{Danger, PartitionTable};

/// How many bytes must be seen to tell.
pub(super) const NEEDS: usize = 512;

const ENTRIES: std::ops::Range<usize> = 446..510;
const PROTECTIVE: u8 = 0xee;

/// The partition table, if the first sector ends as a boot sector does.
pub(super) fn detect(head: &[u8]) -> Option<PartitionTable> {
    let sector = head.get(..NEEDS)?;
    // The boot sector of a FAT file system ends so too: it has two tables on a fixed disk.
    let fat = sector[0x10] == 2 && sector[0x15] == 0xf8;
    if !sector.ends_with(b"\x55\xaa") || fat {
        return None;
    }
    let protective = sector[ENTRIES].chunks_exact(16).any(|entry| entry[4] == PROTECTIVE);
    Some(if protective { PartitionTable::Gpt } else { PartitionTable::Mbr })
}

/// The first thing in a boot sector that Glance refuses.
pub(super) fn danger(head: &[u8]) -> Option<Danger> {
    let entries = head.get(ENTRIES)?.chunks_exact(16);
    let mut used = Vec::with_capacity(4);
    let mut gpt = false;
    for (number, entry) in entries.enumerate() {
        if !matches!(entry[0], 0x00 | 0x80) {
            return Some(Danger::BootFlag);
        }
        if entry[4] != 0 {
            used.push(number);
        }
        if entry[4] == PROTECTIVE {
            gpt = true;
            // Cylinder 0, head 0, sector 2: the block after this one.
            if entry[1..4] != [0, 2, 0] || le32(entry, 8) != Some(1) {
                return Some(Danger::ProtectiveMbrStart);
            }
        }
    }
    match used.as_slice() {
        [] => Some(Danger::NoPartition),
        [0] => None,
        _ => gpt.then_some(Danger::ProtectiveMbrExtra),
    }
}

#[cfg(test)]
pub(super) fn sample(entries: &[[u8; 16]]) -> Vec<u8> {
    let mut image = vec![0; 2048];
    image[510..512].copy_from_slice(b"\x55\xaa");
    for (i, entry) in entries.iter().enumerate() {
        image[446 + 16 * i..462 + 16 * i].copy_from_slice(entry);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::sample;
    use crate::disk_format::{Danger, DiskFormat, PartitionTable, inspect_prefix};

    const LINUX: [u8; 16] = [0x80, 1, 1, 0, 0x83, 9, 9, 9, 0, 8, 0, 0, 0, 8, 0, 0];
    const PROTECTIVE: [u8; 16] = [0, 0, 2, 0, 0xee, 9, 9, 9, 1, 0, 0, 0, 0, 8, 0, 0];

    #[test]
    fn a_partitioned_disk_is_raw() {
        for (entries, table) in [(&[LINUX, LINUX][..], PartitionTable::Mbr), (&[PROTECTIVE], PartitionTable::Gpt)] {
            let found = inspect_prefix(&sample(entries), true);
            assert_eq!(found.format, DiskFormat::Raw);
            assert_eq!(found.partition_table, Some(table));
            assert_eq!(found.virtual_size, Some(2048));
            assert_eq!(found.dangers, []);
        }
    }

    #[test]
    fn what_glance_refuses_is_named() {
        let with = |mut entry: [u8; 16], at: usize, value| {
            entry[at] = value;
            entry
        };
        for (entries, danger) in [
            (&[][..], Danger::NoPartition),
            (&[with(LINUX, 0, 7)], Danger::BootFlag),
            (&[with(PROTECTIVE, 1, 1)], Danger::ProtectiveMbrStart),
            (&[with(PROTECTIVE, 8, 2)], Danger::ProtectiveMbrStart),
            (&[PROTECTIVE, LINUX], Danger::ProtectiveMbrExtra),
            (&[[0; 16], PROTECTIVE], Danger::ProtectiveMbrExtra),
        ] {
            assert_eq!(inspect_prefix(&sample(entries), true).dangers, [danger]);
        }
    }

    #[test]
    fn a_fat_file_system_is_no_partition_table() {
        let mut image = sample(&[]);
        image[0x10] = 2;
        image[0x15] = 0xf8;
        let found = inspect_prefix(&image, true);
        assert_eq!((found.partition_table, found.dangers.len()), (None, 0));
    }
}
