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
  rimg image stores list --detail --long -f json")]
pub struct List {
    /// Show their properties too (for administrators)
    #[arg(long)]
    detail: bool,

    /// Show their type, weight and whether they are read-only, too; the first two only with --detail
    #[arg(long)]
    long: bool,
}

const COLUMNS: [(&str, &str); 7] = [
    ("ID", "id"),
    ("Description", "description"),
    ("Default", "default"),
    ("Type", "type"),
    ("Weight", "weight"),
    ("Read Only", "read-only"),
    ("Properties", "properties"),
];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] =
        &["ID", "Description", "Default", "Type", "Weight", "Read Only", "Properties"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let mut stores = ctx.images().await?.stores(self.detail).await?;
        for store in &mut stores {
            for flag in ["default", "read-only"] {
                // Glance writes them as texts.
                if let Some(flag) = store.get_mut(flag) {
                    *flag = json!(!matches!(flag, Value::Bool(false) | Value::Null) && *flag != json!("false"));
                }
            }
        }
        let shown: Vec<_> = COLUMNS
            .into_iter()
            .filter(|(_, field)| match *field {
                "type" | "weight" | "read-only" => self.long,
                "properties" => self.detail,
                _ => true,
            })
            .collect();
        Ok(Table::of(&stores, &shown))
    }
}
