//! Application credentials that users make
//! (<https://docs.openstack.org/api-ref/identity/v3/#application-credentials>).

use http::StatusCode;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::asked::Asked;
use super::directory::{ApplicationCredential, Scope, User};
use super::keystone::Keystone;
use super::made::{Entry, failed};
use super::password::{self, Hash};
use super::reply::{Refusal, Reply, Result};
use super::sign_in::document;
use super::tokens::Token;

/// How many a user may make.
const MOST: usize = 100;

/// The longest name, description or secret, in bytes.
const LONGEST: usize = 255;

impl Keystone {
    /// The application credentials of a user: of the configuration, and made.
    pub(super) fn credentials_of(&self, user: &User) -> Result<Vec<ApplicationCredential>> {
        let mut all = user.application_credentials.clone();
        all.extend(self.made.all()?.filter(|(owner, _)| *owner == user.id).map(|(_, key)| key));
        Ok(all)
    }

    /// `POST /v3/users/{id}/application_credentials`
    pub(super) fn make_credential(&self, asked: &Asked, user_id: &str) -> Reply {
        let work = || {
            let token = self.token_of(asked)?;
            if token.user_id != user_id {
                return Err(Refusal::forbidden(Some("identity:create_application_credential")));
            }
            refuse_restricted(&token)?;
            let user = self.directory.user(user_id).ok_or_else(|| Refusal::not_found("user", user_id))?;
            let document = document(asked)?;
            let wish = document.get("application_credential").filter(|wish| wish.is_object());
            let wish = wish.ok_or_else(|| Refusal::expecting("application_credential", "request body"))?;
            let (credential, secret) = self.understood(&token, wish)?;
            self.made.change(|entries| {
                let own = || entries.iter().filter(|entry| entry.user_id == user_id).map(|entry| &entry.credential);
                if own().chain(&user.application_credentials).any(|other| other.name == credential.name) {
                    let message = format!(
                        "Conflict occurred attempting to store application_credential - Duplicate entry found with \
                         name {}.",
                        credential.name
                    );
                    return Err(Refusal::new(StatusCode::CONFLICT, message));
                }
                if own().count() >= MOST {
                    let message = format!("A user may have {MOST} application credentials at most.");
                    return Err(Refusal::new(StatusCode::FORBIDDEN, message));
                }
                entries.push(Entry { user_id: user_id.to_owned(), credential: credential.clone() });
                Ok(())
            })?;
            let mut shown = self.described_credential(asked, user, &credential);
            shown["secret"] = Value::from(secret);
            Ok(Reply::json(StatusCode::CREATED, &json!({"application_credential": shown})).by(&token.caller))
        };
        work().unwrap_or_else(|refusal: Refusal| refusal.reply(&asked.base))
    }

    /// `DELETE /v3/users/{id}/application_credentials/{id}`
    pub(super) fn remove_credential(&self, asked: &Asked, user_id: &str, id: &str) -> Reply {
        let work = || {
            let token = self.token_of(asked)?;
            if token.user_id != user_id && !token.roles.iter().any(|role| role == "admin") {
                return Err(Refusal::forbidden(Some("identity:delete_application_credential")));
            }
            refuse_restricted(&token)?;
            let user = self.directory.user(user_id).ok_or_else(|| Refusal::not_found("user", user_id))?;
            if user.application_credentials.iter().any(|key| key.id == id) {
                return Err(Refusal::fixed());
            }
            let missing = || Refusal::not_found("Application Credential", id);
            self.made.change(|entries| {
                let at = entries.iter().position(|entry| entry.user_id == user_id && entry.credential.id == id);
                entries.remove(at.ok_or_else(missing)?);
                Ok(())
            })?;
            self.tokens.revoke_credential(id);
            Ok(Reply::no_content().by(&token.caller))
        };
        work().unwrap_or_else(|refusal: Refusal| refusal.reply(&asked.base))
    }

    /// The credential that is wished for, and its secret in plain text.
    fn understood(&self, token: &Token, wish: &Value) -> Result<(ApplicationCredential, String)> {
        let bad =
            |what: String| Refusal::new(StatusCode::BAD_REQUEST, format!("Invalid application credential: {what}"));
        let text = |key: &str| match wish.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && text.len() <= LONGEST => Ok(Some(text.clone())),
            Some(Value::String(text)) if text.is_empty() && key == "description" => Ok(None),
            Some(_) => Err(bad(format!("'{key}' is no text of 1 to {LONGEST} bytes"))),
        };
        let Scope::Project(project_id) = &token.scope else {
            return Err(bad("it is for a project, and the token is for none".to_owned()));
        };
        // Left out, the key would open more than its maker wants.
        if wish.get("access_rules").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty()) {
            let message = "This service has no access rules for application credentials.";
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, message));
        }
        let name = text("name")?.ok_or_else(|| bad("'name' is a required property".to_owned()))?;
        let unrestricted = match wish.get("unrestricted") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(given)) => Some(*given),
            Some(_) => return Err(bad("'unrestricted' is not of type 'boolean'".to_owned())),
        };
        let expires = match text("expires_at")? {
            None => None,
            Some(text) => {
                let end = instant(&text).ok_or_else(|| bad("'expires_at' is no time in ISO 8601".to_owned()))?;
                if end <= Timestamp::now() {
                    return Err(bad("'expires_at' must not be before now".to_owned()));
                }
                Some(end.as_second())
            }
        };
        let roles = match wish.get("roles") {
            None | Some(Value::Null) => token.roles.clone(),
            // `openstack` says so when no role is named.
            Some(Value::Array(list)) if list.is_empty() => token.roles.clone(),
            Some(Value::Array(list)) => {
                let held = |wanted: &Value| {
                    let is = |key: &str, known: &str| wanted.get(key).and_then(Value::as_str) == Some(known);
                    token.roles.iter().find(|role| is("name", role) || is("id", &self.role_id(role))).cloned()
                };
                let unassigned = || bad("Cannot create an application credential with unassigned role".to_owned());
                list.iter().map(|wanted| held(wanted).ok_or_else(unassigned)).collect::<Result<_>>()?
            }
            Some(_) => return Err(bad("'roles' is no list of roles".to_owned())),
        };
        let made_up = || Ok(format!("{}{}", password::made_up()?, password::made_up()?));
        let secret = match text("secret")? {
            Some(secret) => secret,
            None => made_up().map_err(failed)?,
        };
        let credential = ApplicationCredential {
            id: uuid::Uuid::new_v4().simple().to_string(),
            name,
            description: text("description")?,
            secret: Hash::of(&secret).map_err(failed)?,
            project_id: project_id.clone(),
            roles,
            expires,
            unrestricted,
        };
        Ok((credential, secret))
    }
}

/// Refuses who holds no more than a key that may not make others.
fn refuse_restricted(token: &Token) -> Result<()> {
    match &token.application_credential {
        Some(key) if key.is_restricted => {
            let message = "Using method 'application_credential' is not allowed for managing additional application \
                           credentials.";
            Err(Refusal::new(StatusCode::FORBIDDEN, message))
        }
        _ => Ok(()),
    }
}

/// A time as clients write it; without a zone it is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp());
    text.parse().ok().or_else(civil)
}
