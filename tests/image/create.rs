//! `rimg image create`

use std::time::Duration;

use serde_json::json;

use crate::support::run::sparse_file;
use crate::support::{Answer, Stdin, World, each_service, each_version};

/// The smallest header that says qcow2: version 3, 1 MiB, no backing file.
fn qcow2() -> Vec<u8> {
    let mut bytes = vec![0u8; 128 * 1024];
    bytes[..4].copy_from_slice(b"QFI\xfb");
    bytes[7] = 3;
    bytes[23] = 16; // cluster bits
    bytes[24..32].copy_from_slice(&(1u64 << 20).to_be_bytes());
    bytes[36..40].copy_from_slice(&1u32.to_be_bytes()); // L1 entries
    bytes[40..48].copy_from_slice(&(196_608u64).to_be_bytes());
    bytes[48..56].copy_from_slice(&(65_536u64).to_be_bytes());
    bytes[56..60].copy_from_slice(&1u32.to_be_bytes());
    bytes[96..100].copy_from_slice(&4u32.to_be_bytes()); // refcount order
    bytes[100..104].copy_from_slice(&104u32.to_be_bytes()); // header length
    bytes
}

#[test]
fn the_main_job() {
    each_version(|world| {
        let file = world.file("x.img", qcow2());
        let name = world.name("cirros");
        let made = world
            .rimg(["image", "create", &name, "--file", "x.img", "--disk-format", "qcow2", "--public", "-f", "json"])
            .env("OS_CLOUD", "devstack-admin")
            .run();
        let image = made.ok().stderr_is("").json();
        assert_eq!(image["name"], *name);
        assert_eq!(image["status"], "active");
        assert_eq!(image["visibility"], "public");
        assert_eq!(image["disk_format"], "qcow2");
        assert_eq!(image["container_format"], "bare");
        assert_eq!(image["size"], std::fs::metadata(file).unwrap().len());
        let stored = world.image(image["id"].as_str().unwrap());
        let foreign = stored.as_object().unwrap().keys().find(|key| key.starts_with("owner_specified"));
        assert_eq!(foreign, None, "only what was asked for is written");
        world
            .run(["image", "show", &name, "-f", "json", "-c", "status"])
            .ok()
            .stdout_is("{\n  \"status\": \"active\"\n}\n");
    });
}

#[test]
fn every_option_reaches_the_image() {
    each_service(|world| {
        world.file("a.img", b"some bytes");
        let name = world.name("all");
        let id = crate::support::random_uuid();
        let image = world
            .run([
                "image",
                "create",
                &name,
                "--id",
                &id,
                "--file",
                "a.img",
                "--disk-format",
                "raw",
                "--container-format",
                "ovf",
                "--min-disk",
                "0",
                "--min-ram",
                "64",
                "--protected",
                "--private",
                "--property",
                "a=b=c",
                "--property",
                "empty=",
                "--property",
                "a=last",
                "--property",
                "min_disk=3",
                "--tag",
                "x",
                "--tag",
                "y",
                "--size",
                "10",
                "-f",
                "json",
            ])
            .ok()
            .json();
        assert_eq!(image["id"], *id);
        let stored = world.image(&id);
        for (key, value) in [
            ("container_format", json!("ovf")),
            ("disk_format", json!("raw")),
            ("min_disk", json!(3)),
            ("min_ram", json!(64)),
            ("protected", json!(true)),
            ("visibility", json!("private")),
            ("a", json!("last")),
            ("empty", json!("")),
            ("size", json!(10)),
        ] {
            assert_eq!(stored[key], value, "{key}");
        }
        let mut tags: Vec<_> = stored["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
        tags.sort_unstable();
        assert_eq!(tags, ["x", "y"]);
    });
}

#[test]
fn an_owner_is_found_by_name() {
    each_version(|world| {
        let name = world.name("owned");
        let image = world.run_as("admin", ["image", "create", &name, "--project", "other", "-f", "json"]).ok().json();
        let other = world.session("other");
        assert_eq!(image["owner"], world.image(image["id"].as_str().unwrap())["owner"]);
        assert_ne!(image["owner"], "other");
        let seen = other.ask("GET", &format!("/v2/images/{}", image["id"].as_str().unwrap()), &[], b"").unwrap();
        assert_eq!(seen.status, 200, "the owner sees it");
        world.run_as("admin", ["image", "create", &name, "--project", "nosuch"]).code(1).stderr_is(
            "error: there is no project with the name or ID `nosuch`\n\
                 hint: `openstack project list` shows those that you can see\n",
        );
    });
}

#[test]
fn the_format_of_the_data_is_used_when_none_is_given() {
    each_version(|world| {
        world.file("x.img", qcow2());
        let name = world.name("found");
        let made = world.run(["image", "create", &name, "--file", "x.img", "-f", "value", "-c", "disk_format"]);
        made.ok().stdout_is("qcow2\n").stderr_is("note: `x.img` is qcow2, so its disk format is `qcow2`\n");
        world.file("y.img", b"no format at all");
        let made = world.run(["image", "create", &name, "--file", "y.img", "-f", "value", "-c", "disk_format"]);
        made.ok().stdout_is("raw\n").stderr_is("note: `y.img` has no known disk format, so it is taken as `raw`\n");
    });
}

#[test]
fn a_contradiction_is_refused_before_anything_is_created() {
    let world = World::new();
    world.file("x.img", qcow2());
    world.file("y.img", b"no format at all");
    let refused = world.run(["image", "create", "n", "--file", "x.img", "--disk-format", "raw"]);
    refused.code(1).stdout_is("").stderr_is(
        "error: `x.img` contradicts `--disk-format raw`: the data is qcow2, not `raw`: \
         a cloud may take it, but nothing boots from it\n\
         hint: use `--disk-format qcow2`, leave the option out, or insist with `--force-format`\n",
    );
    world.run(["image", "create", "n", "--file", "y.img", "--disk-format", "qcow2"]).code(1);
    assert!(world.images().requests().is_empty() && world.identity().requests().is_empty());
    let forced = world.run(["image", "create", "n", "--file", "x.img", "--disk-format", "raw", "--force-format"]);
    forced.ok().stderr_has("warning: `x.img` contradicts");
}

#[test]
fn an_unsafe_image_is_refused_before_anything_is_created() {
    let world = World::new();
    let mut bytes = qcow2();
    bytes[8..16].copy_from_slice(&512u64.to_be_bytes());
    bytes[16..20].copy_from_slice(&11u32.to_be_bytes());
    bytes[512..523].copy_from_slice(b"/etc/passwd");
    world.file("x.img", bytes);
    world
        .run(["image", "create", "n", "--file", "x.img"])
        .code(1)
        .stderr_has("error: `x.img` is not safe to hand to a cloud: ")
        .stderr_has("`qemu-img convert`");
    assert!(world.images().requests().is_empty());
}

#[test]
fn data_may_come_through_stdin() {
    each_version(|world| {
        let name = world.name("piped");
        let create = ["image", "create", &name, "--disk-format", "raw", "-f", "value", "-c", "size"];
        world.rimg(create).stdin(Stdin::Bytes(vec![7; 300_000])).run().ok().stdout_is("300000\n");
        let file = world.file("data", vec![8; 5000]);
        world.rimg(create).stdin(Stdin::File(file)).run().ok().stdout_is("5000\n");
        let dash = ["image", "create", &name, "--disk-format", "raw", "-f", "value", "-c", "size", "--file", "-"];
        let pieces = vec![vec![1; 1000], vec![2; 1000], vec![3; 10]];
        let slow = Stdin::Slow { pieces, pause: Duration::from_millis(50) };
        world.rimg(dash).stdin(slow).run().ok().stdout_is("2010\n");
    });
}

#[test]
fn a_pipe_longer_than_the_peek_goes_out_in_small_chunks() {
    let world = World::new();
    let data: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_le_bytes).collect();
    let create = ["image", "create", "long", "--disk-format", "raw", "-f", "value", "-c", "size"];
    world.rimg(create).stdin(Stdin::Bytes(data.clone())).run().ok().stdout_is("20000000\n");
    let put = &world.images().asked("PUT", "/v2/images/*/file")[0];
    assert_eq!(put.request.header("transfer-encoding"), Some("chunked"));
    assert_eq!(put.request.header("x-openstack-image-size"), None);
    let sized = ["image", "create", "long", "--disk-format", "raw", "--size", "20000000", "-f", "value", "-c", "size"];
    world.rimg(sized).stdin(Stdin::Bytes(data)).run().ok().stdout_is("20000000\n");
    let put = &world.images().asked("PUT", "/v2/images/*/file")[1];
    assert_eq!(put.request.header("content-length"), Some("20000000"));
    assert_eq!(put.request.header("x-openstack-image-size"), Some("20000000"));
}

#[test]
fn an_empty_stdin_is_no_data() {
    each_version(|world| {
        let empty = world.file("empty", b"");
        let warning = "warning: stdin was empty: the image has no data; `rimg image upload` gives it some\n";
        for (stdin, said) in [
            (Stdin::Null, ""),
            (Stdin::Closed, ""),
            // Of a program that failed, perhaps.
            (Stdin::Bytes(Vec::new()), warning),
            (Stdin::File(empty), warning),
        ] {
            let name = world.name("none");
            let create = ["image", "create", &name, "-f", "value", "-c", "status", "-c", "disk_format"];
            world.rimg(create).stdin(stdin).run().ok().stdout_is("raw\nqueued\n").stderr_is(said);
        }
    });
}

#[test]
fn a_source_that_cannot_be_read_is_said_before_anything_is_created() {
    let world = World::new();
    world.file("empty", b"");
    world.file("dir/file", b"x");
    for (file, message) in [
        ("nosuch", "error: cannot read `nosuch`: no such file or directory\nhint: check the path given to `--file`\n"),
        ("dir", "error: cannot read `dir`: it is a directory\nhint: `--file` wants the image file itself\n"),
        (
            "empty",
            "error: `empty` is empty: there is no image in it\n\
             hint: to create an image without data, leave out `--file` and give no stdin\n",
        ),
        (
            "-",
            "error: `stdin` is empty: there is no image in it\n\
             hint: to create an image without data, leave out `--file` and give no stdin\n",
        ),
    ] {
        world.run(["image", "create", "n", "--file", file]).code(1).stdout_is("").stderr_is(message);
    }
    world.file("ten", b"0123456789");
    world.run(["image", "create", "n", "--file", "ten", "--size", "11"]).code(1).stderr_is(
        "error: `ten` has 10 bytes, not 11 as `--size` says\nhint: leave `--size` out: the length is known\n",
    );
    world
        .run(["image", "create", "n", "--size", "11"])
        .code(1)
        .stderr_is("error: `--size` needs image data\nhint: name a file with `--file`, or pipe the data in\n");
    assert!(world.identity().requests().is_empty() && world.images().requests().is_empty());
}

#[test]
fn usage_errors_never_touch_the_network() {
    let world = World::new();
    for args in [
        &["image", "create"][..],
        &["image", "create", "n", "--property", "novalue"],
        &["image", "create", "n", "--property", "=v"],
        &["image", "create", "n", "--min-disk", "x"],
        &["image", "create", "n", "--size", "0"],
        &["image", "create", "n", "--public", "--private"],
        &["image", "create", "n", "--protected", "--unprotected"],
        &["image", "create", "n", "-f", "csv"],
        &["image", "create", "n", "--nosuch"],
        &["image", "create", "n", "--property", "min_ram=x"],
        &["image", "create", "n", "--property", "tags=x"],
        &["image", "set", "n", "--property", "size=1"],
    ] {
        let refused = world.run(args);
        refused.code(2).stdout_is("").stderr_has("error: ");
    }
    assert!(world.identity().requests().is_empty() && world.images().requests().is_empty());
}

#[test]
fn options_of_the_first_api_are_named() {
    let world = World::new();
    world
        .run(["image", "create", "n", "--copy-from", "http://127.0.0.1/x"])
        .code(1)
        .stderr_has("error: `--copy-from` is an option of the Images API v1");
    assert!(world.images().asked("POST", "/v2/images").is_empty());
}

#[test]
fn an_image_is_created_in_five_requests_and_with_its_length() {
    let world = World::new();
    world.file("x.img", vec![1; 1000]);
    world.run(["image", "create", "n", "--file", "x.img", "--disk-format", "raw"]).ok();
    assert_eq!(world.identity().requests().len(), 1);
    let asked: Vec<_> =
        world.images().requests().iter().map(|r| format!("{} {}", r.request.method, r.request.path)).collect();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(asked[..2], ["GET /", "POST /v2/images"]);
    let put = &world.images().asked("PUT", "/v2/images/*/file")[0];
    assert_eq!(put.request.header("content-length"), Some("1000"));
    assert_eq!(put.request.header("x-openstack-image-size"), Some("1000"));
    assert_eq!(put.request.header("content-type"), Some("application/octet-stream"));
}

#[test]
fn import_stages_the_data_and_waits() {
    each_service(|world| {
        world.file("x.img", vec![3; 70_000]);
        let name = world.name("imported");
        let args = ["image", "create", &name, "--import", "--file", "x.img", "--disk-format", "raw", "-f", "json"];
        let image = world.run(args).ok().json();
        assert_eq!(image["status"], "active");
        assert_eq!(image["size"], 70_000);
    });
}

#[test]
fn without_the_import_nothing_is_left_behind() {
    let world = World::new();
    world.file("x.img", b"bytes");
    let create = ["image", "create", "n", "--import", "--file", "x.img"];
    let methods = json!({"import-methods": {"value": ["web-download"]}});
    world.images().on("GET", "/v2/info/import").answer(move || Answer::json(200, &methods));
    world
        .run(create)
        .code(1)
        .stderr_has("error: this cloud does not import by `glance-direct`\nhint: it offers: web-download\n");
    world.images().on("GET", "/v2/info/import").answer(|| Answer::status(404));
    world.run(create).code(1).stderr_has("error: this image service does not import images\n");
    assert!(world.images().asked("POST", "/v2/images").is_empty());
}

#[test]
fn a_failed_upload_deletes_the_image() {
    for (status, page, words) in [
        (413, "Over quota", "Over quota (HTTP 413 payload too large)"),
        (415, "Wrong format", "Wrong format (HTTP 415 unsupported media type)"),
        (503, "Store is full", "Store is full (HTTP 503 service unavailable)"),
    ] {
        let world = World::new();
        world.file("x.img", vec![1; 100_000]);
        world
            .images()
            .on("PUT", "/v2/images/*/file")
            .always()
            .answer(move || Answer::page(status, &format!("{page}<br/>")));
        world
            .run(["image", "create", "n", "--file", "x.img", "--disk-format", "raw"])
            .code(1)
            .stdout_is("")
            .stderr_has(&format!("error: {words}\n"));
        let tries = if status == 503 { 6 } else { 1 };
        assert_eq!(world.images().asked("PUT", "/v2/images/*/file").len(), tries, "{status}");
        assert_eq!(world.all_images(), Vec::<serde_json::Value>::new());
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_deletes_the_image() {
    let world = World::new();
    sparse_file(&world.home.join("x.img"), 8 << 20).unwrap();
    world.images().on("PUT", "/v2/images/*/file").always().close_after_request(1 << 20);
    world
        .run(["image", "create", "n", "--file", "x.img", "--disk-format", "raw"])
        .code(1)
        .stderr_has("error: the connection to");
    assert!(world.all_images().is_empty());
    assert_eq!(world.images().asked("DELETE", "/v2/images/*").len(), 1);
}

#[test]
fn an_image_that_could_not_be_deleted_is_named() {
    let world = World::new();
    world.file("x.img", vec![1; 1000]);
    world.images().on("PUT", "/v2/images/*/file").answer(|| Answer::status(400));
    world.images().on("DELETE", "/v2/images/*").answer(|| Answer::status(403));
    let failed = world.run(["image", "create", &world.name("n"), "--file", "x.img", "--disk-format", "raw"]);
    let left = world.all_images();
    let id = left[0]["id"].as_str().unwrap();
    failed.code(1).stderr_is(&format!(
        "error: the service answered HTTP 400 bad request\n  \
         the unfinished image `{id}` could not be deleted: the service answered HTTP 403 forbidden\n\
         hint: delete it with `rimg image delete {id}`\n"
    ));
}

#[test]
fn a_protected_image_is_cleaned_up_too() {
    let world = World::new();
    world.file("x.img", vec![1; 1000]);
    world.images().on("PUT", "/v2/images/*/file").answer(|| Answer::status(400));
    world.run(["image", "create", &world.name("n"), "--file", "x.img", "--protected"]).code(1);
    assert!(world.all_images().is_empty());
}

#[test]
fn wrong_bytes_on_the_service_are_an_error() {
    for (field, value) in [("os_hash_value", json!("00")), ("size", json!(999))] {
        let world = World::new();
        world.file("x.img", vec![1; 1000]);
        world.images().on("GET", "/v2/images/*").edit(move |image| image[field] = value.clone());
        world
            .run(["image", "create", &world.name("n"), "--file", "x.img", "--disk-format", "raw"])
            .code(1)
            .stderr_has("error: the image arrived damaged: ");
        assert!(world.all_images().is_empty());
    }
}

#[test]
fn an_old_service_is_verified_by_md5_and_an_unusual_one_by_reading_again() {
    let world = World::new();
    world.file("x.img", b"abc");
    let create = ["image", "create", "n", "--file", "x.img", "--disk-format", "raw"];
    world.images().on("GET", "/v2/images/*").edit(|image| {
        image["os_hash_algo"] = "sha256".into();
        image["os_hash_value"] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into();
    });
    world.run(create).ok();
    world.images().on("GET", "/v2/images/*").edit(|image| {
        image["os_hash_algo"] = "sha256".into();
        image["os_hash_value"] = "00".into();
    });
    world.run(create).code(1).stderr_has("the sha256 of what was sent is ba7816bf");
    let no_multihash = |image: &mut serde_json::Value| {
        let fields = image.as_object_mut().unwrap();
        fields.remove("os_hash_algo");
        fields.remove("os_hash_value");
    };
    world.images().on("POST", "/v2/images").times(2).edit(no_multihash);
    world.images().on("GET", "/v2/images/*").edit(no_multihash);
    world.run(create).ok();
    world.images().on("GET", "/v2/images/*").edit(move |image| {
        no_multihash(image);
        image["checksum"] = "00".into();
    });
    world.run(create).code(1).stderr_has("the md5 of what was sent is 900150983cd24fb0d6963f7d28e17f72");
}

#[test]
fn saving_is_waited_for() {
    let world = World::new();
    world.file("x.img", vec![1; 1000]);
    world.images().on("GET", "/v2/images/*").times(3).edit(|image| image["status"] = "saving".into());
    let create = ["image", "create", "n", "--file", "x.img", "--disk-format", "raw", "-f", "value", "-c", "status"];
    world.run(create).ok().stdout_is("active\n");
    assert_eq!(world.images().asked("GET", "/v2/images/*").len(), 4);
    world.images().on("GET", "/v2/images/*").edit(|image| image["status"] = "killed".into());
    world.run(create).code(1).stderr_has("error: the image did not become active: it is `killed`");
}

#[test]
fn an_interrupted_upload_leaves_no_image() {
    for signal in ["INT", "TERM"] {
        each_version(|world| {
            let name = world.name("interrupted");
            // A pipe that never ends: the upload is surely under way.
            let pieces = vec![vec![5; 64 << 10]; 4000];
            let slow = Stdin::Slow { pieces, pause: Duration::from_millis(5) };
            let running = world.rimg(["image", "create", &name, "--disk-format", "raw"]).stdin(slow).start();
            let begun = || world.all_images().iter().any(|image| image["status"] == "saving");
            while !begun() {
                std::thread::sleep(Duration::from_millis(50));
            }
            running.signal(signal);
            running.wait().code(if signal == "INT" { 130 } else { 143 }).stdout_is("").stderr_has("error: interrupted");
            assert!(world.all_images().is_empty(), "{:?}", world.all_images());
        });
    }
}

#[test]
fn an_upload_shows_its_progress_on_a_terminal_and_lines_where_asked() {
    let world = World::new();
    sparse_file(&world.home.join("x.img"), 64 << 20).unwrap();
    let create = ["image", "create", "n", "--file", "x.img", "--disk-format", "raw", "-f", "value", "-c", "status"];
    let shown = world.rimg(create).terminal().wait();
    shown.ok().stdout_has("uploading x.img [").stdout_has("64.00 MiB").stdout_has("active");
    let plain = world.run(create);
    plain.ok().stderr_is("");
    let lines = world.run(create.into_iter().chain(["--progress"]));
    lines.ok().stdout_is("active\n").stderr_has("uploading x.img: 100% of 64.00 MiB, ");
    let quiet = world.rimg(create.into_iter().chain(["--quiet"])).terminal().wait();
    quiet.ok().stdout_lacks("uploading");
}

/// A key or certificate of tests/keys.
fn key(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

// A real Glance verifies the signature itself, with a certificate of its key
// manager; there is none beside the one that the other scenarios may use.
#[test]
fn data_is_signed_with_every_kind_of_key() {
    for world in [World::new(), World::served()] {
        world.file("x.img", qcow2());
        world.file("passphrase", "opensesame\n");
        for (file, method, hash, key_type, certificate) in [
            ("pkcs1.pem", None, "SHA-256", "RSA-PSS", "rsa-cert.pem"),
            ("encrypted.pem", Some("sha-512"), "SHA-512", "RSA-PSS", "rsa-cert.pem"),
            ("p384.pem", None, "SHA-384", "ECC_SECP384R1", "p384-cert.pem"),
            ("p384-sec1.pem", Some("SHA-256"), "SHA-256", "ECC_SECP384R1", "p384-cert.pem"),
            ("p384.pem", Some("SHA-512"), "SHA-512", "ECC_SECP384R1", "p384-cert.pem"),
            ("p521-encrypted.pem", None, "SHA-512", "ECC_SECP521R1", "p521-cert.pem"),
            ("p521-sec1.pem", Some("SHA-384"), "SHA-384", "ECC_SECP521R1", "p521-cert.pem"),
        ] {
            let path = key(file);
            let mut create = vec!["image", "create", "signed", "--file", "x.img", "--disk-format", "qcow2"];
            create.extend(["--sign-cert-id", "1b2c", "-f", "value", "-c", "id", "--sign-key-path", &path]);
            create.extend(method.into_iter().flat_map(|method| ["--sign-hash-method", method]));
            if file.contains("encrypted") {
                create.extend(["--sign-key-passphrase-file", "passphrase"]);
            }
            let made = world.run(create).ok().stderr_is("").stdout();
            let image = world.image(made.trim());
            assert_eq!(image["img_signature_hash_method"], hash);
            assert_eq!(image["img_signature_key_type"], key_type);
            assert_eq!(image["img_signature_certificate_uuid"], "1b2c");
            let certificate = key(certificate);
            let save = ["image", "save", made.trim(), "--file", "back.img", "--verify-certificate", &certificate];
            world.run(save).ok().stderr_is("");
        }
    }
}

#[test]
fn a_key_that_cannot_sign_is_refused_before_anything_is_created() {
    let world = World::new();
    world.file("x.img", qcow2());
    let run = |options: &[&str]| {
        let create = ["image", "create", "n", "--file", "x.img", "--sign-cert-id", "1b2c"];
        world.run(create.iter().chain(options))
    };
    for file in ["p256.pem", "p256-sec1.pem"] {
        let path = key(file);
        run(&["--sign-key-path", &path]).code(1).stderr_has(&format!(
            "error: the signing key `{path}` is on another curve than P-384 and P-521, the ones that image signatures \
             know\nhint: sign with an RSA key of two primes, or an EC key on P-384 or P-521: "
        ));
    }
    let path = key("ed25519.pem");
    run(&["--sign-key-path", &path]).code(1).stderr_has("is neither an RSA key nor an EC key, or is damaged");
    let path = key("p521-encrypted.pem");
    run(&["--sign-key-path", &path]).code(1).stderr_has("is encrypted and there is no passphrase");
    let path = key("p384.pem");
    run(&["--sign-key-path", &path, "--sign-hash-method", "SHA-224"]).code(2).stderr_has("SHA-224");
    assert!(world.identity().requests().is_empty());
}

#[test]
fn the_passphrase_comes_from_the_variable_or_the_terminal() {
    let world = World::new();
    world.file("x.img", qcow2());
    let path = key("encrypted.pem");
    let create = ["image", "create", "signed", "--file", "x.img", "--sign-cert-id", "1b2c", "--sign-key-path", &path];
    let wrong = format!("error: the passphrase of the signing key `{path}` is wrong");
    let variable = |text: &str| world.rimg(create).env("RIMG_SIGN_KEY_PASSPHRASE", text).run();
    variable("opensesame").ok();
    variable("sesame").code(1).stdout_is("").stderr_has(&wrong);
    for (keys, code, words) in [
        ("opensesame\n", 0, "img_signature"),
        ("sesame\n", 1, wrong.as_str()),
        ("\n", 1, wrong.as_str()),
        ("open\x03", 130, "error: interrupted"),
    ] {
        let mut terminal = world.rimg(create).terminal();
        terminal.expect("Passphrase of ").expect(": ").type_keys(keys);
        terminal.wait().code(code).stdout_has(words).stdout_lacks("opensesame");
    }
    assert_eq!(world.images().asked("POST", "/v2/images").len(), 2);
}

#[test]
fn a_field_of_the_image_is_no_property() {
    let world = World::new();
    world.given_image("i", b"data");
    let before = world.images().requests().len();
    for (field, step) in [
        ("name=other", "write it behind `image create`, or use `rimg image set --name`"),
        ("id=1", "`rimg image create --id` gives it to a new image; it never changes"),
        ("status=active", "the service sets it itself"),
        ("size=1", "it is that of the data"),
    ] {
        let key = field.split('=').next().unwrap();
        let said = format!("error: `{key}` is a field of the image, not a property\nhint: {step}\n");
        for command in ["create", "set"] {
            world.run(["image", command, "i", "--property", field]).code(2).stdout_is("").stderr_is(&said);
        }
    }
    assert_eq!(world.images().requests().len(), before);
    world.run(["image", "set", "i", "--property", "min_disk=5", "--property", "os_hidden=true"]).ok();
    // But where `openstack` takes a field for a property it is set.
    let fields = ["--property", "visibility=community", "--property", "disk_format=iso"];
    let made = world.run(["image", "create", "j", "-f", "json"].into_iter().chain(fields)).ok().json();
    assert_eq!([&made["visibility"], &made["disk_format"]], ["community", "iso"]);
    let shown = |name: &str| world.run(["image", "show", name, "-f", "json"]).ok().json();
    world.run(["image", "set", "j", "--property", "visibility=shared"]).ok();
    assert_eq!(shown("j")["visibility"], "shared");
}
