//! `image member list`

use clap::Parser;

use crate::context::Context;
use crate::manager::Command;
use crate::output::Table;

/// List the projects that an image is shared with
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image member list cirros
  rimg image member list cirros -f value -c 'Member ID' -c Status")]
pub struct List {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    image: String,

    /// Accepted for scripts; there is no project to look up
    #[arg(long, value_name = "DOMAIN", hide = true)]
    project_domain: Option<String>,
}

const COLUMNS: [(&str, &str); 3] = [("Image ID", "image_id"), ("Member ID", "member_id"), ("Status", "status")];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &["Image ID", "Member ID", "Status"];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let service = ctx.images().await?;
        let image = service.find(&self.image).await?;
        let members = service.members(image.id()).await?;
        Ok(Table::of(&members, &COLUMNS))
    }
}
