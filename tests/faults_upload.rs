//! What can go wrong while image data is sent, through the real program: the
//! exit code, what is said, what is left on the service, how often it was
//! asked, and never a success for wrong bytes.

use std::fs;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::fault::Script;
use crate::support::http::Server;
use crate::support::run::{Running, sparse_file};
use crate::support::{Answer, Outcome, Stdin, World, distinct_bytes, each_service};

const ALL_THE_SAME: &str = "note: the service has all of the data all the same\n";
const RENEWED: &str = "note: the token was refused under way; going on with a new one\n";
const SHOWS: &str = "`rimg image show ";
const FILE: &str = "/v2/images/*/file";
const IMAGE: &str = "/v2/images/*";

/// A world with a queued image `i` and a file `x.img` of so many bytes for it.
fn world(len: usize) -> (World, String) {
    let world = World::new();
    world.file("x.img", distinct_bytes(len));
    let made = world.run(["image", "create", "i", "--disk-format", "raw", "-f", "value", "-c", "id"]);
    (world, made.ok().stdout().trim().to_owned())
}

const UPLOAD: [&str; 9] = ["image", "upload", "i", "--file", "x.img", "-f", "value", "-c", "status"];

/// What the service has of the image is what is in the file, or nothing at all.
fn is_honest(world: &World, id: &str, outcome: &Outcome) {
    let image = world.image(id);
    let whole = fs::read(world.home.join("x.img")).unwrap();
    if outcome.succeeded() {
        assert_eq!((&image["status"], &image["size"]), (&json!("active"), &json!(whole.len())));
    }
    if image["status"] == "active" {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &whole);
        assert_eq!(image["os_hash_value"], crate::support::http::hex(digest.as_ref()));
    }
}

/// One line of the table: a fault while the data is sent, and what comes of it.
struct Case {
    name: &'static str,
    /// What goes wrong with the PUT.
    put: fn(Script),
    /// What goes wrong beside it.
    also: fn(&World),
    /// `api_timeout`, where the case is one of silence.
    limit: Option<f32>,
    code: i32,
    /// What is said on stderr.
    says: &'static [&'static str],
    /// How often the data was sent.
    puts: usize,
    /// The image at the end.
    status: &'static str,
}

impl Case {
    const fn new(name: &'static str, put: fn(Script)) -> Case {
        Case { name, put, also: |_| (), limit: None, code: 0, says: &[], puts: 2, status: "active" }
    }

    const fn refused(name: &'static str, put: fn(Script), says: &'static [&'static str]) -> Case {
        Case { code: 1, says, puts: 1, status: "queued", ..Case::new(name, put) }
    }

    fn run(&self, len: usize) {
        let (world, id) = world(len);
        if let Some(limit) = self.limit {
            world.configure(&format!("api_timeout: {limit}"));
        }
        (self.put)(world.images().on("PUT", FILE));
        (self.also)(&world);
        let begun = Instant::now();
        let outcome = world.run(UPLOAD);
        assert!(begun.elapsed() < Duration::from_secs(15), "{}: {:?}", self.name, begun.elapsed());
        outcome.code(self.code).stdout_is(if self.code == 0 { "active\n" } else { "" });
        for text in self.says {
            outcome.stderr_has(text);
        }
        assert_eq!(world.images().asked("PUT", FILE).len(), self.puts, "{}: {}", self.name, outcome.stderr());
        assert!(world.images().requests().len() < 40, "{}", self.name);
        assert!(world.images().asked("DELETE", IMAGE).is_empty(), "{}", self.name);
        assert_eq!(world.image(&id)["status"], self.status, "{}", self.name);
        is_honest(&world, &id, &outcome);
        let puts = world.images().asked("PUT", FILE);
        let sums: Vec<_> = puts.iter().filter(|put| put.complete).map(|put| &put.body_sha512).collect();
        assert!(sums.windows(2).all(|two| two[0] == two[1]), "{}: each try sends the same", self.name);
    }
}

#[test]
fn what_may_pass_is_tried_again() {
    let broke = &["note: the connection to `http://127.0.0.1:", "; trying again in 0.0 s (try 2 of 4)\n"];
    let cases = [
        Case { says: broke, ..Case::new("reset before the first byte", |put| put.reset_after_request(0)) },
        Case { says: broke, ..Case::new("reset half-way", |put| put.reset_after_request(400_000)) },
        Case { says: broke, ..Case::new("reset at the last byte", |put| put.reset_after_request(800_000)) },
        Case { says: broke, ..Case::new("closed half-way", |put| put.close_after_request(400_000)) },
        Case { says: broke, ..Case::new("closed at the end", |put| put.close()) },
        Case { puts: 1, says: &[ALL_THE_SAME], ..Case::new("only the answer was lost", |put| put.reset_answer()) },
        Case {
            puts: 1,
            says: &["note: Bad gateway (HTTP 502 bad gateway); trying again", ALL_THE_SAME],
            ..Case::new("the proxy gave up, not the service", |put| {
                put.answer_instead(|| Answer::page(502, "Bad gateway"))
            })
        },
        Case {
            also: |world| world.images().on("GET", IMAGE).close_after_answer(10),
            ..Case::new("the answer about the image is cut off", |put| put.reset_after_request(400_000))
        },
        Case {
            also: |world| world.images().on("GET", IMAGE).content_length(1 << 20),
            ..Case::new("the answer about the image is said to be longer", |put| put.reset_after_request(400_000))
        },
        Case {
            puts: 1,
            says: &[ALL_THE_SAME],
            ..Case::new("an answer with two lengths", |put| {
                put.answer_instead(|| Answer::page(500, "Trouble").header("Content-Length", "900"))
            })
        },
        Case { limit: Some(0.5), ..Case::new("silence half-way", |put| put.stall_request_after(400_000)) },
        Case {
            says: &["the token was refused under way; going on with a new one"],
            ..Case::new("401 half-way", |put| put.answer_within(400_000, || Answer::status(401)))
        },
        Case {
            limit: Some(0.5),
            says: &["` was sent all of the data and has said nothing for 0.5 s; trying again"],
            ..Case::new("nobody answers", |put| put.stall())
        },
        Case {
            says: &["HTTP 500 internal server error; trying again in 0.0 s (try 2 of 6)\n"],
            ..Case::new("500", |put| put.answer(|| Answer::status(500)))
        },
        Case {
            says: &["note: Gone away (HTTP 502"],
            ..Case::new("502", |put| put.answer(|| Answer::page(502, "Gone away")))
        },
        Case { says: &["HTTP 503 "], ..Case::new("503", |put| put.answer(|| Answer::status(503))) },
        Case { says: &["note: Late (HTTP 504"], ..Case::new("504", |put| put.answer(|| Answer::page(504, "Late"))) },
        Case { says: &[RENEWED], ..Case::new("401 after the data", |put| put.answer(|| Answer::status(401))) },
        Case { says: &[RENEWED], puts: 3, ..Case::new("401 twice", |put| put.times(2).answer(|| Answer::status(401))) },
        Case {
            says: &["HTTP 429 too many requests; trying again in 0.0 s (try 2 of 6)\n"],
            ..Case::new("429 without Retry-After", |put| put.answer(|| Answer::status(429)))
        },
        Case {
            says: &["HTTP 503 service unavailable; trying again in 1.0 s (try 2 of 6)\n"],
            ..Case::new("503 with Retry-After", |put| put.answer(|| Answer::status(503).header("Retry-After", "1")))
        },
        Case { puts: 3, ..Case::new("408 twice", |put| put.times(2).answer(|| Answer::status(408))) },
        Case {
            says: &["; trying again in 1.0 s (try 2 of 6)\n"],
            ..Case::new("429 with Retry-After", |put| put.answer(|| Answer::status(429).header("Retry-After", "1")))
        },
        Case {
            says: &[
                "note: cannot look at the image: the service answered HTTP 503 service unavailable; trying again in 0.0 s",
            ],
            also: |world| {
                world.configure("image_status_code_retries: 3");
                // Four for each look, as every request is repeated; then one look more.
                world.images().on("GET", IMAGE).nth(1).times(4).answer(|| Answer::status(503));
            },
            ..Case::new("looking at it fails too", |put| put.reset_after_request(10))
        },
        Case {
            also: |world| world.images().on("GET", IMAGE).times(3).edit(|image| image["status"] = "saving".into()),
            ..Case::new("still saving, then empty", |put| put.reset_after_request(10))
        },
    ];
    for case in cases {
        case.run(800_000);
    }
    // More than the system takes in for a service that does not read.
    let nobody_reads = Case {
        limit: Some(0.5),
        says: &["` has taken no data for 0.5 s; trying again"],
        ..Case::new("nobody reads", |put| put.stall_request())
    };
    nobody_reads.run(20_000_000);
    let slow = Case {
        limit: Some(1.0),
        puts: 1,
        ..Case::new("slow is not silent", |put| put.drip_request(256 << 10, Duration::from_millis(25)))
    };
    slow.run(20_000_000);
}

#[test]
fn what_stays_is_said_and_not_tried_again() {
    type Named = (&'static str, fn(Script), fn(Script), &'static [&'static str]);
    let refusals: [Named; 7] = [
        (
            "400",
            |put| put.answer(|| Answer::page(400, "No")),
            |put| put.answer_early(|| Answer::page(400, "No")),
            &["error: No (HTTP 400"],
        ),
        (
            "403",
            |put| put.answer(|| Answer::page(403, "No")),
            |put| put.answer_early(|| Answer::page(403, "No")),
            &["error: No (HTTP 403"],
        ),
        (
            "404",
            |put| put.answer(|| Answer::page(404, "No image")),
            |put| put.answer_early(|| Answer::page(404, "No image")),
            &["error: No image (HTTP 404", SHOWS],
        ),
        (
            "409",
            |put| put.answer(|| Answer::page(409, "Saving already")),
            |put| put.answer_early(|| Answer::page(409, "Saving already")),
            &["error: Saving already (HTTP 409", "hint: somebody else may have sent data: ", SHOWS],
        ),
        (
            "410",
            |put| put.answer(|| Answer::page(410, "Deleted")),
            |put| put.answer_early(|| Answer::page(410, "Deleted")),
            &["error: Deleted (HTTP 410", SHOWS],
        ),
        (
            "413",
            |put| put.answer(|| Answer::page(413, "Over quota")),
            |put| put.answer_early(|| Answer::page(413, "Over quota")),
            &["error: Over quota (HTTP 413", "hint: `rimg image usage` shows the quotas"],
        ),
        (
            "415",
            |put| put.answer(|| Answer::page(415, "Not raw")),
            |put| put.answer_early(|| Answer::page(415, "Not raw")),
            &["error: Not raw (HTTP 415", "name its true format with `--disk-format`"],
        ),
    ];
    for (name, late, early, says) in refusals {
        Case::refused(name, late, says).run(800_000);
        Case::refused(name, early, says).run(1000);
    }
    let cases = [
        Case {
            puts: 4,
            ..Case::refused(
                "reset always",
                |put| put.always().reset_after_request(10),
                &["  that was try 4, the last\n"],
            )
        },
        Case {
            puts: 6,
            ..Case::refused(
                "503 always",
                |put| put.always().answer(|| Answer::status(503)),
                &["HTTP 503", "try 6, the last"],
            )
        },
        Case {
            puts: 3,
            ..Case::refused(
                "401 always",
                |put| put.always().answer(|| Answer::status(401)),
                &["error: the service answered HTTP 401", RENEWED],
            )
        },
        Case::refused(
            "503 for an hour",
            |put| put.answer(|| Answer::status(503).header("Retry-After", "3600")),
            &["hint: the service asks to wait 60 min before the next try\n"],
        ),
        Case {
            also: |world| world.configure("image_connect_retries: 0"),
            ..Case::refused("no retries wanted", |put| put.reset_after_request(10), &["error: the connection to"])
        },
        Case {
            also: |world| world.images().on("GET", IMAGE).edit(|image| image["status"] = "killed".into()),
            ..Case::refused(
                "killed",
                |put| put.reset_after_request(10),
                &["error: the connection to", "  the image did not become active: it is `killed`\n"],
            )
        },
        Case {
            also: |world| world.images().on("GET", IMAGE).answer(|| Answer::status(404)),
            ..Case::refused(
                "deleted",
                |put| put.reset_after_request(10),
                &["error: the image was deleted while its data was sent\n"],
            )
        },
        Case {
            limit: Some(0.5),
            status: "saving",
            also: |world| world.images().on("GET", IMAGE).always().edit(|image| image["status"] = "saving".into()),
            ..Case::refused(
                "saving for ever",
                |put| put.reset_after_request(10),
                &[
                    "error: the image is still `saving` after 0.5 s\n",
                    "`api_timeout` in clouds.yaml sets another limit",
                ],
            )
        },
        Case {
            also: |world| world.images().on("GET", IMAGE).times(6).answer(|| Answer::status(500)),
            ..Case::refused(
                "nobody knows",
                |put| put.reset_after_request(10),
                &["error: the service answered HTTP 500", "note: cannot look at the image: "],
            )
        },
    ];
    for case in cases {
        case.run(800_000);
    }
}

#[test]
fn an_early_refusal_of_much_data_is_never_a_success() {
    for status in [403, 404, 409, 410, 413, 415] {
        let (world, id) = world(1);
        sparse_file(&world.home.join("x.img"), 48 << 20).unwrap();
        world.images().on("PUT", FILE).always().answer_early(move || Answer::page(status, "Not now"));
        let outcome = world.run(UPLOAD);
        // The answer, or the reset that often comes in its place.
        outcome.code(1).stdout_is("");
        // Its page may be lost, too.
        let (said, refused) = (outcome.stderr(), format!("HTTP {status} "));
        assert!(said.contains(&refused) || said.contains("that was try 4, the last"), "{said}");
        assert!(world.images().asked("PUT", FILE).len() <= 4);
        assert_eq!(world.image(&id)["status"], "queued");
    }
}

#[test]
fn a_redirect_takes_neither_the_data_nor_the_token_to_another_host() {
    for status in [301, 302, 307, 308] {
        let elsewhere = Server::start(None, |_, _| Answer::status(204));
        let (world, id) = world(300_000);
        world.images().on("PUT", FILE).redirect(status, &format!("{}/there", elsewhere.url()));
        world.run(UPLOAD).code(1).stdout_is("").stderr_has("/there`, where this request is not sent again\n");
        assert!(elsewhere.requests().is_empty());
        assert_eq!(world.image(&id)["status"], "queued");
    }
}

#[test]
fn wrong_bytes_on_the_service_are_never_a_success() {
    for (field, value, says) in [
        ("size", json!(7), "error: the image arrived damaged: 1000 bytes were sent and the service has 7\n"),
        ("os_hash_value", json!("00"), "error: the image arrived damaged: the sha512 of what was sent is "),
    ] {
        for lost in [false, true] {
            let (world, _) = world(1000);
            if lost {
                world.images().on("PUT", FILE).reset_answer();
            }
            let value = value.clone();
            world.images().on("GET", IMAGE).edit(move |image| image[field] = value.clone());
            world.run(UPLOAD).code(1).stdout_is("").stderr_has(says);
            assert_eq!(world.images().asked("PUT", FILE).len(), 1);
        }
    }
}

#[test]
fn what_is_said_to_be_there_without_a_size_or_a_digest_is_no_success() {
    for more in [None, Some("--no-verify")] {
        let (world, id) = world(1000);
        world.images().on("PUT", FILE).answer(|| Answer::status(204));
        world.images().on("GET", IMAGE).edit(|image| image["status"] = "active".into());
        let outcome = world.run(UPLOAD.iter().chain(&more));
        outcome
            .code(1)
            .stdout_is("")
            .stderr_has("error: the service says that the image is `active`, but not how much");
        assert_eq!(world.image(&id)["status"], "queued");
    }
    // Old services never say how much was staged.
    let (world, _) = world(1000);
    world.images().on("GET", IMAGE).edit(|image| image["size"] = Value::Null);
    let staged = world.run(["image", "stage", "i", "--file", "x.img"]);
    staged
        .ok()
        .stderr_is("warning: the service does not say how much data it has, so nothing of it could be compared\n");
}

#[test]
fn without_verification_the_size_alone_is_compared_and_that_is_said() {
    let no_verify = |world: &World| world.run(UPLOAD.iter().chain(&["--no-verify"]));
    let note = "note: the digest was not verified: only the size, 1000 bytes, was compared\n";
    let (world, _) = world(1000);
    world.images().on("GET", IMAGE).edit(|image| image["os_hash_value"] = "00".into());
    no_verify(&world).ok().stdout_is("active\n").stderr_is(note);
    let create = ["image", "create", "j", "--file", "x.img", "--disk-format", "raw", "--no-verify"];
    world.run(create).ok().stderr_is(note);
    world.images().on("GET", IMAGE).edit(|image| image["size"] = 7.into());
    world.run(create).code(1).stderr_has("1000 bytes were sent and the service has 7\n").stderr_lacks("not verified");
    let without = world.run(["image", "create", "j", "--no-verify"]);
    without.code(1).stderr_has("error: `--no-verify` needs image data\n");
}

#[test]
fn a_pipe_is_sent_once() {
    // So much that the length is not known: it cannot be kept.
    let (world, id) = world(2_000_000);
    let piped = || {
        let data = fs::read(world.home.join("x.img")).unwrap();
        world.rimg(["image", "upload", "i", "-f", "value", "-c", "status"]).stdin(Stdin::Bytes(data)).run()
    };
    world.images().on("PUT", FILE).reset_after_request(1_000_000);
    let outcome = piped();
    outcome
        .code(1)
        .stdout_is("")
        .stderr_has("; asking what became of the image in 0.0 s\n")
        .stderr_has("error: `stdin` cannot be read twice\n");
    outcome.stderr_has("hint: put the data into a file and name it with `--file`: ");
    assert_eq!(world.images().asked("PUT", FILE).len(), 1);
    assert_eq!(world.image(&id)["status"], "queued");
    // The answer alone was lost.
    world.images().on("PUT", FILE).reset_answer();
    let outcome = piped();
    outcome.ok().stdout_is("active\n").stderr_has(ALL_THE_SAME);
    is_honest(&world, &id, &outcome);
}

#[test]
fn a_short_pipe_is_kept_and_sent_again() {
    let (world, id) = world(300_000);
    world.images().on("PUT", FILE).reset_after_request(100_000);
    let data = fs::read(world.home.join("x.img")).unwrap();
    let outcome = world.rimg(["image", "upload", "i"]).stdin(Stdin::Bytes(data)).run();
    outcome.ok().stderr_has("trying again");
    assert_eq!(world.images().asked("PUT", FILE).len(), 2);
    is_honest(&world, &id, &outcome);
}

#[test]
fn a_pipe_that_gives_nothing_for_long_is_waited_for() {
    let (world, _) = world(1);
    world.configure("api_timeout: 0.4");
    let pieces = vec![vec![1; 1_500_000], vec![2; 1000]];
    let slow = Stdin::Slow { pieces, pause: Duration::from_millis(1500) };
    world.rimg(["image", "upload", "i", "-f", "value", "-c", "size"]).stdin(slow).run().ok().stdout_is("1501000\n");
}

/// More than the system takes in for a service that does not read, in bytes.
const LARGE: usize = 16 << 20;

/// Starts to upload that much to a service that reads slowly, changes something
/// when it has begun, and waits for the end.
fn upload_and(args: &[&str], change: impl FnOnce(&World, &Running)) -> (World, Outcome) {
    let world = World::new();
    world.file("x.img", distinct_bytes(LARGE));
    world.run(["image", "create", "i", "--disk-format", "raw"]).ok();
    world.images().on("PUT", FILE).drip_request(256 << 10, Duration::from_millis(20));
    let running = world.rimg(args).start();
    let begun = Instant::now();
    let sending = || world.all_of("i").iter().any(|image| image["status"] == "saving");
    while !sending() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    change(&world, &running);
    (world, running.wait())
}

#[test]
fn a_source_that_changes_under_way_is_an_error() {
    let grow = |world: &World, _: &Running| {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).open(world.home.join("x.img")).unwrap();
        file.write_all(b"more").unwrap();
    };
    let shrink = |world: &World, _: &Running| {
        let file = fs::OpenOptions::new().write(true).open(world.home.join("x.img")).unwrap();
        file.set_len(5 << 20).unwrap();
    };
    let (world, grown) = upload_and(&UPLOAD, grow);
    grown.code(1).stdout_is("").stderr_is("error: cannot read `x.img`: it changed while it was being read\n");
    assert_eq!(world.images().asked("PUT", FILE).len(), 1);
    assert_eq!(world.all_of("i")[0]["status"], "queued");
    let (world, shrunk) = upload_and(&UPLOAD, shrink);
    shrunk
        .code(1)
        .stdout_is("")
        .stderr_has("error: cannot read `x.img`: it ended after ")
        .stderr_has(" of 16777216 bytes\n");
    assert_eq!(world.images().asked("PUT", FILE).len(), 1);
    assert_eq!(world.all_of("i")[0]["status"], "queued");
}

#[test]
fn a_source_that_is_replaced_or_vanishes_is_sent_as_it_was() {
    let warning = "warning: `x.img` is another file by now: the image has what it was at the beginning\n";
    let digest = |bytes: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes);
        crate::support::http::hex(digest.as_ref())
    };
    let replace = |world: &World, _: &Running| {
        world.file("y.img", b"other");
        fs::rename(world.home.join("y.img"), world.home.join("x.img")).unwrap();
    };
    let vanish = |world: &World, _: &Running| fs::remove_file(world.home.join("x.img")).unwrap();
    for outcome in [upload_and(&UPLOAD, replace), upload_and(&UPLOAD, vanish)] {
        outcome.1.ok().stdout_is("active\n").stderr_is(warning);
        assert_eq!(outcome.0.all_of("i")[0]["os_hash_value"], digest(&distinct_bytes(LARGE)));
    }
}

#[test]
fn signals_half_way() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let create = ["image", "create", "i", "--file", "x.img", "--disk-format", "raw"];
        let (world, ended) = upload_and(&create, |_, running| running.signal(signal));
        ended.code(code).stdout_is("").stderr_is(&format!("{}error: interrupted\n", removing(&world)));
        assert_eq!(world.all_of("i").len(), 1, "only the one that was there before");
        // What was there before stays.
        let (world, ended) = upload_and(&UPLOAD, |_, running| running.signal(signal));
        ended.code(code).stdout_is("").stderr_is("error: interrupted\n");
        assert!(world.images().asked("DELETE", IMAGE).is_empty());
        let keep = create.into_iter().chain(["--keep-on-failure"]).collect::<Vec<_>>();
        let (world, ended) = upload_and(&keep, |_, running| running.signal(signal));
        ended.code(code).stdout_is("");
        let id = world.all_of("i")[0]["id"].as_str().unwrap().to_owned();
        ended.stderr_is(&format!(
            "note: looking at what became of the image `{id}`; interrupt again to stop at once\n\
             error: interrupted\n  the image `{id}` is kept: it is `queued`\n\
             hint: go on with `rimg image upload {id} --file x.img`\n"
        ));
        world.run(["image", "upload", &id, "--file", "x.img"]).ok();
    }
    // Nobody can clean up after this one; the image can be used all the same.
    let (world, ended) = upload_and(&UPLOAD, |_, running| running.signal("KILL"));
    assert!(!ended.succeeded());
    let begun = Instant::now();
    while world.all_of("i")[0]["status"] != "queued" {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    world.run(UPLOAD).ok().stdout_is("active\n");
}

/// What is said when the image made last is removed after an interrupt.
fn removing(world: &World) -> String {
    let made = world.images().asked("POST", "/v2/images");
    let id = made.last().unwrap().json()["id"].as_str().unwrap().to_owned();
    format!("note: removing the image `{id}`; interrupt again to stop at once\n")
}

#[test]
fn a_second_signal_ends_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let create = ["image", "create", "i", "--file", "x.img", "--disk-format", "raw"];
        let (world, ended) = upload_and(&create, |world, running| {
            world.images().on("DELETE", IMAGE).stall();
            running.signal(signal);
            while world.images().asked("DELETE", IMAGE).is_empty() {}
            running.signal(signal);
        });
        ended.code(code).stdout_is("").stderr_is(&removing(&world));
    }
    let quiet = ["-q", "image", "create", "i", "--file", "x.img", "--disk-format", "raw"];
    upload_and(&quiet, |_, running| running.signal("INT")).1.code(130).stderr_is("error: interrupted\n");
}

const CREATE: [&str; 11] =
    ["image", "create", "new", "--file", "x.img", "--disk-format", "raw", "-f", "value", "-c", "status"];

#[test]
fn a_create_that_got_no_answer_makes_one_image() {
    type Fault = fn(Script);
    let cases: [(&str, Fault, usize, &str); 6] = [
        ("lost before", |post| post.reset_after_request(0), 2, "; trying again in 0.0 s (try 2 of 4)\n"),
        ("answer lost", |post| post.reset_answer(), 1, "` was created all the same\n"),
        ("proxy gave up", |post| post.answer_instead(|| Answer::page(504, "Late")), 1, "` was created all the same\n"),
        ("502, not done", |post| post.answer(|| Answer::page(502, "No")), 2, "note: No (HTTP 502"),
        ("503", |post| post.answer(|| Answer::status(503)), 2, "HTTP 503"),
        ("429", |post| post.answer(|| Answer::status(429)), 2, "HTTP 429"),
    ];
    for (name, fault, posts, says) in cases {
        let (world, _) = world(1000);
        fault(world.images().on("POST", "/v2/images").nth(1));
        world.run(CREATE).ok().stdout_is("active\n").stderr_has(says);
        let asked = world.images().asked("POST", "/v2/images");
        // One of them is for the image that is there before.
        assert_eq!(asked.len(), posts + 1, "{name}");
        let ids: Vec<_> =
            asked[1..].iter().filter(|post| post.complete).map(|post| post.json()["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0] && id.is_string()), "{name}: {ids:?}");
        assert_eq!(world.all_of("new").len(), 1, "{name}");
    }
    // A status that says it was not carried out, of who does not know: what then is in the way is our own.
    for status in [401, 409, 503] {
        let (world, _) = world(1000);
        world.images().on("POST", "/v2/images").answer_instead(move || Answer::status(status));
        world.run(CREATE).ok().stdout_is("active\n").stderr_has("` was created all the same\n");
        assert_eq!(world.all_of("new").len(), 1, "{status}");
    }
    // In trouble for good: nothing stays.
    let (world, _) = world(1000);
    world.images().on("POST", "/v2/images").times(5).reset_after_request(0);
    world.run(CREATE).code(1).stderr_has("that was try 4, the last\n").stderr_lacks("could not be deleted");
    assert_eq!(world.images().asked("POST", "/v2/images").len(), 5);
    assert!(world.all_of("new").is_empty());
}

#[test]
fn what_was_refused_and_made_all_the_same_does_not_stay() {
    let (world, _) = world(1000);
    world.images().on("POST", "/v2/images").answer_instead(|| Answer::page(403, "No"));
    world.run(CREATE).code(1).stdout_is("").stderr_is("error: No (HTTP 403 forbidden)\n");
    assert!(world.all_of("new").is_empty());
    world.images().on("POST", "/v2/images").answer_instead(|| Answer::page(403, "No"));
    world.images().on("GET", IMAGE).times(2).close();
    let unknown = world.run(CREATE);
    unknown.code(1).stderr_has("error: No (HTTP 403 forbidden)\n  whether an image `");
    unknown.stderr_has("` was made all the same is not known: the connection to ");
}

#[test]
fn a_create_that_fails_leaves_no_image_whatever_the_fault() {
    type Fault = fn(Script);
    let faults: [(&str, Fault); 9] = [
        ("reset always", |put| put.always().reset_after_request(10)),
        ("closed always", |put| put.always().close()),
        ("400", |put| put.answer(|| Answer::page(400, "No"))),
        ("403", |put| put.answer(|| Answer::page(403, "No"))),
        ("409", |put| put.answer(|| Answer::page(409, "No"))),
        ("410", |put| put.answer(|| Answer::page(410, "No"))),
        ("413", |put| put.answer(|| Answer::page(413, "No"))),
        ("415", |put| put.answer(|| Answer::page(415, "No"))),
        ("503 always", |put| put.always().answer(|| Answer::status(503))),
    ];
    for (name, fault) in faults {
        let (world, _) = world(800_000);
        fault(world.images().on("PUT", FILE));
        world.run(CREATE).code(1).stdout_is("").stderr_lacks("could not be deleted");
        assert!(world.all_of("new").is_empty(), "{name}");
    }
    // What may pass leaves one, and no other.
    let faults: [(&str, Fault); 3] = [
        ("reset half-way", |put| put.reset_after_request(400_000)),
        ("answer lost", |put| put.reset_answer()),
        ("503", |put| put.answer(|| Answer::status(503))),
    ];
    for (name, fault) in faults {
        let (world, _) = world(800_000);
        fault(world.images().on("PUT", FILE));
        world.run(CREATE).ok().stdout_is("active\n");
        assert_eq!(world.all_of("new").len(), 1, "{name}");
    }
}

#[test]
fn a_create_that_was_killed_can_be_given_again() {
    let create = ["image", "create", "i", "--file", "x.img", "--disk-format", "raw", "-f", "value", "-c", "id"];
    let (world, killed) = upload_and(&create, |_, running| running.signal("KILL"));
    assert!(!killed.succeeded());
    // Nobody could clean up: what is left is there beside the new one, and takes no harm.
    let again = world.run(create);
    let id = again.ok().stdout().trim().to_owned();
    is_honest(&world, &id, &again);
    let active = world.all_of("i").iter().filter(|image| image["status"] == "active").count();
    assert_eq!(active, 1);
}

#[test]
fn an_image_of_a_given_id_is_never_taken_for_ours() {
    let (world, id) = world(1000);
    let create: Vec<&str> = CREATE.into_iter().chain(["--id", &id]).collect();
    let there = world.run(&create);
    there.code(1).stdout_is("").stderr_has(&format!("error: Image ID {id} already exists! (HTTP 409 conflict)\n"));
    world.images().on("POST", "/v2/images").reset_answer();
    world.run(&create).code(1).stdout_is("").stderr_has(&format!(
        "  an image `{id}` is there; whether this command made it is not known\n\
         hint: `rimg image show {id}` tells what it is\n"
    ));
    assert_eq!(world.image(&id)["status"], "queued");
    assert!(world.images().asked("DELETE", IMAGE).is_empty() && world.images().asked("PUT", FILE).is_empty());
}

#[test]
fn an_interrupted_create_leaves_no_record() {
    let given = "1bea47ed-f6a9-463b-b423-14b9cca9ad27";
    let empty = ["image", "create", "new", "--disk-format", "raw"];
    let with_id: Vec<&str> = CREATE.into_iter().chain(["--id", given]).collect();
    for (create, stall) in [(&CREATE[..], true), (&CREATE[..], false), (&empty[..], false), (&with_id[..], false)] {
        let (world, _) = world(1000);
        let post = world.images().on("POST", "/v2/images");
        match stall {
            true => post.stall(),
            // The record is made while rimg waits for the answer.
            false => post.answer_slowly(Duration::from_secs(4)),
        }
        let running = world.rimg(create).start();
        while world.images().asked_so_far("POST", "/v2/images") < 2 {
            thread::sleep(Duration::from_millis(5));
        }
        running.signal("INT");
        let ended = running.wait();
        let asked = world.images().asked("POST", "/v2/images");
        let id = asked.last().unwrap().json()["id"].as_str().unwrap().to_owned();
        let may = match stall {
            true => format!(
                "  an image `{id}` may still appear, as the service has not said what became of the request to make \
                 it: `rimg image delete {id}` deletes it then\n"
            ),
            false => String::new(),
        };
        ended.code(130).stdout_is("").stderr_is(&format!(
            "note: waiting to hear whether the image `{id}` was made; interrupt again to stop at once\n\
             {}error: interrupted\n{may}",
            removing(&world)
        ));
        assert!(world.all_of("new").is_empty());
    }
}

#[test]
fn a_failed_create_is_kept_where_asked_with_the_command_to_go_on() {
    let (world, _) = world(1000);
    world.file("a b.img", distinct_bytes(1000));
    let create = ["image", "create", "new", "--file", "a b.img", "--disk-format", "raw", "--keep-on-failure"];
    world.images().on("PUT", FILE).answer(|| Answer::page(403, "No"));
    let kept = world.run(create);
    let id = world.all_of("new")[0]["id"].as_str().unwrap().to_owned();
    kept.code(1).stdout_is("").stderr_is(&format!(
        "error: No (HTTP 403 forbidden)\n  the image `{id}` is kept: it is `queued`\n\
         hint: go on with `rimg image upload {id} --file 'a b.img'`\n"
    ));
    assert!(world.images().asked("DELETE", IMAGE).is_empty());
    world.run(["image", "upload", &id, "--file", "a b.img"]).ok();
    // What was said of the data is said again.
    world.images().on("PUT", FILE).answer(|| Answer::page(403, "No"));
    let more = ["--force-format", "--no-verify", "--size", "1000"];
    let kept = world.run(create.iter().chain(&more));
    let hint = " --file 'a b.img' --force-format --size 1000 --no-verify`\n";
    kept.code(1).stderr_has("hint: go on with `rimg image upload ").stderr_has(hint);
    // Nothing to go on with: the data is there, and wrong.
    world.images().on("GET", IMAGE).edit(|image| image["os_hash_value"] = "00".into());
    world
        .run(create)
        .code(1)
        .stderr_has("is kept: it is `active`\n")
        .stderr_has("; then delete it with `rimg image delete ");
    let without = world.run(["image", "create", "j", "--keep-on-failure"]);
    without.code(1).stderr_has("error: `--keep-on-failure` needs image data\n");
}

#[test]
fn staging_follows_the_same_rules() {
    const STAGE: &str = "/v2/images/*/stage";
    let stage = ["image", "stage", "i", "--file", "x.img"];
    type Fault = fn(Script);
    let cases: [(&str, Fault, usize, &str); 4] = [
        ("reset", |put| put.reset_after_request(100), 2, "trying again"),
        ("answer lost", |put| put.reset_answer(), 1, ALL_THE_SAME),
        ("502", |put| put.answer_instead(|| Answer::page(502, "No")), 1, ALL_THE_SAME),
        ("503", |put| put.answer(|| Answer::status(503)), 2, "trying again"),
    ];
    for (name, fault, puts, says) in cases {
        let (world, id) = world(300_000);
        fault(world.images().on("PUT", STAGE));
        world.run(stage).ok().stderr_has(says);
        assert_eq!(world.images().asked("PUT", STAGE).len(), puts, "{name}");
        let image = world.image(&id);
        assert_eq!((&image["status"], &image["size"]), (&json!("uploading"), &json!(300_000)), "{name}");
    }
    // Not all there yet: an image that takes data in looks like one that has it, but for its size.
    let (world, _) = world(1000);
    world.images().on("PUT", STAGE).answer_instead(|| Answer::page(504, "Late"));
    world.images().on("GET", IMAGE).times(2).edit(|image| image["size"] = Value::Null);
    world.run(stage).ok().stderr_has(ALL_THE_SAME);
    assert_eq!(world.images().asked("GET", IMAGE).len(), 3);
    // An empty file is told in the words of the command at hand.
    world.file("empty", b"");
    for command in ["stage", "upload"] {
        world.run(["image", command, "i", "--file", "empty"]).code(1).stderr_is(
            "error: `empty` is empty: there is no image in it\nhint: name the file that has the image's data\n",
        );
    }
}

#[test]
fn a_quota_that_is_too_small_is_said_before_anything_is_created() {
    let (world, _) = world(1);
    sparse_file(&world.home.join("large.img"), 100 << 20).unwrap();
    let usage = |size: i64, uploading: i64| {
        json!({"usage": {
            "image_size_total": {"limit": size, "usage": 950},
            "image_count_uploading": {"limit": uploading, "usage": 3},
        }})
    };
    let create = ["image", "create", "new", "--file", "large.img", "--disk-format", "raw"];
    world.images().on("GET", "/v2/info/usage").answer(move || Answer::json(200, &usage(1000, -1)));
    world.run(create).code(1).stdout_is("").stderr_is(
        "error: `large.img` has 100 MiB, and the quota `image_size_total` leaves 50 MiB of 1000 MiB\n\
         hint: delete images that are no longer needed, or ask who runs the cloud for more; `rimg image usage` shows the quotas\n",
    );
    world.images().on("GET", "/v2/info/usage").answer(move || Answer::json(200, &usage(-1, 3)));
    world.run(create).code(1).stderr_has("error: 3 images of the project take in data already");
    assert!(world.all_of("new").is_empty() && world.images().asked("PUT", FILE).is_empty());
    // Room enough, or nobody tells.
    world.images().on("GET", "/v2/info/usage").answer(move || Answer::json(200, &usage(1050, -1)));
    world.run(create).ok().stderr_is("");
    for status in [403, 404, 500] {
        world.images().on("GET", "/v2/info/usage").answer(move || Answer::status(status));
        world.run(create).ok().stderr_is("");
    }
    // Little data is not worth the question.
    world.run(CREATE).ok();
    assert_eq!(world.images().asked("GET", "/v2/info/usage").len(), 6);
}

#[test]
fn a_kept_image_takes_its_data_on_every_service() {
    each_service(|world| {
        let name = world.name("kept");
        let pieces = vec![vec![5; 64 << 10]; 4000];
        let slow = Stdin::Slow { pieces, pause: Duration::from_millis(5) };
        let create = ["image", "create", &name, "--disk-format", "raw", "--keep-on-failure"];
        let running = world.rimg(create).stdin(slow).start();
        while !world.all_images().iter().any(|image| image["status"] == "saving") {
            thread::sleep(Duration::from_millis(50));
        }
        running.signal("TERM");
        let ended = running.wait();
        let id = world.all_images()[0]["id"].as_str().unwrap().to_owned();
        ended.code(143).stdout_is("").stderr_has(&format!("  the image `{id}` is kept: it is `queued`\n"));
        ended.stderr_has(&format!("hint: go on with `rimg image upload {id} --file FILE`\n"));
        world.file("x.img", distinct_bytes(3_000_000));
        let uploaded = world.run(["image", "upload", &id, "--file", "x.img", "-f", "value", "-c", "size"]);
        uploaded.ok().stdout_is("3000000\n").stderr_is("");
    });
}

#[test]
fn a_refused_token_before_and_under_way() {
    let (world, id) = world(1000);
    world.images().on("PUT", FILE).answer_early(|| Answer::status(401));
    let outcome = world.run(UPLOAD);
    outcome.ok().stderr_is(RENEWED);
    is_honest(&world, &id, &outcome);
    // All tokens are withdrawn while the data is sent: looking at the image needs a new one too.
    let (world, outcome) = upload_and(&UPLOAD, |world, _| world.expire_tokens());
    outcome.ok().stdout_is("active\n").stderr_is("");
    assert_eq!(world.images().asked("PUT", FILE).len(), 1);
}

#[test]
fn a_token_that_may_not_outlast_a_pipe_is_renewed_before_it_is_read() {
    let warning = " and how long this upload takes is not known\n";
    // How old it is and how long it lasts, in minutes; how often it comes; what comes of that.
    for (age, life, times, sign_ins, said) in
        [(50, 30, 1, 2, None), (50, 5, 2, 2, Some(warning)), (0, 30, 1, 1, None), (0, 5, 1, 1, Some(warning))]
    {
        let (world, _) = world(2_000_000);
        let at = |minutes: i64| {
            let time = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
            serde_json::Value::from(time.to_string())
        };
        let (issued, expires) = (at(-age), at(life));
        world.identity().on("POST", "/v3/auth/tokens").times(times).edit(move |answer| {
            answer["token"]["issued_at"] = issued.clone();
            answer["token"]["expires_at"] = expires.clone();
        });
        let before = world.identity().asked("POST", "/v3/auth/tokens").len();
        let data = Stdin::Bytes(fs::read(world.home.join("x.img")).unwrap());
        let outcome = world.rimg(["image", "upload", "i", "--no-token-cache"]).stdin(data).run();
        outcome.ok().stderr_has(said.unwrap_or(""));
        assert_eq!(outcome.stderr().is_empty(), said.is_none(), "{}", outcome.stderr());
        assert_eq!(world.identity().asked("POST", "/v3/auth/tokens").len() - before, sign_ins, "{age} {life}");
    }
}

#[test]
fn a_block_device_is_sent_as_a_file_is() {
    let (world, id) = world(1 << 20);
    let losetup = |args: &[&str]| std::process::Command::new("losetup").args(args).current_dir(&world.home).output();
    let device = match losetup(&["--find", "--show", "x.img"]) {
        Ok(made) if made.status.success() => String::from_utf8(made.stdout).unwrap().trim().to_owned(),
        // Not `eprint!`: the test harness would swallow it.
        _ => return std::io::stderr().write_all(b"not run: there is no loop device to be had here\n").unwrap(),
    };
    world.images().on("PUT", FILE).reset_after_request(400_000);
    let sent = world.run(["image", "upload", "i", "--file", &device, "--no-token-cache"]);
    losetup(&["--detach", &device]).unwrap();
    sent.ok().stderr_has("; trying again in ");
    let puts = world.images().asked("PUT", FILE);
    assert_eq!((puts.len(), puts[1].request.header("content-length")), (2, Some("1048576")));
    is_honest(&world, &id, &sent);
}

#[test]
fn a_token_that_would_not_last_is_renewed_before_the_data_is_sent() {
    for (short, sign_ins, said) in [(1, 2, ""), (2, 2, "warning: the token is good for another 4")] {
        let (world, _) = world(1000);
        let soon = (jiff::Timestamp::now() + Duration::from_secs(45)).to_string();
        world.identity().on("POST", "/v3/auth/tokens").times(short).edit(move |answer| {
            answer["token"]["expires_at"] = soon.clone().into();
        });
        let before = world.identity().asked("POST", "/v3/auth/tokens").len();
        let outcome = world.run(UPLOAD.iter().chain(&["--no-token-cache"]));
        outcome.ok().stdout_is("active\n").stderr_has(said);
        assert_eq!(world.identity().asked("POST", "/v3/auth/tokens").len() - before, sign_ins);
        assert_eq!(outcome.stderr().is_empty(), said.is_empty(), "{}", outcome.stderr());
    }
}
