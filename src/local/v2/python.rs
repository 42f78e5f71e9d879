//! Values as Python writes them: texts of Glance's errors quote what was sent,
//! and the schema that it breaks, in the forms of `repr`
//! (<https://docs.python.org/3/library/functions.html#repr>) and of `pprint`
//! (<https://docs.python.org/3/library/pprint.html>), to the letter. And a UUID as
//! the schema knows one.

use std::fmt::{Result, Write};

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use serde_json::{Number, Value};

/// The most bytes of a value that an error quotes: indented, a small body can
/// be written very large.
const LONGEST: usize = 64 << 10;
/// How wide `pprint` writes where it can.
const WIDTH: isize = 72;

/// The value in one line, as `repr` has it; cut where it gets very long.
pub fn repr(value: &Value) -> String {
    bounded(|out| write_value(out, value))
}

/// The value in lines of up to 72 letters where that can be, as `pprint` has
/// it; cut where it gets very long.
pub fn pretty(value: &Value) -> String {
    bounded(|out| pretty_value(out, value, Place { indent: 0, after: 0, is_top: true }))
}

fn bounded(write: impl FnOnce(&mut Bounded) -> Result) -> String {
    let mut out = Bounded { text: String::new(), left: LONGEST };
    if write(&mut out).is_err() {
        out.text.push_str("...");
    }
    out.text
}

/// A text that takes only so much.
struct Bounded {
    text: String,
    left: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> Result {
        self.left = self.left.checked_sub(text.len()).ok_or(std::fmt::Error)?;
        self.text.push_str(text);
        Ok(())
    }
}

/// Counts letters, up to so many.
struct Room(isize);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> Result {
        self.0 -= text.chars().count() as isize;
        if self.0 < 0 { Err(std::fmt::Error) } else { Ok(()) }
    }
}

fn fits(room: isize, write: impl FnOnce(&mut Room) -> Result) -> bool {
    write(&mut Room(room)).is_ok()
}

fn write_value(out: &mut impl Write, value: &Value) -> Result {
    match value {
        Value::Null => out.write_str("None"),
        Value::Bool(true) => out.write_str("True"),
        Value::Bool(false) => out.write_str("False"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.write_char('[')?;
            for (at, item) in items.iter().enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                write_value(out, item)?;
            }
            out.write_char(']')
        }
        Value::Object(fields) => {
            out.write_char('{')?;
            for (at, (name, value)) in fields.iter().enumerate() {
                out.write_str(if at > 0 { ", " } else { "" })?;
                write_text(out, name)?;
                out.write_str(": ")?;
                write_value(out, value)?;
            }
            out.write_char('}')
        }
    }
}

fn write_number(out: &mut impl Write, number: &Number) -> Result {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return write!(out, "{number}") };
    // Both write the fewest digits that say which number it is; Python has an exponent from 1e16 on and below 1e-4.
    if float != 0.0 && !(1e-4..1e16).contains(&float.abs()) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return write!(out, "{digits}e{sign}{exponent:0>2}");
    }
    write!(out, "{float:?}")
}

fn write_text(out: &mut impl Write, text: &str) -> Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.write_char(quote)?;
    for letter in text.chars() {
        match letter {
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            letter if letter == quote || letter == '\\' => write!(out, "\\{letter}")?,
            letter if is_printable(letter) => out.write_char(letter)?,
            letter => match u32::from(letter) {
                code @ ..=0xff => write!(out, "\\x{code:02x}")?,
                code @ ..=0xffff => write!(out, "\\u{code:04x}")?,
                code => write!(out, "\\U{code:08x}")?,
            },
        }
    }
    out.write_char(quote)
}

fn is_printable(letter: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate, Unassigned,
    };
    if letter.is_ascii() {
        return !letter.is_ascii_control();
    }
    !matches!(
        CodePointMapData::<GeneralCategory>::new().get(letter),
        Control | Format | Surrogate | PrivateUse | Unassigned | LineSeparator | ParagraphSeparator | SpaceSeparator
    )
}

/// Where a value is written: how far in, how many letters must still follow it
/// in its last line, and whether nothing is around it.
#[derive(Clone, Copy)]
struct Place {
    indent: isize,
    after: isize,
    is_top: bool,
}

fn pretty_value(out: &mut Bounded, value: &Value, place: Place) -> Result {
    if fits(WIDTH - place.indent - place.after, |room| write_value(room, value)) {
        return write_value(out, value);
    }
    let indent = place.indent + 1;
    // What ends the last item ends this value, too.
    let after = |is_last| if is_last { place.after + 1 } else { 1 };
    match value {
        Value::Array(items) => {
            out.write_char('[')?;
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                    next_line(out, indent)?;
                }
                pretty_value(out, item, Place { indent, after: after(at + 1 == items.len()), is_top: false })?;
            }
            out.write_char(']')
        }
        Value::Object(fields) => {
            out.write_char('{')?;
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                    next_line(out, indent)?;
                }
                let mut name_there = String::new();
                write_text(&mut name_there, name)?;
                write!(out, "{name_there}: ")?;
                let indent = indent + name_there.chars().count() as isize + 2;
                pretty_value(out, value, Place { indent, after: after(at + 1 == fields.len()), is_top: false })?;
            }
            out.write_char('}')
        }
        Value::String(text) => pretty_text(out, text, place),
        other => write_value(out, other),
    }
}

fn next_line(out: &mut Bounded, indent: isize) -> Result {
    write!(out, "\n{:1$}", "", usize::try_from(indent).unwrap_or_default().min(LONGEST))
}

/// A text that is too long for its line: in pieces, broken at ends of lines and
/// after white space.
fn pretty_text(out: &mut Bounded, text: &str, place: Place) -> Result {
    // Python puts brackets around the pieces where nothing else does.
    let (indent, after) = if place.is_top { (place.indent + 1, place.after + 1) } else { (place.indent, place.after) };
    let width = WIDTH - indent;
    let mut pieces: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, following) = rest.split_at(line_end(rest));
        rest = following;
        let is_last = rest.is_empty();
        let last_width = if is_last { width - after } else { width };
        if fits(last_width, |room| write_text(room, line)) {
            pieces.push(line);
            continue;
        }
        let (mut start, mut end) = (0, 0);
        while end < line.len() {
            let next = end + word_end(&line[end..]);
            let width = if next == line.len() { last_width } else { width };
            if end > start && !fits(width, |room| write_text(room, &line[start..next])) {
                pieces.push(&line[start..end]);
                start = end;
            }
            end = next;
        }
        pieces.push(&line[start..]);
    }
    let [first, others @ ..] = &pieces[..] else { return write_text(out, text) };
    let brackets = place.is_top && !others.is_empty();
    out.write_str(if brackets { "(" } else { "" })?;
    write_text(out, first)?;
    for piece in others {
        next_line(out, indent)?;
        write_text(out, piece)?;
    }
    out.write_str(if brackets { ")" } else { "" })
}

/// Where the first line ends, with what ends it.
fn line_end(text: &str) -> usize {
    const ENDS: [char; 10] =
        ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    match text.find(ENDS) {
        Some(at) if text[at..].starts_with("\r\n") => at + 2,
        Some(at) => at + text[at..].chars().next().map_or(0, char::len_utf8),
        None => text.len(),
    }
}

/// Where the first word ends, with the white space after it.
fn word_end(text: &str) -> usize {
    let is_space = |letter: char| letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter);
    let word = text.find(is_space).unwrap_or(text.len());
    text[word..].find(|letter| !is_space(letter)).map_or(text.len(), |space| word + space)
}

/// Whether the text is a UUID with its hyphens, as the schema wants it.
pub fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_as_repr_has_it() {
        for (value, text) in [
            (json!({"a": [null, true, "it's"], "b": 1}), r#"{'a': [None, True, "it's"], 'b': 1}"#),
            (json!("\"it's\"\n\\"), r#"'"it\'s"\n\\'"#),
            (json!(["é日\u{7f}\u{a0}\u{200b}\u{e0001}"]), r"['é日\x7f\xa0\u200b\U000e0001']"),
            (json!([1e15, 1e16, 1e-4, 1.5e-7, -2.0]), "[1000000000000000.0, 1e+16, 0.0001, 1.5e-07, -2.0]"),
        ] {
            assert_eq!(repr(&value), text);
        }
    }

    #[test]
    fn a_long_value_is_written_as_pprint_has_it() {
        let short = json!({"type": ["null", "string"], "maxLength": 255});
        assert_eq!(pretty(&short), repr(&short));
        let value = json!({"type": "string", "enum": ["community", "public", "private", "shared"],
                           "description": "who may see it, in words that do not fit on one line of text", "a": {}});
        assert_eq!(
            pretty(&value),
            "{'type': 'string',\n 'enum': ['community', 'public', 'private', 'shared'],\n \
             'description': 'who may see it, in words that do not fit on one line '\n                \
             'of text',\n 'a': {}}"
        );
        let text = Value::from(["the first line\n", "and the second, "].concat() + &"x".repeat(60));
        assert_eq!(pretty(&text), format!("('the first line\\n'\n 'and the second, '\n '{}')", "x".repeat(60)));
    }

    #[test]
    fn no_value_is_quoted_at_any_length() {
        // Each of the items would be indented as far as the name is long.
        let large = json!({"x".repeat(20_000): vec!["y".repeat(60); 1000]});
        assert!(pretty(&large).len() <= LONGEST + 3);
        assert!(repr(&large).len() <= LONGEST + 3);
    }
}
