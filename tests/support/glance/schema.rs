//! What an image may be, and what is said of that.

use serde_json::{Map, Value, json};

use super::errors::error;
use crate::support::http::Answer;

const DISK_FORMATS: [&str; 11] = ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"];
const CONTAINER_FORMATS: [&str; 8] = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];
pub(super) const VISIBILITIES: [&str; 4] = ["community", "public", "private", "shared"];
pub(super) const READ_ONLY: [&str; 14] = [
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "size",
    "virtual_size",
    "direct_url",
    "self",
    "file",
    "schema",
    "id",
    "os_hash_algo",
    "os_hash_value",
    "stores",
];
pub(super) const RESERVED: [&str; 4] = ["locations", "location", "deleted", "deleted_at"];
const PROPERTY_QUOTA: usize = 128;
/// A value that breaks the schema, told in the words of Glance.
pub(super) fn breaks_schema(key: &str, value: &Value) -> Option<Answer> {
    let shown = match value {
        Value::String(text) => format!("'{text}'"),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    };
    let text = value.is_string();
    let one_of = |known: &[&str]| value.as_str().is_some_and(|text| known.contains(&text));
    let list = |known: &[&str]| known.iter().map(|one| format!("'{one}'")).collect::<Vec<_>>().join(", ");
    let wrong = match key {
        "disk_format" if !value.is_null() && !one_of(&DISK_FORMATS) => {
            format!("is not one of [None, {}]", list(&DISK_FORMATS))
        }
        "container_format" if !value.is_null() && !one_of(&CONTAINER_FORMATS) => {
            format!("is not one of [None, {}]", list(&CONTAINER_FORMATS))
        }
        "visibility" if !one_of(&VISIBILITIES) => format!("is not one of [{}]", list(&VISIBILITIES)),
        "min_ram" | "min_disk" if !value.is_i64() => "is not of type 'integer'".into(),
        "protected" | "os_hidden" if !value.is_boolean() => "is not of type 'boolean'".into(),
        "name" | "owner" if !text && !value.is_null() => "is not of type 'null', 'string'".into(),
        "name" | "owner" if value.as_str().is_some_and(|text| text.chars().count() > 255) => "is too long".into(),
        "tags" if !value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string)) => {
            "is not of type 'array'".into()
        }
        "id" if !value.as_str().is_some_and(is_uuid) => {
            "does not match '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'"
                .into()
        }
        "disk_format" | "container_format" | "visibility" | "min_ram" | "min_disk" | "protected" | "os_hidden"
        | "name" | "owner" | "tags" | "id" => String::new(),
        _ if !text => "is not of type 'string'".into(),
        _ => String::new(),
    };
    if matches!(key, "min_ram" | "min_disk") && value.as_i64().is_some_and(|number| number < 0) {
        let message = format!("Invalid value '{value}' for parameter '{key}': Cannot be a negative value");
        return Some(error(400, &message, ""));
    }
    if key == "name" && value.as_str().is_some_and(|name| name.chars().any(|c| c.len_utf8() == 4)) {
        return Some(error(400, "Name can't contain 4 byte unicode characters.", ""));
    }
    let message = format!("Provided object does not match schema 'image': {shown} {wrong}");
    (!wrong.is_empty()).then(|| error(400, &message, ""))
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// The schema of an image, as far as clients look at it: no descriptions.
pub(super) fn of_image() -> Answer {
    let mut properties = Map::new();
    for (keys, kind) in [
        ("id status checksum os_hash_algo os_hash_value owner name created_at updated_at", json!(["null", "string"])),
        ("direct_url self file schema stores visibility", json!("string")),
        ("disk_format container_format", json!(["null", "string"])),
        ("size virtual_size", json!(["null", "integer"])),
        ("min_ram min_disk", json!("integer")),
        ("protected os_hidden", json!("boolean")),
        ("tags locations", json!("array")),
    ] {
        for key in keys.split(' ') {
            let mut property = json!({"type": kind});
            if READ_ONLY.contains(&key) && key != "id" {
                property["readOnly"] = true.into();
            }
            properties.insert(key.to_owned(), property);
        }
    }
    let formats = |known: &[&str]| known.iter().map(|one| json!(one)).chain([Value::Null]).collect::<Value>();
    properties["disk_format"]["enum"] = formats(&DISK_FORMATS);
    properties["container_format"]["enum"] = formats(&CONTAINER_FORMATS);
    properties["visibility"]["enum"] = json!(VISIBILITIES);
    let links = json!([{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"}]);
    Answer::json(
        200,
        &json!({"name": "image", "properties": properties,
        "additionalProperties": {"type": "string"}, "links": links}),
    )
}

pub(super) fn over_quota(extra: &Map<String, Value>) -> Option<Answer> {
    let count = extra.len();
    let message = "The limit has been exceeded on the number of allowed image properties.";
    (count > PROPERTY_QUOTA)
        .then(|| error(413, &format!("{message} Attempted: {count}, Maximum: {PROPERTY_QUOTA}"), ""))
}
