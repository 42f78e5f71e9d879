//! `rimg configuration show`, `command list`, `versions show`

use serde_json::{Value, json};

use crate::support::{World, each_service};

#[test]
fn the_configuration_is_shown_with_its_secrets_masked() {
    let world = World::new();
    let shown: Value = world.run(["configuration", "show", "-f", "json"]).ok().stderr_is("").json();
    assert_eq!(shown["auth.password"], "<redacted>");
    assert_eq!(shown["auth.username"], "demo");
    assert_eq!(shown["auth.auth_url"], world.auth_url());
    assert_eq!(shown["verify"], json!(true));
    assert_eq!(shown["cloud"], "devstack");
    let unmasked = ["configuration", "show", "--unmask", "-f", "value", "-c", "auth.password"];
    world.run(unmasked).ok().stdout_is("secret\n");
    // Nobody was dialled.
    assert_eq!(world.identity().connections(), 0);
}

#[test]
fn the_origin_of_each_value_is_told_beside_it() {
    let world = World::new();
    let run = world.rimg(["--os-region-name", "RegionOne", "configuration", "show", "--origin", "-f", "json"]);
    let shown: Value = run.env("OS_INTERFACE", "public").run().ok().json();
    assert_eq!(shown["region_name"], "RegionOne");
    assert_eq!(shown["region_name.origin"], "--os-region-name");
    assert_eq!(shown["interface.origin"], "OS_INTERFACE");
    let file = format!("cloud `devstack` in `{}`", world.clouds_yaml().display());
    assert_eq!((&shown["auth.password"], &shown["auth.password.origin"]), (&json!("<redacted>"), &json!(file)));
    assert_eq!((&shown["auth_type"], &shown["auth_type.origin"]), (&json!("password"), &json!("default")));
    let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert!(names.chunks(2).all(|pair| *pair[1] == format!("{}.origin", pair[0])), "{names:?}");
    let both = ["configuration", "show", "--origin", "-f", "value", "-c", "cloud", "-c", "cloud.origin"];
    world.run(both).ok().stdout_is("devstack\nOS_CLOUD\n");
}

#[test]
fn the_commands_are_listed_by_group() {
    let world = World::new();
    let listed: Value = world.run(["command", "list", "--group", "image", "-f", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["Command Group"], "openstack.image.v2");
    assert!(listed[0]["Commands"].as_array().unwrap().contains(&json!("image create")), "{listed}");
    let table = world.run(["command", "list", "--group", "cli"]).ok().stdout();
    assert!(table.contains("| openstack.cli | command list |"), "{table}");
}

#[test]
fn the_versions_of_the_image_service_are_shown_in_order() {
    each_service(|world| {
        let shown: Value = world.run(["versions", "show", "--region-name", "RegionOne", "-f", "json"]).ok().json();
        let versions = shown.as_array().unwrap();
        assert!(versions.iter().all(|each| each["Service Type"] == "image" && each["Region Name"] == "RegionOne"));
        assert_eq!(versions[0]["Version"], "2.0");
        let current =
            ["versions", "show", "--region-name", "RegionOne", "--status", "current", "-f", "value", "-c", "Version"];
        let current = world.run(current).ok().stdout();
        assert_eq!(Some(current.trim()), versions.last().and_then(|last| last["Version"].as_str()));
        world.run(["versions", "show", "--region-name", "nowhere", "-f", "value"]).ok().stdout_is("");
    });
    // A region that is away does not hide the others.
    let world = World::new();
    world.run(["versions", "show", "-f", "value"]).ok().stdout_has(" 2.0 ").stderr_has("warning: cannot reach");
}
