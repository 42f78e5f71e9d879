//! Images API v1, which Glance had until Queens
//! (<https://docs.openstack.org/glance/pike/user/glanceapi.html>).

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::ACCEPT;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::api::{Api, is_uuid, only};
use super::cleanup;
use super::create::{self, not_the_owner};
use super::download;
use super::maker::Maker;
use super::upload::{self, Intake, Stands};
use super::wire::v1::{self as wire, There};
use super::wire::{listed, malformed};
use crate::error::{Error, Kind, Result};
use crate::http::{Answer, Http, Request};
use crate::image::{Changes, Draft, Filter, Image};
use crate::service::{
    Content, ImageCache, ImageService, Imports, Locations, Metadefs, OnFailure, Schemas, Stores, Tasks,
};
use crate::signature::Verifier;
use crate::transfer::{Data, Verify, WriteTo};

mod members;

/// How many images a page holds: Glance's default upper bound (`api_limit_max`).
const PAGE: usize = 1000;

/// How long the service may take to copy an image from elsewhere.
const COPY_LIMIT: Duration = Duration::from_secs(60 * 60);

/// An image service that speaks v1.
pub struct V1 {
    /// Its address ends in `/v1`.
    api: Api,
    /// The project that we are signed in to, if Keystone said one.
    project: Option<String>,
}

impl V1 {
    pub(super) fn new(api: Api, project: Option<String>) -> Self {
        V1 { api, project }
    }

    async fn get(&self, id: &str) -> Result<Image> {
        let image = wire::image_of_headers(self.api.call(Method::HEAD, &["images", id]).await?.headers())?;
        match image.status() {
            // v1 also tells of what is gone.
            "deleted" | "pending_delete" => Err(Error::new(Kind::NotFound, format!("image `{id}` is deleted"))),
            _ => Ok(image),
        }
    }

    /// What a list with `filter` has, a page at a time, until `take` has enough.
    async fn raw_pages(&self, filter: &Filter, take: &mut dyn FnMut(Vec<Value>) -> Result<bool>) -> Result<()> {
        let mut marker = filter.marker.clone();
        loop {
            let mut url = self.api.url(&["images", "detail"])?;
            url.set_query(Some(&wire::query(filter, marker.as_deref(), PAGE)?));
            let page = wire::listed(self.api.send(self.api.request(Method::GET, url)).await?.json().await?)?;
            // Only a full page has another after it.
            let last = page.last().filter(|_| page.len() >= PAGE).map(|image| image["id"].as_str().map(str::to_owned));
            let last = last.flatten();
            if take(page)? || last.is_none() || last == marker {
                return Ok(());
            }
            marker = last;
        }
    }

    /// The properties of an image, exactly: only lists have those that no header can carry.
    async fn there(&self, id: &str) -> Result<There> {
        let (in_headers, name) = match self.api.call(Method::HEAD, &["images", id]).await {
            Ok(answer) => {
                let image = wire::image_of_headers(answer.headers())?;
                (wire::properties_of_headers(answer.headers()), image.name().map(str::to_owned))
            }
            // Glance 15 puts what no header can be into one, and the answer is none.
            Err(error) if error.status.is_none() && error.kind != Kind::Interrupted => Default::default(),
            Err(error) => return Err(error),
        };
        let mut exact = None;
        let mut take = |page: Vec<Value>| {
            exact = page.iter().find(|image| image["id"] == id).map(wire::properties_of_json);
            Ok(exact.is_some())
        };
        self.raw_pages(&Filter { name, ..Filter::default() }, &mut take).await?;
        let exact = exact.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no list has the image `{id}`, so its properties are not known exactly"))
        })?;
        Ok(There { exact, in_headers })
    }

    /// Says which names of properties v1 changes.
    fn tell_names<'a>(&self, properties: impl Iterator<Item = &'a String>) {
        for (name, kept) in properties.map(|name| (name, wire::kept_as(name))) {
            if kept != *name {
                self.api.http.log().note(&format!("Images API v1 keeps the property `{name}` as `{kept}`"));
            }
        }
    }

    /// The IDs of the images that others share with our project.
    async fn shared_with_us(&self) -> Result<HashSet<String>> {
        let project = self.project.as_deref().ok_or_else(|| {
            Error::config("the sign-in is not for a project, so nothing is shared with it")
                .next("name one with `--os-project-name`")
        })?;
        let answer = self.api.call(Method::GET, &["shared-images", project]).await?.json().await?;
        let shared = listed(answer, "shared_images")?;
        Ok(shared.iter().filter_map(|share| Some(share.get("image_id")?.as_str()?.to_owned())).collect())
    }

    /// Waits until the service has the image's data, which nobody sends it.
    async fn found(&self, id: &str) -> Result<Image> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        let mut said = false;
        loop {
            let image = self.get(id).await?;
            match image.status() {
                "active" => return Ok(image),
                "queued" | "saving" if !said => {
                    self.api.http.log().note(&format!("the service copies the data of image `{id}`"));
                    said = true;
                }
                "queued" | "saving" => {}
                status => {
                    let message = format!("the service did not copy the data: the image is `{status}`");
                    return Err(Error::new(Kind::Unavailable, message)
                        .next("check that the service can reach the URL; its log has the reason"));
                }
            }
            if started.elapsed() > COPY_LIMIT {
                let minutes = COPY_LIMIT.as_secs() / 60;
                let message = format!("the image is still `{}` after {minutes} minutes", image.status());
                return Err(Error::new(Kind::Unavailable, message));
            }
            self.api.http.pause(pause).await?;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }
}

/// Where an image takes its data.
struct Place<'a> {
    service: &'a V1,
    /// Changes where a new image takes the place of one that is lost.
    id: RefCell<String>,
    store: Option<&'a str>,
    /// What that is made of; `None` for an image that was there before.
    draft: Option<&'a Draft>,
}

impl Place<'_> {
    /// Deletes the image and makes another of the same `draft`.
    async fn replace(&self, draft: &Draft) -> Result<()> {
        let old = self.id.borrow().clone();
        let new = uuid::Uuid::new_v4().to_string();
        if draft.protected == Some(true) {
            self.service.unprotect(&old).await?;
        }
        cleanup::delete_insisting(self.service, &old).await?;
        // Before it is made: what becomes of this one is to be cleaned up from here on.
        self.id.replace(new.clone());
        create::record(self.service, draft, &new).await?;
        let log = self.service.api.http.log();
        log.note(&format!("the image `{old}` was lost with its upload and is deleted; `{new}` takes its place"));
        Ok(())
    }
}

#[async_trait(?Send)]
impl Intake for Place<'_> {
    fn api(&self) -> &Api {
        &self.service.api
    }

    fn request(&self, size: Option<u64>) -> Result<Request> {
        let api = &self.service.api;
        let request = api.request(Method::PUT, api.url(&["images", &self.id.borrow()])?);
        Ok(request.headers(wire::data(size, self.store)?))
    }

    async fn look(&self) -> Result<Image> {
        let id = self.id.borrow().clone();
        self.service.get(&id).await
    }

    /// A broken upload kills the image in v1, and the ID of one that is deleted is never free again.
    async fn begin_anew(&self, failure: Error) -> Result<()> {
        let Some(draft) = self.draft else { return Err(failure) };
        if draft.id.is_some() {
            let next = "try again with another `--id`, or without: that of a deleted image is never free again";
            return Err(failure.next(next));
        }
        match self.replace(draft).await {
            Err(error) if error.kind != Kind::Interrupted => {
                Err(failure.details([format!("no other image could take its place: {error}")]))
            }
            replaced => replaced,
        }
    }

    fn stands(&self, image: &Image, _: bool) -> Stands {
        match image.status() {
            "queued" => Stands::Empty,
            "saving" => Stands::Taking,
            "active" => Stands::Taken,
            _ => Stands::Lost,
        }
    }
}

#[async_trait(?Send)]
impl Maker for V1 {
    fn http(&self) -> &Http {
        &self.api.http
    }

    fn undisturbed(&self) -> Box<dyn Maker + '_> {
        Box::new(V1 { api: self.api.undisturbed(), project: None })
    }

    fn record(&self, draft: &Draft) -> Result<Request> {
        Ok(self.api.request(Method::POST, self.api.url(&["images"])?).headers(wire::draft(draft)?))
    }

    async fn recorded(&self, answer: Answer) -> Result<Image> {
        match answer.json().await? {
            Value::Object(mut body) => wire::image_of_json(body.remove("image").ok_or_else(malformed)?),
            _ => Err(malformed()),
        }
    }

    async fn look(&self, id: &str) -> Result<Image> {
        self.get(id).await
    }

    async fn fill(&self, created: &mut Image, draft: &Draft, content: Content) -> Result<Image> {
        match content {
            Content::Upload { data, store } => {
                let id = RefCell::new(created.id().to_owned());
                let place = Place { service: self, id, store: store.as_deref(), draft: Some(draft) };
                let filled = upload::upload(&self.api.http, &place, created, data).await;
                created.fields.insert("id".to_owned(), json!(place.id.into_inner()));
                filled
            }
            Content::External => self.found(created.id()).await,
            Content::Import { .. } => Err(wire::cannot(NO_IMPORT)),
        }
    }

    async fn unprotect(&self, id: &str) -> Result<()> {
        let unprotected = [("protected".to_owned(), json!(false))].into_iter().collect();
        self.update(id, &Changes { set: unprotected, ..Changes::default() }).await
    }

    async fn remove(&self, id: &str) -> Result<()> {
        self.delete(id, None).await
    }
}

const NO_IMPORT: &str = "does not import images";

#[async_trait(?Send)]
impl ImageService for V1 {
    async fn pages(&self, filter: &Filter, take: &mut dyn FnMut(Vec<Image>) -> Result<ControlFlow<()>>) -> Result<()> {
        // What cannot be asked for is said before anything is.
        wire::query(filter, None, PAGE)?;
        let mut left = filter.limit.unwrap_or(usize::MAX);
        let shared = match filter.visibility.as_deref() {
            Some("shared") => Some(self.shared_with_us().await?),
            _ => None,
        };
        let wanted = |image: &Image| {
            wire::matches(filter, image) && shared.as_ref().is_none_or(|shared| shared.contains(image.id()))
        };
        let mut take_page = |page: Vec<Value>| {
            let mut page = page.into_iter().map(wire::image_of_json).collect::<Result<Vec<_>>>()?;
            page.retain(wanted);
            page.truncate(left);
            left -= page.len();
            Ok(take(page)?.is_break() || left == 0)
        };
        self.raw_pages(filter, &mut take_page).await
    }

    async fn find(&self, name_or_id: &str) -> Result<Image> {
        if name_or_id.is_empty() {
            return Err(Error::usage("an empty text names no image"));
        }
        if is_uuid(name_or_id) {
            match self.get(name_or_id).await {
                Ok(image) => return Ok(image),
                Err(e) if matches!(e.kind, Kind::NotFound | Kind::Forbidden | Kind::Rejected) => {}
                Err(e) => return Err(e),
            }
        }
        let filter = Filter { name: Some(name_or_id.to_owned()), ..Filter::default() };
        only(name_or_id, self.list(&filter).await?)
    }

    async fn find_shared(&self, name_or_id: &str) -> Result<Image> {
        self.find(name_or_id).await
    }

    async fn create(&self, draft: &Draft, content: Option<Content>, on_failure: OnFailure) -> Result<Image> {
        if matches!(content, Some(Content::Import { .. })) {
            return Err(wire::cannot(NO_IMPORT).next("`--copy-from` lets the service fetch the data"));
        }
        self.tell_names(draft.properties.keys());
        create::create(self, draft, content, on_failure).await
    }

    async fn upload(&self, image: &Image, data: Data, store: Option<&str>) -> Result<Image> {
        let place = Place { service: self, id: RefCell::new(image.id().to_owned()), store, draft: None };
        match upload::upload(&self.api.http, &place, image, data).await {
            Err(failure) => Err(cleanup::given_up(&*self.undisturbed(), image.id(), failure).await),
            uploaded => uploaded,
        }
    }

    fn kept_as(&self, property: &str) -> String {
        wire::kept_as(property)
    }

    async fn update(&self, id: &str, changes: &Changes) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let there = match changes.remove.is_empty() {
            true => None,
            false => Some(self.there(id).await?),
        };
        let headers = wire::changes(changes, there.as_ref())?;
        self.tell_names(changes.set.keys());
        let request = self.api.request(Method::PUT, self.api.url(&["images", id])?).headers(headers);
        let image = self.recorded(self.api.send(request).await?).await?;
        match changes.set.get("owner") {
            Some(owner) if image.fields.get("owner") != Some(owner) => Err(not_the_owner(&image)),
            _ => Ok(()),
        }
    }

    async fn set_active(&self, _: &str, _: bool) -> Result<()> {
        Err(wire::cannot("does not withhold the data of images"))
    }

    async fn remove_tag(&self, _: &str, _: &str) -> Result<()> {
        Err(wire::cannot(wire::NO_TAGS))
    }

    async fn delete(&self, id: &str, store: Option<&str>) -> Result<()> {
        match store {
            Some(_) => Err(wire::cannot("does not delete from one store")),
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
        if !prefer.is_empty() {
            return Err(wire::cannot("has no stores to choose from"));
        }
        let url = self.api.url(&["images", image.id()])?;
        let request = || self.api.request(Method::GET, url.clone()).header(ACCEPT, HeaderValue::from_static("*/*"));
        download::download(&self.api.http, &request, image, to, verify, signature).await
    }
}

#[async_trait(?Send)]
impl Stores for V1 {
    /// They have names that only who runs the service knows; it refuses others itself.
    async fn know_stores(&self, _: &[String]) -> Result<()> {
        Ok(())
    }
}

#[async_trait(?Send)]
impl Imports for V1 {
    fn can_import(&self) -> Result<()> {
        Err(wire::cannot(NO_IMPORT))
    }
}

impl Tasks for V1 {}
impl Locations for V1 {}
impl ImageCache for V1 {}
impl Metadefs for V1 {}
impl Schemas for V1 {}
