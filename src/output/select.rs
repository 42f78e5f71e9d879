//! `-c` and `--sort-column`: which columns are written, and in which order the rows.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{Cell, Human, Record, Table, python};
use crate::error::{Error, Kind, Result};

/// The columns asked for (all, if none was), in the table's own order.
///
/// # Errors
/// None of them is there.
pub(super) fn columns(table: Table, asked: &[String]) -> Result<Table> {
    if asked.is_empty() {
        return Ok(table);
    }
    let keep = selected(&table.columns, asked)?;
    let pick = |row: Vec<Cell>| pick(row, &keep);
    Ok(Table { rows: table.rows.into_iter().map(pick).collect(), columns: self::pick(table.columns, &keep) })
}

/// The fields asked for (all, if none was), in the record's own order.
///
/// # Errors
/// None of them is there.
pub(super) fn fields(record: Record, asked: &[String]) -> Result<Record> {
    if asked.is_empty() {
        return Ok(record);
    }
    let names: Vec<String> = record.fields.iter().map(|(name, _)| name.clone()).collect();
    let keep = selected(&names, asked)?;
    Ok(Record { fields: pick(record.fields, &keep) })
}

fn pick<T>(items: Vec<T>, keep: &[bool]) -> Vec<T> {
    items.into_iter().zip(keep).filter_map(|(item, keep)| keep.then_some(item)).collect()
}

fn selected(names: &[String], asked: &[String]) -> Result<Vec<bool>> {
    let wanted: Vec<String> = asked.iter().map(|name| normal(name)).collect();
    let keep: Vec<bool> = names.iter().map(|name| wanted.contains(&normal(name))).collect();
    if keep.contains(&true) {
        return Ok(keep);
    }
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let message = format!("no recognized column names in {}", quoted(asked));
    Err(Error::new(Kind::NotFound, message).next(format!("choose from {}", quoted(names))))
}

/// Names are told apart neither by case nor by space and underscore.
fn normal(name: &str) -> String {
    name.to_lowercase().trim_matches(python::is_space).replace(' ', "_")
}

/// The rows sorted by the columns named, the first one counting most, and a
/// warning for each column whose values cannot be compared; it is left out.
/// Names of no column are ignored.
pub(super) fn sort(mut table: Table, by: &[String], descending: bool) -> (Table, Vec<String>) {
    let normals: Vec<String> = table.columns.iter().map(|name| normal(name)).collect();
    let position = |name: &String| {
        let exact = table.columns.iter().position(|column| column == name);
        exact.or_else(|| normals.iter().position(|column| *column == normal(name)))
    };
    let indexes: Vec<usize> = by.iter().filter_map(position).collect();
    let mut warnings = Vec::new();
    for index in indexes.into_iter().rev() {
        let mut mixed = false;
        let mut order: Vec<usize> = (0..table.rows.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = if descending { (b, a) } else { (a, b) };
            compare_cells(table.rows[a].get(index), table.rows[b].get(index), &mut mixed)
        });
        if mixed {
            let column = &table.columns[index];
            warnings.push(format!("cannot sort by `{column}`: its values are of several types"));
        } else {
            let take = |row: usize| std::mem::take(&mut table.rows[row]);
            table.rows = order.into_iter().map(take).collect();
        }
    }
    (table, warnings)
}

/// Nulls last, the rest by value; `mixed` is set where Python cannot compare.
fn compare_cells(a: Option<&Cell>, b: Option<&Cell>, mixed: &mut bool) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_some().cmp(&b.is_some());
    };
    let missing = |cell: &Cell| cell.human == Human::Plain && cell.value.is_null();
    missing(a).cmp(&missing(b)).then_with(|| compare(&a.value, &b.value, mixed))
}

/// Python's `<`, made a total order (which a sort needs) where Python has
/// none; `mixed` tells that it had none.
fn compare(a: &Value, b: &Value, mixed: &mut bool) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let differing = a.iter().zip(b).find(|(a, b)| !equal(a, b));
            differing.map_or(a.len().cmp(&b.len()), |(a, b)| compare(a, b, mixed))
        }
        _ => match (as_number(a), as_number(b)) {
            (Some(a), Some(b)) => compare_numbers(&a, &b),
            _ if equal(a, b) => Ordering::Equal,
            _ => {
                *mixed = true;
                rank(a).cmp(&rank(b)).then_with(|| python::repr(a).cmp(&python::repr(b)))
            }
        },
    }
}

/// Python's `==`: `1`, `1.0` and `True` are the same.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => match (as_number(a), as_number(b)) {
            (Some(a), Some(b)) => compare_numbers(&a, &b).is_eq(),
            _ => a == b,
        },
    }
}

/// Numbers, and true and false, which are 1 and 0.
fn as_number(value: &Value) -> Option<Number> {
    match value {
        Value::Bool(value) => Some(Number::from(u8::from(*value))),
        Value::Number(number) => Some(number.clone()),
        _ => None,
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => {
            let float = |number: &Number| number.as_f64().unwrap_or_default();
            float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal)
        }
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => 1,
        Value::String(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
    }
}
