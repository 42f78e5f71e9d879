//! The image cache, which this service has no use for: its API answers as
//! Glance's does where the cache is off
//! (<https://docs.openstack.org/api-ref/image/v2/#cache-manage>).

use std::sync::Arc;

use http::{Method, Response};

use crate::local::answer::Payload;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::request::{Asked, bodiless};
use crate::local::service::Service;

/// Answers a request whose path, after `cache`, is `path`.
pub fn answer(service: &Arc<Service>, asked: &mut Asked, path: &[&str]) -> Result<Response<Payload>> {
    let rule = match (path, asked.method.clone()) {
        ([], Method::GET) => {
            bodiless(asked)?;
            "cache_list"
        }
        ([], Method::DELETE) => "cache_delete",
        ([], _) => return Err(Failure::method_not_allowed("GET, DELETE")),
        (["clean"], Method::POST) => "cache_clean",
        (["prune"], Method::POST) => "cache_prune",
        ([_], Method::DELETE) => "cache_delete",
        ([id], Method::PUT) => {
            seen(service, asked, id)?;
            "cache_image"
        }
        ([_], _) => return Err(Failure::method_not_allowed("DELETE, PUT")),
        (["nodes", _], Method::GET) => {
            bodiless(asked)?;
            "list_cached_nodes"
        }
        (["nodes", _], _) => return Err(Failure::method_not_allowed("GET")),
        _ => return Err(Failure::nothing_here()),
    };
    service.enforce_on(rule, &asked.caller, &Target::default())?;
    Err(Failure::not_found("Caching via API is not supported at this site."))
}

fn seen(service: &Service, asked: &Asked, id: &str) -> Result<()> {
    let image = service.read(|session| Ok(session.visible(&asked.caller, id)?))?;
    image.map(drop).ok_or_else(|| Failure::not_found(format!("Image {id} not found.")))
}
