//! `rimg image set`

use serde_json::json;

use crate::support::{World, each_service, each_version};

#[test]
fn what_is_named_changes_and_the_rest_stays() {
    each_version(|world| {
        let name = world.name("before");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        // What v1 has no word for.
        let beyond = |args: &[&'static str]| if world.is_v1() { Vec::new() } else { args.to_vec() };
        let old = beyond(&["--tag", "old"]);
        let set = ["image", "set", id, "--property", "keep=1"];
        world.run(set.iter().chain(&old)).ok().stdout_is("").stderr_is("");
        let after = world.name("after");
        let more = beyond(&["--property", "a/b~c=d", "--tag", "new tag", "--tag", "a?b", "--hidden"]);
        let set = [
            "image",
            "set",
            &name,
            "--name",
            &after,
            "--min-disk",
            "0",
            "--min-ram",
            "5",
            "--protected",
            "--private",
            "--property",
            "min_disk=7",
            "--architecture",
            "x86_64",
            "--instance-uuid",
            "iid",
            "--kernel-id",
            "b6e0ff6e-65e3-4b4a-8d38-2b9f2dcb6c4b",
            "--os-distro",
            "debian",
            "--os-version",
            "13",
            "--ramdisk-id",
            "b6e0ff6e-65e3-4b4a-8d38-2b9f2dcb6c4c",
        ];
        world.run(set.iter().chain(&more)).ok();
        let stored = world.image(id);
        for (key, value) in [
            ("name", json!(after)),
            ("min_ram", json!(5)),
            ("min_disk", json!(0)),
            ("protected", json!(true)),
            ("keep", json!("1")),
            ("architecture", json!("x86_64")),
            ("instance_id", json!("iid")),
            ("os_distro", json!("debian")),
            ("os_version", json!("13")),
            ("disk_format", json!("raw")),
        ] {
            assert_eq!(stored[key], value, "{key}");
        }
        if world.is_v1() {
            world.run(["image", "set", id, "--unprotected"]).ok();
            assert_eq!(world.image(id)["protected"], false);
            return;
        }
        let beyond = ["a/b~c", "os_hidden", "visibility"].map(|key| &stored[key]);
        assert_eq!(json!(beyond), json!(["d", true, "private"]));
        let mut tags: Vec<_> = stored["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
        tags.sort_unstable();
        assert_eq!(tags, ["a?b", "new tag", "old"]);
        world.run(["image", "set", id, "--unhidden", "--unprotected"]).ok();
        assert_eq!(world.image(id)["os_hidden"], false);
        assert_eq!(world.image(id)["protected"], false);
    });
}

#[test]
fn nothing_to_change_is_no_error_and_no_change() {
    let world = World::new();
    world.given_image("i", b"data");
    world.run(["image", "set", "i"]).ok().stdout_is("").stderr_is("");
    assert!(world.images().asked("PATCH", "/v2/images/*").is_empty());
}

#[test]
fn data_can_be_withheld_and_given_back() {
    each_service(|world| {
        let name = world.name("data");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        world.run_as("admin", ["image", "set", id, "--deactivate"]).ok();
        assert_eq!(world.image(id)["status"], "deactivated");
        world.run_as("admin", ["image", "set", id, "--activate", "--property", "x=y"]).ok();
        assert_eq!(world.image(id)["status"], "active");
        // A refusal is an error: `openstack` reports success here.
        let queued = world.name("queued");
        world.run(["image", "create", &queued]).ok();
        world.run_as("admin", ["image", "set", &queued, "--deactivate"]).code(1).stderr_has("(HTTP 4");
    });
}

#[test]
fn a_share_is_found_and_answered_by_name() {
    each_service(|world| {
        let name = world.name("share");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        let other =
            world.run_as("admin", ["image", "create", &name, "--project", "other", "-f", "value", "-c", "owner"]);
        let other = other.ok().stdout().trim().to_owned();
        let demo = world.session("demo");
        demo.json("POST", &format!("/v2/images/{id}/members"), &json!({"member": other}));
        let status =
            || demo.ask("GET", &format!("/v2/images/{id}/members/{other}"), &[], b"").unwrap().json()["status"].clone();
        assert_eq!(status(), "pending");
        let id_of = |all: &str| all.trim().to_owned();
        assert_eq!(id_of(id), id);
        world.run_as("other", ["image", "set", id, "--accept"]).ok();
        assert_eq!(status(), "accepted");
        world.run_as("other", ["image", "set", id, "--reject"]).ok();
        assert_eq!(status(), "rejected");
        world.run_as("admin", ["image", "set", id, "--pending", "--project", "other"]).ok();
        assert_eq!(status(), "pending");
        let alone = world.name("alone");
        let image = world.given_image(&alone, b"data");
        let path = format!("/v2/images/{}/members", image["id"].as_str().unwrap());
        demo.json("POST", &path, &json!({"member": other}));
        world.run_as("other", ["image", "set", &alone, "--accept"]).ok();
    });
}

#[test]
fn a_refusal_names_what_the_service_said() {
    each_version(|world| {
        let name = world.name("ro");
        world.given_image(&name, b"data");
        world.run(["image", "set", &name, "--public"]).code(1).stderr_has("(HTTP 403 forbidden)");
    });
}

#[test]
fn options_that_exclude_each_other() {
    let world = World::new();
    for pair in [
        ["--activate", "--deactivate"],
        ["--accept", "--reject"],
        ["--accept", "--pending"],
        ["--hidden", "--unhidden"],
        ["--public", "--community"],
        ["--protected", "--unprotected"],
    ] {
        world.run(["image", "set", "i"].into_iter().chain(pair)).code(2).stderr_has("cannot be used with");
    }
    assert!(world.identity().requests().is_empty());
}

#[test]
fn all_tags_are_replaced_in_one_step() {
    each_service(|world| {
        let name = world.name("i");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        world.run(["image", "set", id, "--tag", "a", "--tag", "b"]).ok();
        world.run(["image", "set", id, "--no-tag", "--tag", "c"]).ok().stdout_is("").stderr_is("");
        assert_eq!(world.image(id)["tags"], serde_json::json!(["c"]));
        world.run(["image", "set", id, "--no-tag"]).ok();
        assert_eq!(world.image(id)["tags"], serde_json::json!([]));
    });
}

#[test]
fn a_word_for_the_visibility_is_refused_as_by_openstack() {
    let world = World::new();
    world.given_image("i", b"data");
    let line = ["image", "set", "i", "--visibility", "public"];
    world.run(line).code(1).stdout_is("").stderr_is(
        "error: `--visibility` is no option any more\nhint: write `--public`: --public, --private, --community or --shared\n",
    );
    assert!(world.images().asked("PATCH", "/v2/images/**").is_empty());
}
