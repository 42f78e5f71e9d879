//! Image data: up, aside, and down
//! (<https://docs.openstack.org/api-ref/image/v2/#image-data>).

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, RANGE};
use http::{Response, StatusCode};

use super::query;
use crate::local::answer::{Payload, no_content};
use crate::local::failure::{Failure, Result};
use crate::local::pipeline::{self, Destination, Facts, Failed, Feed, Terms};
use crate::local::registry::{Image, Status};
use crate::local::request::Asked;
use crate::local::serve_data;
use crate::local::service::Service;

/// `PUT /v2/images/{id}/file`
pub async fn upload(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    check_type(asked)?;
    let declared = declared_size(asked)?;
    let store = match asked.header("x-image-meta-store") {
        None => service.default_store(),
        Some(name) => service.store(name)?,
    };
    let destination = Destination::Store(store.name.clone());
    let caller = Arc::clone(&asked.caller);
    pipeline::upload(service, &caller, id, destination, terms(declared), Feed::Body(&mut asked.body)).await?;
    Ok(no_content())
}

/// `PUT /v2/images/{id}/stage`
pub async fn stage(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    if !service.settings.import_methods.iter().any(|method| method == "glance-direct") {
        return Err(Failure::not_found("'glance-direct' method is not available at this site."));
    }
    check_type(asked)?;
    let declared = declared_size(asked)?;
    let caller = Arc::clone(&asked.caller);
    pipeline::upload(service, &caller, id, Destination::Staging, terms(declared), Feed::Body(&mut asked.body)).await?;
    Ok(no_content())
}

fn terms(declared: Option<i128>) -> Terms {
    Terms { declared, facts: Facts::default(), inspected: true, failed: Failed::Queued }
}

/// Data is `application/octet-stream` and nothing else.
fn check_type(asked: &Asked) -> Result<()> {
    let given = asked.header(CONTENT_TYPE);
    let kind = given.map(|given| given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match kind.as_deref() {
        Some("application/octet-stream") => Ok(()),
        kind => Err(Failure::unsupported_media_type(format!("Invalid content type {}", kind.unwrap_or("None")))),
    }
}

/// How many bytes the client says that the data has. None and 0 mean that it
/// does not know.
fn declared_size(asked: &Asked) -> Result<Option<i128>> {
    let Some(size) = asked.header("x-openstack-image-size").or(asked.header(CONTENT_LENGTH)) else { return Ok(None) };
    let size: i128 =
        size.trim().parse().map_err(|_| Failure::bad_request("Invalid or missing image size in request headers."))?;
    Ok(Some(size).filter(|size| *size != 0))
}

/// `GET /v2/images/{id}/file`
pub async fn download(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let pairs = query::pairs(&asked.query);
    let preferred = pairs.into_iter().find(|(name, _)| name == "prefer").map(|(_, stores)| stores).unwrap_or_default();
    let preferred: Vec<String> =
        preferred.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let caller = Arc::clone(&asked.caller);
    let (image, files) = service.read(|session| {
        let image = service.image(session, &caller, id)?;
        if image.status == Status::Deactivated && !caller.is_admin {
            return Err(Failure::forbidden(
                "The requested image has been deactivated. Image data download is forbidden.",
            ));
        }
        service.enforce("download_image", &caller, &image)?;
        if !preferred.is_empty() {
            service.enforce("download_from_store", &caller, &image)?;
        }
        for name in &preferred {
            service.store(name).map_err(|_| Failure::bad_request(format!("Store '{name}' is not configured.")))?;
        }
        let mut files = serve_data::stored(session, id)?;
        // Those preferred first, else as they came.
        files.sort_by_key(|(file, _)| !preferred.contains(&file.store));
        Ok((image, files))
    })?;
    if let Some(location) = &image.location {
        return elsewhere(service, asked, &image, location).await;
    }
    let Some(size) = files.first().and_then(|(file, _)| file.size) else { return Ok(no_content()) };
    let part = Part::asked(asked, size)?;
    let Part { start, end } = part.unwrap_or(Part { start: 0, end: size });
    let download = serve_data::download(service, id, files, start, end).await?;
    let mut answer = Response::new(Payload::File(download));
    if part.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if part.is_some()
        && let Ok(range) = HeaderValue::from_str(&format!("bytes {start}-{}/{size}", end.saturating_sub(1)))
    {
        headers.insert(CONTENT_RANGE, range);
    }
    if let Some(md5) = image.checksum.as_deref().and_then(|md5| HeaderValue::from_str(md5).ok()) {
        headers.insert(HeaderName::from_static("content-md5"), md5);
    }
    headers.insert(CONTENT_LENGTH, (end - start).into());
    Ok(answer)
}

/// The data of an image that is in no store of ours, as it comes from there.
async fn elsewhere(service: &Service, asked: &Asked, image: &Image, location: &str) -> Result<Response<Payload>> {
    if asked.header(RANGE).or(asked.header(CONTENT_RANGE)).is_some() {
        return Err(Failure::bad_request("Getting images randomly from this store is not supported."));
    }
    let (remote, size) = serve_data::remote(service, image, location).await?;
    let mut answer = Response::new(Payload::Remote(remote));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, size.into());
    Ok(answer)
}

/// Bytes from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    start: u64,
    end: u64,
}

impl Part {
    /// The part that a request asks for, by `Range` or, as Glance also takes
    /// it, by `Content-Range`.
    fn asked(asked: &Asked, size: u64) -> Result<Option<Part>> {
        if let Some(range) = asked.header(RANGE) {
            return Part::of_range(range, size).map(Some);
        }
        match asked.header(CONTENT_RANGE) {
            Some(range) => Part::of_content_range(range, size).map(Some),
            None => Ok(None),
        }
    }

    /// `bytes=0-9`, `bytes=10-`, `bytes=-10` (RFC 9110, section 14.1.2).
    fn of_range(range: &str, size: u64) -> Result<Part> {
        if range.contains(',') {
            return Err(Failure::bad_request(
                "Requests with multiple ranges are not supported in Glance. You may make multiple single-range \
                 requests instead.",
            ));
        }
        let invalid = || Failure::range("Invalid Range header.");
        let unit = range.get(..5).ok_or_else(invalid)?;
        let spec = range[5..].trim_start().strip_prefix('=').ok_or_else(invalid)?;
        let (first, last) = spec.split_once('-').ok_or_else(invalid)?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return Err(invalid());
        }
        // As webob: what follows the last number does not matter.
        let ((first, rest), (last, _)) = (leading_digits(first), leading_digits(last));
        if !rest.is_empty() {
            return Err(invalid());
        }
        let value = |digits: &str| (!digits.is_empty()).then(|| digits.parse::<u64>().unwrap_or(u64::MAX));
        let (start, end) = match (value(first), value(last)) {
            (None, None) => return Err(invalid()),
            (None, Some(0)) => (0, size),
            (None, Some(count)) => (size.saturating_sub(count), size),
            (Some(start), None) => (start, size),
            (Some(start), Some(last)) if start > last => return Err(invalid()),
            (Some(start), Some(last)) => (start, last.saturating_add(1).min(size)),
        };
        if start >= size {
            return Err(outside("Invalid start position in Range header. Start position", size));
        }
        Ok(Part { start, end })
    }

    /// `bytes 0-9/100`, `bytes 0-9/*`.
    fn of_content_range(range: &str, size: u64) -> Result<Part> {
        let invalid = || Failure::range("Invalid Content-Range header.");
        let spec = range.strip_prefix("bytes ").ok_or_else(invalid)?;
        let (part, length) = spec.split_once('/').ok_or_else(invalid)?;
        let (start, last) = part.split_once('-').ok_or_else(invalid)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| invalid());
        let (start, end) = (number(start)?, number(last)?.saturating_add(1));
        let length = match length {
            "*" => None,
            length => Some(number(length)?),
        };
        if start >= end || length.is_some_and(|length| end > length) {
            return Err(invalid());
        }
        if start >= size {
            return Err(outside("Invalid start position in Content-Range header. Start position", size));
        }
        if end > size {
            return Err(outside("Invalid stop position in Content-Range header. The stop position", size));
        }
        Ok(Part { start, end })
    }
}

fn leading_digits(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    (digits, rest.trim_start())
}

fn outside(what: &str, size: u64) -> Failure {
    Failure::range(format!("{what} MUST be in the inclusive range [0, {}].", i128::from(size) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(outcome: Result<Part>) -> std::result::Result<(u64, u64), u16> {
        outcome.map(|part| (part.start, part.end)).map_err(|failure| failure.status.as_u16())
    }

    #[test]
    fn parts_by_range() {
        for (range, expected) in [
            ("bytes=0-4", Ok((0, 5))),
            ("BYTES = 0 - 4", Ok((0, 5))),
            ("bytes=4-", Ok((4, 10))),
            ("bytes=9-9", Ok((9, 10))),
            ("bytes=1-2x", Ok((1, 3))),
            ("bytes=1x-2", Err(416)),
            ("bytes=5-100", Ok((5, 10))),
            ("bytes=-3", Ok((7, 10))),
            ("bytes=-30", Ok((0, 10))),
            ("bytes=0-18446744073709551615", Ok((0, 10))),
            ("bytes=10-", Err(416)),
            ("bytes=99999999999999999999-", Err(416)),
            ("bytes=5-4", Err(416)),
            ("bytes=-", Err(416)),
            ("bytes", Err(416)),
            ("bytés=0-", Err(416)),
            ("items=0-4", Err(416)),
            ("bytes=a-b", Err(416)),
            ("bytes=0-1,3-4", Err(400)),
        ] {
            assert_eq!(part(Part::of_range(range, 10)), expected, "{range}");
        }
        assert_eq!(part(Part::of_range("bytes=0-", 0)), Err(416));
    }

    #[test]
    fn parts_by_content_range() {
        for (range, expected) in [
            ("bytes 0-4/10", Ok((0, 5))),
            ("bytes 0-4/*", Ok((0, 5))),
            ("bytes 0-9/10", Ok((0, 10))),
            ("bytes 0-10/*", Err(416)),
            ("bytes 4-2/10", Err(416)),
            ("bytes 0-20/10", Err(416)),
            ("bytes 10-11/12", Err(416)),
            ("bytes */10", Err(416)),
            ("0-4/10", Err(416)),
        ] {
            assert_eq!(part(Part::of_content_range(range, 10)), expected, "{range}");
        }
    }
}
