//! `image task create`

use clap::Parser;

use super::record;
use crate::commands::image::args;
use crate::context::Context;
use crate::image::Fields;
use crate::manager::Command;
use crate::output::Record;

/// Start a task
///
/// Most clouds let only administrators do this; `rimg image create` with
/// --import-method is the way for everybody.
#[derive(Debug, Parser)]
#[command(after_help = r#"Examples:
  rimg image task create --type import --input '{"import_from": "https://images.example.org/web.qcow2",
    "import_from_format": "qcow2", "image_properties": {"name": "web", "disk_format": "qcow2", "container_format": "bare"}}'"#)]
pub struct Create {
    /// The type of the task
    #[arg(long = "type", value_name = "TYPE", add = crate::manager::words(&["import"]))]
    kind: String,

    /// What the task is to work on, a JSON object
    #[arg(long, value_name = "JSON", value_parser = args::json_object)]
    input: Fields,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &super::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        Ok(record(ctx.images().await?.create_task(&self.kind, &self.input).await?))
    }
}
