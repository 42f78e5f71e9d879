//! What is said on stderr and in `--log-file`: warnings, notes, and the trace
//! that `-v`, `-vv` and `--debug` ask for. Data never comes here, and secrets
//! never do: who logs a request masks them first (see `http`).

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::rc::Rc;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::terminal::printable;

/// How much is said, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// `-q`: errors only.
    Error,
    /// The default: warnings, and notes on what rimg decided.
    #[default]
    Warning,
    /// `-v`: what is being done.
    Info,
    /// `-vv`, `--debug`: every request.
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
        }
    }
}

/// The one sink for everything that is not data. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Log {
    silent: bool,
    level: Rc<Cell<Level>>,
    file: Rc<RefCell<Option<File>>>,
    /// What is drawn on stderr meanwhile: lines are written above it.
    drawn: Rc<RefCell<Option<ProgressBar>>>,
    /// Whether a line is an event for programs (`--progress=json`).
    events: Rc<Cell<bool>>,
}

impl Log {
    /// A log of `level` on stderr and, with `file`, in a file that only its
    /// owner can read.
    pub fn new(level: Level, file: Option<&Path>) -> Result<Self> {
        let log = Log::default();
        log.level.set(level);
        if let Some(path) = file {
            log.file_at(path)?;
        }
        Ok(log)
    }

    /// From now on so much is said.
    pub fn set(&self, level: Level) {
        self.level.set(level);
    }

    /// From now on the trace is said too, unless only errors are wanted: what
    /// `debug` in clouds.yaml asks for.
    pub fn trace(&self) {
        if self.level.get() > Level::Error {
            self.level.set(Level::Debug);
        }
    }

    /// From now on everything goes to the file at `path` too, unless there is a
    /// file already: what `log_file` in clouds.yaml asks for.
    pub fn file_at(&self, path: &Path) -> Result<()> {
        if self.silent || self.file.borrow().is_some() {
            return Ok(());
        }
        let mut options = File::options();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file =
            options.open(path).map_err(|e| Error::io(format!("cannot write the log file `{}`", path.display()), &e))?;
        self.file.replace(Some(file));
        Ok(())
    }

    /// A log that says nothing, not even errors: for completion, where a word
    /// on the terminal would disturb the line being typed.
    pub fn silent() -> Self {
        Log { silent: true, ..Log::default() }
    }

    /// Whether lines of `level` are said at all: lets callers skip the work.
    pub fn says(&self, level: Level) -> bool {
        !self.silent && level <= self.level.get()
    }

    /// Something went wrong; always said.
    pub fn error(&self, text: &str) {
        self.say(Level::Error, "error: ", text);
    }

    /// From now on lines are written above what is drawn there.
    pub fn write_beside(&self, drawn: Option<ProgressBar>) {
        self.drawn.replace(drawn);
    }

    /// From now on what is said is an event a line, for programs; or is not any more.
    pub fn speak_in_events(&self, events: bool) {
        self.events.set(events);
    }

    /// Whether it is.
    pub fn speaks_in_events(&self) -> bool {
        self.events.get()
    }

    /// A failure: what it was, its details, what to do next.
    pub fn failure(&self, failure: &Error) {
        if self.events.get() {
            let told = json!({"message": failure.message, "details": failure.details, "hint": failure.next});
            event("error", told);
            return self.keep(Level::Error, &failure.message);
        }
        self.error(&failure.message);
        for line in &failure.details {
            self.say(Level::Error, "  ", line);
        }
        if let Some(next) = &failure.next {
            self.say(Level::Error, "hint: ", next);
        }
    }

    /// Something may not be what the reader thinks.
    pub fn warn(&self, text: &str) {
        self.say(Level::Warning, "warning: ", text);
    }

    /// A decision that rimg took and the reader may want to know.
    pub fn note(&self, text: &str) {
        self.say(Level::Warning, "note: ", text);
    }

    /// A line of the log that a long-running command keeps.
    pub fn line(&self, text: &str) {
        self.say(Level::Warning, "", text);
    }

    /// A step of the work (`-v`).
    pub fn info(&self, text: &str) {
        self.say(Level::Info, "", text);
    }

    /// A detail for who looks for a fault (`--debug`).
    pub fn debug(&self, text: &str) {
        self.say(Level::Debug, "", text);
    }

    fn say(&self, level: Level, prefix: &str, text: &str) {
        if !self.says(level) {
            return;
        }
        if self.events.get() {
            match prefix.trim_end_matches([':', ' ']) {
                "" => event("log", json!({"level": level.name().to_lowercase(), "message": text})),
                name => event(name, json!({"message": text})),
            }
            return self.keep(level, text);
        }
        let write = || {
            // Servers' words may hold anything; a terminal must not obey them.
            let mut stderr = std::io::stderr().lock();
            let line = if stderr.is_terminal() { printable(text) } else { text.into() };
            // There is nowhere left to report a stderr that cannot be written.
            let _ = writeln!(stderr, "{prefix}{line}");
        };
        match &*self.drawn.borrow() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
        self.keep(level, text);
    }

    /// Keeps a line in the file, if there is one.
    fn keep(&self, level: Level, text: &str) {
        if let Some(file) = &mut *self.file.borrow_mut() {
            let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
            let _ = writeln!(file, "{now} {} {} {}", std::process::id(), level.name(), printable(text));
        }
    }
}

/// Writes an event with these fields on stderr, in one piece.
pub fn event(name: &str, fields: Value) {
    let mut line = json!({"event": name});
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    // There is nowhere left to report a stderr that cannot be written.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
