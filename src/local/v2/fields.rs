//! What the fields of an image may hold: the rules of Glance's image schema
//! (`/v2/schemas/image`).

use serde_json::{Map, Value};

use super::{python, schemas};
use crate::local::failure::{Failure, Result};
use crate::local::settings::Settings;

/// Whether the field is one that every image has, and not a property of some.
pub fn is_known(name: &str) -> bool {
    schemas::is_field_of_image(name)
}

/// Refuses (400) a value that the field `name` cannot hold; any other field is
/// a property, and holds text.
pub fn check(settings: &Settings, name: &str, value: &Value) -> Result<()> {
    schemas::check_image(settings, &Value::Object(Map::from_iter([(name.to_owned(), value.clone())])))
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
                format!("Invalid value '{}' for parameter '{name}': Cannot be a negative value", python::repr(value));
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

/// A time as the API writes it: seconds, UTC.
pub fn time(microseconds: i64) -> String {
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => String::new(),
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
    fn titles_are_as_python_capitalises_them() {
        assert_eq!(title("disk_format"), "Disk_Format");
    }
}
