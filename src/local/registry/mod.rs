//! All metadata, in one SQLite file that several processes may use at once.
//!
//! It decides what a caller sees; `policy` decides what a caller may do. No
//! text of a user ever becomes part of a statement.
//!
//! A reader sees one moment of the registry (WAL); a writer has it alone from
//! the first look to the last change, so that what was checked still holds
//! when it is changed.

mod files;
mod image;
mod list;
mod metadefs;
mod tasks;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, ParamsFromIter, Row, TransactionBehavior, params,
    params_from_iter,
};

pub use files::{FileRow, FileState};
pub use image::{Image, Member, Status, Visibility, now};
pub use list::{Compare, Condition, Direction, Listing, SORT_KEYS, SharedWith, SortKey, Viewer, Wanted};
pub use metadefs::{Item, ItemKind, NAMESPACE_SORT_KEYS, Namespace, NamespaceListing};
pub use tasks::{TASK_COLUMNS, Task, TaskListing, TaskStatus};

use super::caller::Caller;
use crate::error::{Error, Kind, Result};

/// The steps that bring a registry to what this program needs, in order. A
/// step that was released is never changed.
const MIGRATIONS: &[&str] =
    &[include_str!("1.sql"), include_str!("2.sql"), include_str!("3.sql"), include_str!("4.sql")];

/// How long a writer waits for another process to finish its transaction.
const BUSY: Duration = Duration::from_secs(20);

/// Prepared statements kept by each connection.
const STATEMENTS: usize = 64;

/// The metadata of all images.
pub struct Registry {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Registry {
    /// Opens the registry at `path`, making it or bringing it up to date if
    /// need be. One that a newer rimg has changed is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let failed =
            |e: rusqlite::Error| Error::new(Kind::Io, format!("cannot open the registry `{}`: {e}", path.display()));
        let mut writer =
            connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).map_err(failed)?;
        use_wal(&writer).map_err(failed)?;
        // An answer that was given must survive a power cut, too.
        writer.pragma_update(None, "synchronous", "full").map_err(failed)?;
        let version = migrate(&mut writer).map_err(failed)?;
        if version > MIGRATIONS.len() {
            return Err(Error::new(
                Kind::Unsupported,
                format!("the registry `{}` was written by a newer rimg", path.display()),
            )
            .next("use that rimg, or another data directory"));
        }
        Ok(Registry { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::new(Vec::new()) })
    }

    /// Lets `work` look at one moment of the registry.
    pub fn read<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Session) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let kept = lock(&self.readers).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let transaction = connection.transaction()?;
        let result = work(&Session { connection: &transaction });
        transaction.finish()?;
        lock(&self.readers).push(connection);
        result
    }

    /// Lets `work` change the registry while nobody else does. All of it is
    /// done when this returns `Ok`, on the disk; nothing of it when not.
    pub fn write<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Session) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Dropping the transaction undoes it.
        let result = work(&Session { connection: &transaction })?;
        transaction.commit()?;
        Ok(result)
    }
}

/// A panic in a holder leaves a connection whose transaction was undone.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Else SQLite looks at the values when it plans, and plans again for every list.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", "on")?;
    Ok(connection)
}

/// Has writers and readers not wait for each other. Here SQLite does not wait
/// for another process by itself (<https://www.sqlite.org/c3ref/busy_handler.html>).
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// Takes the steps that are missing; answers with the version that is there.
fn migrate(connection: &mut Connection) -> rusqlite::Result<usize> {
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map(|version| version as usize)
    };
    if version(connection)? >= MIGRATIONS.len() {
        return version(connection);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Another process may have been faster.
    let found = version(&transaction)?;
    for step in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(step)?;
    }
    let reached = found.max(MIGRATIONS.len());
    transaction.pragma_update(None, "user_version", reached as u32)?;
    transaction.commit()?;
    Ok(reached)
}

/// What can be asked of the registry, and told to it, within one transaction.
pub struct Session<'a> {
    connection: &'a Connection,
}

/// The columns of an image but its ID and when it was deleted, in the order of
/// [`image_of`] and [`values`].
macro_rules! fields {
    () => {
        "status, name, visibility, owner, disk_format, container_format, size, virtual_size, checksum, os_hash_algo, \
         os_hash_value, min_disk, min_ram, protected, os_hidden, created_at, updated_at, location"
    };
}

/// The places of the values of [`fields!`], after the ID.
macro_rules! places {
    () => {
        "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19"
    };
}

const COLUMNS: &str = concat!("id, ", fields!(), ", deleted_at");
const BY_ID: &str = concat!("SELECT id, ", fields!(), ", deleted_at FROM images WHERE id = ?1");
const ADD: &str = concat!("INSERT INTO images (id, ", fields!(), ") VALUES (?1, ", places!(), ")");
const SAVE: &str = concat!("UPDATE images SET (", fields!(), ") = (", places!(), ") WHERE id = ?1");

fn image_of(row: &Row) -> rusqlite::Result<Image> {
    let unreadable = |column: usize, what: String| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
    };
    let status: String = row.get(1)?;
    let visibility: String = row.get(3)?;
    Ok(Image {
        id: row.get(0)?,
        status: Status::named(&status).ok_or_else(|| unreadable(1, status))?,
        name: row.get(2)?,
        visibility: Visibility::named(&visibility).ok_or_else(|| unreadable(3, visibility))?,
        owner: row.get(4)?,
        disk_format: row.get(5)?,
        container_format: row.get(6)?,
        size: row.get::<_, Option<i64>>(7)?.map(|size| size.unsigned_abs()),
        virtual_size: row.get::<_, Option<i64>>(8)?.map(|size| size.unsigned_abs()),
        checksum: row.get(9)?,
        os_hash_algo: row.get(10)?,
        os_hash_value: row.get(11)?,
        min_disk: row.get(12)?,
        min_ram: row.get(13)?,
        protected: row.get(14)?,
        os_hidden: row.get(15)?,
        created_at: row.get(16)?,
        updated_at: row.get(17)?,
        location: row.get(18)?,
        deleted_at: row.get(19)?,
        properties: Default::default(),
        tags: Default::default(),
        stores: Vec::new(),
    })
}

/// The ID of an image, and the values of [`fields!`].
fn values(image: &Image) -> ParamsFromIter<[Value; 19]> {
    params_from_iter([
        image.id.clone().into(),
        image.status.name().to_owned().into(),
        image.name.clone().into(),
        image.visibility.name().to_owned().into(),
        image.owner.clone().into(),
        image.disk_format.clone().into(),
        image.container_format.clone().into(),
        stored(image.size).into(),
        stored(image.virtual_size).into(),
        image.checksum.clone().into(),
        image.os_hash_algo.clone().into(),
        image.os_hash_value.clone().into(),
        image.min_disk.into(),
        image.min_ram.into(),
        image.protected.into(),
        image.os_hidden.into(),
        image.created_at.into(),
        image.updated_at.into(),
        image.location.clone().into(),
    ])
}

/// Sizes are counted in 63 bits; there is no file that is larger.
fn stored(size: Option<u64>) -> Option<i64> {
    size.map(|size| i64::try_from(size).unwrap_or(i64::MAX))
}

impl Session<'_> {
    /// The image of this ID, if there is one that was not deleted.
    pub fn image(&self, id: &str) -> rusqlite::Result<Option<Image>> {
        Ok(self.image_ever(id)?.filter(|image| image.deleted_at.is_none()))
    }

    /// The image of this ID, be it deleted: then it has nothing but its own fields any more.
    pub fn image_ever(&self, id: &str) -> rusqlite::Result<Option<Image>> {
        let mut statement = self.connection.prepare_cached(BY_ID)?;
        let Some(mut image) = statement.query_row([id], image_of).optional()? else { return Ok(None) };
        self.complete(std::slice::from_mut(&mut image))?;
        Ok(Some(image))
    }

    /// The image of this ID if it is one that `caller` sees.
    pub fn visible(&self, caller: &Caller, id: &str) -> rusqlite::Result<Option<Image>> {
        Ok(self.visible_ever(caller, id)?.filter(|image| image.deleted_at.is_none()))
    }

    /// As [`Session::visible`], with Images API v1's eyes: an admin sees what was deleted, too.
    pub fn visible_ever(&self, caller: &Caller, id: &str) -> rusqlite::Result<Option<Image>> {
        let found = self.image_ever(id)?;
        let Some(image) = found.filter(|image| caller.is_admin || image.deleted_at.is_none()) else { return Ok(None) };
        let sees = caller.is_admin
            || image.owner.is_none()
            || matches!(image.visibility, Visibility::Public | Visibility::Community)
            || caller.owns(image.owner.as_deref())
            || (image.visibility == Visibility::Shared
                && match &caller.project_id {
                    Some(project) => self.member(id, project)?.is_some(),
                    None => false,
                });
        Ok(sees.then_some(image))
    }

    /// Whether the ID was ever given, be it to an image since deleted.
    pub fn knows(&self, id: &str) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM images WHERE id = ?1")?.exists([id])
    }

    /// Adds what the other tables have to say of the images: asked once for
    /// all, as a page is made of many small look-ups otherwise.
    fn complete(&self, images: &mut [Image]) -> rusqlite::Result<()> {
        let ids: Vec<&str> = images.iter().map(|image| image.id.as_str()).collect();
        let ids = serde_json::json!(ids).to_string();
        let mut each = |sql: &str, add: fn(&mut Image, &Row) -> rusqlite::Result<()>| {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([&ids])?;
            while let Some(row) = rows.next()? {
                // The key of an array's element is its place in it.
                if let Some(image) = images.get_mut(row.get::<_, u32>(0)? as usize) {
                    add(image, row)?;
                }
            }
            Ok(())
        };
        each(
            "SELECT ids.key, name, properties.value FROM json_each(?1) AS ids \
             CROSS JOIN properties ON image_id = ids.value",
            |image, row| {
                image.properties.insert(row.get(1)?, row.get(2)?);
                Ok(())
            },
        )?;
        each(
            "SELECT ids.key, tags.value FROM json_each(?1) AS ids CROSS JOIN tags ON image_id = ids.value",
            |image, row| {
                image.tags.insert(row.get(1)?);
                Ok(())
            },
        )?;
        each(
            "SELECT ids.key, store FROM json_each(?1) AS ids CROSS JOIN files ON image_id = ids.value \
             WHERE state = 'stored' ORDER BY number",
            |image, row| {
                image.stores.push(row.get(1)?);
                Ok(())
            },
        )
    }

    /// Records a new image.
    pub fn add(&self, image: &Image) -> rusqlite::Result<()> {
        self.connection.prepare_cached(ADD)?.execute(values(image))?;
        self.set_properties(image)?;
        self.set_tags(image)
    }

    /// Records `image` as it now is; its time of change becomes now.
    pub fn save(&self, image: &mut Image) -> rusqlite::Result<()> {
        // Two changes within a microsecond are still one after the other.
        image.updated_at = now().max(image.updated_at + 1);
        self.connection.prepare_cached(SAVE)?.execute(values(image))?;
        self.set_properties(image)?;
        self.set_tags(image)
    }

    fn set_properties(&self, image: &Image) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM properties WHERE image_id = ?1")?;
        let names: Vec<String> =
            statement.query_map([&image.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut drop = self.connection.prepare_cached("DELETE FROM properties WHERE image_id = ?1 AND name = ?2")?;
        for name in names.iter().filter(|name| !image.properties.contains_key(*name)) {
            drop.execute([&image.id, name])?;
        }
        let mut put = self.connection.prepare_cached(
            "INSERT INTO properties (image_id, name, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET value = excluded.value WHERE value != excluded.value",
        )?;
        for (name, value) in &image.properties {
            put.execute([&image.id, name, value])?;
        }
        Ok(())
    }

    fn set_tags(&self, image: &Image) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM tags WHERE image_id = ?1")?;
        let tags: Vec<String> = statement.query_map([&image.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut drop = self.connection.prepare_cached("DELETE FROM tags WHERE image_id = ?1 AND value = ?2")?;
        for tag in tags.iter().filter(|tag| !image.tags.contains(*tag)) {
            drop.execute([&image.id, tag])?;
        }
        let mut put = self.connection.prepare_cached("INSERT OR IGNORE INTO tags (image_id, value) VALUES (?1, ?2)")?;
        for tag in &image.tags {
            put.execute([&image.id, tag])?;
        }
        Ok(())
    }

    /// Forgets the image: its data files become garbage, everything about it
    /// goes, and a mark stays that the ID was used.
    pub fn delete(&self, image: &Image) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE images SET status = 'deleted', deleted_at = ?2, updated_at = ?2, location = NULL WHERE id = ?1",
            )?
            .execute(params![image.id, now()])?;
        for sql in [
            "DELETE FROM properties WHERE image_id = ?1",
            "DELETE FROM tags WHERE image_id = ?1",
            "DELETE FROM members WHERE image_id = ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([&image.id])?;
        }
        Ok(())
    }

    /// The membership of `member` in the image.
    pub fn member(&self, image_id: &str, member: &str) -> rusqlite::Result<Option<Member>> {
        self.connection
            .prepare_cached(
                "SELECT image_id, member, status, can_share, created_at, updated_at FROM members \
                 WHERE image_id = ?1 AND member = ?2",
            )?
            .query_row([image_id, member], member_of)
            .optional()
    }

    /// The members of the image, as they came.
    pub fn members(&self, image_id: &str) -> rusqlite::Result<Vec<Member>> {
        self.connection
            .prepare_cached(
                "SELECT image_id, member, status, can_share, created_at, updated_at FROM members \
                 WHERE image_id = ?1 ORDER BY created_at, member",
            )?
            .query_map([image_id], member_of)?
            .collect()
    }

    /// The members of the image that `caller` may know of: a member sees no other.
    pub fn visible_members(&self, caller: &Caller, image: &Image) -> rusqlite::Result<Vec<Member>> {
        let mut members = self.members(&image.id)?;
        members.retain(|member| sees_member(caller, image, &member.member));
        Ok(members)
    }

    /// The membership of `member`, if `caller` may know of it.
    pub fn visible_member(&self, caller: &Caller, image: &Image, member: &str) -> rusqlite::Result<Option<Member>> {
        Ok(self.member(&image.id, member)?.filter(|_| sees_member(caller, image, member)))
    }

    /// What `member` is a member of, as far as `caller` may know: of the caller's images, or the caller itself.
    pub fn memberships(&self, caller: &Caller, member: &str) -> rusqlite::Result<Vec<Member>> {
        self.connection
            .prepare_cached(
                "SELECT image_id, member, members.status, can_share, members.created_at, members.updated_at \
                 FROM members JOIN images ON images.id = image_id \
                 WHERE member = ?1 AND (?2 OR member IS ?3 OR owner IS ?3) ORDER BY members.created_at, image_id",
            )?
            .query_map(params![member, caller.is_admin, caller.project_id], member_of)?
            .collect()
    }

    /// Adds the member, or changes its status.
    pub fn put_member(&self, member: &Member) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO members (image_id, member, status, can_share, created_at, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET status = excluded.status, \
                 can_share = excluded.can_share, updated_at = excluded.updated_at",
            )?
            .execute(params![
                member.image_id,
                member.member,
                member.status,
                member.can_share,
                member.created_at,
                member.updated_at
            ])
            .map(drop)
    }

    /// Removes the member; answers whether there was one.
    pub fn remove_member(&self, image_id: &str, member: &str) -> rusqlite::Result<bool> {
        let mut statement =
            self.connection.prepare_cached("DELETE FROM members WHERE image_id = ?1 AND member = ?2")?;
        Ok(statement.execute([image_id, member])? > 0)
    }
}

fn sees_member(caller: &Caller, image: &Image, member: &str) -> bool {
    caller.is_admin || caller.owns(image.owner.as_deref()) || caller.owns(Some(member))
}

fn member_of(row: &Row) -> rusqlite::Result<Member> {
    Ok(Member {
        image_id: row.get(0)?,
        member: row.get(1)?,
        status: row.get(2)?,
        can_share: row.get(3)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
    })
}

#[cfg(test)]
mod tests;
