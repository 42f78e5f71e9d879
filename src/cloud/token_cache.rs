//! Sign-ins, kept on disk for the next run: it needs neither Keystone nor the
//! list of versions before it can ask for an image.
//!
//! An entry is a file of JSON below the user's cache directory, good until
//! shortly before its token expires. The cache is never needed: what cannot be
//! read or written, is not ours, or others could have touched counts as not
//! there, and is replaced. Files are replaced whole, so a reader never sees
//! half of one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::hmac;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::catalog::Catalog;
use crate::error::{Error, Result};
use crate::http::{Http, Token};

/// The version of the form of entries; another one counts as none.
const FORMAT: u32 = 1;

/// A token is not used any more when so little of its life is left: a command
/// should end with the token that it began with.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest entry, in bytes. Catalogues of large clouds are some 100 KiB.
const ENTRY_LIMIT: u64 = 1 << 20;

/// How long to wait for another process that signs in just now.
const PATIENCE: Duration = Duration::from_secs(5);

/// How old a file must be that nobody needs, before it is swept.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// What one sign-in brought.
#[derive(Clone, Serialize, Deserialize)]
pub struct Entry {
    format: u32,
    pub(super) token: String,
    /// When the token expires, in RFC 3339; one that does not say cannot be kept.
    pub(super) expires_at: Option<String>,
    /// When Keystone gave it, in RFC 3339.
    #[serde(default)]
    issued_at: Option<String>,
    /// Keystone, ending in `/v3`.
    pub identity: String,
    /// The project that it is good for.
    pub project_id: Option<String>,
    /// The user whom it stands for.
    pub user_id: Option<String>,
    /// Where services are.
    pub catalog: Catalog,
    /// The version that an image service at an address was found to speak.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
}

impl Entry {
    /// What Keystone at `identity` says of `token`.
    pub fn new(token: String, identity: String, body: &Value) -> Self {
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
        Entry {
            format: FORMAT,
            token,
            expires_at: text("/token/expires_at"),
            issued_at: text("/token/issued_at"),
            identity,
            project_id: text("/token/project/id"),
            user_id: text("/token/user/id"),
            catalog: Catalog::read(body.pointer("/token/catalog")),
            versions: BTreeMap::new(),
        }
    }

    /// The token, as services are shown it.
    pub fn token(&self) -> Token {
        let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let (expires_at, issued_at) = (time(&self.expires_at), time(&self.issued_at));
        Token { text: self.token.as_str().into(), expires_at, issued_at }
    }

    fn is_good(&self) -> bool {
        let margin = Timestamp::now().checked_add(MARGIN);
        let lasts = self.token().expires_at.zip(margin.ok()).is_some_and(|(end, margin)| end > margin);
        self.format == FORMAT && lasts && Url::parse(&self.identity).is_ok()
    }
}

/// Never the token.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The place of one sign-in in the cache.
pub struct Slot {
    directory: PathBuf,
    name: String,
}

/// Held while its owner signs in.
pub struct Lock {
    _file: File,
}

impl Slot {
    /// The place for a sign-in that `shape` describes: everything that Keystone
    /// is told, secrets too, and how it is reached.
    ///
    /// # Errors
    /// The directory cannot be made, or is not ours alone.
    pub fn of(directory: &Path, shape: &Value) -> io::Result<Self> {
        prepare(directory)?;
        // The name must change with the password, and tell nothing of it: a plain
        // hash in a listing or a backup could be tried against a list of
        // passwords. Who can read the key can read the tokens too.
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key(directory)?);
        let tag = hmac::sign(&key, shape.to_string().as_bytes());
        let name = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Slot { directory: directory.to_owned(), name })
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.directory.join(&self.name).with_extension(extension)
    }

    /// The sign-in that is kept here, if its token is still good for a while.
    pub fn read(&self) -> Option<Entry> {
        read(&self.path("json")).filter(Entry::is_good)
    }

    /// Keeps `entry` here, and sweeps out what is of no use any more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, entry: &Entry) -> io::Result<()> {
        if !entry.is_good() {
            return Ok(());
        }
        let text = serde_json::to_vec(entry)?;
        if text.len() as u64 > ENTRY_LIMIT {
            return Err(io::Error::other("the catalogue is too large to be kept"));
        }
        replace(&self.path("json"), &text)?;
        self.sweep();
        Ok(())
    }

    /// Notes the version that the image service at `url` speaks.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn learn(&self, token: &str, url: &str, version: &str) -> io::Result<()> {
        match self.read() {
            Some(mut entry) if entry.token == token => {
                entry.versions.insert(url.to_owned(), version.to_owned());
                replace(&self.path("json"), &serde_json::to_vec(&entry)?)
            }
            // Somebody has signed in anew meanwhile.
            _ => Ok(()),
        }
    }

    /// Forgets what is kept here.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(self.path("json"));
    }

    /// Waits until no other process signs in for this place, but not for long:
    /// without the lock both sign in, and the later one is kept. The only error
    /// is an interrupt.
    pub async fn lock(&self, http: &Http) -> Result<Option<Lock>> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false);
        let Ok(file) = open(&self.path("lock"), &mut options) else { return Ok(None) };
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    http.pause(Duration::from_millis(20)).await?;
                }
                Err(_) => return Ok(None),
            }
        }
    }

    fn sweep(&self) {
        for path in files(&self.directory).unwrap_or_default() {
            let is_useless = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => !read(&path).is_some_and(|entry| entry.is_good()),
                // Locks, and what a killed process had begun to write.
                _ if path.file_name().is_some_and(|name| name == KEY) => false,
                _ => path
                    .symlink_metadata()
                    .and_then(|meta| meta.modified())
                    .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > LEFT_BEHIND)),
            };
            if is_useless {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Removes every sign-in that is kept in `directory`; answers with their number.
///
/// # Errors
/// One cannot be removed.
pub fn clear(directory: &Path) -> Result<usize> {
    if !directory.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(0);
    }
    let cannot = |path: &Path, e: &io::Error| Error::io(format!("cannot remove `{}`", path.display()), e);
    let mut removed = 0;
    for path in files(directory).map_err(|e| cannot(directory, &e))? {
        match std::fs::remove_file(&path) {
            Ok(()) => removed += usize::from(path.extension().is_some_and(|extension| extension == "json")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(cannot(&path, &e)),
        }
    }
    Ok(removed)
}

/// The name of the file with the key of the names.
const KEY: &str = "key";

/// How the names of the files begin that are being written.
const NEW: &str = "new-";

/// The files of the cache: nothing else that may lie in `directory`.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let is_ours = |name: &str| {
        let is_entry = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        name == KEY
            || name.starts_with(NEW)
            || name.split_once('.').is_some_and(|(name, kind)| is_entry(name) && matches!(kind, "json" | "lock"))
    };
    let mut found = Vec::new();
    for file in std::fs::read_dir(directory)? {
        let file = file?;
        if file.file_name().to_str().is_some_and(is_ours) {
            found.push(file.path());
        }
    }
    Ok(found)
}

/// The key of this directory; made on first use.
fn key(directory: &Path) -> io::Result<Vec<u8>> {
    let path = directory.join(KEY);
    let there = || bounded(&path, 32).ok().filter(|key| key.len() == 32);
    if let Some(key) = there() {
        return Ok(key);
    }
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(|e| io::Error::other(e.to_string()))?;
    let new = written(directory, &key)?;
    match new.persist_noclobber(&path) {
        Ok(_) => Ok(key),
        Err(failed) => match there() {
            // Another process was quicker.
            Some(key) => Ok(key),
            // What is there is no key of ours.
            None => failed.file.persist(&path).map(|_| key).map_err(|e| e.error),
        },
    }
}

fn read(path: &Path) -> Option<Entry> {
    serde_json::from_slice(&bounded(path, ENTRY_LIMIT).ok()?).ok()
}

/// All of a file that is ours alone, if it is not longer than `limit`.
fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path, OpenOptions::new().read(true))?.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other("it is too large")),
        false => Ok(bytes),
    }
}

/// Puts a new file with these bytes in the place of what is at `path`.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = written(path.parent().unwrap_or(path), bytes)?;
    new.persist(path).map(drop).map_err(|e| e.error)
}

/// A file that does not have its name yet; the crate makes it 0600.
fn written(directory: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut new = tempfile::Builder::new().prefix(NEW).tempfile_in(directory)?;
    new.write_all(bytes)?;
    Ok(new)
}

#[cfg(unix)]
fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is not ours alone")
}

/// Makes the directory, for us alone, unless it is there.
fn prepare(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let meta = directory.symlink_metadata()?;
        // In a directory that others can write to, they could put a file of ours in the place of another.
        if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(foreign());
        }
        if meta.mode() & 0o077 != 0 {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// Opens a file that is ours alone, never through a link.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
        // Without waiting for the other end, should it be a pipe.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path)?;
        let meta = file.metadata()?;
        let ours = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o777 == 0o600;
        if meta.is_file() && ours { Ok(file) } else { Err(foreign()) }
    }
    #[cfg(not(unix))]
    options.open(path)
}
