//! Who asks: what a token says of its bearer, and who can tell.

use std::sync::Arc;

use super::identity;

/// The bearer of a token, as the rules of `policy` see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user's ID.
    pub user_id: String,
    /// The user's name.
    pub user_name: String,
    /// The domain that the user belongs to.
    pub user_domain_id: String,
    /// The project that the token is for: the owner of what its bearer creates.
    pub project_id: Option<String>,
    /// That project's name.
    pub project_name: Option<String>,
    /// The domain that the project belongs to.
    pub project_domain_id: Option<String>,
    /// The roles held on the project, in lower case as Glance compares them.
    pub roles: Vec<String>,
    /// Whether the rule `context_is_admin` holds: sees and changes everything.
    pub is_admin: bool,
}

impl Caller {
    /// Whether the caller holds `role`, given in lower case.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }

    /// Whether `project` is the caller's own; nobody's is nobody's.
    pub fn owns(&self, project: Option<&str>) -> bool {
        self.project_id.is_some() && self.project_id.as_deref() == project
    }
}

/// Tells who bears a token.
pub trait Identity: Send + Sync {
    /// The bearer of `token`, if it is one of ours and still valid.
    fn caller(&self, token: &str) -> Option<Arc<Caller>>;

    /// Where tokens are to be had: the value of the `WWW-Authenticate` header
    /// of a 401. `base` is where the client says that we are.
    fn challenge(&self, base: &str) -> String;

    /// Answers a request to the Identity API; `None` where there is none. May
    /// take its time.
    fn answer(&self, _: &identity::Asked) -> Option<identity::Reply> {
        None
    }
}

/// One token known to one user: the cloud `local` of a single rimg process.
pub struct FixedToken {
    token: String,
    caller: Arc<Caller>,
}

impl FixedToken {
    /// Takes `token` for `caller`'s, and no other.
    pub fn new(token: String, caller: Caller) -> Self {
        FixedToken { token, caller: Arc::new(caller) }
    }
}

impl Identity for FixedToken {
    fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        same(token.as_bytes(), self.token.as_bytes()).then(|| Arc::clone(&self.caller))
    }

    fn challenge(&self, _: &str) -> String {
        "Token".to_owned()
    }
}

/// Compares in a time that does not tell how much of a guess was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fixed_token_is_taken_and_no_other() {
        let identity = FixedToken::new("abc".into(), Caller { user_id: "me".into(), ..Caller::default() });
        assert_eq!(identity.caller("abc").unwrap().user_id, "me");
        for other in ["", "ab", "abd", "abcd"] {
            assert!(identity.caller(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_nobody_owns_is_not_owned_by_who_has_no_project() {
        assert!(!Caller::default().owns(None));
        assert!(Caller { project_id: Some("p".into()), ..Caller::default() }.owns(Some("p")));
    }
}
