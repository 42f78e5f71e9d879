//! `image metadef tag create`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;

/// Add tags to a namespace, all of them or none
///
/// To replace the tags that are there, see `rimg image metadef namespace set --no-tag`.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef tag create Site::Backup nightly weekly")]
pub struct Create {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The tags
    #[arg(value_name = "TAG", required = true)]
    tags: Vec<String>,
}

impl Command for Create {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        Ok(ctx.images().await?.add_tags(&self.namespace, &self.tags, false).await?)
    }
}
