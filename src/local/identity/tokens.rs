//! Tokens: random, kept in memory, and good for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

use super::directory::Scope;
use super::password;
use crate::error::Result;
use crate::local::caller::Caller;

/// More than any honest use of one machine; the memory for them is bounded.
const MOST: usize = 20_000;

/// What a token says.
#[derive(Debug)]
pub struct Token {
    /// The ID of its user.
    pub user_id: String,
    /// What it is good for.
    pub scope: Scope,
    /// The roles that it brings, implied ones too.
    pub roles: Vec<String>,
    /// How its user signed in.
    pub methods: Vec<String>,
    /// Its own name for audits, then that of the token it came from.
    pub audit_ids: Vec<String>,
    /// The application credential that it came from.
    pub application_credential: Option<Key>,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The same for the image service.
    pub caller: Arc<Caller>,
}

/// What a token says of the application credential that it came from.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether no others may be made or removed with it.
    pub is_restricted: bool,
}

/// The tokens that are good now.
#[derive(Debug)]
pub struct Tokens {
    lifetime: SignedDuration,
    /// By digest: looking one up takes a time that says nothing of the others.
    known: Mutex<HashMap<[u8; 32], Arc<Token>>>,
}

impl Tokens {
    /// No tokens yet; each will be good for `lifetime`.
    pub fn new(lifetime: SignedDuration) -> Self {
        Tokens { lifetime, known: Mutex::default() }
    }

    /// When a token ends that is made at `now`.
    pub fn end(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.lifetime).unwrap_or(Timestamp::MAX)
    }

    /// Gives `token` out; answers with its text.
    pub fn issue(&self, token: Token) -> Result<(String, Arc<Token>)> {
        let text = format!("{}{}", password::made_up()?, password::made_up()?);
        let token = Arc::new(token);
        let mut known = self.known();
        if known.len() >= MOST {
            let now = Timestamp::now();
            known.retain(|_, token| token.expires > now);
        }
        if known.len() >= MOST
            && let Some(first) = known.iter().min_by_key(|(_, token)| token.expires).map(|(digest, _)| *digest)
        {
            known.remove(&first);
        }
        known.insert(digest_of(&text), Arc::clone(&token));
        Ok((text, token))
    }

    /// What the token of this text says, if it is good.
    pub fn get(&self, text: &str) -> Option<Arc<Token>> {
        let digest = digest_of(text);
        let mut known = self.known();
        let token = known.get(&digest)?;
        if token.expires > Timestamp::now() {
            return Some(Arc::clone(token));
        }
        known.remove(&digest);
        None
    }

    /// Makes the token of this text worthless.
    pub fn revoke(&self, text: &str) {
        self.known().remove(&digest_of(text));
    }

    /// Makes all tokens worthless that came from this application credential.
    pub fn revoke_credential(&self, id: &str) {
        self.known().retain(|_, token| token.application_credential.as_ref().is_none_or(|key| key.id != id));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Token>>> {
        // Nothing that is done under the lock leaves a map half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest_of(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn token(expires: Timestamp) -> Token {
        Token {
            user_id: "u".into(),
            scope: Scope::Unscoped,
            roles: Vec::new(),
            methods: Vec::new(),
            audit_ids: Vec::new(),
            application_credential: None,
            issued: Timestamp::now(),
            expires,
            caller: Arc::default(),
        }
    }

    #[test]
    fn a_token_is_good_until_it_ends_or_is_revoked() {
        let tokens = Tokens::new(SignedDuration::from_hours(1));
        let (text, _) = tokens.issue(token(tokens.end(Timestamp::now()))).unwrap();
        let (late, _) = tokens.issue(token(Timestamp::now())).unwrap();
        assert_eq!(tokens.get(&text).unwrap().user_id, "u");
        assert!(tokens.get(&late).is_none() && tokens.get("").is_none());
        tokens.revoke(&text);
        assert!(tokens.get(&text).is_none());
    }
}
