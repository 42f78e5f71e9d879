//! `image member …`

pub mod get;
pub mod list;

use crate::error::{Error, Kind};
use crate::image::{Fields, Image};
use crate::output::Record;

/// The fields of a member, in the order in which they are shown.
pub const COLUMNS: [&str; 6] = ["created_at", "image_id", "member_id", "schema", "status", "updated_at"];

/// The step to take where `image` is not shared with who was asked for.
pub fn not_a_member(error: Error, image: &Image) -> Error {
    match error.kind {
        Kind::NotFound => error.next(format!("`rimg image member list {}` shows whom it is shared with", image.id())),
        _ => error,
    }
}

/// A member as `openstack` shows it.
pub fn record(mut member: Fields) -> Record {
    if let Some(id) = member.remove("member_id").or_else(|| member.remove("member")) {
        member.insert("member_id".to_owned(), id);
    }
    Record::of(&member, &COLUMNS)
}
