//! `cached image clear`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::service::Part;

/// Empty the cache, its queue or both
///
/// With neither --cache nor --queue, as with both, both are emptied.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image clear
  rimg cached image clear --queue")]
pub struct Clear {
    /// Empty the cache
    #[arg(long)]
    cache: bool,

    /// Empty the queue
    #[arg(long)]
    queue: bool,
}

impl Command for Clear {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let part = match (self.cache, self.queue) {
            (true, false) => Part::Cache,
            (false, true) => Part::Queue,
            _ => Part::All,
        };
        Ok(ctx.image_cache().await?.clear_cache(part).await?)
    }
}
