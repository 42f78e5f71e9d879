//! What a filter of a list asks of an image, in the words that both versions
//! of the API have for it
//! (<https://docs.openstack.org/api-ref/image/v2/#list-images>).

use rusqlite::types::Value;

use super::failure::{Failure, Result};
use super::registry::{Compare, Condition};

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Failure::bad_request(message.into()))
}

/// A number as Python reads it from text.
pub fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.parse() {
        Ok(number) => Some(number),
        // Larger than any number that we hold.
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => Some(i64::MAX),
        Err(_) => None,
    }
}

/// A yes or no as Images API v2 writes it.
pub fn boolean(name: &str, value: &str) -> Result<bool> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => bad(format!("Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'.")),
    }
}

/// What a filter asks of an image.
pub fn condition(name: &str, value: &str) -> Result<Condition> {
    const NUMBERS: [&str; 4] = ["size", "virtual_size", "min_disk", "min_ram"];
    let numeric = |wanted: &str| NUMBERS.into_iter().find(|column| *column == wanted);
    for (suffix, compare) in [("_min", Compare::GreaterOrEqual), ("_max", Compare::LessOrEqual)] {
        let Some(column) = name.strip_suffix(suffix) else { continue };
        let Some(number) = number(value) else { return bad("Unable to filter on a range with a non-numeric value.") };
        return match numeric(column) {
            Some(column) => Ok(Condition::Is(column, compare, Value::Integer(number))),
            None => bad(format!("There is no range of `{column}` to filter by.")),
        };
    }
    let equals = |column: &'static str| Condition::Is(column, Compare::Equal, Value::Text(value.to_owned()));
    Ok(match name {
        "protected" => Condition::Is("protected", Compare::Equal, Value::from(boolean("protected", value)?)),
        "created_at" => timed("created_at", value)?,
        "updated_at" => timed("updated_at", value)?,
        "name" => worded("name", value)?,
        "id" => worded("id", value)?,
        "status" => worded("status", value)?,
        "container_format" => worded("container_format", value)?,
        "disk_format" => worded("disk_format", value)?,
        "owner" => equals("owner"),
        "checksum" => equals("checksum"),
        "os_hash_algo" => equals("os_hash_algo"),
        "os_hash_value" => equals("os_hash_value"),
        // What was deleted is not listed.
        "deleted" => Condition::Is("1", Compare::Equal, Value::Integer(1)),
        "deleted_at" => Condition::Never,
        _ => match (numeric(name), number(value)) {
            (Some(column), Some(number)) => Condition::Is(column, Compare::Equal, Value::Integer(number)),
            (Some(_), None) => Condition::Never,
            (None, _) => Condition::Property(name.to_owned(), value.to_owned()),
        },
    })
}

/// An operator before a colon, and what it is applied to; a time has colons
/// of its own.
fn operator(value: &str) -> (&str, &str) {
    match value.split_once(':') {
        Some((operator, operand)) if instant(value).is_none() => (operator, operand),
        _ => ("eq", value),
    }
}

/// A column of words: equal to one, or in a list.
fn worded(column: &'static str, value: &str) -> Result<Condition> {
    match operator(value) {
        ("eq", word) => Ok(Condition::Is(column, Compare::Equal, Value::Text(word.to_owned()))),
        ("in", list) => Ok(Condition::In(column, words(list)?)),
        (other, _) => bad(format!("Unable to filter by unknown operator '{other}'.")),
    }
}

/// A column of times: before, after, at.
fn timed(column: &'static str, value: &str) -> Result<Condition> {
    let (operator, time) = operator(value);
    let Some(microseconds) = instant(time) else {
        return bad(format!("Bad \"{column}\" query filter format. Use ISO 8601 DateTime notation."));
    };
    let compare = match operator {
        "gt" => Compare::Greater,
        "gte" => Compare::GreaterOrEqual,
        "lt" => Compare::Less,
        "lte" => Compare::LessOrEqual,
        "neq" => Compare::NotEqual,
        "eq" => Compare::Equal,
        _ => return bad("Unable to filter on a unknown operator."),
    };
    Ok(Condition::Is(column, compare, Value::Integer(microseconds)))
}

/// The words of a list, separated by commas; one in double quotes may hold
/// commas, and quotes after a backslash.
fn words(list: &str) -> Result<Vec<String>> {
    let invalid = |what: &str| Failure::bad_request(format!("Invalid filter value {list}. {what}"));
    let mut words = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let Some(quoted) = rest.strip_prefix('"') else {
            let (word, after) = rest.split_once(',').unwrap_or((rest, ""));
            if word.replace("\\\"", "").contains('"') {
                return Err(invalid("There is no comma before opening quotation mark."));
            }
            words.push(word.to_owned());
            rest = after;
            continue;
        };
        let mut escaped = false;
        let end = quoted.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let end = end.ok_or_else(|| invalid("The quote is not closed."))?;
        words.push(quoted[..end].to_owned());
        rest = match &quoted[end + 1..] {
            "" => "",
            after => {
                after.strip_prefix(',').ok_or_else(|| invalid("There is no comma after closing quotation mark."))?
            }
        };
    }
    Ok(words)
}

/// A time in ISO 8601, as microseconds since 1970. Without an offset it is UTC.
pub fn instant(text: &str) -> Option<i64> {
    let zoned: Option<jiff::Timestamp> = text.replacen(' ', "T", 1).parse().ok();
    if let Some(time) = zoned {
        return Some(time.as_microsecond());
    }
    let civil: jiff::civil::DateTime = match text.len() {
        4 => format!("{text}-01-01").parse().ok()?,
        7 => format!("{text}-01").parse().ok()?,
        _ => text.parse().ok()?,
    };
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp().as_microsecond())
}
