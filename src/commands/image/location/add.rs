//! `image location add`

use clap::Parser;

use crate::commands::image::{args, view};
use crate::context::Context;
use crate::image::{Fields, Location};
use crate::manager::Command;
use crate::output::Record;

/// Give an image data that is somewhere already
///
/// A queued image becomes active. The service may look at the data after its
/// answer: `rimg image show` tells how far it is. --metadata and --checksum are
/// for clouds that show locations.
#[derive(Debug, Parser)]
#[command(after_help = r#"Examples:
  rimg image location add web --url https://images.example.org/web.qcow2
  rimg image location add web --url rbd://cluster/pool/image/snap --metadata '{"store": "far"}'
  rimg image location add web --url https://images.example.org/web.qcow2 --hash-algo sha256 --hash-value 9f86…"#)]
pub struct Add {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// Where the data is
    #[arg(long, value_name = "URL", value_parser = super::url)]
    url: String,

    /// What to keep with it, a JSON object
    #[arg(long, value_name = "JSON", value_parser = args::json_object)]
    metadata: Option<Fields>,

    /// The MD5 of the data
    #[arg(long, value_name = "MD5")]
    checksum: Option<String>,

    /// The algorithm of --hash-value
    #[arg(long, value_name = "NAME", requires = "hash_value", add = crate::manager::words(&["sha512", "sha256", "sha1", "md5"]))]
    hash_algo: Option<String>,

    /// The digest of the data
    #[arg(long, value_name = "DIGEST", requires = "hash_algo")]
    hash_value: Option<String>,
}

impl Command for Add {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let location = Location {
            url: self.url,
            metadata: self.metadata.unwrap_or_default(),
            checksum: self.checksum,
            hash: self.hash_algo.zip(self.hash_value),
        };
        service.add_location(&image, &location).await?;
        Ok(view::record(&service.find(image.id()).await?, false))
    }
}
