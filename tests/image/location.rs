//! `rimg image location …`

use serde_json::{Value, json};

use crate::support::{Answer, World, each_whole_service};

#[test]
fn an_administrator_sees_where_the_data_is() {
    each_whole_service(|world| {
        let name = world.name("i");
        let id = world.given_image(&name, b"data")["id"].as_str().unwrap().to_owned();
        let list = ["image", "location", "list", &name, "-f", "json"];
        let places = world.run_as("admin", list).ok().stderr_is("").json();
        assert_eq!(places[0]["Metadata"], json!({"store": "fast"}));
        assert!(places[0]["URL"].as_str().unwrap().starts_with("file:///"), "{places}");
        let hidden = format!("this cloud does not show you where image `{id}` is kept\nhint: ask who runs the cloud");
        world.run(list).code(1).stdout_is("").stderr_has(&hidden);
        for change in [&["set", &name, "--metadata", "{}"][..], &["delete", &name]] {
            let change = ["image", "location"].iter().chain(change).chain(&["--url", "http://127.0.0.1/x"]);
            world.run(change).code(1).stdout_is("").stderr_has(&hidden);
        }
        let add = ["image", "location", "add", &name, "--url", "http://127.0.0.1/x"];
        let refused = world.run(add);
        refused.code(1).stdout_is("").stderr_has("403").stderr_has("hint: ask who runs the cloud");
        let queued = world.name("queued");
        world.run(["image", "create", &queued]).ok();
        let refused = world.run(["image", "location", "add", &queued, "--url", "http://127.0.0.1/x"]);
        refused.code(1).stdout_is("").stderr_has("http store must be enabled");
        world.run(["image", "location", "add", &queued, "--url", "x"]).code(2).stderr_has("`x` is not a URL");
    });
}

/// From then on the service shows these locations with its images.
fn shows(world: &World, locations: Value) {
    world.images().on("GET", "/v2/images").always().edit(move |list| {
        for image in list["images"].as_array_mut().unwrap() {
            image["locations"] = locations.clone();
        }
    });
}

fn patched(world: &World) -> Value {
    world.images().asked("PATCH", "/v2/images/*").last().unwrap().json()
}

#[test]
fn the_newer_way_is_asked_first_for_a_queued_image() {
    let world = World::new();
    world.run(["image", "create", "i"]).ok();
    let add = ["image", "location", "add", "i", "--url", "https://x.example.org/i"];
    world.images().on("POST", "/v2/images/*/locations").answer(|| Answer::status(202));
    world
        .run(add.into_iter().chain(["--hash-algo", "sha256", "--hash-value", "aa", "-f", "value", "-c", "name"]))
        .ok()
        .stdout_is("i\n");
    let sent = world.images().asked("POST", "/v2/images/*/locations")[0].json();
    let digest = json!({"os_hash_algo": "sha256", "os_hash_value": "aa"});
    assert_eq!(sent, json!({"url": "https://x.example.org/i", "validation_data": digest}));
    assert!(world.images().asked("PATCH", "/v2/images/*").is_empty());
    // A service that does not know it is asked the older way.
    for status in [404, 405] {
        world.images().on("POST", "/v2/images/*/locations").answer(move || Answer::status(status));
        world.images().on("PATCH", "/v2/images/*").answer(|| Answer::json(200, &json!({})));
        world.run(add).ok();
        let value = json!({"url": "https://x.example.org/i", "metadata": {}});
        assert_eq!(patched(&world), json!([{"op": "add", "path": "/locations/-", "value": value}]));
    }
    // What only the older way knows goes there at once.
    let asked = world.images().asked("POST", "/v2/images/*/locations").len();
    world.images().on("PATCH", "/v2/images/*").answer(|| Answer::json(200, &json!({})));
    world.run(add.into_iter().chain(["--metadata", r#"{"a": "b"}"#, "--checksum", "cc"])).ok();
    assert_eq!(patched(&world)[0]["value"]["validation_data"], json!({"checksum": "cc"}));
    assert_eq!(patched(&world)[0]["value"]["metadata"], json!({"a": "b"}));
    assert_eq!(world.images().asked("POST", "/v2/images/*/locations").len(), asked);
}

#[test]
fn shown_locations_are_changed_by_a_patch() {
    let world = World::new();
    world.given_image("i", b"data");
    let place = |url: &str, store: &str| json!({"url": url, "metadata": {"store": store}});
    shows(&world, json!([place("file:///a", "fast"), place("http://b", "web"), place("file:///c", "slow")]));
    let list = world.run(["image", "location", "list", "i", "-f", "value"]);
    list.ok().stdout_is("file:///a {'store': 'fast'}\nhttp://b {'store': 'web'}\nfile:///c {'store': 'slow'}\n");
    world.images().on("PATCH", "/v2/images/*").times(2).answer(|| Answer::json(200, &json!({})));
    let set = ["image", "location", "set", "i", "--url", "http://b", "--metadata", r#"{"x": 1}"#];
    world.run(set).ok().stdout_is("").stderr_is("");
    let all =
        json!([place("file:///a", "fast"), {"url": "http://b", "metadata": {"x": 1}}, place("file:///c", "slow")]);
    assert_eq!(patched(&world), json!([{"op": "replace", "path": "/locations", "value": all}]));
    let delete = ["image", "location", "delete", "i", "--url"];
    world.run(delete.into_iter().chain(["file:///a", "--url", "file:///c"])).ok().stdout_is("").stderr_is("");
    let steps = json!([{"op": "remove", "path": "/locations/2"}, {"op": "remove", "path": "/locations/0"}]);
    assert_eq!(patched(&world), steps);
    let asked = world.images().asked("PATCH", "/v2/images/*").len();
    let missing = world.run(delete.into_iter().chain(["file:///a", "--url", "file:///d"]));
    missing.code(1).stderr_has("has no location `file:///d`\nhint: `rimg image location list`");
    assert_eq!(world.images().asked("PATCH", "/v2/images/*").len(), asked);
}

#[test]
fn the_one_url_that_is_shown_is_listed() {
    let world = World::new();
    world.given_image("i", b"data");
    world.images().on("GET", "/v2/images").edit(|list| list["images"][0]["direct_url"] = "rbd://a/b/c/d".into());
    world.run(["image", "location", "list", "i", "-f", "value", "-c", "URL"]).ok().stdout_is("rbd://a/b/c/d\n");
}
