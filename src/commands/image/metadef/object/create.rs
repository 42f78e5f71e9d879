//! `image metadef object create`

use clap::Parser;

use super::Content;
use crate::commands::image::metadef::{args, view};
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Create an object, a group of properties, in a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef object create --namespace Site::Backup Schedule \\
    --description 'When to back up'
  rimg image metadef object create --namespace Site::Backup Calendar \\
    --required hour \\
    --schema '{\"properties\": {\"hour\": {\"title\": \"Hour\", \"type\": \"integer\"}}}'")]
pub struct Create {
    /// The namespace
    #[arg(long, value_name = "NAME", required = true, add = crate::manager::namespaces())]
    namespace: String,

    /// Name of the object
    #[arg(value_name = "OBJECT")]
    name: String,

    #[command(flatten)]
    content: Content,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::OBJECT;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let mut object = args::given([("name", Some(self.name))]);
        object.extend(self.content.fields()?);
        let created = ctx.images().await?.add_item(&self.namespace, Item::Object, &object).await?;
        Ok(view::object(&self.namespace, created))
    }
}
