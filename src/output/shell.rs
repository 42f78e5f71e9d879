//! `-f shell`: one `name="value"` for each field, safe to `eval`.
//!
//! The look is cliff's, but where cliff escapes only `"`, so that an image
//! called `$(cmd)` runs `cmd`, every character that means something [inside
//! double quotes](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_03)
//! is escaped here, and a name is made of letters, digits and `_` only.
//! `!` stays as it is: history expansion reads typed lines, never what is
//! evaluated, and a `\` in front of it would become part of the value.

use super::{Record, for_terminal, python};

/// The fields as assignments, each name behind `prefix`; `variables`, unless
/// empty, are the names to keep (lower case, a space as `_`).
pub(super) fn show(record: &Record, prefix: &str, variables: &[String], terminal: bool) -> String {
    let mut out = String::new();
    for (field, cell) in &record.fields {
        let name = field.to_lowercase().replace(' ', "_");
        if !variables.is_empty() && !variables.contains(&name) {
            continue;
        }
        let text = python::str(&cell.machine());
        out.push_str(&variable_name(prefix, &name));
        out.push_str("=\"");
        for c in for_terminal(&text, terminal).chars() {
            match c {
                // No shell can hold a NUL.
                '\0' => continue,
                '"' | '$' | '`' | '\\' => out.push('\\'),
                _ => {}
            }
            out.push(c);
        }
        out.push_str("\"\n");
    }
    out
}

/// What a shell takes as a name: `[A-Za-z_][A-Za-z0-9_]*`.
fn variable_name(prefix: &str, name: &str) -> String {
    let mut variable: String =
        format!("{prefix}{name}").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        variable.insert(0, '_');
    }
    variable
}
