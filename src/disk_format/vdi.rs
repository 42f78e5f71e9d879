//! VDI (VirtualBox): <https://forums.virtualbox.org/viewtopic.php?t=8046>,
//! and `block/vdi.c` of QEMU.

use super::source::{Seen, le32, le64};
use super::{Danger, Findings};

const HEADER: usize = 512;
const SIGNATURE: u32 = 0xbeda_107f;
/// How many bytes must be seen to tell.
pub(super) const NEEDS: usize = 0x44;

pub(super) fn matches(head: &Seen) -> bool {
    le32(&head.bytes, 0x40) == Some(SIGNATURE)
}

pub(super) fn inspect(head: &Seen) -> Findings {
    let mut found = Findings::default();
    let header = &head.bytes;
    if header.len() < HEADER {
        found.missing(head);
    }
    found.virtual_size = le64(header, 0x170);
    // 1 is dynamic, 2 static, 3 an undo log, 4 differencing; beside it, the parent's UUID.
    let differs = matches!(le32(header, 0x4c), Some(3 | 4));
    let parent = header.get(0x1b8..0x1c8).is_some_and(|uuid| uuid.iter().any(|b| *b != 0));
    if differs || parent {
        found.danger(Danger::Parent);
    }
    found
}

#[cfg(test)]
pub(super) fn sample(kind: u32, size: u64) -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[0x40..0x44].copy_from_slice(&SIGNATURE.to_le_bytes());
    image[0x4c..0x50].copy_from_slice(&kind.to_le_bytes());
    image[0x170..0x178].copy_from_slice(&size.to_le_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::sample;
    use crate::disk_format::{Danger, DiskFormat, inspect_prefix};

    #[test]
    fn the_signature_is_at_0x40() {
        let found = inspect_prefix(&sample(1, 5 << 20), true);
        assert_eq!(found.format, DiskFormat::Vdi);
        assert_eq!(found.virtual_size, Some(5 << 20));
        assert_eq!(found.dangers, []);
    }

    #[test]
    fn a_differencing_image_has_a_parent() {
        assert_eq!(inspect_prefix(&sample(4, 1), true).dangers, [Danger::Parent]);
        let mut image = sample(1, 1);
        image[0x1c7] = 1;
        assert_eq!(inspect_prefix(&image, true).dangers, [Danger::Parent]);
    }
}
