//! An image as v1 writes it: as JSON, and as headers.

use http::header::{ETAG, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::local::answer::{Payload, json as as_json};
use crate::local::caller::Caller;
use crate::local::registry::{Image, Visibility};
use crate::local::service::Service;

/// A time as the registry of Glance writes it.
fn time(microseconds: i64) -> String {
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
        Err(_) => String::new(),
    }
}

/// Leaves out of the image what is not for the caller's eyes.
pub fn hide(service: &Service, caller: &Caller, image: &mut Image) {
    service.protection.hide(caller, &mut image.properties);
}

/// What the short list says of an image.
pub fn brief(image: &Image) -> Value {
    json!({
        "id": image.id,
        "name": image.name,
        "size": image.size,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "checksum": image.checksum,
    })
}

/// All that v1 says of an image; never where its data is.
pub fn full(image: &Image) -> Value {
    let mut view = fields(image);
    // A property without a value is null, as it was when it came as an empty header.
    let value = |value: &String| if value.is_empty() { Value::Null } else { value.as_str().into() };
    let properties: Map<_, _> = image.properties.iter().map(|(name, text)| (name.clone(), value(text))).collect();
    view.insert("properties".to_owned(), properties.into());
    view.into()
}

fn fields(image: &Image) -> Map<String, Value> {
    let view = json!({
        "id": image.id,
        "name": image.name,
        "status": image.status.name(),
        "is_public": image.visibility == Visibility::Public,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "created_at": time(image.created_at),
        "updated_at": time(image.updated_at),
        "deleted": image.deleted_at.is_some(),
        "deleted_at": image.deleted_at.map(time),
    });
    match view {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The image as headers: what is null is left out.
pub fn headers(image: &Image) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields(image) {
        let text = match value {
            Value::Null => continue,
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        put(&mut headers, &format!("x-image-meta-{name}"), &text);
    }
    for (name, value) in image.properties.iter().filter(|(_, value)| !value.is_empty()) {
        put(&mut headers, &format!("x-image-meta-property-{}", name.to_lowercase()), value);
    }
    etag(&mut headers, image);
    headers
}

/// Adds a header. A name that no header can have, which v2 can give a property,
/// is left out; control characters are spaces (RFC 9110, section 5.5).
fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    let value = value.replace(|letter: char| letter.is_ascii_control(), " ");
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
    {
        headers.insert(name, value);
    }
}

fn etag(headers: &mut HeaderMap, image: &Image) {
    if let Some(Ok(checksum)) = image.checksum.as_deref().map(|md5| HeaderValue::from_bytes(md5.as_bytes())) {
        headers.insert(ETAG, checksum);
    }
}

/// The answer that tells what an image is now.
pub fn told(status: StatusCode, image: &Image) -> Response<Payload> {
    let mut answer = as_json(status, &json!({"image": full(image)}));
    etag(answer.headers_mut(), image);
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()).unwrap())
    }

    #[test]
    fn an_image_as_headers() {
        let mut image = Image::new("i".into());
        image.name = Some("größe\n2".into());
        image.size = Some(5);
        image.checksum = Some("abc".into());
        image.created_at = 1_577_836_800_000_001;
        image.location = Some("http://user:password@host/".into());
        image.properties = [("Os", "x"), ("empty", ""), ("größe", "y"), ("a b", "z")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into();
        let headers = headers(&image);
        for (name, value) in [
            ("x-image-meta-name", Some("größe 2")),
            ("x-image-meta-size", Some("5")),
            ("x-image-meta-is_public", Some("False")),
            ("x-image-meta-created_at", Some("2020-01-01T00:00:00.000001")),
            ("x-image-meta-property-os", Some("x")),
            ("x-image-meta-property-empty", None),
            ("x-image-meta-owner", None),
            ("x-image-meta-location", None),
            ("etag", Some("abc")),
        ] {
            assert_eq!(text(&headers, name), value, "{name}");
        }
        assert!(!format!("{headers:?}").contains("password"));
        let view = full(&image);
        assert_eq!(view["properties"], json!({"Os": "x", "empty": null, "größe": "y", "a b": "z"}));
        assert!(view.get("location").is_none());
    }
}
