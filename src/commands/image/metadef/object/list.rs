//! `image metadef object list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;
use crate::service::Item;

/// List the objects of a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef object list OS::Software::DBMS")]
pub struct List {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["name", "description"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let objects = ctx.images().await?.items(&self.namespace, Item::Object).await?;
        Ok(Table::of(&objects, &[("name", "name"), ("description", "description")]))
    }
}
