//! `image metadef namespace list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;
use crate::service::NamespaceFilter;

/// List the namespaces of metadata definitions
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace list
  rimg image metadef namespace list --resource-types \\
    OS::Nova::Flavor,OS::Nova::Server -f value")]
pub struct List {
    /// Only those for one of these types of resources, separated by commas
    #[arg(long, value_name = "TYPES")]
    resource_types: Option<String>,

    /// Only those that everybody sees (`public`) or only their owners do (`private`)
    #[arg(long, value_name = "VISIBILITY", add = crate::manager::words(&["public", "private"]))]
    visibility: Option<String>,
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["namespace"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let filter = NamespaceFilter { resource_types: self.resource_types, visibility: self.visibility };
        let namespaces = ctx.images().await?.namespaces(&filter).await?;
        Ok(Table::of(&namespaces, &[("namespace", "namespace")]))
    }
}
