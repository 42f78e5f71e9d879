//! `cached image node list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;

/// List the servers that have an image in their cache
///
/// For clouds where the servers keep account of their caches in the database
/// of the service.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg cached image node list cirros
  rimg cached image node list cirros -f value")]
pub struct List {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Node"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let service = ctx.image_cache().await?;
        let image = service.find(&self.image).await?;
        let nodes = service.cache_nodes(image.id()).await?;
        Ok(Table { columns: vec!["Node".to_owned()], rows: nodes.into_iter().map(|node| vec![node.into()]).collect() })
    }
}
