//! Where a service keeps data, and how much of it a project may have
//! (<https://docs.openstack.org/api-ref/image/v2/#stores>,
//! <https://docs.openstack.org/api-ref/image/v2/#quota-usage>).

use async_trait::async_trait;

use super::cannot;
use crate::error::Result;
use crate::image::Fields;

/// What an image service can tell of its stores and quotas.
#[async_trait(?Send)]
pub trait Stores {
    /// The stores, as the service describes them; with `detail`, which
    /// administrators may ask for, their properties too.
    async fn stores(&self, _detail: bool) -> Result<Vec<Fields>> {
        Err(cannot("has no stores to choose from"))
    }

    /// Usage and limit of each quota, by its name.
    async fn usage(&self) -> Result<Fields> {
        Err(cannot("does not tell what is used of the quotas"))
    }
}
