//! `rimg image save`, `rimg image download`

use std::time::Duration;

use serde_json::json;

use crate::support::run::sparse_file;
use crate::support::{Answer, World, each_version, each_whole_service};

/// What is in the home, sorted: to see that nothing is left lying about.
fn files(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(&world.home).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !matches!(name.as_str(), ".cache" | ".config"));
    names.sort();
    names
}

#[test]
fn the_bytes_come_back() {
    each_version(|world| {
        let data: Vec<u8> = (0..400_000u32).flat_map(u32::to_le_bytes).collect();
        let name = world.name("there");
        world.given_image(&name, &data);
        for verb in ["save", "download"] {
            world.run(["image", verb, &name, "--file", "back.img"]).ok().stdout_is("").stderr_is("");
            assert!(std::fs::read(world.home.join("back.img")).unwrap() == data);
            assert!(world.run(["image", verb, &name]).ok().stdout == data);
        }
        assert_eq!(files(world), ["back.img"]);
    });
}

#[test]
fn a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.given_image("i", b"data");
    world.run(["image", "save", "i", "--file", "new"]).ok();
    let plain = std::fs::File::create(world.home.join("plain")).unwrap().metadata().unwrap();
    let new = std::fs::metadata(world.home.join("new")).unwrap();
    assert_eq!(new.permissions().mode(), plain.permissions().mode());
    let old = world.file("old", b"old");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("old", world.home.join("link")).unwrap();
    world.run(["image", "save", "i", "--file", "link"]).ok();
    assert_eq!(std::fs::read(&old).unwrap(), b"data");
    assert_eq!(std::fs::metadata(&old).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(world.home.join("link").is_symlink());
}

#[test]
fn damaged_data_never_gets_the_name() {
    type Damage = fn(&World);
    let cases: [(Damage, &str); 3] = [
        (|world| world.images().on("GET", "/v2/images/*").edit(|i| i["os_hash_value"] = "00".into()), "its sha512 is"),
        (
            |world| world.images().on("GET", "/v2/images/*").edit(|i| i["size"] = 7.into()),
            "the data arrived damaged: more than the 7 bytes ",
        ),
        (
            |world| {
                world.images().on("GET", "/v2/images/*").edit(|i| {
                    let fields = i.as_object_mut().unwrap();
                    fields.remove("os_hash_algo");
                    fields.remove("os_hash_value");
                    fields.insert("checksum".into(), "00".into());
                });
            },
            "its md5 is",
        ),
    ];
    for (damage, words) in cases {
        let world = World::new();
        let image = world.given_image("i", &[9; 100_000]);
        world.file("out", b"the old file");
        damage(&world);
        let saved = world.run(["image", "save", image["id"].as_str().unwrap(), "--file", "out"]);
        saved.code(1).stderr_has(words);
        assert_eq!(std::fs::read(world.home.join("out")).unwrap(), b"the old file");
        // What has the length of the image is put aside, for who wants to know.
        if words.starts_with("its ") {
            saved.stderr_has("the bytes are in `").stderr_has("out.corrupt`");
            assert_eq!(files(&world), ["out", "out.corrupt"]);
            assert!(std::fs::read(world.home.join("out.corrupt")).unwrap() == [9; 100_000]);
            // An older one is left alone, and there is never a second.
            world.file("out.corrupt", b"older");
            damage(&world);
            let again = world.run(["image", "save", image["id"].as_str().unwrap(), "--file", "out"]);
            again.code(1).stderr_has(words).stderr_lacks("out.corrupt");
            assert_eq!(std::fs::read(world.home.join("out.corrupt")).unwrap(), b"older");
            assert_eq!(files(&world), ["out", "out.corrupt"]);
        } else {
            assert_eq!(files(&world), ["out"]);
        }
    }
}

#[test]
fn an_error_page_is_not_an_image() {
    for status in [403, 404, 409, 501] {
        let world = World::new();
        world.given_image("i", b"data");
        world.images().on("GET", "/v2/images/*/file").answer(move || Answer::html(status, "<html><h1>x</h1>no</html>"));
        world.run(["image", "save", "i", "--file", "out"]).code(1).stderr_has(&format!("error: no (HTTP {status} "));
        assert!(files(&world).is_empty());
    }
}

#[test]
fn an_image_without_data_is_an_error() {
    each_version(|world| {
        let name = world.name("queued");
        let made = world.run(["image", "create", &name, "-f", "value", "-c", "id"]).ok().stdout();
        let id = made.trim();
        world.run(["image", "save", &name, "--file", "out"]).code(1).stderr_is(&format!(
            "error: image `{id}` has no data: it is `queued`\n\
                 hint: `rimg image upload {id} --file FILE` gives it some\n"
        ));
        assert!(files(world).is_empty());
    });
}

#[test]
fn what_cannot_be_verified_is_refused_unless_asked_for() {
    let world = World::new();
    let image = world.given_image("i", b"data");
    let id = image["id"].as_str().unwrap();
    let strip = |image: &mut serde_json::Value| {
        for field in ["os_hash_algo", "os_hash_value", "checksum"] {
            image[field] = json!(null);
        }
    };
    world.images().on("GET", "/v2/images/*").times(2).edit(strip);
    world.run(["image", "save", id, "--file", "out"]).code(1).stderr_is(&format!(
        "error: the service knows no digest of image `{id}`, so its bytes cannot be verified\n\
         hint: `--no-verify` saves it all the same, checked by its length only\n"
    ));
    world.run(["image", "save", id, "--file", "out", "--no-verify"]).ok();

    let strange = |image: &mut serde_json::Value| image["os_hash_algo"] = json!("whirlpool");
    world.images().on("GET", "/v2/images/*").times(2).edit(strange);
    world
        .run(["image", "save", id, "--file", "out"])
        .code(1)
        .stderr_has("is hashed with `whirlpool`, which rimg cannot compute");
    world.run(["image", "save", id, "--file", "out", "--allow-md5-fallback"]).ok();
}

#[test]
fn the_target_is_checked_before_anything_is_asked() {
    let world = World::new();
    world.file("dir/x", b"");
    for (target, message) in [
        (
            "dir",
            "error: cannot write `dir`: it is a directory\n\
             hint: name the file to write, for instance `--file image.qcow2`\n",
        ),
        (
            "no/such/out",
            "error: cannot write in `no/such`: no such file or directory\nhint: create the directory first\n",
        ),
    ] {
        world.run(["image", "save", "i", "--file", target]).code(1).stderr_is(message);
    }
    let terminal = world.rimg(["image", "save", "i"]).terminal().wait();
    terminal.code(2).stdout_has("image data will not be written to a terminal");
    assert!(world.identity().requests().is_empty());
}

#[test]
fn a_full_disk_is_said() {
    let world = World::new();
    world.given_image("i", &[1; 100_000]);
    world
        .run(["image", "save", "i", "--file", "/dev/full"])
        .code(1)
        .stderr_has("cannot write `/dev/full`: no space left on device");
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let world = World::new();
    world.given_image("i", &vec![1; 4 << 20]);
    world.rimg(["image", "save", "i"]).close_stdout_after(10).run().code(141).stderr_is("");
}

#[test]
fn stores_are_preferred_in_order() {
    let world = World::new();
    world.given_image("i", b"data");
    let save = ["image", "save", "i", "--store-preference", "a b", "--store-preference", "c&d", "--chunk-size", "1024"];
    world.run(save).ok().stdout_is("data");
    assert_eq!(world.images().asked("GET", "/v2/images/*/file")[0].request.query, "prefer=a+b%2Cc%26d");
    each_whole_service(|world| {
        world.given_image(&world.name("i"), b"data");
        for store in ["fast", "slow"] {
            world.run(["image", "save", &world.name("i"), "--store-preference", store]).ok().stdout_is("data");
        }
    });
}

#[test]
fn a_download_shows_its_progress_on_a_terminal() {
    let world = World::new();
    world.given_image("i", &vec![1; 16 << 20]);
    let shown = world.rimg(["image", "save", "i", "--file", "out"]).terminal().wait();
    shown.ok().stdout_has("saving i [").stdout_has("16.00 MiB");
}

#[test]
fn two_gibibytes_up_and_down_in_flat_memory() {
    let world = World::new();
    sparse_file(&world.home.join("x.img"), 2 << 30).unwrap();
    let long = Duration::from_secs(300);
    let up = world.rimg(["image", "create", "i", "--file", "x.img", "--disk-format", "raw"]).deadline(long).run();
    up.ok();
    let save = ["image", "save", "i", "--file"];
    let down = world.rimg(save.iter().chain(&["/dev/null"])).deadline(long).run();
    down.ok();
    let jobs = world.rimg(save.iter().chain(&["out", "--jobs", "4", "--debug"])).deadline(long).run();
    jobs.ok();
    assert!(std::fs::metadata(world.home.join("out")).unwrap().len() == 2 << 30);
    for (run, limit) in [(up, 12), (down, 8), (jobs, 12)] {
        assert!(run.peak_own_kib() < limit * 1024, "{} KiB of {limit} MiB", run.peak_own_kib());
    }
}

/// A certificate of tests/keys.
fn certificate(name: &str) -> String {
    format!("{}/tests/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What OpenSSL signed: the bytes `abc`. Key type, hash method, signature.
fn signatures() -> Vec<[&'static str; 3]> {
    let lines = include_str!("../keys/signatures.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect::<Vec<_>>().try_into().unwrap()).collect()
}

/// Makes an image that claims to be signed so, and answers with its ID.
fn signed(world: &World, data: &str, [key_type, hash, signature]: [&str; 3]) -> String {
    world.file("data", data);
    let properties = [
        format!("img_signature={signature}"),
        format!("img_signature_hash_method={hash}"),
        format!("img_signature_key_type={key_type}"),
        "img_signature_certificate_uuid=1b2c".to_owned(),
    ];
    let mut create = vec!["image", "create", "signed", "--disk-format", "raw", "--file", "data"];
    create.extend(properties.iter().flat_map(|property| ["--property", property]));
    create.extend(["-f", "value", "-c", "id"]);
    let id = world.run(create).ok().stdout().trim().to_owned();
    std::fs::remove_file(world.home.join("data")).unwrap();
    id
}

// Not for a real Glance: it verifies signatures itself, with its key manager.
#[test]
fn a_signature_of_openssl_is_verified_and_other_data_gets_no_name() {
    for world in [World::new(), World::served()] {
        for signature in signatures() {
            let path = certificate(match signature[0] {
                "RSA-PSS" => "rsa-cert.pem",
                "ECC_SECP384R1" => "p384-cert.pem",
                _ => "p521-cert.pem",
            });
            let save = |id: &str| world.run(["image", "save", id, "--file", "out", "--verify-certificate", &path]);
            save(&signed(&world, "abc", signature)).ok().stdout_is("").stderr_is("");
            assert_eq!(std::fs::read(world.home.join("out")).unwrap(), b"abc");

            world.file("out", "the old file");
            let id = signed(&world, "abd", signature);
            save(&id).code(1).stderr_is(&format!(
                "error: the data of image `{id}` is not what was signed with the key of `{path}`\n\
                 hint: do not use the data, unless `{path}` is not the certificate `1b2c` that the image names\n"
            ));
            assert_eq!(std::fs::read(world.home.join("out")).unwrap(), b"the old file");
            assert_eq!(files(&world), ["out"]);
            // What is on stdout cannot be taken back, but is not called good.
            let piped = world.run(["image", "save", &id, "--verify-certificate", &path]);
            piped.code(1).stdout_is("abd").stderr_has("is not what was signed");
        }
    }
}

#[test]
fn a_signature_that_cannot_be_verified_keeps_nothing() {
    let world = World::new();
    let path = certificate("rsa-cert.pem");
    let [key_type, hash, signature] = signatures()[0];
    let plain = world.given_image("plain", b"abc");
    for (id, words) in [
        (plain["id"].as_str().unwrap().to_owned(), "has no `img_signature`, so it has no signature to verify\nhint: "),
        (
            signed(&world, "abc", [key_type, "SHA-224", signature]),
            "is signed with the hash `SHA-224`, which rimg cannot",
        ),
        (signed(&world, "abc", ["DSA", hash, signature]), "is signed with `DSA`, which rimg cannot verify"),
        (signed(&world, "abc", ["ECC_SECP384R1", hash, signature]), "is signed with `ECC_SECP384R1`, the key of the"),
        (signed(&world, "abc", [key_type, "SHA-512", signature]), "is not what was signed with the key of"),
    ] {
        // Not even where the service's own digest is waived.
        for waiver in [None, Some("--no-verify")] {
            let save = ["image", "save", &id, "--file", "out", "--verify-certificate", &path];
            world.run(save.into_iter().chain(waiver)).code(1).stderr_has(words);
            assert!(files(&world).is_empty());
        }
    }
    // The signature is verified without any digest of the service.
    let id = signed(&world, "abc", [key_type, hash, signature]);
    world.images().on("GET", "/v2/images/*").edit(|image| {
        for field in ["os_hash_algo", "os_hash_value", "checksum"] {
            image[field] = json!(null);
        }
    });
    world.run(["image", "save", &id, "--no-verify", "--verify-certificate", &path]).ok().stdout_is("abc");
}

#[test]
fn a_certificate_is_read_before_anything_is_asked() {
    let world = World::new();
    for (path, words) in [
        ("nosuch.pem".to_owned(), "error: cannot read the certificate `nosuch.pem`: no such file or directory\n"),
        (
            certificate("p384.pem"),
            "` holds no certificate in PEM form\nhint: name the file that begins with `-----BEGIN",
        ),
        (certificate("p256-cert.pem"), "` has a key on another curve than P-384 and P-521, the ones that image"),
        (
            certificate("ed25519-cert.pem"),
            "` has neither an RSA key nor an EC key, so it verifies no image signature\n",
        ),
    ] {
        let save = ["image", "save", "i", "--file", "out", "--verify-certificate", &path];
        world.run(save).code(1).stderr_has(words);
    }
    assert!(world.identity().requests().is_empty());
    assert!(files(&world).is_empty());
}

#[test]
fn a_signed_image_that_is_not_verified_is_noted() {
    let world = World::new();
    let id = signed(&world, "abc", signatures()[0]);
    let note = "note: the image is signed; its signature is not verified without `--verify-certificate`\n";
    world.run(["image", "save", &id, "--file", "out"]).ok().stdout_is("").stderr_is(note);
    world.run(["image", "save", &id, "--file", "out", "--quiet"]).ok().stderr_is("");
}
