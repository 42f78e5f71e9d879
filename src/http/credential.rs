//! What a service knows us by, and how it is renewed when it is refused.
//!
//! A token can expire or be withdrawn while rimg works. Every request shows
//! the credential as it is when it is sent, so that one renewal is enough for
//! all that still wait. Who signs in anew is not known here: see [`Renewer`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use url::Url;

use super::Http;
use crate::error::{Error, Kind, Result};

/// A Keystone token.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself.
    pub text: SecretString,
    /// How long it is good for, if Keystone said so.
    pub expires_at: Option<Timestamp>,
    /// Since when it is, if Keystone said so.
    pub issued_at: Option<Timestamp>,
}

impl From<&str> for Token {
    /// A token of which nothing else is known.
    fn from(text: &str) -> Self {
        Token { text: text.into(), expires_at: None, issued_at: None }
    }
}

/// What a new sign-in brought.
#[derive(Debug, Clone)]
pub struct Renewed {
    /// The new token.
    pub token: Token,
    /// A service that is elsewhere now: where it was, and where it is. Both
    /// are the beginning of its addresses.
    pub moved: Option<(Url, Url)>,
}

/// Who can sign in anew.
#[async_trait(?Send)]
pub trait Renewer {
    /// Signs in anew; `http` is used for it, so that clean-up is not interrupted.
    ///
    /// # Errors
    /// The cloud cannot be reached or does not let us in any more.
    async fn renew(&self, http: &Http) -> Result<Renewed>;

    /// Whether where services are was learnt by an earlier run, and may not be
    /// true any more.
    fn is_from_earlier(&self) -> bool;
}

/// What a service knows us by. Cheap to clone: clones are renewed together.
#[derive(Clone, Default)]
pub struct Credential(Rc<Shared>);

#[derive(Default)]
struct Shared {
    proof: RefCell<Proof>,
    expires_at: Cell<Option<Timestamp>>,
    issued_at: Cell<Option<Timestamp>>,
    /// How often it was renewed.
    generation: Cell<u64>,
    renewer: Option<Box<dyn Renewer>>,
    /// What to do when it is refused and cannot be renewed.
    advice: Option<&'static str>,
    /// How often somebody tried to.
    attempts: Cell<u64>,
    /// Held while somebody signs in; inside, why the last attempt failed.
    renewing: Mutex<Option<Error>>,
}

#[derive(Default)]
enum Proof {
    /// The service does not ask.
    #[default]
    Nothing,
    /// A Keystone token (`X-Auth-Token`).
    Token(SecretString),
    /// The value of an `Authorization` header (RFC 7617).
    Basic(SecretString),
}

impl Credential {
    fn new(proof: Proof, advice: &'static str) -> Self {
        Credential(Rc::new(Shared { proof: RefCell::new(proof), advice: Some(advice), ..Shared::default() }))
    }

    /// Nothing is shown. `advice` is the next step where that is not enough.
    pub fn nothing(advice: &'static str) -> Self {
        Credential::new(Proof::Nothing, advice)
    }

    /// A token that nobody can renew. `advice` is the next step when it is refused.
    pub fn fixed(token: Token, advice: &'static str) -> Self {
        let credential = Credential::new(Proof::Token(token.text), advice);
        credential.0.expires_at.set(token.expires_at);
        credential
    }

    /// The value of an `Authorization` header. `advice` is the next step when
    /// it is refused.
    pub fn basic(text: SecretString, advice: &'static str) -> Self {
        Credential::new(Proof::Basic(text), advice)
    }

    /// A token that is renewed by `renewer` when it is refused.
    pub fn renewable(token: Token, renewer: Box<dyn Renewer>) -> Self {
        let credential = Shared { renewer: Some(renewer), ..Shared::default() };
        credential.proof.replace(Proof::Token(token.text));
        credential.expires_at.set(token.expires_at);
        credential.issued_at.set(token.issued_at);
        Credential(Rc::new(credential))
    }

    /// How long it is good for, as far as is known: before long work one may
    /// want to [`renew`](Credential::renew) it. It can be refused earlier.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at.get()
    }

    /// Since when it is good, as far as is known: a new one would last as much longer.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.issued_at.get()
    }

    /// Whether [`renew`](Credential::renew) can do anything.
    pub fn can_renew(&self) -> bool {
        self.0.renewer.is_some()
    }

    /// Signs in anew: for data that streams by, which [`Http::send`] does not
    /// send a second time by itself. Who comes while somebody else does it
    /// takes the token of that one.
    ///
    /// # Errors
    /// It cannot be renewed (see [`can_renew`](Credential::can_renew)); the
    /// cloud cannot be reached or does not let us in.
    pub async fn renew(&self, http: &Http) -> Result<()> {
        self.renew_after(self.generation(), http).await
    }

    /// Signs in anew, unless that was done since `generation` was shown.
    pub(super) async fn renew_after(&self, generation: u64, http: &Http) -> Result<()> {
        let Some(renewer) = &self.0.renewer else {
            let error = Error::new(Kind::Auth, "the token cannot be renewed");
            return Err(self.0.advice.map_or(error.clone(), |advice| error.next(advice)));
        };
        let attempts = self.0.attempts.get();
        let mut failure = self.0.renewing.lock().await;
        if self.generation() != generation {
            return Ok(());
        }
        // Who has waited for an attempt does not try again, and nobody does after
        // a refusal: asking often with a wrong password could lock the user out.
        let waited = self.0.attempts.get() != attempts;
        if let Some(error) = failure.as_ref().filter(|error| waited || error.kind == Kind::Auth) {
            return Err(error.clone());
        }
        // How often to try again is said of the image service, not of this one.
        let outcome = renewer.renew(&http.insisting(false)).await;
        self.0.attempts.set(self.0.attempts.get() + 1);
        let Renewed { token, moved } = outcome.inspect_err(|error| *failure = Some(error.clone()))?;
        *failure = None;
        self.0.proof.replace(Proof::Token(token.text));
        self.0.expires_at.set(token.expires_at);
        self.0.issued_at.set(token.issued_at);
        self.0.generation.set(generation + 1);
        if let Some((from, to)) = moved {
            http.moved(from, to);
        }
        Ok(())
    }

    /// How often it was renewed.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.get()
    }

    /// Whether where services are was learnt by an earlier run.
    pub(super) fn is_from_earlier(&self) -> bool {
        self.0.renewer.as_ref().is_some_and(|renewer| renewer.is_from_earlier())
    }

    /// What to do when it is refused and cannot be renewed.
    pub(super) fn advice(&self) -> Option<&'static str> {
        self.0.advice
    }

    /// Shows who asks.
    pub(super) fn show(&self, headers: &mut HeaderMap) {
        let (name, secret) = match &*self.0.proof.borrow() {
            Proof::Nothing => return,
            Proof::Token(token) => (HeaderName::from_static("x-auth-token"), token.clone()),
            Proof::Basic(text) => (AUTHORIZATION, text.clone()),
        };
        if let Ok(mut value) = HeaderValue::from_str(secret.expose_secret()) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

/// Never the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0.proof.borrow() {
            Proof::Nothing => "Credential(nothing)",
            Proof::Token(_) => "Credential(token)",
            Proof::Basic(_) => "Credential(basic)",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::http::Settings;
    use crate::interrupt::Interrupt;
    use crate::log::Log;

    /// Gives tokens by number, or fails.
    #[derive(Default)]
    struct Numbered {
        given: Cell<u32>,
        failure: Option<Kind>,
    }

    #[async_trait(?Send)]
    impl Renewer for Rc<Numbered> {
        async fn renew(&self, _: &Http) -> Result<Renewed> {
            self.given.set(self.given.get() + 1);
            tokio::time::sleep(Duration::from_millis(10)).await;
            match self.failure {
                Some(kind) => Err(Error::new(kind, "no")),
                None => {
                    let expires_at = Some(Timestamp::UNIX_EPOCH);
                    let text = format!("token-{}", self.given.get()).into();
                    Ok(Renewed { token: Token { text, expires_at, issued_at: None }, moved: None })
                }
            }
        }

        fn is_from_earlier(&self) -> bool {
            false
        }
    }

    fn shown(credential: &Credential) -> String {
        let mut headers = HeaderMap::new();
        credential.show(&mut headers);
        headers["x-auth-token"].to_str().unwrap().to_owned()
    }

    fn run(test: impl AsyncFnOnce(Http)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            test(Http::new(Settings::default(), Log::silent(), Interrupt::listen().unwrap())).await;
        });
    }

    #[test]
    fn several_who_ask_at_once_get_one_new_token() {
        run(async |http| {
            let renewer = Rc::new(Numbered::default());
            let credential = Credential::renewable("old".into(), Box::new(Rc::clone(&renewer)));
            let clone = credential.clone();
            let renewals = (0..5).map(|_| credential.renew(&http));
            assert!(futures_util::future::join_all(renewals).await.iter().all(Result::is_ok));
            assert_eq!((renewer.given.get(), shown(&clone).as_str()), (1, "token-1"));
            assert_eq!(clone.expires_at(), Some(Timestamp::UNIX_EPOCH));
            credential.renew(&http).await.unwrap();
            assert_eq!(shown(&clone), "token-2");
            assert_eq!(format!("{clone:?}"), "Credential(token)");
        });
    }

    #[test]
    fn a_refusal_is_final_and_a_failure_only_for_those_who_waited() {
        run(async |http| {
            for (failure, tries) in [(Kind::Auth, 1), (Kind::Network, 2)] {
                let renewer = Rc::new(Numbered { failure: Some(failure), ..Numbered::default() });
                let credential = Credential::renewable("old".into(), Box::new(Rc::clone(&renewer)));
                let renewals = (0..5).map(|_| credential.renew(&http));
                assert!(futures_util::future::join_all(renewals).await.iter().all(Result::is_err));
                assert_eq!(renewer.given.get(), 1);
                assert_eq!(credential.renew(&http).await.unwrap_err().kind, failure);
                assert_eq!((renewer.given.get(), shown(&credential).as_str()), (tries, "old"));
            }
        });
    }

    #[test]
    fn what_was_given_cannot_be_renewed() {
        run(async |http| {
            let credential = Credential::fixed("old".into(), "get another");
            assert!(!credential.can_renew());
            let error = credential.renew(&http).await.unwrap_err();
            assert_eq!((error.kind, error.next.as_deref()), (Kind::Auth, Some("get another")));
        });
    }
}
