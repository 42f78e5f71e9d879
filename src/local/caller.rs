//! Who asks: what a token says of its bearer.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_owns_is_not_owned_by_who_has_no_project() {
        assert!(!Caller::default().owns(None));
        assert!(Caller { project_id: Some("p".into()), ..Caller::default() }.owns(Some("p")));
    }
}
