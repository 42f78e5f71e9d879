//! The image commands by Images API v1: what they do there as on v2 is in their
//! own files (`each_version`), here is what v1 does in its own way or not at all.

use serde_json::{Value, json};

use crate::support::{Answer, Server, World, distinct_bytes, each_v1};

/// Of the image with this name, what `image show` says.
fn shown(world: &World, name: &str) -> Value {
    world.run(["image", "show", name, "-f", "json"]).ok().json()
}

/// The names that a list has, without what makes them ours.
fn listed(world: &World, args: &[&str]) -> Vec<String> {
    let list = ["image", "list", "-f", "value", "-c", "Name"];
    let names = world.run(list.iter().chain(args)).ok().stdout();
    let suffix = world.name("");
    names.lines().filter_map(|name| Some(name.strip_suffix(&suffix)?.to_owned())).collect()
}

#[test]
fn every_option_that_v1_knows_reaches_the_image() {
    each_v1(|world| {
        world.file("a.img", b"0123456789");
        let name = world.name("grö");
        let made = world.run(
            [
                &["image", "create", &name, "--file", "a.img", "--disk-format", "raw", "--container-format", "ovf"][..],
                &["--min-disk", "3", "--min-ram", "64", "--protected", "--private", "--size", "10", "-f", "json"],
                &[
                    "--property",
                    "a=b=c",
                    "--property",
                    "Os-Distro=süß",
                    "--checksum",
                    "781e5e245d69b566979b86e28d23f2c7",
                ],
            ]
            .concat(),
        );
        let note = "note: Images API v1 keeps the property `Os-Distro` as `os_distro`\n";
        let image = made.ok().stderr_is(note).json();
        assert_eq!(image["properties"], json!({"a": "b=c", "os_distro": "süß"}));
        let fields = ["name", "status", "size", "min_disk", "min_ram", "visibility", "protected", "container_format"];
        let wanted = json!([name, "active", 10, 3, 64, "private", true, "ovf"]);
        assert_eq!(json!(fields.map(|field| &image[field])), wanted);
        assert_eq!((&image["checksum"], &image["tags"]), (&json!("781e5e245d69b566979b86e28d23f2c7"), &json!([])));
        assert_eq!(shown(world, &name), image);
        assert_eq!(shown(world, image["id"].as_str().unwrap()), image);
        world.run(["image", "save", &name, "--file", "b.img"]).ok().stderr_is("");
        assert_eq!(std::fs::read(world.home.join("b.img")).unwrap(), b"0123456789");
        world.run(["image", "delete", &name]).code(1).stderr_has("(HTTP 403 forbidden)");
        world.run(["image", "set", &name, "--unprotected"]).ok();
        world.run(["image", "delete", &name]).ok();
        world.run(["image", "show", &name]).code(1).stderr_has("there is no image with the name or ID");
    });
}

#[test]
fn what_is_not_named_stays() {
    each_v1(|world| {
        let name = world.name("i");
        world.file("x.img", b"data");
        let made = ["image", "create", &name, "--file", "x.img", "--disk-format", "raw", "--min-ram", "5"];
        world.run(made.iter().chain(&["--property", "keep=1", "--property", "go=2"])).ok();
        world.run(["image", "set", &name, "--property", "new=3", "--min-disk", "7"]).ok().stdout_is("").stderr_is("");
        let image = shown(world, &name);
        assert_eq!(image["properties"], json!({"keep": "1", "go": "2", "new": "3"}));
        assert_eq!((&image["min_disk"], &image["min_ram"], &image["size"]), (&json!(7), &json!(5), &json!(4)));
        let unset = world.run(["image", "unset", &name, "--property", "go", "--property", "nosuch"]);
        unset.code(1).stderr_has("nosuch");
        assert_eq!(shown(world, &name)["properties"], json!({"keep": "1", "new": "3"}));
        let other = world.name("other");
        world.run(["image", "set", &name, "--name", &other]).ok();
        assert_eq!(shown(world, &other)["properties"], json!({"keep": "1", "new": "3"}));
    });
}

#[test]
fn filters_orders_and_limits() {
    each_v1(|world| {
        for (name, size, more) in [("b", 1000, "x=1"), ("a", 9, "x=2"), ("ö", 200, "x=1")] {
            world.file("x.img", vec![1; size]);
            let name = world.name(name);
            world.run(["image", "create", &name, "--file", "x.img", "--disk-format", "raw", "--property", more]).ok();
            // The markers of v1 go by the second.
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        world.run(["image", "create", &world.name("empty")]).ok();
        assert_eq!(listed(world, &[]), ["a", "b", "empty", "ö"]);
        assert_eq!(listed(world, &["--private", "--sort", "size:desc"]), ["b", "ö", "a", "empty"]);
        assert_eq!(listed(world, &["--property", "x=1"]), ["b", "ö"]);
        assert_eq!(listed(world, &["--status", "queued"]), ["empty"]);
        assert_eq!(listed(world, &["--name", &world.name("ö")]), ["ö"]);
        assert_eq!(listed(world, &["--size-min", "200", "--size-max", "999"]), ["ö"]);
        assert_eq!(listed(world, &["--disk-format", "qcow2"]), Vec::<String>::new());
        assert_eq!(listed(world, &["--marker", &world.name("ö"), "--limit", "1"]), ["a"]);
        assert_eq!(listed(world, &["--created-before", "2026-01-01"]), Vec::<String>::new());
        assert!(listed(world, &["--public"]).is_empty());
    });
}

#[test]
fn a_share_is_in_effect_at_once() {
    each_v1(|world| {
        let name = world.name("shared");
        let id = world.given_image(&name, b"data")["id"].as_str().unwrap().to_owned();
        let other = world.session("other").project;
        let added = world.run(["image", "add", "project", &name, &other, "-f", "json"]).ok().json();
        assert_eq!((&added["image_id"], &added["member_id"]), (&json!(id), &json!(other)));
        assert_eq!(added["status"], "accepted");
        world.run(["image", "add", "project", &name, &other]).code(1).stderr_has("is shared with");
        let members = world.run(["image", "member", "list", &id, "-f", "value"]);
        members.ok().stdout_is(&format!("{id} {other} accepted\n"));
        let seen = ["image", "list", "--shared", "-f", "value", "-c", "ID"];
        world.run_as("other", seen).ok().stdout_has(&id);
        world.run_as("other", ["image", "save", &id]).ok().stdout_is("data");
        world.run_as("other", ["image", "set", &id, "--accept"]).code(1).stderr_has("all are accepted");
        world.run(["image", "remove", "project", &name, &other]).ok();
        world.run_as("other", ["image", "show", &id]).code(1);
        world.run_as("other", seen).ok().stdout_lacks(&id);
    });
}

#[test]
fn the_service_finds_the_data_by_itself() {
    each_v1(|world| {
        let server = Server::start(None, |_, _| Answer::status(200).body(b"from elsewhere".to_vec()));
        let url = format!("{}/x.img", server.url());
        for (option, name) in [("--copy-from", "copy"), ("--location", "there")] {
            let name = world.name(name);
            let made = world.run(["image", "create", &name, option, &url, "--disk-format", "raw", "-f", "json"]);
            let image = made.ok().json();
            assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(14)), "{option}");
            if option == "--copy-from" {
                world.run(["image", "save", &name]).ok().stdout_is("from elsewhere");
            }
        }
        let gone = world.name("gone");
        world.run(["image", "create", &gone, "--copy-from", "ftp://x/y"]).code(1).stderr_has("HTTP 400");
        assert!(world.all_of(&gone).is_empty());
    });
}

#[test]
fn wrong_data_is_an_error_and_leaves_nothing() {
    each_v1(|world| {
        world.file("x.img", b"data");
        let name = world.name("bad");
        let create = ["image", "create", &name, "--file", "x.img", "--disk-format", "raw"];
        let refused = world.run(create.iter().chain(&["--checksum", "00000000000000000000000000000000"]));
        refused.code(1).stdout_is("").stderr_has("00000000000000000000000000000000").stderr_has("HTTP 400");
        let public = world.run(create.iter().chain(&["--public"]));
        public.code(1).stdout_is("").stderr_has("HTTP 403");
        assert!(world.all_of(&name).iter().all(|image| image["status"] == "deleted"), "{:?}", world.all_of(&name));
    });
}

#[test]
fn what_v1_cannot_do_is_said_before_anything_is_sent() {
    each_v1(|world| {
        let name = world.name("i");
        world.given_image(&name, b"data");
        world.file("x.img", b"data");
        let new = world.name("new");
        let create = ["image", "create", &new, "--file", "x.img", "--disk-format", "raw"];
        for (args, says) in [
            (&["--tag", "x"][..], "has no tags"),
            (&["--community"], "has no community images"),
            (&["--hidden"], "cannot hide images from lists"),
            (&["--import"], "does not import images"),
            (&["--property", "größe=1"], "cannot carry the name of `größe`"),
            (&["--property", "a=x\ny"], "cannot carry the value of `a`"),
            (&["--property", "is-public=1"], "`is-public` is a field of the image: it cannot be set as a property"),
        ] {
            world.run(create.iter().chain(args)).code(1).stdout_is("").stderr_has(says);
        }
        assert!(world.all_of(&new).is_empty());
        for (args, says) in [
            (&["set", &name, "--tag", "x"][..], "has no tags"),
            (&["set", &name, "--deactivate"], "does not withhold the data"),
            (&["set", &name, "--shared"], "has no shared images"),
            (&["set", &name, "--unhidden"], "cannot hide images from lists"),
            (&["set", &name, "--property", "Status=active"], "`Status` is a field of the image"),
            (&["unset", &name, "--tag", "x"], "has no tags"),
            (&["import", &name], "Images API v1, which this cloud speaks here, does not import images"),
            (&["stage", &name, "--file", "x.img"], "does not import images"),
            (&["list", "--tag", "x"], "has no tags"),
            (&["list", "--hidden"], "cannot hide images from lists"),
            (&["list", "--community"], "has no community images"),
            (&["import", "info"], "does not import images"),
            (&["task", "list"], "has no tasks"),
            (&["metadef", "namespace", "list"], "has no metadata definitions"),
        ] {
            world.run(["image"].iter().chain(args)).code(1).stdout_is("").stderr_has(says);
        }
        let changed = ["PUT", "POST", "DELETE"].map(|method| world.images().asked(method, "/**").len());
        assert_eq!(changed, [0; 3]);
    });
}

#[test]
fn the_version_is_found_out_where_nobody_asks_for_it() {
    let world = World::served_with("api_v1: true\n");
    let found = world.run(["image", "list", "--debug"]).ok().stderr();
    assert!(found.contains("/v2/images"), "{found}");
    // A service that offers nothing else.
    let only_v1 = World::new();
    let versions = json!({"versions": [{"id": "v1.1", "status": "CURRENT", "links": []}, {"id": "v1.0", "links": []}]});
    only_v1.images().on("GET", "/").answer(move || Answer::json(300, &versions));
    only_v1.images().on("GET", "/v1/images/detail").answer(|| Answer::json(200, &json!({"images": []})));
    only_v1.run(["image", "list", "-f", "json"]).ok().stdout_is("[]\n");
    // And one that is asked for a version in so many words.
    let told = world.rimg(["--os-image-api-version", "1", "image", "list", "--debug"]).run().ok().stderr();
    assert!(told.contains("/v1/images/detail") && !told.contains("/v2/"), "{told}");
}

#[test]
fn a_version_that_is_not_there_is_said_to_be_missing() {
    let world = World::served();
    for command in [&["list"][..], &["show", "i"], &["create", "i"]] {
        let asked = world.rimg(["--os-image-api-version", "1", "image"].iter().chain(command)).run();
        let says =
            "error: the service does not offer the version of its API that was asked for\nhint: `rimg versions show`";
        asked.code(1).stdout_is("").stderr_has(says);
    }
}

#[test]
fn what_one_version_makes_the_other_reads() {
    let world = World::served_v1();
    world.file("x.img", b"data");
    let name = world.name("both");
    world.run(["image", "create", &name, "--file", "x.img", "--disk-format", "raw", "--property", "a=1"]).ok();
    let by = |version: &str| {
        world.rimg(["--os-image-api-version", version, "image", "show", &name, "-f", "json"]).run().ok().json()
    };
    let (first, second) = (by("1"), by("2"));
    for field in ["id", "name", "status", "size", "checksum", "created_at", "owner", "disk_format"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    assert_eq!((&first["properties"]["a"], &second["properties"]["a"]), (&json!("1"), &json!("1")));
    let second = world.rimg(["--os-image-api-version", "2", "image", "save", &name]).run();
    second.ok().stdout_is("data");
}

/// An image made by v1 in its own words, its ID.
fn made(world: &World, headers: &[(&str, &str)]) -> String {
    let made = world.session("demo").ask("POST", "/v1/images", headers, b"").unwrap();
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["image"]["id"].as_str().unwrap().to_owned()
}

/// The properties of an image, as the lists of the service have them.
fn properties(world: &World, id: &str) -> Value {
    let listed = world.session("demo").ask("GET", "/v1/images/detail?limit=1000", &[], b"").unwrap().json();
    let images = listed["images"].as_array().unwrap();
    images.iter().find(|image| image["id"] == id).unwrap()["properties"].clone()
}

#[test]
fn a_property_never_takes_the_place_of_a_field() {
    each_v1(|world| {
        let victim = world.given_image(&world.name("victim"), b"data")["id"].as_str().unwrap().to_owned();
        let name = world.name("bb");
        let named = |property: &'static str| format!("x-image-meta-property-{property}");
        let fields = ["id", "status", "owner", "os_hash_value", "tags", "visibility"].map(named);
        let mut headers = vec![("x-image-meta-name", name.as_str()), ("x-image-meta-property-drop", "1")];
        headers.extend(fields.iter().map(|field| (field.as_str(), victim.as_str())));
        let id = made(world, &headers);
        for by in [&name, &id] {
            let image = shown(world, by);
            assert_eq!((&image["id"], &image["status"]), (&json!(id), &json!("queued")), "{by}");
            assert_eq!(
                (&image["visibility"], &image["properties"]),
                (&json!("private"), &json!({"drop": "1"})),
                "{by}"
            );
        }
        // They stay what they are where another one goes.
        world.run(["image", "unset", &name, "--property", "drop"]).ok().stderr_is("");
        let kept = properties(world, &id);
        assert_eq!((kept.as_object().unwrap().len(), &kept["id"]), (fields.len(), &json!(victim)));
        world.run(["image", "delete", &name]).ok();
        assert_eq!(world.image(&victim)["status"], "active");
        world.run(["image", "show", &id]).code(1);
    });
}

#[test]
fn only_what_is_named_is_unset() {
    each_v1(|world| {
        let demo = world.session("demo");
        for (property, value) in
            [("Foo", "1"), ("hw-x", "1"), ("größe", "1"), ("lines", "a\nb"), ("empty", ""), ("word", "süß")]
        {
            let name = world.name("i");
            let draft = json!({"name": name, property: value, "drop": "1", "keep": "2"});
            let id = demo.json("POST", "/v2/images", &draft).json()["id"].as_str().unwrap().to_owned();
            let before = world.images().asked("PUT", "/**").len();
            let unset = world.run(["image", "unset", &name, "--property", "drop"]);
            let image = world.image(&id);
            assert_eq!((&image[property], &image["keep"]), (&json!(value), &json!("2")), "{property}");
            // These a service may be able to send as they are.
            if !unset.succeeded() || !matches!(property, "empty" | "word") {
                let says = format!(
                    "error: Images API v1, which this cloud speaks here, cannot remove a property and leave `{property}` \
                     as it is\nhint: remove `{property}` too, or use Images API v2\n"
                );
                unset.code(1).stderr_is(&says);
                assert_eq!(
                    (world.images().asked("PUT", "/**").len(), &image["drop"]),
                    (before, &json!("1")),
                    "{property}"
                );
                world.run(["image", "unset", &name, "--property", "drop", "--property", property]).ok();
                assert_eq!(world.image(&id)[property], Value::Null, "{property}");
            }
            world.run(["image", "delete", &id]).ok();
        }
    });
}

#[test]
fn tags_are_refused_before_a_property_goes() {
    each_v1(|world| {
        let name = world.name("i");
        world.run(["image", "create", &name, "--property", "p=1"]).ok();
        for more in [&["--property", "p"][..], &[]] {
            let unset = world.run([&["image", "unset", &name, "--tag", "t"][..], more].concat());
            unset.code(1).stderr_is("error: Images API v1, which this cloud speaks here, has no tags\n");
        }
        world.run(["image", "set", &name]).ok();
        assert_eq!(world.images().asked("PUT", "/**").len(), 0);
        assert_eq!(shown(world, &name)["properties"], json!({"p": "1"}));
    });
}

#[test]
fn a_name_of_a_property_is_kept_and_found_in_lower_case() {
    each_v1(|world| {
        let name = world.name("i");
        world.run(["image", "create", &name]).ok();
        let note = "note: Images API v1 keeps the property `Os-Distro` as `os_distro`\n";
        world.run(["image", "set", &name, "--property", "Os-Distro=zz"]).ok().stderr_is(note);
        assert_eq!(listed(world, &["--property", "Os-Distro=zz"]), ["i"]);
        assert!(listed(world, &["--property", "Os-Distro=z"]).is_empty());
        world.run(["image", "unset", &name, "--property", "Os-Distro"]).ok().stderr_is("");
        assert_eq!(shown(world, &name)["properties"], Value::Null);
    });
}

#[test]
fn an_owner_that_is_not_taken_is_an_error() {
    each_v1(|world| {
        let (name, other) = (world.name("i"), world.session("other").project);
        world.file("x.img", b"data");
        let create = ["image", "create", &name, "--file", "x.img", "--disk-format", "raw", "--project", &other];
        let says = if world.is_real() { "error: the service leaves the image `" } else { "error: " };
        world.run(create).code(1).stdout_is("").stderr_has(says);
        assert!(world.all_of(&name).iter().all(|image| image["status"] == "deleted"));
        let image = world.given_image(&name, b"data");
        world.run(["image", "set", &name, "--project", &other]).code(1).stdout_is("").stderr_has(says);
        assert_eq!(world.image(image["id"].as_str().unwrap())["owner"], image["owner"]);
        world.run_as("admin", ["image", "set", image["id"].as_str().unwrap(), "--project", &other]).ok();
        assert_eq!(world.image(image["id"].as_str().unwrap())["owner"], *other);
    });
}

#[test]
fn a_create_whose_upload_breaks_begins_anew() {
    each_v1(|world| {
        let data = distinct_bytes(2_000_000);
        world.file("x.img", &data);
        let name = world.name("i");
        let create = ["image", "create", &name, "--file", "x.img", "--disk-format", "raw", "-f", "value", "-c", "id"];
        world.images().on("PUT", "/v1/images/*").nth(1).times(2).close_after_request(300_000);
        let made = world.run(create);
        let id = made.ok().stderr_has("; trying again in 0.0 s (try 2 of 4)\n").stderr_has("(try 3 of 4)\n").stdout();
        made.stderr_has(" was lost with its upload and is deleted; `").stderr_has("` takes its place\n");
        assert_eq!(shown(world, &name)["id"], *id.trim());
        assert!(world.run(["image", "save", &name]).ok().stdout == data);
        world.run(["image", "delete", &name]).ok();
        // For good, or with an ID that cannot be had again: nothing stays. How soon a real service notices is
        // not known: until it has it takes the data of the next try.
        world.images().on("PUT", "/v1/images/*").always().close_after_request(300_000);
        let sure = !world.is_real();
        let lost = |broken: &crate::support::Outcome, next: &str| {
            broken.code(1).stdout_is("").stderr_has("error: the connection to `");
            if sure {
                broken.stderr_has("  the image did not become active: it is `killed`\n").stderr_has(next);
            }
        };
        lost(&world.run(create), "that was try 4, the last\n");
        let id = crate::support::random_uuid();
        let next = "hint: try again with another `--id`, or without: that of a deleted image is never free again\n";
        lost(&world.run([&create[..], &["--id", &id]].concat()), next);
        world.run(["image", "show", &name]).code(1);
        // Kept, it takes no data any more.
        let anew = |id: &str| format!("hint: delete it with `rimg image delete {id}` and create it again\n");
        let id = crate::support::random_uuid();
        let kept = world.run([&create[..], &["--id", &id, "--keep-on-failure"]].concat());
        lost(&kept, &format!("  the image `{id}` is kept: it is `killed`\n{}", anew(&id)));
        world.run(["image", "delete", &id]).ok();
        let made = world.run(["image", "create", &name, "--disk-format", "raw", "-f", "value", "-c", "id"]);
        let id = made.ok().stdout().trim().to_owned();
        lost(&world.run(["image", "upload", &name, "--file", "x.img"]), &anew(&id));
    });
}
