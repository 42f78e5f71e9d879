//! Taking an image away.

use std::sync::Arc;

use http::{Response, StatusCode};

use super::gate::{check_owner, enforce, look_up, refused};
use crate::local::answer::{Payload, bare};
use crate::local::aside::aside;
use crate::local::failure::{Failure, Result};
use crate::local::pipeline;
use crate::local::registry::Status;
use crate::local::request::Asked;
use crate::local::service::Service;

/// `DELETE /v1/images/{id}`
pub async fn delete(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    enforce(service, &asked.caller, "delete_image")?;
    let (service, caller, id) = (Arc::clone(service), Arc::clone(&asked.caller), id.to_owned());
    aside(move || {
        pipeline::delete(&service, |session| {
            let image = look_up(session, &caller, &id)?;
            if image.protected {
                return Err(refused("Image is protected"));
            }
            match image.status {
                Status::PendingDelete => return Err(refused("Forbidden to delete a pending_delete image.")),
                Status::Deleted => return Err(Failure::not_found(format!("Image {id} not found."))),
                _ => {}
            }
            check_owner(&caller, &image, "delete")?;
            Ok(image)
        })
    })
    .await?;
    Ok(bare(StatusCode::OK))
}
