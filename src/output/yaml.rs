//! `-f yaml`: as PyYAML's `safe_dump` writes in block style.
//!
//! ASCII only, keys sorted, two spaces of indent, lines folded at 80 columns
//! where the scalar allows it. The rules of when to quote, where to fold and
//! when a key needs a `?` are those of PyYAML's emitter; that text reads back
//! as text is judged by its YAML 1.1 types (`yes`, `0x1f`, `1:30`,
//! `2026-01-01`), see <https://yaml.org/type/>.

use serde_json::{Map, Value};

use super::{Record, Table, python};

/// Columns after which a line is folded.
const WIDTH: usize = 80;
/// Columns by which each level is indented.
const INDENT: usize = 2;
/// A key may be this long, with the five characters of the tag `!!str` that
/// PyYAML counts, before it is written behind a `?`.
const SIMPLE_KEY: usize = 128 - 5;

/// A sequence with one mapping for each row.
pub(super) fn list(table: &Table) -> String {
    let rows = table.rows.iter().map(|row| {
        let cells = table.columns.iter().cloned();
        cells.zip(row.iter().map(|cell| cell.machine().into_owned())).collect::<Map<_, _>>()
    });
    dump(&rows.map(Value::Object).collect())
}

/// One mapping for each field, so that the fields keep their order.
pub(super) fn show(record: &Record) -> String {
    let fields = record.fields.iter();
    fields
        .map(|(name, cell)| {
            let field = [(name.clone(), cell.machine().into_owned())];
            dump(&Value::Object(field.into_iter().collect()))
        })
        .collect()
}

fn dump(value: &Value) -> String {
    let mut emitter = Emitter { whitespace: true, indention: true, ..Emitter::default() };
    emitter.node(value, Place::Root);
    emitter.indent = None;
    emitter.write_indent();
    emitter.out
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Item,
    Mapping,
    SimpleKey,
}

#[derive(Default)]
struct Emitter {
    out: String,
    /// Columns written on this line.
    column: usize,
    /// Indent of the collection being written; none outside of any.
    indent: Option<usize>,
    /// The last thing written was white space, so an indicator needs none.
    whitespace: bool,
    /// Only white space and indicators were written on this line.
    indention: bool,
}

impl Emitter {
    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Null => self.scalar("null", true, place),
            Value::Bool(true) => self.scalar("true", true, place),
            Value::Bool(false) => self.scalar("false", true, place),
            Value::Number(number) => {
                let mut text = python::number(number);
                // YAML 1.1 wants a point in a float: `1e+16` would be text.
                if !text.contains('.') {
                    text = text.replacen('e', ".0e", 1);
                }
                self.scalar(&text, true, place);
            }
            Value::String(text) => self.scalar(text, !is_typed(text), place),
            Value::Array(items) if items.is_empty() => {
                self.indicator("[", true, true, false);
                self.indicator("]", false, false, false);
            }
            Value::Object(fields) if fields.is_empty() => {
                self.indicator("{", true, true, false);
                self.indicator("}", false, false, false);
            }
            Value::Array(items) => {
                let outer = self.indent;
                // `key:` is followed by items at its own indent.
                let indentless = place == Place::Mapping && !self.indention;
                self.indent = match outer {
                    Some(indent) if indentless => Some(indent),
                    outer => Some(outer.map_or(0, |indent| indent + INDENT)),
                };
                for item in items {
                    self.write_indent();
                    self.indicator("-", true, false, true);
                    self.node(item, Place::Item);
                }
                self.indent = outer;
            }
            Value::Object(fields) => {
                let outer = self.indent;
                self.indent = Some(outer.map_or(0, |indent| indent + INDENT));
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(key, _)| *key);
                for (key, item) in fields {
                    self.field(key, item);
                }
                self.indent = outer;
            }
        }
    }

    fn field(&mut self, key: &str, value: &Value) {
        self.write_indent();
        let simple = !key.is_empty() && !key.contains(is_break) && key.chars().count() < SIMPLE_KEY;
        if simple {
            self.scalar(key, !is_typed(key), Place::SimpleKey);
            self.indicator(":", false, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.scalar(key, !is_typed(key), Place::Mapping);
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        self.node(value, Place::Mapping);
    }

    /// A scalar in the plainest style that reads back the same; `untagged` is
    /// whether the plain one would have the right type.
    fn scalar(&mut self, text: &str, untagged: bool, place: Place) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        let fold = place != Place::SimpleKey;
        let text: Vec<char> = text.chars().collect();
        let styles = Styles::of(&text);
        if untagged && styles.plain && !text.is_empty() {
            self.plain(&text, fold);
        } else if styles.single_quoted {
            self.single_quoted(&text, fold);
        } else {
            self.double_quoted(&text, fold);
        }
        self.indent = outer;
    }

    fn put(&mut self, text: &[char]) {
        self.out.extend(text);
        self.column += text.len();
    }

    fn indicator(&mut self, text: &str, spaced: bool, whitespace: bool, indention: bool) {
        if spaced && !self.whitespace {
            self.put(&[' ']);
        }
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
        self.out.push_str(text);
        self.column += text.len();
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.break_line();
        }
        if self.column < indent {
            self.whitespace = true;
            self.put(&vec![' '; indent - self.column]);
        }
    }

    fn break_line(&mut self) {
        self.whitespace = true;
        self.indention = true;
        self.column = 0;
        self.out.push('\n');
    }

    /// Starts a new line inside a scalar.
    fn fold(&mut self) {
        self.write_indent();
        self.whitespace = false;
        self.indention = false;
    }

    fn plain(&mut self, text: &[char], fold: bool) {
        if !self.whitespace {
            self.put(&[' ']);
        }
        self.whitespace = false;
        self.indention = false;
        for run in runs(text) {
            // Only a lone space can become the end of a line.
            if run == [' '] && self.column > WIDTH && fold {
                self.fold();
            } else {
                self.put(run);
            }
        }
    }

    fn single_quoted(&mut self, text: &[char], fold: bool) {
        self.indicator("'", true, false, false);
        let mut written = 0;
        for run in runs(text) {
            let first = written == 0;
            written += run.len();
            match run {
                [' '] if self.column > WIDTH && fold && !first && written < text.len() => {
                    self.write_indent();
                }
                ['\n', ..] => {
                    // A single break would read back as a space.
                    self.break_line();
                    for _ in run {
                        self.break_line();
                    }
                    self.write_indent();
                }
                _ => {
                    for part in run.split_inclusive(|c| *c == '\'') {
                        self.put(part);
                        if part.ends_with(&['\'']) {
                            self.put(&['\'']);
                        }
                    }
                }
            }
        }
        self.indicator("'", false, false, false);
    }

    fn double_quoted(&mut self, text: &[char], fold: bool) {
        self.indicator("\"", true, false, false);
        // What lies between `start` and `end` is not written yet.
        let mut start = 0;
        for end in 0..=text.len() {
            let c = text.get(end).copied();
            if c.is_none_or(|c| matches!(c, '"' | '\\') || !(' '..='~').contains(&c)) {
                if start < end {
                    self.put(&text[start..end]);
                    start = end;
                }
                if let Some(c) = c {
                    let escape = escape(c);
                    self.column += escape.len();
                    self.out.push_str(&escape);
                    start = end + 1;
                }
            }
            let inside = 0 < end && end + 1 < text.len();
            if inside && (c == Some(' ') || start >= end) && self.column + end > WIDTH + start && fold {
                if start < end {
                    self.put(&text[start..end]);
                    start = end;
                }
                self.put(&['\\']);
                self.fold();
                if text[start] == ' ' {
                    self.put(&['\\']);
                }
            }
        }
        self.indicator("\"", false, false, false);
    }
}

/// The text cut into runs of spaces, runs of line feeds, and the rest.
fn runs(text: &[char]) -> impl Iterator<Item = &[char]> {
    text.chunk_by(|a, b| match (a, b) {
        (' ' | '\n', _) | (_, ' ' | '\n') => a == b,
        _ => true,
    })
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            return match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The styles that can hold a text; double quotes hold any.
struct Styles {
    plain: bool,
    single_quoted: bool,
}

impl Styles {
    fn of(text: &[char]) -> Self {
        let blank = |at: usize| text.get(at).is_none_or(|c| matches!(c, '\0' | ' ' | '\t' | '\r') || is_break(*c));
        let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let special = text.iter().any(|c| *c != '\n' && !(' '..='~').contains(c));
        let breaks = text.contains(&'\n');
        let adjoin = |first: char, second: char| text.windows(2).any(|w| w == [first, second]);
        let marker = text.starts_with(&['-'; 3]) || text.starts_with(&['.'; 3]);
        let indicator = text.iter().enumerate().any(|(at, c)| match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                if at == 0 =>
            {
                true
            }
            '?' | '-' if at == 0 => blank(1),
            ':' => blank(at + 1),
            '#' => blank(at - 1),
            _ => false,
        });
        Styles {
            plain: !(special || breaks || marker || indicator || edge(text.first()) || edge(text.last())),
            single_quoted: !(special || adjoin('\n', ' ') || adjoin(' ', '\n')),
        }
    }
}

/// Whether YAML 1.1 reads the plain text as something other than text.
fn is_typed(text: &str) -> bool {
    matches!(
        text,
        "" | "~"
            | "null"
            | "Null"
            | "NULL"
            | "yes"
            | "Yes"
            | "YES"
            | "no"
            | "No"
            | "NO"
            | "true"
            | "True"
            | "TRUE"
            | "false"
            | "False"
            | "FALSE"
            | "on"
            | "On"
            | "ON"
            | "off"
            | "Off"
            | "OFF"
            | "<<"
            | "="
    ) || is_float(text)
        || is_int(text)
        || is_timestamp(text)
}

/// Text from which a pattern takes what it knows, from the left.
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    /// Takes one character out of `set`, if it is next.
    fn one(&mut self, set: &str) -> bool {
        let rest = self.0.strip_prefix(|c| set.contains(c));
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes all characters that `keep` and says how many.
    fn all(&mut self, keep: impl Fn(char) -> bool) -> usize {
        let rest = self.0.trim_start_matches(&keep);
        let taken = self.0.len() - rest.len();
        self.0 = rest;
        taken
    }

    /// Takes at least `min` and at most `max` digits.
    fn digits(&mut self, min: usize, max: usize) -> bool {
        let found = self.0.bytes().take(max).take_while(u8::is_ascii_digit).count();
        self.0 = &self.0[found..];
        found >= min
    }

    fn done(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_digit_or_underscore(c: char) -> bool {
    is_digit(c) || c == '_'
}

/// One or more `:n` or `:nn` below 60.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    parts.next() == Some("")
        && !text.is_empty()
        && parts.all(|part| match part.as_bytes() {
            [ones] => ones.is_ascii_digit(),
            [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
            _ => false,
        })
}

fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let mut scan = Scan(text);
    let signed = scan.one("+-");
    if matches!(scan.0, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let Some((whole, fraction)) = scan.0.split_once('.') else {
        return false;
    };
    let mut whole = Scan(whole);
    let leading = whole.0.starts_with(is_digit);
    whole.all(is_digit_or_underscore);
    let mut fraction = Scan(fraction);
    let starts_with_digit = fraction.0.starts_with(is_digit);
    fraction.all(is_digit_or_underscore);
    let plain = fraction.done();
    let exponent = fraction.one("eE") && fraction.one("+-") && fraction.all(is_digit) > 0 && fraction.done();
    if leading {
        whole.done() && (plain || exponent) || is_sexagesimal(whole.0) && plain
    } else {
        scan.0.starts_with('.') && !signed && starts_with_digit && (plain || exponent)
    }
}

fn is_int(text: &str) -> bool {
    let mut scan = Scan(text);
    scan.one("+-");
    let body = scan.0;
    let of = |digits: &str, set: fn(char) -> bool| !digits.is_empty() && digits.chars().all(set);
    if body == "0" {
        return true;
    }
    if let Some(digits) = body.strip_prefix("0b") {
        return of(digits, |c| matches!(c, '0' | '1' | '_'));
    }
    if let Some(digits) = body.strip_prefix("0x") {
        return of(digits, |c| c.is_ascii_hexdigit() || c == '_');
    }
    if let Some(digits) = body.strip_prefix('0') {
        return of(digits, |c| matches!(c, '0'..='7' | '_'));
    }
    body.starts_with(is_digit) && {
        scan.all(is_digit_or_underscore);
        scan.done() || is_sexagesimal(scan.0)
    }
}

fn is_timestamp(text: &str) -> bool {
    let date = |two: usize| {
        let mut scan = Scan(text);
        let matched = scan.digits(4, 4) && scan.one("-") && scan.digits(two, 2) && scan.one("-") && scan.digits(two, 2);
        matched.then_some(scan)
    };
    if date(2).is_some_and(|rest| rest.done()) {
        return true;
    }
    let blank = |c| matches!(c, ' ' | '\t');
    let Some(mut scan) = date(1) else {
        return false;
    };
    let clock = (scan.one("Tt") || scan.all(blank) > 0)
        && scan.digits(1, 2)
        && scan.one(":")
        && scan.digits(2, 2)
        && scan.one(":")
        && scan.digits(2, 2);
    if !clock {
        return false;
    }
    if scan.one(".") {
        scan.all(is_digit);
    }
    if scan.done() {
        return true;
    }
    scan.all(blank);
    if scan.one("Z") {
        return scan.done();
    }
    let zone = scan.one("+-") && scan.digits(1, 2);
    zone && (scan.done() || scan.one(":") && scan.digits(2, 2) && scan.done())
}
