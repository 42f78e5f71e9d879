//! `image metadef resource type list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;

/// List the types of resources that metadata definitions are for
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef resource type list -f value")]
pub struct List {}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Name"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        Ok(Table::of(&ctx.images().await?.resource_types().await?, &[("Name", "name")]))
    }
}
