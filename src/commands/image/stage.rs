//! `image stage`

use clap::Parser;

use super::{args, format};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::manager::Command;

/// Bring the data of a queued image to the service, to be imported
///
/// The service keeps the data aside until `rimg image import` takes it; its
/// size is compared with what was sent, the service hashes it only then.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image create web --disk-format qcow2
  rimg image stage web --file web.qcow2
  rimg image import web --wait")]
pub struct Stage {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    #[command(flatten)]
    input: args::Input,
}

impl Command for Stage {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let data = self.input.required(ctx).await?;
        let service = ctx.images().await?;
        service.can_import()?;
        let image = service.find(&self.image).await?;
        if image.status() != "queued" {
            let message = format!("only a queued image can be staged, and `{}` is `{}`", image.id(), image.status());
            return Err(Error::new(Kind::Conflict, message).next(args::NEW_IMAGE).into());
        }
        if let Some(disk_format) = image.disk_format() {
            let container = image.container_format().unwrap_or("bare");
            format::settle(
                ctx,
                &data,
                Some(&image),
                &mut Some(disk_format.to_owned()),
                container,
                self.input.force_format,
            )?;
        }
        let bar = ctx.progress(&data.meter, format!("staging {}", data.name), self.input.progress.how);
        let staged = service.stage(&image, data).await;
        drop(bar);
        staged?;
        Ok(())
    }
}
