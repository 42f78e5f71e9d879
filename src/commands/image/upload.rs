//! `image upload`

use clap::Parser;

use super::{args, format, view};
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::manager::Command;
use crate::output::Record;

/// Upload the data of a queued image
///
/// As in `rimg image create` the data is looked into first, and the answer
/// comes once its size and digest agree with what was sent; what may pass is
/// tried again. A failure leaves the image where it is, so that the command can
/// be given again; but Images API v1 gives up an image whose upload breaks.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image create web --disk-format qcow2
  rimg image upload web --file web.qcow2
  rimg image upload nightly --file nightly.img --store fast -f json -c properties")]
pub struct Upload {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    #[command(flatten)]
    input: args::Input,

    /// Compute no digest of the data: compare its size alone with what the service has
    #[arg(long)]
    no_verify: bool,

    /// Store to keep the data in
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

impl Command for Upload {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let mut data = self.input.required(ctx).await?;
        data.verify = !self.no_verify;
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let id = image.id();
        let conflict = |message: String| Error::new(Kind::Conflict, message);
        if image.status() != "queued" {
            let message = format!("only a queued image takes data, and `{id}` is `{}`", image.status());
            return Err(conflict(message).next(args::NEW_IMAGE).into());
        }
        let mut declared = image.disk_format().map(str::to_owned);
        format::settle(
            ctx,
            &data,
            Some(&image),
            &mut declared,
            image.container_format().unwrap_or("bare"),
            self.input.force_format,
        )?;
        let formats = [
            ("disk_format", image.disk_format(), declared.as_deref().unwrap_or("raw")),
            ("container_format", image.container_format(), "bare"),
        ];
        for (field, value, likely) in formats {
            if value.is_none() {
                let option = field.replace('_', "-");
                let next = format!("set it first: `rimg image set {id} --{option} {likely}`");
                return Err(conflict(format!("image `{id}` has no {field}")).next(next).into());
            }
        }
        if let Some(store) = &self.store {
            service.know_stores(std::slice::from_ref(store)).await?;
        }
        let bar = ctx.progress(&data.meter, format!("uploading {}", data.name), self.input.progress.how);
        let uploaded = service.upload(&image, data, self.store.as_deref()).await;
        drop(bar);
        Ok(view::record(&uploaded?, false))
    }
}
