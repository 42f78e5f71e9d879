//! `image task …`

pub mod create;
pub mod list;
pub mod show;

use serde_json::json;

use crate::image::Fields;
use crate::output::{Cell, Record};

/// The fields of a task, in the order in which they are shown.
pub const COLUMNS: [&str; 11] = [
    "created_at",
    "expires_at",
    "id",
    "input",
    "message",
    "owner_id",
    "properties",
    "result",
    "status",
    "type",
    "updated_at",
];

/// A task as `openstack` shows it, with `properties` that are always empty.
pub fn record(mut task: Fields) -> Record {
    if let Some(owner) = task.shift_remove("owner") {
        task.insert("owner_id".to_owned(), owner);
    }
    let mut record = Record::of(&task, &COLUMNS);
    for (name, cell) in &mut record.fields {
        if name == "properties" {
            *cell = Cell::dict(json!({}));
        }
    }
    record
}
