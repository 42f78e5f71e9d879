//! `none`, `admin_token`, `http_basic`: one endpoint and, perhaps, one
//! credential for it. There is no Keystone to ask.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Given;
use crate::error::Result;
use crate::http::Credential;

pub fn none(_: &Given<'_>) -> Result<Credential> {
    Ok(Credential::nothing("auth type `none` shows the service nothing: choose another with `--os-auth-type`"))
}

pub fn admin_token(given: &Given<'_>) -> Result<Credential> {
    Ok(Credential::fixed(given.required("token")?.into(), super::GET_A_TOKEN))
}

pub fn http_basic(given: &Given<'_>) -> Result<Credential> {
    let pair = format!("{}:{}", given.required("username")?, given.required("password")?);
    let text = format!("Basic {}", STANDARD.encode(pair));
    Ok(Credential::basic(text.into(), "check the user and the password"))
}
