//! One version of the Images API at one address: what requests to it have in common.

use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Credential, Http, Request};
use crate::image::Image;

/// Statuses that may be better next time (RFC 9110, section 15.6; RFC 6585, section 4).
pub(super) const PASSING: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// Where requests go, and who asks.
pub(super) struct Api {
    /// The client.
    pub http: Http,
    /// Ends in the version.
    pub base: Url,
    /// What to show it.
    pub credential: Credential,
}

impl Api {
    /// The same for clean-up after an interrupt: it does not stop for one.
    pub fn undisturbed(&self) -> Self {
        Api {
            http: self.http.undisturbed().insisting(false),
            base: self.base.clone(),
            credential: self.credential.clone(),
        }
    }

    /// The URL of a resource, each part encoded as one path segment.
    pub fn url(&self, parts: &[&str]) -> Result<Url> {
        let mut url = self.base.clone();
        for part in parts {
            // URL parsers take these for steps in the path, encoded or not.
            if matches!(*part, "" | "." | "..") {
                return Err(Error::usage(format!("`{part}` cannot be used here")));
            }
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        Ok(url)
    }

    /// Shows a new token from now on; `false` where none can be had.
    pub async fn renew(&self) -> Result<bool> {
        match self.credential.can_renew() {
            true => self.credential.renew(&self.http).await.map(|()| true),
            false => Ok(false),
        }
    }

    /// How long the token that is shown is still good for, if that is known.
    pub fn token_life(&self) -> Option<Duration> {
        let left = self.credential.expires_at()?.duration_since(Timestamp::now());
        // One that has expired already is no reason to wait.
        Some(Duration::try_from(left).unwrap_or_default())
    }

    /// A request that shows who asks.
    pub fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).credential(&self.credential)
    }

    /// Sends `request`; an answer that is no success is an error.
    pub async fn send(&self, request: Request) -> Result<Answer> {
        self.http.send(request).await?.ok().await
    }

    /// Asks for a resource, without a body.
    pub async fn call(&self, method: Method, parts: &[&str]) -> Result<Answer> {
        self.send(self.request(method, self.url(parts)?)).await
    }
}

/// The one image among those `found` under a name.
pub(super) fn only(name_or_id: &str, mut found: Vec<Image>) -> Result<Image> {
    if found.len() > 1 {
        let lines = found.iter().map(|image| {
            format!("{}  {}  {}", image.id(), image.status(), image.created_at().unwrap_or("date unknown"))
        });
        return Err(Error::new(Kind::Ambiguous, format!("{} images are named `{name_or_id}`", found.len()))
            .details(lines.collect::<Vec<_>>())
            .next("use the ID of the one you mean"));
    }
    found.pop().ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no image with the name or ID `{name_or_id}`"))
            .next("`rimg image list` shows the images that you can see")
    })
}

/// Whether a text has the form of an image ID: Glance makes no others.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_form_of_a_uuid_is_looked_up_as_an_id() {
        assert!(is_uuid("1bea47ed-f6a9-463b-b423-14b9cca9ad27"));
        assert!(!is_uuid("1bea47ed-f6a9-463b-b423-14b9cca9ad2g"));
        assert!(!is_uuid("cirros"));
    }
}
