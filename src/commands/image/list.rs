//! `image list`

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use clap::{Args, Parser};
use serde_json::Value;

use super::args;
use super::sorted::{SortKeys, Sorted, sort_keys};
use super::view;
use crate::context::Context;
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
/// no more memory than a page of it. In any other order all rows must be known
/// first; they are kept as short texts.
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

    /// List also the stores that have the data
    #[arg(long)]
    stores: bool,

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
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Filters beyond openstack's")]
    created_before: Option<String>,

    /// List only images changed then or later
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Filters beyond openstack's")]
    updated_since: Option<String>,

    /// List only images not changed since before then
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Filters beyond openstack's")]
    updated_before: Option<String>,
}

impl Fields {
    /// In the words of the API, which takes one comparison for each field.
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

    /// The ends of ranges of time whose beginnings the service compares: field and moment.
    fn ends(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("created_at", &self.created_since, &self.created_before),
            ("updated_at", &self.updated_since, &self.updated_before),
        ];
        let end = |(field, since, before)| Option::as_ref(since).and(Option::as_deref(before)).map(|end| (field, end));
        all.into_iter().filter_map(end).collect()
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
        // The service compares texts; what has a type is compared here, so
        // that it can be written as people write it.
        let (here, by_service): (BTreeMap<_, _>, BTreeMap<_, _>) = wanted
            .clone()
            .into_iter()
            .partition(|(key, _)| QUERY_WORDS.contains(&key.as_str()) || is_field(key) || view::has_type(key));
        let ends = self.fields.ends();
        let limit = [self.limit, self.max_items].into_iter().flatten().filter(|count| *count > 0).min();
        let filter = Filter {
            visibility: self.visibility(),
            name: self.name.clone(),
            status: self.status.clone(),
            member_status: self.member_status.as_ref().map(|status| status.to_lowercase()),
            owner,
            hidden: self.hidden,
            tags: self.tags.clone(),
            fields: self.fields.compared(),
            properties: by_service,
            marker,
            // Of images that match only here the service cannot count so many.
            limit: limit.filter(|_| here.is_empty() && ends.is_empty()),
        };
        let is_wanted = |image: &Image| {
            wanted.iter().all(|(key, value)| has(image, key, value))
                && ends.iter().all(|(field, end)| is_before(image, field, end))
        };
        let as_it_comes = self.sort.is_that_of_the_service();
        let mut sorted = Sorted::new(&self.sort);
        let (mut count, mut last) = (0, String::new());
        let mut take = |page: Vec<Image>| {
            let left = limit.map_or(usize::MAX, |limit| limit - count);
            let images: Vec<Image> = page.into_iter().filter(&is_wanted).take(left).collect();
            count += images.len();
            if let Some(image) = images.last() {
                last = image.id().to_owned();
            }
            match as_it_comes && ctx.streams() {
                true => ctx.stream(self.table(images.into_iter().map(|image| self.cells(image)).collect()))?,
                false => images.into_iter().for_each(|image| sorted.push(image, |image| self.cells(image))),
            }
            Ok(if limit == Some(count) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        service.pages(&filter, &mut take).await?;
        let order = sorted.order()?;
        // Who goes on after the last row shown would not go on where this page ends.
        if limit == Some(count) && order.last().is_some_and(|row| row + 1 != count) {
            ctx.note(&format!("next page: --marker {last}"));
        }
        let rows =
            |numbers: &[usize]| numbers.iter().map(|row| sorted.cells(*row)).collect::<serde_json::Result<Vec<_>>>();
        if !ctx.streams() {
            return Ok(self.table(rows(&order)?));
        }
        for numbers in order.chunks(1000) {
            ctx.stream(self.table(rows(numbers)?))?;
        }
        Ok(self.table(Vec::new()))
    }
}

impl List {
    fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        COLUMNS.into_iter().filter(|(heading, _)| match *heading {
            "ID" | "Name" | "Status" => true,
            "Stores" => self.stores,
            _ => self.long,
        })
    }

    /// The row of an image.
    fn cells(&self, mut image: Image) -> Vec<Value> {
        self.columns().map(|(_, field)| image.fields.remove(field).unwrap_or_default()).collect()
    }

    fn table(&self, rows: Vec<Vec<Value>>) -> Table {
        let cell = |(value, (_, field))| if field == "tags" { Cell::list(value) } else { Cell::from(value) };
        Table {
            columns: self.columns().map(|(heading, _)| heading.to_owned()).collect(),
            rows: rows.into_iter().map(|row| row.into_iter().zip(self.columns()).map(cell).collect()).collect(),
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

/// Heading and field of each column.
const COLUMNS: [(&str, &str); 14] = [
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
    ("Stores", "stores"),
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
pub(super) fn field_name(key: &str) -> &str {
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
pub(super) fn is_field(key: &str) -> bool {
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
    let Some(value) = image.fields.get(field_name(key)) else { return false };
    match view::typed(key, value) {
        Value::String(text) => text == wanted,
        Value::Bool(on) => value == wanted || wanted.eq_ignore_ascii_case(if on { "true" } else { "false" }),
        Value::Number(number) => {
            value == wanted || wanted.parse().is_ok_and(|wanted: f64| number.as_f64() == Some(wanted))
        }
        _ => false,
    }
}

/// Whether the time in this field lies before `end`, as [`time`] writes it.
fn is_before(image: &Image, field: &str, end: &str) -> bool {
    let written = image.fields.get(field).and_then(Value::as_str);
    written.and_then(|text| time(text).ok()).is_some_and(|moment| moment.as_str() < end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn image(fields: Value) -> Image {
        Image { fields: fields.as_object().unwrap().clone() }
    }

    #[test]
    fn typed_fields_match_what_people_write() {
        let image = image(
            json!({"min_disk": 10, "protected": true, "hw_boot_menu": "yes", "os_distro": "x", "hw_cpu_cores": "04",
             "instance_type_rxtx_factor": "1.5"}),
        );
        for (key, value) in [
            ("min_disk", "10"),
            ("protected", "True"),
            ("is_protected", "true"),
            ("hw_boot_menu", "true"),
            ("hw_boot_menu", "True"),
            ("hw_boot_menu", "yes"),
            ("hw_cpu_cores", "4"),
            ("hw_cpu_cores", "04"),
            ("instance_type_rxtx_factor", "1.50"),
            ("os_distro", "x"),
        ] {
            assert!(has(&image, key, value), "{key}={value}");
        }
        assert!(!has(&image, "min_disk", "1"));
        assert!(!has(&image, "hw_boot_menu", "false"));
        assert!(!has(&image, "hw_cpu_cores", "5"));
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
