//! `image schema show`

use clap::Parser;
use serde_json::{Value, json};

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;

/// The models that services have schemas of.
const MODELS: [&str; 16] = [
    "image",
    "images",
    "member",
    "members",
    "metadefs/namespace",
    "metadefs/namespaces",
    "metadefs/object",
    "metadefs/objects",
    "metadefs/properties",
    "metadefs/property",
    "metadefs/resource_type",
    "metadefs/resource_types",
    "metadefs/tag",
    "metadefs/tags",
    "task",
    "tasks",
];

/// Show the attributes that the service gives to a model
///
/// Models are `image`, `member`, `task`, `metadefs/namespace`,
/// `metadefs/object`, `metadefs/property`, `metadefs/resource_type`,
/// `metadefs/tag`, and the list of each: `images` ….
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image schema show image
  rimg image schema show metadefs/property --long")]
pub struct Show {
    /// The model
    #[arg(value_name = "MODEL", add = crate::manager::words(&MODELS))]
    model: String,

    /// Also show types, and which attributes only the service sets
    #[arg(long)]
    long: bool,
}

impl Command for Show {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Attribute", "Description", "Type", "Read Only"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let schema = ctx.images().await?.schema(&self.model).await?;
        let attributes = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let rows = attributes.map(|(name, of)| {
            let said = |key: &str| of.get(key).cloned().unwrap_or_default();
            let kind = match said("type") {
                Value::Array(several) => {
                    several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ").into()
                }
                one => one,
            };
            let read_only = json!(said("readOnly") == json!(true));
            let row = [json!(name), said("description"), kind, read_only];
            row.into_iter().take(self.columns()).map(Into::into).collect()
        });
        let rows = rows.collect();
        Ok(Table { columns: Self::COLUMNS.iter().take(self.columns()).map(|name| (*name).to_owned()).collect(), rows })
    }
}

impl Show {
    fn columns(&self) -> usize {
        if self.long { 4 } else { 2 }
    }
}
