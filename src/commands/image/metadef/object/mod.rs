//! `image metadef object …`

pub mod create;
pub mod delete;
pub mod list;
pub mod property;
pub mod show;
pub mod update;

use clap::Args;

use super::args;
use crate::error::Result;
use crate::image::Fields;

/// What is in an object.
#[derive(Debug, Args)]
pub struct Content {
    /// What the object is about
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Property that must be given; may be repeated
    #[arg(long, value_name = "PROPERTY")]
    required: Vec<String>,
    /// JSON object with the fields of the object (`properties`, `required`, `description`); what it says wins over other options
    #[arg(long, value_name = "JSON")]
    schema: Option<String>,
}

impl Content {
    /// The fields that were given.
    fn fields(self) -> Result<Fields> {
        let mut fields = args::given([("description", self.description)]);
        if !self.required.is_empty() {
            fields.insert("required".to_owned(), self.required.into());
        }
        if let Some(schema) = &self.schema {
            fields.extend(args::json_object("`--schema`", schema)?);
        }
        Ok(fields)
    }
}
