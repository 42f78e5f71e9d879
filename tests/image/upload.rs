//! `rimg image upload`

use serde_json::json;

use crate::support::{Answer, Stdin, World, each_version, each_whole_service};

#[test]
fn a_queued_image_is_given_its_data() {
    each_version(|world| {
        let name = world.name("i");
        world.run(["image", "create", &name, "--disk-format", "raw"]).ok();
        let upload = world.rimg(["image", "upload", &name, "-f", "json"]).stdin(Stdin::Bytes(b"hello".to_vec())).run();
        let image = upload.ok().stderr_is("").json();
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(5)));
        assert_eq!(image["checksum"], "5d41402abc4b2a76b9719d911017c592");
        world.file("x.img", b"again");
        let again = world.run(["image", "upload", &name, "--file", "x.img"]);
        again.code(1).stdout_is("").stderr_has("error: only a queued image takes data, and `").stderr_has("`active`");
    });
}

#[test]
fn the_store_is_chosen_and_must_be_there() {
    each_whole_service(|world| {
        let name = world.name("i");
        world.file("x.img", b"hello");
        world.run(["image", "create", &name, "--disk-format", "raw"]).ok();
        let upload = ["image", "upload", &name, "--file", "x.img", "-f", "json", "--store"];
        let unknown = world.run(upload.into_iter().chain(["nowhere"]));
        unknown.code(1).stdout_is("").stderr_is("error: this cloud has no store `nowhere`\nhint: it has: fast, slow\n");
        let image = world.run(upload.into_iter().chain(["slow"])).ok().json();
        assert_eq!((&image["status"], &image["properties"]["stores"]), (&json!("active"), &json!("slow")));
    });
}

#[test]
fn a_failure_leaves_the_image_for_another_try() {
    let world = World::new();
    world.file("x.img", b"hello");
    let made = world.run(["image", "create", "i", "--disk-format", "raw", "-f", "value", "-c", "id"]);
    let id = made.ok().stdout().trim().to_owned();
    let upload = ["image", "upload", "i", "--file", "x.img", "-f", "value", "-c", "status"];
    world.images().on("PUT", "/v2/images/*/file").answer(|| Answer::status(413));
    world.run(upload).code(1).stdout_is("").stderr_has("413");
    assert_eq!(world.image(&id)["status"], "queued");
    assert!(world.images().asked("DELETE", "/v2/images/*").is_empty());
    world.run(upload).ok().stdout_is("active\n");
    // Wrong bytes are seen here as they are at `image create`.
    world.run(["image", "create", "j", "--disk-format", "raw"]).ok();
    world.images().on("GET", "/v2/images/*").edit(|image| image["os_hash_value"] = "00".into());
    let wrong = world.run(["image", "upload", "j", "--file", "x.img"]);
    wrong.code(1).stdout_is("").stderr_has("error: the image arrived damaged: the sha512 of what was sent is ");
}

#[test]
fn missing_formats_are_said_with_the_step_to_take() {
    let world = World::new();
    world.file("x.img", b"hello");
    let made = world.session("demo").json("POST", "/v2/images", &json!({"name": "bare"}));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    world.run(["image", "upload", "bare", "--file", "x.img"]).code(1).stderr_has(&format!(
        "error: image `{id}` has no disk_format\nhint: set it first: `rimg image set {id} --disk-format raw`\n"
    ));
    assert!(world.images().asked("PUT", "/v2/images/*/file").is_empty());
    world.run(["image", "upload", "bare"]).code(1).stderr_has("error: there is no image data\n");
}
