//! Import: the service fetches or processes the data itself
//! (<https://docs.openstack.org/api-ref/image/v2/#interoperable-image-import>).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::cannot;
use crate::error::Result;
use crate::image::{Image, Import};
use crate::transfer::{Data, Meter};

/// How long an import may take if nobody says otherwise: the service may
/// fetch, convert and copy the image.
const LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

/// How the end of an import is waited for.
pub struct Wait {
    /// How long.
    pub limit: Duration,
    /// Told what the import is at.
    pub meter: Arc<Meter>,
}

impl Wait {
    /// For so many seconds; four hours if nobody says.
    pub fn new(seconds: Option<u64>, meter: Arc<Meter>) -> Self {
        Wait { limit: seconds.map_or(LIMIT, Duration::from_secs), meter }
    }
}

/// What an image service can do about imports.
#[async_trait(?Send)]
pub trait Imports {
    /// Fails where the version of the API has no imports, whatever the service; it is not asked.
    fn can_import(&self) -> Result<()> {
        Err(cannot("does not import images"))
    }

    /// The methods of import that the service offers.
    async fn import_methods(&self) -> Result<Vec<String>> {
        Err(cannot("does not import images"))
    }

    /// Sends `data` to where the import `glance-direct` finds it. The answer is
    /// the image once its size agrees with what was sent; the service hashes
    /// the data only when it imports it.
    async fn stage(&self, _image: &Image, _data: Data) -> Result<Image> {
        Err(cannot("does not import images"))
    }

    /// Begins an import. With `wait` the answer is the image when all is done,
    /// otherwise as it stands right after the service took the order. A failed
    /// import is an error with the service's own reason; so is one that takes
    /// longer than `wait`, which goes on.
    async fn import(&self, _image: &Image, _import: &Import, _wait: Option<Wait>) -> Result<Image> {
        Err(cannot("does not import images"))
    }
}
