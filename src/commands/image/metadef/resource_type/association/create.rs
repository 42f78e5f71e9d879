//! `image metadef resource type association create`

use clap::Parser;

use crate::commands::image::metadef::{args, view};
use crate::context::Context;
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Say that a namespace is for a type of resource
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef resource type association create Site::Backup \\
    OS::Glance::Image --properties-prefix backup_
  rimg image metadef resource type association create Site::Backup \\
    OS::Cinder::Volume --properties-target image")]
pub struct Create {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The type of resource; a new name makes a new type
    #[arg(value_name = "TYPE")]
    name: String,

    /// What the names of the properties begin with on this type of resource
    #[arg(long, value_name = "PREFIX")]
    properties_prefix: Option<String>,

    /// Which of its properties are meant, where this type of resource has several kinds
    #[arg(long, value_name = "TARGET")]
    properties_target: Option<String>,
}

impl Command for Create {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::ASSOCIATION;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let association = args::given([
            ("name", Some(self.name)),
            ("prefix", self.properties_prefix),
            ("properties_target", self.properties_target.filter(|target| !target.is_empty())),
        ]);
        let created = ctx.images().await?.add_item(&self.namespace, Item::ResourceType, &association).await?;
        Ok(view::association(created))
    }
}
