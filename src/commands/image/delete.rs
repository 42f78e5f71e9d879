//! `image delete`

use clap::Parser;

use crate::commands::several;
use crate::context::Context;
use crate::error::Kind;
use crate::manager::Command;

/// Delete images
///
/// Each image is looked up and deleted by itself: those that cannot be deleted
/// are named, the others are gone.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image delete cirros
  rimg image delete old-1 old-2 1bea47ed-f6a9-463b-b423-14b9cca9ad27")]
pub struct Delete {
    /// The images (names or IDs)
    #[arg(value_name = "IMAGE", required = true, add = crate::manager::images())]
    images: Vec<String>,

    /// Delete only the copy in this store
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        if let Some(store) = &self.store {
            service.know_stores(std::slice::from_ref(store)).await?;
        }
        let delete = async |name: &str| {
            let image = service.find(name).await?;
            service.delete(image.id(), self.store.as_deref()).await.map_err(|error| match error.kind {
                Kind::Forbidden if self.store.is_none() && image.is_protected() => {
                    error.next(format!("`rimg image set {} --unprotected` allows it", image.id()))
                }
                _ => error,
            })
        };
        Ok(several::each(ctx, ("delete", "deleted"), &self.images, delete).await?)
    }
}
