//! How much of what one may have.

use super::failure::{Failure, Result};
use super::registry::{Image, Session};

/// How much of what one may have. A negative number is no limit.
#[derive(Debug, Clone)]
pub struct Quota {
    /// Properties of an image.
    pub properties: i64,
    /// Tags of an image.
    pub tags: i64,
    /// Members of an image.
    pub members: i64,
    /// Stores that an image's data may be in.
    pub locations: i64,
    /// Bytes of one image.
    pub image_size: u64,
    /// Bytes of all images of a project, over all stores; `None` is no limit.
    pub user_storage: Option<u64>,
}

/// Glance's defaults.
impl Default for Quota {
    fn default() -> Self {
        Quota { properties: 128, tags: 128, members: 128, locations: 10, image_size: 1 << 40, user_storage: None }
    }
}

/// The most bytes of data that may come, and what is said when it is more.
#[derive(Debug, Clone)]
pub struct Room {
    /// The most bytes that may come.
    pub bytes: u64,
    words: &'static str,
}

impl Room {
    /// Refuses (413) data of so many bytes that are too many.
    pub fn check(&self, bytes: u64) -> Result<()> {
        match bytes > self.bytes {
            true => Err(Failure::too_large(self.words)),
            false => Ok(()),
        }
    }
}

impl Quota {
    /// Refuses (413) an image with too many properties; what the service
    /// itself notes on it does not count.
    pub fn check_properties(&self, image: &Image) -> Result<()> {
        let count = image.properties.keys().filter(|name| !name.starts_with("os_glance")).count();
        within(count, self.properties).or(Err(too_many("properties.", count, self.properties)))
    }

    /// Refuses (413) an image with too many tags.
    pub fn check_tags(&self, image: &Image) -> Result<()> {
        let count = image.tags.len();
        within(count, self.tags).or(Err(too_many("tags.", count, self.tags)))
    }

    /// Refuses (413) one member more than `members`, if they are enough.
    pub fn check_members(&self, members: usize) -> Result<()> {
        let count = members + 1;
        within(count, self.members).or(Err(too_many("members for this image.", count, self.members)))
    }

    /// How much data `project` has room for in `image`. As in Glance it is whoever
    /// sends the data that counts, be the image another's.
    pub fn room(&self, session: &Session, project: Option<&str>, image: &Image) -> Result<Room> {
        let room =
            Room { bytes: self.image_size, words: "The incoming image is too large: The provided image is too large." };
        let (Some(total), Some(project)) = (self.user_storage, project) else { return Ok(room) };
        let left = total.saturating_sub(session.usage(project, &image.id)?);
        Ok(match left < room.bytes {
            true => Room { bytes: left, words: "Image exceeds the storage quota" },
            false => room,
        })
    }
}

fn within(count: usize, maximum: i64) -> std::result::Result<(), ()> {
    match usize::try_from(maximum) {
        Ok(maximum) if count > maximum => Err(()),
        _ => Ok(()),
    }
}

fn too_many(what: &str, attempted: usize, maximum: i64) -> Failure {
    Failure::too_large(format!(
        "The limit has been exceeded on the number of allowed image {what} Attempted: {attempted}, Maximum: {maximum}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_negative_number_is_no_limit() {
        let mut image = Image::new("i".into());
        image.tags = (0..3).map(|n| n.to_string()).collect();
        for (tags, good) in [(3, true), (2, false), (0, false), (-1, true)] {
            assert_eq!(Quota { tags, ..Quota::default() }.check_tags(&image).is_ok(), good, "{tags}");
        }
        assert!(Quota { members: 2, ..Quota::default() }.check_members(1).is_ok());
        assert!(Quota { members: 2, ..Quota::default() }.check_members(2).is_err());
    }

    #[test]
    fn what_the_service_notes_does_not_count() {
        let mut image = Image::new("i".into());
        image.properties = ["a", "os_glance_import_task"].map(|name| (name.to_owned(), String::new())).into();
        assert!(Quota { properties: 1, ..Quota::default() }.check_properties(&image).is_ok());
        assert!(Quota { properties: 0, ..Quota::default() }.check_properties(&image).is_err());
    }
}
