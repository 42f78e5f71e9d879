//! `image metadef namespace delete`

use clap::Parser;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;

/// Delete namespaces and all that is in them
///
/// Each is deleted by itself: those that cannot be deleted are named, the
/// others are gone.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace delete Site::Backup Site::Tiers")]
pub struct Delete {
    /// The namespaces
    #[arg(value_name = "NAMESPACE", required = true, add = crate::manager::namespaces())]
    namespaces: Vec<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let delete = async |name: &str| service.delete_namespace(name).await;
        Ok(args::each(ctx, "delete", ["namespace", "namespaces"], &self.namespaces, delete).await?)
    }
}
