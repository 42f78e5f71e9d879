//! Adding clouds to a clouds.yaml that people keep: their words, order and
//! comments stay as they are.
//!
//! The file is changed as text and then held against what it meant before: if
//! anything but the named clouds would read differently, nothing is written.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value};

use super::files;
use crate::error::{Error, Result};

/// A cloud to be written: its name, and its settings in order. Values are
/// text or mappings of text.
pub struct Entry {
    /// The cloud's name.
    pub name: String,
    /// What stands below it.
    pub settings: Map<String, Value>,
}

impl Entry {
    /// The entry as YAML, its name `indent` deep.
    pub fn yaml(&self, indent: usize) -> String {
        let mut text = format!("{:indent$}{}:\n", "", scalar(&self.name));
        write(&mut text, &self.settings, indent + 2);
        text
    }
}

fn write(text: &mut String, settings: &Map<String, Value>, indent: usize) {
    for (key, value) in settings {
        match value {
            Value::Object(inner) => {
                text.push_str(&format!("{:indent$}{key}:\n", ""));
                write(text, inner, indent + 2);
            }
            Value::String(value) => text.push_str(&format!("{:indent$}{key}: {}\n", "", scalar(value))),
            other => text.push_str(&format!("{:indent$}{key}: {other}\n", "")),
        }
    }
}

/// Text as a YAML scalar: plain if nobody could take it for anything else,
/// otherwise in double quotes, as JSON has them.
fn scalar(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    let word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.ends_with(':')
        && !word.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// Writes `entries` into the clouds.yaml at `path`, in place of those of the
/// same names; the file is made if need be, and only its owner can read it
/// afterwards. `keep` is asked to complete an entry from the one it replaces;
/// `otherwise` is the next step where the file is written so that nothing can be added.
pub fn add(path: &Path, entries: &mut [Entry], keep: impl Fn(&mut Entry, &Value), otherwise: &str) -> Result<()> {
    let bytes = files::read(path)?.unwrap_or_default();
    let before = files::parse(path, &bytes)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    for entry in entries.iter_mut() {
        if let Some(old) = before.get("clouds").and_then(|clouds| clouds.get(&entry.name)) {
            keep(entry, old);
        }
        text = with(&text, entry);
    }
    let after = files::parse(path, text.as_bytes());
    if !after.is_ok_and(|after| meant(&before, entries) == Value::Object(after)) {
        return Err(
            Error::config(format!("`{}` is written in a way that rimg cannot add to", path.display())).next(otherwise)
        );
    }
    replace(path, text.as_bytes())
}

/// Puts a file in the place of the one at `path`, at once and for its owner alone.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let cannot = |e: &std::io::Error| Error::io(format!("cannot write `{}`", path.display()), e);
    // A link stays a link.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|e| cannot(&e))?;
    // The system gives a temporary file to its owner alone: 0600.
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(|e| cannot(&e))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|e| cannot(&e))?;
    file.persist(path).map_err(|e| cannot(&e.error))?;
    Ok(())
}

/// What the file should mean with `entries` in it.
fn meant(before: &Map<String, Value>, entries: &[Entry]) -> Value {
    let mut meant = before.clone();
    let clouds = meant.entry("clouds").or_insert(Value::Null);
    if clouds.is_null() {
        *clouds = Value::Object(Map::new());
    }
    for entry in entries {
        if let Some(clouds) = clouds.as_object_mut() {
            clouds.insert(entry.name.clone(), Value::Object(entry.settings.clone()));
        }
    }
    Value::Object(meant)
}

/// `text` with the entry in it.
fn with(text: &str, entry: &Entry) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let said = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    };
    let Some(head) = lines.iter().position(|line| key(line) == Some((0, "clouds"))) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{end}clouds:\n{}", entry.yaml(2));
    };
    let deep = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let below = &lines[head + 1..];
    let indent = below.iter().copied().find(|line| said(line)).map(deep).filter(|indent| *indent > 0).unwrap_or(2);
    let end = below.iter().position(|line| said(line) && deep(line) < indent).unwrap_or(below.len());
    let old = below[..end].iter().position(|line| key(line) == Some((indent, entry.name.as_str())));
    let (from, to) = match old {
        Some(at) => {
            let next = below[at + 1..end].iter().position(|line| said(line) && deep(line) <= indent);
            (head + 1 + at, head + 1 + next.map_or(end, |next| at + 1 + next))
        }
        None => (head + 1, head + 1),
    };
    // Comments before the next entry are about that.
    let to = (from..to).rev().find(|at| said(&lines[*at])).map_or(from, |last| last + 1);
    let mut result: String = lines[..from].concat();
    if !result.is_empty() && !result.ends_with('\n') {
        result.push('\n');
    }
    result + &entry.yaml(indent) + &lines[to..].concat()
}

/// The depth and the key of a line that is a key and nothing else.
fn key(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_end();
    let text = text.split_once(" #").map_or(text, |(text, _)| text).trim_end().strip_suffix(':')?;
    let name = text.trim_start_matches(' ');
    let bare = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let bare = bare.or_else(|| name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')));
    Some((text.len() - name.len(), bare.unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn entry() -> Entry {
        let settings =
            json!({"region_name": "no", "auth": {"auth_url": "http://[::1]:9292/identity/v3", "password": "a\"b"}});
        Entry { name: "new".to_owned(), settings: settings.as_object().unwrap().clone() }
    }

    fn added(text: &str) -> Result<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clouds.yaml");
        std::fs::write(&path, text).unwrap();
        let done = add(&path, &mut [entry()], |_, _| {}, "add it by hand");
        let after = std::fs::read_to_string(&path).unwrap();
        match done {
            Ok(()) => Ok(after),
            Err(error) => {
                assert_eq!(after, text);
                Err(error)
            }
        }
    }

    const ENTRY: &str = "  new:\n    region_name: \"no\"\n    auth:\n      auth_url: \"http://[::1]:9292/identity/v3\"\n      password: \"a\\\"b\"\n";

    #[test]
    fn everything_else_stays_as_it_was() {
        for (before, after) in [
            ("", format!("clouds:\n{ENTRY}")),
            ("# mine", format!("# mine\nclouds:\n{ENTRY}")),
            ("clouds:\n", format!("clouds:\n{ENTRY}")),
            ("clouds:", format!("clouds:\n{ENTRY}")),
            ("clouds: # all\n  a: {b: 0123} # x\n", format!("clouds: # all\n{ENTRY}  a: {{b: 0123}} # x\n")),
            (
                "clouds:\n  a:\n    b: c\n\n  'new': # old\n    x: y\n    # z\n\n  # next\n  d:\n    e: f\nclient: {}\n",
                format!("clouds:\n  a:\n    b: c\n\n{ENTRY}    # z\n\n  # next\n  d:\n    e: f\nclient: {{}}\n"),
            ),
            ("clouds:\n  new:\n    x: y", format!("clouds:\n{ENTRY}")),
            (
                "client: {}\nclouds:\n  a: {b: c}\nz: 1\n",
                format!("client: {{}}\nclouds:\n{ENTRY}  a: {{b: c}}\nz: 1\n"),
            ),
        ] {
            assert_eq!(added(before).unwrap(), after, "{before:?}");
        }
        let deep = added("clouds:\n    a:\n      b: c\n").unwrap();
        assert!(deep.starts_with("clouds:\n    new:\n      region_name"), "{deep}");
    }

    #[test]
    fn what_cannot_be_added_to_is_left_alone() {
        for text in ["clouds: {a: {}}\n", "{clouds: {}}\n", "clouds:\n  &x new: {a: b}\n", "? clouds\n: {a: {}}\n"] {
            let error = added(text).unwrap_err();
            assert!(error.message.ends_with("is written in a way that rimg cannot add to"), "{}", error.message);
        }
        assert!(added("clouds: [").unwrap_err().message.contains("not valid YAML"));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/clouds.yaml");
        add(&path, &mut [entry()], |_, _| {}, "add it by hand").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
