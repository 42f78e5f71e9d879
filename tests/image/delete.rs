//! `rimg image delete`

use serde_json::json;

use crate::support::{Answer, World, each_version, each_whole_service};

#[test]
fn several_images_by_name_and_id() {
    each_version(|world| {
        let (a, b) = (world.name("a"), world.name("b"));
        world.given_image(&a, b"1");
        let image = world.given_image(&b, b"2");
        world.run(["image", "delete", &a, image["id"].as_str().unwrap()]).ok().stdout_is("").stderr_is("");
        assert!(world.all_images().is_empty());
    });
}

#[test]
fn each_failure_is_named_and_the_rest_is_done() {
    each_version(|world| {
        let (kept, gone, missing) = (world.name("kept"), world.name("gone"), world.name("missing"));
        world.given_image(&kept, b"1");
        world.given_image(&gone, b"2");
        world.run(["image", "set", &kept, "--protected"]).ok();
        let deleted = world.run(["image", "delete", &missing, &kept, &gone]);
        deleted.code(1).stdout_is("");
        deleted.stderr_has(&format!(
            "error: cannot delete `{missing}`: there is no image with the name or ID `{missing}`\n"
        ));
        deleted.stderr_has(&format!("error: cannot delete `{kept}`: "));
        let id = world.all_of(&kept)[0]["id"].as_str().unwrap().to_owned();
        let hint = format!("(HTTP 403 forbidden)\nhint: `rimg image set {id} --unprotected` allows it\n");
        deleted.stderr_has("protected").stderr_has(&hint);
        deleted.stderr_has("error: 2 of 3 images could not be deleted\n");
        let left: Vec<_> = world.all_images().iter().map(|image| image["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(left, [kept]);
    });
}

#[test]
fn two_images_of_one_name_are_both_kept() {
    each_version(|world| {
        let name = world.name("twice");
        world.given_image(&name, b"1");
        world.given_image(&name, b"2");
        world.run(["image", "delete", &name]).code(1).stderr_has(&format!("2 images are named `{name}`"));
        assert_eq!(world.all_images().len(), 2);
    });
}

#[test]
fn only_the_copy_in_a_store() {
    each_whole_service(|world| {
        let name = world.name("i");
        let id = world.given_image(&name, b"data")["id"].as_str().unwrap().to_owned();
        world.run_as("admin", ["image", "import", &id, "--method", "copy-image", "--store", "slow", "--wait"]).ok();
        let stores = || {
            let image = world.image(&id);
            let mut stores: Vec<_> = image["stores"].as_str().unwrap().split(',').map(str::to_owned).collect();
            stores.sort_unstable();
            stores.join(",")
        };
        assert_eq!(stores(), "fast,slow");
        let delete = |store: &str| world.run_as("admin", ["image", "delete", &id, "--store", store]);
        delete("fast").ok().stdout_is("").stderr_is("");
        assert_eq!(stores(), "slow");
        delete("fast").code(1).stdout_is("").stderr_has("error: cannot delete `");
        // The last copy stays, and the data with it.
        delete("slow").code(1).stderr_has("403");
        world.run(["image", "save", &id]).ok().stdout_is("data");
    });
}

#[test]
fn a_store_may_have_any_name() {
    let world = World::new();
    let name = world.name("i");
    let image = world.given_image(&name, b"data");
    let id = image["id"].as_str().unwrap();
    let stores = json!({"stores": [{"id": "slow disk"}]});
    world.images().on("GET", "/v2/info/stores").times(2).answer(move || Answer::json(200, &stores));
    world.images().on("DELETE", "/v2/stores/*/*").answer(|| Answer::status(204));
    let said = "error: this cloud has no store `nosuch`\nhint: it has: slow disk\n";
    world.run(["image", "delete", &name, "--store", "nosuch"]).code(1).stdout_is("").stderr_is(said);
    world.run(["image", "delete", &name, "--store", "slow disk"]).ok();
    assert_eq!(world.images().asked("DELETE", "/v2/stores/**")[0].request.path, format!("/v2/stores/slow%20disk/{id}"));
    assert_eq!(world.all_images().len(), 1);
}
