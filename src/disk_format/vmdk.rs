//! VMDK: VMware's "Virtual Disk Format 5.0", and `block/vmdk.c` of QEMU for
//! what is accepted in the wild.
//!
//! A sparse image (magic `KDMV`) carries a text, the descriptor, at its second
//! sector; other kinds are the text alone, with the data in files that it
//! names. The text may name any file of the host, so each of its lines must be
//! one that we understand.

use super::source::{MAX_LOOK, Seen, Source, le32, le64};
use super::{Danger, Findings};

/// How many bytes decide whether a file is a text: what Glance looks at.
pub(super) const NEEDS: usize = super::HEAD;

const SECTOR: usize = 512;
const DESCRIPTOR: u64 = 512;
const GRAIN_DIRECTORY_AT_END: u64 = u64::MAX;
const FOOTER_MARKER: u32 = 3;
const END_OF_STREAM_MARKER: u32 = 0;

const SPARSE: &[u8] = b"KDMV";
/// The sparse extents of ESX, version 1.
const ESX_SPARSE: &[u8] = b"COWD\x01\0\0\0";
const FIRST_LINE: &[u8] = b"# disk descriptorfile";
const CREATE_TYPE: &str = "createtype=\"";

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(SPARSE) || head.bytes.starts_with(ESX_SPARSE) || is_descriptor(head)
}

pub(super) fn inspect<S: Source>(image: &mut S, head: &Seen) -> Result<Findings, S::Error> {
    let mut found = Findings::default();
    if head.bytes.starts_with(SPARSE) {
        inspect_sparse(image, head, &mut found)?;
    } else if head.bytes.starts_with(ESX_SPARSE) {
        found.danger(Danger::VmdkSubformat);
    } else {
        found.danger(Danger::VmdkDescriptorOnly);
        check_descriptor(text(&head.bytes), &mut found);
    }
    Ok(found)
}

/// Whether the file is a descriptor alone: by its first line, or, as Glance
/// has it, because its first sector is a text and has a `createType` before
/// any NUL. A sector that is partly out of sight is not called a text.
fn is_descriptor(head: &Seen) -> bool {
    let bytes = &head.bytes;
    let first_line = bytes.get(..FIRST_LINE.len());
    if first_line.is_some_and(|line| line.eq_ignore_ascii_case(FIRST_LINE)) {
        return true;
    }
    let sector = &bytes[..bytes.len().min(SECTOR)];
    let in_sight = if head.cut { sector.len() == SECTOR } else { sector.len() >= 64 };
    in_sight
        && sector.iter().all(|byte| matches!(byte, b' '..=b'~' | 9..=13 | 28..=31))
        && text(bytes).windows(CREATE_TYPE.len()).any(|window| window.eq_ignore_ascii_case(CREATE_TYPE.as_bytes()))
}

/// The text up to the zeros that fill its last sector.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn inspect_sparse<S: Source>(image: &mut S, head: &Seen, found: &mut Findings) -> Result<(), S::Error> {
    let header = &head.bytes;
    let (Some(version), Some(sectors), Some(start), Some(length), Some(directory)) =
        (le32(header, 4), le64(header, 12), le64(header, 28), le64(header, 36), le64(header, 56))
    else {
        found.missing(head);
        return Ok(());
    };
    if !matches!(version, 1..=3) {
        found.danger(Danger::Version);
        return Ok(());
    }
    if start.checked_mul(SECTOR as u64) != Some(DESCRIPTOR) {
        found.danger(Danger::VmdkNoDescriptor);
        return Ok(());
    }

    let length = length.saturating_mul(SECTOR as u64).min(MAX_LOOK as u64 - 1) as usize;
    let descriptor = image.at(DESCRIPTOR, length)?;
    if descriptor.bytes.len() < length && !(descriptor.cut && descriptor.bytes.contains(&0)) {
        found.missing(&descriptor);
    }
    if !descriptor.cut || descriptor.bytes.contains(&0) {
        check_descriptor(text(&descriptor.bytes), found);
    }
    // In another kind the header tells the size of one extent, not of the disk.
    let stands_alone =
        ![Danger::VmdkSubformat, Danger::VmdkNoDescriptor].iter().any(|danger| found.dangers.contains(danger));
    if stands_alone {
        found.virtual_size = sectors.checked_mul(SECTOR as u64);
        if found.virtual_size.is_none() {
            found.danger(Danger::Malformed);
        }
    }

    if directory == GRAIN_DIRECTORY_AT_END {
        let end = image.end(3 * SECTOR)?;
        if end.cut {
            found.unchecked = true;
        } else if !footer_agrees(header, &end.bytes) {
            found.danger(Danger::VmdkFooter);
        }
    }
    Ok(())
}

/// Whether the last three sectors are a footer marker, a second header that
/// tells the same as the first, and the marker of the end.
fn footer_agrees(header: &[u8], end: &[u8]) -> bool {
    if end.len() != 3 * SECTOR {
        return false;
    }
    let (marker, rest) = end.split_at(SECTOR);
    let (footer, last) = rest.split_at(SECTOR);
    let is_marker = |sector: &[u8], kind| {
        le32(sector, 8) == Some(0) && le32(sector, 12) == Some(kind) && sector[16..].iter().all(|byte| *byte == 0)
    };
    is_marker(marker, FOOTER_MARKER)
        && is_marker(last, END_OF_STREAM_MARKER)
        && le64(last, 0) == Some(0)
        // Magic and version, capacity, place and length of the descriptor. Oslo
        // does not compare the capacity, but QEMU takes the footer's.
        && [0..8, 12..20, 28..44].into_iter().all(|field| footer.get(field.clone()) == header.get(field))
        && le64(footer, 56) != Some(GRAIN_DIRECTORY_AT_END)
}

fn check_descriptor(text: &[u8], found: &mut Findings) {
    let Some(text) = std::str::from_utf8(text).ok().filter(|t| !t.is_empty() && t.is_ascii()) else {
        found.danger(Danger::VmdkNoDescriptor);
        return;
    };
    // Names and values are of any case.
    let text = text.to_ascii_lowercase();

    let kind = text.split_once(CREATE_TYPE).and_then(|(_, rest)| rest.split_once('"'));
    if !matches!(kind, Some(("monolithicsparse" | "streamoptimized", _))) {
        found.danger(Danger::VmdkSubformat);
    }
    // QEMU looks for this word anywhere in the text, and opens the file that follows it.
    if text.contains("parentfilenamehint") {
        found.danger(Danger::Parent);
    }

    let mut extents = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let first = line.split(' ').next().unwrap_or_default();
        if line.starts_with('#') || line.starts_with("ddb") {
            continue;
        } else if let Some((name, value)) = line.split_once('=').filter(|(n, _)| !n.contains(' ')) {
            if name == "parentcid" && value.trim() != "ffffffff" {
                found.danger(Danger::Parent);
            }
        } else if matches!(first, "rw" | "rdonly" | "noaccess") {
            extents += 1;
            if line.contains(['/', '\\']) {
                found.danger(Danger::VmdkExtentPath);
            }
        } else {
            found.danger(Danger::VmdkDescriptorLine);
        }
    }
    if extents == 0 {
        found.danger(Danger::VmdkNoExtent);
    }
}

#[cfg(test)]
pub(super) fn sample(sectors: u64, descriptor: &str) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..4].copy_from_slice(SPARSE);
    image[4..8].copy_from_slice(&1u32.to_le_bytes());
    image[12..20].copy_from_slice(&sectors.to_le_bytes());
    image[28..36].copy_from_slice(&1u64.to_le_bytes());
    image[36..44].copy_from_slice(&2u64.to_le_bytes());
    image[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    image
}

#[cfg(test)]
pub(super) const SPARSE_DESCRIPTOR: &str = "# Disk DescriptorFile\nversion=1\nCID=1\n\
    parentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\nRW 2048 SPARSE \"a.vmdk\"\n\
    ddb.adapterType = \"ide\"\n";

#[cfg(test)]
mod tests {
    use super::{SECTOR, SPARSE_DESCRIPTOR, sample};
    use crate::disk_format::{Danger, DiskFormat, Inspection, inspect_prefix};

    fn with(from: &str, to: &str) -> Inspection {
        assert!(SPARSE_DESCRIPTOR.contains(from));
        inspect_prefix(&sample(2048, &SPARSE_DESCRIPTOR.replace(from, to)), true)
    }

    #[test]
    fn a_sparse_image_is_safe() {
        for found in [with("\n", "\n"), with("\n", "\r\n"), with("monolithicSparse", "STREAMoptimized")] {
            assert_eq!(found.format, DiskFormat::Vmdk);
            assert_eq!(found.virtual_size, Some(1 << 20));
            assert_eq!(found.dangers, []);
        }
    }

    #[test]
    fn every_line_of_the_descriptor_counts() {
        for (from, to, danger) in [
            ("monolithicSparse", "monolithicFlat", Danger::VmdkSubformat),
            ("createType", "type", Danger::VmdkSubformat),
            ("a.vmdk", "/etc/passwd", Danger::VmdkExtentPath),
            ("a.vmdk", "..\\a", Danger::VmdkExtentPath),
            ("RW ", "#RW ", Danger::VmdkNoExtent),
            ("CID=1\n", "CID=1\nsurprise\n", Danger::VmdkDescriptorLine),
            ("CID=1\n", "CID=1\nparentFileNameHint=\"b\"\n", Danger::Parent),
            ("ffffffff", "12345678", Danger::Parent),
            ("CID=1\n", "CID=\u{e9}\n", Danger::VmdkNoDescriptor),
        ] {
            assert_eq!(with(from, to).dangers, [danger], "{to}");
        }
    }

    #[test]
    fn a_header_that_points_elsewhere_is_refused() {
        for (at, value, danger) in [
            (4, 9, Danger::Version),
            (28, 2, Danger::VmdkNoDescriptor),
            (36, 0, Danger::VmdkNoDescriptor),
            (19, 0xff, Danger::Malformed),
            (43, 0xff, Danger::Malformed),
        ] {
            let mut image = sample(2048, SPARSE_DESCRIPTOR);
            image[at] = value;
            assert_eq!(inspect_prefix(&image, true).dangers, [danger], "{at}");
        }
    }

    #[test]
    fn a_descriptor_alone_is_known_and_refused() {
        let short = "# Disk DescriptorFile\n\nRW 1 FLAT \"x\" 0\ncreateType=\"streamOptimized\"\n";
        let other = "RW 1 FLAT \"x\" 0\n".repeat(6) + "CreateType=\"streamOptimized\"\n";
        for text in [short, &other] {
            let found = inspect_prefix(text.as_bytes(), true);
            assert_eq!(found.format, DiskFormat::Vmdk);
            assert_eq!(found.dangers, [Danger::VmdkDescriptorOnly]);
            assert_eq!(found.virtual_size, None);
        }
        let prose = "a text about disks\n".repeat(10);
        assert_eq!(inspect_prefix(prose.as_bytes(), true).format, DiskFormat::Raw);
    }

    #[test]
    fn the_footer_must_agree_with_the_header() {
        let mut image = sample(2048, SPARSE_DESCRIPTOR);
        let mut end = vec![0; 3 * SECTOR];
        end[12] = 3;
        end[SECTOR..2 * SECTOR].copy_from_slice(&image[..SECTOR]);
        image[56..64].fill(0xff);
        let whole = [image.clone(), end.clone()].concat();
        assert_eq!(inspect_prefix(&whole, true).dangers, []);
        assert!(inspect_prefix(&whole, false).unchecked);

        assert_eq!(inspect_prefix(&image, true).dangers, [Danger::VmdkFooter]);
        for at in [8, 12, 100, SECTOR, SECTOR + 4, SECTOR + 12, SECTOR + 28, 2 * SECTOR, 3 * SECTOR - 1] {
            let mut end = end.clone();
            end[at] ^= 1;
            let found = inspect_prefix(&[image.clone(), end].concat(), true);
            assert_eq!(found.dangers, [Danger::VmdkFooter], "{at}");
        }
    }

    #[test]
    fn a_descriptor_that_is_partly_out_of_sight_is_not_judged() {
        let image = sample(2048, SPARSE_DESCRIPTOR);
        for seen in [40, 512, 560] {
            let found = inspect_prefix(&image[..seen], false);
            assert_eq!((found.unchecked, found.dangers.len()), (true, 0), "{seen}");
        }
        // The text ends at its first zero, so the rest need not be seen.
        assert!(!inspect_prefix(&image[..1000], false).unchecked);
    }
}
