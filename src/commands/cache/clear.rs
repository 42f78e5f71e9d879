//! `cache clear`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;

/// Forget the tokens that rimg keeps on this machine
///
/// The next command signs in anew. Those of all clouds are removed; nobody is dialled, and the tokens stay good until
/// they expire. The image cache of the image service is another one: see `cached image clear`.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cache clear")]
pub struct Clear {}

impl Command for Clear {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        ctx.note(&match ctx.clear_token_cache()? {
            1 => "removed 1 token from the token cache".to_owned(),
            removed => format!("removed {removed} tokens from the token cache"),
        });
        Ok(())
    }
}
