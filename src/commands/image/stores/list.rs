//! `image stores list`

use clap::Parser;
use serde_json::{Value, json};

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;

/// List the stores that the service keeps data in
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image stores list
  rimg image stores list --detail -f json")]
pub struct List {
    /// Show their properties too (for administrators)
    #[arg(long)]
    detail: bool,
}

const COLUMNS: [(&str, &str); 4] =
    [("ID", "id"), ("Description", "description"), ("Default", "default"), ("Properties", "properties")];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["ID", "Description", "Default", "Properties"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let mut stores = ctx.images().await?.stores(self.detail).await?;
        for default in stores.iter_mut().filter_map(|store| store.get_mut("default")) {
            // Glance writes it as a text.
            *default = json!(!matches!(default, Value::Bool(false) | Value::Null) && *default != json!("false"));
        }
        Ok(Table::of(&stores, if self.detail { &COLUMNS } else { &COLUMNS[..3] }))
    }
}
