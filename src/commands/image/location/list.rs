//! `image location list`

use clap::Parser;
use serde_json::Value;

use crate::context::Context;
use crate::manager::Command;
use crate::output::{Cell, Table};

/// List where the data of an image is
///
/// Most clouds show this to services and administrators only, or to nobody.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image location list cirros
  rimg image location list cirros -f value -c URL")]
pub struct List {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["URL", "Metadata"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let locations = service.locations(&image).await?;
        let rows = locations.into_iter().map(|at| vec![at.url.into(), Cell::dict(Value::Object(at.metadata))]);
        let columns = Self::COLUMNS.iter().map(|heading| (*heading).to_owned()).collect();
        Ok(Table { columns, rows: rows.collect() })
    }
}
