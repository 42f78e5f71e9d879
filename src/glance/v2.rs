//! Images API v2 (<https://docs.openstack.org/api-ref/image/v2/>).

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use url::Url;

use super::wire::v2 as wire;
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Credential, Http, Request};
use crate::image::{Changes, Draft, Filter, Image};
use crate::service::{ImageService, Route};
use crate::transfer::{Algorithm, Data, Outgoing, Receiver, Rehash, Sent, Verify, WriteTo};

/// How long the service may take to make an image active after it has all of
/// the data and has said so.
const SETTLE_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long an import may take: the service copies and may convert the image.
const IMPORT_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);

/// How long cleaning up after a failure may take.
const UNDO_LIMIT: Duration = Duration::from_secs(20);

/// An image service that speaks v2.
pub struct V2 {
    http: Http,
    /// Ends in `/v2`.
    base: Url,
    credential: Credential,
}

impl V2 {
    pub(super) fn new(http: Http, base: Url, credential: Credential) -> Self {
        V2 { http, base, credential }
    }

    /// The URL of a resource, each part encoded as one path segment.
    fn url(&self, parts: &[&str]) -> Result<Url> {
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

    fn request(&self, method: Method, url: Url) -> Request {
        Request::new(method, url).credential(&self.credential)
    }

    async fn call(&self, method: Method, parts: &[&str]) -> Result<Answer> {
        let url = self.url(parts)?;
        self.http.send(self.request(method, url)).await?.ok().await
    }

    async fn get(&self, id: &str) -> Result<Image> {
        wire::image(self.call(Method::GET, &["images", id]).await?.json().await?)
    }

    /// The images of exactly this name. Some databases compare without regard
    /// to case; users do not.
    async fn named(&self, name: &str, hidden: bool, member_status: Option<&str>) -> Result<Vec<Image>> {
        let filter = Filter {
            name: Some(name.to_owned()),
            hidden,
            member_status: member_status.map(str::to_owned),
            ..Filter::default()
        };
        let mut images = self.list(&filter).await?;
        images.retain(|image| image.name() == Some(name));
        Ok(images)
    }

    /// The one image of this ID or name; `member_status` widens the look-up by name.
    async fn look_up(&self, name_or_id: &str, member_status: Option<&str>) -> Result<Image> {
        if name_or_id.is_empty() {
            return Err(Error::usage("an empty text names no image"));
        }
        let found = if is_uuid(name_or_id) {
            match self.get(name_or_id).await {
                Ok(image) => return Ok(image),
                Err(e) if matches!(e.kind, Kind::NotFound | Kind::Forbidden | Kind::Rejected) => {}
                Err(e) => return Err(e),
            }
            self.named(name_or_id, false, member_status).await?
        } else {
            match self.named(name_or_id, false, member_status).await? {
                none if none.is_empty() => self.named(name_or_id, true, None).await?,
                found => found,
            }
        };
        only(name_or_id, found)
    }

    /// Sends `data` into the image just created, and sees it through.
    async fn fill(&self, created: &Image, data: Data, route: Route) -> Result<Image> {
        let id = created.id();
        let (part, limit) = match route {
            Route::Upload => ("file", SETTLE_LIMIT),
            Route::Import => ("stage", IMPORT_LIMIT),
        };
        let rehash = data.rehash();
        let sent = self.send_data(&["images", id, part], data, expected_digests(created, rehash.is_some())).await?;
        if route == Route::Import {
            let url = self.url(&["images", id, "import"])?;
            let import = json!({"method": {"name": "glance-direct"}});
            self.http.send(self.request(Method::POST, url).json(&import)).await?.ok().await?;
        }
        let image = self.settled(id, limit).await?;
        match self.compare(&image, &sent, rehash) {
            // An import plug-in may have converted the image; then the service's sum is of its own work.
            Err(_) if route == Route::Import && image.disk_format() != created.disk_format() => {
                let (was, is) = (created.disk_format().unwrap_or("?"), image.disk_format().unwrap_or("?"));
                self.http.log().note(&format!("the service converted the image from `{was}` to `{is}`"));
                Ok(image)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(image),
        }
    }

    async fn send_data(&self, parts: &[&str], data: Data, algorithms: Vec<Algorithm>) -> Result<Sent> {
        let mut request = self.request(Method::PUT, self.url(parts)?).header(ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(len) = data.len {
            request = request.header(HeaderName::from_static("x-openstack-image-size"), len.into());
        }
        let meter = Arc::clone(&data.meter);
        let (outgoing, body) = Outgoing::start(data, &algorithms);
        let answer = match self.http.send(request.data(body, meter)).await {
            Ok(answer) => answer.ok().await,
            Err(error) => Err(error),
        };
        if let Err(error) = answer {
            // A source that failed is the true reason for a broken request.
            return Err(match error.kind {
                Kind::Network => outgoing.source_error().await.unwrap_or(error),
                _ => error,
            });
        }
        outgoing.finish().await
    }

    /// Waits until the service has finished with the data.
    async fn settled(&self, id: &str, limit: Duration) -> Result<Image> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let image = self.get(id).await?;
            match image.status() {
                "active" => return Ok(image),
                "saving" | "uploading" | "importing" => {}
                // An import goes back to these; its task knows why.
                status => {
                    let reason = self.import_failure(id, &image).await;
                    let message = format!("the image did not become active: it is `{status}`");
                    return Err(match reason {
                        Some(reason) => Error::new(Kind::Unavailable, format!("{message}: {reason}")),
                        None => Error::new(Kind::Unavailable, message),
                    });
                }
            }
            if started.elapsed() > limit {
                let status = image.status();
                let message = format!("the image is still `{status}` after {} minutes", limit.as_secs() / 60);
                return Err(Error::new(Kind::Unavailable, message).next("ask who runs the cloud what holds it up"));
            }
            self.http.pause(pause).await?;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }

    /// What the image's tasks say about a failed import.
    async fn import_failure(&self, id: &str, image: &Image) -> Option<String> {
        let tasks = self.call(Method::GET, &["images", id, "tasks"]).await.ok()?.json().await.ok()?;
        let newest = tasks.get("tasks")?.as_array()?.iter().find_map(|task| task.get("message")?.as_str());
        let stores = image.fields.get("os_glance_failed_import").and_then(Value::as_str);
        match (newest.filter(|text| !text.is_empty()), stores.filter(|text| !text.is_empty())) {
            (Some(message), _) => Some(message.trim_end_matches('.').to_owned()),
            (None, Some(stores)) => Some(format!("the import into {stores} failed")),
            (None, None) => None,
        }
    }

    /// Compares what the service has with what was sent.
    fn compare(&self, image: &Image, sent: &Sent, rehash: Option<Rehash>) -> Result<()> {
        if image.size().is_some_and(|size| size != sent.size) {
            let size = image.size().unwrap_or_default();
            return Err(corrupt(format!("{} bytes were sent and the service has {size}", sent.size)));
        }
        let ours = |algorithm: Algorithm| sent.digests.iter().find(|(a, _)| *a == algorithm).map(|(_, sum)| sum);
        let named = image.hash().map(|(name, sum)| (Algorithm::named(name), name, sum));
        let md5 = image.checksum().map(|sum| (Some(Algorithm::Md5), "md5", sum));
        for (algorithm, _, theirs) in [named, md5].into_iter().flatten() {
            if let Some(sum) = algorithm.and_then(ours) {
                return agree(sum, theirs, algorithm.map_or("", Algorithm::name));
            }
        }
        // The service chose another algorithm than is usual: the file is still here to ask.
        if let (Some((Some(algorithm), _, theirs)), Some(rehash)) = (named.or(md5), rehash) {
            return agree(&rehash.digest(algorithm)?, theirs, algorithm.name());
        }
        let message = "the service names no digest that rimg can compute, so the upload is verified by its size alone";
        self.http.log().warn(message);
        Ok(())
    }

    /// Deletes the image that a failed create left behind.
    async fn undo(&self, image: &Image, failure: Error) -> Error {
        let quiet = V2 { http: self.http.undisturbed(), base: self.base.clone(), credential: self.credential.clone() };
        // Without an answer the service may still be taking the data.
        let unanswered = matches!(failure.kind, Kind::Network | Kind::Interrupted | Kind::Io);
        let outcome = tokio::time::timeout(UNDO_LIMIT, quiet.remove(image, unanswered)).await;
        let id = image.id();
        match outcome {
            Ok(Ok(())) => failure,
            failed => {
                let reason = match failed {
                    Ok(Err(e)) => e.message,
                    _ => "no answer in time".to_owned(),
                };
                failure
                    .details([format!("the unfinished image `{id}` could not be deleted: {reason}")])
                    .next(format!("delete it with `rimg image delete {id}`"))
            }
        }
    }

    /// Deletes an image and sees that it stays deleted: a Glance that notices
    /// only afterwards that its client is gone puts the image back to `queued`,
    /// and with that brings it back.
    async fn remove(&self, image: &Image, unanswered: bool) -> Result<()> {
        let id = image.id();
        if unanswered {
            let noticed = Instant::now() + Duration::from_secs(3);
            while Instant::now() < noticed && self.get(id).await.is_ok_and(|now| now.status() == "saving") {
                self.http.pause(Duration::from_millis(100)).await?;
            }
        }
        if image.is_protected() {
            let unprotected = [("protected".to_owned(), json!(false))].into_iter().collect();
            self.update(id, &Changes { set: unprotected, ..Changes::default() }).await?;
        }
        self.delete_insisting(id).await?;
        let looks: &[u64] = if unanswered { &[200, 800] } else { &[] };
        for pause in looks {
            self.http.pause(Duration::from_millis(*pause)).await?;
            if self.get(id).await.is_ok() {
                self.delete_insisting(id).await?;
            }
        }
        Ok(())
    }

    /// Deletes an image, several times over if the service is in trouble; one
    /// that is gone already is fine.
    async fn delete_insisting(&self, id: &str) -> Result<()> {
        let mut pause = Duration::from_millis(200);
        loop {
            match self.delete(id, None).await {
                Err(e) if e.kind == Kind::NotFound => return Ok(()),
                Err(e)
                    if matches!(e.kind, Kind::Unavailable | Kind::Network | Kind::Conflict) && pause.as_secs() < 4 =>
                {
                    self.http.pause(pause).await?;
                    pause *= 2;
                }
                deleted => return deleted,
            }
        }
    }
}

/// The digests to compute while sending: the one that the service will name,
/// and for a pipe, which cannot be read again, both that any Glance names.
fn expected_digests(created: &Image, can_be_read_again: bool) -> Vec<Algorithm> {
    match (created.has_multihash(), can_be_read_again) {
        (true, true) => vec![Algorithm::Sha512],
        (true, false) => vec![Algorithm::Sha512, Algorithm::Md5],
        (false, _) => vec![Algorithm::Md5],
    }
}

fn agree(ours: &str, theirs: &str, algorithm: &str) -> Result<()> {
    match ours.eq_ignore_ascii_case(theirs) {
        true => Ok(()),
        false => Err(corrupt(format!("the {algorithm} of what was sent is {ours}, the service has {theirs}"))),
    }
}

fn corrupt(what: String) -> Error {
    Error::new(Kind::Verification, format!("the image arrived damaged: {what}"))
        .next("try again; if it stays, ask who runs the cloud about its storage")
}

fn only(name_or_id: &str, mut found: Vec<Image>) -> Result<Image> {
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
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

#[async_trait(?Send)]
impl ImageService for V2 {
    async fn list(&self, filter: &Filter) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        let mut marker = filter.marker.clone();
        loop {
            let left = filter.limit.map_or(usize::MAX, |limit| limit.saturating_sub(images.len()));
            let mut url = self.url(&["images"])?;
            url.set_query(Some(&wire::query(filter, marker.as_deref(), left.min(wire::PAGE))));
            let answer = self.http.send(self.request(Method::GET, url)).await?.ok().await?;
            let (page, next) = wire::page(answer.json().await?)?;
            let empty = page.is_empty();
            images.extend(page);
            images.truncate(filter.limit.unwrap_or(usize::MAX));
            let full = filter.limit.is_some_and(|limit| images.len() >= limit);
            // A service that repeats a marker would keep us here for ever.
            if full || empty || next.is_none() || next == marker {
                return Ok(images);
            }
            marker = next;
        }
    }

    async fn find(&self, name_or_id: &str) -> Result<Image> {
        self.look_up(name_or_id, None).await
    }

    async fn find_shared(&self, name_or_id: &str) -> Result<Image> {
        self.look_up(name_or_id, Some("all")).await
    }

    async fn create(&self, draft: &Draft, data: Option<(Data, Route)>) -> Result<Image> {
        let request = self.request(Method::POST, self.url(&["images"])?).json(&wire::draft(draft));
        let answer = self.http.send(request).await?.ok().await?;
        let methods = answer.header("openstack-image-import-methods").unwrap_or_default().to_owned();
        let created = wire::image(answer.json().await?)?;
        let Some((data, route)) = data else { return Ok(created) };
        let offered = methods.split(',').any(|method| method.trim() == "glance-direct");
        let filled = match route {
            Route::Import if !offered => {
                Err(Error::new(Kind::Unsupported, "this cloud does not take images by the `glance-direct` import")
                    .next("leave out `--import`"))
            }
            route => self.fill(&created, data, route).await,
        };
        match filled {
            Ok(image) => Ok(image),
            Err(failure) => Err(self.undo(&created, failure).await),
        }
    }

    async fn update(&self, id: &str, changes: &Changes) -> Result<()> {
        if let Some(patch) = wire::patch(changes) {
            let request = self.request(Method::PATCH, self.url(&["images", id])?).json(&patch);
            let request = request.header(CONTENT_TYPE, HeaderValue::from_static(wire::PATCH));
            self.http.send(request).await?.ok().await?;
        }
        // One by one, so that tags which somebody else adds meanwhile stay.
        for tag in &changes.add_tags {
            self.call(Method::PUT, &["images", id, "tags", tag]).await?;
        }
        Ok(())
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<()> {
        let action = if active { "reactivate" } else { "deactivate" };
        self.call(Method::POST, &["images", id, "actions", action]).await.map(drop)
    }

    async fn set_member_status(&self, id: &str, project: &str, status: &str) -> Result<()> {
        let url = self.url(&["images", id, "members", project])?;
        let request = self.request(Method::PUT, url).json(&json!({"member": project, "status": status}));
        self.http.send(request).await?.ok().await.map(drop)
    }

    async fn remove_tag(&self, id: &str, tag: &str) -> Result<()> {
        self.call(Method::DELETE, &["images", id, "tags", tag]).await.map(drop)
    }

    async fn delete(&self, id: &str, store: Option<&str>) -> Result<()> {
        match store {
            Some(store) => self.call(Method::DELETE, &["stores", store, id]).await.map(drop),
            None => self.call(Method::DELETE, &["images", id]).await.map(drop),
        }
    }

    async fn download(&self, image: &Image, to: WriteTo, verify: Verify, prefer: &[String]) -> Result<()> {
        let id = image.id();
        let expected = expected_sum(image, verify)?;
        let mut url = self.url(&["images", id, "file"])?;
        if !prefer.is_empty() {
            url.query_pairs_mut().append_pair("prefer", &prefer.join(","));
        }
        let request = self.request(Method::GET, url).header(ACCEPT, HeaderValue::from_static("*/*"));
        let mut answer = self.http.send(request).await?.ok().await?;
        if answer.status().as_u16() == 204 {
            return Err(no_data(image));
        }
        let length = answer.length().or(image.size());
        if let (Some(announced), Some(size)) = (answer.length(), image.size())
            && announced != size
        {
            return Err(corrupt_copy(format!("the service sends {announced} bytes of an image of {size}")));
        }
        if let Some(length) = length {
            to.meter.expect(length);
        }
        let algorithms: Vec<_> = expected.iter().map(|(algorithm, _)| *algorithm).collect();
        let mut receiver = Receiver::start(to, &algorithms);
        let moved = loop {
            match answer.chunk().await {
                Ok(Some(piece)) => {
                    if !receiver.take(piece).await {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Also after a failure: then the half file is gone once this is back.
        let received = receiver.finish().await;
        moved?;
        let received = received?;
        if let Some(length) = length.filter(|&length| length != received.size) {
            return Err(corrupt_copy(format!("{} of {length} bytes arrived", received.size)));
        }
        for ((algorithm, ours), (_, theirs)) in received.digests.iter().zip(&expected) {
            if !ours.eq_ignore_ascii_case(theirs) {
                let name = algorithm.name();
                return Err(corrupt_copy(format!("its {name} is {ours}, the service says {theirs}")));
            }
        }
        received.keep()
    }
}

/// The digest that the data of `image` must have; none if only its length counts.
fn expected_sum(image: &Image, verify: Verify) -> Result<Option<(Algorithm, String)>> {
    if matches!(image.status(), "queued" | "saving" | "uploading" | "importing" | "killed" | "deleted") {
        return Err(no_data(image));
    }
    let md5 = image.checksum().map(|sum| (Algorithm::Md5, sum.to_owned()));
    match (verify, image.hash()) {
        (Verify::LengthOnly, _) => Ok(None),
        (_, Some((name, sum))) => match (Algorithm::named(name), verify) {
            (Some(algorithm), _) => Ok(Some((algorithm, sum.to_owned()))),
            (None, Verify::AllowMd5) if md5.is_some() => Ok(md5),
            (None, _) => Err(Error::new(
                Kind::Verification,
                format!("image `{}` is hashed with `{name}`, which rimg cannot compute", image.id()),
            )
            .next("`--allow-md5-fallback` checks its MD5 instead, `--no-verify` only its length")),
        },
        (_, None) if md5.is_some() => Ok(md5),
        (_, None) => Err(Error::new(
            Kind::Verification,
            format!("the service knows no digest of image `{}`, so its bytes cannot be verified", image.id()),
        )
        .next("`--no-verify` saves it all the same, checked by its length only")),
    }
}

fn no_data(image: &Image) -> Error {
    Error::new(Kind::Conflict, format!("image `{}` has no data: it is `{}`", image.id(), image.status()))
}

fn corrupt_copy(what: String) -> Error {
    Error::new(Kind::Verification, format!("the data arrived damaged: {what}"))
        .next("try again; if it stays, ask who runs the cloud about its storage")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn image(fields: Value) -> Image {
        wire::image(fields).unwrap()
    }

    #[test]
    fn only_the_form_of_a_uuid_is_looked_up_as_an_id() {
        assert!(is_uuid("1bea47ed-f6a9-463b-b423-14b9cca9ad27"));
        assert!(!is_uuid("1bea47ed-f6a9-463b-b423-14b9cca9ad2g"));
        assert!(!is_uuid("cirros"));
    }

    #[test]
    fn a_download_is_checked_by_the_best_digest_there_is() {
        let both =
            json!({"id": "i", "status": "active", "os_hash_algo": "sha512", "os_hash_value": "aa", "checksum": "bb"});
        assert_eq!(expected_sum(&image(both), Verify::Required).unwrap(), Some((Algorithm::Sha512, "aa".to_owned())));
        let old = json!({"id": "i", "status": "active", "checksum": "bb"});
        assert_eq!(expected_sum(&image(old), Verify::Required).unwrap(), Some((Algorithm::Md5, "bb".to_owned())));
        let none = json!({"id": "i", "status": "active"});
        assert_eq!(expected_sum(&image(none.clone()), Verify::Required).unwrap_err().kind, Kind::Verification);
        assert_eq!(expected_sum(&image(none), Verify::LengthOnly).unwrap(), None);
        let strange =
            json!({"id": "i", "status": "active", "os_hash_algo": "crc", "os_hash_value": "aa", "checksum": "bb"});
        assert_eq!(expected_sum(&image(strange.clone()), Verify::Required).unwrap_err().kind, Kind::Verification);
        assert_eq!(expected_sum(&image(strange), Verify::AllowMd5).unwrap(), Some((Algorithm::Md5, "bb".to_owned())));
    }
}
