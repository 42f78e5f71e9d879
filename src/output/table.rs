//! `-f table`: the frames of PrettyTable, fitted to a width as cliff fits them.
//!
//! The frame is drawn here, not by a table crate: how wide a text is
//! ([`super::width`]) and where a cell wraps ([`super::wrap`]) decide every
//! byte, and both have to be those of PrettyTable.

use std::borrow::Cow;
use std::cmp::{max, min};

use serde_json::Value;

use super::width::width;
use super::wrap::wrap;
use super::{Cell, Human, Record, Sink, Table, for_terminal, python};

/// A column is never made narrower than this to fit, in a list.
const MIN_LIST: usize = 8;
/// The same for a record, so that the field names stay readable.
const MIN_SHOW: usize = 16;

#[derive(Clone, Copy)]
enum Align {
    Left,
    Right,
    Centre,
}

/// One line for each row; without rows an empty line, or with `print_empty`
/// the headings.
pub(super) fn list(table: &Table, print_empty: bool, fit: Option<usize>, sink: Sink) -> String {
    let align = |index: usize| match table.rows.first().map(|row| row.get(index)) {
        Some(Some(cell)) if cell.is_plain() && cell.value.is_number() => Align::Right,
        Some(_) => Align::Left,
        None => Align::Centre,
    };
    let columns = table.columns.iter().enumerate();
    let columns = columns.map(|(index, name)| (name.as_str(), align(index))).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(|cell| human(cell, sink)).collect());
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() && !print_empty {
        return "\n".to_owned();
    }
    draw(columns, rows, fit.map(|fit| (fit, MIN_LIST)))
}

/// One line for each field, under the headings `Field` and `Value`.
pub(super) fn show(record: &Record, fit: Option<usize>, sink: Sink) -> String {
    let columns = vec![("Field", Align::Left), ("Value", Align::Left)];
    let fields = record.fields.iter();
    let rows: Vec<Vec<String>> =
        fields.map(|(name, cell)| vec![human(&Cell::from(name.as_str()), sink), human(cell, sink)]).collect();
    if rows.is_empty() {
        return "\n".to_owned();
    }
    draw(columns, rows, fit.map(|fit| (fit, MIN_SHOW)))
}

/// A cell as people read it, ready to be drawn: tabs are spaces, a carriage
/// return can no longer move the cursor.
fn human(cell: &Cell, sink: Sink) -> String {
    let text = match (&cell.human, &cell.value) {
        (Human::List, Value::Null) => String::new(),
        (Human::List, Value::Array(items)) => {
            let mut items: Vec<String> = items.iter().map(python::str).collect();
            items.sort();
            items.join(", ")
        }
        (Human::Lines, Value::Array(items)) => items.iter().map(python::str).collect::<Vec<_>>().join("\n"),
        (Human::Dict, Value::Object(_)) => {
            let mut pairs = Vec::new();
            collect_pairs(&cell.value, None, &mut pairs);
            pairs.join(", ")
        }
        (_, value) => python::str(value),
    };
    let text = expand_tabs(&text.replace("\r\n", "\n").replace('\r', " "));
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(|line| for_terminal(line, sink.terminal)).collect();
    lines.join("\n")
}

/// Every value with its key, keys of inner mappings joined by a point; a null
/// has nothing behind the `=`.
fn collect_pairs(value: &Value, key: Option<&str>, pairs: &mut Vec<String>) {
    let name = key.unwrap_or_default();
    match value {
        Value::Object(fields) if fields.is_empty() && key.is_some() => pairs.push(String::new()),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
            for (key, item) in fields {
                collect_pairs(item, Some(&format!("{prefix}{key}")), pairs);
            }
        }
        Value::Null => pairs.push(format!("{name}=")),
        value => pairs.push(format!("{name}='{}'", python::str(value))),
    }
}

/// `str.expandtabs()`: stops at every eight characters.
fn expand_tabs(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let stop = 8 - column % 8;
                out.extend(std::iter::repeat_n(' ', stop));
                column += stop;
            }
            '\n' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

/// The widest line of a cell.
fn text_width(text: &str) -> usize {
    text.split('\n').map(width).max().unwrap_or_default()
}

/// Draws the frame; `fit` is the width to keep to and the least that a column
/// may get for that.
fn draw(columns: Vec<(&str, Align)>, rows: Vec<Vec<String>>, fit: Option<(usize, usize)>) -> String {
    let headings: Vec<usize> = columns.iter().map(|(name, _)| text_width(name)).collect();
    let content =
        |index: usize| rows.iter().filter_map(|row| row.get(index)).map(|cell| text_width(cell)).max().unwrap_or(0);
    let contents: Vec<usize> = (0..columns.len()).map(content).collect();
    let mut widths: Vec<usize> =
        headings.iter().zip(&contents).map(|(heading, content)| max(*heading, *content)).collect();
    if let Some((total, least)) = fit {
        for (index, limit) in limits(&widths, total, least) {
            widths[index] = max(headings[index], min(contents[index], limit));
        }
    }

    let mut rule = String::from("+");
    for width in &widths {
        rule.extend(std::iter::repeat_n('-', width + 2));
        rule.push('+');
    }
    rule.push('\n');

    let line = |cells: &[&str], out: &mut String| {
        out.push('|');
        for ((text, width), (_, align)) in cells.iter().zip(&widths).zip(&columns) {
            out.push(' ');
            justify(text, *width, *align, out);
            out.push_str(" |");
        }
        out.push('\n');
    };

    let mut out = rule.clone();
    line(&columns.iter().map(|(name, _)| *name).collect::<Vec<_>>(), &mut out);
    out.push_str(&rule);
    for row in &rows {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(text, width)| wrap_lines(text, *width)).collect();
        for index in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let texts = cells.iter().map(|lines| lines.get(index).map_or("", String::as_str));
            line(&texts.collect::<Vec<_>>(), &mut out);
        }
    }
    out.push_str(&rule);
    out
}

/// How wide the columns may be that have to shrink: those wider than an equal
/// share of `total` divide what the others leave, the last one takes the rest.
fn limits(widths: &[usize], total: usize, least: usize) -> Vec<(usize, usize)> {
    let count = widths.len();
    let frame = 1 + 3 * count;
    if count == 0 || widths.iter().sum::<usize>() + frame <= total {
        return Vec::new();
    }
    let usable = total.saturating_sub(frame);
    let share = usable / count;
    let (wide, narrow): (Vec<usize>, Vec<usize>) = (0..count).partition(|index| widths[*index] > share);
    let mut rest = usable - narrow.iter().map(|index| widths[*index]).sum::<usize>();
    let equal = rest / max(wide.len(), 1);
    let mut limits = Vec::new();
    for (position, index) in wide.iter().enumerate() {
        let last = position + 1 == wide.len();
        limits.push((*index, max(least, if last { rest } else { equal })));
        rest -= min(rest, equal);
    }
    limits
}

fn wrap_lines(text: &str, limit: usize) -> Vec<String> {
    let lines = text.split('\n').flat_map(|line| {
        if width(line) <= limit {
            return vec![line.to_owned()];
        }
        let wrapped = wrap(line, limit);
        // Nothing but white space: it still takes its line.
        if wrapped.is_empty() { vec![String::new()] } else { wrapped }
    });
    lines.collect()
}

fn justify(text: &str, to: usize, align: Align, out: &mut String) {
    let padding = to.saturating_sub(width(text));
    let before = match align {
        Align::Left => 0,
        Align::Right => padding,
        // Python's `str.center` puts the odd space before the text in an odd field.
        Align::Centre => padding / 2 + (padding & to & 1),
    };
    out.extend(std::iter::repeat_n(' ', before));
    out.push_str(text);
    out.extend(std::iter::repeat_n(' ', padding - before));
}
