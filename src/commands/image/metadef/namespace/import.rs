//! `image metadef namespace import`

use clap::Parser;

use crate::commands::image::metadef::{args, view};
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Create a namespace with all that is in it from a JSON document
///
/// The document is one of the form that the service shows and that Glance
/// brings in etc/metadefs: the namespace with its properties, objects, tags
/// and associations with types of resources.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace import --file compute-hypervisor.json
  rimg image metadef namespace import < compute-libvirt.json")]
pub struct Import {
    /// File that holds the document [default: stdin]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<String>,
}

impl Command for Import {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::NAMESPACE;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let source = self.file.as_deref().filter(|file| *file != "-").unwrap_or("stdin");
        let document = args::json_object(&format!("`{source}`"), &ctx.text(self.file.as_deref()).await?)?;
        let created = ctx.images().await?.create_namespace(&document).await?;
        Ok(view::namespace(&created, true))
    }
}
