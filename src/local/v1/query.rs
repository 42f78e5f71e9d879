//! What follows the `?` of a list: filters, order, page.

use rusqlite::types::Value;

use crate::local::caller::Caller;
use crate::local::failure::{Failure, Result};
use crate::local::filter::{condition, instant};
use crate::local::registry::{Compare, Condition, Direction, Listing, SORT_KEYS, SharedWith, SortKey, Viewer, Wanted};
use crate::local::settings::Limits;

/// The list that the pairs of a query ask for, and the ID that its page begins after.
pub fn listing(caller: &Caller, limits: &Limits, pairs: &[(String, String)]) -> Result<(Listing, Option<String>)> {
    // What is given twice counts as it was given last.
    let given = |name: &str| pairs.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut conditions = Vec::new();
    for name in ["name", "status", "container_format", "disk_format", "min_ram", "min_disk", "size_min", "size_max"] {
        let Some(value) = given(name) else { continue };
        if matches!(name, "min_ram" | "size_min" | "size_max") && !is_count(value) {
            return Err(bad_filter(name, value));
        }
        conditions.push(condition(name, value)?);
    }
    let mut properties: Vec<&str> = Vec::new();
    for (name, _) in pairs.iter().filter(|(name, _)| name.starts_with("property-")) {
        if !properties.contains(&name.as_str()) {
            properties.push(name);
        }
    }
    for name in properties {
        let (property, value) = (name.trim_start_matches("property-"), given(name).unwrap_or_default());
        conditions.push(Condition::Property(property.to_owned(), value.to_owned()));
    }
    let words = |name: &'static str| match given(name) {
        Some(word) => Word::read(word).map(Some).ok_or_else(|| bad_filter(name, word)),
        None => Ok(None),
    };
    match words("protected")? {
        Some(Word::None) => return bad("protected must be True, or False"),
        Some(word) => conditions.push(Condition::Is("protected", Compare::Equal, Value::from(word == Word::True))),
        None => {}
    }
    let mut gone = false;
    if let Some(since) = given("changes-since") {
        let Some(since) = instant(since) else { return bad("Unrecognized changes-since value") };
        conditions.push(Condition::Is("updated_at", Compare::Greater, Value::Integer(since)));
        gone = true;
    }
    // An admin sees what a user would, unless another answer is asked for.
    let mut admin = false;
    match words("is_public")? {
        Some(Word::None) => admin = caller.is_admin,
        Some(Word::False) if caller.is_admin => {
            admin = true;
            conditions.push(Condition::Is("visibility", Compare::NotEqual, Value::Text("public".to_owned())));
        }
        _ => {}
    }
    let direction = match given("sort_dir") {
        None | Some("desc") => Direction::Descending,
        Some("asc") => Direction::Ascending,
        Some(_) => return bad("Unsupported sort_dir. Acceptable values: asc, desc"),
    };
    let key = given("sort_key").unwrap_or("created_at");
    let Some((_, key)) = SORT_KEYS.iter().find(|(name, _)| *name == key) else {
        let names = SORT_KEYS.map(|(name, _)| name).join(", ");
        return bad(format!("Unsupported sort_key. Acceptable values: {names}"));
    };
    let mut sort = vec![(*key, direction)];
    for next in [SortKey::CreatedAt, SortKey::Id] {
        if *key != next && *key != SortKey::Id {
            sort.push((next, direction));
        }
    }
    let limit = match given("limit") {
        None => limits.page,
        Some(limit) if is_count(limit) => limit.trim().parse().unwrap_or(usize::MAX),
        Some(limit) => match limit.trim().parse::<i64>() {
            Ok(_) => return bad("limit param must be positive"),
            Err(_) => return bad("limit param must be an integer"),
        },
    };
    let marker = given("marker");
    if marker.is_some_and(|marker| !marker.is_empty() && !is_uuid_like(marker)) {
        return bad("Invalid marker format");
    }
    let listing = Listing {
        viewer: Viewer { admin, project: caller.project_id.clone() },
        wanted: Wanted::Usual,
        shared_with: SharedWith::All,
        gone,
        conditions,
        sort,
        marker: None,
        limit: limit.min(limits.longest_page),
    };
    Ok((listing, marker.map(str::to_owned)))
}

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Failure::bad_request(message.into()))
}

fn bad_filter(name: &str, value: &str) -> Failure {
    Failure::bad_request(format!("Bad value passed to filter {name} got {value}"))
}

fn is_count(text: &str) -> bool {
    let text = text.trim();
    text.parse::<i64>().is_ok_and(|number| number >= 0)
        || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a filter of yes and no may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    True,
    False,
    None,
}

impl Word {
    fn read(word: &str) -> Option<Word> {
        match word.to_lowercase().as_str() {
            "true" | "1" => Some(Word::True),
            "false" | "0" => Some(Word::False),
            "none" => Some(Word::None),
            _ => None,
        }
    }
}

/// Whether the text is a UUID, with its hyphens or without.
pub fn is_uuid_like(text: &str) -> bool {
    let digits = text.bytes().filter(|byte| *byte != b'-').collect::<Vec<_>>();
    text.len() <= 36 && digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(admin: bool, query: &str) -> std::result::Result<Listing, String> {
        let caller = Caller { is_admin: admin, project_id: Some("p".into()), ..Caller::default() };
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let listed = listing(&caller, &Limits::default(), &pairs);
        listed.map(|(listing, _)| listing).map_err(|failure| failure.cause().to_owned())
    }

    #[test]
    fn filters_are_understood() {
        let listing = read(false, "name=a&size_min=3&property-os=x&property-os=y&unknown=1&is_public=0").unwrap();
        assert_eq!(
            listing.conditions,
            [
                Condition::Is("name", Compare::Equal, Value::Text("a".into())),
                Condition::Is("size", Compare::GreaterOrEqual, Value::Integer(3)),
                Condition::Property("os".into(), "y".into()),
            ]
        );
        let since = read(false, "changes-since=1970-01-01T00:00:01").unwrap();
        assert_eq!(since.conditions, [Condition::Is("updated_at", Compare::Greater, Value::Integer(1_000_000))]);
        assert!(since.gone && !listing.gone);
        assert_eq!((listing.limit, read(false, "limit=5000").unwrap().limit), (25, 1000));
        assert_eq!(read(false, "limit=99999999999999999999999").unwrap().limit, 1000);
    }

    #[test]
    fn an_admin_sees_as_a_user_unless_asked_otherwise() {
        for (query, admin, conditions) in [("", false, 0), ("is_public=True", false, 0), ("is_public=None", true, 0)] {
            let listing = read(true, query).unwrap();
            assert_eq!((listing.viewer.admin, listing.conditions.len()), (admin, conditions), "{query}");
            assert!(!read(false, query).unwrap().viewer.admin);
        }
        assert_eq!(read(true, "is_public=false").unwrap().conditions.len(), 1);
        assert!(read(false, "is_public=false").unwrap().conditions.is_empty());
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (query, words) in [
            ("size_min=x", "Bad value passed to filter size_min got x"),
            ("size_max=-1", "Bad value passed to filter size_max got -1"),
            ("min_ram=", "Bad value passed to filter min_ram got "),
            ("protected=maybe", "Bad value passed to filter protected got maybe"),
            ("protected=none", "protected must be True, or False"),
            ("is_public=maybe", "Bad value passed to filter is_public got maybe"),
            ("limit=x", "limit param must be an integer"),
            ("limit=-1", "limit param must be positive"),
            ("marker=x", "Invalid marker format"),
            ("sort_key=owner", "Unsupported sort_key. Acceptable values: name, status"),
            ("sort_dir=up", "Unsupported sort_dir. Acceptable values: asc, desc"),
            ("changes-since=x", "Unrecognized changes-since value"),
        ] {
            let refused = read(true, query).unwrap_err();
            assert!(refused.starts_with(words), "{query}: {refused}");
        }
    }

    #[test]
    fn a_uuid_may_be_without_hyphens() {
        assert!(is_uuid_like("1bea47ed-f6a9-463b-b423-14b9cca9ad27"));
        assert!(is_uuid_like("1bea47edf6a9463bb42314b9cca9ad27"));
        assert!(!is_uuid_like("1bea47edf6a9463bb42314b9cca9ad2"));
        assert!(!is_uuid_like("xbea47edf6a9463bb42314b9cca9ad27"));
    }
}
