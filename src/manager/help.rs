//! Help: what is printed from the parsers of a line.

use std::io::Write;
use std::time::Duration;

use super::parsers::{self, about, lines, root};
use super::{Entry, find, sink};
use crate::error::{Error, Kind, Result};
use crate::output::{Cell, ListArgs, Table};

/// `help [words]`: one command's help, or the commands that the words begin.
pub fn show(entries: &'static [Entry], words: &[String]) -> Result<u8> {
    let typed: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = match find::longest(entries, &typed).filter(|(_, count)| *count == typed.len()) {
        _ if typed.is_empty() => whole(entries),
        Some((entry, _)) => parsers::of_command(entry).render_long_help().ansi().to_string(),
        None if typed == ["complete"] => parsers::of_complete().render_long_help().ansi().to_string(),
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
    let long_about = root(entries).about(parsers::LONG_ABOUT);
    long_about.after_help("").mut_args(|arg| arg.hide_short_help(false)).render_help().ansi().to_string()
}

fn print(text: &str) -> Result<u8> {
    let mut stdout = anstream::AutoStream::auto(std::io::stdout().lock());
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map(|()| 0).map_err(|e| Error::io("cannot write to stdout", &e))
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
