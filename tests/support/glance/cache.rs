//! The image cache.

use serde_json::{Value, json};

use super::Glance;
use super::errors::{error, not_allowed, not_found};
use crate::support::http::{Answer, Request};
use crate::support::keystone::Identity;

/// What is in it. What is queued is cached once somebody has looked.
#[derive(Default)]
pub(super) struct Cache {
    cached: Vec<Value>,
    queued: Vec<String>,
    /// How many were ever cached.
    count: u64,
}

impl Glance {
    pub(super) fn cache(&self, who: &Identity, rest: &[&str], request: &Request) -> Answer {
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
}
