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

use super::CloudConfig;
use crate::error::{Error, Result};
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
pub fn plugin(name: &str) -> Result<&'static Plugin> {
    PLUGINS.iter().find(|plugin| plugin.name == name).ok_or_else(|| {
        let names: Vec<_> = PLUGINS.iter().map(|plugin| plugin.name).collect();
        Error::config(format!("rimg does not know the auth type `{name}`")).next(format!(
            "it knows {}; choose one with `--os-auth-type`, OS_AUTH_TYPE or `auth_type`",
            names.join(", ")
        ))
    })
}

/// What the configuration and, on a terminal, the user give a plug-in.
pub struct Given<'a> {
    /// The configuration.
    pub config: &'a CloudConfig,
    /// The secret that was asked for, if one was.
    asked: Option<String>,
}

impl<'a> Given<'a> {
    /// The configuration and, where `plugin` needs a secret that is not in it
    /// and stdin is a terminal, the secret that the user types.
    pub async fn collect(config: &'a CloudConfig, plugin: &Plugin, ask: Option<&Interrupt>) -> Result<Self> {
        let Some(interrupt) = ask else { return Ok(Given { config, asked: None }) };
        let missing = |key: &str| config.auth(key).is_none();
        let prompt = match plugin.name {
            "password" | "v3password" if missing("password") => "Password: ",
            "v3totp" if missing("passcode") => "Passcode: ",
            "v3multifactor" => match multifactor::names(config) {
                names if names.contains(&"password") && missing("password") => "Password: ",
                names if names.contains(&"totp") && missing("passcode") => "Passcode: ",
                _ => return Ok(Given { config, asked: None }),
            },
            _ => return Ok(Given { config, asked: None }),
        };
        // Asked only when everything else is there: nobody types in vain.
        user(config)?;
        auth_url(config)?;
        let asked = terminal::ask_secret(prompt, interrupt).await?;
        Ok(Given { config, asked })
    }

    /// The value of `key`, or the typed secret.
    fn secret(&self, key: &str, flag: &str, variable: &str) -> Result<String> {
        let given = self.config.auth(key).map(str::to_owned).or_else(|| self.asked.clone());
        given.ok_or_else(|| {
            let what = key.replace('_', " ");
            Error::config(format!("no {what} was given, and there is no terminal to ask for one"))
                .next(format!("set {variable}, `{key}` under `auth` in clouds.yaml or secure.yaml, or `--{flag}`"))
        })
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
                (Some(id), _) => serde_json::json!({"id": id}),
                (None, Some(name)) => serde_json::json!({"name": name}),
                // Where most clouds keep their users; `--os-default-domain` says otherwise.
                (None, None) => serde_json::json!({"id": config.setting("default_domain").unwrap_or("default")}),
            };
            Some(serde_json::json!({"name": name, "domain": domain}))
        }
        (None, None) => None,
    }
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
            Err(Error::config(format!("the configuration scopes the token to {one} and to {other}"))
                .next("keep one of project_*, domain_*, system_scope and trust_id"))
        }
        (Some((_, scope)), None) => Ok(Some(scope)),
        (None, _) => Ok(None),
    }
}
