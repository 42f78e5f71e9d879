//! `-f csv`: as Python's [csv writer](https://docs.python.org/3/library/csv.html) with `\` as
//! the escape character and the system's line end.

use serde_json::Value;

use super::{Quote, Table, for_terminal, python};
use crate::error::{Error, Kind, Result};

#[cfg(windows)]
const LINE_END: &str = "\r\n";
#[cfg(not(windows))]
const LINE_END: &str = "\n";

/// The headings, where it `begins`, and one line for each row, added to `out`.
///
/// # Errors
/// With [`Quote::None`], a row of one empty field: nothing would be left of
/// it. The rows before it are in `out`, as Python has printed them by then.
pub(super) fn rows(table: &Table, begins: bool, quote: Quote, terminal: bool, out: &mut String) -> Result<()> {
    if begins {
        let fields = table.columns.iter().map(|name| (name.clone(), false)).collect();
        write_row(fields, quote, terminal, out)?;
    }
    for row in &table.rows {
        let fields = row.iter().map(|cell| {
            let value = cell.machine();
            // A list column reaches the csv writer as text, never as a number.
            let numeric = cell.is_plain() && (value.is_number() || value.is_boolean());
            match value.as_ref() {
                Value::Null => (String::new(), false),
                value => (python::str(value), numeric),
            }
        });
        write_row(fields.collect(), quote, terminal, out)?;
    }
    Ok(())
}

fn write_row(fields: Vec<(String, bool)>, quote: Quote, terminal: bool, out: &mut String) -> Result<()> {
    if quote == Quote::None && matches!(fields.as_slice(), [(only, _)] if only.is_empty()) {
        return Err(Error::new(Kind::Rejected, "a csv row with one empty field must be quoted")
            .next("leave out `--quote none`, or add a column"));
    }
    let only_one = fields.len() == 1;
    let mut line = String::new();
    for (index, (text, numeric)) in fields.iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        write_field(text, *numeric, only_one, quote, &mut line);
    }
    out.push_str(&for_terminal(&line, terminal));
    out.push_str(LINE_END);
    Ok(())
}

fn write_field(text: &str, numeric: bool, only_one: bool, quote: Quote, line: &mut String) {
    let special = |c| matches!(c, ',' | '"') || LINE_END.contains(c);
    let quoted = match quote {
        Quote::All => true,
        Quote::Nonnumeric => !numeric,
        Quote::Minimal => text.contains(special) || (only_one && text.is_empty()),
        Quote::None => false,
    };
    if quoted {
        line.push('"');
    }
    for c in text.chars() {
        match c {
            '"' if quote != Quote::None => line.push('"'),
            '\\' => line.push('\\'),
            _ if quote == Quote::None && special(c) => line.push('\\'),
            _ => {}
        }
        line.push(c);
    }
    if quoted {
        line.push('"');
    }
}
