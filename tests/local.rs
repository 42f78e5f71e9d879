//! The cloud `local`: rimg on a machine with nothing else.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::run::Running;
use crate::support::{Run, Stdin, World};

/// A world without any cloud configured.
fn bare() -> World {
    let world = World::new();
    fs::remove_file(world.clouds_yaml()).unwrap();
    world
}

fn local(world: &World, args: &[&str]) -> Run {
    world.rimg(args).env("OS_CLOUD", "local")
}

const CREATE: [&str; 9] =
    ["image", "create", "cirros", "--disk-format", "raw", "--container-format", "bare", "-f", "json"];

#[test]
fn an_image_comes_and_goes_in_an_empty_home() {
    let world = bare();
    let data: Vec<u8> = (0..3_000_001_u32).map(|at| (at % 251) as u8).collect();
    world.file("x.img", &data);
    let created = local(&world, &[&CREATE[..], &["--file", "x.img"]].concat()).run();
    let created = created.ok().stderr_is("").json();
    assert_eq!(created["size"], data.len());
    let listed = local(&world, &["image", "list", "-f", "value", "-c", "Name", "-c", "Status"]).run();
    listed.ok().stdout_is("cirros active\n");
    let shown = local(&world, &["image", "show", "cirros", "-f", "json"]).run().ok().json();
    assert_eq!((&shown["id"], &shown["owner"]), (&created["id"], &created["owner"]));
    local(&world, &["image", "save", "cirros", "--file", "y.img"]).run().ok();
    assert!(fs::read(world.home.join("y.img")).unwrap() == data);
    local(&world, &["image", "delete", "cirros"]).run().ok();
    local(&world, &["image", "list", "-f", "json"]).run().ok().stdout_is("[]\n");
    let store = world.home.join(".local/share/rimg/local/stores/local");
    assert_eq!(fs::read_dir(store).unwrap().count(), 0);
}

#[test]
fn the_state_is_where_the_user_wants_it() {
    let world = bare();
    local(&world, &CREATE).env("RIMG_LOCAL_DIR", "~/here").run().ok();
    assert!(world.home.join("here/registry.sqlite").exists());
    assert!(!world.home.join(".local/share/rimg").exists());
    local(&world, &["image", "list", "-f", "json"]).run().ok().stdout_is("[]\n");
}

#[test]
fn what_describes_another_cloud_does_not_matter() {
    let world = bare();
    let other = [
        ("OS_AUTH_URL", "http://127.0.0.1:1/v3"),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", "secret"),
        ("OS_TOKEN", "x"),
        ("OS_ENDPOINT", "http://127.0.0.1:1"),
        ("OS_IMAGE_ENDPOINT_OVERRIDE", "http://127.0.0.1:1"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("http_proxy", "http://127.0.0.1:1"),
        ("ALL_PROXY", "http://127.0.0.1:1"),
    ];
    let run = local(&world, &["image", "list", "-f", "json"]);
    other.iter().fold(run, |run, (name, value)| run.env(name, value)).run().ok().stdout_is("[]\n");
}

#[test]
fn a_cloud_of_that_name_in_clouds_yaml_wins() {
    let world = World::new();
    let text = fs::read_to_string(world.clouds_yaml()).unwrap().replace("  devstack:", "  local:");
    fs::write(world.clouds_yaml(), text).unwrap();
    local(&world, &["image", "list", "-f", "json"]).run().ok();
    assert_eq!(world.identity().asked("POST", "/v3/auth/tokens").len(), 1);
    assert!(!world.home.join(".local/share/rimg").exists());
}

#[test]
fn several_at_once_share_it() {
    let world = bare();
    world.file("x.img", vec![7; 2 << 20]);
    let names: Vec<String> = (0..6).map(|at| format!("image-{at}")).collect();
    thread::scope(|scope| {
        for name in &names {
            let world = &world;
            scope.spawn(move || {
                let create = ["image", "create", name, "--disk-format", "raw", "--file", "x.img"];
                local(world, &create).run().ok().stderr_is("");
            });
        }
    });
    let listed = local(&world, &["image", "list", "--sort", "name:asc", "-f", "json"]).run().ok().json();
    let listed: Vec<&str> = listed.as_array().unwrap().iter().map(|image| image["Name"].as_str().unwrap()).collect();
    assert_eq!(listed, names);
}

/// A create whose data has begun to come, and the store where it does.
fn uploading(world: &World) -> (Running, PathBuf) {
    let slow = Stdin::Slow { pieces: vec![vec![1; 1 << 20]; 100], pause: Duration::from_millis(100) };
    let running = local(world, &CREATE).stdin(slow).start();
    let store = world.home.join(".local/share/rimg/local/stores/local");
    let started = std::time::Instant::now();
    while fs::read_dir(&store).map_or(0, |found| found.count()) == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "no data came");
        thread::sleep(Duration::from_millis(10));
    }
    (running, store)
}

#[test]
fn what_is_interrupted_leaves_nothing() {
    let world = bare();
    let (running, store) = uploading(&world);
    running.signal("INT");
    running.wait().code(130);
    assert_eq!(fs::read_dir(store).unwrap().count(), 0);
    local(&world, &["image", "list", "-f", "json"]).run().ok().stderr_is("").stdout_is("[]\n");
}

#[test]
fn what_was_killed_is_swept_up_by_the_next() {
    let world = bare();
    let (running, store) = uploading(&world);
    running.signal("KILL");
    drop(running);
    let listed = local(&world, &["image", "list", "-f", "json"]).run();
    let listed: Value = listed.ok().stderr_has("note: swept up image ").json();
    assert_eq!(listed[0]["Status"], "queued");
    assert_eq!(fs::read_dir(store).unwrap().count(), 0);
}
