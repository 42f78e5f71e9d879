//! `image metadef resource type association delete`

use clap::Parser;
use serde_json::json;

use crate::commands::image::metadef::args;
use crate::context::Context;
use crate::error::Error;
use crate::manager::Command;
use crate::service::Item;

/// Say that a namespace is no longer for these types of resources
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef resource type association delete Site::Backup \\
    OS::Glance::Image
  rimg image metadef resource type association delete \\
    --force Site::Protected OS::Cinder::Volume")]
pub struct Delete {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The types of resources
    #[arg(value_name = "TYPE", required = true)]
    names: Vec<String>,

    /// Also when the namespace is protected: the protection is off meanwhile
    #[arg(long)]
    force: bool,
}

impl Command for Delete {
    type Answer = ();

    async fn run(self, ctx: &Context) -> anyhow::Result<()> {
        let service = ctx.images().await?;
        let name = &self.namespace;
        let delete = async || {
            let remove = async |of: &str| service.remove_item(name, Item::ResourceType, of).await;
            args::each(ctx, "delete", ["association", "associations"], &self.names, remove).await
        };
        if !self.force {
            return Ok(delete().await?);
        }
        let mut namespace = service.namespace(name, None).await?;
        if namespace.get("protected") != Some(&json!(true)) {
            return Ok(delete().await?);
        }
        namespace.insert("protected".to_owned(), json!(false));
        service.replace_namespace(name, &namespace).await?;
        let deleted = delete().await;
        namespace.insert("protected".to_owned(), json!(true));
        let protected = service.replace_namespace(name, &namespace).await.map_err(|error| {
            let message = format!("`{name}` could not be protected again: {}", error.message);
            Error { message, ..error }.next(format!("`rimg image metadef namespace set --protected {name}` does it"))
        });
        if let (Err(error), Err(_)) = (&deleted, &protected) {
            ctx.failed(error);
        }
        protected?;
        Ok(deleted?)
    }
}
