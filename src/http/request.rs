//! A request, before it is sent.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::Credential;
use crate::transfer::{Meter, Outbody};

/// A request to be sent.
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Payload,
    pub(super) credential: Option<Credential>,
    pub(super) secret: bool,
}

/// What a request carries.
pub(super) enum Payload {
    Nothing,
    Document(Vec<u8>),
    Data(Outbody, Arc<Meter>),
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Request { method, url, headers, body: Payload::Nothing, credential: None, secret: false }
    }

    /// A GET of `url`.
    pub fn get(url: Url) -> Self {
        Request::new(Method::GET, url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds headers.
    #[must_use]
    pub fn headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Shows who asks. When that is refused (401) it is renewed and the request
    /// sent again, once, unless its body streams by.
    #[must_use]
    pub fn credential(mut self, credential: &Credential) -> Self {
        self.credential = Some(credential.clone());
        self
    }

    /// Sends `document` as JSON.
    #[must_use]
    pub fn json(mut self, document: &Value) -> Self {
        self.body = Payload::Document(document.to_string().into_bytes());
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// Streams image data, counted by `meter`.
    #[must_use]
    pub fn data(mut self, body: Outbody, meter: Arc<Meter>) -> Self {
        self.body = Payload::Data(body, meter);
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        self
    }

    /// Where it goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The same request once more; image data cannot be had a second time.
    pub(super) fn again(&self) -> Option<Request> {
        let body = match &self.body {
            Payload::Nothing => Payload::Nothing,
            Payload::Document(bytes) => Payload::Document(bytes.clone()),
            Payload::Data(..) => return None,
        };
        let Request { method, url, headers, credential, secret, .. } = self;
        Some(Request {
            method: method.clone(),
            url: url.clone(),
            headers: headers.clone(),
            body,
            credential: credential.clone(),
            secret: *secret,
        })
    }

    /// Keeps bodies and headers of this exchange out of the trace altogether.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}
