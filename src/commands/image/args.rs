//! Options that several image commands share, and what their values mean.

use clap::Args;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::image::Fields;
use crate::transfer::{Data, Given, Show};

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

/// The data that an existing image is given.
#[derive(Debug, Args)]
pub struct Input {
    /// The file with the data; `-` is stdin [default: stdin, if data is piped in]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<String>,

    /// Size of the data in bytes, for a pipe; a file's own size must agree
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    size: Option<u64>,

    /// Send the data although it contradicts the image's disk format or looks unsafe
    #[arg(long)]
    pub force_format: bool,

    #[command(flatten)]
    pub progress: Progress,
}

/// How progress is shown.
#[derive(Debug, Args)]
pub struct Progress {
    /// How to show progress [default: a bar on a terminal, elsewhere now and then a line]
    #[arg(id = "progress", long = "progress", value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "auto", env = "RIMG_PROGRESS", hide_env_values = true)]
    pub how: Option<Show>,
}

impl Input {
    /// The data; none is an error.
    pub async fn required(&self, ctx: &Context) -> Result<Data> {
        let none = |message| Err(Error::config(message).next("name a file with `--file`, or pipe the data in"));
        let mut data = match ctx.input(self.file.as_deref(), "name the file that has the image's data").await? {
            Given::Data(data) => data,
            Given::Empty => return none("there is no image data: stdin was empty"),
            Given::Nothing => return none("there is no image data"),
        };
        if let Some(size) = self.size {
            data.expect(size)?;
        }
        Ok(data)
    }
}

/// The step to take where an image has its data already.
pub const NEW_IMAGE: &str = "the data of an image never changes: make a new one with `rimg image create`";

/// What runs in the image: fields that Glance's catalogue of properties knows
/// (<https://docs.openstack.org/glance/latest/admin/useful-image-properties.html>).
#[derive(Debug, Default, Args)]
pub struct System {
    /// Architecture of the operating system
    #[arg(long)]
    architecture: Option<String>,

    /// ID of the server that the image was made from
    #[arg(long, alias = "instance-uuid", value_name = "ID")]
    instance_id: Option<String>,

    /// ID of the kernel image to boot an AMI with
    #[arg(long, value_name = "ID")]
    kernel_id: Option<String>,

    /// Name of the operating system's distribution
    #[arg(long, value_name = "NAME")]
    os_distro: Option<String>,

    /// Version of the distribution
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,

    /// ID of the ramdisk image to boot an AMI with
    #[arg(long, value_name = "ID")]
    ramdisk_id: Option<String>,
}

impl System {
    /// The properties that were given.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, &String)> {
        self.given().map(|(_, key, value)| (key, value))
    }

    /// The options that were given.
    pub fn options(&self) -> impl Iterator<Item = &'static str> {
        self.given().map(|(option, ..)| option)
    }

    fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &String)> {
        let all = [
            ("--architecture", "architecture", &self.architecture),
            ("--instance-id", "instance_id", &self.instance_id),
            ("--kernel-id", "kernel_id", &self.kernel_id),
            ("--os-distro", "os_distro", &self.os_distro),
            ("--os-version", "os_version", &self.os_version),
            ("--ramdisk-id", "ramdisk_id", &self.ramdisk_id),
        ];
        all.into_iter().filter_map(|(option, key, value)| Some((option, key, value.as_ref()?)))
    }
}

/// Reads a JSON object.
pub fn json_object(text: &str) -> std::result::Result<Fields, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("it is JSON, but no object: write `{\"key\": \"value\"}`".to_owned()),
        Err(error) => Err(format!("it is not JSON: {error}")),
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
        // `openstack` takes these for the fields that they name, and scripts use them so.
        "container_format" | "disk_format" | "owner" | "visibility" => Ok(json!(text)),
        _ => match FIELDS.iter().find(|(field, _)| *field == key) {
            Some((_, step)) => {
                Err(Error::usage(format!("`{key}` is a field of the image, not a property")).next(*step))
            }
            None => Ok(json!(text)),
        },
    }
}

/// The fields that every image has, and what sets each of them: they are no
/// properties, and cannot be removed.
const FIELDS: [(&str, &str); 28] = [
    ("checksum", BY_SERVICE),
    ("container_format", "use `--container-format`"),
    ("created_at", BY_SERVICE),
    ("deleted", BY_SERVICE),
    ("deleted_at", BY_SERVICE),
    ("direct_url", BY_SERVICE),
    ("disk_format", "use `--disk-format`"),
    ("file", BY_SERVICE),
    ("id", "`rimg image create --id` gives it to a new image; it never changes"),
    ("location", "use `rimg image location add`"),
    ("locations", "use `rimg image location add`"),
    ("min_disk", "use `--min-disk`"),
    ("min_ram", "use `--min-ram`"),
    ("name", "write it behind `image create`, or use `rimg image set --name`"),
    ("os_hash_algo", BY_SERVICE),
    ("os_hash_value", BY_SERVICE),
    ("os_hidden", "use `--hidden`"),
    ("owner", "use `--project`"),
    ("protected", "use `--protected` or `--unprotected`"),
    ("schema", BY_SERVICE),
    ("self", BY_SERVICE),
    ("size", "it is that of the data"),
    ("status", BY_SERVICE),
    ("stores", "use `--store`"),
    ("tags", "give each tag with `--tag`"),
    ("updated_at", BY_SERVICE),
    ("virtual_size", BY_SERVICE),
    ("visibility", "use `--public`, `--private`, `--community` or `--shared`"),
];

const BY_SERVICE: &str = "the service sets it itself";

/// Whether `key` is a field that every image has.
pub fn is_field(key: &str) -> bool {
    FIELDS.iter().any(|(field, _)| *field == key)
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
        assert_eq!(field_value("tags", "x").unwrap_err().next.as_deref(), Some("give each tag with `--tag`"));
        assert_eq!(field_value("min_ram", "x").unwrap_err().message, "`min_ram` must be a whole number, not `x`");
    }
}
