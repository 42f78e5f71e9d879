//! `rimg cached image …`

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, World, each_caching_service};

/// What is said wherever no server is named.
const WHOSE: &str =
    "note: each server of the image service has a cache of its own; `image_endpoint_override` names one\n";

/// What the cache holds of these images: ID and state.
fn held(world: &World, ids: &[&str]) -> Vec<(String, String)> {
    let list: Value = world.run_as("admin", ["cached", "image", "list", "-f", "json"]).ok().stderr_is(WHOSE).json();
    let rows = list.as_array().unwrap().iter();
    let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
    rows.map(|row| (text(row, "ID"), text(row, "State"))).filter(|(id, _)| ids.contains(&id.as_str())).collect()
}

#[test]
fn images_are_queued_cached_and_taken_out() {
    each_caching_service(|world| {
        let names = [world.name("a"), world.name("b")];
        let made = names.clone().map(|name| world.given_image(&name, b"data"));
        let ids = [0, 1].map(|at| made[at]["id"].as_str().unwrap());
        world.run_as("admin", ["cached", "image", "queue", &names[0], ids[1]]).ok().stdout_is("").stderr_is(WHOSE);
        let begun = std::time::Instant::now();
        while held(world, &ids).iter().any(|(_, state)| state == "queued") || held(world, &ids).len() < 2 {
            assert!(begun.elapsed().as_secs() < 60, "the images are never cached");
            std::thread::sleep(Duration::from_millis(100));
        }
        let cached = ["cached", "image", "list", "-f", "json"];
        let list: Value = world.run_as("admin", cached).ok().json();
        let row = list.as_array().unwrap().iter().find(|row| row["ID"] == ids[0]).unwrap();
        assert_eq!((&row["State"], &row["Size"], &row["Hits"]), (&json!("cached"), &json!(4), &json!(0)));
        assert!(row["Last Accessed (UTC)"].as_str().unwrap().starts_with("20"), "{row}");
        let nodes = world.run_as("admin", ["cached", "image", "node", "list", &names[0], "-f", "json"]).ok().json();
        assert!(nodes[0]["Node"].as_str().unwrap().starts_with("http://"), "{nodes}");
        let pruned = world.run_as("admin", ["cached", "image", "prune", "-f", "value"]);
        pruned.ok().stdout_is("0\n0\n");
        world.run_as("admin", ["cached", "image", "clean"]).ok().stdout_is("").stderr_is(WHOSE);
        world.run_as("admin", ["cached", "image", "delete", &names[0]]).ok().stdout_is("").stderr_is(WHOSE);
        assert_eq!(held(world, &ids), [(ids[1].to_owned(), "cached".to_owned())]);
        // What is no image any more may still be in the cache.
        world.run(["image", "delete", ids[1]]).ok();
        world.run_as("admin", ["cached", "image", "delete", ids[1]]);
        assert_eq!(held(world, &ids), []);
    });
}

#[test]
fn what_cannot_be_cached_is_named_and_the_rest_is_queued() {
    each_caching_service(|world| {
        let (queued, active) = (world.name("queued"), world.name("active"));
        world.run(["image", "create", &queued]).ok();
        let id = world.given_image(&active, b"1")["id"].as_str().unwrap().to_owned();
        let asked = world.run_as("admin", ["cached", "image", "queue", "no-such", &queued, &active]);
        asked.code(1).stdout_is("");
        asked.stderr_has("error: cannot queue `no-such`: there is no image");
        asked.stderr_has(&format!("error: cannot queue `{queued}`: Only images with status active"));
        asked.stderr_has("error: 2 of 3 images could not be queued\n");
        assert_eq!(held(world, &[&id]).len(), 1);
        world.run_as("admin", ["cached", "image", "delete", &id]).ok();
        let gone = crate::support::random_uuid();
        let said = format!("error: cannot delete `{gone}`: there is no image with the name or ID `{gone}`\n");
        world.run_as("admin", ["cached", "image", "delete", &gone]).code(1).stderr_has(&said);
        world.run(["cached", "image", "list"]).code(1).stdout_is("").stderr_has("403");
    });
}

#[test]
fn a_queued_image_has_no_numbers() {
    let world = World::new();
    let image = world.given_image("i", b"data");
    let id = image["id"].as_str().unwrap();
    world.run_as("admin", ["cached", "image", "queue", "i"]).ok();
    let list = ["cached", "image", "list", "-f", "csv"];
    let heading = r#""ID","State","Last Accessed (UTC)","Last Modified (UTC)","Size","Hits""#;
    world
        .run_as("admin", list)
        .ok()
        .stdout_is(&format!("{heading}\n\"{id}\",\"queued\",\"N/A\",\"N/A\",\"N/A\",\"N/A\"\n"));
    let row = format!(r#""{id}","cached","2026-11-21T20:58:14.307933","2026-11-21T20:58:06",4,0"#);
    world.run_as("admin", list).ok().stdout_is(&format!("{heading}\n{row}\n"));
}

#[test]
fn the_cache_the_queue_or_both_are_cleared() {
    let world = World::new();
    for (options, target) in
        [(&[][..], None), (&["--cache"], Some("cache")), (&["--queue"], Some("queue")), (&["--cache", "--queue"], None)]
    {
        let before = world.images().asked("DELETE", "/v2/cache").len();
        world.run_as("admin", ["cached", "image", "clear"].iter().chain(options)).ok().stdout_is("").stderr_is(WHOSE);
        let asked = world.images().asked("DELETE", "/v2/cache");
        assert_eq!(asked[before].request.header("x-image-cache-clear-target"), target, "{options:?}");
    }
    world.run(["cached", "image", "clear"]).code(1).stderr_has("403");
}

#[test]
fn whose_cache_it_is_need_not_be_said_when_a_server_is_named() {
    let world = World::new();
    let url = world.images().url();
    let clouds = std::fs::read_to_string(world.clouds_yaml()).unwrap();
    let named = clouds.replace("region_name", &format!("image_endpoint_override: {url}\n    region_name"));
    std::fs::write(world.clouds_yaml(), named).unwrap();
    world.run_as("admin", ["cached", "image", "list"]).ok().stderr_is("");
}

#[test]
fn a_service_without_a_cache_is_said_to_be_one() {
    let world = World::served();
    let name = world.name("i");
    world.given_image(&name, b"data");
    for args in [
        &["list"][..],
        &["clear"],
        &["clean"],
        &["prune"],
        &["node", "list", &name],
        &["queue", &name],
        &["delete", &name],
    ] {
        let refused = world.run_as("admin", ["cached", "image"].iter().chain(args));
        refused.code(1).stdout_is("").stderr_has("this image service has no image cache\n");
    }
}

#[test]
fn several_images_are_asked_for_at_once_but_not_too_many() {
    let world = World::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, highest) = (now.clone(), most.clone());
    world.images().on("PUT", "/v2/cache/*").always().answer(move || {
        highest.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(150));
        counted.fetch_sub(1, Ordering::SeqCst);
        Answer::status(if highest.load(Ordering::SeqCst) > 0 { 403 } else { 202 })
    });
    let names: Vec<String> = (0..20).map(|at| format!("image-{at}")).collect();
    for name in &names {
        world.given_image(name, b"1");
    }
    let asked = world.run_as("admin", ["cached", "image", "queue"].into_iter().chain(names.iter().map(String::as_str)));
    asked.code(1);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
    // Whichever ends first, they are told in the order asked.
    let told: Vec<String> =
        asked.stderr().lines().skip(1).filter_map(|line| Some(line.split('`').nth(1)?.to_owned())).collect();
    assert_eq!(told, names);
}

#[test]
fn an_interrupt_ends_all_of_them() {
    let world = World::new();
    let names = ["a", "b", "c"];
    for name in names {
        world.given_image(name, b"1");
    }
    world.images().on("PUT", "/v2/cache/*").always().stall();
    let running =
        world.rimg(["cached", "image", "queue"].into_iter().chain(names)).env("OS_CLOUD", "devstack-admin").start();
    while world.images().asked("PUT", "/v2/cache/*").len() < 3 {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal("INT");
    running.wait().code(130).stdout_is("").stderr_is(&format!("{WHOSE}error: interrupted\n"));
}
