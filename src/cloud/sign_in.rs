//! Signing in: what is asked of Keystone, what it says, and what its refusals mean.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use async_trait::async_trait;
use http::Method as Verb;
use serde_json::{Map, Value, json};
use url::Url;

use super::auth::{self, Method};
use super::catalog::Catalog;
use super::session::endpoint;
use super::token_cache::{Entry, Slot};
use super::{CloudConfig, Origin};
use crate::error::{Error, Kind, Result};
use crate::glance;
use crate::http::{Answer, Credential, Http, Renewed, Renewer, Request, shown_url};

/// What it takes to sign in at Keystone, the first time and again.
pub(super) struct SignIn {
    config: Rc<CloudConfig>,
    /// What was typed, too: nobody is asked twice.
    methods: Vec<Method>,
    /// Where it is kept for the next run, unless it is not to be.
    slot: Option<Slot>,
    /// The last token.
    token: RefCell<String>,
    /// The catalogue, while it is that of an earlier run.
    earlier: RefCell<Option<Catalog>>,
    pub(super) versions: RefCell<BTreeMap<String, String>>,
}

impl SignIn {
    pub(super) fn new(
        config: Rc<CloudConfig>,
        methods: Vec<Method>,
        cache: Option<&Path>,
        http: &Http,
    ) -> Result<Self> {
        let slot = match cache {
            Some(directory) => {
                let scope = scope(&config, &methods)?;
                let tls = config.tls()?;
                let file = |path: &Option<std::path::PathBuf>| {
                    path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()))
                };
                // The token of a server that nobody checked is not for one that is checked.
                let shape = json!([
                    config.auth_type(),
                    auth::auth_url(&config)?,
                    token_request(&methods, scope.as_ref()),
                    tls.verify,
                    [file(&tls.ca), file(&tls.cert), file(&tls.key)],
                ]);
                let slot = Slot::of(directory, &shape);
                let unusable = |e: &std::io::Error| format!("no token cache in `{}`: {e}", directory.display());
                slot.inspect_err(|e| http.log().debug(&unusable(e))).ok()
            }
            None => None,
        };
        Ok(SignIn {
            config,
            methods,
            slot,
            token: RefCell::default(),
            earlier: RefCell::default(),
            versions: RefCell::default(),
        })
    }

    /// The sign-in that was kept, or a new one.
    pub(super) async fn first(&self, http: &Http) -> Result<Entry> {
        let Some(slot) = &self.slot else { return self.anew(http).await };
        // A catalogue without what is wanted may have it by now.
        let read = || slot.read().filter(|entry| endpoint(&self.config, &entry.catalog, "image").is_ok());
        let mut kept = read();
        let mut lock = None;
        if kept.is_none() {
            // Of several that start at once the first signs in for all.
            lock = slot.lock(http).await?;
            kept = read();
        }
        let Some(entry) = kept else {
            let entry = self.anew(http).await;
            drop(lock);
            return entry;
        };
        let until = entry.expires_at.as_deref().unwrap_or_default();
        http.log().debug(&format!("signed in by an earlier run, until {until} (token cache)"));
        self.token.replace(entry.token.clone());
        self.earlier.replace(Some(entry.catalog.clone()));
        self.versions.replace(entry.versions.clone());
        Ok(entry)
    }

    /// Asks Keystone, and keeps what it says.
    async fn anew(&self, http: &Http) -> Result<Entry> {
        if let Some(slot) = &self.slot {
            slot.forget();
        }
        let mut entry = token(&self.config, http, &self.methods).await?;
        entry.versions = self.versions.borrow().clone();
        self.token.replace(entry.token.clone());
        self.keep(http, |slot| slot.write(&entry));
        Ok(entry)
    }

    pub(super) fn learn(&self, http: &Http, url: &Url, version: &str) {
        let changed = self.versions.borrow_mut().insert(url.to_string(), version.to_owned());
        if changed.as_deref() != Some(version) {
            self.keep(http, |slot| slot.learn(&self.token.borrow(), url.as_str(), version));
        }
    }

    /// A cache that cannot be written is no failure: the next run signs in itself.
    fn keep(&self, http: &Http, write: impl FnOnce(&Slot) -> std::io::Result<()>) {
        if let Some(Err(e)) = self.slot.as_ref().map(write) {
            http.log().debug(&format!("the sign-in is not kept for the next run: {e}"));
        }
    }
}

#[async_trait(?Send)]
impl Renewer for Rc<SignIn> {
    async fn renew(&self, http: &Http) -> Result<Renewed> {
        let entry = self.anew(http).await;
        // Only now: others, who wait for this, are told the same.
        let earlier = self.earlier.take();
        let entry = entry?;
        let place = |catalog: &Catalog| endpoint(&self.config, catalog, "image").ok();
        let moved = earlier.as_ref().and_then(place).zip(place(&entry.catalog)).filter(|(was, is)| was != is);
        Ok(Renewed { token: entry.token(), moved: moved.map(|(was, is)| (glance::root_of(was), glance::root_of(is))) })
    }

    fn is_from_earlier(&self) -> bool {
        self.earlier.borrow().is_some()
    }
}

/// What the token is to be good for.
fn scope(config: &CloudConfig, methods: &[Method]) -> Result<Option<Value>> {
    match methods.iter().any(|method| method.has_own_scope) {
        true => Ok(None),
        false => auth::scope(config),
    }
}

/// Asks Keystone for a token: the token, and what Keystone says of it.
async fn token(config: &CloudConfig, http: &Http, methods: &[Method]) -> Result<Entry> {
    let scope = scope(config, methods)?;
    let body = token_request(methods, scope.as_ref());
    let (answer, root) = post_token(config, http, &body).await?;
    if answer.status().is_success() {
        let token = answer.header("x-subject-token").filter(|token| !token.is_empty()).map(str::to_owned);
        let token = token.ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("`{}` gave no token", shown_url(&root)))
                .next("check that `auth_url` is the address of Keystone")
        })?;
        return Ok(Entry::new(token, root.into(), &answer.json().await?));
    }
    let receipt = answer.header("openstack-auth-receipt").is_some();
    // Of a wrong token or application credential Keystone says, in JSON, that
    // there is none (404); what is not Keystone says it in HTML.
    let json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let failure = match answer.ok().await {
        Ok(_) => Error::new(Kind::Unavailable, "it gave no token"),
        Err(failure) => failure,
    };
    if receipt {
        return Err(Error::new(Kind::Auth, "Keystone wants another factor from this user")
            .next("use `--os-auth-type v3multifactor` with `--os-auth-methods`, for instance `v3password,v3totp`"));
    }
    Err(match (failure.kind, scope) {
        (Kind::Auth, Some(scope)) => explain(config, http, methods, &scope, failure).await,
        (Kind::Auth, None) => refused(config, failure),
        (Kind::NotFound, _) if json => refused(config, failure),
        (Kind::Interrupted, _) => failure,
        (kind, _) => {
            let message = format!("cannot sign in at `{}`: {}", shown_url(&root), failure.message);
            let next = match kind {
                Kind::NotFound | Kind::Rejected if failure.status != Some(407) => {
                    Some("check that `auth_url` is the address of Keystone".to_owned())
                }
                _ => failure.next.clone(),
            };
            Error { message, next, ..failure }
        }
    })
}

fn token_request(methods: &[Method], scope: Option<&Value>) -> Value {
    let mut identity = Map::new();
    identity.insert("methods".to_owned(), methods.iter().map(|method| json!(method.name)).collect());
    for method in methods {
        identity.insert(method.name.to_owned(), method.body.clone());
    }
    let mut auth = json!({"identity": identity});
    if let Some(scope) = scope {
        auth["scope"] = scope.clone();
    }
    json!({"auth": auth})
}

/// Posts a token request to the v3 root of Keystone. `auth_url` may name the
/// root itself, an older version beside it, or the list of versions; the usual
/// place is tried first, because asking costs a round trip.
async fn post_token(config: &CloudConfig, http: &Http, body: &Value) -> Result<(Answer, Url)> {
    let text = auth::auth_url(config)?;
    let not_a_url = || {
        Error::config(format!("`auth_url` is not a URL: `{text}`"))
            .next("it should look like `https://identity.example.org/v3`")
    };
    let mut root = Url::parse(text).map_err(|_| not_a_url())?;
    if root.host().is_none() {
        return Err(not_a_url());
    }
    root.set_query(None);
    let last = root.path_segments().and_then(|mut path| path.rfind(|part| !part.is_empty()).map(str::to_owned));
    if let Ok(mut path) = root.path_segments_mut() {
        path.pop_if_empty();
        if matches!(last.as_deref(), Some("v3" | "v2.0")) {
            path.pop();
        }
        path.push("v3");
    }
    let post = async |root: &Url| {
        let mut url = root.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["auth", "tokens"]);
        }
        http.send(Request::new(Verb::POST, url).json(body).secret()).await
    };
    let answer = post(&root).await?;
    if !matches!(answer.status().as_u16(), 300 | 404 | 405) || last.as_deref() == Some("v3") {
        return Ok((answer, root));
    }
    match discovered(http, text).await? {
        Some(listed) if listed != root => Ok((post(&listed).await?, listed)),
        _ => Ok((answer, root)),
    }
}

/// The v3 root that Keystone's list of versions names, on the same host
/// (<https://docs.openstack.org/api-ref/identity/v3/#api-versions>).
async fn discovered(http: &Http, auth_url: &str) -> Result<Option<Url>> {
    let Ok(url) = Url::parse(auth_url) else { return Ok(None) };
    let listed = match http.send(Request::get(url.clone())).await?.ok_or_choices().await {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => return Ok(None),
    };
    let versions = listed.pointer("/versions/values").or_else(|| listed.get("versions")).and_then(Value::as_array);
    let v3 = versions
        .into_iter()
        .flatten()
        .find(|v| v.get("id").and_then(Value::as_str).is_some_and(|id| id.starts_with("v3")));
    let link = v3.and_then(|v| v.pointer("/links/0/href")?.as_str()).and_then(|link| Url::parse(link).ok());
    Ok(link.map(|link| {
        // Behind a proxy Keystone may not know its own name; ours is the one that works.
        let mut root = url;
        root.set_path(link.path().trim_end_matches('/'));
        root
    }))
}

/// Keystone says only "requires authentication", whatever is wrong. If the same
/// user gets in without the scope, the scope is what is wrong.
async fn explain(config: &CloudConfig, http: &Http, methods: &[Method], scope: &Value, failure: Error) -> Error {
    // A passcode is good only once.
    if methods.iter().any(|method| method.name == "totp") {
        return refused(config, failure);
    }
    let mut body = token_request(methods, None);
    body["auth"]["scope"] = json!("unscoped");
    let Ok((answer, root)) = post_token(config, http, &body).await else { return refused(config, failure) };
    let Some(token) = answer.header("x-subject-token").map(str::to_owned).filter(|_| answer.status().is_success())
    else {
        return refused(config, failure);
    };
    let credential = Credential::fixed(token.as_str().into(), "");
    let key = |keys: [&'static str; 2]| keys.into_iter().find_map(|key| Some((key, config.auth(key)?)));
    let (keys, what, flag) = if scope.get("project").is_some() {
        (["project_id", "project_name"], "projects", "`--os-project-name` (OS_PROJECT_NAME)")
    } else if scope.get("domain").is_some() {
        (["domain_id", "domain_name"], "domains", "`--os-domain-name` (OS_DOMAIN_NAME)")
    } else {
        let (place, key) = match scope.get("system") {
            Some(_) => ("on the system", "system_scope"),
            None => ("through this trust", "trust_id"),
        };
        return Error::new(Kind::Auth, format!("the user may sign in, but not act {place}"))
            .with_status(401)
            .details(auth::origins(config, &[key]))
            .next("ask who runs the cloud for the role, or name a project instead");
    };
    let Some((key, asked)) = key(keys) else { return refused(config, failure) };
    let one = &what[..what.len() - 1];
    let error = Error::new(Kind::Auth, format!("the user may sign in, but not to {one} `{asked}`"))
        .with_status(401)
        .details(auth::origins(config, &[key]));
    let Some(names) = enterable(http, root, what, &credential).await else {
        return error.next(format!("check the {one}, or ask who runs the cloud for a role in it"));
    };
    match names.as_slice() {
        [] => error.next(format!("this user has no {one}: ask who runs the cloud for a role in one")),
        names if names.iter().any(|name| name == asked) && one == "project" => {
            error.next("check the project's domain: `--os-project-domain-name`, or give its ID")
        }
        names => error.next(format!("choose one of {} with {flag}", names.join(", "))),
    }
}

/// The names of the `projects` or `domains` that this token's user may enter
/// (<https://docs.openstack.org/api-ref/identity/v3/#get-available-project-scopes>);
/// `None` if Keystone does not say.
async fn enterable(http: &Http, mut root: Url, what: &str, credential: &Credential) -> Option<Vec<String>> {
    if let Ok(mut path) = root.path_segments_mut() {
        path.extend(["auth", what]);
    }
    let answer = http.send(Request::get(root).credential(credential)).await.ok()?;
    let listed = answer.ok().await.ok()?.json().await.ok()?;
    let names = listed.get(what)?.as_array()?.iter().filter_map(|item| item.get("name")?.as_str());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    Some(names)
}

/// Keystone's refusal, and where what it refused came from.
fn refused(config: &CloudConfig, failure: Error) -> Error {
    let keys = [
        "username",
        "user_id",
        "user_domain_name",
        "user_domain_id",
        "password",
        "passcode",
        "token",
        "application_credential_id",
        "application_credential_name",
        "application_credential_secret",
        "trust_id",
    ];
    // The domain that everybody has by default tells nothing.
    let mut origins = auth::origins(config, &keys);
    origins.retain(|line| !line.ends_with(&format!(" came from {}", Origin::Default)));
    let next = match config.auth_type() {
        "token" | "v3token" => "get a new token, or sign in with a user and a password",
        "v3applicationcredential" => {
            "check the application credential and its secret: it may have expired or been deleted"
        }
        _ => "check the user, its domain and its password or secret",
    };
    Error::new(Kind::Auth, format!("Keystone did not let us in: {}", failure.message))
        .with_status(401)
        .details(origins)
        .next(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_request_has_the_published_form() {
        let method =
            Method { name: "password", body: json!({"user": {"id": "u", "password": "p"}}), has_own_scope: false };
        let scope = json!({"project": {"id": "p"}});
        assert_eq!(
            token_request(&[method], Some(&scope)),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user": {"id": "u", "password": "p"}}},
                "scope": {"project": {"id": "p"}}
            }})
        );
    }
}
