//! Images API v1 on the wire: what is said of an image travels as headers
//! (<https://docs.openstack.org/glance/pike/user/glanceapi.html>).
//!
//! Above this room an image has the fields of v2: `is_public` becomes
//! `visibility`, and properties stand beside the fields. What v1 has no word
//! for is refused here, before anything is sent.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;

use super::malformed;
use crate::error::{Error, Kind, Result};
use crate::image::{Changes, Draft, External, Fields, Filter, Image, UseAs};

/// What is said of an image, as headers of a request.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

const FIELD: &str = "x-image-meta-";
const PURGE: &str = "x-glance-registry-purge-props";
const PROPERTY: &str = "x-image-meta-property-";

/// The fields that v1 knows, but for `is_public`, in the order of v2's.
const FIELDS: [&str; 13] = [
    "id",
    "name",
    "status",
    "size",
    "virtual_size",
    "checksum",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
    "owner",
    "protected",
    "created_at",
];

/// What else is a field of every image, here or in v2: no property takes its place.
const FIELDS_TOO: [&str; 18] = [
    "updated_at",
    "visibility",
    "is_public",
    "tags",
    "os_hidden",
    "os_hash_algo",
    "os_hash_value",
    "file",
    "schema",
    "self",
    "direct_url",
    "location",
    "locations",
    "stores",
    "store",
    "deleted",
    "deleted_at",
    "properties",
];

/// What v1 cannot do; `what` completes "Images API v1 …, …".
pub fn cannot(what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("Images API v1, which this cloud speaks here, {what}"))
}

/// One header; `what` is what the user calls it.
fn header(name: &str, what: &str, text: &str) -> Result<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        cannot(&format!("cannot carry the name of `{what}`"))
            .next("it travels as an HTTP header: use ASCII letters, digits, `_` and `.`")
    })?;
    if text.trim() != text {
        return Err(cannot(&format!("cannot carry the spaces around the value of `{what}`"))
            .next("it travels as an HTTP header: leave them out"));
    }
    let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        cannot(&format!("cannot carry the value of `{what}`"))
            .next("it travels as an HTTP header: leave out line breaks and control characters")
    })?;
    Ok((name, value))
}

fn field(headers: &mut Headers, name: &str, text: &str) -> Result<()> {
    headers.push(header(&format!("{FIELD}{name}"), name, text)?);
    Ok(())
}

fn property(headers: &mut Headers, name: &str, text: &str) -> Result<()> {
    let kept = kept_as(name);
    if is_field(&kept) {
        let message = format!("`{name}` is a field of the image: it cannot be set as a property");
        return Err(Error::new(Kind::Rejected, message));
    }
    if headers.iter().any(|(known, _)| known.as_str() == format!("{PROPERTY}{kept}")) {
        return Err(cannot(&format!("cannot tell the property `{name}` from another one of this image"))
            .next("it keeps names in lower case, with `_` for `-`"));
    }
    headers.push(header(&format!("{PROPERTY}{kept}"), name, text)?);
    Ok(())
}

/// The name under which v1 keeps a property.
pub fn kept_as(property: &str) -> String {
    property.to_ascii_lowercase().replace('-', "_")
}

/// The word of v1 for a visibility.
fn is_public(visibility: &str) -> Result<&'static str> {
    match visibility {
        "public" => Ok("True"),
        "private" => Ok("False"),
        other => {
            Err(cannot(&format!("has no {other} images")).next("make it public, or private and add projects to it"))
        }
    }
}

/// What v1 says to tags.
pub const NO_TAGS: &str = "has no tags";
const NOT_HIDDEN: &str = "cannot hide images from lists";

/// The headers that create `draft`.
pub fn draft(draft: &Draft) -> Result<Headers> {
    if !draft.tags.is_empty() {
        return Err(cannot(NO_TAGS).next("use properties"));
    }
    if draft.hidden.is_some() {
        return Err(cannot(NOT_HIDDEN));
    }
    let mut headers = Headers::new();
    field(&mut headers, "name", &draft.name)?;
    let texts = [
        ("id", &draft.id),
        ("container_format", &draft.container_format),
        ("disk_format", &draft.disk_format),
        ("owner", &draft.owner),
        ("checksum", &draft.checksum),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            field(&mut headers, name, value)?;
        }
    }
    let size = draft.external.as_ref().and_then(|external| external.size);
    for (name, value) in [("min_disk", draft.min_disk), ("min_ram", draft.min_ram), ("size", size)] {
        if let Some(value) = value {
            field(&mut headers, name, &value.to_string())?;
        }
    }
    if let Some(visibility) = &draft.visibility {
        field(&mut headers, "is_public", is_public(visibility)?)?;
    }
    if let Some(protected) = draft.protected {
        field(&mut headers, "protected", truth(protected))?;
    }
    for (name, value) in &draft.properties {
        property(&mut headers, name, value)?;
    }
    if let Some(External { use_as, url, store, .. }) = &draft.external {
        match use_as {
            UseAs::Location => field(&mut headers, "location", url)?,
            UseAs::Source => headers.push(header("x-glance-api-copy-from", "--copy-from", url)?),
        }
        if let Some(store) = store {
            field(&mut headers, "store", store)?;
        }
    }
    Ok(headers)
}

fn truth(on: bool) -> &'static str {
    if on { "True" } else { "False" }
}

/// The headers that make `changes`. To drop a property v1 has to be told all
/// that stay, for which `there` is wanted; otherwise it is told what is new.
pub fn changes(changes: &Changes, there: Option<&There>) -> Result<Headers> {
    if !changes.add_tags.is_empty() || changes.only_these_tags {
        return Err(cannot(NO_TAGS).next("use properties"));
    }
    let mut headers = Headers::new();
    headers.push(header(PURGE, "", truth(there.is_some()))?);
    let mut changed = Vec::new();
    for (name, value) in &changes.set {
        let text = match value {
            Value::Null => String::new(),
            Value::Bool(on) => truth(*on).to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match name.as_str() {
            "visibility" => field(&mut headers, "is_public", is_public(&text)?)?,
            "os_hidden" => return Err(cannot(NOT_HIDDEN)),
            "tags" => return Err(cannot(NO_TAGS)),
            "name" | "disk_format" | "container_format" | "min_disk" | "min_ram" | "owner" | "protected" => {
                field(&mut headers, name, &text)?;
            }
            name => property(&mut headers, name, &text)?,
        }
        changed.push(kept_as(name));
    }
    for (name, value) in there.map(|there| &there.exact).into_iter().flatten() {
        let there = there.filter(|there| !there.goes(name, &changes.remove) && !changed.contains(name));
        if let Some(there) = there {
            headers.push(header(&format!("{PROPERTY}{name}"), name, there.as_is(name, value)?)?);
        }
    }
    Ok(headers)
}

/// The properties that an image has.
#[derive(Debug, Default)]
pub struct There {
    /// As the service keeps them, which its lists alone tell.
    pub exact: Fields,
    /// What becomes of them in headers.
    pub in_headers: Fields,
}

impl There {
    /// Whether the property `name` is one of those `removed`, by that very name
    /// or by what v1 makes of it.
    fn goes(&self, name: &str, removed: &[String]) -> bool {
        let meant = |gone: &String| !self.exact.contains_key(gone) && kept_as(gone) == kept_as(name);
        removed.iter().any(|gone| gone == name || meant(gone))
    }

    /// The text that leaves a property as it is.
    fn as_is<'a>(&self, name: &str, value: &'a Value) -> Result<&'a str> {
        let fits = |text: &str| {
            let plain = text.is_ascii() && !text.is_empty() && !text.contains(|letter: char| letter.is_ascii_control());
            // Of other texts only the service can tell what its headers do to them.
            text.trim() == text && (plain || self.in_headers.get(name) == Some(value))
        };
        let named = kept_as(name) == name && HeaderName::from_bytes(name.as_bytes()).is_ok();
        match value {
            // What v1 keeps of an empty text.
            Value::Null if named => Ok(""),
            Value::String(text) if named && fits(text) => Ok(text),
            _ => Err(cannot(&format!("cannot remove a property and leave `{name}` as it is"))
                .next(format!("remove `{name}` too, or use Images API v2"))),
        }
    }
}

fn is_field(name: &str) -> bool {
    FIELDS.contains(&name) || FIELDS_TOO.contains(&name)
}

/// The headers that go with data of so many bytes, for this store: what else is
/// known of the image stays as it is.
pub fn data(size: Option<u64>, store: Option<&str>) -> Result<Headers> {
    let mut headers = vec![header(PURGE, "", truth(false))?];
    if let Some(size) = size {
        field(&mut headers, "size", &size.to_string())?;
    }
    if let Some(store) = store {
        field(&mut headers, "store", store)?;
    }
    Ok(headers)
}

/// The image that an answer describes in its headers.
pub fn image_of_headers(headers: &HeaderMap) -> Result<Image> {
    let mut fields = Fields::new();
    for (name, text) in named(headers, FIELD) {
        let value = match name.as_str() {
            "size" | "virtual_size" | "min_disk" | "min_ram" => text.parse::<u64>().map_or(Value::Null, Value::from),
            "is_public" | "protected" | "deleted" => json!(text.eq_ignore_ascii_case("true")),
            _ => json!(text),
        };
        fields.insert(name, value);
    }
    image(fields, properties_of_headers(headers))
}

/// The properties among them.
pub fn properties_of_headers(headers: &HeaderMap) -> Fields {
    named(headers, PROPERTY).map(|(name, text)| (name, json!(text))).collect()
}

/// What follows `prefix` in the names of headers, and their texts.
fn named(headers: &HeaderMap, prefix: &str) -> impl Iterator<Item = (String, String)> {
    let prefix = kept_as(prefix);
    headers.iter().filter_map(move |(name, value)| {
        let name = kept_as(name.as_str()).strip_prefix(&prefix)?.to_owned();
        Some((name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
    })
}

/// The image that an answer describes in JSON, alone under `image` or in a list.
pub fn image_of_json(body: Value) -> Result<Image> {
    let properties = properties_of_json(&body);
    let Value::Object(mut fields) = body else { return Err(malformed()) };
    fields.values_mut().for_each(reread_value);
    image(fields, properties)
}

/// The properties in it, as the service keeps them.
pub fn properties_of_json(body: &Value) -> Fields {
    let properties = body.get("properties").and_then(Value::as_object).into_iter().flatten();
    let read = |(name, value): (&String, &Value)| {
        let mut value = value.clone();
        reread_value(&mut value);
        (reread(name), value)
    };
    properties.map(read).collect()
}

fn reread_value(value: &mut Value) {
    if let Value::String(text) = value {
        *value = json!(reread(text));
    }
}

/// The images that an answer lists, each for [`image_of_json`].
pub fn listed(body: Value) -> Result<Vec<Value>> {
    let Value::Object(mut body) = body else { return Err(malformed()) };
    match body.remove("images") {
        Some(Value::Array(listed)) => Ok(listed),
        _ => Err(malformed()),
    }
}

/// A text as it was before a service under Python 3 took the UTF-8 of a header
/// for Latin-1 (RFC 7230 says so, the API did not), and kept it like that.
fn reread(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

/// The fields of v1 under the names of v2.
fn image(mut v1: Fields, properties: Fields) -> Result<Image> {
    if !v1.get("id").is_some_and(Value::is_string) {
        return Err(malformed());
    }
    let mut fields = Map::new();
    for name in FIELDS.into_iter().chain(["updated_at"]) {
        let value = v1.remove(name).unwrap_or_default();
        let value = match (name, &value) {
            ("created_at" | "updated_at", Value::String(time)) => json!(moment(time)),
            // A reserved image has the size 0, which says nothing.
            ("size", size) if size.as_u64() == Some(0) && v1_is_empty(&fields) => Value::Null,
            _ => value,
        };
        fields.insert(name.to_owned(), value);
    }
    let public = v1.get("is_public").and_then(Value::as_bool).unwrap_or_default();
    fields.insert("visibility".to_owned(), json!(if public { "public" } else { "private" }));
    // Whoever can name a property could otherwise name another image, or other data.
    fields.extend(properties.into_iter().filter(|(name, _)| !is_field(name)));
    Ok(Image { fields })
}

fn v1_is_empty(fields: &Fields) -> bool {
    matches!(fields.get("status").and_then(Value::as_str), Some("queued" | "saving"))
}

/// `2026-11-22T00:30:17.475097` as v2 writes it: in whole seconds, with its zone.
fn moment(time: &str) -> String {
    match time.split_once('.').map_or(time, |(seconds, _)| seconds) {
        seconds if seconds.ends_with('Z') || seconds.len() != 19 => time.to_owned(),
        seconds => format!("{seconds}Z"),
    }
}

/// The query of a list, for a page that begins after `marker`. What it cannot
/// say [`matches`] compares.
pub fn query(filter: &Filter, marker: Option<&str>, page: usize) -> Result<String> {
    if !filter.tags.is_empty() {
        return Err(cannot(NO_TAGS));
    }
    if filter.hidden {
        return Err(cannot(NOT_HIDDEN));
    }
    if filter.member_status.as_deref().is_some_and(|status| !matches!(status, "accepted" | "all")) {
        return Err(cannot("does not let projects answer to shares: all are accepted"));
    }
    let public = match filter.visibility.as_deref() {
        // All that the user may see, for administrators all there is: as in v2.
        None | Some("all") => "None",
        Some("public") => "True",
        Some("private" | "shared") => "False",
        Some(other) => return Err(cannot(&format!("has no {other} images"))),
    };
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &page.to_string());
    query.append_pair("sort_key", "created_at");
    query.append_pair("sort_dir", "desc");
    if let Some(marker) = marker {
        query.append_pair("marker", marker);
    }
    query.append_pair("is_public", public);
    let texts = [("name", &filter.name), ("status", &filter.status)];
    for (key, value) in texts {
        // Of others nobody knows how the service keeps them: see `reread`. What stands before a colon would be an
        // operator, to a service that has them.
        if let Some(value) = value.as_ref().filter(|value| value.is_ascii() && !value.contains(':')) {
            query.append_pair(key, value);
        }
    }
    for (key, value) in &filter.fields {
        match *key {
            "size_min" | "size_max" | "protected" => {
                query.append_pair(key, value);
            }
            "disk_format" | "container_format" if !value.contains(':') => {
                query.append_pair(key, value);
            }
            "disk_format" | "container_format" | "checksum" | "created_at" | "updated_at" => {}
            other => return Err(cannot(&format!("knows no `{other}`"))),
        }
    }
    for (key, value) in filter.properties.iter().filter(|(key, value)| key.is_ascii() && value.is_ascii()) {
        query.append_pair(&format!("property-{}", kept_as(key)), value);
    }
    Ok(query.finish())
}

/// Whether `image` is what `filter` wants: what v1 was not asked, or compares otherwise.
pub fn matches(filter: &Filter, image: &Image) -> bool {
    let text = |field: &str| image.fields.get(field).and_then(Value::as_str);
    let is = |field: &str, wanted: &Option<String>| wanted.is_none() || text(field) == wanted.as_deref();
    let visible = match filter.visibility.as_deref() {
        Some(wanted @ ("public" | "private")) => text("visibility") == Some(wanted),
        _ => true,
    };
    let compared = |(field, wanted): &(&str, String)| match *field {
        "disk_format" | "container_format" | "checksum" => text(field) == Some(wanted),
        "created_at" | "updated_at" => {
            let time = text(field).unwrap_or_default();
            match wanted.split_once(':') {
                Some(("gte", since)) => time >= since,
                Some(("lt", before)) => time < before,
                _ => false,
            }
        }
        _ => true,
    };
    let has = |(key, value): (&String, &String)| text(&kept_as(key)) == Some(value);
    visible
        && is("name", &filter.name)
        && is("owner", &filter.owner)
        && is("status", &filter.status)
        && filter.fields.iter().all(compared)
        && filter.properties.iter().all(has)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(headers: &Headers) -> Vec<String> {
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8(value.as_bytes().to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn a_draft_travels_as_headers() {
        let mut wanted =
            Draft { name: "Grüße".to_owned(), disk_format: Some("qcow2".to_owned()), ..Draft::default() };
        wanted.visibility = Some("public".to_owned());
        wanted.protected = Some(false);
        wanted.min_disk = Some(0);
        wanted.properties.insert("Os-Distro".to_owned(), "süß".to_owned());
        let (url, store) = ("http://x/y".to_owned(), Some("file".to_owned()));
        wanted.external = Some(External { use_as: UseAs::Source, url, store, size: Some(9) });
        assert_eq!(
            shown(&draft(&wanted).unwrap()),
            [
                "x-image-meta-name: Grüße",
                "x-image-meta-disk_format: qcow2",
                "x-image-meta-min_disk: 0",
                "x-image-meta-size: 9",
                "x-image-meta-is_public: True",
                "x-image-meta-protected: False",
                "x-image-meta-property-os_distro: süß",
                "x-glance-api-copy-from: http://x/y",
                "x-image-meta-store: file",
            ]
        );
    }

    #[test]
    fn what_v1_cannot_say_is_refused() {
        let refused = |draft: Draft| super::draft(&draft).unwrap_err().message;
        let property = |key: &str, value: &str| Draft {
            properties: [(key.to_owned(), value.to_owned())].into(),
            ..Draft::default()
        };
        let says = "Images API v1, which this cloud speaks here,";
        let tagged = Draft { tags: vec!["t".to_owned()], ..Draft::default() };
        assert_eq!(refused(tagged), format!("{says} has no tags"));
        let shared = Draft { visibility: Some("community".to_owned()), ..Draft::default() };
        assert_eq!(refused(shared), format!("{says} has no community images"));
        assert_eq!(refused(property("größe", "1")), format!("{says} cannot carry the name of `größe`"));
        assert_eq!(refused(property("a", "1\n2")), format!("{says} cannot carry the value of `a`"));
        assert_eq!(refused(property("a", " 1")), format!("{says} cannot carry the spaces around the value of `a`"));
        let mut twice = property("a-b", "1");
        twice.properties.insert("A_B".to_owned(), "2".to_owned());
        assert!(refused(twice).contains("from another one of this image"));
    }

    #[test]
    fn headers_and_json_describe_the_same_image() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-image-meta-id", "i"),
            ("x-image-meta-name", "Grüße"),
            ("x-image-meta-is_public", "False"),
            ("x-image-meta-protected", "True"),
            ("x-image-meta-size", "4"),
            ("x-image-meta-status", "active"),
            ("x-image-meta-created_at", "2026-11-22T00:30:17.475097"),
            ("x-image-meta-property-os_distro", "süß"),
            ("etag", "x"),
        ] {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let latin = |text: &str| text.bytes().map(char::from).collect::<String>();
        let json = json!({
            "id": "i", "name": latin("Grüße"), "is_public": false, "protected": true, "size": 4, "status": "active",
            "created_at": "2026-11-22T00:30:17.475097", "deleted": false, "properties": {"os_distro": latin("süß")},
        });
        let image = image_of_headers(&headers).unwrap();
        assert_eq!(image, image_of_json(json).unwrap());
        assert_eq!(image.name(), Some("Grüße"));
        assert_eq!((image.created_at(), image.size()), (Some("2026-11-22T00:30:17Z"), Some(4)));
        assert_eq!(image.fields["visibility"], "private");
        assert!(!image.fields.contains_key("deleted"));
    }

    #[test]
    fn only_a_removal_makes_the_service_forget_what_is_not_named() {
        let there =
            There { exact: properties_of_json(&json!({"properties": {"a": "1", "b": "2"}})), ..There::default() };
        let mut wanted = Changes::default();
        let removing = None;
        wanted.set.insert("c".to_owned(), json!("3"));
        wanted.set.insert("min_disk".to_owned(), json!(5));
        assert_eq!(
            shown(&changes(&wanted, removing).unwrap()),
            ["x-glance-registry-purge-props: False", "x-image-meta-property-c: 3", "x-image-meta-min_disk: 5"]
        );
        wanted.remove.push("a".to_owned());
        let removing = Some(&there);
        assert_eq!(
            shown(&changes(&wanted, removing).unwrap()),
            [
                "x-glance-registry-purge-props: True",
                "x-image-meta-property-c: 3",
                "x-image-meta-min_disk: 5",
                "x-image-meta-property-b: 2",
            ]
        );
    }

    #[test]
    fn a_property_never_takes_the_place_of_a_field() {
        let json = json!({"id": "mine", "is_public": false, "status": "queued", "properties": {
            "id": "other", "status": "active", "os_hash_value": "00", "tags": "t", "visibility": "public", "a": "1"}});
        let image = image_of_json(json).unwrap();
        assert_eq!((image.id(), image.status(), image.hash()), ("mine", "queued", None));
        assert_eq!((&image.fields["visibility"], &image.fields["a"]), (&json!("private"), &json!("1")));
        assert!(!image.fields.contains_key("tags"));
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-image-meta-property-id", "other"), ("x-image-meta-id", "mine")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(image_of_headers(&headers).unwrap().id(), "mine");
        for name in ["id", "Status", "is-public", "os_hash_value"] {
            let properties = [(name.to_owned(), "x".to_owned())].into();
            let refused = draft(&Draft { properties, ..Draft::default() }).unwrap_err().message;
            assert_eq!(refused, format!("`{name}` is a field of the image: it cannot be set as a property"));
            let set = [(name.to_owned(), json!("x"))].into_iter().collect();
            assert_eq!(changes(&Changes { set, ..Changes::default() }, None).unwrap_err().message, refused);
        }
    }

    #[test]
    fn what_stays_is_sent_as_it_is_or_nothing_is() {
        let removed = |exact: Value, in_headers: Value, gone: &str| {
            let fields = |value: Value| value.as_object().unwrap().clone();
            let there = There { exact: fields(exact), in_headers: fields(in_headers) };
            let wanted = Changes { remove: vec![gone.to_owned()], ..Changes::default() };
            changes(&wanted, Some(&there)).map(|headers| shown(&headers)[1..].join(", ")).map_err(|e| e.message)
        };
        for (name, value) in
            [("Foo", "1"), ("hw-x", "1"), ("größe", "1"), ("a", "b\nc"), ("a", ""), ("a", "ü"), ("a", " b")]
        {
            let says = format!(
                "Images API v1, which this cloud speaks here, cannot remove a property and leave `{name}` as it is"
            );
            assert_eq!(removed(json!({name: value, "drop": "1"}), json!({}), "drop"), Err(says), "{name}={value}");
            assert_eq!(removed(json!({name: value}), json!({}), name), Ok(String::new()), "{name}={value}");
        }
        let there = json!({"a": "ü", "status": "x", "none": null});
        assert_eq!(
            removed(there.clone(), there, "drop").unwrap(),
            "x-image-meta-property-a: ü, x-image-meta-property-status: x, x-image-meta-property-none: "
        );
        // By what v1 makes of the name, where no other has that very name.
        assert_eq!(removed(json!({"Foo": "1"}), json!({}), "foo"), Ok(String::new()));
        assert!(removed(json!({"Foo": "1", "foo": "2"}), json!({}), "foo").is_err());
    }

    #[test]
    fn what_the_service_is_not_asked_is_compared_here() {
        let image = image_of_json(json!({"id": "i", "name": "Grüße", "is_public": true, "owner": "o", "checksum": "c",
            "updated_at": "2026-11-22T00:00:00.1", "properties": {"a_b": "1"}}))
        .unwrap();
        let wants = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            (query(&filter, None, 9).unwrap(), matches(&filter, &image))
        };
        let plain = "limit=9&sort_key=created_at&sort_dir=desc&is_public=None";
        assert_eq!(wants(|f| f.name = Some("Grüße".to_owned())), (plain.to_owned(), true));
        assert_eq!(wants(|f| f.name = Some("ubuntu:22.04".to_owned())), (plain.to_owned(), false));
        assert_eq!(wants(|f| f.fields = vec![("disk_format", "a:b".to_owned())]), (plain.to_owned(), false));
        assert_eq!(wants(|f| f.owner = Some("p".to_owned())), (plain.to_owned(), false));
        assert_eq!(wants(|f| f.visibility = Some("private".to_owned())), (plain.replace("None", "False"), false));
        assert!(wants(|f| f.fields = vec![("updated_at", "gte:2026-11-22T00:00:00Z".to_owned())]).1);
        assert!(!wants(|f| f.fields = vec![("updated_at", "lt:2026-11-22T00:00:00Z".to_owned())]).1);
        let property = wants(|f| {
            f.properties.insert("A-b".to_owned(), "1".to_owned());
        });
        assert_eq!(property, (format!("{plain}&property-a_b=1"), true));
    }
}
