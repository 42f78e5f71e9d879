//! Namespaces, and documents that bring a namespace with all that it defines.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::body::{body, enforce, namespace, path, put_times, read, string, unprotected};
use super::{items, property};
use crate::local::answer::{Payload, json as as_json, no_content};
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::registry::{Item, ItemKind, NAMESPACE_SORT_KEYS, Namespace, NamespaceListing, Session, now};
use crate::local::request::Asked;
use crate::local::service::Service;
use crate::local::v2::page::Page;
use crate::local::v2::query::pairs;
use crate::local::v2::schemas::NAMESPACE;

/// What a header cannot hold as it is.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ');
const READ_ONLY: [&str; 4] = ["self", "schema", "created_at", "updated_at"];

/// A namespace as the API shows it, without what it defines.
fn view(namespace: &Namespace) -> Map<String, Value> {
    let mut view = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            view.insert(name.to_owned(), value.into());
        }
    };
    put("namespace", Some(&namespace.namespace));
    put("display_name", namespace.display_name.as_deref());
    put("description", namespace.description.as_deref());
    put("visibility", Some(namespace.visibility()));
    put("owner", namespace.owner.as_deref());
    put("self", Some(&path(&namespace.namespace)));
    put("schema", Some("/v2/schemas/metadefs/namespace"));
    view.insert("protected".to_owned(), namespace.protected.into());
    put_times(&mut view, namespace.created_at, namespace.updated_at);
    view
}

/// Everything that a document says.
pub struct Document {
    namespace: Namespace,
    items: Vec<(ItemKind, Item)>,
    /// What it defines, as it is told to who sent it.
    told: Map<String, Value>,
}

impl Document {
    /// Reads a document that is as the schema says.
    pub fn read(document: &Map<String, Value>, owner: Option<String>, updated_at: Option<i64>) -> Result<Self> {
        let now = now();
        let namespace = Namespace {
            number: 0,
            namespace: string(document, "namespace").unwrap_or_default(),
            display_name: string(document, "display_name"),
            description: string(document, "description"),
            is_public: document.get("visibility").is_some_and(|visibility| visibility == "public"),
            protected: document.get("protected") == Some(&Value::Bool(true)),
            owner: string(document, "owner").or(owner),
            created_at: now,
            updated_at,
        };
        let mut items = Vec::new();
        let mut told = Map::new();
        let mut add = |kind, name: String, content| {
            items.push((kind, Item { number: 0, name, content, created_at: now, updated_at }));
        };
        let each = |name: &str, form: fn(&Value) -> items::Form| {
            document.get(name).and_then(Value::as_array).map(|list| list.iter().map(form).collect::<Result<Vec<_>>>())
        };
        for (field, kind, form) in [
            ("resource_type_associations", ItemKind::ResourceType, items::association as fn(&Value) -> _),
            ("objects", ItemKind::Object, items::object),
            ("tags", ItemKind::Tag, items::tag),
        ] {
            let Some(list) = each(field, form) else { continue };
            let list = list?;
            told.insert(field.to_owned(), list.iter().map(|(name, content)| items::named(name, content)).collect());
            list.into_iter().for_each(|(name, content)| add(kind, name, items::kept(kind, content)));
        }
        if let Some(properties) = document.get("properties") {
            let properties = property::normal_all(properties)?;
            for (name, content) in &properties {
                if let Value::Object(content) = content {
                    add(ItemKind::Property, name.clone(), content.clone());
                }
            }
            told.insert("properties".to_owned(), Value::Object(properties));
        }
        Ok(Document { namespace, items, told })
    }

    /// Records all of it.
    pub fn add(&mut self, session: &Session) -> Result<()> {
        let name = &self.namespace.namespace;
        if session.namespace(name)?.is_some() || !session.add_namespace(&mut self.namespace)? {
            return Err(Failure::conflict(format!(
                "The metadata definition namespace={} already exists.",
                self.namespace.namespace
            )));
        }
        for (kind, item) in &self.items {
            items::add(session, &self.namespace, *kind, item)?;
        }
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.namespace.namespace
    }
}

/// `POST /v2/metadefs/namespaces`
pub async fn create(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let body = body(service, asked, NAMESPACE, &READ_ONLY).await?;
    let caller = Arc::clone(&asked.caller);
    enforce(service, &caller, "add_metadef_namespace", None)?;
    for (field, rule) in [
        ("resource_type_associations", "add_metadef_resource_type_association"),
        ("objects", "add_metadef_object"),
        ("properties", "add_metadef_property"),
        ("tags", "add_metadef_tag"),
    ] {
        if body.contains_key(field) {
            enforce(service, &caller, rule, None)?;
        }
    }
    let mut document = Document::read(&body, caller.project_id.clone(), Some(now()))?;
    let document = service
        .write(move |_, session| {
            document.add(session)?;
            Ok(document)
        })
        .await?;
    let mut shown = view(&document.namespace);
    shown.extend(document.told);
    let mut answer = as_json(StatusCode::CREATED, &Value::Object(shown));
    let location = format!("{}{}", asked.base, path(&document.namespace.namespace));
    let location = utf8_percent_encode(&location, UNSAFE).to_string();
    if let Ok(location) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// `GET /v2/metadefs/namespaces`
pub async fn list(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let pairs = pairs(&asked.query);
    let caller = Arc::clone(&asked.caller);
    read(service, move |service, session| {
        let page = Page::read(&pairs)?;
        let limits = &service.settings.limits;
        let limit = page.limit()?.unwrap_or(limits.page).min(limits.longest_page);
        let public = public(page.get("visibility"))?;
        let sort_key = NAMESPACE_SORT_KEYS.into_iter().find(|key| *key == page.sort_key);
        enforce(service, &caller, "get_metadef_namespaces", None)?;
        enforce(service, &caller, "list_metadef_resource_types", None)?;
        let marker = page.marker.map(|name| marker(session, &caller, name)).transpose()?;
        // Each type once: a statement does not take any number of them.
        let types: Option<BTreeSet<&str>> = page.get("resource_types").map(|types| types.split(',').collect());
        let listing = NamespaceListing {
            public,
            resource_types: types.map(|types| types.into_iter().map(str::to_owned).collect()),
            sort_key: sort_key.ok_or_else(|| Failure::bad_request(format!("Invalid sort key: {}", page.sort_key)))?,
            direction: page.direction,
            marker: marker.map(|marker| marker.number),
            // No namespace is of no visibility.
            limit: if page.get("visibility") == Some("") { 0 } else { limit },
        };
        let found = session.namespaces(&caller, &listing)?;
        let mut shown = Vec::new();
        for namespace in &found {
            if enforce(service, &caller, "get_metadef_namespace", Some(namespace)).is_err() {
                continue;
            }
            let mut view = view(namespace);
            let associations = session.items(namespace.number, ItemKind::ResourceType)?;
            if !associations.is_empty() {
                let associations = associations.iter().map(items::view_association).collect();
                view.insert("resource_type_associations".to_owned(), associations);
            }
            shown.push(Value::Object(view));
        }
        let path = "/v2/metadefs/namespaces";
        let mut body = json!({
            "namespaces": shown, "first": page.link(path, None), "schema": "/v2/schemas/metadefs/namespaces",
        });
        if let Some(last) = found.last().filter(|_| found.len() == limit) {
            body["next"] = page.link(path, Some(&last.namespace)).into();
        }
        Ok(as_json(StatusCode::OK, &body))
    })
    .await
}

/// The visibility that is asked for.
fn public(visibility: Option<&str>) -> Result<Option<bool>> {
    match visibility {
        None | Some("") => Ok(None),
        Some("public") => Ok(Some(true)),
        Some("private") => Ok(Some(false)),
        Some(other) => Err(Failure::bad_request(format!("Invalid visibility value: {other}"))),
    }
}

/// A page may begin only after what the caller sees.
fn marker(session: &Session, caller: &Caller, name: &str) -> Result<Namespace> {
    let found = session.namespace(name)?.ok_or_else(|| missing(name))?;
    match found.is_visible(caller) {
        true => Ok(found),
        false => {
            Err(Failure::forbidden(format!("Forbidding request, metadata definition namespace={name} is not visible.")))
        }
    }
}

fn missing(name: &str) -> Failure {
    Failure::not_found(match name {
        "" => "Metadata definition namespace not found for id=".to_owned(),
        name => format!("Metadata definition namespace={name} was not found."),
    })
}

/// `GET /v2/metadefs/namespaces/{namespace}`
pub async fn show(service: &Arc<Service>, asked: &mut Asked, name: &str) -> Result<Response<Payload>> {
    let (caller, name, query) = (Arc::clone(&asked.caller), name.to_owned(), asked.query.clone());
    read(service, move |service, session| {
        let pairs = pairs(&query);
        let page = Page::read(&pairs)?;
        public(page.get("visibility"))?;
        let namespace = session.namespace(&name)?.ok_or_else(|| missing(&name))?;
        if !namespace.is_visible(&caller) {
            return Err(Failure::nothing_here());
        }
        for rule in [
            "get_metadef_namespace",
            "list_metadef_resource_types",
            "get_metadef_objects",
            "get_metadef_properties",
            "get_metadef_tags",
        ] {
            enforce(service, &caller, rule, Some(&namespace))?;
        }
        let associations = session.items(namespace.number, ItemKind::ResourceType)?;
        // With a type of resource, all names are as they are to be given there.
        let prefix = page.get("resource_type").and_then(|wanted| {
            associations.iter().find(|known| known.name == wanted).and_then(|known| string(&known.content, "prefix"))
        });
        let prefix = prefix.unwrap_or_default();
        let mut view = view(&namespace);
        let mut put = |field: &str, list: Vec<Value>| {
            if !list.is_empty() {
                view.insert(field.to_owned(), list.into());
            }
        };
        let objects = session.items(namespace.number, ItemKind::Object)?;
        put("objects", objects.iter().map(|item| items::view_object(&namespace, item, &prefix)).collect());
        put("resource_type_associations", associations.iter().map(items::view_association).collect());
        let tags = session.items(namespace.number, ItemKind::Tag)?;
        put("tags", tags.iter().rev().map(|tag| json!({"name": tag.name})).collect());
        let properties = session.items(namespace.number, ItemKind::Property)?;
        if !properties.is_empty() {
            let properties = properties.into_iter().map(|item| (prefix.clone() + &item.name, item.content.into()));
            view.insert("properties".to_owned(), Value::Object(properties.collect()));
        }
        Ok(as_json(StatusCode::OK, &Value::Object(view)))
    })
    .await
}

/// `PUT /v2/metadefs/namespaces/{namespace}`: what is not given is as it is
/// for a new namespace.
pub async fn update(service: &Arc<Service>, asked: &mut Asked, name: &str) -> Result<Response<Payload>> {
    let body = body(service, asked, NAMESPACE, &READ_ONLY).await?;
    let (caller, name) = (Arc::clone(&asked.caller), name.to_owned());
    service
        .write(move |service, session| {
            let old = namespace(service, session, &caller, &name, "modify_metadef_namespace")?;
            let owner = caller.project_id.clone();
            let mut new = Document::read(&body, owner, None)?.namespace;
            (new.number, new.created_at) = (old.number, old.created_at);
            if !session.save_namespace(&mut new)? {
                return Err(Failure::conflict(format!(
                    "Invalid update. It would result in a duplicate metadata definition namespace with the same \
                     name of {}",
                    new.namespace
                )));
            }
            Ok(as_json(StatusCode::OK, &Value::Object(view(&new))))
        })
        .await
}

/// `DELETE /v2/metadefs/namespaces/{namespace}`
pub async fn delete(service: &Arc<Service>, asked: &mut Asked, name: &str) -> Result<Response<Payload>> {
    let (caller, name) = (Arc::clone(&asked.caller), name.to_owned());
    service
        .write(move |service, session| {
            let namespace = namespace(service, session, &caller, &name, "delete_metadef_namespace")?;
            unprotected(&namespace)?;
            Ok(session.remove_namespace(namespace.number)?)
        })
        .await?;
    Ok(no_content())
}
