//! Locations, by both of Glance's ways: a patch of the image, for which the
//! service must show locations, and a resource of their own, since 2023.2
//! (<https://specs.openstack.org/openstack/glance-specs/specs/2023.2/approved/glance/new-location-info-apis.html>).

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::{V2, wire};
use crate::error::{Error, Kind, Result};
use crate::image::{Image, Location};
use crate::service::Locations;

const SHOW: &str =
    "ask who runs the cloud: Glance shows locations with `show_multiple_locations`, or to services alone";

#[async_trait(?Send)]
impl Locations for V2 {
    async fn locations(&self, image: &Image) -> Result<Vec<Location>> {
        if let Some(shown) = image.fields.get("locations") {
            return wire::locations(shown);
        }
        let error = match self.api.call(Method::GET, &["images", image.id(), "locations"]).await {
            Ok(answer) => return wire::locations(&answer.json().await?),
            Err(error) => error,
        };
        let hidden = matches!(error.status, Some(403..=405));
        match image.fields.get("direct_url").and_then(Value::as_str) {
            Some(url) if hidden => Ok(vec![Location { url: url.to_owned(), ..Location::default() }]),
            _ if hidden => {
                let message = format!("this cloud does not show you where image `{}` is kept", image.id());
                Err(Error { message, ..error }.next(SHOW))
            }
            _ => Err(error),
        }
    }

    async fn add_location(&self, image: &Image, location: &Location) -> Result<()> {
        // The newer way is for images without data, and knows no metadata and no MD5.
        let newer = image.status() == "queued" && location.metadata.is_empty() && location.checksum.is_none();
        if newer {
            let mut body = json!({"url": location.url});
            if let Some((algorithm, value)) = &location.hash {
                body["validation_data"] = json!({"os_hash_algo": algorithm, "os_hash_value": value});
            }
            let request =
                self.api.request(Method::POST, self.api.url(&["images", image.id(), "locations"])?).json(&body);
            match self.api.send(request).await {
                Ok(_) => return Ok(()),
                Err(error) if matches!(error.status, Some(404 | 405)) => {}
                Err(error) if error.status == Some(403) && image.fields.contains_key("locations") => {}
                Err(error) => return Err(error),
            }
        }
        self.patch(image, &json!([{"op": "add", "path": "/locations/-", "value": wire::location(location)}])).await
    }

    async fn set_location(&self, image: &Image, location: &Location) -> Result<()> {
        let mut locations = shown(image)?;
        let at = position(image, &locations, &location.url)?;
        locations[at].metadata.clone_from(&location.metadata);
        let all: Vec<Value> = locations.iter().map(wire::location).collect();
        self.patch(image, &json!([{"op": "replace", "path": "/locations", "value": all}])).await
    }

    async fn remove_locations(&self, image: &Image, urls: &[String]) -> Result<()> {
        let locations = shown(image)?;
        let places = urls.iter().map(|url| position(image, &locations, url)).collect::<Result<Vec<_>>>()?;
        self.patch(image, &removal(places)).await
    }
}

impl V2 {
    /// Changes the locations by a patch.
    async fn patch(&self, image: &Image, patch: &Value) -> Result<()> {
        let request = self.api.request(Method::PATCH, self.api.url(&["images", image.id()])?).json(patch);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static(wire::PATCH));
        self.api.send(request).await.map(drop).map_err(|error| match error.kind {
            Kind::Forbidden if !image.fields.contains_key("locations") => error.next(SHOW),
            _ => error,
        })
    }
}

/// The patch that removes what is at `places`: the last first, so that the
/// others keep their numbers.
fn removal(mut places: Vec<usize>) -> Value {
    places.sort_unstable();
    places.dedup();
    places.iter().rev().map(|at| json!({"op": "remove", "path": format!("/locations/{at}")})).collect()
}

/// The locations that the service shows with the image itself: only those can
/// be patched.
fn shown(image: &Image) -> Result<Vec<Location>> {
    match image.fields.get("locations") {
        Some(shown) => wire::locations(shown),
        None => {
            let message = format!("this cloud does not show you where image `{}` is kept", image.id());
            Err(Error::new(Kind::Unsupported, message).next(SHOW))
        }
    }
}

fn position(image: &Image, locations: &[Location], url: &str) -> Result<usize> {
    let at = locations.iter().position(|location| location.url == url);
    at.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("image `{}` has no location `{url}`", image.id()))
            .next("`rimg image location list` shows those that it has")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_removed_from_the_last_to_the_first() {
        let patch = removal(vec![0, 10, 2, 10]).to_string();
        let order: Vec<_> = patch.match_indices("/locations/").map(|(at, _)| &patch[at + 11..at + 13]).collect();
        assert_eq!(order, ["10", "2\"", "0\""]);
    }
}
