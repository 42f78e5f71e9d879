//! Sign-ins that are kept for the next run, and `rimg cache clear`.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::World;
use crate::support::keystone::{PASSCODE, id_of};

const LIST: [&str; 4] = ["image", "list", "-f", "json"];

fn directory(world: &World) -> PathBuf {
    world.home.join(".cache/rimg")
}

fn files(world: &World) -> Vec<PathBuf> {
    fs::read_dir(directory(world)).into_iter().flatten().map(|file| file.unwrap().path()).collect()
}

/// The files with a sign-in.
fn entries(world: &World) -> Vec<PathBuf> {
    files(world).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

/// The only one.
#[track_caller]
fn entry(world: &World) -> PathBuf {
    let mut found = entries(world);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Changes the only entry.
fn edit(world: &World, change: impl FnOnce(&mut Value)) {
    let path = entry(world);
    let mut value = read(&path);
    change(&mut value);
    fs::write(&path, value.to_string()).unwrap();
}

fn sign_ins(world: &World) -> usize {
    world.identity().asked("POST", "/v3/auth/tokens").len()
}

/// How many requests, and how many of them signed in, `work` takes.
fn counted(world: &World, work: impl FnOnce()) -> (usize, usize) {
    let all = || world.identity().requests().len() + world.images().requests().len();
    let before = (all(), sign_ins(world));
    work();
    (all() - before.0, sign_ins(world) - before.1)
}

fn list(world: &World) {
    world.run(LIST).ok().stderr_is("");
}

fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn no_password_of_an_address_is_kept() {
    let world = World::new();
    let at = |url: &str| url.replace("http://", "http://proxy:hunter2@");
    let old = fs::read_to_string(world.clouds_yaml()).unwrap();
    world.configure(&format!("image_endpoint_override: {}", at(&world.images().url())));
    list(&world);
    assert!(!fs::read_to_string(entry(&world)).unwrap().contains("hunter2"));
    fs::remove_file(entry(&world)).unwrap();
    fs::write(world.clouds_yaml(), old.replace(world.auth_url(), &at(world.auth_url()))).unwrap();
    list(&world);
    assert!(entries(&world).is_empty());
}

#[test]
fn a_warm_run_is_one_request() {
    let world = World::new();
    let id = world.given_image("i", b"data")["id"].as_str().unwrap().to_owned();
    assert_eq!(counted(&world, || list(&world)), (3, 1));
    assert_eq!(counted(&world, || list(&world)), (1, 0));
    let show = || {
        world.run(["image", "show", &id]).ok();
    };
    assert_eq!(counted(&world, show), (1, 0));
    let timed = world.run(["image", "list", "--timing"]);
    assert_eq!(timed.ok().stderr().matches("/v2/images").count(), 1, "{}", timed.stderr());
    timed.stderr_lacks("/auth/tokens");
    let traced = world.run(["image", "list", "--debug"]);
    traced.ok().stderr_has("signed in by an earlier run, until ");
    assert_eq!(traced.stderr().matches("REQ: curl").count(), 1);
}

#[test]
fn what_is_kept_is_for_its_owner_alone() {
    let world = World::new();
    list(&world);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory(&world)), 0o700);
    let found = files(&world);
    assert!(found.len() >= 2, "{found:?}");
    for path in found {
        assert_eq!(mode(&path), 0o600, "{path:?}");
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("\"secret\""), "{name}");
    }
    let kept = read(&entry(&world));
    assert_eq!(kept["project_id"], id_of("demo"));
    let token = kept["token"].as_str().unwrap();
    for args in [&["image", "list", "--debug", "--timing"][..], &["configuration", "show", "--unmask"]] {
        world.run(args).ok().stderr_lacks(token).stdout_lacks(token);
    }
}

#[test]
fn another_sign_in_does_not_find_it() {
    let world = World::new();
    let openrc = [("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret"), ("OS_PROJECT_NAME", "demo")];
    fs::remove_file(world.clouds_yaml()).unwrap();
    let with = |more: &[(&str, &str)], args: &[&str]| {
        let run = world.rimg(LIST.iter().chain(args)).no_env("OS_CLOUD").env("OS_AUTH_URL", world.auth_url());
        let run = openrc.iter().chain(more).fold(run, |run, (name, value)| run.env(name, value));
        run.run()
    };
    assert_eq!(
        counted(&world, || {
            with(&[], &[]).ok();
        })
        .1,
        1
    );
    assert_eq!(
        counted(&world, || {
            with(&[], &[]).ok();
        })
        .1,
        0
    );
    // A region and an interface are chosen from what is kept.
    assert_eq!(
        counted(&world, || {
            with(&[], &["--os-interface", "internal"]).ok();
        })
        .1,
        0
    );
    with(&[("OS_PASSWORD", "wrong")], &[]).code(1).stderr_has("Keystone did not let us in");
    let (project, root) = (id_of("demo"), world.auth_url().trim_end_matches("/v3").to_owned());
    type Other<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let others: [Other; 6] = [
        (&[("OS_PROJECT_NAME", ""), ("OS_PROJECT_ID", &project)], &[]),
        (&[("OS_USERNAME", "other"), ("OS_PROJECT_NAME", "other")], &[]),
        (&[("OS_USERNAME", "admin"), ("OS_PROJECT_NAME", "admin")], &[]),
        (&[("OS_AUTH_URL", &root)], &[]),
        (&[], &["--insecure"]),
        (&[("OS_AUTH_TYPE", "v3password")], &[]),
    ];
    for (variables, args) in others {
        assert_eq!(
            counted(&world, || {
                with(variables, args).ok();
            })
            .1,
            1,
            "{variables:?} {args:?}"
        );
        assert_eq!(
            counted(&world, || {
                with(variables, args).ok();
            }),
            (1, 0),
            "{variables:?} {args:?}"
        );
    }
    assert_eq!(
        counted(&world, || {
            with(&[], &[]).ok();
        }),
        (1, 0)
    );
}

#[test]
fn a_token_is_left_alone_shortly_before_its_end() {
    let world = World::new();
    list(&world);
    for (seconds, wanted) in [(-3600, 1), (30, 1), (120, 0)] {
        edit(&world, |kept| kept["expires_at"] = in_seconds(seconds).into());
        assert_eq!(counted(&world, || list(&world)).1, wanted, "{seconds} s left");
    }
}

#[test]
fn a_token_that_is_refused_is_replaced() {
    let world = World::new();
    list(&world);
    let old = read(&entry(&world))["token"].clone();
    world.expire_tokens();
    assert_eq!(counted(&world, || list(&world)), (3, 1));
    assert_ne!(read(&entry(&world))["token"], old);
    // The version of the image service was not forgotten.
    assert_eq!(counted(&world, || list(&world)), (1, 0));
    // A sign-in that fails leaves nothing behind.
    world.expire_tokens();
    world.identity().on("POST", "/v3/auth/tokens").answer(|| crate::support::Answer::status(503));
    world.run(LIST).code(1).stderr_has("cannot sign in");
    assert!(entries(&world).is_empty());
}

#[test]
fn what_is_not_a_sign_in_of_ours_is_replaced() {
    let world = World::new();
    list(&world);
    let good = fs::read(entry(&world)).unwrap();
    let path = entry(&world);
    let elsewhere = world.file("elsewhere.json", &good);
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    let write = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
    type Spoil<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let spoils: [Spoil; 8] = [
        ("corrupt", Box::new(|| write(b"\xff\xfe{"))),
        ("truncated", Box::new(|| write(&good[..good.len() / 2]))),
        ("empty", Box::new(|| write(b""))),
        ("huge", Box::new(|| write(&[&good[..], &vec![b' '; 4 << 20]].concat()))),
        ("of another version", Box::new(|| edit(&world, |kept| kept["format"] = json!(2)))),
        ("readable by others", Box::new(|| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap())),
        (
            "a link",
            Box::new(|| {
                fs::remove_file(&path).unwrap();
                symlink(&elsewhere, &path).unwrap();
            }),
        ),
        ("without a place to look projects up", Box::new(|| edit(&world, |kept| kept["identity"] = json!("nowhere")))),
    ];
    for (what, spoil) in spoils {
        spoil();
        assert_eq!(counted(&world, || list(&world)).1, 1, "{what}");
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{what}");
        assert_eq!(counted(&world, || list(&world)), (1, 0), "{what}");
    }
    assert_eq!(fs::read(&elsewhere).unwrap(), good, "what the link named is as it was");
    // A key that others could have read is replaced, and with it all names.
    fs::set_permissions(directory(&world).join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(counted(&world, || list(&world)).1, 1);
    assert_eq!(counted(&world, || list(&world)).1, 0);
}

#[test]
fn a_directory_that_is_not_ours_alone_is_not_used() {
    let world = World::new();
    let elsewhere = world.home.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir_all(world.home.join(".cache")).unwrap();
    symlink(&elsewhere, directory(&world)).unwrap();
    list(&world);
    assert_eq!(counted(&world, || list(&world)).1, 1);
    world.run(["image", "list", "--debug"]).ok().stderr_has("no token cache in `");
    world.run(["cache", "clear"]).ok().stderr_is("note: removed 0 tokens from the token cache\n");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_file(directory(&world)).unwrap();
    // Others could put files there.
    fs::create_dir(directory(&world)).unwrap();
    fs::set_permissions(directory(&world), fs::Permissions::from_mode(0o770)).unwrap();
    list(&world);
    assert!(files(&world).is_empty());
    // They could only look: that is put right.
    fs::set_permissions(directory(&world), fs::Permissions::from_mode(0o755)).unwrap();
    list(&world);
    assert_eq!(fs::metadata(directory(&world)).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(counted(&world, || list(&world)).1, 0);
    // Nor is one that cannot be made a failure.
    for nowhere in ["/proc/nowhere", "/dev/null"] {
        world.rimg(LIST).env("XDG_CACHE_HOME", nowhere).run().ok().stderr_is("");
    }
}

#[test]
fn it_is_turned_off_by_flag_variable_and_setting() {
    let world = World::new();
    let off = |run: crate::support::Run| {
        let count = counted(&world, || {
            run.run().ok().stderr_is("");
        });
        assert_eq!((count, files(&world).len()), ((3, 1), 0));
    };
    off(world.rimg(LIST.iter().chain(&["--no-token-cache"])));
    off(world.rimg(LIST).env("RIMG_TOKEN_CACHE", "0"));
    let clouds = fs::read_to_string(world.clouds_yaml()).unwrap();
    fs::write(world.clouds_yaml(), format!("cache:\n  auth: false\n{clouds}")).unwrap();
    off(world.rimg(LIST));
    let shown = |column: &'static str, args: &[&'static str]| {
        world.run(["configuration", "show", "-f", "json"].iter().chain(args)).ok().json()[column].clone()
    };
    assert_eq!(shown("token_cache", &[]), json!(false));
    assert!(shown("token_cache.origin", &["--origin"]).as_str().unwrap().contains("`cache`"));
    fs::write(world.clouds_yaml(), clouds.replace("    auth:\n", "    token_cache: false\n    auth:\n")).unwrap();
    off(world.rimg(LIST));
    fs::write(world.clouds_yaml(), clouds).unwrap();
    assert_eq!(shown("token_cache", &[]), json!(true));
    assert_eq!(shown("token_cache", &["--no-token-cache"]), json!(false));
    world
        .rimg(LIST)
        .env("RIMG_TOKEN_CACHE", "maybe")
        .run()
        .code(1)
        .stderr_has("`token_cache` is neither true nor false");
    // What is kept is not used either.
    list(&world);
    let anew = || {
        world.run(LIST.iter().chain(&["--no-token-cache"])).ok();
    };
    assert_eq!(counted(&world, anew), (3, 1));
}

#[test]
fn what_was_given_or_typed_for_once_is_not_kept() {
    let world = World::new();
    let token = world.session("demo").token;
    let url = world.images().url();
    let user = [("OS_USERNAME", "demo"), ("OS_PROJECT_NAME", "demo")];
    type Kind<'a> = (&'a str, &'a [(&'a str, &'a str)]);
    let kinds: [Kind; 6] = [
        ("token", &[("OS_TOKEN", &token), user[1]]),
        ("v3totp", &[("OS_PASSCODE", PASSCODE), user[0], user[1]]),
        (
            "v3multifactor",
            &[
                ("OS_AUTH_METHODS", "v3password,v3totp"),
                ("OS_PASSWORD", "secret"),
                ("OS_PASSCODE", PASSCODE),
                user[0],
                user[1],
            ],
        ),
        ("admin_token", &[("OS_TOKEN", &token), ("OS_ENDPOINT", &url)]),
        ("none", &[("OS_ENDPOINT", &url)]),
        ("http_basic", &[("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret"), ("OS_ENDPOINT", &url)]),
    ];
    let clouds = fs::read(world.clouds_yaml()).unwrap();
    fs::remove_file(world.clouds_yaml()).unwrap();
    for (kind, variables) in kinds {
        let run = world.rimg(LIST).no_env("OS_CLOUD").env("OS_AUTH_URL", world.auth_url()).env("OS_AUTH_TYPE", kind);
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run();
        assert!(files(&world).is_empty(), "{kind}");
    }
    world.run(["image", "list", "--os-cloud", "local"]).ok();
    assert!(files(&world).is_empty());
    let text = String::from_utf8(clouds).unwrap().replace("      password: secret\n", "");
    fs::write(world.clouds_yaml(), text).unwrap();
    for _ in 0..2 {
        let mut terminal = world.rimg(LIST).terminal();
        terminal.expect("Password: ").type_line("secret");
        terminal.wait().code(0);
    }
    assert!(files(&world).is_empty());
}

#[test]
fn several_that_start_at_once_sign_in_once() {
    let world = World::new();
    let (count, _) = counted(&world, || {
        let running: Vec<_> = (0..6).map(|_| world.rimg(LIST).start()).collect();
        for each in running {
            each.wait().ok().stderr_is("");
        }
    });
    assert_eq!(sign_ins(&world), 1, "of {count} requests");
    entry(&world);
    assert_eq!(counted(&world, || list(&world)), (1, 0));
}

#[test]
fn a_process_that_hangs_while_it_signs_in_holds_nobody_up_for_long() {
    let world = World::new();
    list(&world);
    let lock = fs::File::options().write(true).open(entry(&world).with_extension("lock")).unwrap();
    lock.lock().unwrap();
    // Who has a token does not wait at all.
    assert_eq!(counted(&world, || list(&world)), (1, 0));
    edit(&world, |kept| kept["expires_at"] = in_seconds(0).into());
    let begun = std::time::Instant::now();
    assert_eq!(counted(&world, || list(&world)).1, 1);
    assert!((4..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(counted(&world, || list(&world)), (1, 0));
}

/// Answers every request with this status, and not as an OpenStack service does.
fn stranger(status: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    url
}

#[test]
fn a_service_that_has_moved_is_found_again() {
    let world = World::new();
    let id = world.given_image("i", b"data")["id"].as_str().unwrap().to_owned();
    list(&world);
    let here = world.images().url();
    let strangers = ["404 Not Found", "401 Unauthorized"].map(stranger);
    for old in ["http://127.0.0.1:1", "http://glance.invalid/image/v2", &strangers[0], &strangers[1]] {
        let moves = || {
            edit(&world, |kept| {
                *kept = serde_json::from_str(&kept.to_string().replace(&here, old)).unwrap();
            });
        };
        moves();
        assert_eq!(counted(&world, || list(&world)).1, 1, "{old}");
        assert_eq!(counted(&world, || list(&world)).1, 0, "{old}");
        // Whatever is done first, and to several at once.
        moves();
        let name = world.name("new");
        assert_eq!(
            counted(&world, || {
                world.run(["image", "create", &name]).ok().stderr_is("");
            })
            .1,
            1
        );
        moves();
        let delete = || {
            world.run(["image", "delete", &name, "nosuch", "nor-this"]).code(1).stderr_has("error: 2 of 3 images");
        };
        assert_eq!(counted(&world, delete).1, 1);
        assert_eq!(world.run(["image", "list", "-f", "value", "-c", "ID"]).ok().stdout(), format!("{id}\n"));
    }
    // A catalogue that lacks what is wanted is not the last word either.
    edit(&world, |kept| kept["catalog"] = json!([]));
    assert_eq!(counted(&world, || list(&world)).1, 1);
}

#[test]
fn a_service_that_is_away_is_still_said_to_be() {
    let world = World::new();
    let away = ["image", "list", "--os-region-name", "RegionTwo"];
    let clouds = fs::read_to_string(world.clouds_yaml()).unwrap();
    fs::write(world.clouds_yaml(), clouds.replace("    region_name: RegionOne\n", "")).unwrap();
    world.run(LIST).ok();
    edit(&world, |kept| kept["versions"]["http://127.0.0.1:1/"] = json!("v2.9"));
    let listed = || {
        world.run(away).code(1).stderr_has("error: cannot reach `http://127.0.0.1:1`");
    };
    assert_eq!(counted(&world, listed), (1, 1));
}

#[test]
fn what_is_not_there_costs_no_sign_in() {
    let world = World::new();
    list(&world);
    let nosuch = || {
        world.run(["image", "show", "nosuch"]).code(1);
    };
    assert_eq!(counted(&world, nosuch), (2, 0));
    let nosuch = || {
        world.run(["image", "show", "1bea47ed-f6a9-463b-b423-14b9cca9ad27"]).code(1);
    };
    assert_eq!(counted(&world, nosuch), (2, 0));
}

#[test]
fn completion_uses_it() {
    let world = World::new();
    world.given_image("cirros", b"data");
    list(&world);
    let complete = || {
        let run = world.rimg(["--", "rimg", "image", "show", "ci"]).env("RIMG_COMPLETE", "bash");
        run.run().ok().stdout_is("cirros\n").stderr_is("");
    };
    assert_eq!(counted(&world, complete), (1, 0));
}

#[test]
fn old_ones_are_swept_when_one_is_written() {
    let world = World::new();
    list(&world);
    edit(&world, |kept| kept["expires_at"] = in_seconds(-60).into());
    let (old, foreign) = (entry(&world), directory(&world).join("notes.txt"));
    fs::write(&foreign, "mine").unwrap();
    world.run_as("other", LIST).ok();
    assert!(!old.exists() && foreign.exists());
    entry(&world);
}

#[test]
fn cache_clear_forgets_them_all() {
    let world = World::new();
    let clear = |text: &str| {
        world.run(["cache", "clear"]).ok().stdout_is("").stderr_is(text);
    };
    clear("note: removed 0 tokens from the token cache\n");
    list(&world);
    clear("note: removed 1 token from the token cache\n");
    list(&world);
    world.run_as("other", LIST).ok();
    let foreign = directory(&world).join("notes.txt");
    fs::write(&foreign, "mine").unwrap();
    clear("note: removed 2 tokens from the token cache\n");
    assert_eq!(files(&world), [foreign]);
    clear("note: removed 0 tokens from the token cache\n");
    assert_eq!(counted(&world, || list(&world)), (3, 1));
}
