//! From the words typed to a command: exact words, or a unique beginning of
//! each; otherwise the nearest commands are named.

use std::ffi::OsString;

use clap::Command;

use super::Entry;
use super::globals::Globals;
use crate::error::{Error, Result};

/// What the words ask for.
pub enum Found {
    /// A command, and the arguments with its words spelled out.
    Command(&'static Entry, Vec<OsString>),
    /// Help on these words (`help image`, `image --help`).
    Help(Vec<String>),
    /// A completion script (`complete --shell zsh`).
    Complete(Vec<OsString>),
    /// No words at all: `--version`, `--help`, nothing, or a wrong option.
    Nothing(Vec<OsString>),
}

/// Finds the command. Global options may stand before, between and after its words.
pub fn find(entries: &'static [Entry], argv: Vec<OsString>) -> Result<Found> {
    let words = words(&argv);
    let typed: Vec<&str> = words.iter().map(|(_, word)| word.as_str()).collect();
    let wants_help = || argv.iter().any(|arg| arg == "--help" || arg == "-h");
    match typed.as_slice() {
        [] => return Ok(Found::Nothing(argv)),
        ["help", rest @ ..] => return Ok(Found::Help(rest.iter().map(|word| (*word).to_owned()).collect())),
        ["complete", ..] => return Ok(Found::Complete(argv)),
        _ => {}
    }
    for count in (1..=typed.len()).rev() {
        if let Some(entry) = matching(entries, &typed[..count]) {
            let mut argv = argv;
            for ((at, _), word) in words.iter().zip(entry.words.split(' ')) {
                argv[*at] = word.into();
            }
            return Ok(Found::Command(entry, argv));
        }
    }
    if wants_help() {
        return Ok(Found::Help(typed.iter().map(|word| (*word).to_owned()).collect()));
    }
    Err(unknown(entries, &typed))
}

/// The command of exactly these words, or the only one of as many words that
/// begin with them.
fn matching(entries: &'static [Entry], typed: &[&str]) -> Option<&'static Entry> {
    if let Some(exact) = entries.iter().find(|entry| entry.words.split(' ').eq(typed.iter().copied())) {
        return Some(exact);
    }
    let mut begun = entries.iter().filter(|entry| {
        let words: Vec<&str> = entry.words.split(' ').collect();
        words.len() == typed.len() && words.iter().zip(typed).all(|(word, begin)| word.starts_with(begin))
    });
    match (begun.next(), begun.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The commands that begin with these words, in the order of the table.
pub fn beginning(entries: &'static [Entry], typed: &[impl AsRef<str>]) -> Vec<&'static Entry> {
    let begins = |entry: &&Entry| {
        let words: Vec<&str> = entry.words.split(' ').collect();
        words.len() >= typed.len() && words.iter().zip(typed).all(|(word, begin)| word.starts_with(begin.as_ref()))
    };
    entries.iter().filter(begins).collect()
}

/// The positions and texts of the leading words, up to the first option that
/// is not a global one.
fn words(argv: &[OsString]) -> Vec<(usize, String)> {
    let globals = Globals::augment(Command::new("rimg"));
    let mut words = Vec::new();
    let mut at = 1;
    while let Some(arg) = argv.get(at).and_then(|arg| arg.to_str()) {
        match arg.strip_prefix('-') {
            None | Some("") => words.push((at, arg.to_owned())),
            Some(option) => match takes_value(&globals, option) {
                Some(true) => at += 1,
                Some(false) => {}
                None => break,
            },
        }
        at += 1;
    }
    words
}

/// The line without anything but its name and its global options.
pub fn only_globals(argv: Vec<OsString>) -> Vec<OsString> {
    let globals = Globals::augment(Command::new("rimg"));
    let mut kept = Vec::new();
    let mut args = argv.into_iter();
    kept.extend(args.next());
    while let Some(arg) = args.next() {
        let option = arg.to_str().and_then(|text| text.strip_prefix('-')).filter(|option| !option.is_empty());
        match option.and_then(|option| takes_value(&globals, option)) {
            Some(true) => kept.extend([Some(arg), args.next()].into_iter().flatten()),
            Some(false) => kept.push(arg),
            None => {}
        }
    }
    kept
}

/// Whether a global option (without its first dash) takes its value from the
/// next argument; `None` if it is not a global option.
fn takes_value(globals: &Command, option: &str) -> Option<bool> {
    let Some(long) = option.strip_prefix('-') else {
        return option.chars().all(|letter| "vqh".contains(letter)).then_some(false);
    };
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    if matches!(name, "help" | "version") {
        return Some(false);
    }
    let names = |arg: &&clap::Arg| {
        let own = arg.get_long().into_iter();
        own.chain(arg.get_all_aliases().into_iter().flatten()).any(|long| long == name)
    };
    let begun = |arg: &&clap::Arg| arg.get_long().is_some_and(|long| long.starts_with(name));
    let mut candidates = globals.get_arguments().filter(begun);
    let arg = globals.get_arguments().find(names).or_else(|| match (candidates.next(), candidates.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    })?;
    Some(arg.get_action().takes_values() && value.is_none())
}

fn unknown(entries: &'static [Entry], typed: &[&str]) -> Error {
    let text = typed.join(" ");
    let inside = beginning(entries, typed);
    if !inside.is_empty() {
        let message = match inside.iter().any(|entry| entry.words.split(' ').count() == typed.len()) {
            true => format!("`{text}` could be one of several commands"),
            false => format!("`{text}` needs another word"),
        };
        return Error::usage(message)
            .details(inside.iter().map(|entry| format!("rimg {}", entry.words)))
            .next(format!("`rimg help {text}` says what they do"));
    }
    let near = nearest(entries, typed);
    let error = Error::usage(format!("there is no command `{text}`"));
    match near.as_slice() {
        [] => error.next("`rimg help` lists the commands"),
        near => error
            .details(near.iter().map(|words| format!("rimg {words}")))
            .next("did you mean one of these? `rimg help` lists them all"),
    }
}

/// The commands whose words are nearest to those typed, at most five.
/// Further words may be arguments, so each command is compared with as many
/// words as it has.
fn nearest(entries: &'static [Entry], typed: &[&str]) -> Vec<&'static str> {
    let mut scored: Vec<(f64, &str)> = entries
        .iter()
        .map(|entry| {
            let count = entry.words.split(' ').count().min(typed.len());
            let typed = typed[..count].join(" ");
            (strsim::normalized_damerau_levenshtein(&typed, entry.words), entry.words)
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = scored.first().map_or(0.0, |(likeness, _)| *likeness);
    scored.into_iter().filter(|(likeness, _)| best - likeness < 0.1).take(5).map(|(_, words)| words).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::commands::ALL;

    fn found(line: &str) -> String {
        let argv = line.split(' ').map(OsString::from).collect();
        match find(ALL, argv) {
            Ok(Found::Command(entry, argv)) => {
                let argv: Vec<_> = argv.iter().map(|arg| arg.to_str().unwrap()).collect();
                format!("{} <- {}", entry.words, argv.join(" "))
            }
            Ok(Found::Help(words)) => format!("help {words:?}"),
            Ok(Found::Complete(_)) => "complete".to_owned(),
            Ok(Found::Nothing(_)) => "nothing".to_owned(),
            Err(error) => format!("{}: {}", error.message, error.details.join(", ")),
        }
    }

    #[test]
    fn a_command_is_found_by_its_words_or_their_beginnings() {
        assert_eq!(found("rimg image list"), "image list <- rimg image list");
        assert_eq!(found("rimg im li --long"), "image list <- rimg image list --long");
        assert_eq!(found("rimg image show list"), "image show <- rimg image show list");
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        assert_eq!(
            found("rimg --os-cloud a -v image --os-region-name=b li --debug x"),
            "image list <- rimg --os-cloud a -v image --os-region-name=b list --debug x"
        );
        assert_eq!(found("rimg --os-cl a image list"), "image list <- rimg --os-cl a image list");
    }

    #[test]
    fn an_unknown_command_names_its_neighbours() {
        assert_eq!(found("rimg image lst"), "there is no command `image lst`: rimg image list");
        assert_eq!(found("rimg image lisst x"), "there is no command `image lisst x`: rimg image list");
        assert_eq!(found("rimg volume backup"), "there is no command `volume backup`: ");
    }

    #[test]
    fn words_that_only_begin_commands_ask_for_more() {
        let text = found("rimg image");
        assert!(text.starts_with("`image` needs another word: rimg image create"), "{text}");
        let text = found("rimg image s");
        assert!(text.starts_with("`image s` could be one of several commands: "), "{text}");
    }
}
