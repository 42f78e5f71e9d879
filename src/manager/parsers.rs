//! The parsers of a line as clap sees them: of the program, of one command, of
//! `complete`.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};

use super::Entry;
use super::globals::Globals;
use super::shell::Shell;

const ABOUT: &str = "OpenStack images: create, find, change, move and verify them";

/// What `rimg --help` begins with.
pub const LONG_ABOUT: &str = "OpenStack images from the shell, with the words, options, variables and clouds.yaml \
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
pub fn of_command(entry: &Entry) -> Command {
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

/// The parser of `complete`.
pub fn of_complete() -> Command {
    Command::new("rimg-complete")
        .bin_name("rimg complete")
        .about("Print a completion script for a shell")
        .long_about(
            "Print a completion script for a shell\n\nThe script asks rimg for every candidate: commands, options \
             and their values, the clouds of clouds.yaml, and the images of the cloud that the line or the \
             environment names. It need not be made anew when rimg is updated.",
        )
        .after_help(
            "Examples:\n  eval \"$(rimg complete)\"\n  rimg complete --shell zsh > ~/.zfunc/_rimg\n  \
             rimg complete --shell fish > ~/.config/fish/completions/rimg.fish",
        )
        .arg(
            Arg::new("shell")
                .long("shell")
                .value_name("SHELL")
                .help("The shell")
                .default_value(Shell::Bash.name())
                .value_parser(Shell::ALL.map(|shell| PossibleValue::new(shell.name()))),
        )
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .help("The command to complete, for an alias of rimg")
                .default_value("rimg")
                .value_parser(command_name),
        )
}

/// A name that needs no quotes in any shell.
fn command_name(text: &str) -> std::result::Result<String, &'static str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("a command's name is made of letters, digits, `-`, `_` and `.`"),
    }
}

/// What a command is for, in one line.
pub fn about(entry: &Entry) -> String {
    (entry.parser)().get_about().map(ToString::to_string).unwrap_or_default()
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
    rows.push(("complete".to_owned(), of_complete().get_about().map(ToString::to_string).unwrap_or_default()));
    rows.push(("help".to_owned(), "Print help on a command".to_owned()));
    let commands = lines(rows.iter().map(|(words, about)| (words.as_str(), about.clone())));
    format!(
        "Commands:\n{commands}\nWords may be shortened: `rimg im li`. `rimg help image create` says more on a\ncommand."
    )
}

/// A line for each command: its words, and what it is for.
pub fn lines<'w>(rows: impl IntoIterator<Item = (&'w str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = rows.iter().map(|(words, _)| words.len()).max().unwrap_or(0);
    rows.into_iter().map(|(words, about)| format!("  {words:width$}  {about}\n")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_plain_names_can_be_completed() {
        assert_eq!(command_name("openstack").unwrap(), "openstack");
        for name in ["", "-x", "a b", "$(x)", "a;b"] {
            assert!(command_name(name).is_err(), "{name}");
        }
    }
}
