//! What a transfer tells of itself: on a terminal, in a log, to a program.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::run::PROGRESS;
use crate::support::{Answer, Outcome, Stdin, World};

const CREATE: [&str; 8] = ["image", "create", "n", "--file", "x.img", "--disk-format", "raw", "-q"];

/// Standard error as events; a line that is none fails.
fn events(outcome: &Outcome) -> Vec<Value> {
    outcome.stderr().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    let mut names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    names.dedup();
    names
}

#[test]
fn a_program_reads_events() {
    let world = World::new();
    world.file("x.img", vec![1; 8 << 20]);
    let total = json!(8 << 20);
    let up = world.run(CREATE[..7].iter().chain(&["--progress=json"]));
    up.ok().stdout_has("active");
    let told = events(&up);
    assert_eq!(told[0], json!({"event": "start", "what": "uploading x.img", "total": total}));
    let end = told.last().unwrap();
    assert_eq!((&end["event"], &end["moved"], &end["total"]), (&json!("end"), &total, &total));
    assert!(end["seconds"].as_f64().unwrap() > 0.0, "{end}");
    let moved = told.iter().rfind(|event| event["event"] == "progress").unwrap();
    assert_eq!((&moved["moved"], &moved["what"]), (&total, &json!("uploading x.img")));
    assert!(moved["rate"].as_u64().unwrap() > 0, "{moved}");

    let save = world.rimg(["image", "save", "n", "--file", "back.img"]).env("RIMG_PROGRESS", "json").run();
    assert_eq!(names(&events(save.ok())), ["start", "progress", "end"]);
}

#[test]
fn a_program_reads_what_goes_wrong() {
    let world = World::new();
    world.file("x.img", [1; 100]);
    world.images().on("POST", "/v2/images").answer(|| Answer::status(403));
    let refused = world.run(CREATE[..7].iter().chain(&["--progress=json"]));
    let told = events(refused.code(1));
    let last = told.last().unwrap();
    assert_eq!(
        *last,
        json!({"event": "error", "message": "the service answered HTTP 403 forbidden", "details": [], "hint": null})
    );
    let missing = world.run(["image", "create", "n", "--file", "no", "--progress=json"]);
    let told = events(missing.code(1));
    assert_eq!(told[0]["hint"], "check the path given to `--file`");
}

#[test]
fn the_trace_and_the_times_are_events_too() {
    let world = World::new();
    world.file("x.img", [1; 100]);
    let traced = world.run(CREATE[..7].iter().chain(&["--progress=json", "--debug", "--timing"]));
    let told = events(traced.ok());
    let request = told.iter().find(|event| event["event"] == "log").unwrap();
    assert_eq!(request["level"], "debug");
    assert!(request["message"].as_str().unwrap().starts_with("REQ: curl "), "{request}");
    let timing = told.last().unwrap();
    assert_eq!(timing["event"], "timing");
    assert!(timing["request"].as_str().unwrap().starts_with("GET http://"), "{timing}");
    assert!(timing["seconds"].as_f64().unwrap() > 0.0, "{timing}");
}

#[test]
fn a_line_of_a_batch_speaks_in_events_for_itself() {
    let world = World::new();
    world.file("x.img", [1; 100]);
    let lines = "image create n --file no --disk-format raw --progress=json\nimage show nosuch\nimage show 'x\n";
    let told = world.rimg(std::iter::empty::<&str>()).stdin(Stdin::Bytes(lines.into())).run().code(1).stderr();
    let lines: Vec<&str> = told.lines().collect();
    let events = lines.iter().take_while(|line| line.starts_with('{')).count();
    assert_eq!(events, 2, "{told}");
    assert!(lines[2].starts_with("error: there is no image with the name or ID `nosuch`"), "{told}");
    assert!(lines.contains(&"error: a quote is open at the end of the line"), "{told}");
}

#[test]
fn nobody_is_told_who_does_not_want_to_be() {
    let world = World::new();
    world.file("x.img", [1; 100]);
    world.run(CREATE.iter().chain(&["--progress=json"])).ok().stderr_is("");
    let none = world.rimg(CREATE[..7].iter().chain(&["--progress=none"])).terminal().wait();
    none.ok().stdout_lacks("uploading");
    world.run(CREATE.iter().chain(&["--progress=loud"])).code(2).stderr_has("'loud'");
    // The word after it is the name of the image, as `openstack` reads it.
    world.run(["image", "create", "--progress", "json", "--file", "x.img", "--disk-format", "raw"]).ok();
    assert_eq!(world.all_images().len(), 0);
    assert_eq!(world.run(["image", "list", "--name", "json", "-f", "value", "-c", "Name"]).ok().stdout(), "json\n");
}

#[test]
fn words_of_a_server_do_not_steer_the_terminal() {
    let answers = ["auto", "lines"].map(|how| {
        let world = World::new();
        world.file("x.img", vec![1; 8 << 20]);
        // Shown while it waits for the next try.
        let evil = || Answer::html(503, "<html><body><h1>t</h1>a\x1b]0;owned\x07\x1b[2Jz</body></html>");
        world.images().on("PUT", "/v2/images/*/file").answer(move || evil().header("Retry-After", "1"));
        let show = format!("--progress={how}");
        let create = world.rimg(CREATE[..7].iter().chain(&[show.as_str()]));
        create.stdout_file(world.home.join("out")).terminal().wait()
    });
    for told in answers {
        told.ok().stdout_has("waiting to try again: ").stdout_has("a\\x1b]0;owned\\x07\\x1b[2Jz");
        told.stdout_lacks("\x1b]0;").stdout_lacks("\x07").stdout_lacks("\x1b[2J");
    }
}

#[test]
fn a_log_hears_of_what_takes_long() {
    let world = World::new();
    let slow = Stdin::Slow { pieces: vec![vec![7; 1 << 20]; 14], pause: Duration::from_millis(500) };
    let create = ["image", "create", "n", "--file", "-", "--disk-format", "raw", "--size", "14680064"];
    let outcome = world.rimg(create).stdin(slow).no_env(PROGRESS).run();
    let told = outcome.ok().stderr();
    let lines = told.lines().filter(|line| line.starts_with("uploading stdin: ")).count();
    assert!((1..=2).contains(&lines), "{told}");
    assert!(told.contains("% of 14.00 MiB, "), "{told}");
}
