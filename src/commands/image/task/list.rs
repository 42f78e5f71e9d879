//! `image task list`

use clap::Parser;

use crate::commands::several;
use crate::context::Context;
use crate::error::Kind;
use crate::image::{Fields, TaskFilter};
use crate::manager::Command;
use crate::output::Table;

/// List tasks: what became of imports
///
/// Most clouds tell tasks to administrators only; those of an image (--image)
/// everybody may see who sees the image.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  rimg image task list --image web --long
  rimg image task list --status failure --limit 10")]
pub struct List {
    /// Only the tasks of this image (name or ID)
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["sort_key", "sort_dir", "marker"], add = crate::manager::images())]
    image: Option<String>,

    /// Show what the tasks say and when they last did something, too; with
    /// --image all there is to know of them
    #[arg(long)]
    long: bool,

    /// Sort by created_at, expires_at, id, status, type or updated_at
    #[arg(long, value_name = "KEY", add = crate::manager::words(&KEYS))]
    sort_key: Option<String>,

    /// Sort `asc` or `desc`
    #[arg(long, value_name = "DIRECTION", add = crate::manager::words(&["asc", "desc"]))]
    sort_dir: Option<String>,

    /// At most so many; 0 is all
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    /// Begin after the task of this ID
    #[arg(long, value_name = "TASK")]
    marker: Option<String>,

    /// As --limit
    #[arg(long, value_name = "COUNT")]
    max_items: Option<usize>,

    /// Only tasks of this type: api_image_import, location_import, import
    #[arg(long = "type", value_name = "TYPE", add = crate::manager::words(&TYPES))]
    kind: Option<String>,

    /// Only tasks in this state
    #[arg(long, value_name = "STATUS", value_parser = STATUSES)]
    status: Option<String>,
}

const KEYS: [&str; 6] = ["created_at", "expires_at", "id", "status", "type", "updated_at"];
const TYPES: [&str; 3] = ["api_image_import", "location_import", "import"];
const STATUSES: [&str; 4] = ["pending", "processing", "success", "failure"];

/// What `openstack` shows, of which the last two are for --long, and what only
/// `glance image-tasks` does.
const COLUMNS: [(&str, &str); 12] = [
    ("ID", "id"),
    ("Type", "type"),
    ("Status", "status"),
    ("Owner", "owner"),
    ("Message", "message"),
    ("Updated At", "updated_at"),
    ("Expires At", "expires_at"),
    ("Image ID", "image_id"),
    ("User ID", "user_id"),
    ("Request ID", "request_id"),
    ("Input", "input"),
    ("Result", "result"),
];

impl Command for List {
    type Answer = Table;

    const COLUMNS: &'static [&'static str] = &[
        "ID",
        "Type",
        "Status",
        "Owner",
        "Message",
        "Updated At",
        "Expires At",
        "Image ID",
        "User ID",
        "Request ID",
        "Input",
        "Result",
    ];

    async fn run(self, ctx: &Context) -> anyhow::Result<Table> {
        let service = ctx.images().await?;
        let limit = [self.limit, self.max_items].into_iter().flatten().filter(|limit| *limit > 0).min();
        let of_image = self.image.is_some();
        let mut tasks = match &self.image {
            Some(image) => {
                let image = service.find(image).await?;
                let mut tasks = service.image_tasks(image.id()).await?;
                let is = |task: &Fields, field: &str, wanted: &Option<String>| {
                    wanted.as_deref().is_none_or(|wanted| task.get(field).is_some_and(|value| value == wanted))
                };
                tasks.retain(|task| is(task, "type", &self.kind) && is(task, "status", &self.status));
                tasks.truncate(limit.unwrap_or(usize::MAX));
                tasks
            }
            None => {
                let filter = TaskFilter {
                    kind: self.kind,
                    status: self.status,
                    sort_key: self.sort_key,
                    sort_dir: self.sort_dir,
                    marker: self.marker,
                    limit,
                };
                service.tasks(&filter).await.map_err(|error| match filter.sort_key.as_deref() {
                    Some(key) if error.kind == Kind::Rejected && !KEYS.contains(&key) => {
                        error.next(format!("tasks are sorted by: {}", KEYS.join(", ")))
                    }
                    _ => error,
                })?
            }
        };
        if self.long {
            // A list of all tasks leaves out what they say.
            tasks = several::all(tasks, async |task: Fields| match task.get("id").and_then(|id| id.as_str()) {
                Some(id) if !task.contains_key("message") => service.task(id).await,
                _ => Ok(task),
            })
            .await?;
        }
        let shown = match (self.long, of_image) {
            (false, _) => 4,
            (true, false) => 6,
            (true, true) => COLUMNS.len(),
        };
        Ok(Table::of(&tasks, &COLUMNS[..shown]))
    }
}
