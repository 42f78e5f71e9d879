//! Signing in: who, where and for what, and what Keystone is asked for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::http::Server;
use crate::support::keystone::{APP_CREDENTIAL, PASSCODE, TRUST, id_of};
use crate::support::{Answer, Outcome, Run, Stdin, World, client, each_service};

const LIST: [&str; 4] = ["image", "list", "-f", "json"];

/// What an openrc of demo exports, but for OS_AUTH_URL.
const OPENRC: [(&str, &str); 7] = [
    ("OS_USERNAME", "demo"),
    ("OS_PASSWORD", "secret"),
    ("OS_PROJECT_NAME", "demo"),
    ("OS_USER_DOMAIN_NAME", "Default"),
    ("OS_PROJECT_DOMAIN_ID", "default"),
    ("OS_REGION_NAME", "RegionOne"),
    ("OS_IDENTITY_API_VERSION", "3"),
];

/// The run in an environment that alone describes the cloud; it signs in each time.
fn with_env(world: &World, run: Run, variables: &[(&str, &str)]) -> Run {
    let _ = fs::remove_file(world.clouds_yaml());
    let run = run.no_env("OS_CLOUD").env("OS_AUTH_URL", world.auth_url()).env("RIMG_TOKEN_CACHE", "0");
    variables.iter().fold(run, |run, (name, value)| run.env(name, value))
}

/// `image list` with only these variables and OS_AUTH_URL.
fn list(world: &World, variables: &[(&str, &str)]) -> Outcome {
    with_env(world, world.rimg(LIST), variables).run()
}

/// The `auth` of the last request for a token.
#[track_caller]
fn asked(world: &World) -> Value {
    world.identity().asked("POST", "/v3/auth/tokens").last().expect("nobody signed in").json()["auth"].clone()
}

fn no_images() -> Answer {
    Answer::json(200, &json!({"images": [], "first": "/v2/images", "schema": "/v2/schemas/images"}))
}

fn demo_by_name() -> Value {
    json!({"name": "demo", "domain": {"id": "default"}})
}

#[test]
fn from_an_openrc_alone() {
    each_service(|world| {
        let outcome = list(world, &OPENRC);
        outcome.ok().stderr_is("");
        assert!(outcome.json().is_array());
        if world.is_fake() {
            assert_eq!(
                asked(world),
                json!({"identity": {"methods": ["password"], "password": {"user":
                    {"name": "demo", "domain": {"name": "Default"}, "password": "secret"}}},
                    "scope": {"project": {"name": "demo", "domain": {"id": "default"}}}})
            );
        }
    });
}

#[test]
fn from_flags_alone() {
    each_service(|world| {
        fs::remove_file(world.clouds_yaml()).unwrap();
        let flags = [
            ["--os-auth-url", world.auth_url()],
            ["--os-username", "demo"],
            ["--os-password", "secret"],
            ["--os-project-name", "demo"],
            ["--os-user-domain-id", "default"],
            ["--os-project-domain-id", "default"],
            ["--os-region-name", "RegionOne"],
        ];
        // Some before the words, some behind them.
        let line = flags[..3].concat().into_iter().chain(LIST).chain(flags[3..].concat());
        world.rimg(line).no_env("OS_CLOUD").run().ok().stderr_is("").json();
    });
}

#[test]
fn from_the_only_cloud_of_clouds_yaml() {
    each_service(|world| {
        let text = fs::read_to_string(world.clouds_yaml()).unwrap();
        let start = text.find("  devstack:").unwrap();
        let end = text.find("  devstack-other:").unwrap();
        world.file(".config/openstack/clouds.yaml", format!("clouds:\n{}", &text[start..end]));
        world.rimg(LIST).no_env("OS_CLOUD").run().ok().stderr_is("").json();
    });
}

#[test]
fn os_cloud_chooses_and_the_flag_is_stronger() {
    each_service(|world| {
        let who = |args: &[&str], variable: &str| {
            let line = args.iter().chain(&["image", "create", "-f", "value", "-c", "owner"]).copied();
            let name = world.name("whose");
            let outcome = world.rimg(line.chain([name.as_str()])).env("OS_CLOUD", variable).run();
            outcome.ok().stdout()
        };
        let (demo, other) = (who(&[], "devstack"), who(&[], "devstack-other"));
        assert_ne!(demo, other);
        assert_eq!(who(&["--os-cloud", "devstack"], "devstack-other"), demo);
    });
}

#[test]
fn secure_yaml_completes_clouds_yaml() {
    each_service(|world| {
        let text = fs::read_to_string(world.clouds_yaml()).unwrap();
        world.file(".config/openstack/clouds.yaml", text.replace("      password: secret\n", ""));
        let secret = "clouds: {devstack: {auth: {password: secret}}}\n";
        world.file(".config/openstack/secure.yaml", secret);
        world.run(LIST).ok().stderr_is("");
        world.run_as("other", LIST).code(1).stderr_is(
            "error: no password was given, and there is no terminal to ask for one\n\
             hint: set OS_PASSWORD, `password` under `auth` in clouds.yaml or secure.yaml, or `--os-password`\n",
        );
    });
}

#[test]
fn a_password_of_a_user_by_id() {
    let world = World::new();
    let (user, project) = (id_of("user demo"), id_of("demo"));
    for auth_type in ["password", "v3password"] {
        let variables = [
            ("OS_AUTH_TYPE", auth_type),
            ("OS_USER_ID", &user),
            ("OS_PASSWORD", "secret"),
            ("OS_PROJECT_ID", &project),
        ];
        list(&world, &variables).ok().stderr_is("");
        assert_eq!(
            asked(&world),
            json!({"identity": {"methods": ["password"], "password": {"user": {"id": user, "password": "secret"}}},
                "scope": {"project": {"id": project}}})
        );
    }
}

#[test]
fn a_token_for_a_project() {
    each_service(|world| {
        for auth_type in ["token", "v3token", ""] {
            let token = world.session("demo").token;
            let variables = [("OS_AUTH_TYPE", auth_type), ("OS_TOKEN", &token), ("OS_PROJECT_NAME", "demo")];
            list(world, &variables).ok().stderr_is("");
            if world.is_fake() {
                assert_eq!(
                    asked(world),
                    json!({"identity": {"methods": ["token"], "token": {"id": token}},
                        "scope": {"project": demo_by_name()}}),
                    "{auth_type:?}"
                );
            }
        }
    });
}

#[test]
fn a_wrong_token_is_a_refusal_not_a_missing_page() {
    let world = World::new();
    list(&world, &[("OS_TOKEN", "stale"), ("OS_PROJECT_NAME", "demo")]).code(1).stderr_is(
        "error: Keystone did not let us in: Could not recognize Fernet token (HTTP 404 not found)\n  \
         `token` came from OS_TOKEN\n\
         hint: get a new token, or sign in with a user and a password\n",
    );
}

#[test]
fn an_application_credential_asks_for_no_scope() {
    let (id, name, secret) = APP_CREDENTIAL;
    let world = World::new();
    let credential = ("OS_AUTH_TYPE", "v3applicationcredential");
    let its_secret = ("OS_APPLICATION_CREDENTIAL_SECRET", secret);
    // A project left over from an openrc does not matter.
    let by_id = [credential, its_secret, ("OS_APPLICATION_CREDENTIAL_ID", id), ("OS_PROJECT_NAME", "demo")];
    list(&world, &by_id).ok().stderr_is("");
    assert_eq!(
        asked(&world),
        json!({"identity": {"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}}})
    );
    let by_name = [credential, its_secret, ("OS_APPLICATION_CREDENTIAL_NAME", name), ("OS_USERNAME", "demo")];
    list(&world, &by_name).ok().stderr_is("");
    assert_eq!(
        asked(&world),
        json!({"identity": {"methods": ["application_credential"], "application_credential":
            {"name": name, "user": demo_by_name(), "secret": secret}}})
    );
}

#[test]
fn an_application_credential_of_this_cloud() {
    each_service(|world| {
        let (id, _, secret) = APP_CREDENTIAL;
        let made = world.is_real().then(|| {
            let token = world.session("demo").token;
            let ask = move |method: &str, path: &str, body: &str| {
                let media =
                    [("Content-Type", "application/json"), ("X-Auth-Token", &token), ("X-Subject-Token", &token)];
                client::ask(method, &format!("{}{path}", world.auth_url()), &media, body.as_bytes()).unwrap()
            };
            let user = ask("GET", "/auth/tokens", "").json()["token"]["user"]["id"].as_str().unwrap().to_owned();
            let wanted = json!({"application_credential": {"name": world.name("ci"), "secret": secret,
                "roles": [{"name": "member"}]}});
            let all = format!("/users/{user}/application_credentials");
            let made = ask("POST", &all, &wanted.to_string()).json();
            let id = made["application_credential"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
            (id.clone(), move || ask("DELETE", &format!("{all}/{id}"), "").status)
        });
        let id = made.as_ref().map_or(id, |(id, _)| id);
        let credential = [
            ("OS_APPLICATION_CREDENTIAL_ID", id),
            ("OS_AUTH_TYPE", "v3applicationcredential"),
            ("OS_PROJECT_NAME", "demo"),
        ];
        let right = list(world, &[&credential[..], &[("OS_APPLICATION_CREDENTIAL_SECRET", secret)]].concat());
        let wrong = list(world, &[&credential[..], &[("OS_APPLICATION_CREDENTIAL_SECRET", "wrong-one")]].concat());
        if let Some((_, delete)) = made {
            assert_eq!(delete(), 204);
        }
        right.ok().stderr_is("");
        wrong.code(1).stderr_lacks("wrong-one").stderr_has("error: Keystone did not let us in: ");
    });
}

#[test]
fn an_application_credential_that_is_incomplete_or_wrong() {
    let (id, _, _) = APP_CREDENTIAL;
    let world = World::new();
    let kind = ("OS_AUTH_TYPE", "v3applicationcredential");
    list(&world, &[kind, ("OS_APPLICATION_CREDENTIAL_ID", id)]).code(1).stderr_is(
        "error: auth type `v3applicationcredential` needs `application_credential_secret`\n\
         hint: set it under `auth` in clouds.yaml, as OS_APPLICATION_CREDENTIAL_SECRET, or with \
         `--os-application-credential-secret`\n",
    );
    list(&world, &[kind, ("OS_APPLICATION_CREDENTIAL_SECRET", "x")])
        .code(1)
        .stderr_has("needs `application_credential_id`");
    assert_eq!(world.identity().requests().len(), 0);
    let wrong = [kind, ("OS_APPLICATION_CREDENTIAL_ID", id), ("OS_APPLICATION_CREDENTIAL_SECRET", "wrong-secret")];
    list(&world, &wrong).code(1).stderr_is(
        "error: Keystone did not let us in: The request you have made requires authentication (HTTP 401 unauthorized)\n  \
         `application_credential_id` came from OS_APPLICATION_CREDENTIAL_ID\n  \
         `application_credential_secret` came from OS_APPLICATION_CREDENTIAL_SECRET\n\
         hint: check the application credential and its secret: it may have expired or been deleted\n",
    );
}

#[test]
fn an_application_credential_that_does_not_exist() {
    each_service(|world| {
        if world.is_fake() {
            let message = json!({"error": {"code": 404, "message": "Could not find Application Credential: nosuch.",
                "title": "Not Found"}});
            world.identity().on("POST", "/v3/auth/tokens").answer(move || Answer::json(404, &message));
        }
        // A brace in a secret is a brace.
        let variables = [
            ("OS_AUTH_TYPE", "v3applicationcredential"),
            ("OS_APPLICATION_CREDENTIAL_ID", "nosuch"),
            ("OS_APPLICATION_CREDENTIAL_SECRET", "{brace} and {"),
        ];
        list(world, &variables).code(1).stderr_lacks("brace").stderr_is(
            "error: Keystone did not let us in: Could not find Application Credential: nosuch (HTTP 404 not found)\n  \
             `application_credential_id` came from OS_APPLICATION_CREDENTIAL_ID\n  \
             `application_credential_secret` came from OS_APPLICATION_CREDENTIAL_SECRET\n\
             hint: check the application credential and its secret: it may have expired or been deleted\n",
        );
    });
}

#[test]
fn a_passcode() {
    let world = World::new();
    let variables =
        [("OS_AUTH_TYPE", "v3totp"), ("OS_USERNAME", "demo"), ("OS_PASSCODE", PASSCODE), ("OS_PROJECT_NAME", "demo")];
    list(&world, &variables).ok().stderr_is("");
    assert_eq!(
        asked(&world),
        json!({"identity": {"methods": ["totp"], "totp": {"user":
            {"name": "demo", "domain": {"id": "default"}, "passcode": PASSCODE}}}, "scope": {"project": demo_by_name()}})
    );
}

#[test]
fn a_wrong_passcode_is_tried_once_only() {
    let world = World::new();
    let variables =
        [("OS_AUTH_TYPE", "v3totp"), ("OS_USERNAME", "demo"), ("OS_PASSCODE", "000000"), ("OS_PROJECT_NAME", "demo")];
    list(&world, &variables).code(1).stderr_has("`passcode` came from OS_PASSCODE").stderr_lacks("000000");
    assert_eq!(world.identity().requests().len(), 1);
}

#[test]
fn several_factors_at_once() {
    let world = World::new();
    for methods in ["v3password,v3totp", "password, totp"] {
        let variables = [
            ("OS_AUTH_TYPE", "v3multifactor"),
            ("OS_AUTH_METHODS", methods),
            ("OS_USERNAME", "demo"),
            ("OS_PASSWORD", "secret"),
            ("OS_PASSCODE", PASSCODE),
            ("OS_PROJECT_NAME", "demo"),
        ];
        list(&world, &variables).ok().stderr_is("");
        let user =
            |key: &str, secret: &str| json!({"user": {"name": "demo", "domain": {"id": "default"}, key: secret}});
        assert_eq!(
            asked(&world),
            json!({"identity": {"methods": ["password", "totp"], "password": user("password", "secret"),
                "totp": user("passcode", PASSCODE)}, "scope": {"project": demo_by_name()}})
        );
    }
    list(&world, &[("OS_AUTH_TYPE", "v3multifactor")]).code(1).stderr_is(
        "error: auth type `v3multifactor` needs `auth_methods`\n\
         hint: list them under `auth` in clouds.yaml, as OS_AUTH_METHODS, or with `--os-auth-methods`: `v3password,v3totp`\n",
    );
    list(&world, &[("OS_AUTH_TYPE", "v3multifactor"), ("OS_AUTH_METHODS", "v3kerberos")]).code(1).stderr_is(
        "error: `kerberos` cannot be one of the methods of `v3multifactor`\n\
         hint: it knows v3password, v3token, v3totp and v3applicationcredential\n",
    );
}

#[test]
fn keystone_can_want_another_factor() {
    let world = World::new();
    world.identity().on("POST", "/v3/auth/tokens").answer(|| {
        let receipt = json!({"receipt": {"methods": ["password"]}, "required_auth_methods": [["password", "totp"]]});
        Answer::json(401, &receipt).header("Openstack-Auth-Receipt", "gAAAAAreceipt")
    });
    world.run(LIST).code(1).stderr_is(
        "error: Keystone wants another factor from this user\n\
         hint: use `--os-auth-type v3multifactor` with `--os-auth-methods`, for instance `v3password,v3totp`\n",
    );
}

#[test]
fn without_keystone_nothing_is_shown() {
    let world = World::new();
    world.images().on("GET", "/v2/images").answer(no_images);
    let url = world.images().url();
    list(&world, &[("OS_AUTH_TYPE", "none"), ("OS_ENDPOINT", &url)]).ok().stdout_is("[]\n").stderr_is("");
    let requests = world.images().requests();
    assert!(requests.iter().all(|r| r.request.header("x-auth-token").is_none()));
    assert!(requests.iter().all(|r| r.request.header("authorization").is_none()));
    assert_eq!((requests.len(), world.identity().requests().len()), (2, 0));
}

#[test]
fn a_token_and_an_endpoint_need_no_keystone() {
    each_service(|world| {
        let session = world.session("demo");
        let before = if world.is_fake() { world.identity().requests().len() } else { 0 };
        let both = [("OS_TOKEN", session.token.as_str()), ("OS_ENDPOINT", session.image_url.as_str())];
        for kind in ["admin_token", "token_endpoint", ""] {
            let variables = [&both[..], &[("OS_AUTH_TYPE", kind)]].concat();
            list(world, &variables).ok().stderr_is("");
        }
        if world.is_fake() {
            assert_eq!(world.identity().requests().len(), before, "Keystone was asked");
            let last = world.images().requests().pop().unwrap();
            assert_eq!(last.request.header("x-auth-token"), Some(session.token.as_str()));
        }
    });
}

#[test]
fn a_token_without_keystone_needs_its_endpoint() {
    let world = World::new();
    list(&world, &[("OS_AUTH_TYPE", "admin_token"), ("OS_TOKEN", "t")]).code(1).stderr_is(
        "error: auth type `admin_token` needs `endpoint`, the address of the service\n\
         hint: set it under `auth` in clouds.yaml, as OS_ENDPOINT, or with `--os-endpoint`\n",
    );
    list(&world, &[("OS_AUTH_TYPE", "admin_token"), ("OS_ENDPOINT", "http://127.0.0.1:1")])
        .code(1)
        .stderr_has("error: auth type `admin_token` needs `token`\n");
}

#[test]
fn http_basic_sends_its_header() {
    let world = World::new();
    world.images().on("GET", "/v2/images").answer(no_images);
    let url = world.images().url();
    let variables =
        [("OS_AUTH_TYPE", "http_basic"), ("OS_ENDPOINT", &url), ("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret")];
    list(&world, &variables).ok().stdout_is("[]\n");
    let asked = &world.images().asked("GET", "/v2/images")[0];
    assert_eq!(asked.request.header("authorization"), Some("Basic ZGVtbzpzZWNyZXQ="));
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn an_unknown_auth_type_lists_what_there_is() {
    let world = World::new();
    let says = |name: &str| {
        format!(
            "error: rimg does not know the auth type `{name}`\n\
             hint: it knows password, v3password, token, v3token, v3applicationcredential, v3totp, v3multifactor, none, \
             admin_token, token_endpoint, http_basic; choose one with `--os-auth-type`, OS_AUTH_TYPE or `auth_type`\n"
        )
    };
    // Typed, it is a wrong word on the command line; else a wrong configuration.
    let typed = LIST.iter().chain(&["--os-auth-type", "v3kerberos"]);
    world.run(typed).code(2).stderr_is(&says("v3kerberos"));
    list(&world, &[("OS_AUTH_TYPE", "v3oidcpassword")]).code(1).stderr_is(&says("v3oidcpassword"));
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn a_user_is_needed() {
    let world = World::new();
    list(&world, &[]).code(1).stderr_is(
        "error: auth type `password` needs a user\n\
         hint: set `username` or `user_id` under `auth` in clouds.yaml, as OS_USERNAME or OS_USER_ID, or with \
         `--os-username` or `--os-user-id`\n",
    );
}

#[test]
fn the_scope_is_what_was_asked_for() {
    let world = World::new();
    let admin = [("OS_USERNAME", "admin"), ("OS_PASSWORD", "secret")];
    let other = [("OS_USERNAME", "other"), ("OS_PASSWORD", "secret")];
    for (user, more, scope) in [
        (admin, ("OS_PROJECT_NAME", "admin"), json!({"project": {"name": "admin", "domain": {"id": "default"}}})),
        (admin, ("OS_TENANT_NAME", "admin"), json!({"project": {"name": "admin", "domain": {"id": "default"}}})),
        (admin, ("OS_DOMAIN_ID", "default"), json!({"domain": {"id": "default"}})),
        (admin, ("OS_DOMAIN_NAME", "Default"), json!({"domain": {"name": "Default"}})),
        (admin, ("OS_SYSTEM_SCOPE", "all"), json!({"system": {"all": true}})),
        (other, ("OS_TRUST_ID", TRUST), json!({"OS-TRUST:trust": {"id": TRUST}})),
    ] {
        list(&world, &[&user[..], &[more]].concat()).ok().stderr_is("");
        assert_eq!(asked(&world)["scope"], scope);
    }
}

#[test]
fn two_scopes_are_one_too_many() {
    let world = World::new();
    let user = [("OS_USERNAME", "admin"), ("OS_PASSWORD", "secret"), ("OS_PROJECT_NAME", "admin")];
    list(&world, &[&user[..], &[("OS_SYSTEM_SCOPE", "all")]].concat()).code(1).stderr_is(
        "error: the configuration scopes the token to a project and to the system\n  \
         `project_name` came from OS_PROJECT_NAME\n  \
         `system_scope` came from OS_SYSTEM_SCOPE\n\
         hint: keep one of project_*, domain_*, system_scope and trust_id\n",
    );
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn a_default_domain_is_that_of_user_and_project() {
    let world = World::new();
    let domain_of = |more: &[(&str, &str)]| {
        let user = [("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret"), ("OS_PROJECT_NAME", "demo")];
        list(&world, &[&user[..], more].concat());
        let sent = asked(&world);
        let user = sent.pointer("/identity/password/user/domain").unwrap().clone();
        let project = world.identity().asked("POST", "/v3/auth/tokens")[0].json();
        assert!(project.pointer("/auth/scope/project/domain").is_some());
        user
    };
    assert_eq!(domain_of(&[]), json!({"id": "default"}));
    assert_eq!(domain_of(&[("OS_DEFAULT_DOMAIN", "d1")]), json!({"id": "d1"}));
    assert_eq!(domain_of(&[("OS_DEFAULT_DOMAIN_ID", "d2")]), json!({"id": "d2"}));
    assert_eq!(domain_of(&[("OS_DEFAULT_DOMAIN_NAME", "d3")]), json!({"name": "d3"}));
    assert_eq!(domain_of(&[("OS_DEFAULT_DOMAIN_NAME", "d3"), ("OS_USER_DOMAIN_ID", "d4")]), json!({"id": "d4"}));
}

#[test]
fn a_typed_name_is_stronger_than_an_id_of_the_file() {
    let world = World::new();
    let text = fs::read_to_string(world.clouds_yaml()).unwrap();
    let text = text.replace("project_name: demo", &format!("project_id: {}", id_of("admin")));
    world.file(".config/openstack/clouds.yaml", text);
    world.run(LIST.iter().chain(&["--os-project-name", "demo"])).ok().stderr_is("");
    assert_eq!(asked(&world)["scope"], json!({"project": demo_by_name()}));
    world.run(LIST.iter().chain(&["--os-user-domain-name", "Default"])).code(1);
    let first = &world.identity().asked("POST", "/v3/auth/tokens")[1].json()["auth"];
    assert_eq!(first.pointer("/identity/password/user/domain").unwrap(), &json!({"name": "Default"}));
}

#[test]
fn the_address_of_keystone_in_any_form() {
    let world = World::new();
    let root = world.identity().url();
    for form in ["", "/", "/v3", "/v3/", "/v2.0", "/v2.0/", "/v3?x=1"] {
        let before = world.identity().requests().len();
        list(&world, &[&OPENRC[..], &[("OS_AUTH_URL", &format!("{root}{form}"))]].concat()).ok().stderr_is("");
        assert_eq!(world.identity().requests().len(), before + 1, "{form:?} costs one request");
    }
}

/// A Keystone below `/identity`, behind a proxy whose name it does not know.
fn below_a_prefix(world: &World) -> Server {
    let target = format!("{}/auth/tokens", world.auth_url());
    Server::start(None, move |request, body| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/" | "/identity" | "/identity/") => {
            let links = json!([{"rel": "self", "href": "http://inside.invalid/identity/v3/"}]);
            let v2 = json!({"id": "v2.0", "links": [{"rel": "self", "href": "http://inside.invalid/identity/v2.0/"}]});
            let values = json!([v2, {"id": "v3.14", "status": "stable", "links": links}]);
            Answer::json(300, &json!({"versions": {"values": values}}))
        }
        ("POST", "/identity/v3/auth/tokens") => {
            let document = body.json().unwrap().to_string();
            let media = [("Content-Type", "application/json")];
            let reply = client::ask("POST", &target, &media, document.as_bytes()).unwrap();
            let token = reply.header("x-subject-token").unwrap_or_default().to_owned();
            Answer::status(reply.status).header("X-Subject-Token", token).body(reply.body)
        }
        _ => Answer::html(404, "<html><title>404</title><h1>Not Found</h1></html>"),
    })
}

#[test]
fn keystone_below_a_prefix_is_found() {
    let world = World::new();
    let front = below_a_prefix(&world);
    let lines = |form: &str| -> Vec<String> {
        let before = front.requests().len();
        list(&world, &[&OPENRC[..], &[("OS_AUTH_URL", &format!("{}{form}", front.url()))]].concat()).ok().stderr_is("");
        front.requests()[before..].iter().map(|r| format!("{} {}", r.request.method, r.request.path)).collect()
    };
    let direct = ["POST /identity/v3/auth/tokens"];
    for form in ["/identity", "/identity/", "/identity/v3", "/identity/v2.0"] {
        assert_eq!(lines(form), direct, "{form}");
    }
    // Only the list of versions tells.
    assert_eq!(lines(""), ["POST /v3/auth/tokens", "GET /", "POST /identity/v3/auth/tokens"]);
}

#[test]
fn an_address_that_is_not_keystone() {
    let world = World::new();
    let web = Server::start(None, |_, _| Answer::html(404, "<html><title>404</title><h1>Not Found</h1></html>"));
    let at = |url: &str| list(&world, &[&OPENRC[..], &[("OS_AUTH_URL", url)]].concat());
    at(&web.url()).code(1).stderr_is(&format!(
        "error: cannot sign in at `{}/v3`: the service answered HTTP 404 not found\n\
         hint: check that `auth_url` is the address of Keystone\n",
        web.url()
    ));
    let page = Server::start(None, |_, _| Answer::html(200, "<html>Welcome</html>"));
    at(&page.url()).code(1).stderr_is(&format!(
        "error: `{}/v3` gave no token\nhint: check that `auth_url` is the address of Keystone\n",
        page.url()
    ));
    for wrong in ["identity.example.org", "keystone:5000/v3", "/v3"] {
        at(wrong).code(1).stderr_is(&format!(
            "error: `auth_url` is not a URL: `{wrong}`\nhint: it should look like `https://identity.example.org/v3`\n"
        ));
    }
}

#[test]
fn the_catalogue_by_region() {
    let world = World::new();
    let region = |name: &str| list(&world, &[&OPENRC[..], &[("OS_REGION_NAME", name)]].concat());
    region("").ok();
    region("RegionTwo").code(1).stderr_has("error: cannot reach `http://127.0.0.1:1`: connection refused\n");
    region("Mars").code(1).stderr_is(
        "error: the cloud has no `image` service in region `Mars`\n\
         hint: choose one of RegionOne, RegionTwo with `--os-region-name`\n",
    );
    let one = [&OPENRC[..], &[("OS_REGION_NAME", "Mars"), ("OS_IMAGE_REGION_NAME", "RegionOne")]].concat();
    list(&world, &one).ok();
}

#[test]
fn the_region_of_a_file_is_the_only_one_it_offers() {
    let world = World::new();
    let outcome = world.run(LIST.iter().chain(&["--os-region-name", "Mars"]));
    outcome.code(1).stderr_has("`Mars`").stderr_has("RegionOne");
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn the_catalogue_by_interface() {
    let world = World::new();
    let only_internal = |token: &mut Value| {
        let image = &mut token["token"]["catalog"][1];
        assert_eq!(image["type"], "image");
        image["endpoints"].as_array_mut().unwrap().retain(|endpoint| endpoint["interface"] == "internal");
    };
    world.identity().on("POST", "/v3/auth/tokens").always().edit(only_internal);
    world.run(LIST).code(1).stderr_is(
        "error: the `image` service has no public endpoint\nhint: choose one of internal with `--os-interface`\n",
    );
    for (variable, value) in [
        ("OS_INTERFACE", "internal"),
        ("OS_INTERFACE", "internalURL"),
        ("OS_ENDPOINT_TYPE", "internalURL"),
        ("OS_IMAGE_INTERFACE", "internal"),
    ] {
        list(&world, &[&OPENRC[..], &[(variable, value)]].concat()).ok();
    }
}

#[test]
fn the_catalogue_by_service_type_and_by_hand() {
    let world = World::new();
    let renamed = |token: &mut Value| token["token"]["catalog"][1]["type"] = "pictures".into();
    world.identity().on("POST", "/v3/auth/tokens").always().edit(renamed);
    world.run(LIST).code(1).stderr_is(
        "error: the cloud's catalogue has no `image` service\n\
         hint: it has identity, pictures, volumev3; `image_endpoint_override` in clouds.yaml sets an address by hand\n",
    );
    list(&world, &[&OPENRC[..], &[("OS_IMAGE_SERVICE_TYPE", "pictures")]].concat()).ok();
    for form in ["", "/", "/v2", "/v2/"] {
        let by_hand = format!("{}{form}", world.images().url());
        list(&world, &[&OPENRC[..], &[("OS_IMAGE_ENDPOINT_OVERRIDE", &by_hand)]].concat()).ok();
    }
    list(&world, &[&OPENRC[..], &[("OS_IMAGE_ENDPOINT_OVERRIDE", "glance:9292")]].concat())
        .code(1)
        .stderr_has("error: `glance:9292` cannot be the address of an image service\n");
}

#[test]
fn a_token_for_no_project_has_no_services() {
    each_service(|world| {
        list(world, &[("OS_USERNAME", "admin"), ("OS_PASSWORD", "secret")]).code(1).stderr_is(
            "error: the cloud's catalogue has no `image` service\n\
             hint: the token is good for no project: name one with `--os-project-name` (OS_PROJECT_NAME)\n",
        );
    });
}

#[test]
fn a_password_is_asked_for_on_a_terminal() {
    each_service(|world| {
        let run = with_env(world, world.rimg(LIST), &OPENRC).no_env("OS_PASSWORD");
        let mut terminal = run.terminal();
        terminal.expect("Password: ").type_line("secret");
        terminal.wait().ok().stdout_lacks("secret");
    });
}

#[test]
fn a_passcode_is_asked_for_on_a_terminal() {
    let world = World::new();
    let run = with_env(&world, world.rimg(LIST), &OPENRC).no_env("OS_PASSWORD");
    let mut terminal = run.env("OS_AUTH_TYPE", "v3totp").terminal();
    terminal.expect("Passcode: ").type_line(PASSCODE);
    terminal.wait().ok().stdout_lacks(PASSCODE);
    assert_eq!(asked(&world)["identity"]["totp"]["user"]["passcode"], PASSCODE);
}

#[test]
fn each_factor_is_asked_for_by_itself() {
    let world = World::new();
    let run = with_env(&world, world.rimg(LIST), &OPENRC).no_env("OS_PASSWORD");
    let run = run.env("OS_AUTH_TYPE", "v3multifactor").env("OS_AUTH_METHODS", "v3password,v3totp");
    let mut terminal = run.terminal();
    terminal.expect("Password: ").type_line("secret").expect("Passcode: ").type_line(PASSCODE);
    terminal.wait().ok();
    assert_eq!(asked(&world)["identity"]["totp"]["user"]["passcode"], PASSCODE);
    assert_eq!(asked(&world)["identity"]["password"]["user"]["password"], "secret");
}

#[test]
fn an_empty_answer_to_the_prompt_is_no_password() {
    let world = World::new();
    let mut terminal = with_env(&world, world.rimg(LIST), &OPENRC).no_env("OS_PASSWORD").terminal();
    terminal.expect("Password: ").type_line("");
    terminal.wait().code(1).stdout_has("error: no password was given, and nothing was typed");
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn ctrl_c_at_the_prompt_gives_the_echo_back() {
    let world = World::new();
    let script = format!("trap : INT; {} image list; echo code=$?; stty -a", env!("CARGO_BIN_EXE_rimg"));
    let shell = world.program("/bin/sh").args(["-c", &script]);
    let mut terminal = with_env(&world, shell, &OPENRC).no_env("OS_PASSWORD").terminal();
    terminal.expect("Password: ").type_keys("\x03").expect("code=130");
    terminal.wait().ok().stdout_has(" echo ").stdout_lacks(" -echo ");
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn nothing_is_asked_where_nobody_can_answer() {
    let world = World::new();
    let message = "error: no password was given, and there is no terminal to ask for one";
    let run = || with_env(&world, world.rimg(LIST), &OPENRC).no_env("OS_PASSWORD");
    for stdin in [Stdin::Null, Stdin::Closed, Stdin::Bytes(b"secret\n".to_vec())] {
        run().stdin(stdin).run().code(1).stdout_is("").stderr_has(message);
    }
    run().stdin(Stdin::Null).terminal().wait().code(1).stdout_lacks("Password:").stdout_has(message);
    // Nor where something else is missing: nobody types in vain.
    let nobody = with_env(&world, world.rimg(LIST), &[]).terminal().wait();
    nobody.code(1).stdout_lacks("Password:").stdout_has("needs a user");
}

#[test]
fn a_wrong_password_says_where_user_and_password_came_from() {
    each_service(|world| {
        let file = world.clouds_yaml().display().to_string();
        let outcome = world.run(LIST.iter().chain(&["--os-password", "wrong-one"]));
        outcome.code(1).stdout_is("").stderr_lacks("wrong-one").stderr_is(&format!(
            "error: Keystone did not let us in: The request you have made requires authentication (HTTP 401 unauthorized)\n  \
             `username` came from cloud `devstack` in `{file}`\n  \
             `user_domain_id` came from cloud `devstack` in `{file}`\n  \
             `password` came from --os-password\n\
             hint: check the user, its domain and its password or secret\n"
        ));
    });
}

#[test]
fn a_stale_variable_is_warned_about() {
    let world = World::new();
    let outcome = world.rimg(LIST).env("OS_PASSWORD", "of-another-cloud").run();
    outcome.code(1).stderr_lacks("of-another-cloud").stderr_has(&format!(
        "warning: OS_PASSWORD in the environment overrides what `{}` says of cloud `devstack`: unset it if that is not meant\n",
        world.clouds_yaml().display()
    ));
    outcome.stderr_has("  `password` came from OS_PASSWORD\n");
}

#[test]
fn a_user_domain_that_does_not_exist() {
    each_service(|world| {
        let outcome = world.run(LIST.iter().chain(&["--os-user-domain-name", "nosuch"]));
        outcome.code(1).stderr_has("error: Keystone did not let us in: ");
        outcome.stderr_has("  `user_domain_name` came from --os-user-domain-name\n");
    });
}

/// What the identity service of the tests does not know by itself.
fn scopes_of_demo(world: &World) {
    if world.is_fake() {
        let projects = || Answer::json(200, &json!({"projects": [{"id": id_of("demo"), "name": "demo"}], "links": {}}));
        world.identity().on("GET", "/v3/auth/projects").answer(projects);
    }
}

#[test]
fn a_project_without_a_role_lists_those_with_one() {
    each_service(|world| {
        scopes_of_demo(world);
        world.run(LIST.iter().chain(&["--os-project-name", "admin"])).code(1).stderr_is(
            "error: the user may sign in, but not to project `admin`\n  \
             `project_name` came from --os-project-name\n\
             hint: choose one of demo with `--os-project-name` (OS_PROJECT_NAME)\n",
        );
    });
}

#[test]
fn a_project_of_another_domain() {
    each_service(|world| {
        scopes_of_demo(world);
        let outcome = world.run(LIST.iter().chain(&["--os-project-domain-name", "nosuch"]));
        outcome.code(1).stderr_has("error: the user may sign in, but not to project `demo`\n");
        outcome.stderr_has("hint: check the project's domain: `--os-project-domain-name`, or give its ID\n");
    });
}

#[test]
fn a_list_of_projects_that_keystone_does_not_give() {
    let world = World::new();
    world.run(LIST.iter().chain(&["--os-project-name", "admin"])).code(1).stderr_is(
        "error: the user may sign in, but not to project `admin`\n  \
         `project_name` came from --os-project-name\n\
         hint: check the project, or ask who runs the cloud for a role in it\n",
    );
}

#[test]
fn a_domain_or_a_system_without_a_role() {
    each_service(|world| {
        let demo = [("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret")];
        list(world, &[&demo[..], &[("OS_SYSTEM_SCOPE", "all")]].concat()).code(1).stderr_is(
            "error: the user may sign in, but not act on the system\n  \
             `system_scope` came from OS_SYSTEM_SCOPE\n\
             hint: ask who runs the cloud for the role, or name a project instead\n",
        );
        if world.is_fake() {
            let none = || Answer::json(200, &json!({"domains": [], "links": {}}));
            world.identity().on("GET", "/v3/auth/domains").answer(none);
        }
        list(world, &[&demo[..], &[("OS_DOMAIN_ID", "default")]].concat()).code(1).stderr_is(
            "error: the user may sign in, but not to domain `default`\n  \
             `domain_id` came from OS_DOMAIN_ID\n\
             hint: this user has no domain: ask who runs the cloud for a role in one\n",
        );
    });
}

#[test]
fn a_token_that_expired_on_the_way() {
    each_service(|world| {
        let image = world.session("demo").image_url;
        let stale = list(world, &[("OS_TOKEN", "stale-token"), ("OS_ENDPOINT", &image)]);
        stale.code(1).stdout_is("").stderr_lacks("stale-token").stderr_has("(HTTP 401 unauthorized)\n");
        stale.stderr_has(
            "hint: the token has expired or was withdrawn: get a new token and give it with `--os-token` (OS_TOKEN)\n",
        );
    });
}

#[test]
fn the_number_of_requests() {
    let world = World::new();
    let count = |args: &[&str], kept: &str| {
        let before = world.identity().requests().len() + world.images().requests().len();
        world.rimg(args).env("RIMG_TOKEN_CACHE", kept).run().ok();
        world.identity().requests().len() + world.images().requests().len() - before
    };
    let (name, hidden) = (world.name("one"), world.name("hidden"));
    world.given_image(&name, b"data");
    let id = world.given_image(&hidden, b"data")["id"].as_str().unwrap().to_owned();
    world.run(["image", "set", "--hidden", &id]).ok();
    // Without a token at hand there are the sign-in and the look at the versions.
    for (kept, first) in [("0", 2), ("1", 0)] {
        assert_eq!(count(&LIST, kept), first + 1);
        assert_eq!(count(&["image", "show", &name], kept), first + 1);
        assert_eq!(count(&["image", "show", &id], kept), first + 1);
        assert_eq!(count(&["image", "show", &hidden], kept), first + 2);
    }
}

#[test]
fn wrong_usage_and_help_ask_nobody() {
    let world = World::new();
    for (args, code) in [
        (&["image", "list", "--nosuch"][..], 2),
        (&["image", "show"], 2),
        (&["image", "lst"], 2),
        (&["image", "list", "-f", "nosuch"], 2),
        (&["image", "list", "--os-interface", "nosuch"], 2),
        (&["image", "list", "--help"], 0),
        (&["help", "image", "list"], 0),
        (&["--version"], 0),
    ] {
        world.run(args).code(code);
    }
    assert_eq!((world.identity().connections(), world.images().connections()), (0, 0));
}

/// Nothing that was written anywhere holds any of these.
#[track_caller]
fn lacks(outcome: &Outcome, log: &str, secrets: &[&str]) {
    for secret in secrets {
        outcome.stdout_lacks(secret).stderr_lacks(secret);
        assert!(!log.contains(secret), "the log file has {secret:?}");
    }
}

/// An auth type, its variables, and what must not be seen of them.
type Kind<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a [&'a str]);

#[test]
fn no_trace_shows_a_secret() {
    let (id, _, app_secret) = APP_CREDENTIAL;
    let world = World::new();
    let old = world.session("demo").token;
    let url = world.images().url();
    let user = [("OS_USERNAME", "demo"), ("OS_PROJECT_NAME", "demo")];
    let kinds: [Kind; 7] = [
        ("password", vec![user[0], user[1], ("OS_PASSWORD", "secret")], &["\"secret\"", "secret'"]),
        ("password", vec![user[0], user[1], ("OS_PASSWORD", "wrong-one")], &["wrong-one"]),
        ("v3totp", vec![user[0], user[1], ("OS_PASSCODE", PASSCODE)], &[PASSCODE]),
        ("v3token", vec![user[1], ("OS_TOKEN", &old)], &[]),
        (
            "v3applicationcredential",
            vec![("OS_APPLICATION_CREDENTIAL_ID", id), ("OS_APPLICATION_CREDENTIAL_SECRET", app_secret)],
            &[app_secret],
        ),
        ("admin_token", vec![("OS_TOKEN", "stale-token"), ("OS_ENDPOINT", &url)], &["stale-token"]),
        (
            "http_basic",
            vec![("OS_USERNAME", "demo"), ("OS_PASSWORD", "wrong-one"), ("OS_ENDPOINT", &url)],
            &["wrong-one", "ZGVtbzp3cm9uZy1vbmU"],
        ),
    ];
    for (number, (kind, variables, secrets)) in kinds.into_iter().enumerate() {
        let file = format!("trace-{number}.log");
        let line = ["image", "list", "--debug", "--timing", "--log-file", &file];
        let outcome = with_env(&world, world.rimg(line), &variables).env("OS_AUTH_TYPE", kind).run();
        outcome.stderr_has("REQ: curl -g -i -X ").stderr_has("RESP: [");
        let log = fs::read_to_string(world.home.join(&file)).unwrap();
        assert!(log.contains("DEBUG REQ: curl"), "{log}");
        let mode = fs::metadata(world.home.join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        lacks(&outcome, &log, secrets);
        // Nor any token that was given out or shown.
        let shown: Vec<String> = world
            .images()
            .requests()
            .iter()
            .filter_map(|r| r.request.header("x-auth-token").map(str::to_owned))
            .chain([old.clone()])
            .collect();
        lacks(&outcome, &log, &shown.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_password_in_the_address_is_not_shown() {
    let world = World::new();
    let url = world.auth_url().replace("http://", "http://boss:hunter2@");
    let line = ["image", "list", "--debug", "--timing"];
    let outcome = with_env(&world, world.rimg(line), &OPENRC).env("OS_AUTH_URL", &url).run();
    outcome.ok().stderr_lacks("hunter2");
    world.identity().on("POST", "/v3/auth/tokens").answer(|| Answer::status(503));
    let outcome = with_env(&world, world.rimg(LIST), &OPENRC).env("OS_AUTH_URL", &url).run();
    outcome.code(1).stderr_has("cannot sign in at `http://127.0.0.1").stderr_lacks("hunter2");
}

#[test]
fn another_cloud_behind_this_one_is_not_signed_in_to_by_mistake() {
    let world = World::new();
    world.run(["image", "list", "--os-service-provider", "sp"]).code(1).stdout_is("").stderr_is(
        "error: rimg cannot sign in to the service provider `sp` yet\n\
         hint: leave out `--os-service-provider` (OS_SERVICE_PROVIDER) to use the cloud itself\n",
    );
    assert!(world.identity().requests().is_empty());
}
