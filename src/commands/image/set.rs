//! `image set`

use clap::Parser;
use serde_json::json;

use super::args::{self, Project, Protection, System, Visibility};
use super::member::not_a_member;
use crate::context::Context;
use crate::error::Error;
use crate::image::Changes;
use crate::manager::Command;

/// Change an image
///
/// What is not named stays as it is. With --accept, --reject or --pending,
/// --project names the member whose share is answered, otherwise the new owner.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image set cirros --property hw_disk_bus=virtio --tag tested
  rimg image set cirros --name cirros-old --hidden
  rimg image set shared-image --accept")]
pub struct Set {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// New name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Smallest disk that the image can boot from, in GB
    #[arg(long, value_name = "GB")]
    min_disk: Option<u64>,

    /// Smallest memory that the image can boot with, in MB
    #[arg(long, value_name = "MB")]
    min_ram: Option<u64>,

    /// Format of the container: bare, ovf, ova, docker, ami, ari, aki
    #[arg(long, value_name = "FORMAT", add = crate::manager::words(&args::CONTAINER_FORMATS))]
    container_format: Option<String>,

    /// Format of the disk: raw, qcow2, vmdk, vhd, vhdx, vdi, iso, …
    #[arg(long, value_name = "FORMAT", add = crate::manager::words(&args::DISK_FORMATS))]
    disk_format: Option<String>,

    #[command(flatten)]
    protection: Protection,

    #[command(flatten)]
    visibility: Visibility,

    /// Property to set; may be repeated
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = args::key_value)]
    properties: Vec<(String, String)>,

    /// Tag to add; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Remove the tags that the image has; with --tag, they are replaced in one step
    #[arg(long)]
    no_tag: bool,

    #[command(flatten)]
    system: System,

    /// What `openstack` refuses, too
    #[arg(long = "visibility", value_name = "VISIBILITY", hide = true)]
    word: Option<String>,

    /// Withhold the data from users
    #[arg(long, conflicts_with = "activate")]
    deactivate: bool,

    /// Make the data available again
    #[arg(long)]
    activate: bool,

    #[command(flatten)]
    project: Project,

    /// Accept the share of the image
    #[arg(long, group = "membership")]
    accept: bool,

    /// Reject the share of the image
    #[arg(long, group = "membership")]
    reject: bool,

    /// Set the share of the image back to pending
    #[arg(long, group = "membership")]
    pending: bool,

    /// Leave the image out of lists
    #[arg(long, conflicts_with = "unhidden")]
    hidden: bool,

    /// Show the image in lists again
    #[arg(long)]
    unhidden: bool,
}

impl Command for Set {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        if let Some(visibility) = &self.word {
            return Err(Error::config("`--visibility` is no option any more")
                .next(format!("write `--{visibility}`: --public, --private, --community or --shared"))
                .into());
        }
        let mut changes = self.changes()?;
        args::check_format(ctx, "--disk-format", self.disk_format.as_deref(), &args::DISK_FORMATS);
        args::check_format(ctx, "--container-format", self.container_format.as_deref(), &args::CONTAINER_FORMATS);
        let service = ctx.images().await?;
        let project = self.project.id(ctx).await?;
        let image = match self.membership() {
            // A share that is not accepted yet is not in the usual lists.
            Some(_) => service.find_shared(&self.image).await?,
            None => service.find(&self.image).await?,
        };
        let id = image.id();
        if self.activate || self.deactivate {
            service.set_active(id, self.activate).await?;
        }
        match (self.membership(), project) {
            (Some(status), member) => {
                let member = match member {
                    Some(member) => member,
                    None => ctx.own_project().await?,
                };
                let answered = service.set_member_status(id, &member, status).await;
                answered.map_err(|error| not_a_member(error, &image))?;
            }
            (None, Some(owner)) => {
                changes.set.insert("owner".to_owned(), json!(owner));
            }
            (None, None) => {}
        }
        if !changes.is_empty() {
            service.update(id, &changes).await?;
        }
        Ok(())
    }
}

impl Set {
    fn membership(&self) -> Option<&'static str> {
        let all = [(self.accept, "accepted"), (self.reject, "rejected"), (self.pending, "pending")];
        all.iter().find(|(given, _)| *given).map(|(_, status)| *status)
    }

    fn changes(&self) -> Result<Changes, Error> {
        let tags = self.tags.clone();
        let mut changes = Changes { add_tags: tags, only_these_tags: self.no_tag, ..Changes::default() };
        for (key, text) in &self.properties {
            changes.set.insert(key.clone(), args::field_value(key, text)?);
        }
        let texts =
            [("name", &self.name), ("container_format", &self.container_format), ("disk_format", &self.disk_format)];
        for (key, value) in texts {
            if let Some(value) = value {
                changes.set.insert(key.to_owned(), json!(value));
            }
        }
        for (key, value) in self.system.properties() {
            changes.set.insert(key.to_owned(), json!(value));
        }
        for (key, value) in [("min_disk", self.min_disk), ("min_ram", self.min_ram)] {
            if let Some(value) = value {
                changes.set.insert(key.to_owned(), json!(value));
            }
        }
        if let Some(visibility) = self.visibility.chosen() {
            changes.set.insert("visibility".to_owned(), json!(visibility));
        }
        if let Some(protected) = self.protection.chosen() {
            changes.set.insert("protected".to_owned(), json!(protected));
        }
        if self.hidden || self.unhidden {
            changes.set.insert("os_hidden".to_owned(), json!(self.hidden));
        }
        Ok(changes)
    }
}
