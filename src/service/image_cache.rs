//! The image cache of one server of the service
//! (<https://docs.openstack.org/api-ref/image/v2/#cache-manage>).

use async_trait::async_trait;

use super::cannot;
use crate::error::Result;
use crate::image::Fields;

/// What the cache holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cached {
    /// The cached images, as the service describes them.
    pub images: Vec<Fields>,
    /// The IDs of the images that wait to be cached.
    pub queued: Vec<String>,
}

/// What is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The images that are cached.
    Cache,
    /// Those that wait to be cached.
    Queue,
    /// Both.
    All,
}

/// What an image service can do about its cache. Behind a load balancer the
/// server that happens to answer is meant.
#[async_trait(?Send)]
pub trait ImageCache {
    /// What is in the cache and what waits for it.
    async fn cached(&self) -> Result<Cached> {
        Err(cannot("has no image cache"))
    }

    /// Queues the image of this ID to be cached.
    async fn cache(&self, _image: &str) -> Result<()> {
        Err(cannot("has no image cache"))
    }

    /// Takes the image of this ID out of the cache and of the queue.
    async fn uncache(&self, _image: &str) -> Result<()> {
        Err(cannot("has no image cache"))
    }

    /// Empties the cache, the queue or both.
    async fn clear_cache(&self, _part: Part) -> Result<()> {
        Err(cannot("has no image cache"))
    }

    /// The addresses of the servers that have the image of this ID in their cache.
    async fn cache_nodes(&self, _image: &str) -> Result<Vec<String>> {
        Err(cannot("has no image cache"))
    }

    /// Removes what is invalid or was cached only by half.
    async fn clean_cache(&self) -> Result<()> {
        Err(cannot("has no image cache"))
    }

    /// Removes the least used images until the cache is within its limit; the
    /// answer says how much that was.
    async fn prune_cache(&self) -> Result<Fields> {
        Err(cannot("has no image cache"))
    }
}
