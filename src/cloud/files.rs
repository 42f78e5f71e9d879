//! Finding and reading `clouds.yaml`, `secure.yaml` and `clouds-public.yaml`.
//!
//! The first file of a kind that can be read is the only one of its kind:
//! directories are not merged. Every scalar is read as the text that was
//! typed: `password: 0123`, `project_id: 1e5` and `region_name: no` stay what
//! they look like, and who needs a number or a truth value reads it from the
//! text. Nothing of a file's content gets into a message.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::surroundings::Surroundings;
use crate::error::{Error, Result};

/// More than any honest configuration file, little enough to read at once.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Levels of nesting: an entry needs about six.
const MAX_DEPTH: usize = 64;

/// The outcome of the search for one kind of file.
#[derive(Default)]
pub(super) struct Search {
    /// The file, and its top-level mapping.
    pub(super) found: Option<(PathBuf, Map<String, Value>)>,
    /// What had to be passed over.
    pub(super) warnings: Vec<String>,
    /// The first file that is there and makes no sense.
    pub(super) broken: Option<Error>,
}

/// Looks for `{stem}.yaml`, `.yml` and `.json`: first at `explicit`, then in
/// the current and the configuration directories.
///
/// As openstacksdk, a file that cannot be read or parsed is passed over with a
/// warning. But one that the user named is an error when broken: going on
/// would sign in with somebody else's file.
pub(super) fn search(stem: &str, explicit: Option<(&str, &str)>, surroundings: &Surroundings) -> Result<Search> {
    let mut search = Search::default();
    if let Some((variable, path)) = explicit {
        let path = surroundings.directory.join(path);
        match read(&path) {
            Ok(Some(text)) => {
                search.found = Some((path.clone(), parse(&path, &text)?));
                return Ok(search);
            }
            Ok(None) => search.warnings.push(format!("`{}`, named by {variable}, does not exist", path.display())),
            Err(error) => search.warnings.push(error.message),
        }
    }
    let dirs = std::iter::once(&surroundings.directory).chain(&surroundings.config_dirs);
    for path in dirs.flat_map(|dir| ["yaml", "yml", "json"].map(|suffix| dir.join(format!("{stem}.{suffix}")))) {
        match read(&path) {
            Ok(None) => {}
            Ok(Some(text)) => match parse(&path, &text) {
                Ok(content) => {
                    search.found = Some((path, content));
                    return Ok(search);
                }
                Err(error) => {
                    search.warnings.push(format!("{}; skipping it", error.message));
                    search.broken.get_or_insert(error);
                }
            },
            Err(error) => search.warnings.push(format!("{}; skipping it", error.message)),
        }
    }
    Ok(search)
}

/// The text of the file at `path`; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error: &std::io::Error| Error::io(format!("cannot read `{}`", path.display()), error);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(&error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Ok(Some(bytes))
}

/// The top-level mapping of a file's text. An empty file is an empty mapping.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    let wrong = |what: String| {
        Error::config(format!("`{}` {what}", path.display()))
            .next("correct the file; https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html shows how it is written")
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("is larger than {} MiB", MAX_BYTES >> 20)));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(format!("is not UTF-8 text (line {line})"))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let content = if path.extension().is_some_and(|suffix| suffix == "json") {
        serde_json::from_str(text)
            .map(text_only)
            .map_err(|error| wrong(format!("is not valid JSON (line {})", error.line())))
    } else {
        parse_yaml(text).map_err(|line| match line {
            Some(line) => wrong(format!("is not valid YAML (line {line})")),
            None => wrong("is not valid YAML".to_owned()),
        })
    }?;
    match content {
        Value::Object(content) => Ok(content),
        Value::Null => Ok(Map::new()),
        _ => Err(wrong("does not hold a mapping".to_owned())),
    }
}

/// YAML as PyYAML's safe loader takes it: with `<<`, the last of two equal
/// keys winning. The error is the number of the line where it stopped.
fn parse_yaml(text: &str) -> std::result::Result<Value, Option<u64>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH, max_documents: 1 },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options)
        .map(|node| node.value.into_value(text, &node.defined))
        .map_err(|error| error.location().map(|location| location.line()))
}

/// A YAML node, its scalars not yet turned into text.
enum Node {
    Null,
    /// A plain scalar that looks like a number or a truth value: its text is
    /// only in the source.
    Plain,
    Text(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl Node {
    fn into_value(self, source: &str, place: &serde_saphyr::Location) -> Value {
        match self {
            Node::Null => Value::Null,
            Node::Text(text) => Value::String(text),
            Node::Plain => Value::String(written(source, place).to_owned()),
            Node::List(list) => list.into_iter().map(|node| node.value.into_value(source, &node.defined)).collect(),
            Node::Map(map) => Value::Object(
                map.into_iter().map(|(key, node)| (key, node.value.into_value(source, &node.defined))).collect(),
            ),
        }
    }
}

/// What stands in `source` at `place`.
fn written<'a>(source: &'a str, place: &serde_saphyr::Location) -> &'a str {
    let span = place.span();
    let range = span.byte_offset().zip(span.byte_len()).and_then(|(start, len)| {
        let start = usize::try_from(start).ok()?;
        Some(start..start.checked_add(usize::try_from(len).ok()?)?)
    });
    range.and_then(|range| source.get(range)).unwrap_or_default().trim()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct AnyNode;

        impl<'de> Visitor<'de> for AnyNode {
            type Value = Node;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a YAML node")
            }

            fn visit_unit<E>(self) -> std::result::Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, _: bool) -> std::result::Result<Node, E> {
                Ok(Node::Plain)
            }

            fn visit_i64<E>(self, _: i64) -> std::result::Result<Node, E> {
                Ok(Node::Plain)
            }

            fn visit_u64<E>(self, _: u64) -> std::result::Result<Node, E> {
                Ok(Node::Plain)
            }

            fn visit_i128<E>(self, _: i128) -> std::result::Result<Node, E> {
                Ok(Node::Plain)
            }

            fn visit_u128<E>(self, _: u128) -> std::result::Result<Node, E> {
                Ok(Node::Plain)
            }

            fn visit_f64<E>(self, _: f64) -> std::result::Result<Node, E> {
                Ok(Node::Plain)
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = seq.next_element()? {
                    list.push(node);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }
        }

        deserializer.deserialize_any(AnyNode)
    }
}

/// The same value with every scalar as text, as YAML files are read.
fn text_only(value: Value) -> Value {
    match value {
        Value::Bool(flag) => Value::String(flag.to_string()),
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(list) => list.into_iter().map(text_only).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, text_only(value))).collect()),
        other => other,
    }
}

/// An entry that was written in JSON, as if it had been read from a file.
pub(super) fn entry_of_json(entry: Map<String, Value>) -> Map<String, Value> {
    entry.into_iter().map(|(key, value)| (key, text_only(value))).collect()
}

/// `map` with `-` in its keys, and in those of the mappings inside, replaced
/// by `_`.
pub(super) fn with_underscores(map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .map(|(key, value)| {
            let value = match value {
                Value::Object(inner) => Value::Object(with_underscores(inner)),
                other => other.clone(),
            };
            (key.replace('-', "_"), value)
        })
        .collect()
}

/// Whether a profile's name is an address.
pub(super) fn is_url(name: &str) -> bool {
    name.split_once("://").is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use serde_json::json;

    fn yaml(text: &str) -> Value {
        parse_yaml(text).unwrap()
    }

    #[test]
    fn scalars_stay_what_was_typed() {
        for typed in [
            "0123",
            "1e5",
            "007",
            "0x1F",
            "1_000",
            "1.10",
            "-5",
            "+5",
            ".inf",
            ".nan",
            "yes",
            "no",
            "off",
            "True",
            "y",
            "2026-01-02",
            "12:30:45",
            "99999999999999999999999999",
            "a#b",
            "{x",
        ] {
            let quoted = typed.starts_with('{');
            let text = if quoted { format!("k: '{typed}'") } else { format!("k: {typed}") };
            assert_eq!(yaml(&text), json!({"k": typed}), "{typed}");
            assert_eq!(yaml(&format!("k: \"{typed}\"")), json!({"k": typed}), "quoted {typed}");
        }
        assert_eq!(yaml("k: 0123   # my pin\nl: [1, é, 2]\n"), json!({"k": "0123", "l": ["1", "é", "2"]}));
        assert_eq!(yaml("é: ü # ö\nk: 1e5 # ä\n"), json!({"é": "ü", "k": "1e5"}));
        assert_eq!(
            yaml("k:\nl: ~\nm: null\nn: ''\no: 'null'\n"),
            json!({"k": null, "l": null, "m": null, "n": "", "o": "null"})
        );
        assert_eq!(yaml("k: !!str 5\nl: !!int 0x5\n"), json!({"k": "5", "l": "0x5"}));
        assert_eq!(yaml("k: |\n  0123\n  4\n"), json!({"k": "0123\n4\n"}));
    }

    #[test]
    fn aliases_and_merges_keep_the_text_too() {
        let text = "base: &b\n  pin: 0123\n  name: a\nsub:\n  <<: *b\n  name: 1e5\nalso: *b\nn: &n 07\nm: *n\n";
        assert_eq!(
            yaml(text),
            json!({
                "base": {"pin": "0123", "name": "a"},
                "sub": {"name": "1e5", "pin": "0123"},
                "also": {"pin": "0123", "name": "a"},
                "n": "07", "m": "07",
            })
        );
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        assert_eq!(yaml("a: 1\na: 2\n"), json!({"a": "2"}));
    }

    #[test]
    fn json_scalars_are_text_as_well() {
        let path = Path::new("/x/clouds.json");
        let content = parse(path, br#"{"a": {"verify": false, "n": 5, "none": null}}"#).unwrap();
        assert_eq!(Value::Object(content), json!({"a": {"verify": "false", "n": "5", "none": null}}));
    }

    #[test]
    fn broken_files_are_told_by_line_and_without_content() {
        for (file, text, message) in [
            (
                "clouds.yaml",
                "clouds:\n  a:\n    password: hunter2\n   b: [hunter2\n",
                "`/x/clouds.yaml` is not valid YAML (line 4)",
            ),
            ("clouds.json", "{\n\"password\": hunter2}", "`/x/clouds.json` is not valid JSON (line 2)"),
            ("clouds.yaml", "- hunter2\n", "`/x/clouds.yaml` does not hold a mapping"),
            ("clouds.yaml", "hunter2", "`/x/clouds.yaml` does not hold a mapping"),
        ] {
            let error = parse(&Path::new("/x").join(file), text.as_bytes()).unwrap_err();
            assert_eq!(error.message, message);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
        let error = parse(Path::new("/x/clouds.yaml"), b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!(error.message, "`/x/clouds.yaml` is not UTF-8 text (line 2)");
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let path = Path::new("/x/clouds.yaml");
        let large = vec![b'#'; usize::try_from(MAX_BYTES).unwrap() + 1];
        assert_eq!(parse(path, &large).unwrap_err().message, "`/x/clouds.yaml` is larger than 8 MiB");
        let deep = "[".repeat(100_000);
        assert!(parse(path, deep.as_bytes()).is_err());
        assert!(parse(Path::new("/x/clouds.json"), deep.as_bytes()).is_err());
        // Nine levels of ten aliases each would be a thousand million nodes.
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let inside = vec![format!("*a{}", level - 1); 10].join(",");
            bomb += &format!("a{level}: &a{level} [{inside}]\n");
        }
        assert!(parse(path, bomb.as_bytes()).is_err());
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        for text in ["", "\n", "# nothing\n", "---\n", "\u{feff}"] {
            assert!(parse(Path::new("clouds.yaml"), text.as_bytes()).unwrap().is_empty(), "{text:?}");
        }
    }
}
