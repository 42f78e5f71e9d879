//! Completion: the shell asks rimg itself what may come next, so that the
//! answer is always that of the installed version.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::{Entry, Globals, find, help};
use crate::cloud::{Surroundings, cloud_names};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::image::Filter;
use crate::interrupt::Interrupt;
use crate::log::{Level, Log};

/// The variable that a completion script sets when it calls rimg.
const VARIABLE: &str = "RIMG_COMPLETE";

/// How long a look at the cloud may take while the user waits for the Tab key.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Answers a completion script; `None` when this run is none.
pub fn answer(entries: &'static [Entry]) -> Option<u8> {
    std::env::var_os(VARIABLE)?;
    let done = CompleteEnv::with_factory(move || help::whole(entries))
        .var(VARIABLE)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    // Whatever goes wrong, the command line that is being typed must not be disturbed.
    match done {
        Ok(true) => Some(0),
        _ => Some(1),
    }
}

/// The completion script of each shell that rimg knows: its name and its text.
pub fn completions() -> Vec<(&'static str, Vec<u8>)> {
    SHELLS.iter().filter_map(|shell| Some((*shell, script_for(shell)?))).collect()
}

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn script_for(shell: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let shells = Shells::builtins();
    shells.completer(shell)?.write_registration(VARIABLE, "rimg", "rimg", "rimg", &mut text).ok()?;
    Some(text)
}

/// The parser of `complete`.
pub fn parser() -> Command {
    Command::new("complete")
        .about("Print a completion script for a shell")
        .after_help("Examples:\n  eval \"$(rimg complete)\"\n  rimg complete --shell fish > ~/.config/fish/completions/rimg.fish")
        .arg(
            Arg::new("shell")
                .long("shell")
                .value_name("SHELL")
                .help("The shell")
                .default_value("bash")
                .value_parser(SHELLS.map(PossibleValue::new)),
        )
}

/// `complete`: prints the script.
pub fn script(argv: Vec<OsString>) -> Result<u8> {
    let parser = help::root(&[]).subcommand_required(true).subcommand(parser());
    let matches = match super::parsed(parser, argv) {
        Ok(matches) => matches,
        Err(code) => return Ok(code),
    };
    let shell = matches.subcommand().and_then(|(_, own)| own.get_one::<String>("shell"));
    let text = shell.and_then(|shell| script_for(shell)).unwrap_or_default();
    let written = std::io::stdout().lock().write_all(&text);
    written.map(|()| 0).map_err(|e| Error::io("cannot write to stdout", &e))
}

/// Candidates from a fixed list of words, for values that are not limited to it.
pub fn words(words: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(move || words.iter().map(CompletionCandidate::new).collect())
}

/// The names of the clouds that are configured.
pub fn clouds() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        cloud_names(&Surroundings::of_process()).into_iter().map(CompletionCandidate::new).collect()
    })
}

/// The names and IDs of the images in the cloud that the line names, or that
/// the environment does; nothing on any trouble.
pub fn images() -> ArgValueCandidates {
    ArgValueCandidates::new(|| visible_images().unwrap_or_default())
}

fn visible_images() -> Option<Vec<CompletionCandidate>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    // The line stands behind `--`, after our own name.
    let line = std::env::args_os().skip_while(|arg| arg != "--").skip(1).collect();
    let parser = Globals::augment(Command::new("rimg"));
    let globals = Globals::from_matches(&parser.try_get_matches_from(find::only_globals(line)).ok()?);
    runtime.block_on(async {
        let log = Log::new(Level::Error, None).ok()?;
        let ctx = Context::unattended(globals, log, Interrupt::listen().ok()?);
        let look = async {
            let images = ctx.images().await?;
            images.list(&Filter { limit: Some(1000), ..Filter::default() }).await
        };
        let found = tokio::time::timeout(PATIENCE, look).await.ok()?.ok()?;
        let candidates = found.iter().flat_map(|image| {
            let name = image
                .name()
                .filter(|name| !name.contains(char::is_control))
                .map(|name| CompletionCandidate::new(name).help(Some(image.status().to_owned().into())));
            let id = CompletionCandidate::new(image.id()).help(image.name().map(|name| name.to_owned().into()));
            name.into_iter().chain([id.hide(image.name().is_some())])
        });
        Some(candidates.collect())
    })
}
