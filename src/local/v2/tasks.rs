//! Tasks (<https://docs.openstack.org/api-ref/image/v2/#tasks>): what became of
//! imports. They come of imports alone; the older way, a task that makes an
//! image, is not offered.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::fields::time;
use super::page::Page;
use super::python::is_uuid;
use super::query::pairs;
use super::schemas::TASK;
use crate::local::answer::{Payload, json as as_json};
use crate::local::aside::aside;
use crate::local::failure::{Failure, Result};
use crate::local::policy::Target;
use crate::local::registry::{TASK_COLUMNS, Task, TaskListing, TaskStatus};
use crate::local::request::Asked;
use crate::local::service::Service;

const TYPE: &str = "api_image_import";

fn enforce(service: &Service, asked: &Asked) -> Result<()> {
    service.enforce_on("tasks_api_access", &asked.caller, &Target::default())
}

/// A task in a list.
fn stub(task: &Task) -> Value {
    let mut view = json!({
        "id": task.id,
        "type": TYPE,
        "status": task.status.name(),
        "owner": task.owner,
        "created_at": time(task.created_at),
        "updated_at": time(task.updated_at),
        "self": format!("/v2/tasks/{}", task.id),
        "schema": "/v2/schemas/task",
    });
    if let Some(expires_at) = task.expires_at {
        view["expires_at"] = time(expires_at).into();
    }
    view
}

/// `GET /v2/tasks`
pub async fn list(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    enforce(service, asked)?;
    let pairs = pairs(&asked.query);
    let (service, caller) = (Arc::clone(service), Arc::clone(&asked.caller));
    aside(move || {
        let page = Page::read(&pairs)?;
        let one_of = |name: &str, allowed: &dyn Fn(&str) -> bool| match page.get(name) {
            Some(value) if !value.is_empty() && !allowed(value) => {
                Err(Failure::bad_request(format!("Invalid {name} value: {value}")))
            }
            _ => Ok(()),
        };
        one_of("status", &|status| TaskStatus::named(status).is_some())?;
        one_of("type", &|kind| kind == "import")?;
        let limits = &service.settings.limits;
        if page.marker.is_some_and(|marker| !is_uuid(marker)) {
            return Err(Failure::bad_request("Invalid marker format"));
        }
        let limit = page.limit()?.unwrap_or(limits.page).min(limits.longest_page);
        let column = |name: &str| TASK_COLUMNS.into_iter().find(|column| *column == name);
        let unknown = || Failure::bad_request("Sort key supplied was not valid.");
        let listing = TaskListing {
            filters: TASK_COLUMNS.iter().filter_map(|name| Some((*name, page.get(name)?.to_owned()))).collect(),
            sort_key: column(page.sort_key).ok_or_else(unknown)?,
            direction: page.direction,
            marker: page.marker.map(str::to_owned),
            limit,
        };
        let tasks = service.read(|session| {
            if let Some(marker) = &listing.marker {
                let visible = session.task(marker)?.is_some_and(|task| task.is_visible(&caller));
                if !visible {
                    let words = format!("Task with the given id {marker} was not found");
                    return Err(Failure::bad_request(words));
                }
            }
            Ok(session.tasks(&caller, &listing)?)
        })?;
        let views: Vec<Value> = tasks.iter().map(stub).collect();
        let mut body = json!({"tasks": views, "first": page.link("/v2/tasks", None), "schema": "/v2/schemas/tasks"});
        if let Some(last) = tasks.last().filter(|_| tasks.len() == limit) {
            body["next"] = page.link("/v2/tasks", Some(&last.id)).into();
        }
        Ok(as_json(StatusCode::OK, &body))
    })
    .await
}

/// `GET /v2/tasks/{id}`
pub fn show(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    enforce(service, asked)?;
    let task = service.read(|session| {
        let task = session.task(id)?.filter(|task| task.is_visible(&asked.caller));
        task.ok_or_else(|| Failure::not_found(format!("Could not find task {id}")))
    })?;
    let mut view = stub(&task);
    view["input"] = task.input;
    view["message"] = task.message.into();
    view["result"] = json!(task.result);
    view["image_id"] = task.image_id.into();
    view["request_id"] = task.request_id.into();
    view["user_id"] = task.user_id.into();
    Ok(as_json(StatusCode::OK, &view))
}

/// `DELETE /v2/tasks/{id}`: tasks go by themselves.
pub fn delete(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    enforce(service, asked)?;
    const REASON: &str = "This operation is currently not permitted on Glance Tasks. They are auto deleted after \
                          reaching the time based on their expires_at property.";
    Err(Failure::not_permitted(REASON, "GET"))
}

/// `POST /v2/tasks`: there are no tasks here but the imports of images' data,
/// and those begin elsewhere. Glance takes a task to make an image as well
/// (which by default only an administrator may ask for, and which fails where
/// there is no qemu-img); here, what makes sense of one is refused at once.
pub async fn create(service: &Arc<Service>, asked: &mut Asked) -> Result<Response<Payload>> {
    enforce(service, asked)?;
    let body = asked.json(service.settings.limits.json_bytes).await?;
    for field in ["type", "input"] {
        if body.get(field).is_none() {
            return Err(Failure::bad_request(format!("Task '{field}' is required")));
        }
    }
    TASK.check(&body)?;
    let from = body["input"]["import_from"].as_str().unwrap_or_default();
    Err(Failure::bad_request(match from {
        _ if body["type"] != "import" => UNSUPPORTED,
        "" => "Invalid location: None",
        from if from.starts_with("file:///") || from.starts_with("filesystem:///") => {
            "File based imports are not allowed. Please use a non-local source of image data."
        }
        from if from.starts_with("http://") || from.starts_with("https://") => UNSUPPORTED,
        _ => "The given uri is not valid. Please specify a valid uri from the following list of supported uri ['http']",
    }))
}

const UNSUPPORTED: &str = "Tasks that make images are not supported at this site: import the data of an image.";

/// `GET /v2/images/{id}/tasks`
pub fn of_image(service: &Arc<Service>, asked: &mut Asked, id: &str) -> Result<Response<Payload>> {
    let caller = &asked.caller;
    let tasks = service.read(|session| {
        let image = session.visible(caller, id)?.ok_or_else(Failure::nothing_here)?;
        service.enforce("get_image", caller, &image)?;
        Ok(session.tasks_of(id)?)
    })?;
    let tasks = tasks.into_iter().filter(|task| task.is_visible(caller)).map(|task| {
        json!({
            "id": task.id,
            "type": TYPE,
            "status": task.status.name(),
            "owner": task.owner,
            "expires_at": task.expires_at.map(exact),
            "created_at": exact(task.created_at),
            "updated_at": exact(task.updated_at),
            "deleted_at": null,
            "deleted": false,
            "image_id": task.image_id,
            "request_id": task.request_id,
            "user_id": task.user_id,
            "input": task.input,
            "result": task.result,
            "message": task.message,
        })
    });
    Ok(as_json(StatusCode::OK, &json!({"tasks": tasks.collect::<Vec<_>>()})))
}

/// A time to the microsecond, UTC, as only this list writes it.
fn exact(microseconds: i64) -> String {
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
        Err(_) => String::new(),
    }
}
