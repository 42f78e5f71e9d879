//! Metadata definitions (<https://docs.openstack.org/api-ref/image/v2/metadefs-index.html>).
//!
//! Whoever may not see a namespace is told that there is none.

mod catalogue;
mod items;
mod namespaces;
mod property;

use std::sync::Arc;

use http::{Method, Response};
use serde_json::{Map, Value};

use super::images::time;
use super::schemas::Schema;
use crate::local::answer::Payload;
use crate::local::aside::aside;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::registry::{ItemKind, Namespace, Session};
use crate::local::request::{Asked, bodiless};
use crate::local::service::Service;

pub use catalogue::{Catalogue, Loaded};

/// Answers a request whose path, after `metadefs`, is `path`.
pub async fn answer(service: &Arc<Service>, asked: &mut Asked, path: &[&str]) -> Result<Response<Payload>> {
    let method = asked.method.clone();
    match (path, method) {
        // A segment always has something in it.
        (path, _) if path.iter().any(|part| part.is_empty()) => Err(Failure::nothing_here()),
        (["resource_types"], Method::GET) => items::resource_types(service, bodiless(asked)?).await,
        (["resource_types"], _) => Err(Failure::method_not_allowed("GET")),
        (["namespaces"], Method::GET) => namespaces::list(service, asked).await,
        (["namespaces"], Method::POST) => namespaces::create(service, asked).await,
        (["namespaces"], _) => Err(Failure::method_not_allowed("GET, POST")),
        (["namespaces", name], Method::GET) => namespaces::show(service, bodiless(asked)?, name).await,
        (["namespaces", name], Method::PUT) => namespaces::update(service, asked, name).await,
        (["namespaces", name], Method::DELETE) => namespaces::delete(service, bodiless(asked)?, name).await,
        (["namespaces", _], _) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
        (["namespaces", name, "resource_types"], Method::GET) => {
            items::associations(service, bodiless(asked)?, name).await
        }
        (["namespaces", name, "resource_types"], Method::POST) => items::associate(service, asked, name).await,
        (["namespaces", _, "resource_types"], _) => Err(Failure::method_not_allowed("GET, POST")),
        (["namespaces", name, "resource_types", of], Method::DELETE) => {
            items::remove(service, bodiless(asked)?, name, ItemKind::ResourceType, of).await
        }
        (["namespaces", _, "resource_types", _], _) => Err(Failure::method_not_allowed("DELETE")),
        (["namespaces", name, "objects"], Method::GET) => items::objects(service, asked, name).await,
        (["namespaces", name, "objects"], Method::POST) => items::create_object(service, asked, name).await,
        (["namespaces", name, "properties"], Method::GET) => items::properties(service, bodiless(asked)?, name).await,
        (["namespaces", name, "properties"], Method::POST) => items::create_property(service, asked, name).await,
        (["namespaces", name, "tags"], Method::GET) => items::tags(service, asked, name).await,
        (["namespaces", name, "tags"], Method::POST) => items::create_tags(service, asked, name).await,
        (["namespaces", name, kind @ ("objects" | "properties" | "tags")], Method::DELETE) => {
            items::remove_all(service, bodiless(asked)?, name, plural(kind)).await
        }
        (["namespaces", _, "objects" | "properties" | "tags"], _) => {
            Err(Failure::method_not_allowed("GET, POST, DELETE"))
        }
        (["namespaces", name, "objects", object], Method::GET) => {
            items::show_object(service, bodiless(asked)?, name, object).await
        }
        (["namespaces", name, "objects", object], Method::PUT) => {
            items::update_object(service, asked, name, object).await
        }
        (["namespaces", name, "properties", property], Method::GET) => {
            items::show_property(service, asked, name, property).await
        }
        (["namespaces", name, "properties", property], Method::PUT) => {
            items::update_property(service, asked, name, property).await
        }
        (["namespaces", name, "tags", tag], Method::GET) => items::show_tag(service, bodiless(asked)?, name, tag).await,
        (["namespaces", name, "tags", tag], Method::POST) => {
            items::create_tag(service, bodiless(asked)?, name, tag).await
        }
        (["namespaces", name, "tags", tag], Method::PUT) => items::update_tag(service, asked, name, tag).await,
        (["namespaces", name, kind @ ("objects" | "properties" | "tags"), item], Method::DELETE) => {
            items::remove(service, bodiless(asked)?, name, plural(kind), item).await
        }
        (["namespaces", _, "tags", _], _) => Err(Failure::method_not_allowed("GET, POST, PUT, DELETE")),
        (["namespaces", _, "objects" | "properties", _], _) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),
        _ => Err(Failure::nothing_here()),
    }
}

fn plural(kind: &str) -> ItemKind {
    match kind {
        "objects" => ItemKind::Object,
        "properties" => ItemKind::Property,
        _ => ItemKind::Tag,
    }
}

/// Refuses (403, or 404 where the caller may not even know of the namespace)
/// what `rule` does not allow; `None` is about no namespace in particular.
fn enforce(service: &Service, caller: &Caller, rule: &str, namespace: Option<&Namespace>) -> Result<()> {
    let target = match namespace {
        Some(namespace) => {
            Target { owner: namespace.owner.as_deref(), member: None, visibility: Some(namespace.visibility()) }
        }
        None => Target { owner: caller.project_id.as_deref(), member: None, visibility: None },
    };
    service.enforce_on(rule, caller, &target).map_err(|refused| {
        let sees =
            rule != "get_metadef_namespace" && service.enforce_on("get_metadef_namespace", caller, &target).is_ok();
        if sees { refused } else { Failure::nothing_here() }
    })
}

/// The namespace of this name, if the caller sees it and `rule` allows what is
/// to be done to it.
fn namespace(service: &Service, session: &Session, caller: &Caller, name: &str, rule: &str) -> Result<Namespace> {
    let namespace = match session.namespace(name)? {
        Some(namespace) if namespace.is_visible(caller) => namespace,
        // Of objects, Glance says it in other words.
        None if rule.contains("metadef_object") => {
            return Err(Failure::not_found(format!("Metadata definition namespace={name} was not found.")));
        }
        _ => return Err(Failure::not_found(format!("Namespace {name} not found"))),
    };
    enforce(service, caller, rule, Some(&namespace))?;
    Ok(namespace)
}

/// The body of a request: an object that is as `schema` says and sets nothing
/// that is not for clients to set.
async fn body(service: &Service, asked: &mut Asked, schema: Schema, read_only: &[&str]) -> Result<Map<String, Value>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    if let Some(field) = read_only.iter().find(|field| body.get(**field).is_some()) {
        return Err(Failure::forbidden(format!("Attribute '{field}' is read-only.")));
    }
    schema.check(&body)?;
    match body {
        Value::Object(body) => Ok(body),
        _ => Err(Failure::bad_request("Unexpected body type.")),
    }
}

/// Does `work` on one moment of the registry, on a thread that may wait.
async fn read<T: Send + 'static>(
    service: &Arc<Service>,
    work: impl FnOnce(&Service, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    let service = Arc::clone(service);
    aside(move || service.read(|session| work(&service, session))).await
}

fn string(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Adds when it came and changed.
fn put_times(view: &mut Map<String, Value>, created_at: i64, updated_at: Option<i64>) {
    view.insert("created_at".to_owned(), time(created_at).into());
    if let Some(updated_at) = updated_at {
        view.insert("updated_at".to_owned(), time(updated_at).into());
    }
}
