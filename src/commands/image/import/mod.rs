//! `image import`

pub mod info;

use clap::Parser;

use super::import_args::{self, METHODS, Source, Target};
use super::{args, view};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::image::{Image, Import as Order, ImportMethod, ImportTo};
use crate::manager::Command;
use crate::output::Record;
use crate::service::Wait;
use crate::transfer::Meter;

/// Let the service import the data of an image
///
/// What is missing is said before the service is told: the method must be
/// offered, the stores must be there, the image must be in the right state
/// (staged for glance-direct, queued for the downloads, active for
/// copy-image). The service works on after its answer; --wait stays until it
/// has done so, says on the way how far it is, and fails with its reason.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image stage web --file web.qcow2 && rimg image import web --wait
  rimg image import nightly --method web-download --uri https://images.example.org/web.qcow2 --wait
  rimg image import web --method copy-image --store slow --wait --timeout 600")]
pub struct Import {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", required_unless_present = "store", add = crate::manager::images())]
    image: Option<String>,

    /// How the service gets the data
    #[arg(long, value_name = "METHOD", default_value = "glance-direct", value_parser = METHODS)]
    method: String,

    #[command(flatten)]
    source: Source,

    /// Stores to put the data into; may be repeated
    #[arg(long, value_name = "STORE", num_args = 1..)]
    store: Vec<String>,

    #[command(flatten)]
    target: Target,

    /// Come back when the import has ended
    #[arg(long)]
    wait: bool,

    /// With --wait: give up after this time; the import goes on [default: four hours]
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,

    #[command(flatten)]
    progress: args::Progress,
}

impl Command for Import {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let (name, stores) = image_and_stores(self.image, self.store)?;
        let import = Order { method: self.source.method("--method", &self.method)?, to: self.target.stores(stores)? };
        match (&import.to, &import.method) {
            (ImportTo::Default, ImportMethod::CopyImage) => {
                return Err(Error::config("`--method copy-image` needs to know where to copy to")
                    .next("name the stores with `--store`, or use `--all-stores`")
                    .into());
            }
            (ImportTo::Default, _) => self.target.idle().into_iter().for_each(|idle| ctx.warn(idle)),
            _ => {}
        }
        let service = ctx.images().await?;
        service.can_import()?;
        let image = service.find(&name).await?;
        ready(&image, &import.method)?;
        import_args::check(service, &import).await?;
        let meter = Meter::new(None);
        let bar = self.wait.then(|| ctx.progress(&meter, format!("importing {name}"), self.progress.how));
        let wait = self.wait.then(|| Wait::new(self.timeout, meter));
        let imported = service.import(&image, &import, wait).await;
        drop(bar);
        Ok(view::record(&imported?, false))
    }
}

/// `--store a b IMAGE` must not take the image for a store.
fn image_and_stores(image: Option<String>, mut stores: Vec<String>) -> Result<(String, Vec<String>)> {
    match image {
        Some(image) => Ok((image, stores)),
        None if stores.len() > 1 => Ok((stores.pop().unwrap_or_default(), stores)),
        None => Err(Error::usage("there is no image to import").next("`rimg image import IMAGE --store STORE`")),
    }
}

/// Refuses an image that the service could not import into, before it is told to.
fn ready(image: &Image, method: &ImportMethod) -> Result<()> {
    let id = image.id();
    let conflict = |message: String| Error::new(Kind::Conflict, message);
    for (field, value) in [("container_format", image.container_format()), ("disk_format", image.disk_format())] {
        if value.is_none() {
            let option = field.replace('_', "-");
            return Err(conflict(format!("image `{id}` has no {field}"))
                .next(format!("set it with `rimg image set {id} --{option} FORMAT`")));
        }
    }
    let (wanted, next) = match method {
        ImportMethod::GlanceDirect => ("uploading", "bring its data with `rimg image stage` first".to_owned()),
        ImportMethod::CopyImage => ("active", "only what has data can be copied".to_owned()),
        _ => ("queued", "make a new image with `rimg image create`".to_owned()),
    };
    match image.status() {
        status if status == wanted => Ok(()),
        status => {
            let name = method.name();
            Err(conflict(format!("`{name}` wants an image that is `{wanted}`, and `{id}` is `{status}`")).next(next))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stores_never_take_the_image() {
        for line in
            ["i --store a b", "--store a b i", "--store a --store b i", "i --store a --store b", "--store a b -- i"]
        {
            let import = Import::try_parse_from(["import"].into_iter().chain(line.split_whitespace())).unwrap();
            let (image, stores) = image_and_stores(import.image, import.store).unwrap();
            assert_eq!((image.as_str(), stores.join(" ").as_str()), ("i", "a b"), "{line}");
        }
        assert!(Import::try_parse_from(["import"]).is_err());
        assert!(image_and_stores(None, vec!["a".to_owned()]).is_err());
    }
}
