//! What making an image needs of a version of the API; the clean-up after it needs the same.

use async_trait::async_trait;

use crate::error::Result;
use crate::http::{Answer, Http, Request};
use crate::image::{Draft, Image};
use crate::service::Content;

/// What a version of the API knows of making an image and taking it back.
#[async_trait(?Send)]
pub(super) trait Maker {
    /// The client.
    fn http(&self) -> &Http;

    /// The same for clean-up after an interrupt: it does not stop for one.
    fn undisturbed(&self) -> Box<dyn Maker + '_>;

    /// The request that makes the record of an image, which has an ID.
    fn record(&self, draft: &Draft) -> Result<Request>;

    /// The image that the answer to it describes.
    async fn recorded(&self, answer: Answer) -> Result<Image>;

    /// The image as it stands.
    async fn look(&self, id: &str) -> Result<Image>;

    /// Sees the data of the image through. Where the service gives up an image
    /// whose upload broke, another takes its place, made of the same `draft`:
    /// `created` then has its ID, also after a failure.
    async fn fill(&self, created: &mut Image, draft: &Draft, content: Content) -> Result<Image>;

    /// Takes the protection from deletion off the image.
    async fn unprotect(&self, id: &str) -> Result<()>;

    /// Deletes the image.
    async fn remove(&self, id: &str) -> Result<()>;
}
