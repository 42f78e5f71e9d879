//! `image delete`

use clap::Parser;

use crate::context::Context;
use crate::error::{Error, Kind};
use crate::manager::Command;

/// Delete images
///
/// Each image is looked up and deleted by itself: those that cannot be deleted
/// are named, the others are gone.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image delete cirros
  rimg image delete old-1 old-2 1bea47ed-f6a9-463b-b423-14b9cca9ad27")]
pub struct Delete {
    /// The images (names or IDs)
    #[arg(value_name = "IMAGE", required = true, add = crate::manager::images())]
    images: Vec<String>,

    /// Delete only the copy in this store
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let mut failures = 0;
        for name in &self.images {
            let deleted = match service.find(name).await {
                Ok(image) => service.delete(image.id(), self.store.as_deref()).await,
                Err(error) => Err(error),
            };
            match deleted {
                Ok(()) => {}
                Err(error) if error.kind == Kind::Interrupted => return Err(error.into()),
                Err(error) => {
                    failures += 1;
                    let message = format!("cannot delete `{name}`: {}", error.message);
                    ctx.failed(&Error { message, ..error });
                }
            }
        }
        match failures {
            0 => Ok(()),
            _ => {
                let all = self.images.len();
                Err(Error::new(Kind::Partial, format!("{failures} of {all} images could not be deleted")).into())
            }
        }
    }
}
