//! Images: create, list, show, change, delete.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::fields::{self, time};
use super::{patch, query, schemas};
use crate::local::answer::{Payload, json as as_json, no_content};
use crate::local::aside::aside;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::pipeline;
use crate::local::policy::Target;
use crate::local::registry::{Image, Status};
use crate::local::request::Asked;
use crate::local::service::Service;

/// The image as the caller is shown it: without properties that are not for
/// the caller's eyes.
fn shown(service: &Service, caller: &Caller, mut image: Image) -> Shown {
    service.protection.hide(caller, &mut image.properties);
    // Where the data of a closed image is, is for admins only.
    if image.status == Status::Deactivated && !caller.is_admin {
        image.stores.clear();
    }
    Shown(image)
}

/// An image as the API writes it. Straight to text: lists are most of what is
/// asked, and building a tree of values first was half of their cost.
struct Shown(Image);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let image = &self.0;
        let href = format!("/v2/images/{}", image.id);
        let mut view = serializer.serialize_map(None)?;
        for (name, value) in &image.properties {
            view.serialize_entry(name, value)?;
        }
        view.serialize_entry("name", &image.name)?;
        view.serialize_entry("disk_format", &image.disk_format)?;
        view.serialize_entry("container_format", &image.container_format)?;
        view.serialize_entry("visibility", image.visibility.name())?;
        view.serialize_entry("size", &image.size)?;
        view.serialize_entry("virtual_size", &image.virtual_size)?;
        view.serialize_entry("status", image.status.name())?;
        view.serialize_entry("checksum", &image.checksum)?;
        view.serialize_entry("protected", &image.protected)?;
        view.serialize_entry("min_ram", &image.min_ram)?;
        view.serialize_entry("min_disk", &image.min_disk)?;
        view.serialize_entry("owner", &image.owner)?;
        view.serialize_entry("os_hidden", &image.os_hidden)?;
        view.serialize_entry("os_hash_algo", &image.os_hash_algo)?;
        view.serialize_entry("os_hash_value", &image.os_hash_value)?;
        view.serialize_entry("id", &image.id)?;
        view.serialize_entry("created_at", &time(image.created_at))?;
        view.serialize_entry("updated_at", &time(image.updated_at))?;
        view.serialize_entry("tags", &image.tags)?;
        view.serialize_entry("self", &href)?;
        view.serialize_entry("file", &format_args!("{href}/file"))?;
        view.serialize_entry("schema", "/v2/schemas/image")?;
        if !image.stores.is_empty() {
            view.serialize_entry("stores", &image.stores.join(","))?;
        }
        view.end()
    }
}

/// A page of a list as the API writes it.
#[derive(Serialize)]
struct Page {
    images: Vec<Shown>,
    first: String,
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `POST /v2/images`
pub async fn create(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    check(service, &body)?;
    let Value::Object(fields) = body else { return Err(Failure::bad_request("Unexpected body type.")) };
    let caller = Arc::clone(&asked.caller);
    let image = service
        .write(move |service, session| {
            let mut image = Image::new(Uuid::new_v4().to_string());
            image.owner = caller.project_id.clone();
            for (name, value) in &fields {
                match name.as_str() {
                    "id" => image.id = value.as_str().unwrap_or_default().to_owned(),
                    // Not for clients to say, but Glance does not mind if they do.
                    "os_hash_algo" | "os_hash_value" => {}
                    name if fields::is_known(name) => patch::set(&mut image, name, value)?,
                    name => {
                        image.properties.insert(name.to_owned(), value.as_str().unwrap_or_default().to_owned());
                    }
                }
            }
            pipeline::admit(service, &caller, &image)?;
            for (name, value) in &fields {
                fields::check_storable(name, value)?;
            }
            pipeline::reserve(service, session, &image)?;
            Ok(image)
        })
        .await?;
    let location = format!("{}/v2/images/{}", asked.base, image.id);
    let mut answer = as_json(StatusCode::CREATED, &shown(service, &asked.caller, image));
    let headers = answer.headers_mut();
    let mut put = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    put(LOCATION, location);
    if !service.settings.import_methods.is_empty() {
        put(HeaderName::from_static("openstack-image-import-methods"), service.settings.import_methods.join(","));
    }
    let stores: Vec<&str> = service.stores.iter().map(|store| store.name.as_str()).collect();
    put(HeaderName::from_static("openstack-image-store-ids"), stores.join(","));
    Ok(answer)
}

/// Refuses what a new image cannot be made of, before any of it is used.
fn check(service: &Service, fields: &Value) -> Result<()> {
    const LINKS: [&str; 5] = ["direct_url", "self", "file", "schema", "stores"];
    const FACTS: [&str; 6] = ["checksum", "created_at", "size", "virtual_size", "status", "updated_at"];
    let read_only = |name: &str| Failure::forbidden(format!("Attribute '{name}' is read-only."));
    let given = |names: &'static [&'static str]| names.iter().find(|name| fields.get(**name).is_some());
    if let Some(name) = given(&LINKS) {
        return Err(read_only(name));
    }
    schemas::check_image(&service.settings, fields)?;
    let names = fields.as_object().into_iter().flatten().map(|(name, _)| name);
    for name in names.filter(|name| !fields::is_known(name)) {
        if name.chars().count() > 255 {
            return Err(Failure::bad_request("Custom property should not be greater than 255 characters."));
        }
        if patch::is_reserved(name) {
            return Err(Failure::detailed(StatusCode::FORBIDDEN, format!("Attribute '{name}' is reserved.")));
        }
    }
    if let Some(name) = given(&FACTS) {
        return Err(read_only(name));
    }
    match fields.get("locations") {
        Some(_) => Err(Failure::forbidden("Attribute 'locations' is reserved.")),
        None => Ok(()),
    }
}

/// `GET /v2/images`
pub async fn list(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let pairs = query::pairs(&asked.query);
    let (mut listing, marker) = query::listing(&asked.caller, &service.settings.limits, &pairs)?;
    let target = Target { owner: asked.caller.project_id.as_deref(), ..Target::default() };
    service.enforce_on("get_images", &asked.caller, &target)?;
    let (service, caller) = (Arc::clone(service), Arc::clone(&asked.caller));
    aside(move || {
        let limit = listing.limit;
        let images = service.read(|session| {
            if let Some(marker) = marker {
                listing.marker = Some(match session.visible(&caller, &marker)? {
                    Some(image) => image,
                    None if session.image(&marker)?.is_some() => {
                        let words = format!("Forbidding request, image {marker} not visible");
                        return Err(Failure::forbidden(words));
                    }
                    None => return Err(Failure::bad_request(format!("No image found with ID {marker}"))),
                });
            }
            Ok(session.list(&listing)?)
        })?;
        let is_full = images.len() == limit;
        let seen = images.into_iter().filter(|image| service.may("get_image", &caller, image));
        let images: Vec<Shown> = seen.map(|image| shown(&service, &caller, image)).collect();
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(name, _)| name != "marker").collect();
        let first = match pairs.is_empty() {
            true => "/v2/images".to_owned(),
            false => format!("/v2/images?{}", query::written(&pairs)),
        };
        let next = images.last().filter(|_| is_full).map(|Shown(last)| {
            pairs.push(("marker".to_owned(), last.id.clone()));
            format!("/v2/images?{}", query::written(&pairs))
        });
        Ok(as_json(StatusCode::OK, &Page { images, first, schema: "/v2/schemas/images", next }))
    })
    .await
}

/// `GET /v2/images/{id}`
pub fn show(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let image = service.read(|session| {
        let image = service.image(session, &asked.caller, id)?;
        service.enforce("get_image", &asked.caller, &image)?;
        Ok(image)
    })?;
    Ok(as_json(StatusCode::OK, &shown(service, &asked.caller, image)))
}

/// `PATCH /v2/images/{id}`
pub async fn update(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let is_old = patch::is_old_dialect(asked.header(CONTENT_TYPE))?;
    let body = asked.json(service.settings.limits.json_bytes).await?;
    let changes = patch::read(&service.settings, is_old, &body)?;
    let (caller, id) = (Arc::clone(&asked.caller), id.to_owned());
    let image = service
        .write(move |service, session| {
            let mut image = service.image(session, &caller, &id)?;
            let before = image.properties.len();
            for change in &changes {
                patch::apply(service, &caller, &mut image, change)?;
            }
            if image.properties.len() > before {
                service.settings.quota.check_properties(&image)?;
            }
            if !changes.is_empty() {
                session.save(&mut image)?;
            }
            Ok(image)
        })
        .await?;
    Ok(as_json(StatusCode::OK, &shown(service, &asked.caller, image)))
}

/// `DELETE /v2/images/{id}`
pub async fn delete(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let (service, caller, id) = (Arc::clone(service), Arc::clone(&asked.caller), id.to_owned());
    aside(move || {
        pipeline::delete(&service, |session| {
            let image = session.visible(&caller, &id)?;
            let image = image.ok_or_else(|| Failure::not_found(format!("Failed to find image {id} to delete")))?;
            service.enforce("delete_image", &caller, &image)?;
            match image.protected {
                true => Err(Failure::forbidden(format!("Image {id} is protected and cannot be deleted."))),
                false => Ok(image),
            }
        })
    })
    .await?;
    Ok(no_content())
}
