//! `image member get`

use clap::Parser;

use super::{not_a_member, record};
use crate::commands::image::args::Member;
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;

/// Show how an image is shared with a project
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image member get cirros demo -f value -c status")]
pub struct Get {
    #[command(flatten)]
    member: Member,
}

impl Command for Get {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &super::COLUMNS;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let project = self.member.project(ctx).await?;
        let service = ctx.images().await?;
        let image = service.find_shared(&self.member.image).await?;
        let member = service.member(image.id(), &project).await.map_err(|error| not_a_member(error, &image));
        Ok(record(member?))
    }
}
