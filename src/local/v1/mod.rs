//! Images API v1 as Glance 15 serves it, the last release that did: each path,
//! what can be done to it, and the file where it is done. The metadata of an
//! image are headers here, in both directions.
//!
//! What it does to an image is done by the rooms that v2 uses, too: here are
//! only v1's words (<https://docs.openstack.org/api-ref/image/v1/>).

mod create;
mod delete;
mod gate;
mod headers;
mod list;
mod members;
mod query;
mod show;
mod source;
mod update;
mod view;

use std::sync::Arc;

use http::{Method, Response};

use super::answer::Payload;
use super::failure::{Failure, Result};
use super::request::Asked;
use super::service::Service;

/// Answers a request whose path, after the version, is `asked.path`.
pub async fn answer(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let path: Vec<String> = std::mem::take(&mut asked.path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = asked.method.clone();
    match (&path[..], method) {
        // What is at the top is the list, whatever one wants to do to it.
        ([""], _) => list::brief(service, asked).await,
        // Routes take no empty part for a name.
        ([.., ""], _) => Err(Failure::nothing_here()),

        (["images"], Method::GET) => list::brief(service, asked).await,
        (["images"], Method::POST) => create::create(service, asked).await,
        (["images"], _) => Err(Failure::method_not_allowed("GET, POST")),

        (["images", "detail"], Method::GET) => list::detail(service, asked).await,
        (["images", "detail"], Method::HEAD) => {
            Err(Failure::not_permitted("This operation is currently not permitted on Glance images details.", "GET"))
        }
        (["images", "detail"], _) => Err(Failure::method_not_allowed("GET, HEAD")),

        (["images", id], Method::HEAD) => show::metadata(service, asked, id),
        (["images", id], Method::GET) => show::data(service, asked, id).await,
        (["images", id], Method::PUT) => update::update(service, asked, id).await,
        (["images", id], Method::DELETE) => delete::delete(service, asked, id).await,
        (["images", _], _) => Err(Failure::method_not_allowed("GET, HEAD, PUT, DELETE")),

        (["images", id, "members"], Method::GET) => members::list(service, asked, id),
        (["images", id, "members"], Method::PUT) => members::replace(service, asked, id).await,
        (["images", _, "members"], _) => Err(Failure::method_not_allowed("GET, PUT")),
        (["images", id, "members", member], Method::PUT) => members::add(service, asked, id, member).await,
        (["images", id, "members", member], Method::DELETE) => members::remove(service, asked, id, member).await,
        // A single one cannot be asked for: it is in the list.
        (["images", _, "members", _], Method::GET) => Err(Failure::method_not_allowed("PUT, DELETE")),
        (["images", _, "members", _], _) => Err(Failure::method_not_allowed("GET, PUT, DELETE")),

        (["shared-images", member], _) => members::shared_images(service, asked, member),
        _ => Err(Failure::nothing_here()),
    }
}
