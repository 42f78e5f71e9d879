//! Interactive mode: a prompt where there is a terminal, a batch of lines
//! where there is none. Each line is a command, as after `rimg`; one sign-in
//! serves them all.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{BufRead, ErrorKind, IsTerminal, Read};
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::sync::{mpsc, oneshot};

use super::globals::Globals;
use super::{Entry, Planned, complete, help, plan, report};
use crate::cloud::{Surroundings, options};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::interrupt::{Interrupt, Signal};
use crate::log::Log;
use crate::terminal;

const PROMPT: &str = "(rimg) ";

/// The longest line of a batch, in bytes.
const LONGEST: u64 = 1 << 20;

/// What comes from the thread that waits on stdin.
enum Event {
    Line(String),
    /// Ctrl-C at the prompt: the line is thrown away.
    Nothing,
    /// What can stand at the end of this line?
    Complete(String, oneshot::Sender<Candidates>),
    /// A line that cannot be read; the next may.
    Garbled(Error),
    Failed(Error),
}

/// Where in the line the word begins, and what it can become.
type Candidates = (usize, Vec<Pair>);

/// Whether rimg without a command is interactive: not where only its output
/// is taken.
pub fn is_wanted() -> bool {
    !std::io::stdin().is_terminal() || std::io::stdout().is_terminal()
}

/// Runs the lines of stdin. A batch ends with the code of its first failure,
/// with `stop_on_error` right there; a prompt with 0.
pub fn run(entries: &'static [Entry], globals: Globals, stop_on_error: bool) -> Result<u8> {
    let at_terminal = std::io::stdin().is_terminal();
    let log = Log::new(globals.level(), globals.log_file.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::io("cannot start", &e))?;
    let mode = terminal::mode();
    let code = runtime.block_on(async {
        let interrupt = Interrupt::listen()?;
        let mut lines = Lines::start(at_terminal)?;
        let shell = Shell { entries, globals, log, interrupt, ctx: RefCell::default(), at_terminal };
        shell.run(&mut lines, stop_on_error).await
    });
    // The prompt may still have the terminal in its own mode.
    terminal::restore(mode);
    // Its thread waits on stdin, which nobody can stop.
    runtime.shutdown_background();
    code
}

struct Shell {
    entries: &'static [Entry],
    globals: Globals,
    log: Log,
    interrupt: Interrupt,
    /// Made with the first command that needs it.
    ctx: RefCell<Option<Rc<Context>>>,
    at_terminal: bool,
}

impl Shell {
    async fn run(&self, lines: &mut Lines, stop_on_error: bool) -> Result<u8> {
        let mut first_failure = 0;
        let mut number = 0;
        loop {
            let event = tokio::select! {
                event = lines.next() => event,
                () = self.interrupt.raised() => match self.interrupt.lower() {
                    None => continue,
                    Some(Signal::Interrupt) if self.at_terminal => continue,
                    Some(signal) => return Ok(signal.exit_code()),
                },
            };
            let line = match event {
                None => break,
                Some(Event::Nothing) => continue,
                Some(Event::Garbled(error)) => {
                    report(&self.log, &error.into());
                    continue;
                }
                Some(Event::Failed(error)) => return Err(error),
                Some(Event::Complete(line, reply)) => {
                    let _ = reply.send(self.complete(&line).await);
                    continue;
                }
                Some(Event::Line(line)) => line,
            };
            number += 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if matches!(line, "exit" | "quit") {
                break;
            }
            let code = self.line(line).await;
            complete::forget_images();
            match self.interrupt.lower() {
                None => {}
                Some(Signal::Interrupt) if self.at_terminal => {}
                Some(signal) => return Ok(signal.exit_code()),
            }
            if code != 0 && !self.at_terminal {
                // Not the line itself: it may have a password in it.
                self.log.note(&format!("that was line {number}"));
                first_failure = if first_failure == 0 { code } else { first_failure };
                if stop_on_error {
                    break;
                }
            }
        }
        match (self.at_terminal, number) {
            // Nothing was asked: say what can be.
            (false, 0) => help::short(self.entries),
            (true, _) => Ok(0),
            (false, _) => Ok(first_failure),
        }
    }

    /// Runs one line; answers with the exit code that it would have had alone.
    async fn line(&self, line: &str) -> u8 {
        // What another line asked for was for that one.
        self.log.speak_in_events(false);
        let Some(words) = shlex::split(line) else {
            return report(&self.log, &Error::usage("a quote is open at the end of the line").into());
        };
        // Typed by habit.
        let words = words.into_iter().skip_while(|word| word == "rimg");
        let argv = std::iter::once("rimg".to_owned()).chain(words).map(OsString::from).collect();
        let (entry, matches) = match plan(self.entries, argv) {
            Ok(Planned::Done(code)) => return code,
            Ok(Planned::Nothing(_)) => {
                let error = Error::usage("there is no command on the line").next("`help` lists the commands");
                return report(&self.log, &error.into());
            }
            Ok(Planned::Run(entry, matches)) => (entry, matches),
            Err(error) => return report(&self.log, &error.into()),
        };
        let own = Globals::from_matches(&matches);
        self.log.set(own.level().max(self.globals.level()));
        let ctx = match own.cloud.is_empty() {
            true => self.context(),
            // Another cloud, for this line.
            false => Rc::new(self.new_context(self.globals.cloud.clone().and(own.cloud))),
        };
        let before = ctx.timings().len();
        let outcome = (entry.run)(&matches, &ctx).await;
        if own.timing || self.globals.timing {
            let _ = help::timings(&self.log, &ctx.timings()[before..]);
        }
        match outcome {
            Ok(()) => 0,
            Err(error) => {
                let ours = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
                if ours.is_some_and(|error| error.kind == Kind::Auth) {
                    // The token may have expired: the next command signs in anew.
                    self.ctx.take();
                }
                report(&self.log, &error)
            }
        }
    }

    fn context(&self) -> Rc<Context> {
        let mut kept = self.ctx.borrow_mut();
        Rc::clone(kept.get_or_insert_with(|| Rc::new(self.new_context(self.globals.cloud.clone()))))
    }

    fn new_context(&self, flags: options::Flags) -> Context {
        Context::of_a_line(flags, self.log.clone(), self.interrupt.clone(), self.at_terminal)
    }

    async fn complete(&self, line: &str) -> Candidates {
        let (at, words, current) = last_word(line);
        let ask = || complete::of_line(self.entries, words.clone(), current.clone());
        let mut found = ask();
        // Some of what can stand there is known only to the cloud.
        if complete::misses_images() {
            let ctx = self.context();
            complete::know_images(&ctx).await;
            found = ask();
        }
        // More letters may follow where there are several.
        let end = if found.len() == 1 { " " } else { "" };
        let pairs = found.into_iter().map(|candidate| {
            let word = candidate.get_value().to_string_lossy().into_owned();
            let quoted = shlex::try_quote(&word).map_or_else(|_| word.clone(), std::borrow::Cow::into_owned);
            Pair { display: word, replacement: format!("{quoted}{end}") }
        });
        (at, pairs.collect())
    }
}

/// Where the last word of a line begins, the words before it, and it itself
/// without its quotes.
fn last_word(line: &str) -> (usize, Vec<String>, String) {
    let (mut at, mut quote, mut escaped) = (0, None, false);
    for (index, letter) in line.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if letter == open => quote = None,
            (None, letter) if letter.is_whitespace() => at = index + letter.len_utf8(),
            _ => {}
        }
    }
    let words = shlex::split(&line[..at]).unwrap_or_default();
    let words = words.into_iter().skip_while(|word| word == "rimg").collect();
    // As if an open quote were closed here.
    let rest = format!("{}{}", &line[at..], quote.map(String::from).unwrap_or_default());
    let current = shlex::split(&rest).and_then(|mut words| words.pop());
    (at, words, current.unwrap_or_default())
}

/// The lines of stdin, read on a thread of their own, one when it is wanted.
struct Lines {
    more: std::sync::mpsc::Sender<()>,
    events: mpsc::Receiver<Event>,
    /// Whether a line was asked for and has not come.
    waiting: bool,
}

impl Lines {
    fn start(at_terminal: bool) -> Result<Self> {
        let (more, wanted) = std::sync::mpsc::channel();
        let (tell, events) = mpsc::channel(1);
        if at_terminal {
            let history = Surroundings::of_process().history();
            let config = Config::builder().auto_add_history(false).max_history_size(1000);
            // One Tab lists what can follow, as nothing that was not asked for may stand on the line.
            let config = config.map_err(|e| unreadable(&e))?.completion_type(CompletionType::List);
            let config = config.completion_show_all_if_ambiguous(true).build();
            let mut editor = Editor::with_config(config).map_err(|e| unreadable(&e))?;
            editor.set_helper(Some(Asking(tell.clone())));
            std::thread::spawn(move || typed(&mut editor, history, &wanted, &tell));
        } else {
            std::thread::spawn(move || piped(&wanted, &tell));
        }
        Ok(Lines { more, events, waiting: false })
    }

    /// The next event; `None` at the end of the lines.
    async fn next(&mut self) -> Option<Event> {
        if !self.waiting {
            self.waiting = true;
            // A reader that has ended is known by its channel.
            let _ = self.more.send(());
        }
        let event = self.events.recv().await;
        self.waiting = matches!(event, Some(Event::Complete(..)));
        event
    }
}

fn unreadable(error: &ReadlineError) -> Error {
    Error::new(Kind::Io, format!("cannot read from the terminal: {error}"))
}

fn typed(
    editor: &mut Editor<Asking, FileHistory>,
    history: Option<PathBuf>,
    wanted: &std::sync::mpsc::Receiver<()>,
    tell: &mpsc::Sender<Event>,
) {
    if let Some(path) = &history {
        // There is none the first time.
        let _ = editor.load_history(path);
    }
    for () in wanted {
        let event = match editor.readline(PROMPT) {
            Ok(line) => {
                if !has_secret(&line) && editor.add_history_entry(&line).unwrap_or(false) {
                    let directory = history.as_ref().and_then(|path| path.parent());
                    let _ = directory.map(std::fs::create_dir_all);
                    let _ = history.as_ref().map(|path| editor.append_history(path));
                }
                Event::Line(line)
            }
            Err(ReadlineError::Interrupted) => Event::Nothing,
            Err(ReadlineError::Eof) => return,
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                // The rest of the line is no command of its own.
                terminal::drop_typed();
                Event::Garbled(Error::usage("what was typed is not UTF-8").next("type the line again"))
            }
            Err(error) => Event::Failed(unreadable(&error)),
        };
        if tell.blocking_send(event).is_err() {
            return;
        }
    }
}

/// Whether an option on the line has a secret behind it: that stays out of the history.
fn has_secret(line: &str) -> bool {
    let secret = || options::OPTIONS.iter().filter(|option| option.secret).map(|option| option.flag);
    line.split_whitespace().filter_map(|word| word.strip_prefix("--")).any(|word| {
        let name = word.split('=').next().unwrap_or_default();
        // As short as options may be typed.
        name.len() > 3 && secret().any(|flag| flag.starts_with(name))
    })
}

fn piped(wanted: &std::sync::mpsc::Receiver<()>, tell: &mpsc::Sender<Event>) {
    let mut stdin = std::io::stdin().lock();
    for () in wanted {
        let mut line = Vec::new();
        let event = match stdin.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(read) if read as u64 > LONGEST => {
                Event::Failed(Error::usage(format!("a line of more than {LONGEST} bytes is no command")))
            }
            Ok(_) => match String::from_utf8(line) {
                Ok(line) => Event::Line(line),
                Err(_) => Event::Failed(Error::usage("the lines to run are not UTF-8")),
            },
            Err(error) => Event::Failed(Error::io("cannot read the lines to run", &error)),
        };
        if tell.blocking_send(event).is_err() {
            return;
        }
    }
}

/// Asks the main thread, which is signed in, for what can complete a line.
struct Asking(mpsc::Sender<Event>);

impl Completer for Asking {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &rustyline::Context) -> rustyline::Result<Candidates> {
        let (reply, answer) = oneshot::channel();
        let line = line.get(..position).unwrap_or_default().to_owned();
        let asked = self.0.blocking_send(Event::Complete(line, reply)).is_ok();
        Ok(asked.then(|| answer.blocking_recv().ok()).flatten().unwrap_or((position, Vec::new())))
    }
}

impl rustyline::hint::Hinter for Asking {
    type Hint = String;
}
impl rustyline::highlight::Highlighter for Asking {}
impl rustyline::validate::Validator for Asking {}
impl rustyline::Helper for Asking {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_found_between_quotes_and_escapes() {
        let found = |line: &str| {
            let (at, words, current) = last_word(line);
            (at, words.join("|"), current)
        };
        assert_eq!(found("image li"), (6, "image".to_owned(), "li".to_owned()));
        assert_eq!(found("rimg image show "), (16, "image|show".to_owned(), String::new()));
        assert_eq!(found("image show 'a b"), (11, "image|show".to_owned(), "a b".to_owned()));
        assert_eq!(found("image show 'a b' c\\ d"), (17, "image|show|a b".to_owned(), "c d".to_owned()));
    }

    #[test]
    fn lines_with_secrets_stay_out_of_the_history() {
        for line in ["--os-password x image list", "image list --os-passw=x", "image list --os-token t"] {
            assert!(has_secret(line), "{line}");
        }
        for line in ["image list --os-cloud x", "image show os-password", "image list --os"] {
            assert!(!has_secret(line), "{line}");
        }
    }
}
