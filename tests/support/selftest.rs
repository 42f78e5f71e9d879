//! Does the ground hold? The services answer as the real ones do (each such
//! scenario also runs on a real cloud), faults happen, terminals work.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Session, ask};
use super::http::Answer;
use super::keystone::{APP_CREDENTIAL, PASSCODE, TRUST};
use super::world::REAL_CLOUD;
use super::{Proxy, Run, Stdin, Tls, World, each_service};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");

/// Says out loud whether `each_service` has a real cloud.
#[test]
fn real_cloud_is_run_or_said_to_be_missing() {
    let text = match std::env::var_os(REAL_CLOUD) {
        Some(file) => {
            World::real(file.as_ref()).session("demo");
            format!("real cloud: {}\n", file.to_string_lossy())
        }
        None => format!("real cloud: not run ({REAL_CLOUD} is not set)\n"),
    };
    // Not `eprint!`: the test harness would swallow it.
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

fn sign_in(world: &World, identity: Value, scope: Value) -> super::client::Reply {
    let mut document = json!({"auth": {"identity": identity}});
    if !scope.is_null() {
        document["auth"]["scope"] = scope;
    }
    let url = format!("{}/auth/tokens", world.auth_url());
    ask("POST", &url, &[("Content-Type", "application/json")], document.to_string().as_bytes()).unwrap()
}

fn password(name: &str, password: &str) -> Value {
    json!({"methods": ["password"],
        "password": {"user": {"name": name, "domain": {"name": "Default"}, "password": password}}})
}

#[test]
fn signing_in_with_a_password() {
    each_service(|world| {
        let wrong = sign_in(world, password("demo", "bad"), Value::Null);
        assert_eq!(wrong.status, 401);
        assert_eq!(
            wrong.json(),
            json!({"error": {"code": 401, "message": "The request you have made requires authentication.",
                "title": "Unauthorized"}})
        );
        assert!(wrong.header("www-authenticate").unwrap().starts_with("Keystone uri="));

        let project = |name: &str| json!({"project": {"name": name, "domain": {"id": "default"}}});
        assert_eq!(sign_in(world, password("demo", "secret"), project("admin")).status, 401);
        let right = sign_in(world, password("demo", "secret"), project("demo"));
        assert_eq!(right.status, 201);
        let token = right.json()["token"].clone();
        assert_eq!(token["project"]["name"], "demo");
        assert_eq!(token["catalog"][0]["endpoints"].as_array().unwrap().len(), 3);

        // By the ID of the project, and from a token to a token.
        let id = token["project"]["id"].clone();
        let by_id = sign_in(world, password("demo", "secret"), json!({"project": {"id": id}}));
        assert_eq!(by_id.status, 201);
        let old = right.header("x-subject-token").unwrap();
        let again = sign_in(world, json!({"methods": ["token"], "token": {"id": old}}), project("demo"));
        assert_eq!(again.status, 201);
        let bad = json!({"methods": ["token"], "token": {"id": "bad"}});
        assert_eq!(sign_in(world, bad, project("demo")).status, 404);

        let unscoped = sign_in(world, password("admin", "secret"), json!("unscoped"));
        assert!(unscoped.json()["token"].get("catalog").is_none());
        let system = sign_in(world, password("admin", "secret"), json!({"system": {"all": true}}));
        assert_eq!(system.json()["token"]["system"]["all"], true);
    });
}

#[test]
fn signing_in_otherwise() {
    let world = World::new();
    let totp = json!({"methods": ["password", "totp"],
        "password": {"user": {"name": "demo", "domain": {"id": "default"}, "password": "secret"}},
        "totp": {"user": {"name": "demo", "domain": {"id": "default"}, "passcode": PASSCODE}}});
    assert_eq!(sign_in(&world, totp.clone(), Value::Null).status, 201);
    let mut wrong = totp;
    wrong["totp"]["user"]["passcode"] = "000000".into();
    assert_eq!(sign_in(&world, wrong, Value::Null).status, 401);

    let (id, name, secret) = APP_CREDENTIAL;
    let by_id = json!({"methods": ["application_credential"], "application_credential": {"id": id, "secret": secret}});
    assert_eq!(sign_in(&world, by_id.clone(), Value::Null).json()["token"]["project"]["name"], "demo");
    assert_eq!(sign_in(&world, by_id, json!({"project": {"id": "x"}})).status, 401);
    let by_name = json!({"methods": ["application_credential"], "application_credential":
        {"name": name, "secret": secret, "user": {"name": "demo", "domain": {"id": "default"}}}});
    assert_eq!(sign_in(&world, by_name, Value::Null).status, 201);
    let trust = sign_in(&world, password("other", "secret"), json!({"OS-TRUST:trust": {"id": TRUST}}));
    assert_eq!(trust.json()["token"]["project"]["name"], "demo");
}

#[test]
fn projects_are_looked_up() {
    each_service(|world| {
        let get = |user: &str, path: &str| {
            let token = world.session(user).token;
            ask("GET", &format!("{}{path}", world.auth_url()), &[("X-Auth-Token", &token)], b"").unwrap()
        };
        assert_eq!(get("demo", "/projects").status, 403);
        let found = get("admin", "/projects?name=other").json();
        assert_eq!(found["projects"][0]["name"], "other");
        let id = found["projects"][0]["id"].as_str().unwrap();
        assert_eq!(get("admin", &format!("/projects/{id}")).json()["project"]["name"], "other");
        assert_eq!(get("demo", &format!("/projects/{id}")).status, 403);
        assert_eq!(get("admin", "/projects/nosuch").status, 404);
        assert_eq!(get("admin", "/domains?name=Default").json()["domains"][0]["id"], "default");
        assert_eq!(ask("GET", &format!("{}/projects", world.auth_url()), &[], b"").unwrap().status, 401);
    });
}

fn path_of(image: &Value) -> String {
    format!("/v2/images/{}", image["id"].as_str().unwrap())
}

fn draft(world: &World, name: &str) -> Value {
    json!({"name": world.name(name), "disk_format": "raw", "container_format": "bare"})
}

#[test]
fn an_image_from_create_to_delete() {
    each_service(|world| {
        let demo = world.session("demo");
        let made = demo.json("POST", "/v2/images", &draft(world, "life"));
        assert_eq!(made.status, 201);
        assert!(made.header("openstack-image-import-methods").unwrap().contains("glance-direct"));
        let image = made.json();
        let path = path_of(&image);
        assert!(made.header("location").unwrap().ends_with(&path));
        let keys: Vec<&str> = image.as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = "name disk_format container_format visibility size virtual_size status checksum protected min_ram \
            min_disk owner os_hidden os_hash_algo os_hash_value id created_at updated_at tags self file schema";
        assert_eq!(keys.join(" "), wanted);
        assert_eq!(demo.ask("GET", &format!("{path}/file"), &[], b"").unwrap().status, 204);

        let file = format!("{path}/file");
        let put = |headers: &[(&str, &str)]| demo.ask("PUT", &file, headers, b"hello").unwrap();
        assert_eq!(put(&[("Content-Type", "text/plain")]).status, 415);
        let less = put(&[OCTETS, ("X-OpenStack-Image-Size", "3")]);
        assert!(less.status == 400 && less.text().contains("Size exceeds: expected 3 bytes, got 5 bytes"));
        let more = put(&[OCTETS, ("X-OpenStack-Image-Size", "30")]);
        assert!(more.status == 400 && more.text().contains("Size mismatch: expected 30 bytes, got 5 bytes"));
        assert_eq!(put(&[OCTETS, ("X-OpenStack-Image-Size", "5")]).status, 204);
        assert_eq!(put(&[OCTETS]).status, 409);

        let image = demo.ask("GET", &path, &[], b"").unwrap().json();
        assert_eq!(image["status"], "active");
        assert_eq!((&image["size"], &image["virtual_size"]), (&json!(5), &json!(5)));
        assert_eq!(image["checksum"], "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(image["os_hash_algo"], "sha512");
        assert!(image["os_hash_value"].as_str().unwrap().starts_with("9b71d224bd62f378"));
        assert_eq!(image["stores"], "fast");

        let range = |range: &str| demo.ask("GET", &file, &[("Range", range)], b"").unwrap();
        let part = range("bytes=1-2");
        assert_eq!((part.status, part.text().as_str()), (206, "el"));
        assert_eq!(part.header("content-range"), Some("bytes 1-2/5"));
        assert_eq!(range("bytes=2-").text(), "llo");
        assert_eq!(range("bytes=-2").text(), "lo");
        assert_eq!(range("bytes=9-20").status, 416);
        assert_eq!(range("bytes=0-1,3-4").status, 400);
        let whole = demo.ask("GET", &file, &[], b"").unwrap();
        assert_eq!((whole.text().as_str(), whole.header("content-md5")), ("hello", image["checksum"].as_str()));

        assert_eq!(demo.ask("DELETE", &path, &[], b"").unwrap().status, 204);
        assert_eq!(demo.ask("GET", &path, &[], b"").unwrap().status, 404);
        let again = demo.ask("DELETE", &path, &[], b"").unwrap();
        assert!(again.status == 404 && again.text().contains("Failed to find image"));
    });
}

#[test]
fn refusals_have_the_codes_of_glance() {
    each_service(|world| {
        let demo = world.session("demo");
        for (body, status, words) in [
            (json!({"visibility": "public"}), 403, "not authorized to complete publicize_image action"),
            (json!({"stores": "x"}), 403, "Attribute &#x27;stores&#x27; is read-only."),
            (json!({"checksum": "d41d8cd98f00b204e9800998ecf8427e"}), 403, "is read-only."),
            (json!({"deleted": "1"}), 403, "Attribute &#x27;deleted&#x27; is reserved."),
            (json!({"os_glance_x": "1"}), 403, "is reserved."),
            (json!({"locations": []}), 403, "is reserved."),
            (json!({"disk_format": "bogus"}), 400, "&#x27;bogus&#x27; is not one of [None, &#x27;ami&#x27;"),
            (json!({"min_ram": "x"}), 400, "&#x27;x&#x27; is not of type &#x27;integer&#x27;"),
            (json!({"foo": 5}), 400, "5 is not of type &#x27;string&#x27;"),
            (json!({"name": "x".repeat(300)}), 400, "is too long"),
            (json!({"name": "🚀"}), 400, "contain 4 byte unicode characters."),
            (json!({"owner": "bogus"}), 403, "not permitted to create images owned by &#x27;bogus&#x27;"),
            (json!({"id": "bogus"}), 400, "does not match"),
        ] {
            let reply = demo.json("POST", "/v2/images", &body);
            assert_eq!(reply.status, status, "POST {body}: {}", reply.text());
            assert!(reply.text().contains(words), "POST {body}: {}", reply.text());
        }
        let image = world.given_image(&world.name("refused"), b"hello");
        let path = path_of(&image);
        assert_eq!(demo.json("POST", "/v2/images", &json!({"id": image["id"]})).status, 409);
        for (change, status, words) in [
            (json!({"op": "replace", "path": "/nokey", "value": "x"}), 409, "Property nokey does not exist."),
            (json!({"op": "remove", "path": "/nokey"}), 409, "Property nokey does not exist."),
            (json!({"op": "remove", "path": "/name"}), 403, "Property name may not be removed."),
            (json!({"op": "add", "path": "/min_disk", "value": "5"}), 400, "is not of type &#x27;integer&#x27;"),
            (json!({"op": "add", "path": "/min_disk", "value": -5}), 400, "Cannot be a negative value"),
            (json!({"op": "add", "path": "/status", "value": "x"}), 403, "&#x27;status&#x27; is read-only."),
            (json!({"op": "add", "path": "/deleted", "value": "x"}), 403, "&#x27;deleted&#x27; is reserved."),
            (json!({"op": "add", "path": "/visibility", "value": "public"}), 403, "publicize_image"),
            (json!({"op": "add", "path": "/visibility", "value": "x"}), 400, "is not one of [&#x27;community&#x27;"),
            (json!({"op": "add", "path": "/disk_format", "value": "qcow2"}), 403, "only replaced for a queued image"),
            (json!({"op": "add", "path": "/protected", "value": "true"}), 400, "is not of type &#x27;boolean&#x27;"),
            (json!({"op": "foo", "path": "/protected", "value": "true"}), 400, "Invalid operation: `foo`."),
        ] {
            let reply = demo.json("PATCH", &path, &json!([change]));
            assert_eq!(reply.status, status, "PATCH {change}: {}", reply.text());
            assert!(reply.text().contains(words), "PATCH {change}: {}", reply.text());
        }
        let media = [("Content-Type", "application/json")];
        assert_eq!(demo.ask("PATCH", &path, &media, b"[]").unwrap().status, 415);
        let change =
            json!([{"op": "add", "path": "/a~1b", "value": "1"}, {"op": "add", "path": "/protected", "value": true}]);
        let changed = demo.json("PATCH", &path, &change).json();
        assert_eq!((&changed["a/b"], &changed["protected"]), (&json!("1"), &json!(true)));
        let reply = demo.ask("DELETE", &path, &[], b"").unwrap();
        assert!(reply.status == 403 && reply.text().contains("is protected and cannot be deleted."));
        let change =
            json!([{"op": "remove", "path": "/a~1b"}, {"op": "replace", "path": "/protected", "value": false}]);
        assert!(demo.json("PATCH", &path, &change).json().get("a/b").is_none());

        assert_eq!(demo.ask("PUT", &format!("{path}/tags/t"), &[], b"").unwrap().status, 204);
        assert_eq!(demo.ask("PUT", &format!("{path}/tags/a%2Fb"), &[], b"").unwrap().status, 404);
        assert_eq!(demo.ask("DELETE", &format!("{path}/tags/t"), &[], b"").unwrap().status, 204);
        assert_eq!(demo.ask("DELETE", &format!("{path}/tags/t"), &[], b"").unwrap().status, 404);

        let many: serde_json::Map<String, Value> = (0..129).map(|n| (format!("k{n}"), "v".into())).collect();
        let reply = demo.json("POST", "/v2/images", &many.into());
        assert!(reply.status == 413 && reply.text().contains("413 Request Entity Too Large"), "{}", reply.text());
        assert!(reply.text().contains("Attempted: 129, Maximum: 128"), "{}", reply.text());
        let mut open = draft(world, "foreign");
        open["visibility"] = "community".into();
        let foreign = path_of(&demo.json("POST", "/v2/images", &open).json());
        for (place, action) in [("file", "upload_image"), ("stage", "modify_image")] {
            let reply = world.session("other").ask("PUT", &format!("{foreign}/{place}"), &[OCTETS], b"x").unwrap();
            assert!(reply.status == 403 && reply.text().contains(action), "{place}: {}", reply.text());
        }

        let bad = Session { project: String::new(), token: "bad".into(), image_url: demo.image_url.clone() };
        assert_eq!(bad.ask("GET", "/v2/images", &[], b"").unwrap().status, 401);
        let missing = |accept: &str| demo.ask("GET", "/v2/images/nosuch", &[("Accept", accept)], b"").unwrap();
        assert_eq!(
            missing("application/json").json(),
            json!({"message": "No image found with ID nosuch<br /><br />\n\n\n", "code": "404 Not Found",
                "title": "Not Found"})
        );
        assert_eq!(missing("text/plain").text(), "404 Not Found\n\nNo image found with ID nosuch\n\n   ");
        assert_eq!(missing("*/*").text(), super::glance::page(404, "No image found with ID nosuch", ""));

        let root = ask("GET", &format!("{}/", demo.image_url), &[], b"").unwrap();
        let versions = root.json()["versions"].as_array().unwrap().len();
        // Glance lists 2.14, 2.16 and 2.18 only with an image cache, which `rimg serve` has not.
        let first = if versions == 19 { "v2.18" } else { "v2.15" };
        assert_eq!((root.status, &root.json()["versions"][0]["id"]), (300, &json!(first)));
        let mut qcow2 = draft(world, "not-qcow2");
        qcow2["disk_format"] = "qcow2".into();
        let file = format!("{}/file", path_of(&demo.json("POST", "/v2/images", &qcow2).json()));
        assert_eq!(demo.ask("PUT", &file, &[OCTETS], b"hello").unwrap().status, 415);
    });
}

#[test]
fn what_others_see() {
    each_service(|world| {
        let (demo, other, admin) = (world.session("demo"), world.session("other"), world.session("admin"));
        let image = world.given_image(&world.name("seen"), b"hello");
        let path = path_of(&image);
        let project = |name: &str| {
            let url = format!("{}/projects?name={name}", world.auth_url());
            ask("GET", &url, &[("X-Auth-Token", &admin.token)], b"").unwrap().json()["projects"][0]["id"].clone()
        };
        let (other_id, status) = (project("other"), |who: &Session, method: &str, path: &str| {
            who.ask(method, path, &[], b"").unwrap().status
        });
        let listed = |who: &Session, query: &str| {
            let query = format!("/v2/images?name={}{query}", world.name("seen"));
            who.ask("GET", &query, &[], b"").unwrap().json()["images"].as_array().unwrap().len()
        };
        assert_eq!(status(&other, "GET", &path), 404);
        let member = format!("{path}/members/{}", other_id.as_str().unwrap());
        assert_eq!(demo.json("POST", &format!("{path}/members"), &json!({"member": other_id})).status, 200);
        assert_eq!(demo.json("POST", &format!("{path}/members"), &json!({"member": other_id})).status, 409);
        assert_eq!(demo.json("PUT", &member, &json!({"status": "accepted"})).status, 403);
        assert_eq!(status(&other, "GET", &path), 200);
        assert_eq!((listed(&other, ""), listed(&other, "&member_status=pending")), (0, 1));
        assert_eq!(other.json("PUT", &member, &json!({"status": "bogus"})).status, 400);
        assert_eq!(other.json("PUT", &member, &json!({"status": "accepted"})).json()["status"], "accepted");
        assert_eq!((listed(&other, ""), listed(&other, "&visibility=shared")), (1, 1));
        assert_eq!(status(&other, "DELETE", &path), 403);
        assert_eq!(status(&other, "DELETE", &member), 403);
        let change = |key: &str, value: Value| json!([{"op": "replace", "path": format!("/{key}"), "value": value}]);
        assert_eq!(other.json("PATCH", &path, &change("min_ram", json!(1))).status, 403);

        assert_eq!(demo.json("PATCH", &path, &change("visibility", json!("private"))).status, 200);
        assert_eq!(status(&other, "GET", &path), 404);
        assert_eq!(demo.json("POST", &format!("{path}/members"), &json!({"member": "x"})).status, 403);
        assert_eq!(demo.json("PATCH", &path, &change("visibility", json!("community"))).status, 200);
        assert_eq!(status(&other, "GET", &path), 200);
        assert_eq!((listed(&other, ""), listed(&other, "&visibility=community")), (0, 1));
        assert_eq!((listed(&admin, ""), listed(&admin, "&visibility=all"), listed(&demo, "")), (0, 1, 1));
        assert_eq!(demo.json("PATCH", &path, &change("os_hidden", json!(true))).status, 200);
        assert_eq!((listed(&demo, ""), listed(&demo, "&os_hidden=true")), (0, 1));

        assert_eq!(status(&demo, "POST", &format!("{path}/actions/deactivate")), 204);
        assert_eq!(status(&demo, "GET", &format!("{path}/file")), 403);
        assert_eq!(status(&admin, "GET", &format!("{path}/file")), 200);
        assert_eq!(status(&demo, "POST", &format!("{path}/actions/reactivate")), 204);
        assert_eq!(status(&demo, "GET", &format!("{path}/file")), 200);
    });
}

#[test]
fn lists_filter_sort_and_page() {
    each_service(|world| {
        let demo = world.session("demo");
        for (name, tags, rank) in [("l-b", json!(["x"]), "1"), ("l-a", json!(["x", "y"]), "1"), ("l-c", json!([]), "2")]
        {
            let mut draft = draft(world, name);
            draft["tags"] = tags;
            draft["rank"] = format!("{rank}{}", world.name("")).into();
            assert_eq!(demo.json("POST", "/v2/images", &draft).status, 201);
        }
        let get = |query: &str| demo.ask("GET", &format!("/v2/images?{query}"), &[], b"").unwrap();
        let names = |page: &Value| -> Vec<String> {
            let short = |image: &Value| image["name"].as_str().unwrap().replace(&world.name(""), "");
            page["images"].as_array().unwrap().iter().map(short).collect()
        };
        let rank = format!("rank=1{}", world.name(""));
        assert_eq!(names(&get(&rank).json()), ["l-a", "l-b"], "youngest first");
        assert_eq!(names(&get(&format!("{rank}&sort=name:desc")).json()), ["l-b", "l-a"]);
        assert_eq!(names(&get(&format!("{rank}&tag=x&tag=y")).json()), ["l-a"]);
        let list = format!("name=in:{},{}", world.name("l-c"), world.name("l-b"));
        assert_eq!(names(&get(&format!("{list}&sort_key=name&sort_dir=asc")).json()), ["l-b", "l-c"]);
        assert_eq!(names(&get(&format!("{rank}&status=active")).json()), Vec::<String>::new());

        let first = get(&format!("{rank}&limit=1&sort=name:asc")).json();
        assert_eq!(names(&first), ["l-a"]);
        let next = first["next"].as_str().unwrap();
        assert!(next.starts_with(&format!("/v2/images?{rank}&limit=1&sort=name%3Aasc&marker=")), "{next}");
        let second = demo.ask("GET", next, &[], b"").unwrap().json();
        assert_eq!(names(&second), ["l-b"]);
        // A full page always has a next one; a page with room has none.
        assert!(get(&format!("{rank}&limit=2")).json().get("next").is_some());
        assert!(get(&format!("{rank}&limit=3")).json().get("next").is_none());
        assert_eq!(get("limit=0").json()["images"], json!([]));

        for (query, words) in [
            ("limit=-1", "limit param must be positive"),
            ("limit=x", "limit param must be an integer"),
            ("marker=nosuch", "No image found with ID nosuch"),
            ("visibility=foo", "Invalid visibility value: foo"),
            ("member_status=foo", "Invalid status: foo"),
            ("sort=foo:asc", "Invalid sort key: foo."),
            ("sort=name:up", "Invalid sort direction: up"),
            ("os_hidden=maybe", "Invalid value &#x27;maybe&#x27;"),
        ] {
            let reply = get(query);
            assert!(reply.status == 400 && reply.text().contains(words), "{query}: {}", reply.text());
        }
    });
}

#[test]
fn stage_and_import() {
    each_service(|world| {
        let demo = world.session("demo");
        let path = path_of(&demo.json("POST", "/v2/images", &draft(world, "staged")).json());
        let import =
            |method: &str| demo.json("POST", &format!("{path}/import"), &json!({"method": {"name": method}})).status;
        assert_eq!(import("glance-direct"), 409);
        let stage = || demo.ask("PUT", &format!("{path}/stage"), &[OCTETS], b"hello").unwrap().status;
        assert_eq!((stage(), stage()), (204, 409));
        let staged = demo.ask("GET", &path, &[], b"").unwrap().json();
        assert_eq!((&staged["status"], &staged["size"]), (&json!("uploading"), &json!(5)));
        assert_eq!((&staged["checksum"], staged.get("stores")), (&Value::Null, None));
        assert_eq!((import("bogus"), import("glance-direct")), (400, 202));
        let patience = Instant::now();
        let image = loop {
            let image = demo.ask("GET", &path, &[], b"").unwrap().json();
            if image["status"] == "active" {
                break image;
            }
            assert!(patience.elapsed() < Duration::from_secs(30), "still importing");
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(5)));
        assert_eq!(image["checksum"], "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(import("glance-direct"), 409);
        let stores = demo.ask("GET", "/v2/info/stores", &[], b"").unwrap().json();
        assert_eq!(stores, json!({"stores": [{"id": "fast", "default": "true"}, {"id": "slow"}]}));
        assert_eq!(demo.ask("GET", "/v2/info/stores/detail", &[], b"").unwrap().status, 403);
    });
}

#[test]
fn requests_are_recorded_with_their_bodies() {
    let world = World::new();
    let image = world.given_image(&world.name("recorded"), &vec![7; 300_000]);
    let put = &world.images().asked("PUT", "/v2/images/*/file")[0];
    assert_eq!((put.body_len, put.complete, put.status), (300_000, true, 204));
    assert_eq!(put.body_sha512, image["os_hash_value"]);
    assert_eq!(put.request.header("content-type"), Some("application/octet-stream"));

    // In chunks, as a pipe is sent.
    let demo = world.session("demo");
    let path = path_of(&demo.json("POST", "/v2/images", &draft(&world, "chunked")).json());
    let chunked = [OCTETS, ("Transfer-Encoding", "chunked")];
    demo.ask("PUT", &format!("{path}/file"), &chunked, b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n").unwrap();
    assert_eq!(world.image(path.rsplit('/').next().unwrap())["checksum"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(world.images().asked("PUT", "/v2/images/*/file")[1].body, b"hello");
}

#[test]
fn a_broken_off_upload_leaves_a_queued_image() {
    let world = World::new();
    let demo = world.session("demo");
    let path = path_of(&demo.json("POST", "/v2/images", &draft(&world, "cut")).json());
    let mut socket = TcpStream::connect(world.images().address).unwrap();
    let head = format!(
        "PUT {path}/file HTTP/1.1\r\nX-Auth-Token: {}\r\nContent-Type: application/octet-stream\r\n",
        demo.token
    );
    socket.write_all(format!("{head}Content-Length: 100\r\n\r\nhalf").as_bytes()).unwrap();
    drop(socket);
    let put = world.images().asked("PUT", "/v2/images/*/file");
    assert_eq!((put[0].body_len, put[0].complete), (4, false));
    assert_eq!(demo.ask("GET", &path, &[], b"").unwrap().json()["status"], "queued");
}

#[test]
fn connections_are_kept() {
    let world = World::new();
    let mut socket = TcpStream::connect(world.images().address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for _ in 0..2 {
        socket.write_all(b"GET /v2/images HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n").unwrap();
        let mut got = Vec::new();
        while !got.ends_with(b"</html>") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            got.push(byte[0]);
        }
        assert!(got.starts_with(b"HTTP/1.1 401 Unauthorized\r\n"));
    }
    assert_eq!(world.images().connections(), 1);
}

#[test]
fn faults_happen() {
    let world = World::new();
    let data = vec![1; 1000];
    let image = world.given_image(&world.name("broken"), &data);
    let (demo, path) = (world.session("demo"), path_of(&image));
    let file = format!("{path}/file");
    let (images, show) = (world.images(), || demo.ask("GET", &path, &[], b""));

    images.on("GET", "/v2/images/*").nth(2).answer(|| Answer::html(503, "<h1>busy</h1>").header("Retry-After", "1"));
    assert_eq!(show().unwrap().status, 200);
    let busy = show().unwrap();
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("1")));
    assert_eq!(show().unwrap().status, 200);

    images.on("GET", "/v2/images/*").times(2).edit(|image| image["status"] = "saving".into());
    assert_eq!(show().unwrap().json()["status"], "saving");
    assert_eq!(show().unwrap().json()["status"], "saving");
    assert_eq!(show().unwrap().json()["status"], "active");

    images.on("GET", "/v2/images/*").close();
    assert!(show().is_err());
    images.on("GET", "/v2/images/*").redirect(302, "http://127.0.0.1:1/");
    assert_eq!(show().unwrap().header("location"), Some("http://127.0.0.1:1/"));
    images.on("GET", "/v2/images/*").content_length(5);
    assert_eq!(show().unwrap().body.len(), 5);
    images.on("GET", "/v2/images/*").content_length(50_000);
    assert!(show().is_err());

    let get = || demo.ask("GET", &file, &[], b"");
    assert_eq!(
        (get().unwrap().header("content-length"), get().unwrap().header("content-length")),
        (None, Some("1000"))
    );
    images.on("GET", "/v2/images/*/file").close_after_answer(400);
    assert!(get().is_err());
    images.on("GET", "/v2/images/*/file").drip(100, Duration::from_millis(10));
    let start = Instant::now();
    assert_eq!(get().unwrap().body, data);
    assert!(start.elapsed() >= Duration::from_millis(80));

    images.on("PUT", "/v2/images/*/file").close_after_request(10);
    let cut = path_of(&demo.json("POST", "/v2/images", &draft(&world, "early")).json());
    assert!(demo.ask("PUT", &format!("{cut}/file"), &[OCTETS], &data).is_err());
    images.on("PUT", "/v2/images/*/file").answer_early(|| Answer::html(413, "too large"));
    // The answer, or a reset: bytes that nobody reads do that.
    assert!(demo.ask("PUT", &format!("{cut}/file"), &[OCTETS], &data).map_or(0, |r| r.status) % 413 == 0);
    assert_eq!(images.asked("PUT", "/v2/images/*/file").last().unwrap().status, 413);

    images.on("GET", "/v2/images/*").stall();
    let mut socket = TcpStream::connect(images.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nX-Auth-Token: {}\r\n\r\n", demo.token).as_bytes()).unwrap();
    assert!(socket.read(&mut [0]).is_err());

    world.expire_tokens();
    assert_eq!(show().unwrap().status, 401);
    let gone = images.address;
    drop(world);
    // A program that another test starts has our sockets for a moment, until it is loaded.
    let closed = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        TcpStream::connect(gone).is_err()
    });
    assert!(closed, "the server goes with its world");
}

#[test]
#[should_panic(expected = "these faults were prepared and never happened: [\"GET /never\"]")]
fn a_fault_that_does_not_happen_fails_the_test() {
    World::new().images().on("GET", "/never").close();
}

#[test]
fn programs_run_with_what_they_are_given() {
    let world = World::new();
    let sh = |script: &str| world.program("/bin/sh").args(["-c", script]);
    let outcome = sh("env | cut -d= -f1 | sort | tr '\\n' ' '; echo oops >&2; exit 3").run();
    outcome.code(3).stderr_is("oops\n").stdout_has("HOME LANG").stdout_lacks("CARGO");
    sh("cat").run().ok().stdout_is("");
    sh("cat").stdin(Stdin::Bytes(b"abc".to_vec())).run().ok().stdout_is("abc");
    let path = world.file("in.txt", "from a file");
    sh("cat").stdin(Stdin::File(path)).run().ok().stdout_is("from a file");
    let pieces = vec![b"a".to_vec(), b"b".to_vec()];
    sh("cat").stdin(Stdin::Slow { pieces, pause: Duration::from_millis(20) }).run().ok().stdout_is("ab");
    sh("[ -e /proc/self/fd/0 ] || echo closed").stdin(Stdin::Closed).run();
    sh("cat").stdin(Stdin::Closed).run().code(1);
    sh("yes").close_stdout_after(10).run().stdout_is("y\ny\ny\ny\ny\n");
    sh("echo '{\"a\": 1}'").stdout_file(world.home.join("out")).run().ok().stdout_is("");
    assert_eq!(sh("cat out").run().json()["a"], 1);
    let start = Instant::now();
    let killed = std::panic::catch_unwind(|| {
        Run::new("/bin/sleep").args(["60"]).deadline(Duration::from_millis(100)).run().ok();
    });
    assert!(killed.is_err() && start.elapsed() < Duration::from_secs(10));
    let running = sh("trap 'echo got it; exit 130' INT; echo ready; while :; do sleep 0.05; done").start();
    std::thread::sleep(Duration::from_millis(300));
    running.signal("INT");
    running.wait().code(130).stdout_has("got it");
    assert!(sh("sleep 0.1").run().peak_rss_kib() > 100);
}

#[test]
fn programs_run_on_a_terminal() {
    let world = World::new();
    let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] || exit 9; printf 'Password: ' > /dev/tty; stty -echo < /dev/tty; \
        read -r word < /dev/tty; stty echo < /dev/tty; printf '\\nsize %s\\n' \"$(stty size)\"; [ \"$word\" = secret ]";
    let mut terminal = world.program("/bin/sh").args(["-c", script]).terminal();
    terminal.expect("Password: ");
    std::thread::sleep(Duration::from_millis(100)); // `stty` comes after the prompt
    terminal.type_line("secret");
    terminal.wait().ok().stdout_has("size 24 80").stdout_lacks("secret");

    // Only standard error is the terminal, as in `rimg image save x > file`.
    let script = "[ -t 0 ] || [ -t 1 ] || { [ -t 2 ] && echo out && echo bar >&2; }";
    let run = world.program("/bin/sh").args(["-c", script]).stdin(Stdin::Null).stdout_file(world.home.join("out"));
    run.terminal().wait().ok().stdout_has("bar").stdout_lacks("out");
    assert_eq!(std::fs::read_to_string(world.home.join("out")).unwrap(), "out\n");

    let mut terminal = world.program("/bin/sh").args(["-c", "echo go; sleep 60"]).terminal();
    terminal.expect("go").type_keys("\x03");
    assert!(terminal.wait().peak_rss_kib() > 0);
}

/// One request in TLS, as a client that trusts `ca` and shows nothing or a certificate.
fn over_tls(world: &World, with_certificate: bool) -> std::io::Result<String> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    let files = world.tls_files();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.unwrap().with_root_certificates(roots);
    let config = if with_certificate {
        let cert = CertificateDer::from_pem_file(&files.cert).unwrap();
        builder.with_client_auth_cert(vec![cert], PrivateKeyDer::from_pem_file(&files.key).unwrap()).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let server = world.images();
    let name = ServerName::IpAddress(server.address.ip().into());
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(server.address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = rustls::StreamOwned::new(connection, socket);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn services_speak_tls() {
    let world = World::with_tls(Tls::Signed);
    assert!(world.auth_url().starts_with("https://127.0.0.1:"));
    assert!(over_tls(&world, false).unwrap().starts_with("HTTP/1.1 300 Multiple Choices"));
    let world = World::with_tls(Tls::ClientCertificate);
    assert!(over_tls(&world, false).is_err());
    assert!(over_tls(&world, true).unwrap().starts_with("HTTP/1.1 300"));
    // The certificate that plain webpki does not take.
    let error = over_tls(&World::with_tls(Tls::SelfSigned), false).unwrap_err().to_string();
    assert!(error.contains("CaUsedAsEndEntity"), "{error}");
}

#[test]
fn the_proxy_forwards_and_records() {
    let world = World::new();
    let proxy = Proxy::start();
    let address = proxy.url().replace("http://", "");
    let image_url = world.images().url();
    let through = |text: String| {
        let mut socket = TcpStream::connect(&address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    let get = format!("GET {image_url}/versions HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(through(get).starts_with("HTTP/1.1 200 OK"));
    let authority = image_url.replace("http://", "");
    let connect = format!("CONNECT {authority} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    let answer = through(connect);
    assert!(answer.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 300"), "{answer}");
    assert_eq!(proxy.hits(), [format!("GET {image_url}/versions"), format!("CONNECT {authority}")]);
    assert_eq!(world.images().requests().len(), 2);
}

/// The Python clients take the services of the tests for real ones.
#[test]
fn python_clients_agree() {
    let Some(openstack) = std::env::var_os("RIMG_TEST_OPENSTACK").map(std::path::PathBuf::from) else {
        let text = "Python clients: not run (RIMG_TEST_OPENSTACK, the path of `openstack`, is not set)\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    };
    let world = World::new();
    let run = |args: &[&str]| world.program(&openstack).args(args).deadline(Duration::from_secs(120)).run();
    let path = world.file("x.img", "hello image");
    let path = path.to_str().unwrap();
    let create = ["image", "create", "one", "--file", path, "--tag", "t", "--property", "a=b", "-f", "json"];
    let made = run(&create);
    assert_eq!((&made.ok().json()["status"], &made.json()["size"]), (&json!("active"), &json!(11)));
    let put = &world.images().asked("PUT", "/v2/images/*/file")[0];
    assert_eq!((put.complete, put.body.as_slice()), (true, b"hello image".as_slice()));
    run(&["image", "create", "two", "--import", "--file", path]).ok();
    run(&["image", "set", "one", "--name", "uno", "--property", "c=d", "--tag", "u", "--community"]).ok();
    let shown = run(&["image", "show", "uno", "-f", "json"]);
    assert_eq!(
        (&shown.ok().json()["visibility"], &shown.json()["properties"]["c"]),
        (&json!("community"), &json!("d"))
    );
    run(&["image", "unset", "uno", "--tag", "t", "--property", "a"]).ok();
    assert_eq!(run(&["image", "show", "uno", "-f", "json"]).json()["tags"], json!(["u"]));
    let list = run(&["image", "list", "--long", "-f", "json", "--tag", "u"]);
    assert_eq!((&list.ok().json()[0]["Name"], list.json().as_array().unwrap().len()), (&json!("uno"), 1));
    run(&["image", "save", "uno", "--file", "out.img"]).ok();
    assert_eq!(std::fs::read(world.home.join("out.img")).unwrap(), b"hello image");
    run(&["image", "delete", "uno", "two"]).ok();
    run(&["image", "show", "uno"]).code(1).stderr_has("No Image found for uno");

    let glance = |args: &[&str]| {
        let run = world.program(openstack.with_file_name("glance")).args(args).no_env("OS_CLOUD");
        let run = run.env("OS_AUTH_URL", world.auth_url()).env("OS_USERNAME", "demo").env("OS_PASSWORD", "secret");
        let run = run.env("OS_PROJECT_NAME", "demo").env("OS_USER_DOMAIN_ID", "default");
        run.env("OS_PROJECT_DOMAIN_ID", "default").deadline(Duration::from_secs(120)).run()
    };
    let formats = ["--disk-format", "raw", "--container-format", "bare"];
    glance(&[&["image-create", "--name", "three", "--file", path], &formats[..]].concat()).ok().stdout_has("active");
    let all = world.session("demo").ask("GET", "/v2/images?name=three", &[], b"").unwrap().json();
    let id = all["images"][0]["id"].as_str().unwrap();
    glance(&["image-list"]).ok().stdout_has(id);
    glance(&["image-download", id, "--file", "three.img"]).ok();
    assert_eq!(std::fs::read(world.home.join("three.img")).unwrap(), b"hello image");
    glance(&["image-delete", id]).ok();
}
