//! The schemas that the service tells of, and holds what it is given against.
//!
//! `schemas.json` is what Glance 33 answers to `/v2/schemas/...`, by what
//! follows there (<https://docs.openstack.org/api-ref/image/v2/#image-schemas>).

use std::collections::HashSet;
use std::sync::LazyLock;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::fields::python;
use crate::local::Service;
use crate::local::failure::{Failure, Result};
use crate::local::server::{Payload, json as as_json};

static SCHEMAS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("schemas.json")).unwrap_or_default());

/// Whether there is a schema of this name: `image`, or `metadefs/tag`.
pub fn is_one(name: &str) -> bool {
    SCHEMAS.contains_key(name)
}

/// `GET /v2/schemas/{name}`
pub fn show(service: &Service, name: &str) -> Result<Response<Payload>> {
    let mut schema = SCHEMAS.get(name).cloned().ok_or_else(Failure::nothing_here)?;
    let formats = |formats: &[String]| -> Value {
        let names = formats.iter().map(|format| Value::from(format.as_str()));
        std::iter::once(Value::Null).chain(names).collect()
    };
    for image in ["/properties", "/properties/images/items/properties"] {
        if let Some(properties) = schema.pointer_mut(image).filter(|_| name.starts_with("image")) {
            for (field, allowed) in [
                ("disk_format", &service.settings.disk_formats),
                ("container_format", &service.settings.container_formats),
            ] {
                if let Some(field) = properties.get_mut(field) {
                    field["enum"] = formats(allowed);
                }
            }
        }
    }
    Ok(as_json(StatusCode::OK, &schema))
}

/// The schema of a list of tags, which is told nowhere.
static TAG_LIST: LazyLock<Value> = LazyLock::new(|| {
    json!({"properties": {"tags": {"type": "array", "items": {
        "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
        "additionalProperties": false}}}, "additionalProperties": false, "required": ["tags"]})
});

/// What to hold a request against.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// As `/v2/schemas/` knows it.
    pub path: &'static str,
    /// As it is called in a refusal.
    pub name: &'static str,
}

/// A namespace, with all that it may bring.
pub const NAMESPACE: Schema = Schema { path: "metadefs/namespace", name: "namespace" };
/// An object.
pub const OBJECT: Schema = Schema { path: "metadefs/object", name: "object" };
/// A property with its name.
pub const PROPERTY: Schema = Schema { path: "metadefs/property", name: "property" };
/// That a namespace is for a type of resource.
pub const ASSOCIATION: Schema = Schema { path: "metadefs/resource_type", name: "resource_type_association" };
/// A tag.
pub const TAG: Schema = Schema { path: "metadefs/tag", name: "tag" };
/// Tags.
pub const TAGS: Schema = Schema { path: "", name: "tags" };
/// A task.
pub const TASK: Schema = Schema { path: "task", name: "task" };

impl Schema {
    /// Refuses (400) a value that is not as it should be.
    pub fn check(self, value: &Value) -> Result<()> {
        let root = SCHEMAS.get(self.path).unwrap_or(&TAG_LIST);
        let refused = |reason: String| {
            Failure::bad_request(format!("Provided object does not match schema '{}': {reason}", self.name))
        };
        if !value.is_object() {
            return Err(refused(format!("{} is not of type 'object'", python(value))));
        }
        let mut errors = Vec::new();
        find(root, root, value, 0, &mut errors);
        // The one that is nearest to the top says most.
        errors.sort_by_key(|(depth, _)| *depth);
        match errors.into_iter().next() {
            None => Ok(()),
            Some((_, reason)) => Err(refused(reason)),
        }
    }
}

/// Finds what is wrong with `value`: as much of JSON Schema as the schemas use.
fn find(root: &Value, schema: &Value, value: &Value, depth: usize, errors: &mut Vec<(usize, String)>) {
    let Some(schema) = schema.as_object() else { return };
    for (keyword, rule) in schema {
        let mut wrong = |reason: String| errors.push((depth, reason));
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        match (keyword.as_str(), value) {
            ("$ref", _) => {
                let target = rule.as_str().and_then(|path| root.pointer(path.trim_start_matches('#')));
                if let Some(target) = target {
                    find(root, target, value, depth, errors);
                }
            }
            ("allOf", _) => {
                for part in rule.as_array().into_iter().flatten() {
                    find(root, part, value, depth, errors);
                }
            }
            ("type", _) if !is_of(rule, value) => {
                let types: Vec<String> = match rule {
                    Value::Array(types) => types.iter().map(python).collect(),
                    one => vec![python(one)],
                };
                wrong(format!("{} is not of type {}", python(value), types.join(", ")));
            }
            ("enum", _) if !rule.as_array().is_some_and(|allowed| allowed.contains(value)) => {
                wrong(format!("{} is not one of {}", python(value), python(rule)));
            }
            ("maxLength", Value::String(text)) if text.chars().count() as f64 > number(rule) => {
                wrong(format!("{} is too long", python(value)));
            }
            ("minimum", Value::Number(_)) if number(value) < number(rule) => {
                wrong(format!("{} is less than the minimum of {}", python(value), python(rule)));
            }
            ("minItems", Value::Array(items)) if (items.len() as f64) < number(rule) => {
                wrong(format!("{} should be non-empty", python(value)));
            }
            ("uniqueItems", Value::Array(items)) if *rule == Value::Bool(true) && has_twice(items) => {
                wrong(format!("{} has non-unique elements", python(value)));
            }
            ("items", Value::Array(items)) => {
                items.iter().for_each(|item| find(root, rule, item, depth + 1, errors));
            }
            ("required", Value::Object(fields)) => {
                for name in rule.as_array().into_iter().flatten() {
                    if name.as_str().is_some_and(|name| !fields.contains_key(name)) {
                        wrong(format!("{} is a required property", python(name)));
                    }
                }
            }
            ("properties", Value::Object(fields)) => {
                for (name, schema) in rule.as_object().into_iter().flatten() {
                    if let Some(field) = fields.get(name) {
                        find(root, schema, field, depth + 1, errors);
                    }
                }
            }
            ("additionalProperties", Value::Object(fields)) => {
                let known = schema.get("properties").and_then(Value::as_object);
                let extra = fields.iter().filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
                if *rule == Value::Bool(false) {
                    let names: Vec<String> = extra.map(|(name, _)| python(&Value::from(name.as_str()))).collect();
                    match &names[..] {
                        [] => {}
                        names => wrong(format!(
                            "Additional properties are not allowed ({} {} unexpected)",
                            names.join(", "),
                            if names.len() == 1 { "was" } else { "were" }
                        )),
                    }
                } else {
                    extra.for_each(|(_, field)| find(root, rule, field, depth + 1, errors));
                }
            }
            _ => {}
        }
    }
}

/// Whether an item comes twice, in a time that grows with their number alone.
fn has_twice(items: &[Value]) -> bool {
    let mut seen = HashSet::new();
    !items.iter().all(|item| seen.insert(item.to_string()))
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        // A number without a fraction is whole, however it is written.
        Some("integer") => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    match types {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_schema_is_there() {
        assert_eq!(SCHEMAS.len(), 16);
        for schema in [NAMESPACE, OBJECT, PROPERTY, ASSOCIATION, TAG, TASK] {
            assert!(is_one(schema.path), "{schema:?}");
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_refused() {
        let long = "x".repeat(81);
        for (schema, value, reason) in [
            (NAMESPACE, json!({}), "'namespace' is a required property"),
            (NAMESPACE, json!([]), "[] is not of type 'object'"),
            (NAMESPACE, json!({"namespace": 1}), "1 is not of type 'string'"),
            (NAMESPACE, json!({"namespace": long}), "is too long"),
            (
                NAMESPACE,
                json!({"namespace": "n", "a": 1}),
                "Additional properties are not allowed ('a' was unexpected)",
            ),
            (
                NAMESPACE,
                json!({"namespace": "n", "visibility": "shared"}),
                "'shared' is not one of ['public', 'private']",
            ),
            (
                NAMESPACE,
                json!({"namespace": "n", "properties": {"p": {"type": "string"}}}),
                "'title' is a required property",
            ),
            (NAMESPACE, json!({"namespace": "n", "objects": [{"required": ["a", "a"]}]}), "has non-unique elements"),
            (PROPERTY, json!({"name": "p", "title": "T", "type": "x"}), "'x' is not one of"),
            (PROPERTY, json!({"name": "p", "title": "T", "type": "string", "required": []}), "[] should be non-empty"),
            (
                PROPERTY,
                json!({"name": "p", "title": "T", "type": "string", "minLength": -1}),
                "-1 is less than the minimum of 0",
            ),
            (
                PROPERTY,
                json!({"name": "p", "title": "T", "type": "string", "minLength": 1.5}),
                "1.5 is not of type 'integer'",
            ),
            (TAGS, json!({"tags": [{"name": "a", "b": 1}]}), "('b' was unexpected)"),
        ] {
            let said = schema.check(&value).unwrap_err().cause().to_owned();
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_taken() {
        let property = json!({"title": "T", "type": "integer", "minimum": -5, "minLength": 1.0, "default": [1]});
        for (schema, value) in [
            (NAMESPACE, json!({"namespace": "", "properties": {"p": property}, "objects": [{}], "tags": [{"x": 1}]})),
            (OBJECT, json!({"name": "o", "required": [], "properties": {"p": property}})),
            (TAGS, json!({"tags": []})),
        ] {
            assert!(schema.check(&value).is_ok(), "{value}");
        }
    }
}
