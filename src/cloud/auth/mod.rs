//! Auth plug-ins: how to prove who one is. One file for each; [`PLUGINS`] is
//! the list of them. To add one, write its file and its line.
//!
//! Names and options are keystoneauth's
//! (<https://docs.openstack.org/keystoneauth/latest/authentication-plugins.html>).

mod application_credential;
mod multifactor;
mod password;
mod token;
mod totp;
mod without_keystone;

use serde_json::Value;

use super::{CloudConfig, Origin};
use crate::error::{Error, Kind, Result};
use crate::http::Credential;
use crate::interrupt::Interrupt;
use crate::terminal;

/// A way to sign in.
pub struct Plugin {
    /// What `auth_type` calls it.
    pub name: &'static str,
    /// How it signs in.
    pub how: How,
}

/// How a plug-in signs in.
pub enum How {
    /// Keystone gives a token for what these say.
    Keystone(fn(&Given<'_>) -> Result<Vec<Method>>),
    /// There is no Keystone: one credential for one endpoint.
    Without(fn(&Given<'_>) -> Result<Credential>),
}

/// One of the `methods` of Keystone's `POST /v3/auth/tokens`
/// (<https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management>).
pub struct Method {
    /// Its name there.
    pub name: &'static str,
    /// What it says; holds secrets.
    pub body: Value,
    /// Whether what it says fixes the project by itself.
    pub has_own_scope: bool,
}

/// What to do when a token that the user gave is refused.
pub const GET_A_TOKEN: &str =
    "the token has expired or was withdrawn: get a new token and give it with `--os-token` (OS_TOKEN)";

/// Why nobody can sign in a second time with `methods`, as the step to take;
/// `None` where that is possible.
pub fn only_once(methods: &[Method]) -> Option<&'static str> {
    methods.iter().find_map(|method| match method.name {
        "token" => Some(GET_A_TOKEN),
        "totp" => Some("the passcode was good only once: run the command again with a new one"),
        _ => None,
    })
}

/// Every plug-in that there is.
pub const PLUGINS: &[Plugin] = &[
    Plugin { name: "password", how: How::Keystone(password::methods) },
    Plugin { name: "v3password", how: How::Keystone(password::methods) },
    Plugin { name: "token", how: How::Keystone(token::methods) },
    Plugin { name: "v3token", how: How::Keystone(token::methods) },
    Plugin { name: "v3applicationcredential", how: How::Keystone(application_credential::methods) },
    Plugin { name: "v3totp", how: How::Keystone(totp::methods) },
    Plugin { name: "v3multifactor", how: How::Keystone(multifactor::methods) },
    Plugin { name: "none", how: How::Without(without_keystone::none) },
    Plugin { name: "admin_token", how: How::Without(without_keystone::admin_token) },
    Plugin { name: "token_endpoint", how: How::Without(without_keystone::admin_token) },
    Plugin { name: "http_basic", how: How::Without(without_keystone::http_basic) },
];

/// The plug-in that `auth_type` names.
pub fn plugin(config: &CloudConfig) -> Result<&'static Plugin> {
    let name = config.auth_type();
    PLUGINS.iter().find(|plugin| plugin.name == name).ok_or_else(|| {
        let names: Vec<_> = PLUGINS.iter().map(|plugin| plugin.name).collect();
        // A wrong word on the command line is a usage error, as in `openstack`.
        let kind = match config.settings.get("auth_type").map(|setting| &setting.origin) {
            Some(Origin::Flag(_)) => Kind::Usage,
            _ => Kind::Config,
        };
        Error::new(kind, format!("rimg does not know the auth type `{name}`")).next(format!(
            "it knows {}; choose one with `--os-auth-type`, OS_AUTH_TYPE or `auth_type`",
            names.join(", ")
        ))
    })
}

/// What the configuration and, on a terminal, the user give a plug-in.
pub struct Given<'a> {
    /// The configuration.
    pub config: &'a CloudConfig,
    /// The secrets that were asked for, by key; empty where nothing was typed.
    asked: Vec<(&'static str, String)>,
}

impl<'a> Given<'a> {
    /// The configuration and, where `plugin` needs secrets that are not in it
    /// and stdin is a terminal, the secrets that the user types.
    pub async fn collect(config: &'a CloudConfig, plugin: &Plugin, ask: Option<&Interrupt>) -> Result<Self> {
        let mut given = Given { config, asked: Vec::new() };
        let Some(interrupt) = ask else { return Ok(given) };
        let methods = match plugin.name {
            "password" | "v3password" => vec!["password"],
            "v3totp" => vec!["totp"],
            "v3multifactor" => multifactor::names(config),
            _ => Vec::new(),
        };
        for (method, key, prompt) in [("password", "password", "Password: "), ("totp", "passcode", "Passcode: ")] {
            if !methods.contains(&method) || config.auth(key).is_some() {
                continue;
            }
            // Asked only when everything else is there: nobody types in vain.
            user(config)?;
            auth_url(config)?;
            scope(config)?;
            if let Some(typed) = terminal::ask_secret(prompt, interrupt).await? {
                given.asked.push((key, typed));
            }
        }
        Ok(given)
    }

    /// Whether the user typed something.
    pub fn was_typed(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The value of `key`, or what was typed for it.
    fn secret(&self, key: &str, flag: &str, variable: &str) -> Result<String> {
        let asked = self.asked.iter().find(|(asked, _)| *asked == key).map(|(_, typed)| typed.as_str());
        match self.config.auth(key).or(asked) {
            Some(secret) if !secret.is_empty() => Ok(secret.to_owned()),
            typed => {
                let why = if typed.is_some() { "nothing was typed" } else { "there is no terminal to ask for one" };
                Err(Error::config(format!("no {key} was given, and {why}"))
                    .next(format!("set {variable}, `{key}` under `auth` in clouds.yaml or secure.yaml, or `--{flag}`")))
            }
        }
    }

    /// The value of a key that the plug-in cannot do without.
    fn required(&self, key: &str) -> Result<&str> {
        self.config.auth(key).ok_or_else(|| {
            let (flag, variable) = (key.replace('_', "-"), key.to_uppercase());
            Error::config(format!("auth type `{}` needs `{key}`", self.config.auth_type()))
                .next(format!("set it under `auth` in clouds.yaml, as OS_{variable}, or with `--os-{flag}`"))
        })
    }
}

/// The URL of Keystone.
pub fn auth_url(config: &CloudConfig) -> Result<&str> {
    config.auth("auth_url").ok_or_else(|| {
        Error::config(format!("auth type `{}` needs `auth_url`, the address of Keystone", config.auth_type()))
            .next("set it under `auth` in clouds.yaml, as OS_AUTH_URL, or with `--os-auth-url`")
    })
}

/// `{"id": …}`, or `{"name": …, "domain": …}`, of a user or a project; `None` if neither is given.
fn named(config: &CloudConfig, what: &str) -> Option<Value> {
    let key = |suffix: &str| config.auth(&format!("{what}_{suffix}"));
    let name = match what {
        "user" => config.auth("username"),
        _ => key("name"),
    };
    match (key("id"), name) {
        (Some(id), _) => Some(serde_json::json!({"id": id})),
        (None, Some(name)) => {
            let domain = match (key("domain_id"), key("domain_name")) {
                (None, None) => match (config.auth("default_domain_id"), config.auth("default_domain_name")) {
                    // Where most clouds keep their users; `--os-default-domain` says otherwise.
                    (None, None) => (Some(config.setting("default_domain").unwrap_or("default")), None),
                    told => told,
                },
                own => own,
            };
            let domain = match domain {
                (Some(id), _) => serde_json::json!({"id": id}),
                (None, name) => serde_json::json!({"name": name}),
            };
            Some(serde_json::json!({"name": name, "domain": domain}))
        }
        (None, None) => None,
    }
}

/// Where the values of these keys came from, a line each; values are not shown.
pub fn origins(config: &CloudConfig, keys: &[&str]) -> Vec<String> {
    let given = keys.iter().filter_map(|key| Some((key, &config.auth.get(*key)?.origin)));
    given.map(|(key, origin)| format!("`{key}` came from {origin}")).collect()
}

/// The user who signs in.
fn user(config: &CloudConfig) -> Result<Value> {
    named(config, "user").ok_or_else(|| {
        Error::config(format!("auth type `{}` needs a user", config.auth_type()))
            .next("set `username` or `user_id` under `auth` in clouds.yaml, as OS_USERNAME or OS_USER_ID, or with `--os-username` or `--os-user-id`")
    })
}

/// What the token is to be good for: a project, a domain, the system, a trust;
/// `None` for nothing in particular.
pub fn scope(config: &CloudConfig) -> Result<Option<Value>> {
    let project = named(config, "project");
    let domain = match (config.auth("domain_id"), config.auth("domain_name")) {
        (Some(id), _) => Some(serde_json::json!({"id": id})),
        (None, name) => name.map(|name| serde_json::json!({"name": name})),
    };
    let system = config.auth("system_scope");
    let trust = config.auth("trust_id");
    let given = [
        ("a project", project.map(|project| serde_json::json!({"project": project}))),
        ("a domain", domain.map(|domain| serde_json::json!({"domain": domain}))),
        ("the system", system.map(|which| serde_json::json!({"system": {which: true}}))),
        ("a trust", trust.map(|id| serde_json::json!({"OS-TRUST:trust": {"id": id}}))),
    ];
    let mut given = given.into_iter().filter_map(|(what, scope)| scope.map(|scope| (what, scope)));
    match (given.next(), given.next()) {
        (Some((one, _)), Some((other, _))) => {
            let keys = ["project_id", "project_name", "domain_id", "domain_name", "system_scope", "trust_id"];
            Err(Error::config(format!("the configuration scopes the token to {one} and to {other}"))
                .details(origins(config, &keys))
                .next("keep one of project_*, domain_*, system_scope and trust_id"))
        }
        (Some((_, scope)), None) => Ok(Some(scope)),
        (None, _) => Ok(None),
    }
}
