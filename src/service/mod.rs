//! What any image service can do, in the user's verbs; and a volume service for images.
//!
//! Commands know only this; which version the service speaks is decided below
//! it. What a service cannot do it answers with [`Kind::Unsupported`]. What is
//! about the images themselves is in [`ImageService`]; each other noun of the
//! API has a trait and a file of its own.
//!
//! [`Kind::Unsupported`]: crate::error::Kind::Unsupported

mod image_cache;
mod imports;
mod locations;
mod members;
mod metadefs;
mod schemas;
mod stores;
mod tasks;
mod versions;

use std::ops::ControlFlow;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use image_cache::{Cached, ImageCache, Part};
pub use imports::{Imports, Wait};
pub use locations::Locations;
pub use members::Members;
pub use metadefs::{Item, Metadefs, NamespaceFilter};
pub use schemas::Schemas;
pub use stores::Stores;
pub use tasks::Tasks;
pub use versions::Version;

use crate::error::{Error, Kind, Result};
use crate::image::{Changes, Draft, Filter, Image, Import, VolumeImage};
use crate::signature::Verifier;
use crate::transfer::{Data, Verify, WriteTo};

/// How the data of a new image reaches the service.
pub enum Content {
    /// Straight into the image (`PUT …/file`).
    Upload {
        /// What is sent.
        data: Data,
        /// The store to keep it in; `None` is the service's default.
        store: Option<String>,
    },
    /// The service finds it where the draft says ([`Draft::external`]).
    External,
    /// By an import, which lets the service's import plug-ins see it.
    Import {
        /// What is staged first, for `glance-direct`.
        data: Option<Data>,
        /// What the service is told to do.
        import: Import,
        /// How long its end is waited for.
        wait: Wait,
    },
}

/// What becomes of an image that was created and whose data did not get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnFailure {
    /// It is deleted.
    Delete,
    /// It stays; the error says how to go on with it.
    Keep {
        /// What the command that goes on must be told of the data once more,
        /// each option after a space.
        options: String,
    },
}

/// What a service answers by default to what it cannot do; `what` completes
/// "this image service …".
fn cannot(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("this image service {what}"))
}

/// One image service of one cloud, signed in to.
#[async_trait(?Send)]
pub trait ImageService: Members + Metadefs + Schemas + Imports + Tasks + Stores + Locations + ImageCache {
    /// Hands over the images that match, newest first, a page at a time, until
    /// there are no more, or `take` has enough or fails.
    async fn pages(&self, filter: &Filter, take: &mut dyn FnMut(Vec<Image>) -> Result<ControlFlow<()>>) -> Result<()>;

    /// The images that match, newest first.
    async fn list(&self, filter: &Filter) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        let mut take = |page| {
            images.extend(page);
            Ok(ControlFlow::Continue(()))
        };
        self.pages(filter, &mut take).await?;
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
    /// fails the image is deleted again, unless `on_failure` says otherwise; the
    /// error says when it could not be.
    async fn create(&self, draft: &Draft, content: Option<Content>, on_failure: OnFailure) -> Result<Image>;

    /// Sends `data` into an image that has none yet, to `store` if one is
    /// named, verified as by [`create`](Self::create). A failure leaves the
    /// image where it is.
    async fn upload(&self, _image: &Image, _data: Data, _store: Option<&str>) -> Result<Image> {
        Err(cannot("takes data only when an image is created"))
    }

    /// The name under which the service keeps a property.
    fn kept_as(&self, property: &str) -> String {
        property.to_owned()
    }

    /// Changes what `changes` names and nothing else.
    async fn update(&self, id: &str, changes: &Changes) -> Result<()>;

    /// Makes the data available again (`true`) or withholds it (`false`).
    async fn set_active(&self, id: &str, active: bool) -> Result<()>;

    /// Takes one tag away.
    async fn remove_tag(&self, id: &str, tag: &str) -> Result<()>;

    /// Deletes the image, or with `store` only its copy there.
    async fn delete(&self, id: &str, store: Option<&str>) -> Result<()>;

    /// Moves the data of `image` to `to`, from the stores in `prefer` if
    /// possible, and verifies it as `verify` says, and by `signature` if there
    /// is one.
    async fn download(
        &self,
        image: &Image,
        to: WriteTo,
        verify: Verify,
        signature: Option<&Verifier>,
        prefer: &[String],
    ) -> Result<()>;
}

/// One block storage service of one cloud, signed in to.
#[async_trait(?Send)]
pub trait VolumeService {
    /// Begins to copy the volume of this ID or, failing that, of this name
    /// into a new image; answers with what the service says of it, in its own
    /// words. The copy goes on after the answer.
    async fn upload_to_image(&self, volume: &str, image: &VolumeImage) -> Result<Map<String, Value>>;
}
