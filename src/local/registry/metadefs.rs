//! Metadata definitions, as the registry keeps them.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};

use super::{Direction, Session, now};
use crate::local::caller::Caller;

/// A set of definitions that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// As the registry counts it.
    pub number: i64,
    /// Its name.
    pub namespace: String,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Whether others than its owner see it.
    pub is_public: bool,
    /// Whether it is safe from being deleted.
    pub protected: bool,
    /// The project that it belongs to.
    pub owner: Option<String>,
    /// In microseconds since 1970, UTC.
    pub created_at: i64,
    /// In microseconds since 1970, UTC; none if it came with the catalogue.
    pub updated_at: Option<i64>,
}

impl Namespace {
    /// As the API writes it.
    pub fn visibility(&self) -> &'static str {
        if self.is_public { "public" } else { "private" }
    }

    /// Whether the caller may know of it.
    pub fn is_visible(&self, caller: &Caller) -> bool {
        caller.is_admin || self.is_public || self.owner.is_none() || caller.owns(self.owner.as_deref())
    }
}

/// What a namespace defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// Properties that come together.
    Object,
    /// A property.
    Property,
    /// What the namespace is for.
    ResourceType,
    /// A word.
    Tag,
}

impl ItemKind {
    fn name(self) -> &'static str {
        match self {
            ItemKind::Object => "object",
            ItemKind::Property => "property",
            ItemKind::ResourceType => "resource_type",
            ItemKind::Tag => "tag",
        }
    }
}

/// A definition in a namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// As the registry counts it.
    pub number: i64,
    /// Its name, unique in its namespace among those of its kind.
    pub name: String,
    /// What is said of it.
    pub content: Map<String, Value>,
    /// In microseconds since 1970, UTC.
    pub created_at: i64,
    /// In microseconds since 1970, UTC; none if it came with the catalogue.
    pub updated_at: Option<i64>,
}

/// Which namespaces, in which order.
#[derive(Debug, Clone)]
pub struct NamespaceListing {
    /// Only public or only private ones.
    pub public: Option<bool>,
    /// Only those for one of these types of resources.
    pub resource_types: Option<Vec<String>>,
    /// The column to sort by, which is one of [`NAMESPACE_SORT_KEYS`].
    pub sort_key: &'static str,
    /// Which way.
    pub direction: Direction,
    /// The namespace that the page begins after.
    pub marker: Option<i64>,
    /// The most that are wanted.
    pub limit: usize,
}

/// What namespaces can be sorted by.
pub const NAMESPACE_SORT_KEYS: [&str; 9] =
    ["created_at", "id", "namespace", "display_name", "description", "visibility", "protected", "owner", "updated_at"];

const NAMESPACE: &str =
    "number, namespace, display_name, description, visibility, protected, owner, created_at, updated_at";

fn namespace_of(row: &Row) -> rusqlite::Result<Namespace> {
    Ok(Namespace {
        number: row.get(0)?,
        namespace: row.get(1)?,
        display_name: row.get(2)?,
        description: row.get(3)?,
        is_public: row.get::<_, String>(4)? == "public",
        protected: row.get(5)?,
        owner: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}

fn item_of(row: &Row) -> rusqlite::Result<Item> {
    let content: String = row.get(2)?;
    let content = serde_json::from_str(&content)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(Item { number: row.get(0)?, name: row.get(1)?, content, created_at: row.get(3)?, updated_at: row.get(4)? })
}

fn text(content: &Map<String, Value>) -> rusqlite::Result<String> {
    serde_json::to_string(content).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

impl Session<'_> {
    /// The namespace of this name, whoever may see it.
    pub fn namespace(&self, name: &str) -> rusqlite::Result<Option<Namespace>> {
        self.connection
            .prepare_cached(&format!("SELECT {NAMESPACE} FROM metadef_namespaces WHERE namespace = ?1"))?
            .query_row([name], namespace_of)
            .optional()
    }

    /// The namespaces that the caller sees and asks for.
    pub fn namespaces(&self, caller: &Caller, listing: &NamespaceListing) -> rusqlite::Result<Vec<Namespace>> {
        let mut conditions = vec!["1".to_owned()];
        let mut values: Vec<Sql> = Vec::new();
        if !caller.is_admin {
            conditions.push("(visibility = 'public' OR owner = ?)".to_owned());
            values.push(caller.project_id.clone().into());
        }
        if let Some(public) = listing.public {
            conditions.push("visibility = ?".to_owned());
            values.push(if public { "public" } else { "private" }.to_owned().into());
        }
        if let Some(types) = &listing.resource_types {
            let places = vec!["?"; types.len()].join(", ");
            conditions.push(format!(
                "number IN (SELECT namespace FROM metadef_items WHERE kind = 'resource_type' AND name IN ({places}))"
            ));
            values.extend(types.iter().cloned().map(Sql::from));
        }
        // What decides last is what is unique. No text of a user gets into the SQL.
        let first = match listing.sort_key {
            "created_at" | "id" => None,
            "updated_at" => Some("coalesce(updated_at, 0)".to_owned()),
            key => Some(format!("coalesce({key}, '')")),
        };
        let keys: Vec<String> = first.into_iter().chain(["created_at".to_owned(), "number".to_owned()]).collect();
        let (direction, after) = match listing.direction {
            Direction::Ascending => ("ASC", ">"),
            Direction::Descending => ("DESC", "<"),
        };
        if let Some(marker) = listing.marker {
            let keys = keys.join(", ");
            conditions.push(format!("({keys}) {after} (SELECT {keys} FROM metadef_namespaces WHERE number = ?)"));
            values.push(marker.into());
        }
        let order = keys.join(&format!(" {direction}, "));
        let sql = format!(
            "SELECT {NAMESPACE} FROM metadef_namespaces WHERE {} ORDER BY {order} {direction} LIMIT {}",
            conditions.join(" AND "),
            listing.limit,
        );
        self.connection.prepare_cached(&sql)?.query_map(params_from_iter(values), namespace_of)?.collect()
    }

    /// Records a new namespace, whose number is given to it; false if there is
    /// one of its name.
    pub fn add_namespace(&self, namespace: &mut Namespace) -> rusqlite::Result<bool> {
        let added = self
            .connection
            .prepare_cached(
                "INSERT OR IGNORE INTO metadef_namespaces (namespace, display_name, description, visibility, \
                 protected, owner, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                namespace.namespace,
                namespace.display_name,
                namespace.description,
                namespace.visibility(),
                namespace.protected,
                namespace.owner,
                namespace.created_at,
                namespace.updated_at
            ])?;
        namespace.number = self.connection.last_insert_rowid();
        Ok(added > 0)
    }

    /// Records the namespace as it now is; false if another has its name.
    pub fn save_namespace(&self, namespace: &mut Namespace) -> rusqlite::Result<bool> {
        namespace.updated_at = Some(now());
        let mut statement = self.connection.prepare_cached(
            "UPDATE OR IGNORE metadef_namespaces SET namespace = ?2, display_name = ?3, description = ?4, \
             visibility = ?5, protected = ?6, owner = ?7, updated_at = ?8 WHERE number = ?1",
        )?;
        let changed = statement.execute(params![
            namespace.number,
            namespace.namespace,
            namespace.display_name,
            namespace.description,
            namespace.visibility(),
            namespace.protected,
            namespace.owner,
            namespace.updated_at
        ])?;
        Ok(changed > 0)
    }

    /// Removes the namespace and all that it defines.
    pub fn remove_namespace(&self, number: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM metadef_namespaces WHERE number = ?1")?.execute([number]).map(drop)
    }

    /// What the namespace defines of this kind: objects and properties by name,
    /// the rest in the order it came.
    pub fn items(&self, namespace: i64, kind: ItemKind) -> rusqlite::Result<Vec<Item>> {
        self.connection
            .prepare_cached(
                "SELECT number, name, content, created_at, updated_at FROM metadef_items \
                 WHERE namespace = ?1 AND kind = ?2 \
                 ORDER BY CASE WHEN kind IN ('object', 'property') THEN name END, number",
            )?
            .query_map(params![namespace, kind.name()], item_of)?
            .collect()
    }

    /// The definition of this kind and name.
    pub fn item(&self, namespace: i64, kind: ItemKind, name: &str) -> rusqlite::Result<Option<Item>> {
        self.connection
            .prepare_cached(
                "SELECT number, name, content, created_at, updated_at FROM metadef_items \
                 WHERE namespace = ?1 AND kind = ?2 AND name = ?3",
            )?
            .query_row(params![namespace, kind.name(), name], item_of)
            .optional()
    }

    /// Records a new definition; false if there is one of its kind and name.
    pub fn add_item(&self, namespace: i64, kind: ItemKind, item: &Item) -> rusqlite::Result<bool> {
        if kind == ItemKind::ResourceType {
            self.connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO metadef_resource_types (name, created_at, updated_at) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![item.name, item.created_at, item.updated_at])?;
        }
        let mut statement = self.connection.prepare_cached(
            "INSERT OR IGNORE INTO metadef_items (namespace, kind, name, content, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let content = text(&item.content)?;
        let added =
            statement.execute(params![namespace, kind.name(), item.name, content, item.created_at, item.updated_at])?;
        Ok(added > 0)
    }

    /// Records the definition as it now is; false if another of its kind has
    /// its name.
    pub fn save_item(&self, item: &mut Item) -> rusqlite::Result<bool> {
        item.updated_at = Some(now());
        let mut statement = self.connection.prepare_cached(
            "UPDATE OR IGNORE metadef_items SET name = ?2, content = ?3, updated_at = ?4 WHERE number = ?1",
        )?;
        Ok(statement.execute(params![item.number, item.name, text(&item.content)?, item.updated_at])? > 0)
    }

    /// Removes a definition.
    pub fn remove_item(&self, number: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM metadef_items WHERE number = ?1")?.execute([number]).map(drop)
    }

    /// Removes all definitions of a kind.
    pub fn remove_items(&self, namespace: i64, kind: ItemKind) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM metadef_items WHERE namespace = ?1 AND kind = ?2")?
            .execute(params![namespace, kind.name()])
            .map(drop)
    }

    /// Whether a type of resource was ever named.
    pub fn knows_resource_type(&self, name: &str) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM metadef_resource_types WHERE name = ?1")?.exists([name])
    }

    /// The types of resources, as they came: name, and when it came and changed.
    pub fn resource_types(&self) -> rusqlite::Result<Vec<(String, i64, Option<i64>)>> {
        self.connection
            .prepare_cached("SELECT name, created_at, updated_at FROM metadef_resource_types ORDER BY number")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::local::registry::Registry;

    fn namespace(name: &str, owner: &str, is_public: bool) -> Namespace {
        Namespace {
            number: 0,
            namespace: name.to_owned(),
            display_name: None,
            description: None,
            is_public,
            protected: false,
            owner: Some(owner.to_owned()),
            created_at: now(),
            updated_at: None,
        }
    }

    #[test]
    fn pages_hold_what_the_caller_sees_and_nothing_twice() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::open(&directory.path().join("r.sqlite")).unwrap();
        let names = |caller: &Caller, sort_key, direction| {
            let mut names = Vec::new();
            let mut listing =
                NamespaceListing { public: None, resource_types: None, sort_key, direction, marker: None, limit: 2 };
            loop {
                let page = registry.read(|session| session.namespaces(caller, &listing)).unwrap();
                let Some(last) = page.last() else { return names.join(" ") };
                listing.marker = Some(last.number);
                names.extend(page.into_iter().map(|namespace| namespace.namespace));
            }
        };
        registry
            .write(|session| {
                for (name, owner, public) in
                    [("c", "p", false), ("a", "q", true), ("d", "q", false), ("b", "q", true), ("e", "p", true)]
                {
                    assert!(session.add_namespace(&mut namespace(name, owner, public))?);
                }
                assert!(!session.add_namespace(&mut namespace("a", "p", true))?);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
        let member = Caller { project_id: Some("p".to_owned()), ..Caller::default() };
        let admin = Caller { is_admin: true, ..Caller::default() };
        for (key, member_sees, admin_sees) in [
            ("namespace", "a b c e", "a b c d e"),
            ("created_at", "c a b e", "c a d b e"),
            ("owner", "c e a b", "c e a d b"),
        ] {
            assert_eq!(names(&member, key, Direction::Ascending), member_sees, "{key}");
            assert_eq!(names(&admin, key, Direction::Ascending), admin_sees, "{key}");
            let backwards: String = admin_sees.chars().rev().collect();
            assert_eq!(names(&admin, key, Direction::Descending), backwards, "{key}");
        }
        assert_eq!(names(&Caller::default(), "namespace", Direction::Ascending), "a b e");
    }

    #[test]
    fn a_namespace_takes_all_that_it_defines_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::open(&directory.path().join("r.sqlite")).unwrap();
        registry
            .write(|session| {
                let mut one = namespace("one", "p", true);
                session.add_namespace(&mut one)?;
                let item = Item { number: 0, name: "i".into(), content: Map::new(), created_at: 1, updated_at: None };
                for kind in [ItemKind::Object, ItemKind::ResourceType] {
                    assert!(session.add_item(one.number, kind, &item)?);
                    assert!(!session.add_item(one.number, kind, &item)?);
                }
                session.remove_namespace(one.number)?;
                assert!(session.items(one.number, ItemKind::Object)?.is_empty());
                // What it was for stays known.
                assert!(session.knows_resource_type("i")?);
                Ok::<_, rusqlite::Error>(())
            })
            .unwrap();
    }
}
