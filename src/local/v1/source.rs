//! Where the data of an image comes from: the body of the request, the web, or
//! nowhere yet. What is external is looked at before anything is recorded.

use std::sync::Arc;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use url::Url;

use super::gate::{enforce, look_up};
use super::headers::Meta;
use crate::local::aside::aside;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::pipeline::{self, Destination, Failed, Feed, Terms};
use crate::local::registry::{Image, Status};
use crate::local::request::Asked;
use crate::local::service::Service;
use crate::local::status;
use crate::local::web_download::{Reading, Way};

/// What a request says of the data: more than one is refused, but not before
/// the image is recorded.
pub struct Sources {
    /// Whether it is the body.
    pub body: bool,
    /// From where it is to be copied.
    pub copy_from: Option<String>,
    /// Where it is, and stays.
    pub location: Option<String>,
    /// That one of those elsewhere, looked at.
    pub external: Option<Url>,
}

impl Sources {
    /// What a request names, by the policy that is asked for it.
    pub fn read(service: &Service, asked: &Asked, meta: &Meta) -> Result<Self> {
        let length = asked.header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or_default();
        let body = asked.headers.contains_key(TRANSFER_ENCODING) || length > 0;
        let most = service.settings.quota.image_size;
        let declared = if length > 0 { Some(length) } else { meta.size };
        if declared.is_some_and(|size| size > most) {
            let words = format!("Denying attempt to upload image larger than {most} bytes.");
            return Err(Failure::bad_request(words));
        }
        let copy_from = asked.headers.get("x-glance-api-copy-from").map(|uri| {
            let uri = std::str::from_utf8(uri.as_bytes());
            uri.map(str::to_owned).map_err(|_| Failure::bad_request("The header x-glance-api-copy-from is not UTF-8."))
        });
        let copy_from = copy_from.transpose()?;
        Ok(Sources { body, copy_from, location: meta.location.clone().flatten(), external: None })
    }

    fn copies(&self) -> bool {
        self.copy_from.as_ref().is_some_and(|uri| !uri.is_empty())
    }

    /// The gates of policy that bringing data has to pass.
    pub fn enforce(&self, service: &Service, caller: &Caller) -> Result<()> {
        if self.copies() {
            enforce(service, caller, "copy_from")?;
        }
        match self.body || self.copies() {
            true => enforce(service, caller, "upload_image"),
            false => Ok(()),
        }
    }

    /// Refuses (400) a place elsewhere that the settings do not allow; `meta`
    /// is asked first, then what is to be copied.
    pub async fn look(&mut self, service: &Arc<Service>, caller: &Caller, meta: &Meta) -> Result<()> {
        let uri = match (&meta.location, &self.copy_from) {
            (Some(location), _) => {
                enforce(service, caller, "set_image_location")?;
                location.clone().unwrap_or_default()
            }
            (None, Some(copy_from)) => copy_from.clone(),
            (None, None) => return Ok(()),
        };
        if uri.is_empty() {
            return Err(Failure::bad_request("External source should not be empty"));
        }
        let unsupported = || Failure::bad_request(format!("External sources are not supported: '{}'", shown(&uri)));
        let url = Url::parse(&uri).map_err(|_| unsupported())?;
        let (shared, looked) = (Arc::clone(service), url.clone());
        let way = aside(move || Ok(shared.settings.web_download.way(&looked))).await?;
        if way == Way::Closed {
            return Err(unsupported());
        }
        self.external = Some(url);
        Ok(())
    }

    /// The size of what is elsewhere: what the client says, or else the server there.
    pub async fn size(&self, service: &Service, meta: &Meta) -> Result<Option<u64>> {
        let Some(url) = &self.external else { return Ok(meta.size) };
        match meta.size {
            Some(size) if size > 0 => Ok(Some(size)),
            _ => ask(service, url).await.map(|size| Some(size.unwrap_or_default())),
        }
    }

    /// Refuses an image that the data cannot be for, brings the data, and
    /// answers with what the image is now. What is copied is copied while
    /// nobody waits.
    pub async fn bring(
        &self,
        service: &Arc<Service>,
        asked: &mut Asked,
        image: Image,
        store: Result<String>,
    ) -> Result<Image> {
        if [self.body, self.copies(), self.location.is_some()].into_iter().filter(|given| *given).count() > 1 {
            return Err(Failure::bad_request("It's invalid to provide multiple image sources."));
        }
        let caller = Arc::clone(&asked.caller);
        let id = image.id.clone();
        let terms = Terms { declared: None, facts: Meta::facts(&image), inspected: false, failed: Failed::Killed };
        if self.body {
            check_formats(service, &image)?;
            let store = store?;
            let media = asked.header(CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
            if !media.eq_ignore_ascii_case("application/octet-stream") {
                kill(service, &id).await;
                return Err(Failure::bad_request("Content-Type must be application/octet-stream"));
            }
            if image.status == Status::Active {
                // It was said to have no bytes, and has some after all.
                service
                    .write({
                        let mut image = image.clone();
                        image.status = Status::Queued;
                        move |_, session| Ok(session.save(&mut image)?)
                    })
                    .await?;
            }
            let destination = Destination::Store(store);
            let stored = pipeline::upload(service, &caller, &id, destination, terms, Feed::Body(&mut asked.body)).await;
            if let Err(failure) = stored {
                return Err(told(service, failure, &id).await);
            }
        } else if let (true, Some(url)) = (self.copies(), self.external.clone()) {
            let (service, store) = (Arc::clone(service), store?);
            tokio::spawn(async move {
                let work = copy(&service, &caller, &id, store, terms, &url);
                service.imports.in_turn(work).await;
            });
            return Ok(image);
        } else if let (Some(location), Some(url)) = (self.location.clone(), &self.external) {
            check_formats(service, &image)?;
            if let Some(size) = image.size.filter(|size| *size > 0) {
                let found = ask(service, url).await?.unwrap_or_default();
                if found > 0 && found != size {
                    return Err(Failure::conflict(format!(
                        "Provided image size must match the stored image size. (provided size: {size}, stored size: \
                         {found})"
                    )));
                }
            }
            service
                .write(move |_, session| {
                    let mut image = session.image(&id)?.ok_or_else(Failure::nothing_here)?;
                    image.location = Some(location);
                    image.status = Status::Active;
                    Ok(session.save(&mut image)?)
                })
                .await?;
        }
        service.read(|session| look_up(session, &asked.caller, &image.id))
    }
}

/// A URI as it may be shown: what is before an `@` may be a password.
fn shown(uri: &str) -> String {
    match uri.rsplit_once('@') {
        Some((_, after)) => format!("…@{after}"),
        None => uri.to_owned(),
    }
}

/// The size that a server elsewhere tells.
async fn ask(service: &Service, url: &Url) -> Result<Option<u64>> {
    let settings = &service.settings;
    Reading::size(&settings.web_download, url, settings.limits.stall).await.map_err(|failure| match failure.status {
        StatusCode::NOT_FOUND => Failure::not_found("HTTP datastore could not find image at URI."),
        _ => Failure::bad_request(format!("The HTTP URL is invalid: {}", failure.cause())),
    })
}

/// Refuses (400) an image that is to have data and does not say of what formats.
fn check_formats(service: &Service, image: &Image) -> Result<()> {
    if image.disk_format.is_none() {
        return Err(Failure::bad_request("Disk format is not specified."));
    }
    if image.container_format.is_none() {
        return Err(Failure::bad_request("Container format is not specified."));
    }
    let (disk, container) = (image.disk_format.clone(), image.container_format.clone());
    Meta { disk_format: Some(disk), container_format: Some(container), ..Meta::default() }
        .check_formats(&service.settings)
}

/// The data of an image from elsewhere, into a store.
async fn copy(service: &Arc<Service>, caller: &Arc<Caller>, id: &str, store: String, mut terms: Terms, url: &Url) {
    let settings = &service.settings;
    let brought = async {
        let reading = Reading::begin(&settings.web_download, url, settings.limits.stall).await?;
        // What the server says now counts more than what was said before.
        if let Some(length) = reading.length.filter(|length| *length > 0) {
            terms.facts.size = Some(length);
            terms.declared = Some(length.into());
        }
        pipeline::upload(service, caller, id, Destination::Store(store), terms, Feed::Web(reading)).await
    };
    if let Err(failure) = brought.await {
        told(service, failure, id).await;
    }
}

async fn kill(service: &Arc<Service>, id: &str) {
    let id = id.to_owned();
    // What cannot be marked now is told all the same.
    let _ = service.write(move |_, session| status::kill(session, &id)).await;
}

/// A failure of the data in v1's words. The image is killed, but where another has it in hand.
async fn told(service: &Arc<Service>, failure: Failure, id: &str) -> Failure {
    match failure.status {
        StatusCode::CONFLICT => {
            let words = format!("Attempt to upload duplicate image: {}", failure.cause());
            Failure::conflict(words)
        }
        StatusCode::GONE => Failure::new(
            StatusCode::PRECONDITION_FAILED,
            format!("Image {id} could not be found after upload. The image may have been deleted during the upload."),
        ),
        _ => {
            kill(service, id).await;
            failure
        }
    }
}
