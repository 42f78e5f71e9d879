//! ploop (Virtuozzo; QEMU says parallels): <https://www.qemu.org/docs/master/interop/parallels.html>.

use super::Findings;
use super::source::{Seen, le32, le64};

/// How many bytes must be seen to tell.
pub(super) const NEEDS: usize = 16;

const OLD: &[u8] = b"WithoutFreeSpace";
const EXTENDED: &[u8] = b"WithouFreSpacExt";

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(OLD) || head.bytes.starts_with(EXTENDED)
}

pub(super) fn inspect(head: &Seen) -> Findings {
    let header = &head.bytes;
    // The older kind uses only the lower half of the field.
    let sectors = match header.starts_with(OLD) {
        true => le32(header, 36).map(u64::from),
        false => le64(header, 36),
    };
    let virtual_size = sectors.and_then(|sectors| sectors.checked_mul(512));
    let mut found = Findings { virtual_size, ..Findings::default() };
    if found.virtual_size.is_none() {
        found.missing(head);
    }
    found
}
