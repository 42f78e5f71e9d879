//! What went wrong, in Glance's words.

use std::borrow::Cow;
use std::io;

use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

/// A request that was not fulfilled: becomes the answer.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The status of the answer.
    pub status: StatusCode,
    /// Why, in words for the client.
    pub(super) explanation: Cow<'static, str>,
    /// More of why; the whole of it where the status has words of its own.
    pub(super) detail: Cow<'static, str>,
    /// What the answer has in its head, too.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What happened inside, for the log alone.
    cause: Option<String>,
}

/// What a part of the service returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of `status` for the reason given.
    pub fn new(status: StatusCode, explanation: impl Into<Cow<'static, str>>) -> Self {
        Failure { status, explanation: explanation.into(), detail: "".into(), headers: Vec::new(), cause: None }
    }

    /// 400: the request makes no sense.
    pub fn bad_request(explanation: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(StatusCode::BAD_REQUEST, explanation)
    }

    /// 401: nobody known asks. `challenge` says where tokens are to be had.
    pub fn unauthorized(challenge: &str) -> Self {
        let explanation = "This server could not verify that you are authorized to access the document you \
                           requested. Either you supplied the wrong credentials (e.g., bad password), or your \
                           browser does not understand how to supply the credentials required.";
        let failure = Failure::new(StatusCode::UNAUTHORIZED, explanation);
        match HeaderValue::from_str(challenge) {
            Ok(value) => failure.header(http::header::WWW_AUTHENTICATE, value),
            Err(_) => failure,
        }
    }

    /// 403: the caller is known and may not.
    pub fn forbidden(explanation: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(StatusCode::FORBIDDEN, explanation)
    }

    /// 404: there is none, or none that the caller may know of.
    pub fn not_found(explanation: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(StatusCode::NOT_FOUND, explanation)
    }

    /// 404 without naming what is not there.
    pub fn nothing_here() -> Self {
        Failure::not_found("The resource could not be found.")
    }

    /// 405, naming the methods that are.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "");
        failure.header(http::header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// 405 for a reason, which is all that the answer says.
    pub fn not_permitted(reason: &'static str, allowed: &'static str) -> Self {
        Failure { explanation: reason.into(), ..Failure::method_not_allowed(allowed) }
    }

    /// 409: the state of things forbids it.
    pub fn conflict(explanation: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(StatusCode::CONFLICT, explanation)
    }

    /// A failure in the words that webob has for its status, followed by `detail`:
    /// how Glance says some of its refusals, of 403, 409, 415 and 416.
    pub fn detailed(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let explanation = match status {
            StatusCode::FORBIDDEN => "Access was denied to this resource.",
            StatusCode::CONFLICT => "There was a conflict when trying to complete your request.",
            StatusCode::RANGE_NOT_SATISFIABLE => "The Range requested is not available.",
            _ => "",
        };
        let mut failure = Failure::new(status, explanation);
        failure.detail = detail.into();
        failure
    }

    /// 413: over a limit.
    pub fn too_large(explanation: impl Into<Cow<'static, str>>) -> Self {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, explanation)
    }

    /// 415: the data is not what it should be.
    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Failure::detailed(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 416: no such part of the data.
    pub fn range(detail: impl Into<Cow<'static, str>>) -> Self {
        Failure::detailed(StatusCode::RANGE_NOT_SATISFIABLE, detail)
    }

    /// 500, telling the client nothing of `cause`, which is for the log.
    pub fn internal(cause: impl Into<String>) -> Self {
        let explanation = "The server has either erred or is incapable of performing the requested operation.";
        let mut failure = Failure::new(StatusCode::INTERNAL_SERVER_ERROR, explanation);
        failure.cause = Some(cause.into());
        failure
    }

    /// The same failure with a header in its answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same failure with words of its own for the log.
    #[must_use]
    pub fn logged(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What happened, for the log.
    pub fn cause(&self) -> &str {
        match &self.cause {
            Some(cause) => cause,
            None if self.detail.is_empty() => &self.explanation,
            None => &self.detail,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => storage(io::ErrorKind::StorageFull.into()),
            _ => Failure::internal(format!("the registry: {error}")),
        }
    }
}

/// A store that fails, in Glance's words.
pub fn storage(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Failure::too_large(
            "Image storage media is full: There is not enough disk space on the image storage media.",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Insufficient permissions on image storage media: Permission to write image storage media denied.",
        ),
        _ => Failure::internal(format!("the store: {error}")),
    }
}
