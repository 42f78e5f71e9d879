//! Who there is: domains, projects, users, and the roles that they hold.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::password::Hash;
use crate::local::caller::Caller;

/// Everything that the identity service knows; it does not change while the service runs.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The region that the endpoints are in.
    pub region: String,
    /// The domains.
    pub domains: Vec<Domain>,
    /// The projects.
    pub projects: Vec<Project>,
    /// The users.
    pub users: Vec<User>,
    /// The names of all roles.
    pub roles: Vec<String>,
}

/// A space for the names of users and projects.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What owns images.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its ID.
    pub id: String,
    /// Its name, unique in its domain.
    pub name: String,
    /// The ID of its domain.
    pub domain_id: String,
    /// What it is for.
    pub description: String,
    /// Whether anybody may sign in to it.
    pub enabled: bool,
}

/// Who signs in.
#[derive(Debug, Clone)]
pub struct User {
    /// The user's ID.
    pub id: String,
    /// The user's name, unique in the domain.
    pub name: String,
    /// The ID of the user's domain.
    pub domain_id: String,
    /// Whether the user may sign in.
    pub enabled: bool,
    /// What the password must fit; without it there is no signing in with one.
    pub password: Option<Hash>,
    /// Where the user may act, and as what.
    pub grants: Vec<Grant>,
    /// Keys of a part of what the user may do.
    pub application_credentials: Vec<ApplicationCredential>,
}

/// The roles that a user holds somewhere.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Where they are held.
    pub scope: Scope,
    /// Their names.
    pub roles: Vec<String>,
}

/// A key for programs: some of a user's roles on one project
/// (<https://docs.openstack.org/keystone/latest/user/application_credentials.html>).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApplicationCredential {
    /// Its ID.
    pub id: String,
    /// Its name, unique for its user.
    pub name: String,
    /// What its secret must fit.
    pub secret: Hash,
    /// The ID of the project that it is good for.
    pub project_id: String,
    /// The roles; all that the user holds there if empty.
    pub roles: Vec<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When it ends, in seconds since 1970, UTC; never if not said.
    pub expires: Option<i64>,
    /// Whether others may be made and removed with it; not if not said.
    pub unrestricted: Option<bool>,
}

/// What a token is good for; projects and domains by ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Nothing in particular.
    Unscoped,
    /// A project.
    Project(String),
    /// A domain.
    Domain(String),
    /// The whole installation.
    System,
}

/// The roles of a new Keystone, each of which implies the next
/// (<https://docs.openstack.org/keystone/latest/admin/service-api-protection.html>).
pub const ROLES: [&str; 4] = ["admin", "manager", "member", "reader"];

/// The ID of the domain that a new Keystone has.
pub const DEFAULT_DOMAIN: &str = "default";

/// The ID of a thing that was given none: the same whenever the service
/// starts, because images belong to projects by ID.
pub fn id_of(parts: &[&str]) -> String {
    let digest = digest::digest(&digest::SHA256, parts.join("\0").as_bytes());
    digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Directory {
    /// One administrator, `admin` in the project `admin`.
    pub fn of_admin(password: Option<Hash>) -> Self {
        let project = Project {
            id: id_of(&["project", DEFAULT_DOMAIN, "admin"]),
            name: "admin".to_owned(),
            domain_id: DEFAULT_DOMAIN.to_owned(),
            description: String::new(),
            enabled: true,
        };
        let grant = |scope| Grant { scope, roles: vec!["admin".to_owned()] };
        let user = User {
            id: id_of(&["user", DEFAULT_DOMAIN, "admin"]),
            name: "admin".to_owned(),
            domain_id: DEFAULT_DOMAIN.to_owned(),
            enabled: true,
            password,
            grants: vec![grant(Scope::Project(project.id.clone())), grant(Scope::System)],
            application_credentials: Vec::new(),
        };
        Directory {
            region: "RegionOne".to_owned(),
            domains: vec![Domain { id: DEFAULT_DOMAIN.to_owned(), name: "Default".to_owned() }],
            projects: vec![project],
            users: vec![user],
            roles: ROLES.map(str::to_owned).to_vec(),
        }
    }

    /// The domain of this ID.
    pub fn domain(&self, id: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.id == id)
    }

    /// The project of this ID.
    pub fn project(&self, id: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.id == id)
    }

    /// The user of this ID.
    pub fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The roles that `user` holds in `scope`, with those that they imply, in
    /// Keystone's order of rank; none if the place is closed.
    pub fn roles_of(&self, user: &User, scope: &Scope) -> Vec<String> {
        let open = match scope {
            Scope::Project(id) => self.project(id).is_some_and(|project| project.enabled),
            Scope::Domain(id) => self.domain(id).is_some(),
            Scope::Unscoped | Scope::System => true,
        };
        let held = user.grants.iter().filter(|grant| open && grant.scope == *scope).flat_map(|grant| &grant.roles);
        with_implied(held)
    }

    /// What the image service is to know of `user` in `scope`. Whether they
    /// are an administrator is for its own rules to say.
    pub fn caller(&self, user: &User, scope: &Scope, roles: &[String]) -> Caller {
        let project = match scope {
            Scope::Project(id) => self.project(id),
            _ => None,
        };
        Caller {
            user_id: user.id.clone(),
            user_name: user.name.clone(),
            user_domain_id: user.domain_id.clone(),
            project_id: project.map(|project| project.id.clone()),
            project_name: project.map(|project| project.name.clone()),
            project_domain_id: project.map(|project| project.domain_id.clone()),
            roles: roles.iter().map(|role| role.to_lowercase()).collect(),
            is_admin: false,
        }
    }
}

/// `held`, once each, with what they imply.
pub fn with_implied<'a>(held: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let held: Vec<&String> = held.into_iter().collect();
    let highest = ROLES.iter().position(|rank| held.iter().any(|role| role == rank));
    let mut roles: Vec<String> =
        ROLES[highest.unwrap_or(ROLES.len())..].iter().map(|role| (*role).to_owned()).collect();
    for role in held {
        if !roles.contains(role) {
            roles.push(role.clone());
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_role_brings_those_below_it() {
        let roles = |held: &[&str]| with_implied(&held.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>());
        assert_eq!(roles(&["member"]), ["member", "reader"]);
        assert_eq!(roles(&["reader", "auditor", "admin"]), ["admin", "manager", "member", "reader", "auditor"]);
        assert_eq!(roles(&["auditor"]), ["auditor"]);
        assert!(roles(&[]).is_empty());
    }

    #[test]
    fn ids_are_the_same_on_every_start() {
        let admin = Directory::of_admin(None);
        assert_eq!(admin.projects[0].id, Directory::of_admin(None).projects[0].id);
        assert_ne!(admin.projects[0].id, admin.users[0].id);
        assert_eq!(admin.projects[0].id.len(), 32);
    }

    #[test]
    fn a_closed_project_gives_no_roles() {
        let mut directory = Directory::of_admin(None);
        let scope = Scope::Project(directory.projects[0].id.clone());
        assert_eq!(directory.roles_of(&directory.users[0], &scope).len(), 4);
        directory.projects[0].enabled = false;
        assert!(directory.roles_of(&directory.users[0], &scope).is_empty());
    }
}
