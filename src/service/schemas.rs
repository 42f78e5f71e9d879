//! What the service says its documents look like
//! (<https://docs.openstack.org/api-ref/image/v2/#image-schemas>).

use async_trait::async_trait;

use crate::error::{Error, Kind, Result};
use crate::image::Fields;

/// The schemas that an image service publishes.
#[async_trait(?Send)]
pub trait Schemas {
    /// The JSON schema of a model: `image`, `metadefs/namespace`, …
    async fn schema(&self, _model: &str) -> Result<Fields> {
        Err(Error::new(Kind::Unsupported, "this image service publishes no schemas"))
    }
}
