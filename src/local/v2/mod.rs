//! Images API v2 (<https://docs.openstack.org/api-ref/image/v2/>), as Glance 33
//! serves it: each path, what can be done to it, and the file where it is done.

mod data;
mod images;
pub mod metadefs;
mod page;
mod query;
mod schemas;
pub mod versions;

use std::sync::Arc;

use http::{Method, Response};

use super::Service;
use super::failure::{Failure, Result};
use super::server::{Asked, Payload};

/// Answers a request whose path, after the version, is `asked.path`.
pub async fn answer(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let path: Vec<String> = std::mem::take(&mut asked.path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = asked.method.clone();
    match (&path[..], method) {
        (["images"], Method::GET) => images::list(service, asked).await,
        (["images"], Method::POST) => images::create(service, asked).await,
        (["images"], _) => Err(Failure::method_not_allowed("GET, POST")),
        (["images", id], Method::GET) => images::show(service, bodiless(asked)?, id),
        (["images", id], Method::DELETE) => images::delete(service, bodiless(asked)?, id).await,
        (["images", _], _) => Err(Failure::method_not_allowed("GET, PATCH, DELETE")),
        (["images", id, "file"], Method::GET) => data::download(service, bodiless(asked)?, id).await,
        (["images", id, "file"], Method::PUT) => data::upload(service, asked, id).await,
        (["images", _, "file"], _) => Err(Failure::method_not_allowed("GET, PUT")),
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

/// A request that has no body, as it should be.
fn bodiless(asked: &mut Asked) -> Result<&mut Asked> {
    match asked.has_body() {
        true => Err(Failure::bad_request("A body is not expected with this request.")),
        false => Ok(asked),
    }
}
