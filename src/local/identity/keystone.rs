//! The identity service: who there is, which tokens are good, and whom the image
//! service takes for an administrator.

use jiff::SignedDuration;

use super::directory::{Directory, Scope, User};
use super::made::Made;
use super::tokens::Tokens;
use crate::error::Result;
use crate::local::caller::Caller;
use crate::local::policy::{Policy, Target};

/// The identity service.
pub struct Keystone {
    pub(super) directory: Directory,
    pub(super) tokens: Tokens,
    policy: Policy,
    pub(super) made: Made,
}

impl Keystone {
    /// An identity service for the people in `directory`. `policy` holds the
    /// rules of the image service that differ from Glance's: one of them says
    /// who is an administrator there.
    pub fn new(directory: Directory, lifetime: SignedDuration, policy: &[(String, String)]) -> Result<Self> {
        let policy = Policy::new(policy.iter().map(|(name, check)| (name.as_str(), check.as_str())))?;
        Ok(Keystone { directory, tokens: Tokens::new(lifetime), policy, made: Made::default() })
    }

    /// The same, where users may make application credentials of their own.
    pub fn with(mut self, made: Made) -> Self {
        self.made = made;
        self
    }

    /// The bearer of a token for `scope` as the image service knows it.
    pub(super) fn caller_of(&self, user: &User, scope: &Scope, roles: &[String]) -> Caller {
        let mut caller = self.directory.caller(user, scope, roles);
        caller.is_admin = self.policy.check("context_is_admin", &caller, &Target::default());
        caller
    }
}

/// The administrator of a service that was not told of anybody.
pub fn admin(policy: &[(String, String)]) -> Result<Caller> {
    let directory = Directory::of_admin(None);
    let keystone = Keystone::new(directory, SignedDuration::ZERO, policy)?;
    let user = &keystone.directory.users[0];
    let scope = Scope::Project(keystone.directory.projects[0].id.clone());
    Ok(keystone.caller_of(user, &scope, &keystone.directory.roles_of(user, &scope)))
}
