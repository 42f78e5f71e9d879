//! An image as the registry keeps it, and the states that it goes through.

use std::collections::{BTreeMap, BTreeSet};

/// Where an image is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Known by its metadata only.
    Queued,
    /// Its data is being taken.
    Saving,
    /// Its data is being staged, or is, for an import.
    Uploading,
    /// The staged data is being imported.
    Importing,
    /// Complete.
    Active,
    /// Complete, and closed to all but admins.
    Deactivated,
    /// Its upload failed, as Images API v1 leaves it.
    Killed,
    /// Gone.
    Deleted,
    /// About to be.
    PendingDelete,
}

impl Status {
    const ALL: [(Status, &'static str); 9] = [
        (Status::Queued, "queued"),
        (Status::Saving, "saving"),
        (Status::Uploading, "uploading"),
        (Status::Importing, "importing"),
        (Status::Active, "active"),
        (Status::Deactivated, "deactivated"),
        (Status::Killed, "killed"),
        (Status::Deleted, "deleted"),
        (Status::PendingDelete, "pending_delete"),
    ];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        Status::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }

    /// The status of this name.
    pub fn named(name: &str) -> Option<Self> {
        Status::ALL.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether an image may go from here to `next`
    /// (<https://docs.openstack.org/glance/latest/user/statuses.html>).
    pub fn leads_to(self, next: Status) -> bool {
        use Status::*;
        match self {
            Queued => matches!(next, Saving | Uploading | Importing | Active | Deleted),
            Saving => matches!(next, Active | Killed | Deleted | Queued),
            Uploading => matches!(next, Importing | Queued | Deleted),
            Importing => matches!(next, Active | Deleted | Queued),
            Active => matches!(next, PendingDelete | Deleted | Deactivated),
            Killed => next == Deleted,
            PendingDelete => matches!(next, Deleted | Active),
            Deactivated => matches!(next, Active | Deleted),
            Deleted => false,
        }
    }
}

/// Who may see an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Its owner.
    Private,
    /// Its owner and the projects that are members of it.
    Shared,
    /// Everybody; but only who asks for it finds it in a list.
    Community,
    /// Everybody.
    Public,
}

impl Visibility {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Visibility::Private => "private",
            Visibility::Shared => "shared",
            Visibility::Community => "community",
            Visibility::Public => "public",
        }
    }

    /// The visibility of this name.
    pub fn named(name: &str) -> Option<Self> {
        use Visibility::*;
        [Private, Shared, Community, Public].into_iter().find(|visibility| visibility.name() == name)
    }
}

/// An image: its metadata, and in which stores its data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// A UUID.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Up to 255 letters, not unique.
    pub name: Option<String>,
    /// Who may see it.
    pub visibility: Visibility,
    /// The project that it belongs to.
    pub owner: Option<String>,
    /// What its data is.
    pub disk_format: Option<String>,
    /// What its data is wrapped in.
    pub container_format: Option<String>,
    /// The length of its data in bytes, once known.
    pub size: Option<u64>,
    /// The size in bytes of the disk that a machine sees.
    pub virtual_size: Option<u64>,
    /// The MD5 of its data, hexadecimal.
    pub checksum: Option<String>,
    /// How `os_hash_value` was computed.
    pub os_hash_algo: Option<String>,
    /// The digest of its data, hexadecimal.
    pub os_hash_value: Option<String>,
    /// The disk that it needs, in GiB.
    pub min_disk: i64,
    /// The memory that it needs, in MiB.
    pub min_ram: i64,
    /// Whether it is safe from being deleted.
    pub protected: bool,
    /// Whether it is left out of lists.
    pub os_hidden: bool,
    /// In microseconds since 1970, UTC.
    pub created_at: i64,
    /// In microseconds since 1970, UTC.
    pub updated_at: i64,
    /// When it was deleted, if it was: in microseconds since 1970, UTC.
    pub deleted_at: Option<i64>,
    /// Where its data is, if it is in no store of ours: a URL, which may hold
    /// credentials and is never shown.
    pub location: Option<String>,
    /// Everything else that is known of it.
    pub properties: BTreeMap<String, String>,
    /// Words attached to it.
    pub tags: BTreeSet<String>,
    /// The stores that have its data, in the order they got it.
    pub stores: Vec<String>,
}

impl Image {
    /// A new image of this ID, as bare as an image can be.
    pub fn new(id: String) -> Self {
        let now = now();
        Image {
            id,
            status: Status::Queued,
            name: None,
            visibility: Visibility::Shared,
            owner: None,
            disk_format: None,
            container_format: None,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_algo: None,
            os_hash_value: None,
            min_disk: 0,
            min_ram: 0,
            protected: false,
            os_hidden: false,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            location: None,
            properties: BTreeMap::new(),
            tags: BTreeSet::new(),
            stores: Vec::new(),
        }
    }
}

/// The time, as the registry writes it.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A project that an image is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The image.
    pub image_id: String,
    /// The project.
    pub member: String,
    /// `pending`, `accepted` or `rejected`.
    pub status: String,
    /// Whether the member may share it further, which only Images API v1 asks.
    pub can_share: bool,
    /// In microseconds since 1970, UTC.
    pub created_at: i64,
    /// In microseconds since 1970, UTC.
    pub updated_at: i64,
}

impl Member {
    /// A project to which the image has just been offered.
    pub fn new(image_id: String, member: String) -> Self {
        let now = now();
        let status = "pending".to_owned();
        Member { image_id, member, status, can_share: false, created_at: now, updated_at: now }
    }
}
