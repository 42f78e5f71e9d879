//! Answers and errors in Keystone's form.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::asked::ROOT;
use crate::local::answer::Payload;
use crate::local::caller::Caller;

/// What the Identity API answers.
pub struct Reply {
    /// The answer.
    pub answer: Response<Payload>,
    /// Who asked, once that is known.
    pub caller: Option<Arc<Caller>>,
    /// Why it was refused, for the log.
    pub cause: Option<String>,
}

impl Reply {
    /// `value` as JSON.
    pub fn json(status: StatusCode, value: &Value) -> Self {
        let mut answer = Response::new(Payload::from(Bytes::from(value.to_string())));
        *answer.status_mut() = status;
        Reply { answer, caller: None, cause: None }
            .header(CONTENT_TYPE, "application/json")
            .header(http::header::VARY, "X-Auth-Token")
    }

    /// 204: it was done, and there is no more to say.
    pub fn no_content() -> Self {
        let mut reply = Reply::json(StatusCode::NO_CONTENT, &Value::Null);
        *reply.answer.body_mut() = Payload::from(Bytes::new());
        reply.answer.headers_mut().remove(CONTENT_TYPE);
        reply
    }

    /// The same, with who asked for it.
    pub fn by(mut self, caller: &Arc<Caller>) -> Self {
        self.caller = Some(Arc::clone(caller));
        self
    }

    /// The same with a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.answer.headers_mut().insert(name, value);
        }
        self
    }
}

/// Why a request is not fulfilled.
pub struct Refusal {
    status: StatusCode,
    message: String,
    /// More members of `error`.
    more: Option<(&'static str, Value)>,
}

/// What a part of the identity service returns.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// A refusal of `status` for the reason given.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Refusal { status, message: message.into(), more: None }
    }

    /// 400: `what` is missing in `place`.
    pub fn expecting(what: &str, place: &str) -> Self {
        let message = format!(
            "Expecting to find {what} in {place}. The server could not comply with the request since it is either \
             malformed or otherwise incorrect. The client is assumed to be in error."
        );
        Refusal::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400: neither ID nor name stands in `place`.
    pub fn nameless(place: &str) -> Self {
        let message = format!("Invalid input for field {place}: id or name must be present.");
        Refusal::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401, whatever is wrong: who does not know the password learns nothing.
    pub fn unauthorized() -> Self {
        Refusal::new(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.")
    }

    /// 401: there is no such way to sign in.
    pub fn unsupported_method(methods: &[&str]) -> Self {
        let message = "Attempted to authenticate with an unsupported method.";
        let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, message);
        refusal.more = Some(("identity", json!({"methods": methods})));
        refusal
    }

    /// 403: the caller may not do `action`, such as `identity:list_users`.
    pub fn forbidden(action: Option<&str>) -> Self {
        let what = action.map(|action| format!(": {action}")).unwrap_or_default();
        let message = format!("You are not authorized to perform the requested action{what}.");
        Refusal::new(StatusCode::FORBIDDEN, message)
    }

    /// 403: nobody may change what stands in the configuration file.
    pub fn fixed() -> Self {
        let message = "What there is on this service comes from its configuration file, and is not changed here.";
        Refusal::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: there is no `what` of this ID.
    pub fn not_found(what: &str, id: &str) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, format!("Could not find {what}: {id}."))
    }

    /// The answer that says so; `base` is where the client says that we are.
    pub fn reply(self, base: &str) -> Reply {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let mut error = json!({"code": self.status.as_u16(), "message": self.message, "title": title});
        if let Some((key, value)) = self.more {
            error[key] = value;
        }
        let mut reply = Reply::json(self.status, &json!({"error": error}));
        reply.cause = Some(self.message);
        match self.status {
            StatusCode::UNAUTHORIZED => {
                reply.header(http::header::WWW_AUTHENTICATE, &format!("Keystone uri=\"{base}/{ROOT}/v3\""))
            }
            _ => reply,
        }
    }
}

/// 404 for what is not part of the API: in HTML, as Flask says it below Keystone.
pub fn no_page() -> Reply {
    let text = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n\
                <p>This service has nothing at that address.</p>\n";
    let mut answer = Response::new(Payload::from(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    let cause = Some("no such page".to_owned());
    Reply { answer, caller: None, cause }.header(CONTENT_TYPE, "text/html; charset=utf-8")
}

/// 405, naming the methods that there are.
pub fn no_method(allowed: &str) -> Reply {
    let message = json!({"message": "The method is not allowed for the requested URL."});
    Reply::json(StatusCode::METHOD_NOT_ALLOWED, &message).header(ALLOW, allowed)
}
