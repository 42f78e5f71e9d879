//! `image metadef tag list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;
use crate::service::Item;

/// List the tags of a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef tag list OS::Software::DBMS -f value")]
pub struct List {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["name"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let tags = ctx.images().await?.items(&self.namespace, Item::Tag).await?;
        Ok(Table::of(&tags, &[("name", "name")]))
    }
}
