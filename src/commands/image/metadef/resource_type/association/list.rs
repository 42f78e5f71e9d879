//! `image metadef resource type association list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;
use crate::service::Item;

/// List the types of resources that a namespace is for
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef resource type association list OS::Compute::Watchdog --long")]
pub struct List {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// Also show the prefixes and targets of the properties
    #[arg(long)]
    long: bool,
}

const COLUMNS: [(&str, &str); 3] = [("Name", "name"), ("Prefix", "prefix"), ("Properties Target", "properties_target")];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Name", "Prefix", "Properties Target"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let associations = ctx.images().await?.items(&self.namespace, Item::ResourceType).await?;
        Ok(Table::of(&associations, if self.long { &COLUMNS } else { &COLUMNS[..1] }))
    }
}
