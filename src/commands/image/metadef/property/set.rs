//! `image metadef property set`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Change a property of a namespace
///
/// What is not named stays as it is.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef property set Site::Backup hour --title 'Hour of the day'
  rimg image metadef property set Site::Backup hour --schema '{\"maximum\": 22}'")]
pub struct Set {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The property
    #[arg(value_name = "PROPERTY")]
    property: String,

    /// New name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Name for people
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// Type of its values
    #[arg(long = "type", value_name = "TYPE", add = crate::manager::words(&args::TYPES))]
    kind: Option<String>,

    /// JSON object with more of its schema; what it says wins over other options
    #[arg(long, value_name = "JSON")]
    schema: Option<String>,
}

impl Command for Set {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let mut changes = args::given([("name", self.name), ("title", self.title), ("type", self.kind)]);
        if let Some(schema) = &self.schema {
            changes.extend(args::json_object("`--schema`", schema)?);
        }
        let service = ctx.images().await?;
        let mut property = service.item(&self.namespace, Item::Property, &self.property).await?;
        if changes.is_empty() {
            return Ok(());
        }
        property.extend(changes);
        Ok(service.replace_item(&self.namespace, Item::Property, &self.property, &property).await?)
    }
}
