//! VHDX: <https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-vhdx>.
//!
//! The region table (at 192 KiB) says where the metadata is, the metadata
//! table says where the size of the disk and the word about a parent are.

use super::source::{Seen, Source, le16, le32, le64};
use super::{Danger, Findings};

const REGION_TABLE: u64 = 192 << 10;
/// Both tables are this long at most: a header and up to 2047 entries.
const TABLE: usize = 64 << 10;
const MAX_ENTRIES: usize = 2047;
const ENTRY: usize = 32;

const METADATA_REGION: [u8; 16] = guid(0x8B7CA206_4790_4B9A_B8FE_575F050F886E);
const FILE_PARAMETERS: [u8; 16] = guid(0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B);
const VIRTUAL_DISK_SIZE: [u8; 16] = guid(0x2FA54224_CD1B_4876_B211_5DBED83BF4B8);
const PARENT_LOCATOR: [u8; 16] = guid(0xA8D35F2D_B30B_454D_ABF7_D3D84834AB0C);

const HAS_PARENT: u32 = 1 << 1;

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(b"vhdxfile")
}

pub(super) fn inspect<S: Source>(image: &mut S) -> Result<Findings, S::Error> {
    let mut found = Findings::default();

    let regions = image.at(REGION_TABLE, TABLE)?;
    let Some(entries) = table(&mut found, &regions, b"regi", 16, le32(&regions.bytes, 8)) else {
        return Ok(found);
    };
    let Some(start) = entry(entries, &METADATA_REGION).and_then(|e| le64(e, 16)) else {
        found.danger(Danger::Malformed);
        return Ok(found);
    };

    let metadata = image.at(start, TABLE)?;
    let count = le16(&metadata.bytes, 10).map(u32::from);
    let Some(entries) = table(&mut found, &metadata, b"metadata", 32, count) else {
        return Ok(found);
    };
    let mut item = |id| match entry(entries, id) {
        // Both items are 8 bytes long; an offset counts from the start of the region.
        Some(e) if le32(e, 20) == Some(8) => {
            let offset = le32(e, 16).unwrap_or(0);
            Some(image.at(start.saturating_add(u64::from(offset)), 8)).transpose()
        }
        _ => Ok(None),
    };
    let size = item(&VIRTUAL_DISK_SIZE)?;
    let parameters = item(&FILE_PARAMETERS)?;

    found.virtual_size = number(&mut found, size);
    let flags = number(&mut found, parameters).map(|both| (both >> 32) as u32);
    if flags.is_some_and(|flags| flags & HAS_PARENT != 0) || entry(entries, &PARENT_LOCATOR).is_some() {
        found.danger(Danger::Parent);
    }
    Ok(found)
}

/// The entries of a table, or what is wrong with it.
fn table<'a>(
    found: &mut Findings,
    seen: &'a Seen,
    signature: &[u8],
    header: usize,
    count: Option<u32>,
) -> Option<&'a [u8]> {
    let Some(count) = count else {
        found.missing(seen);
        return None;
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if !seen.bytes.starts_with(signature) || count > MAX_ENTRIES {
        found.danger(Danger::Malformed);
        return None;
    }
    let entries = seen.bytes.get(header..header + count * ENTRY);
    if entries.is_none() {
        found.missing(seen);
    }
    entries
}

fn entry<'a>(entries: &'a [u8], id: &[u8; 16]) -> Option<&'a [u8]> {
    entries.chunks_exact(ENTRY).find(|entry| entry.starts_with(id))
}

fn number(found: &mut Findings, item: Option<Seen>) -> Option<u64> {
    let Some(item) = item else {
        found.danger(Danger::Malformed);
        return None;
    };
    let number = le64(&item.bytes, 0);
    if number.is_none() {
        found.missing(&item);
    }
    number
}

/// A GUID, written as people do, as it lies in the file: its first three
/// groups are little-endian.
const fn guid(text: u128) -> [u8; 16] {
    let t = text.to_be_bytes();
    [
        t[3], t[2], t[1], t[0], t[5], t[4], t[7], t[6], //
        t[8], t[9], t[10], t[11], t[12], t[13], t[14], t[15],
    ]
}

#[cfg(test)]
pub(super) fn sample(size: u64, flags: u32) -> Vec<u8> {
    const METADATA: usize = 256 << 10;
    const ITEMS: usize = 64 << 10;
    let mut image = vec![0; METADATA + ITEMS + 16];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"vhdxfile");
    put(192 << 10, b"regi");
    put((192 << 10) + 8, &1u32.to_le_bytes());
    put((192 << 10) + 16, &METADATA_REGION);
    put((192 << 10) + 32, &(METADATA as u64).to_le_bytes());
    put(METADATA, b"metadata");
    put(METADATA + 10, &2u16.to_le_bytes());
    for (i, id) in [FILE_PARAMETERS, VIRTUAL_DISK_SIZE].iter().enumerate() {
        let entry = METADATA + 32 + i * ENTRY;
        put(entry, id);
        put(entry + 16, &((ITEMS + 8 * i) as u32).to_le_bytes());
        put(entry + 20, &8u32.to_le_bytes());
    }
    put(METADATA + ITEMS + 4, &flags.to_le_bytes());
    put(METADATA + ITEMS + 8, &size.to_le_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::{HAS_PARENT, PARENT_LOCATOR, sample};
    use crate::disk_format::{Danger, DiskFormat, inspect_prefix};

    #[test]
    fn the_size_is_found_through_both_tables() {
        let found = inspect_prefix(&sample(3 << 30, 0), true);
        assert_eq!(found.format, DiskFormat::Vhdx);
        assert_eq!(found.virtual_size, Some(3 << 30));
        assert_eq!(found.dangers, []);
    }

    #[test]
    fn a_differencing_image_has_a_parent() {
        assert_eq!(inspect_prefix(&sample(1, HAS_PARENT), true).dangers, [Danger::Parent]);
        // A locator without the flag is enough.
        let mut image = sample(1, 0);
        let spare = (256 << 10) + 32 + 64;
        image[spare..spare + 16].copy_from_slice(&PARENT_LOCATOR);
        image[(256 << 10) + 10] = 3;
        assert_eq!(inspect_prefix(&image, true).dangers, [Danger::Parent]);
    }

    #[test]
    fn metadata_out_of_sight_is_unknown_and_metadata_that_is_not_there_is_wrong() {
        let image = sample(3 << 30, HAS_PARENT);
        for seen in [9, 100 << 10, 200 << 10, 300 << 10] {
            let found = inspect_prefix(&image[..seen], false);
            assert_eq!(found.format, DiskFormat::Vhdx, "{seen}");
            assert_eq!((found.virtual_size, found.unchecked), (None, true), "{seen}");
            assert_eq!(found.dangers, [], "{seen}");
            assert_eq!(inspect_prefix(&image[..seen], true).dangers, [Danger::Malformed]);
        }
    }

    #[test]
    fn offsets_and_counts_from_the_file_are_not_trusted() {
        for (at, value) in [((192 << 10) + 32, 0xff), ((192 << 10) + 9, 0xff), (0x4_000b, 0xff)] {
            let mut image = sample(1, 0);
            image[at..at + 3].fill(value);
            assert_eq!(inspect_prefix(&image, true).dangers, [Danger::Malformed], "{at}");
        }
    }
}
