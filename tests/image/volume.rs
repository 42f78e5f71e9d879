//! `rimg image create --volume`

use serde_json::json;

use crate::support::cinder::volume_id;
use crate::support::{Answer, World};

const CREATE: [&str; 6] = ["image", "create", "copy", "-f", "json", "--volume"];

#[test]
fn a_volume_is_found_by_name_and_by_id() {
    let world = World::new();
    let image = world.run(CREATE.iter().chain(&["data"])).ok().stderr_is("").json();
    assert_eq!((&image["image_name"], &image["status"]), (&json!("copy"), &json!("uploading")));
    assert_eq!((&image["disk_format"], &image["visibility"]), (&json!("raw"), &json!("private")));
    assert_eq!(image["volume_type"], "fast");
    let order = &world.volumes().asked("POST", "/v3/*/volumes/*/action")[0];
    assert_eq!(
        order.request.path,
        format!("/v3/{}/volumes/{}/action", world.session("demo").project, volume_id("data"))
    );
    assert_eq!(order.request.header("openstack-api-version"), Some("volume 3.1"));

    let more = ["--disk-format", "qcow2", "--container-format", "ovf", "--shared", "--protected", "--force"];
    let id = volume_id("busy");
    let image = world.run(CREATE.iter().copied().chain([id.as_str()]).chain(more)).ok().stderr_is("").json();
    assert_eq!((&image["visibility"], &image["protected"]), (&json!("shared"), &json!(true)));
    let order = world.volumes().asked("POST", "/v3/*/volumes/*/action")[1].json();
    assert_eq!(
        order["os-volume_upload_image"],
        json!({"image_name": "copy", "force": true, "disk_format": "qcow2", "container_format": "ovf",
            "visibility": "shared", "protected": true})
    );
    // The block storage service makes it.
    assert!(world.images().requests().is_empty());
}

#[test]
fn a_service_of_before_microversions_is_asked_without() {
    let world = World::new();
    let action = "/v3/*/volumes/*/action";
    world.volumes().on("POST", action).answer(|| Answer::status(406));
    world.run(CREATE.iter().chain(&["data"])).ok().stderr_is("");
    let asked = world.volumes().asked("POST", action);
    assert_eq!(asked[1].request.header("openstack-api-version"), None);
    assert_eq!(asked[1].json()["os-volume_upload_image"].get("visibility"), None);
    world.volumes().on("POST", action).answer(|| Answer::status(406));
    let said = "need volume API version 3.1 for an image of a volume\nhint: use `--os-volume-api-version 3.1`";
    world.run(CREATE.iter().chain(&["data", "--public"])).code(1).stdout_is("").stderr_has(said);
}

#[test]
fn what_stands_in_the_way_is_said() {
    let world = World::new();
    world.run(CREATE.iter().chain(&["busy"])).code(1).stdout_is("").stderr_is(
        "error: Invalid volume: Volume status is in-use (HTTP 400 bad request)\n\
         hint: a server uses the volume: stop it, or insist with `--force`\n",
    );
    world.run(CREATE.iter().chain(&["twice"])).code(1).stderr_has("error: 2 volumes are named `twice`\n");
    world.run(CREATE.iter().chain(&["none"])).code(1).stderr_is(
        "error: there is no volume with the name or ID `none`\n\
         hint: `openstack volume list` shows the volumes that you can see\n",
    );
    let idle = ["data", "--min-disk", "1", "--tag", "t"];
    world.run(CREATE.iter().chain(&idle)).ok().stderr_is(
        "warning: `--min-disk` and `--tag` have no effect with `--volume`: the block storage service makes the image; \
         `rimg image set` changes it afterwards\n",
    );
}
