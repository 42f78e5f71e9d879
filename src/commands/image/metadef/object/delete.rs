//! `image metadef object delete`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Delete objects of a namespace
///
/// When no object is named, all objects of the namespace are deleted.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef object delete Site::Backup Schedule Retention")]
pub struct Delete {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The objects [default: all of them]
    #[arg(value_name = "OBJECT")]
    objects: Vec<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        Ok(args::delete(ctx, &self.namespace, Item::Object, ["object", "objects"], &self.objects).await?)
    }
}
