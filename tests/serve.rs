//! `rimg serve`: the local image service for any client.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{Reply, Session, ask};
use crate::support::{Outcome, World};

const PEOPLE: &str = "
projects:
- name: demo
- name: other
users:
- name: admin
  password: secret
  roles:
  - {project: demo, roles: [admin]}
  - {system: true, roles: [admin]}
- name: demo
  password: secret
  roles:
  - {project: demo, roles: [member]}
  application_credentials:
  - {name: ci, id: key, secret: sesame, project: demo, roles: [reader]}
limits: {grace: 1}
";

/// A service that runs; killed if it still does when dropped.
struct Serving {
    child: Child,
    /// `http://127.0.0.1:PORT`
    url: String,
}

impl Serving {
    /// Starts it in `world`, which has no cloud of its own, and waits until it answers.
    fn start(world: &World, args: &[&str]) -> Serving {
        let log = fs::File::create(world.home.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_rimg"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .current_dir(&world.home)
            .env_clear()
            .env("HOME", &world.home)
            .env("XDG_DATA_HOME", world.home.join("data"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(world.home.join("stdout")).unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut serving = Serving { child, url: String::new() };
        let started = Instant::now();
        while serving.url.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(20), "{}", log_of(world));
            assert!(serving.child.try_wait().unwrap().is_none(), "{}", log_of(world));
            std::thread::sleep(Duration::from_millis(5));
            let log = log_of(world);
            let line = log.lines().find(|line| line.starts_with("note: serving ") && line.ends_with("stops it"));
            let url = line.and_then(|line| line.split(" at ").nth(1)?.split(';').next());
            serving.url = url.unwrap_or_default().to_owned();
        }
        serving
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// The exit code, if it ends in time.
    fn code(&mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.code(), Some(0));
    }

    fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.url)
    }

    fn identity(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        ask(method, &format!("{}{path}", self.auth_url()), &all, body.as_bytes()).unwrap()
    }

    fn sign_in(&self, identity: Value, scope: Value) -> Reply {
        let mut auth = json!({"identity": identity});
        if !scope.is_null() {
            auth["scope"] = scope;
        }
        self.identity("POST", "/auth/tokens", &[], &json!({"auth": auth}))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(world: &World) -> String {
    fs::read_to_string(world.home.join("log")).unwrap_or_default()
}

/// A world without a cloud, and the configuration file.
fn bare() -> World {
    let world = World::new();
    fs::remove_file(world.clouds_yaml()).unwrap();
    world.file("serve.yaml", PEOPLE);
    world
}

fn password(user: &str, password: &str) -> Value {
    let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
    json!({"methods": ["password"], "password": {"user": user}})
}

fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"name": "Default"}}})
}

/// `image list` with only these variables.
fn list(world: &World, variables: &[(&str, &str)]) -> Outcome {
    let run = world.rimg(["image", "list", "-f", "json"]).no_env("OS_CLOUD");
    variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run()
}

#[test]
fn clients_need_nothing_but_the_entry_that_is_shown() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml"]);
    fs::copy(world.home.join("stdout"), world.clouds_yaml()).unwrap();
    world.file("x.img", vec![5; 100_000]);
    let as_user = |user: &str, args: &[&str]| world.rimg(args).env("OS_CLOUD", format!("rimg-{user}")).run();
    as_user("demo", &["image", "create", "x", "--disk-format", "raw", "--file", "x.img"]).ok();
    as_user("demo", &["image", "save", "x", "--file", "y.img"]).ok();
    assert!(fs::read(world.home.join("y.img")).unwrap() == vec![5; 100_000]);
    // Only an administrator may publish, and look up projects by name.
    as_user("demo", &["image", "create", "y", "--public"]).code(1).stderr_has("403");
    as_user("admin", &["image", "create", "y", "--public"]).ok();
    as_user("admin", &["image", "create", "z", "--project", "other"]).ok();
    as_user("demo", &["image", "list", "-f", "value", "-c", "Name"]).ok().stdout_has("x\n").stdout_has("y\n");
    as_user("demo", &["image", "delete", "x"]).ok();
    serving.stop();
    let log = log_of(&world);
    let put = log.lines().find(|line| line.contains(" method=PUT ")).unwrap();
    for part in ["status=204", " received=100000 sent=0 ", " request_id=req-", " user=", " project="] {
        assert!(put.contains(part), "{part}: {put}");
    }
    assert!(!log.contains("secret") && log.contains("method=POST path=/identity/v3/auth/tokens status=201"), "{log}");
    assert!(log.contains("path=/identity/v3/projects?name=other status=200"), "{log}");
}

#[test]
fn rimg_signs_in_in_every_way() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let url = serving.auth_url();
    let demo = [
        ("OS_AUTH_URL", url.as_str()),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", "secret"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_NAME", "demo"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
    ];
    list(&world, &demo).ok();
    // The list of versions leads to the same place.
    let root = format!("{}/identity", serving.url);
    list(&world, &[&[("OS_AUTH_URL", root.as_str())], &demo[1..]].concat()).ok();
    let unscoped = serving.sign_in(password("demo", "secret"), Value::Null);
    assert_eq!(unscoped.status, 201, "{}", unscoped.text());
    assert!(unscoped.json()["token"].get("catalog").is_none());
    let token = unscoped.header("x-subject-token").unwrap();
    let by_token = [
        ("OS_AUTH_TYPE", "token"),
        ("OS_TOKEN", token),
        ("OS_PROJECT_NAME", "demo"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
    ];
    list(&world, &[&[("OS_AUTH_URL", url.as_str())], &by_token[..]].concat()).ok();
    let key = |secret| {
        [
            ("OS_AUTH_URL", url.as_str()),
            ("OS_AUTH_TYPE", "v3applicationcredential"),
            ("OS_APPLICATION_CREDENTIAL_ID", "key"),
            ("OS_APPLICATION_CREDENTIAL_SECRET", secret),
        ]
    };
    list(&world, &key("sesame")).ok();
    list(&world, &key("open")).code(1).stderr_has("did not let us in");
    // The key is for reading.
    let run = world.rimg(["image", "create", "x"]).no_env("OS_CLOUD");
    key("sesame").iter().fold(run, |run, (name, value)| run.env(name, value)).run().code(1).stderr_has("403");
    let wrong = [&demo[..4], &[("OS_PROJECT_NAME", "other"), ("OS_PROJECT_DOMAIN_ID", "default")]].concat();
    list(&world, &wrong).code(1).stderr_has("may sign in, but not to project `other`").stderr_has("choose one of demo");
    serving.stop();
}

#[test]
fn tokens_say_what_they_are_good_for() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let token_of = |reply: &Reply| {
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.header("x-subject-token").unwrap().to_owned()
    };
    let scoped = serving.sign_in(password("demo", "secret"), project("demo"));
    let demo = token_of(&scoped);
    let said = &scoped.json()["token"];
    assert_eq!(said["project"]["name"], "demo");
    let roles: Vec<&str> =
        said["roles"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(roles, ["member", "reader"]);
    assert_eq!(said["catalog"][1]["endpoints"][0]["url"], serving.url);
    let system = serving.sign_in(password("admin", "secret"), json!({"system": {"all": true}}));
    assert_eq!(system.json()["token"]["system"], json!({"all": true}));
    let admin = token_of(&serving.sign_in(password("admin", "secret"), project("demo")));
    let get = |path: &str, token: &str| serving.identity("GET", path, &[("X-Auth-Token", token)], &Value::Null);
    assert_eq!(get("/auth/projects", &demo).json()["projects"][0]["name"], "demo");
    assert_eq!(get("/auth/catalog", &demo).status, 200);
    assert_eq!(get("/projects?name=other", &admin).json()["projects"].as_array().unwrap().len(), 1);
    assert_eq!(get("/projects?name=other", &demo).status, 403);
    assert_eq!(get(&format!("/users/{}", said["user"]["id"].as_str().unwrap()), &demo).status, 200);
    assert_eq!(get("/users/nobody", &admin).status, 404);
    assert_eq!(get("/users/nobody", &demo).status, 403);
    let about = |method: &str, by: &str, subject: &str| {
        serving.identity(method, "/auth/tokens", &[("X-Auth-Token", by), ("X-Subject-Token", subject)], &Value::Null)
    };
    assert_eq!(about("GET", &admin, &demo).json()["token"], *said);
    assert_eq!(about("GET", &demo, &admin).status, 403);
    assert_eq!(about("DELETE", &demo, &admin).status, 403);
    let images = format!("{}/v2/images", serving.url);
    assert_eq!(ask("GET", &images, &[("X-Auth-Token", &demo)], b"").unwrap().status, 200);
    assert_eq!(about("DELETE", &demo, &demo).status, 204);
    let refused = ask("GET", &images, &[("X-Auth-Token", &demo)], b"").unwrap();
    let challenge = format!("Keystone uri=\"{}\"", serving.auth_url());
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some(challenge.as_str())));
    assert_eq!(about("GET", &admin, &demo).status, 404);
    serving.stop();
}

#[test]
fn what_there_is_can_be_looked_up_and_nothing_else() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let token = |user: &str| {
        let reply = serving.sign_in(password(user, "secret"), project("demo"));
        let id = reply.json()["token"]["user"]["id"].as_str().unwrap().to_owned();
        (reply.header("x-subject-token").unwrap().to_owned(), id)
    };
    let ((admin, _), (demo, demo_id)) = (token("admin"), token("demo"));
    let get = |path: &str, token: &str| serving.identity("GET", path, &[("X-Auth-Token", token)], &Value::Null);
    // The catalogue in pieces.
    let services = get("/services?type=image", &admin).json();
    assert_eq!(
        (services["services"].as_array().unwrap().len(), &services["services"][0]["name"]),
        (1, &json!("glance"))
    );
    let id = services["services"][0]["id"].as_str().unwrap();
    let endpoints = get(&format!("/endpoints?service_id={id}&interface=public"), &admin).json();
    assert_eq!(endpoints["endpoints"].as_array().unwrap().len(), 1);
    let endpoint = &endpoints["endpoints"][0];
    assert_eq!((&endpoint["url"], &endpoint["service_id"]), (&json!(serving.url), &json!(id)));
    let one = get(&format!("/endpoints/{}", endpoint["id"].as_str().unwrap()), &admin).json();
    assert_eq!(one["endpoint"], *endpoint);
    assert_eq!(get("/endpoints", &admin).json()["endpoints"].as_array().unwrap().len(), 6);
    assert_eq!(get("/regions", &demo).json()["regions"][0]["id"], "RegionOne");
    assert_eq!(get("/regions/RegionOne", &demo).json()["region"]["id"], "RegionOne");
    // Application credentials, one's own or anybody's for an administrator.
    let keys = format!("/users/{demo_id}/application_credentials");
    for by in [&demo, &admin] {
        let listed = get(&keys, by).json();
        let key = &listed["application_credentials"][0];
        assert_eq!(
            (&key["id"], &key["name"], &key["roles"][0]["name"]),
            (&json!("key"), &json!("ci"), &json!("reader"))
        );
        assert!(!listed.to_string().contains("sesame") && key.get("secret").is_none());
        assert_eq!(get(&format!("{keys}/key"), by).json()["application_credential"], *key);
    }
    let none = get(&format!("{keys}?name=other"), &demo).json();
    assert_eq!(none["application_credentials"], json!([]));
    let ask = |method: &str, path: &str, by: &str, body: &Value| {
        let reply = serving.identity(method, path, &[("X-Auth-Token", by)], body);
        let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        (reply.status, message)
    };
    let denied = "You are not authorized to perform the requested action: identity:";
    for (method, path, by, status, message) in [
        ("GET", format!("{keys}/nope"), &demo, 404, "Could not find Application Credential: nope.".to_owned()),
        (
            "GET",
            "/users/x/application_credentials".into(),
            &demo,
            403,
            format!("{denied}list_application_credentials."),
        ),
        ("GET", "/users/x/application_credentials".into(), &admin, 404, "Could not find user: x.".into()),
        ("GET", "/services".into(), &demo, 403, format!("{denied}list_services.")),
        ("GET", "/endpoints".into(), &demo, 403, format!("{denied}list_endpoints.")),
        ("GET", "/services/x".into(), &admin, 404, "Could not find service: x.".into()),
        (
            "POST",
            "/users".into(),
            &admin,
            403,
            "What there is on this service comes from its configuration file".into(),
        ),
        ("DELETE", format!("{keys}/key"), &demo, 403, "What there is on this service comes from its".into()),
        ("GET", keys.clone(), &"x".to_owned(), 401, "The request you have made requires authentication.".into()),
    ] {
        let (is, said) = ask(method, &path, by, &Value::Null);
        assert!(is == status && said.starts_with(&message), "{method} {path}: {is} {said}");
    }
    // What this service does not have is told as plainly.
    for path in ["/role_assignments", "/groups", "/limits", "/credentials", "/OS-FEDERATION/identity_providers", "/x/y"]
    {
        let reply = get(path, &admin);
        assert!(reply.status == 404 && reply.text().contains("nothing at that address"), "{path}: {}", reply.text());
    }
    serving.stop();
}

#[test]
fn a_user_makes_application_credentials_and_removes_them() {
    let world = bare();
    let first = Serving::start(&world, &["--config", "serve.yaml"]);
    let sign_in = |serving: &Serving, identity: Value, scope: Value| {
        let reply = serving.sign_in(identity, scope);
        assert_eq!(reply.status, 201, "{}", reply.text());
        (reply.header("x-subject-token").unwrap().to_owned(), reply.json()["token"].clone())
    };
    let by_key = |id: &str, secret: &str| json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}});
    let (demo, said) = sign_in(&first, password("demo", "secret"), project("demo"));
    let (admin, _) = sign_in(&first, password("admin", "secret"), project("demo"));
    let keys = format!("/users/{}/application_credentials", said["user"]["id"].as_str().unwrap());
    let ask = |serving: &Serving, method: &str, path: &str, by: &str, body: &Value| {
        serving.identity(method, path, &[("X-Auth-Token", by)], body)
    };
    let make = |by: &str, wish: Value| ask(&first, "POST", &keys, by, &json!({"application_credential": wish}));
    let made = make(&demo, json!({"name": "mine", "description": "d", "roles": [{"name": "reader"}]}));
    assert_eq!(made.status, 201, "{}", made.text());
    let mine = made.json()["application_credential"].clone();
    let (id, secret) = (mine["id"].as_str().unwrap().to_owned(), mine["secret"].as_str().unwrap().to_owned());
    assert_eq!((&mine["description"], &mine["project_id"]), (&json!("d"), &said["project"]["id"]));
    assert_eq!((&mine["expires_at"], mine["roles"].as_array().unwrap().len()), (&Value::Null, 1));
    // As `openstack` says it when no role is named: all that the token has.
    let all = make(&demo, json!({"name": "all", "roles": []})).json()["application_credential"].clone();
    assert_eq!(all["roles"].as_array().unwrap().len(), 2);
    // The file holds a hash alone, for its owner alone.
    let kept = world.home.join("data/rimg/local/application-credentials.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&kept).unwrap().contains(&secret) && !log_of(&world).contains(&secret));
    // It opens what was asked for, and no more: not even others of its kind.
    let (token, token_said) = sign_in(&first, by_key(&id, &secret), Value::Null);
    assert_eq!(token_said["roles"][0]["name"], "reader");
    assert_eq!(token_said["application_credential"], json!({"id": id, "name": "mine", "restricted": true}));
    let images = format!("{}/v2/images", first.url);
    let list =
        |token: &str| crate::support::client::ask("GET", &images, &[("X-Auth-Token", token)], b"").unwrap().status;
    assert_eq!(list(&token), 200);
    for (by, wish, status, words) in [
        (&token, json!({"name": "x"}), 403, "not allowed for managing additional application credentials"),
        (&admin, json!({"name": "x"}), 403, "identity:create_application_credential"),
        (&demo, json!({"name": "mine"}), 409, "Duplicate entry found with name mine."),
        (&demo, json!({"name": "ci"}), 409, "Duplicate entry found with name ci."),
        (&demo, json!({}), 400, "'name' is a required property"),
        (&demo, json!({"name": "x".repeat(256)}), 400, "'name' is no text of 1 to 255 bytes"),
        (&demo, json!({"name": "x", "roles": [{"name": "admin"}]}), 400, "with unassigned role"),
        (&demo, json!({"name": "x", "roles": "admin"}), 400, "'roles' is no list of roles"),
        (&demo, json!({"name": "x", "expires_at": "2000-01-01T00:00:00"}), 400, "must not be before now"),
        (&demo, json!({"name": "x", "expires_at": "soon"}), 400, "is no time in ISO 8601"),
        (&demo, json!({"name": "x", "unrestricted": "yes"}), 400, "'unrestricted' is not of type 'boolean'"),
        (&demo, json!({"name": "x", "access_rules": [{"path": "/"}]}), 501, "no access rules"),
    ] {
        let reply = make(by, wish.clone());
        assert!(reply.status == status && reply.text().contains(words), "{wish}: {} {}", reply.status, reply.text());
    }
    let unscoped = sign_in(&first, password("demo", "secret"), Value::Null).0;
    assert_eq!(make(&unscoped, json!({"name": "x"})).status, 400);
    // One that ends takes its tokens along.
    let soon = (std::time::SystemTime::now() + Duration::from_secs(100)).duration_since(std::time::UNIX_EPOCH).unwrap();
    let soon = jiff::Timestamp::from_second(soon.as_secs() as i64).unwrap();
    let wish = json!({"name": "short", "secret": "short", "unrestricted": true,
        "expires_at": soon.strftime("%Y-%m-%dT%H:%M:%S.000000").to_string()});
    let short = make(&demo, wish).json()["application_credential"].clone();
    let (free, short_said) = sign_in(&first, by_key(short["id"].as_str().unwrap(), "short"), Value::Null);
    assert_eq!(short_said["expires_at"], soon.strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string());
    assert_eq!(make(&free, json!({"name": "more"})).status, 201);
    // Another start, and another process, know the same.
    first.stop();
    let second = Serving::start(&world, &["--config", "serve.yaml"]);
    let third = Serving::start(&world, &["--config", "serve.yaml"]);
    let (demo, _) = sign_in(&second, password("demo", "secret"), project("demo"));
    let names: Vec<Value> = ask(&second, "GET", &keys, &demo, &Value::Null).json()["application_credentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].clone())
        .collect();
    assert_eq!(names, ["ci", "mine", "all", "short", "more"]);
    let token = sign_in(&second, by_key(&id, &secret), Value::Null).0;
    let one = format!("{keys}/{id}");
    assert_eq!(ask(&second, "DELETE", &one, &token, &Value::Null).status, 403);
    assert_eq!(ask(&second, "DELETE", &one, &demo, &Value::Null).status, 204);
    assert_eq!(ask(&second, "DELETE", &one, &demo, &Value::Null).status, 404);
    assert_eq!(ask(&second, "DELETE", &format!("{keys}/key"), &demo, &Value::Null).status, 403);
    let images = format!("{}/v2/images", second.url);
    assert_eq!(crate::support::client::ask("GET", &images, &[("X-Auth-Token", &token)], b"").unwrap().status, 401);
    assert_eq!(third.sign_in(by_key(&id, &secret), Value::Null).status, 404);
    second.stop();
    third.stop();
    fs::write(&kept, "{").unwrap();
    let refused = world.rimg(["serve", "--listen", "0", "--data-dir", "data/rimg/local"]).run();
    refused.code(1).stderr_has("application-credentials.json` does not hold application credentials\nhint: remove it");
}

#[test]
fn who_is_refused_learns_nothing() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let refusals = [
        (password("demo", "wrong"), Value::Null),
        (password("nobody", "secret"), Value::Null),
        (password("demo", "secret"), project("other")),
        (password("demo", "secret"), project("nothing")),
        (password("demo", "secret"), json!({"system": {"all": true}})),
        (json!({"methods": []}), Value::Null),
        (
            json!({"methods": ["application_credential"], "application_credential": {"id": "key", "secret": "x"}}),
            Value::Null,
        ),
    ];
    for (identity, scope) in refusals {
        let reply = serving.sign_in(identity.clone(), scope);
        let message = "The request you have made requires authentication.";
        assert_eq!(reply.status, 401, "{identity}");
        assert_eq!(reply.json(), json!({"error": {"code": 401, "message": message, "title": "Unauthorized"}}));
    }
    let many = json!({"methods": ["foo"], "foo": {}});
    assert!(serving.sign_in(many, Value::Null).text().contains("unsupported method"));
    let no_domain = json!({"methods": ["password"], "password": {"user": {"name": "demo", "password": "secret"}}});
    let reply = serving.sign_in(no_domain, Value::Null);
    assert!(reply.status == 400 && reply.text().contains("Expecting to find domain in user."), "{}", reply.text());
    // What is demanded by two methods must be shown by both.
    let mut both = password("demo", "secret");
    both["methods"] = json!(["password", "application_credential"]);
    both["application_credential"] = json!({"id": "key", "secret": "wrong"});
    assert_eq!(serving.sign_in(both.clone(), Value::Null).status, 401);
    both["application_credential"]["secret"] = json!("sesame");
    assert_eq!(serving.sign_in(both, Value::Null).status, 201);
    serving.stop();
}

#[test]
fn the_password_of_the_administrator_is_shown_once() {
    let world = bare();
    let first = Serving::start(&world, &[]);
    let shown = fs::read_to_string(world.home.join("stdout")).unwrap();
    let secret = shown.lines().find_map(|line| line.trim().strip_prefix("password: ")).unwrap().to_owned();
    assert_eq!(first.sign_in(password("admin", &secret), project("admin")).status, 201);
    first.stop();
    let kept = world.home.join("data/rimg/local/admin-password");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&kept).unwrap().contains(&secret));
    let second = Serving::start(&world, &[]);
    let shown = fs::read_to_string(world.home.join("stdout")).unwrap();
    assert!(!shown.contains(&secret) && shown.contains("# password: kept here only as a hash"), "{shown}");
    assert_eq!(second.sign_in(password("admin", &secret), project("admin")).status, 201);
    second.stop();
    let third = Serving::start(&world, &["--reset-password"]);
    assert_eq!(third.sign_in(password("admin", &secret), project("admin")).status, 401);
    third.stop();
}

#[test]
fn the_entry_is_written_into_a_file_that_has_others() {
    let world = bare();
    let mine = "# mine\nclouds:\n  prod: {auth: {password: 0123}} # keep\n";
    let path = world.file("clouds.yaml", mine);
    for _ in 0..2 {
        let serving = Serving::start(&world, &["--write-clouds-yaml", "clouds.yaml"]);
        world.rimg(["image", "list"]).env("OS_CLOUD", "rimg-admin").run().ok().stderr_is("");
        assert_eq!(fs::read(world.home.join("stdout")).unwrap(), b"");
        serving.stop();
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("# mine\nclouds:\n  rimg-admin:\n")
            && text.ends_with("  prod: {auth: {password: 0123}} # keep\n")
    );
    assert_eq!(text.matches("rimg-admin:").count(), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "clouds: {prod: {}}\n").unwrap();
    let refused = world.rimg(["serve", "--listen", "0", "--write-clouds-yaml", "clouds.yaml"]).run();
    refused.code(1).stderr_has("is written in a way that rimg cannot add to");
}

/// What `image list` says in an sh that sourced `openrc`, with no variables but those.
fn sourced(world: &World, before: &str) -> Outcome {
    let script = format!("{before} . ./openrc && exec \"$RIMG\" image list -f json");
    let run = world.program("/bin/sh").args(["-c", &script]).directory(&world.home).no_env("OS_CLOUD");
    run.env("RIMG", env!("CARGO_BIN_EXE_rimg")).run()
}

#[test]
fn a_shell_can_source_the_openrc() {
    let world = bare();
    let path = world.home.join("openrc");
    let args = ["--write-openrc", "openrc"];
    let first = Serving::start(&world, &args);
    assert_eq!(fs::read(world.home.join("stdout")).unwrap(), b"");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    sourced(&world, "").ok().stdout_is("[]\n").stderr_is("");
    // What another cloud left in the shell is not mixed with this one.
    sourced(&world, "export OS_CLOUD=x OS_TOKEN=y OS_PROJECT_ID=z OS_AUTH_TYPE=token;").ok().stdout_is("[]\n");
    let written = fs::read_to_string(&path).unwrap();
    let password = written.lines().find_map(|line| line.strip_prefix("export OS_PASSWORD='")).unwrap();
    assert!(!log_of(&world).contains(password.trim_end_matches('\'')));
    first.stop();
    // The second start knows the hash alone, and keeps what stands there as long as it is right.
    let second = Serving::start(&world, &args);
    sourced(&world, "").ok().stdout_is("[]\n");
    second.stop();
    fs::remove_file(&path).unwrap();
    let third = Serving::start(&world, &args);
    sourced(&world, "OS_PASSWORD=old;").code(1).stderr_has("password");
    third.stop();
    fs::write(&path, "alias l=ls\n").unwrap();
    let refused = world.rimg(["serve", "--listen", "0", "--write-openrc", "openrc"]).run();
    refused.code(1).stderr_has("`openrc` is there already, and is no openrc that rimg wrote");
    assert_eq!(fs::read_to_string(&path).unwrap(), "alias l=ls\n");
}

#[test]
fn no_word_means_anything_to_the_shell_that_sources_it() {
    let world = bare();
    let people = serde_json::json!({
        "projects": [{"name": "it's $HOME"}],
        "users": [{"name": "a'; touch made; '", "password": "$(touch made)`touch made`\"\\ '\n!#",
            "roles": [{"project": "it's $HOME", "roles": ["member"]}]}, {"name": "second", "password": "x"}],
    });
    // JSON is YAML.
    world.file("people.yaml", people.to_string());
    let serving = Serving::start(&world, &["--config", "people.yaml", "--write-openrc", "openrc"]);
    sourced(&world, "set -eu;").ok().stdout_is("[]\n");
    assert!(!world.home.join("made").exists());
    assert_eq!(fs::read(world.home.join("stdout")).unwrap(), b"");
    serving.stop();
}

/// Begins to upload 2000 bytes, and sends half of them.
fn half_an_upload(serving: &Serving) -> (Session, String, TcpStream) {
    let token = serving.sign_in(password("demo", "secret"), project("demo"));
    let token = token.header("x-subject-token").unwrap().to_owned();
    let session = Session { project: String::new(), token, image_url: serving.url.clone() };
    let image = session.json("POST", "/v2/images", &json!({"disk_format": "raw", "container_format": "bare"}));
    let id = image.json()["id"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(serving.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "PUT /v2/images/{id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: 2000\r\n\r\n",
        session.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[1; 1000]).unwrap();
    let started = Instant::now();
    while session.ask("GET", &format!("/v2/images/{id}"), &[], b"").unwrap().json()["status"] != "saving" {
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    (session, id, stream)
}

#[test]
fn transfers_under_way_may_end() {
    let world = bare();
    let mut serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let (_, id, mut stream) = half_an_upload(&serving);
    serving.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    stream.write_all(&[2; 1000]).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 204 No Content\r\n");
    assert_eq!(serving.code(), Some(0));
    let again = Serving::start(&world, &["--config", "serve.yaml"]);
    let token = again.sign_in(password("demo", "secret"), project("demo"));
    let session = Session {
        project: String::new(),
        token: token.header("x-subject-token").unwrap().to_owned(),
        image_url: again.url.clone(),
    };
    assert_eq!(session.ask("GET", &format!("/v2/images/{id}"), &[], b"").unwrap().json()["status"], "active");
    again.stop();
}

#[test]
fn transfers_that_take_too_long_are_undone() {
    let world = bare();
    let mut serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let (_, id, mut stream) = half_an_upload(&serving);
    serving.signal("INT");
    assert_eq!(serving.code(), Some(0));
    let _ = stream.read(&mut [0; 1]);
    let store = world.home.join("data/rimg/local/stores/local");
    assert_eq!(fs::read_dir(store).unwrap().count(), 0);
    let again = Serving::start(&world, &["--config", "serve.yaml"]);
    assert!(!log_of(&world).contains("swept"), "{}", log_of(&world));
    let token = again.sign_in(password("demo", "secret"), project("demo"));
    let session = Session {
        project: String::new(),
        token: token.header("x-subject-token").unwrap().to_owned(),
        image_url: again.url.clone(),
    };
    assert_eq!(session.ask("GET", &format!("/v2/images/{id}"), &[], b"").unwrap().json()["status"], "queued");
    // A second signal does not wait for anything; the next start sweeps up.
    let mut serving = again;
    let _upload = half_an_upload(&serving);
    serving.signal("TERM");
    std::thread::sleep(Duration::from_millis(100));
    serving.signal("TERM");
    assert_eq!(serving.code(), Some(143));
    let last = Serving::start(&world, &["--config", "serve.yaml"]);
    assert!(log_of(&world).contains("note: swept up image "), "{}", log_of(&world));
    last.stop();
}

#[test]
fn what_a_killed_process_left_is_swept_by_one_that_lives_on() {
    let world = bare();
    world.file("serve.yaml", PEOPLE.replace("grace: 1", "grace: 1, sweep: 1"));
    let survivor = Serving::start(&world, &["--config", "serve.yaml"]);
    let mut killed = Serving::start(&world, &["--config", "serve.yaml"]);
    let (_, own, mut stream) = half_an_upload(&survivor);
    let (_, id, _upload) = half_an_upload(&killed);
    killed.signal("KILL");
    assert_eq!(killed.code(), None);
    let token = survivor.sign_in(password("demo", "secret"), project("demo"));
    let token = token.header("x-subject-token").unwrap().to_owned();
    let session = Session { project: String::new(), token, image_url: survivor.url.clone() };
    let status = |id: &str| session.ask("GET", &format!("/v2/images/{id}"), &[], b"").unwrap().json()["status"].clone();
    let started = Instant::now();
    while status(&id) != "queued" || !log_of(&world).contains(&format!("note=\"swept up image {id}: unfinished data")) {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", log_of(&world));
        std::thread::sleep(Duration::from_millis(20));
    }
    // What the survivor has in hand itself is none of that.
    assert_eq!(status(&own), "saving");
    stream.write_all(&[2; 1000]).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 204 No Content\r\n");
    assert_eq!(fs::read_dir(world.home.join("data/rimg/local/stores/local")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(world.home.join("data/rimg/local/runs")).unwrap().count(), 1);
    survivor.stop();
}

#[test]
fn what_is_wrong_is_said_at_the_start() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml"]);
    let place = serving.url.strip_prefix("http://").unwrap();
    let taken = world.rimg(["serve", "--listen", place]).run();
    taken.code(1).stdout_is("").stderr_has(&format!("error: cannot listen on {place}: address already in use\nhint: "));
    serving.stop();
    world.file("bad.yaml", "users:\n- name: a\n  pasword: hunter2\n");
    let bad = world.rimg(["serve", "--listen", "0", "--config", "bad.yaml"]).run();
    bad.code(1).stderr_has("`bad.yaml`, line 3: there is no setting `pasword` here").stderr_lacks("hunter2");
    world.rimg(["serve", "--listen", "example.org"]).run().code(2).stderr_has("neither an IP address");
    let hash = world.rimg(["serve", "--hash-password"]).env("RIMG_PASSWORD", "secret").run();
    hash.ok().stdout_has("$pbkdf2-sha512$25000$");
}

#[test]
fn a_malformed_configuration_starts_and_makes_nothing() {
    let world = bare();
    world.file("broken.json", "{\"namespace\": \"A\",\n oops");
    for (text, message) in [
        ("protected_properties:\n- {pattern: '('}\n", "`bad.yaml`, line 2: `(` is not a pattern"),
        ("web_download:\n  hosts: ['mirror:80']\n", "`bad.yaml`, line 2: `web_download.hosts` holds"),
        ("quota:\n  tags: hunter2\n", "`bad.yaml`, line 2: `quota.tags` is not what belongs there"),
        ("policy:\n  ad_image: role:x\n", "`bad.yaml`, line 2: `ad_image` is no rule"),
        ("metadefs:\n  - hunter2\n", "`bad.yaml`, line 2: `metadefs` is not what belongs there"),
        ("metadefs: nowhere\n", "cannot read `nowhere`"),
        (
            "metadefs: broken.json\n",
            "`broken.json` is not a document of metadata definitions: it is not JSON at line 2",
        ),
    ] {
        world.file("bad.yaml", text);
        let args = ["serve", "--listen", "0", "--config", "bad.yaml", "--data-dir", "made", "--write-openrc", "openrc"];
        let refused = world.rimg(args).run();
        refused.code(1).stdout_is("").stderr_has(message).stderr_lacks("hunter2").stderr_lacks("serving");
        for left in ["made", "openrc", "data"] {
            assert!(!world.home.join(left).exists(), "{left}: {text}");
        }
    }
}

const RULES: &str = "
policy: {publicize_image: 'role:member'}
import_methods: [web-download]
web_download: {hosts: ['127.0.0.1'], ports: []}
metadefs: definitions
protected_properties:
- {pattern: ^billing_, create: [admin], read: [admin, member], update: [admin], delete: [admin]}
- {pattern: ., create: [member], read: [member], update: [member], delete: [member]}
quota: {properties: 2, tags: 1, members: 1, image_size: 3000000, user_storage: 4000000}
";

#[test]
fn what_the_configuration_says_counts() {
    let world = bare();
    world.file("rules.yaml", format!("{PEOPLE}{RULES}"));
    fs::create_dir(world.home.join("definitions")).unwrap();
    world.file("definitions/a.json", r#"{"namespace": "A", "visibility": "public"}"#);
    let serving = Serving::start(&world, &["--config", "rules.yaml"]);
    assert!(log_of(&world).contains("note: `definitions`: loaded 1 namespaces, 0 were there already"));
    let session = |user: &str| {
        let token = serving.sign_in(password(user, "secret"), project("demo"));
        Session {
            project: String::new(),
            token: token.header("x-subject-token").unwrap().to_owned(),
            image_url: serving.url.clone(),
        }
    };
    let (admin, demo) = (session("admin"), session("demo"));
    let names = demo.ask("GET", "/v2/metadefs/namespaces", &[], b"").unwrap().json();
    assert_eq!(names["namespaces"][0]["namespace"], "A");
    let create = |by: &Session, more: Value| {
        let mut image = json!({"disk_format": "raw", "container_format": "bare"});
        image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        by.json("POST", "/v2/images", &image)
    };
    // Policy.
    assert_eq!(create(&demo, json!({"visibility": "public"})).status, 201);
    // Protected properties.
    assert_eq!(create(&demo, json!({"billing_code": "x"})).status, 403);
    let image = create(&admin, json!({"billing_code": "x"}));
    let id = image.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v2/images/{id}");
    assert_eq!(demo.ask("GET", &path, &[], b"").unwrap().json()["billing_code"], "x");
    let change = json!([{"op": "replace", "path": "/billing_code", "value": "y"}]);
    assert_eq!((demo.json("PATCH", &path, &change).status, admin.json("PATCH", &path, &change).status), (403, 200));
    // Quotas.
    assert_eq!(create(&demo, json!({"a": "1", "b": "2", "c": "3"})).status, 413);
    assert_eq!(create(&demo, json!({"tags": ["a", "b"]})).status, 413);
    let member = |name: &str| demo.json("POST", &format!("{path}/members"), &json!({"member": name})).status;
    assert_eq!((member("p"), member("q")), (200, 413));
    let octets = [("Content-Type", "application/octet-stream")];
    let put = |id: &str, bytes: usize| {
        demo.ask("PUT", &format!("/v2/images/{id}/file"), &octets, &vec![1; bytes]).unwrap().status
    };
    assert_eq!((put(&id, 3_000_001), put(&id, 2_500_000)), (413, 204));
    let other = create(&demo, json!({})).json()["id"].as_str().unwrap().to_owned();
    assert_eq!((put(&other, 2_000_000), put(&other, 1_000_000)), (413, 204));
    // Imports.
    let way = |body: Value| {
        let id = create(&demo, json!({})).json()["id"].as_str().unwrap().to_owned();
        demo.json("POST", &format!("/v2/images/{id}/import"), &json!({"method": body}))
    };
    let direct = way(json!({"name": "glance-direct"}));
    assert!(direct.status == 400 && direct.text().contains("Unknown import method name"), "{}", direct.text());
    assert_eq!(way(json!({"name": "web-download", "uri": "http://127.0.0.2:1/x"})).status, 400);
    assert_eq!(way(json!({"name": "web-download", "uri": "http://127.0.0.1:1/x"})).status, 202);
    serving.stop();
}

#[test]
fn the_log_can_be_a_file_and_nothing_else() {
    let world = bare();
    let serving = Serving::start(&world, &["--config", "serve.yaml", "--log-file", "file.log"]);
    ask("GET", &serving.auth_url(), &[], b"").unwrap();
    serving.stop();
    let file = fs::read_to_string(world.home.join("file.log")).unwrap();
    assert!(file.contains("method=GET path=/identity/v3 status=200"), "{file}");
}
