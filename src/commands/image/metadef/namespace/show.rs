//! `image metadef namespace show`

use clap::Parser;

use crate::commands::image::metadef::view;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Show one namespace of metadata definitions
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace show OS::Compute::Watchdog
  rimg image metadef namespace show OS::Compute::Watchdog --long
  rimg image metadef namespace show OS::Compute::Watchdog \\
    --resource-type OS::Glance::Image -c properties")]
pub struct Show {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// Also name its objects and properties
    #[arg(long)]
    long: bool,

    /// As `--long`, the properties by the names that they have on this type of resource
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
}

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::NAMESPACE;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let namespace = ctx.images().await?.namespace(&self.namespace, self.resource_type.as_deref()).await?;
        Ok(view::namespace(&namespace, self.long || self.resource_type.is_some()))
    }
}
