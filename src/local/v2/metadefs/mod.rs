//! Metadata definitions (<https://docs.openstack.org/api-ref/image/v2/metadefs-index.html>).
//!
//! Whoever may not see a namespace is told that there is none.

mod body;
mod files;
mod items;
mod namespaces;
mod property;

use std::sync::Arc;

use http::{Method, Response};

use crate::local::answer::Payload;
use crate::local::failure::{Failure, Result};
use crate::local::registry::ItemKind;
use crate::local::request::{Asked, bodiless};
use crate::local::service::Service;

pub use files::{Loaded, MetadefFiles};

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
