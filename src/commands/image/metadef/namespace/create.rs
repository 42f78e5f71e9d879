//! `image metadef namespace create`

use clap::Parser;

use crate::commands::image::metadef::args::Description;
use crate::commands::image::metadef::view;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Create a namespace of metadata definitions
///
/// To create one with all that is in it, see `rimg image metadef namespace import`.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef namespace create Site::Backup --display-name Backup \\
    --public
  rimg image metadef namespace create Site::Tiers --project demo --protected")]
pub struct Create {
    /// Name of the namespace, unique in the cloud
    #[arg(value_name = "NAMESPACE")]
    namespace: String,

    #[command(flatten)]
    description: Description,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::NAMESPACE;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let mut namespace = self.description.fields(ctx).await?;
        namespace.insert("namespace".to_owned(), self.namespace.into());
        let created = ctx.images().await?.create_namespace(&namespace).await?;
        Ok(view::namespace(&created, false))
    }
}
