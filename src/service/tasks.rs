//! Tasks: what became of imports
//! (<https://docs.openstack.org/api-ref/image/v2/#tasks>).

use async_trait::async_trait;

use super::cannot;
use crate::error::Result;
use crate::image::{Fields, TaskFilter};

/// What an image service can do about tasks. Most clouds let only
/// administrators ask, except for the tasks of an image.
#[async_trait(?Send)]
pub trait Tasks {
    /// The tasks that match.
    async fn tasks(&self, _filter: &TaskFilter) -> Result<Vec<Fields>> {
        Err(cannot("has no tasks"))
    }

    /// The tasks of the image of this ID; who sees the image may ask.
    async fn image_tasks(&self, _image: &str) -> Result<Vec<Fields>> {
        Err(cannot("has no tasks"))
    }

    /// One task, with its input, result and message.
    async fn task(&self, _id: &str) -> Result<Fields> {
        Err(cannot("has no tasks"))
    }

    /// Starts a task of the type `kind`; what `input` holds depends on the type.
    async fn create_task(&self, _kind: &str, _input: &Fields) -> Result<Fields> {
        Err(cannot("has no tasks"))
    }
}
