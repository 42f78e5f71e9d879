//! A request: what is asked, by whom, and its body, read within limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::HeaderMap;
use http::{Method, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::caller::Caller;
use super::failure::{Failure, Result};

/// What a client sends after its headers, a piece at a time.
pub struct Body {
    pub(super) incoming: Option<Incoming>,
    pub(super) stall: Duration,
    /// How many bytes came, for the log.
    pub(super) received: Arc<AtomicU64>,
}

impl Body {
    /// The next piece; `None` at the end. A client that sends nothing for too
    /// long, or goes away, is a failure.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let Some(incoming) = &mut self.incoming else { return Ok(None) };
        loop {
            match tokio::time::timeout(self.stall, incoming.frame()).await {
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing that we want to know.
                    if let Ok(piece) = frame.into_data() {
                        self.received.fetch_add(piece.len() as u64, Ordering::Relaxed);
                        return Ok(Some(piece));
                    }
                }
                Ok(None) => {
                    self.incoming = None;
                    return Ok(None);
                }
                Ok(Some(Err(_))) => return Err(Failure::bad_request("The body of the request was cut short.")),
                Err(_) => {
                    return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "The client sent nothing for too long."));
                }
            }
        }
    }

    /// The whole, if it is of no more than `limit` bytes.
    pub async fn whole(&mut self, limit: usize) -> Result<Bytes> {
        let too_large = || Failure::too_large("The body of your request was too large for this server.");
        let length = self.incoming.as_ref().map_or(0, |incoming| incoming.size_hint().lower());
        if length > limit as u64 {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Whether all of it was read.
    pub fn is_finished(&self) -> bool {
        self.incoming.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    /// Goes on reading what nobody wants, for a while: a connection that is
    /// closed while the client still sends loses the answer on its way
    /// (RFC 9112, section 9.6).
    pub async fn linger(mut self) {
        const LONGEST: Duration = Duration::from_secs(10);
        let _ = tokio::time::timeout(LONGEST, async { while let Ok(Some(_)) = self.piece().await {} }).await;
    }
}

/// A request, and who made it.
pub struct Asked {
    /// What is to be done.
    pub method: Method,
    /// The parts of the path after the version, decoded.
    pub path: Vec<String>,
    /// What follows the `?`, as it was sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// The body, still to be read.
    pub body: Body,
    /// The name of the request, as the answer will tell it.
    pub request_id: String,
    /// Where the client says that we are: `http://host:port`.
    pub base: String,
}

impl Asked {
    /// A header's text, if there is one of that name.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request says that a body follows.
    pub fn has_body(&self) -> bool {
        self.body.incoming.as_ref().is_some_and(|incoming| !incoming.is_end_stream())
    }

    /// The body as JSON: an object or an array.
    pub async fn json(&mut self, limit: usize) -> Result<serde_json::Value> {
        let expected = || Failure::bad_request("Body expected in request.");
        if !self.has_body() {
            return Err(expected());
        }
        let bytes = self.body.whole(limit).await?;
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| Failure::bad_request("Malformed JSON in request body."))?;
        if !value.is_object() && !value.is_array() {
            return Err(Failure::bad_request("Unexpected body type. Expected list/dict."));
        }
        Ok(value)
    }
}

/// A request that has no body, as it should be.
pub fn bodiless(asked: &mut Asked) -> Result<&mut Asked> {
    match asked.has_body() {
        true => Err(Failure::bad_request("A body is not expected with this request.")),
        false => Ok(asked),
    }
}
