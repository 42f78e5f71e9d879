//! Everything that `openstack` takes for images, rimg takes too. What it does
//! not is in a table of the README, each with its reason, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::{Arg, Command};
use rimg::cloud::options::OPTIONS;

/// Command and option of each row of parity.csv.
fn contract() -> Vec<(String, String, String)> {
    let rows = include_str!("parity.csv").lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let mut cells = row.split(',').map(str::to_owned);
        let mut next = || cells.next().unwrap();
        (next(), next(), next())
    })
    .collect()
}

/// The rows of the README's table between two marks: command, option.
fn excused(mark: &str) -> BTreeSet<(String, String)> {
    let readme = include_str!("../README.md");
    let table = readme.split(&format!("<!-- {mark} -->")).nth(1).expect("the README has the table between two marks");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(!cells[3].is_empty(), "no reason in {row}");
        let plain = |text: &str| text.replace('`', "");
        let command = plain(cells[1]);
        plain(cells[2]).split(", ").map(|option| (command.clone(), option.to_owned())).collect::<Vec<_>>()
    })
    .collect()
}

/// The parsers of rimg by the words of their command.
fn parsers() -> BTreeMap<&'static str, Command> {
    rimg::commands::ALL.iter().map(|entry| (entry.words, (entry.parser)())).collect()
}

fn takes(parser: &Command, option: &str, kind: &str) -> bool {
    let is_long = |arg: &Arg, name: &str| {
        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    };
    // With an optional value after `=` a flag is a flag still.
    let may_be_bare =
        |arg: &Arg| arg.is_require_equals_set() && arg.get_num_args().is_some_and(|n| n.min_values() == 0);
    let valued = |arg: &Arg| arg.get_action().takes_values() && !may_be_bare(arg);
    // `image member list <image>`: the names of positional arguments are ours.
    if kind.starts_with("positional") {
        return parser.get_positionals().count() > 0;
    }
    option.split('|').all(|name| match name.strip_prefix("--") {
        Some("help") => true,
        Some(long) => parser.get_arguments().any(|arg| {
            is_long(arg, long)
                && valued(arg) == !matches!(kind, "flag" | "count" | "version" | "help" | "formatter-flag")
        }),
        None if name == "-h" => true,
        None => {
            let short = name.trim_start_matches('-').chars().next();
            parser.get_arguments().any(|arg| arg.get_short() == short)
        }
    })
}

#[test]
fn every_option_of_openstack_is_taken_or_excused() {
    let parsers = parsers();
    let globals = rimg::manager::globals();
    let excused = excused("missing options");
    let (mut missing, mut needless) = (Vec::new(), Vec::new());
    for (command, option, kind) in contract() {
        let parser = match command.as_str() {
            "(global openstack)" => Some(&globals),
            words => parsers.get(words),
        };
        let has = parser.is_some_and(|parser| takes(parser, &option, &kind));
        let is_excused = excused.contains(&(command.clone(), option.clone()));
        match (has, is_excused) {
            (false, false) => missing.push(format!("{command} {option}")),
            (true, true) => needless.push(format!("{command} {option}")),
            _ => {}
        }
    }
    assert!(missing.is_empty(), "rimg lacks, and the README does not say so:\n{}", missing.join("\n"));
    assert!(needless.is_empty(), "the README says that rimg lacks these, and it does not:\n{}", needless.join("\n"));
}

#[test]
fn as_many_arguments_as_openstack_has() {
    let parsers = parsers();
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for (command, _, kind) in contract() {
        *wanted.entry(command).or_default() += usize::from(kind.starts_with("positional"));
    }
    for (command, count) in wanted {
        if let Some(parser) = parsers.get(command.as_str()) {
            assert_eq!(parser.get_positionals().count(), count, "{command}");
        }
    }
}

/// The Rust files under `src/PATH`, or that one: name below it, and text without its tests.
fn sources(path: &str) -> Vec<(String, String)> {
    fn visit(path: &Path, root: &Path, all: &mut Vec<(String, String)>) {
        if path.is_dir() {
            return std::fs::read_dir(path).unwrap().for_each(|entry| visit(&entry.unwrap().path(), root, all));
        }
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            all.push((name, text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned()));
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
    let mut all = Vec::new();
    visit(&root, &root, &mut all);
    all
}

/// Whether `text` reads the field of its own arguments: `self.field`, `self.flattened.field`.
fn reads(text: &str, field: &str) -> bool {
    let in_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(&format!(".{field}")).any(|(at, found)| {
        let before = text[..at].rsplit(|letter| !in_a_name(letter) && letter != '.').next().unwrap();
        matches!(before.split('.').next(), Some("self" | "globals")) && !text[at + found.len()..].starts_with(in_a_name)
    })
}

/// Whether any of these reads the setting: names it other than as a key of
/// JSON, the end of a name, or what the name of a service is put before.
fn is_read(key: &str, files: &[(String, String)]) -> bool {
    let quoted = format!("\"{key}\"");
    let names = |line: &str| {
        let line = line.replace(&format!("[{quoted}]"), "").replace(&format!("ends_with({quoted})"), "");
        line.contains(&quoted) && !line.contains("service_key(")
    };
    // `volume_api_version` is read by whoever speaks to `volume`.
    let service = key.strip_suffix("_api_version").map(|service| format!("\"{service}\""));
    let mut lines = files.iter().flat_map(|(_, text)| text.lines());
    lines.any(|line| names(line) || service.as_ref().is_some_and(|service| line.contains(service)))
}

/// An option that nobody reads has no effect; the README says which, and why.
#[test]
fn no_option_is_parsed_and_ignored() {
    let (mut ignored, mut seen) = (BTreeSet::new(), 0);
    let files = sources("commands");
    for (name, text) in &files {
        let mut is_argument = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[arg(") || line.starts_with("#[command(flatten)") {
                is_argument = true;
            } else if is_argument && !line.starts_with('#') && !line.starts_with("//") {
                let public = line.strip_prefix("pub ");
                let Some((field, _)) = public.unwrap_or(line).split_once(": ") else { continue };
                is_argument = false;
                seen += 1;
                let mut within = files.iter().filter(|(file, _)| public.is_some() || file == name);
                if !within.any(|(_, text)| reads(text, field)) {
                    let words = name.trim_end_matches(".rs").replace(['/', '_'], " ");
                    ignored.insert((words, format!("--{}", field.replace('_', "-"))));
                }
            }
        }
    }
    assert!(seen > 250, "the fields of the commands are found: {seen}");
    let global = "(global openstack)".to_owned();
    let of_cloud: Vec<_> = [sources("cloud"), sources("cinder.rs"), sources("context.rs")].concat();
    let of_cloud: Vec<_> = of_cloud.into_iter().filter(|(name, _)| name != "options.rs").collect();
    let of_manager = sources("manager");
    for arg in rimg::manager::globals().get_arguments() {
        let flag = arg.get_long().unwrap();
        let is_read = match OPTIONS.iter().find(|option| option.flag == flag) {
            Some(option) => is_read(option.key, &of_cloud),
            // clap answers these by itself.
            None if matches!(flag, "help" | "version") => true,
            None => of_manager.iter().any(|(_, text)| reads(text, &flag.replace('-', "_"))),
        };
        if !is_read {
            ignored.insert((global.clone(), format!("--{flag}")));
        }
    }
    assert_eq!(ignored, excused("options without effect"));
}

#[test]
fn every_difference_has_its_reason() {
    let readme = include_str!("../README.md");
    let table = readme.split("## What differs from `openstack` on purpose").nth(1).unwrap();
    let rows: Vec<_> = table.trim_start().lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 50, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 4 && cells[1..].iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

/// What `glance` 4.13 (python-glanceclient) has and `openstack` lacks, and
/// what it is called here: the command, and the options that go with it.
const GLANCE: &[(&str, &str, &[&str])] = &[
    ("image-upload", "image upload", &["file", "size", "progress", "store"]),
    (
        "image-create-via-import",
        "image create",
        &[
            "import-method",
            "uri",
            "remote-region",
            "remote-image",
            "remote-service-interface",
            "store",
            "all-stores",
            "allow-failure",
        ],
    ),
    (
        "image-create",
        "image create",
        &["hidden", "store", "architecture", "os-distro", "os-version", "kernel-id", "ramdisk-id", "instance-id"],
    ),
    ("image-download", "image save", &["progress", "store-preference", "allow-md5-fallback"]),
    ("image-list", "image list", &["checksum", "hash", "project", "hidden", "property", "sort", "limit", "stores"]),
    ("image-tasks", "image task list", &["image"]),
    ("image-update", "image set", &["property", "hidden", "project", "no-tag"]),
    ("usage", "image usage", &[]),
    ("location-add, add-location", "image location add", &["url", "metadata", "checksum", "hash-algo", "hash-value"]),
    ("location-update", "image location set", &["url", "metadata"]),
    ("location-delete", "image location delete", &["url"]),
    ("cache-nodes-list", "cached image node list", &[]),
    ("cache-clean", "cached image clean", &[]),
    ("cache-prune", "cached image prune", &[]),
    ("explain", "image schema show", &[]),
    ("md-namespace-import", "image metadef namespace import", &["file"]),
    ("md-namespace-show", "image metadef namespace show", &["resource-type"]),
    ("md-namespace-update", "image metadef namespace set", &["name", "project"]),
    ("md-object-create", "image metadef object create", &["schema"]),
    ("md-object-update", "image metadef object update", &["name", "schema"]),
    (
        "md-resource-type-associate",
        "image metadef resource type association create",
        &["properties-prefix", "properties-target"],
    ),
    ("md-namespace-resource-type-list", "image metadef resource type association list", &["long"]),
    ("md-tag-create, md-tag-create-multiple", "image metadef tag create", &[]),
    ("md-tag-update", "image metadef tag set", &["name"]),
    ("md-tag-show", "image metadef tag show", &[]),
    ("md-tag-list", "image metadef tag list", &[]),
    ("md-tag-delete", "image metadef tag delete", &[]),
    ("member-update", "image set", &["accept", "reject", "pending", "project"]),
    ("stores-info", "image stores list", &["detail"]),
    ("stores-delete", "image delete", &["store"]),
    ("task-create", "image task create", &["type", "input"]),
];

#[test]
fn what_only_glance_has_is_here_too() {
    let parsers = parsers();
    let mut missing = Vec::new();
    for (glance, words, options) in GLANCE {
        let Some(parser) = parsers.get(words) else {
            missing.push(format!("glance {glance}: {words}"));
            continue;
        };
        for option in *options {
            if !parser.get_arguments().any(|arg| arg.get_long() == Some(option)) {
                missing.push(format!("glance {glance}: {words} --{option}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
