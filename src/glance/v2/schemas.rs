//! Schemas (<https://docs.openstack.org/api-ref/image/v2/#image-schemas>).

use async_trait::async_trait;
use http::Method;

use super::V2;
use crate::error::{Error, Kind, Result};
use crate::image::Fields;
use crate::service::Schemas;

#[async_trait(?Send)]
impl Schemas for V2 {
    async fn schema(&self, model: &str) -> Result<Fields> {
        let parts: Vec<&str> = std::iter::once("schemas").chain(model.split('/')).collect();
        self.fields(Method::GET, &parts, None).await.map_err(|error| match error.kind {
            Kind::NotFound => Error { message: format!("the service has no schema of `{model}`"), ..error }
                .next("ask for `image`, `member`, `task`, `metadefs/namespace`, `metadefs/object` …"),
            _ => error,
        })
    }
}
