//! What a namespace defines: objects, properties, tags, and the types of
//! resources that it is for.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::body::{body, enforce, namespace, path, put_times, read, string, unprotected};
use super::property;
use crate::local::answer::{Payload, json as as_json, no_content};
use crate::local::failure::{Failure, Result};
use crate::local::registry::{Direction, Item, ItemKind, Namespace, Session, now};
use crate::local::request::Asked;
use crate::local::service::Service;
use crate::local::v2::fields::time;
use crate::local::v2::page::Page;
use crate::local::v2::query::pairs;
use crate::local::v2::schemas::{ASSOCIATION, OBJECT, PROPERTY, Schema, TAG, TAGS};

/// A definition's name and what is said of it.
pub type Form = Result<(String, Map<String, Value>)>;

/// Brings what was given into form: its name, and the fields that there are.
fn form(given: &Value, what: &str, fields: &[&str]) -> Form {
    let missing = || Failure::bad_request(format!("Mandatory attribute 'name' of {what} is missing."));
    let given = given.as_object().ok_or_else(missing)?;
    let name = string(given, "name").ok_or_else(missing)?;
    if let Some(unknown) = given.keys().find(|field| *field != "name" && !fields.contains(&field.as_str())) {
        return Err(Failure::bad_request(format!("Unknown attribute '{unknown}' of {what}.")));
    }
    let mut content = Map::new();
    for field in fields {
        match given.get(*field) {
            Some(value) if *field == "properties" => {
                content.insert((*field).to_owned(), Value::Object(property::normal_all(value)?));
            }
            Some(value) => {
                content.insert((*field).to_owned(), value.clone());
            }
            None => {}
        }
    }
    Ok((name, content))
}

/// An object, as it was given.
pub fn object(given: &Value) -> Form {
    form(given, "an object", &["required", "description", "properties"])
}

/// That a namespace is for a type of resource, as it was given.
pub fn association(given: &Value) -> Form {
    form(given, "a resource type association", &["prefix", "properties_target"])
}

/// A tag, as it was given.
pub fn tag(given: &Value) -> Form {
    form(given, "a tag", &[])
}

/// What was given, with its name.
pub fn named(name: &str, content: &Map<String, Value>) -> Value {
    let mut view: Map<String, Value> = Map::from_iter([("name".to_owned(), name.into())]);
    view.extend(content.clone());
    Value::Object(view)
}

/// What was given, as it is kept: names that an object requires have no commas,
/// for Glance keeps them in one text.
pub fn kept(kind: ItemKind, mut content: Map<String, Value>) -> Map<String, Value> {
    if let (ItemKind::Object, Some(required)) = (kind, content.get_mut("required")) {
        let names = required.as_array().into_iter().flatten().filter_map(Value::as_str);
        *required = names.flat_map(|name| name.split(',')).map(Value::from).collect();
    }
    content
}

/// An object as the API shows it, the names of its properties after `prefix`.
pub fn view_object(namespace: &Namespace, item: &Item, prefix: &str) -> Value {
    let prefixed = |name: &str| format!("{prefix}{name}");
    let mut view = Map::from_iter([("name".to_owned(), Value::from(item.name.as_str()))]);
    let required = item.content.get("required").and_then(Value::as_array).into_iter().flatten();
    view.insert("required".to_owned(), required.filter_map(Value::as_str).map(prefixed).collect());
    if let Some(description) = item.content.get("description") {
        view.insert("description".to_owned(), description.clone());
    }
    let properties = item.content.get("properties").and_then(Value::as_object).into_iter().flatten();
    let properties = properties.map(|(name, property)| (prefixed(name), property.clone())).collect();
    view.insert("properties".to_owned(), Value::Object(properties));
    put_times(&mut view, item.created_at, item.updated_at);
    finish_object(&mut view, namespace, &item.name);
    Value::Object(view)
}

fn finish_object(view: &mut Map<String, Value>, namespace: &Namespace, name: &str) {
    view.insert("self".to_owned(), format!("{}/objects/{name}", path(&namespace.namespace)).into());
    view.insert("schema".to_owned(), "/v2/schemas/metadefs/object".into());
}

/// That a namespace is for a type of resource, as the API shows it.
pub fn view_association(item: &Item) -> Value {
    with_times(named(&item.name, &item.content), item)
}

fn with_times(view: Value, item: &Item) -> Value {
    let Value::Object(mut view) = view else { return view };
    put_times(&mut view, item.created_at, item.updated_at);
    Value::Object(view)
}

/// Records a definition; 409 if there is one of its kind and name.
pub fn add(session: &Session, namespace: &Namespace, kind: ItemKind, item: &Item) -> Result<()> {
    match session.add_item(namespace.number, kind, item)? {
        true => Ok(()),
        false => Err(taken(namespace, kind, &item.name)),
    }
}

fn taken(namespace: &Namespace, kind: ItemKind, name: &str) -> Failure {
    let namespace = &namespace.namespace;
    Failure::conflict(match kind {
        ItemKind::Object => {
            format!("A metadata definition object with name={name} already exists in namespace={namespace}.")
        }
        ItemKind::Property => {
            format!("A metadata definition property with name={name} already exists in namespace={namespace}.")
        }
        ItemKind::ResourceType => format!(
            "The metadata definition resource-type association of resource-type={name} to namespace={namespace} \
             already exists."
        ),
        ItemKind::Tag => format!(
            "A metadata tag with name={name} already exists in namespace={namespace}. (Please note that metadata tag \
             names are case insensitive)."
        ),
    })
}

fn item(session: &Session, namespace: &Namespace, kind: ItemKind, name: &str) -> Result<Item> {
    session.item(namespace.number, kind, name)?.ok_or_else(|| {
        Failure::not_found(match kind {
            ItemKind::Object => format!("Could not find metadata object {name}"),
            ItemKind::Property => format!("Could not find property {name}"),
            ItemKind::ResourceType => format!("Failed to find resource type {name} to delete"),
            ItemKind::Tag => format!("Could not find metadata tag {name}"),
        })
    })
}

fn new(name: String, content: Map<String, Value>) -> Item {
    let now = now();
    Item { number: 0, name, content, created_at: now, updated_at: Some(now) }
}

/// Adds what a request brings; answers with what `show` makes of it.
async fn create(
    service: &Arc<Service>,
    asked: &Asked,
    of: &str,
    rule: &'static str,
    kind: ItemKind,
    (name, content): (String, Map<String, Value>),
    show: impl FnOnce(&Namespace, &Item) -> Value + Send + 'static,
) -> Result<Response<Payload>> {
    let (caller, of) = (Arc::clone(&asked.caller), of.to_owned());
    service
        .write(move |service, session| {
            let namespace = namespace(service, session, &caller, &of, rule)?;
            let mut item = new(name, content);
            let told = show(&namespace, &item);
            item.content = kept(kind, item.content);
            add(session, &namespace, kind, &item)?;
            Ok(as_json(StatusCode::CREATED, &told))
        })
        .await
}

/// Puts what a request brings in the place of what there is.
async fn update(
    service: &Arc<Service>,
    asked: &Asked,
    (of, old): (&str, &str),
    rule: &'static str,
    kind: ItemKind,
    (name, content): (String, Map<String, Value>),
    show: impl FnOnce(&Namespace, &Item) -> Value + Send + 'static,
) -> Result<Response<Payload>> {
    let (caller, of, old) = (Arc::clone(&asked.caller), of.to_owned(), old.to_owned());
    service
        .write(move |service, session| {
            let namespace = namespace(service, session, &caller, &of, rule)?;
            let mut item = item(session, &namespace, kind, &old)?;
            item.name = name;
            item.content = kept(kind, content.clone());
            if !session.save_item(&mut item)? {
                return Err(taken(&namespace, kind, &item.name));
            }
            item.content = content;
            Ok(as_json(StatusCode::OK, &show(&namespace, &item)))
        })
        .await
}

/// `DELETE /v2/metadefs/namespaces/{namespace}/{kind}/{name}`
pub async fn remove(
    service: &Arc<Service>,
    asked: &mut Asked,
    of: &str,
    kind: ItemKind,
    name: &str,
) -> Result<Response<Payload>> {
    let rule = match kind {
        ItemKind::Object => "delete_metadef_object",
        ItemKind::Property => "remove_metadef_property",
        ItemKind::ResourceType => "remove_metadef_resource_type_association",
        ItemKind::Tag => "delete_metadef_tag",
    };
    let (caller, of, name) = (Arc::clone(&asked.caller), of.to_owned(), name.to_owned());
    service
        .write(move |service, session| {
            let namespace = namespace(service, session, &caller, &of, rule)?;
            let item = item(session, &namespace, kind, &name)?;
            if namespace.protected {
                let kind = match kind {
                    ItemKind::Object => "object",
                    ItemKind::Property => "property",
                    ItemKind::ResourceType => "resource-type-association",
                    ItemKind::Tag => "tag",
                };
                return Err(Failure::forbidden(format!(
                    "Metadata definition {kind} {name} is protected and cannot be deleted."
                )));
            }
            Ok(session.remove_item(item.number)?)
        })
        .await?;
    Ok(no_content())
}

/// `DELETE /v2/metadefs/namespaces/{namespace}/{kind}`
pub async fn remove_all(
    service: &Arc<Service>,
    asked: &mut Asked,
    of: &str,
    kind: ItemKind,
) -> Result<Response<Payload>> {
    let (caller, of) = (Arc::clone(&asked.caller), of.to_owned());
    service
        .write(move |service, session| {
            let namespace = namespace(service, session, &caller, &of, "delete_metadef_namespace")?;
            if kind == ItemKind::Tag {
                enforce(service, &caller, "delete_metadef_tags", Some(&namespace))?;
            }
            unprotected(&namespace)?;
            Ok(session.remove_items(namespace.number, kind)?)
        })
        .await?;
    Ok(no_content())
}

/// `GET /v2/metadefs/resource_types`
pub async fn resource_types(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let caller = Arc::clone(&asked.caller);
    read(service, move |service, session| {
        enforce(service, &caller, "list_metadef_resource_types", None)?;
        let types = session.resource_types()?.into_iter().map(|(name, created_at, updated_at)| {
            let mut view = Map::from_iter([("name".to_owned(), name.into())]);
            put_times(&mut view, created_at, updated_at);
            Value::Object(view)
        });
        Ok(as_json(StatusCode::OK, &json!({"resource_types": types.collect::<Vec<_>>()})))
    })
    .await
}

/// `GET /v2/metadefs/namespaces/{namespace}/resource_types`
pub async fn associations(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let (caller, of) = (Arc::clone(&asked.caller), of.to_owned());
    read(service, move |service, session| {
        let namespace = namespace(service, session, &caller, &of, "list_metadef_resource_types")?;
        let mut found = Vec::new();
        if enforce(service, &caller, "get_metadef_resource_type", Some(&namespace)).is_ok() {
            found = session.items(namespace.number, ItemKind::ResourceType)?;
        }
        let found: Vec<Value> = found.iter().map(view_association).collect();
        Ok(as_json(StatusCode::OK, &json!({"resource_type_associations": found})))
    })
    .await
}

/// `POST /v2/metadefs/namespaces/{namespace}/resource_types`
pub async fn associate(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let given = body(service, asked, ASSOCIATION, &TIMES).await?;
    let given = association(&Value::Object(given))?;
    let rule = "add_metadef_resource_type_association";
    create(service, asked, of, rule, ItemKind::ResourceType, given, |_, item| view_association(item)).await
}

const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// `GET /v2/metadefs/namespaces/{namespace}/objects`: all of them. As with
/// Glance, what is asked of order and page must make sense and changes nothing.
pub async fn objects(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let pairs = pairs(&asked.query);
    let page = Page::read(&pairs)?;
    shared_visibility(&page)?;
    if page.limit()? == Some(0) {
        return Err(Failure::bad_request("limit param must be positive"));
    }
    let (caller, of) = (Arc::clone(&asked.caller), of.to_owned());
    read(service, move |service, session| {
        let namespace = namespace(service, session, &caller, &of, "get_metadef_objects")?;
        let mut found = Vec::new();
        if enforce(service, &caller, "get_metadef_object", Some(&namespace)).is_ok() {
            found = session.items(namespace.number, ItemKind::Object)?;
        }
        let found: Vec<Value> = found.iter().map(|item| view_object(&namespace, item, "")).collect();
        Ok(as_json(StatusCode::OK, &json!({"objects": found, "schema": "v2/schemas/metadefs/objects"})))
    })
    .await
}

fn shared_visibility(page: &Page) -> Result<()> {
    match page.get("visibility") {
        None | Some("" | "public" | "private" | "shared") => Ok(()),
        Some(other) => Err(Failure::bad_request(format!("Invalid visibility value: {other}"))),
    }
}

/// An object as it is told to who sent it: with what was sent, and no more.
fn told_object(namespace: &Namespace, item: &Item) -> Value {
    let Value::Object(mut view) = with_times(named(&item.name, &item.content), item) else { return Value::Null };
    finish_object(&mut view, namespace, &item.name);
    Value::Object(view)
}

async fn given_object(service: &Service, asked: &mut Asked) -> Form {
    let given = body(service, asked, OBJECT, &["self", "schema", "created_at", "updated_at"]).await?;
    // Its properties may hold no more than those that stand alone do.
    for property in given.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(_, one)| one) {
        let mut alone = property.clone();
        if let Value::Object(alone) = &mut alone {
            alone.entry("name").or_insert_with(|| "".into());
        }
        PROPERTY.check(&alone)?;
    }
    object(&Value::Object(given))
}

/// `POST /v2/metadefs/namespaces/{namespace}/objects`
pub async fn create_object(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let given = given_object(service, asked).await?;
    create(service, asked, of, "add_metadef_object", ItemKind::Object, given, told_object).await
}

/// `GET /v2/metadefs/namespaces/{namespace}/objects/{object}`
pub async fn show_object(service: &Arc<Service>, asked: &mut Asked, of: &str, name: &str) -> Result<Response<Payload>> {
    let (caller, of, name) = (Arc::clone(&asked.caller), of.to_owned(), name.to_owned());
    read(service, move |service, session| {
        let namespace = namespace(service, session, &caller, &of, "get_metadef_object")?;
        let item = item(session, &namespace, ItemKind::Object, &name)?;
        Ok(as_json(StatusCode::OK, &view_object(&namespace, &item, "")))
    })
    .await
}

/// `PUT /v2/metadefs/namespaces/{namespace}/objects/{object}`
pub async fn update_object(
    service: &Arc<Service>,
    asked: &mut Asked,
    of: &str,
    name: &str,
) -> Result<Response<Payload>> {
    let given = given_object(service, asked).await?;
    update(service, asked, (of, name), "modify_metadef_object", ItemKind::Object, given, told_object).await
}

/// `GET /v2/metadefs/namespaces/{namespace}/properties`
pub async fn properties(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let (caller, of) = (Arc::clone(&asked.caller), of.to_owned());
    read(service, move |service, session| {
        let namespace = namespace(service, session, &caller, &of, "get_metadef_properties")?;
        let found = session.items(namespace.number, ItemKind::Property)?;
        let found: Map<String, Value> = found.into_iter().map(|item| (item.name, item.content.into())).collect();
        Ok(as_json(StatusCode::OK, &json!({"properties": found})))
    })
    .await
}

async fn given_property(service: &Service, asked: &mut Asked) -> Form {
    let given = Value::Object(body(service, asked, PROPERTY, &TIMES).await?);
    let content = property::normal(&given)?;
    Ok((string(&content, "name").unwrap_or_default(), content))
}

/// A property, by the name that it has now.
fn told_property(item: &Item) -> Value {
    let mut view = item.content.clone();
    view.insert("name".to_owned(), item.name.as_str().into());
    Value::Object(view)
}

/// `POST /v2/metadefs/namespaces/{namespace}/properties`
pub async fn create_property(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let given = given_property(service, asked).await?;
    let show = |_: &Namespace, item: &Item| told_property(item);
    create(service, asked, of, "add_metadef_property", ItemKind::Property, given, show).await
}

/// `PUT /v2/metadefs/namespaces/{namespace}/properties/{property}`
pub async fn update_property(
    service: &Arc<Service>,
    asked: &mut Asked,
    of: &str,
    name: &str,
) -> Result<Response<Payload>> {
    let given = given_property(service, asked).await?;
    let show = |_: &Namespace, item: &Item| told_property(item);
    update(service, asked, (of, name), "modify_metadef_property", ItemKind::Property, given, show).await
}

/// `GET /v2/metadefs/namespaces/{namespace}/properties/{property}`: with
/// `resource_type`, the name is the one that the property has there.
pub async fn show_property(
    service: &Arc<Service>,
    asked: &mut Asked,
    of: &str,
    name: &str,
) -> Result<Response<Payload>> {
    let (caller, of, name) = (Arc::clone(&asked.caller), of.to_owned(), name.to_owned());
    let pairs = pairs(&asked.query);
    read(service, move |service, session| {
        let namespace = namespace(service, session, &caller, &of, "get_metadef_property")?;
        let mut name = name.as_str();
        let page = Page::read(&pairs)?;
        if let Some(wanted) = page.get("resource_type").filter(|wanted| !wanted.is_empty()) {
            enforce(service, &caller, "get_metadef_resource_type", Some(&namespace))?;
            let association = session.item(namespace.number, ItemKind::ResourceType, wanted)?;
            let association = match association {
                Some(association) => association,
                None if session.knows_resource_type(wanted)? => {
                    return Err(Failure::not_found(format!(
                        "The metadata definition resource-type association of resource-type={wanted} to \
                         namespace={of}, was not found."
                    )));
                }
                None => {
                    return Err(Failure::not_found(format!(
                        "The metadata definition resource-type with name={wanted}, was not found."
                    )));
                }
            };
            let prefix = string(&association.content, "prefix").filter(|prefix| !prefix.is_empty());
            let rest = prefix.as_deref().and_then(|prefix| name.strip_prefix(prefix));
            name = rest.ok_or_else(|| {
                Failure::not_found(format!(
                    "Property {name} does not start with the expected resource type association prefix of '{}'.",
                    prefix.as_deref().unwrap_or("None")
                ))
            })?;
        }
        let item = item(session, &namespace, ItemKind::Property, name)?;
        Ok(as_json(StatusCode::OK, &told_property(&item)))
    })
    .await
}

/// `GET /v2/metadefs/namespaces/{namespace}/tags`
pub async fn tags(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let (caller, of, pairs) = (Arc::clone(&asked.caller), of.to_owned(), pairs(&asked.query));
    read(service, move |service, session| {
        let mut page = Page::read(&pairs)?;
        shared_visibility(&page)?;
        page.limit = page.limit.filter(|limit| !limit.is_empty());
        let limit = page.limit()?.unwrap_or(usize::MAX);
        let namespace = namespace(service, session, &caller, &of, "get_metadef_tags")?;
        let mut tags = session.items(namespace.number, ItemKind::Tag)?;
        match page.sort_key {
            // In the order they came, which is also that of their times and numbers.
            "created_at" | "id" => {}
            "name" => tags.sort_by(|a, b| a.name.cmp(&b.name)),
            "updated_at" => tags.sort_by_key(|tag| tag.updated_at),
            other => return Err(Failure::bad_request(format!("Invalid sort key: {other}"))),
        }
        if page.direction == Direction::Descending {
            tags.reverse();
        }
        let mut start = 0;
        if let Some(marker) = page.marker.filter(|marker| !marker.is_empty()) {
            let marker = item(session, &namespace, ItemKind::Tag, marker)?;
            start = tags.iter().position(|tag| tag.number == marker.number).map_or(0, |at| at + 1);
        }
        let tags: Vec<Value> = tags.iter().skip(start).take(limit).map(|tag| json!({"name": tag.name})).collect();
        Ok(as_json(StatusCode::OK, &json!({"tags": tags})))
    })
    .await
}

fn told_tag(item: &Item) -> Value {
    let mut view = json!({"name": item.name, "created_at": time(item.created_at)});
    if let Some(updated_at) = item.updated_at {
        view["updated_at"] = time(updated_at).into();
    }
    view
}

/// `GET /v2/metadefs/namespaces/{namespace}/tags/{tag}`
pub async fn show_tag(service: &Arc<Service>, asked: &mut Asked, of: &str, name: &str) -> Result<Response<Payload>> {
    let (caller, of, name) = (Arc::clone(&asked.caller), of.to_owned(), name.to_owned());
    read(service, move |service, session| {
        let namespace = namespace(service, session, &caller, &of, "get_metadef_tag")?;
        Ok(as_json(StatusCode::OK, &told_tag(&item(session, &namespace, ItemKind::Tag, &name)?)))
    })
    .await
}

/// `POST /v2/metadefs/namespaces/{namespace}/tags/{tag}`
pub async fn create_tag(service: &Arc<Service>, asked: &mut Asked, of: &str, name: &str) -> Result<Response<Payload>> {
    // Of a namespace that the caller does not see, nothing is told first.
    service.read(|session| {
        let found = session.namespace(of)?.filter(|namespace| namespace.is_visible(&asked.caller));
        found.map(drop).ok_or_else(|| Failure::not_found(format!("Namespace {of} not found")))
    })?;
    TAG.check(&json!({"name": name}))?;
    let given = (name.to_owned(), Map::new());
    create(service, asked, of, "add_metadef_tag", ItemKind::Tag, given, |_, item| told_tag(item)).await
}

/// `PUT /v2/metadefs/namespaces/{namespace}/tags/{tag}`
pub async fn update_tag(service: &Arc<Service>, asked: &mut Asked, of: &str, name: &str) -> Result<Response<Payload>> {
    let given = tag(&Value::Object(body(service, asked, TAG, &TIMES).await?))?;
    let show = |_: &Namespace, item: &Item| told_tag(item);
    update(service, asked, (of, name), "modify_metadef_tag", ItemKind::Tag, given, show).await
}

/// `POST /v2/metadefs/namespaces/{namespace}/tags`: in the place of those that
/// there are, or, with `X-Openstack-Append`, beside them.
pub async fn create_tags(service: &Arc<Service>, asked: &mut Asked, of: &str) -> Result<Response<Payload>> {
    let schema: Schema = TAGS;
    let given = body(service, asked, schema, &TIMES).await?;
    let given = given.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let given = given.iter().map(tag).collect::<Result<Vec<_>>>()?;
    let append = asked.header("x-openstack-append").unwrap_or_default().trim().to_lowercase();
    let append = ["1", "t", "true", "on", "y", "yes"].contains(&append.as_str());
    let (caller, of) = (Arc::clone(&asked.caller), of.to_owned());
    service
        .write(move |service, session| {
            let namespace = namespace(service, session, &caller, &of, "add_metadef_tags")?;
            // No tags are no wish to have none.
            if !append && !given.is_empty() {
                session.remove_items(namespace.number, ItemKind::Tag)?;
            }
            for (name, content) in &given {
                add(session, &namespace, ItemKind::Tag, &new(name.clone(), content.clone()))?;
            }
            let tags: Vec<Value> = given.iter().map(|(name, content)| named(name, content)).collect();
            Ok(as_json(StatusCode::CREATED, &json!({"tags": tags})))
        })
        .await
}
