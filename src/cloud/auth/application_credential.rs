//! `v3applicationcredential`: an ID, or a name and its user, and a secret.
//! Keystone fixes the project itself and refuses to be told one.

use serde_json::{Value, json};

use super::{Given, Method, user};
use crate::error::Result;

/// The method of an application credential, which has a scope of its own.
///
/// # Errors
/// What it needs is missing.
pub fn methods(given: &Given<'_>) -> Result<Vec<Method>> {
    let mut body = match given.config.auth("application_credential_id") {
        Some(id) => json!({"id": id}),
        None => match given.config.auth("application_credential_name") {
            Some(name) => json!({"name": name, "user": user(given.config)?}),
            None => json!({"id": given.required("application_credential_id")?}),
        },
    };
    body["secret"] = Value::from(given.required("application_credential_secret")?);
    Ok(vec![Method { name: "application_credential", body, has_own_scope: true }])
}
