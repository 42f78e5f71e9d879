//! The examples of the manual are run, on the local service, as they stand
//! there: what a reader copies must work.

use std::io::Write;
use std::path::Path;

use crate::support::{Answer, Server, World};

/// The cloud that the examples of a command are run on, and what is done
/// before, when they need more than the image `cirros` and its file.
const BEFORE: &[(&str, &str, &str)] = &[
    ("image stores list", "devstack-admin", ""),
    ("image create", "devstack-admin", ""),
    (
        "image delete",
        "devstack",
        "rimg image create old-1; rimg image create old-2; rimg image create z --id 1bea47ed-f6a9-463b-b423-14b9cca9ad27",
    ),
    ("image add project", "devstack-admin", ""),
    ("image member get", "devstack-admin", "rimg image add project cirros demo"),
    ("image remove project", "devstack-admin", "rimg image add project cirros demo"),
    (
        "image set",
        "devstack",
        "ID=$(OS_CLOUD=devstack-other rimg image create shared-image -f value -c id); OS_CLOUD=devstack-admin rimg image add project $ID demo",
    ),
    ("image unset", "devstack", "rimg image set cirros --tag old --property hw_disk_bus=virtio"),
    ("image import", "devstack-admin", "for I in web nightly; do rimg image create $I --disk-format qcow2; done"),
    ("image save", "devstack", SIGNED),
    ("image download", "devstack", SIGNED),
    ("image location list", "devstack-admin", ""),
    ("image upload", "devstack", "rimg image create nightly --disk-format raw; echo data > nightly.img"),
    (
        "image task list",
        "devstack-admin",
        "rimg image create web --disk-format raw; echo data | rimg image stage web; rimg image import web --wait",
    ),
    (
        "image task show",
        "devstack-admin",
        "rimg image create web --disk-format raw; echo data | rimg image stage web; rimg image import web --wait",
    ),
    (
        "cached image delete",
        "devstack-admin",
        "rimg image create z --id 1bea47ed-f6a9-463b-b423-14b9cca9ad27 --file web.img; rimg cached image queue cirros z",
    ),
    (
        "cached image queue",
        "devstack-admin",
        "for I in web-1 web-2 web-3; do rimg image create $I --file web.img; done",
    ),
    (
        "image metadef resource type association delete",
        "devstack-admin",
        "associate='rimg image metadef resource type association create'; $associate Site::Backup OS::Glance::Image; \
         rimg image metadef namespace create Site::Protected; $associate Site::Protected OS::Cinder::Volume; \
         rimg image metadef namespace set Site::Protected --protected",
    ),
    ("image metadef namespace delete", "devstack-admin", "rimg image metadef namespace create Site::Tiers"),
    (
        "image metadef namespace import",
        "devstack-admin",
        "for N in compute-hypervisor compute-libvirt; do printf '{\"namespace\": \"Site::%s\"}' $N > $N.json; done",
    ),
    ("image metadef namespace unset", "devstack-admin", "rimg image metadef tag create Site::Backup nightly weekly"),
    (
        "image metadef object delete",
        "devstack-admin",
        "for O in Schedule Retention; do rimg image metadef object create --namespace Site::Backup $O; done",
    ),
    (
        "image metadef object update",
        "devstack-admin",
        "rimg image metadef object create --namespace Site::Backup Schedule",
    ),
    (
        "image metadef property delete",
        "devstack-admin",
        "for P in hour minute; do rimg image metadef property create Site::Backup --name $P --title $P --type integer --schema '{}'; done",
    ),
    (
        "image metadef property set",
        "devstack-admin",
        "rimg image metadef property create Site::Backup --name hour --title hour --type integer --schema '{}'",
    ),
    ("image metadef tag delete", "devstack-admin", "rimg image metadef tag create Site::Backup nightly weekly"),
    ("image metadef tag set", "devstack-admin", "rimg image metadef tag create Site::Backup nightly"),
];

const SIGNED: &str = "rimg image create signed --file x.qcow2 --sign-key-path key.pem \
     --sign-cert-id 1bea47ed-f6a9-463b-b423-14b9cca9ad27";

/// Examples that need what a test does not have, by a piece of them, and what that is.
const NOT_HERE: &[(&str, &str)] = &[
    ("--volume", "a block storage service; tests/image/create.rs has one"),
    ("rimg serve", "a program that goes on running; tests/serve.rs"),
    ("rimg image location add", "a service with an http store; tests/image/location.rs"),
    ("rimg image location set", "a location in an http store; tests/image/location.rs"),
    ("rimg image location delete", "a location in an http store; tests/image/location.rs"),
    ("rimg image task create", "a service that makes images by tasks; tests/image/task.rs"),
];

/// What stands in the examples for what each reader has of his own, and what
/// it is here.
const HERE: &[(&str, &str)] = &[
    ("https://images.example.org", "$WEB"),
    ("5bd6b5c5-6f0f-4f3a-9a0b-2c8a4f1d9e3b", "$(rimg image task list --limit 1 -f value -c ID)"),
    ("--sign-cert-id UUID", "--sign-cert-id 1bea47ed-f6a9-463b-b423-14b9cca9ad27"),
];

/// As much of Glance's catalogue of definitions as the examples speak of.
const CATALOGUE: [&str; 2] = [
    r#"{"namespace": "OS::Compute::Watchdog", "visibility": "public",
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}, {"name": "OS::Nova::Flavor"}],
        "properties": {"watchdog_action": {"title": "Watchdog Action", "type": "string", "enum": ["reset", "none"]}}}"#,
    r#"{"namespace": "OS::Software::DBMS", "visibility": "public", "tags": [{"name": "MySQL"}],
        "resource_type_associations": [{"name": "OS::Cinder::Volume", "properties_target": "image"}],
        "objects": [{"name": "MySQL", "properties": {"sw_database_mysql_version": {"title": "Version", "type": "string"}}}]}"#,
];

/// Each example of a command: a line, or several that `\` joins.
fn examples(parser: &clap::Command) -> Vec<String> {
    let help = parser.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| line.starts_with("  "));
    let mut examples: Vec<String> = Vec::new();
    for line in lines {
        // What belongs to the line before is indented further.
        match examples.last_mut() {
            Some(last) if line.starts_with("   ") => *last += &format!("\n{line}"),
            _ => examples.push(line.trim_start().to_owned()),
        }
    }
    examples
}

#[test]
fn every_example_works() {
    let bin = Path::new(env!("CARGO_BIN_EXE_rimg")).parent().unwrap().display().to_string();
    let (mut run, mut left, mut failed) = (0, Vec::new(), Vec::new());
    let mut qcow2 = vec![0; 65536];
    // Version 2, clusters of 16 bits, a disk of 64 KiB, its table at the second cluster.
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
    qcow2[20..32].copy_from_slice(&[0, 0, 0, 16, 0, 0, 0, 0, 0, 1, 0, 0]);
    let sent = qcow2.clone();
    let web = Server::start(None, move |request, _| {
        let data = if request.path.ends_with(".qcow2") { &sent[..] } else { b"raw" };
        Answer::status(200).header("Content-Type", "application/octet-stream").body(data)
    });
    let definitions = tempfile::tempdir().unwrap();
    for (number, document) in CATALOGUE.iter().enumerate() {
        std::fs::write(definitions.path().join(format!("{number}.json")), document).unwrap();
    }
    let catalogue = format!("metadefs: {}\n", definitions.path().display());
    for entry in rimg::commands::ALL {
        let examples = examples(&(entry.parser)());
        assert!(!examples.is_empty(), "{} has no example", entry.words);
        let here = |example: &&String| !NOT_HERE.iter().any(|(piece, _)| example.contains(piece));
        left.extend(examples.iter().filter(|example| !here(example)).cloned());
        let here: Vec<_> = examples.iter().filter(here).collect();
        if here.is_empty() {
            continue;
        }
        // The image cache is what the service of the tests has and `rimg serve` has not.
        let is_cache = entry.words.starts_with("cached image");
        let world = if is_cache { World::new() } else { World::served_with(&catalogue) };
        for name in ["x.qcow2", "cirros.qcow2", "web.qcow2", "web.img"] {
            world.file(name, &qcow2);
        }
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
        for (name, key) in [("key.pem", "pkcs8.pem"), ("cert.pem", "rsa-cert.pem")] {
            world.file(name, std::fs::read(keys.join(key)).unwrap());
        }
        // Definitions are for admins, in a namespace that the example of its creation makes by itself.
        let is_definition = entry.words.starts_with("image metadef");
        let namespace = match is_definition && entry.words != "image metadef namespace create" {
            true => "rimg image metadef namespace create Site::Backup",
            false => "",
        };
        let usual = ("", if is_definition || is_cache { "devstack-admin" } else { "devstack" }, "");
        let (_, cloud, before) = BEFORE.iter().find(|(words, ..)| *words == entry.words).unwrap_or(&usual);
        let shell = |script: &str| {
            let path = format!("{bin}:/usr/local/bin:/usr/bin:/bin");
            world
                .program("/bin/sh")
                .args(["-ec", script])
                .env("PATH", path)
                .env("WEB", web.url())
                .env("OS_CLOUD", *cloud)
                .run()
        };
        shell(&format!("rimg -q image create cirros --file cirros.qcow2\n{namespace}\n{before}")).ok();
        for example in here {
            run += 1;
            let outcome = shell(&HERE.iter().fold(example.clone(), |text, (there, here)| text.replace(there, here)));
            if !outcome.succeeded() {
                failed.push(format!("{example}\n{}", outcome.stderr()));
            }
        }
    }
    assert!(run > 110, "{run} examples were run");
    // The rest is at least what the parser takes: it comes to the help only behind all else.
    let world = World::new();
    for example in &left {
        let line = example.split(" # ").next().unwrap_or_default();
        let path = format!("{bin}:/usr/local/bin:/usr/bin:/bin");
        let outcome = world.program("/bin/sh").args(["-ec", &format!("{line} --help")]).env("PATH", path).run();
        if !outcome.succeeded() {
            failed.push(format!("{example}\n{}", outcome.stderr()));
        }
    }
    // Not `println!`: the test harness would swallow it.
    let needed: Vec<&str> = NOT_HERE.iter().map(|(_, what)| *what).collect();
    let count = left.len();
    let _ =
        writeln!(std::io::stderr(), "examples: {run} were run, {count} only parsed: they need {}", needed.join("; "));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
