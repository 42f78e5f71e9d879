//! `rimg image add project`, `image remove project`, `image member …`

use serde_json::{Value, json};

use crate::support::{each_service, each_whole_service};

#[test]
fn an_image_is_shared_accepted_and_taken_back() {
    each_service(|world| {
        let name = world.name("i");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        let other = world.session("other").project;
        let added: Value =
            world.run(["image", "add", "project", &name, &other, "-f", "json"]).ok().stderr_is("").json();
        assert_eq!(
            added,
            json!({"created_at": added["created_at"], "image_id": id, "member_id": other,
                "schema": "/v2/schemas/member", "status": "pending", "updated_at": added["updated_at"]})
        );
        let list = ["image", "member", "list", &name, "-f", "value"];
        world.run(list).ok().stdout_is(&format!("{id} {other} pending\n"));
        world.run_as("other", ["image", "list", "--name", &name, "-f", "value"]).ok().stdout_is("");
        world.run_as("other", ["image", "set", &name, "--accept"]).ok();
        world
            .run_as("other", ["image", "list", "--name", &name, "-f", "value", "-c", "ID"])
            .ok()
            .stdout_is(&format!("{id}\n"));
        let get = ["image", "member", "get", &name, &other, "-f", "value", "-c", "status"];
        world.run(get).ok().stdout_is("accepted\n");
        world.run(["image", "remove", "project", &name, &other]).ok().stdout_is("").stderr_is("");
        world.run(list).ok().stdout_is("");
        // Again, as a script does that makes sure.
        let said = format!("note: the image was not shared with `{other}`\n");
        world.run(["image", "remove", "project", &name, &other]).ok().stdout_is("").stderr_is(&said);
    });
}

#[test]
fn what_cannot_be_shared_is_said() {
    each_whole_service(|world| {
        let name = world.name("i");
        let image = world.given_image(&name, b"data");
        let id = image["id"].as_str().unwrap();
        // By its name, as who may look projects up.
        world.run_as("admin", ["image", "add", "project", &name, "other"]).ok();
        let other = world.session("other").project;
        world.run(["image", "add", "project", &name, &other]).code(1).stdout_is("").stderr_has("409");
        let said = "error: there is no project with the name or ID `nobody`\n";
        world.run_as("admin", ["image", "add", "project", &name, "nobody"]).code(1).stdout_is("").stderr_is(said);
        world.run(["image", "add", "project", "no-such", &other]).code(1).stderr_has("`no-such`");
        world.run(["image", "member", "get", &name, "0123"]).code(1).stdout_is("").stderr_has("0123");
        world.run(["image", "set", id, "--private"]).ok();
        world.run(["image", "add", "project", &name, "0123"]).code(1).stdout_is("");
        world.run(["image", "add", "project", &name]).code(2).stderr_has("<PROJECT>");
    });
}
