//! Metadata definitions on the wire (<https://docs.openstack.org/api-ref/image/v2/metadefs-index.html>).

use serde_json::Value;

use super::{fields, malformed};
use crate::error::Result;
use crate::image::Fields;

/// What only the service sets: it refuses a request that holds any of these.
const READ_ONLY: [&str; 4] = ["created_at", "schema", "self", "updated_at"];

/// The keys under which a namespace holds what is in it.
const CONTENTS: [&str; 4] = ["objects", "properties", "resource_type_associations", "tags"];

/// A thing without what only the service sets.
pub fn settable(thing: &Fields) -> Fields {
    thing.iter().filter(|(key, _)| !READ_ONLY.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// A namespace to create, with what is in it, so that what the service showed
/// can be given to it again.
pub fn whole_namespace(namespace: &Fields) -> Fields {
    let mut namespace = settable(namespace);
    for key in CONTENTS {
        let Some(Value::Array(items)) = namespace.get_mut(key) else { continue };
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            *item = settable(item);
        }
    }
    namespace
}

/// A namespace without what is in it: it is replaced by itself.
pub fn bare_namespace(namespace: &Fields) -> Fields {
    let mut namespace = settable(namespace);
    namespace.retain(|key, _| !CONTENTS.contains(&key.as_str()));
    namespace
}

/// A list of properties, which comes as a mapping from their names.
pub fn properties(body: Value) -> Result<Vec<Fields>> {
    let Some(Value::Object(listed)) = fields(body)?.remove("properties") else { return Err(malformed()) };
    let named = |(name, property): (String, Value)| {
        let mut named = Fields::from_iter([("name".to_owned(), name.into())]);
        named.extend(fields(property)?);
        Ok(named)
    };
    listed.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Fields {
        fields(value).unwrap()
    }

    #[test]
    fn what_the_service_showed_can_be_given_to_it_again() {
        let shown = object(json!({
            "namespace": "n", "created_at": "t", "self": "/n", "schema": "/s", "x_new": 1,
            "objects": [{"name": "o", "updated_at": "t", "self": "/o", "properties": {"schema": {"type": "string"}}}],
            "resource_type_associations": [{"name": "r", "prefix": "p_", "created_at": "t"}],
            "properties": {"self": {"type": "string"}}
        }));
        assert_eq!(
            Value::Object(whole_namespace(&shown)),
            json!({"namespace": "n", "x_new": 1,
                "objects": [{"name": "o", "properties": {"schema": {"type": "string"}}}],
                "resource_type_associations": [{"name": "r", "prefix": "p_"}],
                "properties": {"self": {"type": "string"}}})
        );
        assert_eq!(Value::Object(bare_namespace(&shown)), json!({"namespace": "n", "x_new": 1}));
    }

    #[test]
    fn properties_are_a_mapping_by_name() {
        let listed = properties(json!({"properties": {"b": {"type": "string"}, "a": {"type": "integer"}}})).unwrap();
        assert_eq!(
            serde_json::to_value(listed).unwrap(),
            json!([{"name": "b", "type": "string"}, {"name": "a", "type": "integer"}])
        );
        for body in [json!([]), json!({}), json!({"properties": []}), json!({"properties": {"a": 1}})] {
            assert!(properties(body).is_err());
        }
    }
}
