//! What commands return, and the writers that turn it into text.
//!
//! A command returns a [`Record`] (one thing, field by field) or a [`Table`]
//! (many things, column by column). The writers know nothing of images; they
//! print, byte for byte, what cliff (the framework of `openstack`) prints for
//! the same data, except that `-f shell` is safe to `eval` and that control
//! characters never reach a terminal.

use serde_json::Value;

/// How a value reads to people, where that differs from its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Human {
    /// As Python's `str()` has it: `None`, `True`, `['a', 'b']`.
    #[default]
    Plain,
    /// A list, sorted and joined by `, ` (cliff's `ListColumn`).
    List,
    /// A mapping, as `k='v', k2='v2'` sorted by key (cliff's `DictColumn`).
    Dict,
}

/// One value of a record or a row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cell {
    /// The value as machines read it.
    pub value: Value,
    /// How people read it.
    pub human: Human,
}

impl Cell {
    /// A list that people read sorted and joined.
    pub fn list(value: Value) -> Self {
        Cell {
            value,
            human: Human::List,
        }
    }

    /// A mapping that people read as `k='v'` pairs.
    pub fn dict(value: Value) -> Self {
        Cell {
            value,
            human: Human::Dict,
        }
    }
}

impl<T: Into<Value>> From<T> for Cell {
    fn from(value: T) -> Self {
        Cell {
            value: value.into(),
            human: Human::Plain,
        }
    }
}

/// One thing: its fields in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Name and value of each field.
    pub fields: Vec<(String, Cell)>,
}

/// Many things of one sort.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The headings, also the keys of the JSON objects.
    pub columns: Vec<String>,
    /// One cell for each heading.
    pub rows: Vec<Vec<Cell>>,
}
