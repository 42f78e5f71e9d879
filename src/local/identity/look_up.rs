//! What can be looked up: versions, the catalogue, and who there is.

use http::header::LOCATION;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::asked::{Asked, ROOT};
use super::directory::{ApplicationCredential, DEFAULT_DOMAIN, Domain, Project, Scope, User, id_of};
use super::keystone::Keystone;
use super::reply::{Refusal, Reply, no_method, no_page};
use super::tokens::Token;

fn v3(asked: &Asked) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": asked.link("/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

/// `GET /`: the versions that there are.
pub fn versions(asked: &Asked) -> Reply {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return no_method("GET, HEAD");
    }
    Reply::json(StatusCode::MULTIPLE_CHOICES, &json!({"versions": {"values": [v3(asked)]}}))
        .header(LOCATION, &asked.link("/"))
}

/// `GET /v3`
pub fn version(asked: &Asked) -> Reply {
    Reply::json(StatusCode::OK, &json!({"version": v3(asked)}))
}

/// One of the things that can be looked up, and what a filter may ask of it.
struct Item<'k> {
    id: String,
    name: &'k str,
    domain_id: Option<&'k str>,
    enabled: bool,
    shown: Value,
}

impl Keystone {
    /// Whether the bearer may see everybody.
    pub(super) fn reads_all(&self, token: &Token) -> bool {
        let holds = |role: &str| token.roles.iter().any(|held| held == role);
        holds("admin") || token.scope == Scope::System && holds("reader")
    }

    /// The ID of the role of this name.
    pub(super) fn role_id(&self, role: &str) -> String {
        id_of(&["role", role])
    }

    /// Where the services are: as the client reaches us, so that a name or an
    /// address of this machine that works for it goes on working.
    pub(super) fn catalog(&self, asked: &Asked) -> Value {
        let region = &self.directory.region;
        let service = |kind: &str, name: &str, url: String| {
            let endpoint = |interface: &str| {
                let id = id_of(&["endpoint", kind, interface]);
                json!({"id": id, "interface": interface, "region_id": region, "url": url, "region": region})
            };
            let endpoints = ["public", "internal", "admin"].map(endpoint);
            json!({"endpoints": endpoints, "id": id_of(&["service", kind]), "type": kind, "name": name})
        };
        json!([
            service("identity", "keystone", format!("{}/{ROOT}/v3", asked.base)),
            service("image", "glance", asked.base.clone()),
        ])
    }

    /// `GET /v3/auth/…`: what the bearer of the token may act on, and where.
    pub(super) fn own(&self, asked: &Asked, what: &str) -> Reply {
        let work = || {
            let token = self.token_of(asked)?;
            let by = |reply: Reply| reply.by(&token.caller);
            let own = asked.link(&format!("/auth/{what}"));
            if what == "catalog" {
                return match token.scope {
                    Scope::Unscoped => Err(Refusal::forbidden(None)),
                    _ => {
                        let value = json!({"catalog": self.catalog(asked), "links": {"self": own}});
                        Ok(by(Reply::json(StatusCode::OK, &value)))
                    }
                };
            }
            let user = self.directory.user(&token.user_id).ok_or_else(Refusal::unauthorized)?;
            if what == "system" {
                let held = !self.directory.roles_of(user, &Scope::System).is_empty();
                let list = if held { json!([{"all": true}]) } else { json!([]) };
                return Ok(by(Reply::json(StatusCode::OK, &json!({"system": list, "links": {"self": own}}))));
            }
            let items = match what {
                "projects" => self.projects_of(asked, user),
                _ => {
                    let held =
                        |domain: &&Domain| !self.directory.roles_of(user, &Scope::Domain(domain.id.clone())).is_empty();
                    self.directory.domains.iter().filter(held).map(|domain| show_domain(asked, domain).shown).collect()
                }
            };
            Ok(by(listed(asked, what, &format!("/auth/{what}"), items)))
        };
        work().unwrap_or_else(|refusal: Refusal| refusal.reply(&asked.base))
    }

    fn projects_of(&self, asked: &Asked, user: &User) -> Vec<Value> {
        let held = |project: &&Project| !self.directory.roles_of(user, &Scope::Project(project.id.clone())).is_empty();
        self.directory.projects.iter().filter(held).map(|project| show_project(asked, project).shown).collect()
    }

    /// `GET /v3/{users,projects,domains,roles,services,endpoints,regions}[/ID]`,
    /// and a user's projects and application credentials.
    pub(super) fn look_up(&self, asked: &Asked, what: &str, rest: &[&str]) -> Reply {
        let work = || {
            let token = self.token_of(asked)?;
            let all = self.reads_all(&token);
            let one = &what[..what.len() - 1];
            let reply = match rest {
                // Regions are everybody's to see.
                [] if all || what == "regions" => {
                    let items = self.items(asked, what).into_iter().filter(|item| matches(asked, item));
                    listed(asked, what, &format!("/{what}{}", query(asked)), items.map(|item| item.shown).collect())
                }
                [] => return Err(Refusal::forbidden(Some(&format!("identity:list_{what}")))),
                [id] => {
                    let item = self.items(asked, what).into_iter().find(|item| item.id == *id);
                    let own = match what {
                        "users" => *id == token.user_id,
                        "projects" => token.scope == Scope::Project((*id).to_owned()),
                        "domains" => self.is_of_domain(&token, id),
                        _ => what == "regions",
                    };
                    match item {
                        Some(item) if all || own => Reply::json(StatusCode::OK, &json!({one: item.shown})),
                        // Who may not look learns nothing of what there is; roles are no secret.
                        None if all || what == "roles" => return Err(Refusal::not_found(one, id)),
                        _ => return Err(Refusal::forbidden(Some(&format!("identity:get_{one}")))),
                    }
                }
                [id, "projects"] if what == "users" => match self.directory.user(id) {
                    Some(user) if all || user.id == token.user_id => {
                        listed(asked, "projects", &format!("/users/{id}/projects"), self.projects_of(asked, user))
                    }
                    None if all => return Err(Refusal::not_found("user", id)),
                    _ => return Err(Refusal::forbidden(Some("identity:list_user_projects"))),
                },
                [id, "application_credentials", rest @ ..] if what == "users" && rest.len() < 2 => {
                    let action =
                        if rest.is_empty() { "list_application_credentials" } else { "get_application_credential" };
                    let user = match self.directory.user(id) {
                        Some(user) if all || user.id == token.user_id => user,
                        None if all => return Err(Refusal::not_found("user", id)),
                        _ => return Err(Refusal::forbidden(Some(&format!("identity:{action}")))),
                    };
                    let keys = self.credentials_of(user)?;
                    let mut keys = keys.iter().map(|key| self.show_credential(asked, user, key));
                    match rest.first() {
                        None => {
                            let path = format!("/users/{id}/application_credentials{}", query(asked));
                            let keys = keys.filter(|key| matches(asked, key)).map(|key| key.shown).collect();
                            listed(asked, "application_credentials", &path, keys)
                        }
                        Some(wanted) => {
                            let found = keys.find(|key| key.id == *wanted);
                            let found = found.ok_or_else(|| Refusal::not_found("Application Credential", wanted))?;
                            Reply::json(StatusCode::OK, &json!({"application_credential": found.shown}))
                        }
                    }
                }
                _ => return Ok(no_page()),
            };
            Ok(reply.by(&token.caller))
        };
        work().unwrap_or_else(|refusal: Refusal| refusal.reply(&asked.base))
    }

    /// What would change who there is.
    pub(super) fn refuse_change(&self, asked: &Asked) -> Reply {
        match self.token_of(asked) {
            Ok(token) => Refusal::fixed().reply(&asked.base).by(&token.caller),
            Err(refusal) => refusal.reply(&asked.base),
        }
    }

    fn is_of_domain(&self, token: &Token, id: &str) -> bool {
        match &token.scope {
            Scope::Project(project) => self.directory.project(project).is_some_and(|project| project.domain_id == id),
            Scope::Domain(domain) => domain == id,
            _ => false,
        }
    }

    fn items<'k>(&'k self, asked: &Asked, what: &str) -> Vec<Item<'k>> {
        match what {
            "users" => self.directory.users.iter().map(|user| show_user(asked, user)).collect(),
            "projects" => self.directory.projects.iter().map(|project| show_project(asked, project)).collect(),
            "domains" => self.directory.domains.iter().map(|domain| show_domain(asked, domain)).collect(),
            "services" | "endpoints" => self.places(asked, what == "endpoints"),
            "regions" => {
                let id = &self.directory.region;
                let link = asked.link(&format!("/regions/{id}"));
                let shown = json!({"id": id, "description": "", "parent_region_id": null, "links": {"self": link}});
                vec![Item { id: id.clone(), name: id, domain_id: None, enabled: true, shown }]
            }
            _ => {
                let show = |name: &'k String| {
                    let id = self.role_id(name);
                    let link = asked.link(&format!("/roles/{id}"));
                    let shown = json!({"id": id, "name": name, "domain_id": null, "description": null,
                        "options": {"immutable": true}, "links": {"self": link}});
                    Item { id, name, domain_id: None, enabled: true, shown }
                };
                self.directory.roles.iter().map(show).collect()
            }
        }
    }
}

impl Keystone {
    /// The catalogue as a list of services, or of their endpoints.
    fn places(&self, asked: &Asked, endpoints: bool) -> Vec<Item<'static>> {
        let mut items = Vec::new();
        let mut add = |what: &str, mut shown: Value, name| {
            let id = shown["id"].as_str().unwrap_or_default().to_owned();
            shown["enabled"] = json!(true);
            shown["links"] = json!({"self": asked.link(&format!("/{what}/{id}"))});
            items.push(Item { id, name, domain_id: None, enabled: true, shown });
        };
        for mut service in self.catalog(asked).as_array().cloned().unwrap_or_default() {
            let name = if service["type"] == "image" { "glance" } else { "keystone" };
            let Value::Array(places) = service["endpoints"].take() else { continue };
            if !endpoints {
                let (id, kind) = (&service["id"], &service["type"]);
                add("services", json!({"id": id, "type": kind, "name": name, "description": ""}), name);
                continue;
            }
            for mut place in places {
                place["service_id"] = service["id"].clone();
                add("endpoints", place, "");
            }
        }
        items
    }

    fn show_credential<'k>(&self, asked: &Asked, user: &User, key: &'k ApplicationCredential) -> Item<'k> {
        let shown = self.described_credential(asked, user, key);
        Item { id: key.id.clone(), name: &key.name, domain_id: None, enabled: true, shown }
    }

    /// All of an application credential but its secret.
    pub(super) fn described_credential(&self, asked: &Asked, user: &User, key: &ApplicationCredential) -> Value {
        let role = |name: &String| {
            json!({"id": self.role_id(name), "name": name, "domain_id": null, "description": null,
                "options": {"immutable": true}})
        };
        let roles: Vec<Value> = self.roles_of_credential(user, key).iter().map(role).collect();
        let link = asked.link(&format!("/application_credentials/{}", key.id));
        let end = key.expires.and_then(|end| Timestamp::from_second(end).ok());
        let end = end.map(|end| end.strftime("%Y-%m-%dT%H:%M:%S.000000").to_string());
        json!({"id": key.id, "name": key.name, "description": key.description, "user_id": user.id,
            "project_id": key.project_id, "system": null, "expires_at": end, "unrestricted": key.unrestricted,
            "roles": roles, "links": {"self": link}})
    }
}

fn query(asked: &Asked) -> String {
    if asked.query.is_empty() { String::new() } else { format!("?{}", asked.query) }
}

fn show_user<'k>(asked: &Asked, user: &'k User) -> Item<'k> {
    let link = asked.link(&format!("/users/{}", user.id));
    let shown = json!({"id": user.id, "name": user.name, "domain_id": user.domain_id, "enabled": user.enabled,
        "password_expires_at": null, "options": {}, "links": {"self": link}});
    Item { id: user.id.clone(), name: &user.name, domain_id: Some(&user.domain_id), enabled: user.enabled, shown }
}

fn show_project<'k>(asked: &Asked, project: &'k Project) -> Item<'k> {
    let link = asked.link(&format!("/projects/{}", project.id));
    let shown = json!({"id": project.id, "name": project.name, "domain_id": project.domain_id,
        "description": project.description, "enabled": project.enabled, "parent_id": project.domain_id,
        "is_domain": false, "tags": [], "options": {}, "links": {"self": link}});
    let domain_id = Some(project.domain_id.as_str());
    Item { id: project.id.clone(), name: &project.name, domain_id, enabled: project.enabled, shown }
}

fn show_domain<'k>(asked: &Asked, domain: &'k Domain) -> Item<'k> {
    let link = asked.link(&format!("/domains/{}", domain.id));
    let description = if domain.id == DEFAULT_DOMAIN { "The default domain" } else { "" };
    let shown = json!({"id": domain.id, "name": domain.name, "description": description, "enabled": true, "tags": [],
        "options": {}, "links": {"self": link}});
    Item { id: domain.id.clone(), name: &domain.name, domain_id: None, enabled: true, shown }
}

/// Whether an item is what the query asks for.
fn matches(asked: &Asked, item: &Item) -> bool {
    url::form_urlencoded::parse(asked.query.as_bytes()).all(|(key, value)| match &*key {
        "name" => item.name == value,
        "domain_id" => item.domain_id.is_none_or(|domain| domain == value),
        "type" | "interface" | "service_id" | "region_id" => {
            item.shown.get(&*key).is_none_or(|known| known.as_str() == Some(&value))
        }
        "enabled" => item.enabled != matches!(&*value.to_ascii_lowercase(), "false" | "0" | "no" | "off"),
        _ => true,
    })
}

fn listed(asked: &Asked, what: &str, path: &str, items: Vec<Value>) -> Reply {
    let links = json!({"next": null, "self": asked.link(path), "previous": null});
    Reply::json(StatusCode::OK, &json!({what: items, "links": links}))
}
