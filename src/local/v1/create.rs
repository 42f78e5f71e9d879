//! Making an image, each step its own gate: policy, protected properties,
//! quota, the source elsewhere and its size, the store, the registry, and then
//! the data.

use std::sync::Arc;

use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use uuid::Uuid;

use super::gate::{enforce, refused};
use super::headers::Meta;
use super::query::is_uuid_like;
use super::source::Sources;
use super::view;
use crate::local::answer::Payload;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::pipeline;
use crate::local::protection::{Act, is_own};
use crate::local::registry::{Image, Status};
use crate::local::request::Asked;
use crate::local::service::Service;

/// `POST /v1/images`
pub async fn create(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let meta = Meta::read(&service.settings, &asked.headers)?;
    let mut sources = Sources::read(service, asked, &meta)?;
    let caller = Arc::clone(&asked.caller);
    enforce(service, &caller, "add_image")?;
    if meta.is_public == Some(true) {
        enforce(service, &caller, "publicize_image")?;
    }
    sources.enforce(service, &caller)?;
    check_new(service, &caller, meta.properties.keys())?;
    let mut image = Image::new(Uuid::new_v4().to_string());
    image.owner = caller.project_id.clone();
    meta.apply(&mut image, caller.is_admin);
    service.settings.quota.check_properties(&image)?;
    sources.look(service, &caller, &meta).await?;
    let store = match meta.store {
        // Found out only when data is to go there.
        Some(None) => Err(Failure::bad_request("Store for scheme  not found")),
        _ => Ok(store(service, &meta)?),
    };
    image.size = Some(sources.size(service, &meta).await?.unwrap_or_default());
    // What has no bytes has all of them.
    if meta.size == Some(0) && sources.copy_from.is_none() {
        image.status = Status::Active;
        image.location = sources.location.clone();
    }
    image.created_at = meta.created_at.unwrap_or(image.created_at);
    image.updated_at = meta.updated_at.unwrap_or(image.updated_at);
    if let Some(Some(id)) = meta.id.clone() {
        if !is_uuid_like(&id) {
            return Err(Failure::bad_request("Failed to reserve image. Got error: Invalid image id format"));
        }
        image.id = id;
    }
    meta.check_storable()?;
    let image = service
        .write(move |service, session| match pipeline::reserve(service, session, &image) {
            Err(failure) if failure.status == StatusCode::CONFLICT => {
                Err(Failure::conflict(format!("An image with identifier {} already exists", image.id)))
            }
            reserved => reserved.map(|()| image),
        })
        .await?;
    let image = sources.bring(service, asked, image, store).await?;
    let mut answer = view::told(StatusCode::CREATED, &image);
    if let Ok(location) = HeaderValue::from_str(&format!("{}/v1/images/{}", asked.base, image.id)) {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

/// Refuses (403) properties that the caller may not give to an image.
pub fn check_new<'a>(service: &Service, caller: &Caller, mut names: impl Iterator<Item = &'a String>) -> Result<()> {
    match names.find(|name| is_own(name) || !service.protection.allows(caller, Act::Create, name)) {
        Some(name) => Err(refused(format!("Property '{name}' is protected"))),
        None => Ok(()),
    }
}

/// The store that data is to go to.
pub fn store(service: &Service, meta: &Meta) -> Result<String> {
    let Some(Some(name)) = &meta.store else { return Ok(service.default_store().name.clone()) };
    match service.stores.iter().find(|store| store.name == *name) {
        Some(store) => Ok(store.name.clone()),
        None => Err(Failure::bad_request(format!("Required store {name} is invalid"))),
    }
}
