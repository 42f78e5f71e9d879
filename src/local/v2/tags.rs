//! Tags of an image, one by one (<https://docs.openstack.org/api-ref/image/v2/#image-tags>).

use std::sync::Arc;

use http::Response;
use serde_json::json;

use super::fields;
use crate::local::answer::{Payload, no_content};
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::registry::{Image, Session};
use crate::local::request::Asked;
use crate::local::service::Service;

fn look_up(service: &Service, session: &Session, caller: &Caller, id: &str) -> Result<Image> {
    let image = session.visible(caller, id)?.ok_or_else(|| Failure::not_found(format!("Image {id} not found.")))?;
    service.enforce("modify_image", caller, &image)?;
    Ok(image)
}

/// `PUT /v2/images/{id}/tags/{tag}`
pub async fn add(service: &Arc<Service>, asked: &mut Asked, id: &str, tag: &str) -> Result<Response<Payload>> {
    let value = json!([tag]);
    fields::check(&service.settings, "tags", &value)?;
    let (caller, id, tag) = (Arc::clone(&asked.caller), id.to_owned(), tag.to_owned());
    service
        .write(move |service, session| {
            let mut image = look_up(service, session, &caller, &id)?;
            image.tags.insert(tag);
            service.settings.quota.check_tags(&image).map_err(|over| {
                Failure::too_large(format!("Image tag limit exceeded for image {id}: {}:", over.cause()))
            })?;
            fields::check_storable("tags", &value)
                .map_err(|bad| Failure::bad_request(format!("Could not update image: {}", bad.cause())))?;
            Ok(session.save(&mut image)?)
        })
        .await?;
    Ok(no_content())
}

/// `DELETE /v2/images/{id}/tags/{tag}`
pub async fn remove(service: &Arc<Service>, asked: &mut Asked, id: &str, tag: &str) -> Result<Response<Payload>> {
    let (caller, id, tag) = (Arc::clone(&asked.caller), id.to_owned(), tag.to_owned());
    service
        .write(move |service, session| {
            let mut image = look_up(service, session, &caller, &id)?;
            if !image.tags.remove(&tag) {
                return Err(Failure::nothing_here());
            }
            Ok(session.save(&mut image)?)
        })
        .await?;
    Ok(no_content())
}
