//! `-f json`: ASCII only, two spaces of indent or one line, as Python's `json.dump` writes.

use serde_json::Value;

use super::{Record, Table, python};

/// An array with one object for each row, its keys the headings; `so_far` rows
/// of it were written before.
pub(super) fn rows(table: &Table, indent: bool, so_far: usize) -> String {
    let mut out = String::new();
    for (index, row) in table.rows.iter().enumerate() {
        match (so_far + index, indent) {
            (0, _) => out.push('['),
            (_, true) => out.push(','),
            (_, false) => out.push_str(", "),
        }
        if indent {
            break_line(1, &mut out);
        }
        let cells = table.columns.iter().cloned();
        let object = cells.zip(row.iter().map(|cell| cell.machine().into_owned())).collect();
        write(&Value::Object(object), indent.then_some(1), &mut out);
    }
    out
}

/// The end of an array of so many rows.
pub(super) fn end(indent: bool, rows: usize) -> &'static str {
    match (rows, indent) {
        (0, _) => "[]\n",
        (_, true) => "\n]\n",
        (_, false) => "]\n",
    }
}

/// One object, its keys the field names.
pub(super) fn show(record: &Record, indent: bool) -> String {
    let fields = record.fields.iter();
    let object = fields.map(|(name, cell)| (name.clone(), cell.machine().into_owned())).collect();
    document(&Value::Object(object), indent)
}

fn document(value: &Value, indent: bool) -> String {
    let mut out = String::new();
    write(value, indent.then_some(0), &mut out);
    out.push('\n');
    out
}

/// Writes `value`; `level` is how deep it lies, `None` keeps to one line.
fn write(value: &Value, level: Option<usize>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&python::number(number)),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_items(('[', ']'), items, level, out, |item, level, out| {
            write(item, level, out);
        }),
        Value::Object(fields) => {
            write_items(('{', '}'), fields, level, out, |(key, item), level, out| {
                write_string(key, out);
                out.push_str(": ");
                write(item, level, out);
            });
        }
    }
}

/// What arrays and objects share: the brackets, the commas and the indent.
fn write_items<I: ExactSizeIterator>(
    (open, close): (char, char),
    items: impl IntoIterator<IntoIter = I>,
    level: Option<usize>,
    out: &mut String,
    mut write_item: impl FnMut(I::Item, Option<usize>, &mut String),
) {
    let items = items.into_iter();
    let inner = level.filter(|_| items.len() > 0);
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push_str(if level.is_some() { "," } else { ", " });
        }
        if let Some(level) = inner {
            break_line(level + 1, out);
        }
        write_item(item, level.map(|level| level + 1), out);
    }
    if let Some(level) = inner {
        break_line(level, out);
    }
    out.push(close);
}

fn break_line(level: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level));
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}
