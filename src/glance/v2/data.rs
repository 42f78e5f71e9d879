//! Image data on its way to the service: straight, staged, or by an import.

use async_trait::async_trait;
use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method};

use super::V2;
use crate::error::{Error, Kind, Result};
use crate::glance::api::Api;
use crate::glance::upload::{self, Intake, Stands};
use crate::http::Request;
use crate::image::Image;
use crate::service::{Content, Stores as _};
use crate::transfer::Data;

/// The last part of the address that takes data to keep.
const FILE: &str = "file";

/// The last part of the address that takes data to be imported.
const STAGE: &str = "stage";

/// Data of more bytes than this is worth a look at the quotas before it is sent.
const LARGE: u64 = 64 << 20;

/// Where an image takes its data.
pub(super) struct Place<'a> {
    service: &'a V2,
    id: &'a str,
    /// [`FILE`] or [`STAGE`].
    door: &'static str,
    store: Option<&'a str>,
}

#[async_trait(?Send)]
impl Intake for Place<'_> {
    fn request(&self, size: Option<u64>) -> Result<Request> {
        let url = self.service.api.url(&["images", self.id, self.door])?;
        let request = self.service.api.request(Method::PUT, url);
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

    fn stands(&self, image: &Image, answered: bool) -> Stands {
        match (self.door, image.status()) {
            (_, "queued") => Stands::Empty,
            (FILE, "saving") => Stands::Taking,
            (FILE, "active") => Stands::Taken,
            // The size is set when all of it is there; old services never set it.
            (STAGE, "uploading") if answered || image.size().is_some() => Stands::Taken,
            (STAGE, "uploading") => Stands::Taking,
            _ => Stands::Lost,
        }
    }

    fn api(&self) -> &Api {
        &self.service.api
    }
}

impl V2 {
    /// Sees the data of the image just created through.
    pub(super) async fn take(&self, created: &Image, content: Content) -> Result<Image> {
        let id = created.id();
        match content {
            Content::Upload { data, store } => {
                let place = Place { service: self, id, door: FILE, store: store.as_deref() };
                upload::upload(&self.api.http, &place, created, data).await
            }
            Content::External => self.get(id).await,
            Content::Import { data: None, import, wait } => {
                self.begin(id, &import).await?;
                self.imported(id, &import.method, &[], &wait).await
            }
            Content::Import { data: Some(mut data), import, wait } => {
                let place = Place { service: self, id, door: STAGE, store: None };
                let staged = upload::deliver(&self.api.http, &place, created, &mut data).await?;
                self.begin(id, &import).await?;
                let image = self.imported(id, &import.method, &[], &wait).await?;
                match staged.compare(&self.api.http, &image).await {
                    // An import plug-in may have converted the image; then the service's sum is of its own work.
                    Err(error) if error.kind == Kind::Verification && image.disk_format() != created.disk_format() => {
                        let (was, is) = (created.disk_format().unwrap_or("?"), image.disk_format().unwrap_or("?"));
                        self.api.http.log().note(&format!("the service converted the image from `{was}` to `{is}`"));
                        Ok(image)
                    }
                    compared => compared.map(|()| image),
                }
            }
        }
    }

    /// Sends `data` straight into an image that has none.
    pub(super) async fn take_in(&self, image: &Image, data: Data, store: Option<&str>) -> Result<Image> {
        self.room_for(&data, "image_size_total").await?;
        let place = Place { service: self, id: image.id(), door: FILE, store };
        upload::upload(&self.api.http, &place, image, data).await
    }

    /// Brings `data` to where an import of `image` finds it.
    pub(super) async fn take_aside(&self, image: &Image, mut data: Data) -> Result<Image> {
        self.room_for(&data, "image_stage_total").await?;
        // The service hashes the data only when it imports it.
        data.verify = false;
        let place = Place { service: self, id: image.id(), door: STAGE, store: None };
        let staged = upload::deliver(&self.api.http, &place, image, &mut data).await?;
        staged.compare_size(&staged.image)?;
        if staged.image.size().is_none() {
            self.api
                .http
                .log()
                .warn("the service does not say how much data it has, so nothing of it could be compared");
        }
        Ok(staged.image)
    }

    /// Compares the size of large data with what the quotas leave, of which
    /// `quota` is that of sizes: a service that refuses data early often closes
    /// the connection before its answer is read. A service that does not tell
    /// is asked by sending.
    pub(super) async fn room_for(&self, data: &Data, quota: &str) -> Result<()> {
        let Some(len) = data.len.filter(|len| *len > LARGE) else { return Ok(()) };
        let usage = match self.usage().await {
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            usage => usage.unwrap_or_default(),
        };
        let number = |quota: &str, field: &str| usage.get(quota)?.get(field)?.as_i64();
        // Both in MiB, as Glance counts; a negative limit is none.
        if let (Some(limit @ 0..), Some(used)) = (number(quota, "limit"), number(quota, "usage"))
            && i64::try_from(len >> 20).is_ok_and(|wanted| used.saturating_add(wanted) > limit)
        {
            let left = limit.saturating_sub(used).max(0);
            let message = format!(
                "`{}` has {} MiB, and the quota `{quota}` leaves {left} MiB of {limit} MiB",
                data.name,
                len >> 20
            );
            return Err(Error::new(Kind::TooLarge, message)
                .next("delete images that are no longer needed, or ask who runs the cloud for more; `rimg image usage` shows the quotas"));
        }
        if let (Some(limit @ 0..), Some(used)) =
            (number("image_count_uploading", "limit"), number("image_count_uploading", "usage"))
            && used >= limit
        {
            let message = format!("{used} images of the project take in data already, as many as the quota allows");
            return Err(Error::new(Kind::TooLarge, message).next("try again when one of them is done"));
        }
        Ok(())
    }
}
