//! Identity v3, as far as a client of the image service asks for it: signing
//! in, what a token says, where the services are, and who there is
//! (<https://docs.openstack.org/api-ref/identity/v3/>).
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`asked`] | what is asked |
//! | [`keystone`] | the service, on which the rooms below work |
//! | [`directory`] | domains, projects, users and their roles |
//! | [`password`] | secrets as hashes |
//! | [`sign_in`] | from a proof of who one is to a token |
//! | [`tokens`] | those that are good now |
//! | [`application_credentials`] | the keys that users make, asked for and taken back |
//! | [`made`] | where those are kept |
//! | [`kept`] | files of secrets |
//! | [`look_up`] | what can be looked up |
//! | [`reply`] | answers and errors in Keystone's words |

mod application_credentials;
mod asked;
pub mod directory;
mod kept;
mod keystone;
mod look_up;
pub mod made;
pub mod password;
mod reply;
mod sign_in;
mod tokens;

use std::sync::Arc;

use http::Method;

pub use asked::{Asked, ROOT};
pub use directory::Directory;
pub use keystone::{Keystone, admin};
pub use reply::Reply;

use super::caller::Caller;
use reply::{no_method, no_page};

/// Tells who bears a token.
pub trait Identity: Send + Sync {
    /// The bearer of `token`, if it is one of ours and still valid.
    fn caller(&self, token: &str) -> Option<Arc<Caller>>;

    /// Where tokens are to be had: the value of the `WWW-Authenticate` header
    /// of a 401. `base` is where the client says that we are.
    fn challenge(&self, base: &str) -> String;

    /// Answers a request to the Identity API; `None` where there is none. May
    /// take its time.
    fn answer(&self, _: &Asked) -> Option<Reply> {
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

impl Keystone {
    fn route(&self, asked: &Asked) -> Reply {
        let path: Vec<&str> = asked.path.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let path = match path.as_slice() {
            [] => return look_up::versions(asked),
            ["v3", path @ ..] => path,
            _ => return no_page(),
        };
        let reads = asked.method == Method::GET || asked.method == Method::HEAD;
        match path {
            [] if reads => look_up::version(asked),
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
}
