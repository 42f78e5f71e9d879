//! The way out: reading data from the web, for an import, for what v1 copies, and
//! of images whose data is elsewhere; from nowhere but where the settings allow.
//!
//! The address that a name stands for is looked up once, checked, and then used,
//! so that the name cannot come to stand for another in between. Each redirect
//! is held against the same rules.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{Method, StatusCode};
use http_body::{Frame, SizeHint};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use url::{Host, Url};

use super::failure::{Failure, Result};

/// From where data may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebFilter {
    /// The schemes: `http`, `https`.
    pub schemes: Vec<String>,
    /// The hosts, by name or address. If empty, all but this machine and its
    /// own link; a host that is named here may also be one of those.
    pub hosts: Vec<String>,
    /// The ports; if empty, all.
    pub ports: Vec<u16>,
}

/// Glance's defaults.
impl Default for WebFilter {
    fn default() -> Self {
        WebFilter { schemes: vec!["http".to_owned(), "https".to_owned()], hosts: Vec::new(), ports: vec![80, 443] }
    }
}

/// Redirects that are followed.
const REDIRECTS: usize = 10;

impl WebFilter {
    /// The addresses that may be read from for this URI, if there are any.
    /// Waits for the name to be looked up.
    pub fn addresses(&self, uri: &Url) -> Option<Vec<SocketAddr>> {
        match self.way(uri) {
            Way::Open(addresses) => Some(addresses),
            Way::Closed | Way::Unknown => None,
        }
    }

    /// Where this URI leads. Waits for the name to be looked up.
    pub fn way(&self, uri: &Url) -> Way {
        self.found(uri).unwrap_or(Way::Closed)
    }

    fn found(&self, uri: &Url) -> Option<Way> {
        let known = matches!(uri.scheme(), "http" | "https");
        if !known || !self.schemes.iter().any(|scheme| scheme == uri.scheme()) {
            return None;
        }
        let host = uri.host()?;
        let port = uri.port_or_known_default()?;
        // As Glance, which asks only about a port that is written out.
        if !self.ports.is_empty() && !self.ports.contains(&port) && uri.port().is_some() {
            return None;
        }
        let name = uri.host_str()?.trim_matches(['[', ']']).trim_end_matches('.').to_lowercase();
        let is_named = self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name));
        if !self.hosts.is_empty() && !is_named {
            return None;
        }
        let found: Vec<SocketAddr> = match host {
            Host::Ipv4(address) => vec![(address, port).into()],
            Host::Ipv6(address) => vec![(address, port).into()],
            Host::Domain(domain) => match (domain, port).to_socket_addrs() {
                Ok(found) => found.collect(),
                Err(_) => return Some(Way::Unknown),
            },
        };
        let found: Vec<_> = found.into_iter().filter(|address| is_named || !is_near(address.ip())).collect();
        (!found.is_empty()).then_some(Way::Open(found))
    }
}

/// Where a URI leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Way {
    /// To where the settings do not allow to go.
    Closed,
    /// To a name that nobody knows now.
    Unknown,
    /// To these addresses.
    Open(Vec<SocketAddr>),
}

/// Whether an address is this machine's own, or of its own link, where services
/// trust whoever reaches them.
fn is_near(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        four => four,
    };
    match address {
        IpAddr::V4(four) => four.is_loopback() || four.is_link_local() || four.is_unspecified(),
        IpAddr::V6(six) => six.is_loopback() || six.is_unicast_link_local() || six.is_unspecified(),
    }
}

/// Data on its way in.
pub struct Reading {
    response: reqwest::Response,
    stall: Duration,
    /// How many bytes will come, if the server says so.
    pub length: Option<u64>,
}

impl Reading {
    /// Asks for the data at `uri`. `stall` is how long nothing may come.
    pub async fn begin(filter: &WebFilter, uri: &Url, stall: Duration) -> Result<Self> {
        Reading::ask(Method::GET, filter, uri, stall).await
    }

    /// How many bytes the data at `uri` has, if the server says so.
    pub async fn size(filter: &WebFilter, uri: &Url, stall: Duration) -> Result<Option<u64>> {
        let headers = Reading::ask(Method::HEAD, filter, uri, stall).await?.response.headers().clone();
        Ok(headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()))
    }

    async fn ask(method: Method, filter: &WebFilter, uri: &Url, stall: Duration) -> Result<Self> {
        let mut uri = uri.clone();
        for _ in 0..=REDIRECTS {
            let response = tokio::time::timeout(stall, ask(&method, filter, &uri, stall))
                .await
                .map_err(|_| Failure::bad_request("the server did not answer in time"))??;
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
                let next = location.and_then(|location| uri.join(location).ok());
                uri = next.ok_or_else(|| Failure::bad_request("a redirect leads nowhere"))?;
                continue;
            }
            if status != StatusCode::OK {
                let words = format!("the server answered {status}");
                return Err(match status {
                    StatusCode::NOT_FOUND => Failure::not_found(words),
                    _ => Failure::bad_request(words),
                });
            }
            let length = response.content_length();
            return Ok(Reading { response, stall, length });
        }
        Err(Failure::bad_request("there are too many redirects"))
    }

    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        match tokio::time::timeout(self.stall, self.response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(Failure::bad_request(format!("the data broke off: {}", error.without_url()))),
            Err(_) => Err(Failure::bad_request("the server sent nothing for too long")),
        }
    }
}

/// Data that is passed on to a client while it is read.
pub struct Remote {
    pieces: mpsc::Receiver<Result<Bytes>>,
    left: u64,
}

impl Remote {
    /// Passes on `size` bytes; fewer or more break it off.
    pub fn begin(mut reading: Reading, size: u64) -> Self {
        let (feed, pieces) = mpsc::channel(2);
        tokio::spawn(async move {
            while let Some(piece) = reading.piece().await.transpose() {
                let is_last = piece.is_err();
                // Nobody takes it any more.
                if feed.send(piece).await.is_err() || is_last {
                    return;
                }
            }
        });
        Remote { pieces, left: size }
    }
}

impl http_body::Body for Remote {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match ready!(self.pieces.poll_recv(context)) {
            Some(Ok(piece)) => piece,
            Some(Err(failure)) => return Poll::Ready(Some(Err(io::Error::other(failure.cause().to_owned())))),
            None => return Poll::Ready(Some(Err(io::Error::other("the data elsewhere is shorter than the image")))),
        };
        let Some(left) = self.left.checked_sub(piece.len() as u64) else {
            return Poll::Ready(Some(Err(io::Error::other("the data elsewhere is longer than the image"))));
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

async fn ask(method: &Method, filter: &WebFilter, uri: &Url, stall: Duration) -> Result<reqwest::Response> {
    let addresses = {
        let (filter, uri) = (filter.clone(), uri.clone());
        super::aside::aside(move || Ok(filter.way(&uri))).await?
    };
    let addresses = match addresses {
        Way::Open(addresses) => addresses,
        Way::Closed => return Err(Failure::bad_request(format!("Redirect to disallowed URL: {uri}"))),
        Way::Unknown => return Err(Failure::bad_request("the name of the server is not known")),
    };
    let failed = |e: reqwest::Error| Failure::bad_request(format!("cannot read from there: {}", e.without_url()));
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(trust()?)
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(stall)
        .resolve_to_addrs(uri.host_str().unwrap_or_default(), &addresses)
        .build()
        .map_err(failed)?;
    client.request(method.clone(), uri.clone()).send().await.map_err(failed)
}

/// Trusts whom this machine trusts.
fn trust() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Failure::internal(e.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allows(filter: &WebFilter, uri: &str) -> bool {
        filter.addresses(&Url::parse(uri).unwrap()).is_some()
    }

    #[test]
    fn by_default_the_way_leads_out_and_not_home() {
        let filter = WebFilter::default();
        for (uri, allowed) in [
            ("http://192.0.2.1/x", true),
            ("https://192.0.2.1/x", true),
            ("https://192.0.2.1:80/x", true),
            ("http://192.0.2.1:8080/x", false),
            ("http://127.0.0.1/x", false),
            ("http://2130706433/x", false),
            ("http://localhost/x", false),
            ("http://169.254.169.254/latest", false),
            ("http://0.0.0.0/x", false),
            ("http://[::1]/x", false),
            ("http://[::ffff:127.0.0.1]/x", false),
            ("ftp://192.0.2.1/x", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(allows(&filter, uri), allowed, "{uri}");
        }
    }

    #[test]
    fn hosts_that_are_named_are_the_only_ones() {
        let filter = WebFilter { hosts: vec!["127.0.0.1".to_owned()], ports: vec![8000], ..WebFilter::default() };
        assert!(allows(&filter, "http://127.0.0.1:8000/x"));
        assert!(!allows(&filter, "http://192.0.2.1:8000/x"));
        assert!(!allows(&filter, "http://127.0.0.1:8001/x"));
    }
}
