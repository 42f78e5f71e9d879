//! A request to the Identity API.

use bytes::Bytes;
use http::{HeaderMap, Method};

/// The first part of the path of everything here.
pub const ROOT: &str = "identity";

/// A request to the Identity API.
pub struct Asked {
    /// What is to be done.
    pub method: Method,
    /// The parts of the path after [`ROOT`], decoded.
    pub path: Vec<String>,
    /// What follows the `?`, as it was sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Where the client says that we are: `http://host:port`.
    pub base: String,
}

impl Asked {
    /// A header's text, if there is one of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A link to something below `/v3`.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}/{ROOT}/v3{path}", self.base)
    }
}
