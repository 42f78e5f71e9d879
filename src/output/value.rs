//! `-f value`: bare values for scripts, as Python's `str()` has them.

use super::{Cell, Record, Table, for_terminal, python};

/// One line for each row, its values joined by one space.
pub(super) fn rows(table: &Table, terminal: bool) -> String {
    let mut out = String::new();
    for row in &table.rows {
        let values: Vec<String> = row.iter().map(|cell| text(cell, terminal)).collect();
        out.push_str(&values.join(" "));
        out.push('\n');
    }
    out
}

/// One line for each value.
pub(super) fn show(record: &Record, terminal: bool) -> String {
    record.fields.iter().map(|(_, cell)| text(cell, terminal) + "\n").collect()
}

fn text(cell: &Cell, terminal: bool) -> String {
    for_terminal(&python::str(&cell.machine()), terminal).into_owned()
}
