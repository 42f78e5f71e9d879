//! `image metadef property show`

use clap::Parser;

use crate::commands::image::metadef::view;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Show one property of a namespace
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef property show OS::Compute::Watchdog watchdog_action")]
pub struct Show {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The property
    #[arg(value_name = "PROPERTY")]
    property: String,
}

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::PROPERTY;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        Ok(view::property(ctx.images().await?.item(&self.namespace, Item::Property, &self.property).await?))
    }
}
