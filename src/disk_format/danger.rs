//! Why bytes should not be handed to a cloud.
//!
//! Most of these are the safety checks of oslo.utils
//! ([`imageutils`](https://docs.openstack.org/oslo.utils/latest/reference/imageutils.html)),
//! which Glance answers with 415 whatever disk format was declared. Those
//! marked *stricter* pass there; we still say them, because such an image
//! either depends on another file or cannot work.

use std::fmt;

/// One reason why an image is not safe, or not able to stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    /// A qcow2 that names a backing file: opening it opens any file of the host.
    BackingFile,
    /// A qcow2 whose data is in another file.
    DataFile,
    /// A qcow2 with extended L2 entries: sound, but Glance does not know them.
    ExtendedL2,
    /// A qcow2 with incompatible features that the format does not define yet.
    UnknownFeatures,
    /// A qcow2 that its writer marked as corrupt. *Stricter.*
    MarkedCorrupt,
    /// A version of the format that Glance does not accept (qcow 1, LUKS 2 …).
    Version,
    /// A format that is never accepted: QED.
    Banned,
    /// A VHD, VHDX, VDI or VMDK that holds only the changes to another image.
    /// *Stricter.*
    Parent,
    /// A VMDK of another kind than monolithicSparse or streamOptimized.
    VmdkSubformat,
    /// A VMDK that is only the description of a disk that lies in other files.
    VmdkDescriptorOnly,
    /// A sparse VMDK without a readable descriptor at its place.
    VmdkNoDescriptor,
    /// A VMDK descriptor with a line of no known sort.
    VmdkDescriptorLine,
    /// A VMDK descriptor that names no extent.
    VmdkNoExtent,
    /// A VMDK extent whose name is a path (oslo looks for `/`, we also for `\`).
    VmdkExtentPath,
    /// A VMDK whose footer is missing or disagrees with its header.
    VmdkFooter,
    /// A boot sector with a partition whose boot flag is neither 0x00 nor 0x80.
    BootFlag,
    /// A protective MBR whose partition does not start where GPT says.
    ProtectiveMbrStart,
    /// A protective MBR with partitions beside the protective one.
    ProtectiveMbrExtra,
    /// A boot sector that defines no partition.
    NoPartition,
    /// The bytes are valid in two formats at once (other than a bootable ISO).
    SeveralFormats,
    /// The headers end early or contradict themselves: mostly a file that was cut
    /// short. Glance refuses some of them, or lets them pass without a size.
    Malformed,
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Danger::BackingFile => "it needs a backing file, which may be any file of the host",
            Danger::DataFile => "its data is in another file",
            Danger::ExtendedL2 => "it uses extended L2 entries, which glance refuses",
            Danger::UnknownFeatures => "it uses qcow2 features that are not known",
            Danger::MarkedCorrupt => "it is marked as corrupt",
            Danger::Version => "it is of a version of its format that glance refuses",
            Danger::Banned => "glance never accepts this format",
            Danger::Parent => "it holds only the changes to another image",
            Danger::VmdkSubformat => "it is a vmdk of another kind than monolithicSparse or streamOptimized",
            Danger::VmdkDescriptorOnly => "it only describes a vmdk disk, the data is in other files",
            Danger::VmdkNoDescriptor => "the descriptor of the vmdk is missing or not readable",
            Danger::VmdkDescriptorLine => "the descriptor of the vmdk has a line of no known sort",
            Danger::VmdkNoExtent => "the descriptor of the vmdk names no extent",
            Danger::VmdkExtentPath => "an extent of the vmdk is named by a path",
            Danger::VmdkFooter => "the footer of the vmdk is missing or disagrees with its header",
            Danger::BootFlag => "a partition in its boot sector has an invalid boot flag",
            Danger::ProtectiveMbrStart => "its protective MBR does not start where GPT says",
            Danger::ProtectiveMbrExtra => "its protective MBR has further partitions",
            Danger::NoPartition => "its boot sector defines no partition, which glance refuses",
            Danger::SeveralFormats => "it is valid in several formats at once",
            Danger::Malformed => "its headers end early or contradict themselves",
        })
    }
}
