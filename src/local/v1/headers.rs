//! The metadata of an image that a request brings, read from its headers:
//! `x-image-meta-NAME` for what every image has, `x-image-meta-property-NAME`
//! for the rest. Bytes of clients: each header is read within the limits of the
//! request, and what makes no sense is refused (400) before anything is done.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::local::failure::{Failure, Result};
use crate::local::filter::instant;
use crate::local::pipeline::Facts;
use crate::local::registry::{Image, Visibility};
use crate::local::settings::Settings;

const META: &str = "x-image-meta-";
const PROPERTY: &str = "property_";

/// A header of so many bytes is too long, name and value together.
const LINE: usize = 16 * 1024 - 4;

/// The fields that a request may name, whether they are of use or not.
const FIELDS: [&str; 22] = [
    "location",
    "size",
    "is_public",
    "disk_format",
    "container_format",
    "name",
    "status",
    "copy_from",
    "uri",
    "checksum",
    "created_at",
    "updated_at",
    "deleted_at",
    "min_ram",
    "min_disk",
    "owner",
    "store",
    "id",
    "protected",
    "deleted",
    "virtual_size",
    "properties",
];

/// Formats of Amazon, which name the disk and the container at once.
const AMAZON: [&str; 3] = ["aki", "ari", "ami"];

/// A field that was given: `None` if it is to be nothing.
type Given<T> = Option<Option<T>>;

/// What the headers say of an image; the outer `None` is what they do not name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// The ID.
    pub id: Given<String>,
    /// The name.
    pub name: Given<String>,
    /// What the data is.
    pub disk_format: Given<String>,
    /// What the data is wrapped in.
    pub container_format: Given<String>,
    /// The length of the data in bytes.
    pub size: Option<u64>,
    /// The size in bytes of the disk that a machine sees.
    pub virtual_size: Given<u64>,
    /// The MD5 that the data has, or is to have.
    pub checksum: Given<String>,
    /// The disk that it needs, in GiB.
    pub min_disk: Option<i64>,
    /// The memory that it needs, in MiB.
    pub min_ram: Option<i64>,
    /// Whether everybody sees it.
    pub is_public: Option<bool>,
    /// Whether it is safe from being deleted.
    pub protected: Option<bool>,
    /// The project that it belongs to.
    pub owner: Given<String>,
    /// Where it is in its life.
    pub status: Given<String>,
    /// The store that the data is to go to.
    pub store: Given<String>,
    /// Where the data is, and stays.
    pub location: Given<String>,
    /// In microseconds since 1970, UTC.
    pub created_at: Option<i64>,
    /// In microseconds since 1970, UTC.
    pub updated_at: Option<i64>,
    /// Everything else, by names in lower case with `_` for `-`.
    pub properties: BTreeMap<String, String>,
}

impl Meta {
    /// Reads and checks what the headers say.
    pub fn read(settings: &Settings, headers: &HeaderMap) -> Result<Self> {
        let mut meta = Meta::default();
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in headers {
            let name = name.as_str();
            if name.len() + value.len() >= LINE {
                return bad("Header Line Too Long");
            }
            let Some(field) = name.strip_prefix(META) else { continue };
            let value = std::str::from_utf8(value.as_bytes());
            let value = value.map_err(|_| Failure::bad_request(format!("The header {name} is not UTF-8.")))?;
            // One that comes twice is a list (<https://www.rfc-editor.org/rfc/rfc9110#field.lines>), however it is written.
            let so_far = given.entry(field.replace('-', "_"));
            so_far.and_modify(|list| *list = format!("{list},{value}")).or_insert_with(|| value.to_owned());
        }
        let mut fields: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (name, value) in given {
            if let Some(property) = name.strip_prefix(PROPERTY) {
                meta.properties.insert(property.to_owned(), value);
            } else if !FIELDS.contains(&name.as_str()) || name == "properties" {
                return bad(format!("Bad header: {META}{}", name.replace('_', "-")));
            } else {
                fields.insert(name, Some(value).filter(|value| !value.is_empty()));
            }
        }
        let mut text = |field: &str| fields.remove(field);
        meta.size = number("size", text("size"))?.map(i64::unsigned_abs);
        meta.min_disk = number("min_disk", text("min_disk"))?;
        meta.min_ram = number("min_ram", text("min_ram"))?;
        meta.virtual_size = match text("virtual_size") {
            Some(Some(word)) if word == "None" => Some(None),
            given => number("virtual_size", given)?.map(|size| Some(size.unsigned_abs())),
        };
        let yes = |given: Given<String>| given.map(|word| is_yes(&word.unwrap_or_default()));
        meta.is_public = yes(text("is_public"));
        meta.protected = yes(text("protected"));
        meta.id = text("id").filter(Option::is_some);
        meta.name = text("name");
        meta.disk_format = text("disk_format");
        meta.container_format = text("container_format");
        meta.checksum = text("checksum");
        meta.owner = text("owner");
        meta.status = text("status");
        meta.store = text("store");
        meta.location = text("location");
        meta.check_formats(settings)?;
        meta.created_at = time("created_at", text("created_at"))?;
        meta.updated_at = time("updated_at", text("updated_at"))?;
        // Not for clients to say, but it must make sense.
        time("deleted_at", text("deleted_at"))?;
        meta.check()?;
        Ok(meta)
    }

    /// Refuses formats that there are not; one of Amazon's fills in the other.
    pub fn check_formats(&mut self, settings: &Settings) -> Result<()> {
        let known = |given: &Given<String>, formats: &[String]| match given {
            Some(Some(format)) => formats.contains(format),
            Some(None) => false,
            None => true,
        };
        let shown = |given: &Given<String>| given.clone().flatten().unwrap_or_else(|| "None".to_owned());
        if !known(&self.disk_format, &settings.disk_formats) {
            return bad(format!("Invalid disk format '{}' for image.", shown(&self.disk_format)));
        }
        if !known(&self.container_format, &settings.container_formats) {
            return bad(format!("Invalid container format '{}' for image.", shown(&self.container_format)));
        }
        let (disk, container) = (self.disk_format.clone().flatten(), self.container_format.clone().flatten());
        if [&disk, &container].into_iter().flatten().any(|format| AMAZON.contains(&format.as_str())) {
            match (disk, container) {
                (None, container) => self.disk_format = Some(container),
                (disk, None) => self.container_format = Some(disk),
                (disk, container) if disk != container => {
                    return bad(
                        "Invalid mix of disk and container formats. When setting a disk or container format to one of \
                         'aki', 'ari', or 'ami', the container and disk formats must match.",
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if let Some(Some(name)) = &self.name
            && name.chars().count() > 255
        {
            return bad(format!("Image name too long: {}", name.chars().count()));
        }
        if let Some(Some(checksum)) = &self.checksum
            && checksum.chars().count() > 32
        {
            return bad(format!("Invalid checksum '{checksum}': can't exceed 32 characters"));
        }
        Ok(())
    }

    /// Refuses numbers that the registry does not hold: more than 31 bits.
    pub fn check_storable(&self) -> Result<()> {
        for (name, value) in [("min_disk", self.min_disk), ("min_ram", self.min_ram)] {
            if value.is_some_and(|value| value > i64::from(i32::MAX)) {
                return bad(format!("'{name}' value out of range, must not exceed {}.", i32::MAX));
            }
        }
        Ok(())
    }

    /// What the data must be.
    pub fn facts(image: &Image) -> Facts {
        Facts {
            size: image.size.filter(|size| *size > 0),
            checksum: image.checksum.clone().filter(|checksum| !checksum.is_empty()),
        }
    }

    /// Makes `image` what the headers say, as far as they may say it of any
    /// image; properties that they do not name stay.
    pub fn apply(&self, image: &mut Image, is_admin: bool) {
        fn set<T: Clone>(to: &mut T, given: &Option<T>) {
            if let Some(given) = given {
                to.clone_from(given);
            }
        }
        set(&mut image.name, &self.name);
        set(&mut image.disk_format, &self.disk_format);
        set(&mut image.container_format, &self.container_format);
        set(&mut image.checksum, &self.checksum);
        set(&mut image.virtual_size, &self.virtual_size);
        set(&mut image.min_disk, &self.min_disk);
        set(&mut image.min_ram, &self.min_ram);
        set(&mut image.protected, &self.protected);
        image.size = self.size.or(image.size);
        if is_admin {
            set(&mut image.owner, &self.owner);
        }
        // v1 knows only who may see it: everybody, or whom it is shared with.
        match self.is_public {
            Some(true) => image.visibility = Visibility::Public,
            Some(false) => image.visibility = Visibility::Shared,
            None => {}
        }
        for (name, value) in &self.properties {
            image.properties.insert(name.clone(), value.clone());
        }
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Failure::bad_request(message.into()))
}

/// A number that is not negative.
fn number(name: &str, given: Given<String>) -> Result<Option<i64>> {
    let Some(value) = given else { return Ok(None) };
    let value = value.unwrap_or_else(|| "None".to_owned());
    let invalid = |what: String| bad(format!("Invalid value '{value}' for parameter '{name}': {what}"));
    match value.trim().parse::<i128>() {
        Ok(number) if number < 0 => invalid("Cannot be a negative value.".to_owned()),
        // One that is too large to hold is too large for all that it is compared with.
        Ok(number) => Ok(Some(i64::try_from(number).unwrap_or(i64::MAX))),
        Err(_) => invalid(format!("Cannot convert image {name} '{value}' to an integer.")),
    }
}

/// Yes or no in the words of oslo.utils; what is neither is no.
pub fn is_yes(word: &str) -> bool {
    matches!(word.trim().to_lowercase().as_str(), "1" | "t" | "true" | "on" | "y" | "yes")
}

/// A time since 1900.
fn time(name: &str, given: Given<String>) -> Result<Option<i64>> {
    /// The first moment of 1900, in microseconds since 1970.
    const EARLIEST: i64 = -2_208_988_800_000_000;
    let Some(Some(text)) = given else { return Ok(None) };
    match instant(&text) {
        Some(time) if time >= EARLIEST => Ok(Some(time)),
        _ => bad(format!("Invalid time format for {name}.")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read(headers: &[(&str, &[u8])]) -> std::result::Result<Meta, String> {
        let pair = |(name, value): &(&str, &[u8])| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap())
        };
        let headers: HeaderMap = headers.iter().map(pair).collect();
        Meta::read(&Settings::default(), &headers).map_err(|failure| {
            assert_eq!(failure.status.as_u16(), 400);
            failure.cause().to_owned()
        })
    }

    #[test]
    fn names_are_read_however_they_are_written() {
        let meta = read(&[
            ("X-Image-Meta-Is-Public", b"Yes"),
            ("x-image-meta-disk_format", b"raw"),
            ("X-Image-Meta-Min-Ram", b" 12 "),
            ("x-image-meta-Property-Os-Distro", "größe".as_bytes()),
            ("x-image-meta-name", b""),
            ("x-image-meta-virtual_size", b"None"),
            ("x-image-meta-created_at", b"2020-01-01T00:00:00"),
            ("x-image", b"other"),
            ("content-type", b"text/plain"),
        ])
        .unwrap();
        assert_eq!(meta.is_public, Some(true));
        assert_eq!(meta.disk_format, Some(Some("raw".into())));
        assert_eq!((meta.min_ram, meta.min_disk), (Some(12), None));
        assert_eq!(meta.properties, [("os_distro".to_owned(), "größe".to_owned())].into());
        assert_eq!((meta.name, meta.virtual_size), (Some(None), Some(None)));
        assert_eq!(meta.created_at, Some(1_577_836_800_000_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_a_line() {
        let long = "é".repeat(256);
        for (name, value, words) in [
            ("foo", "1", "Bad header: x-image-meta-foo"),
            ("properties", "1", "Bad header: x-image-meta-properties"),
            ("", "1", "Bad header: x-image-meta-"),
            ("size", "x", "Cannot convert image size 'x' to an integer."),
            ("size", "", "Cannot convert image size 'None' to an integer."),
            ("size", &"9".repeat(99), "Cannot convert image size"),
            ("min-disk", "-1", "'min_disk': Cannot be a negative value."),
            ("min_ram", "1.5", "Cannot convert image min_ram"),
            ("virtual_size", "-1", "Cannot be a negative value."),
            ("disk_format", "tape", "Invalid disk format 'tape' for image."),
            ("disk_format", "", "Invalid disk format 'None' for image."),
            ("container_format", "box", "Invalid container format 'box' for image."),
            ("created_at", "yesterday", "Invalid time format for created_at."),
            ("deleted_at", "1899-12-31T23:59:59", "Invalid time format for deleted_at."),
            ("name", &long, "Image name too long: 256"),
            ("checksum", &"0".repeat(33), "can't exceed 32 characters"),
            ("name", &"x".repeat(LINE), "Header Line Too Long"),
        ] {
            let refused = read(&[(&format!("{META}{name}"), value.as_bytes())]).unwrap_err();
            assert!(refused.contains(words) && !refused.contains('\n'), "{name} {value}: {refused}");
        }
        assert!(read(&[("x-image-meta-name", b"\xff")]).unwrap_err().contains("is not UTF-8"));
        assert!(read(&[("x-image-meta-name", &long.as_bytes()[2..])]).is_ok());
        assert!(read(&[("x-image-meta-name", "\u{1f600}".as_bytes())]).is_ok());
    }

    #[test]
    fn a_header_that_comes_twice_is_a_list() {
        let twice = read(&[("x-image-meta-property-a-b", b"1"), ("x-image-meta-property-a_b", b"2")]).unwrap();
        assert_eq!(twice.properties, [("a_b".to_owned(), "1,2".to_owned())].into());
        assert!(read(&[("x-image-meta-size", b"1"), ("x-image-meta-size", b"2")]).unwrap_err().contains("'1,2'"));
    }

    #[test]
    fn formats_of_amazon_come_in_pairs() {
        let formats = |headers: &[(&str, &[u8])]| {
            read(headers).map(|meta| (meta.disk_format.flatten(), meta.container_format.flatten()))
        };
        let both = Ok((Some("ari".to_owned()), Some("ari".to_owned())));
        assert_eq!(formats(&[("x-image-meta-disk_format", b"ari")]), both);
        assert_eq!(formats(&[("x-image-meta-container_format", b"ari")]), both);
        assert!(formats(&[("x-image-meta-disk_format", b"ari"), ("x-image-meta-container_format", b"bare")]).is_err());
    }

    #[test]
    fn yes_is_yes_and_all_else_is_no() {
        for (word, yes) in [("true", true), ("ON", true), (" 1 ", true), ("no", false), ("", false), ("maybe", false)] {
            assert_eq!(is_yes(word), yes, "{word}");
        }
    }
}
