//! An answer, and its body as it comes.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::trace::{shown_body, shown_url};
use super::{failure, retry};
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::log::{Level, Log};

/// The largest answer that is read as a document, in bytes: a page of 1,000
/// images with 128 properties each stays well below it.
const DOCUMENT_LIMIT: usize = 64 * 1024 * 1024;

/// The service's answer, its body not yet read.
#[derive(Debug)]
pub struct Answer {
    pub(super) inner: reqwest::Response,
    pub(super) stall_limit: Duration,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) log: Log,
    pub(super) secret: bool,
    /// What to do about a 401.
    pub(super) advice: Option<&'static str>,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// A header that is plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The announced length of the body, in bytes.
    pub fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok())
    }

    /// As [`ok`](Self::ok), for a list of versions, which often comes with the
    /// status 300.
    pub async fn ok_or_choices(self) -> Result<Self> {
        match self.status() {
            StatusCode::MULTIPLE_CHOICES => Ok(self),
            _ => self.ok().await,
        }
    }

    /// The answer itself if it is a success; otherwise the error it describes.
    pub async fn ok(mut self) -> Result<Self> {
        let status = self.status();
        if status.is_success() {
            return Ok(self);
        }
        let retry_after = retry::retry_after(self.headers());
        let (advice, body) = (self.advice, self.beginning(64 * 1024).await?);
        let error = failure::status(status, &body, advice);
        Err(Error { retry_after, ..error })
    }

    /// What the status alone means.
    pub(super) fn status_error(&self) -> Error {
        Error { retry_after: retry::retry_after(self.headers()), ..failure::status(self.status(), b"", self.advice) }
    }

    /// The body as JSON.
    pub async fn json(self) -> Result<Value> {
        let url = self.inner.url().clone();
        let (log, secret) = (self.log.clone(), self.secret);
        let body = self.bounded(DOCUMENT_LIMIT).await?;
        if log.says(Level::Debug) && !secret {
            log.debug(&format!("RESP BODY: {}", shown_body(&body)));
        }
        serde_json::from_slice(&body).map_err(|_| {
            Error::new(Kind::Unavailable, format!("`{}` did not answer with JSON", shown_url(&url)))
                .next("check that the endpoint is the OpenStack service itself, not a web page or a proxy")
        })
    }

    /// The beginning of the body, as far as it comes; only an interrupt is an error.
    pub(super) async fn beginning(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while body.len() < limit {
            match self.chunk().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(limit);
        Ok(body)
    }

    /// Reads the body, up to `limit` bytes; a longer one is an error.
    async fn bounded(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if body.len() + piece.len() > limit {
                return Err(Error::new(
                    Kind::Unavailable,
                    format!("`{}` answered with more than {} MiB", shown_url(self.inner.url()), limit >> 20),
                )
                .next("check that the endpoint is the OpenStack service itself"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The next piece of the body; `None` at its end. A body that ends short of
    /// its announced length is an error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let url = self.inner.url().clone();
        let limit = self.stall_limit;
        let next = async {
            match tokio::time::timeout(limit, self.inner.chunk()).await {
                Ok(piece) => piece.map_err(|e| failure::body(&e, &url)),
                Err(_) => Err(failure::stalled(&url, limit, None)),
            }
        };
        match &self.interrupt {
            Some(interrupt) => interrupt.or(next).await,
            None => next.await,
        }
    }
}
