//! Closing an image to all but admins, and opening it again
//! (<https://docs.openstack.org/api-ref/image/v2/#deactivate-image>).

use std::sync::Arc;

use http::Response;

use crate::local::answer::{Payload, no_content};
use crate::local::failure::{Failure, Result};
use crate::local::registry::Status;
use crate::local::request::Asked;
use crate::local::service::Service;

/// `POST /v2/images/{id}/actions/deactivate` and `…/reactivate`: both also do
/// for an image that is already so.
pub async fn set_active(
    service: &Arc<Service>,
    asked: &mut Asked,
    id: &str,
    active: bool,
) -> Result<Response<Payload>> {
    let (verb, from, to) = match active {
        true => ("reactivate", Status::Deactivated, Status::Active),
        false => ("deactivate", Status::Active, Status::Deactivated),
    };
    let (caller, id) = (Arc::clone(&asked.caller), id.to_owned());
    service
        .write(move |service, session| {
            let mut image = service.image(session, &caller, &id)?;
            service.enforce(verb, &caller, &image)?;
            if image.status == from {
                image.status = to;
                session.save(&mut image)?;
            } else if image.status != to {
                let status = image.status.name();
                return Err(Failure::forbidden(format!("Not allowed to {verb} image in status '{status}'")));
            }
            Ok(())
        })
        .await?;
    Ok(no_content())
}
