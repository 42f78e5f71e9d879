//! Staging and import
//! (<https://docs.openstack.org/api-ref/image/v2/#interoperable-image-import>).

use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use super::tasks::text;
use super::{V2, wire};
use crate::error::{Error, Kind, Result};
use crate::glance::api::PASSING;
use crate::glance::wire::{malformed, texts};
use crate::image::{Fields, Image, Import, ImportMethod};
use crate::service::{Imports, Tasks as _, Wait};
use crate::transfer::Data;

#[async_trait(?Send)]
impl Imports for V2 {
    fn can_import(&self) -> Result<()> {
        Ok(())
    }

    async fn import_methods(&self) -> Result<Vec<String>> {
        let info = match self.fields(Method::GET, &["info", "import"], None).await {
            Err(error) if error.kind == Kind::NotFound => {
                return Err(Error::new(Kind::Unsupported, "this image service does not import images")
                    .next("without an import: `rimg image create` with `--file`, or `rimg image upload`"));
            }
            info => info?,
        };
        let methods = info.get("import-methods").and_then(|methods| methods.get("value"));
        texts(methods.ok_or_else(malformed)?)
    }

    async fn stage(&self, image: &Image, data: Data) -> Result<Image> {
        self.take_aside(image, data).await
    }

    async fn import(&self, image: &Image, import: &Import, wait: Option<Wait>) -> Result<Image> {
        let id = image.id();
        let Some(wait) = wait else {
            self.begin(id, import).await?;
            return self.get(id).await;
        };
        // Those of earlier imports, which say nothing about this one.
        let earlier = match self.image_tasks(id).await {
            Ok(tasks) => tasks.iter().map(|task| text(task, "id").to_owned()).collect(),
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            Err(_) => Vec::new(),
        };
        self.begin(id, import).await?;
        self.imported(id, &import.method, &earlier, &wait).await
    }
}

impl V2 {
    /// Gives the order to import.
    pub(super) async fn begin(&self, id: &str, import: &Import) -> Result<()> {
        let request =
            self.api.request(Method::POST, self.api.url(&["images", id, "import"])?).json(&wire::import(import));
        self.api.send(request).await.map(drop)
    }

    /// Waits until the import just begun has come to an end, and tells on the
    /// way how far it is. `earlier` are the IDs of tasks that are not this
    /// one's. A look that fails and may pass says nothing of the import.
    pub(super) async fn imported(
        &self,
        id: &str,
        method: &ImportMethod,
        earlier: &[String],
        wait: &Wait,
    ) -> Result<Image> {
        let Wait { limit, meter } = wait;
        let http = &self.api.http;
        let started = Instant::now();
        let mut pause = Duration::from_millis(100);
        let mut tells_tasks = true;
        let mut begun = false;
        let mut noted = false;
        loop {
            let said = match self.look_at_import(id, earlier, &mut tells_tasks).await {
                Ok((task, image)) => {
                    begun |= matches!(image.status(), "importing" | "saving");
                    match state(&image, task.as_ref(), method, begun) {
                        State::Done => {
                            let failed = of(&image, FAILED);
                            if !failed.is_empty() {
                                http.log().warn(&format!("the data could not be put into these stores: {failed}"));
                            }
                            return Ok(image);
                        }
                        State::Failed(reason) => {
                            return Err(Error::new(Kind::Unavailable, format!("the import failed: {reason}"))
                                .next(after_failure(method, id)));
                        }
                        State::Underway(phase) => phase,
                    }
                }
                Err(error) if http.settings().retries.passing(&error, &PASSING) => {
                    if !std::mem::replace(&mut noted, true) {
                        http.log().note(&format!("{error}; the import goes on, looking again"));
                    }
                    format!("how far it is cannot be seen: {error}")
                }
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Err(error) if error.kind == Kind::NotFound => {
                    return Err(Error { message: "the image was deleted while it was imported".to_owned(), ..error });
                }
                Err(error) => return Err(left(error, id)),
            };
            meter.phase(said.clone());
            if started.elapsed() >= *limit {
                let message = format!("the import has not ended after {} s: {said}", limit.as_secs());
                return Err(left(Error::new(Kind::Unavailable, message), id));
            }
            http.pause(pause.min(limit.saturating_sub(started.elapsed()))).await?;
            pause = (pause * 2).min(Duration::from_secs(3));
        }
    }

    /// The image as it stands, and the task of its import, if the service tells.
    async fn look_at_import(
        &self,
        id: &str,
        earlier: &[String],
        tells_tasks: &mut bool,
    ) -> Result<(Option<Fields>, Image)> {
        // The task before the image: what the image is like is then no older than what became of the task.
        let mut tasks = Vec::new();
        if *tells_tasks {
            match self.image_tasks(id).await {
                Err(error) if matches!(error.kind, Kind::Unsupported | Kind::Forbidden) => *tells_tasks = false,
                listed => tasks = listed?,
            }
        }
        let of_this = tasks.into_iter().filter(|task| !earlier.iter().any(|known| known == text(task, "id")));
        let task = of_this.max_by(|one, other| text(one, "created_at").cmp(text(other, "created_at")));
        Ok((task, self.get(id).await?))
    }
}

/// The step to take after an import of the image `id` that failed.
fn after_failure(method: &ImportMethod, id: &str) -> String {
    match method {
        ImportMethod::WebDownload { uri } => {
            format!("the service must be able to fetch `{uri}`; `rimg image create --file` sends the data from here")
        }
        ImportMethod::GlanceDownload { image, .. } => {
            format!("the image `{image}` must be active in that region, and yours to read there")
        }
        ImportMethod::CopyImage => format!("`rimg image show {id}` tells in which stores the data is"),
        ImportMethod::GlanceDirect => "without an import `rimg image create --file` sends the data straight".to_owned(),
    }
}

/// The end of a wait for an import that goes on.
fn left(error: Error, id: &str) -> Error {
    Error { goes_on: true, ..error }
        .details([format!("the import into the image `{id}` goes on at the service")])
        .next(format!("`rimg image task list --image {id} --long` tells how it goes on"))
}

/// Properties in which Glance keeps an account of an import
/// (<https://docs.openstack.org/glance/latest/admin/interoperable-image-import.html>).
const TASK: &str = "os_glance_import_task";
const TO_COME: &str = "os_glance_importing_to_stores";
const FAILED: &str = "os_glance_failed_import";

/// How an import stands.
#[derive(Debug, PartialEq)]
enum State {
    /// In words for people.
    Underway(String),
    Done,
    /// Why.
    Failed(String),
}

/// How the import of `image` stands. `task` is the one that does it, if the
/// service tells; `begun` is whether the image has been seen to be worked on.
fn state(image: &Image, task: Option<&Fields>, method: &ImportMethod, begun: bool) -> State {
    let (to_come, failed) = (of(image, TO_COME), of(image, FAILED));
    let message = task.map(|task| text(task, "message").trim_end_matches('.')).unwrap_or_default();
    let underway = || {
        let mut phase = format!("the image is `{}`", image.status());
        if !to_come.is_empty() {
            phase += &format!(", still to come: {to_come}");
        }
        if !message.is_empty() {
            phase += &format!("; {message}");
        }
        State::Underway(phase)
    };
    let ended = || match message {
        "" if failed.is_empty() => State::Failed(format!("the image is `{}`", image.status())),
        "" => State::Failed(format!("the image is `{}`, {failed} did not take the data", image.status())),
        message => State::Failed(message.to_owned()),
    };
    match (task.map(|task| text(task, "status")), image.status()) {
        (Some("failure"), _) => ended(),
        (Some("success"), "active" | "deactivated") => State::Done,
        (Some("success"), "queued" | "killed" | "deleted" | "pending_delete") => ended(),
        (Some(_), _) => underway(),
        // The service does not tell of tasks: a lock on the image is one under way.
        (None, _) if !of(image, TASK).is_empty() => underway(),
        (None, "active") if !to_come.is_empty() => underway(),
        (None, "active") if *method == ImportMethod::CopyImage && !failed.is_empty() => ended(),
        (None, "active" | "deactivated") => State::Done,
        (None, "importing" | "saving" | "uploading") => underway(),
        // What the service fetches itself waits in this state until it begins.
        (None, "queued") if !begun && *method != ImportMethod::GlanceDirect => underway(),
        (None, _) => ended(),
    }
}

/// A text among the properties; empty where there is none.
fn of<'a>(image: &'a Image, field: &str) -> &'a str {
    image.fields.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn at(image: Value, task: Option<Value>, method: &ImportMethod, begun: bool) -> State {
        let image = Image { fields: image.as_object().unwrap().clone() };
        state(&image, task.map(|task| task.as_object().unwrap().clone()).as_ref(), method, begun)
    }

    #[test]
    fn the_task_has_the_last_word() {
        let direct = ImportMethod::GlanceDirect;
        let task = |status: &str, message: &str| Some(json!({"status": status, "message": message}));
        let failed = |why: &str| State::Failed(why.to_owned());
        let importing = json!({"status": "importing", TO_COME: "fast,slow"});
        assert_eq!(
            at(importing.clone(), task("processing", "Copied 15 MiB"), &direct, true),
            State::Underway("the image is `importing`, still to come: fast,slow; Copied 15 MiB".to_owned())
        );
        assert_eq!(at(json!({"status": "active"}), task("success", ""), &direct, true), State::Done);
        assert_eq!(at(json!({"status": "active"}), task("failure", "Full."), &direct, true), failed("Full"));
        assert_eq!(
            at(json!({"status": "queued"}), task("failure", ""), &direct, true),
            failed("the image is `queued`")
        );
        assert_eq!(
            at(json!({"status": "killed"}), task("success", ""), &direct, true),
            failed("the image is `killed`")
        );
        let waits = at(json!({"status": "active"}), task("pending", ""), &ImportMethod::CopyImage, false);
        assert_eq!(waits, State::Underway("the image is `active`".to_owned()));
    }

    #[test]
    fn without_a_task_the_image_tells() {
        let web = ImportMethod::WebDownload { uri: String::new() };
        let (direct, copy) = (ImportMethod::GlanceDirect, ImportMethod::CopyImage);
        let status = |status: &str| json!({"status": status});
        for (image, method, begun, ends) in [
            (status("queued"), &web, false, None),
            (status("queued"), &web, true, Some(false)),
            (status("queued"), &direct, false, Some(false)),
            (json!({"status": "queued", TASK: "t"}), &direct, false, None),
            (status("uploading"), &direct, false, None),
            (status("killed"), &web, false, Some(false)),
            (status("active"), &direct, true, Some(true)),
            (json!({"status": "active", TO_COME: "slow"}), &copy, false, None),
            (json!({"status": "active", FAILED: "slow"}), &copy, false, Some(false)),
            (json!({"status": "active", FAILED: "slow"}), &direct, false, Some(true)),
        ] {
            let ended = match at(image.clone(), None, method, begun) {
                State::Underway(_) => None,
                State::Done => Some(true),
                State::Failed(_) => Some(false),
            };
            assert_eq!(ended, ends, "{image} {method:?} {begun}");
        }
    }
}
