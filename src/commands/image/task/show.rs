//! `image task show`

use clap::Parser;

use super::record;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Show one task
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image task show 5bd6b5c5-6f0f-4f3a-9a0b-2c8a4f1d9e3b
  rimg image task show 5bd6b5c5-6f0f-4f3a-9a0b-2c8a4f1d9e3b -f value -c message")]
pub struct Show {
    /// The ID of the task
    #[arg(value_name = "TASK")]
    task: String,
}

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &super::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        Ok(record(ctx.images().await?.task(&self.task).await?))
    }
}
