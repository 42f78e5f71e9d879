//! `POST /v2/images/{id}/import`
//! (<https://docs.openstack.org/api-ref/image/v2/#import-an-image>).

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::python;
use crate::local::answer::Payload;
use crate::local::aside::aside;
use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::import::lock::{TASK, is_locked, take_over};
use crate::local::import::{self, Import, Source};
use crate::local::registry::{Session, Status, Task, TaskStatus, now};
use crate::local::request::Asked;
use crate::local::service::Service;

/// What a request asks for.
#[derive(Clone)]
struct Wish {
    method: String,
    uri: Option<Url>,
    all_stores: bool,
    all_must_succeed: bool,
    /// The stores that are named, in the body or else in a header.
    stores: Option<Vec<String>>,
    body: Value,
}

/// `POST /v2/images/{id}/import`
pub async fn start(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let body = asked.json(service.settings.limits.json_bytes).await?;
    let wish = read(service, asked, body)?;
    let (caller, id) = (Arc::clone(&asked.caller), id.to_owned());
    let request_id = asked.request_id.clone();
    let running = Arc::clone(service);
    let import = {
        let service = Arc::clone(service);
        aside(move || {
            // Whether there is such an image comes first, and it may take long
            // to look a name up: not while others wait to write.
            if service.read(|session| plan(&service, session, &caller, &wish, &id))?.is_none() {
                return Ok(None);
            }
            if wish.method == "web-download" {
                let allowed = wish.uri.as_ref().and_then(|uri| service.settings.web_download.addresses(uri));
                if allowed.is_none() {
                    let uri = match &wish.body["method"]["uri"] {
                        Value::String(uri) => uri.clone(),
                        other => python::repr(other),
                    };
                    let words = format!("URI for web-download does not pass filtering: {uri}");
                    return Err(Failure::bad_request(words));
                }
            }
            service.registry.write(|session| {
                let Some(import) = plan(&service, session, &caller, &wish, &id)? else { return Ok(None) };
                let Some(mut image) = session.image(&id)? else { return Ok(None) };
                take_over(session, &mut image)?;
                image.properties.insert(TASK.to_owned(), import.task.clone());
                session.save(&mut image)?;
                let now = now();
                let task = Task {
                    id: import.task.clone(),
                    status: TaskStatus::Pending,
                    owner: caller.project_id.clone(),
                    user_id: caller.user_id.clone(),
                    image_id: id.clone(),
                    request_id,
                    input: json!({"image_id": id, "import_req": wish.body, "backend": import.stores}),
                    result: None,
                    message: String::new(),
                    created_at: now,
                    updated_at: now,
                    expires_at: None,
                };
                session.add_task(&task, service.run.id())?;
                Ok(Some(import))
            })
        })
        .await?
    };
    // From here on it does not depend on the client any more.
    if let Some(import) = import {
        import::start(&running, import);
    }
    let mut answer = Response::new(Payload::from(bytes::Bytes::new()));
    *answer.status_mut() = StatusCode::ACCEPTED;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=UTF-8"));
    Ok(answer)
}

/// Understands the body and the header.
fn read(service: &Service, asked: &Asked, body: Value) -> Result<Wish> {
    let bad = |words: &'static str| Err(Failure::bad_request(words));
    let method = match body.get("method") {
        Some(Value::Object(method)) => method,
        Some(_) => return bad("The 'method' field must be an object."),
        None => return bad("Import request requires a 'method' field."),
    };
    let Some(name) = method.get("name") else { return bad("Import request requires a 'name' field.") };
    let known = service.settings.import_methods.iter().find(|known| name == known.as_str());
    let Some(method_name) = known else {
        let name = name.as_str().map_or_else(|| python::repr(name), str::to_owned);
        return Err(Failure::bad_request(format!("Unknown import method name '{name}'.")));
    };
    let flag = |name: &str, default| match body.get(name) {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Failure::bad_request(format!("'{name}' must be boolean value only"))),
    };
    let all_must_succeed = flag("all_stores_must_succeed", true)?;
    let all_stores = flag("all_stores", false)?;
    let header = asked.header("x-image-meta-store").map(str::to_owned);
    let named = match body.get("stores") {
        None => None,
        Some(Value::Array(stores)) if stores.iter().all(Value::is_string) => {
            Some(stores.iter().filter_map(|store| store.as_str().map(str::to_owned)).collect::<Vec<_>>())
        }
        Some(_) => return bad("'stores' must be a list of strings."),
    };
    let stores = match (named, header) {
        (Some(_), _) | (None, Some(_)) if all_stores => {
            return bad("All_stores parameter can't be used with x-image-meta-store header or stores parameter");
        }
        (Some(_), Some(_)) => {
            return bad("Stores parameter and x-image-meta-store header can't be both specified");
        }
        (named, header) => named.or(header.map(|store| vec![store])),
    };
    let uri = method.get("uri").and_then(Value::as_str).and_then(|uri| Url::parse(uri).ok());
    Ok(Wish { method: method_name.clone(), uri, all_stores, all_must_succeed, stores, body })
}

/// Checks that it may be done; `None` if nothing is left to do.
fn plan(service: &Service, session: &Session, caller: &Caller, wish: &Wish, id: &str) -> Result<Option<Import>> {
    let image = service.image(session, caller, id)?;
    let conflict = |words: &str| Err(Failure::conflict(words.to_owned()));
    let copy = wish.method == "copy-image";
    match image.status {
        Status::Active if !copy => return conflict("Image with status active cannot be target for import"),
        Status::Active => {}
        _ if copy => return conflict("Only images with status active can be targeted for copying"),
        Status::Queued => {}
        _ if wish.method == "web-download" => {
            return conflict("Image needs to be in 'queued' state to use 'web-download' method");
        }
        _ => {}
    }
    if wish.method == "glance-direct" && image.status != Status::Uploading {
        return conflict("Image needs to be staged before 'glance-direct' method can be used");
    }
    if image.container_format.is_none() {
        return conflict("'container_format' needs to be set before import");
    }
    if image.disk_format.is_none() {
        return conflict("'disk_format' needs to be set before import");
    }
    service.enforce(if copy { "copy_image" } else { "modify_image" }, caller, &image)?;
    if is_locked(session, &image)? {
        return conflict("Image has active task");
    }
    // An upload into the staging area that is still under way has staged nothing yet.
    let staged = session.files(id, crate::local::registry::FileState::Staged)?;
    if wish.method == "glance-direct" && staged.is_empty() {
        return conflict("Image needs to be staged before 'glance-direct' method can be used");
    }
    let mut stores: Vec<String> = match &wish.stores {
        Some(stores) => stores.clone(),
        None if wish.all_stores => service.stores.iter().map(|store| store.name.clone()).collect(),
        None => vec![service.default_store().name.clone()],
    };
    if let Some(unknown) = stores.iter().find(|name| service.store(name).is_err()) {
        return conflict(&format!("Store for identifier {unknown} not found"));
    }
    let mut seen = std::collections::BTreeSet::new();
    stores.retain(|store| seen.insert(store.clone()));
    if copy && wish.all_stores {
        stores.retain(|store| !image.stores.contains(store));
        if stores.is_empty() {
            return Ok(None);
        }
    } else if let Some(has) = image.stores.iter().find(|store| copy && stores.contains(store)) {
        return Err(Failure::bad_request(format!("Image is already present at store '{has}'")));
    }
    let source = match (&*wish.method, &wish.uri) {
        ("copy-image", _) => Source::Copy,
        ("web-download", Some(uri)) => Source::Web(uri.clone()),
        _ => Source::Staged,
    };
    Ok(Some(Import {
        task: Uuid::new_v4().to_string(),
        project: caller.project_id.clone(),
        image: image.id,
        source,
        stores,
        all_must_succeed: wish.all_must_succeed,
    }))
}
