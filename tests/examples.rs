//! The examples of the manual are run, on the local service, as they stand
//! there: what a reader copies must work.

use std::io::Write;
use std::path::Path;

use crate::support::World;

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
    ("image import", "devstack", "rimg image create web --disk-format qcow2"),
    ("image upload", "devstack", "rimg image create nightly --disk-format raw; echo data > nightly.img"),
    (
        "image task list",
        "devstack-admin",
        "rimg image create web --disk-format raw; echo data | rimg image stage web; rimg image import web --wait",
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

/// Examples that need what a test does not have, by a piece of them, and what that is.
const NOT_HERE: &[(&str, &str)] = &[
    ("images.example.org", "a web server on the network"),
    ("--volume", "a block storage service"),
    ("--sign-key-path", "a key; tests/image/create.rs signs"),
    ("--verify-certificate", "a signed image; tests/image/save.rs has one"),
    ("--method copy-image", "a store `far`; tests/image/import.rs copies between stores"),
    ("rimg serve", "a program that goes on running; tests/serve.rs"),
    ("rimg cached image", "an image cache, which neither service has; tests/cached.rs"),
    ("rimg image location", "a cloud that shows locations; tests/image/location.rs"),
    ("rimg image task show 5bd6b5c5", "a task of this ID; tests/image/task.rs"),
    ("association delete", "an association; tests/image/metadef.rs"),
    ("OS::", "Glance's catalogue of definitions; tests/image/metadef.rs"),
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
    for entry in rimg::commands::ALL {
        let examples = examples(&(entry.parser)());
        assert!(!examples.is_empty(), "{} has no example", entry.words);
        let here = |example: &&String| !NOT_HERE.iter().any(|(piece, _)| example.contains(piece));
        left.extend(examples.iter().filter(|example| !here(example)).cloned());
        let here: Vec<_> = examples.iter().filter(here).collect();
        if here.is_empty() {
            continue;
        }
        let world = World::served();
        let mut qcow2 = vec![0; 65536];
        // Version 2, clusters of 16 bits, a disk of 64 KiB, its table at the second cluster.
        qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x02");
        qcow2[20..32].copy_from_slice(&[0, 0, 0, 16, 0, 0, 0, 0, 0, 1, 0, 0]);
        for name in ["x.qcow2", "cirros.qcow2", "web.qcow2", "web.img"] {
            world.file(name, &qcow2);
        }
        // Definitions are for admins, in a namespace that the example of its creation makes by itself.
        let is_definition = entry.words.starts_with("image metadef");
        let namespace = match is_definition && entry.words != "image metadef namespace create" {
            true => "rimg image metadef namespace create Site::Backup",
            false => "",
        };
        let usual = ("", if is_definition { "devstack-admin" } else { "devstack" }, "");
        let (_, cloud, before) = BEFORE.iter().find(|(words, ..)| *words == entry.words).unwrap_or(&usual);
        let shell = |script: &str| {
            let path = format!("{bin}:/usr/local/bin:/usr/bin:/bin");
            world.program("/bin/sh").args(["-ec", script]).env("PATH", path).env("OS_CLOUD", *cloud).run()
        };
        shell(&format!("rimg -q image create cirros --file cirros.qcow2\n{namespace}\n{before}")).ok();
        for example in here {
            run += 1;
            let outcome = shell(example);
            if !outcome.succeeded() {
                failed.push(format!("{example}\n{}", outcome.stderr()));
            }
        }
    }
    assert!(run > 50, "{run} examples were run");
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
