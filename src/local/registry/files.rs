//! The data files: which there are, whose they are, and what state they are in.
//!
//! ```text
//! incoming -> stored or staged -> garbage -> (gone)
//!         \-> garbage
//! ```

use rusqlite::{OptionalExtension, Row, params};

use super::Session;

/// What a data file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Being written.
    Incoming,
    /// Complete, and waiting to be imported.
    Staged,
    /// Complete, and an image's data.
    Stored,
    /// Nobody's, and to be removed.
    Garbage,
}

impl FileState {
    fn name(self) -> &'static str {
        match self {
            FileState::Incoming => "incoming",
            FileState::Staged => "staged",
            FileState::Stored => "stored",
            FileState::Garbage => "garbage",
        }
    }
}

/// A data file, as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its name on the disk: made by us, never by a user.
    pub id: String,
    /// The image whose data it is.
    pub image_id: String,
    /// The store that it is in.
    pub store: String,
    /// Its length in bytes; unknown while it is being written.
    pub size: Option<u64>,
}

fn file_of(row: &Row) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        id: row.get(0)?,
        image_id: row.get(1)?,
        store: row.get(2)?,
        size: row.get::<_, Option<i64>>(3)?.map(i64::unsigned_abs),
    })
}

impl Session<'_> {
    /// Records that the process `run` is about to write the file `id`.
    pub fn add_file(&self, id: &str, image_id: &str, store: &str, run: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO files (id, image_id, store, state, run) VALUES (?1, ?2, ?3, 'incoming', ?4)")?
            .execute([id, image_id, store, run])
            .map(drop)
    }

    /// Records that the file is complete: of this length and these sums. False
    /// if it was given up meanwhile.
    pub fn complete_file(&self, id: &str, state: FileState, size: u64, sums: &[u8]) -> rusqlite::Result<bool> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE files SET state = ?2, size = ?3, sums = ?4 WHERE id = ?1 AND state = 'incoming'")?;
        Ok(statement.execute(params![id, state.name(), i64::try_from(size).unwrap_or(i64::MAX), sums])? > 0)
    }

    /// The files of an image in this state, in the order they came.
    pub fn files(&self, image_id: &str, state: FileState) -> rusqlite::Result<Vec<FileRow>> {
        self.connection
            .prepare_cached(
                "SELECT id, image_id, store, size FROM files WHERE image_id = ?1 AND state = ?2 ORDER BY number",
            )?
            .query_map([image_id, state.name()], file_of)?
            .collect()
    }

    /// The sums of the blocks of a file.
    pub fn sums(&self, id: &str) -> rusqlite::Result<Option<Vec<u8>>> {
        self.connection
            .prepare_cached("SELECT sums FROM files WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()
            .map(Option::flatten)
    }

    /// Gives the file up: `run` is who removes it.
    pub fn discard_file(&self, id: &str, run: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE files SET state = 'garbage', run = ?2 WHERE id = ?1")?
            .execute([id, run])
            .map(drop)
    }

    /// Gives the files up: `run` is who removes them.
    pub fn discard_files(&self, files: &[FileRow], run: &str) -> rusqlite::Result<()> {
        files.iter().try_for_each(|file| self.discard_file(&file.id, run))
    }

    /// Forgets a file that is gone.
    pub fn forget_file(&self, id: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([id]).map(drop)
    }

    /// The processes that have, or had, work in hand.
    pub fn runs(&self) -> rusqlite::Result<Vec<String>> {
        self.connection
            .prepare_cached("SELECT DISTINCT run FROM files WHERE state IN ('incoming', 'garbage')")?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    /// The files that `run` was writing (`Incoming`) or removing (`Garbage`).
    pub fn unsettled(&self, run: &str, state: FileState) -> rusqlite::Result<Vec<FileRow>> {
        self.connection
            .prepare_cached("SELECT id, image_id, store, size FROM files WHERE state = ?1 AND run = ?2")?
            .query_map([state.name(), run], file_of)?
            .collect()
    }

    /// Whether the file is still being written.
    pub fn is_incoming(&self, id: &str) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM files WHERE id = ?1 AND state = 'incoming'")?.exists([id])
    }

    /// The bytes that the images of `owner` take, in all stores and elsewhere, not
    /// counting the image `except`.
    pub fn usage(&self, owner: &str, except: &str) -> rusqlite::Result<u64> {
        let used: i64 = self
            .connection
            .prepare_cached(
                "SELECT coalesce(sum(size * ((location IS NOT NULL) + (SELECT count(*) FROM files \
                 WHERE files.image_id = images.id AND files.state = 'stored'))), 0) FROM images \
                 WHERE owner = ?1 AND id != ?2 AND deleted_at IS NULL AND status NOT IN ('killed', 'pending_delete')",
            )?
            .query_row([owner, except], |row| row.get(0))?;
        Ok(used.unsigned_abs())
    }
}
