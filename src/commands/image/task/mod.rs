//! `image task …`

pub mod create;
pub mod list;
pub mod show;

use serde_json::Value;

use crate::image::Fields;
use crate::output::{Cell, Record};

/// The fields of a task, in the order in which they are shown. What has no
/// field of its own is gathered in `properties`.
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

/// A task as `openstack` shows it.
pub fn record(mut task: Fields) -> Record {
    for hidden in ["schema", "location", "name", "self"] {
        task.shift_remove(hidden);
    }
    if let Some(owner) = task.shift_remove("owner") {
        task.insert("owner_id".to_owned(), owner);
    }
    let mut others = task.clone();
    others.retain(|field, _| !COLUMNS.contains(&field.as_str()));
    let mut record = Record::of(&task, &COLUMNS);
    for (name, cell) in &mut record.fields {
        if name == "properties" {
            *cell = Cell::dict(Value::Object(std::mem::take(&mut others)));
        }
    }
    record
}
