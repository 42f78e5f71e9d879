//! `image import info`

use clap::Parser;
use serde_json::json;

use crate::context::Context;
use crate::manager::Command;
use crate::output::{Cell, Record};

/// Show by which methods the service imports images
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image import info
  rimg image import info -f json")]
pub struct Info {}

impl Command for Info {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &["import-methods"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let methods = ctx.images().await?.import_methods().await?;
        Ok(Record { fields: vec![("import-methods".to_owned(), Cell::list(json!(methods)))] })
    }
}
