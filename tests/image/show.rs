//! `rimg image show`

use crate::support::{World, each_service, each_version};

#[test]
fn a_name_and_an_id_find_the_image() {
    each_version(|world| {
        let name = world.name("a/b ?#%ü'\"");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        for text in [name.as_str(), id] {
            world.run(["image", "show", text, "-f", "value", "-c", "id"]).ok().stdout_is(&format!("{id}\n"));
        }
    });
}

#[test]
fn the_fields_are_those_that_scripts_know() {
    each_service(|world| {
        let name = world.name("fields");
        world.given_image(&name, b"data");
        let shown = world.run(["image", "show", &name, "-f", "json"]).ok().json();
        let keys: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        // A service may also know the virtual size; null fields are left out.
        let expected = [
            "checksum",
            "container_format",
            "created_at",
            "disk_format",
            "file",
            "id",
            "min_disk",
            "min_ram",
            "name",
            "owner",
            "properties",
            "protected",
            "schema",
            "size",
            "status",
            "tags",
            "updated_at",
            "virtual_size",
            "visibility",
        ];
        assert!(keys.iter().all(|key| expected.contains(key)), "{keys:?}");
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(shown["properties"]["os_hash_algo"], "sha512");
        assert_eq!(shown["properties"]["os_hidden"], false);
        assert_eq!(shown["tags"], serde_json::json!([]));
    });
}

#[test]
fn a_queued_image_has_no_size_and_no_error() {
    each_version(|world| {
        let name = world.name("queued");
        world.run(["image", "create", &name]).ok();
        world.run(["image", "show", &name, "--human-readable", "-f", "json"]).ok();
    });
}

#[test]
fn sizes_for_people() {
    let world = World::new();
    world.given_image("i", &[0; 1536]);
    world.run(["image", "show", "i", "--human-readable", "-c", "size", "-f", "value"]).ok().stdout_is("1.5K\n");
}

#[test]
fn two_images_of_one_name_are_listed() {
    each_version(|world| {
        let name = world.name("twice");
        let (a, b) = (world.given_image(&name, b"a"), world.given_image(&name, b"b"));
        let shown = world.run(["image", "show", &name]);
        shown.code(1).stdout_is("").stderr_has(&format!("error: 2 images are named `{name}`\n"));
        for image in [a, b] {
            let line =
                format!("  {}  active  {}\n", image["id"].as_str().unwrap(), image["created_at"].as_str().unwrap());
            shown.stderr_has(&line);
        }
        shown.stderr_has("hint: use the ID of the one you mean\n");
    });
}

#[test]
fn what_is_not_there_is_said_in_two_requests() {
    each_version(|world| {
        let name = world.name("nosuch");
        world.run(["image", "show", &name]).code(1).stdout_is("").stderr_is(&format!(
            "error: there is no image with the name or ID `{name}`\n\
             hint: `rimg image list` shows the images that you can see\n"
        ));
        world.run(["image", "show", "1bea47ed-f6a9-463b-b423-14b9cca9ad27"]).code(1).stderr_has("there is no image");
        world.run(["image", "show", ""]).code(2).stderr_is("error: an empty text names no image\n");
    });
    let world = World::new();
    world.run(["image", "show", "nosuch"]).code(1);
    assert_eq!(world.images().asked("GET", "/v2/images").len(), 2);
}

#[test]
fn a_hidden_image_is_found_by_name_and_a_visible_one_comes_first() {
    each_service(|world| {
        let name = world.name("hidden");
        let hidden = world.given_image(&name, b"a");
        world.run(["image", "set", &name, "--hidden"]).ok();
        let show = ["image", "show", &name, "-f", "value", "-c", "id"];
        world.run(show).ok().stdout_is(&format!("{}\n", hidden["id"].as_str().unwrap()));
        let visible = world.given_image(&name, b"b");
        world.run(show).ok().stdout_is(&format!("{}\n", visible["id"].as_str().unwrap()));
    });
}

#[test]
fn columns_and_formats_that_do_not_exist_are_said() {
    let world = World::new();
    world.given_image("i", b"data");
    world.run(["image", "show", "i", "-c", "colour"]).code(1).stdout_is("").stderr_has("colour");
    world.run(["image", "show", "i", "-f", "xml"]).code(2).stdout_is("").stderr_has("xml");
}

#[test]
fn shell_output_is_safe_to_evaluate() {
    let world = World::new();
    world.given_image("x$(touch pwned)`touch pwned`\"\\", b"data");
    let text = world.run(["image", "list", "-f", "value", "-c", "ID"]).ok().stdout();
    let out = world.run(["image", "show", text.trim(), "-f", "shell"]).ok().stdout();
    let script = format!("{out}\nprintf '%s' \"$name\"");
    let evaluated = world.program("/bin/sh").args(["-c", &script]).run();
    evaluated.ok().stdout_is("x$(touch pwned)`touch pwned`\"\\");
    assert!(!world.home.join("pwned").exists());
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let world = World::new();
    world.given_image("evil\u{1b}[2J\u{202e}name", b"data");
    for format in ["table", "value", "yaml", "json"] {
        let shown = world.rimg(["image", "list", "-f", format]).terminal().wait();
        shown.ok().stdout_lacks("\u{1b}[2J").stdout_lacks("\u{202e}");
    }
}

#[test]
fn a_name_may_look_like_an_operator() {
    each_version(|world| {
        for name in ["ubuntu:22.04", "eq:b", "in:a", "gt:x", "a:\"q\",c", "back\\sl:ash", "q\"uote, comma", "grö:ße"]
        {
            let name = world.name(name);
            let made = world.run(["image", "create", &name, "--property", "like=in:a", "-f", "value", "-c", "id"]);
            let id = made.ok().stdout();
            world.run(["image", "show", &name, "-f", "value", "-c", "id"]).ok().stdout_is(&id);
            let listed = ["image", "list", "--name", &name, "--property", "like=in:a", "-f", "value", "-c", "ID"];
            world.run(listed).ok().stdout_is(&id);
            world.run(["image", "delete", &name]).ok();
        }
    });
}
