//! The layers, laid one over the other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Entry;
use crate::cloud::config::{Origin, Setting};
use crate::cloud::options::{Flags, Given, OPTIONS, Place, is_secret, sort_key};
use crate::cloud::surroundings::Surroundings;
use crate::error::{Error, Result};

/// The layers so far.
#[derive(Default)]
pub(super) struct Merge {
    pub(super) top: BTreeMap<String, Setting>,
    pub(super) auth: BTreeMap<String, Setting>,
}

impl Merge {
    pub(super) fn set(&mut self, place: Place, key: &str, value: Value, origin: Origin) {
        let map = match place {
            Place::Top => &mut self.top,
            Place::Auth => &mut self.auth,
        };
        let value = match (map.remove(key).map(|old| old.value), value) {
            (Some(Value::Object(mut old)), Value::Object(new)) => {
                old.extend(new);
                Value::Object(old)
            }
            (_, new) => new,
        };
        map.insert(key.to_owned(), Setting { value, origin, secret: is_secret(key) });
    }

    /// What holds when nobody says anything: openstacksdk's defaults that
    /// concern images.
    pub(super) fn defaults(&mut self) {
        for (key, value) in [
            ("interface", "public"),
            ("verify", "true"),
            ("default_domain", "default"),
            ("image_status_code_retries", "5"),
            ("token_cache", "true"),
        ] {
            self.set(Place::Top, key, value.into(), Origin::Default);
        }
    }

    /// The variables about the network that have no flag.
    pub(super) fn network(&mut self, surroundings: &Surroundings) {
        for (variable, key) in [("OS_FORCE_IPV4", "force_ipv4"), ("OS_PREFER_IPV6", "prefer_ipv6")] {
            if let Some(text) = surroundings.variable(variable) {
                self.set(Place::Top, key, text.into(), Origin::Variable(variable.to_owned()));
            }
        }
    }

    /// Lays `entry` over what is there. Under one roof the proper name of a
    /// key wins over its old ones, and a key beside `auth` over one in it.
    pub(super) fn layer(&mut self, entry: &Entry, origin: impl Fn(&str) -> Origin) {
        let auth = entry.get("auth").and_then(Value::as_object);
        let written = auth
            .into_iter()
            .flatten()
            .map(|(key, value)| (Place::Auth, key, value))
            .chain(entry.iter().map(|(key, value)| (Place::Top, key, value)))
            .filter(|(place, key, _)| {
                *place == Place::Auth || !["auth", "profile", "cloud", "regions"].contains(&key.as_str())
            });
        let mut found: Vec<_> = written.map(|(place, key, value)| (sort_key(key, place), place, key, value)).collect();
        // Stable: in one place, old names first; then what stands beside `auth`.
        found.sort_by_key(|((_, _, old), place, ..)| (!old, *place == Place::Top));
        for ((place, name, _), _, key, value) in found {
            self.set(place, &name, value.clone(), origin(key));
        }
    }

    /// Lays the flags and their variables over everything. The answer names
    /// the variables that changed what a file says.
    pub(super) fn given(&mut self, flags: &Flags, surroundings: &Surroundings) -> Vec<String> {
        let mut overridden = Vec::new();
        for option in OPTIONS.iter().filter(|option| option.key != "cloud") {
            let Some((text, given)) = option.given(flags, surroundings) else {
                continue;
            };
            let map = if option.place == Place::Top { &self.top } else { &self.auth };
            let origin = match given {
                Given::Flag => Origin::Flag(option.flag),
                Given::Variable(variable) => {
                    let changed = map.get(option.key).is_some_and(|old| {
                        matches!(old.origin, Origin::File { .. }) && !old.value.is_null() && old.text() != Some(text)
                    });
                    if changed {
                        overridden.push(variable.to_owned());
                    }
                    Origin::Variable(variable.to_owned())
                }
            };
            // An ID is stronger than a name, but not one that the user just typed.
            let id = match option.key {
                "username" => Some("user_id".to_owned()),
                key => key.strip_suffix("_name").map(|what| format!("{what}_id")),
            };
            if let (Given::Flag, Place::Auth, Some(id)) = (given, option.place, id)
                && self.auth.get(&id).is_some_and(|setting| !matches!(setting.origin, Origin::Flag(_)))
            {
                self.auth.remove(&id);
            }
            // Asking for the check means it, whatever a file says elsewhere.
            if option.flag == "verify" {
                self.top.remove("insecure");
            }
            self.set(option.place, option.key, text.into(), origin);
        }
        overridden
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.top.get(key).and_then(Setting::text)
    }

    /// Where nobody named authorities, and the check is on, the variables of the
    /// `requests` library do
    /// (<https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification>).
    pub(super) fn bundle_of_environment(&mut self, surroundings: &Surroundings) {
        let is = |key: &str, words: &[&str]| {
            self.text(key).is_some_and(|text| words.contains(&text.to_ascii_lowercase().as_str()))
        };
        let named = self.text("cacert").is_some_and(|path| !path.is_empty());
        let checked = is("verify", &["true", "yes", "on", "1"]) && !is("insecure", &["true", "yes", "on", "1"]);
        if named || !checked {
            return;
        }
        for variable in ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            if let Some(path) = surroundings.variable(variable) {
                return self.set(Place::Top, "cacert", path.into(), Origin::Variable(variable.to_owned()));
            }
        }
    }

    /// The last adjustments, in the order of `openstack`.
    pub(super) fn fix_up(&mut self, warnings: &mut Vec<String>) -> Result<()> {
        // A null, or nothing between quotes, is how an entry unsets a profile's value.
        let empty = |setting: &Setting| setting.value.is_null() || setting.text() == Some("");
        self.auth.retain(|_, setting| !empty(setting));
        self.top.retain(|_, setting| !empty(setting));
        self.choose_auth_type();
        self.spread_domain();
        self.settle_identity_v2(warnings);
        self.assume_domain();
        if let Some(methods) = self.auth.get_mut("auth_methods")
            && let Some(text) = methods.text()
        {
            methods.value = text.split(',').map(str::trim).collect();
        }
        self.fill_placeholders()
    }

    /// Leaves out who and where, of which the local service knows better: what flags
    /// and variables say of another cloud may still be in the environment.
    pub(super) fn settle_built_in(&mut self) {
        self.auth.clear();
        self.top.retain(|key, _| !key.ends_with("endpoint") && !key.ends_with("endpoint_override"));
        self.set(Place::Top, "auth_type", "admin_token".into(), Origin::Default);
    }

    /// Without an explicit type: an endpoint and a token need no Keystone, a
    /// token without a password is a token, else it is a password.
    fn choose_auth_type(&mut self) {
        let chosen = match self.text("auth_type") {
            Some("None") => "none",
            Some("token_endpoint") => "admin_token",
            Some(_) => return,
            None => {
                let has = |key: &str| self.auth.contains_key(key);
                let typed =
                    |key: &str| self.auth.get(key).is_some_and(|setting| matches!(setting.origin, Origin::Flag(_)));
                if has("endpoint") && has("token") {
                    "admin_token"
                } else if has("token") && (!has("password") || typed("token") && !typed("password")) {
                    "token"
                } else {
                    "password"
                }
            }
        };
        let origin = self.top.get("auth_type").map_or(Origin::Default, |setting| setting.origin.clone());
        self.set(Place::Top, "auth_type", chosen.into(), origin);
    }

    /// In a cloud scoped to a project, `domain_*` is short for the user's and
    /// the project's domain.
    fn spread_domain(&mut self) {
        let scoped = ["project_id", "project_name"].iter().any(|key| self.auth.contains_key(*key));
        if !scoped || self.text("auth_type") == Some("v2password") {
            return;
        }
        for what in ["id", "name"] {
            if let Some(domain) = self.auth.remove(&format!("domain_{what}")) {
                for whose in ["user", "project"] {
                    self.auth.entry(format!("{whose}_domain_{what}")).or_insert_with(|| domain.clone());
                }
            }
        }
    }

    /// Identity v2 has tenants for projects, and no domains.
    fn settle_identity_v2(&mut self, warnings: &mut Vec<String>) {
        let auth_type = self.text("auth_type").unwrap_or_default().to_owned();
        if auth_type.starts_with("v2") {
            for what in ["id", "name"] {
                if let Some(project) = self.auth.remove(&format!("project_{what}")) {
                    self.auth.insert(format!("tenant_{what}"), project);
                }
            }
        }
        let v2 = self.text("identity_api_version").is_some_and(|version| version.starts_with('2'));
        if v2 && auth_type.ends_with("password") {
            for key in DOMAINS {
                if self.auth.remove(key).is_some() {
                    warnings.push(format!("`{key}` is ignored: the identity API version is 2"));
                }
            }
        }
    }

    /// A user or project without a domain is in the default one.
    fn assume_domain(&mut self) {
        let v2 = self.text("identity_api_version").is_some_and(|version| version.starts_with('2'));
        let applies = ["password", "v3password", "v3totp"].contains(&self.text("auth_type").unwrap_or_default());
        let told = ["default_domain_id", "default_domain_name"].iter().any(|key| self.auth.contains_key(*key));
        let Some(domain) = self.top.get("default_domain").cloned() else {
            return;
        };
        if v2 || !applies || told {
            return;
        }
        for whose in ["user", "project"] {
            let [id, name] = ["id", "name"].map(|what| format!("{whose}_domain_{what}"));
            if !self.auth.contains_key(&id) && !self.auth.contains_key(&name) {
                self.auth.insert(id, domain.clone());
            }
        }
    }

    /// Replaces `{region_name}` and its like in addresses, and nowhere else: a
    /// brace in a password is a brace.
    fn fill_placeholders(&mut self) -> Result<()> {
        let known: BTreeMap<String, String> =
            self.top.iter().filter_map(|(key, setting)| Some((key.clone(), setting.text()?.to_owned()))).collect();
        if let Some(setting) = self.auth.get_mut("auth_url")
            && let Some(text) = setting.text()
        {
            setting.value = fill(text, &known)
                .map_err(|name| {
                    Error::config(format!("`auth_url` needs `{name}`, which is not set")).next(match name.as_str() {
                        "region_name" => "choose a region with --os-region-name".to_owned(),
                        _ => format!("set `{name}` in the entry of the cloud, or write the address out"),
                    })
                })?
                .into();
        }
        for (key, setting) in &mut self.top {
            if key.ends_with("endpoint_override")
                && let Some(filled) = setting.text().and_then(|text| fill(text, &known).ok())
            {
                setting.value = filled.into();
            }
        }
        Ok(())
    }
}

const DOMAINS: [&str; 4] = ["project_domain_id", "project_domain_name", "user_domain_id", "user_domain_name"];

/// `text` with every `{name}` replaced; the error is a name that is not known.
fn fill(text: &str, known: &BTreeMap<String, String>) -> std::result::Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        filled.push_str(known.get(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}
