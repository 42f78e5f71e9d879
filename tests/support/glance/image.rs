//! One image, as the service has it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::support::http::hex;
use crate::support::keystone::Identity;

/// One image: what the API says of it, and where its data lies.
pub(super) struct Image {
    pub(super) id: String,
    /// The custom properties; they come first in an answer.
    pub(super) extra: Map<String, Value>,
    /// The base properties, in the order of an answer.
    pub(super) base: Map<String, Value>,
    pub(super) tags: Vec<String>,
    pub(super) members: Vec<Value>,
    pub(super) data: Option<PathBuf>,
    /// MD5 and SHA-512 of the data, shown once the image is active.
    pub(super) digests: (String, String),
    pub(super) downloads: u32,
    /// An import is done at the poll after this many.
    pub(super) importing: u32,
}

impl Image {
    pub(super) fn text(&self, key: &str) -> &str {
        self.base.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.base.insert(key.to_owned(), value.into());
    }

    pub(super) fn json(&self) -> Value {
        let mut all = self.extra.clone();
        all.extend(self.base.clone());
        all.insert("tags".into(), self.tags.clone().into());
        all.insert("self".into(), format!("/v2/images/{}", self.id).into());
        all.insert("file".into(), format!("/v2/images/{}/file", self.id).into());
        all.insert("schema".into(), "/v2/schemas/image".into());
        if matches!(self.text("status"), "active" | "deactivated") {
            all.insert("stores".into(), "fast".into());
        }
        all.into()
    }

    pub(super) fn owned_by(&self, who: &Identity) -> bool {
        who.admin || self.base["owner"] == json!(who.project)
    }

    pub(super) fn membership(&self, project: Option<&String>) -> Option<&Value> {
        let project = project?;
        self.members.iter().find(|member| member["member_id"] == **project)
    }

    /// By its ID an image is seen by its owner, everyone (public and
    /// community) or the projects it is shared with, accepted or not.
    pub(super) fn seen_by(&self, who: &Identity) -> bool {
        self.owned_by(who)
            || matches!(self.text("visibility"), "public" | "community")
            || (self.text("visibility") == "shared" && self.membership(who.project.as_ref()).is_some())
    }

    /// Keeps this data, as it would if that had been sent.
    pub(super) fn take(&mut self, path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
        self.data = Some(path.to_owned());
        self.set("size", bytes.len());
        let sha512 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes);
        self.digests = (hex(&<md5::Md5 as md5::Digest>::digest(bytes)), hex(sha512.as_ref()));
        if self.text("status") == "active" {
            self.activate();
        }
    }

    /// The data is in the store: shows what is known of it.
    pub(super) fn activate(&mut self) {
        let size = self.base["size"].clone();
        self.set("virtual_size", if size == 0 { Value::Null } else { size });
        self.set("checksum", self.digests.0.clone());
        self.set("os_hash_algo", "sha512");
        self.set("os_hash_value", self.digests.1.clone());
        self.set("status", "active");
        self.touch();
    }

    pub(super) fn touch(&mut self) {
        self.set("updated_at", now());
    }
}

pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
