//! `v3multifactor`: several methods at once, as `auth_methods` lists them.

use serde_json::Value;

use super::{Given, Method, application_credential, password, token, totp};
use crate::cloud::CloudConfig;
use crate::error::{Error, Result};

/// The methods listed, without the `v3` that some write before them.
pub fn names(config: &CloudConfig) -> Vec<&str> {
    let listed = config.auth.get("auth_methods").or_else(|| config.settings.get("auth_methods"));
    let names: Vec<&str> = match listed.map(|setting| &setting.value) {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(names)) => names.split(',').collect(),
        _ => Vec::new(),
    };
    names.into_iter().map(|name| name.trim().trim_start_matches("v3")).filter(|name| !name.is_empty()).collect()
}

/// The methods that `auth_methods` lists, each with what it needs.
///
/// # Errors
/// What it needs is missing.
pub fn methods(given: &Given<'_>) -> Result<Vec<Method>> {
    let mut methods = Vec::new();
    for name in names(given.config) {
        methods.extend(match name {
            "password" => password::methods(given)?,
            "token" => token::methods(given)?,
            "totp" => totp::methods(given)?,
            "applicationcredential" | "application_credential" => application_credential::methods(given)?,
            other => {
                return Err(Error::config(format!("`{other}` cannot be one of the methods of `v3multifactor`"))
                    .next("it knows v3password, v3token, v3totp and v3applicationcredential"));
            }
        });
    }
    if methods.is_empty() {
        return Err(Error::config("auth type `v3multifactor` needs `auth_methods`").next(
            "list them under `auth` in clouds.yaml, as OS_AUTH_METHODS, or with `--os-auth-methods`: `v3password,v3totp`",
        ));
    }
    Ok(methods)
}
