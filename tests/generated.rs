//! The checked-in completion scripts and manual pages are those that the
//! program makes. `RIMG_REWRITE=1 cargo test generated` rewrites them.

use std::collections::BTreeMap;
use std::path::Path;

fn hold_true(directory: &str, made: BTreeMap<String, String>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    if std::env::var_os("RIMG_REWRITE").is_some_and(|value| !value.is_empty()) {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        for (name, text) in &made {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }
    let files = std::fs::read_dir(&directory).into_iter().flatten().map(Result::unwrap);
    let there: BTreeMap<String, String> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap_or_default()))
        .collect();
    let differ = |name: &&String| made.get(*name) != there.get(*name);
    let mut stale: Vec<&String> = made.keys().filter(differ).chain(there.keys().filter(differ)).collect();
    stale.sort();
    stale.dedup();
    assert!(
        stale.is_empty(),
        "not as the program makes them, in `{}`: {stale:?}; rewrite them with `RIMG_REWRITE=1 cargo test generated`",
        directory.display()
    );
}

#[test]
fn the_completion_scripts_are_those_of_the_program() {
    let made = rimg::manager::completions();
    hold_true("completions", made.into_iter().map(|(name, text)| (name.to_owned(), text)).collect());
}

#[test]
fn the_manual_is_that_of_the_program() {
    let made = rimg::manager::manual(rimg::commands::ALL).unwrap();
    hold_true("man", made.into_iter().map(|(name, text)| (name, String::from_utf8(text).unwrap())).collect());
}
