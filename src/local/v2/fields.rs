//! What the fields of an image may hold: the rules of Glance's image schema
//! (`/v2/schemas/image`).

use serde_json::Value;

use crate::local::Settings;
use crate::local::failure::{Failure, Result};

/// What a field may hold.
enum Kind {
    /// Text of up to so many letters.
    Text(usize),
    /// The same, or null.
    OptionalText(usize),
    Boolean,
    Integer,
    OptionalInteger,
    /// A UUID.
    Id,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of the configured formats, or null.
    DiskFormat,
    ContainerFormat,
    Tags,
    Locations,
}

/// The form of a UUID, as the schema has it.
const UUID: &str = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";
const VISIBILITIES: &[&str] = &["community", "public", "private", "shared"];
const STATUSES: &[&str] =
    &["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"];

fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "id" => Kind::Id,
        "name" | "owner" => Kind::OptionalText(255),
        "status" => Kind::Word(STATUSES),
        "visibility" => Kind::Word(VISIBILITIES),
        "protected" | "os_hidden" => Kind::Boolean,
        "checksum" => Kind::OptionalText(32),
        "os_hash_algo" => Kind::OptionalText(64),
        "os_hash_value" => Kind::OptionalText(128),
        "size" | "virtual_size" => Kind::OptionalInteger,
        "container_format" => Kind::ContainerFormat,
        "disk_format" => Kind::DiskFormat,
        "created_at" | "updated_at" | "direct_url" | "self" | "file" | "stores" | "schema" => Kind::Text(usize::MAX),
        "tags" => Kind::Tags,
        "min_ram" | "min_disk" => Kind::Integer,
        "locations" => Kind::Locations,
        _ => return None,
    })
}

/// Whether the field is one that every image has, and not a property of some.
pub fn is_known(name: &str) -> bool {
    kind(name).is_some()
}

/// Refuses (400) a value that the field `name` cannot hold; any other field is
/// a property, and holds text.
pub fn check(settings: &Settings, name: &str, value: &Value) -> Result<()> {
    let refuse_at = |rule: &str, place: &str, at: &str, value: &Value, what: String| {
        Err(Failure::bad_request(format!(
            "Provided object does not match schema 'image': {what}\n\nFailed validating '{rule}' in \
             schema{place}\n\nOn instance['{name}']{at}:\n    {}",
            python(value)
        )))
    };
    let refuse = |rule: &str, place: &str, what: String| refuse_at(rule, place, "", value, what);
    let here = format!("['properties']['{name}']");
    let wrong = |types: &str| refuse("type", &here, format!("{} is not of type {types}", python(value)));
    let is_integer = value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0);
    match kind(name) {
        None if value.is_string() => Ok(()),
        None => refuse("type", "['additionalProperties']", format!("{} is not of type 'string'", python(value))),
        Some(Kind::OptionalText(_) | Kind::OptionalInteger) if value.is_null() => Ok(()),
        Some(Kind::Text(limit) | Kind::OptionalText(limit)) if value.is_string() => {
            match value.as_str().unwrap_or_default().chars().count() > limit {
                true => refuse("maxLength", &here, format!("{} is too long", python(value))),
                false => Ok(()),
            }
        }
        Some(Kind::Text(_)) => wrong("'string'"),
        Some(Kind::OptionalText(_)) => wrong("'null', 'string'"),
        Some(Kind::Boolean) if value.is_boolean() => Ok(()),
        Some(Kind::Boolean) => wrong("'boolean'"),
        Some(Kind::Integer | Kind::OptionalInteger) if is_integer => Ok(()),
        Some(Kind::Integer) => wrong("'integer'"),
        Some(Kind::OptionalInteger) => wrong("'null', 'integer'"),
        Some(Kind::Id) => match value.as_str() {
            None => wrong("'string'"),
            Some(text) if is_uuid(text) => Ok(()),
            Some(_) => refuse("pattern", &here, format!("{} does not match '{UUID}'", python(value))),
        },
        Some(Kind::Word(words)) => match value.as_str() {
            None => wrong("'string'"),
            Some(text) if words.contains(&text) => Ok(()),
            Some(_) => refuse("enum", &here, format!("{} is not one of ['{}']", python(value), words.join("', '"))),
        },
        Some(Kind::DiskFormat) => one_of(&settings.disk_formats, value, wrong, |what| refuse("enum", &here, what)),
        Some(Kind::ContainerFormat) => {
            one_of(&settings.container_formats, value, wrong, |what| refuse("enum", &here, what))
        }
        Some(Kind::Tags) => {
            let Some(tags) = value.as_array() else { return wrong("'array'") };
            let items = format!("{here}['items']");
            for (index, tag) in tags.iter().enumerate() {
                let at = format!("[{index}]");
                match tag.as_str() {
                    None => {
                        let what = format!("{} is not of type 'string'", python(tag));
                        return refuse_at("type", &items, &at, tag, what);
                    }
                    Some(text) if text.chars().count() > 255 => {
                        return refuse_at("maxLength", &items, &at, tag, format!("{} is too long", python(tag)));
                    }
                    Some(_) => {}
                }
            }
            Ok(())
        }
        Some(Kind::Locations) => {
            let Some(places) = value.as_array() else { return wrong("'array'") };
            let is_place = |place: &Value| {
                let url = place.get("url").and_then(Value::as_str);
                url.is_some_and(|url| url.chars().count() <= 255) && place.get("metadata").is_some_and(Value::is_object)
            };
            match places.iter().find(|place| !is_place(place)) {
                Some(place) => refuse("required", &here, format!("{} is not a location", python(place))),
                None => Ok(()),
            }
        }
    }
}

fn one_of(
    formats: &[String],
    value: &Value,
    wrong: impl Fn(&str) -> Result<()>,
    refuse: impl Fn(String) -> Result<()>,
) -> Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) if formats.contains(text) => Ok(()),
        Value::String(_) => refuse(format!("{} is not one of [None, '{}']", python(value), formats.join("', '"))),
        _ => wrong("'null', 'string'"),
    }
}

/// Whether the text is a UUID with its hyphens, as the schema wants it.
pub fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Refuses (400) what Glance's database does not take, whatever the schema
/// says: characters beyond the basic plane, and numbers of more than 31 bits.
pub fn check_storable(name: &str, value: &Value) -> Result<()> {
    let beyond = |text: &str| text.chars().any(|letter| letter > '\u{ffff}');
    if beyond(name) {
        return Err(Failure::bad_request("Property names can't contain 4 byte unicode."));
    }
    let has = match value {
        Value::String(text) => beyond(text),
        Value::Array(items) => items.iter().filter_map(Value::as_str).any(beyond),
        _ => false,
    };
    if has && value.is_array() {
        return Err(Failure::bad_request("Param values can't contain 4 byte unicode."));
    }
    if has {
        return Err(Failure::bad_request(format!("{} can't contain 4 byte unicode characters.", title(name))));
    }
    if matches!(name, "min_disk" | "min_ram") {
        let number = integer(value);
        if number > i64::from(i32::MAX) {
            let message = format!("'{name}' value out of range, must not exceed {}.", i32::MAX);
            return Err(Failure::bad_request(message));
        }
        if number < 0 {
            let message =
                format!("Invalid value '{}' for parameter '{name}': Cannot be a negative value", python(value));
            return Err(Failure::bad_request(message));
        }
    }
    Ok(())
}

/// The number that a checked integer field holds; one that is too large to
/// hold is as large as can be.
pub fn integer(value: &Value) -> i64 {
    match value.as_i64() {
        Some(number) => number,
        None => value.as_f64().unwrap_or(f64::MAX) as i64,
    }
}

/// `disk_format` as `Disk_Format`, which is how Python capitalises it.
fn title(name: &str) -> String {
    let mut previous = ' ';
    name.chars()
        .map(|letter| {
            let inside = previous.is_alphabetic();
            previous = letter;
            if inside { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() }
        })
        .collect()
}

/// A value as Python writes it, cut where it gets long: texts of errors have it.
pub fn python(value: &Value) -> String {
    const LONGEST: usize = 300;
    let text = match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) if text.contains('\'') && !text.contains('"') => format!("\"{text}\""),
        Value::String(text) => format!("'{}'", text.replace('\'', "\\'")),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("'{name}': {}", python(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        number => number.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_schema_takes_and_what_not() {
        let settings = Settings::default();
        for (name, value, good) in [
            ("name", json!("a"), true),
            ("name", json!(null), true),
            ("name", json!(3), false),
            ("name", json!("é".repeat(255)), true),
            ("name", json!("é".repeat(256)), false),
            ("id", json!("1bea47ed-f6a9-463b-b423-14b9cca9ad27"), true),
            ("id", json!("1bea47edf6a9463bb42314b9cca9ad27"), false),
            ("id", json!(null), false),
            ("visibility", json!("public"), true),
            ("visibility", json!("secret"), false),
            ("protected", json!("true"), false),
            ("min_ram", json!(1.0), true),
            ("min_ram", json!(1.5), false),
            ("min_ram", json!(true), false),
            ("min_ram", json!(null), false),
            ("size", json!(null), true),
            ("disk_format", json!("raw"), true),
            ("disk_format", json!(null), true),
            ("disk_format", json!("tape"), false),
            ("container_format", json!(1), false),
            ("tags", json!(["a", "b"]), true),
            ("tags", json!(["a", 1]), false),
            ("tags", json!("a"), false),
            ("tags", json!(["a".repeat(256)]), false),
            ("locations", json!([{"url": "http://x", "metadata": {}}]), true),
            ("locations", json!([{"url": "http://x"}]), false),
            ("anything", json!("text"), true),
            ("anything", json!(1), false),
            ("anything", json!(null), false),
        ] {
            assert_eq!(check(&settings, name, &value).is_ok(), good, "{name} {value}");
        }
    }

    #[test]
    fn what_the_database_of_glance_does_not_take() {
        for (name, value, good) in [
            ("name", json!("ok"), true),
            ("name", json!("\u{1f600}"), false),
            ("tags", json!(["\u{1f600}"]), false),
            ("\u{1f600}", json!("x"), false),
            ("min_disk", json!(2_147_483_647_u32), true),
            ("min_disk", json!(2_147_483_648_u32), false),
            ("min_disk", json!(1e300), false),
            ("min_disk", json!(-1), false),
        ] {
            assert_eq!(check_storable(name, &value).is_ok(), good, "{name} {value}");
        }
    }

    #[test]
    fn values_read_as_python_writes_them() {
        let value = json!({"a": [null, true, "it's"], "b": 1});
        assert_eq!(python(&value), r#"{'a': [None, True, "it's"], 'b': 1}"#);
        assert_eq!(title("disk_format"), "Disk_Format");
    }
}
