//! What commands return, and the writers that turn it into text.
//!
//! A command returns a [`Record`] (one thing, field by field) or a [`Table`]
//! (many things, column by column). The writers know nothing of images; they
//! print, byte for byte, what cliff (the framework of `openstack`) prints for
//! the same data, except that `-f shell` is safe to `eval` and that control
//! characters never reach a terminal.
//!
//! [`ListArgs`] and [`ShowArgs`] are the options that choose a format, and
//! they write: [`ListArgs::write`], [`ShowArgs::write`]. Nothing here looks at
//! the process: what stdout is, the caller says with a [`Sink`].

mod csv;
mod json;
mod options;
mod python;
mod select;
mod shell;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod width;
mod wrap;
mod yaml;

use std::borrow::Cow;
use std::io::Write;

use icu_properties::CodePointSetData;
use icu_properties::props::BidiControl;
use serde_json::{Map, Value};

pub use options::{ListArgs, ListFormat, Quote, ShowArgs, ShowFormat, Width};

use crate::error::{Error, Result};

/// How a value reads to people, where that differs from its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Human {
    /// As Python's `str()` has it: `None`, `True`, `['a', 'b']`.
    #[default]
    Plain,
    /// A list, sorted and joined by `, ` (cliff's `ListColumn`).
    List,
    /// A list, an item a line in a table; elsewhere plain.
    Lines,
    /// A mapping, as `k='v', k2='v2'` sorted by key (cliff's `DictColumn`).
    Dict,
}

/// One value of a record or a row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    /// The value as machines read it.
    pub value: Value,
    /// How people read it.
    pub human: Human,
}

impl Cell {
    /// A list that people read sorted and joined.
    pub fn list(value: Value) -> Self {
        Cell { value, human: Human::List }
    }

    /// A list that people read an item a line.
    pub fn lines(value: Value) -> Self {
        Cell { value, human: Human::Lines }
    }

    /// A mapping that people read as `k='v'` pairs.
    pub fn dict(value: Value) -> Self {
        Cell { value, human: Human::Dict }
    }

    fn is_plain(&self) -> bool {
        self.human == Human::Plain
    }

    /// What machines read: where a list or a mapping is meant, null is an empty one.
    fn machine(&self) -> Cow<'_, Value> {
        match (self.human, &self.value) {
            (Human::List, Value::Null) => Cow::Owned(Value::Array(Vec::new())),
            (Human::Dict, Value::Null) => Cow::Owned(Value::Object(Map::new())),
            (_, value) => Cow::Borrowed(value),
        }
    }
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        Cell { value: value.into(), human: Human::Plain }
    }
}

/// One thing: its fields in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Name and value of each field.
    pub fields: Vec<(String, Cell)>,
}

impl Record {
    /// The fields of these names, in this order; `null` where there is none.
    pub fn of(fields: &Map<String, Value>, names: &[&str]) -> Self {
        let cell = |name: &str| Cell::from(fields.get(name).cloned().unwrap_or_default());
        Record { fields: names.iter().map(|name| ((*name).to_owned(), cell(name))).collect() }
    }
}

/// Many things of one sort.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The headings, also the keys of the JSON objects.
    pub columns: Vec<String>,
    /// One cell for each heading.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A row for each of these things; `columns` are the headings, each with
    /// the field that stands under it, `null` where there is none.
    pub fn of(things: &[Map<String, Value>], columns: &[(&str, &str)]) -> Self {
        let cell = |thing: &Map<String, Value>, field: &str| Cell::from(thing.get(field).cloned().unwrap_or_default());
        Table {
            columns: columns.iter().map(|(heading, _)| (*heading).to_owned()).collect(),
            rows: things.iter().map(|thing| columns.iter().map(|(_, field)| cell(thing, field)).collect()).collect(),
        }
    }
}

/// What stands behind stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sink {
    /// A terminal, which acts on control characters: they are shown escaped.
    pub terminal: bool,
    /// Its width in columns, where there is one.
    pub width: Option<usize>,
}

impl ListArgs {
    /// Sorts `table`, picks its columns and writes it to `out`, which `sink`
    /// describes; returns warnings for stderr.
    ///
    /// # Errors
    /// None of the columns asked for is there; `--quote none` and a row of one
    /// empty field; `out` fails.
    pub fn write(&self, table: Table, sink: Sink, out: &mut dyn Write) -> Result<Vec<String>> {
        let (table, warnings) = select::sort(table, &self.sort_columns, self.sort_descending);
        let fit = self.width.fit(sink);
        match self.format {
            ListFormat::Csv | ListFormat::Json | ListFormat::Value => {
                Pages { options: self.clone(), sink, written: None }.finish(table, out)?;
            }
            ListFormat::Table => {
                let table = select::columns(table, &self.columns)?;
                write_all(&table::list(&table, self.print_empty, fit, sink), out)?;
            }
            ListFormat::Yaml => write_all(&yaml::list(&select::columns(table, &self.columns)?), out)?,
        }
        Ok(warnings)
    }

    /// A writer that takes the list page by page; `None` where all rows must
    /// be known first: to sort them, or to make columns wide enough.
    pub fn pages(&self, sink: Sink) -> Option<Pages> {
        let streams = matches!(self.format, ListFormat::Csv | ListFormat::Json | ListFormat::Value);
        let as_it_comes = streams && self.sort_columns.is_empty();
        as_it_comes.then(|| Pages { options: self.clone(), sink, written: None })
    }
}

/// A list that is written while it comes in.
pub struct Pages {
    options: ListArgs,
    sink: Sink,
    /// How many rows; `None` before the first page.
    written: Option<usize>,
}

impl Pages {
    /// Writes the next page; each has the same columns.
    ///
    /// # Errors
    /// As [`ListArgs::write`].
    pub fn write(&mut self, page: Table, out: &mut dyn Write) -> Result<()> {
        let page = select::columns(page, &self.options.columns)?;
        let so_far = self.written.unwrap_or_default();
        let mut failed = Ok(());
        let text = match self.options.format {
            ListFormat::Csv => {
                let (begins, quote) = (self.written.is_none(), self.options.quote);
                let mut text = String::new();
                failed = csv::rows(&page, begins, quote, self.sink.terminal, &mut text);
                text
            }
            ListFormat::Json => json::rows(&page, !self.options.noindent, so_far),
            _ => value::rows(&page, self.sink.terminal),
        };
        self.written = Some(so_far + page.rows.len());
        write_all(&text, out)?;
        failed
    }

    /// Writes the last page, and what follows the last row.
    ///
    /// # Errors
    /// As [`ListArgs::write`].
    pub fn finish(mut self, last: Table, out: &mut dyn Write) -> Result<()> {
        self.write(last, out)?;
        match self.options.format {
            ListFormat::Json => write_all(json::end(!self.options.noindent, self.written.unwrap_or_default()), out),
            _ => Ok(()),
        }
    }
}

impl ShowArgs {
    /// Picks the fields of `record` and writes it to `out`, which `sink` describes.
    ///
    /// # Errors
    /// None of the fields asked for is there; `out` fails.
    pub fn write(&self, record: Record, sink: Sink, out: &mut dyn Write) -> Result<()> {
        let record = select::fields(record, &self.columns)?;
        let fit = self.width.fit(sink);
        let text = match self.format {
            ShowFormat::Json => json::show(&record, !self.noindent),
            ShowFormat::Shell => shell::show(&record, &self.prefix, &self.variables, sink.terminal),
            ShowFormat::Table => table::show(&record, fit, sink),
            ShowFormat::Value => value::show(&record, sink.terminal),
            ShowFormat::Yaml => yaml::show(&record),
        };
        write_all(&text, out)
    }
}

fn write_all(text: &str, out: &mut dyn Write) -> Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Error::io("cannot write to stdout", &error))
}

impl Width {
    /// The width that a table has to keep to, if any.
    fn fit(&self, sink: Sink) -> Option<usize> {
        match usize::try_from(self.max_width) {
            Ok(columns @ 1..) => Some(columns),
            _ if self.fit_width || sink.terminal => sink.width.filter(|columns| *columns > 0),
            _ => None,
        }
    }
}

/// The text as it may go to a terminal: names come from other tenants, so
/// what would move the cursor, change colours or turn the direction of
/// reading is shown escaped. Elsewhere nothing changes.
fn for_terminal(text: &str, terminal: bool) -> Cow<'_, str> {
    if !terminal || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_unsafe(c) => python::write_escape(c, &mut out),
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// C0, DEL and C1 controls, the line and paragraph separators, and the
/// [characters that override the direction](https://www.unicode.org/reports/tr9/).
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || CodePointSetData::new::<BidiControl>().contains(c)
}
