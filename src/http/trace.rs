//! What `--debug` shows, without its secrets.

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, Method};
use url::Url;

use super::request::Payload;
use crate::log::Log;

/// Headers whose values are secrets.
const SECRET_HEADERS: [&str; 5] = ["x-auth-token", "x-subject-token", "authorization", "set-cookie", "cookie"];

/// Secrets are shown as a hash, so that two traces can be compared.
pub(super) fn shown_headers(headers: &HeaderMap, secret: bool) -> String {
    let mut shown = Vec::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        let masked = secret || value.is_sensitive() || SECRET_HEADERS.contains(&name.as_str());
        shown.push(match masked {
            true => format!("-H \"{name}: {{SHA256}}{}\"", fingerprint(value.as_bytes())),
            false => format!("-H \"{name}: {text}\""),
        });
    }
    shown.join(" ")
}

fn fingerprint(secret: &[u8]) -> String {
    digest(&SHA256, secret).as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of a body: enough to see what it is.
pub(super) fn shown_body(body: &[u8]) -> String {
    let shown = body.len().min(8192);
    let text = String::from_utf8_lossy(&body[..shown]);
    if shown < body.len() { format!("{text}… ({} bytes)", body.len()) } else { text.into_owned() }
}

/// A URL without user information.
pub fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// Says what is sent, as a command of curl.
pub(super) fn request(log: &Log, method: &Method, url: &Url, headers: &HeaderMap, body: &Payload, secret: bool) {
    let body = match body {
        _ if secret => " -d '<secret>'".to_owned(),
        Payload::Nothing => String::new(),
        Payload::Document(bytes) => format!(" -d '{}'", shown_body(bytes)),
        Payload::Data(..) => " -T '<image data>'".to_owned(),
    };
    let headers = shown_headers(headers, false);
    log.debug(&format!("REQ: curl -g -i -X {method} {} {headers}{body}", shown_url(url)));
}
