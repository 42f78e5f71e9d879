//! Cinder over HTTP: the block storage service, as far as images come out of it
//! (<https://docs.openstack.org/api-ref/block-storage/v3/>).

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::http::{Credential, Http, Request};
use crate::image::VolumeImage;
use crate::service::VolumeService;

/// The service types under which clouds list it, the official one first
/// (<https://service-types.openstack.org/>). `volumev2` is another API.
pub const NAMES: [&str; 4] = ["block-storage", "volumev3", "volume", "block-store"];

/// A microversion of API v3
/// (<https://docs.openstack.org/cinder/latest/contributor/api_microversion_history.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microversion {
    /// As the header has it: `3.50`, `latest`.
    text: String,
    minor: u32,
}

impl Microversion {
    /// The first in which an image's visibility and protection can be said.
    fn of_visibility() -> Self {
        Microversion { text: "3.1".to_owned(), minor: 1 }
    }

    /// What the user asked for by version (`3`, `3.50`) and microversion; as
    /// in openstacksdk a version without a minor, or with 0, leaves it open.
    ///
    /// # Errors
    /// Not a version, one other than 3, or two that contradict each other.
    pub fn wanted(version: Option<&str>, microversion: Option<&str>) -> Result<Option<Self>> {
        let implied = version.map(|text| parse(text, "volume API version")).transpose()?;
        let implied = implied.filter(|implied| implied.minor != 0);
        let given = microversion.map(|text| parse(text, "volume microversion")).transpose()?;
        match (implied, given) {
            (Some(implied), Some(given)) if implied != given => Err(Error::config(format!(
                "volume API version `{}` and microversion `{}` differ",
                implied.text, given.text
            ))
            .next("leave out one of `volume_api_version` and `volume_default_microversion`")),
            (implied, given) => Ok(implied.or(given)),
        }
    }
}

fn parse(text: &str, what: &str) -> Result<Microversion> {
    if text == "latest" {
        return Ok(Microversion { text: text.to_owned(), minor: u32::MAX });
    }
    let number = text.trim_start_matches('v');
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(3), Ok(minor)) => Ok(Microversion { text: format!("3.{minor}"), minor }),
        (Ok(_), Ok(_)) => Err(Error::new(Kind::Unsupported, format!("rimg does not speak {what} `{text}`"))
            .next("it speaks version 3: leave out `--os-volume-api-version`")),
        _ => Err(Error::config(format!("`{text}` is not a {what}")).next("it should look like `3` or `3.50`")),
    }
}

/// A block storage service that speaks v3.
pub struct Cinder {
    http: Http,
    /// Ends in `/v3` or `/v3/PROJECT`.
    base: Url,
    credential: Credential,
    wanted: Option<Microversion>,
}

impl Cinder {
    /// The service at `url`, which names the version or leaves it to us.
    ///
    /// # Errors
    /// `url` is that of another version.
    pub fn new(http: Http, url: &Url, project: Option<&str>, wanted: Option<Microversion>) -> Result<Self> {
        Ok(Cinder { http, base: base(url, project)?, credential: Credential::default(), wanted })
    }

    /// Shows who asks.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("volumes").extend(parts);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).credential(&self.credential)
    }

    async fn get(&self, url: Url) -> Result<Value> {
        self.http.send(self.request(Method::GET, url)).await?.ok().await?.json().await
    }

    /// The one volume of this ID or, failing that, of this name.
    async fn find(&self, name_or_id: &str) -> Result<Volume> {
        // URL parsers take these for steps in the path, encoded or not.
        if !matches!(name_or_id, "" | "." | "..") {
            match self.get(self.url(&[name_or_id])).await {
                Ok(body) => return Volume::read(&body["volume"]).ok_or_else(malformed),
                Err(e) if matches!(e.kind, Kind::NotFound | Kind::Forbidden | Kind::Rejected) => {}
                Err(e) => return Err(e),
            }
        }
        let mut url = self.url(&["detail"]);
        url.query_pairs_mut().append_pair("name", name_or_id);
        only(name_or_id, named(&self.get(url).await?, name_or_id)?)
    }

    async fn upload(&self, id: &str, image: &VolumeImage, as_of: Option<&Microversion>) -> Result<Map<String, Value>> {
        let mut request = self.request(Method::POST, self.url(&[id, "action"])).json(&upload_body(image, as_of));
        if let Some(version) = as_of
            && let Ok(value) = HeaderValue::from_str(&format!("volume {}", version.text))
        {
            // https://specs.openstack.org/openstack/api-wg/guidelines/microversion_specification.html
            request = request.header(HeaderName::from_static("openstack-api-version"), value);
        }
        let answer = self.http.send(request).await?.ok().await?.json().await?;
        answer.get(UPLOAD).and_then(Value::as_object).cloned().ok_or_else(malformed)
    }
}

#[async_trait(?Send)]
impl VolumeService for Cinder {
    async fn upload_to_image(&self, volume: &str, image: &VolumeImage) -> Result<Map<String, Value>> {
        let asked = image.visibility.is_some() || image.protected.is_some();
        let version = self.wanted.clone().unwrap_or_else(Microversion::of_visibility);
        if asked && version.minor < 1 {
            return Err(needs_visibility());
        }
        let volume = self.find(volume).await?;
        let outcome = match self.upload(&volume.id, image, Some(&version)).await {
            // A service of before microversion 3.1 (2016). It has done nothing yet.
            Err(e) if e.status == Some(406) && self.wanted.is_none() => match asked {
                true => Err(needs_visibility()),
                false => self.upload(&volume.id, image, None).await,
            },
            outcome => outcome,
        };
        outcome.map_err(|error| match volume.status.as_str() {
            "in-use" if !image.force && error.next.is_none() => {
                error.next("a server uses the volume: stop it, or insist with `--force`")
            }
            _ => error,
        })
    }
}

fn needs_visibility() -> Error {
    Error::new(
        Kind::Unsupported,
        "`--public`, `--private`, `--community`, `--shared`, `--protected` and `--unprotected` need volume API version 3.1 for an image of a volume",
    )
    .next("use `--os-volume-api-version 3.1` if the cloud has it; otherwise set them afterwards with `rimg image set`")
}

fn malformed() -> Error {
    Error::new(Kind::Unavailable, "the block storage service gave an answer that is not of its API")
        .next("check the endpoint")
}

/// The URL below which `volumes` is.
fn base(url: &Url, project: Option<&str>) -> Result<Url> {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    let names_version = |part: &&str| {
        part.strip_prefix('v')
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    let version = base.path_segments().and_then(|mut path| path.find(names_version).map(str::to_owned));
    let Ok(mut path) = base.path_segments_mut() else {
        return Err(Error::config(format!("`{url}` cannot be the address of a block storage service")));
    };
    path.pop_if_empty();
    match version {
        Some(version) if version.starts_with("v3") => {}
        Some(version) => {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the block storage service at `{url}` is of version `{version}`, and rimg speaks v3"),
            )
            .next("`volume_endpoint_override` in clouds.yaml sets the address by hand"));
        }
        // Every v3 takes the project in the path, only new ones do without.
        None => {
            path.push("v3").extend(project);
        }
    }
    drop(path);
    Ok(base)
}

/// The action that makes an image of a volume
/// (<https://docs.openstack.org/api-ref/block-storage/v3/#upload-volume-to-image>).
const UPLOAD: &str = "os-volume_upload_image";

fn upload_body(image: &VolumeImage, as_of: Option<&Microversion>) -> Value {
    let mut upload = json!({
        "image_name": image.name,
        "force": image.force,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
    });
    if as_of.is_some_and(|version| version.minor >= 1) {
        upload["visibility"] = json!(image.visibility.as_deref().unwrap_or("private"));
        upload["protected"] = json!(image.protected.unwrap_or_default());
    }
    json!({ UPLOAD: upload })
}

/// As much of a volume as matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Volume {
    id: String,
    /// `available`, `in-use`, …
    status: String,
    created_at: String,
}

impl Volume {
    fn read(body: &Value) -> Option<Self> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Volume {
            id: text("id")?,
            status: text("status").unwrap_or_default(),
            created_at: text("created_at").unwrap_or_else(|| "date unknown".to_owned()),
        })
    }
}

/// The volumes of a list that have exactly this name.
fn named(body: &Value, name: &str) -> Result<Vec<Volume>> {
    let listed = body.get("volumes").and_then(Value::as_array).ok_or_else(malformed)?;
    let same = listed.iter().filter(|volume| volume.get("name").and_then(Value::as_str) == Some(name));
    Ok(same.filter_map(Volume::read).collect())
}

fn only(name_or_id: &str, mut found: Vec<Volume>) -> Result<Volume> {
    if found.len() > 1 {
        let lines = found.iter().map(|volume| format!("{}  {}  {}", volume.id, volume.status, volume.created_at));
        return Err(Error::new(Kind::Ambiguous, format!("{} volumes are named `{name_or_id}`", found.len()))
            .details(lines.collect::<Vec<_>>())
            .next("use the ID of the one you mean"));
    }
    found.pop().ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no volume with the name or ID `{name_or_id}`"))
            .next("`openstack volume list` shows the volumes that you can see")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn image() -> VolumeImage {
        VolumeImage {
            name: "copy".to_owned(),
            disk_format: "raw".to_owned(),
            container_format: "bare".to_owned(),
            visibility: None,
            protected: None,
            force: false,
        }
    }

    fn wanted(version: Option<&str>, microversion: Option<&str>) -> Option<String> {
        Microversion::wanted(version, microversion).unwrap().map(|version| version.text)
    }

    #[test]
    fn the_action_is_private_unless_said_otherwise() {
        assert_eq!(
            upload_body(&image(), Some(&Microversion::of_visibility())),
            json!({"os-volume_upload_image": {
                "image_name": "copy", "force": false, "disk_format": "raw", "container_format": "bare",
                "visibility": "private", "protected": false
            }})
        );
        let shared = VolumeImage {
            visibility: Some("shared".to_owned()),
            protected: Some(true),
            force: true,
            disk_format: "qcow2".to_owned(),
            ..image()
        };
        assert_eq!(
            upload_body(&shared, Some(&parse("3.50", "").unwrap())),
            json!({"os-volume_upload_image": {
                "image_name": "copy", "force": true, "disk_format": "qcow2", "container_format": "bare",
                "visibility": "shared", "protected": true
            }})
        );
    }

    #[test]
    fn before_microversion_3_1_there_is_no_visibility() {
        let plain = json!({"os-volume_upload_image": {
            "image_name": "copy", "force": false, "disk_format": "raw", "container_format": "bare"
        }});
        assert_eq!(upload_body(&image(), None), plain);
        assert_eq!(upload_body(&image(), Some(&parse("3.0", "").unwrap())), plain);
    }

    #[test]
    fn a_version_with_a_minor_is_a_microversion() {
        assert_eq!(wanted(None, None), None);
        assert_eq!(wanted(Some("3"), None), None);
        assert_eq!(wanted(Some("3.0"), None), None);
        assert_eq!(wanted(Some("v3.50"), None).as_deref(), Some("3.50"));
        assert_eq!(wanted(Some("3"), Some("3.0")).as_deref(), Some("3.0"));
        assert_eq!(wanted(None, Some("latest")).as_deref(), Some("latest"));
        let message = |version, micro| Microversion::wanted(version, micro).unwrap_err().message;
        assert_eq!(message(Some("2"), None), "rimg does not speak volume API version `2`");
        assert_eq!(message(Some("new"), None), "`new` is not a volume API version");
        assert_eq!(message(Some("3.5"), Some("3.6")), "volume API version `3.5` and microversion `3.6` differ");
    }

    #[test]
    fn the_endpoint_may_name_its_version_or_not() {
        let base = |url: &str| base(&Url::parse(url).unwrap(), Some("p")).map(String::from);
        assert_eq!(base("http://c:8776/v3/abc").unwrap(), "http://c:8776/v3/abc");
        assert_eq!(base("http://c/volume/v3/").unwrap(), "http://c/volume/v3");
        assert_eq!(base("http://c:8776").unwrap(), "http://c:8776/v3/p");
        assert_eq!(base("http://c/volume/").unwrap(), "http://c/volume/v3/p");
        assert_eq!(
            base("http://c/v2/abc").unwrap_err().message,
            "the block storage service at `http://c/v2/abc` is of version `v2`, and rimg speaks v3"
        );
    }

    #[test]
    fn a_name_must_match_exactly_and_once() {
        let list = json!({"volumes": [
            {"id": "1", "name": "data", "status": "available", "created_at": "2024-01-01T00:00:00.000000"},
            {"id": "2", "name": "Data", "status": "in-use"},
            {"id": "3", "name": "data", "status": "in-use"}
        ]});
        assert_eq!(only("Data", named(&list, "Data").unwrap()).unwrap().id, "2");
        let several = only("data", named(&list, "data").unwrap()).unwrap_err();
        assert_eq!(several.message, "2 volumes are named `data`");
        assert_eq!(several.details, ["1  available  2024-01-01T00:00:00.000000", "3  in-use  date unknown"]);
        let none = only("x", named(&list, "x").unwrap()).unwrap_err();
        assert_eq!(none.message, "there is no volume with the name or ID `x`");
    }
}
