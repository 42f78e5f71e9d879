//! `cached image queue`

use clap::Parser;

use crate::commands::several;
use crate::context::Context;
use crate::manager::Command;

/// Queue images to be cached
///
/// Those that cannot be queued are named, the others are queued.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image queue cirros
  rimg cached image queue web-1 web-2 web-3")]
pub struct Queue {
    /// The images (names or IDs)
    #[arg(value_name = "IMAGE", required = true, add = crate::manager::images())]
    images: Vec<String>,
}

impl Command for Queue {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.image_cache().await?;
        let queue = async |name: &str| service.cache(service.find(name).await?.id()).await;
        Ok(several::each(ctx, ("queue", "queued"), &self.images, queue).await?)
    }
}
