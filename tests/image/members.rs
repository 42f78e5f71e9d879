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
        let get = ["image", "member", "get", &name, "other", "-f", "value", "-c", "member_id"];
        world.run_as("admin", get).ok().stdout_is(&format!("{other}\n"));
        let said = "error: there is no project with the name or ID `nobody`\n\
                    hint: `openstack project list` shows those that you can see\n";
        world.run_as("admin", ["image", "add", "project", &name, "nobody"]).code(1).stdout_is("").stderr_is(said);
        world.run(["image", "add", "project", "no-such", &other]).code(1).stderr_has("`no-such`");
        let hint = format!("hint: `rimg image member list {id}` shows whom it is shared with\n");
        let stranger = world.run(["image", "member", "get", &name, "0123"]);
        stranger.code(1).stdout_is("").stderr_has("0123").stderr_has(&hint);
        world.run(["image", "set", &name, "--accept"]).code(1).stderr_has(&hint);
        world.run(["image", "set", id, "--private"]).ok();
        let hint = format!("hint: the image is private: `rimg image set {id} --shared` lets it be shared\n");
        world.run(["image", "add", "project", &name, "0123"]).code(1).stdout_is("").stderr_has(&hint);
        world.run(["image", "add", "project", &name]).code(2).stderr_has("<PROJECT>");
    });
}

#[test]
fn who_may_not_look_projects_up_gives_the_id() {
    each_whole_service(|world| {
        let name = world.name("i");
        world.given_image(&name, b"data");
        let add = ["image", "add", "project", &name, "other", "-f", "value", "-c", "member_id"];
        let said = "warning: this user may not look projects up, so `other` is taken for the ID of one\n";
        world.run(add).ok().stdout_is("other\n").stderr_is(said);
    });
}
