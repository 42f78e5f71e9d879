//! The configuration file as it is written, word for word.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::error::Error;

/// Makes the error for what is wrong at a place of the file.
pub(super) type Wrong<'a> = dyn Fn(Location, String) -> Error + 'a;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub region: Option<String>,
    pub token_lifetime: Option<Spanned<u32>>,
    pub domains: Vec<DomainEntry>,
    pub projects: Vec<ProjectEntry>,
    pub users: Vec<UserEntry>,
    pub policy: BTreeMap<String, Spanned<String>>,
    pub stores: Vec<StoreEntry>,
    pub default_store: Option<Spanned<String>>,
    pub disk_formats: Option<Vec<String>>,
    pub container_formats: Option<Vec<String>>,
    pub import_methods: Option<Vec<Spanned<String>>>,
    pub web_download: WebEntry,
    pub protected_properties: Vec<ProtectedEntry>,
    pub metadefs: Option<PathBuf>,
    pub api_v1: bool,
    pub quota: QuotaEntry,
    pub limits: LimitsEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainEntry {
    pub name: Spanned<String>,
    pub id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectEntry {
    pub name: Spanned<String>,
    pub id: Option<String>,
    pub domain: Option<Spanned<String>>,
    #[serde(default)]
    pub description: String,
    #[serde(default = "yes")]
    pub enabled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub name: Spanned<String>,
    pub id: Option<String>,
    pub domain: Option<Spanned<String>>,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// In plain text, or a hash.
    pub password: Option<Spanned<String>>,
    #[serde(default)]
    pub roles: Vec<GrantEntry>,
    #[serde(default)]
    pub application_credentials: Vec<CredentialEntry>,
}

/// Roles on a project, on a domain, or (with neither) on the system.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantEntry {
    pub project: Option<Spanned<String>>,
    pub domain: Option<Spanned<String>>,
    pub system: Option<Spanned<bool>>,
    pub roles: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialEntry {
    pub name: Spanned<String>,
    pub id: Option<String>,
    /// In plain text, or a hash.
    pub secret: Spanned<String>,
    pub project: Spanned<String>,
    #[serde(default)]
    pub roles: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreEntry {
    pub name: Spanned<String>,
    #[serde(default)]
    pub description: String,
    pub directory: Option<PathBuf>,
}

/// From where the `web-download` import may read.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebEntry {
    pub schemes: Option<Vec<Spanned<String>>>,
    pub hosts: Option<Vec<Spanned<String>>>,
    pub ports: Option<Vec<Spanned<u16>>>,
}

/// The roles that may touch the properties whose names the pattern finds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtectedEntry {
    pub pattern: Spanned<String>,
    #[serde(default)]
    pub create: Vec<String>,
    #[serde(default)]
    pub read: Vec<String>,
    #[serde(default)]
    pub update: Vec<String>,
    #[serde(default)]
    pub delete: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QuotaEntry {
    pub properties: Option<i64>,
    pub tags: Option<i64>,
    pub members: Option<i64>,
    pub locations: Option<i64>,
    pub image_size: Option<u64>,
    pub user_storage: Option<u64>,
}

/// Sizes in bytes, times in seconds.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsEntry {
    pub connections: Option<Spanned<usize>>,
    pub header_bytes: Option<Spanned<usize>>,
    pub json_bytes: Option<Spanned<usize>>,
    pub stall: Option<Spanned<usize>>,
    pub grace: Option<u32>,
    pub sweep: Option<Spanned<usize>>,
    pub page: Option<Spanned<usize>>,
    pub longest_page: Option<Spanned<usize>>,
}

fn yes() -> bool {
    true
}
