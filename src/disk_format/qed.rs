//! QED, given up by QEMU for qcow2 and never accepted by Glance:
//! <https://www.qemu.org/docs/master/interop/qed_spec.html>.

use super::source::{Seen, le64};
use super::{Danger, Findings};

pub(super) fn matches(head: &Seen) -> bool {
    head.bytes.starts_with(b"QED\0")
}

pub(super) fn inspect(head: &Seen) -> Findings {
    let mut found = Findings { virtual_size: le64(&head.bytes, 48), ..Findings::default() };
    found.danger(Danger::Banned);
    found
}
