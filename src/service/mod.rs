//! What any image service can do, in the user's verbs; and a volume service for images.
//!
//! Commands know only this; which version the service speaks is decided below
//! it. What a service cannot do it answers with [`Kind::Unsupported`]. What is
//! about the images themselves is in [`ImageService`]; each other noun of the
//! API has a trait and a file of its own.
//!
//! [`Kind::Unsupported`]: crate::error::Kind::Unsupported

mod members;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use members::Members;

use crate::error::Result;
use crate::image::{Changes, Draft, Filter, Image, VolumeImage};
use crate::transfer::{Data, Verify, WriteTo};

/// How image data reaches the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Straight into the image (`PUT …/file`).
    Upload,
    /// Through the staging area and the `glance-direct` import, which lets the
    /// service's import plug-ins see it.
    Import,
}

/// One image service of one cloud, signed in to.
#[async_trait(?Send)]
pub trait ImageService: Members {
    /// Hands over the images that match, newest first, a page at a time.
    async fn pages(&self, filter: &Filter, take: &mut dyn FnMut(Vec<Image>)) -> Result<()>;

    /// The images that match, newest first.
    async fn list(&self, filter: &Filter) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        self.pages(filter, &mut |page| images.extend(page)).await?;
        Ok(images)
    }

    /// The one image of this ID or, failing that, of this name. An ID beats a
    /// name, a visible image beats a hidden one. Not found and ambiguous are
    /// errors that say so.
    async fn find(&self, name_or_id: &str) -> Result<Image>;

    /// As [`find`](Self::find), seeing also images whose share is pending or rejected.
    async fn find_shared(&self, name_or_id: &str) -> Result<Image>;

    /// Creates an image, with data or without. With data the answer is the
    /// image as it stands once the service has taken and hashed the data, and
    /// size and digest have been compared with what was sent. When anything
    /// fails the image is deleted again; the error says when it could not be.
    async fn create(&self, draft: &Draft, data: Option<(Data, Route)>) -> Result<Image>;

    /// Changes what `changes` names and nothing else.
    async fn update(&self, id: &str, changes: &Changes) -> Result<()>;

    /// Makes the data available again (`true`) or withholds it (`false`).
    async fn set_active(&self, id: &str, active: bool) -> Result<()>;

    /// Takes one tag away.
    async fn remove_tag(&self, id: &str, tag: &str) -> Result<()>;

    /// Deletes the image, or with `store` only its copy there.
    async fn delete(&self, id: &str, store: Option<&str>) -> Result<()>;

    /// Moves the data of `image` to `to`, from the stores in `prefer` if
    /// possible, and verifies it as `verify` says.
    async fn download(&self, image: &Image, to: WriteTo, verify: Verify, prefer: &[String]) -> Result<()>;
}

/// One block storage service of one cloud, signed in to.
#[async_trait(?Send)]
pub trait VolumeService {
    /// Begins to copy the volume of this ID or, failing that, of this name
    /// into a new image; answers with what the service says of it, in its own
    /// words. The copy goes on after the answer.
    async fn upload_to_image(&self, volume: &str, image: &VolumeImage) -> Result<Map<String, Value>>;
}
