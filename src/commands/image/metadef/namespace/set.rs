//! `image metadef namespace set`

use clap::Parser;

use crate::commands::image::metadef::args::{self, Description};
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Change a namespace of metadata definitions
///
/// What is not named stays as it is.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace set Site::Backup --public \\
    --description 'How to back up'
  rimg image metadef namespace set Site::Backup --name Site::Archive \\
    --project demo
  rimg image metadef namespace set Site::Archive --tag nightly --tag weekly
  rimg image metadef namespace set Site::Archive --no-tag --tag monthly")]
pub struct Set {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// New name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    description: Description,

    /// Tag to add; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Take away the tags that are there; with `--tag`, in one step with adding those
    #[arg(long)]
    no_tag: bool,
}

impl Command for Set {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let mut changes = self.description.fields(ctx).await?;
        changes.extend(args::given([("namespace", self.name.clone())]));
        let service = ctx.images().await?;
        let mut namespace = service.namespace(&self.namespace, None).await?;
        if !changes.is_empty() {
            namespace.extend(changes);
            service.replace_namespace(&self.namespace, &namespace).await?;
        }
        let name = self.name.as_deref().unwrap_or(&self.namespace);
        match (self.no_tag, self.tags.is_empty()) {
            (true, true) => Ok(service.remove_items(name, Item::Tag).await?),
            (true, false) => Ok(service.add_tags(name, &self.tags, true).await?),
            (false, _) => {
                let set = async |tag: &str| {
                    service.add_item(name, Item::Tag, &args::given([("name", Some(tag.to_owned()))])).await.map(drop)
                };
                Ok(args::each(ctx, "set", ["tag", "tags"], &self.tags, set).await?)
            }
        }
    }
}
