//! `rimg image stores list`, `image import info`, `image usage`

use serde_json::json;

use crate::support::{Answer, World, each_service, each_whole_service};

#[test]
fn the_stores_are_listed() {
    each_service(|world| {
        let list = world.run(["image", "stores", "list", "-f", "json"]);
        assert_eq!(
            list.ok().stderr_is("").json(),
            json!([{"ID": "fast", "Description": null, "Default": true}, {"ID": "slow", "Description": null, "Default": null}])
        );
        let detail = ["image", "stores", "list", "--detail", "-f", "json"];
        let stores = world.run_as("admin", detail).ok().json();
        assert_eq!(stores[1]["Properties"]["thin_provisioning"], false, "{stores}");
        let long = world.run_as("admin", detail.into_iter().chain(["--long"])).ok().json();
        assert_eq!(
            (&long[0]["Type"], &long[0]["Weight"], &long[0]["Read Only"]),
            (&json!("file"), &json!(0), &json!(null))
        );
        let keys: Vec<_> = long[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["ID", "Description", "Default", "Type", "Weight", "Read Only", "Properties"]);
        world.run(detail).code(1).stdout_is("").stderr_has("403");
    });
}

#[test]
fn a_store_that_is_only_read_is_said_to_be_one() {
    let world = World::new();
    let stores = json!({"stores": [{"id": "web", "read-only": "true"}, {"id": "fast", "read-only": "false"}]});
    world.images().on("GET", "/v2/info/stores").answer(move || Answer::json(200, &stores));
    let list = ["image", "stores", "list", "--long", "-f", "value", "-c", "ID", "-c", "Read Only"];
    world.run(list).ok().stdout_is("web True\nfast False\n");
}

#[test]
fn the_methods_of_import_are_shown() {
    each_whole_service(|world| {
        let info = world.run(["image", "import", "info", "-f", "json"]).ok().json();
        assert_eq!(info, json!({"import-methods": ["glance-direct", "web-download", "copy-image"]}));
        let value = world.run(["image", "import", "info", "-f", "value"]);
        value.ok().stdout_is("['glance-direct', 'web-download', 'copy-image']\n");
    });
}

#[test]
fn an_old_service_is_said_to_be_one() {
    let world = World::new();
    for (path, args, words) in [
        ("/v2/info/stores", &["image", "stores", "list"][..], "this image service has no stores to choose from"),
        ("/v2/info/import", &["image", "import", "info"], "this image service does not import images"),
        ("/v2/info/usage", &["image", "usage"], "this image service does not tell what is used of the quotas"),
    ] {
        world.images().on("GET", path).answer(|| Answer::status(404));
        world.run(args).code(1).stdout_is("").stderr_has(&format!("error: {words}\n"));
    }
}

#[test]
fn usage_is_a_row_for_each_quota() {
    each_whole_service(|world| {
        let said = "note: the service limits nothing, so it tells no usage\n";
        world.run(["image", "usage", "-f", "json"]).ok().stdout_is("[]\n").stderr_is(said);
    });
    let world = World::served_with("quota: {user_storage: 4194304}\n");
    world.given_image("i", &vec![1; 2 << 20]);
    let rows = "image_size_total 4 2\nimage_stage_total -1 0\nimage_count_total -1 1\nimage_count_uploading -1 0\n";
    world.run(["image", "usage", "-f", "value"]).ok().stderr_is("").stdout_is(rows);
    let world = World::new();
    let usage = json!({"usage": {"image_size_total": {"usage": 12, "limit": 1000}, "image_count_total": {"usage": 3, "limit": -1}}});
    world.images().on("GET", "/v2/info/usage").answer(move || Answer::json(200, &usage));
    let rows = "\"Quota\",\"Limit\",\"Usage\"\n\"image_size_total\",1000,12\n\"image_count_total\",-1,3\n";
    world.run(["image", "usage", "-f", "csv"]).ok().stderr_is("").stdout_is(rows);
}
