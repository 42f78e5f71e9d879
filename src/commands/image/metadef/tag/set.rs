//! `image metadef tag set`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Rename a tag of a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef tag set Site::Backup nightly --name daily")]
pub struct Set {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The tag
    #[arg(value_name = "TAG")]
    tag: String,

    /// New name
    #[arg(long, value_name = "NAME", required = true)]
    name: String,
}

impl Command for Set {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let mut tag = service.item(&self.namespace, Item::Tag, &self.tag).await?;
        tag.extend(args::given([("name", Some(self.name))]));
        Ok(service.replace_item(&self.namespace, Item::Tag, &self.tag, &tag).await?)
    }
}
