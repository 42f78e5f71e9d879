//! The schemas that the service tells of, and holds what it is given against.
//!
//! `schemas.json` is what Glance 33 answers to `/v2/schemas/...`, by what
//! follows there (<https://docs.openstack.org/api-ref/image/v2/#image-schemas>).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::python;
use super::python::is_uuid;
use crate::local::answer::{Payload, json as as_json};
use crate::local::failure::{Failure, Result};
use crate::local::service::Service;
use crate::local::settings::Settings;

static SCHEMAS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("schemas.json")).unwrap_or_default());

/// Whether there is a schema of this name: `image`, or `metadefs/tag`.
pub fn is_one(name: &str) -> bool {
    SCHEMAS.contains_key(name)
}

/// `GET /v2/schemas/{name}`
pub fn show(service: &Service, name: &str) -> Result<Response<Payload>> {
    Ok(as_json(StatusCode::OK, with_formats(name, &service.settings)?.as_ref()))
}

/// The schema of this name, with the formats that the settings allow.
fn with_formats(name: &str, settings: &Settings) -> Result<Cow<'static, Value>> {
    let mut schema = Cow::Borrowed(SCHEMAS.get(name).ok_or_else(Failure::nothing_here)?);
    for (field, allowed) in [("disk_format", &settings.disk_formats), ("container_format", &settings.container_formats)]
    {
        for properties in ["/properties", "/properties/images/items/properties"] {
            let place = format!("{properties}/{field}/enum");
            let names = || std::iter::once(Value::Null).chain(allowed.iter().map(|format| format.as_str().into()));
            let differs = |known: &Value| !known.as_array().is_some_and(|known| names().eq(known.iter().cloned()));
            if name.starts_with("image")
                && schema.pointer(&place).is_some_and(differs)
                && let Some(formats) = schema.to_mut().pointer_mut(&place)
            {
                *formats = names().collect();
            }
        }
    }
    Ok(schema)
}

/// The schemas that are told nowhere: a list of tags, and a location of data.
static UNTOLD: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let schemas = json!({
        "tags": {"properties": {"tags": {"type": "array", "items": {
            "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
            "additionalProperties": false}}}, "additionalProperties": false, "required": ["tags"]},
        "location": {"name": "location", "properties": {"add_location": {
            "type": "object",
            "description": "Values of location url, do_secure_hash and validation_data for new add location API",
            "properties": {
                "url": {
                    "type": "string",
                    "readOnly": true,
                    "description": "The URL of the new location to be added in the image.",
                },
                "validation_data": {
                    "description": "Values to be used to populate the corresponding image properties.do_secure_hash \
                        is not True then image checksum and hash will not be calculated so it is the responsibility \
                        of the consumer of location ADD API to provide the correct values in the validation_data \
                        parameter",
                    "type": "object",
                    "writeOnly": true,
                    "additionalProperties": false,
                    "properties": {
                        "os_hash_algo": {
                            "type": "string", "maxLength": 64, "enum": ["sha1", "sha256", "sha512", "md5"],
                        },
                        "os_hash_value": {"type": "string", "maxLength": 128},
                    },
                    "dependentRequired": {"os_hash_value": ["os_hash_algo"], "os_hash_algo": ["os_hash_value"]},
                },
            },
            "required": ["url"],
        }}, "additionalProperties": {"type": "string"}},
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
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
/// A location of data, as `add_location`.
pub const LOCATION: Schema = Schema { path: "", name: "location" };
/// A task.
pub const TASK: Schema = Schema { path: "task", name: "task" };

impl Schema {
    /// Refuses (400) a value that is not as it should be.
    pub fn check(self, value: &Value) -> Result<()> {
        check(self.name, self.root(), value)
    }

    fn root(self) -> &'static Value {
        SCHEMAS.get(self.path).or(UNTOLD.get(self.name)).unwrap_or(&Value::Null)
    }
}

/// Whether every image has this field.
pub fn is_field_of_image(name: &str) -> bool {
    let properties = SCHEMAS.get("image").and_then(|schema| schema.get("properties"));
    properties.is_some_and(|properties| properties.get(name).is_some())
}

/// Refuses (400) fields of an image that cannot hold what they are given.
pub fn check_image(settings: &Settings, fields: &Value) -> Result<()> {
    check("image", with_formats("image", settings)?.as_ref(), fields)
}

fn check(name: &str, schema: &Value, value: &Value) -> Result<()> {
    if !value.is_object() {
        let words =
            format!("Provided object does not match schema '{name}': {} is not of type 'object'", python::repr(value));
        return Err(Failure::bad_request(words));
    }
    let mut search = Search { root: schema, path: Vec::new(), places: Vec::new(), found: None };
    search.look(schema, value);
    search.found.map_or(Ok(()), |wrong| Err(wrong.refusal(name)))
}

/// A step into a value or a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

/// A rule that is broken.
struct Wrong<'a> {
    /// Where in the value.
    path: Vec<Step<'a>>,
    value: &'a Value,
    /// Where in the schema, as far as references go.
    places: Vec<Step<'a>>,
    schema: &'a Value,
    keyword: &'a str,
    rule: &'a Value,
    /// Whether the value is at least of the type that the schema wants.
    is_of_type: bool,
}

impl Wrong<'_> {
    /// What is wrong, in the words of Python's jsonschema.
    fn reason(&self) -> String {
        let value = python::repr(self.value);
        let rule = python::repr(self.rule);
        match (self.keyword, self.rule) {
            ("type", Value::Array(types)) => {
                let types: Vec<String> = types.iter().map(python::repr).collect();
                format!("{value} is not of type {}", types.join(", "))
            }
            ("type", _) => format!("{value} is not of type {rule}"),
            ("enum", _) => format!("{value} is not one of {rule}"),
            ("pattern", _) => format!("{value} does not match {rule}"),
            ("maxLength", _) => format!("{value} is too long"),
            ("minLength" | "minItems", one) if one.as_u64() == Some(1) => format!("{value} should be non-empty"),
            ("minLength" | "minItems", _) => format!("{value} is too short"),
            ("minimum", _) => format!("{value} is less than the minimum of {rule}"),
            ("uniqueItems", _) => format!("{value} has non-unique elements"),
            ("required", _) => {
                let missing = missing(self.rule, self.value).map(|name| python::repr(&name.into()));
                format!("{} is a required property", missing.unwrap_or_default())
            }
            ("dependentRequired", _) => {
                let (name, needed) = lonely(self.rule, self.value).unwrap_or_default();
                format!("{} is a dependency of {}", python::repr(&needed.into()), python::repr(&name.into()))
            }
            _ => {
                let mut names = extra(self.schema, self.value);
                names.sort_unstable();
                let verb = if names.len() == 1 { "was" } else { "were" };
                let names: Vec<String> = names.into_iter().map(|name| python::repr(&name.into())).collect();
                let names = names.join(", ");
                format!("Additional properties are not allowed ({names} {verb} unexpected)")
            }
        }
    }

    fn refusal(&self, name: &str) -> Failure {
        let reason = format!("Provided object does not match schema '{name}': {}", self.reason());
        let place = |steps: &[Step]| -> String {
            let step = |step: &Step| match step {
                Step::Name(name) => format!("[{}]", python::repr(&Value::from(*name))),
                Step::Index(index) => format!("[{index}]"),
            };
            steps.iter().map(step).collect()
        };
        let indented = |value: &Value| python::pretty(value).replace('\n', "\n    ");
        let explanation = format!(
            "{reason}\n\nFailed validating '{}' in schema{}:\n    {}\n\nOn instance{}:\n    {}",
            self.keyword,
            place(&self.places),
            indented(self.schema),
            place(&self.path),
            indented(self.value)
        );
        Failure::bad_request(explanation).logged(reason)
    }
}

/// A search for the broken rule that says most: as much of JSON Schema as the
/// schemas use, and the choice that Python's jsonschema makes.
struct Search<'a> {
    root: &'a Value,
    path: Vec<Step<'a>>,
    places: Vec<Step<'a>>,
    found: Option<Wrong<'a>>,
}

impl<'a> Search<'a> {
    /// Looks further in, at a part of the value by a part of the schema.
    fn enter(&mut self, path: Option<Step<'a>>, place: &[Step<'a>], schema: &'a Value, value: &'a Value) {
        let (path_length, places_length) = (self.path.len(), self.places.len());
        self.path.extend(path);
        self.places.extend(place);
        self.look(schema, value);
        self.path.truncate(path_length);
        self.places.truncate(places_length);
    }

    fn look(&mut self, schema: &'a Value, value: &'a Value) {
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        for (keyword, rule) in schema.as_object().into_iter().flatten() {
            let keyword = keyword.as_str();
            let here = Step::Name(keyword);
            let is_broken = match (keyword, value) {
                ("$ref", _) => {
                    let target = rule.as_str().and_then(|path| self.root.pointer(path.trim_start_matches('#')));
                    if let Some(target) = target {
                        self.enter(None, &[], target, value);
                    }
                    false
                }
                ("allOf", _) => {
                    for (index, part) in rule.as_array().into_iter().flatten().enumerate() {
                        self.enter(None, &[here, Step::Index(index)], part, value);
                    }
                    false
                }
                ("items", Value::Array(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        self.enter(Some(Step::Index(index)), &[here], rule, item);
                    }
                    false
                }
                ("properties", Value::Object(fields)) => {
                    for (name, schema) in rule.as_object().into_iter().flatten() {
                        if let Some(field) = fields.get(name) {
                            self.enter(Some(Step::Name(name)), &[here, Step::Name(name)], schema, field);
                        }
                    }
                    false
                }
                ("additionalProperties", Value::Object(fields)) if rule.is_object() => {
                    for name in extra(schema, value) {
                        if let Some(field) = fields.get(name) {
                            self.enter(Some(Step::Name(name)), &[here], rule, field);
                        }
                    }
                    false
                }
                ("additionalProperties", _) => *rule == Value::Bool(false) && !extra(schema, value).is_empty(),
                ("type", _) => !is_of(rule, value),
                ("enum", _) => !rule.as_array().is_some_and(|allowed| allowed.contains(value)),
                // The only pattern that there is.
                ("pattern", Value::String(text)) => !is_uuid(text),
                ("maxLength", Value::String(text)) => text.chars().count() as f64 > number(rule),
                ("minLength", Value::String(text)) => (text.chars().count() as f64) < number(rule),
                ("minimum", Value::Number(_)) => number(value) < number(rule),
                ("minItems", Value::Array(items)) => (items.len() as f64) < number(rule),
                ("uniqueItems", Value::Array(items)) => *rule == Value::Bool(true) && has_twice(items),
                ("required", Value::Object(_)) => missing(rule, value).is_some(),
                ("dependentRequired", Value::Object(_)) => lonely(rule, value).is_some(),
                _ => false,
            };
            if is_broken {
                let is_of_type = schema.get("type").is_some_and(|types| is_of(types, value));
                self.note(is_of_type, |search| Wrong {
                    path: search.path.clone(),
                    value,
                    places: search.places.clone(),
                    schema,
                    keyword,
                    rule,
                    is_of_type,
                });
            }
        }
    }

    /// Keeps what is nearer to the top of the value; there, what comes last in
    /// it; and there, what is not even of the right type.
    fn note(&mut self, is_of_type: bool, wrong: impl FnOnce(&Self) -> Wrong<'a>) {
        let is_better = self.found.as_ref().is_none_or(|known| {
            let rank = known.path.len().cmp(&self.path.len());
            rank.then_with(|| self.path.cmp(&known.path)).then(known.is_of_type.cmp(&is_of_type)).is_gt()
        });
        if is_better {
            self.found = Some(wrong(self));
        }
    }
}

/// The first name that must be there and is not.
fn missing<'a>(required: &'a Value, value: &Value) -> Option<&'a str> {
    let mut names = required.as_array().into_iter().flatten().filter_map(Value::as_str);
    names.find(|name| value.get(name).is_none())
}

/// The first name that is there without another that must be with it, and that other.
fn lonely<'a>(rule: &'a Value, value: &Value) -> Option<(&'a str, &'a str)> {
    let mut names = rule.as_object().into_iter().flatten().filter(|(name, _)| value.get(name).is_some());
    names.find_map(|(name, required)| Some((name.as_str(), missing(required, value)?)))
}

/// The names in a value that the schema does not tell of.
fn extra<'a>(schema: &Value, value: &'a Value) -> Vec<&'a str> {
    let known = schema.get("properties").and_then(Value::as_object);
    let names = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    names.filter(|name| known.is_none_or(|known| !known.contains_key(*name))).collect()
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
        for schema in [TAGS, LOCATION] {
            assert!(schema.root().is_object(), "{schema:?}");
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
