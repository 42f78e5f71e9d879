//! Where a service keeps data, and how much of it a project may have
//! (<https://docs.openstack.org/api-ref/image/v2/#stores>,
//! <https://docs.openstack.org/api-ref/image/v2/#quota-usage>).

use async_trait::async_trait;

use super::cannot;
use crate::error::{Error, Kind, Result};
use crate::image::Fields;

/// What an image service can tell of its stores and quotas.
#[async_trait(?Send)]
pub trait Stores {
    /// The stores, as the service describes them; with `detail`, which
    /// administrators may ask for, their properties too.
    async fn stores(&self, _detail: bool) -> Result<Vec<Fields>> {
        Err(cannot("has no stores to choose from"))
    }

    /// Refuses names of stores that the service does not have.
    async fn know_stores(&self, names: &[String]) -> Result<()> {
        let stores = self.stores(false).await.map_err(|error| match error.kind {
            Kind::Unsupported => error.next("leave out `--store` and `--all-stores`"),
            _ => error,
        })?;
        let known: Vec<&str> = stores.iter().filter_map(|store| store.get("id")?.as_str()).collect();
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Error::new(Kind::NotFound, format!("this cloud has no store `{name}`"))
                .next(format!("it has: {}", known.join(", ")))),
            None => Ok(()),
        }
    }

    /// Usage and limit of each quota, by its name.
    async fn usage(&self) -> Result<Fields> {
        Err(cannot("does not tell what is used of the quotas"))
    }
}
