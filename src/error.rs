//! What went wrong, what to do next, and the exit code that says so.
//!
//! Below the commands every failure is an [`Error`]; commands may add words
//! with `anyhow`. A message is lower case, names the culprit in backticks and
//! has no full stop; `next` is the step that the reader can take.

use std::fmt;
use std::time::Duration;

/// `Result` whose error is rimg's own.
pub type Result<T> = std::result::Result<T, Error>;

/// What sort of failure it is: decides the exit code, and lets callers react.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The words or options typed make no sense. Exit code 2.
    Usage,
    /// The configuration (files, variables, flags) is missing or contradicts itself.
    Config,
    /// The cloud did not accept who we are (401, missing credentials).
    Auth,
    /// There is nothing of that name or ID (404, or an empty look-up).
    NotFound,
    /// Several things match and one was wanted.
    Ambiguous,
    /// The cloud knows us and refuses (403).
    Forbidden,
    /// The state of things forbids it (409, 412).
    Conflict,
    /// The service refuses the request itself (400 and other 4xx).
    Rejected,
    /// Over a quota or a size limit (413).
    TooLarge,
    /// The data is not of the declared format (415).
    UnsupportedMedia,
    /// The service failed (5xx).
    Unavailable,
    /// No connection, a broken one, or one that stalled.
    Network,
    /// The server's certificate, or ours, was refused.
    Tls,
    /// The bytes are not what they should be.
    Verification,
    /// A local file could not be read or written.
    Io,
    /// This service or version cannot do it.
    Unsupported,
    /// Some of several things failed, each already named on stderr.
    Partial,
    /// Ctrl-C, exit code 130; SIGTERM, 143; or SIGHUP, 129.
    Interrupted,
    /// The reader of our output went away. Exit code 141.
    BrokenPipe,
}

/// A failure for people to read: what failed, then the next step.
#[derive(Debug, Clone)]
pub struct Error {
    /// What sort of failure it is.
    pub kind: Kind,
    /// What failed, in lower case, the culprit in backticks.
    pub message: String,
    /// More of what failed, a line each: candidates, places looked at.
    pub details: Vec<String>,
    /// What the reader can do about it.
    pub next: Option<String>,
    /// The HTTP status behind it, if there was one.
    pub status: Option<u16>,
    /// How long the service asks to wait before another try.
    pub retry_after: Option<Duration>,
    /// The request behind it never left: the service has not seen it.
    pub unsent: bool,
    /// What was waited for has not ended: the service goes on with it.
    pub goes_on: bool,
}

impl Error {
    /// A failure of `kind`, described by `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            details: Vec::new(),
            next: None,
            status: None,
            retry_after: None,
            unsent: false,
            goes_on: false,
        }
    }

    /// The same failure with the step to take.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    /// The same failure with these lines below its message.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// The same failure with the HTTP status that caused it.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Wrong words or options: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Kind::Usage, message)
    }

    /// A configuration that is missing something or contradicts itself.
    pub fn config(message: impl Into<String>) -> Self {
        Error::new(Kind::Config, message)
    }

    /// Ctrl-C was pressed.
    pub fn interrupted() -> Self {
        Error::new(Kind::Interrupted, "interrupted")
    }

    /// A local file, or stdin or stdout, failed: `what` is for instance
    /// ``cannot read `x.img` ``. A broken pipe keeps its own kind.
    pub fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
            _ => Kind::Io,
        };
        Error::new(kind, format!("{what}: {}", io_reason(error)))
    }

    /// The exit code: those of `openstack` (0, 1, 2, 130, 141). Which signal
    /// interrupted is not known here.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::Interrupted => 130,
            Kind::BrokenPipe => 141,
            _ => 1,
        }
    }
}

/// The system's own words, lower case and without its error number.
fn io_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "unknown error".to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
