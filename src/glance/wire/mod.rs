//! Nouns to bytes and back, for each version of the Images API. Pure: no
//! connection, no clock.

pub mod metadefs;
pub mod v1;
pub mod v2;

use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::image::Fields;

/// One thing of an answer, whatever it is.
pub fn fields(body: Value) -> Result<Fields> {
    match body {
        Value::Object(fields) => Ok(fields),
        _ => Err(malformed()),
    }
}

/// What an answer lists under `key`.
pub fn listed(body: Value, key: &str) -> Result<Vec<Fields>> {
    match fields(body)?.remove(key) {
        Some(Value::Array(listed)) => listed.into_iter().map(fields).collect(),
        _ => Err(malformed()),
    }
}

/// A list of texts.
pub fn texts(body: &Value) -> Result<Vec<String>> {
    let one = |text: &Value| text.as_str().map(str::to_owned);
    body.as_array().and_then(|texts| texts.iter().map(one).collect()).ok_or_else(malformed)
}

/// An answer that is none of Glance's.
pub fn malformed() -> Error {
    Error::new(Kind::Unavailable, "the image service answered with something else than was asked for")
        .next("check that the endpoint is Glance itself, not a web page or a proxy")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_as_told_is_refused() {
        assert!(texts(&json!([1])).is_err());
        assert!(fields(json!([])).is_err());
        assert!(listed(json!({"other": []}), "images").is_err());
    }
}
