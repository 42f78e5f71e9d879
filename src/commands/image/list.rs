//! `image list`

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Parser};
use serde_json::Value;

use super::args;
use super::view;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::image::{Filter, Image};
use crate::manager::Command;
use crate::output::{Cell, Table};

/// List images
///
/// Without --public, --private, --community, --shared or --all: what is
/// public, the project's own, and shares that it has accepted.
///
/// With --sort created_at:desc, the service's own order, json, csv and value
/// are written while the images come in, so that a list of any length needs
/// no more memory than a page of it.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image list --private --long
  rimg image list --property os_distro=debian --tag tested -f value -c ID
  rimg image list --sort size:desc,name")]
pub struct List {
    /// List only public images
    #[arg(long, group = "visibility")]
    public: bool,

    /// List only private images
    #[arg(long, group = "visibility")]
    private: bool,

    /// List only community images
    #[arg(long, group = "visibility")]
    community: bool,

    /// List only shared images
    #[arg(long, group = "visibility")]
    shared: bool,

    /// List all images that the user may see
    #[arg(long, group = "visibility")]
    all: bool,

    /// List only images with this property; may be repeated
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = args::key_value)]
    properties: Vec<(String, String)>,

    /// List only images of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// List only images in this status
    #[arg(long, value_name = "STATUS", add = crate::manager::words(&["active", "deactivated", "importing", "killed", "queued", "saving", "uploading"]))]
    status: Option<String>,

    /// List only images whose share is in this status
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = ["accepted", "pending", "rejected", "all"])]
    member_status: Option<String>,

    /// List only images of this project (name or ID)
    #[arg(long)]
    project: Option<String>,

    /// The domain (name or ID) that the project is in
    #[arg(long, value_name = "DOMAIN")]
    project_domain: Option<String>,

    /// List only images with this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// List only hidden images
    #[arg(long)]
    hidden: bool,

    #[command(flatten)]
    fields: Fields,

    /// List more columns
    #[arg(long)]
    long: bool,

    /// Accepted for scripts; pages are as large as the service allows
    #[arg(long, value_name = "SIZE", hide = true)]
    page_size: Option<String>,

    /// Sort by these fields: `size:desc,name`
    #[arg(long, value_name = "KEY[:asc|:desc],...", default_value = "name:asc", value_parser = sort_keys)]
    sort: SortKeys,

    /// List at most so many images, the newest
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    /// Begin after this image (name or ID), in the order of creation, newest first
    #[arg(long, value_name = "IMAGE", add = crate::manager::images())]
    marker: Option<String>,

    /// List at most so many images, the newest
    #[arg(long, value_name = "COUNT", hide = true)]
    max_items: Option<usize>,
}

/// What the service compares.
#[derive(Debug, Args)]
struct Fields {
    /// List only images whose data has this MD5
    #[arg(long, value_name = "MD5", help_heading = "Filters beyond openstack's")]
    checksum: Option<String>,

    /// List only images whose data has this digest (`os_hash_value`)
    #[arg(long, value_name = "DIGEST", help_heading = "Filters beyond openstack's")]
    hash: Option<String>,

    /// List only images of this disk format
    #[arg(long, value_name = "FORMAT", add = crate::manager::words(&args::DISK_FORMATS), help_heading = "Filters beyond openstack's")]
    disk_format: Option<String>,

    /// List only images of this container format
    #[arg(long, value_name = "FORMAT", add = crate::manager::words(&args::CONTAINER_FORMATS), help_heading = "Filters beyond openstack's")]
    container_format: Option<String>,

    /// List only images that may not be deleted
    #[arg(long, conflicts_with = "unprotected", help_heading = "Filters beyond openstack's")]
    protected: bool,

    /// List only images that may be deleted
    #[arg(long, help_heading = "Filters beyond openstack's")]
    unprotected: bool,

    /// List only images of at least so many bytes
    #[arg(long, value_name = "BYTES", help_heading = "Filters beyond openstack's")]
    size_min: Option<u64>,

    /// List only images of at most so many bytes
    #[arg(long, value_name = "BYTES", help_heading = "Filters beyond openstack's")]
    size_max: Option<u64>,

    /// List only images created then or later: `2026-11-21`, `2026-11-21T20:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Filters beyond openstack's")]
    created_since: Option<String>,

    /// List only images created before then
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "created_since", help_heading = "Filters beyond openstack's")]
    created_before: Option<String>,

    /// List only images changed then or later
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Filters beyond openstack's")]
    updated_since: Option<String>,

    /// List only images not changed since before then
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "updated_since", help_heading = "Filters beyond openstack's")]
    updated_before: Option<String>,
}

impl Fields {
    /// In the words of the API.
    fn compared(&self) -> Vec<(&'static str, String)> {
        let protected = (self.protected || self.unprotected).then_some(self.protected);
        let times = |operator: &str, time: &Option<String>| time.as_ref().map(|time| format!("{operator}:{time}"));
        let all = [
            ("checksum", self.checksum.clone()),
            ("os_hash_value", self.hash.clone()),
            ("disk_format", self.disk_format.clone()),
            ("container_format", self.container_format.clone()),
            ("protected", protected.map(|protected| protected.to_string())),
            ("size_min", self.size_min.map(|bytes| bytes.to_string())),
            ("size_max", self.size_max.map(|bytes| bytes.to_string())),
            ("created_at", times("gte", &self.created_since).or_else(|| times("lt", &self.created_before))),
            ("updated_at", times("gte", &self.updated_since).or_else(|| times("lt", &self.updated_before))),
        ];
        all.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
    }
}

/// A day or a moment, as the API takes it: in UTC if nothing else is said.
fn time(text: &str) -> std::result::Result<String, String> {
    let day = || text.parse::<jiff::civil::Date>().ok().map(|day| day.to_datetime(jiff::civil::Time::midnight()));
    let utc =
        |moment: jiff::civil::DateTime| moment.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let moment = text.parse::<jiff::Timestamp>().ok();
    let moment = moment.or_else(|| utc(text.parse().ok()?)).or_else(|| utc(day()?));
    let moment = moment.ok_or_else(|| format!("`{text}` is no time: write `2026-11-21` or `2026-11-21T20:00:00Z`"))?;
    Ok(moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Words that the list itself uses in its query; a property of that name is
/// compared here and not by the service.
const QUERY_WORDS: [&str; 20] = [
    "limit",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "name",
    "visibility",
    "status",
    "member_status",
    "owner",
    "os_hidden",
    "tag",
    "tags",
    "changes-since",
    "created_at",
    "updated_at",
    "size_min",
    "size_max",
    "deleted",
    "is_public",
];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &headings();

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let service = ctx.images().await?;
        let owner = match &self.project {
            Some(project) => Some(ctx.project_id(project, self.project_domain.as_deref()).await?),
            None => None,
        };
        let marker = match &self.marker {
            Some(image) => Some(service.find(image).await?.id().to_owned()),
            None => None,
        };
        let wanted: BTreeMap<String, String> =
            self.properties.iter().map(|(key, value)| (service.kept_as(key), value.clone())).collect();
        // The service compares custom properties; of typed fields it expects
        // other spellings than users know, so those are compared here.
        let by_service = wanted.iter().filter(|(key, _)| !QUERY_WORDS.contains(&key.as_str()) && !is_field(key));
        let filter = Filter {
            visibility: self.visibility(),
            name: self.name.clone(),
            status: self.status.clone(),
            member_status: self.member_status.as_ref().map(|status| status.to_lowercase()),
            owner,
            hidden: self.hidden,
            tags: self.tags.clone(),
            fields: self.fields.compared(),
            properties: by_service.map(|(key, value)| (key.clone(), value.clone())).collect(),
            marker,
            limit: [self.limit, self.max_items].into_iter().flatten().filter(|count| *count > 0).min(),
        };
        // Of an image only what is shown or sorted by is kept: there may be many.
        let shown = COLUMNS.iter().filter(|(heading, _)| self.shows(heading)).map(|(_, field)| *field);
        let kept: BTreeSet<&str> = shown.chain(self.sort.0.iter().map(|(key, _)| key.as_str())).collect();
        let as_it_comes = self.sort.is_that_of_the_service();
        let mut images = Vec::new();
        let mut take = |page: Vec<Image>| {
            for mut image in page {
                if wanted.iter().all(|(key, value)| has(&image, key, value)) {
                    let fields = kept.iter().filter_map(|key| image.fields.remove_entry(*key)).collect();
                    images.push(Image { fields });
                }
            }
            match as_it_comes && ctx.streams() {
                true => ctx.stream(self.table(std::mem::take(&mut images))),
                false => Ok(()),
            }
        };
        service.pages(&filter, &mut take).await?;
        self.sort.sort(&mut images)?;
        Ok(self.table(images))
    }
}

impl List {
    fn shows(&self, heading: &str) -> bool {
        self.long || matches!(heading, "ID" | "Name" | "Status")
    }

    fn table(&self, images: Vec<Image>) -> Table {
        let columns: Vec<_> = COLUMNS.iter().filter(|(heading, _)| self.shows(heading)).collect();
        let row = |mut image: Image| {
            let mut cell = |field: &str| {
                let value = image.fields.remove(field).unwrap_or_default();
                if field == "tags" { Cell::list(value) } else { Cell::from(value) }
            };
            columns.iter().map(|(_, field)| cell(field)).collect()
        };
        Table {
            columns: columns.iter().map(|(heading, _)| (*heading).to_owned()).collect(),
            rows: images.into_iter().map(row).collect(),
        }
    }

    fn visibility(&self) -> Option<String> {
        let all = [
            (self.public, "public"),
            (self.private, "private"),
            (self.community, "community"),
            (self.shared, "shared"),
            (self.all, "all"),
        ];
        all.iter().find(|(given, _)| *given).map(|(_, name)| (*name).to_owned())
    }
}

/// Heading and field of each column; the first two and the status are the short form.
const COLUMNS: [(&str, &str); 13] = [
    ("ID", "id"),
    ("Name", "name"),
    ("Disk Format", "disk_format"),
    ("Container Format", "container_format"),
    ("Size", "size"),
    ("Checksum", "checksum"),
    ("Status", "status"),
    ("Visibility", "visibility"),
    ("Protected", "protected"),
    ("Project", "owner"),
    ("Hash Algorithm", "os_hash_algo"),
    ("Hash Value", "os_hash_value"),
    ("Tags", "tags"),
];

const fn headings() -> [&'static str; COLUMNS.len()] {
    let mut headings = [""; COLUMNS.len()];
    let mut at = 0;
    while at < COLUMNS.len() {
        headings[at] = COLUMNS[at].0;
        at += 1;
    }
    headings
}

/// Names that openstacksdk gives to fields, which scripts may use in `--sort` and `--property`.
fn field_name(key: &str) -> &str {
    match key {
        "is_hidden" => "os_hidden",
        "is_protected" => "protected",
        "hash_algo" => "os_hash_algo",
        "hash_value" => "os_hash_value",
        "owner_id" => "owner",
        key => key,
    }
}

/// Fields of the image itself, as opposed to custom properties.
fn is_field(key: &str) -> bool {
    matches!(
        field_name(key),
        "id" | "name"
            | "status"
            | "visibility"
            | "protected"
            | "checksum"
            | "owner"
            | "size"
            | "virtual_size"
            | "min_disk"
            | "min_ram"
            | "disk_format"
            | "container_format"
            | "created_at"
            | "updated_at"
            | "os_hidden"
            | "os_hash_algo"
            | "os_hash_value"
            | "tags"
            | "file"
            | "schema"
            | "self"
    )
}

/// Whether the image has this value, written as people write it: `2`, `true`, `True`.
fn has(image: &Image, key: &str, wanted: &str) -> bool {
    match image.fields.get(field_name(key)) {
        Some(Value::String(text)) => {
            text == wanted
                || matches!(view::typed(key, &Value::from(text.as_str())), Value::Bool(on) if wanted.eq_ignore_ascii_case(if on { "true" } else { "false" }))
        }
        Some(Value::Bool(on)) => wanted.eq_ignore_ascii_case(if *on { "true" } else { "false" }),
        Some(Value::Number(number)) => number.to_string() == wanted,
        _ => false,
    }
}

/// What `--sort` names, most important first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKeys(Vec<(String, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

fn sort_keys(text: &str) -> std::result::Result<SortKeys, String> {
    let key = |part: &str| {
        let (key, direction) = part.split_once(':').unwrap_or((part, "asc"));
        let direction = match direction {
            "asc" => Direction::Up,
            "desc" => Direction::Down,
            other => return Err(format!("`{other}` is no direction: use `asc` or `desc`")),
        };
        match key {
            "" => Err("a sort key is empty".to_owned()),
            key => Ok((field_name(key).to_owned(), direction)),
        }
    };
    text.trim().split(',').map(key).collect::<std::result::Result<_, _>>().map(SortKeys)
}

impl SortKeys {
    /// Whether images come in this order already: newest first.
    fn is_that_of_the_service(&self) -> bool {
        matches!(self.0.as_slice(), [(key, Direction::Down)] if key == "created_at")
    }

    fn sort(&self, images: &mut [Image]) -> Result<()> {
        for (key, _) in &self.0 {
            if !is_field(key) && !images.is_empty() && !images.iter().any(|image| image.fields.contains_key(key)) {
                return Err(Error::new(Kind::Config, format!("no image has a field `{key}` to sort by"))
                    .next("sort by name, size, created_at, updated_at, status, disk_format, owner or another field of `image show`"));
            }
        }
        images.sort_by(|a, b| {
            self.0.iter().fold(Ordering::Equal, |so_far, (key, direction)| {
                so_far.then_with(|| {
                    let order = compare(a.fields.get(key), b.fields.get(key));
                    match direction {
                        Direction::Up => order,
                        Direction::Down => order.reverse(),
                    }
                })
            })
        });
        Ok(())
    }
}

/// Numbers by size, texts by code points, what is absent last.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        Some(Value::Bool(_)) => 0,
        Some(Value::Number(_)) => 1,
        Some(Value::String(_)) => 2,
        Some(Value::Array(_) | Value::Object(_)) => 3,
        None | Some(Value::Null) => 4,
    };
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0))
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(a @ Value::Array(_)), Some(b @ Value::Array(_))) => a.to_string().cmp(&b.to_string()),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn image(fields: Value) -> Image {
        Image { fields: fields.as_object().unwrap().clone() }
    }

    fn sorted(by: &str, fields: &[Value]) -> Vec<Value> {
        let mut images: Vec<_> = fields.iter().cloned().map(image).collect();
        sort_keys(by).unwrap().sort(&mut images).unwrap();
        images.into_iter().map(|image| image.fields["id"].clone()).collect()
    }

    #[test]
    fn sizes_sort_as_numbers_and_unknown_ones_last() {
        let fields =
            [json!({"id": "a", "size": 1000}), json!({"id": "b", "size": null}), json!({"id": "c", "size": 9})];
        assert_eq!(sorted("size", &fields), ["c", "a", "b"]);
        assert_eq!(sorted("size:desc", &fields), ["b", "a", "c"]);
    }

    #[test]
    fn the_first_sort_key_counts_most() {
        let fields = [
            json!({"id": "a", "name": "x", "size": 2}),
            json!({"id": "b", "name": "w", "size": 2}),
            json!({"id": "c", "name": "z", "size": 1}),
        ];
        assert_eq!(sorted("size,name:desc", &fields), ["c", "a", "b"]);
    }

    #[test]
    fn a_wrong_sort_key_is_said() {
        assert_eq!(sort_keys("name:up").unwrap_err(), "`up` is no direction: use `asc` or `desc`");
        let error = sort_keys("colour").unwrap().sort(&mut [image(json!({"id": "a"}))]).unwrap_err();
        assert_eq!(error.message, "no image has a field `colour` to sort by");
    }

    #[test]
    fn typed_fields_match_what_people_write() {
        let image = image(json!({"min_disk": 10, "protected": true, "hw_boot_menu": "yes", "os_distro": "x"}));
        for (key, value) in [
            ("min_disk", "10"),
            ("protected", "True"),
            ("is_protected", "true"),
            ("hw_boot_menu", "true"),
            ("os_distro", "x"),
        ] {
            assert!(has(&image, key, value), "{key}={value}");
        }
        assert!(!has(&image, "min_disk", "1"));
        assert!(!has(&image, "absent", "1"));
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, read) in [
            ("2026-11-21", "2026-11-21T00:00:00Z"),
            ("2026-11-21T20:00:00Z", "2026-11-21T20:00:00Z"),
            ("2026-11-21T20:00:00+02:00", "2026-11-21T18:00:00Z"),
            ("2026-11-21T20:00:00", "2026-11-21T20:00:00Z"),
        ] {
            assert_eq!(time(text).unwrap(), read);
        }
        assert_eq!(time("soon").unwrap_err(), "`soon` is no time: write `2026-11-21` or `2026-11-21T20:00:00Z`");
    }
}
