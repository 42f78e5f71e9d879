//! Lists: which images, in which order, page by page.

use serde_json::{Value, json};

use super::Glance;
use super::errors::error;
use super::image::Image;
use super::schema::VISIBILITIES;
use crate::support::http::{Answer, Request};
use crate::support::keystone::Identity;

const SORT_KEYS: [&str; 8] =
    ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"];

impl Glance {
    pub(super) fn list(&self, who: &Identity, request: &Request) -> Answer {
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
