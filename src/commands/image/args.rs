//! Options that several image commands share, and what their values mean.

use clap::Args;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Error, Result};

/// The formats of disks that Glance knows by default; a cloud may know others.
pub const DISK_FORMATS: [&str; 11] =
    ["ami", "ari", "aki", "vhd", "vmdk", "raw", "qcow2", "vhdx", "vdi", "iso", "ploop"];

/// The formats of containers that Glance knows by default.
pub const CONTAINER_FORMATS: [&str; 7] = ["ami", "ari", "aki", "bare", "docker", "ova", "ovf"];

/// Who sees the image.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub struct Visibility {
    /// Everybody sees the image and may use it
    #[arg(long)]
    public: bool,
    /// Only its owner sees the image
    #[arg(long)]
    private: bool,
    /// Everybody may use the image, lists leave it out
    #[arg(long)]
    community: bool,
    /// Its owner and the projects that it is shared with see the image
    #[arg(long)]
    shared: bool,
}

impl Visibility {
    /// As the API names it; `None` when none was asked for.
    pub fn chosen(&self) -> Option<String> {
        let all = [
            (self.public, "public"),
            (self.private, "private"),
            (self.community, "community"),
            (self.shared, "shared"),
        ];
        all.iter().find(|(given, _)| *given).map(|(_, name)| (*name).to_owned())
    }
}

/// Whether the image may be deleted.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub struct Protection {
    /// Refuse to delete the image
    #[arg(long)]
    protected: bool,
    /// Allow to delete the image
    #[arg(long)]
    unprotected: bool,
}

impl Protection {
    /// `None` when neither was asked for.
    pub fn chosen(&self) -> Option<bool> {
        (self.protected || self.unprotected).then_some(self.protected)
    }
}

/// A project, given by name or ID.
#[derive(Debug, Default, Args)]
pub struct Project {
    /// The project (name or ID) that owns the image
    #[arg(long)]
    project: Option<String>,
    /// The domain (name or ID) that the project is in
    #[arg(long, value_name = "DOMAIN")]
    project_domain: Option<String>,
}

impl Project {
    /// Whether a project was named.
    pub fn is_given(&self) -> bool {
        self.project.is_some()
    }

    /// Its ID; `None` when no project was named.
    pub async fn id(&self, ctx: &Context) -> Result<Option<String>> {
        match &self.project {
            Some(project) => ctx.project_id(project, self.project_domain.as_deref()).await.map(Some),
            None => Ok(None),
        }
    }
}

/// An image, and a project that it is shared with.
#[derive(Debug, Args)]
pub struct Member {
    /// The image (name or ID)
    #[arg(value_name = "IMAGE", add = crate::manager::images())]
    pub image: String,
    /// The project (name or ID)
    #[arg(value_name = "PROJECT")]
    project: String,
    /// The domain (name or ID) that the project is in
    #[arg(long, value_name = "DOMAIN")]
    project_domain: Option<String>,
}

impl Member {
    /// The ID of the project.
    pub async fn project(&self, ctx: &Context) -> Result<String> {
        ctx.project_id(&self.project, self.project_domain.as_deref()).await
    }
}

/// Reads `key=value`; only the first `=` separates.
pub fn key_value(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err(format!("no key before the `=` of `{text}`")),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("`{text}` is not `key=value`")),
    }
}

/// The value of a field that was given by `--property`: custom properties are
/// texts, but a few fields of the image itself are not, and Glance refuses a
/// text for those.
pub fn field_value(key: &str, text: &str) -> Result<Value> {
    match key {
        "min_disk" | "min_ram" => text
            .parse::<u64>()
            .map(|number| json!(number))
            .map_err(|_| Error::usage(format!("`{key}` must be a whole number, not `{text}`"))),
        "protected" | "os_hidden" => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(json!(true)),
            "false" | "0" | "no" | "off" => Ok(json!(false)),
            _ => Err(Error::usage(format!("`{key}` must be `true` or `false`, not `{text}`"))),
        },
        "tags" => Err(Error::usage("`tags` is not a property").next("give each tag with `--tag`")),
        _ => Ok(json!(text)),
    }
}

/// Says so when a format is none of those that clouds know by default.
pub fn check_format(ctx: &Context, option: &str, format: Option<&str>, known: &[&str]) {
    if let Some(format) = format.filter(|format| !known.contains(format)) {
        ctx.warn(&format!(
            "`{option} {format}` is not a format that clouds know by default ({}); this one may refuse it",
            known.join(", ")
        ));
    }
}

/// Refuses options that only Images API v1 has.
pub fn refuse_v1(options: &[(&str, &Option<String>)]) -> Result<()> {
    match options.iter().find(|(_, value)| value.is_some()) {
        Some((option, _)) => {
            Err(Error::config(format!("`{option}` is an option of the Images API v1, which this cloud does not speak"))
                .next("leave it out"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_property_is_split_at_its_first_equals_sign() {
        assert_eq!(key_value("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(key_value("a=").unwrap(), ("a".to_owned(), String::new()));
        assert_eq!(key_value("a").unwrap_err(), "`a` is not `key=value`");
        assert_eq!(key_value("=v").unwrap_err(), "no key before the `=` of `=v`");
    }

    #[test]
    fn fields_of_the_image_itself_keep_their_kind() {
        assert_eq!(field_value("min_disk", "5").unwrap(), json!(5));
        assert_eq!(field_value("os_hidden", "True").unwrap(), json!(true));
        assert_eq!(field_value("hw_cpu_cores", "2").unwrap(), json!("2"));
        assert_eq!(field_value("min_ram", "x").unwrap_err().message, "`min_ram` must be a whole number, not `x`");
    }
}
