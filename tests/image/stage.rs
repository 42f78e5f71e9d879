//! `rimg image stage`

use serde_json::json;

use crate::support::{Answer, Stdin, World, each_service};

#[test]
fn data_is_staged_from_a_file_or_a_pipe() {
    each_service(|world| {
        world.file("x.img", vec![7; 300_000]);
        for (from, stdin) in [(&["--file", "x.img"][..], None), (&["--size", "4"], Some(b"data".to_vec()))] {
            let name = world.name(from[0]);
            let name = name.trim_start_matches('-');
            let made = world.run(["image", "create", name, "--disk-format", "raw", "-f", "value", "-c", "id"]);
            let id = made.ok().stdout().trim().to_owned();
            let size = stdin.as_ref().map_or(300_000, Vec::len);
            let run = world.rimg(["image", "stage", name].iter().chain(from));
            let staged = match stdin {
                Some(bytes) => run.stdin(Stdin::Bytes(bytes)).run(),
                None => run.run(),
            };
            staged.ok().stdout_is("").stderr_is("");
            let image = world.image(&id);
            assert_eq!((&image["status"], &image["size"]), (&json!("uploading"), &json!(size)));
        }
    });
}

#[test]
fn what_cannot_be_staged_is_said_before_anything_is_sent() {
    let world = World::new();
    world.file("x.img", b"raw bytes");
    // A qcow2 of 1 MiB without data, for a raw image.
    let mut qcow2 = vec![0; 128 * 1024];
    qcow2[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    for (at, byte) in [(23, 16), (29, 16), (39, 1), (45, 3), (53, 1), (59, 1), (99, 4), (103, 104)] {
        qcow2[at] = byte;
    }
    world.file("y.img", qcow2);
    let none = "error: there is no image data\nhint: name a file with `--file`, or pipe the data in\n";
    world.run(["image", "stage", "i"]).code(1).stderr_is(none);
    world.run(["image", "stage", "i", "--file", "no-such"]).code(1).stderr_has("cannot read `no-such`");
    world.run(["image", "stage", "i", "--file", "x.img", "--size", "3"]).code(1).stderr_has("x.img");
    assert!(world.images().requests().is_empty() && world.identity().requests().is_empty());
    world.given_image("active", b"data");
    let active = world.run(["image", "stage", "active", "--file", "x.img"]);
    active.code(1).stderr_has("error: only a queued image can be staged, and `").stderr_has("` is `active`\n");
    world.run(["image", "create", "raw", "--disk-format", "raw"]).ok();
    let stage = ["image", "stage", "raw", "--file", "y.img"];
    world
        .run(stage)
        .code(1)
        .stderr_has("contradicts the image's disk format `raw`: ")
        .stderr_has("--disk-format qcow2`, or insist with");
    assert!(world.images().asked("PUT", "/v2/images/*/stage").is_empty());
    world.run(stage.into_iter().chain(["--force-format"])).ok().stderr_has("warning: ");
}

#[test]
fn a_wrong_size_on_the_service_is_an_error() {
    let world = World::new();
    world.file("x.img", b"raw bytes");
    world.run(["image", "create", "i", "--disk-format", "raw"]).ok();
    world.images().on("GET", "/v2/images/*").edit(|image| image["size"] = 3.into());
    world
        .run(["image", "stage", "i", "--file", "x.img"])
        .code(1)
        .stderr_has("error: the image arrived damaged: 9 bytes were sent and the service has 3\n");
    world.run(["image", "create", "j", "--disk-format", "raw"]).ok();
    world.images().on("PUT", "/v2/images/*/stage").always().answer(|| Answer::status(503));
    world.run(["image", "stage", "j", "--file", "x.img"]).code(1).stderr_has("503");
}
