//! `image member …`

pub mod get;
pub mod list;

use crate::image::Fields;
use crate::output::Record;

/// The fields of a member, in the order in which they are shown.
pub const COLUMNS: [&str; 6] = ["created_at", "image_id", "member_id", "schema", "status", "updated_at"];

/// A member as `openstack` shows it.
pub fn record(mut member: Fields) -> Record {
    if let Some(id) = member.remove("member_id").or_else(|| member.remove("member")) {
        member.insert("member_id".to_owned(), id);
    }
    Record::of(&member, &COLUMNS)
}
