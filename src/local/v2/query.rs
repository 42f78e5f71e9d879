//! What follows the `?` of a list of images: filters, order, page
//! (<https://docs.openstack.org/api-ref/image/v2/#list-images>).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::types::Value;
use url::form_urlencoded;

use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::filter::{boolean, condition, number};
use crate::local::registry::{
    Compare, Condition, Direction, Listing, SORT_KEYS, SharedWith, SortKey, Viewer, Visibility, Wanted,
};
use crate::local::settings::Limits;

/// The pairs of a query, decoded, in order.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The same pairs as a query again, written as Python does.
pub fn written(pairs: &[(String, String)]) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b' ');
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string().replace(' ', "+");
    pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// The list that a query asks for, and the ID that its page begins after.
pub fn listing(caller: &Caller, limits: &Limits, pairs: &[(String, String)]) -> Result<(Listing, Option<String>)> {
    let mut listing = Listing {
        viewer: Viewer { admin: caller.is_admin, project: caller.project_id.clone() },
        wanted: Wanted::Usual,
        shared_with: SharedWith::Status("accepted".to_owned()),
        gone: false,
        conditions: Vec::new(),
        sort: Vec::new(),
        marker: None,
        limit: limits.page.min(limits.longest_page),
    };
    let mut marker = None;
    let mut hidden = None;
    let mut order = Order::default();
    let mut filters: Vec<(&str, &str)> = Vec::new();
    for (name, value) in pairs {
        match name.as_str() {
            "limit" => listing.limit = limit(value)?.min(limits.longest_page),
            "marker" => marker = Some(value.clone()),
            "member_status" => listing.shared_with = member_status(value)?,
            "tag" => listing.conditions.push(Condition::Tag(value.trim().to_owned())),
            "sort" => order.new = Some(value),
            "sort_key" => order.keys.push(value),
            "sort_dir" => order.directions.push(value),
            "visibility" => listing.wanted = wanted(value)?,
            "os_hidden" => hidden = Some(value.to_lowercase()),
            "changes-since" if !value.is_empty() => {
                return Err(Failure::bad_request("The \"changes-since\" filter is no longer available on v2."));
            }
            // A filter that is given twice counts as it was given last.
            _ => {
                filters.retain(|(known, _)| known != name);
                filters.push((name, value));
            }
        }
    }
    listing.sort = order.read()?;
    let hidden = hidden.unwrap_or_else(|| "false".to_owned());
    let hidden = boolean("os_hidden", &hidden)?;
    listing.conditions.push(Condition::Is("os_hidden", Compare::Equal, Value::from(hidden)));
    for (name, value) in filters {
        listing.conditions.push(condition(name, value)?);
    }
    Ok((listing, marker))
}

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Failure::bad_request(message.into()))
}

fn limit(value: &str) -> Result<usize> {
    match number(value) {
        None => bad("limit param must be an integer"),
        Some(limit) => usize::try_from(limit).or_else(|_| bad("limit param must be positive")),
    }
}

fn member_status(value: &str) -> Result<SharedWith> {
    match value {
        "all" => Ok(SharedWith::All),
        "pending" | "accepted" | "rejected" => Ok(SharedWith::Status(value.to_owned())),
        _ => bad(format!("Invalid status: {value}")),
    }
}

fn wanted(value: &str) -> Result<Wanted> {
    match (value, Visibility::named(value)) {
        ("all", _) => Ok(Wanted::All),
        (_, Some(visibility)) => Ok(Wanted::Only(visibility)),
        _ => bad(format!("Invalid visibility value: {value}")),
    }
}

/// How a list is to be sorted, in the older or the newer way of saying it.
#[derive(Default)]
struct Order<'a> {
    new: Option<&'a str>,
    keys: Vec<&'a str>,
    directions: Vec<&'a str>,
}

impl Order<'_> {
    fn read(&self) -> Result<Vec<(SortKey, Direction)>> {
        let mut keys = Vec::new();
        let mut directions = Vec::new();
        if let Some(new) = self.new {
            if !self.keys.is_empty() || !self.directions.is_empty() {
                return bad("Old and new sorting syntax cannot be combined");
            }
            for part in new.trim().split(',') {
                let (key, direction) = part.split_once(':').unwrap_or((part, ""));
                keys.push(sort_key(key)?);
                directions.push(sort_dir(if direction.is_empty() { "desc" } else { direction })?);
            }
        } else {
            for key in &self.keys {
                keys.push(sort_key(key)?);
            }
            for direction in &self.directions {
                directions.push(sort_dir(direction)?);
            }
            if directions.len() > 1 && directions.len() != keys.len() {
                return bad("Number of sort dirs does not match the number of sort keys");
            }
        }
        if keys.is_empty() {
            keys.push(SortKey::CreatedAt);
        }
        // One direction is for all keys, and for those that follow.
        let rest = match directions[..] {
            [only] => only,
            _ => Direction::Descending,
        };
        let mut sort: Vec<(SortKey, Direction)> = Vec::new();
        for (at, key) in keys.into_iter().enumerate() {
            // A key that comes again decides nothing any more.
            if sort.iter().all(|(known, _)| *known != key) {
                sort.push((key, directions.get(at).copied().unwrap_or(rest)));
            }
        }
        for key in [SortKey::CreatedAt, SortKey::Id] {
            if sort.iter().all(|(known, _)| *known != key) {
                sort.push((key, rest));
            }
        }
        Ok(sort)
    }
}

fn sort_key(text: &str) -> Result<SortKey> {
    let text = text.trim();
    match SORT_KEYS.iter().find(|(name, _)| *name == text) {
        Some((_, key)) => Ok(*key),
        None => {
            let names = SORT_KEYS.map(|(name, _)| name).join(", ");
            bad(format!("Invalid sort key: {text}. It must be one of the following: {names}."))
        }
    }
}

fn sort_dir(text: &str) -> Result<Direction> {
    match text.trim() {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
        other => bad(format!("Invalid sort direction: {other}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(query: &str) -> std::result::Result<Listing, u16> {
        let (caller, limits) = (Caller::default(), Limits::default());
        listing(&caller, &limits, &pairs(query)).map(|(listing, _)| listing).map_err(|e| e.status.as_u16())
    }

    fn only(query: &str) -> Condition {
        read(query).unwrap().conditions.pop().unwrap()
    }

    #[test]
    fn filters_are_understood() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (query, condition) in [
            ("name=a", Condition::Is("name", Compare::Equal, text("a"))),
            ("name=x&name=a", Condition::Is("name", Compare::Equal, text("a"))),
            ("name=eq:a:b", Condition::Is("name", Compare::Equal, text("a:b"))),
            ("name=2020-01-01T00:00:00Z", Condition::Is("name", Compare::Equal, text("2020-01-01T00:00:00Z"))),
            (r#"name=in:a,"b,c",d"#, Condition::In("name", ["a", "b,c", "d"].map(str::to_owned).into())),
            ("status=in:active", Condition::In("status", vec!["active".into()])),
            ("size_min=5", Condition::Is("size", Compare::GreaterOrEqual, Value::Integer(5))),
            ("size=x", Condition::Never),
            ("min_ram=5", Condition::Is("min_ram", Compare::Equal, Value::Integer(5))),
            ("protected=true", Condition::Is("protected", Compare::Equal, Value::Integer(1))),
            (
                "created_at=gt:1970-01-01T00:00:01Z",
                Condition::Is("created_at", Compare::Greater, Value::Integer(1_000_000)),
            ),
            ("updated_at=1970-01-01", Condition::Is("updated_at", Compare::Equal, Value::Integer(0))),
            ("hw_disk_bus=scsi", Condition::Property("hw_disk_bus".into(), "scsi".into())),
        ] {
            assert_eq!(only(query), condition, "{query}");
        }
        assert_eq!(
            read("tag=a&tag=+b+").unwrap().conditions[..2],
            [Condition::Tag("a".into()), Condition::Tag("b".into())]
        );
        assert_eq!(read("visibility=all").unwrap().wanted, Wanted::All);
        assert_eq!(read("limit=99999999999999999999").unwrap().limit, 1000);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in [
            "limit=x",
            "limit=-1",
            "member_status=x",
            "visibility=x",
            "protected=x",
            "os_hidden=x",
            "changes-since=x",
            "sort_key=x",
            "sort_dir=up",
            "sort=name&sort_key=name",
            "sort_key=name&sort_dir=asc&sort_dir=asc",
            "name=gt:a",
            "created_at=yesterday",
            "created_at=in:1970-01-01",
            "size_min=x",
            "nothing_max=1",
            r#"name=in:a"b""#,
            r#"name=in:"b"a"#,
            r#"name=in:"b"#,
        ] {
            assert_eq!(read(query).unwrap_err(), 400, "{query}");
        }
    }

    #[test]
    fn the_id_decides_between_equals() {
        use Direction::*;
        let sort = |query: &str| read(query).unwrap().sort;
        assert_eq!(sort(""), [(SortKey::CreatedAt, Descending), (SortKey::Id, Descending)]);
        assert_eq!(
            sort("sort_key=name&sort_dir=asc"),
            [(SortKey::Name, Ascending), (SortKey::CreatedAt, Ascending), (SortKey::Id, Ascending)]
        );
        assert_eq!(
            sort("sort=name:asc,size,name:desc"),
            [
                (SortKey::Name, Ascending),
                (SortKey::Size, Descending),
                (SortKey::CreatedAt, Descending),
                (SortKey::Id, Descending)
            ]
        );
        assert_eq!(sort("sort=id:asc"), [(SortKey::Id, Ascending), (SortKey::CreatedAt, Ascending)]);
    }

    #[test]
    fn a_query_is_written_as_it_was_read() {
        let query = "tag=a&tag=b+c&name=%C3%A9%2A~";
        assert_eq!(written(&pairs(query)), query);
    }
}
