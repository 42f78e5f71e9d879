//! From the words typed to a command: exact words, or a unique beginning of
//! each; otherwise the nearest commands are named. Beginnings of options are
//! spelled out here too, before the parser sees them.

use std::ffi::{OsStr, OsString};

use clap::Command;

use super::{Entry, globals};
use crate::error::{Error, Result};

/// What the words ask for.
pub enum Found {
    /// A command, and the line without the words that named it.
    Command(&'static Entry, Vec<OsString>),
    /// Help on these words (`help image`, `image --help`).
    Help(Vec<String>),
    /// A completion script (`complete --shell zsh`), and the line without that word.
    Complete(Vec<OsString>),
    /// No words at all: `--version`, `--help`, nothing, or a wrong option.
    Nothing(Vec<OsString>),
}

/// Finds the command. Global options may stand before, between and after its words.
pub fn find(entries: &'static [Entry], mut argv: Vec<OsString>) -> Result<Found> {
    let words = leading_words(&mut argv).words;
    let typed: Vec<&str> = words.iter().map(|(_, word)| word.as_str()).collect();
    let owned = |typed: &[&str]| typed.iter().map(|word| (*word).to_owned()).collect();
    match typed.as_slice() {
        [] => return Ok(Found::Nothing(argv)),
        ["help", rest @ ..] => return Ok(Found::Help(owned(rest))),
        ["complete", ..] => return Ok(Found::Complete(without(argv, &words[..1]))),
        _ => {}
    }
    if let Some((entry, count)) = longest(entries, &typed) {
        return Ok(Found::Command(entry, without(argv, &words[..count])));
    }
    if argv.iter().any(|arg| arg == "--help" || arg == "-h") {
        return Ok(Found::Help(owned(&typed)));
    }
    Err(unknown(entries, &typed))
}

/// The command that the first words name, as many of them as possible; and how many.
///
/// Where fewer words are a command, too, what follows them counts only in full:
/// `image import i` is about the image `i`, not a short `image import info`.
pub fn longest(entries: &'static [Entry], typed: &[&str]) -> Option<(&'static Entry, usize)> {
    let mut found: Option<(&'static Entry, usize)> = None;
    for count in 1..=typed.len() {
        let Some(entry) = matching(entries, &typed[..count]) else { continue };
        let shorter = found.map_or(count, |(_, shorter)| shorter);
        if entry.words.split(' ').skip(shorter).eq(typed[shorter..count].iter().copied()) {
            found = Some((entry, count));
        }
    }
    found
}

/// The line without these words.
pub fn without(argv: Vec<OsString>, words: &[(usize, String)]) -> Vec<OsString> {
    let is_word = |at: usize| words.iter().any(|(word, _)| *word == at);
    argv.into_iter().enumerate().filter(|(at, _)| !is_word(*at)).map(|(_, arg)| arg).collect()
}

/// The command of exactly these words, or the only one of as many words that
/// begin with them.
fn matching(entries: &'static [Entry], typed: &[&str]) -> Option<&'static Entry> {
    if let Some(exact) = entries.iter().find(|entry| entry.words.split(' ').eq(typed.iter().copied())) {
        return Some(exact);
    }
    let as_many = |entry: &&'static Entry| entry.words.split(' ').count() == typed.len();
    let mut begun = beginning(entries, typed).into_iter().filter(as_many);
    match (begun.next(), begun.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The commands that begin with these words, in the order of the table.
pub fn beginning(entries: &'static [Entry], typed: &[impl AsRef<str>]) -> Vec<&'static Entry> {
    let begins = |entry: &&Entry| {
        let mut words = entry.words.split(' ');
        typed.iter().all(|begin| words.next().is_some_and(|word| word.starts_with(begin.as_ref())))
    };
    entries.iter().filter(begins).collect()
}

/// The beginning of a line, as far as it can be read without knowing the command.
pub struct Leading {
    /// The words and where they stand.
    pub words: Vec<(usize, String)>,
    /// Whether the line ended with a global option that still waits for its value.
    pub waits: bool,
    /// Whether an option that is not a global one was met.
    pub stopped: bool,
}

/// The words up to the first option that is not a global one. The global
/// options among them are spelled out: behind the words, the same beginning
/// could also mean an option of the command.
pub fn leading_words(argv: &mut [OsString]) -> Leading {
    let mut leading = Leading { words: Vec::new(), waits: false, stopped: false };
    let mut at = 1;
    while let Some(arg) = argv.get(at).and_then(|arg| arg.to_str()) {
        match arg.strip_prefix('-') {
            None | Some("") => leading.words.push((at, arg.to_owned())),
            Some(option) => {
                let Some((spelled, waits)) = global(option) else {
                    leading.stopped = true;
                    break;
                };
                argv[at] = spelled.into();
                if waits {
                    at += 1;
                    leading.waits = at >= argv.len();
                }
            }
        }
        at += 1;
    }
    leading
}

/// A global option (given without its first dash) spelled out, and whether its
/// value is the next argument; `None` if it is not a global option.
fn global(option: &str) -> Option<(String, bool)> {
    let Some(long) = option.strip_prefix('-') else {
        let flags = !option.is_empty() && option.chars().all(|letter| "vqh".contains(letter));
        return flags.then(|| (format!("-{option}"), false));
    };
    let (name, value) = split(long);
    let full = complete_name(name, globals::flags().map(|(flag, _)| (flag, flag))).ok()??;
    let takes_value = globals::flags().any(|(flag, takes_value)| flag == full && takes_value);
    Some((format!("--{full}{value}"), takes_value && value.is_empty()))
}

/// `name` and `=value`, which may be empty.
fn split(long: &str) -> (&str, &str) {
    long.split_at(long.find('=').unwrap_or(long.len()))
}

/// The one option that has this name, or whose name begins so; `None` if there
/// is none. `options` are names, each with what tells its option from others.
fn complete_name<'n, K: PartialEq>(
    name: &str,
    options: impl Iterator<Item = (&'n str, K)>,
) -> std::result::Result<Option<&'n str>, Vec<&'n str>> {
    let begun: Vec<(&str, K)> = options.filter(|(long, _)| !name.is_empty() && long.starts_with(name)).collect();
    match begun.as_slice() {
        [] => Ok(None),
        all if all.iter().any(|(long, _)| *long == name) => {
            Ok(begun.into_iter().map(|(long, _)| long).find(|long| *long == name))
        }
        [(long, first), others @ ..] if others.iter().all(|(_, other)| other == first) => Ok(Some(long)),
        _ => Err(begun.into_iter().map(|(long, _)| long).collect()),
    }
}

/// Spells out the long options of a line, its first argument being the
/// program's name. A name in full comes first; a beginning means an option of
/// the command before it means a global one, or a flag like `--t` would change
/// its meaning with every new global option.
pub fn spell_out(parser: &Command, argv: &mut [OsString]) -> Result<()> {
    let is_global = |arg: &clap::Arg| arg.get_long().is_some_and(|long| globals::flags().any(|(flag, _)| flag == long));
    let own: Vec<(&str, &clap::Id)> = parser
        .get_arguments()
        .filter(|arg| !is_global(arg))
        .flat_map(|arg| {
            let aliases = arg.get_all_aliases().unwrap_or_default();
            arg.get_long().into_iter().chain(aliases).map(move |long| (long, arg.get_id()))
        })
        .collect();
    let mut at = 1;
    while let Some(arg) = argv.get(at) {
        let Some(text) = arg.to_str().and_then(|text| text.strip_prefix('-')) else {
            at += 1;
            continue;
        };
        if text == "-" {
            break;
        }
        let waits = match text.strip_prefix('-') {
            Some(long) => {
                let (name, value) = split(long);
                let is_full_global = globals::flags().any(|(flag, _)| flag == name);
                let found = match complete_name(name, own.iter().copied()) {
                    Ok(Some(full)) if full == name || !is_full_global => Some(full),
                    Err(several) if !is_full_global => return Err(ambiguous(name, &several)),
                    _ => complete_name(name, globals::flags().map(|(flag, _)| (flag, flag)))
                        .map_err(|several| ambiguous(name, &several))?,
                };
                let Some(full) = found else {
                    at += 1;
                    continue;
                };
                let (full, spelled) = (full.to_owned(), format!("--{full}{value}"));
                let waits = value.is_empty() && takes_value(parser, |arg| has_long(arg, &full));
                argv[at] = spelled.into();
                waits
            }
            // In `-fc`, the first letter that takes a value takes the rest.
            None => {
                let taking = text.char_indices().find(|(_, l)| takes_value(parser, |arg| arg.get_short() == Some(*l)));
                taking.is_some_and(|(place, letter)| place + letter.len_utf8() == text.len())
            }
        };
        at += if waits { 2 } else { 1 };
    }
    Ok(())
}

fn has_long(arg: &clap::Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
}

fn takes_value(parser: &Command, is_it: impl Fn(&clap::Arg) -> bool) -> bool {
    parser.get_arguments().any(|arg| is_it(arg) && arg.get_action().takes_values())
}

fn ambiguous(name: &str, several: &[&str]) -> Error {
    Error::usage(format!("`--{name}` could be one of several options"))
        .details(several.iter().map(|long| format!("--{long}")))
        .next("write more of it")
}

/// The line without anything but its name and its global options.
pub fn only_globals(mut argv: Vec<OsString>) -> Vec<OsString> {
    let mut kept: Vec<OsString> = argv.drain(..1.min(argv.len())).collect();
    let mut args = argv.into_iter();
    let option = |arg: &OsStr| global(arg.to_str()?.strip_prefix('-')?);
    while let Some(arg) = args.next() {
        if let Some((spelled, waits)) = option(&arg) {
            kept.push(spelled.into());
            kept.extend(waits.then(|| args.next()).flatten());
        }
    }
    kept
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
    let error = Error::usage(format!("there is no command `{text}`"));
    match nearest(entries, typed).as_slice() {
        [] => error.next("`rimg help` lists the commands"),
        near => error.details(near.iter().map(|words| format!("rimg {words}"))).next(match near.len() {
            1 => "did you mean this one? `rimg help` lists them all",
            _ => "did you mean one of these? `rimg help` lists them all",
        }),
    }
}

/// Words that other programs use, and the ones that are used here.
const MEANT: [(&str, &str); 9] = [
    ("add", "create"),
    ("fetch", "save"),
    ("get", "show"),
    ("info", "show"),
    ("ls", "list"),
    ("new", "create"),
    ("remove", "delete"),
    ("rm", "delete"),
    ("update", "set"),
];

/// The commands whose words are nearest to those typed, at most five.
///
/// `image-list` is read as `image list`, and a program's name in front
/// (`glance image-list`) or a missing group (`list`) do no harm. Further words
/// may be arguments, so a command is compared with as many words as it has.
fn nearest(entries: &'static [Entry], typed: &[&str]) -> Vec<&'static str> {
    let meant = |word| MEANT.iter().find(|(other, _)| *other == word).map_or(word, |(_, ours)| *ours);
    let typed: Vec<&str> = typed.iter().flat_map(|word| word.split('-')).collect();
    let ours: Vec<&str> = typed.iter().copied().map(meant).collect();
    let likeness = |typed: &[&str], words: &str| {
        let count = words.split(' ').count().min(typed.len());
        strsim::normalized_damerau_levenshtein(&typed[..count].join(" "), words)
    };
    let mut scored: Vec<(f64, &str)> = entries
        .iter()
        .map(|entry| {
            let behind_group = entry.words.strip_prefix("image ").unwrap_or(entry.words);
            let ways = [&typed, &ours].into_iter().flat_map(|typed| {
                [
                    likeness(typed, entry.words),
                    likeness(typed.get(1..).unwrap_or_default(), entry.words),
                    likeness(typed, behind_group),
                ]
            });
            (ways.fold(0.0, f64::max), entry.words)
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
    use super::super::parsers;
    use super::*;
    use crate::commands::ALL;
    use crate::context::Context;

    /// Any command: only its words matter here.
    #[derive(Debug, clap::Parser)]
    struct Any {}

    impl crate::manager::Command for Any {
        type Answer = ();
        async fn run(self, _: &Context) -> anyhow::Result<()> {
            Ok(())
        }
    }

    /// Not that of the program, which grows.
    const FEW: &[Entry] = &[
        Entry::new::<Any>("image create"),
        Entry::new::<Any>("image delete"),
        Entry::new::<Any>("image download"),
        Entry::new::<Any>("image import"),
        Entry::new::<Any>("image import info"),
        Entry::new::<Any>("image list"),
        Entry::new::<Any>("image save"),
        Entry::new::<Any>("image set"),
        Entry::new::<Any>("image show"),
        Entry::new::<Any>("image unset"),
        Entry::new::<Any>("image upload"),
        Entry::new::<Any>("serve"),
    ];

    fn argv(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn text(argv: &[OsString]) -> String {
        argv.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    fn found(line: &str) -> String {
        match find(FEW, argv(line)) {
            Ok(Found::Command(entry, argv)) => format!("{} <- {}", entry.words, text(&argv)),
            Ok(Found::Help(words)) => format!("help {words:?}"),
            Ok(Found::Complete(argv)) => format!("complete <- {}", text(&argv)),
            Ok(Found::Nothing(argv)) => format!("nothing <- {}", text(&argv)),
            Err(error) => format!("{}: {}", error.message, error.details.join(", ")),
        }
    }

    /// The line as the parser of `image set` sees it.
    fn spelled(line: &str) -> String {
        let set = ALL.iter().find(|entry| entry.words == "image set").unwrap();
        let mut argv = argv(line);
        match spell_out(&parsers::of_command(set), &mut argv) {
            Ok(()) => text(&argv),
            Err(error) => format!("{}: {}", error.message, error.details.join(", ")),
        }
    }

    #[test]
    fn a_command_is_found_by_its_words_or_their_beginnings() {
        assert_eq!(found("rimg image list"), "image list <- rimg");
        assert_eq!(found("rimg im li --long"), "image list <- rimg --long");
        assert_eq!(found("rimg image show list"), "image show <- rimg list");
        assert_eq!(found("rimg im imp info"), "image import info <- rimg");
        assert_eq!(found("rimg image import i"), "image import <- rimg i");
        assert_eq!(found("rimg complete --shell fish"), "complete <- rimg --shell fish");
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        assert_eq!(
            found("rimg --os-cloud a -v image --os-region-name=b li --debug x"),
            "image list <- rimg --os-cloud a -v --os-region-name=b --debug x"
        );
        assert_eq!(found("rimg --os-clo a image list"), "image list <- rimg --os-cloud a");
        // `--os-client-id` begins so, too.
        assert_eq!(found("rimg --os-cl a image list"), "nothing <- rimg --os-cl a image list");
        assert_eq!(found("rimg image --t list x"), "image list <- rimg --timing x");
    }

    #[test]
    fn help_is_found_with_and_without_a_command() {
        assert_eq!(found("rimg help"), "help []");
        assert_eq!(found("rimg --debug help image cr"), r#"help ["image", "cr"]"#);
        assert_eq!(found("rimg image --help"), r#"help ["image"]"#);
        assert_eq!(found("rimg im cr -h"), "image create <- rimg -h");
    }

    #[test]
    fn the_command_of_an_abbreviation_comes_before_the_global_option() {
        assert_eq!(spelled("rimg --t x --prop a=b i"), "rimg --tag x --property a=b i");
        assert_eq!(spelled("rimg --timing --ti"), "rimg --timing --timing");
        assert_eq!(spelled("rimg --os-d=debian --os-clo c"), "rimg --os-distro=debian --os-cloud c");
        assert_eq!(spelled("rimg --instance-u 1"), "rimg --instance-uuid 1");
    }

    #[test]
    fn values_and_what_follows_two_dashes_are_left_alone() {
        assert_eq!(spelled("rimg --name --prop --tag --tim"), "rimg --name --prop --tag --tim");
        assert_eq!(spelled("rimg -v --na=--prop -- --prop"), "rimg -v --name=--prop -- --prop");
        assert_eq!(spelled("rimg --nosuch x"), "rimg --nosuch x");
    }

    #[test]
    fn an_abbreviation_that_fits_several_options_names_them() {
        assert_eq!(spelled("rimg --min 1"), "`--min` could be one of several options: --min-disk, --min-ram");
        assert_eq!(
            spelled("rimg --verb --ver"),
            "`--ver` could be one of several options: --verbose, --version, --verify"
        );
        // Two names of one option are no contradiction.
        assert_eq!(spelled("rimg --inst x"), "rimg --instance-id x");
    }

    #[test]
    fn an_unknown_command_names_its_neighbours() {
        for (line, near) in [
            ("image lst", "rimg image list"),
            ("image lisst x", "rimg image list"),
            ("iamge list", "rimg image list"),
            ("images list", "rimg image list"),
            ("image crate", "rimg image create"),
            ("list", "rimg image list"),
            ("lst", "rimg image list"),
            ("delete x", "rimg image delete"),
            ("image-list", "rimg image list"),
            ("glance image-list", "rimg image list"),
            ("openstack image show x", "rimg image show"),
            ("glance image-update x", "rimg image set"),
            ("glance image-upload x", "rimg image upload"),
            ("image rm x", "rimg image delete"),
            ("volume backup", ""),
            ("frobnicate", ""),
        ] {
            assert_eq!(found(&format!("rimg {line}")), format!("there is no command `{line}`: {near}"));
        }
    }

    #[test]
    fn what_may_be_repeated_is_gathered_and_of_the_rest_the_last_counts() {
        let set = ALL.iter().find(|entry| entry.words == "image set").unwrap();
        let line = argv("rimg i --tag a --name x --hidden --tag b --name y --hidden -v -v --os-cloud a --os-cloud b");
        let matches = parsers::of_command(set).try_get_matches_from(line).unwrap();
        assert_eq!(matches.get_many::<String>("tags").unwrap().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(matches.get_one::<String>("name").unwrap(), "y");
        assert_eq!(matches.get_one::<String>("os-cloud").unwrap(), "b");
        assert_eq!(matches.get_count("verbose"), 2);
    }

    #[test]
    fn no_command_has_an_option_that_is_also_a_global_one() {
        for entry in ALL {
            parsers::of_command(entry).debug_assert();
        }
    }

    #[test]
    fn words_that_only_begin_commands_ask_for_more() {
        let text = found("rimg image");
        assert!(text.starts_with("`image` needs another word: rimg image create"), "{text}");
        let text = found("rimg image s");
        assert!(text.starts_with("`image s` could be one of several commands: "), "{text}");
    }
}
