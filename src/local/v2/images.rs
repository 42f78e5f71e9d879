//! Images: create, list, show, change, delete.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::query;
use crate::local::Service;
use crate::local::access::aside;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::registry::{FileState, Image, Visibility};
use crate::local::server::{Asked, Payload, json as as_json, no_content};

/// An image as the API shows it.
pub fn view(image: &Image) -> Value {
    let mut view: Map<String, Value> =
        image.properties.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let href = format!("/v2/images/{}", image.id);
    let mut put = |name: &str, value: Value| view.insert(name.to_owned(), value);
    put("name", json!(image.name));
    put("disk_format", json!(image.disk_format));
    put("container_format", json!(image.container_format));
    put("visibility", image.visibility.name().into());
    put("size", json!(image.size));
    put("virtual_size", json!(image.virtual_size));
    put("status", image.status.name().into());
    put("checksum", json!(image.checksum));
    put("protected", image.protected.into());
    put("min_ram", image.min_ram.into());
    put("min_disk", image.min_disk.into());
    put("owner", json!(image.owner));
    put("os_hidden", image.os_hidden.into());
    put("os_hash_algo", json!(image.os_hash_algo));
    put("os_hash_value", json!(image.os_hash_value));
    put("id", image.id.as_str().into());
    put("created_at", time(image.created_at).into());
    put("updated_at", time(image.updated_at).into());
    put("tags", json!(image.tags));
    put("self", href.as_str().into());
    put("file", format!("{href}/file").into());
    put("schema", "/v2/schemas/image".into());
    if !image.stores.is_empty() {
        put("stores", image.stores.join(",").into());
    }
    Value::Object(view)
}

/// A time as the API writes it: seconds, UTC.
pub fn time(microseconds: i64) -> String {
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => String::new(),
    }
}

/// `POST /v2/images`
pub async fn create(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut image = Image::new(text("id").unwrap_or_else(|| Uuid::new_v4().to_string()));
    image.name = text("name");
    image.disk_format = text("disk_format");
    image.container_format = text("container_format");
    image.owner = asked.caller.project_id.clone();
    if let Some(visibility) = text("visibility").and_then(|name| Visibility::named(&name)) {
        image.visibility = visibility;
    }
    let caller = Arc::clone(&asked.caller);
    let image = service
        .write(move |service, session| {
            let target =
                Target { owner: image.owner.as_deref(), member: None, visibility: Some(image.visibility.name()) };
            service.enforce_on("add_image", &caller, &target)?;
            service.enforce_visibility(&caller, image.visibility, &target)?;
            if session.knows(&image.id)? {
                return Err(Failure::conflict(format!("Image ID {} already exists!", image.id)));
            }
            session.add(&image)?;
            Ok(image)
        })
        .await?;
    let mut answer = as_json(StatusCode::CREATED, &view(&image));
    let headers = answer.headers_mut();
    let mut put = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    put(LOCATION, format!("{}/v2/images/{}", asked.base, image.id));
    put(HeaderName::from_static("openstack-image-import-methods"), service.settings.import_methods.join(","));
    let stores: Vec<&str> = service.stores.iter().map(|store| store.name.as_str()).collect();
    put(HeaderName::from_static("openstack-image-store-ids"), stores.join(","));
    Ok(answer)
}

/// `GET /v2/images`
pub async fn list(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    let _ = query::pairs(&asked.query);
    let listing = query::usual(&asked.caller, service.settings.limits.page);
    let service = Arc::clone(service);
    let images = aside(move || service.read(|session| Ok(session.list(&listing)?))).await?;
    let images: Vec<Value> = images.iter().map(view).collect();
    Ok(as_json(StatusCode::OK, &json!({"images": images, "first": "/v2/images", "schema": "/v2/schemas/images"})))
}

/// `GET /v2/images/{id}`
pub fn show(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let image = service.read(|session| {
        let image = service.image(session, &asked.caller, id)?;
        service.enforce("get_image", &asked.caller, &image)?;
        Ok(image)
    })?;
    Ok(as_json(StatusCode::OK, &view(&image)))
}

/// `DELETE /v2/images/{id}`
pub async fn delete(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let (caller, id) = (Arc::clone(&asked.caller), id.to_owned());
    let service = Arc::clone(service);
    aside(move || {
        let files = service.registry.write(|session| {
            let image = service.image(session, &caller, &id)?;
            service.enforce("delete_image", &caller, &image)?;
            if image.protected {
                return Err(Failure::forbidden(format!("Image {id} is protected and cannot be deleted.")));
            }
            let mut files = session.files(&id, FileState::Stored)?;
            files.extend(session.files(&id, FileState::Staged)?);
            for file in &files {
                session.discard_file(&file.id, service.run.id())?;
            }
            session.delete(&image)?;
            Ok(files)
        })?;
        for file in files {
            service.remove(service.store(&file.store)?, &file.id);
        }
        Ok(())
    })
    .await?;
    Ok(no_content())
}
