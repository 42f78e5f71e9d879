//! `rimg image import`, and the imports of `rimg image create`

use serde_json::{Value, json};

use crate::support::{Answer, Server, World, each_service, each_whole_service};

/// A queued raw image; its ID.
fn queued(world: &World, name: &str) -> String {
    let create = ["image", "create", name, "--disk-format", "raw", "-f", "value", "-c", "id"];
    world.run(create).ok().stdout().trim().to_owned()
}

/// A web server with one file, `/data`.
fn web() -> Server {
    Server::start(None, |request, _| match request.path.as_str() {
        "/data" => Answer::status(200).header("Content-Type", "application/octet-stream").body(b"from the web"),
        _ => Answer::status(404),
    })
}

#[test]
fn staged_data_is_imported_and_waited_for() {
    each_service(|world| {
        let name = world.name("i");
        queued(world, &name);
        world.file("x.img", b"hello");
        world.run(["image", "stage", &name, "--file", "x.img"]).ok();
        let imported = world.run(["image", "import", &name, "--wait", "-f", "json"]);
        let image = imported.ok().json();
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(5)));
        assert_eq!(image["checksum"], "5d41402abc4b2a76b9719d911017c592");
        let again = world.run(["image", "import", &name]);
        again.code(1).stdout_is("").stderr_has("`glance-direct` wants an image that is `uploading`, and `");
    });
}

#[test]
fn without_waiting_the_answer_is_the_state_after_the_order() {
    let world = World::new();
    queued(&world, "i");
    world.file("x.img", b"hello");
    world.run(["image", "stage", "i", "--file", "x.img"]).ok();
    world.run(["image", "import", "i", "-f", "value", "-c", "status"]).ok().stdout_is("importing\n").stderr_is("");
    let order = world.images().asked("POST", "/v2/images/*/import")[0].json();
    assert_eq!(order, json!({"method": {"name": "glance-direct"}}), "stores are spoken of only when some are named");
}

#[test]
fn the_service_fetches_from_the_web() {
    let web = web();
    each_whole_service(|world| {
        let data = format!("{}/data", web.url());
        let name = world.name("fetched");
        queued(world, &name);
        let import = ["image", "import", &name, "--method", "web-download", "--wait", "-f", "json", "--uri"];
        let image = world.run(import.into_iter().chain([data.as_str()])).ok().json();
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(12)));

        let missing = world.name("missing");
        let id = queued(world, &missing);
        let uri = format!("{}/none", web.url());
        let failed = world.run(["image", "import", &missing, "--method", "web-download", "--wait", "--uri", &uri]);
        failed.code(1).stdout_is("").stderr_has("error: the import failed: ");
        let tasks = world.run(["image", "task", "list", "--image", &id, "--long", "-f", "json"]).ok().json();
        assert_eq!(tasks[0]["Status"], "failure");
        let reason = tasks[0]["Message"].as_str().unwrap().trim_end_matches('.').to_owned();
        assert!(failed.stderr().contains(&reason), "{reason}");
        // Another try: the failed task of the first says nothing about it.
        let again =
            ["image", "import", &id, "--method", "web-download", "--wait", "-f", "value", "-c", "status", "--uri"];
        world.run(again.into_iter().chain([data.as_str()])).ok().stdout_is("active\n");
    });
}

#[test]
fn an_image_is_created_by_an_import_in_one_step() {
    let web = web();
    each_whole_service(|world| {
        let name = world.name("web");
        let create = ["image", "create", &name, "--import-method", "web-download", "--uri"];
        let uri = format!("{}/data", web.url());
        let made =
            world.run(create.into_iter().chain([uri.as_str(), "--store", "slow", "--store", "fast", "-f", "json"]));
        let image =
            made.ok().stderr_has("note: the service fetches the data, so its disk format is taken as `raw`").json();
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(12)));
        let mut stores: Vec<&str> = image["properties"]["stores"].as_str().unwrap().split(',').collect();
        stores.sort_unstable();
        assert_eq!(stores, ["fast", "slow"]);

        let none = world.name("none");
        let uri = format!("{}/none", web.url());
        let failed = world.run(["image", "create", &none, "--import-method", "web-download", "--uri", &uri]);
        failed.code(1).stdout_is("").stderr_has("error: the import failed: ");
        assert!(world.all_images().iter().all(|image| image["name"] != *none), "nothing is left behind");

        world.file("x.img", b"hello");
        let direct = world.name("direct");
        let create =
            ["image", "create", &direct, "--import-method", "glance-direct", "--all-stores", "--disallow-failure"];
        let image = world.run(create.into_iter().chain(["--file", "x.img", "-f", "json"])).ok().json();
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(5)));
        assert!(image["properties"]["stores"].as_str().unwrap().contains("slow"), "{image}");
    });
}

#[test]
fn data_is_created_in_a_store() {
    each_whole_service(|world| {
        world.file("x.img", b"hello");
        let name = world.name("i");
        let create = ["image", "create", &name, "--file", "x.img", "-f", "json", "--store"];
        let unknown = world.run(create.into_iter().chain(["nowhere"]));
        unknown
            .code(1)
            .stdout_is("")
            .stderr_has("error: this cloud has no store `nowhere`\nhint: it has: fast, slow\n");
        assert!(world.all_images().is_empty());
        let image = world.run(create.into_iter().chain(["slow"])).ok().json();
        assert_eq!((&image["status"], &image["properties"]["stores"]), (&json!("active"), &json!("slow")));
    });
}

#[test]
fn copies_go_to_every_store_that_is_named() {
    each_whole_service(|world| {
        let name = world.name("i");
        world.given_image(&name, b"data");
        let copy = ["image", "import", "--method", "copy-image", "--wait", "-f", "json"];
        // The image is not taken for a store.
        let copied = world.run_as("admin", copy.into_iter().chain(["--store", "slow", &name]));
        let stores = copied.ok().json()["properties"]["stores"].as_str().unwrap().to_owned();
        assert!(stores.contains("fast") && stores.contains("slow"), "{stores}");
        let again = world.run_as("admin", copy.into_iter().chain(["--store", "slow", &name]));
        again.code(1).stdout_is("").stderr_has("already present at store");
        let refused = world.run(copy.into_iter().chain(["--all-stores", &name]));
        refused.code(1).stdout_is("").stderr_has("403");
    });
}

#[test]
fn what_cannot_be_imported_is_said_before_the_service_is_told() {
    each_whole_service(|world| {
        let name = world.name("i");
        let id = queued(world, &name);
        let made = world.session("demo").json(
            "POST",
            "/v2/images",
            &json!({"name": world.name("bare"), "disk_format": "raw"}),
        );
        let bare = made.json()["id"].as_str().unwrap().to_owned();
        for (options, code, words) in [
            ("", 1, "error: `glance-direct` wants an image that is `uploading`"),
            ("--method copy-image", 1, "error: `--method copy-image` needs to know where to copy to"),
            ("--method copy-image --all-stores", 1, "error: `copy-image` wants an image that is `active`"),
            ("--method web-download", 1, "error: `--method web-download` needs `--uri`"),
            ("--method web-download --uri nosuch", 1, "error: `nosuch` is not a URL that can be fetched"),
            ("--method web-download --uri ftp://x/y", 1, "error: `ftp://x/y` is not a URL that can be fetched"),
            ("--method glance-download --remote-region R", 1, "needs `--remote-region` and `--remote-image`"),
            (
                "--method glance-download --remote-region R --remote-image i",
                1,
                "error: this cloud does not import by `glance-download`\nhint: it offers: glance-direct, web-download, copy-image\n",
            ),
            (
                "--method web-download --uri http://x/y --store fast --store no",
                1,
                "error: this cloud has no store `no`",
            ),
            ("--uri http://x/y", 1, "error: `--uri` means nothing with `--method glance-direct`"),
            ("--remote-image i", 1, "use `--method glance-download`"),
            ("--method nosuch", 2, "glance-direct, web-download, glance-download, copy-image"),
            ("--timeout 5", 2, "--wait"),
            ("--store a --all-stores", 2, "--all-stores"),
            ("--allow-failure --disallow-failure", 2, "--allow-failure"),
        ] {
            let refused = world.run(["image", "import", &name].into_iter().chain(options.split_whitespace()));
            refused.code(code).stdout_is("").stderr_has(words);
        }
        let said = "has no container_format\nhint: set it with `rimg image set ";
        world.run(["image", "import", &bare]).code(1).stderr_has(said);
        world.run(["image", "import"]).code(2).stderr_has("<IMAGE>");
        assert_eq!(world.image(&id)["status"], "queued");
        world.session("admin").ask("DELETE", &format!("/v2/images/{bare}"), &[], b"").unwrap();

        world.file("x.img", b"hello");
        let before = world.all_images().len();
        for (options, code, words) in [
            ("--uri http://x/y", 1, "hint: say how with `--import-method`"),
            ("--all-stores --file x.img", 1, "hint: say how with `--import-method`"),
            ("--file x.img --store a --store b", 1, "error: an upload goes into one store"),
            ("--store fast", 1, "error: `--store` needs image data"),
            ("--import", 1, "error: `--import` needs image data"),
            ("--import-method glance-direct", 1, "error: `--import-method` needs image data"),
            ("--import-method copy-image --store slow", 1, "error: `copy-image` copies an image that is there already"),
            ("--import-method web-download --uri http://x/y --file x.img", 1, "and `x.img` has some too"),
            ("--import --import-method web-download --uri http://x/y", 1, "leave out `--import`"),
            (
                "--import-method glance-download --remote-region R --remote-image i",
                1,
                "error: this cloud does not import by `glance-download`",
            ),
            ("--import-method web-download --uri http://x/y --store no", 1, "error: this cloud has no store `no`"),
            ("--import-method web-download --volume v", 2, "--volume"),
        ] {
            let refused = world.run(
                ["image", "create", &world.name("new")]
                    .map(str::to_owned)
                    .iter()
                    .map(String::as_str)
                    .chain(options.split_whitespace()),
            );
            refused.code(code).stdout_is("").stderr_has(words);
        }
        assert_eq!(world.all_images().len(), before, "nothing was created");
    });
}

/// A world with the image `i`, staged.
fn staged() -> World {
    let world = World::new();
    queued(&world, "i");
    world.file("x.img", b"hello");
    world.run(["image", "stage", "i", "--file", "x.img"]).ok();
    world
}

#[test]
fn a_refusal_of_the_service_is_an_error() {
    let world = staged();
    world.images().on("POST", "/v2/images/*/import").answer(|| Answer::status(409));
    world.run(["image", "import", "i"]).code(1).stdout_is("").stderr_has("409");
}

#[test]
fn what_waits_says_how_far_it_is_and_ends_at_its_limit() {
    let world = staged();
    let task = |id: &str, status: &str, message: &str| {
        json!({"id": id, "type": "api_image_import", "status": status,
        "message": message, "created_at": "2026-01-01T00:00:00"})
    };
    let answer = |tasks: Value| Answer::json(200, &json!({"tasks": tasks}));
    // One task is of an earlier import; the one of this import fails in the end.
    let earlier = task("old", "failure", "long ago");
    let tasks = [
        json!([earlier]),
        json!([earlier, task("new", "processing", "Copied 15 MiB")]),
        json!([task("new", "failure", "The store is full."), earlier]),
    ];
    for tasks in tasks {
        world.images().on("GET", "/v2/images/*/tasks").answer(move || answer(tasks.clone()));
    }
    let failed = world.run(["image", "import", "i", "--wait"]);
    failed.code(1).stdout_is("").stderr_is(
        "error: the import failed: The store is full\n\
         hint: without an import `rimg image create --file` sends the data straight\n",
    );

    let world = staged();
    world.images().on("GET", "/v2/images/*").always().edit(|image| image["status"] = "importing".into());
    let begun = std::time::Instant::now();
    let late = world.run(["image", "import", "i", "--wait", "--timeout", "1"]);
    late.code(1).stdout_is("").stderr_has("error: the import has not ended after 1 s: the image is `importing`");
    late.stderr_has("  the import into the image `").stderr_has("hint: `rimg image task list --image ");
    assert!(begun.elapsed().as_secs() < 20);

    let world = staged();
    world.images().on("GET", "/v2/images/*").always().edit(|image| image["status"] = "killed".into());
    let failed = world.run(["image", "import", "i", "--wait"]);
    failed.code(1).stdout_is("").stderr_has("error: the import failed: the image is `killed`");
}

#[test]
fn a_store_that_failed_is_named() {
    let world = staged();
    world.images().on("GET", "/v2/images/*").times(9).edit(|image| image["os_glance_failed_import"] = "slow".into());
    let import =
        ["image", "import", "i", "--store", "fast", "--store", "slow", "--wait", "-f", "value", "-c", "status"];
    let imported = world.run(import);
    imported.ok().stdout_is("active\n").stderr_has("warning: the data could not be put into these stores: slow\n");
    let order = world.images().asked("POST", "/v2/images/*/import")[0].json();
    assert_eq!((&order["stores"], &order["all_stores_must_succeed"]), (&json!(["fast", "slow"]), &json!(false)));
}

/// An import that never ends.
fn still_importing(image: &mut Value) {
    image["status"] = "importing".into();
    image["os_glance_importing_to_stores"] = "fast".into();
}

/// What is said of a look that failed.
const BLIND: &str = "note: the service answered HTTP 502 bad gateway; the import goes on, looking again\n";

#[test]
fn a_look_that_fails_does_not_end_the_wait() {
    let world = staged();
    world.images().on("GET", "/v2/images/*").times(2).answer(|| Answer::status(502));
    let import = ["image", "import", "i", "--wait", "-f", "value", "-c", "status"];
    world.run(import).ok().stdout_is("active\n").stderr_is(BLIND);

    let world = staged();
    world.images().on("GET", "/v2/images/*/tasks").nth(2).times(4).close();
    world.run(import).ok().stdout_is("active\n").stderr_has("; the import goes on, looking again\n");

    let world = World::new();
    world.file("x.img", b"hello");
    // The first look is at what was staged.
    world.images().on("GET", "/v2/images/*").nth(2).times(2).answer(|| Answer::status(502));
    let create =
        ["image", "create", "n", "--import-method", "glance-direct", "--file", "x.img", "--disk-format", "raw"];
    world.run(create.into_iter().chain(["-f", "value", "-c", "status"])).ok().stdout_is("active\n").stderr_is(BLIND);
    assert!(world.images().asked("DELETE", "/v2/images/*").is_empty());
}

#[test]
fn an_import_that_was_not_seen_to_end_keeps_its_image() {
    let create = ["image", "create", "--import-method", "glance-direct", "--file", "x.img", "--disk-format", "raw"];
    for (status, words) in [
        (502, "error: the import has not ended after 1 s: how far it is cannot be seen: the service answered HTTP 502"),
        (403, "error: the service answered HTTP 403 forbidden\n"),
    ] {
        let goes_on = |id: &str| {
            format!(
                "  the import into the image `{id}` goes on at the service\n\
                 hint: `rimg image task list --image {id} --long` tells how it goes on\n"
            )
        };
        let world = staged();
        world.images().on("GET", "/v2/images/*").always().answer(move || Answer::status(status));
        let id = world.glance().kept("i")[0].id.clone();
        let left = world.run(["image", "import", "i", "--wait", "--timeout", "1"]);
        left.code(1).stdout_is("").stderr_has(words).stderr_has(&goes_on(&id));

        let world = World::new();
        world.file("x.img", b"hello");
        world.images().on("GET", "/v2/images/*").nth(2).always().answer(move || Answer::status(status));
        let left = world.run(create.into_iter().chain(["--timeout", "1", "n"]));
        let id = world.glance().kept("n")[0].id.clone();
        left.code(1).stdout_is("").stderr_has(words).stderr_has(&goes_on(&id));
        assert!(world.images().asked("DELETE", "/v2/images/*").is_empty());
    }
    // What has failed is cleaned up after.
    let world = World::new();
    world.file("x.img", b"hello");
    world.images().on("GET", "/v2/images/*").nth(2).always().edit(|image| image["status"] = "killed".into());
    world.run(create.into_iter().chain(["n"])).code(1).stderr_has("error: the import failed: the image is `killed`\n");
    assert!(world.glance().kept("n").is_empty());
}

#[test]
fn a_create_waits_for_its_import_as_long_as_it_is_told() {
    let world = World::new();
    world.file("x.img", b"hello");
    let create = ["image", "create", "n", "--file", "x.img", "--disk-format", "raw", "--timeout", "1"];
    let said = "error: `--timeout` is for an import\nhint: leave it out, or say how with `--import-method`\n";
    world.run(create).code(1).stdout_is("").stderr_is(said);
    assert!(world.images().requests().is_empty());
    world.images().on("GET", "/v2/images/*").nth(2).always().edit(still_importing);
    let late = world.run(create.into_iter().chain(["--import"]));
    late.code(1)
        .stderr_has("error: the import has not ended after 1 s: the image is `importing`, still to come: fast\n");
}

#[test]
fn a_program_reads_what_an_import_waits_for() {
    let world = staged();
    world.images().on("GET", "/v2/images/*").always().edit(still_importing);
    let import = ["image", "import", "i", "--wait", "--timeout", "1"];
    for run in [
        world.rimg(import.into_iter().chain(["--progress=json"])),
        world
            .rimg(["image", "import", "i", "--method", "glance-direct", "--wait", "--timeout", "1"])
            .env("RIMG_PROGRESS", "json"),
    ] {
        let outcome = run.run();
        let told: Vec<Value> =
            outcome.code(1).stderr().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told[0], json!({"event": "start", "what": "importing i", "total": null}));
        let phase = "the image is `importing`, still to come: fast";
        assert_eq!(told[1], json!({"event": "phase", "what": "importing i", "phase": phase}));
        assert_eq!((&told[2]["event"], &told[2]["what"]), (&json!("end"), &json!("importing i")));
        assert_eq!(told[3]["event"], "error");
        // The second order is for the same image.
        world.glance().stage("i");
    }
    let lines = world.run(import.into_iter().chain(["--progress"]));
    lines.code(1).stderr_has("importing i: the image is `importing`, still to come: fast\n");
}

#[test]
fn another_region_is_fetched_from() {
    let remote = ["--remote-region", "RegionTwo", "--remote-image", "r"];
    let interface = ["--remote-service-interface", "internal"];
    for (options, interface) in [(remote.to_vec(), None), ([&remote[..], &interface].concat(), Some("internal"))] {
        let mut method = json!({"name": "glance-download", "glance_region": "RegionTwo", "glance_image_id": "r"});
        if let Some(interface) = interface {
            method["glance_service_interface"] = interface.into();
        }
        for first in [
            &["image", "import", "i", "--method", "glance-download", "--wait"][..],
            &["image", "create", "n", "--import-method", "glance-download", "--disk-format", "raw"],
        ] {
            let world = World::new();
            queued(&world, "i");
            let offered = json!({"import-methods": {"value": ["glance-download"]}});
            world.images().on("GET", "/v2/info/import").answer(move || Answer::json(200, &offered));
            world.images().on("POST", "/v2/images/*/import").answer(|| Answer::status(202));
            world.images().on("GET", "/v2/images/*").edit(|image| image["status"] = "active".into());
            let shown = ["-f", "value", "-c", "status"];
            let done = world.run(first.iter().chain(&options).chain(&shown));
            done.ok().stdout_is("active\n").stderr_is("");
            assert_eq!(world.images().asked("POST", "/v2/images/*/import")[0].json(), json!({"method": method}));
        }
    }
}
