//! Everything that `openstack` takes for images, rimg takes too. What it does
//! not is in a table of the README, each with its reason, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Arg, Command};

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

/// The rows of the README's table of what is missing: command, option.
fn excused() -> BTreeSet<(String, String)> {
    let readme = include_str!("../README.md");
    let table = readme.split("<!-- missing options -->").nth(1).expect("the README has the table between two marks");
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
    let excused = excused();
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

/// Options that are taken for scripts and cannot have an effect.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    // There is no larger page to ask for: rimg takes the largest.
    ("image/list.rs", "page_size"),
    // Nothing is looked up there.
    ("image/member/list.rs", "project_domain"),
    // The size of a read, which rimg chooses itself.
    ("image/save.rs", "chunk_size"),
    // What is done anyway.
    ("configuration/show.rs", "mask"),
];

/// An option whose field nobody reads is parsed and ignored.
#[test]
fn no_option_is_parsed_and_ignored() {
    fn visit(directory: &std::path::Path, root: &std::path::Path, all: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                visit(&path, root, all);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                all.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/commands");
    let mut files = Vec::new();
    visit(&root, &root, &mut files);
    let (mut ignored, mut seen) = (BTreeSet::new(), 0);
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
                let read = format!(".{field}");
                let within = files.iter().filter(|(file, _)| public.is_some() || file == name);
                let is_read = within.map(|(_, text)| text).any(|text| {
                    text.match_indices(&read).any(|(at, _)| {
                        !text[at + read.len()..].starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
                    })
                });
                if !is_read {
                    ignored.insert((name.as_str(), field.to_owned()));
                }
            }
        }
    }
    assert!(seen > 80, "the fields of the commands are found: {seen}");
    let allowed: BTreeSet<_> = WITHOUT_EFFECT.iter().map(|(file, field)| (*file, (*field).to_owned())).collect();
    assert_eq!(ignored, allowed);
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
    ("image-list", "image list", &["checksum", "hash", "project", "hidden", "property", "sort", "limit"]),
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
