//! `image location delete`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;

/// Delete locations of an image
///
/// The data there is deleted, too. The last location of an image cannot be deleted.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image location delete web --url https://images.example.org/web.qcow2")]
pub struct Delete {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// The location; may be repeated
    #[arg(long = "url", value_name = "URL", required = true)]
    urls: Vec<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        Ok(service.remove_locations(&image, &self.urls).await?)
    }
}
