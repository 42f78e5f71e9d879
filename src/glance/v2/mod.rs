//! Images API v2 (<https://docs.openstack.org/api-ref/image/v2/>).

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::wire::v2 as wire;
use super::{cleanup, download};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Credential, Http, Request, Tries};
use crate::image::{Changes, Draft, Fields, Filter, Image};
use crate::service::{Content, ImageService, OnFailure};
use crate::signature::Verifier;
use crate::transfer::{Data, Verify, WriteTo};

mod data;
mod image_cache;
mod imports;
mod locations;
mod members;
mod metadefs;
mod schemas;
mod stores;
mod tasks;

/// How often the record of an image is asked for again where the configuration
/// does not say.
const RECORDS: u32 = 3;

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

    /// Asks for one thing, or changes it as `body` says; the answer is the thing.
    async fn fields(&self, method: Method, parts: &[&str], body: Option<&Value>) -> Result<Fields> {
        let mut request = self.request(method, self.url(parts)?);
        if let Some(body) = body {
            request = request.json(body);
        }
        wire::fields(self.http.send(request).await?.ok().await?.json().await?)
    }

    /// Asks for many things that come on one page, under `key`.
    async fn listed(&self, parts: &[&str], key: &str) -> Result<Vec<Fields>> {
        wire::listed(self.call(Method::GET, parts).await?.json().await?, key)
    }

    /// One page of a list: its images, and the marker of the next.
    async fn page(&self, filter: &Filter, marker: Option<&str>, left: usize) -> Result<(Vec<Image>, Option<String>)> {
        let mut url = self.url(&["images"])?;
        url.set_query(Some(&wire::query(filter, marker, left.min(wire::PAGE))));
        let answer = self.http.send(self.request(Method::GET, url)).await?.ok().await?;
        wire::page(answer.json().await?)
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

    /// Creates the record of an image whose ID is `id`, or the one given in
    /// `draft`. Ours tells what became of a request that got no answer, so the
    /// request can be made again and never makes two images; of one that was
    /// given nobody can say who made the image that has it.
    async fn record(&self, draft: &Draft, id: &str) -> Result<Image> {
        let ours = draft.id.is_none();
        let document = wire::draft(&Draft { id: Some(id.to_owned()), ..draft.clone() });
        let http = self.http.insisting(false);
        let retries = &http.settings().retries;
        let mut tries = Tries::new(retries, RECORDS);
        let mut in_doubt = false;
        loop {
            let request = self.request(Method::POST, self.url(&["images"])?).json(&document);
            let failure = match http.send(request).await {
                Ok(answer) => match answer.ok().await {
                    Ok(answer) => return wire::image(answer.json().await?),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            // What says so itself was not carried out.
            let open = !failure.unsent && !matches!(failure.status, Some(429 | 503));
            let next = match failure.kind {
                // Nobody else has an ID that was just drawn: an earlier request was carried out, whatever its
                // answer said. (Some proxies answer 503 when it is the answer that was lost.)
                Kind::Conflict if ours || in_doubt => {
                    in_doubt = true;
                    Err(failure.clone())
                }
                _ if retries.passing(&failure, &[429, 502, 503, 504]) => {
                    in_doubt |= open;
                    tries.next(failure.clone())
                }
                _ => return Err(failure),
            };
            if let Ok(next) = &next {
                http.log().note(&format!("{failure}; {next}"));
                http.pause(next.pause).await?;
            }
            if in_doubt {
                match self.get(id).await {
                    Ok(image) if ours => {
                        http.log().note(&format!("the image `{id}` was created all the same"));
                        return Ok(image);
                    }
                    Ok(_) => {
                        let there = format!("an image `{id}` is there; whether this command made it is not known");
                        return Err(failure.details([there]).next(format!("`rimg image show {id}` tells what it is")));
                    }
                    Err(error) if error.kind == Kind::Interrupted => return Err(error),
                    Err(_) => {}
                }
            }
            next?;
        }
    }

    /// What a service that refuses to make an image has made all the same is
    /// deleted: the refusal may be of a second try, or of somebody on the way.
    async fn after_refusal(&self, failure: Error, draft: &Draft, id: &str) -> Error {
        let http = self.http.undisturbed().insisting(false);
        let quiet = V2 { http, base: self.base.clone(), credential: self.credential.clone() };
        match quiet.get(id).await {
            Ok(_) => self.after(failure, draft, id, None).await,
            Err(error) if matches!(error.kind, Kind::Network | Kind::Unavailable) => {
                failure.details([format!("whether an image `{id}` was made all the same is not known: {error}")])
            }
            Err(_) => failure,
        }
    }

    /// Sees to it that the failed create of the image `id` leaves nothing
    /// behind, or, if it is to be kept, says how to go on with it.
    async fn after(&self, failure: Error, draft: &Draft, id: &str, resume: Option<&str>) -> Error {
        let http = self.http.undisturbed();
        let quiet = V2 { http: http.clone(), base: self.base.clone(), credential: self.credential.clone() };
        let left = data::Left { service: &quiet, id };
        match resume {
            Some(resume) => cleanup::keep(&http, &left, id, resume, failure).await,
            None => cleanup::undo(&http, &left, id, draft.protected == Some(true), failure).await,
        }
    }
}

/// The commands that send the data of the image `id` once more.
fn resume(id: &str, content: &Content) -> String {
    let file = |data: Option<&Data>| match data.map(|data| data.name.as_str()) {
        None | Some("stdin") => "FILE".to_owned(),
        Some(path) => shlex::try_quote(path).map_or_else(|_| "FILE".to_owned(), Into::into),
    };
    match content {
        Content::Upload { data, store } => {
            let store = store.as_ref().map(|store| format!(" --store {store}")).unwrap_or_default();
            format!("rimg image upload {id} --file {}{store}", file(Some(data)))
        }
        Content::Import { data: Some(data), .. } => {
            format!("rimg image stage {id} --file {} && rimg image import {id}", file(Some(data)))
        }
        Content::Import { data: None, .. } => format!("rimg image import {id}"),
    }
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

/// Whether a request that failed so may have been carried out.
fn may_have_been_done(failure: &Error) -> bool {
    match failure.status {
        Some(status) => matches!(status, 500 | 502 | 504),
        None => !failure.unsent && matches!(failure.kind, Kind::Network | Kind::Interrupted | Kind::Unavailable),
    }
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
    async fn pages(&self, filter: &Filter, take: &mut dyn FnMut(Vec<Image>) -> Result<()>) -> Result<()> {
        let mut marker = filter.marker.clone();
        let mut left = filter.limit.unwrap_or(usize::MAX);
        let (mut page, mut next) = self.page(filter, marker.as_deref(), left).await?;
        loop {
            page.truncate(left);
            left -= page.len();
            // A service that repeats a marker would keep us here for ever.
            if left == 0 || page.is_empty() || next.is_none() || next == marker {
                return take(page);
            }
            marker = next;
            // The next page is on its way while this one is taken up.
            let ahead = self.page(filter, marker.as_deref(), left);
            let taken = async {
                tokio::task::yield_now().await;
                take(page)
            };
            ((page, next), ()) = futures_util::future::try_join(ahead, taken).await?;
        }
    }

    async fn find(&self, name_or_id: &str) -> Result<Image> {
        self.look_up(name_or_id, None).await
    }

    async fn find_shared(&self, name_or_id: &str) -> Result<Image> {
        self.look_up(name_or_id, Some("all")).await
    }

    async fn create(&self, draft: &Draft, content: Option<Content>, on_failure: OnFailure) -> Result<Image> {
        match &content {
            Some(Content::Upload { data, .. }) => self.room_for(data, "image_size_total").await?,
            Some(Content::Import { data: Some(data), .. }) => self.room_for(data, "image_stage_total").await?,
            _ => {}
        }
        // Chosen here, so that a request that is cut off leaves nothing that cannot be found again.
        let id = draft.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let created = match self.record(draft, &id).await {
            Ok(created) => created,
            // Whether it was carried out is not known; an ID that was given may be that of somebody else's image.
            Err(failure) if draft.id.is_some() || failure.unsent => return Err(failure),
            Err(failure) if may_have_been_done(&failure) => return Err(self.after(failure, draft, &id, None).await),
            Err(failure) => return Err(self.after_refusal(failure, draft, &id).await),
        };
        let Some(content) = content else { return Ok(created) };
        let resume = (on_failure == OnFailure::Keep).then(|| resume(created.id(), &content));
        match self.fill(&created, content).await {
            Ok(image) => Ok(image),
            Err(failure) => Err(self.after(failure, draft, created.id(), resume.as_deref()).await),
        }
    }

    async fn upload(&self, image: &Image, data: Data, store: Option<&str>) -> Result<Image> {
        self.take_in(image, data, store).await
    }

    async fn update(&self, id: &str, changes: &Changes) -> Result<()> {
        if let Some(patch) = wire::patch(changes) {
            let request = self.request(Method::PATCH, self.url(&["images", id])?).json(&patch);
            let request = request.header(CONTENT_TYPE, HeaderValue::from_static(wire::PATCH));
            self.http.send(request).await?.ok().await?;
        }
        // One by one, so that tags which somebody else adds meanwhile stay.
        for tag in changes.add_tags.iter().filter(|_| !changes.only_these_tags) {
            self.call(Method::PUT, &["images", id, "tags", tag]).await?;
        }
        Ok(())
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<()> {
        let action = if active { "reactivate" } else { "deactivate" };
        self.call(Method::POST, &["images", id, "actions", action]).await.map(drop)
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

    async fn download(
        &self,
        image: &Image,
        to: WriteTo,
        verify: Verify,
        signature: Option<&Verifier>,
        prefer: &[String],
    ) -> Result<()> {
        let mut url = self.url(&["images", image.id(), "file"])?;
        if !prefer.is_empty() {
            url.query_pairs_mut().append_pair("prefer", &prefer.join(","));
        }
        let request = || self.request(Method::GET, url.clone()).header(ACCEPT, HeaderValue::from_static("*/*"));
        download::download(&self.http, &request, image, to, verify, signature).await
    }
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
