//! All formats at once: what holds for each of them, and for bytes of none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Cursor;

use super::source::{MAX_LOOK, Seen, Source, Whole};
use super::*;

/// The formats, as small as they come.
fn samples() -> Vec<(DiskFormat, Vec<u8>)> {
    vec![
        (DiskFormat::Qcow2, qcow2::sample(3, 0, 1 << 20, 0)),
        (DiskFormat::Vmdk, vmdk::sample(2048, vmdk::SPARSE_DESCRIPTOR)),
        (DiskFormat::Vmdk, vmdk::SPARSE_DESCRIPTOR.as_bytes().to_vec()),
        (DiskFormat::Vhd, vhd::sample(3, 1 << 20)),
        (DiskFormat::VhdFixed, [vec![1; 4096], vhd::sample(2, 4096)].concat()),
        (DiskFormat::Vhdx, vhdx::sample(1 << 20, 0)),
        (DiskFormat::Vdi, vdi::sample(1, 1 << 20)),
        (DiskFormat::Iso, iso::sample(18)),
        (DiskFormat::Luks, luks::sample(1)),
        (DiskFormat::Raw, partitions::sample(&[])),
        (DiskFormat::Ploop, [&b"WithoutFreeSpace"[..], &[0; 100]].concat()),
        (DiskFormat::Qed, [&b"QED\0"[..], &[0; 100]].concat()),
        (DiskFormat::Bzip2, b"BZh91AY&SY".to_vec()),
        (DiskFormat::Raw, Vec::new()),
    ]
}

/// Counts what is read, to hold the bound that the module promises.
struct Counted<S> {
    source: S,
    looks: usize,
}

impl<S: Source> Source for Counted<S> {
    type Error = S::Error;

    fn length(&self) -> Option<u64> {
        self.source.length()
    }

    fn at(&mut self, offset: u64, count: usize) -> Result<Seen, S::Error> {
        self.looks += 1;
        let seen = self.source.at(offset, count)?;
        assert!(seen.bytes.len() <= count.min(MAX_LOOK));
        Ok(seen)
    }
}

/// Inspects as a file and as a stream; what both say must not differ.
fn inspect_every_way(image: &[u8]) -> Inspection {
    let mut counted = Counted { source: Whole::new(Cursor::new(image)).unwrap(), looks: 0 };
    let file = look(&mut counted).unwrap();
    assert!(counted.looks <= 5, "{} looks", counted.looks);
    assert!(file.is_conclusive());
    assert_eq!(inspect_prefix(image, true), file);

    let start = inspect_prefix(&image[..image.len().min(HEAD)], false);
    if start.format != file.format {
        assert!(start.maybe.contains(&file.format), "{:?} was a guess", start.format);
    }
    if start.format == file.format && !start.unchecked {
        assert_eq!(start.partition_table, file.partition_table);
    }
    file
}

/// A small generator of numbers (xorshift), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[test]
fn each_format_is_recognised_in_a_file_and_in_a_stream() {
    for (format, image) in samples() {
        assert_eq!(inspect_every_way(&image).format, format);
    }
}

#[test]
fn the_start_of_a_stream_is_never_guessed() {
    for (format, image) in samples() {
        for length in (0..image.len().min(600)).chain([32_768, 34_815, 34_816, 200_000]) {
            let start = inspect_prefix(&image[..length.min(image.len())], false);
            assert!(
                start.format == format || start.maybe.contains(&format),
                "{length} bytes of {format:?} are called {:?}",
                start.format
            );
        }
    }
}

#[test]
fn a_text_that_goes_on_as_something_else_is_not_called_a_descriptor() {
    let text = "createType=\"x\"\n".repeat(10);
    let image = [text.as_bytes(), &[0; 1024]].concat();
    assert_eq!(inspect_every_way(&image).format, DiskFormat::Raw);
    let start = inspect_prefix(&image[..text.len()], false);
    assert_eq!(start.format, DiskFormat::Raw);
    assert!(start.maybe.contains(&DiskFormat::Vmdk));
}

#[test]
fn a_file_cut_anywhere_is_inspected_without_harm() {
    for (_, image) in samples() {
        for length in (0..image.len().min(1100)).chain((0..image.len()).step_by(997)) {
            inspect_every_way(&image[..length]);
        }
    }
}

#[test]
fn mutated_headers_are_inspected_without_harm() {
    let mut random = Random(0x5eed);
    for (_, image) in samples() {
        // The places where something is parsed, not the space between them.
        let places: Vec<usize> =
            (0..image.len()).filter(|at| *at < 1200 || image[*at] != 0 || *at + 64 > image.len()).collect();
        for _ in 0..400 {
            let mut mutant = image.clone();
            for _ in 0..=random.below(6) {
                if !places.is_empty() {
                    let at = places[random.below(places.len())];
                    mutant[at] = [0, 0xff, 0x7f, random.below(256) as u8][random.below(4)];
                }
            }
            inspect_every_way(&mutant);
        }
    }
}

#[test]
fn arbitrary_bytes_are_inspected_without_harm() {
    let mut random = Random(0xb17e5);
    for _ in 0..200 {
        let length = random.below(40_000);
        let image: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        inspect_every_way(&image);
    }
}

#[test]
fn bytes_valid_in_two_formats_are_dangerous() {
    let mut image = iso::sample(18);
    image[..80].copy_from_slice(&qcow2::sample(3, 0, 1, 0)[..80]);
    let found = inspect_every_way(&image);
    assert_eq!(found.format, DiskFormat::Qcow2);
    assert_eq!(found.dangers, [Danger::SeveralFormats]);

    let mut image = qcow2::sample(3, 0, 1, 0);
    image[510..512].copy_from_slice(b"\x55\xaa");
    assert_eq!(inspect_every_way(&image).dangers, [Danger::SeveralFormats]);
}
