//! Glance over HTTP: an [`ImageService`] of whatever version the endpoint speaks.

mod v2;
mod wire;

use serde_json::Value;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::http::{Credential, Http, Request};
use crate::service::ImageService;

/// Where an image service is, and who asks.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// As the catalogue or the configuration has it, with or without a version.
    pub url: Url,
    /// What to show it.
    pub credential: Credential,
}

/// Finds out which version `endpoint` speaks and answers with a service of it.
/// `wanted` is what the user asked for (`2`, `2.5`, `1`).
pub async fn connect(http: Http, endpoint: Endpoint, wanted: Option<&str>) -> Result<Box<dyn ImageService>> {
    let Endpoint { mut url, credential } = endpoint;
    if url.cannot_be_a_base() || url.host().is_none() {
        return Err(Error::config(format!("`{url}` cannot be the address of an image service"))
            .next("it should look like `https://image.example.org`"));
    }
    let major = wanted.map(|text| text.trim_start_matches('v').split('.').next().unwrap_or_default());
    if !matches!(major, None | Some("2")) {
        return Err(unsupported(wanted.unwrap_or_default()));
    }
    url.set_query(None);
    url.set_fragment(None);
    let versioned = url.path_segments().and_then(|mut path| path.rfind(|part| !part.is_empty()).map(str::to_owned));
    let version = match versioned.as_deref() {
        Some(last) if last.starts_with('v') && last[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let version = last.to_owned();
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().pop();
            }
            version
        }
        _ => offered(&http, &url).await?,
    };
    if !version.starts_with("v2") {
        return Err(unsupported(&version));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("v2");
    }
    Ok(Box::new(v2::V2::new(http, url, credential)))
}

fn unsupported(version: &str) -> Error {
    Error::new(Kind::Unsupported, format!("rimg does not speak version `{version}` of the Images API"))
        .next("it speaks version 2: leave out `--os-image-api-version`, or check the endpoint")
}

/// The version to use among those that the service lists
/// (<https://docs.openstack.org/api-ref/image/versions/>). A service that does
/// not list any is taken to speak v2, as all have since 2012.
async fn offered(http: &Http, url: &Url) -> Result<String> {
    let mut root = url.clone();
    if let Ok(mut path) = root.path_segments_mut() {
        path.pop_if_empty().push("");
    }
    let answer = http.send(Request::get(root)).await?;
    let Ok(answer) = answer.ok().await else { return Ok("v2".to_owned()) };
    let versions = match answer.json().await {
        Ok(document) => versions(&document),
        Err(error) if error.kind == Kind::Interrupted => return Err(error),
        Err(_) => Vec::new(),
    };
    let best = versions.iter().find(|id| id.starts_with("v2")).or(versions.first());
    Ok(best.cloned().unwrap_or_else(|| "v2".to_owned()))
}

fn versions(document: &Value) -> Vec<String> {
    let listed = document.get("versions").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(|v| v.get("id")?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_version_list_is_understood() {
        let sample = serde_json::json!({"versions": [
            {"id": "v2.9", "links": [{"href": "http://glance.openstack.example.org/v2/", "rel": "self"}], "status": "CURRENT"},
            {"id": "v2.7", "links": [{"href": "http://glance.openstack.example.org/v2/", "rel": "self"}], "status": "SUPPORTED"}
        ]});
        assert_eq!(versions(&sample), ["v2.9", "v2.7"]);
    }
}
