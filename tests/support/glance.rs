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

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use super::http::{Answer, Body, Content, Request, reason};
use super::keystone::{Identity, Tokens};

const DISK_FORMATS: [&str; 11] = ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"];
const CONTAINER_FORMATS: [&str; 8] = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"];
const VISIBILITIES: [&str; 4] = ["community", "public", "private", "shared"];
const READ_ONLY: [&str; 14] = [
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "size",
    "virtual_size",
    "direct_url",
    "self",
    "file",
    "schema",
    "id",
    "os_hash_algo",
    "os_hash_value",
    "stores",
];
const RESERVED: [&str; 4] = ["locations", "location", "deleted", "deleted_at"];
const SORT_KEYS: [&str; 8] =
    ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"];
const PROPERTY_QUOTA: usize = 128;
const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

/// One image: what the API says of it, and where its data lies.
struct Image {
    id: String,
    /// The custom properties; they come first in an answer.
    extra: Map<String, Value>,
    /// The base properties, in the order of an answer.
    base: Map<String, Value>,
    tags: Vec<String>,
    members: Vec<Value>,
    data: Option<PathBuf>,
    /// MD5 and SHA-512 of the data, shown once the image is active.
    digests: (String, String),
    downloads: u32,
    /// An import is done at the poll after this many.
    importing: u32,
}

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

/// The image cache. What is queued is cached once somebody has looked.
#[derive(Default)]
struct Cache {
    cached: Vec<Value>,
    queued: Vec<String>,
    /// How many were ever cached.
    count: u64,
}

/// An error; its form depends on what the client accepts.
fn error(status: u16, explanation: &str, detail: &str) -> Answer {
    Answer { problem: Some((explanation.to_owned(), detail.to_owned())), ..Answer::status(status) }
}

/// The page that WebOb, which Glance is made with, makes of an error.
pub fn page(status: u16, explanation: &str, detail: &str) -> String {
    let title = format!("{status} {}", reason(status));
    let entities = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#x27;")];
    let escape = |text: &str| entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(*from, to));
    let (explanation, detail) = (escape(explanation), escape(detail));
    format!(
        "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {explanation}<br /><br />\n\
         {detail}\n\n\n </body>\n</html>"
    )
}

/// HTML, JSON or plain text, as the client accepts.
fn in_form(request: &Request, mut answer: Answer) -> Answer {
    let Some((explanation, detail)) = answer.problem.take() else { return answer };
    let (status, title) = (answer.status, reason(answer.status));
    let accept = request.header("accept").unwrap_or_default();
    let (media, body) = if accept.contains("html") || accept.contains("*/*") {
        ("text/html; charset=UTF-8", page(status, &explanation, &detail))
    } else if accept.contains("application/json") {
        let message = format!("{explanation}<br /><br />\n{detail}\n\n");
        let value = json!({"message": message, "code": format!("{status} {title}"), "title": title});
        ("application/json", value.to_string())
    } else {
        ("text/plain; charset=UTF-8", format!("{status} {title}\n\n{explanation}\n\n {detail}  "))
    };
    answer.header("Content-Type", media).body(body)
}

fn denied(detail: &str) -> Answer {
    error(403, "Access was denied to this resource.", detail)
}

fn not_allowed(action: &str) -> Answer {
    error(403, &format!("You are not authorized to complete {action} action."), "")
}

fn unsupported(media: &str, detail: &str) -> Answer {
    error(415, &format!("The request media type {media} is not supported by this server.\n"), detail)
}

fn not_found() -> Answer {
    error(404, "The resource could not be found.", "")
}

fn no_image(id: &str) -> Answer {
    error(404, &format!("No image found with ID {id}"), "")
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Image {
    fn text(&self, key: &str) -> &str {
        self.base.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.base.insert(key.to_owned(), value.into());
    }

    fn json(&self) -> Value {
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

    fn owned_by(&self, who: &Identity) -> bool {
        who.admin || self.base["owner"] == json!(who.project)
    }

    fn membership(&self, project: Option<&String>) -> Option<&Value> {
        let project = project?;
        self.members.iter().find(|member| member["member_id"] == **project)
    }

    /// By its ID an image is seen by its owner, everyone (public and
    /// community) or the projects it is shared with, accepted or not.
    fn seen_by(&self, who: &Identity) -> bool {
        self.owned_by(who)
            || matches!(self.text("visibility"), "public" | "community")
            || (self.text("visibility") == "shared" && self.membership(who.project.as_ref()).is_some())
    }

    /// Keeps this data, as it would if that had been sent.
    fn take(&mut self, path: &std::path::Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
        self.data = Some(path.to_owned());
        self.set("size", bytes.len());
        let sha512 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes);
        let hex = super::http::hex;
        self.digests = (hex(&<md5::Md5 as md5::Digest>::digest(bytes)), hex(sha512.as_ref()));
        if self.text("status") == "active" {
            self.activate();
        }
    }

    /// The data is in the store: shows what is known of it.
    fn activate(&mut self) {
        let size = self.base["size"].clone();
        self.set("virtual_size", if size == 0 { Value::Null } else { size });
        self.set("checksum", self.digests.0.clone());
        self.set("os_hash_algo", "sha512");
        self.set("os_hash_value", self.digests.1.clone());
        self.set("status", "active");
        self.touch();
    }

    fn touch(&mut self) {
        self.set("updated_at", now());
    }
}

/// A value that breaks the schema, told in the words of Glance.
fn breaks_schema(key: &str, value: &Value) -> Option<Answer> {
    let shown = match value {
        Value::String(text) => format!("'{text}'"),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    };
    let text = value.is_string();
    let one_of = |known: &[&str]| value.as_str().is_some_and(|text| known.contains(&text));
    let list = |known: &[&str]| known.iter().map(|one| format!("'{one}'")).collect::<Vec<_>>().join(", ");
    let wrong = match key {
        "disk_format" if !value.is_null() && !one_of(&DISK_FORMATS) => {
            format!("is not one of [None, {}]", list(&DISK_FORMATS))
        }
        "container_format" if !value.is_null() && !one_of(&CONTAINER_FORMATS) => {
            format!("is not one of [None, {}]", list(&CONTAINER_FORMATS))
        }
        "visibility" if !one_of(&VISIBILITIES) => format!("is not one of [{}]", list(&VISIBILITIES)),
        "min_ram" | "min_disk" if !value.is_i64() => "is not of type 'integer'".into(),
        "protected" | "os_hidden" if !value.is_boolean() => "is not of type 'boolean'".into(),
        "name" | "owner" if !text && !value.is_null() => "is not of type 'null', 'string'".into(),
        "name" | "owner" if value.as_str().is_some_and(|text| text.chars().count() > 255) => "is too long".into(),
        "tags" if !value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string)) => {
            "is not of type 'array'".into()
        }
        "id" if !value.as_str().is_some_and(is_uuid) => {
            "does not match '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$'"
                .into()
        }
        "disk_format" | "container_format" | "visibility" | "min_ram" | "min_disk" | "protected" | "os_hidden"
        | "name" | "owner" | "tags" | "id" => String::new(),
        _ if !text => "is not of type 'string'".into(),
        _ => String::new(),
    };
    if matches!(key, "min_ram" | "min_disk") && value.as_i64().is_some_and(|number| number < 0) {
        let message = format!("Invalid value '{value}' for parameter '{key}': Cannot be a negative value");
        return Some(error(400, &message, ""));
    }
    if key == "name" && value.as_str().is_some_and(|name| name.chars().any(|c| c.len_utf8() == 4)) {
        return Some(error(400, "Name can't contain 4 byte unicode characters.", ""));
    }
    let message = format!("Provided object does not match schema 'image': {shown} {wrong}");
    (!wrong.is_empty()).then(|| error(400, &message, ""))
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
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
            ("GET", ["schemas", "image"]) => schema(),
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

    /// Data into the store (`saving`, then active) or the staging area (`uploading`).
    fn upload(&self, who: &Identity, id: &str, request: &Request, body: &mut Body, status: &str) -> Answer {
        let media = request.header("content-type").unwrap_or_default();
        if media != "application/octet-stream" {
            return unsupported(media, &format!("Invalid content type {media}"));
        }
        let Ok(announced) = request.header("x-openstack-image-size").map(str::parse::<u64>).transpose() else {
            return error(400, "Invalid or missing image size in request headers.", "");
        };
        let ready = self.on(who, id, no_image(id), |image| {
            if !image.owned_by(who) {
                return not_allowed(if status == "saving" { "upload_image" } else { "modify_image" });
            }
            let missing = ["disk_format", "container_format"].iter().any(|key| image.base[*key].is_null());
            if status == "saving" && missing {
                return error(400, "Properties disk_format, container_format must be set prior to saving data.", "");
            }
            let current = image.text("status");
            if current != "queued" {
                let message = format!("Image status transition from {current} to {status} is not allowed");
                return error(409, &message, "");
            }
            image.set("status", status);
            Answer::status(204)
        });
        if ready.status != 204 {
            return ready;
        }
        let path = self.directory.join(id);
        let kept = keep(body, &path);
        let size = body.len;
        // Nobody else can have removed it in between, unless a test deletes while it uploads.
        self.on(who, id, error(410, "The image was deleted while its data came in.", ""), |image| {
            let declared = image.text("disk_format").to_owned();
            let refused = match (kept, announced) {
                (Err(e), _) => Some(error(400, &format!("The client broke off: {e}"), "")),
                (Ok(_), Some(size)) if body.len > size => {
                    Some(error(400, &format!("Size exceeds: expected {size} bytes, got {} bytes", body.len), ""))
                }
                (Ok(_), Some(size)) if body.len < size => {
                    Some(error(400, &format!("Size mismatch: expected {size} bytes, got {} bytes", body.len), ""))
                }
                (Ok(found), _) if matches!(declared.as_str(), "qcow2" | "vmdk" | "vhdx") && found != declared => {
                    let detail = format!("Image disk_format {declared} does not match stream data {found}");
                    Some(unsupported(media, &detail))
                }
                _ => None,
            };
            if let Some(answer) = refused {
                let _ = std::fs::remove_file(&path);
                image.set("status", "queued");
                return answer;
            }
            image.data = Some(path);
            image.set("size", size);
            image.digests = (body.md5(), body.sha512());
            if status == "saving" {
                image.activate();
            }
            image.touch();
            Answer::status(204)
        })
    }

    fn import(&self, who: &Identity, id: &str, body: &mut Body) -> Answer {
        let order = body.json().unwrap_or_default();
        let method = order["method"]["name"].as_str().unwrap_or_default();
        if method != "glance-direct" {
            return error(400, &format!("Unknown import method name '{method}'."), "");
        }
        self.on(who, id, no_image(id), |image| {
            match image.text("status") {
                "uploading" => {}
                "queued" => {
                    let message = "Image needs to be staged before 'glance-direct' method can be used";
                    return error(409, message, "");
                }
                status => return error(409, &format!("Image with status {status} cannot be target for import"), ""),
            }
            for key in ["container_format", "disk_format"] {
                if image.base[key].is_null() {
                    return error(409, &format!("'{key}' needs to be set before import"), "");
                }
            }
            image.set("status", "importing");
            image.importing = 1;
            for (key, value) in [("import_task", super::random_uuid()), ("importing_to_stores", "fast".into())] {
                image.extra.insert(format!("os_glance_{key}"), value.into());
            }
            image.extra.insert("os_glance_failed_import".into(), "".into());
            Answer::status(202)
        })
    }

    fn download(&self, who: &Identity, id: &str, request: &Request) -> Answer {
        self.on(who, id, no_image(id), |image| {
            let status = image.text("status");
            if status == "deactivated" && !who.admin {
                let message = "The requested image has been deactivated. Image data download is forbidden.";
                return error(403, message, "");
            }
            let Some(path) = image.data.as_ref().filter(|_| matches!(status, "active" | "deactivated")) else {
                return Answer::status(204);
            };
            let file = File::open(path).unwrap();
            let size = file.metadata().unwrap().len();
            image.downloads += 1;
            let answer = Answer::status(200)
                .header("Content-Type", "application/octet-stream")
                .header("Content-MD5", image.text("checksum"));
            let Some(range) = request.header("range") else {
                // What is not in the image cache yet comes without a length.
                let content = Content::File { file, start: 0, len: size, announced: image.downloads > 1 };
                return Answer { content, ..answer };
            };
            let range = range.strip_prefix("bytes=").unwrap_or_default();
            if range.contains(',') {
                let message = "Requests with multiple ranges are not supported in Glance. \
                    You may make multiple single-range requests instead.";
                return error(400, message, "");
            }
            let parsed = match range.split_once('-').map(|(from, to)| (from.parse().ok(), to.parse().ok())) {
                Some((Some(from), to)) => Some((from, to.unwrap_or(u64::MAX).min(size.saturating_sub(1)))),
                Some((None, Some(last))) => Some((size.saturating_sub(last), size.saturating_sub(1))),
                _ => None,
            };
            let Some((from, to)) = parsed.filter(|(from, to)| from <= to && *from < size) else {
                let last = size.saturating_sub(1);
                let detail = format!(
                    "Invalid start position in Range header. Start position MUST be in the inclusive range [0, {last}]."
                );
                return error(416, "The Range requested is not available.", &detail);
            };
            let content = Content::File { file, start: from, len: to - from + 1, announced: true };
            Answer { status: 206, content, ..answer }.header("Content-Range", format!("bytes {from}-{to}/{size}"))
        })
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

    fn members(&self, who: &Identity, id: &str, rest: &[&str], request: &Request, body: &mut Body) -> Answer {
        let order = body.json().unwrap_or_default();
        self.on(who, id, error(404, &format!("Image {id} not found."), ""), |image| {
            let owner = image.owned_by(who);
            let mine = |member: &Value| owner || member["member_id"] == json!(who.project);
            let shared = image.text("visibility") == "shared";
            let not_a_member =
                |member: &str| error(404, &format!("{member} not found in the member list of the image {id}."), "");
            let position = |wanted: &str| image.members.iter().position(|m| m["member_id"] == wanted && mine(m));
            match (request.method.as_str(), rest) {
                ("GET", []) => {
                    let seen: Vec<Value> = image.members.iter().filter(|m| mine(m)).cloned().collect();
                    Answer::json(200, &json!({"members": seen, "schema": "/v2/schemas/members"}))
                }
                ("POST", []) => {
                    let Some(member) = order["member"].as_str() else {
                        return error(400, "Member to be added not specified", "");
                    };
                    if !owner {
                        return not_allowed("add_member");
                    }
                    if !shared {
                        return error(403, &format!("Not allowed to create members for image {id}."), "");
                    }
                    if position(member).is_some() {
                        return error(409, &format!("Member {member} is duplicated for image {id}"), "");
                    }
                    image.members.push(json!({"member_id": member, "image_id": id, "status": "pending",
                        "created_at": now(), "updated_at": now(), "schema": "/v2/schemas/member"}));
                    Answer::json(200, image.members.last().unwrap())
                }
                ("GET", [member]) => match position(member) {
                    Some(found) => Answer::json(200, &image.members[found]),
                    None => not_a_member(member),
                },
                ("PUT", [member]) => {
                    let Some(found) = position(member) else { return not_a_member(member) };
                    if !who.admin && who.project.as_deref() != Some(member) {
                        return not_allowed("modify_member");
                    }
                    let Some(status @ ("pending" | "accepted" | "rejected")) = order["status"].as_str() else {
                        let message = "Incorrect request: Status must be \"pending\", \"accepted\" or \"rejected\".";
                        return error(400, message, "");
                    };
                    image.members[found]["status"] = status.into();
                    image.members[found]["updated_at"] = now().into();
                    Answer::json(200, &image.members[found])
                }
                ("DELETE", [_]) if !owner => not_allowed("delete_member"),
                ("DELETE", [_]) if !shared => error(403, &format!("Not allowed to delete members for image {id}."), ""),
                ("DELETE", [member]) => match position(member) {
                    Some(found) => {
                        image.members.remove(found);
                        Answer::status(204)
                    }
                    None => not_a_member(member),
                },
                _ => not_found(),
            }
        })
    }

    fn cache(&self, who: &Identity, rest: &[&str], request: &Request) -> Answer {
        let images = self.images.lock().unwrap();
        let known = |id: &str| images.iter().find(|image| image.id == id && image.seen_by(who));
        let missing = |id: &str| error(404, &format!("Image {id} not found."), "");
        let mut cache = self.cache.lock().unwrap();
        let Cache { cached, queued, count } = &mut *cache;
        let held = |cached: &[Value], queued: &[String], id: &str| {
            queued.iter().any(|one| one == id) || cached.iter().any(|one| one["image_id"] == id)
        };
        let allowed = |rule: &str| (!who.admin).then(|| not_allowed(rule));
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                if let Some(answer) = allowed("cache_list") {
                    return answer;
                }
                let answer = Answer::json(200, &json!({"cached_images": cached, "queued_images": queued}));
                for id in queued.drain(..) {
                    let size = known(&id).map(|image| image.base["size"].clone());
                    *count += 1;
                    cached.push(json!({"id": count, "image_id": id, "last_accessed": 1795294694.307933,
                        "last_modified": 1795294686.0, "size": size, "hits": 0, "checksum": null}));
                }
                answer
            }
            ("DELETE", []) => {
                if let Some(answer) = allowed("cache_delete") {
                    return answer;
                }
                let target = request.header("x-image-cache-clear-target").unwrap_or_default();
                if !["", "cache", "queue"].contains(&target) {
                    let known = "'cache', 'queue' or empty string.";
                    return error(400, &format!("If provided 'x-image-cache-clear-target' must be {known}"), "");
                }
                if target != "queue" {
                    cached.clear();
                }
                if target != "cache" {
                    queued.clear();
                }
                Answer::status(204)
            }
            ("POST", ["clean"]) => allowed("cache_clean").unwrap_or(Answer::status(200)),
            ("POST", ["prune"]) => allowed("cache_prune")
                .unwrap_or_else(|| Answer::json(200, &json!({"total_files_pruned": 0, "total_bytes_pruned": 0}))),
            ("GET", ["nodes", id]) => allowed("list_cached_nodes").unwrap_or_else(|| match known(id) {
                Some(_) if cached.iter().any(|one| one["image_id"] == **id) => {
                    Answer::json(200, &json!(["http://node-1.example.org:9292"]))
                }
                Some(_) => Answer::json(200, &json!([])),
                None => missing(id),
            }),
            ("PUT", [id]) => match known(id) {
                None => missing(id),
                Some(image) => allowed("cache_image").unwrap_or_else(|| {
                    if image.text("status") != "active" {
                        return error(400, "Only images with status active can be targeted for queueing", "");
                    }
                    if !held(cached, queued, id) {
                        queued.push((*id).to_owned());
                    }
                    Answer::status(202)
                }),
            },
            ("DELETE", [id]) if known(id).is_none() && !held(cached, queued, id) => missing(id),
            ("DELETE", [id]) => allowed("cache_delete").unwrap_or_else(|| {
                cached.retain(|one| one["image_id"] != **id);
                queued.retain(|one| one != id);
                Answer::status(204)
            }),
            _ => not_found(),
        }
    }

    fn list(&self, who: &Identity, request: &Request) -> Answer {
        let pairs = request.pairs();
        let bad = |message: &str| error(400, message, "");
        let last = |key: &str| pairs.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        let limit = match last("limit").map(str::parse::<i64>) {
            None => 25,
            Some(Ok(limit)) if limit >= 0 => limit.min(1000) as usize,
            Some(Ok(_)) => return bad("limit param must be positive"),
            Some(Err(_)) => return bad("limit param must be an integer"),
        };
        let visibility = last("visibility");
        if visibility.is_some_and(|wanted| wanted != "all" && !VISIBILITIES.contains(&wanted)) {
            return bad(&format!("Invalid visibility value: {}", visibility.unwrap_or_default()));
        }
        let member_status = last("member_status").unwrap_or("accepted");
        if !["accepted", "pending", "rejected", "all"].contains(&member_status) {
            return bad(&format!("Invalid status: {member_status}"));
        }
        let hidden = match last("os_hidden").map(str::to_lowercase).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let known = "Valid values are 'true' or 'false'.";
                return bad(&format!("Invalid value '{other}' for 'os_hidden' filter. {known}"));
            }
        };
        if pairs.iter().any(|(key, _)| matches!(key.as_str(), "created_at" | "updated_at")) {
            return error(501, "The image service of the tests cannot filter by time.", "");
        }
        let sort = match sort_order(&pairs) {
            Ok(sort) => sort,
            Err(message) => return bad(&message),
        };

        let images = self.images.lock().unwrap();
        // Youngest first, as Glance has it; a stable sort keeps that for ties.
        let mut seen: Vec<&Image> = images.iter().rev().filter(|i| listed(i, who, visibility, member_status)).collect();
        for (key, ascending) in sort.iter().rev() {
            let field = |image: &Image| match &image.base[key.as_str()] {
                Value::Number(number) => (number.as_u64(), String::new()),
                other => (None, other.as_str().unwrap_or_default().to_owned()),
            };
            seen.sort_by(|a, b| if *ascending { field(a).cmp(&field(b)) } else { field(b).cmp(&field(a)) });
        }
        let start = match last("marker") {
            None => 0,
            Some(marker) => match seen.iter().position(|image| image.id == marker) {
                Some(position) => position + 1,
                None => return bad(&format!("No image found with ID {marker}")),
            },
        };
        let matching = |image: &&&Image| {
            image.base["os_hidden"] == hidden && pairs.iter().all(|(key, wanted)| image_matches(image, key, wanted))
        };
        let page: Vec<&&Image> = seen[start..].iter().filter(matching).take(limit).collect();
        // As Glance does, of a repeated key only the last value goes into the links.
        let mut link = url::form_urlencoded::Serializer::new(String::new());
        let mut done = Vec::new();
        for (key, _) in pairs.iter().filter(|(key, _)| key != "marker") {
            if !done.contains(&key) {
                link.append_pair(key, last(key).unwrap_or_default());
                done.push(key);
            }
        }
        let query = link.finish();
        let at = |query: &str| if query.is_empty() { "/v2/images".into() } else { format!("/v2/images?{query}") };
        let mut answer = json!({"images": page.iter().map(|image| image.json()).collect::<Value>(),
            "first": at(&query), "schema": "/v2/schemas/images"});
        if limit > 0 && page.len() == limit {
            // A full page has a next one, be it empty.
            let query = if query.is_empty() { query } else { query + "&" };
            answer["next"] = at(&format!("{query}marker={}", page[limit - 1].id)).into();
        }
        Answer::json(200, &answer)
    }
}

/// The schema of an image, as far as clients look at it: no descriptions.
fn schema() -> Answer {
    let mut properties = Map::new();
    for (keys, kind) in [
        ("id status checksum os_hash_algo os_hash_value owner name created_at updated_at", json!(["null", "string"])),
        ("direct_url self file schema stores visibility", json!("string")),
        ("disk_format container_format", json!(["null", "string"])),
        ("size virtual_size", json!(["null", "integer"])),
        ("min_ram min_disk", json!("integer")),
        ("protected os_hidden", json!("boolean")),
        ("tags locations", json!("array")),
    ] {
        for key in keys.split(' ') {
            let mut property = json!({"type": kind});
            if READ_ONLY.contains(&key) && key != "id" {
                property["readOnly"] = true.into();
            }
            properties.insert(key.to_owned(), property);
        }
    }
    let formats = |known: &[&str]| known.iter().map(|one| json!(one)).chain([Value::Null]).collect::<Value>();
    properties["disk_format"]["enum"] = formats(&DISK_FORMATS);
    properties["container_format"]["enum"] = formats(&CONTAINER_FORMATS);
    properties["visibility"]["enum"] = json!(VISIBILITIES);
    let links = json!([{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"}]);
    Answer::json(
        200,
        &json!({"name": "image", "properties": properties,
        "additionalProperties": {"type": "string"}, "links": links}),
    )
}

fn no_property(key: &str) -> Answer {
    let explanation = "There was a conflict when trying to complete your request.";
    error(409, explanation, &format!("Property {key} does not exist."))
}

fn over_quota(extra: &Map<String, Value>) -> Option<Answer> {
    let count = extra.len();
    let message = "The limit has been exceeded on the number of allowed image properties.";
    (count > PROPERTY_QUOTA)
        .then(|| error(413, &format!("{message} Attempted: {count}, Maximum: {PROPERTY_QUOTA}"), ""))
}

/// Whether a list shows an image: by ID a project sees more than that.
fn listed(image: &Image, who: &Identity, visibility: Option<&str>, member_status: &str) -> bool {
    let own = image.base["owner"] == json!(who.project);
    let kind = image.text("visibility");
    let accepted = || {
        let status = image.membership(who.project.as_ref()).map(|member| &member["status"]);
        status.is_some_and(|status| member_status == "all" || status == member_status)
    };
    let seen = who.admin || own || matches!(kind, "public" | "community") || (kind == "shared" && accepted());
    seen && match visibility {
        None => own || kind != "community",
        Some("all") => true,
        Some(wanted) => kind == wanted,
    }
}

/// One filter of a list; those that are no filters match everything.
fn image_matches(image: &Image, key: &str, wanted: &str) -> bool {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match key {
        "limit" | "marker" | "sort" | "sort_key" | "sort_dir" | "visibility" | "member_status" | "os_hidden" => true,
        "tag" => image.tags.iter().any(|tag| tag == wanted),
        "size_min" => image.base["size"].as_u64().is_some_and(|size| wanted.parse().is_ok_and(|min: u64| size >= min)),
        "size_max" => image.base["size"].as_u64().is_some_and(|size| wanted.parse().is_ok_and(|max: u64| size <= max)),
        _ => {
            let value = image.base.get(key).or_else(|| image.extra.get(key)).map(shown);
            let operator = if key == "name" { wanted.split_once(':') } else { None };
            match operator {
                Some(("eq", wanted)) => value.is_some_and(|value| value == wanted),
                Some((_, list)) => value.is_some_and(|value| list.split(',').any(|one| one.trim_matches('"') == value)),
                None if key == "protected" => value.is_some_and(|value| value == wanted.to_lowercase()),
                None => value.is_some_and(|value| value == wanted),
            }
        }
    }
}

/// `sort=key:dir,…`, or `sort_key=` and `sort_dir=`; true is ascending.
fn sort_order(pairs: &[(String, String)]) -> Result<Vec<(String, bool)>, String> {
    let all = |wanted: &str| pairs.iter().filter(|(k, _)| k == wanted).map(|(_, v)| v.clone()).collect::<Vec<_>>();
    let directions = all("sort_dir");
    let pick = |at: usize| directions.get(at).or(directions.last()).map_or("desc".into(), String::clone);
    let mut order: Vec<(String, String)> =
        all("sort_key").into_iter().enumerate().map(|(at, key)| (key, pick(at))).collect();
    for part in all("sort").iter().flat_map(|text| text.split(',')) {
        let (key, direction) = part.split_once(':').unwrap_or((part, "desc"));
        order.push((key.to_owned(), direction.to_owned()));
    }
    order
        .into_iter()
        .map(|(key, direction)| match direction.as_str() {
            _ if !SORT_KEYS.contains(&key.as_str()) => {
                Err(format!("Invalid sort key: {key}. It must be one of the following: {}.", SORT_KEYS.join(", ")))
            }
            "asc" => Ok((key, true)),
            "desc" => Ok((key, false)),
            other => Err(format!("Invalid sort direction: {other}")),
        })
        .collect()
}

/// Writes the body into a file, zeros as a hole, and says what its first bytes are.
fn keep(body: &mut Body, path: &std::path::Path) -> std::io::Result<&'static str> {
    static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
    let mut file = File::create(path)?;
    let mut first = Vec::new();
    while let Some(piece) = body.next()? {
        if first.len() < 8 {
            first.extend_from_slice(&piece[..piece.len().min(8)]);
        }
        if piece == &ZEROS[..piece.len()] {
            file.seek(SeekFrom::Current(piece.len() as i64))?;
        } else {
            file.write_all(piece)?;
        }
    }
    file.set_len(body.len)?;
    Ok(match first.as_slice() {
        [b'Q', b'F', b'I', 0xfb, ..] => "qcow2",
        [b'K', b'D', b'M', b'V', ..] => "vmdk",
        [b'v', b'h', b'd', b'x', ..] => "vhdx",
        _ => "raw",
    })
}
