//! The command manager: a table of commands becomes a clap tree, the words
//! typed find one of them, it runs, and its answer is written.
//!
//! Only the command that was typed is given to the parser, so the number of
//! commands costs nothing at start-up, and a usage error never touches the
//! network: the context that a command runs in connects on first use.

mod candidates;
mod complete;
mod find;
mod globals;
mod help;
mod interactive;
mod pages;
mod parsers;
mod shell;

use std::ffi::OsString;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::pin::Pin;
use std::rc::Rc;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser};

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::log::Log;
use crate::output::{ListArgs, Pages, Record, ShowArgs, Sink, Table};
use crate::transfer::Show;

pub use candidates::words;
pub use complete::{completions, images, namespaces};
use globals::Globals;
pub use pages::manual;

/// The parser of a line without a command: the options that all commands have.
pub fn globals() -> clap::Command {
    Globals::augment(clap::Command::new("rimg"))
}

/// One command: its arguments, and what it does with them.
pub trait Command: Parser {
    /// What it answers with: [`Table`], [`Record`], or nothing.
    type Answer: Answer;

    /// The columns or fields that its answer can have, for completion of `-c`.
    const COLUMNS: &'static [&'static str] = &[];

    /// Does the work. Data is returned, never printed.
    fn run(self, ctx: &Context) -> impl Future<Output = anyhow::Result<Self::Answer>>;
}

/// What a command answers with, and the options that shape how it is written.
pub trait Answer {
    /// The options (`-f`, `-c`, …) that this sort of answer has.
    type Options: Args;

    /// Writes the answer as `options` say, after what `pages` has written of
    /// it; returns warnings for stderr.
    fn write(
        self,
        options: &Self::Options,
        sink: Sink,
        pages: Option<Pages>,
        out: &mut dyn Write,
    ) -> Result<Vec<String>>;

    /// A writer for the answer's parts as they come, where there can be one.
    fn pages(_: &Self::Options, _: Sink) -> Option<Pages> {
        None
    }
}

impl Answer for Table {
    type Options = ListArgs;
    fn write(self, options: &ListArgs, sink: Sink, pages: Option<Pages>, out: &mut dyn Write) -> Result<Vec<String>> {
        match pages {
            Some(pages) => pages.finish(self, out).map(|()| Vec::new()),
            None => options.write(self, sink, out),
        }
    }
    fn pages(options: &ListArgs, sink: Sink) -> Option<Pages> {
        options.pages(sink)
    }
}

impl Answer for Record {
    type Options = ShowArgs;
    fn write(self, options: &ShowArgs, sink: Sink, _: Option<Pages>, out: &mut dyn Write) -> Result<Vec<String>> {
        options.write(self, sink, out).map(|()| Vec::new())
    }
}

/// Commands that answer with nothing have no output options.
#[derive(Debug, Args)]
pub struct Silent {}

impl Answer for () {
    type Options = Silent;
    fn write(self, _: &Silent, _: Sink, _: Option<Pages>, _: &mut dyn Write) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

/// A line of the table of commands.
pub struct Entry {
    /// The words that are typed.
    pub words: &'static str,
    /// Its parser, with the output options of its answer.
    pub parser: fn() -> clap::Command,
    /// Parses, runs, writes.
    run: for<'a> fn(&'a ArgMatches, &'a Context) -> Running<'a>,
}

impl Entry {
    /// The command `C` under `words`.
    pub const fn new<C: Command + 'static>(words: &'static str) -> Self {
        Entry { words, parser: parser_of::<C>, run: run_of::<C> }
    }
}

fn parser_of<C: Command>() -> clap::Command {
    let parser = C::command();
    let about = Resettable::from(parser.get_about().cloned());
    let long_about = Resettable::from(parser.get_long_about().cloned());
    // The docstring of the output options would take the place of the command's.
    let parser = <C::Answer as Answer>::Options::augment_args(parser).about(about).long_about(long_about);
    let has_columns = parser.get_arguments().any(|arg| arg.get_id() == "columns");
    let has_order = parser.get_arguments().any(|arg| arg.get_id() == "sort_columns");
    let columns = |arg: clap::Arg| arg.add(words(C::COLUMNS));
    let parser = if has_columns { parser.mut_arg("columns", columns) } else { parser };
    if has_order { parser.mut_arg("sort_columns", columns) } else { parser }
}

fn run_of<'a, C: Command>(matches: &'a ArgMatches, ctx: &'a Context) -> Running<'a> {
    Box::pin(async move {
        let command = C::from_arg_matches(matches)?;
        let options = <C::Answer as Answer>::Options::from_arg_matches(matches)?;
        if let Ok(Some(Show::Json)) = matches.try_get_one("progress") {
            ctx.log().speak_in_events();
        }
        ctx.stream_to(C::Answer::pages(&options, sink()));
        let answer = command.run(ctx).await?;
        let mut stdout = std::io::stdout().lock();
        for warning in answer.write(&options, sink(), ctx.streamed_to(), &mut stdout)? {
            ctx.warn(&warning);
        }
        Ok(())
    })
}

/// What stands behind stdout.
fn sink() -> Sink {
    let terminal = std::io::stdout().is_terminal();
    let width = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0));
    Sink { terminal, width }
}

/// Runs the program for these arguments, the first of which is its name;
/// answers with the exit code.
pub fn run(entries: &'static [Entry], argv: Vec<OsString>) -> u8 {
    // Before anything else: the shell waits for this while the user types.
    if let Some(code) = complete::answer(entries) {
        return code;
    }
    match dispatch(entries, argv) {
        Ok(code) => code,
        Err((log, error)) => report(&log, &error),
    }
}

/// The exit code of [`Kind::Interrupted`].
const INTERRUPTED: u8 = 130;

/// What a line comes to.
enum Planned {
    /// It is done: help was shown, or clap has said what is wrong.
    Done(u8),
    /// A command is to be run.
    Run(&'static Entry, ArgMatches),
    /// There is no command on it, only global options.
    Nothing(ArgMatches),
}

fn plan(entries: &'static [Entry], argv: Vec<OsString>) -> Result<Planned> {
    Ok(match find::find(entries, argv)? {
        find::Found::Command(entry, argv) => match parsed(parsers::of_command(entry), argv)? {
            Ok(matches) => Planned::Run(entry, matches),
            Err(code) => Planned::Done(code),
        },
        find::Found::Help(words) => Planned::Done(help::show(entries, &words)?),
        find::Found::Complete(argv) => Planned::Done(complete::script(argv)?),
        find::Found::Nothing(argv) if argv.iter().any(|arg| arg == "--help") => {
            Planned::Done(help::show(entries, &[])?)
        }
        find::Found::Nothing(argv) => match parsed(parsers::root(entries), argv)? {
            Ok(matches) => Planned::Nothing(matches),
            Err(code) => Planned::Done(code),
        },
    })
}

fn dispatch(entries: &'static [Entry], argv: Vec<OsString>) -> std::result::Result<u8, (Log, anyhow::Error)> {
    let plain = |error: Error| (Log::default(), error.into());
    let (entry, matches) = match plan(entries, argv).map_err(plain)? {
        Planned::Done(code) => return Ok(code),
        Planned::Nothing(_) if !interactive::is_wanted() => return help::short(entries).map_err(plain),
        Planned::Nothing(matches) => {
            let globals = Globals::from_matches(&matches);
            return interactive::run(entries, globals, matches.get_flag(parsers::STOP_ON_ERROR)).map_err(plain);
        }
        Planned::Run(entry, matches) => (entry, matches),
    };
    let globals = Globals::from_matches(&matches);
    let log = Log::new(globals.level(), globals.log_file.as_deref()).map_err(plain)?;
    let failed = |error: anyhow::Error| (log.clone(), error);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| failed(Error::io("cannot start", &e).into()))?;
    runtime.block_on(async {
        let interrupt = Interrupt::listen().map_err(|e| failed(e.into()))?;
        let timing = globals.timing;
        let ctx = Rc::new(Context::new(globals.cloud, log.clone(), interrupt.clone()));
        let outcome = (entry.run)(&matches, &ctx).await;
        if timing {
            help::timings(&ctx.timings()).map_err(plain)?;
        }
        match outcome {
            Ok(()) => Ok(0),
            Err(error) => match (report(ctx.log(), &error), interrupt.heard()) {
                // Which signal it was only this knows.
                (INTERRUPTED, Some(signal)) => Ok(signal.exit_code()),
                (code, _) => Ok(code),
            },
        }
    })
}

/// The matches, or the exit code after clap has said what is wrong (or has
/// shown the help that was asked for).
fn parsed(parser: clap::Command, mut argv: Vec<OsString>) -> Result<std::result::Result<ArgMatches, u8>> {
    find::spell_out(&parser, &mut argv)?;
    Ok(parser.try_get_matches_from(argv).map_err(|error| {
        let _ = error.print();
        u8::try_from(error.exit_code()).unwrap_or(2)
    }))
}

/// Says what went wrong, and what to do next; answers with the exit code.
fn report(log: &Log, error: &anyhow::Error) -> u8 {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        let _ = usage.print();
        return u8::try_from(usage.exit_code()).unwrap_or(2);
    }
    let Some(ours) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()) else {
        log.error(&format!("{error:#}"));
        return 1;
    };
    // Who closed our stdout does not want to hear about it.
    if ours.kind != Kind::BrokenPipe {
        log.failure(&Error { message: format!("{error:#}"), ..ours.clone() });
    }
    ours.exit_code()
}
