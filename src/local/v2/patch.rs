//! Changes to an image: JSON patch in the two dialects that Glance speaks
//! (<https://docs.openstack.org/api-ref/image/v2/#update-image>), and its rules
//! on what may be changed by whom.

use http::StatusCode;
use http::header::HeaderValue;
use serde_json::Value;

use super::{fields, python};
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::protection::Act;
use crate::local::registry::{Image, Status, Visibility};
use crate::local::service::Service;
use crate::local::settings::Settings;

/// The media types, of the older dialect and the newer.
const OLD: &str = "application/openstack-images-v2.0-json-patch";
const NEW: &str = "application/openstack-images-v2.1-json-patch";

/// What can be done to a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Set it, be it there or not.
    Add(Value),
    /// Set it, as long as it is there.
    Replace(Value),
    /// Take it away.
    Remove,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is done.
    pub operation: Operation,
    /// To which field.
    pub field: String,
    /// Whether the older dialect asks, to which `add` means a new field.
    is_old: bool,
}

/// The dialect that a media type stands for.
pub fn is_old_dialect(content_type: Option<&str>) -> Result<bool> {
    let given = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match given {
        OLD => Ok(true),
        NEW => Ok(false),
        _ => {
            const BOTH: &str =
                "application/openstack-images-v2.0-json-patch, application/openstack-images-v2.1-json-patch";
            Err(Failure::unsupported_media_type(format!("Image PATCH expects Content-Type one of: {BOTH}"))
                .header(http::header::HeaderName::from_static("accept-patch"), HeaderValue::from_static(BOTH)))
        }
    }
}

/// Reads the changes, and refuses what can be refused without the image.
pub fn read(settings: &Settings, is_old: bool, body: &Value) -> Result<Vec<Change>> {
    let Some(changes) = body.as_array() else {
        return Err(Failure::bad_request("Request body must be a JSON array of operation objects."));
    };
    changes.iter().map(|change| read_one(settings, is_old, change)).collect()
}

const OPERATIONS: [&str; 3] = ["add", "remove", "replace"];

fn read_one(settings: &Settings, is_old: bool, change: &Value) -> Result<Change> {
    let bad = |message: String| Err(Failure::bad_request(message));
    let Some(change) = change.as_object() else {
        return bad("Operations must be JSON objects.".into());
    };
    let (operation, pointer) = if is_old {
        let mut named = OPERATIONS.into_iter().filter(|name| change.contains_key(*name));
        match (named.next(), named.next()) {
            (Some(name), None) => (name, change.get(name)),
            (None, _) => {
                return bad(
                    "Operation objects must contain exactly one member named \"add\", \"remove\", or \"replace\"."
                        .into(),
                );
            }
            _ => {
                return bad(
                    "Operation objects must contain only one member named \"add\", \"remove\", or \"replace\".".into(),
                );
            }
        }
    } else {
        let one_of = "It must be one of the following: add, remove, replace.";
        let name = match change.get("op") {
            None | Some(Value::Null) => return bad(format!("Unable to find `op` in JSON Schema change. {one_of}")),
            Some(name) => name,
        };
        let Some(name) = OPERATIONS.into_iter().find(|known| name.as_str() == Some(known)) else {
            let name = name.as_str().map_or_else(|| python::repr(name), str::to_owned);
            return bad(format!("Invalid operation: `{name}`. {one_of}"));
        };
        (name, change.get("path"))
    };
    let Some(pointer) = pointer.and_then(Value::as_str) else {
        return bad("Unable to find 'path' in JSON Schema change".into());
    };
    let path = decode(pointer)?;
    let is_location = path.first().is_some_and(|first| first == "locations");
    let depth = if is_location && operation != "replace" { 2 } else { 1 };
    if path.len() != depth {
        return bad(format!("Invalid JSON pointer for this resource: '/{}'", path.join("/")));
    }
    let field = path.into_iter().next().unwrap_or_default();
    let value = match (operation, change.get("value")) {
        ("remove", _) => None,
        (_, Some(value)) => Some(value.clone()),
        (_, None) => return bad(format!("Operation \"{operation}\" requires a member named \"value\".")),
    };
    check_open(&field)?;
    if let Some(value) = &value {
        match depth {
            1 => fields::check(settings, &field, value)?,
            // One place is added to the list of them.
            _ => fields::check(settings, &field, &Value::Array(vec![value.clone()]))?,
        }
    }
    let operation = match value {
        None => Operation::Remove,
        Some(value) if operation == "add" => Operation::Add(value),
        Some(value) => Operation::Replace(value),
    };
    Ok(Change { operation, field, is_old })
}

/// Refuses (403) a field that nobody sets.
fn check_open(field: &str) -> Result<()> {
    const READ_ONLY: &[&str] = &[
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
    ];
    if READ_ONLY.contains(&field) {
        return Err(Failure::forbidden(format!("Attribute '{field}' is read-only.")));
    }
    if is_reserved(field) {
        return Err(Failure::forbidden(format!("Attribute '{field}' is reserved.")));
    }
    Ok(())
}

/// Whether the field is kept for the service itself.
pub fn is_reserved(field: &str) -> bool {
    matches!(field, "location" | "deleted" | "deleted_at") || field.starts_with("os_glance")
}

/// The parts of a JSON pointer, of the limited form that Glance takes.
fn decode(pointer: &str) -> Result<Vec<String>> {
    let bad = |what: &str| Err(Failure::bad_request(format!("Pointer `{pointer}` {what}.")));
    let Some(rest) = pointer.strip_prefix('/') else { return bad("does not start with \"/\"") };
    let parts: Vec<&str> = rest.split('/').collect();
    let inner = parts.get(1..parts.len().saturating_sub(1)).unwrap_or_default();
    if inner.iter().any(|part| part.trim().is_empty()) {
        return bad("contains adjacent \"/\"");
    }
    if pointer.len() > 1 && pointer.ends_with('/') {
        return bad("end with \"/\"");
    }
    let escapes_well = pointer.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if !escapes_well {
        return bad("contains \"~\" not part of a recognized escape sequence");
    }
    let parts = pointer.trim_start_matches('/').split('/');
    Ok(parts.map(|part| part.replace("~1", "/").replace("~0", "~").trim().to_owned()).collect())
}

/// The fields that every image has and a change can reach.
const OWN_FIELDS: &[&str] = &[
    "name",
    "visibility",
    "os_hidden",
    "min_disk",
    "min_ram",
    "protected",
    "owner",
    "disk_format",
    "container_format",
    "tags",
];

/// Makes one change, if the caller may.
pub fn apply(service: &Service, caller: &Caller, image: &mut Image, change: &Change) -> Result<()> {
    let field = change.field.as_str();
    let refused = |status, words: String| Err(Failure::detailed(status, words));
    if field == "locations" {
        return apply_to_locations(service, caller, image, &change.operation);
    }
    let is_own = OWN_FIELDS.contains(&field);
    let value = match &change.operation {
        Operation::Remove => {
            service.enforce("modify_image", caller, image)?;
            if is_own {
                return refused(StatusCode::FORBIDDEN, format!("Property {field} may not be removed."));
            }
            if !is_there(service, caller, image, field) {
                return refused(StatusCode::CONFLICT, format!("Property {field} does not exist."));
            }
            service.protection.check(caller, Act::Delete, field)?;
            image.properties.remove(field);
            return Ok(());
        }
        Operation::Replace(_) if field == "owner" && !caller.is_admin => {
            return refused(StatusCode::FORBIDDEN, "Owner can't be updated by non admin.".into());
        }
        // Glance lets nobody do that either, by way of who sees the image afterwards.
        Operation::Add(value) if field == "owner" && !caller.is_admin => {
            service.enforce("modify_image", caller, image)?;
            let words = format!("Forbidding request, image {} not visible", image.id);
            return match value.as_str() == image.owner.as_deref() {
                true => Ok(()),
                false => Err(Failure::forbidden(words)),
            };
        }
        Operation::Add(value) | Operation::Replace(value) => value,
    };
    if let (Some(visibility), "visibility") = (value.as_str().and_then(Visibility::named), field) {
        service.enforce_visibility_of(caller, image, visibility)?;
    }
    service.enforce("modify_image", caller, image)?;
    let is_there = is_own || is_there(service, caller, image, field);
    match &change.operation {
        Operation::Add(_) if change.is_old && is_there => {
            return refused(StatusCode::CONFLICT, format!("Property {field} already present."));
        }
        Operation::Replace(_) if !is_there => {
            return refused(StatusCode::CONFLICT, format!("Property {field} does not exist."));
        }
        _ => {}
    }
    fields::check_storable(field, value)?;
    if is_own {
        set(image, field, value)?;
        return service.settings.quota.check_tags(image);
    }
    service.protection.check(caller, if is_there { Act::Update } else { Act::Create }, field)?;
    image.properties.insert(field.to_owned(), value.as_str().unwrap_or_default().to_owned());
    Ok(())
}

/// Whether the image has the property, as far as the caller can tell.
fn is_there(service: &Service, caller: &Caller, image: &Image, field: &str) -> bool {
    image.properties.contains_key(field) && service.protection.allows(caller, Act::Read, field)
}

/// Gives one of the fields that every image has a value that was checked.
pub fn set(image: &mut Image, field: &str, value: &Value) -> Result<()> {
    let text = || value.as_str().map(str::to_owned);
    match field {
        "name" => image.name = text(),
        // As Glance's database: an empty owner is none.
        "owner" => image.owner = text().filter(|owner| !owner.is_empty()),
        "visibility" => image.visibility = value.as_str().and_then(Visibility::named).unwrap_or(image.visibility),
        "protected" => image.protected = value.as_bool().unwrap_or_default(),
        "os_hidden" => image.os_hidden = value.as_bool().unwrap_or_default(),
        "min_disk" => image.min_disk = fields::integer(value),
        "min_ram" => image.min_ram = fields::integer(value),
        "disk_format" | "container_format" => {
            if !matches!(image.status, Status::Queued | Status::Importing) {
                return Err(Failure::forbidden(format!("Attribute {field} can be only replaced for a queued image.")));
            }
            match field {
                "disk_format" => image.disk_format = text(),
                _ => image.container_format = text(),
            }
        }
        "tags" => {
            let tags = value.as_array().into_iter().flatten();
            image.tags = tags.filter_map(Value::as_str).map(str::to_owned).collect();
        }
        _ => {}
    }
    Ok(())
}

/// Where data is can only be changed where it is shown, which it is not.
fn apply_to_locations(service: &Service, caller: &Caller, image: &Image, operation: &Operation) -> Result<()> {
    let (rule, verb) = match operation {
        Operation::Replace(Value::Array(places)) if places.is_empty() => {
            return Err(Failure::detailed(StatusCode::FORBIDDEN, "Cannot set locations to empty list."));
        }
        Operation::Replace(_) => ("set_image_location", "update"),
        Operation::Add(_) => ("set_image_location", "add"),
        Operation::Remove => ("delete_image_location", "remove"),
    };
    service.enforce(rule, caller, image)?;
    Err(Failure::forbidden(format!("It's not allowed to {verb} locations if locations are invisible.")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn outcome(is_old: bool, body: Value) -> std::result::Result<Vec<Change>, u16> {
        read(&Settings::default(), is_old, &body).map_err(|failure| failure.status.as_u16())
    }

    #[test]
    fn both_dialects_are_read() {
        let change = |operation, field: &str, is_old| Change { operation, field: field.into(), is_old };
        assert_eq!(
            outcome(false, json!([{"op": "add", "path": "/a~1b~0 ", "value": "x"}, {"op": "remove", "path": "/c"}])),
            Ok(vec![change(Operation::Add(json!("x")), "a/b~", false), change(Operation::Remove, "c", false)])
        );
        assert_eq!(
            outcome(true, json!([{"replace": "/name", "value": null}])),
            Ok(vec![change(Operation::Replace(json!(null)), "name", true)])
        );
        assert_eq!(outcome(false, json!([])), Ok(vec![]));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (is_old, body, status) in [
            (false, json!({}), 400),
            (false, json!([1]), 400),
            (false, json!([{"path": "/a", "value": "x"}]), 400),
            (false, json!([{"op": "move", "path": "/a"}]), 400),
            (false, json!([{"op": "add", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": 1, "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/a"}]), 400),
            (false, json!([{"op": "add", "path": "a", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/a//b", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/a/", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/a~2", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/a~", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/tags/-", "value": "x"}]), 400),
            (false, json!([{"op": "add", "path": "/name", "value": 1}]), 400),
            (false, json!([{"op": "add", "path": "/id", "value": 1}]), 403),
            (false, json!([{"op": "remove", "path": "/status"}]), 403),
            (false, json!([{"op": "add", "path": "/deleted", "value": "x"}]), 403),
            (false, json!([{"op": "add", "path": "/os_glance_x", "value": "x"}]), 403),
            (true, json!([{"op": "add", "path": "/a", "value": "x"}]), 400),
            (true, json!([{"add": "/a", "remove": "/a", "value": "x"}]), 400),
        ] {
            assert_eq!(outcome(is_old, body.clone()), Err(status), "{body}");
        }
    }

    #[test]
    fn the_media_type_tells_the_dialect() {
        assert!(is_old_dialect(Some(OLD)).unwrap());
        assert!(!is_old_dialect(Some(&format!("{NEW}; charset=utf-8"))).unwrap());
        assert_eq!(is_old_dialect(Some("application/json")).unwrap_err().status.as_u16(), 415);
        assert_eq!(is_old_dialect(None).unwrap_err().status.as_u16(), 415);
    }
}
