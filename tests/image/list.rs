//! `rimg image list`

use serde_json::{Value, json};

use crate::support::{Answer, Outcome, World, each_service, each_version, each_whole_service};

/// The names that a list shows, in its order, without the world's own suffix.
fn names(world: &World, args: &[&str]) -> Vec<String> {
    let listed = world.run(["image", "list", "-f", "json"].iter().chain(args)).ok().json();
    let suffix = world.name("");
    let named = listed
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["Name"].as_str()?.strip_suffix(&suffix).map(str::to_owned));
    named.collect()
}

#[test]
fn the_columns_are_those_that_scripts_know() {
    each_version(|world| {
        let name = world.name("i");
        world.given_image(&name, b"data");
        let keys = |args: &[&str]| -> Vec<String> {
            let listed = world.run(["image", "list", "--name", &name, "-f", "json"].iter().chain(args)).ok().json();
            listed[0].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(keys(&[]), ["ID", "Name", "Status"]);
        assert_eq!(
            keys(&["--long"]),
            [
                "ID",
                "Name",
                "Disk Format",
                "Container Format",
                "Size",
                "Checksum",
                "Status",
                "Visibility",
                "Protected",
                "Project",
                "Hash Algorithm",
                "Hash Value",
                "Tags"
            ]
        );
        assert_eq!(keys(&["--stores"]), ["ID", "Name", "Status", "Stores"]);
        world.run(["image", "list", "--name", &name, "-f", "value", "-c", "name"]).ok().stdout_is(&format!("{name}\n"));
    });
}

#[test]
fn every_filter_filters() {
    each_service(|world| {
        for (name, args) in [
            ("a", &["--private", "--tag", "x", "--tag", "y", "--property", "os_distro=d1"][..]),
            ("b", &["--shared", "--tag", "x", "--property", "os_distro=d2", "--min-disk", "10"]),
            ("c", &["--community", "--property", "hw_boot_menu=true", "--property", "hw_cpu_cores=4", "--protected"]),
            ("d", &["--property", "os_hidden=true"]),
        ] {
            world
                .run(["image", "create", &world.name(name)].iter().map(AsRef::as_ref).chain(args.iter().copied()))
                .ok();
        }
        world.given_image(&world.name("e"), b"data");
        let only = |args: &[&str]| names(world, args);
        assert_eq!(only(&["--private"]), ["a"]);
        assert_eq!(only(&["--community"]), ["c"]);
        assert_eq!(only(&["--tag", "x"]), ["a", "b"]);
        assert_eq!(only(&["--tag", "x", "--tag", "y"]), ["a"]);
        assert_eq!(only(&["--property", "os_distro=d2"]), ["b"]);
        assert_eq!(only(&["--property", "min_disk=10"]), ["b"]);
        assert_eq!(only(&["--all", "--property", "protected=True"]), ["c"]);
        for (key, value) in [("hw_boot_menu", "true"), ("hw_boot_menu", "True"), ("hw_cpu_cores", "4")] {
            assert_eq!(only(&["--all", "--property", &format!("{key}={value}")]), ["c"]);
        }
        assert!(only(&["--all", "--property", "hw_boot_menu=False"]).is_empty());
        // Newer ones that do not match are not counted.
        assert_eq!(only(&["--property", "min_disk=10", "--limit", "1"]), ["b"]);
        assert_eq!(only(&["--property", "min_disk=10", "--max-items", "1"]), ["b"]);
        assert_eq!(only(&["--property", "os_distro=d1", "--limit", "1"]), ["a"]);
        assert_eq!(only(&["--hidden"]), ["d"]);
        assert_eq!(only(&["--status", "active"]), ["e"]);
        assert_eq!(only(&["--status", "queued"]), ["a", "b", "c"]);
        assert_eq!(only(&["--name", &world.name("e")]), ["e"]);
        assert_eq!(only(&["--member-status", "ALL"]), ["a", "b", "c", "e"]);
        world.run(["image", "set", &world.name("c"), "--unprotected"]).ok();
    });
}

#[test]
fn a_project_is_found_by_name() {
    each_version(|world| {
        world.given_image(&world.name("mine"), b"data");
        let listed = |project: &str| {
            let args = ["image", "list", "--project", project, "--project-domain", "default", "-f", "json"];
            let rows = world.run_as("admin", args).ok().json();
            rows.as_array().unwrap().iter().any(|row| row["Name"] == *world.name("mine"))
        };
        assert!(listed("demo"));
        assert!(!listed("other"));
    });
}

#[test]
fn sorting_limits_and_markers() {
    each_service(|world| {
        let tag = world.name("tag");
        for (name, size) in [("b", 1000), ("a", 9), ("c", 200)] {
            let image = world.given_image(&world.name(name), &vec![1; size]);
            world.run(["image", "set", image["id"].as_str().unwrap(), "--tag", &tag]).ok();
            // The service's clock has seconds.
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        let listed = |args: &[&str]| names(world, &[&["--tag", tag.as_str()], args].concat());
        assert_eq!(listed(&[]), ["a", "b", "c"]);
        assert_eq!(listed(&["--sort", "size"]), ["a", "c", "b"]);
        assert_eq!(listed(&["--sort", "size:desc,name"]), ["b", "c", "a"]);
        // The newest two, then sorted by name.
        assert_eq!(listed(&["--limit", "2"]), ["a", "c"]);
        assert_eq!(listed(&["--limit", "2", "--marker", &world.name("c")]), ["a", "b"]);
        assert_eq!(listed(&["--max-items", "1"]), ["c"]);
        assert_eq!(listed(&["--limit", "0"]), ["a", "b", "c"]);
        // The last one shown is `c`, but the next page begins after `a`.
        let page = ["image", "list", "--tag", &tag, "--limit", "2"];
        let a = world.all_of(&world.name("a"))[0]["id"].as_str().unwrap().to_owned();
        world.run(page).ok().stderr_is(&format!("note: next page: --marker {a}\n"));
        assert_eq!(listed(&["--limit", "2", "--marker", &a]), ["b"]);
        world.run(page.into_iter().chain(["-q"])).ok().stderr_is("");
        world.run(page.into_iter().chain(["--sort", "created_at:desc"])).ok().stderr_is("");
        world.run(["image", "list", "--tag", &tag, "--limit", "4"]).ok().stderr_is("");
        world.run(["image", "list", "--sort", "name:up"]).code(2).stderr_has("`up` is no direction");
        world.run(["image", "list", "--sort", "colour"]).code(1).stderr_has("no image has a field `colour`");
    });
}

/// A page of so many images, as the service writes it; `next` follows.
fn page(from: usize, count: usize, next: Option<&str>) -> Value {
    let images: Vec<Value> = (from..from + count)
        .map(|n| json!({"id": format!("id{n:05}"), "name": format!("n{n:05}"), "status": "active"}))
        .collect();
    let mut body = json!({"images": images, "schema": "/v2/schemas/images", "first": "/v2/images"});
    if let Some(next) = next {
        body["next"] = json!(next);
    }
    body
}

#[test]
fn pages_of_a_thousand_follow_the_marker() {
    let world = World::new();
    let first = page(0, 1000, Some("/v2/images?tag=y&limit=1000&marker=id00999"));
    let second = page(1000, 500, None);
    world.images().on("GET", "/v2/images").answer(move || Answer::json(200, &first));
    world.images().on("GET", "/v2/images").answer(move || Answer::json(200, &second));
    let listed = world.run(["image", "list", "--tag", "x", "--tag", "y", "-f", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1500);
    let queries: Vec<_> = world.images().asked("GET", "/v2/images").iter().map(|r| r.request.query.clone()).collect();
    assert_eq!(queries, ["limit=1000&tag=x&tag=y", "limit=1000&marker=id00999&tag=x&tag=y"]);
}

#[test]
fn what_is_compared_here_is_counted_here() {
    let world = World::new();
    for (from, next) in [(0, 1999), (2000, 3999), (4000, 5999)] {
        let mut page = page(from, 1000, Some(&format!("/v2/images?marker=id{next:05}")));
        for image in page["images"].as_array_mut().unwrap().iter_mut().skip(10) {
            image["min_disk"] = json!(if from == 0 { 0 } else { 7 });
        }
        world.images().on("GET", "/v2/images").answer(move || Answer::json(200, &page));
    }
    let list = ["image", "list", "--property", "min_disk=7", "--limit", "2", "-f", "value", "-c", "ID"];
    world.run(list).ok().stdout_is("id02010\nid02011\n");
    let queries: Vec<_> = world.images().asked("GET", "/v2/images").iter().map(|r| r.request.query.clone()).collect();
    assert_eq!(queries[..2], ["limit=1000", "limit=1000&marker=id01999"]);
    assert!(queries.len() < 4, "{queries:?}");
    // The third page was asked for, or not.
    world.images().forget();
}

#[test]
fn the_stores_of_each_image_are_listed() {
    each_service(|world| {
        let image = world.given_image(&world.name("i"), b"data");
        let listed = world.run(["image", "list", "--stores", "--name", &world.name("i"), "-f", "json"]).ok().json();
        assert_eq!(listed[0]["Stores"], image["stores"]);
        assert!(listed[0]["Stores"].is_string());
        let long = world.run(["image", "list", "--long", "--stores", "-f", "csv"]).ok().stdout();
        assert!(long.lines().next().unwrap().ends_with("\"Tags\",\"Stores\""), "{long}");
    });
}

const MANY: usize = 20_000;

/// What this makes of so many images, which come in no order.
fn list_of_many(list: &[&str]) -> Outcome {
    let world = World::new();
    for from in (0..MANY).step_by(1000) {
        let images: Vec<Value> = (from..from + 1000)
            .map(|n| {
                json!({
                    "id": format!("{n:036}"), "name": format!("image-{:05}", (n * 7919) % MANY), "status": "active",
                    "disk_format": "qcow2", "container_format": "bare", "size": 4096 + n, "checksum": "c".repeat(32),
                    "visibility": "shared", "protected": false, "owner": "o".repeat(32), "os_hash_algo": "sha512",
                    "os_hash_value": "d".repeat(128), "tags": ["nightly"], "os_distro": "debian", "min_disk": 0,
                    "created_at": "2026-11-22T00:30:17Z", "updated_at": "2026-11-22T00:30:17Z", "virtual_size": null,
                })
            })
            .collect();
        let mut page = json!({ "images": images });
        if from + 1000 < MANY {
            page["next"] = json!(format!("/v2/images?marker={:036}", from + 999));
        }
        world.images().on("GET", "/v2/images").answer(move || Answer::json(200, &page));
    }
    let listed = world.run(list);
    listed.ok();
    listed
}

#[test]
fn many_images_in_little_memory() {
    let names: Vec<String> = (0..MANY).map(|n| format!("image-{n:05}")).collect();
    let value = list_of_many(&["image", "list", "-f", "value", "-c", "Name"]);
    assert!(value.stdout().lines().eq(&names));
    let long = list_of_many(&["image", "list", "-f", "csv", "--long"]);
    assert_eq!(long.stdout().lines().count(), MANY + 1);
    // A page, the next one, and of each image its row (70 and 330 bytes) and what it is sorted by.
    for (run, limit) in [(value, 16), (long, 20)] {
        assert!(run.peak_own_kib() < limit * 1024, "{} KiB of {limit} MiB", run.peak_own_kib());
    }
}

#[test]
fn the_next_page_is_asked_for_while_this_one_is_taken_up() {
    let world = World::new();
    // More than a pipe holds, so that rimg cannot go on before somebody reads.
    let mut first = page(0, 1000, Some("/v2/images?marker=id00999"));
    for image in first["images"].as_array_mut().unwrap() {
        image["name"] = json!("n".repeat(200));
    }
    world.images().on("GET", "/v2/images").answer(move || Answer::json(200, &first));
    world.images().on("GET", "/v2/images").answer(|| Answer::json(200, &page(1000, 1, None)));
    let list = "$RIMG image list --sort created_at:desc -f value -c ID -c Name";
    let script = format!("{list} | {{ until [ -e read ]; do sleep 0.01; done; cat; }}");
    let run = world.program("/bin/sh").args(["-c", &script]).env("RIMG", env!("CARGO_BIN_EXE_rimg")).start();
    let begun = std::time::Instant::now();
    while world.images().asked_so_far("GET", "/v2/images") < 2 {
        assert!(begun.elapsed().as_secs() < 60, "the second page was not asked for");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    world.file("read", "");
    let listed = run.wait();
    assert_eq!(listed.ok().stdout().lines().count(), 1001);
}

#[test]
fn in_the_order_of_the_service_a_list_is_written_as_it_comes() {
    let newest = |formats: &[&str], last: fn() -> Answer| {
        let world = World::new();
        let first = page(0, 2, Some("/v2/images?marker=id00001"));
        world.images().on("GET", "/v2/images").answer(move || Answer::json(200, &first));
        world.images().on("GET", "/v2/images").answer(last);
        world.run([&["image", "list", "--sort", "created_at:desc"], formats].concat())
    };
    let end: fn() -> Answer = || Answer::json(200, &page(2, 1, None));
    newest(&["-f", "value", "-c", "Name"], end).ok().stdout_is("n00000\nn00001\nn00002\n");
    newest(&["-f", "csv", "-c", "Name"], end).ok().stdout_is("\"Name\"\n\"n00000\"\n\"n00001\"\n\"n00002\"\n");
    newest(&["-f", "json", "-c", "ID", "--noindent"], end)
        .ok()
        .stdout_is("[{\"ID\": \"id00000\"}, {\"ID\": \"id00001\"}, {\"ID\": \"id00002\"}]\n");
    newest(&["-f", "json", "-c", "ID"], end).ok().stdout_is(
        "[\n  {\n    \"ID\": \"id00000\"\n  },\n  {\n    \"ID\": \"id00001\"\n  },\n  {\n    \"ID\": \"id00002\"\n  }\n]\n",
    );
    // What was there before the service failed has been written.
    let broken: fn() -> Answer = || Answer::status(500);
    newest(&["-f", "value", "-c", "Name"], broken).code(1).stdout_is("n00000\nn00001\n");
    // In any other order nothing can be.
    newest(&["-f", "value", "-c", "Name", "--sort", "name"], broken).code(1).stdout_is("");
    newest(&["-f", "value", "-c", "Name", "--sort-column", "Name"], broken).code(1).stdout_is("");
    newest(&["-c", "Name"], broken).code(1).stdout_is("");
}

#[test]
fn three_requests_are_enough() {
    let world = World::new();
    world.run(["image", "list"]).ok().stdout_is("\n");
    assert_eq!(world.identity().requests().len() + world.images().requests().len(), 3);
}

#[test]
fn an_empty_list_in_every_format() {
    let world = World::new();
    for (format, text) in
        [("json", "[]\n"), ("csv", "\"ID\",\"Name\",\"Status\"\n"), ("value", ""), ("yaml", "[]\n"), ("table", "\n")]
    {
        world.run(["image", "list", "-f", format]).ok().stdout_is(text);
    }
}

#[test]
fn usage_errors_never_touch_the_network() {
    let world = World::new();
    for args in [
        &["--public", "--private"][..],
        &["--limit", "x"],
        &["--limit", "-1"],
        &["--member-status", "maybe"],
        &["--property", "x"],
        &["-f", "shell"],
        &["extra"],
    ] {
        world.run(["image", "list"].iter().chain(args)).code(2).stdout_is("").stderr_has("error: ");
    }
    assert!(world.identity().requests().is_empty());
}

#[test]
fn the_service_compares_sizes_sums_formats_and_times() {
    each_whole_service(|world| {
        let (small, large) = (world.name("small"), world.name("large"));
        let image = world.given_image(&small, b"1234");
        world.given_image(&large, &[7; 5000]);
        let queued = world.name("queued");
        world.run(["image", "create", &queued, "--disk-format", "qcow2", "--protected"]).ok();
        let listed = |filters: &[&str]| {
            let mut names: Vec<String> = Vec::new();
            for name in [&small, &large, &queued] {
                let line = ["image", "list", "--name", name, "-f", "value", "-c", "Name"];
                let found = world.run([&line[..], filters].concat()).ok().stdout();
                names.extend(
                    found
                        .lines()
                        .filter(|line| !line.is_empty())
                        .map(|line| line.split('-').next().unwrap().to_owned()),
                );
            }
            names.join(" ")
        };
        assert_eq!(listed(&["--size-min", "5000"]), "large");
        assert_eq!(listed(&["--size-max", "4"]), "small");
        assert_eq!(listed(&["--checksum", image["checksum"].as_str().unwrap()]), "small");
        assert_eq!(listed(&["--hash", image["os_hash_value"].as_str().unwrap()]), "small");
        assert_eq!(listed(&["--disk-format", "qcow2"]), "queued");
        assert_eq!(listed(&["--container-format", "bare", "--unprotected"]), "small large");
        assert_eq!(listed(&["--protected"]), "queued");
        assert_eq!(listed(&["--created-since", "2020-01-01", "--updated-since", "2020-01-01"]), "small large queued");
        assert_eq!(listed(&["--created-before", "2020-01-01"]), "");
        let since = ["--created-since", "2020-01-01", "--updated-since", "2020-01-01"];
        let range = |end: &str| listed(&[&since[..], &["--created-before", end, "--updated-before", end]].concat());
        assert_eq!(range("2100-01-01"), "small large queued");
        assert_eq!(range("2021-01-01"), "");
        assert_eq!(listed(&["--updated-before", "2020-01-01T00:00:00Z"]), "");
    });
    let world = World::new();
    world.run(["image", "list", "--created-since", "soon"]).code(2).stderr_has("`soon` is no time");
}
