//! Images in the order of `--sort`, in little room.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::Value;

use super::list::{field_name, is_field};
use crate::error::{Error, Kind, Result};
use crate::image::Image;

/// What `--sort` names, most important first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKeys(Vec<(String, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// Reads `size:desc,name`.
pub fn sort_keys(text: &str) -> std::result::Result<SortKeys, String> {
    let key = |part: &str| {
        let (key, direction) = part.split_once(':').unwrap_or((part, "asc"));
        let direction = match direction {
            "asc" => Direction::Up,
            "desc" => Direction::Down,
            other => return Err(format!("`{other}` is no direction: use `asc` or `desc`")),
        };
        match key {
            "" => Err("a sort key is empty".to_owned()),
            key => Ok((field_name(key).to_owned(), direction)),
        }
    };
    text.trim().split(',').map(key).collect::<std::result::Result<_, _>>().map(SortKeys)
}

impl SortKeys {
    /// Whether images come in this order already: newest first.
    pub fn is_that_of_the_service(&self) -> bool {
        matches!(self.0.as_slice(), [(key, Direction::Down)] if key == "created_at")
    }
}

/// What one image is sorted by.
#[derive(Debug)]
enum Key {
    Flag(bool),
    Number(f64),
    Text(Box<str>),
    List(Box<str>),
    Unknown,
}

impl Key {
    fn of(field: &str, value: Option<&Value>) -> Key {
        match value {
            Some(Value::Bool(on)) => Key::Flag(*on),
            Some(Value::Number(number)) => Key::Number(number.as_f64().unwrap_or_default()),
            Some(Value::String(text)) => Key::Text(text.as_str().into()),
            Some(list @ (Value::Array(_) | Value::Object(_))) => Key::List(list.to_string().into()),
            None | Some(Value::Null) if matches!(field, "size" | "virtual_size" | "min_disk" | "min_ram") => {
                Key::Unknown
            }
            // The text that openstack sorts an image without a name by.
            None | Some(Value::Null) => Key::Text("None".into()),
        }
    }

    /// Numbers by size, texts by code points, what is unknown last in both directions.
    fn compare(&self, other: &Key, direction: Direction) -> Ordering {
        let rank = |key: &Key| match key {
            Key::Flag(_) => 0,
            Key::Number(_) => 1,
            Key::Text(_) => 2,
            Key::List(_) => 3,
            Key::Unknown => 4,
        };
        let order = match (self, other) {
            (Key::Flag(a), Key::Flag(b)) => a.cmp(b),
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) | (Key::List(a), Key::List(b)) => a.cmp(b),
            (Key::Unknown, _) | (_, Key::Unknown) => return rank(self).cmp(&rank(other)),
            _ => rank(self).cmp(&rank(other)),
        };
        match direction {
            Direction::Up => order,
            Direction::Down => order.reverse(),
        }
    }
}

/// Rows that are sorted once all of them are there. There may be very many,
/// so of each only its keys are kept, and its cells as text.
pub struct Sorted<'a> {
    by: &'a SortKeys,
    /// Which of the keys any image had.
    known: Vec<bool>,
    /// Those of the first row, those of the second, …
    keys: Vec<Key>,
    /// A JSON array for each row.
    rows: String,
    /// Where in `rows` each one ends.
    ends: Vec<usize>,
}

impl<'a> Sorted<'a> {
    /// No rows yet.
    pub fn new(by: &'a SortKeys) -> Self {
        Sorted { by, known: vec![false; by.0.len()], keys: Vec::new(), rows: String::new(), ends: Vec::new() }
    }

    /// Adds the row that `cells` makes of the image.
    pub fn push(&mut self, image: Image, cells: impl FnOnce(Image) -> Vec<Value>) {
        for ((field, _), known) in self.by.0.iter().zip(&mut self.known) {
            *known |= image.fields.contains_key(field);
            self.keys.push(Key::of(field, image.fields.get(field)));
        }
        // Writing to a String cannot fail.
        let _ = write!(self.rows, "{}", Value::Array(cells(image)));
        self.ends.push(self.rows.len());
    }

    /// The numbers of the rows, in order; what is equal stays as it came.
    ///
    /// # Errors
    /// No image has a field to sort by.
    pub fn order(&self) -> Result<Vec<usize>> {
        let nowhere = self.by.0.iter().zip(&self.known).find(|((key, _), known)| !is_field(key) && !*known);
        if let Some(((key, _), _)) = nowhere.filter(|_| !self.ends.is_empty()) {
            return Err(Error::new(Kind::Config, format!("no image has a field `{key}` to sort by"))
                .next("sort by name, size, created_at, updated_at, status, disk_format, owner or another field of `image show`"));
        }
        let keys = |row: usize| self.keys.iter().skip(row * self.by.0.len()).zip(&self.by.0);
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        order.sort_by(|&a, &b| {
            let both = keys(a).zip(keys(b));
            both.fold(Ordering::Equal, |so_far, ((a, (_, direction)), (b, _))| {
                so_far.then_with(|| a.compare(b, *direction))
            })
        });
        Ok(order)
    }

    /// The cells of the row of this number.
    ///
    /// # Errors
    /// There is no such row.
    pub fn cells(&self, row: usize) -> serde_json::Result<Vec<Value>> {
        let begins = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let ends = self.ends.get(row).copied().unwrap_or_default();
        serde_json::from_str(self.rows.get(begins..ends).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn sorted(by: &str, fields: &[Value]) -> Result<Vec<Value>> {
        let by = sort_keys(by).unwrap();
        let mut rows = Sorted::new(&by);
        for fields in fields {
            let image = Image { fields: fields.as_object().unwrap().clone() };
            rows.push(image, |mut image| vec![image.fields.remove("id").unwrap()]);
        }
        Ok(rows.order()?.into_iter().map(|row| rows.cells(row).unwrap().remove(0)).collect())
    }

    #[test]
    fn sizes_sort_as_numbers_and_unknown_ones_last() {
        let fields =
            [json!({"id": "a", "size": 1000}), json!({"id": "b", "size": null}), json!({"id": "c", "size": 9})];
        assert_eq!(sorted("size", &fields).unwrap(), ["c", "a", "b"]);
        assert_eq!(sorted("size:desc", &fields).unwrap(), ["a", "c", "b"]);
    }

    #[test]
    fn without_a_name_an_image_stands_where_openstack_puts_it() {
        let fields =
            [json!({"id": "a", "name": "O"}), json!({"id": "b", "name": null}), json!({"id": "c", "name": "M"})];
        assert_eq!(sorted("name", &fields).unwrap(), ["c", "b", "a"]);
    }

    #[test]
    fn the_first_sort_key_counts_most_and_what_is_equal_stays_as_it_came() {
        let fields = [
            json!({"id": "a", "name": "x", "size": 2}),
            json!({"id": "b", "name": "w", "size": 2}),
            json!({"id": "c", "name": "z", "size": 1}),
            json!({"id": "d", "name": "x", "size": 2}),
        ];
        assert_eq!(sorted("size,name:desc", &fields).unwrap(), ["c", "a", "d", "b"]);
    }

    #[test]
    fn a_wrong_sort_key_is_said() {
        assert_eq!(sort_keys("name:up").unwrap_err(), "`up` is no direction: use `asc` or `desc`");
        let error = sorted("colour", &[json!({"id": "a"})]).unwrap_err();
        assert_eq!(error.message, "no image has a field `colour` to sort by");
    }
}
