//! How Python spells a JSON value: `str()` and `repr()`.
//!
//! cliff prints whatever is not a string with `str()`, so `-f value`, csv and
//! tables show `None`, `True` and `['a', 'b']`, and scripts have come to rely
//! on it. The rules are those of the [string literal
//! repr](https://docs.python.org/3/library/functions.html#repr) and of
//! [`float.__repr__`](https://docs.python.org/3/library/sys.html#sys.float_repr_style).

use std::fmt::Write as _;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use serde_json::{Number, Value};

/// `str(value)`: a string as it is, anything else as [`repr`] has it.
pub(super) fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`, lists and mappings with what is in them.
pub(super) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(value, &mut out);
    out
}

/// `repr(float)`: the shortest digits that read back the same, always with a
/// point or an exponent, and an exponent from 1e16 up and below 1e-4.
pub(super) fn number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_repr(float),
        _ => number.to_string(),
    }
}

fn float_repr(float: f64) -> String {
    let shortest = format!("{float:e}");
    let parts = shortest.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>()));
    let Some((digits, Ok(exponent))) = parts else {
        return shortest;
    };
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    // Where two texts of that length read back the same and lie equally near,
    // Python takes the even one and Rust's shortest form the upper one; with a
    // precision Rust too takes the even one.
    let even = |even: String, shortest: String| {
        if even.parse() == Ok(float) { even } else { shortest }
    };
    if (-4..16).contains(&exponent) {
        let decimals = i32::try_from(decimals).unwrap_or_default() - exponent;
        let decimals = usize::try_from(decimals).unwrap_or_default().max(1);
        return even(format!("{float:.decimals$}"), format!("{float:?}"));
    }
    let text = even(format!("{float:.decimals$e}"), shortest.clone());
    let digits = text.split('e').next().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(n) => out.push_str(&number(n)),
        Value::String(text) => write_str_repr(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, item)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_str_repr(key, out);
                out.push_str(": ");
                write_repr(item, out);
            }
            out.push('}');
        }
    }
}

fn write_str_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            _ if c == quote => {
                out.push('\\');
                out.push(c);
            }
            _ if is_printable(c) => out.push(c),
            _ => write_escape(c, out),
        }
    }
    out.push(quote);
}

/// `\xNN`, `\uNNNN` or `\UNNNNNNNN`, whichever is the shortest that fits.
pub(super) fn write_escape(c: char, out: &mut String) {
    let code = u32::from(c);
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// `str.isprintable()`: not of the categories Other and Separator, but a space.
fn is_printable(c: char) -> bool {
    use GeneralCategory as G;
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        G::Control
            | G::Format
            | G::Surrogate
            | G::PrivateUse
            | G::Unassigned
            | G::LineSeparator
            | G::ParagraphSeparator
            | G::SpaceSeparator
    )
}

/// `str.isspace()` of one character.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `\w` of Python's `re`: letters, anything with a numeric value, `_`.
pub(super) fn is_word(c: char) -> bool {
    use GeneralCategory as G;
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter
            | G::DecimalNumber
            | G::LetterNumber
            | G::OtherNumber
    )
}

/// `[^\d\W]` of Python's `re`: what [`is_word`] has, without decimal digits.
pub(super) fn is_letter(c: char) -> bool {
    is_word(c) && CodePointMapData::<GeneralCategory>::new().get(c) != GeneralCategory::DecimalNumber
}
