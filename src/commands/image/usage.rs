//! `image usage`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::{Cell, Table};

/// Show what the project uses of its image quotas
///
/// Sizes are in MiB; a limit of -1 is none.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image usage
  rimg image usage -f json")]
pub struct Usage {}

impl Command for Usage {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Quota", "Limit", "Usage"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let usage = ctx.images().await?.usage().await?;
        if usage.is_empty() {
            ctx.note("the service limits nothing, so it tells no usage");
        }
        let row = |(name, quota): (String, serde_json::Value)| {
            let of = |field: &str| Cell::from(quota.get(field).cloned().unwrap_or_default());
            vec![name.into(), of("limit"), of("usage")]
        };
        let columns = Self::COLUMNS.iter().map(|heading| (*heading).to_owned()).collect();
        Ok(Table { columns, rows: usage.into_iter().map(row).collect() })
    }
}
