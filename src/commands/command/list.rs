//! `command list`

use clap::Parser;
use serde_json::json;

use crate::commands::ALL;
use crate::context::Context;
use crate::manager::Command;
use crate::output::{Cell, Table};

/// List the commands of rimg, by group
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg command list
  rimg command list --group image -f json")]
pub struct List {
    /// List only groups that have this text in their name
    #[arg(long, value_name = "TEXT")]
    group: Option<String>,
}

/// The group that `openstack` has a command in; rimg's own are in `rimg`.
fn group(words: &str) -> &'static str {
    match words.split(' ').next() {
        Some("image" | "cached") => "openstack.image.v2",
        Some("configuration" | "versions") => "openstack.common",
        Some("command") => "openstack.cli",
        _ => "rimg",
    }
}

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Command Group", "Commands"];

    async fn run(self, _: &Context) -> anyhow::Result<Table> {
        let wanted = |name: &str| self.group.as_ref().is_none_or(|text| name.contains(text.as_str()));
        let mut groups: Vec<&str> = ALL.iter().map(|entry| group(entry.words)).filter(|name| wanted(name)).collect();
        groups.sort_unstable();
        groups.dedup();
        let row = |name: &&str| {
            let words: Vec<&str> = ALL.iter().map(|entry| entry.words).filter(|words| group(words) == *name).collect();
            vec![Cell::from(*name), Cell::lines(json!(words))]
        };
        Ok(Table {
            columns: Self::COLUMNS.iter().map(|heading| (*heading).to_owned()).collect(),
            rows: groups.iter().map(row).collect(),
        })
    }
}
