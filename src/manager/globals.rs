//! The options that every command has: what is said, and which cloud.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::candidates;
use crate::cloud::options::{self, Flags};
use crate::log::Level;

/// The global options of one run.
#[derive(Debug, Clone, Default)]
pub struct Globals {
    /// How often `-v` was given.
    verbose: u8,
    quiet: bool,
    /// `--debug`
    pub debug: bool,
    /// `--timing`
    pub timing: bool,
    /// `--log-file`
    pub log_file: Option<PathBuf>,
    /// The options that choose and describe the cloud.
    pub cloud: Flags,
}

impl Globals {
    /// Adds the global options to `command`.
    pub fn augment(command: Command) -> Command {
        let flag = |long: &'static str, help: &'static str| {
            Arg::new(long).long(long).help(help).action(ArgAction::SetTrue).help_heading(HEADING)
        };
        command
            .arg(
                Arg::new("verbose")
                    .short('v')
                    .long("verbose")
                    .help("Say what is being done; twice, say every request")
                    .action(ArgAction::Count)
                    .conflicts_with("quiet")
                    .help_heading(HEADING),
            )
            .arg(flag("quiet", "Say errors only; no progress, no notes").short('q'))
            .arg(flag("debug", "Trace every request and answer, secrets masked"))
            .arg(flag("timing", "Say how long each request took"))
            .arg(
                Arg::new("log-file")
                    .long("log-file")
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("Also write what is said to this file")
                    .help_heading(HEADING)
                    .value_hint(clap::ValueHint::FilePath),
            )
            .arg(
                Arg::new("version")
                    .long("version")
                    .help("Print the version")
                    .action(ArgAction::Version)
                    .help_heading(HEADING),
            )
            .arg(
                Arg::new("help")
                    .short('h')
                    .long("help")
                    .help("Print help; with -h a short one")
                    .action(ArgAction::Help)
                    .help_heading(HEADING),
            )
            // One parser reads the whole line: there is nothing to hand down.
            .args(options::args().into_iter().map(|arg| arg.global(false)).map(|arg| {
                match arg.get_id() == "os-cloud" {
                    true => arg.add(candidates::clouds()),
                    false => arg,
                }
            }))
            .version(env!("CARGO_PKG_VERSION"))
            .disable_version_flag(true)
            .disable_help_flag(true)
            .display_name("rimg")
            // As with argparse, the last of a repeated option counts.
            .args_override_self(true)
    }

    /// Takes the global options from the matches of any command.
    pub fn from_matches(matches: &ArgMatches) -> Self {
        Globals {
            verbose: matches.get_count("verbose"),
            quiet: matches.get_flag("quiet"),
            debug: matches.get_flag("debug"),
            timing: matches.get_flag("timing"),
            log_file: matches.get_one::<PathBuf>("log-file").cloned(),
            cloud: Flags::from_matches(matches),
        }
    }

    /// How much is said.
    pub fn level(&self) -> Level {
        match (self.debug, self.quiet, self.verbose) {
            (true, _, _) | (_, _, 2..) => Level::Debug,
            (_, true, _) => Level::Error,
            (_, _, 1) => Level::Info,
            _ => Level::Warning,
        }
    }
}

/// The long names of the global options, and whether each takes a value.
/// A line can be read with them before any parser is made.
pub fn flags() -> impl Iterator<Item = (&'static str, bool)> {
    let general = [
        ("verbose", false),
        ("quiet", false),
        ("debug", false),
        ("timing", false),
        ("log-file", true),
        ("version", false),
        ("help", false),
    ];
    general.into_iter().chain(options::OPTIONS.iter().map(|option| (option.flag, option.value.is_some())))
}

const HEADING: &str = "Global options";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_names_are_those_of_the_parser() {
        let parser = Globals::augment(Command::new("rimg"));
        let of_parser: Vec<_> =
            parser.get_arguments().map(|arg| (arg.get_long().unwrap(), arg.get_action().takes_values())).collect();
        assert_eq!(of_parser, flags().collect::<Vec<_>>());
    }

    fn parse(line: &str) -> Result<Globals, clap::Error> {
        let parser = Globals::augment(Command::new("rimg"));
        Ok(Globals::from_matches(&parser.try_get_matches_from(line.split(' '))?))
    }

    #[test]
    fn repeated_options_are_fine_and_contradictions_are_not() {
        assert_eq!(parse("rimg --os-cloud a --os-cloud b").unwrap().cloud.get("os-cloud"), Some("b"));
        assert_eq!(parse("rimg -v -v").unwrap().level(), Level::Debug);
        assert_eq!(parse("rimg -q --quiet").unwrap().level(), Level::Error);
        assert!(parse("rimg -q -v").is_err());
        assert!(parse("rimg --verify --insecure").is_err());
    }
}
