//! `password`, `v3password`: a user and a password.

use serde_json::json;

use super::{Given, Method, user};
use crate::error::Result;

/// The method of a user and a password.
///
/// # Errors
/// What it needs is missing.
pub fn methods(given: &Given<'_>) -> Result<Vec<Method>> {
    let mut user = user(given.config)?;
    user["password"] = given.secret("password", "os-password", "OS_PASSWORD")?.into();
    Ok(vec![Method { name: "password", body: json!({"user": user}), has_own_scope: false }])
}
