//! `cached image clean`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;

/// Remove from the cache what is invalid or was cached only by half
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image clean")]
pub struct Clean {}

impl Command for Clean {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        Ok(ctx.image_cache().await?.clean_cache().await?)
    }
}
