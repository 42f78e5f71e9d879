//! The data of an image on its way out: from a store, or from elsewhere.

use std::io;
use std::sync::Arc;

use http::StatusCode;
use url::Url;

use super::aside::aside;
use super::failure::{Failure, Result};
use super::registry::{FileRow, FileState, Image, Session};
use super::service::Service;
use super::store::Download;
use super::web_download::{Reading, Remote};

/// The files that have an image's data, with the sums of their blocks.
pub fn stored(session: &Session, id: &str) -> Result<Vec<(FileRow, Vec<u8>)>> {
    let mut stored = Vec::new();
    for file in session.files(id, FileState::Stored)? {
        let sums = session.sums(&file.id)?.unwrap_or_default();
        stored.push((file, sums));
    }
    Ok(stored)
}

/// The bytes of an image from `start` up to but not including `end`: from the
/// first of its files that can be read.
pub async fn download(
    service: &Arc<Service>,
    id: &str,
    files: Vec<(FileRow, Vec<u8>)>,
    start: u64,
    end: u64,
) -> Result<Download> {
    let (service, id) = (Arc::clone(service), id.to_owned());
    aside(move || {
        let mut last = Failure::internal("the image has no data file");
        // What is lost or damaged in one store may be whole in another.
        for (file, sums) in files {
            let stored = service.store(&file.store)?.data(&file.id, file.size.unwrap_or_default(), sums);
            match stored.and_then(|stored| Download::begin(stored, start, end)) {
                Ok(download) => return Ok(download),
                // Deleted since we looked.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && service.read(|session| Ok(session.image(&id)?.is_none()))? =>
                {
                    return Err(Failure::not_found(format!("No image found with ID {id}")));
                }
                Err(error) => last = Failure::internal(format!("the store: {error}")),
            }
        }
        Err(last)
    })
    .await
}

/// The data of an image that is in no store of ours, and how many bytes it has.
pub async fn remote(service: &Service, image: &Image, location: &str) -> Result<(Remote, u64)> {
    let settings = &service.settings;
    let uri = Url::parse(location).map_err(|e| Failure::internal(format!("the location of an image: {e}")))?;
    let reading = Reading::begin(&settings.web_download, &uri, settings.limits.stall).await;
    let reading = reading.map_err(|failure| match failure.status {
        StatusCode::NOT_FOUND => Failure::not_found("HTTP datastore could not find image at URI."),
        _ => {
            let words = "Remote server where the image is present is unavailable.";
            Failure::new(StatusCode::SERVICE_UNAVAILABLE, words).logged(failure.cause().to_owned())
        }
    })?;
    let size = reading.length.or(image.size).unwrap_or_default();
    Ok((Remote::begin(reading, size), size))
}
