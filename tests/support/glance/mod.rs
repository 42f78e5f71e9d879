//! The image service of the tests: Glance v2 as far as the commands of
//! `rimg image` need it. Status codes, header names, JSON keys and the words
//! of errors were taken from answers of Glance 33 (file stores `fast` and
//! `slow`, image cache on).
//!
//! Simplified: schema errors keep only their first line; of the data only the
//! magic bytes of qcow2, vmdk and vhdx are compared with the declared format;
//! one import method, glance-direct, done after one poll of the image; data
//! always lies in `fast`; filters by time are refused (501), not ignored; a
//! body is read to its end before it is refused (use a fault for the other way).

mod cache;
mod data;
mod errors;
mod image;
mod list;
mod members;
mod schema;

use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use super::http::{Answer, Body, Request};
use super::keystone::{Identity, Tokens};
use cache::Cache;
pub use errors::page;
use errors::{denied, error, in_form, no_image, no_property, not_allowed, not_found, unsupported};
use image::{Image, now};
use schema::{READ_ONLY, RESERVED, breaks_schema, over_quota};

const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

/// What the service itself has of an image.
#[derive(Debug)]
pub struct Kept {
    pub id: String,
    pub status: String,
    /// The bytes in the store or the staging area.
    pub data: Option<Vec<u8>>,
}

pub struct Glance {
    directory: PathBuf,
    images: Mutex<Vec<Image>>,
    cache: Mutex<Cache>,
}

impl Glance {
    /// The data goes into files in `directory`.
    pub fn new(directory: PathBuf) -> Self {
        std::fs::create_dir_all(&directory).unwrap();
        Glance { directory, images: Mutex::default(), cache: Mutex::default() }
    }

    /// The images of this name.
    pub fn kept(&self, name: &str) -> Vec<Kept> {
        let images = self.images.lock().unwrap();
        let of_name = images.iter().filter(|image| image.text("name") == name);
        let read = |path: &PathBuf| std::fs::read(path).unwrap();
        let kept = |image: &Image| Kept {
            id: image.id.clone(),
            status: image.text("status").to_owned(),
            data: image.data.as_ref().map(read),
        };
        of_name.map(kept).collect()
    }

    /// Somebody else deletes the images of this name.
    pub fn remove(&self, name: &str) {
        self.images.lock().unwrap().retain(|image| {
            let stays = image.text("name") != name;
            if let Some(path) = image.data.as_ref().filter(|_| !stays) {
                let _ = std::fs::remove_file(path);
            }
            stays
        });
    }

    /// The data of the image of this name, if it has any, becomes other data;
    /// size and digests are told as they are then.
    pub fn spoil(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut images = self.images.lock().unwrap();
        for image in images.iter_mut().filter(|image| image.text("name") == name) {
            let Some(path) = image.data.clone() else { continue };
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            image.take(&path, &bytes);
        }
    }

    /// Somebody else sends data into the image of this name, if it is queued.
    pub fn fill(&self, name: &str, bytes: &[u8]) {
        let mut images = self.images.lock().unwrap();
        let queued = |image: &&mut Image| image.text("name") == name && image.text("status") == "queued";
        for image in images.iter_mut().filter(queued) {
            image.set("status", "saving");
            image.take(&self.directory.join(&image.id), bytes);
            image.activate();
        }
    }

    pub fn answer(&self, tokens: &Tokens, url: &str, request: &Request, body: &mut Body) -> Answer {
        in_form(request, self.route(tokens, url, request, body))
    }

    fn route(&self, tokens: &Tokens, url: &str, request: &Request, body: &mut Body) -> Answer {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let ["v2", rest @ ..] = path.as_slice() else {
            return self.versions(if path == ["versions"] { 200 } else { 300 }, url);
        };
        let Some(who) = tokens.identity(request) else {
            let page = "This server could not verify that you are authorized to access the document you requested. \
                Either you supplied the wrong credentials (e.g., bad password), or your browser does not understand \
                how to supply the credentials required.";
            return error(401, page, "").header("WWW-Authenticate", "Keystone uri=\"http://127.0.0.1/v3\"");
        };
        match (request.method.as_str(), rest) {
            ("GET", ["info", "import"]) => Answer::json(
                200,
                &json!({"import-methods": {
                "description": "Import methods available.", "type": "array", "value": ["glance-direct"]}}),
            ),
            ("GET", ["info", "stores"]) => {
                Answer::json(200, &json!({"stores": [{"id": "fast", "default": "true"}, {"id": "slow"}]}))
            }
            ("GET", ["info", "stores", "detail"]) if !who.admin => not_allowed("stores_info_detail"),
            ("GET", ["info", "stores", "detail"]) => {
                let properties = json!({"data_dir": self.directory, "chunk_size": 65536, "thin_provisioning": false});
                Answer::json(
                    200,
                    &json!({"stores": [
                    {"id": "fast", "default": "true", "type": "file", "properties": properties, "weight": 0},
                    {"id": "slow", "type": "file", "properties": properties, "weight": 0}]}),
                )
            }
            ("GET", ["schemas", "image"]) => schema::of_image(),
            ("GET", ["images"]) => self.list(&who, request),
            ("POST", ["images"]) => self.create(&who, url, body),
            ("GET", ["images", id]) => self.show(&who, id),
            ("PATCH", ["images", id]) => self.update(&who, id, request, body),
            ("DELETE", ["images", id]) => self.delete(&who, id),
            ("GET", ["images", id, "file"]) => self.download(&who, id, request),
            ("PUT", ["images", id, "file"]) => self.upload(&who, id, request, body, "saving"),
            ("PUT", ["images", id, "stage"]) => self.upload(&who, id, request, body, "uploading"),
            ("POST", ["images", id, "import"]) => self.import(&who, id, body),
            ("POST", ["images", id, "actions", action @ ("deactivate" | "reactivate")]) => self.act(&who, id, action),
            (method @ ("PUT" | "DELETE"), ["images", id, "tags", tag]) => self.tag(&who, id, method, tag),
            (_, ["images", id, "members", rest @ ..]) => self.members(&who, id, rest, request, body),
            ("DELETE", ["stores", store, id]) => self.delete_from_store(&who, store, id),
            (_, ["cache", rest @ ..]) => self.cache(&who, rest, request),
            (method, ["images"]) => error(405, &format!("The method {method} is not allowed for this resource.\n"), ""),
            _ => not_found(),
        }
    }

    fn versions(&self, status: u16, url: &str) -> Answer {
        let link = json!([{"rel": "self", "href": format!("{url}/v2/")}]);
        let known = (0..=18).rev().map(|minor| {
            let state = if minor == 18 { "CURRENT" } else { "SUPPORTED" };
            json!({"id": format!("v2.{minor}"), "status": state, "links": link})
        });
        Answer::json(status, &json!({"versions": known.collect::<Value>()}))
    }

    /// Runs `with` on an image that `who` may see, or answers `missing`.
    fn on(&self, who: &Identity, id: &str, missing: Answer, with: impl FnOnce(&mut Image) -> Answer) -> Answer {
        let mut images = self.images.lock().unwrap();
        match images.iter_mut().find(|image| image.id == id && image.seen_by(who)) {
            Some(image) => with(image),
            None => missing,
        }
    }

    fn show(&self, who: &Identity, id: &str) -> Answer {
        self.on(who, id, no_image(id), |image| {
            match (image.text("status"), image.importing) {
                ("importing", 0) => {
                    image.activate();
                    image.extra.remove("os_glance_import_task");
                    image.extra.insert("os_glance_importing_to_stores".into(), "".into());
                }
                ("importing", _) => image.importing -= 1,
                _ => {}
            }
            Answer::json(200, &image.json())
        })
    }

    fn create(&self, who: &Identity, url: &str, body: &mut Body) -> Answer {
        let Some(Value::Object(mut wanted)) = body.json() else {
            return error(400, "Malformed JSON in request body.", "");
        };
        for (key, value) in &wanted {
            if RESERVED.contains(&key.as_str()) || key.starts_with("os_glance") {
                return denied(&format!("Attribute '{key}' is reserved."));
            }
            if let Some(answer) = breaks_schema(key, value) {
                return answer;
            }
            if READ_ONLY.contains(&key.as_str()) && key != "id" {
                return error(403, &format!("Attribute '{key}' is read-only."), "");
            }
        }
        let owner = json!(who.project);
        if !who.admin && wanted.get("owner").is_some_and(|wanted| *wanted != owner) {
            let owner = wanted["owner"].as_str().unwrap_or("None");
            return denied(&format!("You are not permitted to create images owned by '{owner}'"));
        }
        if !who.admin && wanted.get("visibility").is_some_and(|v| v == "public") {
            return not_allowed("publicize_image");
        }
        let id = wanted.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_else(super::random_uuid);
        let mut tags: Vec<String> =
            wanted.remove("tags").and_then(|tags| serde_json::from_value(tags).ok()).unwrap_or_default();
        tags.reverse(); // Glance gives them back in another order
        tags.dedup();
        let mut take = |key: &str, default: Value| wanted.remove(key).unwrap_or(default);
        let mut base = Map::new();
        for (key, value) in [
            ("name", take("name", Value::Null)),
            ("disk_format", take("disk_format", Value::Null)),
            ("container_format", take("container_format", Value::Null)),
            ("visibility", take("visibility", "shared".into())),
            ("size", Value::Null),
            ("virtual_size", Value::Null),
            ("status", "queued".into()),
            ("checksum", Value::Null),
            ("protected", take("protected", false.into())),
            ("min_ram", take("min_ram", 0.into())),
            ("min_disk", take("min_disk", 0.into())),
            ("owner", take("owner", owner)),
            ("os_hidden", take("os_hidden", false.into())),
            ("os_hash_algo", Value::Null),
            ("os_hash_value", Value::Null),
            ("id", id.clone().into()),
            ("created_at", now().into()),
            ("updated_at", now().into()),
        ] {
            base.insert(key.to_owned(), value);
        }
        if let Some(answer) = over_quota(&wanted) {
            return answer;
        }
        let mut images = self.images.lock().unwrap();
        if images.iter().any(|image| image.id == id) {
            return error(409, &format!("Image ID {id} already exists!"), "");
        }
        let image = Image {
            id: id.clone(),
            extra: wanted,
            base,
            tags,
            members: Vec::new(),
            data: None,
            digests: Default::default(),
            downloads: 0,
            importing: 0,
        };
        let answer = Answer::json(201, &image.json());
        images.push(image);
        answer
            .header("Location", format!("{url}/v2/images/{id}"))
            .header("OpenStack-image-import-methods", "glance-direct")
            .header("OpenStack-image-store-ids", "fast,slow,os_glance_staging_store,os_glance_tasks_store")
    }

    fn update(&self, who: &Identity, id: &str, request: &Request, body: &mut Body) -> Answer {
        let media = request.header("content-type").unwrap_or_default();
        let changes = body.json();
        if media != PATCH_TYPE {
            let known = format!("application/openstack-images-v2.0-json-patch, {PATCH_TYPE}");
            return unsupported(media, &format!("Image PATCH expects Content-Type one of: {known}"));
        }
        let Some(Value::Array(changes)) = changes else {
            return error(400, "Request body must be a JSON array of operation objects.", "");
        };
        self.on(who, id, no_image(id), |image| {
            // All or nothing: work on copies.
            let (mut extra, mut base, mut tags) = (image.extra.clone(), image.base.clone(), image.tags.clone());
            for change in &changes {
                let operation = change["op"].as_str().unwrap_or_default();
                if !["add", "replace", "remove"].contains(&operation) {
                    let known = "It must be one of the following: add, remove, replace.";
                    return error(400, &format!("Invalid operation: `{operation}`. {known}"), "");
                }
                let pointer = change["path"].as_str().unwrap_or_default();
                let Some(key) = pointer.strip_prefix('/').filter(|key| !key.is_empty() && !key.contains('/')) else {
                    return error(400, &format!("Invalid JSON pointer for this resource: '{pointer}'"), "");
                };
                let key = key.replace("~1", "/").replace("~0", "~");
                let value = &change["value"];
                if READ_ONLY.contains(&key.as_str()) && key != "stores" {
                    return error(403, &format!("Attribute '{key}' is read-only."), "");
                }
                if RESERVED.contains(&key.as_str()) || key.starts_with("os_glance") {
                    return error(403, &format!("Attribute '{key}' is reserved."), "");
                }
                let known = base.contains_key(&key) || key == "tags";
                if operation == "remove" {
                    if known {
                        return denied(&format!("Property {key} may not be removed."));
                    }
                    if extra.shift_remove(&key).is_none() {
                        return no_property(&key);
                    }
                    continue;
                }
                if operation == "replace" && !known && !extra.contains_key(&key) {
                    return no_property(&key);
                }
                if let Some(answer) = breaks_schema(&key, value) {
                    return answer;
                }
                if matches!(key.as_str(), "disk_format" | "container_format") && image.text("status") != "queued" {
                    return error(403, &format!("Attribute {key} can be only replaced for a queued image."), "");
                }
                if key == "visibility" && value == "public" && !who.admin {
                    return not_allowed("publicize_image");
                }
                match key.as_str() {
                    "tags" => tags = serde_json::from_value(value.clone()).unwrap_or_default(),
                    _ if known => drop(base.insert(key, value.clone())),
                    _ => drop(extra.insert(key, value.clone())),
                }
            }
            if !image.owned_by(who) {
                return not_allowed("modify_image");
            }
            if let Some(answer) = over_quota(&extra) {
                return answer;
            }
            (image.extra, image.base, image.tags) = (extra, base, tags);
            image.touch();
            Answer::json(200, &image.json())
        })
    }

    fn delete(&self, who: &Identity, id: &str) -> Answer {
        let missing = error(404, &format!("Failed to find image {id} to delete"), "");
        let answer = self.on(who, id, missing, |image| {
            if !image.owned_by(who) {
                return not_allowed("delete_image");
            }
            if image.base["protected"] == true {
                return error(403, &format!("Image {id} is protected and cannot be deleted."), "");
            }
            if let Some(data) = &image.data {
                let _ = std::fs::remove_file(data);
            }
            Answer::status(204)
        });
        if answer.status == 204 {
            self.images.lock().unwrap().retain(|image| image.id != id);
        }
        answer
    }

    fn delete_from_store(&self, who: &Identity, store: &str, id: &str) -> Answer {
        if !who.admin {
            return not_allowed("delete_image_location");
        }
        if !["fast", "slow"].contains(&store) {
            return error(409, &format!("The selected store {store} is not available on this node."), "");
        }
        let only = "Cannot delete image data from the only store containing it. Consider deleting the image instead.";
        self.on(who, id, no_image(id), |_| error(403, only, ""))
    }

    fn act(&self, who: &Identity, id: &str, action: &str) -> Answer {
        self.on(who, id, no_image(id), |image| {
            if !image.owned_by(who) {
                return not_allowed(action);
            }
            let status = image.text("status");
            if !matches!(status, "active" | "deactivated") {
                return error(403, &format!("Not allowed to {action} image in status '{status}'"), "");
            }
            image.set("status", if action == "deactivate" { "deactivated" } else { "active" });
            image.touch();
            Answer::status(204)
        })
    }

    fn tag(&self, who: &Identity, id: &str, method: &str, tag: &str) -> Answer {
        let tag = percent_encoding::percent_decode_str(tag).decode_utf8_lossy().into_owned();
        if tag.contains('/') {
            return not_found();
        }
        self.on(who, id, error(404, &format!("Image {id} not found."), ""), |image| {
            if !image.owned_by(who) {
                return not_allowed("modify_image");
            }
            let before = image.tags.len();
            image.tags.retain(|one| *one != tag);
            match method {
                "PUT" => image.tags.push(tag),
                _ if image.tags.len() == before => return not_found(),
                _ => {}
            }
            image.touch();
            Answer::status(204)
        })
    }
}
