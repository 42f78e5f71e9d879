//! The image cache (<https://docs.openstack.org/api-ref/image/v2/#cache-manage>).

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use serde_json::Value;

use super::V2;
use crate::error::{Error, Kind, Result};
use crate::glance::wire::{fields, listed, malformed, texts};
use crate::http::Answer;
use crate::image::Fields;
use crate::service::{Cached, ImageCache, Part};

#[async_trait(?Send)]
impl ImageCache for V2 {
    async fn cached(&self) -> Result<Cached> {
        let state = fields(there(self.api.call(Method::GET, &["cache"]).await)?.json().await?)?;
        let queued = texts(state.get("queued_images").ok_or_else(malformed)?)?;
        Ok(Cached { images: listed(Value::Object(state), "cached_images")?, queued })
    }

    async fn cache(&self, image: &str) -> Result<()> {
        there(self.api.call(Method::PUT, &["cache", image]).await).map(drop)
    }

    async fn uncache(&self, image: &str) -> Result<()> {
        there(self.api.call(Method::DELETE, &["cache", image]).await).map(drop)
    }

    async fn clear_cache(&self, part: Part) -> Result<()> {
        let mut request = self.api.request(Method::DELETE, self.api.url(&["cache"])?);
        let target = match part {
            Part::Cache => Some("cache"),
            Part::Queue => Some("queue"),
            Part::All => None,
        };
        if let Some(target) = target {
            let name = HeaderName::from_static("x-image-cache-clear-target");
            request = request.header(name, HeaderValue::from_static(target));
        }
        there(self.api.send(request).await).map(drop)
    }

    async fn cache_nodes(&self, image: &str) -> Result<Vec<String>> {
        texts(&there(self.api.call(Method::GET, &["cache", "nodes", image]).await)?.json().await?)
    }

    async fn clean_cache(&self) -> Result<()> {
        there(self.api.call(Method::POST, &["cache", "clean"]).await).map(drop)
    }

    async fn prune_cache(&self) -> Result<Fields> {
        fields(there(self.api.call(Method::POST, &["cache", "prune"]).await)?.json().await?)
    }
}

/// A service without a cache answers as if there were no such path. (One that
/// has a cache says the same of an image that it does not know.)
fn there(answer: Result<Answer>) -> Result<Answer> {
    answer.map_err(|error| match error.status {
        Some(404 | 405) if !error.message.starts_with("Image ") => {
            Error { kind: Kind::Unsupported, message: "this image service has no image cache".to_owned(), ..error }
                .next("Glance has one where `image_cache_dir` and the flavor `cachemanagement` are set; `rimg` asks the server that the endpoint leads to")
        }
        _ => error,
    })
}
