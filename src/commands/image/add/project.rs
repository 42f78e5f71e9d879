//! `image add project`

use clap::Parser;

use crate::commands::image::args::Member;
use crate::commands::image::member;
use crate::context::Context;
use crate::error::Kind;
use crate::manager::Command;
use crate::output::Record;

/// Share an image with a project
///
/// The project sees the image in its lists once it has accepted:
/// `rimg image set IMAGE --accept`.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image add project cirros demo")]
pub struct Project {
    #[command(flatten)]
    member: Member,
}

impl Command for Project {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &member::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let project = self.member.project(ctx).await?;
        let service = ctx.images().await?;
        let image = service.find(&self.member.image).await?;
        let added = service.add_member(image.id(), &project).await.map_err(|error| match image.visibility() {
            Some(visibility) if error.kind == Kind::Forbidden && visibility != "shared" => error
                .next(format!("the image is {visibility}: `rimg image set {} --shared` lets it be shared", image.id())),
            _ => error,
        });
        Ok(member::record(added?))
    }
}
