//! `image metadef namespace unset`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Remove tags from a namespace of metadata definitions
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace unset Site::Backup --tag nightly
  rimg image metadef namespace unset Site::Backup --all-tags")]
pub struct Unset {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// Tag to remove; may be repeated
    #[arg(long = "tag", value_name = "TAG", required_unless_present = "all_tags", conflicts_with = "all_tags")]
    tags: Vec<String>,

    /// Remove all tags
    #[arg(long)]
    all_tags: bool,
}

impl Command for Unset {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        if self.all_tags {
            return Ok(service.remove_items(&self.namespace, Item::Tag).await?);
        }
        let remove = async |tag: &str| service.remove_item(&self.namespace, Item::Tag, tag).await;
        Ok(args::each(ctx, "unset", ["tag", "tags"], &self.tags, remove).await?)
    }
}
