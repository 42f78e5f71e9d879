//! Projects that an image is shared with
//! (<https://docs.openstack.org/api-ref/image/v2/#sharing>).

use async_trait::async_trait;

use crate::error::Result;
use crate::image::Fields;

/// What an image service can do about the members of an image. Images and
/// projects are given by their IDs.
#[async_trait(?Send)]
pub trait Members {
    /// The members of the image, as the service describes them.
    async fn members(&self, image: &str) -> Result<Vec<Fields>>;

    /// One member of the image.
    async fn member(&self, image: &str, project: &str) -> Result<Fields>;

    /// Offers the image to a project, which may accept; a project that has it
    /// offered already is a conflict.
    async fn add_member(&self, image: &str, project: &str) -> Result<Fields>;

    /// Takes the offer back.
    async fn remove_member(&self, image: &str, project: &str) -> Result<()>;

    /// Answers the offer on behalf of a project: `accepted`, `rejected` or `pending`.
    async fn set_member_status(&self, image: &str, project: &str, status: &str) -> Result<()>;
}
