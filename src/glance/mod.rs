//! Glance over HTTP: an [`ImageService`] of whatever version the endpoint speaks.

mod api;
mod cleanup;
mod create;
mod download;
mod fetch;
mod maker;
mod upload;
mod v1;
mod v2;
mod wire;

use serde_json::Value;
use url::Url;

use api::Api;

use crate::error::{Error, Kind, Result};
use crate::http::{Credential, Http, Request};
use crate::service::{ImageService, Version};

/// Where an image service is, and who asks.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// As the catalogue or the configuration has it, with or without a version.
    pub url: Url,
    /// What to show it.
    pub credential: Credential,
    /// The version that it is known to speak; it is asked where that is not known.
    pub version: Option<String>,
    /// The project that we are signed in to, if Keystone said one.
    pub project: Option<String>,
}

/// Finds out which version `endpoint` speaks and answers with a service of it,
/// and with the version if the service was asked. `wanted` is what the user
/// asked for (`2`, `2.5`, `1`).
pub async fn connect(
    http: Http,
    endpoint: Endpoint,
    wanted: Option<&str>,
) -> Result<(Box<dyn ImageService>, Option<String>)> {
    let Endpoint { mut url, credential, version: known, project } = endpoint;
    if url.cannot_be_a_base() || url.host().is_none() {
        return Err(Error::config(format!("`{url}` cannot be the address of an image service"))
            .next("it should look like `https://image.example.org`"));
    }
    let major = wanted.map(|text| text.trim_start_matches('v').split('.').next().unwrap_or_default());
    let named = cut_version(&mut url);
    let mut asked = None;
    let version = match (major, named.or(known)) {
        // What is asked for is taken for what is there: an old service may not even list it.
        (Some(major @ ("1" | "2")), _) => format!("v{major}"),
        (Some(_), _) => return Err(unsupported(wanted.unwrap_or_default())),
        (None, Some(version)) => version,
        (None, None) => asked.insert(offered(&http, &url).await?).clone(),
    };
    let base = |name: &str| {
        let mut base = url.clone();
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty().push(name);
        }
        base
    };
    let service: Box<dyn ImageService> = match version.as_str() {
        v2 if v2.starts_with("v2") => Box::new(v2::V2::new(Api { http, base: base("v2"), credential })),
        v1 if v1.starts_with("v1") => Box::new(v1::V1::new(Api { http, base: base("v1"), credential }, project)),
        other => return Err(unsupported(other)),
    };
    Ok((service, asked))
}

/// Where the image service at `url` is, whatever version of it `url` names.
pub fn root_of(mut url: Url) -> Url {
    cut_version(&mut url);
    url
}

/// Takes the version off the end of an address, if there is one.
fn cut_version(url: &mut Url) -> Option<String> {
    url.set_query(None);
    url.set_fragment(None);
    let last = url.path_segments().and_then(|mut path| path.rfind(|part| !part.is_empty()).map(str::to_owned))?;
    if !(last.starts_with('v') && last[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().pop();
    }
    Some(last)
}

fn unsupported(version: &str) -> Error {
    Error::new(Kind::Unsupported, format!("rimg does not speak version `{version}` of the Images API"))
        .next("it speaks versions 2 and 1: leave out `--os-image-api-version`, or check the endpoint")
}

/// The version to use among those that the service lists
/// (<https://docs.openstack.org/api-ref/image/versions/>). A service that does
/// not list any is taken to speak v2, as all have since 2012; of one that lists
/// both v2 is used.
async fn offered(http: &Http, url: &Url) -> Result<String> {
    let versions = match versions(http, url.clone()).await {
        Err(error) if matches!(error.kind, Kind::Interrupted | Kind::Network) => return Err(error),
        listed => listed.unwrap_or_default(),
    };
    let best = versions.iter().find(|version| version.id.starts_with("v2")).or(versions.first());
    Ok(best.map_or_else(|| "v2".to_owned(), |version| version.id.clone()))
}

/// The versions that the service at `url` lists, in its order.
pub async fn versions(http: &Http, mut url: Url) -> Result<Vec<Version>> {
    cut_version(&mut url);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("");
    }
    let answer = http.send(Request::get(url)).await?;
    Ok(listed(&answer.ok_or_choices().await?.json().await?))
}

fn listed(document: &Value) -> Vec<Version> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = |version: &Value| {
        let url = text(version.pointer("/links/0/href"));
        Some(Version { id: version.get("id")?.as_str()?.to_owned(), status: text(version.get("status")), url })
    };
    let versions = document.get("versions").and_then(Value::as_array);
    versions.into_iter().flatten().filter_map(read).collect()
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
        let of = |id: &str, status: &str| Version {
            id: id.to_owned(),
            status: status.to_owned(),
            url: "http://glance.openstack.example.org/v2/".to_owned(),
        };
        assert_eq!(listed(&sample), [of("v2.9", "CURRENT"), of("v2.7", "SUPPORTED")]);
    }
}
