//! Metadata definitions as records, in the shape that `openstack image` gives them.

use serde_json::{Value, json};

use crate::image::Fields;
use crate::output::Record;

/// Every field that a namespace can be shown with, in its order.
pub const NAMESPACE: [&str; 12] = [
    "created_at",
    "description",
    "display_name",
    "namespace",
    "objects",
    "owner",
    "properties",
    "protected",
    "resource_type_associations",
    "tags",
    "updated_at",
    "visibility",
];

/// The fields of an object.
pub const OBJECT: [&str; 7] =
    ["created_at", "description", "name", "namespace_name", "properties", "required", "updated_at"];

/// What a property can say.
pub const PROPERTY: [&str; 19] = [
    "additionalItems",
    "confidential",
    "default",
    "description",
    "enum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "name",
    "operators",
    "pattern",
    "readonly",
    "title",
    "type",
    "uniqueItems",
];

/// The fields of an association with a type of resource.
pub const ASSOCIATION: [&str; 6] = ["created_at", "id", "name", "prefix", "properties_target", "updated_at"];

/// A namespace; `long` also names its objects and properties. What is null is
/// left out, `tags` is always there.
pub fn namespace(namespace: &Fields, long: bool) -> Record {
    let mut fields = Vec::new();
    for name in NAMESPACE {
        let value = match (name, namespace.get(name)) {
            ("objects" | "properties", _) if !long => continue,
            ("tags", None | Some(Value::Null)) => json!([]),
            (_, None | Some(Value::Null)) => continue,
            ("objects" | "resource_type_associations", Some(Value::Array(items))) => {
                items.iter().filter_map(|item| item.get("name").cloned()).collect()
            }
            ("properties", Some(Value::Object(properties))) => properties.keys().cloned().collect(),
            (_, Some(value)) => value.clone(),
        };
        fields.push((name.to_owned(), value.into()));
    }
    Record { fields }
}

/// An object of this namespace.
pub fn object(namespace: &str, mut object: Fields) -> Record {
    object.insert("namespace_name".to_owned(), namespace.into());
    Record::of(&object, &OBJECT)
}

/// A property: all that is said of it, by name.
pub fn property(property: Fields) -> Record {
    let mut fields: Vec<_> = property.into_iter().filter(|(_, value)| !value.is_null()).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    Record { fields: fields.into_iter().map(|(name, value)| (name, value.into())).collect() }
}

/// An association with a type of resource; its name is also its ID.
pub fn association(mut association: Fields) -> Record {
    let name = association.get("name").cloned().unwrap_or_default();
    association.insert("id".to_owned(), name);
    Record::of(&association, &ASSOCIATION)
}
