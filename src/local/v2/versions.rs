//! Which versions there are (<https://docs.openstack.org/api-ref/image/versions/>).

use http::{Response, StatusCode};
use serde_json::json;

use crate::local::server::{Payload, json as as_json};

/// Glance 33's list for several stores and no image cache, in its order.
const VERSIONS: &[&str] = &[
    "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.17", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1",
    "2.0",
];
const CURRENT: &str = "2.17";

/// Whether the first part of a path names a version that is served.
pub fn is_one(part: &str) -> bool {
    part == "v2" || part.strip_prefix('v').is_some_and(|number| VERSIONS.contains(&number))
}

/// The list, with where to find each.
pub fn all(status: StatusCode, base: &str) -> Response<Payload> {
    let versions: Vec<_> = VERSIONS
        .iter()
        .map(|&version| {
            let status = if version == CURRENT { "CURRENT" } else { "SUPPORTED" };
            json!({"id": format!("v{version}"), "status": status,
                   "links": [{"rel": "self", "href": format!("{base}/v2/")}]})
        })
        .collect();
    as_json(status, &json!({ "versions": versions }))
}
