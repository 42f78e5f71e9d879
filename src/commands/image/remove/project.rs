//! `image remove project`

use clap::Parser;

use crate::commands::image::args::Member;
use crate::context::Context;
use crate::error::Kind;
use crate::manager::Command;

/// Stop sharing an image with a project
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image remove project cirros demo")]
pub struct Project {
    #[command(flatten)]
    member: Member,
}

impl Command for Project {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let project = self.member.project(ctx).await?;
        let service = ctx.images().await?;
        let image = service.find(&self.member.image).await?;
        match service.remove_member(image.id(), &project).await {
            // Scripts call this to make sure, as `openstack` lets them.
            Err(error) if error.kind == Kind::NotFound => {
                ctx.note(&format!("the image was not shared with `{project}`"));
                Ok(())
            }
            removed => Ok(removed?),
        }
    }
}
