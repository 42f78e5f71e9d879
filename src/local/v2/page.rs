//! What follows the `?` of a list of namespaces, tags or tasks: order and page.

use super::query::written;
use crate::local::failure::{Failure, Result};
use crate::local::registry::Direction;

/// The part of a list that is asked for.
pub struct Page<'a> {
    /// The most that are wanted.
    pub limit: Option<&'a str>,
    /// What it begins after.
    pub marker: Option<&'a str>,
    /// What to sort by.
    pub sort_key: &'a str,
    /// Which way.
    pub direction: Direction,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Page<'a> {
    /// Reads the pairs of a query. What is given twice counts as it was given last.
    pub fn read(pairs: &'a [(String, String)]) -> Result<Self> {
        let mut last: Vec<(&str, &str)> = Vec::new();
        for (name, value) in pairs {
            match last.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1 = value,
                None => last.push((name, value)),
            }
        }
        let mut page =
            Page { limit: None, marker: None, sort_key: "created_at", direction: Direction::Descending, pairs: last };
        page.limit = page.get("limit");
        page.marker = page.get("marker");
        page.sort_key = page.get("sort_key").unwrap_or(page.sort_key);
        page.direction = match page.get("sort_dir") {
            Some("asc") => Direction::Ascending,
            None | Some("desc") => Direction::Descending,
            Some(other) => return Err(Failure::bad_request(format!("Invalid sort direction: {other}"))),
        };
        Ok(page)
    }

    /// A parameter of the query.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The limit as a number.
    pub fn limit(&self) -> Result<Option<usize>> {
        let Some(limit) = self.limit else { return Ok(None) };
        let limit: i64 = limit.trim().parse().map_err(|_| Failure::bad_request("limit param must be an integer"))?;
        usize::try_from(limit).map(Some).map_err(|_| Failure::bad_request("limit param must be positive"))
    }

    /// Where the first page is, and the one that begins after `marker`.
    pub fn link(&self, path: &str, marker: Option<&str>) -> String {
        let pairs = self.pairs.iter().filter(|(name, _)| *name != "marker").copied();
        let pairs = pairs.chain(marker.map(|marker| ("marker", marker)));
        let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        match written(&pairs) {
            query if query.is_empty() => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    #[test]
    fn links_keep_what_was_asked() {
        let pairs = pairs("limit=2&a=b:c&marker=x&limit=3");
        let page = Page::read(&pairs).unwrap();
        assert_eq!(page.limit().unwrap(), Some(3));
        assert_eq!(page.link("/p", None), "/p?limit=3&a=b%3Ac");
        assert_eq!(page.link("/p", Some("y")), "/p?limit=3&a=b%3Ac&marker=y");
        assert_eq!(Page::read(&[]).unwrap().link("/p", None), "/p");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Page::read(&pairs("sort_dir=up")).is_err());
        for limit in ["x", "", "-1", "1.5"] {
            assert!(Page::read(&pairs(&format!("limit={limit}"))).unwrap().limit().is_err(), "{limit}");
        }
    }
}
