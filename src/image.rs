//! The nouns: an image, and what one asks of an image service about images.
//!
//! An image is an open, ordered record, as Glance's own schema is open: what
//! the server sends is kept, known names have typed readers.
//! Field names are those of the Images API v2
//! (<https://docs.openstack.org/api-ref/image/v2/#images>).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Anything that a service describes: what it sent, in its order.
pub type Fields = Map<String, Value>;

/// An image as the service describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Every field that the service sent, in its order.
    pub fields: Fields,
}

impl Image {
    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// The ID; empty when the service sent none.
    pub fn id(&self) -> &str {
        self.text("id").unwrap_or_default()
    }

    /// The name; images need not have one, and several may share one.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// `queued`, `saving`, `uploading`, `importing`, `active`, `deactivated`, `killed`, …
    /// (<https://docs.openstack.org/glance/latest/user/statuses.html>).
    pub fn status(&self) -> &str {
        self.text("status").unwrap_or_default()
    }

    /// Size of the data in bytes, once it is known.
    pub fn size(&self) -> Option<u64> {
        self.fields.get("size").and_then(Value::as_u64)
    }

    /// `raw`, `qcow2`, …
    pub fn disk_format(&self) -> Option<&str> {
        self.text("disk_format")
    }

    /// `bare`, `ovf`, …
    pub fn container_format(&self) -> Option<&str> {
        self.text("container_format")
    }

    /// `public`, `private`, `shared` or `community`.
    pub fn visibility(&self) -> Option<&str> {
        self.text("visibility")
    }

    /// Whether the service refuses to delete the image.
    pub fn is_protected(&self) -> bool {
        self.fields.get("protected").and_then(Value::as_bool).unwrap_or_default()
    }

    /// ID of the project that it belongs to.
    pub fn owner(&self) -> Option<&str> {
        self.text("owner")
    }

    /// When it was created, as the service writes it (RFC 3339).
    pub fn created_at(&self) -> Option<&str> {
        self.text("created_at")
    }

    /// The tags, in the service's order.
    pub fn tags(&self) -> Vec<&str> {
        let tags = self.fields.get("tags").and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The MD5 of the data in hexadecimal, which every Glance since 2011 keeps.
    pub fn checksum(&self) -> Option<&str> {
        self.text("checksum")
    }

    /// Algorithm and hexadecimal digest of the data (Glance Rocky and later).
    pub fn hash(&self) -> Option<(&str, &str)> {
        Some((self.text("os_hash_algo")?, self.text("os_hash_value")?))
    }

    /// Whether the service knows `os_hash_algo` at all, also when the image has no data yet.
    pub fn has_multihash(&self) -> bool {
        self.fields.contains_key("os_hash_algo")
    }
}

/// An image that is to be created. What is `None` the service decides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// The UUID to use.
    pub id: Option<String>,
    /// `bare`, `ovf`, …
    pub container_format: Option<String>,
    /// `raw`, `qcow2`, …
    pub disk_format: Option<String>,
    /// Smallest disk that can boot it, in GB.
    pub min_disk: Option<u64>,
    /// Smallest memory that can boot it, in MB.
    pub min_ram: Option<u64>,
    /// `public`, `private`, `shared` or `community`.
    pub visibility: Option<String>,
    /// Whether deleting it is refused.
    pub protected: Option<bool>,
    /// Whether lists leave it out.
    pub hidden: Option<bool>,
    /// ID of the project that owns it.
    pub owner: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its custom properties.
    pub properties: BTreeMap<String, String>,
    /// The MD5 that its data must have, for a service that is to hold it to that.
    pub checksum: Option<String>,
    /// Where the service finds the data, if nobody sends it.
    pub external: Option<External>,
}

/// Data that a service finds by itself (Images API v1; v2 has imports).
#[derive(Debug, Clone, PartialEq)]
pub struct External {
    /// What becomes of it.
    pub use_as: UseAs,
    /// Where it is.
    pub url: String,
    /// The store that keeps it; `None` leaves it to the service.
    pub store: Option<String>,
    /// Its size in bytes, if the service need not ask for it.
    pub size: Option<u64>,
}

/// What becomes of data that is somewhere already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseAs {
    /// It stays there, and is the image's.
    Location,
    /// It is copied.
    Source,
}

/// How a service is told to import the data of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Where the data comes from.
    pub method: ImportMethod,
    /// Where it goes.
    pub to: ImportTo,
}

/// Where an import takes its data from
/// (<https://docs.openstack.org/glance/latest/admin/interoperable-image-import.html>).
#[derive(Debug, Clone, PartialEq)]
pub enum ImportMethod {
    /// What was staged before.
    GlanceDirect,
    /// The service fetches it from this URL.
    WebDownload {
        /// `http` or `https`.
        uri: String,
    },
    /// The service fetches it from the image service of another region.
    GlanceDownload {
        /// Name of the region.
        region: String,
        /// ID of the image there.
        image: String,
        /// `public`, `internal` or `admin`; `None` leaves it to the service.
        interface: Option<String>,
    },
    /// The stores that have it already.
    CopyImage,
}

impl ImportMethod {
    /// As the API names it.
    pub fn name(&self) -> &'static str {
        match self {
            ImportMethod::GlanceDirect => "glance-direct",
            ImportMethod::WebDownload { .. } => "web-download",
            ImportMethod::GlanceDownload { .. } => "glance-download",
            ImportMethod::CopyImage => "copy-image",
        }
    }
}

/// The stores that an import puts the data into.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportTo {
    /// The service's default store.
    Default,
    /// These.
    Stores {
        /// Their names.
        names: Vec<String>,
        /// Whether one that fails undoes the others.
        all_must_succeed: bool,
    },
    /// Every store there is.
    All {
        /// Whether one that fails undoes the others.
        all_must_succeed: bool,
    },
}

/// Where the data of an image is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Location {
    /// In the form of the store's driver (`file:///…`, `rbd://…`, `https://…`).
    pub url: String,
    /// What the service and its stores keep with it.
    pub metadata: Fields,
    /// The MD5 of the data in hexadecimal, for a service that takes it.
    pub checksum: Option<String>,
    /// Algorithm and hexadecimal digest of the data.
    pub hash: Option<(String, String)>,
}

/// Which tasks a list shows. What is `None` does not restrict it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskFilter {
    /// Of this type: `import`, `api_image_import`, `location_import`, …
    pub kind: Option<String>,
    /// `pending`, `processing`, `success` or `failure`.
    pub status: Option<String>,
    /// The field to sort by.
    pub sort_key: Option<String>,
    /// `asc` or `desc`.
    pub sort_dir: Option<String>,
    /// Begin after the task of this ID.
    pub marker: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// An image that is to be made of a volume, by the block storage service.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeImage {
    /// Its name.
    pub name: String,
    /// `raw`, `qcow2`, …: the service converts the volume.
    pub disk_format: String,
    /// `bare`, …
    pub container_format: String,
    /// `public`, `private`, `shared` or `community`; `None` is `private`.
    pub visibility: Option<String>,
    /// Whether deleting it is refused; `None` is no.
    pub protected: Option<bool>,
    /// Also when a server uses the volume.
    pub force: bool,
}

/// What is to change in an image. What is not named stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Fields and custom properties to set.
    pub set: Fields,
    /// Custom properties to remove.
    pub remove: Vec<String>,
    /// Tags to add.
    pub add_tags: Vec<String>,
    /// Whether the tags that are there go, at the same moment.
    pub only_these_tags: bool,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.add_tags.is_empty() && !self.only_these_tags
    }
}

/// Which images a list shows. What is `None` does not restrict it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// `public`, `private`, `shared`, `community` or `all`.
    pub visibility: Option<String>,
    /// Exactly this name.
    pub name: Option<String>,
    /// This status.
    pub status: Option<String>,
    /// Shares in this state: `accepted`, `pending`, `rejected` or `all`.
    pub member_status: Option<String>,
    /// Owned by the project of this ID.
    pub owner: Option<String>,
    /// Only hidden images instead of only visible ones.
    pub hidden: bool,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// Fields that compare so: `size_min`, `checksum`, `created_at` …, in the
    /// API's own words (<https://docs.openstack.org/api-ref/image/v2/#list-images>).
    pub fields: Vec<(&'static str, String)>,
    /// With all of these property values.
    pub properties: BTreeMap<String, String>,
    /// Begin after the image of this ID, in the order of creation, newest first.
    pub marker: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}
