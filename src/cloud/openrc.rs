//! An openrc: what a shell sources to have a cloud in its variables
//! (<https://docs.openstack.org/python-openstackclient/latest/configuration/index.html#environment-variables>).
//!
//! Unlike a clouds.yaml it belongs to one cloud alone, so that it is written
//! anew each time; a file that rimg did not write is left as it is.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::entry::{Entry, replace};
use super::files;
use crate::error::{Error, Result};

/// What a file begins with that rimg may replace.
const MARK: &str = "# An openrc that rimg wrote, and writes anew:";

/// What another cloud may have left in the shell, and would be mixed with this one.
const OTHERS: &str = "OS_CLOUD OS_TOKEN OS_AUTH_TYPE OS_ENDPOINT OS_IMAGE_ENDPOINT_OVERRIDE OS_USER_ID OS_USER_DOMAIN_ID \
                      OS_PROJECT_ID OS_PROJECT_NAME OS_PROJECT_DOMAIN_ID OS_PROJECT_DOMAIN_NAME OS_TENANT_ID \
                      OS_TENANT_NAME OS_DOMAIN_ID OS_DOMAIN_NAME OS_SYSTEM_SCOPE OS_TRUST_ID \
                      OS_APPLICATION_CREDENTIAL_ID OS_APPLICATION_CREDENTIAL_NAME OS_APPLICATION_CREDENTIAL_SECRET";

const PASSWORD: &str = "\nexport OS_PASSWORD=";

/// Writes `entry` into the openrc at `path`, which only its owner can read
/// afterwards. `keep` is asked to complete the entry from what stood there.
///
/// # Errors
/// There is a file that rimg did not write; it cannot be read or written.
pub fn write(path: &Path, entry: &mut Entry, keep: impl Fn(&mut Entry, &Value)) -> Result<()> {
    let bytes = files::read(path)?.unwrap_or_default();
    let before = String::from_utf8_lossy(&bytes);
    if !before.trim().is_empty() && !before.starts_with(MARK) {
        return Err(Error::config(format!("`{}` is there already, and is no openrc that rimg wrote", path.display()))
            .next("choose another file, or remove that one"));
    }
    if let Some((_, rest)) = before.split_once(PASSWORD)
        && let Some(password) = unquoted(rest)
    {
        keep(entry, &json!({"auth": {"password": password}}));
    }
    replace(path, text(entry)?.as_bytes())
}

/// The lines that a shell sources.
fn text(entry: &Entry) -> Result<String> {
    let name = entry.name.replace(|letter: char| letter.is_control(), " ");
    let mut text = format!("{MARK} {name}\nunset {OTHERS}\n");
    let none = Map::new();
    let auth = entry.settings.get("auth").and_then(Value::as_object).unwrap_or(&none);
    for (key, value) in auth.iter().chain(&entry.settings) {
        let Some(value) = value.as_str() else { continue };
        let name = format!("OS_{}", key.to_ascii_uppercase());
        if value.contains('\0') {
            return Err(Error::config(format!("`{key}` of `{}` has a zero byte, which no variable holds", entry.name)));
        }
        text.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    if !auth.contains_key("password") {
        text.push_str("unset OS_PASSWORD # kept here only as a hash\n");
    }
    Ok(text)
}

/// Text as one word of sh: nothing means anything between single quotes
/// (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The word that [`quoted`] wrote at the beginning of `text`.
fn unquoted(text: &str) -> Option<String> {
    let mut word = String::new();
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let (part, after) = rest.split_once('\'')?;
        word.push_str(part);
        match after.strip_prefix(r"\''") {
            Some(more) => {
                word.push('\'');
                rest = more;
            }
            None => return Some(word),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(auth: Value) -> Entry {
        let settings = json!({"region_name": "here", "auth": auth});
        Entry { name: "new".to_owned(), settings: settings.as_object().unwrap().clone() }
    }

    #[test]
    fn a_word_comes_back_as_it_was() {
        for word in ["", "plain", "a'b", "'", "''", "$(id) `id` \"x\" \\ ; # \n z", "ä €"] {
            assert_eq!(unquoted(&format!("{}\nexport X='y'\n", quoted(word))).unwrap(), word);
        }
        for text in ["", "plain", "'open", "'a'\\''b"] {
            assert_eq!(unquoted(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_file_of_its_own_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/openrc");
        write(&path, &mut entry(json!({"password": "it's"})), |_, _| {}).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        assert!(first.ends_with("export OS_PASSWORD='it'\\''s'\nexport OS_REGION_NAME='here'\n"), "{first}");
        // The one that takes its place may keep what it knew.
        let mut second = entry(json!({}));
        write(&path, &mut second, |_, old| assert_eq!(old, &json!({"auth": {"password": "it's"}}))).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("unset OS_PASSWORD # kept here only as a hash\n"));
        std::fs::write(&path, "alias l=ls\n").unwrap();
        let error = write(&path, &mut second, |_, _| {}).unwrap_err();
        assert!(error.message.ends_with("is no openrc that rimg wrote"), "{}", error.message);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "alias l=ls\n");
    }

    #[test]
    fn a_zero_byte_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("openrc");
        assert!(write(&path, &mut entry(json!({"password": "a\0b"})), |_, _| {}).is_err() && !path.exists());
    }
}
