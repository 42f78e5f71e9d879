//! `rimg image task …`

use serde_json::{Value, json};

use crate::support::{Answer, Server, World, each_whole_service};

/// An image that was imported; its ID.
fn imported(world: &World, name: &str) -> String {
    world.file("x.img", b"hello");
    let create = ["image", "create", name, "--import", "--file", "x.img", "--disk-format", "raw", "-f", "json"];
    world.run(create).ok().json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_owner_sees_the_tasks_of_an_image() {
    each_whole_service(|world| {
        let name = world.name("i");
        let id = imported(world, &name);
        let list = ["image", "task", "list", "--image", &name, "-f", "json"];
        let tasks = world.run(list.into_iter().chain(["--long"])).ok().stderr_is("").json();
        assert_eq!(tasks.as_array().unwrap().len(), 1);
        assert_eq!(tasks[0]["Type"], "api_image_import");
        assert_eq!(tasks[0]["Status"], "success");
        assert_eq!(tasks[0]["Owner"], world.session("demo").project);
        assert!(tasks[0]["Message"].is_string() && tasks[0]["Updated At"].is_string(), "{tasks}");
        assert_eq!((&tasks[0]["Image ID"], &tasks[0]["Input"]["image_id"]), (&json!(id), &json!(id)), "{tasks}");
        for column in ["Expires At", "User ID", "Request ID", "Result"] {
            assert!(tasks[0].get(column).is_some(), "{column}: {tasks}");
        }
        let all = world.run_as("admin", ["image", "task", "list", "--long", "--limit", "1", "-f", "json"]).ok().json();
        let keys: Vec<_> = all[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["ID", "Type", "Status", "Owner", "Message", "Updated At"], "as `openstack` has it");
        let hint = "hint: tasks are sorted by: created_at, expires_at, id, status, type, updated_at\n";
        world.run_as("admin", ["image", "task", "list", "--sort-key", "bogus"]).code(1).stdout_is("").stderr_has(hint);
        world.run(list.into_iter().chain(["--status", "failure"])).ok().stdout_is("[]\n");
        world.run(list.into_iter().chain(["--type", "location_import"])).ok().stdout_is("[]\n");
        // All tasks are for administrators.
        world.run(["image", "task", "list"]).code(1).stdout_is("").stderr_has("403");
        let task = tasks[0]["ID"].as_str().unwrap();
        let shown = world.run_as("admin", ["image", "task", "show", task, "-f", "json"]).ok().json();
        assert_eq!(shown["id"], task);
        assert_eq!(shown["owner_id"], tasks[0]["Owner"]);
        assert_eq!(shown["input"]["image_id"], *id);
        assert_eq!(shown["properties"], json!({}));
        let keys: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys[..4], ["created_at", "expires_at", "id", "input"]);
    });
}

#[test]
fn limits_cap_and_types_may_be_any_word() {
    each_whole_service(|world| {
        imported(world, &world.name("i"));
        imported(world, &world.name("j"));
        let count = |more: &[&str]| {
            let list = ["image", "task", "list", "-f", "json"];
            let tasks: Value = world.run_as("admin", list.iter().chain(more)).ok().json();
            tasks.as_array().unwrap().len()
        };
        assert!(count(&[]) >= 2);
        assert!(count(&["--limit", "0"]) >= 2);
        assert!(
            count(&["--type", "api_image_import", "--status", "success", "--sort-key", "id", "--sort-dir", "asc"]) >= 2
        );
        for cap in [&["--limit", "1"][..], &["--max-items", "1"], &["--max-items", "5", "--limit", "1", "--long"]] {
            assert_eq!(count(cap), 1, "{cap:?}");
            assert_eq!(count(&[cap, &["--type", "api_image_import"]].concat()), 1, "{cap:?}");
        }
        assert_eq!(count(&["--type", "no-such-type"]), 0);
        let missing = crate::support::random_uuid();
        let said = format!("error: there is no task with the ID `{missing}`\n");
        world.run_as("admin", ["image", "task", "show", &missing]).code(1).stdout_is("").stderr_has(&said);
    });
}

#[test]
fn pages_are_followed_to_the_end_or_the_limit() {
    let world = World::new();
    let page = |ids: &[&str], next: Option<&str>| {
        let tasks: Vec<Value> = ids.iter().map(|id| json!({"id": id, "type": "import", "status": "success"})).collect();
        json!({"tasks": tasks, "next": next})
    };
    for limit in ["0", "3"] {
        let first = page(&["a", "b"], Some("/v2/tasks?marker=b&limit=2"));
        world.images().on("GET", "/v2/tasks").answer(move || Answer::json(200, &first));
        let second = page(&["c", "d"], None);
        world.images().on("GET", "/v2/tasks").answer(move || Answer::json(200, &second));
        let list = ["image", "task", "list", "-f", "value", "-c", "ID", "--limit", limit, "--type", "import"];
        world.run(list).ok().stdout_is(if limit == "0" { "a\nb\nc\nd\n" } else { "a\nb\nc\n" });
    }
    let asked = world.images().asked("GET", "/v2/tasks");
    let pairs = asked[3].request.pairs();
    let expected = [("limit", "1"), ("type", "import"), ("marker", "b")];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn a_task_is_created_of_json() {
    let world = World::new();
    let task = json!({"id": "t", "type": "import", "status": "pending", "owner": "p", "input": {"import_from": "http://x"},
        "message": "", "result": null, "created_at": "c", "updated_at": "u", "expires_at": null, "image_id": null});
    world.images().on("POST", "/v2/tasks").answer(move || Answer::json(201, &task));
    let create = ["image", "task", "create", "--type", "import", "--input"];
    let made = world.run(create.into_iter().chain([
        r#"{"import_from": "http://x"}"#,
        "-f",
        "value",
        "-c",
        "status",
        "-c",
        "owner_id",
    ]));
    made.ok().stdout_is("p\npending\n");
    let sent = world.images().asked("POST", "/v2/tasks")[0].json();
    assert_eq!(sent, json!({"type": "import", "input": {"import_from": "http://x"}}));
    world.run(create.into_iter().chain(["{"])).code(2).stderr_has("it is not JSON");
    world.run(create.into_iter().chain(["[]"])).code(2).stderr_has("it is JSON, but no object");
    let web = Server::start(None, |_, _| {
        Answer::status(200).header("Content-Type", "application/octet-stream").body(b"data")
    });
    each_whole_service(|world| {
        world.run_as("admin", create.into_iter().chain(["{}"])).code(1).stdout_is("").stderr_has("400");
        world.run(create.into_iter().chain(["{}"])).code(1).stdout_is("").stderr_has("403");
        let name = world.name("made");
        let about = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
        let input =
            json!({"import_from": web.url(), "import_from_format": "raw", "image_properties": about}).to_string();
        let made = world.run_as("admin", create.into_iter().chain([input.as_str(), "-f", "json"]));
        // `rimg serve` has no tasks but those of imports.
        if !world.is_real() {
            made.code(1).stdout_is("").stderr_has("Tasks that make images are not supported at this site");
            return;
        }
        let task = made.ok().json();
        assert_eq!((&task["type"], &task["input"]["image_properties"]), (&json!("import"), &about));
        // What comes of it is the service's: a Glance 33 has taken it, and failed it with `Internal Error`.
        let id = task["id"].as_str().unwrap();
        let ends = || {
            let shown = world.run_as("admin", ["image", "task", "show", id, "-f", "value", "-c", "status"]);
            matches!(shown.ok().stdout().trim(), "success" | "failure")
        };
        let begun = std::time::Instant::now();
        while !ends() {
            assert!(begun.elapsed().as_secs() < 60, "the task does not end");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
}
