//! `cached image prune`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Remove the least used images until the cache is within its limit
///
/// The answer is how many files and bytes that were.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image prune
  rimg cached image prune -f value -c total_bytes_pruned")]
pub struct Prune {}

impl Command for Prune {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &["total_bytes_pruned", "total_files_pruned"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        Ok(Record::of(&ctx.image_cache().await?.prune_cache().await?, Self::COLUMNS))
    }
}
