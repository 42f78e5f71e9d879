//! Images API v2 (<https://docs.openstack.org/api-ref/image/v2/>), as Glance 33
//! serves it: each path, what can be done to it, and the file where it is done.

mod actions;
mod cache;
mod data;
mod fields;
mod images;
mod import;
mod locations;
mod members;
pub mod metadefs;
mod page;
mod patch;
mod python;
mod query;
mod schemas;
mod stores;
mod tags;
mod tasks;
mod usage;

use std::sync::Arc;

use http::{Method, Response};

use super::answer::Payload;
use super::failure::{Failure, Result};
use super::request::{Asked, bodiless};
use super::service::Service;

/// Answers a request whose path, after the version, is `asked.path`.
pub async fn answer(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let path: Vec<String> = std::mem::take(&mut asked.path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = asked.method.clone();
    match (&path[..], method) {
        // Routes take no empty part for a name.
        ([.., ""], _) => Err(Failure::nothing_here()),

        (["images"], Method::GET) => images::list(service, asked).await,
        (["images"], Method::POST) => images::create(service, asked).await,
        (["images"], _) => Err(Failure::method_not_allowed("GET, POST")),

        (["images", id], Method::GET) => images::show(service, bodiless(asked)?, id),
        (["images", id], Method::PATCH) => images::update(service, asked, id).await,
        (["images", id], Method::DELETE) => images::delete(service, bodiless(asked)?, id).await,
        (["images", _], _) => Err(Failure::method_not_allowed("GET, PATCH, DELETE")),

        (["images", id, "file"], Method::GET) => data::download(service, bodiless(asked)?, id).await,
        (["images", id, "file"], Method::PUT) => data::upload(service, asked, id).await,
        (["images", _, "file"], _) => Err(Failure::method_not_allowed("GET, PUT")),
        (["images", id, "stage"], Method::PUT) => data::stage(service, asked, id).await,
        (["images", _, "stage"], _) => Err(Failure::method_not_allowed("PUT")),

        (["images", id, "locations"], Method::GET) => locations::list(service, asked, id),
        (["images", id, "locations"], Method::POST) => locations::add(service, asked, id).await,
        (["images", _, "locations"], _) => Err(Failure::method_not_allowed("POST")),

        (["images", id, "actions", "deactivate"], Method::POST) => {
            actions::set_active(service, bodiless(asked)?, id, false).await
        }
        (["images", id, "actions", "reactivate"], Method::POST) => {
            actions::set_active(service, bodiless(asked)?, id, true).await
        }
        (["images", _, "actions", "deactivate" | "reactivate"], _) => Err(Failure::method_not_allowed("POST")),

        (["images", id, "tags", tag], Method::PUT) => tags::add(service, bodiless(asked)?, id, tag).await,
        (["images", id, "tags", tag], Method::DELETE) => tags::remove(service, bodiless(asked)?, id, tag).await,
        (["images", _, "tags", _], _) => Err(Failure::method_not_allowed("PUT, DELETE")),

        (["images", id, "members"], Method::GET) => members::list(service, bodiless(asked)?, id),
        (["images", id, "members"], Method::POST) => members::create(service, asked, id).await,
        (["images", _, "members"], _) => Err(Failure::method_not_allowed("GET, POST")),
        (["images", id, "members", member], Method::GET) => members::show(service, bodiless(asked)?, id, member),
        (["images", id, "members", member], Method::PUT) => members::update(service, asked, id, member).await,
        (["images", id, "members", member], Method::DELETE) => {
            members::delete(service, bodiless(asked)?, id, member).await
        }
        (["images", _, "members", _], _) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),

        (["stores", store, id], Method::DELETE) => stores::delete_copy(service, bodiless(asked)?, store, id).await,
        (["stores", _, _], _) => Err(Failure::method_not_allowed("DELETE")),
        (["info", "stores"], Method::GET) => bodiless(asked).map(|_| stores::list(service)),
        (["info", "stores", "detail"], Method::GET) => stores::detail(service, bodiless(asked)?),
        (["info", "import"], Method::GET) => bodiless(asked).map(|_| stores::import_methods(service)),
        (["info", "stores" | "import"] | ["info", "stores", "detail"], _) => Err(Failure::method_not_allowed("GET")),
        (["info", "usage"], Method::GET) => usage::show(service, asked).await,

        (["images", id, "import"], Method::POST) => import::start(service, asked, id).await,
        (["images", _, "import"], _) => Err(Failure::method_not_allowed("POST")),
        (["images", id, "tasks"], Method::GET) => tasks::of_image(service, bodiless(asked)?, id),

        (["tasks"], Method::GET) => tasks::list(service, asked).await,
        (["tasks"], Method::POST) => tasks::create(service, asked).await,
        (["tasks"], _) => Err(Failure::method_not_allowed("GET, POST")),
        (["tasks", id], Method::GET) => tasks::show(service, asked, id),
        (["tasks", _], Method::DELETE) => tasks::delete(service, asked),
        (["tasks", _], _) => Err(Failure::method_not_allowed("GET, DELETE")),

        (["cache", rest @ ..], _) => cache::answer(service, asked, rest),

        (["metadefs", rest @ ..], _) => metadefs::answer(service, asked, rest).await,
        (["schemas", rest @ ..], Method::GET) if schemas::is_one(&rest.join("/")) => {
            let name = rest.join("/");
            if !name.starts_with("task") {
                bodiless(asked)?;
            }
            schemas::show(service, &name)
        }
        (["schemas", rest @ ..], _) if schemas::is_one(&rest.join("/")) => Err(Failure::method_not_allowed("GET")),
        _ => Err(Failure::nothing_here()),
    }
}
