//! Where an image's data is, for other services
//! (<https://docs.openstack.org/api-ref/image/v2/#locations>).

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::schemas::LOCATION;
use crate::local::answer::{Payload, json as as_json};
use crate::local::failure::{Failure, Result};
use crate::local::registry::{FileState, Status};
use crate::local::request::Asked;
use crate::local::service::Service;

/// `GET /v2/images/{id}/locations`
pub fn list(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let places = service.read(|session| {
        let image = service.image(session, &asked.caller, id)?;
        service.enforce("fetch_image_location", &asked.caller, &image)?;
        let mut places = Vec::new();
        for file in session.files(id, FileState::Stored)? {
            let url = service.store(&file.store)?.url(&file.id);
            places.push(json!({"url": url, "metadata": {"store": file.store}}));
        }
        places.extend(image.location.map(|url| json!({"url": url, "metadata": {}})));
        Ok(places)
    })?;
    Ok(as_json(StatusCode::OK, &Value::Array(places)))
}

/// `POST /v2/images/{id}/locations`: there is no store here that data could
/// be in without having come through this service, so it ends in a refusal.
pub async fn add(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    LOCATION.check(&json!({"add_location": body}))?;
    service.read(|session| {
        let image = service.image(session, &asked.caller, id)?;
        if image.status != Status::Queued {
            let status = image.status.name();
            let words = format!("It's not allowed to add locations if image status is {status}.");
            return Err(Failure::conflict(words));
        }
        service.enforce("add_image_location", &asked.caller, &image)
    })?;
    Err(Failure::forbidden("http store must be enabled to use location API by normal user."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_location_and_what_not() {
        for (body, good) in [
            (json!({"url": "http://x"}), true),
            (json!({"url": "x", "validation_data": {}}), true),
            (json!({"url": "x", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "z"}}), true),
            (json!([]), false),
            (json!({}), false),
            (json!({"url": 1}), false),
            (json!({"url": "x", "validation_data": {"os_hash_algo": "md5"}}), false),
            (json!({"url": "x", "validation_data": {"os_hash_algo": "crc", "os_hash_value": "z"}}), false),
            (json!({"url": "x", "validation_data": {"more": "z"}}), false),
            (json!({"url": "x", "validation_data": null}), false),
        ] {
            assert_eq!(LOCATION.check(&json!({"add_location": body})).is_ok(), good, "{body}");
        }
    }
}
