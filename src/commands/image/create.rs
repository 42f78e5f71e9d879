//! `image create`

use clap::Parser;
use serde_json::Value;

use super::args::{self, Project, Protection, Visibility};
use super::view;
use crate::context::Context;
use crate::disk_format::{DiskFormat, Verdict};
use crate::error::{Error, Kind, Result};
use crate::image::Draft;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Route;
use crate::transfer::Data;

/// Create an image, with its data or without
///
/// Data comes from --file, from --file - or from stdin when data is piped in.
/// It is looked into first: with no --disk-format the format found is used, a
/// contradiction is refused. The answer comes once the service has taken the
/// data and its size and digest agree with what was sent; if anything fails,
/// or Ctrl-C is pressed, the unfinished image is deleted.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image create cirros --file cirros.qcow2 --public
  rimg image create web --file - --property os_distro=debian < web.img
  rimg image create placeholder --disk-format qcow2")]
pub struct Create {
    /// Name of the image
    #[arg(value_name = "IMAGE-NAME")]
    name: String,

    /// UUID to give the image
    #[arg(long)]
    id: Option<String>,

    /// Upload this file; `-` is stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<String>,

    /// Format of the disk: raw, qcow2, vmdk, vhd, vhdx, vdi, iso, … [default: that of the data, else raw]
    #[arg(long, value_name = "FORMAT", add = crate::manager::words(&args::DISK_FORMATS))]
    disk_format: Option<String>,

    /// Format of the container: bare, ovf, ova, docker, ami, ari, aki
    #[arg(long, value_name = "FORMAT", default_value = "bare", add = crate::manager::words(&args::CONTAINER_FORMATS))]
    container_format: String,

    /// Send the data although it contradicts --disk-format or looks unsafe
    #[arg(long)]
    force_format: bool,

    /// Smallest disk that the image can boot from, in GB
    #[arg(long, value_name = "GB")]
    min_disk: Option<u64>,

    /// Smallest memory that the image can boot with, in MB
    #[arg(long, value_name = "MB")]
    min_ram: Option<u64>,

    /// Size of the data in bytes, for a pipe; a file's own size must agree
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    size: Option<u64>,

    /// Show progress also where stderr is no terminal: a line for each tenth
    #[arg(long)]
    progress: bool,

    #[command(flatten)]
    protection: Protection,

    #[command(flatten)]
    visibility: Visibility,

    /// Property to set; may be repeated
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = args::key_value)]
    properties: Vec<(String, String)>,

    /// Tag to set; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    #[command(flatten)]
    project: Project,

    /// Hand the data to the service's import instead of storing it directly
    #[arg(long)]
    import: bool,

    #[arg(long, hide = true)]
    location: Option<String>,
    #[arg(long, hide = true)]
    copy_from: Option<String>,
    #[arg(long, hide = true)]
    checksum: Option<String>,
    #[arg(long, hide = true)]
    store: Option<String>,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        args::refuse_v1(&[
            ("--location", &self.location),
            ("--copy-from", &self.copy_from),
            ("--checksum", &self.checksum),
            ("--store", &self.store),
        ])?;
        let mut draft = self.draft()?;
        let mut data = ctx.input(self.file.as_deref())?;
        if let Some(size) = self.size {
            data.as_mut().ok_or_else(size_without_data)?.expect(size)?;
        }
        if let Some(data) = &data {
            self.settle_format(ctx, data, &mut draft)?;
        }
        draft.disk_format.get_or_insert_with(|| "raw".to_owned());
        args::check_format(ctx, "--disk-format", draft.disk_format.as_deref(), &args::DISK_FORMATS);
        args::check_format(ctx, "--container-format", draft.container_format.as_deref(), &args::CONTAINER_FORMATS);

        let images = ctx.images().await?;
        if let Some(owner) = self.project.id(ctx).await? {
            draft.owner = Some(owner);
        }
        let bar =
            data.as_ref().map(|data| ctx.progress(&data.meter, format!("uploading {}", data.name), self.progress));
        let route = if self.import { Route::Import } else { Route::Upload };
        let created = images.create(&draft, data.map(|data| (data, route))).await;
        drop(bar);
        Ok(view::record(&created?, false))
    }
}

impl Create {
    fn draft(&self) -> Result<Draft> {
        let mut draft = Draft {
            name: self.name.clone(),
            id: self.id.clone(),
            container_format: Some(self.container_format.clone()),
            disk_format: self.disk_format.clone(),
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            visibility: self.visibility.chosen(),
            protected: self.protection.chosen(),
            tags: self.tags.clone(),
            ..Draft::default()
        };
        for (key, text) in &self.properties {
            set_field(&mut draft, key, text)?;
        }
        Ok(draft)
    }

    /// Looks into the data: its format is used, or must agree with the one given.
    fn settle_format(&self, ctx: &Context, data: &Data, draft: &mut Draft) -> Result<()> {
        let found = data.inspect()?;
        let name = &data.name;
        let unless_forced = |problem: String, next: String| match self.force_format {
            true => {
                ctx.warn(&problem);
                Ok(())
            }
            false => Err(Error::new(Kind::UnsupportedMedia, problem).next(next)),
        };
        if let Some(danger) = found.dangers.first() {
            unless_forced(
                format!("`{name}` is not safe to hand to a cloud: {danger}"),
                "convert it, for instance with `qemu-img convert`, or insist with `--force-format`".to_owned(),
            )?;
        }
        let recognised = found.format.glance_name().unwrap_or("raw");
        let declared = draft.disk_format.get_or_insert_with(|| {
            match found.format {
                DiskFormat::Raw => ctx.note(&format!("`{name}` has no known disk format, so it is taken as `raw`")),
                format => ctx.note(&format!("`{name}` is {format}, so its disk format is `{recognised}`")),
            }
            recognised.to_owned()
        });
        match found.verdict(declared, &self.container_format) {
            Verdict::Agrees => Ok(()),
            Verdict::Doubtful(reason) => {
                ctx.warn(&format!("`{name}`: {reason}"));
                Ok(())
            }
            Verdict::Contradicts(reason) => unless_forced(
                format!("`{name}` contradicts `--disk-format {declared}`: {reason}"),
                format!("use `--disk-format {recognised}`, leave the option out, or insist with `--force-format`"),
            ),
        }
    }
}

fn size_without_data() -> Error {
    Error::config("`--size` needs image data").next("name a file with `--file`, or pipe the data in")
}

/// A `--property` of a new image: a custom property, or a field of the image itself.
fn set_field(draft: &mut Draft, key: &str, text: &str) -> Result<()> {
    let value = args::field_value(key, text)?;
    match (key, &value) {
        ("min_disk", Value::Number(number)) => draft.min_disk = number.as_u64(),
        ("min_ram", Value::Number(number)) => draft.min_ram = number.as_u64(),
        ("protected", Value::Bool(on)) => draft.protected = Some(*on),
        ("os_hidden", Value::Bool(on)) => draft.hidden = Some(*on),
        ("name", _) => text.clone_into(&mut draft.name),
        ("id", _) => draft.id = Some(text.to_owned()),
        ("visibility", _) => draft.visibility = Some(text.to_owned()),
        ("owner", _) => draft.owner = Some(text.to_owned()),
        ("disk_format", _) => draft.disk_format = Some(text.to_owned()),
        ("container_format", _) => draft.container_format = Some(text.to_owned()),
        _ => {
            draft.properties.insert(key.to_owned(), text.to_owned());
        }
    }
    Ok(())
}
