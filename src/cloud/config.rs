//! The merged configuration of one cloud.
//!
//! Every value remembers where it came from, for people who ask why rimg
//! talks to that cloud as that user. Values of secret keys never show in
//! `Debug`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::options::is_secret;
use super::surroundings::Surroundings;
use crate::error::{Error, Result};
use crate::http::Tls;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag, named without its dashes.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// The entry of a cloud in a file.
    File {
        /// The file.
        path: PathBuf,
        /// The cloud.
        cloud: String,
    },
    /// The vendor profile of this name.
    Profile(String),
    /// Nobody said anything else.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(flag) => write!(f, "--{flag}"),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { path, cloud } => write!(f, "cloud `{cloud}` in `{}`", path.display()),
            Origin::Profile(name) => write!(f, "vendor profile `{name}`"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone)]
pub struct Setting {
    /// The value: text, list or mapping; scalars are text as it was typed.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
    /// Whether it must never be shown.
    pub secret: bool,
}

impl Setting {
    /// The value if it is text.
    pub fn text(&self) -> Option<&str> {
        self.value.as_str()
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            write!(f, "<redacted> ({})", self.origin)
        } else {
            write!(f, "{} ({})", redacted(&self.value), self.origin)
        }
    }
}

/// `value` with the secrets inside it taken out.
fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let shown = if is_secret(key) { Value::from("<redacted>") } else { redacted(value) };
                (key.clone(), shown)
            })
            .collect(),
        Value::Array(list) => list.iter().map(redacted).collect(),
        other => other.clone(),
    }
}

/// The settings of one cloud, merged from flags, variables and files.
#[derive(Clone, Debug)]
pub struct CloudConfig {
    /// The cloud's name; `None` if only flags describe it.
    pub name: Option<String>,
    /// The region, if one was chosen or the cloud has only one.
    pub region: Option<String>,
    /// What stands under `auth:`, secrets included.
    pub auth: BTreeMap<String, Setting>,
    /// Everything else, by key.
    pub settings: BTreeMap<String, Setting>,
    /// What the user should be told on stderr.
    pub warnings: Vec<String>,
    /// Whether it is rimg's own, which no file describes.
    pub built_in: bool,
    pub(super) home: Option<PathBuf>,
}

/// Which of a service's endpoints to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// For everybody.
    Public,
    /// For use inside the cloud's own network.
    Internal,
    /// For operators.
    Admin,
}

impl Interface {
    /// Its name in Keystone's catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Interface::Public => "public",
            Interface::Internal => "internal",
            Interface::Admin => "admin",
        }
    }

    /// `publicURL` is how Keystone v2 spelled it; openrc files still do.
    fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("URL").unwrap_or(text) {
            "public" => Some(Interface::Public),
            "internal" => Some(Interface::Internal),
            "admin" => Some(Interface::Admin),
            _ => None,
        }
    }
}

/// The settings that apply to one service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceConfig {
    /// Where it is, whatever the catalog says.
    pub endpoint_override: Option<String>,
    /// Which endpoints to take from the catalog, the best first.
    pub interface: Vec<Interface>,
    /// Whose endpoints to take from the catalog.
    pub region: Option<String>,
    /// Its type in the catalog.
    pub service_type: String,
    /// Its name in the catalog, if that matters.
    pub service_name: Option<String>,
    /// The API version asked for.
    pub api_version: Option<String>,
    /// The microversion asked for.
    pub default_microversion: Option<String>,
    /// How often to try again when no connection could be made.
    pub connect_retries: Option<u32>,
    /// How long to wait before that.
    pub connect_retry_delay: Option<Duration>,
    /// How often to try again after an answer with a retriable status.
    pub status_code_retries: Option<u32>,
    /// How long to wait before that.
    pub status_code_retry_delay: Option<Duration>,
    /// Which statuses are worth another try; `None` means 503.
    pub retriable_status_codes: Option<Vec<u16>>,
}

impl CloudConfig {
    /// Every value by its name, those under `auth` as `auth.…`, sorted: the
    /// value with or without the secrets in it, and where it came from.
    pub fn values(&self, unmasked: bool) -> Vec<(String, Value, Origin)> {
        let shown = |setting: &Setting| match (unmasked, setting.secret) {
            (true, _) => setting.value.clone(),
            (false, true) => Value::from("<redacted>"),
            (false, false) => redacted(&setting.value),
        };
        let auth = self.auth.iter().map(|(key, setting)| (format!("auth.{key}"), setting));
        let all = auth.chain(self.settings.iter().map(|(key, setting)| (key.clone(), setting)));
        // Scalars are kept as they were typed; truth values are shown as such.
        let typed = |value: Value| match value.as_str() {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            _ => value,
        };
        let mut values: Vec<_> =
            all.map(|(key, setting)| (key, typed(shown(setting)), setting.origin.clone())).collect();
        values.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        values
    }

    /// The text of the top-level setting `key`.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).and_then(Setting::text).filter(|text| !text.is_empty())
    }

    /// The text of `key` under `auth`; may be secret.
    pub fn auth(&self, key: &str) -> Option<&str> {
        self.auth.get(key).and_then(Setting::text)
    }

    /// The name of the plug-in to sign in with.
    pub fn auth_type(&self) -> &str {
        self.setting("auth_type").unwrap_or("password")
    }

    /// Whether certificates are checked, and which to use.
    pub fn tls(&self) -> Result<Tls> {
        let file = |key: &str| self.setting(key).map(|path| self.path(path));
        let mut ca = file("cacert");
        let verify = match self.truth("verify") {
            Ok(verify) => verify.unwrap_or(true),
            // requests takes the path of a CA bundle here, and files rely on it.
            Err(_) => {
                ca = ca.or_else(|| file("verify"));
                true
            }
        };
        let verify = verify && !self.truth("insecure")?.unwrap_or(false);
        Ok(Tls { verify, ca, cert: file("cert"), key: file("key") })
    }

    /// Which endpoints to take from the catalog, the best first.
    pub fn interface(&self) -> Result<Vec<Interface>> {
        self.interface_of("interface").map(|found| found.unwrap_or_else(|| vec![Interface::Public]))
    }

    /// Where the image service is, whatever the catalog says.
    pub fn image_endpoint_override(&self) -> Option<&str> {
        self.endpoint_override("image")
    }

    /// The settings that apply to `service`, a type such as `image`.
    pub fn for_service(&self, service: &str) -> Result<ServiceConfig> {
        let own = |key: &str| self.service_key(service, key);
        let text = |key: Option<String>| key.and_then(|key| self.setting(&key)).map(str::to_owned);
        // These have a value for all services as well.
        let shared = |key: &str| own(key).unwrap_or_else(|| key.to_owned());
        Ok(ServiceConfig {
            endpoint_override: self.endpoint_override(service).map(str::to_owned),
            interface: match self.interface_of(&shared("interface"))? {
                Some(found) => found,
                None => self.interface()?,
            },
            region: text(own("region_name")).or_else(|| self.region.clone()),
            service_type: text(own("service_type")).unwrap_or_else(|| service.to_owned()),
            service_name: text(own("service_name")),
            api_version: text(own("api_version")),
            default_microversion: text(own("default_microversion")),
            connect_retries: self.number(&shared("connect_retries"))?,
            connect_retry_delay: self.seconds(&shared("connect_retry_delay"))?,
            status_code_retries: self.number(&shared("status_code_retries"))?,
            status_code_retry_delay: self.seconds(&shared("status_code_retry_delay"))?,
            retriable_status_codes: self.numbers(&shared("retriable_status_codes"))?,
        })
    }

    /// How long to wait for an answer; `None` if nobody said.
    pub fn api_timeout(&self) -> Result<Option<Duration>> {
        Ok(self.seconds("api_timeout")?.filter(|timeout| !timeout.is_zero()))
    }

    /// Whether to stay away from IPv6 addresses.
    pub fn force_ipv4(&self) -> Result<bool> {
        Ok(self.truth("force_ipv4")?.unwrap_or(false) || self.truth("prefer_ipv6")? == Some(false))
    }

    /// Whether sign-ins are kept for the next run.
    pub fn token_cache(&self) -> Result<bool> {
        Ok(self.truth("token_cache")?.unwrap_or(true))
    }

    /// The file that the configuration wants the log in.
    pub fn log_file(&self) -> Option<PathBuf> {
        self.setting("log_file").map(|path| self.path(path))
    }

    /// Whether the configuration asks for the debug log.
    pub fn debug(&self) -> bool {
        matches!(self.truth("debug"), Ok(Some(true)))
    }

    /// The setting `key` as a truth value.
    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.setting(key) else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(self.wrong(key, "neither true nor false")),
        }
    }

    fn seconds(&self, key: &str) -> Result<Option<Duration>> {
        let Some(text) = self.setting(key) else {
            return Ok(None);
        };
        let seconds = text.trim().parse::<f64>().ok();
        match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(duration) => Ok(Some(duration)),
            None => Err(self.wrong(key, "not a number of seconds")),
        }
    }

    fn number(&self, key: &str) -> Result<Option<u32>> {
        let Some(text) = self.setting(key) else {
            return Ok(None);
        };
        text.trim().parse().map(Some).map_err(|_| self.wrong(key, "not a whole number"))
    }

    fn numbers(&self, key: &str) -> Result<Option<Vec<u16>>> {
        let Some(list) = self.list(key) else {
            return Ok(None);
        };
        list.iter()
            .map(|text| text.trim().parse())
            .collect::<std::result::Result<_, _>>()
            .map(Some)
            .map_err(|_| self.wrong(key, "not a list of HTTP statuses"))
    }

    fn interface_of(&self, key: &str) -> Result<Option<Vec<Interface>>> {
        let Some(list) = self.list(key) else {
            return Ok(None);
        };
        list.iter()
            .map(|text| Interface::parse(text.trim()))
            .collect::<Option<Vec<_>>>()
            .filter(|found| !found.is_empty())
            .map(Some)
            .ok_or_else(|| self.wrong(key, "none of admin, internal and public"))
    }

    /// A list, or text with commas.
    fn list(&self, key: &str) -> Option<Vec<&str>> {
        match &self.settings.get(key)?.value {
            Value::Array(list) => Some(list.iter().map(|item| item.as_str().unwrap_or_default()).collect()),
            Value::String(text) if !text.is_empty() => Some(text.split(',').collect()),
            _ => None,
        }
    }

    fn endpoint_override(&self, service: &str) -> Option<&str> {
        let written =
            ["endpoint_override", "endpoint"].iter().find_map(|key| self.setting(&self.service_key(service, key)?));
        match self.auth_type() {
            // Without Keystone there is one address, for every service.
            "none" => written.or_else(|| self.auth("endpoint")),
            _ => written,
        }
    }

    /// The key of `service`'s own `what`, under whichever of the service's
    /// names it is set: `block_storage_api_version` or `volume_api_version`.
    fn service_key(&self, service: &str, what: &str) -> Option<String> {
        // https://service-types.openstack.org/service-types.json
        let own = service.to_ascii_lowercase().replace('-', "_");
        let names: &[&str] = match own.as_str() {
            "block_storage" | "block_store" | "volumev3" | "volumev2" | "volume" => {
                &["block_storage", "volumev3", "volumev2", "volume", "block_store"]
            }
            _ => &[own.as_str()],
        };
        names.iter().map(|name| format!("{name}_{what}")).find(|key| self.settings.contains_key(key))
    }

    fn path(&self, path: &str) -> PathBuf {
        Surroundings { home: self.home.clone(), ..Default::default() }.expand_home(path)
    }

    fn wrong(&self, key: &str, what: &str) -> Error {
        let origin = self.settings.get(key).map_or(Origin::Default, |setting| setting.origin.clone());
        Error::config(format!("`{key}` is {what} (from {origin})")).next(format!("correct `{key}` there"))
    }
}
