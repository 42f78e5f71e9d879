//! Tasks: what is done to images while nobody waits for it.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use super::{Direction, Session, now};
use crate::local::caller::Caller;

/// How long a task that ended is remembered, in microseconds: two days.
const KEPT: i64 = 48 * 3600 * 1_000_000;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// It waits.
    Pending,
    /// It is being done.
    Processing,
    /// It was done.
    Success,
    /// It was given up.
    Failure,
}

impl TaskStatus {
    const ALL: [(TaskStatus, &'static str); 4] = [
        (TaskStatus::Pending, "pending"),
        (TaskStatus::Processing, "processing"),
        (TaskStatus::Success, "success"),
        (TaskStatus::Failure, "failure"),
    ];

    /// As the API writes it.
    pub fn name(self) -> &'static str {
        TaskStatus::ALL.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }

    /// The status of this name.
    pub fn named(name: &str) -> Option<Self> {
        TaskStatus::ALL.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether nothing will happen any more.
    pub fn is_final(self) -> bool {
        matches!(self, TaskStatus::Success | TaskStatus::Failure)
    }
}

/// Something that is done to an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// A UUID.
    pub id: String,
    /// How far it is.
    pub status: TaskStatus,
    /// The project that it is done for.
    pub owner: Option<String>,
    /// The user who asked for it.
    pub user_id: String,
    /// The image.
    pub image_id: String,
    /// The request that asked for it.
    pub request_id: String,
    /// What was asked for.
    pub input: Value,
    /// What came of it.
    pub result: Option<Value>,
    /// How it goes, or what went wrong, for people.
    pub message: String,
    /// In microseconds since 1970, UTC.
    pub created_at: i64,
    /// In microseconds since 1970, UTC.
    pub updated_at: i64,
    /// When it is forgotten; in microseconds since 1970, UTC.
    pub expires_at: Option<i64>,
}

impl Task {
    /// Whether the caller may know of it.
    pub fn is_visible(&self, caller: &Caller) -> bool {
        caller.is_admin || self.owner.is_none() || caller.owns(self.owner.as_deref())
    }
}

/// Which tasks, in which order.
#[derive(Debug, Clone)]
pub struct TaskListing {
    /// Columns that must have a value; each is one of [`TASK_COLUMNS`].
    pub filters: Vec<(&'static str, String)>,
    /// The column to sort by, which is one of [`TASK_COLUMNS`].
    pub sort_key: &'static str,
    /// Which way.
    pub direction: Direction,
    /// The ID of the task that the page begins after.
    pub marker: Option<String>,
    /// The most that are wanted.
    pub limit: usize,
}

/// What tasks can be filtered and sorted by.
pub const TASK_COLUMNS: [&str; 10] =
    ["created_at", "id", "type", "status", "owner", "expires_at", "updated_at", "image_id", "request_id", "user_id"];

const TASK: &str = "id, status, owner, user_id, image_id, request_id, input, result, message, created_at, updated_at, \
                    expires_at";

fn task_of(row: &Row) -> rusqlite::Result<Task> {
    let unreadable = |column: usize, what: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what)
    };
    let status: String = row.get(1)?;
    let input: String = row.get(6)?;
    let result: Option<String> = row.get(7)?;
    Ok(Task {
        id: row.get(0)?,
        status: TaskStatus::named(&status).ok_or_else(|| unreadable(1, status.into()))?,
        owner: row.get(2)?,
        user_id: row.get(3)?,
        image_id: row.get(4)?,
        request_id: row.get(5)?,
        input: serde_json::from_str(&input).map_err(|e| unreadable(6, Box::new(e)))?,
        result: result
            .map(|result| serde_json::from_str(&result))
            .transpose()
            .map_err(|e| unreadable(7, Box::new(e)))?,
        message: row.get(8)?,
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
        expires_at: row.get(11)?,
    })
}

/// What a project has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectUsage {
    /// Bytes of data in all stores.
    pub stored_bytes: u64,
    /// Bytes of data in the staging area.
    pub staged_bytes: u64,
    /// Images.
    pub images: u64,
    /// Images whose data is on its way.
    pub uploading: u64,
}

impl Session<'_> {
    /// What the project has. Data that is copied from store to store counts as
    /// uploading, as in Glance, but stages nothing here.
    pub fn project_usage(&self, project: &str) -> rusqlite::Result<ProjectUsage> {
        let number = |sql: &str| {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_row([project], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
        };
        let files = "SELECT coalesce(sum(files.size), 0) FROM files JOIN images ON images.id = files.image_id \
                     WHERE images.owner = ?1 AND images.deleted_at IS NULL AND files.state =";
        let images = "SELECT count(*) FROM images WHERE owner = ?1 AND deleted_at IS NULL \
                      AND status NOT IN ('killed', 'pending_delete')";
        let copying = "EXISTS (SELECT 1 FROM properties WHERE image_id = images.id \
                       AND name = 'os_glance_importing_to_stores' AND value != '')";
        Ok(ProjectUsage {
            stored_bytes: number(&format!("{files} 'stored'"))?,
            staged_bytes: number(&format!("{files} 'staged'"))?,
            images: number(images)?,
            uploading: number(&format!("{images} AND (status IN ('saving', 'uploading', 'importing') OR {copying})"))?,
        })
    }

    /// Records a new task that the process `run` will do, and forgets those
    /// whose time is over.
    pub fn add_task(&self, task: &Task, run: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM tasks WHERE expires_at <= ?1")?.execute([now()])?;
        self.connection
            .prepare_cached(
                "INSERT INTO tasks (id, type, status, owner, user_id, image_id, request_id, input, message, \
                 created_at, updated_at, run) VALUES (?1, 'api_image_import', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                task.id,
                task.status.name(),
                task.owner,
                task.user_id,
                task.image_id,
                task.request_id,
                task.input.to_string(),
                task.message,
                task.created_at,
                task.updated_at,
                run
            ])
            .map(drop)
    }

    /// Records how far the task is. One that ended stays as it ended.
    pub fn save_task(
        &self,
        id: &str,
        status: TaskStatus,
        result: Option<&Value>,
        message: &str,
    ) -> rusqlite::Result<()> {
        let now = now();
        self.connection
            .prepare_cached(
                "UPDATE tasks SET status = ?2, result = ?3, message = ?4, updated_at = ?5, expires_at = ?6 \
                 WHERE id = ?1 AND status IN ('pending', 'processing')",
            )?
            .execute(params![
                id,
                status.name(),
                result.map(Value::to_string),
                message,
                now,
                status.is_final().then_some(now + KEPT)
            ])
            .map(drop)
    }

    /// The task of this ID, whoever may see it.
    pub fn task(&self, id: &str) -> rusqlite::Result<Option<Task>> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {TASK} FROM tasks WHERE id = ?1 AND (expires_at IS NULL OR expires_at > ?2)"
            ))?
            .query_row(params![id, now()], task_of)
            .optional()
    }

    /// The tasks of an image, in the order they came.
    pub fn tasks_of(&self, image_id: &str) -> rusqlite::Result<Vec<Task>> {
        self.connection
            .prepare_cached(&format!(
                "SELECT {TASK} FROM tasks WHERE image_id = ?1 AND (expires_at IS NULL OR expires_at > ?2) \
                 ORDER BY created_at, id"
            ))?
            .query_map(params![image_id, now()], task_of)?
            .collect()
    }

    /// The tasks that the caller sees and asks for.
    pub fn tasks(&self, caller: &Caller, listing: &TaskListing) -> rusqlite::Result<Vec<Task>> {
        let mut conditions = vec!["(expires_at IS NULL OR expires_at > ?)".to_owned()];
        let mut values: Vec<Sql> = vec![now().into()];
        if let (false, Some(project)) = (caller.is_admin, &caller.project_id) {
            conditions.push("owner = ?".to_owned());
            values.push(project.clone().into());
        }
        for (column, value) in &listing.filters {
            conditions.push(format!("{column} = ?"));
            values.push(value.clone().into());
        }
        // What decides last is what is unique. No text of a user gets into the SQL.
        let first = match listing.sort_key {
            "created_at" | "id" => None,
            key @ ("updated_at" | "expires_at") => Some(format!("coalesce({key}, 0)")),
            key => Some(format!("coalesce({key}, '')")),
        };
        let keys: Vec<String> = first.into_iter().chain(["created_at".to_owned(), "id".to_owned()]).collect();
        let (direction, after) = match listing.direction {
            Direction::Ascending => ("ASC", ">"),
            Direction::Descending => ("DESC", "<"),
        };
        if let Some(marker) = &listing.marker {
            let keys = keys.join(", ");
            conditions.push(format!("({keys}) {after} (SELECT {keys} FROM tasks WHERE id = ?)"));
            values.push(marker.clone().into());
        }
        let sql = format!(
            "SELECT {TASK} FROM tasks WHERE {} ORDER BY {} {direction} LIMIT {}",
            conditions.join(" AND "),
            keys.join(&format!(" {direction}, ")),
            listing.limit,
        );
        self.connection.prepare_cached(&sql)?.query_map(params_from_iter(values), task_of)?.collect()
    }

    /// The tasks that were not ended, and the process that is to do each.
    pub fn unfinished_tasks(&self) -> rusqlite::Result<Vec<(Task, String)>> {
        self.connection
            .prepare_cached(&format!("SELECT {TASK}, run FROM tasks WHERE status IN ('pending', 'processing')"))?
            .query_map([], |row| Ok((task_of(row)?, row.get(12)?)))?
            .collect()
    }
}
