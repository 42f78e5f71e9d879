//! Image data: up and down.

use std::sync::Arc;

use http::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};

use crate::local::Service;
use crate::local::access::aside;
use crate::local::failure::{Failure, Result};
use crate::local::pipeline::{self, Destination};
use crate::local::registry::FileState;
use crate::local::server::{Asked, Payload, no_content};
use crate::local::store::Download;

/// `PUT /v2/images/{id}/file`
pub async fn upload(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let declared = asked.header("x-openstack-image-size").or(asked.header(CONTENT_LENGTH));
    let declared = declared.and_then(|size| size.parse().ok());
    let store = asked.header("x-image-meta-store").unwrap_or(&service.default_store().name).to_owned();
    let caller = Arc::clone(&asked.caller);
    pipeline::upload(service, &caller, id, Destination::Store(store), declared, &mut asked.body).await?;
    Ok(no_content())
}

/// `GET /v2/images/{id}/file`
pub async fn download(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let (caller, id, service) = (Arc::clone(&asked.caller), id.to_owned(), Arc::clone(service));
    let (image, stored) = aside(move || {
        service.read(|session| {
            let image = service.image(session, &caller, &id)?;
            service.enforce("download_image", &caller, &image)?;
            let Some(file) = session.files(&id, FileState::Stored)?.into_iter().next() else {
                return Ok((image, None));
            };
            let sums = session.sums(&file.id)?.unwrap_or_default();
            let store = service.store(&file.store)?;
            let stored = store
                .data(&file.id, file.size.unwrap_or_default(), sums)
                .map_err(|e| Failure::internal(format!("the store: {e}")))?;
            Ok((image, Some(stored)))
        })
    })
    .await?;
    let Some(stored) = stored else { return Ok(no_content()) };
    let size = image.size.unwrap_or_default();
    let mut answer = Response::new(Payload::File(Download::new(stored, 0, size)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Some(md5) = image.checksum.as_deref().and_then(|md5| HeaderValue::from_str(md5).ok()) {
        headers.insert(HeaderName::from_static("content-md5"), md5);
    }
    headers.insert(CONTENT_LENGTH, size.into());
    Ok(answer)
}
