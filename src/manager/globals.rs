//! The options that every command has: what is said, and which cloud.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::complete;
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
            Arg::new(long).long(long).help(help).global(true).action(ArgAction::SetTrue).help_heading(HEADING)
        };
        command
            .arg(
                Arg::new("verbose")
                    .short('v')
                    .long("verbose")
                    .help("Say what is being done; twice, say every request")
                    .global(true)
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
                    .global(true)
                    .help_heading(HEADING)
                    .value_hint(clap::ValueHint::FilePath),
            )
            .args(options::args())
            .mut_arg("os-cloud", |arg| arg.add(complete::clouds()))
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

const HEADING: &str = "Global options";
