//! `v3totp`: a user and a passcode of the moment.

use serde_json::json;

use super::{Given, Method, user};
use crate::error::Result;

/// The method of a passcode, good only once.
///
/// # Errors
/// What it needs is missing.
pub fn methods(given: &Given<'_>) -> Result<Vec<Method>> {
    let mut user = user(given.config)?;
    user["passcode"] = given.secret("passcode", "os-passcode", "OS_PASSCODE")?.into();
    Ok(vec![Method { name: "totp", body: json!({"user": user}), has_own_scope: false }])
}
