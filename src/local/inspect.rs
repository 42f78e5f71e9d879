//! What the bytes of an image are, held against what was declared of them.

use std::io::{BufReader, Read, Seek};

use super::failure::{Failure, Result, storage};
use super::registry::Image;
use crate::disk_format::{self, Danger, DiskFormat, Inspection};

/// Looks into the data: what it is must be what was declared, and safe to
/// hand on. Answers with the size of the disk in it. What is inside a container
/// is not looked into, as Glance does not.
pub fn inspect(data: impl Read + Seek, image: &Image, size: u64) -> Result<Option<u64>> {
    if image.container_format.as_deref() != Some("bare") {
        return Ok(None);
    }
    let declared = image.disk_format.as_deref().unwrap_or_default();
    let found = disk_format::inspect(BufReader::new(data)).map_err(storage)?;
    // A bootable ISO may be an ISO, but not whatever one likes.
    let is_bootable_iso = found.format == DiskFormat::Iso && found.partition_table.is_some();
    if found.dangers.contains(&Danger::SeveralFormats) || (is_bootable_iso && declared == "raw") {
        return Err(Failure::unsupported_media_type("Multiple formats detected in the data"));
    }
    let seen = glance_sees(&found);
    let virtual_size = if seen == declared {
        found.virtual_size
    } else if declared == "raw" {
        // Taken at its word: the disk is what the bytes are.
        Some(size)
    } else if seen == "raw" && !RECOGNISED.contains(&declared) {
        None
    } else {
        let words = format!("Image disk_format {declared} does not match stream data {seen}");
        return Err(Failure::unsupported_media_type(words));
    };
    // Of these Glance knows nothing; and the boot sector of a kernel may be anything.
    let is_kernel = seen == "gpt" && matches!(declared, "aki" | "ari");
    let is_harmless = |danger: &Danger| match danger {
        Danger::MarkedCorrupt | Danger::Parent => true,
        Danger::Malformed => found.format == DiskFormat::Vhd,
        _ => is_kernel,
    };
    match found.dangers.iter().all(is_harmless) {
        true => Ok(virtual_size.filter(|size| *size > 0)),
        false => Err(Failure::unsupported_media_type("Image failed safety checks")),
    }
}

/// The formats that Glance recognises.
const RECOGNISED: [&str; 10] = ["raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "qed", "iso", "gpt", "luks"];

/// What Glance calls the data.
fn glance_sees(found: &Inspection) -> &'static str {
    match found.format {
        DiskFormat::Luks => "luks",
        DiskFormat::Qed => "qed",
        DiskFormat::Qcow2 => "qcow2",
        DiskFormat::Vmdk => "vmdk",
        DiskFormat::Vhd => "vhd",
        DiskFormat::Vhdx => "vhdx",
        DiskFormat::Vdi => "vdi",
        DiskFormat::Iso => "iso",
        _ if found.partition_table.is_some() => "gpt",
        _ => "raw",
    }
}
