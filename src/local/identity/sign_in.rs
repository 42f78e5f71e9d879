//! From a proof of who one is to a token
//! (<https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management>).

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::directory::{ApplicationCredential, Scope, User, with_implied};
use super::keystone::Keystone;
use super::reply::{Refusal, Reply, Result};
use super::tokens::{Key, Token};

const METHODS: [&str; 3] = ["password", "token", "application_credential"];
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// What one method has shown.
struct Proof<'k> {
    user: &'k User,
    /// The token, if that was the method.
    token: Option<Arc<Token>>,
    /// The application credential, if that was the method.
    credential: Option<ApplicationCredential>,
}

impl Keystone {
    /// `POST /v3/auth/tokens`
    pub(super) fn sign_in(&self, asked: &Asked) -> Reply {
        self.signed_in(asked).unwrap_or_else(|refusal| refusal.reply(&asked.base))
    }

    /// `GET /v3/auth/tokens`: what the token in `X-Subject-Token` says.
    pub(super) fn validate(&self, asked: &Asked) -> Reply {
        let work = || {
            let token = self.token_of(asked)?;
            let (text, subject) = self.subject(asked, &token, "identity:validate_token")?;
            Ok(self.described(asked, StatusCode::OK, &text, &subject).by(&token.caller))
        };
        work().unwrap_or_else(|refusal: Refusal| refusal.reply(&asked.base))
    }

    /// `DELETE /v3/auth/tokens`: the token in `X-Subject-Token` is good no longer.
    pub(super) fn revoke(&self, asked: &Asked) -> Reply {
        let work = || {
            let token = self.token_of(asked)?;
            let (text, _) = self.subject(asked, &token, "identity:revoke_token")?;
            self.tokens.revoke(&text);
            Ok(Reply::no_content().by(&token.caller))
        };
        work().unwrap_or_else(|refusal: Refusal| refusal.reply(&asked.base))
    }

    /// What the token of the request says.
    pub(super) fn token_of(&self, asked: &Asked) -> Result<Arc<Token>> {
        let text = asked.header("x-auth-token").unwrap_or_default();
        self.tokens.get(text).ok_or_else(Refusal::unauthorized)
    }

    /// The token that a request is about: one's own, or anybody's for an administrator.
    fn subject(&self, asked: &Asked, by: &Token, action: &str) -> Result<(String, Arc<Token>)> {
        let Some(text) = asked.header(SUBJECT.as_str()) else {
            return Err(match self.reads_all(by) {
                true => Refusal::new(StatusCode::NOT_FOUND, "No token in the request"),
                false => Refusal::forbidden(Some(action)),
            });
        };
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "Failed to validate token");
        let subject = self.tokens.get(text).ok_or_else(missing)?;
        match subject.user_id == by.user_id || self.reads_all(by) {
            true => Ok((text.to_owned(), subject)),
            false => Err(Refusal::forbidden(Some(action))),
        }
    }

    fn signed_in(&self, asked: &Asked) -> Result<Reply> {
        let document = document(asked)?;
        let auth = document.get("auth").ok_or_else(|| Refusal::expecting("auth", "request body"))?;
        let malformed = |what: &str| Refusal::new(StatusCode::BAD_REQUEST, what);
        let identity = auth
            .get("identity")
            .and_then(Value::as_object)
            .ok_or_else(|| malformed("'identity' is a required property"))?;
        let listed = identity.get("methods").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| malformed("'methods' is a required property"))?;
        let methods: Vec<&str> = listed
            .iter()
            .map(Value::as_str)
            .collect::<Option<_>>()
            .ok_or_else(|| malformed("a method is not of type 'string'"))?;
        let mut proofs: Vec<Proof> = Vec::new();
        // Three ways are all that there are; more would be work for nothing.
        for method in methods.iter().take(METHODS.len() + 1) {
            let shown = |name: &'static str| {
                identity.get(name).filter(|shown| shown.is_object()).ok_or_else(|| Refusal::expecting(name, "identity"))
            };
            let proof = match *method {
                "password" => self.by_password(shown("password")?)?,
                "token" => self.by_token(shown("token")?)?,
                "application_credential" => self.by_application_credential(shown("application_credential")?)?,
                other if identity.contains_key(other) => return Err(Refusal::unsupported_method(&METHODS)),
                other => return Err(Refusal::expecting(other, "identity")),
            };
            proofs.push(proof);
        }
        let user = match proofs.as_slice() {
            [first, rest @ ..] if rest.iter().all(|other| other.user.id == first.user.id) => first.user,
            _ => return Err(Refusal::unauthorized()),
        };
        let old = proofs.iter().find_map(|proof| proof.token.clone());
        let credential = proofs.iter().find_map(|proof| proof.credential.as_ref());
        if methods.len() > METHODS.len() || !user.enabled {
            return Err(Refusal::unauthorized());
        }
        // An application credential is for one project; so is a token that came from one.
        let bound = credential.is_some() || old.as_ref().is_some_and(|old| old.application_credential.is_some());
        let scope = match auth.get("scope") {
            Some(_) if bound => return Err(Refusal::unauthorized()),
            Some(scope) => self.scope(scope)?,
            None => match (credential, &old) {
                (Some(credential), _) => Scope::Project(credential.project_id.clone()),
                (None, Some(old)) if bound => old.scope.clone(),
                _ => Scope::Unscoped,
            },
        };
        let roles = match (credential, &old) {
            (Some(credential), _) => self.roles_of_credential(user, credential),
            (None, Some(old)) if bound => old.roles.clone(),
            _ => self.directory.roles_of(user, &scope),
        };
        if scope != Scope::Unscoped && roles.is_empty() {
            return Err(Refusal::unauthorized());
        }
        let now = Timestamp::now();
        let mut audit_ids = vec![URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4())];
        audit_ids.extend(old.as_ref().and_then(|old| old.audit_ids.last().cloned()));
        let mut said: Vec<String> = old.as_ref().map(|old| old.methods.clone()).unwrap_or_default();
        for method in methods {
            if !said.iter().any(|known| known == method) {
                said.push(method.to_owned());
            }
        }
        let end = credential.and_then(|key| key.expires).and_then(|end| Timestamp::from_second(end).ok());
        let token = Token {
            user_id: user.id.clone(),
            caller: Arc::new(self.caller_of(user, &scope, &roles)),
            scope,
            roles,
            methods: said,
            audit_ids,
            application_credential: match (credential, &old) {
                (Some(credential), _) => Some(Key {
                    id: credential.id.clone(),
                    name: credential.name.clone(),
                    is_restricted: credential.unrestricted != Some(true),
                }),
                (None, old) => old.as_ref().and_then(|old| old.application_credential.clone()),
            },
            issued: now,
            // A token that came from another one, or from a key, does not live longer than it.
            expires: match (end, old.as_ref().map(|old| old.expires)) {
                (end, Some(old)) => old.min(end.unwrap_or(old)),
                (Some(end), None) => end.min(self.tokens.end(now)),
                (None, None) => self.tokens.end(now),
            },
        };
        let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "The system has no random numbers.");
        let (text, token) = self.tokens.issue(token).map_err(failed)?;
        Ok(self.described(asked, StatusCode::CREATED, &text, &token).by(&token.caller))
    }

    fn by_password(&self, shown: &Value) -> Result<Proof<'_>> {
        let given = shown.get("user").ok_or_else(|| Refusal::expecting("user", "password"))?;
        let user = self.named_user(given)?;
        let password = given.get("password").and_then(Value::as_str).unwrap_or_default();
        // A name that nobody has takes as long as one of those that somebody has.
        let asked_for = [given.get("id"), given.get("name")].map(|part| part.and_then(Value::as_str));
        let hash = match user {
            Some(user) if user.password.is_some() => user.password.as_ref(),
            _ => {
                let hashes: Vec<_> = self.directory.users.iter().filter_map(|user| user.password.as_ref()).collect();
                let any = BuildHasherDefault::<DefaultHasher>::default().hash_one(asked_for);
                let at = usize::try_from(any).unwrap_or_default().checked_rem(hashes.len());
                at.map(|at| hashes[at])
            }
        };
        let fits = hash.is_some_and(|hash| hash.is_of(password));
        match user {
            Some(user) if fits && user.password.is_some() && user.enabled => {
                Ok(Proof { user, token: None, credential: None })
            }
            _ => Err(Refusal::unauthorized()),
        }
    }

    fn by_token(&self, shown: &Value) -> Result<Proof<'_>> {
        let text = shown.get("id").and_then(Value::as_str).ok_or_else(|| Refusal::expecting("id", "token"))?;
        let missing = || Refusal::new(StatusCode::NOT_FOUND, "Failed to validate token");
        let token = self.tokens.get(text).ok_or_else(missing)?;
        let user = self.directory.user(&token.user_id).ok_or_else(missing)?;
        Ok(Proof { user, token: Some(token), credential: None })
    }

    fn by_application_credential<'k>(&'k self, shown: &Value) -> Result<Proof<'k>> {
        let text = |key: &str| shown.get(key).and_then(Value::as_str);
        let configured = |user: &'k User| user.application_credentials.iter().map(move |key| (user, key.clone()));
        let mut all: Vec<_> = self.directory.users.iter().flat_map(configured).collect();
        all.extend(self.made.all()?.filter_map(|(owner, key)| Some((self.directory.user(&owner)?, key))));
        let found = match text("id") {
            Some(id) => {
                let missing = || Refusal::not_found("Application Credential", id);
                Some(all.iter().position(|(_, key)| key.id == id).ok_or_else(missing)?)
            }
            None => {
                let name = text("name").ok_or_else(|| Refusal::expecting("id or name", "application credential"))?;
                let given = shown.get("user").ok_or_else(|| Refusal::expecting("user", "application credential"))?;
                let user = self.named_user(given)?;
                all.iter().position(|(owner, key)| user.is_some_and(|user| user.id == owner.id) && key.name == name)
            }
        };
        if all.is_empty() {
            return Err(Refusal::unauthorized());
        }
        // As with passwords: what is not there takes as long.
        let (user, credential) = all.swap_remove(found.unwrap_or_default());
        let fits = credential.secret.is_of(text("secret").unwrap_or_default());
        let is_over = credential.expires.is_some_and(|end| end <= Timestamp::now().as_second());
        match found {
            Some(_) if fits && user.enabled && !is_over => {
                Ok(Proof { user, token: None, credential: Some(credential) })
            }
            _ => Err(Refusal::unauthorized()),
        }
    }

    /// The user that `given` names, by ID or by name and domain.
    fn named_user(&self, given: &Value) -> Result<Option<&User>> {
        if let Some(id) = given.get("id").and_then(Value::as_str) {
            return Ok(self.directory.user(id));
        }
        let name =
            given.get("name").and_then(Value::as_str).ok_or_else(|| Refusal::nameless("identity/password/user"))?;
        let domain = self.named_domain(given.get("domain").ok_or_else(|| Refusal::expecting("domain", "user"))?)?;
        let of_name = |user: &&User| user.name == name && Some(&user.domain_id) == domain.as_ref();
        Ok(self.directory.users.iter().find(of_name))
    }

    /// The ID of the domain that `given` names, if there is one.
    fn named_domain(&self, given: &Value) -> Result<Option<String>> {
        let text = |key: &str| given.get(key).and_then(Value::as_str);
        let found = match (text("id"), text("name")) {
            (Some(id), _) => self.directory.domain(id),
            (None, Some(name)) => self.directory.domains.iter().find(|domain| domain.name == name),
            (None, None) => return Err(Refusal::expecting("id or name", "domain")),
        };
        Ok(found.map(|domain| domain.id.clone()))
    }

    /// What `given` asks to act on. What is not there is refused as what one
    /// has no role on.
    fn scope(&self, given: &Value) -> Result<Scope> {
        if given.as_str() == Some("unscoped") || given.get("unscoped").is_some() {
            return Ok(Scope::Unscoped);
        }
        if let Some(system) = given.get("system") {
            return match system.get("all") {
                Some(Value::Bool(true)) => Ok(Scope::System),
                _ => Err(Refusal::unauthorized()),
            };
        }
        if let Some(domain) = given.get("domain") {
            return self.named_domain(domain)?.map(Scope::Domain).ok_or_else(Refusal::unauthorized);
        }
        let Some(project) = given.get("project") else {
            return Err(Refusal::expecting("system, project, domain, OS-TRUST:trust or unscoped", "scope"));
        };
        let found = match project.get("id").and_then(Value::as_str) {
            Some(id) => self.directory.project(id),
            None => {
                let name = project.get("name").and_then(Value::as_str);
                let name = name.ok_or_else(|| Refusal::nameless("scope/project"))?;
                let domain = project.get("domain").ok_or_else(|| Refusal::expecting("domain", "project"))?;
                let domain = self.named_domain(domain)?;
                let projects = &self.directory.projects;
                projects.iter().find(|project| project.name == name && Some(&project.domain_id) == domain.as_ref())
            }
        };
        found.map(|project| Scope::Project(project.id.clone())).ok_or_else(Refusal::unauthorized)
    }

    /// The roles of an application credential that its user still holds.
    pub(super) fn roles_of_credential(&self, user: &User, credential: &ApplicationCredential) -> Vec<String> {
        let held = self.directory.roles_of(user, &Scope::Project(credential.project_id.clone()));
        if credential.roles.is_empty() {
            return held;
        }
        with_implied(&credential.roles).into_iter().filter(|role| held.contains(role)).collect()
    }

    /// The answer that says all of a token.
    fn described(&self, asked: &Asked, status: StatusCode, text: &str, token: &Token) -> Reply {
        let mut said = Map::new();
        let mut say = |key: &str, value: Value| said.insert(key.to_owned(), value);
        say("methods", json!(token.methods));
        let domain = |id: &str| {
            let name = self.directory.domain(id).map(|domain| domain.name.as_str());
            json!({"id": id, "name": name})
        };
        if let Some(user) = self.directory.user(&token.user_id) {
            let domain = domain(&user.domain_id);
            say("user", json!({"domain": domain, "id": user.id, "name": user.name, "password_expires_at": null}));
        }
        say("audit_ids", json!(token.audit_ids));
        say("expires_at", json!(written(token.expires)));
        say("issued_at", json!(written(token.issued)));
        match &token.scope {
            Scope::Unscoped => {}
            Scope::Project(id) => {
                if let Some(project) = self.directory.project(id) {
                    let domain = domain(&project.domain_id);
                    say("project", json!({"domain": domain, "id": project.id, "name": project.name}));
                    say("is_domain", json!(false));
                }
            }
            Scope::Domain(id) => {
                say("domain", domain(id));
            }
            Scope::System => {
                say("system", json!({"all": true}));
            }
        }
        if token.scope != Scope::Unscoped {
            say("roles", token.roles.iter().map(|role| json!({"id": self.role_id(role), "name": role})).collect());
            let no_catalog = url::form_urlencoded::parse(asked.query.as_bytes()).any(|(key, _)| key == "nocatalog");
            if !no_catalog {
                say("catalog", self.catalog(asked));
            }
        }
        if let Some(key) = &token.application_credential {
            let said = json!({"id": key.id, "name": key.name, "restricted": key.is_restricted});
            say("application_credential", said);
        }
        Reply::json(status, &json!({"token": said})).header(SUBJECT, text)
    }
}

/// The JSON of a request.
pub(super) fn document(asked: &Asked) -> Result<Value> {
    if asked.body.is_empty() {
        return Err(Refusal::expecting("auth", "request body"));
    }
    let kind = asked.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::expecting("application/json", "Content-Type header"));
    }
    let document: Value =
        serde_json::from_slice(&asked.body).map_err(|_| Refusal::expecting("valid JSON", "request body"))?;
    match document.is_object() {
        true => Ok(document),
        false => Err(Refusal::expecting("valid JSON", "request body")),
    }
}

fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string()
}
