//! `token`, `v3token`: a token that one already has, to be exchanged for one of another scope.

use serde_json::json;

use super::{Given, Method};
use crate::error::Result;

/// The method of a token: it is exchanged for one with another scope.
///
/// # Errors
/// What it needs is missing.
pub fn methods(given: &Given<'_>) -> Result<Vec<Method>> {
    let body = json!({"id": given.required("token")?});
    Ok(vec![Method { name: "token", body, has_own_scope: false }])
}
