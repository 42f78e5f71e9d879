//! One image: its metadata, and its data.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::gate::{enforce, look_up, refused};
use super::view;
use crate::local::answer::{Payload, bare};
use crate::local::failure::{Failure, Result};
use crate::local::registry::Status;
use crate::local::request::Asked;
use crate::local::serve_data;
use crate::local::service::Service;

/// `HEAD /v1/images/{id}`
pub fn metadata(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let caller = &asked.caller;
    enforce(service, caller, "get_image")?;
    let mut image = service.read(|session| look_up(session, caller, id))?;
    view::hide(service, caller, &mut image);
    let mut answer = bare(StatusCode::OK);
    answer.headers_mut().extend(view::headers(&image));
    Ok(answer)
}

/// `GET /v1/images/{id}`
pub async fn data(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let caller = &asked.caller;
    enforce(service, caller, "get_image")?;
    let (mut image, files) = service.read(|session| {
        let active = look_up(session, caller, id).and_then(|image| match image.status {
            Status::Active => Ok(image),
            Status::Deactivated => Err(refused(format!("Image {id} is deactivated"))),
            _ => Err(Failure::not_found(format!("Image {id} is not active"))),
        });
        // Who may never download is not told what is there.
        let image = match active {
            Err(failure) if failure.status == StatusCode::NOT_FOUND => {
                enforce(service, caller, "download_image")?;
                return Err(failure);
            }
            active => active?,
        };
        if !service.may("download_image", caller, &image) {
            return Err(refused(""));
        }
        Ok((image, serve_data::stored(session, id)?))
    })?;
    let location = image.location.clone();
    let (payload, size) = match (location, files.first().and_then(|(file, _)| file.size)) {
        // Nothing is as good as no data.
        (_, None) if image.size == Some(0) => (Payload::from(bytes::Bytes::new()), 0),
        (Some(location), None) => {
            let (remote, size) = serve_data::remote(service, &image, &location).await?;
            (Payload::Remote(remote), size)
        }
        (_, size) => {
            let size = size.unwrap_or_default();
            (Payload::File(serve_data::download(service, id, files, 0, size).await?), size)
        }
    };
    image.size = Some(size);
    view::hide(service, caller, &mut image);
    let mut answer = Response::new(payload);
    let headers = answer.headers_mut();
    *headers = view::headers(&image);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, size.into());
    Ok(answer)
}
