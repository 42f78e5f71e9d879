//! `image location …`

pub mod add;
pub mod delete;
pub mod list;
pub mod set;

use url::Url;

/// Reads the URL of a location, whatever its store's scheme.
fn url(text: &str) -> Result<String, String> {
    match Url::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!("`{text}` is not a URL")),
    }
}
