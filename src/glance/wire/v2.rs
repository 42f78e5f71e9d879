//! Images API v2 on the wire (<https://docs.openstack.org/api-ref/image/v2/>).

use serde_json::{Map, Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::{fields, listed, malformed};
use crate::error::Result;
use crate::image::{Changes, Draft, Fields, Filter, Image, Import, ImportMethod, ImportTo, Location};

/// The media type of a JSON patch that speaks of `/path` and `add`
/// (<https://docs.openstack.org/glance/latest/user/glanceapi.html#update-an-image>).
pub const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// How many images a page holds: Glance's default upper bound (`api_limit_max`).
pub const PAGE: usize = 1000;

/// The body that creates `draft`.
pub fn draft(draft: &Draft) -> Value {
    let mut body: Map<String, Value> = Map::new();
    for (key, value) in &draft.properties {
        body.insert(key.clone(), json!(value));
    }
    body.insert("name".to_owned(), json!(draft.name));
    let texts = [
        ("id", &draft.id),
        ("container_format", &draft.container_format),
        ("disk_format", &draft.disk_format),
        ("visibility", &draft.visibility),
        ("owner", &draft.owner),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    for (key, value) in [("min_disk", draft.min_disk), ("min_ram", draft.min_ram)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    for (key, value) in [("protected", draft.protected), ("os_hidden", draft.hidden)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    if !draft.tags.is_empty() {
        body.insert("tags".to_owned(), json!(draft.tags));
    }
    Value::Object(body)
}

/// The JSON patch that makes `changes`; `None` when it would be empty.
pub fn patch(changes: &Changes) -> Option<Value> {
    let path = |key: &str| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    let set = changes.set.iter().map(|(key, value)| json!({"op": "add", "path": path(key), "value": value}));
    let removed = changes.remove.iter().map(|key| json!({"op": "remove", "path": path(key)}));
    let tags = changes.only_these_tags.then(|| json!({"op": "replace", "path": "/tags", "value": changes.add_tags}));
    let steps: Vec<Value> = set.chain(removed).chain(tags).collect();
    (!steps.is_empty()).then_some(Value::Array(steps))
}

/// The query of a list, for a page that begins after `marker`.
pub fn query(filter: &Filter, marker: Option<&str>, page: usize) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &page.to_string());
    if let Some(marker) = marker {
        query.append_pair("marker", marker);
    }
    if let Some(name) = &filter.name {
        // What stands before a colon would be an operator (as "in operator" in the reference of the API has it).
        let name = if name.contains(':') { format!("eq:{name}") } else { name.clone() };
        query.append_pair("name", &name);
    }
    let plain = [
        ("visibility", &filter.visibility),
        ("status", &filter.status),
        ("member_status", &filter.member_status),
        ("owner", &filter.owner),
    ];
    for (key, value) in plain {
        if let Some(value) = value {
            query.append_pair(key, value);
        }
    }
    if filter.hidden {
        query.append_pair("os_hidden", "true");
    }
    for tag in &filter.tags {
        query.append_pair("tag", tag);
    }
    for (key, value) in &filter.fields {
        query.append_pair(key, value);
    }
    for (key, value) in &filter.properties {
        query.append_pair(key, value);
    }
    query.finish()
}

/// One image of an answer.
pub fn image(body: Value) -> Result<Image> {
    match body {
        Value::Object(fields) if fields.get("id").is_some_and(Value::is_string) => Ok(Image { fields }),
        _ => Err(malformed()),
    }
}

/// A page of a list: its images, and the marker of the next page.
///
/// Only the marker is taken from the `next` link: Glance builds the rest of it
/// from a mapping, in which a repeated `tag` is lost.
pub fn page(body: Value) -> Result<(Vec<Image>, Option<String>)> {
    let (listed, next) = page_of(body, "images")?;
    let images = listed.into_iter().map(|fields| image(Value::Object(fields))).collect::<Result<_>>()?;
    Ok((images, next))
}

/// As [`page`], of any things, which are listed under `key`.
pub fn page_of(body: Value, key: &str) -> Result<(Vec<Fields>, Option<String>)> {
    let body = fields(body)?;
    let next = body.get("next").and_then(Value::as_str).and_then(|link| {
        // The link is a path; any base will do to take it apart.
        let link = Url::parse("http://localhost/").ok()?.join(link).ok()?;
        link.query_pairs().find(|(key, _)| key == "marker").map(|(_, marker)| marker.into_owned())
    });
    Ok((listed(Value::Object(body), key)?, next))
}

/// The body that starts `import`
/// (<https://docs.openstack.org/api-ref/image/v2/#import-an-image>).
pub fn import(import: &Import) -> Value {
    let mut method = json!({"name": import.method.name()});
    match &import.method {
        ImportMethod::GlanceDirect | ImportMethod::CopyImage => {}
        ImportMethod::WebDownload { uri } => method["uri"] = json!(uri),
        ImportMethod::GlanceDownload { region, image, interface } => {
            method["glance_region"] = json!(region);
            method["glance_image_id"] = json!(image);
            if let Some(interface) = interface {
                method["glance_service_interface"] = json!(interface);
            }
        }
    }
    let mut body = json!({"method": method});
    // A service with one store refuses to hear of stores at all.
    match &import.to {
        ImportTo::Default => {}
        ImportTo::Stores { names, all_must_succeed } => {
            body["stores"] = json!(names);
            body["all_stores_must_succeed"] = json!(all_must_succeed);
        }
        ImportTo::All { all_must_succeed } => {
            body["all_stores"] = json!(true);
            body["all_stores_must_succeed"] = json!(all_must_succeed);
        }
    }
    body
}

/// One location, as a JSON patch holds it.
pub fn location(location: &Location) -> Value {
    let mut body = json!({"url": location.url, "metadata": location.metadata});
    let mut validation = Fields::new();
    if let Some(checksum) = &location.checksum {
        validation.insert("checksum".to_owned(), json!(checksum));
    }
    if let Some((algorithm, value)) = &location.hash {
        validation.insert("os_hash_algo".to_owned(), json!(algorithm));
        validation.insert("os_hash_value".to_owned(), json!(value));
    }
    if !validation.is_empty() {
        body["validation_data"] = Value::Object(validation);
    }
    body
}

/// The locations that an answer holds.
pub fn locations(body: &Value) -> Result<Vec<Location>> {
    let one = |place: &Value| {
        let url = place.get("url")?.as_str()?.to_owned();
        let metadata = place.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        Some(Location { url, metadata, ..Location::default() })
    };
    body.as_array().and_then(|places| places.iter().map(one).collect()).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_draft_holds_what_was_given_and_nothing_else() {
        let mut wanted = Draft { name: "cirros".to_owned(), disk_format: Some("qcow2".to_owned()), ..Draft::default() };
        wanted.min_disk = Some(0);
        wanted.properties.insert("os_distro".to_owned(), "cirros".to_owned());
        assert_eq!(
            draft(&wanted),
            json!({"os_distro": "cirros", "name": "cirros", "disk_format": "qcow2", "min_disk": 0})
        );
    }

    #[test]
    fn a_patch_escapes_the_path_of_a_property() {
        let mut changes = Changes { remove: vec!["x~y".to_owned()], ..Changes::default() };
        changes.set.insert("a/b".to_owned(), json!("1"));
        assert_eq!(
            patch(&changes).unwrap(),
            json!([{"op": "add", "path": "/a~1b", "value": "1"}, {"op": "remove", "path": "/x~0y"}])
        );
        assert_eq!(patch(&Changes::default()), None);
    }

    #[test]
    fn a_query_encodes_what_users_type_and_repeats_tags() {
        let filter = Filter {
            name: Some("in:a \"b\"&c".to_owned()),
            properties: [("p".to_owned(), "in:a".to_owned())].into(),
            tags: vec!["x".to_owned(), "y".to_owned()],
            hidden: true,
            ..Filter::default()
        };
        assert_eq!(
            query(&filter, Some("m"), 1000),
            "limit=1000&marker=m&name=eq%3Ain%3Aa+%22b%22%26c&os_hidden=true&tag=x&tag=y&p=in%3Aa"
        );
    }

    /// The sample answers that Glance's API reference publishes (images-list-response.json, abridged to one image).
    #[test]
    fn the_published_list_is_understood() {
        let sample = json!({
            "images": [{
                "status": "active", "name": "cirros-0.3.2-x86_64-disk", "tags": [],
                "container_format": "bare", "created_at": "2014-11-07T17:07:06Z", "disk_format": "qcow2",
                "updated_at": "2014-11-07T17:19:09Z", "visibility": "public",
                "self": "/v2/images/1bea47ed-f6a9-463b-b423-14b9cca9ad27", "min_disk": 0, "protected": false,
                "id": "1bea47ed-f6a9-463b-b423-14b9cca9ad27",
                "file": "/v2/images/1bea47ed-f6a9-463b-b423-14b9cca9ad27/file",
                "checksum": "64d7c1cd2b6f60c92c14662941cb7913",
                "os_hash_algo": "sha512", "os_hash_value": "073b4523583784fbe01daff81eba092a262ec37ba6d04dd3f52e4cd5c93eb8258af44881345ecda0e49f3d8cc6d2df6b050ff3e72681d723234aff9d17d0cf09",
                "os_hidden": false, "owner": "5ef70662f8b34079a6eddb8da9d75fe8", "size": 13167616, "min_ram": 0,
                "schema": "/v2/schemas/image", "virtual_size": null
            }],
            "schema": "/v2/schemas/images",
            "first": "/v2/images?tag=a&tag=b",
            "next": "/v2/images?tag=b&marker=1bea47ed-f6a9-463b-b423-14b9cca9ad27"
        });
        let (images, next) = page(sample).unwrap();
        assert_eq!(images[0].id(), "1bea47ed-f6a9-463b-b423-14b9cca9ad27");
        assert_eq!(images[0].size(), Some(13_167_616));
        assert_eq!(images[0].hash().unwrap().0, "sha512");
        assert_eq!(next.as_deref(), Some("1bea47ed-f6a9-463b-b423-14b9cca9ad27"));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for body in [json!([]), json!({}), json!({"images": [1]}), json!({"images": [{"id": 5}]})] {
            assert!(page(body).is_err());
        }
        for body in [json!({}), json!(["x"]), json!([{"url": 1}])] {
            assert!(locations(&body).is_err());
        }
    }

    #[test]
    fn an_import_speaks_of_stores_only_when_some_are_named() {
        let order = |method, to| import(&Import { method, to }).to_string();
        assert_eq!(order(ImportMethod::GlanceDirect, ImportTo::Default), r#"{"method":{"name":"glance-direct"}}"#);
        let names = vec!["fast".to_owned(), "slow".to_owned()];
        assert_eq!(
            order(ImportMethod::CopyImage, ImportTo::Stores { names, all_must_succeed: false }),
            r#"{"method":{"name":"copy-image"},"stores":["fast","slow"],"all_stores_must_succeed":false}"#
        );
        let uri = "https://x.example.org/y".to_owned();
        assert_eq!(
            order(ImportMethod::WebDownload { uri }, ImportTo::All { all_must_succeed: true }),
            r#"{"method":{"name":"web-download","uri":"https://x.example.org/y"},"all_stores":true,"all_stores_must_succeed":true}"#
        );
    }

    #[test]
    fn a_region_and_an_image_are_sent_also_without_an_interface() {
        let download = |interface: Option<&str>| {
            let (region, image) = ("R2".to_owned(), "i".to_owned());
            let interface = interface.map(str::to_owned);
            let method = ImportMethod::GlanceDownload { region, image, interface };
            import(&Import { method, to: ImportTo::Default })["method"].to_string()
        };
        let bare = r#"{"name":"glance-download","glance_region":"R2","glance_image_id":"i"}"#;
        assert_eq!(download(None), bare);
        assert!(download(Some("internal")).ends_with(r#","glance_service_interface":"internal"}"#));
    }

    #[test]
    fn a_location_takes_its_digests_with_it() {
        let mut place = Location { url: "https://x/y".to_owned(), ..Location::default() };
        assert_eq!(location(&place).to_string(), r#"{"url":"https://x/y","metadata":{}}"#);
        place.hash = Some(("sha256".to_owned(), "aa".to_owned()));
        place.checksum = Some("bb".to_owned());
        let digests = r#"{"checksum":"bb","os_hash_algo":"sha256","os_hash_value":"aa"}"#;
        assert_eq!(location(&place)["validation_data"].to_string(), digests);
    }
}
