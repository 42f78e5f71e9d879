//! `image save`, also known as `image download`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::transfer::{Meter, Target, Verify, WriteTo};

/// Save the data of an image to a file or stdout
///
/// The data is written beside the file, verified against the digest that the
/// service names, and only then put in its place: a failure leaves an old file
/// as it was. On stdout the bytes are out before they can be verified; a
/// mismatch is exit code 1.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image save cirros --file cirros.qcow2
  rimg image save cirros | gzip > cirros.gz")]
pub struct Save {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// Write to this file [default: stdout]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<String>,

    /// Accepted for scripts; pieces of 256 KiB and more are the fastest anyway
    #[arg(long, value_name = "BYTES", hide = true)]
    chunk_size: Option<u64>,

    /// Store to take the data from, if it is there; may be repeated
    #[arg(long, value_name = "STORE")]
    store_preference: Vec<String>,

    /// Verify by MD5 when the service's algorithm is not known to rimg
    #[arg(long)]
    allow_md5_fallback: bool,

    /// Check only the length, for images without a digest
    #[arg(long, conflicts_with = "allow_md5_fallback")]
    no_verify: bool,

    /// Show progress also where stderr is no terminal: a line for each tenth
    #[arg(long)]
    progress: bool,
}

impl Command for Save {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let target = match self.file.as_deref() {
            None | Some("-") => Target::stdout()?,
            Some(path) => Target::file(path)?,
        };
        let verify = match (self.no_verify, self.allow_md5_fallback) {
            (true, _) => Verify::LengthOnly,
            (false, true) => Verify::AllowMd5,
            (false, false) => Verify::Required,
        };
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let meter = Meter::new(image.size());
        let bar = ctx.progress(&meter, format!("saving {}", self.image), self.progress);
        let saved = service.download(&image, WriteTo { target, meter }, verify, &self.store_preference).await;
        drop(bar);
        Ok(saved?)
    }
}
