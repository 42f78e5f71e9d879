//! `cached image delete`

use clap::Parser;
use uuid::Uuid;

use crate::commands::several;
use crate::context::Context;
use crate::error::Kind;
use crate::manager::Command;

/// Take images out of the cache and its queue
///
/// The images themselves stay. Those that cannot be taken out are named, the
/// others are.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image delete cirros
  rimg cached image delete 1bea47ed-f6a9-463b-b423-14b9cca9ad27")]
pub struct Delete {
    /// The images (names or IDs)
    #[arg(value_name = "IMAGE", required = true, add = crate::manager::images())]
    images: Vec<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.image_cache().await?;
        let delete = async |name: &str| match service.find(name).await {
            Ok(image) => service.uncache(image.id()).await,
            // The cache may still hold what the service has deleted.
            Err(error) if error.kind == Kind::NotFound && Uuid::try_parse(name).is_ok() => {
                service.uncache(name).await.map_err(|e| if e.kind == Kind::NotFound { error } else { e })
            }
            Err(error) => Err(error),
        };
        Ok(several::each(ctx, ("delete", "deleted from the cache"), &self.images, delete).await?)
    }
}
