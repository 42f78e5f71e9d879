//! What is said of a property, brought into the form that is kept and told.

use serde_json::{Map, Value};

use crate::local::failure::{Failure, Result};

/// What a field holds.
#[derive(Clone, Copy)]
enum Holds {
    Text,
    Texts,
    /// Anything plain, as text.
    Plain,
    Flag,
    Whole,
    Items,
}

/// The fields of a property, in the order in which they are told.
const FIELDS: [(&str, Holds); 19] = [
    ("name", Holds::Text),
    ("type", Holds::Text),
    ("title", Holds::Text),
    ("description", Holds::Text),
    ("operators", Holds::Texts),
    ("default", Holds::Plain),
    ("readonly", Holds::Flag),
    ("minimum", Holds::Whole),
    ("maximum", Holds::Whole),
    ("enum", Holds::Texts),
    ("pattern", Holds::Text),
    ("minLength", Holds::Whole),
    ("maxLength", Holds::Whole),
    ("confidential", Holds::Flag),
    ("items", Holds::Items),
    ("uniqueItems", Holds::Flag),
    ("minItems", Holds::Whole),
    ("maxItems", Holds::Whole),
    ("additionalItems", Holds::Flag),
];

const ITEM_FIELDS: [(&str, Holds); 2] = [("type", Holds::Text), ("enum", Holds::Texts)];

/// A property in its form. What a schema lets through and the form has no
/// place for is refused (400; Glance answers 500).
pub fn normal(property: &Value) -> Result<Map<String, Value>> {
    in_form(property, &FIELDS)
}

/// Properties by name in their form.
pub fn normal_all(properties: &Value) -> Result<Map<String, Value>> {
    let properties = properties.as_object().into_iter().flatten();
    properties.map(|(name, property)| Ok((name.clone(), Value::Object(normal(property)?)))).collect()
}

fn in_form(value: &Value, fields: &[(&str, Holds)]) -> Result<Map<String, Value>> {
    let Value::Object(given) = value else { return Err(Failure::bad_request("A property must be an object.")) };
    if let Some(unknown) = given.keys().find(|name| fields.iter().all(|(known, _)| known != name)) {
        return Err(Failure::bad_request(format!("Unknown attribute '{unknown}' of a property.")));
    }
    let mut form = Map::new();
    for (name, holds) in fields {
        if let Some(value) = given.get(*name) {
            form.insert((*name).to_owned(), brought(name, value, *holds)?);
        }
    }
    match form.contains_key("type") {
        true => Ok(form),
        false => Err(Failure::bad_request("Mandatory attribute 'type' of a property is missing.")),
    }
}

fn brought(name: &str, value: &Value, holds: Holds) -> Result<Value> {
    let wrong = || Err(Failure::bad_request(format!("Invalid value for attribute '{name}' of a property.")));
    match (holds, value) {
        (Holds::Plain, Value::String(text)) if !text.is_ascii() => Err(Failure::bad_request(
            "Error decoding your request. Either the URL or the request body contained characters that could not be \
             decoded by Glance",
        )),
        (Holds::Plain, Value::String(_)) => Ok(value.clone()),
        (Holds::Plain, Value::Bool(flag)) => Ok(Value::from(if *flag { "True" } else { "False" })),
        (Holds::Plain, Value::Number(number)) => Ok(Value::from(number.to_string())),
        (Holds::Plain, _) | (_, Value::Null) => Ok(Value::Null),
        (Holds::Text, Value::String(_)) | (Holds::Flag, Value::Bool(_)) => Ok(value.clone()),
        (Holds::Texts, Value::Array(items)) if items.iter().all(|item| item.is_string() || item.is_null()) => {
            Ok(value.clone())
        }
        (Holds::Whole, Value::Number(number)) => match number.as_f64() {
            Some(float) if number.is_f64() && float.abs() < 9e15 => Ok(Value::from(float.trunc() as i64)),
            _ => Ok(value.clone()),
        },
        (Holds::Items, _) => Ok(Value::Object(in_form(value, &ITEM_FIELDS)?)),
        _ => wrong(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_property_is_told_in_its_form() {
        for (given, told) in [
            (json!({"default": 3}), json!({"default": "3"})),
            (json!({"default": true}), json!({"default": "True"})),
            (json!({"default": 1.5}), json!({"default": "1.5"})),
            (json!({"default": [1]}), json!({"default": null})),
            (json!({"minimum": 1.7}), json!({"minimum": 1})),
            (json!({"enum": ["a", null]}), json!({"enum": ["a", null]})),
            (json!({"items": {"enum": ["x"], "type": "string"}}), json!({"items": {"type": "string", "enum": ["x"]}})),
        ] {
            let whole = |part: &Value| {
                let mut whole = json!({"type": "string", "title": "T"});
                whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
                whole
            };
            assert_eq!(Value::Object(normal(&whole(&given)).unwrap()), whole(&told));
        }
    }

    #[test]
    fn what_has_no_place_in_the_form_is_refused() {
        for bad in [
            json!({"type": "string", "bogus": 1}),
            json!({"type": "string", "enum": [1]}),
            json!({"type": "string", "items": {}}),
            json!({"type": "string", "items": {"type": "string", "x": 1}}),
            json!({"type": "string", "default": "é"}),
            json!({"title": "T"}),
            json!([]),
        ] {
            assert_eq!(normal(&bad).unwrap_err().status, 400, "{bad}");
        }
    }
}
