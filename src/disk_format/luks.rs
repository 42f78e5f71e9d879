//! LUKS, a raw disk that is encrypted: <https://gitlab.com/cryptsetup/cryptsetup/-/wikis/Specification>.

use super::source::{Seen, be16, be32};
use super::{Danger, Findings};

/// The header of version 1 with its key slots.
const HEADER: usize = 592;

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(b"LUKS\xba\xbe")
}

/// `length` is that of the image: what follows the header is the disk.
pub(super) fn inspect(head: &Seen, length: Option<u64>) -> Findings {
    let mut found = Findings::default();
    let header = &head.bytes;
    if header.len() < HEADER {
        found.missing(head);
    }
    match be16(header, 6) {
        Some(1) => {
            let payload = be32(header, 104).map(|sectors| u64::from(sectors) * 512);
            found.virtual_size = length.zip(payload).and_then(|(all, own)| all.checked_sub(own));
            if length.is_some() && found.virtual_size.is_none() {
                found.danger(Danger::Malformed);
            }
        }
        Some(_) => found.danger(Danger::Version),
        None => {}
    }
    found
}

#[cfg(test)]
pub(super) fn sample(version: u16) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..6].copy_from_slice(b"LUKS\xba\xbe");
    image[6..8].copy_from_slice(&version.to_be_bytes());
    image[104..108].copy_from_slice(&4u32.to_be_bytes());
    image
}

#[cfg(test)]
mod tests {
    use super::sample;
    use crate::disk_format::{Danger, DiskFormat, inspect_prefix};

    #[test]
    fn the_disk_follows_the_header() {
        let found = inspect_prefix(&sample(1), true);
        assert_eq!(found.format, DiskFormat::Luks);
        assert_eq!(found.virtual_size, Some(4096 - 4 * 512));
        assert_eq!(found.dangers, []);
        assert_eq!(inspect_prefix(&sample(1), false).virtual_size, None);
    }

    #[test]
    fn glance_refuses_version_2() {
        assert_eq!(inspect_prefix(&sample(2), true).dangers, [Danger::Version]);
    }
}
