//! `image metadef tag delete`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Delete tags of a namespace
///
/// To delete all of them, see `rimg image metadef namespace unset --all-tags`.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef tag delete Site::Backup nightly weekly")]
pub struct Delete {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The tags
    #[arg(value_name = "TAG", required = true)]
    tags: Vec<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let remove = async |tag: &str| service.remove_item(&self.namespace, Item::Tag, tag).await;
        Ok(args::each(ctx, "delete", ["tag", "tags"], &self.tags, remove).await?)
    }
}
