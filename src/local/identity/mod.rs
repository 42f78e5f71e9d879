//! Identity v3, as far as a client of the image service asks for it: signing
//! in, what a token says, where the services are, and who there is
//! (<https://docs.openstack.org/api-ref/identity/v3/>).
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`directory`] | domains, projects, users and their roles |
//! | [`password`] | secrets as hashes |
//! | [`sign_in`] | from a proof of who one is to a token |
//! | [`tokens`] | those that are good now |
//! | [`made`] | application credentials that users make |
//! | [`read`] | what can be looked up |
//! | [`reply`] | answers and errors in Keystone's words |

pub mod directory;
pub mod made;
pub mod password;
mod read;
mod reply;
mod sign_in;
mod tokens;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::SignedDuration;

use super::caller::{Caller, Identity};
use super::policy::{Policy, Target};
use crate::error::Result;
pub use directory::Directory;
use made::Made;
pub use reply::Reply;
use reply::{no_method, no_page};
use tokens::{Token, Tokens};

/// The first part of the path of everything here.
pub const ROOT: &str = "identity";

/// A request to the Identity API.
pub struct Asked {
    /// What is to be done.
    pub method: Method,
    /// The parts of the path after [`ROOT`], decoded.
    pub path: Vec<String>,
    /// What follows the `?`, as it was sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Where the client says that we are: `http://host:port`.
    pub base: String,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A link to something below `/v3`.
    fn link(&self, path: &str) -> String {
        format!("{}/{ROOT}/v3{path}", self.base)
    }
}

/// The identity service.
pub struct Keystone {
    directory: Directory,
    tokens: Tokens,
    policy: Policy,
    made: Made,
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

    fn route(&self, asked: &Asked) -> Reply {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let path = match path.as_slice() {
            [] => return read::versions(asked),
            ["v3", path @ ..] => path,
            _ => return no_page(),
        };
        let reads = asked.method == Method::GET || asked.method == Method::HEAD;
        match path {
            [] if reads => read::version(asked),
            ["auth", "tokens"] => match asked.method {
                Method::POST => self.sign_in(asked),
                Method::GET | Method::HEAD => self.validate(asked),
                Method::DELETE => self.revoke(asked),
                _ => no_method("GET, HEAD, POST, DELETE"),
            },
            ["auth", what @ ("projects" | "domains" | "system" | "catalog")] => match reads {
                true => self.own(asked, what),
                false => no_method("GET, HEAD"),
            },
            ["users", user, "application_credentials"] if asked.method == Method::POST => {
                self.make_credential(asked, user)
            }
            ["users", user, "application_credentials", id] if asked.method == Method::DELETE => {
                self.remove_credential(asked, user, id)
            }
            [what @ ("users" | "projects" | "domains" | "roles" | "services" | "endpoints" | "regions"), rest @ ..] => {
                match reads {
                    true => self.look_up(asked, what, rest),
                    false => self.refuse_change(asked),
                }
            }
            [] => no_method("GET, HEAD"),
            _ => no_page(),
        }
    }
}

impl Identity for Keystone {
    fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        self.tokens.get(token).map(|token| Arc::clone(&token.caller))
    }

    fn challenge(&self, base: &str) -> String {
        format!("Keystone uri=\"{base}/{ROOT}/v3\"")
    }

    fn answer(&self, asked: &Asked) -> Option<Reply> {
        Some(self.route(asked))
    }
}

/// The administrator of a service that was not told of anybody.
pub fn admin(policy: &[(String, String)]) -> Result<Caller> {
    let directory = Directory::of_admin(None);
    let keystone = Keystone::new(directory, SignedDuration::ZERO, policy)?;
    let user = &keystone.directory.users[0];
    let scope = directory::Scope::Project(keystone.directory.projects[0].id.clone());
    Ok(keystone.caller_of(user, &scope, &keystone.directory.roles_of(user, &scope)))
}

impl Keystone {
    fn caller_of(&self, user: &directory::User, scope: &directory::Scope, roles: &[String]) -> Caller {
        let mut caller = self.directory.caller(user, scope, roles);
        caller.is_admin = self.policy.check("context_is_admin", &caller, &Target::default());
        caller
    }
}
