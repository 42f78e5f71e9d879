//! `image save` while things go wrong: a connection that breaks, a service that
//! fails or lies, a process that is stopped or killed, a file that is in the
//! way. In each case: the exit code, what is said, what is left behind, and
//! whether the bytes are right. Success with wrong bytes is never one of them.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{Content, Server};
use crate::support::run::Running;
use crate::support::{Answer, Outcome, World, distinct_bytes, each_service};

const FILE: &str = "/v2/images/*/file";
const MIB: usize = 1 << 20;

/// What is in the home, sorted.
fn files(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(&world.home).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// A world with the image `i` of these bytes, and its ID.
fn with_image(data: &[u8]) -> (World, String) {
    let world = World::new();
    let image = world.given_image("i", data);
    let id = image["id"].as_str().unwrap().to_owned();
    (world, id)
}

fn save(world: &World) -> Outcome {
    world.run(["image", "save", "i", "--file", "out"])
}

fn is_saved(world: &World, data: &[u8]) {
    assert!(std::fs::read(world.home.join("out")).unwrap() == data, "the bytes are wrong");
    assert_eq!(files(world), ["out"]);
}

/// The ranges that were asked for, in order; empty text for none.
fn ranges(world: &World) -> Vec<String> {
    let asked = world.images().asked("GET", FILE);
    asked.iter().map(|one| one.request.header("range").unwrap_or_default().to_owned()).collect()
}

/// What the state beside the part says is there.
fn there(world: &World) -> u64 {
    let Ok(text) = std::fs::read(world.home.join("out.part.json")) else { return 0 };
    let state: Value = serde_json::from_slice(&text).unwrap_or_default();
    let spans = state["there"].as_array().cloned().unwrap_or_default();
    spans.iter().map(|span| span[1].as_u64().unwrap() - span[0].as_u64().unwrap()).sum()
}

/// Starts a download, and waits until it is written down that something arrived.
fn half_way(world: &World, more: &[&str]) -> Running {
    let args = ["image", "save", "i", "--file", "out"];
    let running = world.rimg(args.iter().chain(more)).start();
    let begun = Instant::now();
    while there(world) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing arrived: {:?}", files(world));
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

/// A download that was stopped after 1 MiB, for another run to go on with.
fn interrupted(data: &[u8]) -> (World, String) {
    let (world, id) = with_image(data);
    world.images().on("GET", FILE).stall_after(MIB as u64);
    let args = ["image", "save", "i", "--file", "out"];
    let running = world.rimg(args).start();
    arrives(&world.home.join("out.part"), MIB as u64);
    running.signal("INT");
    running.wait().code(130);
    assert_eq!(there(&world), MIB as u64);
    (world, id)
}

/// Waits until a part has that many bytes.
fn arrives(part: &Path, bytes: u64) {
    let begun = Instant::now();
    while std::fs::metadata(part).map_or(0, |meta| meta.len()) < bytes {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing arrives in {}", part.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_download_goes_on_where_it_was() {
    let data = distinct_bytes(4 * MIB);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (world, _) = with_image(&data);
        world.file("out", b"the old file");
        world.images().on("GET", FILE).drip(64 * 1024, Duration::from_millis(20));
        let running = half_way(&world, &[]);
        running.signal(signal);
        let stopped = running.wait();
        stopped.code(code).stdout_is("").stderr_has("error: interrupted\n  `out.part` has ");
        stopped.stderr_has(" of 4.00 MiB: the same command goes on from there\n");
        stopped.stderr_has("  to give it up, remove `out.part` and `out.part.json`\n");
        assert_eq!(std::fs::read(world.home.join("out")).unwrap(), b"the old file");
        assert_eq!(files(&world), ["out", "out.part", "out.part.json"]);
        let there = there(&world);
        assert!(there > 0 && there < data.len() as u64, "{there}");
        save(&world).ok().stderr_is("");
        assert_eq!(ranges(&world), [String::new(), format!("bytes={there}-")]);
        is_saved(&world, &data);
    }
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let data = distinct_bytes(4 * MIB);
    for jobs in ["1", "4"] {
        let (world, _) = with_image(&data);
        world.file("out", b"the old file");
        world.images().on("GET", FILE).times(4).drip(32 * 1024, Duration::from_millis(20));
        let running = half_way(&world, &["--jobs", jobs]);
        running.signal("KILL");
        drop(running.wait());
        assert_eq!(std::fs::read(world.home.join("out")).unwrap(), b"the old file");
        let there = there(&world);
        assert!(there > 0 && there < data.len() as u64, "{there}");
        let begun = ranges(&world).len();
        world.run(["image", "save", "i", "--file", "out", "--jobs", jobs]).ok().stderr_is("");
        if jobs == "1" {
            assert_eq!(ranges(&world)[begun..], [format!("bytes={there}-")]);
        }
        is_saved(&world, &data);
    }
}

#[test]
fn each_service_lets_a_download_go_on() {
    each_service(|world| {
        let name = world.name("i");
        let data = distinct_bytes(8 * MIB);
        world.given_image(&name, &data);
        // A limit on the size of a file stands for a disk that is full.
        let save = |limit: &str| {
            let script = format!("trap '' XFSZ; {limit} exec \"$@\"");
            let rimg = env!("CARGO_BIN_EXE_rimg");
            world.program("/bin/sh").args(["-c", &script, "sh", rimg, "image", "save", &name, "--file", "out"]).run()
        };
        let full = save("ulimit -f 4096;");
        full.code(1).stderr_has("error: cannot write `").stderr_has("file too large").stderr_has("goes on from there");
        let there = there(world);
        assert!(there > 0 && there <= 4 << 20, "{there}");
        save("").ok().stderr_is("");
        is_saved(world, &data);
        world.run(["image", "save", &name, "--file", "out", "--jobs", "3"]).ok().stderr_is("");
        is_saved(world, &data);
    });
}

#[test]
fn a_full_disk_is_said_and_gone_on_from() {
    let data = distinct_bytes(8 * MIB);
    let (world, _) = with_image(&data);
    let disk = world.home.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let program = |words: &[&str]| std::process::Command::new(words[0]).args(&words[1..]).arg(&disk).output();
    if !program(&["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs"]).is_ok_and(|made| made.status.success()) {
        // Not `eprint!`: the test harness would swallow it.
        return std::io::stderr().write_all(b"not run: no disk can be mounted here\n").unwrap();
    }
    let save = ["image", "save", "i", "--file", "disk/out"];
    // There is room when it begins, and somebody else takes all of it.
    world.images().on("GET", FILE).drip(64 * 1024, Duration::from_millis(40));
    let running = world.rimg(save).start();
    arrives(&disk.join("out.part"), 1);
    let other = disk.join("other");
    let filled = std::fs::write(&other, vec![1; 16 * MIB]);
    let full = running.wait();
    let state = std::fs::read(disk.join("out.part.json")).is_ok();
    // Before it is asked for, the next time.
    let refused = world.run(save);
    std::fs::remove_file(&other).unwrap();
    let saved = world.run(save);
    let bytes = std::fs::read(disk.join("out")).unwrap_or_default();
    program(&["umount"]).unwrap();
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    full.code(1).stderr_has("error: cannot write `").stderr_has("goes on from there").stderr_has("free some space");
    assert!(state);
    refused.code(1).stderr_has(" are free there\nhint: free some space, or name a file on another disk\n");
    saved.ok();
    assert!(bytes == data);
}

#[test]
fn what_breaks_is_asked_again_from_where_it_was() {
    let data = distinct_bytes(4 * MIB);
    let last = data.len() as u64 - 1;
    type Fault = fn(&World);
    let cases: [(&str, Fault, &str); 14] = [
        ("closed at half", |world| world.images().on("GET", FILE).close_after_answer(1 << 20), "bytes=1048576-"),
        ("reset at half", |world| world.images().on("GET", FILE).reset_after_answer(1 << 20), "bytes=1048576-"),
        ("reset before the first byte", |world| world.images().on("GET", FILE).reset_after_answer(0), ""),
        ("closed before an answer", |world| world.images().on("GET", FILE).times(2).close(), ""),
        ("at the last byte", |world| world.images().on("GET", FILE).close_after_answer((4 << 20) - 1), "last"),
        ("a length that is too long", |world| world.images().on("GET", FILE).nth(1).close_after_answer(7), "bytes=7-"),
        ("500", |world| page(world, 500, None), ""),
        ("502", |world| page(world, 502, None), ""),
        ("503", |world| page(world, 503, Some("0")), ""),
        ("503 without a word when", |world| page(world, 503, None), ""),
        ("429 without a word when", |world| page(world, 429, None), ""),
        ("504", |world| page(world, 504, None), ""),
        ("429", |world| page(world, 429, Some("1")), ""),
        ("429 until a date gone by", |world| page(world, 429, Some("Sun, 06 Nov 1994 08:49:37 GMT")), ""),
    ];
    for (what, fault, range) in cases {
        let (world, _) = with_image(&data);
        fault(&world);
        let saved = save(&world);
        saved.ok().stderr_has("note: ").stderr_has("; trying again in ").stderr_has(" s (try 2 of 6), from byte ");
        let asked = ranges(&world);
        let wanted = if range == "last" { format!("bytes={last}-") } else { range.to_owned() };
        assert_eq!(asked.last().unwrap(), &wanted, "{what}");
        is_saved(&world, &data);

        // Onto stdout each byte comes once.
        let (world, _) = with_image(&data);
        fault(&world);
        let piped = world.run(["image", "save", "i"]);
        piped.ok().stderr_has("; trying again in ");
        assert!(piped.stdout == data, "{what}");
    }
}

fn page(world: &World, status: u16, retry_after: Option<&'static str>) {
    world.images().on("GET", FILE).answer(move || {
        let answer = Answer::html(status, "<html><h1>x</h1>Busy.</html>");
        retry_after.into_iter().fold(answer, |answer, when| answer.header("Retry-After", when))
    });
}

#[test]
fn a_service_that_asks_to_wait_is_waited_for() {
    let (world, _) = with_image(b"data");
    page(&world, 503, Some("2"));
    let begun = Instant::now();
    save(&world)
        .ok()
        .stderr_is("note: Busy (HTTP 503 service unavailable); trying again in 2.0 s (try 2 of 6), from byte 0\n");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    is_saved(&world, b"data");
    // Not for an hour.
    let (world, _) = with_image(b"data");
    page(&world, 503, Some("3600"));
    save(&world).code(1).stderr_is(
        "error: Busy (HTTP 503 service unavailable)\nhint: the service asks to wait 60 min before the next try\n",
    );
    assert!(files(&world).is_empty());
}

#[test]
fn silence_ends_and_the_download_goes_on() {
    let data = distinct_bytes(2 * MIB);
    let (world, _) = with_image(&data);
    let old = std::fs::read_to_string(world.clouds_yaml()).unwrap();
    let new = old.replace("    region_name: RegionOne\n", "    region_name: RegionOne\n    api_timeout: 1\n");
    std::fs::write(world.clouds_yaml(), new).unwrap();
    world.images().on("GET", FILE).stall_after(MIB as u64);
    // Slow is not silent.
    world.images().on("GET", FILE).drip(256 * 1024, Duration::from_millis(400));
    save(&world).ok().stderr_has("has been silent for 1 s; trying again in ").stderr_has(", from byte 1048576\n");
    assert_eq!(ranges(&world)[1], "bytes=1048576-");
    is_saved(&world, &data);
}

#[test]
fn tries_have_an_end_and_what_came_is_kept() {
    let data = distinct_bytes(2 * MIB);
    let (world, _) = with_image(&data);
    world.images().on("GET", FILE).close_after_answer(MIB as u64);
    let bad_gateway = || Answer::html(502, "<html>Bad</html>").header("Retry-After", "0");
    world.images().on("GET", FILE).times(5).answer(bad_gateway);
    let failed = save(&world);
    failed
        .code(1)
        .stderr_has("(try 6 of 6), from byte 1048576\nerror: Bad (HTTP 502 bad gateway)\n  that was try 6, the last\n");
    failed.stderr_has("has 1.00 MiB of 2.00 MiB: the same command goes on from there\n");
    assert_eq!(there(&world), MIB as u64);
    save(&world).ok().stderr_is("");
    is_saved(&world, &data);
    // Each byte that comes counts anew.
    let (world, _) = with_image(&data);
    for _ in 0..8 {
        world.images().on("GET", FILE).close_after_answer(1000);
        world.images().on("GET", FILE).answer(bad_gateway);
    }
    save(&world).ok().stderr_has("(try 3 of 6)").stderr_lacks("(try 4 of 6)");
    is_saved(&world, &data);
}

#[test]
fn what_will_not_get_better_is_not_tried_again() {
    let data = distinct_bytes(2 * MIB);
    for (status, message) in [
        (400, "error: no (HTTP 400 bad request)\n"),
        (403, "error: no (HTTP 403 forbidden)\n"),
        (404, "error: no (HTTP 404 not found)\n"),
        (409, "error: no (HTTP 409 conflict)\n"),
        (410, "error: no (HTTP 410 gone)\n"),
        (413, "error: no (HTTP 413 payload too large)\n"),
        (415, "error: no (HTTP 415 unsupported media type)\n"),
    ] {
        let (world, _) = with_image(&data);
        world.images().on("GET", FILE).answer(move || Answer::html(status, "<html>no</html>"));
        save(&world).code(1).stderr_has(message).stderr_lacks("trying again");
        assert!(files(&world).is_empty());
        // In the middle: what came is kept.
        world.images().on("GET", FILE).close_after_answer(MIB as u64);
        world.images().on("GET", FILE).answer(move || Answer::html(status, "<html>no</html>"));
        save(&world).code(1).stderr_has(message).stderr_has("has 1.00 MiB of 2.00 MiB");
        assert_eq!(files(&world), ["out.part", "out.part.json"]);
        save(&world).ok();
        is_saved(&world, &data);
    }
}

#[test]
fn an_image_that_is_deleted_meanwhile() {
    let data = distinct_bytes(2 * MIB);
    let (world, id) = interrupted(&data);
    world.run(["image", "delete", &id]).ok();
    save(&world).code(1).stderr_has("`i`");
    assert_eq!(there(&world), MIB as u64);
    // Another one of that name is another image, also with the same bytes.
    world.given_image("i", &data);
    save(&world).ok().stderr_is("note: `out.part` is of another image or of other data, so it begins anew\n");
    assert_eq!(ranges(&world).last().unwrap(), "");
    is_saved(&world, &data);
}

#[test]
fn an_image_that_changed_begins_anew() {
    let data = distinct_bytes(2 * MIB);
    for field in ["size", "os_hash_value"] {
        let (world, id) = interrupted(&data);
        let edit = move |image: &mut Value| {
            image[field] = match field {
                "size" => json!(5),
                _ => json!("00"),
            }
        };
        world.images().on("GET", "/v2/images/*").edit(edit);
        let outcome = world.run(["image", "save", &id, "--file", "out"]);
        outcome.code(1).stderr_has("so it begins anew\n").stderr_has("error: the data arrived damaged: ");
        assert!(!world.home.join("out").exists() && !world.home.join("out.part").exists());
        assert_eq!(ranges(&world).last().unwrap(), "");
    }
}

#[test]
fn a_redirect_takes_no_token_elsewhere() {
    let data = distinct_bytes(2 * MIB);
    let (world, _) = with_image(&data);
    let (bytes, seen) = (data.clone(), std::sync::Arc::new(AtomicUsize::new(0)));
    let count = seen.clone();
    let other = Server::start(None, move |request, _| {
        assert!(request.header("x-auth-token").is_none());
        count.fetch_add(1, Ordering::SeqCst);
        let start: usize = request.header("range").map_or(0, |range| range[6..].trim_end_matches('-').parse().unwrap());
        let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
        match start {
            0 => Answer::status(200).body(&bytes[..]),
            _ => Answer::status(206).header("Content-Range", range).body(&bytes[start..]),
        }
    });
    other.on("GET", "/data").close_after_answer(MIB as u64);
    for _ in 0..2 {
        world.images().on("GET", FILE).redirect(302, &format!("{}/data", other.url()));
    }
    save(&world).ok().stderr_has(", from byte 1048576\n");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    is_saved(&world, &data);
}

#[test]
fn a_token_that_expires_meanwhile_is_renewed() {
    let data = distinct_bytes(2 * MIB);
    for nth in [1, 2] {
        let (world, _) = with_image(&data);
        if nth == 2 {
            world.images().on("GET", FILE).close_after_answer(MIB as u64);
        }
        world.images().on("GET", FILE).answer(|| Answer::html(401, "<html>no</html>"));
        save(&world).ok();
        let range = if nth == 2 { "bytes=1048576-" } else { "" };
        assert_eq!(ranges(&world).last().unwrap(), range);
        is_saved(&world, &data);
    }
}

#[test]
fn a_place_that_refuses_connections_is_tried_again() {
    let (world, _) = with_image(b"data");
    // A port that nobody listens on.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.images().on("GET", FILE).redirect(302, &format!("http://{nowhere}/data"));
    save(&world).ok().stderr_has("connection refused; trying again in ");
    is_saved(&world, b"data");
}

#[test]
fn a_length_that_is_not_that_of_the_image_is_refused() {
    for length in [7, 1 << 40] {
        let (world, _) = with_image(&distinct_bytes(MIB));
        // What is in the image cache comes with a length.
        save(&world).ok();
        std::fs::remove_file(world.home.join("out")).unwrap();
        world.images().on("GET", FILE).content_length(length);
        save(&world).code(1).stderr_has(&format!(
            "error: the data arrived damaged: the service sends {length} bytes of an image of 1048576\n"
        ));
        assert!(files(&world).is_empty());
    }
}

#[test]
fn a_range_that_is_not_what_was_asked_for_is_not_taken() {
    let len = 2 * MIB;
    let data = distinct_bytes(len);
    type Lie = fn(&mut Answer);
    fn content_range(answer: &mut Answer, value: Option<String>) {
        answer.headers.retain(|(name, _)| name != "Content-Range");
        answer.headers.extend(value.map(|value| ("Content-Range".to_owned(), value)));
    }
    // What is said of it; whether the whole comes; how the answer is changed.
    let unranged = "does not send the part of";
    let cases: [(&str, &str, bool, Lie); 12] = [
        ("the whole with 200", "", true, |_| {}),
        ("the whole with 206", unranged, true, |a| a.status = 206),
        ("the whole with 206, saying so", unranged, true, |a| {
            a.status = 206;
            content_range(a, Some(format!("bytes 0-{}/{}", 2 * MIB - 1, 2 * MIB)));
        }),
        ("the whole with 206, called the part", unranged, true, |a| {
            a.status = 206;
            content_range(a, Some(format!("bytes {MIB}-{}/{}", 2 * MIB - 1, 2 * MIB)));
        }),
        ("no Content-Range", unranged, false, |a| content_range(a, None)),
        ("no sense", unranged, false, |a| content_range(a, Some("bytes".into()))),
        ("another start", unranged, false, |a| {
            content_range(a, Some(format!("bytes {}-{}/{}", MIB - 1, 2 * MIB - 1, 2 * MIB)))
        }),
        ("an earlier end", unranged, false, |a| {
            content_range(a, Some(format!("bytes {MIB}-{}/{}", 2 * MIB - 2, 2 * MIB)))
        }),
        ("another length", unranged, false, |a| {
            content_range(a, Some(format!("bytes {MIB}-{}/{}", 2 * MIB - 1, 2 * MIB + 1)))
        }),
        ("a body of another length", unranged, false, |a| {
            if let Content::File { len, .. } = &mut a.content {
                *len -= 1;
            }
        }),
        ("416", unranged, false, |a| *a = Answer::status(416)),
        ("other bytes", "all of it is fetched once more", false, |a| a.content = Content::Bytes(vec![7; MIB])),
    ];
    for (what, said, whole, lie) in cases {
        for run in ["within one run", "in another run"] {
            let world = if run == "within one run" {
                let (world, _) = with_image(&data);
                world.images().on("GET", FILE).close_after_answer(MIB as u64);
                world
            } else {
                interrupted(&data).0
            };
            let script = world.images().on("GET", FILE);
            if whole {
                script.whole(lie)
            } else {
                script.twist(lie)
            };
            let saved = save(&world);
            saved.ok().stderr_has(said);
            assert_eq!(ranges(&world)[1], format!("bytes={MIB}-"), "{what} {run}");
            is_saved(&world, &data);
        }
        // On stdout the whole is read again, too, and what was written is passed over.
        if said == unranged {
            let (world, _) = with_image(&data);
            world.images().on("GET", FILE).close_after_answer(MIB as u64);
            let script = world.images().on("GET", FILE);
            if whole {
                script.whole(lie)
            } else {
                script.twist(lie)
            };
            assert!(world.run(["image", "save", "i"]).ok().stdout == data, "{what}");
        }
        // With several jobs.
        let (world, _) = with_image(&data);
        let script = world.images().on("GET", FILE).nth(2);
        if whole {
            script.whole(lie)
        } else {
            script.twist(lie)
        };
        world.run(["image", "save", "i", "--file", "out", "--jobs", "2"]).ok();
        is_saved(&world, &data);
    }
}

#[test]
fn bytes_that_were_spoilt_meanwhile_are_found_and_fetched_anew() {
    let data = distinct_bytes(2 * MIB);
    let (world, _) = interrupted(&data);
    let part = world.home.join("out.part");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&part, &bytes).unwrap();
    save(&world).ok().stderr_has("warning: the data arrived damaged: its sha512 is ").stderr_has("fetched once more\n");
    assert_eq!(ranges(&world)[1..], ["bytes=1048576-", ""]);
    is_saved(&world, &data);

    // Only once: the service itself has other bytes.
    let (world, id) = interrupted(&data);
    std::fs::write(world.home.join("out.part"), &bytes).unwrap();
    world.images().on("GET", FILE).nth(2).twist(|answer| answer.content = Content::Bytes(vec![7; 2 * MIB]));
    let failed = world.run(["image", "save", &id, "--file", "out"]);
    failed.code(1).stderr_has("error: the data arrived damaged: its sha512 is ").stderr_has("out.corrupt`\n");
    assert_eq!(files(&world), ["out.corrupt"]);

    // A part that somebody cut is not gone on with.
    let (world, _) = interrupted(&data);
    std::fs::write(world.home.join("out.part"), b"short").unwrap();
    save(&world).ok().stderr_is("");
    assert_eq!(ranges(&world)[1..], [""]);
    is_saved(&world, &data);

    // What nobody will judge was on the disk before it was called there: this was not.
    let (world, id) = interrupted(&data);
    world.run(["image", "save", &id, "--file", "out", "--no-verify"]).ok();
    assert_eq!(ranges(&world)[1..], [""]);
    is_saved(&world, &data);
}

#[test]
fn without_a_digest_a_download_goes_on_as_well() {
    let data = distinct_bytes(4 * MIB);
    let (world, _) = with_image(&data);
    world.images().on("GET", FILE).drip(64 * 1024, Duration::from_millis(20));
    let running = half_way(&world, &["--no-verify"]);
    running.signal("INT");
    running.wait().code(130);
    let there = there(&world);
    let note = format!("note: the digest was not verified: only the size, {} bytes, was compared\n", data.len());
    world.run(["image", "save", "i", "--file", "out", "--no-verify"]).ok().stderr_is(&note);
    assert_eq!(ranges(&world)[1..], [format!("bytes={there}-")]);
    is_saved(&world, &data);
}

#[test]
fn all_that_is_missing_may_be_the_name() {
    let data = distinct_bytes(MIB);
    let (world, _) = with_image(&data);
    world.images().on("GET", FILE).close_after_answer(MIB as u64 - 1);
    let bad = || Answer::status(502).header("Retry-After", "999");
    world.images().on("GET", FILE).answer(bad);
    save(&world).code(1);
    // The last byte is put in by hand, and written down.
    let part = world.home.join("out.part");
    std::fs::write(&part, &data).unwrap();
    let state = std::fs::read_to_string(world.home.join("out.part.json")).unwrap();
    std::fs::write(world.home.join("out.part.json"), state.replace("1048575]", "1048576]")).unwrap();
    save(&world).ok().stderr_is("");
    assert_eq!(ranges(&world).len(), 2);
    is_saved(&world, &data);
}

#[test]
fn a_file_of_somebody_else_is_not_touched() {
    let (world, _) = with_image(b"data");
    let part = world.home.join("out.part");
    let state = world.home.join("out.part.json");
    let refused = |words: &str| {
        let outcome = save(&world);
        outcome.code(1).stderr_has(words).stderr_has(" is in the way: ");
        outcome.stderr_has("hint: a download is collected there: move it away, or save to another name\n");
        assert!(!world.home.join("out").exists());
    };
    world.file("out.part", b"mine");
    refused("out.part.json` tells of what image it is");
    assert_eq!(files(&world), ["out.part"]);
    assert_eq!(std::fs::read(&part).unwrap(), b"mine");

    world.file("out.part.json", b"{\"mine\": 5}");
    refused("it does not tell of a download");
    assert_eq!(std::fs::read(&state).unwrap(), b"{\"mine\": 5}");
    assert_eq!(std::fs::read(&part).unwrap(), b"mine");
    std::fs::remove_file(&part).unwrap();
    refused("it does not tell of a download");
    std::fs::remove_file(&state).unwrap();

    std::fs::create_dir(&part).unwrap();
    refused("it is a directory");
    std::fs::remove_dir(&part).unwrap();
    std::fs::create_dir(&state).unwrap();
    refused("it is a directory");
    std::fs::remove_dir(&state).unwrap();
    assert!(files(&world).is_empty());

    // Links are not followed, wherever they lead, also beside a state that is right.
    world.file("mine", b"mine");
    for link in [&part, &state] {
        for target in ["mine", "nowhere"] {
            symlink(target, link).unwrap();
            refused("it is a symbolic link");
            std::fs::remove_file(link).unwrap();
        }
    }
    assert_eq!(files(&world), ["mine"]);
    assert_eq!(std::fs::read(world.home.join("mine")).unwrap(), b"mine");
    let (world, _) = interrupted(&distinct_bytes(2 * MIB));
    let mine = world.file("mine", b"mine");
    let part = world.home.join("out.part");
    for link in [symlink::<_, &std::path::PathBuf>, std::fs::hard_link] {
        std::fs::remove_file(&part).unwrap();
        link(&mine, &part).unwrap();
        save(&world).code(1).stderr_has("out.part` is in the way: ");
        assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
    }
}

#[test]
fn two_at_once_do_not_write_one_file() {
    let data = distinct_bytes(4 * MIB);
    let (world, _) = with_image(&data);
    world.images().on("GET", FILE).drip(64 * 1024, Duration::from_millis(20));
    let first = half_way(&world, &[]);
    let second = save(&world);
    second.code(1).stderr_has("error: another rimg is saving to `").stderr_has("out` at this moment\n");
    second.stderr_has("hint: wait for it, or save to another name\n");
    first.wait().ok();
    is_saved(&world, &data);
    // Whoever is first: what is there in the end is whole, and nothing else is there.
    let (world, _) = with_image(&data);
    let many: Vec<_> = (0..6).map(|_| world.rimg(["image", "save", "i", "--file", "out"]).start()).collect();
    let done = many.into_iter().map(Running::wait).filter(Outcome::succeeded).count();
    assert!(done > 0);
    is_saved(&world, &data);
}

#[test]
fn the_place_is_looked_at_before_data_is_asked_for() {
    let (world, id) = with_image(b"data");
    world.images().on("GET", "/v2/images/*").edit(|image| image["size"] = json!(1u64 << 60));
    let outcome = world.run(["image", "save", &id, "--file", "out"]);
    outcome.code(1).stderr_has("out` needs 1.00 EiB, but only ").stderr_has(" are free there\n");
    outcome.stderr_has("hint: free some space, or name a file on another disk\n");
    assert!(files(&world).is_empty());
    assert!(ranges(&world).is_empty());
    // Where nothing can be made, not even for root.
    world.run(["image", "save", &id, "--file", "/sys/out"]).code(1).stderr_has("error: cannot write in `/sys`: ");
    assert!(ranges(&world).is_empty());
}

#[test]
fn several_jobs_fetch_ranges_into_place() {
    let data = distinct_bytes(9 * MIB + 5);
    let (world, _) = with_image(&data);
    world.run(["image", "save", "i", "--file", "out", "--jobs", "4"]).ok().stderr_is("");
    let mut asked = ranges(&world);
    asked.sort();
    let quarter = (data.len() as u64).div_ceil(4);
    let wanted =
        |index: u64| format!("bytes={}-{}", index * quarter, ((index + 1) * quarter).min(data.len() as u64) - 1);
    assert_eq!(asked, (0..4).map(wanted).collect::<Vec<_>>());
    is_saved(&world, &data);

    // One that breaks is fetched again alone.
    let (world, _) = with_image(&data);
    world.images().on("GET", FILE).nth(3).close_after_answer(1000);
    world.run(["image", "save", "i", "--file", "out", "--jobs", "4"]).ok().stderr_has("; trying again in ");
    assert_eq!(ranges(&world).len(), 5);
    is_saved(&world, &data);

    // More jobs than bytes.
    let (world, _) = with_image(b"data");
    world.run(["image", "save", "i", "--file", "out", "--jobs", "16"]).ok().stderr_is("");
    is_saved(&world, b"data");

    // Other bytes are found.
    let (world, _) = with_image(&data);
    world.images().on("GET", "/v2/images").edit(|list| list["images"][0]["os_hash_value"] = json!("00"));
    world.run(["image", "save", "i", "--file", "out", "--jobs", "4"]).code(1).stderr_has("its sha512 is ");
    assert_eq!(files(&world), ["out.corrupt"]);

    // In order where it must be.
    let (world, _) = with_image(&data);
    let piped = world.run(["image", "save", "i", "--jobs", "4"]);
    piped.ok().stderr_is("note: `--jobs` is for files; this is written in the order of its bytes, by one job\n");
    assert!(piped.stdout == data);
    for jobs in ["0", "17", "-1", "x"] {
        world.run(["image", "save", "i", "--file", "out", &format!("--jobs={jobs}")]).code(2);
    }
}

/// A download by several jobs that was interrupted when all had ended but one,
/// which had 1000 bytes.
fn with_a_gap(data: &[u8], jobs: usize) -> World {
    let (world, _) = with_image(data);
    world.images().on("GET", FILE).stall_after(1000);
    let running = world.rimg(["image", "save", "i", "--file", "out", "--jobs", &jobs.to_string()]).start();
    let ended = (data.len() - data.len() / jobs) as u64;
    let begun = Instant::now();
    // The last marks are written when it is stopped.
    while there(&world) < ended && begun.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(10));
    }
    running.signal("INT");
    running.wait().code(130).stderr_has("goes on from there");
    assert_eq!(there(&world), ended + 1000);
    world
}

#[test]
fn jobs_go_on_with_the_ranges_that_are_missing() {
    let data = distinct_bytes(8 * MIB);
    let world = with_a_gap(&data, 4);
    let before = ranges(&world).len();
    // Also with one job.
    save(&world).ok().stderr_is("");
    let asked = ranges(&world).split_off(before);
    assert_eq!(asked.len(), 1, "{asked:?}");
    let missing = asked[0].strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (first, last) = (missing.0.parse::<u64>().unwrap(), missing.1.parse().unwrap_or(data.len() as u64 - 1));
    assert_eq!(last - first + 1, 2 * MIB as u64 - 1000, "only what is missing");
    is_saved(&world, &data);
}

/// Bytes that are wrong wherever something is there already.
fn wrong_where(spans: &[(usize, usize)], data: &[u8]) -> Vec<u8> {
    let mut wrong = data.to_vec();
    for &(start, end) in spans {
        wrong[start..end].iter_mut().for_each(|byte| *byte ^= 0xff);
    }
    wrong
}

#[test]
fn what_is_there_is_never_written_again() {
    let data = distinct_bytes(9 * MIB);
    // Of three ranges one is missing; the service then sends the whole, which is right only there.
    let world = with_a_gap(&data, 3);
    let state: Value = serde_json::from_slice(&std::fs::read(world.home.join("out.part.json")).unwrap()).unwrap();
    let spans: Vec<(usize, usize)> = serde_json::from_value(state["there"].clone()).unwrap();
    let wrong = wrong_where(&spans, &data);
    world.images().on("GET", FILE).times(2).whole(move |answer| answer.content = Content::Bytes(wrong.clone()));
    save(&world).ok().stderr_lacks("once more");
    is_saved(&world, &data);

    // The same within one run.
    for nth in 1..=3 {
        let (world, _) = with_image(&data);
        world.images().on("GET", FILE).nth(nth).close_after_answer(1000);
        let wrong = wrong_where(&[(0, MIB), (5 * MIB, 6 * MIB), (8 * MIB, 9 * MIB)], &data);
        world
            .images()
            .on("GET", FILE)
            .nth(3)
            .times(2)
            .whole(move |answer| answer.content = Content::Bytes(wrong.clone()));
        world.run(["image", "save", "i", "--file", "out", "--jobs", "3"]).ok();
        is_saved(&world, &data);
    }
}

#[test]
fn a_reader_that_does_not_read_stops_no_interrupt() {
    let (world, _) = with_image(&distinct_bytes(4 * MIB));
    let script = "mkfifo pipe; exec 3<>pipe; exec \"$@\" >pipe";
    let rimg = env!("CARGO_BIN_EXE_rimg");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let asked = ranges(&world).len();
        let running = world.program("/bin/sh").args(["-c", script, "sh", rimg, "image", "save", "i"]).start();
        while ranges(&world).len() == asked {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Until the pipe and all before it are full.
        std::thread::sleep(Duration::from_millis(300));
        running.signal(signal);
        running.wait().code(code).stderr_has("error: interrupted\n");
        std::fs::remove_file(world.home.join("pipe")).unwrap();
    }
}

#[test]
fn zeros_are_left_out() {
    let mut data = vec![0; 32 * MIB];
    data[..70_000].fill(1);
    data[5 * MIB + 3..5 * MIB + 9].fill(2);
    for (tail, jobs) in [(0, "1"), (3, "1"), (0, "4")] {
        data.resize(32 * MIB, 0);
        data.resize(32 * MIB + tail, 0);
        let (world, _) = with_image(&data);
        world.run(["image", "save", "i", "--file", "out", "--jobs", jobs]).ok().stderr_is("");
        is_saved(&world, &data);
        let taken = std::fs::metadata(world.home.join("out")).unwrap().blocks() * 512;
        assert!(taken < 512 * 1024, "{taken}");
        // Also by a download that was cut off in the middle of a hole.
        let (world, _) = with_image(&data);
        world.images().on("GET", FILE).close_after_answer(3 * MIB as u64 + 5);
        world.images().on("GET", FILE).answer(|| Answer::status(403));
        save(&world).code(1).stderr_has("has 3.00 MiB of ");
        save(&world).ok();
        is_saved(&world, &data);
        let taken = std::fs::metadata(world.home.join("out")).unwrap().blocks() * 512;
        assert!(taken < 512 * 1024, "{taken}");
    }
}
