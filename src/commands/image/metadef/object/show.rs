//! `image metadef object show`

use clap::Parser;

use crate::commands::image::metadef::view;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Show one object of a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef object show OS::Software::DBMS MySQL
  rimg image metadef object show OS::Software::DBMS MySQL -f json -c properties")]
pub struct Show {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The object
    #[arg(value_name = "OBJECT")]
    object: String,
}

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::OBJECT;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let object = ctx.images().await?.item(&self.namespace, Item::Object, &self.object).await?;
        Ok(view::object(&self.namespace, object))
    }
}
