//! `image metadef object update`

use clap::Parser;

use super::Content;
use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::manager::Command;
use crate::service::Item;

/// Change an object of a namespace
///
/// What is not named stays as it is.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef object update Site::Backup Schedule --name Timetable
  rimg image metadef object update Site::Backup Timetable --required hour \\
    --required minute")]
pub struct Update {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The object
    #[arg(value_name = "OBJECT")]
    object: String,

    /// New name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    content: Content,
}

impl Command for Update {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let mut changes = args::given([("name", self.name)]);
        changes.extend(self.content.fields()?);
        let service = ctx.images().await?;
        let mut object = service.item(&self.namespace, Item::Object, &self.object).await?;
        if changes.is_empty() {
            return Ok(());
        }
        object.extend(changes);
        Ok(service.replace_item(&self.namespace, Item::Object, &self.object, &object).await?)
    }
}
