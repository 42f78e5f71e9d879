//! What an answer is made of, and the answers that all rooms give.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::store::Download;
use super::web_download::Remote;

/// What an answer is made of.
pub enum Payload {
    /// Words.
    Whole(Bytes),
    /// Image data.
    File(Download),
    /// Image data that is elsewhere.
    Remote(Remote),
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::Whole(bytes)
    }
}

impl http_body::Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Payload::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Payload::File(download) => Pin::new(download).poll_frame(context),
            Payload::Remote(remote) => Pin::new(remote).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Payload::Whole(bytes) => bytes.is_empty(),
            Payload::File(download) => download.is_end_stream(),
            Payload::Remote(remote) => remote.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Payload::File(download) => download.size_hint(),
            Payload::Remote(remote) => remote.size_hint(),
        }
    }
}

/// The answer to a request: `status`, and `value` as JSON.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Payload> {
    // What this program writes always can be: there is no map in it whose keys are not text.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Payload::from(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The answer to who forgot the slash after the version.
pub fn moved(url: &str) -> Response<Payload> {
    let mut answer = Response::new(Payload::from(Bytes::new()));
    *answer.status_mut() = StatusCode::FOUND;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf8"));
    if let Ok(url) = HeaderValue::from_str(url) {
        headers.insert(LOCATION, url);
    }
    answer
}

/// The answer that has nothing to say but that it was done.
pub fn no_content() -> Response<Payload> {
    let mut answer = Response::new(Payload::from(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// The answer of which nothing but the status is of interest.
pub fn bare(status: StatusCode) -> Response<Payload> {
    let mut answer = Response::new(Payload::from(Bytes::new()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    headers.insert(CONTENT_LENGTH, 0.into());
    answer
}
