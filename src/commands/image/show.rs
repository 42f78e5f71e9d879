//! `image show`

use clap::Parser;

use super::view;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Show one image
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image show cirros
  rimg image show cirros -f value -c id
  eval \"$(rimg image show cirros -f shell --prefix image_)\"")]
pub struct Show {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// Write the size as people read it
    #[arg(long)]
    human_readable: bool,
}

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let image = ctx.images().await?.find(&self.image).await?;
        Ok(view::record(&image, self.human_readable))
    }
}
