//! Image data on its way to the service: straight, staged, or by an import.

use async_trait::async_trait;
use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method};

use super::V2;
use crate::error::{Error, Result};
use crate::glance::upload::{self, Intake};
use crate::http::Request;
use crate::image::Image;
use crate::service::{Content, IMPORT_LIMIT};
use crate::transfer::Data;

/// Where an image takes its data.
pub(super) struct Place<'a> {
    service: &'a V2,
    id: &'a str,
    /// `file` or `stage`.
    door: &'static str,
    store: Option<&'a str>,
}

#[async_trait(?Send)]
impl Intake for Place<'_> {
    fn request(&self, size: Option<u64>) -> Result<Request> {
        let url = self.service.url(&["images", self.id, self.door])?;
        let request = self.service.request(Method::PUT, url);
        let mut request = request.header(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(store) = self.store {
            let name = HeaderValue::from_str(store)
                .map_err(|_| Error::usage(format!("`{store}` cannot be the name of a store")))?;
            request = request.header(HeaderName::from_static("x-image-meta-store"), name);
        }
        if let Some(size) = size {
            request = request.header(HeaderName::from_static("x-openstack-image-size"), size.into());
        }
        Ok(request)
    }

    async fn look(&self) -> Result<Image> {
        self.service.get(self.id).await
    }
}

impl V2 {
    /// Sees the data of the image just created through.
    pub(super) async fn fill(&self, created: &Image, content: Content) -> Result<Image> {
        let id = created.id();
        match content {
            Content::Upload { data, store } => self.take_in(created, data, store.as_deref()).await,
            Content::Import { data: None, import } => {
                self.begin(id, &import).await?;
                self.imported(id, &import.method, &[], IMPORT_LIMIT).await
            }
            Content::Import { data: Some(data), import } => {
                let rehash = data.rehash();
                let digests = upload::expected_digests(created, rehash.is_some());
                let sent = upload::send(&self.http, &self.stage_of(id), data, digests).await?;
                self.begin(id, &import).await?;
                let image = self.imported(id, &import.method, &[], IMPORT_LIMIT).await?;
                match upload::compare(self.http.log(), &image, &sent, rehash) {
                    // An import plug-in may have converted the image; then the service's sum is of its own work.
                    Err(_) if image.disk_format() != created.disk_format() => {
                        let (was, is) = (created.disk_format().unwrap_or("?"), image.disk_format().unwrap_or("?"));
                        self.http.log().note(&format!("the service converted the image from `{was}` to `{is}`"));
                        Ok(image)
                    }
                    compared => compared.map(|()| image),
                }
            }
        }
    }

    /// Sends `data` straight into an image that has none.
    pub(super) async fn take_in(&self, image: &Image, data: Data, store: Option<&str>) -> Result<Image> {
        let place = Place { service: self, id: image.id(), door: "file", store };
        upload::upload(&self.http, &place, image, data).await
    }

    /// Where an image takes data that is to be imported.
    pub(super) fn stage_of<'a>(&'a self, id: &'a str) -> Place<'a> {
        Place { service: self, id, door: "stage", store: None }
    }
}
