//! What follows the `?` of a list: filters, order, page.

use url::form_urlencoded;

use crate::local::caller::Caller;
use crate::local::registry::{Direction, Listing, SharedWith, SortKey, Viewer, Wanted};

/// The pairs of a query, decoded, in order.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The list that the caller sees without asking for anything else.
pub fn usual(caller: &Caller, limit: usize) -> Listing {
    Listing {
        viewer: Viewer { admin: caller.is_admin, project: caller.project_id.clone() },
        wanted: Wanted::Usual,
        shared_with: SharedWith::Status("accepted".to_owned()),
        conditions: Vec::new(),
        sort: vec![(SortKey::CreatedAt, Direction::Descending), (SortKey::Id, Direction::Descending)],
        marker: None,
        limit,
    }
}
