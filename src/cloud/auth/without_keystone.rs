//! `none`, `admin_token`, `http_basic`: one endpoint and, perhaps, one
//! credential for it. There is no Keystone to ask.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Given;
use crate::error::Result;
use crate::http::Credential;

/// Nothing: the service asks nobody who they are.
pub fn none(_: &Given<'_>) -> Result<Credential> {
    Ok(Credential::nothing("auth type `none` shows the service nothing: choose another with `--os-auth-type`"))
}

/// The token that is configured, as it is.
///
/// # Errors
/// There is none.
pub fn admin_token(given: &Given<'_>) -> Result<Credential> {
    Ok(Credential::fixed(given.required("token")?.into(), super::GET_A_TOKEN))
}

/// User and password with every request (RFC 7617).
///
/// # Errors
/// One of them is missing.
pub fn http_basic(given: &Given<'_>) -> Result<Credential> {
    let pair = format!("{}:{}", given.required("username")?, given.required("password")?);
    let text = format!("Basic {}", STANDARD.encode(pair));
    Ok(Credential::basic(text.into(), "check the user and the password"))
}
