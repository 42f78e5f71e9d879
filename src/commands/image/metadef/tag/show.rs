//! `image metadef tag show`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Show one tag of a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef tag show OS::Software::DBMS MySQL")]
pub struct Show {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The tag
    #[arg(value_name = "TAG")]
    tag: String,
}

const COLUMNS: [&str; 3] = ["created_at", "name", "updated_at"];

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let tag = ctx.images().await?.item(&self.namespace, Item::Tag, &self.tag).await?;
        Ok(Record::of(&tag, &COLUMNS))
    }
}
