//! `rimg image unset`

use crate::support::{World, each_service};

#[test]
fn tags_and_properties_go_and_the_rest_stays() {
    each_service(|world| {
        let name = world.name("i");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        let set = ["image", "set", id, "--tag", "a?b", "--tag", "keep", "--property", "x/y=1", "--property", "keep=2"];
        world.run(set).ok();
        world.run(["image", "unset", &name, "--tag", "a?b", "--property", "x/y"]).ok().stdout_is("").stderr_is("");
        let stored = world.image(id);
        assert_eq!(stored["tags"], serde_json::json!(["keep"]));
        assert_eq!(stored["keep"], "2");
        assert!(stored.get("x/y").is_none());
    });
}

#[test]
fn what_is_not_there_is_named_and_the_rest_goes() {
    each_service(|world| {
        let name = world.name("i");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        world.run(["image", "set", id, "--tag", "t", "--property", "p=1"]).ok();
        let unset = [
            "image",
            "unset",
            id,
            "--tag",
            "no",
            "--tag",
            "t",
            "--property",
            "os_distro",
            "--property",
            "p",
            "--property",
            "name",
        ];
        let hint = format!("hint: `rimg image show {id}` shows its tags and properties\n");
        world.run(unset).code(1).stdout_is("").stderr_is(&format!(
            "error: the image has no tag `no`\n{hint}\
             error: the image has no property `os_distro`\n{hint}\
             error: `name` belongs to every image and cannot be removed\n\
             hint: `rimg image set` changes what can be changed\n\
             error: could not remove 1 of 2 tags and 2 of 3 properties\n"
        ));
        let stored = world.image(id);
        assert_eq!(stored["tags"], serde_json::json!([]));
        assert!(stored.get("p").is_none());
        assert_eq!(stored["name"], *name);
    });
}

#[test]
fn a_tag_cannot_climb_out_of_its_path() {
    let world = World::new();
    world.given_image("i", b"data");
    world.run(["image", "unset", "i", "--tag", ".."]).code(1).stderr_has("`..`");
    assert!(world.images().asked("DELETE", "/v2/images/**").is_empty());
}
