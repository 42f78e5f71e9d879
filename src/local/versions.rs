//! Which versions there are (<https://docs.openstack.org/api-ref/image/versions/>).

use http::{Response, StatusCode};
use serde_json::json;

use super::answer::{Payload, json as as_json};

/// Glance 33's list for several stores and no image cache, in its order.
const V2: &[&str] = &[
    "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.17", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1",
    "2.0",
];
const CURRENT: &str = "2.17";

/// What Glance 15, the last that had it, put after those of v2 where v1 was
/// enabled. Clients that choose by status never choose what is deprecated.
const V1: &[&str] = &["1.1", "1.0"];

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

impl Version {
    /// The version that the first part of a path names; `with_v1` if v1 is served.
    pub fn named(part: &str, with_v1: bool) -> Option<Version> {
        let number = part.strip_prefix('v')?;
        match number {
            "2" => Some(Version::V2),
            number if V2.contains(&number) => Some(Version::V2),
            "1" if with_v1 => Some(Version::V1),
            number if with_v1 && V1.contains(&number) => Some(Version::V1),
            _ => None,
        }
    }

    /// Where it begins: `v2`.
    pub fn path(self) -> &'static str {
        match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        }
    }
}

/// The list, with where to find each.
pub fn all(status: StatusCode, base: &str, with_v1: bool) -> Response<Payload> {
    let view = |number: &str, path: &str, status: &str| {
        json!({"id": format!("v{number}"), "status": status,
               "links": [{"rel": "self", "href": format!("{base}/{path}/")}]})
    };
    let status_of = |number: &str| if number == CURRENT { "CURRENT" } else { "SUPPORTED" };
    let mut versions: Vec<_> = V2.iter().map(|number| view(number, "v2", status_of(number))).collect();
    if with_v1 {
        versions.extend(V1.iter().map(|number| view(number, "v1", "DEPRECATED")));
    }
    as_json(status, &json!({ "versions": versions }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_version_that_is_served() {
        for (part, with_v1, expected) in [
            ("v2", false, Some(Version::V2)),
            ("v2.17", true, Some(Version::V2)),
            ("v2.99", true, None),
            ("v1", true, Some(Version::V1)),
            ("v1.0", true, Some(Version::V1)),
            ("v1.1", false, None),
            ("v1", false, None),
            ("1", true, None),
            ("", true, None),
        ] {
            assert_eq!(Version::named(part, with_v1), expected, "{part} {with_v1}");
        }
    }
}
