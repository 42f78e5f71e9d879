//! Completion: the shell asks rimg itself what may come next, so that the
//! answer is always that of the installed version.
//!
//! A script calls `RIMG_COMPLETE=<shell> rimg -- <words>`, the last word being
//! the one to complete, and gets a candidate per line. What goes wrong stays
//! unsaid: the line that is being typed must not be disturbed.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::time::Duration;

use clap::Command;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate, complete};
use serde_json::Value;

use super::shell::Shell;
use super::{Entry, Globals, find, parsers};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::image::{Fields, Filter, Image};
use crate::interrupt::Interrupt;
use crate::log::Log;
use crate::service::NamespaceFilter;
use crate::terminal::steers;

/// How long a look at the cloud may take while the user waits for the Tab key.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Answers a completion script; `None` when this run is none.
pub fn answer(entries: &'static [Entry]) -> Option<u8> {
    let (shell, line) = asked()?;
    let text = shell.write(&candidates(entries, line).unwrap_or_default());
    // A shell that has gone away needs no answer.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Some(0)
}

/// The shell that asks, and the words so far as rimg would get them.
fn asked() -> Option<(Shell, Vec<OsString>)> {
    let name = std::env::var_os(super::shell::VARIABLE)?;
    let shell = Shell::named(name.to_str()?)?;
    let mut args = std::env::args_os().skip(1);
    (args.next()? == "--").then(|| (shell, shell.read(args.collect())))
}

fn candidates(entries: &'static [Entry], mut line: Vec<OsString>) -> Option<Vec<CompletionCandidate>> {
    let current = line.pop()?;
    let leading = find::leading_words(&mut line);
    let typed: Vec<&str> = leading.words.iter().map(|(_, word)| word.as_str()).collect();
    let parser = match typed.as_slice() {
        ["help", ..] => None,
        ["complete", ..] => Some((parsers::with_globals(parsers::of_complete(), "complete"), 1)),
        typed => find::longest(entries, typed).map(|(entry, count)| (parsers::of_command(entry), count)),
    };
    if let Some((parser, count)) = parser {
        let mut line = find::without(line, &leading.words[..count]);
        // An ambiguous option is for the run itself to say.
        let _ = find::spell_out(&parser, &mut line);
        return options_and_values(parser, line, current);
    }
    if leading.waits || is_option(&current) {
        let line = find::without(line, &leading.words);
        return options_and_values(Globals::augment(Command::new("rimg")), line, current);
    }
    (!leading.stopped).then(|| next_words(entries, &typed, current.to_str().unwrap_or_default()))
}

fn is_option(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

fn options_and_values(parser: Command, mut line: Vec<OsString>, current: OsString) -> Option<Vec<CompletionCandidate>> {
    // The engine leaves out what is hidden while there is anything else, and
    // who has typed as much as this means the cloud's options too.
    let shows_globals = current.as_encoded_bytes().starts_with(b"--o");
    let mut parser = match shows_globals {
        true => parser.mut_args(|arg| {
            let is_cloud = arg.get_long().is_some_and(|long| long.starts_with("os-") && !long.starts_with("os-tenant"));
            if is_cloud { arg.hide(false) } else { arg }
        }),
        false => parser,
    };
    let wants_options = is_option(&current);
    line.push(current);
    let at = line.len() - 1;
    let mut found = complete(&mut parser, line, at, std::env::current_dir().ok().as_deref()).ok()?;
    // Options are offered once a dash is typed, as shells do for other programs.
    found.retain(|candidate| wants_options || !is_option(candidate.get_value()));
    Some(found)
}

/// The words that can follow those typed, which may be shortened.
fn next_words(entries: &'static [Entry], typed: &[&str], current: &str) -> Vec<CompletionCandidate> {
    let (typed, ours): (&[&str], &[&str]) = match typed {
        [] => (&[], &["complete", "help"]),
        ["help"] => (&[], &["complete"]),
        ["help", rest @ ..] => (rest, &[]),
        typed => (typed, &[]),
    };
    let mut words: Vec<(&str, Option<&Entry>)> = Vec::new();
    for entry in find::beginning(entries, typed) {
        let mut behind = entry.words.split(' ').skip(typed.len());
        let Some(word) = behind.next() else { continue };
        if words.iter().all(|(other, _)| *other != word) {
            words.push((word, behind.next().is_none().then_some(entry)));
        }
    }
    words.extend(ours.iter().map(|word| (*word, None)));
    let begun = words.into_iter().filter(|(word, _)| word.starts_with(current));
    begun
        .map(|(word, entry)| CompletionCandidate::new(word).help(entry.map(|entry| parsers::about(entry).into())))
        .collect()
}

/// The completion script of each shell that rimg knows: the name of its file
/// and its text.
pub fn completions() -> Vec<(&'static str, String)> {
    Shell::ALL.iter().map(|shell| (shell.file(), shell.script("rimg"))).collect()
}

/// `complete`: prints the script.
pub fn script(argv: Vec<OsString>) -> Result<u8> {
    let matches = match super::parsed(parsers::with_globals(parsers::of_complete(), "complete"), argv)? {
        Ok(matches) => matches,
        Err(code) => return Ok(code),
    };
    let text = |id| matches.get_one::<String>(id).map(String::as_str);
    let shell = text("shell").and_then(Shell::named).unwrap_or(Shell::Bash);
    let written = std::io::stdout().lock().write_all(shell.script(text("name").unwrap_or("rimg")).as_bytes());
    written.map(|()| 0).map_err(|e| Error::io("cannot write to stdout", &e))
}

/// The names and IDs of the images in the cloud that the line names, or that
/// the environment does; nothing on any trouble.
pub fn images() -> ArgValueCandidates {
    ArgValueCandidates::new(|| visible_images().unwrap_or_default())
}

/// The names of the namespaces of metadata definitions in that cloud, likewise;
/// at the prompt there are none.
pub fn namespaces() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let all = NamespaceFilter::default();
        let found = from_cloud(async |ctx| in_time(async { ctx.images().await?.namespaces(&all).await }).await);
        let text = |namespace: &Fields, key| namespace.get(key).and_then(Value::as_str).map(str::to_owned);
        let candidate = |namespace: &Fields| {
            let name = text(namespace, "namespace").filter(|name| is_plain(name))?;
            Some(CompletionCandidate::new(name).help(text(namespace, "display_name").map(Into::into)))
        };
        found.unwrap_or_default().iter().filter_map(candidate).collect()
    })
}

/// At the prompt, where the cloud is asked by who is signed in already.
#[derive(Default)]
enum Prompt {
    /// This is no prompt.
    #[default]
    None,
    /// No image was to be completed yet.
    Unasked,
    /// One was, and the images are not known.
    Missed,
    /// These are the images.
    Known(Vec<Image>),
}

thread_local! {
    static PROMPT: RefCell<Prompt> = RefCell::default();
}

/// What can come after these words at the prompt, the last being `current`.
pub fn of_line(entries: &'static [Entry], words: Vec<String>, current: String) -> Vec<CompletionCandidate> {
    PROMPT.with_borrow_mut(|prompt| {
        if matches!(prompt, Prompt::None) {
            *prompt = Prompt::Unasked;
        }
    });
    let line = ["rimg".to_owned()].into_iter().chain(words).chain([current]).map(OsString::from);
    candidates(entries, line.collect()).unwrap_or_default()
}

/// Whether images were to be completed, and are not known.
pub fn misses_images() -> bool {
    PROMPT.with_borrow(|prompt| matches!(prompt, Prompt::Missed))
}

/// Asks the cloud for the images that can be completed; on any trouble there are none.
pub async fn know_images(ctx: &Context) {
    let images = listed(ctx).await.unwrap_or_default();
    PROMPT.set(Prompt::Known(images));
}

/// What is known may not be true any more.
pub fn forget_images() {
    PROMPT.with_borrow_mut(|prompt| {
        if !matches!(prompt, Prompt::None) {
            *prompt = Prompt::Unasked;
        }
    });
}

async fn listed(ctx: &Context) -> Option<Vec<Image>> {
    let newest = Filter { limit: Some(1000), ..Filter::default() };
    in_time(async { ctx.images().await?.list(&newest).await }).await
}

async fn in_time<T>(look: impl Future<Output = Result<T>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, look).await.ok()?.ok()
}

fn visible_images() -> Option<Vec<CompletionCandidate>> {
    let at_prompt = PROMPT.with_borrow_mut(|prompt| match prompt {
        Prompt::None => None,
        Prompt::Known(images) => Some(of_images(images)),
        Prompt::Unasked | Prompt::Missed => {
            *prompt = Prompt::Missed;
            Some(Vec::new())
        }
    });
    if at_prompt.is_some() {
        return at_prompt;
    }
    Some(of_images(&from_cloud(listed)?))
}

/// What `look` finds in the cloud that the line names, or that the environment does.
fn from_cloud<T>(look: impl AsyncFnOnce(&Context) -> Option<T>) -> Option<T> {
    let (_, line) = asked()?;
    let parser = Globals::augment(Command::new("rimg"));
    let globals = Globals::from_matches(&parser.try_get_matches_from(find::only_globals(line)).ok()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let found = runtime.block_on(async {
        let ctx = Context::unattended(globals.cloud, Log::silent(), Interrupt::listen().ok()?);
        look(&ctx).await
    });
    // A name may be looked up on a thread that cannot be stopped.
    runtime.shutdown_background();
    found
}

/// Names come from other tenants: what could steer the terminal or be taken
/// for an option is not offered.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && !name.contains(steers)
}

fn of_images(images: &[Image]) -> Vec<CompletionCandidate> {
    let mut candidates = Vec::new();
    for image in images {
        // The other ones are left to the ID.
        let name = image.name().filter(|name| is_plain(name));
        if let Some(name) = name {
            candidates.push(CompletionCandidate::new(name).help(Some(image.status().to_owned().into())));
        }
        if !image.id().is_empty() && !image.id().contains(steers) {
            let id = CompletionCandidate::new(image.id()).help(name.map(|name| name.to_owned().into()));
            candidates.push(id.hide(name.is_some()));
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::commands::ALL;

    fn completed(line: &str) -> String {
        let line = line.split(' ').map(OsString::from).collect();
        let found = candidates(ALL, line).unwrap_or_default();
        found.iter().map(|candidate| candidate.get_value().to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_are_completed_behind_words_and_global_options() {
        assert_eq!(completed("rimg "), "cache cached command configuration image serve versions complete help");
        assert_eq!(completed("rimg image s"), "save schema set show stage stores");
        assert_eq!(completed("rimg im sh"), "show");
        assert_eq!(completed("rimg --os-cloud x -v image --debug sh"), "show");
        assert_eq!(completed("rimg help image un"), "unset");
        assert_eq!(completed("rimg help "), "cache cached command configuration image serve versions complete");
        assert_eq!(completed("rimg volume "), "");
        assert_eq!(completed("rimg --nosuch "), "");
    }

    #[test]
    fn options_of_the_command_come_first_and_global_ones_when_meant() {
        assert_eq!(
            completed("rimg image show --"),
            "--human-readable --format --column --noindent --prefix --max-width --fit-width --print-empty"
        );
        assert_eq!(completed("rimg im show --pr"), "--prefix --print-empty");
        assert_eq!(completed("rimg image show --deb"), "--debug");
        assert_eq!(completed("rimg image show --os-cl"), "--os-cloud --os-client-id --os-client-secret");
        assert_eq!(
            completed("rimg image set --os-d"),
            "--os-distro --os-domain-name --os-domain-id --os-default-domain --os-default-domain-id --os-default-domain-name --os-discovery-endpoint --os-device-authorization-endpoint"
        );
        assert_eq!(completed("rimg --tim"), "--timing");
        assert_eq!(completed("rimg complete --"), "--shell --name");
    }

    #[test]
    fn values_are_completed_however_the_option_is_written() {
        for option in ["-f ", "--format ", "--forma ", "--format=", "-f"] {
            let values = completed(&format!("rimg image list {option}j"));
            assert!(values.ends_with("json") && !values.contains(' '), "{option}: {values}");
        }
        assert_eq!(completed("rimg image show -f "), "json shell table value yaml");
        assert_eq!(completed("rimg image create --disk-format q"), "qcow2");
        assert_eq!(completed("rimg image list --member-status p"), "pending");
        assert_eq!(completed("rimg --os-interface i"), "internal");
        assert_eq!(completed("rimg complete --shell z"), "zsh");
    }

    #[test]
    fn columns_are_those_of_the_command() {
        assert_eq!(
            completed("rimg image list -c "),
            "ID Name Disk Format Container Format Size Checksum Status Visibility Protected Project Hash Algorithm Hash Value Tags Stores"
        );
        assert_eq!(completed("rimg image list --sort-column S"), "Size Status Stores");
        assert_eq!(completed("rimg image show -c s"), "schema size status");
        assert_eq!(completed("rimg image create -c prot"), "protected");
    }
}
