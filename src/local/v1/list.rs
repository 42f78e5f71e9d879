//! Lists of images, short and in detail.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::gate::enforce;
use super::{query, view};
use crate::local::answer::{Payload, json as as_json};
use crate::local::aside::aside;
use crate::local::failure::{Failure, Result};
use crate::local::registry::Image;
use crate::local::request::Asked;
use crate::local::service::Service;

/// `GET /v1/images`
pub async fn brief(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    list(service, asked, view::brief).await
}

/// `GET /v1/images/detail`
pub async fn detail(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    list(service, asked, view::full).await
}

async fn list(service: &Arc<Service>, asked: &mut Asked, view: fn(&Image) -> Value) -> Result<Response<Payload>> {
    enforce(service, &asked.caller, "get_images")?;
    let decoded = percent_encoding::percent_decode_str(&asked.query).decode_utf8();
    decoded.map_err(|_| {
        Failure::bad_request(
            "Error decoding your request. Either the URL or the request body contained characters that could not be \
             decoded by Glance",
        )
    })?;
    let pairs: Vec<_> = form_urlencoded::parse(asked.query.as_bytes()).into_owned().collect();
    let (mut listing, marker) = query::listing(&asked.caller, &service.settings.limits, &pairs)?;
    let (service, caller) = (Arc::clone(service), Arc::clone(&asked.caller));
    aside(move || {
        let images = service.read(|session| {
            if let Some(marker) = marker {
                let image = session.visible_ever(&caller, &marker)?;
                let image = image.ok_or_else(|| Failure::bad_request("Invalid marker. Image could not be found."))?;
                listing.marker = Some(image);
            }
            Ok(session.list(&listing)?)
        })?;
        let shown = images.into_iter().map(|mut image| {
            view::hide(&service, &caller, &mut image);
            view(&image)
        });
        Ok(as_json(StatusCode::OK, &json!({"images": shown.collect::<Vec<_>>()})))
    })
    .await
}
