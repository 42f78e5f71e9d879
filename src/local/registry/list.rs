//! Lists: which images a caller sees, filtered, sorted, a page at a time.
//!
//! A page starts after its marker by the values that the marker has in the
//! sort keys, so finding it is a seek in an index and never a count. What a
//! project sees is a union of parts that do not overlap (all that is public;
//! its own of each other visibility; shared with it), each of which gives no
//! more than a page.

use rusqlite::types::Value;

use super::{COLUMNS, Image, Session, Visibility, image_of};

/// Whose eyes a list is seen through.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// Sees everything.
    pub admin: bool,
    /// The project.
    pub project: Option<String>,
}

/// Which visibilities are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Everything but the community images of others.
    #[default]
    Usual,
    /// Everything.
    All,
    /// One visibility.
    Only(Visibility),
}

/// Which of the images that others share are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedWith {
    /// Whatever became of the offer.
    All,
    /// Those whose offer is `pending`, `accepted` or `rejected`.
    Status(String),
}

/// What a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

/// What a list can be sorted by, under the names that clients use.
pub const SORT_KEYS: [(&str, SortKey); 8] = [
    ("name", SortKey::Name),
    ("status", SortKey::Status),
    ("container_format", SortKey::ContainerFormat),
    ("disk_format", SortKey::DiskFormat),
    ("size", SortKey::Size),
    ("id", SortKey::Id),
    ("created_at", SortKey::CreatedAt),
    ("updated_at", SortKey::UpdatedAt),
];

impl SortKey {
    /// The expression that is sorted by: what is not set comes first.
    fn sql(self) -> &'static str {
        match self {
            SortKey::Name => "coalesce(name, '')",
            SortKey::Status => "status",
            SortKey::ContainerFormat => "coalesce(container_format, '')",
            SortKey::DiskFormat => "coalesce(disk_format, '')",
            SortKey::Size => "coalesce(size, -1)",
            SortKey::Id => "id",
            SortKey::CreatedAt => "created_at",
            SortKey::UpdatedAt => "updated_at",
        }
    }

    fn of(self, image: &Image) -> Value {
        let text = |text: &Option<String>| Value::Text(text.clone().unwrap_or_default());
        match self {
            SortKey::Name => text(&image.name),
            SortKey::Status => Value::Text(image.status.name().to_owned()),
            SortKey::ContainerFormat => text(&image.container_format),
            SortKey::DiskFormat => text(&image.disk_format),
            SortKey::Size => Value::Integer(super::stored(image.size).unwrap_or(-1)),
            SortKey::Id => Value::Text(image.id.clone()),
            SortKey::CreatedAt => Value::Integer(image.created_at),
            SortKey::UpdatedAt => Value::Integer(image.updated_at),
        }
    }
}

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

/// How a column is held against a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Compare {
    fn sql(self) -> &'static str {
        match self {
            Compare::Equal => "=",
            Compare::NotEqual => "!=",
            Compare::Less => "<",
            Compare::LessOrEqual => "<=",
            Compare::Greater => ">",
            Compare::GreaterOrEqual => ">=",
        }
    }
}

/// What an image must be to be in the list. Columns are names of this
/// program's, never of a user's.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A column compares so with a value.
    Is(&'static str, Compare, Value),
    /// A column has one of these values.
    In(&'static str, Vec<String>),
    /// A property has this value.
    Property(String, String),
    /// A tag is there.
    Tag(String),
    /// Nothing is.
    Never,
}

/// A list that is wanted.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Through whose eyes.
    pub viewer: Viewer,
    /// Of which visibility.
    pub wanted: Wanted,
    /// Of which memberships.
    pub shared_with: SharedWith,
    /// Whether also what was deleted, and what was killed.
    pub gone: bool,
    /// Of what sort.
    pub conditions: Vec<Condition>,
    /// In which order; the ID decides between equals.
    pub sort: Vec<(SortKey, Direction)>,
    /// The image after which the page begins.
    pub marker: Option<Image>,
    /// How many at most.
    pub limit: usize,
}

/// A statement in the making, and the values that go with it.
#[derive(Default)]
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn of(listing: &Listing) -> Self {
        let parts = parts(listing);
        let mut statement = Statement::default();
        if parts.len() > 1 {
            statement.text("SELECT * FROM (");
        }
        for (number, part) in parts.iter().enumerate() {
            statement.text(if number == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            page(&mut statement, part, listing);
            statement.text(")");
        }
        if parts.len() > 1 {
            statement.text(")");
            order(&mut statement, listing);
        }
        statement
    }

    fn text(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    fn value(&mut self, value: Value) -> &mut Self {
        self.sql.push('?');
        self.values.push(value);
        self
    }
}

impl Session<'_> {
    /// The page that `listing` asks for.
    pub fn list(&self, listing: &Listing) -> rusqlite::Result<Vec<Image>> {
        let statement = Statement::of(listing);
        let mut prepared = self.connection.prepare_cached(&statement.sql)?;
        let mut images = prepared
            .query_map(rusqlite::params_from_iter(&statement.values), image_of)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        self.complete(&mut images)?;
        Ok(images)
    }
}

/// How the database goes about it, a step each.
#[cfg(test)]
pub(super) fn plan(session: &Session, listing: &Listing) -> rusqlite::Result<Vec<String>> {
    let statement = Statement::of(listing);
    session
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql))?
        .query_map(rusqlite::params_from_iter(&statement.values), |row| row.get(3))?
        .collect()
}

/// One of the parts that make up what a viewer sees.
enum Part<'a> {
    Everything,
    /// Everything but the community images of other projects than this.
    Usual(Option<&'a str>),
    OfVisibility(Visibility),
    Own(&'a str, Visibility),
    SharedWith(&'a str, &'a SharedWith),
}

fn parts(listing: &Listing) -> Vec<Part<'_>> {
    let project = listing.viewer.project.as_deref();
    if listing.viewer.admin {
        return vec![match listing.wanted {
            Wanted::All => Part::Everything,
            Wanted::Usual => Part::Usual(project),
            Wanted::Only(visibility) => Part::OfVisibility(visibility),
        }];
    }
    let is_wanted = |visibility: Visibility| match listing.wanted {
        Wanted::Only(only) => only == visibility,
        _ => true,
    };
    let mut parts = Vec::new();
    for visibility in [Visibility::Public, Visibility::Community, Visibility::Shared, Visibility::Private] {
        let is_for_all = match visibility {
            Visibility::Public => true,
            Visibility::Community => listing.wanted != Wanted::Usual,
            Visibility::Shared | Visibility::Private => false,
        };
        match project {
            _ if !is_wanted(visibility) => {}
            _ if is_for_all => parts.push(Part::OfVisibility(visibility)),
            Some(project) => parts.push(Part::Own(project, visibility)),
            None => {}
        }
    }
    if let Some(project) = project
        && is_wanted(Visibility::Shared)
    {
        parts.push(Part::SharedWith(project, &listing.shared_with));
    }
    parts
}

/// At most a page of one part.
fn page(statement: &mut Statement, part: &Part, listing: &Listing) {
    let text = |text: &str| Value::Text(text.to_owned());
    statement.text("SELECT ").text(COLUMNS).text(" FROM images WHERE ");
    statement.text(if listing.gone { "1" } else { "deleted_at IS NULL AND status != 'killed'" });
    match part {
        Part::Everything => {}
        Part::Usual(None) => {
            statement.text(" AND visibility != 'community'");
        }
        Part::Usual(Some(project)) => {
            statement.text(" AND (visibility != 'community' OR owner = ").value(text(project)).text(")");
        }
        Part::OfVisibility(visibility) => {
            statement.text(" AND visibility = ").value(text(visibility.name()));
        }
        Part::Own(project, visibility) => {
            statement.text(" AND owner = ").value(text(project));
            statement.text(" AND visibility = ").value(text(visibility.name()));
        }
        Part::SharedWith(project, status) => {
            statement.text(" AND +visibility = 'shared' AND +owner IS NOT ").value(text(project));
            statement.text(" AND id IN (SELECT image_id FROM members WHERE member = ").value(text(project));
            if let SharedWith::Status(status) = status {
                statement.text(" AND status = ").value(text(status));
            }
            statement.text(")");
        }
    }
    for condition in &listing.conditions {
        holds(statement, condition);
    }
    if let Some(marker) = &listing.marker {
        after(statement, marker, &listing.sort);
    }
    order(statement, listing);
}

fn holds(statement: &mut Statement, condition: &Condition) {
    match condition {
        Condition::Is(column, compare, value) => {
            statement.text(" AND ").text(column).text(" ").text(compare.sql()).text(" ").value(value.clone());
        }
        Condition::In(column, values) => {
            statement.text(" AND ").text(column).text(" IN (SELECT value FROM json_each(");
            statement.value(Value::Text(serde_json::json!(values).to_string())).text("))");
        }
        Condition::Property(name, wanted) => {
            statement.text(" AND id IN (SELECT image_id FROM properties WHERE name = ");
            statement.value(Value::Text(name.clone())).text(" AND value = ");
            statement.value(Value::Text(wanted.clone())).text(")");
        }
        Condition::Tag(tag) => {
            statement.text(" AND id IN (SELECT image_id FROM tags WHERE value = ");
            statement.value(Value::Text(tag.clone())).text(")");
        }
        Condition::Never => {
            statement.text(" AND 0");
        }
    }
}

/// What comes after `marker` in the order of `sort`.
fn after(statement: &mut Statement, marker: &Image, sort: &[(SortKey, Direction)]) {
    let (key, direction) = sort.first().copied().unwrap_or((SortKey::Id, Direction::Ascending));
    let compare = |direction| if direction == Direction::Ascending { ">" } else { "<" };
    if sort.iter().all(|(_, other)| *other == direction) {
        // One comparison of rows, which an index of the same keys answers. But
        // where its first key is an expression, SQLite seeks only by that key's own bound.
        if matches!(key, SortKey::Name | SortKey::ContainerFormat | SortKey::DiskFormat | SortKey::Size) {
            statement.text(" AND ").text(key.sql()).text(compare(direction)).text("= ").value(key.of(marker));
        }
        statement.text(" AND (");
        for (number, (key, _)) in sort.iter().enumerate() {
            statement.text(if number == 0 { "" } else { ", " }).text(key.sql());
        }
        statement.text(") ").text(compare(direction)).text(" (");
        for (number, (key, _)) in sort.iter().enumerate() {
            statement.text(if number == 0 { "" } else { ", " }).value(key.of(marker));
        }
        statement.text(")");
        return;
    }
    // The first key bounds where to look, the rest decides.
    statement.text(" AND ").text(key.sql()).text(compare(direction)).text("= ").value(key.of(marker));
    statement.text(" AND (");
    for (number, (key, direction)) in sort.iter().enumerate() {
        statement.text(if number == 0 { "(" } else { " OR (" });
        for (equal, _) in &sort[..number] {
            statement.text(equal.sql()).text(" = ").value(equal.of(marker)).text(" AND ");
        }
        statement.text(key.sql()).text(compare(*direction)).value(key.of(marker)).text(")");
    }
    statement.text(")");
}

fn order(statement: &mut Statement, listing: &Listing) {
    for (number, (key, direction)) in listing.sort.iter().enumerate() {
        statement.text(if number == 0 { " ORDER BY " } else { ", " }).text(key.sql());
        statement.text(if *direction == Direction::Ascending { "" } else { " DESC" });
    }
    statement.text(" LIMIT ").value(Value::Integer(i64::try_from(listing.limit).unwrap_or(i64::MAX)));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::local::registry::{MIGRATIONS, Visibility::*};

    /// However many images there are, a page reads its own and no others: a
    /// seek for each part, in the order of an index.
    #[test]
    fn a_page_is_found_by_seeking() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(&MIGRATIONS.concat()).unwrap();
        let wanted =
            [Wanted::Usual, Wanted::All].into_iter().chain([Public, Private, Shared, Community].map(Wanted::Only));
        for (wanted, key) in wanted.flat_map(|wanted| {
            [SortKey::CreatedAt, SortKey::UpdatedAt, SortKey::Name, SortKey::Size].map(|key| (wanted, key))
        }) {
            for (admin, direction, marked) in [
                (true, Direction::Descending, true),
                (false, Direction::Descending, false),
                (false, Direction::Descending, true),
                (false, Direction::Ascending, true),
            ] {
                let mut sort = vec![(key, direction), (SortKey::CreatedAt, direction), (SortKey::Id, direction)];
                sort.dedup_by_key(|(key, _)| *key as u8);
                let listing = Listing {
                    viewer: Viewer { admin, project: Some("me".into()) },
                    wanted,
                    shared_with: SharedWith::Status("accepted".into()),
                    gone: false,
                    conditions: vec![Condition::Is("os_hidden", Compare::Equal, Value::from(false))],
                    sort,
                    marker: marked.then(|| Image::new("id".into())),
                    limit: 25,
                };
                let statement = Statement::of(&listing);
                let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
                let steps = plan.query_map(rusqlite::params_from_iter(&statement.values), |row| row.get(3)).unwrap();
                let steps: Vec<String> = steps.map(|step| step.unwrap()).collect();
                assert!(!steps.iter().any(|step| step.starts_with("SCAN images")), "{listing:?}: {steps:#?}");
                // What a seek finds is in order; sorted are only pages, to merge them.
                let is_sorted_after_seek =
                    |two: &[String]| two[0].starts_with("SEARCH images USING INDEX") && two[1].contains("TEMP B-TREE");
                assert!(!steps.windows(2).any(is_sorted_after_seek), "{listing:?}: {steps:#?}");
            }
        }
    }
}
