//! `image metadef property list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;
use crate::service::Item;

/// List the properties that a namespace defines
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef property list OS::Compute::Watchdog")]
pub struct List {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["name", "title", "type"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let properties = ctx.images().await?.items(&self.namespace, Item::Property).await?;
        Ok(Table::of(&properties, &[("name", "name"), ("title", "title"), ("type", "type")]))
    }
}
