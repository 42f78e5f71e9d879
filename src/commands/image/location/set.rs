//! `image location set`

use clap::Parser;

use crate::commands::image::args;
use crate::context::Context;
use crate::image::{Fields, Location};
use crate::manager::Command;

/// Change what is kept with a location of an image
///
/// The metadata is replaced, not merged.
#[derive(Debug, Parser)]
#[command(after_help = r#"Examples:
  rimg image location set web --url https://images.example.org/web.qcow2 --metadata '{"store": "far"}'"#)]
pub struct Set {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// The location
    #[arg(long, value_name = "URL", value_parser = super::url)]
    url: String,

    /// What to keep with it, a JSON object
    #[arg(long, value_name = "JSON", value_parser = args::json_object)]
    metadata: Fields,
}

impl Command for Set {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let location = Location { url: self.url, metadata: self.metadata, ..Location::default() };
        Ok(service.set_location(&image, &location).await?)
    }
}
