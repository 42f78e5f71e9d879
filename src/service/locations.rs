//! Where the data of an image is, for those who may know
//! (<https://docs.openstack.org/api-ref/image/v2/#locations>).

use async_trait::async_trait;

use super::cannot;
use crate::error::Result;
use crate::image::{Image, Location};

/// What an image service can do about the locations of an image's data.
#[async_trait(?Send)]
pub trait Locations {
    /// The locations of the image.
    async fn locations(&self, _image: &Image) -> Result<Vec<Location>> {
        Err(cannot("does not tell where its data is"))
    }

    /// Makes the data at a location that of the image. The service may check it
    /// in the background, after its answer.
    async fn add_location(&self, _image: &Image, _location: &Location) -> Result<()> {
        Err(cannot("does not take data by its location"))
    }

    /// Replaces the metadata of the location of this URL.
    async fn set_location(&self, _image: &Image, _location: &Location) -> Result<()> {
        Err(cannot("does not take data by its location"))
    }

    /// Forgets the locations of these URLs; one that the image does not have is
    /// an error, and then none is forgotten.
    async fn remove_locations(&self, _image: &Image, _urls: &[String]) -> Result<()> {
        Err(cannot("does not take data by its location"))
    }
}
