//! Images API v2 (<https://docs.openstack.org/api-ref/image/v2/>).

use std::ops::ControlFlow;

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::api::{Api, is_uuid, only};
use super::create;
use super::download;
use super::maker::Maker;
use super::wire::v2 as wire;
use super::wire::{fields, listed};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Http, Request};
use crate::image::{Changes, Draft, External, Fields, Filter, Image, UseAs};
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

/// An image service that speaks v2.
pub struct V2 {
    /// Its address ends in `/v2`.
    api: Api,
}

impl V2 {
    pub(super) fn new(api: Api) -> Self {
        V2 { api }
    }

    /// Asks for one thing, or changes it as `body` says; the answer is the thing.
    async fn fields(&self, method: Method, parts: &[&str], body: Option<&Value>) -> Result<Fields> {
        let mut request = self.api.request(method, self.api.url(parts)?);
        if let Some(body) = body {
            request = request.json(body);
        }
        fields(self.api.send(request).await?.json().await?)
    }

    /// Asks for many things that come on one page, under `key`.
    async fn listed(&self, parts: &[&str], key: &str) -> Result<Vec<Fields>> {
        listed(self.api.call(Method::GET, parts).await?.json().await?, key)
    }

    /// One page of a list: its images, and the marker of the next.
    async fn page(&self, filter: &Filter, marker: Option<&str>, left: usize) -> Result<(Vec<Image>, Option<String>)> {
        let mut url = self.api.url(&["images"])?;
        url.set_query(Some(&wire::query(filter, marker, left.min(wire::PAGE))));
        let answer = self.api.send(self.api.request(Method::GET, url)).await?;
        wire::page(answer.json().await?)
    }

    async fn get(&self, id: &str) -> Result<Image> {
        wire::image(self.api.call(Method::GET, &["images", id]).await?.json().await?)
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
}

#[async_trait(?Send)]
impl Maker for V2 {
    fn http(&self) -> &Http {
        &self.api.http
    }

    fn undisturbed(&self) -> Box<dyn Maker + '_> {
        Box::new(V2 { api: self.api.undisturbed() })
    }

    fn record(&self, draft: &Draft) -> Result<Request> {
        Ok(self.api.request(Method::POST, self.api.url(&["images"])?).json(&wire::draft(draft)))
    }

    async fn recorded(&self, answer: Answer) -> Result<Image> {
        wire::image(answer.json().await?)
    }

    async fn look(&self, id: &str) -> Result<Image> {
        self.get(id).await
    }

    async fn fill(&self, created: &mut Image, _: &Draft, content: Content) -> Result<Image> {
        self.take(created, content).await
    }

    async fn unprotect(&self, id: &str) -> Result<()> {
        let unprotected = [("protected".to_owned(), json!(false))].into_iter().collect();
        self.update(id, &Changes { set: unprotected, ..Changes::default() }).await
    }

    async fn remove(&self, id: &str) -> Result<()> {
        self.delete(id, None).await
    }
}

#[async_trait(?Send)]
impl ImageService for V2 {
    async fn pages(&self, filter: &Filter, take: &mut dyn FnMut(Vec<Image>) -> Result<ControlFlow<()>>) -> Result<()> {
        let mut marker = filter.marker.clone();
        let mut left = filter.limit.unwrap_or(usize::MAX);
        let (mut page, mut next) = self.page(filter, marker.as_deref(), left).await?;
        loop {
            page.truncate(left);
            left -= page.len();
            // A service that repeats a marker would keep us here for ever.
            if left == 0 || page.is_empty() || next.is_none() || next == marker {
                return take(page).map(drop);
            }
            marker = next;
            // The next page is on its way while this one is taken up.
            let ahead = self.page(filter, marker.as_deref(), left);
            let ahead = async { ahead.await.map_err(Some) };
            let taken = async {
                tokio::task::yield_now().await;
                match take(page) {
                    Ok(ControlFlow::Continue(())) => Ok(()),
                    // Enough: nobody waits for the page that is on its way.
                    Ok(ControlFlow::Break(())) => Err(None),
                    Err(error) => Err(Some(error)),
                }
            };
            match futures_util::future::try_join(ahead, taken).await {
                Ok(((images, after), ())) => (page, next) = (images, after),
                Err(None) => return Ok(()),
                Err(Some(error)) => return Err(error),
            }
        }
    }

    async fn find(&self, name_or_id: &str) -> Result<Image> {
        self.look_up(name_or_id, None).await
    }

    async fn find_shared(&self, name_or_id: &str) -> Result<Image> {
        self.look_up(name_or_id, Some("all")).await
    }

    async fn create(&self, draft: &Draft, content: Option<Content>, on_failure: OnFailure) -> Result<Image> {
        let of_v1 = match &draft.external {
            Some(External { use_as: UseAs::Location, .. }) => Some("--location"),
            Some(External { use_as: UseAs::Source, .. }) => Some("--copy-from"),
            None => draft.checksum.as_ref().map(|_| "--checksum"),
        };
        if let Some(option) = of_v1 {
            let message = format!("`{option}` is an option of the Images API v1, which this cloud does not speak");
            return Err(Error::config(message).next("leave it out"));
        }
        match &content {
            Some(Content::Upload { data, .. }) => self.room_for(data, "image_size_total").await?,
            Some(Content::Import { data: Some(data), .. }) => self.room_for(data, "image_stage_total").await?,
            _ => {}
        }
        create::create(self, draft, content, on_failure).await
    }

    async fn upload(&self, image: &Image, data: Data, store: Option<&str>) -> Result<Image> {
        self.take_in(image, data, store).await
    }

    async fn update(&self, id: &str, changes: &Changes) -> Result<()> {
        if let Some(patch) = wire::patch(changes) {
            let request = self.api.request(Method::PATCH, self.api.url(&["images", id])?).json(&patch);
            let request = request.header(CONTENT_TYPE, HeaderValue::from_static(wire::PATCH));
            self.api.send(request).await?;
        }
        // One by one, so that tags which somebody else adds meanwhile stay.
        for tag in changes.add_tags.iter().filter(|_| !changes.only_these_tags) {
            self.api.call(Method::PUT, &["images", id, "tags", tag]).await?;
        }
        Ok(())
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<()> {
        let action = if active { "reactivate" } else { "deactivate" };
        self.api.call(Method::POST, &["images", id, "actions", action]).await.map(drop)
    }

    async fn remove_tag(&self, id: &str, tag: &str) -> Result<()> {
        self.api.call(Method::DELETE, &["images", id, "tags", tag]).await.map(drop)
    }

    async fn delete(&self, id: &str, store: Option<&str>) -> Result<()> {
        match store {
            Some(store) => self.api.call(Method::DELETE, &["stores", store, id]).await.map(drop),
            None => self.api.call(Method::DELETE, &["images", id]).await.map(drop),
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
        let mut url = self.api.url(&["images", image.id(), "file"])?;
        if !prefer.is_empty() {
            url.query_pairs_mut().append_pair("prefer", &prefer.join(","));
        }
        let request = || self.api.request(Method::GET, url.clone()).header(ACCEPT, HeaderValue::from_static("*/*"));
        download::download(&self.api.http, &request, image, to, verify, signature).await
    }
}
