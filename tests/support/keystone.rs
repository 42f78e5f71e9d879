//! The identity service of the tests: Keystone v3 as far as signing in and
//! looking up a project need it. Answers have the form of Keystone 30.
//!
//! Simplified: users, projects and secrets are fixed (below); a token is
//! good until [`Tokens::expire`]; several methods are all checked at once,
//! there are no auth receipts; a 404 of an unknown path has no HTML page.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::http::{Answer, Body, Request};

pub const PASSWORD: &str = "secret";
pub const PASSCODE: &str = "123456";
/// An application credential of the user demo, for the project demo.
pub const APP_CREDENTIAL: (&str, &str, &str) = ("f0000000000000000000000000000001", "ci", "app-secret");
/// A trust of demo in other: who uses it works in the project demo.
pub const TRUST: &str = "f0000000000000000000000000000002";

/// Users and projects have the same names: who may enter what.
const USERS: [(&str, &[&str]); 3] = [("admin", &["admin"]), ("demo", &["demo"]), ("other", &["other"])];
const PROJECTS: [&str; 4] = ["admin", "demo", "other", "service"];

/// The 32 hexadecimal digits of a project (or, with `user` in front, a user).
pub fn id_of(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}{:016x}", hash.rotate_left(29) ^ 0x5bd1_e995_9d1c_3a7f)
}

/// Whom a token stands for.
#[derive(Debug, Clone)]
pub struct Identity {
    pub user: String,
    /// The ID of the project it is good for, if it is for one.
    pub project: Option<String>,
    pub admin: bool,
}

/// The tokens that were given out and still hold.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<String, Identity>>);

impl Tokens {
    pub fn identity(&self, request: &Request) -> Option<Identity> {
        self.0.lock().unwrap().get(request.header("x-auth-token")?).cloned()
    }

    /// From now on every token given out so far is refused.
    pub fn expire(&self) {
        self.0.lock().unwrap().clear();
    }

    fn give(&self, identity: Identity) -> String {
        let token = format!("gAAAAAB{}", super::random_hex(44));
        self.0.lock().unwrap().insert(token.clone(), identity);
        token
    }
}

/// What the catalogue says, and what it is asked with.
pub struct Keystone {
    /// This service's own address, and that of the image service.
    pub url: String,
    pub image_url: String,
    /// That of the block storage service.
    pub volume_url: String,
}

fn error(status: u16, message: &str) -> Answer {
    let title = super::http::reason(status);
    Answer::json(status, &json!({"error": {"code": status, "message": message, "title": title}}))
}

impl Keystone {
    pub fn answer(&self, tokens: &Tokens, request: &Request, body: &mut Body) -> Answer {
        let answer = match (request.method.as_str(), request.path.trim_end_matches('/')) {
            ("GET", "") => Answer::json(300, &json!({"versions": {"values": [self.version()]}}))
                .header("Location", format!("{}/v3/", self.url)),
            ("GET", "/v3") => Answer::json(200, &json!({"version": self.version()})),
            ("POST", "/v3/auth/tokens") => match body.json() {
                Some(document) => self.sign_in(tokens, &document),
                None => error(400, "Expecting to find valid JSON in request body."),
            },
            _ => match tokens.identity(request) {
                Some(identity) => self.look_up(request, &identity),
                None => self.unauthorized(),
            },
        };
        answer.header("Vary", "X-Auth-Token")
    }

    fn version(&self) -> Value {
        json!({"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": format!("{}/v3/", self.url)}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]})
    }

    fn unauthorized(&self) -> Answer {
        error(401, "The request you have made requires authentication.")
            .header("WWW-Authenticate", format!("Keystone uri=\"{}/v3\"", self.url))
    }

    fn sign_in(&self, tokens: &Tokens, document: &Value) -> Answer {
        let identity = &document["auth"]["identity"];
        let Some(methods) = identity["methods"].as_array() else {
            return error(400, "'identity' is a required property");
        };
        let mut user = None;
        let mut project = None;
        for method in methods.iter().filter_map(Value::as_str) {
            let found = match method {
                "password" => named_user(&identity["password"]["user"])
                    .filter(|_| identity["password"]["user"]["password"] == PASSWORD),
                "totp" => {
                    named_user(&identity["totp"]["user"]).filter(|_| identity["totp"]["user"]["passcode"] == PASSCODE)
                }
                "token" => {
                    let known = tokens.0.lock().unwrap();
                    let Some(old) = known.get(identity["token"]["id"].as_str().unwrap_or_default()) else {
                        return error(404, "Could not recognize Fernet token");
                    };
                    Some(old.user.clone())
                }
                "application_credential" => {
                    let credential = &identity["application_credential"];
                    let (id, name, secret) = APP_CREDENTIAL;
                    let named =
                        credential["name"] == name && named_user(&credential["user"]).as_deref() == Some("demo");
                    project = Some("demo".to_owned());
                    (credential["secret"] == secret && (credential["id"] == id || named)).then(|| "demo".to_owned())
                }
                _ => None,
            };
            // Several methods must all be right, and mean one user.
            if found.is_none() || user.as_ref().is_some_and(|user| Some(user) != found.as_ref()) {
                return self.unauthorized();
            }
            user = found;
        }
        let Some(user) = user else { return self.unauthorized() };

        let scope = &document["auth"]["scope"];
        if project.is_some() && scope.is_object() {
            return error(401, "Application credentials cannot request a scope.");
        }
        let may_enter =
            |project: &str| USERS.iter().any(|(name, projects)| *name == user && projects.contains(&project));
        let mut token = json!({"methods": methods, "user": {"domain": domain(), "id": id_of(&format!("user {user}")),
            "name": user, "password_expires_at": null}, "audit_ids": [super::random_hex(11)],
            "expires_at": timestamp(3600), "issued_at": timestamp(0)});
        if scope["OS-TRUST:trust"]["id"] == TRUST {
            token["OS-TRUST:trust"] = json!({"id": TRUST, "impersonation": true});
            project = Some("demo".to_owned());
        } else if let Some(wanted) = scope.get("project") {
            project = PROJECTS.iter().find(|name| is_named(wanted, &id_of(name), name)).map(|name| (*name).to_owned());
            if !project.as_deref().is_some_and(may_enter) {
                return self.unauthorized();
            }
        } else if scope.get("domain").is_some_and(is_default_domain) && user == "admin" {
            token["domain"] = domain();
        } else if scope["system"]["all"] == true && user == "admin" {
            token["system"] = json!({"all": true});
        } else if scope.is_object() {
            return self.unauthorized();
        }
        if let Some(project) = &project {
            token["project"] = json!({"domain": domain(), "id": id_of(project), "name": project});
            token["is_domain"] = false.into();
        }
        if project.is_some() || scope.is_object() {
            let roles: &[&str] = if user == "admin" { &["admin", "member", "reader"] } else { &["member", "reader"] };
            token["roles"] = roles.iter().map(|role| json!({"id": id_of(role), "name": role})).collect();
            token["catalog"] = self.catalog(project.as_deref());
        }
        let admin = user == "admin";
        let identity = Identity { user, project: project.map(|name| id_of(&name)), admin };
        Answer::json(201, &json!({"token": token})).header("X-Subject-Token", tokens.give(identity))
    }

    /// RegionOne has public, internal and admin endpoints; RegionTwo has a
    /// public image endpoint where nothing listens.
    fn catalog(&self, project: Option<&str>) -> Value {
        let service = |kind: &str, name: &str, url: &str| {
            let endpoint = |region: &str, interface: &str, url: &str| {
                json!({"id": id_of(&format!("{kind} {region} {interface}")), "interface": interface,
                    "region_id": region, "url": url, "region": region})
            };
            let mut endpoints: Vec<Value> =
                ["public", "internal", "admin"].iter().map(|which| endpoint("RegionOne", which, url)).collect();
            if kind == "image" {
                endpoints.push(endpoint("RegionTwo", "public", "http://127.0.0.1:1"));
            }
            json!({"endpoints": endpoints, "id": id_of(kind), "type": kind, "name": name})
        };
        json!([
            service("identity", "keystone", &format!("{}/v3", self.url)),
            service("image", "glance", &self.image_url),
            service("volumev3", "cinderv3", &format!("{}/v3/{}", self.volume_url, id_of(project.unwrap_or_default())))
        ])
    }

    fn look_up(&self, request: &Request, identity: &Identity) -> Answer {
        let path: Vec<&str> = request.path.trim_start_matches("/v3/").split('/').collect();
        let wanted = |key: &str| request.pairs().into_iter().find(|(k, _)| k == key).map(|(_, value)| value);
        let links = |url: String| json!({"self": url});
        let project = |name: &str| {
            json!({"id": id_of(name), "name": name, "domain_id": "default", "description": "", "enabled": true,
                "parent_id": "default", "is_domain": false, "tags": [], "options": {},
                "links": links(format!("{}/v3/projects/{}", self.url, id_of(name)))})
        };
        let domain = json!({"id": "default", "name": "Default", "description": "The default domain", "enabled": true,
            "tags": [], "options": {}, "links": links(format!("{}/v3/domains/default", self.url))});
        let refuse = |what: &str| {
            error(403, &format!("You are not authorized to perform the requested action: identity:{what}."))
        };
        let page = |what: &str, found: Vec<Value>| {
            let here = format!("{}/v3/{what}?{}", self.url, request.query);
            Answer::json(200, &json!({what: found, "links": {"next": null, "self": here, "previous": null}}))
        };
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["projects"]) if !identity.admin => refuse("list_projects"),
            ("GET", ["projects"]) => {
                let named = |name: &&&str| wanted("name").is_none_or(|wanted| wanted == **name);
                let here = wanted("domain_id").is_none_or(|id| id == "default");
                page("projects", PROJECTS.iter().filter(|_| here).filter(named).map(|name| project(name)).collect())
            }
            ("GET", ["projects", id]) if !identity.admin && identity.project.as_deref() != Some(id) => {
                refuse("get_project")
            }
            ("GET", ["projects", id]) => match PROJECTS.iter().find(|name| id_of(name) == *id) {
                Some(name) => Answer::json(200, &json!({"project": project(name)})),
                None => error(404, &format!("Could not find project: {id}.")),
            },
            ("GET", ["domains"]) if !identity.admin => refuse("list_domains"),
            ("GET", ["domains"]) => {
                page("domains", Vec::from_iter(wanted("name").is_none_or(|name| name == "Default").then_some(domain)))
            }
            ("GET", ["domains", "default"]) => Answer::json(200, &json!({"domain": domain})),
            ("GET", ["domains", id]) => error(404, &format!("Could not find domain: {id}.")),
            _ => error(404, "The resource could not be found."),
        }
    }
}

fn domain() -> Value {
    json!({"id": "default", "name": "Default"})
}

fn is_default_domain(value: &Value) -> bool {
    value["id"] == "default" || value["name"] == "Default"
}

/// By ID, or by name together with the domain.
fn is_named(value: &Value, id: &str, name: &str) -> bool {
    value["id"] == id || (value["name"] == name && is_default_domain(&value["domain"]))
}

fn named_user(value: &Value) -> Option<String> {
    let user = USERS.iter().find(|(name, _)| is_named(value, &id_of(&format!("user {name}")), name));
    user.map(|(name, _)| (*name).to_owned())
}

fn timestamp(seconds: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
