//! `image metadef object property show`

use clap::Parser;
use serde_json::Value;

use crate::commands::image::metadef::view;
use crate::context::Context;
use crate::error::{Error, Kind};
use crate::manager::Command;
use crate::output::Record;
use crate::service::Item;

/// Show one property of an object
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image metadef object property show OS::Software::DBMS MySQL \\
    sw_database_mysql_version")]
pub struct Show {
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = crate::manager::namespaces())]
    namespace: String,

    /// The object
    #[arg(value_name = "OBJECT")]
    object: String,

    /// The property
    #[arg(value_name = "PROPERTY")]
    property: String,
}

impl Command for Show {
    type Answer = Record;

    const COLUMNS: &'static [&'static str] = &view::PROPERTY;

    async fn run(self, ctx: &Context) -> anyhow::Result<Record> {
        let mut object = ctx.images().await?.item(&self.namespace, Item::Object, &self.object).await?;
        let property = object.get_mut("properties").and_then(|properties| properties.get_mut(&self.property));
        match property.map(Value::take) {
            Some(Value::Object(mut property)) => {
                property.insert("name".to_owned(), self.property.into());
                Ok(view::property(property))
            }
            _ => {
                let said = format!("the object `{}` has no property `{}`", self.object, self.property);
                let next = "`rimg image metadef object show` shows those that it has";
                Err(Error::new(Kind::NotFound, said).next(next).into())
            }
        }
    }
}
