//! Whether a declared disk format and the bytes go together.
//!
//! Glance (`glance/location.py`, `set_data`, with its default
//! `require_image_format_match`) looks at images in a `bare` container only
//! and answers 415 when the bytes are recognised as something else than
//! declared. It lets anything pass as `raw`, which is stricter here: a qcow2
//! that goes active as raw never boots.

use super::{DiskFormat, Inspection, PartitionTable};

/// What the bytes say to a declared format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in the bytes that could be seen speaks against it.
    Agrees,
    /// It may be meant, but is likely a mistake or likely to be refused: worth a warning.
    Doubtful(String),
    /// The bytes are certainly something else.
    Contradicts(String),
}

impl Inspection {
    /// Holds the declared `disk_format` and `container_format` against the bytes.
    ///
    /// Says nothing about [`Inspection::dangers`], which matter whatever was declared.
    pub fn verdict(&self, disk_format: &str, container_format: &str) -> Verdict {
        match container_format {
            "bare" => self.bare(disk_format),
            "ova" if !matches!(self.format, DiskFormat::Tar | DiskFormat::Ova) => {
                Verdict::Doubtful(format!("an ova is a tar archive, but the data is {}", self.format))
            }
            "compressed" if !self.format.is_packed() => {
                Verdict::Doubtful(format!("the container format says `compressed`, but the data is {}", self.format))
            }
            // Amazon's three never mix with `bare`, and nobody looks into the others.
            _ => Verdict::Agrees,
        }
    }

    fn bare(&self, declared: &str) -> Verdict {
        use DiskFormat::*;
        let unseen = self.format == Raw && self.maybe.iter().any(|format| format.glance_name() == Some(declared));
        if unseen || matches!(declared, "ami" | "aki" | "ari") {
            return Verdict::Agrees;
        }
        let actual = self.format;
        match (declared, actual) {
            ("raw", Raw | Luks) | ("luks", Luks) => Verdict::Agrees,
            ("raw", Iso) => Verdict::Doubtful(
                match self.partition_table {
                    Some(_) => "the data is a bootable iso, which newer clouds refuse as `raw`",
                    None => "the data is an iso without a partition table: it boots as `iso`, not as `raw`",
                }
                .to_owned(),
            ),
            ("raw", VhdFixed) => Verdict::Doubtful(
                "the data ends in the footer of a fixed vhd: as `raw`, the disk is 512 bytes too long".to_owned(),
            ),
            ("vhd", VhdFixed) => Verdict::Doubtful(
                "the data is a fixed vhd, which newer clouds do not recognise and refuse: \
                 convert it to a dynamic one"
                    .to_owned(),
            ),
            ("raw", _) if actual.is_packed() => {
                Verdict::Doubtful(format!("the data is {actual}: as `raw`, it is stored as it is and does not boot"))
            }
            ("raw", _) => Verdict::Contradicts(format!(
                "the data is {actual}, not `raw`: a cloud may take it, but nothing boots from it"
            )),
            (_, _) if actual.glance_name() == Some(declared) => Verdict::Agrees,
            ("gpt", Raw) if self.partition_table.is_some() => Verdict::Agrees,
            // A format that Glance cannot recognise may be in anything that it does not recognise.
            _ if !is_recognised(declared) && !is_recognised(self.glance_sees()) => match actual {
                Raw => Verdict::Agrees,
                _ => Verdict::Doubtful(format!("the data is {actual}, not `{declared}`")),
            },
            (_, Raw) if self.partition_table.is_some() => {
                Verdict::Contradicts(format!("the data is a partitioned raw disk, not `{declared}`"))
            }
            _ => Verdict::Contradicts(format!("the data is {actual}, not `{declared}`")),
        }
    }

    /// What Glance would call the bytes.
    fn glance_sees(&self) -> &'static str {
        use DiskFormat::*;
        match (self.format, self.partition_table) {
            (Luks, _) => "luks",
            (Qed, _) => "qed",
            (Qcow2 | Vmdk | Vhd | Vhdx | Vdi | Iso, _) => self.format.glance_name().unwrap_or("raw"),
            (_, Some(PartitionTable::Mbr | PartitionTable::Gpt)) => "gpt",
            (_, None) => "raw",
        }
    }
}

/// Whether Glance has a way to recognise the format.
fn is_recognised(name: &str) -> bool {
    matches!(name, "qcow2" | "vmdk" | "vhd" | "vhdx" | "vdi" | "iso" | "gpt" | "luks" | "qed")
}

#[cfg(test)]
mod tests {
    use super::Verdict;
    use crate::disk_format::{inspect_prefix, iso, partitions, qcow2, vhd};

    fn word(image: &[u8], declared: &str) -> &'static str {
        match inspect_prefix(image, true).verdict(declared, "bare") {
            Verdict::Agrees => "agrees",
            Verdict::Doubtful(_) => "doubtful",
            Verdict::Contradicts(_) => "contradicts",
        }
    }

    #[test]
    fn declarations_and_bytes() {
        let raw = vec![1; 70_000];
        let disk = partitions::sample(&[[0x80, 1, 1, 0, 0x83, 9, 9, 9, 0, 8, 0, 0, 0, 8, 0, 0]]);
        let qcow2 = qcow2::sample(3, 0, 1, 0);
        let iso = iso::sample(300);
        let mut hybrid = iso.clone();
        hybrid[510..512].copy_from_slice(b"\x55\xaa");
        let fixed = [raw.clone(), vhd::sample(2, 70_000)].concat();
        let ploop = ploop_sample();
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0";

        for (image, declared, expected) in [
            (&raw[..], "raw", "agrees"),
            (&raw, "qcow2", "contradicts"),
            (&raw, "iso", "contradicts"),
            (&raw, "gpt", "contradicts"),
            (&raw, "ploop", "agrees"),
            (&raw, "site-format", "agrees"),
            (&disk, "raw", "agrees"),
            (&disk, "gpt", "agrees"),
            (&disk, "qcow2", "contradicts"),
            (&disk, "ploop", "contradicts"),
            (&disk, "aki", "agrees"),
            (&qcow2, "qcow2", "agrees"),
            (&qcow2, "raw", "contradicts"),
            (&qcow2, "vmdk", "contradicts"),
            (&qcow2, "ploop", "contradicts"),
            (&qcow2, "ami", "agrees"),
            (&iso, "iso", "agrees"),
            (&iso, "raw", "doubtful"),
            (&hybrid, "iso", "agrees"),
            (&hybrid, "raw", "doubtful"),
            (&hybrid, "gpt", "contradicts"),
            (&fixed, "vhd", "doubtful"),
            (&fixed, "raw", "doubtful"),
            (&fixed, "vhdx", "contradicts"),
            (&ploop, "ploop", "agrees"),
            (&ploop, "raw", "contradicts"),
            (gzip, "raw", "doubtful"),
            (gzip, "ploop", "doubtful"),
            (gzip, "qcow2", "contradicts"),
        ] {
            assert_eq!(word(image, declared), expected, "{declared}");
        }
    }

    fn ploop_sample() -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[..16].copy_from_slice(b"WithouFreSpacExt");
        image
    }

    #[test]
    fn the_text_says_what_the_data_is() {
        let found = inspect_prefix(&qcow2::sample(3, 0, 1, 0), true);
        assert_eq!(
            found.verdict("raw", "bare"),
            Verdict::Contradicts(
                "the data is qcow2, not `raw`: a cloud may take it, but nothing boots from it".to_owned()
            )
        );
    }

    #[test]
    fn what_is_out_of_sight_is_not_held_against_a_declaration() {
        let start = inspect_prefix(&[1; 20_000], false);
        assert_eq!(start.verdict("iso", "bare"), Verdict::Agrees);
        assert!(matches!(start.verdict("qcow2", "bare"), Verdict::Contradicts(_)));
    }

    #[test]
    fn containers_other_than_bare_are_not_looked_into() {
        let raw = inspect_prefix(&[1; 1024], true);
        assert_eq!(raw.verdict("qcow2", "docker"), Verdict::Agrees);
        assert!(matches!(raw.verdict("vmdk", "ova"), Verdict::Doubtful(_)));
        assert!(matches!(raw.verdict("raw", "compressed"), Verdict::Doubtful(_)));
        let gzip = inspect_prefix(b"\x1f\x8b\x08\0\0\0\0\0", true);
        assert_eq!(gzip.verdict("raw", "compressed"), Verdict::Agrees);
    }
}
