//! Broken connections and unhappy statuses, in words for people.

use std::error::Error as _;
use std::time::Duration;

use http::StatusCode;
use rustls::AlertDescription;
use serde_json::Value;
use url::Url;

use super::Settings;
use crate::error::{Error, Kind};

const PROXY: &str = "write them into HTTPS_PROXY or HTTP_PROXY: `http://USER:PASSWORD@HOST:PORT`";
const PLAIN: &str = "if it is meant to be plain HTTP, its URL must begin with `http://`";

/// A request that got no answer.
pub(super) fn connection(error: &reqwest::Error, url: &Url, settings: &Settings) -> Error {
    Error { unsent: error.is_connect(), ..unanswered(error, url, settings) }
}

fn unanswered(error: &reqwest::Error, url: &Url, settings: &Settings) -> Error {
    let place = origin(url);
    let reason = root_cause(error);
    if let Some(tls) = find::<rustls::Error>(error) {
        return certificate(tls, &place, settings);
    }
    if error.is_timeout() {
        return Error::new(
            Kind::Network,
            format!("cannot reach `{place}`: no connection within {} s", settings.connect_limit.as_secs_f64()),
        )
        .next("check the address in the cloud's configuration, the network, and HTTPS_PROXY/NO_PROXY");
    }
    if url.scheme() == "https" && reason == "tls handshake eof" {
        return Error::new(Kind::Tls, format!("`{place}` ended the TLS handshake")).next(PLAIN);
    }
    if reason == "tunnel error: proxy authorization required" {
        return Error::new(Kind::Network, format!("the proxy on the way to `{place}` wants a user and a password"))
            .next(PROXY);
    }
    if reason.starts_with("tunnel error") {
        return Error::new(Kind::Network, format!("the proxy did not connect us to `{place}`"))
            .next("check HTTPS_PROXY; NO_PROXY names the hosts to be reached without it");
    }
    if error.is_connect() {
        return Error::new(Kind::Network, format!("cannot reach `{place}`: {reason}"))
            .next("check the address in the cloud's configuration, the network, and HTTPS_PROXY/NO_PROXY");
    }
    if reason.starts_with("invalid http") {
        return Error::new(Kind::Network, format!("`{place}` does not speak HTTP"))
            .next("if it is meant to be TLS, its URL must begin with `https://`");
    }
    Error::new(Kind::Network, format!("the connection to `{place}` broke: {reason}")).next("try again")
}

/// Whether the connection ended before the server had answered anything.
pub(super) fn was_dropped(error: &reqwest::Error) -> bool {
    !error.is_timeout()
        && !error.is_connect()
        && (root_cause(error).contains("before message completed")
            || find::<std::io::Error>(error).is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset))
}

/// Whether it is about TLS.
pub(super) fn is_tls(error: &reqwest::Error) -> bool {
    find::<rustls::Error>(error).is_some()
}

/// An answer whose body broke off.
pub(super) fn body(error: &reqwest::Error, url: &Url) -> Error {
    Error::new(Kind::Network, format!("the answer of `{}` broke off: {}", origin(url), root_cause(error)))
        .next("try again")
}

/// No byte has moved for `limit`. Of image data it is said whether it was
/// `all_sent` by then.
pub(super) fn stalled(url: &Url, limit: Duration, all_sent: Option<bool>) -> Error {
    let (place, limit) = (origin(url), limit.as_secs_f64());
    let what = match all_sent {
        None => format!("`{place}` has been silent for {limit} s"),
        Some(false) => format!("`{place}` has taken no data for {limit} s"),
        Some(true) => format!("`{place}` was sent all of the data and has said nothing for {limit} s"),
    };
    Error::new(Kind::Network, what).next("try again; `api_timeout` in clouds.yaml sets another limit")
}

/// A redirect that is not followed, and why.
pub(super) fn redirected(from: &Url, to: &Url, why: &str, status: StatusCode) -> Error {
    let (from, to) = (super::shown_url(from), super::shown_url(to));
    Error::new(Kind::Rejected, format!("`{from}` redirects to `{to}`, {why}")).with_status(status.as_u16()).next(
        "if that is the right place, name it in the cloud's configuration (`auth_url`, `image_endpoint_override`)",
    )
}

fn certificate(error: &rustls::Error, place: &str, settings: &Settings) -> Error {
    // What the lazy verifier could not read.
    if let rustls::Error::Other(rustls::OtherError(inner)) = error
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return ours.clone();
    }
    let reason = match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            // A bad signature is that of another authority of the same name.
            rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature => {
                "it is signed by an unknown authority".to_owned()
            }
            _ if super::tls::is_ca_used_as_server(error) => "it is that of an authority, not of a server".to_owned(),
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => {
                "it has expired".to_owned()
            }
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. } => {
                "it is for another name".to_owned()
            }
            other => other.to_string().to_lowercase(),
        },
        rustls::Error::InvalidMessage(_) => {
            return Error::new(Kind::Tls, format!("`{place}` does not speak TLS")).next(PLAIN);
        }
        rustls::Error::AlertReceived(alert) => {
            let what = match (alert, &settings.tls.cert) {
                // TLS 1.2 has no word of its own for it.
                (AlertDescription::CertificateRequired, _) | (AlertDescription::HandshakeFailure, None) => {
                    return Error::new(Kind::Tls, format!("`{place}` wants a client certificate"))
                        .next("name it with `--os-cert` and `--os-key` (OS_CERT, OS_KEY)");
                }
                (_, Some(_)) => "client certificate",
                (_, None) => "TLS connection",
            };
            return Error::new(Kind::Tls, format!("`{place}` refused the {what}: {alert:?}"))
                .next("ask who runs the cloud which certificate and which version of TLS it accepts");
        }
        other => {
            return Error::new(
                Kind::Tls,
                format!("no TLS connection to `{place}`: {}", other.to_string().to_lowercase()),
            );
        }
    };
    let trusted = match &settings.tls.ca {
        Some(path) => format!("`{}`", path.display()),
        None => "the system's CA certificates".to_owned(),
    };
    Error::new(Kind::Tls, format!("the certificate of `{place}` is not trusted: {reason} (checked against {trusted})"))
        .next("name the right CA file with `--os-cacert` (OS_CACERT, `cacert` in clouds.yaml), or turn the check off with `--insecure`")
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost reason, without the layers around it.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The error of type `E` in the chain, if there is one; also where one
/// `io::Error` or several wrap it, whose `source` skips what they wrap.
fn find<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    fn within<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
        let wrapped = || error.downcast_ref::<std::io::Error>()?.get_ref();
        let deeper = || error.source().and_then(within::<E>);
        error.downcast_ref::<E>().or_else(|| wrapped().and_then(|e| within::<E>(e))).or_else(deeper)
    }
    error.source().and_then(within)
}

/// What an unhappy status means, with the server's own words once; `advice` is
/// the next step after a 401.
pub(super) fn status(status: StatusCode, body: &[u8], advice: Option<&str>) -> Error {
    let code = status.as_u16();
    if code == 300 {
        // What it answers with is the list of those that it has.
        return Error::new(Kind::Unsupported, "the service does not offer the version of its API that was asked for")
            .with_status(code)
            .next("`rimg versions show` lists those that it offers; `--os-image-api-version` (OS_IMAGE_API_VERSION, `image_api_version`) asks for one");
    }
    let kind = match code {
        401 => Kind::Auth,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 | 412 => Kind::Conflict,
        413 => Kind::TooLarge,
        415 => Kind::UnsupportedMedia,
        500.. => Kind::Unavailable,
        _ => Kind::Rejected,
    };
    let name = status.canonical_reason().unwrap_or("unknown status").to_lowercase();
    let message = match server_message(body) {
        Some(words) => format!("{words} (HTTP {code} {name})"),
        None => format!("the service answered HTTP {code} {name}"),
    };
    let error = Error::new(kind, message).with_status(code);
    match code {
        401 => error.next(
            advice.unwrap_or("the token has expired or was withdrawn: run the command again, which signs in anew"),
        ),
        407 => error.next(PROXY),
        429 | 500.. => error.next("try again in a moment; if it stays, ask who runs the cloud"),
        _ => error,
    }
}

/// The message in an error body: JSON as OpenStack services write it, or an
/// HTML page without its tags. `None` if it holds no words.
fn server_message(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let found = match serde_json::from_str::<Value>(&text) {
        Ok(json) => json_message(&json)?,
        Err(_) => html_text(&text),
    };
    // Glance leaves the line breaks of its pages in JSON, and escapes them in HTML.
    let found = found.replace("<br />", " ");
    let words = found.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.trim_end_matches('.');
    let short: String = words.chars().take(400).collect();
    (!short.is_empty()).then_some(short)
}

fn json_message(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => Some(text.clone()),
        Value::Array(several) => several.iter().find_map(json_message),
        Value::Object(fields) => fields
            .get("message")
            .or_else(|| fields.get("detail"))
            .and_then(json_message)
            .or_else(|| fields.values().find_map(|value| value.is_object().then(|| json_message(value)).flatten())),
        _ => None,
    }
}

/// The text of an HTML page, without its title and its first heading: these
/// only repeat the status.
fn html_text(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag_on)) = rest.split_once('<') {
        text.push_str(before);
        let Some((tag, after)) = tag_on.split_once('>') else {
            rest = "";
            break;
        };
        let name = tag.split([' ', '/']).next().unwrap_or_default().to_ascii_lowercase();
        rest = match name.as_str() {
            "title" | "h1" | "style" | "script" => {
                let end = format!("</{name}>");
                after.to_ascii_lowercase().find(&end).map_or("", |at| &after[at + end.len()..])
            }
            _ => after,
        };
        text.push(' ');
    }
    text.push_str(rest);
    for (entity, letter) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, letter);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_words_of_an_html_error_page_are_kept_once() {
        let page = b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1>\
                     You may not &quot;publicize&quot;.&lt;br /&gt;<br /><br /></body></html>";
        let error = status(StatusCode::FORBIDDEN, page, None);
        assert_eq!(error.message, "You may not \"publicize\" (HTTP 403 forbidden)");
        assert_eq!(error.kind, Kind::Forbidden);
    }

    #[test]
    fn the_words_of_a_json_error_are_found_wherever_services_put_them() {
        for body in [
            r#"{"error": {"code": 401, "message": "Wrong."}}"#,
            r#"{"message": "Wrong.", "code": "401"}"#,
            r#"{"errors": [{"detail": "Wrong."}], "badRequest": {"message": "Wrong."}}"#,
        ] {
            assert_eq!(server_message(body.as_bytes()).unwrap(), "Wrong");
        }
    }

    #[test]
    fn an_empty_body_leaves_the_status_alone() {
        assert_eq!(status(StatusCode::BAD_GATEWAY, b"", None).message, "the service answered HTTP 502 bad gateway");
    }
}
