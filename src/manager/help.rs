//! Help: the parsers of a line as clap sees them, and what is printed from them.

use std::io::Write;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use serde_json::json;

use super::globals::Globals;
use super::{Entry, complete, find, sink};
use crate::error::{Error, Kind, Result};
use crate::log::{Log, event};
use crate::output::{Cell, ListArgs, Table};

const ABOUT: &str = "OpenStack images: create, find, change, move and verify them";

const LONG_ABOUT: &str = "OpenStack images from the shell, with the words, options, variables and clouds.yaml \
of `openstack image`.\n\nA cloud is chosen with --os-cloud or OS_CLOUD (an entry of clouds.yaml), described by \
OS_* variables (`source openrc`), or by the --os-* options.";

/// How the program's own help is laid out: the commands come before the options.
const TEMPLATE: &str = "{about-section}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

/// The option of a line without command words: a batch ends at the first failure.
pub const STOP_ON_ERROR: &str = "stop-on-error";

/// The parser of a line without command words. It also makes the program's own help.
pub fn root(entries: &'static [Entry]) -> Command {
    Globals::augment(Command::new("rimg"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .before_help(table(entries))
        .after_help("`rimg --help` lists all options.")
        .help_template(TEMPLATE)
        .arg(
            Arg::new(STOP_ON_ERROR)
                .long(STOP_ON_ERROR)
                .help("End at the first command of a batch that fails")
                .action(ArgAction::SetTrue),
        )
        .override_usage(
            "rimg [OPTIONS] <COMMAND> [ARGUMENTS]\n       rimg help [COMMAND]\n       rimg [OPTIONS]    (a prompt, or a batch: commands on stdin, one a line)",
        )
}

/// The parser of one command, for a line without the command's words: its own
/// options, and the global ones, which its help leaves to `rimg --help`.
pub fn parser_of(entry: &Entry) -> Command {
    with_globals((entry.parser)(), entry.words)
}

/// `command` under these words, with the global options, hidden.
pub fn with_globals(command: Command, words: &str) -> Command {
    let own: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
    let examples = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
    Globals::augment(command)
        .bin_name(format!("rimg {words}"))
        .mut_args(|arg| if own.contains(arg.get_id()) { arg } else { arg.hide(true) })
        .after_help(format!("{examples}Global options (which cloud, what is said): see `rimg --help`"))
}

/// `help [words]`: one command's help, or the commands that the words begin.
pub fn show(entries: &'static [Entry], words: &[String]) -> Result<u8> {
    let typed: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = match find::longest(entries, &typed).filter(|(_, count)| *count == typed.len()) {
        _ if typed.is_empty() => whole(entries),
        Some((entry, _)) => parser_of(entry).render_long_help().ansi().to_string(),
        None if typed == ["complete"] => complete::parser().render_long_help().ansi().to_string(),
        None => match find::beginning(entries, words).as_slice() {
            [] => {
                let text = words.join(" ");
                return Err(Error::new(Kind::NotFound, format!("there is no command `{text}`"))
                    .next("`rimg help` lists the commands"));
            }
            begun => format!(
                "Commands that begin with `{}`:\n{}",
                words.join(" "),
                lines(begun.iter().map(|entry| (entry.words, about(entry))))
            ),
        },
    };
    print(&text)
}

/// `rimg` alone: the short help.
pub fn short(entries: &'static [Entry]) -> Result<u8> {
    print(&root(entries).render_help().ansi().to_string())
}

/// `rimg --help`: with all options, as compact as the short help.
fn whole(entries: &'static [Entry]) -> String {
    let long_about = root(entries).about(LONG_ABOUT);
    long_about.after_help("").mut_args(|arg| arg.hide_short_help(false)).render_help().ansi().to_string()
}

fn print(text: &str) -> Result<u8> {
    let mut stdout = anstream::AutoStream::auto(std::io::stdout().lock());
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map(|()| 0).map_err(|e| Error::io("cannot write to stdout", &e))
}

/// The commands and what each is for; a group of many is one line.
fn table(entries: &'static [Entry]) -> String {
    const MANY: usize = 4;
    let group = |entry: &Entry| entry.words.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut rows: Vec<(String, String)> = Vec::new();
    for entry in entries {
        let group = group(entry);
        match entries.iter().filter(|other| other.words.starts_with(&format!("{group} "))).count() {
            few if few < MANY => rows.push((entry.words.to_owned(), about(entry))),
            many => {
                let words = format!("{group} …");
                if rows.last().is_none_or(|(last, _)| *last != words) {
                    rows.push((words, format!("{many} commands: `rimg help {group}` lists them")));
                }
            }
        }
    }
    rows.push(("complete".to_owned(), complete::parser().get_about().map(ToString::to_string).unwrap_or_default()));
    rows.push(("help".to_owned(), "Print help on a command".to_owned()));
    let commands = lines(rows.iter().map(|(words, about)| (words.as_str(), about.clone())));
    format!(
        "Commands:\n{commands}\nWords may be shortened: `rimg im li`. `rimg help image create` says more on a\ncommand."
    )
}

fn lines<'w>(rows: impl IntoIterator<Item = (&'w str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = rows.iter().map(|(words, _)| words.len()).max().unwrap_or(0);
    rows.into_iter().map(|(words, about)| format!("  {words:width$}  {about}\n")).collect()
}

/// What a command is for, in one line.
pub fn about(entry: &Entry) -> String {
    (entry.parser)().get_about().map(ToString::to_string).unwrap_or_default()
}

/// `--timing`: on stderr, so that data stays data.
pub fn timings(log: &Log, requests: &[(String, Duration)]) -> Result<()> {
    if log.speaks_in_events() {
        for (request, time) in requests {
            event("timing", json!({"request": request, "seconds": time.as_secs_f64()}));
        }
        return Ok(());
    }
    let seconds = |time: Duration| Cell::from((time.as_secs_f64() * 1e6).round() / 1e6);
    let mut rows: Vec<Vec<Cell>> =
        requests.iter().map(|(request, time)| vec![Cell::from(request.as_str()), seconds(*time)]).collect();
    rows.push(vec![Cell::from("Total"), seconds(requests.iter().map(|(_, time)| *time).sum())]);
    let table = Table { columns: vec!["URL".to_owned(), "Seconds".to_owned()], rows };
    let mut stderr = std::io::stderr().lock();
    ListArgs::default().write(table, sink(), &mut stderr).map(drop)
}
