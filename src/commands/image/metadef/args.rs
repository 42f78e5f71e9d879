//! Options that several metadef commands share, and what they do alike.

use clap::Args;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::image::Fields;
use crate::service::Item;

/// The types that a property can have.
pub const TYPES: [&str; 5] = ["array", "boolean", "integer", "number", "string"];

/// What a namespace says of itself.
#[derive(Debug, Args)]
pub struct Description {
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What the namespace is about
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    visibility: Visibility,
    #[command(flatten)]
    protection: Protection,
    /// The project (name or ID) that owns the namespace
    #[arg(long)]
    project: Option<String>,
    /// The domain (name or ID) that the project is in
    #[arg(long, value_name = "DOMAIN")]
    project_domain: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Visibility {
    /// Everybody sees the namespace
    #[arg(long)]
    public: bool,
    /// Only its owner sees the namespace
    #[arg(long)]
    private: bool,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Protection {
    /// Refuse to delete the namespace and what is in it
    #[arg(long)]
    protected: bool,
    /// Allow to delete the namespace and what is in it
    #[arg(long)]
    unprotected: bool,
}

impl Description {
    /// The fields that were given.
    pub async fn fields(self, ctx: &Context) -> Result<Fields> {
        let owner = match &self.project {
            Some(project) => Some(ctx.project_id(project, self.project_domain.as_deref()).await?),
            None => None,
        };
        let visibility = [(self.visibility.public, "public"), (self.visibility.private, "private")];
        let visibility = visibility.into_iter().find(|(given, _)| *given).map(|(_, name)| name.to_owned());
        let texts = [
            ("display_name", self.display_name),
            ("description", self.description),
            ("visibility", visibility),
            ("owner", owner),
        ];
        let mut fields = given(texts);
        if self.protection.protected || self.protection.unprotected {
            fields.insert("protected".to_owned(), self.protection.protected.into());
        }
        Ok(fields)
    }
}

/// Fields of the texts that were given.
pub fn given<const N: usize>(texts: [(&str, Option<String>); N]) -> Fields {
    texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))).collect()
}

/// The JSON object in `text`, which came from `source`; the text itself is not
/// repeated in errors.
pub fn json_object(source: &str, text: &str) -> Result<Fields> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Error::config(format!("{source} is no JSON object")).next("write it as `{\"key\": …}`")),
        Err(error) => Err(Error::config(format!("{source} is not JSON: {error}"))),
    }
}

/// Names of one thing, and of several.
pub type Nouns = [&'static str; 2];

/// Does `work` to each of these. What fails is said, the others are done.
pub async fn each(
    ctx: &Context,
    verb: &str,
    [noun, nouns]: Nouns,
    names: &[String],
    work: impl AsyncFn(&str) -> Result<()>,
) -> Result<()> {
    let mut failures = 0;
    for name in names {
        match work(name).await {
            Ok(()) => {}
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            Err(error) => {
                failures += 1;
                let message = format!("cannot {verb} the {noun} `{name}`: {}", error.message);
                ctx.failed(&Error { message, ..error });
            }
        }
    }
    match failures {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Partial, format!("could not {verb} {failures} of {} {nouns}", names.len()))),
    }
}

/// Deletes these items of a namespace or, when none is named, all of them:
/// `openstack` does so without a question, and scripts rely on it.
pub async fn delete(ctx: &Context, namespace: &str, kind: Item, nouns: Nouns, names: &[String]) -> Result<()> {
    let service = ctx.images().await?;
    if !names.is_empty() {
        return each(ctx, "delete", nouns, names, async |name| service.remove_item(namespace, kind, name).await).await;
    }
    let count = service.items(namespace, kind).await?.len();
    service.remove_items(namespace, kind).await?;
    let [noun, nouns] = nouns;
    ctx.warn(&format!("no {noun} was named: all {nouns} of `{namespace}` were deleted, {count} in number"));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bad_json_is_placed_and_not_repeated() {
        let said = |text: &str| json_object("`--schema`", text).unwrap_err().message;
        assert_eq!(said("{\"a\": secret}"), "`--schema` is not JSON: expected value at line 1 column 7");
        assert_eq!(said(""), "`--schema` is not JSON: EOF while parsing a value at line 1 column 0");
        assert_eq!(said("[1]"), "`--schema` is no JSON object");
    }
}
