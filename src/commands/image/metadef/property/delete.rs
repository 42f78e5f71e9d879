//! `image metadef property delete`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Delete properties of a namespace
///
/// When no property is named, all properties of the namespace are deleted.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef property delete Site::Backup hour minute")]
pub struct Delete {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The properties [default: all of them]
    #[arg(value_name = "PROPERTY")]
    properties: Vec<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        Ok(args::delete(ctx, &self.namespace, Item::Property, ["property", "properties"], &self.properties).await?)
    }
}
