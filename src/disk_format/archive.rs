//! What people upload by mistake, or in a container: compressed data and archives.
//! Glance sees raw bytes in all of them.

use super::DiskFormat;

/// How many bytes must be seen to tell: the first header of a tar archive.
pub(super) const NEEDS: usize = 512;

/// All that [`detect`] knows.
pub(super) const ALL: [DiskFormat; 9] = [
    DiskFormat::Gzip,
    DiskFormat::Xz,
    DiskFormat::Zstd,
    DiskFormat::Bzip2,
    DiskFormat::Lz4,
    DiskFormat::Zip,
    DiskFormat::SevenZip,
    DiskFormat::Tar,
    DiskFormat::Ova,
];

/// The compression or archive that these bytes begin with.
pub(super) fn detect(head: &[u8]) -> Option<DiskFormat> {
    Some(match head {
        // Deflate is the one method there is, and the upper flags are reserved (RFC 1952).
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => DiskFormat::Gzip,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => DiskFormat::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => DiskFormat::Zstd,
        // The digits of pi begin a block; an empty file has none.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => DiskFormat::Bzip2,
        [0x04, 0x22, 0x4d, 0x18, ..] => DiskFormat::Lz4,
        [b'P', b'K', 3, 4, ..] => DiskFormat::Zip,
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => DiskFormat::SevenZip,
        _ if head.len() >= NEEDS && &head[257..262] == b"ustar" => match first_name(head) {
            // The descriptor comes first in an OVA (DMTF DSP0243, 5.3).
            [.., b'.', b'o' | b'O', b'v' | b'V', b'f' | b'F'] => DiskFormat::Ova,
            _ => DiskFormat::Tar,
        },
        _ => return None,
    })
}

fn first_name(head: &[u8]) -> &[u8] {
    let field = head.get(..100).unwrap_or_default();
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::detect;
    use crate::disk_format::{DiskFormat, inspect_prefix};

    #[test]
    fn beginnings_are_known() {
        for (head, format) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0"[..], DiskFormat::Gzip),
            (b"\xfd7zXZ\0\0\x04", DiskFormat::Xz),
            (b"\x28\xb5\x2f\xfd\x04", DiskFormat::Zstd),
            (b"BZh91AY&SY", DiskFormat::Bzip2),
            (b"\x04\x22\x4d\x18d", DiskFormat::Lz4),
            (b"PK\x03\x04\x14", DiskFormat::Zip),
            (b"7z\xbc\xaf\x27\x1c\0\x04", DiskFormat::SevenZip),
        ] {
            let found = inspect_prefix(head, true);
            assert_eq!((found.format, found.virtual_size), (format, None));
        }
        // A text that begins with "BZh" is a text.
        assert_eq!(detect(b"BZh9 is how bzip2 begins"), None);
    }

    #[test]
    fn an_ova_is_a_tar_whose_first_file_is_the_descriptor() {
        let mut tar = vec![0; 1024];
        tar[257..262].copy_from_slice(b"ustar");
        tar[..5].copy_from_slice(b"a.img");
        assert_eq!(detect(&tar), Some(DiskFormat::Tar));
        tar[..5].copy_from_slice(b"a.ovf");
        assert_eq!(detect(&tar), Some(DiskFormat::Ova));
    }
}
