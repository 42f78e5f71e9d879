//! Stores and quotas (<https://docs.openstack.org/api-ref/image/v2/#stores>).

use async_trait::async_trait;
use http::Method;

use super::V2;
use crate::error::{Error, Kind, Result};
use crate::glance::wire::malformed;
use crate::image::Fields;
use crate::service::Stores;

#[async_trait(?Send)]
impl Stores for V2 {
    async fn stores(&self, detail: bool) -> Result<Vec<Fields>> {
        let parts = ["info", "stores", "detail"];
        match self.listed(if detail { &parts } else { &parts[..2] }, "stores").await {
            // The service has one store and no name for it.
            Err(error) if error.kind == Kind::NotFound => {
                Err(Error::new(Kind::Unsupported, "this image service has no stores to choose from"))
            }
            stores => stores,
        }
    }

    async fn usage(&self) -> Result<Fields> {
        match self.fields(Method::GET, &["info", "usage"], None).await {
            Ok(mut answer) => match answer.remove("usage") {
                Some(serde_json::Value::Object(usage)) => Ok(usage),
                _ => Err(malformed()),
            },
            Err(error) if error.kind == Kind::NotFound => {
                Err(Error::new(Kind::Unsupported, "this image service does not tell what is used of the quotas")
                    .next("Glance does since Xena, where the quotas of Keystone are used"))
            }
            Err(error) => Err(error),
        }
    }
}
