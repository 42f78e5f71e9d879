//! Help: the tree of commands as clap sees it, and what is printed from it.

use std::io::Write;
use std::time::Duration;

use clap::Command;

use super::globals::Globals;
use super::{Entry, find, sink};
use crate::error::{Error, Kind, Result};
use crate::output::{Cell, ListArgs, Table};

const ABOUT: &str = "OpenStack images: create, find, change, move and verify them";

const LONG_ABOUT: &str = "OpenStack images from the shell, with the words, options, variables and clouds.yaml \
of `openstack image`.\n\nA cloud is chosen with --os-cloud or OS_CLOUD (an entry of clouds.yaml), described by \
OS_* variables (`source openrc`), or by the --os-* options.";

fn base() -> Command {
    let root = Command::new("rimg")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .infer_long_args(true)
        .disable_help_subcommand(true);
    Globals::augment(root)
}

/// The root alone: for a line without command words.
pub fn root(entries: &'static [Entry]) -> Command {
    base()
        .arg_required_else_help(true)
        .subcommand_required(true)
        .after_help(table(entries))
        .override_usage("rimg [OPTIONS] <COMMAND> [ARGUMENTS]\n       rimg help <COMMAND>")
}

/// The tree with one command in it, enough to parse a line that names it.
pub fn tree_of(entry: &Entry) -> Command {
    grow(base(), [entry])
}

/// The whole tree: for manual pages and completion.
pub fn whole(entries: &'static [Entry]) -> Command {
    grow(base(), entries)
}

/// Hangs each entry below the words that lead to it.
fn grow<'e>(root: Command, entries: impl IntoIterator<Item = &'e Entry>) -> Command {
    entries.into_iter().fold(root, |tree, entry| {
        let words: Vec<&'static str> = entry.words.split(' ').collect();
        hang(tree, &words, (entry.parser)())
    })
}

fn hang(tree: Command, words: &[&'static str], leaf: Command) -> Command {
    let Some((word, rest)) = words.split_first() else { return tree };
    let plant = |command: Command| match rest {
        [] => leaf.name(*word),
        rest => hang(command, rest, leaf),
    };
    if tree.find_subcommand(word).is_some() {
        tree.mut_subcommand(word, plant)
    } else {
        let group = Command::new(*word)
            .about(format!("Commands of `{word}`"))
            .subcommand_required(true)
            .disable_help_subcommand(true);
        tree.subcommand(plant(group))
    }
}

/// `help [words]`: one command's help, or the commands that the words begin.
pub fn show(entries: &'static [Entry], words: &[String]) -> Result<u8> {
    let text = match words {
        [] => root(entries).render_long_help().ansi().to_string(),
        words => match find::beginning(entries, words).as_slice() {
            [] => {
                let text = words.join(" ");
                return Err(Error::new(Kind::NotFound, format!("there is no command `{text}`"))
                    .next("`rimg help` lists the commands"));
            }
            [only] if only.words.split(' ').count() == words.len() => command_help(only),
            several => match several.iter().find(|entry| entry.words == words.join(" ")) {
                Some(exact) => command_help(exact),
                None => {
                    let begun = several.iter().map(|entry| line(entry, 0)).collect::<String>();
                    format!("Commands that begin with `{}`:\n{begun}", words.join(" "))
                }
            },
        },
    };
    let text = if sink().terminal { text } else { anstream::adapter::strip_str(&text).to_string() };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|e| Error::io("cannot write to stdout", &e))?;
    Ok(0)
}

fn command_help(entry: &Entry) -> String {
    let mut tree = tree_of(entry);
    tree.build();
    let mut command = &mut tree;
    for word in entry.words.split(' ') {
        match command.find_subcommand_mut(word) {
            Some(deeper) => command = deeper,
            None => return String::new(),
        }
    }
    command.render_long_help().ansi().to_string()
}

/// The commands and what each is for.
fn table(entries: &'static [Entry]) -> String {
    let width = entries.iter().map(|entry| entry.words.len()).max().unwrap_or(0);
    let lines: String = entries.iter().map(|entry| line(entry, width)).collect();
    format!(
        "Commands:\n{lines}\nWords may be shortened: `rimg im li`. `rimg help image create` says more on a command."
    )
}

fn line(entry: &Entry, width: usize) -> String {
    let about = (entry.parser)().get_about().map(ToString::to_string).unwrap_or_default();
    format!("  {:width$}  {about}\n", entry.words)
}

/// `--timing`: on stderr, so that data stays data.
pub fn timings(requests: &[(String, Duration)]) -> Result<()> {
    let seconds = |time: Duration| Cell::from((time.as_secs_f64() * 1e6).round() / 1e6);
    let mut rows: Vec<Vec<Cell>> =
        requests.iter().map(|(request, time)| vec![Cell::from(request.as_str()), seconds(*time)]).collect();
    rows.push(vec![Cell::from("Total"), seconds(requests.iter().map(|(_, time)| *time).sum())]);
    let table = Table { columns: vec!["URL".to_owned(), "Seconds".to_owned()], rows };
    let mut stderr = std::io::stderr().lock();
    ListArgs::default().write(table, sink(), &mut stderr).map(drop)
}
