//! `image metadef property create`

use clap::Parser;

use crate::commands::image::metadef::{args, view};
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Define a property in a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef property create Site::Backup --name hour --title Hour \\
    --type integer \\
    --schema '{\"minimum\": 0, \"maximum\": 23}'")]
pub struct Create {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// Name of the property
    #[arg(long, value_name = "NAME", required = true)]
    name: String,

    /// Name for people
    #[arg(long, value_name = "TEXT", required = true)]
    title: String,

    /// Type of its values
    #[arg(long = "type", value_name = "TYPE", required = true, add = crate::manager::words(&args::TYPES))]
    kind: String,

    /// JSON object with more of its schema; what it says wins over other options, `{}` says nothing more
    #[arg(long, value_name = "JSON", required = true)]
    schema: String,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::PROPERTY;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let mut property =
            args::given([("name", Some(self.name)), ("title", Some(self.title)), ("type", Some(self.kind))]);
        property.extend(args::json_object("`--schema`", &self.schema)?);
        Ok(view::property(ctx.images().await?.add_item(&self.namespace, Item::Property, &property).await?))
    }
}
