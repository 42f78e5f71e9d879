//! Tasks (<https://docs.openstack.org/api-ref/image/v2/#tasks>).

use async_trait::async_trait;
use http::Method;
use serde_json::json;

use super::{V2, wire};
use crate::error::{Error, Kind, Result};
use crate::image::{Fields, TaskFilter};
use crate::service::Tasks;

#[async_trait(?Send)]
impl Tasks for V2 {
    async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<Fields>> {
        // Of the types there are Glance lets a list be asked for `import` alone
        // (`api_image_import`, which it makes today, is refused): the rest is sorted out here.
        let sort_out = filter.kind.as_deref().filter(|kind| *kind != "import");
        let most = filter.limit.unwrap_or(usize::MAX);
        let mut tasks: Vec<Fields> = Vec::new();
        let mut marker = filter.marker.clone();
        loop {
            let page = match sort_out {
                Some(_) => wire::PAGE,
                None => wire::PAGE.min(most - tasks.len()),
            };
            let mut url = self.api.url(&["tasks"])?;
            url.query_pairs_mut().append_pair("limit", &page.to_string());
            let kind = if sort_out.is_none() { &filter.kind } else { &None };
            let pairs = [
                ("type", kind),
                ("status", &filter.status),
                ("sort_key", &filter.sort_key),
                ("sort_dir", &filter.sort_dir),
                ("marker", &marker),
            ];
            for (key, value) in pairs {
                if let Some(value) = value {
                    url.query_pairs_mut().append_pair(key, value);
                }
            }
            let answer = self.api.send(self.api.request(Method::GET, url)).await?;
            let (listed, next) = wire::page_of(answer.json().await?, "tasks")?;
            let empty = listed.is_empty();
            tasks.extend(listed.into_iter().filter(|task| sort_out.is_none_or(|kind| text(task, "type") == kind)));
            tasks.truncate(most);
            // A service that repeats a marker would keep us here for ever.
            if tasks.len() == most || empty || next.is_none() || next == marker {
                return Ok(tasks);
            }
            marker = next;
        }
    }

    async fn image_tasks(&self, image: &str) -> Result<Vec<Fields>> {
        match self.listed(&["images", image, "tasks"], "tasks").await {
            // Who asks has just found the image.
            Err(error) if matches!(error.status, Some(404 | 405)) => {
                Err(Error::new(Kind::Unsupported, "this image service does not tell the tasks of an image")
                    .next("Glance does since Wallaby; an administrator can ask with `rimg image task list`"))
            }
            tasks => tasks,
        }
    }

    async fn task(&self, id: &str) -> Result<Fields> {
        self.fields(Method::GET, &["tasks", id], None).await.map_err(|error| match error.kind {
            Kind::NotFound => Error { message: format!("there is no task with the ID `{id}`"), ..error }
                .next("`rimg image task list` shows the tasks; the service forgets them after a while"),
            _ => error,
        })
    }

    async fn create_task(&self, kind: &str, input: &Fields) -> Result<Fields> {
        self.fields(Method::POST, &["tasks"], Some(&json!({"type": kind, "input": input}))).await
    }
}

/// A text of a task; empty where there is none.
pub(super) fn text<'a>(task: &'a Fields, field: &str) -> &'a str {
    task.get(field).and_then(serde_json::Value::as_str).unwrap_or_default()
}
