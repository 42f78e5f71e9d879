//! `image unset`

use clap::Parser;

use super::args;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::image::Changes;
use crate::manager::Command;

/// Remove tags and properties from an image
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image unset cirros --tag old --property hw_disk_bus")]
pub struct Unset {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// Tag to remove; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Property to remove; may be repeated
    #[arg(long = "property", value_name = "KEY")]
    properties: Vec<String>,
}

impl Command for Unset {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let shows = format!("`rimg image show {}` shows its tags and properties", image.id());
        let mut failures = Vec::new();

        let mut failed_tags = 0;
        for tag in &self.tags {
            match service.remove_tag(image.id(), tag).await {
                Ok(()) => {}
                // What the API does not have at all is said before anything is changed.
                Err(error) if matches!(error.kind, Kind::Interrupted | Kind::Unsupported) => return Err(error.into()),
                Err(error) => {
                    failed_tags += 1;
                    let message = match error.kind {
                        Kind::NotFound => format!("the image has no tag `{tag}`"),
                        _ => format!("cannot remove the tag `{tag}`: {}", error.message),
                    };
                    let error = Error { message, ..error };
                    ctx.failed(&if error.kind == Kind::NotFound { error.next(shows.clone()) } else { error });
                }
            }
        }
        if failed_tags > 0 {
            failures.push(format!("{failed_tags} of {} tags", self.tags.len()));
        }

        let mut changes = Changes::default();
        let mut failed_properties = 0;
        for key in &self.properties {
            let problem = match key {
                key if args::is_field(key) => {
                    Error::new(Kind::NotFound, format!("`{key}` belongs to every image and cannot be removed"))
                        .next("`rimg image set` changes what can be changed")
                }
                key if ![key, &service.kept_as(key)].iter().any(|name| image.fields.contains_key(*name)) => {
                    Error::new(Kind::NotFound, format!("the image has no property `{key}`")).next(shows.clone())
                }
                key => {
                    if !changes.remove.contains(key) {
                        changes.remove.push(key.clone());
                    }
                    continue;
                }
            };
            failed_properties += 1;
            ctx.failed(&problem);
        }
        service.update(image.id(), &changes).await?;
        if failed_properties > 0 {
            failures.push(format!("{failed_properties} of {} properties", self.properties.len()));
        }

        match failures.is_empty() {
            true => Ok(()),
            false => Err(Error::new(Kind::Partial, format!("could not remove {}", failures.join(" and "))).into()),
        }
    }
}
