//! What can go wrong with image data by Images API v1, through the real program:
//! as in faults_upload.rs and faults_download.rs, where v1 differs in what it
//! leaves behind. A broken upload kills its image, and no range is heeded.

use std::time::Duration;

use serde_json::json;

use crate::support::fault::Script;
use crate::support::http::{Content, hex};
use crate::support::{Answer, Outcome, World, distinct_bytes, each_v1};

const IMAGE: &str = "/v1/images/*";

/// A fault while an image is created, and what comes of it.
struct Case {
    name: &'static str,
    /// What goes wrong with the PUT of the data.
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
    /// How many images were made for it.
    images: usize,
}

impl Case {
    const fn new(name: &'static str, put: fn(Script)) -> Case {
        Case { name, put, also: |_| (), limit: None, code: 0, says: &[], puts: 2, images: 1 }
    }

    const fn refused(name: &'static str, put: fn(Script), says: &'static [&'static str]) -> Case {
        Case { code: 1, says, puts: 1, ..Case::new(name, put) }
    }

    fn run(&self, world: &World) {
        let data = distinct_bytes(800_000);
        world.file("x.img", &data);
        let name = world.name("i");
        if let Some(limit) = self.limit {
            world.configure(&format!("api_timeout: {limit}"));
        }
        (self.put)(world.images().on("PUT", IMAGE));
        (self.also)(world);
        let create =
            ["image", "create", &name, "--file", "x.img", "--disk-format", "raw", "-f", "value", "-c", "status"];
        let outcome = world.run(create);
        let told = format!("{}: {}", self.name, outcome.stderr());
        let all = world.all_of(&name);
        let left: Vec<_> = all.iter().filter(|image| image["status"] != "deleted").collect();
        let puts = world.images().asked("PUT", IMAGE);
        let sums: Vec<_> = puts.iter().filter(|put| put.complete).map(|put| &put.body_sha512).collect();
        assert!(sums.windows(2).all(|two| two[0] == two[1]), "each try sends the same: {told}");
        if outcome.succeeded() {
            let sum = hex(&<md5::Md5 as md5::Digest>::digest(&data));
            assert_eq!(left.len(), 1, "{told}");
            assert_eq!(
                (&left[0]["status"], &left[0]["size"], &left[0]["checksum"]),
                (&json!("active"), &json!(data.len()), &json!(sum)),
                "{told}"
            );
        } else {
            assert!(left.is_empty(), "{told}");
        }
        // When a real service notices that a client has gone is not known: until then it may take the data of the next try.
        if world.is_real() {
            return;
        }
        outcome.code(self.code).stdout_is(if self.code == 0 { "active\n" } else { "" });
        for text in self.says {
            outcome.stderr_has(text);
        }
        assert_eq!((puts.len(), world.images().asked("POST", "/v1/images").len()), (self.puts, self.images), "{told}");
    }
}

const AGAIN: &[&str] = &["note: the connection to `http://127.0.0.1:", "; trying again in 0.0 s (try 2 of 4)\n"];
const ANEW: &[&str] =
    &["; trying again in 0.0 s (try 2 of ", " was lost with its upload and is deleted; `", "` takes its place\n"];
const ALL_THE_SAME: &str = "note: the service has all of the data all the same\n";

#[test]
fn what_may_pass_is_tried_again() {
    let cases = [
        Case { says: ANEW, images: 2, ..Case::new("reset before the first byte", |put| put.reset_after_request(0)) },
        Case { says: ANEW, images: 2, ..Case::new("closed half-way", |put| put.close_after_request(400_000)) },
        Case { says: AGAIN, ..Case::new("closed before the service had any of it", |put| put.close()) },
        Case {
            puts: 1,
            says: &["note: Bad gateway (HTTP 502 bad gateway); trying again", ALL_THE_SAME],
            ..Case::new("the proxy gave up, not the service", |put| {
                put.answer_instead(|| Answer::page(502, "Bad gateway"))
            })
        },
        Case {
            says: ANEW,
            images: 2,
            limit: Some(0.5),
            ..Case::new("silence half-way", |put| put.stall_request_after(400_000))
        },
        Case {
            limit: Some(0.5),
            says: &["` was sent all of the data and has said nothing for 0.5 s; trying again"],
            ..Case::new("nobody answers", |put| put.stall())
        },
        Case { says: &["HTTP 500 "], ..Case::new("500", |put| put.answer(|| Answer::status(500))) },
        Case {
            says: &["note: Gone away (HTTP 502"],
            ..Case::new("502", |put| put.answer(|| Answer::page(502, "Gone away")))
        },
        Case {
            says: ANEW,
            images: 2,
            ..Case::new("502 half-way", |put| put.answer_within(400_000, || Answer::page(502, "Gone away")))
        },
        Case {
            says: &["HTTP 503 service unavailable; trying again in 1.0 s (try 2 of 6)\n"],
            ..Case::new("503 with Retry-After", |put| put.answer(|| Answer::status(503).header("Retry-After", "1")))
        },
        Case { says: &["HTTP 429 "], ..Case::new("429", |put| put.answer(|| Answer::status(429))) },
        Case {
            says: &["note: the token was refused under way; going on with a new one\n"],
            ..Case::new("401", |put| put.answer(|| Answer::status(401)))
        },
        Case {
            says: &[
                "note: the token was refused under way; going on with a new one\n",
                " was lost with its upload and is deleted; `",
            ],
            images: 2,
            ..Case::new("401 half-way", |put| put.answer_within(400_000, || Answer::status(401)))
        },
        Case {
            also: |world| world.images().on("HEAD", IMAGE).answer(|| Answer::status(503)),
            says: ANEW,
            images: 2,
            ..Case::new("looking at it fails too", |put| put.reset_after_request(400_000))
        },
        Case {
            puts: 1,
            also: |world| {
                world.images().on("HEAD", IMAGE).times(3).twist(|answer| status(answer, "saving"));
            },
            ..Case::new("still saving, then active", |put| put.reset_answer())
        },
    ];
    for case in cases {
        case.run(&World::served_v1());
    }
}

#[test]
fn each_service_that_loses_its_client_is_left_in_order() {
    let cases = [
        Case { says: ANEW, images: 2, ..Case::new("reset half-way", |put| put.reset_after_request(400_000)) },
        Case { puts: 1, says: &[ALL_THE_SAME], ..Case::new("only the answer was lost", |put| put.reset_answer()) },
        Case::refused(
            "413 half-way",
            |put| put.answer_within(400_000, || Answer::page(413, "Over quota")),
            &["HTTP 413"],
        ),
    ];
    for case in cases {
        each_v1(|world| case.run(world));
    }
}

/// An answer in which the image has another status.
fn status(answer: &mut Answer, status: &str) {
    edit(answer, "x-image-meta-status", status);
}

fn edit(answer: &mut Answer, name: &str, value: &str) {
    for (known, old) in &mut answer.headers {
        if known.eq_ignore_ascii_case(name) {
            value.clone_into(old);
        }
    }
}

#[test]
fn what_stays_is_said_and_nothing_is_left() {
    let cases = [
        Case::refused("400", |put| put.answer(|| Answer::page(400, "No")), &["error: No (HTTP 400"]),
        Case::refused("403", |put| put.answer_early(|| Answer::page(403, "No")), &["error: No (HTTP 403"]),
        Case::refused("404", |put| put.answer(|| Answer::page(404, "No image")), &["error: No image (HTTP 404"]),
        Case::refused("409", |put| put.answer(|| Answer::page(409, "Saving")), &["error: Saving (HTTP 409"]),
        Case::refused("413", |put| put.answer(|| Answer::page(413, "Over quota")), &["error: Over quota (HTTP 413"]),
        Case::refused(
            "413 early",
            |put| put.answer_early(|| Answer::page(413, "Over quota")),
            &["error: Over quota (HTTP 413"],
        ),
        Case {
            puts: 6,
            ..Case::refused(
                "503 always",
                |put| put.always().answer(|| Answer::status(503)),
                &["HTTP 503", "try 6, the last"],
            )
        },
        Case {
            puts: 4,
            images: 4,
            ..Case::refused(
                "reset always",
                |put| put.always().reset_after_request(10),
                &["  that was try 4, the last\n"],
            )
        },
        Case {
            puts: 3,
            ..Case::refused(
                "401 always",
                |put| put.always().answer(|| Answer::status(401)),
                &["error: the service answered HTTP 401"],
            )
        },
        Case {
            limit: Some(0.5),
            also: |world| world.images().on("HEAD", IMAGE).always().twist(|answer| status(answer, "saving")),
            ..Case::refused(
                "saving for ever",
                |put| put.reset_answer(),
                &["error: the image is still `saving` after 0.5 s\n"],
            )
        },
        Case {
            also: |world| world.images().on("HEAD", IMAGE).twist(|answer| edit(answer, "x-image-meta-checksum", "00")),
            ..Case::refused(
                "other bytes",
                |put| put.drip_request(64 << 10, Duration::ZERO),
                &["error: the image arrived damaged: the md5 of what was sent is "],
            )
        },
        Case {
            also: |world| world.images().on("HEAD", IMAGE).twist(|answer| edit(answer, "x-image-meta-size", "7")),
            ..Case::refused(
                "fewer bytes",
                |put| put.reset_answer(),
                &["error: the image arrived damaged: 800000 bytes were sent and the service has 7\n"],
            )
        },
    ];
    for case in cases {
        case.run(&World::served_v1());
    }
}

/// A fault while an image is saved, and what is said on stderr.
type Named = (&'static str, fn(Script), &'static [&'static str]);

/// What is saved is right, whatever was in the way.
fn saved(world: &World, fault: fn(Script)) -> Outcome {
    let data = distinct_bytes(800_000);
    let name = world.name("i");
    let image = world.given_image(&name, &data);
    fault(world.images().on("GET", &format!("/v1/images/{}", image["id"].as_str().unwrap())));
    let outcome = world.run(["image", "save", &name, "--file", "out"]);
    let out = std::fs::read(world.home.join("out"));
    if outcome.succeeded() {
        assert!(out.unwrap() == data, "the bytes are wrong");
    } else {
        assert!(out.is_err(), "{}", outcome.stderr());
    }
    outcome
}

#[test]
fn a_download_that_breaks_is_gone_on_with() {
    let cases: [Named; 8] = [
        ("reset at the first byte", |get| get.reset_after_answer(0), &["(try 2 of "]),
        ("closed half-way", |get| get.close_after_answer(400_000), &["(try 2 of "]),
        ("at the last byte", |get| get.close_after_answer(799_999), &["(try 2 of "]),
        // Of a connection that was used before it is not known whether the request got through: it goes out once more.
        ("no answer", |get| get.close(), &[]),
        ("503", |get| get.answer(|| Answer::status(503)), &["HTTP 503", "(try 2 of "]),
        ("502", |get| get.answer(|| Answer::page(502, "Gone away")), &["Gone away (HTTP 502"]),
        ("429", |get| get.answer(|| Answer::status(429).header("Retry-After", "1")), &["again in 1.0 s (try 2 of "]),
        ("401", |get| get.answer(|| Answer::status(401)), &[]),
    ];
    for (what, fault, says) in cases {
        let outcome = saved(&World::served_v1(), fault);
        assert!(outcome.succeeded(), "{what}: {}", outcome.stderr());
        for text in says {
            outcome.stderr_has(text);
        }
    }
}

#[test]
fn a_download_that_is_wrong_is_no_success() {
    let cases: [Named; 6] = [
        (
            "other bytes",
            |get| get.always().twist(|answer| answer.content = Content::Bytes(vec![0; 800_000])),
            &["error: the data arrived damaged: its md5 is ", "  the bytes are in `out.corrupt`\n"],
        ),
        (
            "fewer bytes",
            |get| get.always().twist(|answer| answer.content = Content::Bytes(distinct_bytes(799_000))),
            &["error: the data arrived damaged: the service sends 799000 bytes of an image of 800000\n"],
        ),
        (
            "another length",
            |get| get.content_length(7),
            &["error: the data arrived damaged: the service sends 7 bytes of an image of 800000\n"],
        ),
        ("404", |get| get.answer(|| Answer::page(404, "Gone")), &["error: Gone (HTTP 404 not found)\n"]),
        ("403", |get| get.answer(|| Answer::page(403, "No")), &["error: No (HTTP 403"]),
        ("breaks for ever", |get| get.always().close_after_answer(0), &["the last\n"]),
    ];
    for (what, fault, says) in cases {
        let outcome = saved(&World::served_v1(), fault);
        assert!(!outcome.succeeded(), "{what}: {}", outcome.stderr());
        for text in says {
            outcome.stderr_has(text);
        }
    }
}

#[test]
fn an_interrupted_create_leaves_no_image() {
    each_v1(|world| {
        let name = world.name("i");
        world.file("x.img", distinct_bytes(8 << 20));
        for (signal, code) in [("INT", 130), ("TERM", 143)] {
            let asked = world.images().asked_so_far("PUT", IMAGE);
            world.images().on("PUT", IMAGE).drip_request(64 << 10, Duration::from_millis(20));
            let running = world.rimg(["image", "create", &name, "--file", "x.img", "--disk-format", "raw"]).start();
            while world.images().asked_so_far("PUT", IMAGE) == asked {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(100));
            running.signal(signal);
            running.wait().code(code).stdout_is("").stderr_has("error: interrupted\n");
            assert!(world.all_of(&name).iter().all(|image| image["status"] == "deleted"));
        }
    });
}
