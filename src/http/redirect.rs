//! Redirects, and what may follow them.

use http::HeaderMap;
use http::header::LOCATION;
use url::Url;

use super::Answer;

/// Where `answer`, which came from `from`, points to.
pub(super) fn target(answer: &Answer, from: &Url) -> Option<Url> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = from.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    (matches!(to.scheme(), "http" | "https") && to.host().is_some()).then_some(to)
}

/// Whether what may be shown to `one` may be shown to `other`: the same host and
/// port, or the same host with TLS where it had none.
pub(super) fn same_service(one: &Url, other: &Url) -> bool {
    let (port, other_port) = (one.port_or_known_default(), other.port_or_known_default());
    let encrypted = one.scheme() == "http" && other.scheme() == "https";
    one.origin() == other.origin()
        || one.host() == other.host()
            && encrypted
            && (port == other_port || (port, other_port) == (Some(80), Some(443)))
}

/// Takes what is secret out of `headers`.
pub(super) fn drop_secrets(headers: &mut HeaderMap) {
    let secret: Vec<_> =
        headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
    for name in secret {
        headers.remove(name);
    }
}
