//! What can go wrong between rimg and a cloud, and what is said of it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{Server, babbler};
use crate::support::run::Running;
use crate::support::{Answer, Outcome, Stdin, World, each_service};

const LIST: [&str; 4] = ["image", "list", "-f", "json"];
const AGAIN: &str = "hint: try again in a moment; if it stays, ask who runs the cloud\n";

/// `image list` when the image service answers so.
fn list_answered(make: impl Fn() -> Answer + Send + Sync + 'static) -> Outcome {
    let world = World::new();
    world.configure("image_status_code_retries: 0");
    world.images().on("GET", "/v2/images").answer(make);
    world.run(LIST)
}

/// A page as Glance (WebOb) and most web servers write it.
fn page(status: u16, words: &str) -> Answer {
    let title = format!("{status} {}", crate::support::http::reason(status));
    Answer::html(
        status,
        &format!(
            "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {words}<br /><br />\n\n\n </body>\n</html>"
        ),
    )
}

#[test]
fn the_words_of_the_service_are_said_once() {
    let says = "Quota &quot;image_size_total&quot; is used up.";
    for (status, name, hint) in [
        (400, "bad request", ""),
        (403, "forbidden", ""),
        (404, "not found", ""),
        (409, "conflict", ""),
        (413, "payload too large", ""),
        (415, "unsupported media type", ""),
        (429, "too many requests", AGAIN),
        (500, "internal server error", AGAIN),
        (502, "bad gateway", AGAIN),
        (503, "service unavailable", AGAIN),
    ] {
        let wanted = format!("error: Quota \"image_size_total\" is used up (HTTP {status} {name})\n{hint}");
        list_answered(move || page(status, says)).code(1).stdout_is("").stderr_is(&wanted);
        for document in [
            json!({"message": "Quota \"image_size_total\" is used up.", "code": format!("{status} X"), "title": "X"}),
            json!({"error": {"message": "Quota \"image_size_total\" is used up.", "code": status, "title": "X"}}),
        ] {
            list_answered(move || Answer::json(status, &document)).code(1).stdout_is("").stderr_is(&wanted);
        }
        let silent = format!("error: the service answered HTTP {status} {name}\n{hint}");
        list_answered(move || Answer::status(status)).code(1).stderr_is(&silent);
        list_answered(move || page(status, "")).code(1).stderr_is(&silent);
    }
}

#[test]
fn strange_statuses_and_bodies() {
    list_answered(|| Answer::status(299)).code(1).stderr_has("did not answer with JSON");
    list_answered(|| Answer::status(418).body("I'm a teapot"))
        .code(1)
        .stderr_is("error: I'm a teapot (HTTP 418 i'm a teapot)\n");
    list_answered(|| Answer::status(599))
        .code(1)
        .stderr_is(&format!("error: the service answered HTTP 599 unknown status\n{AGAIN}"));
    // Not text, a tag that never ends, words without end: no noise.
    list_answered(|| Answer::status(500).body(vec![0xff; 300])).code(1).stderr_has("HTTP 500");
    list_answered(|| Answer::html(500, "<html><h1>no end")).code(1).stderr_has("HTTP 500");
    list_answered(|| Answer::html(500, "<html <p")).code(1).stderr_has("HTTP 500");
    let long = list_answered(|| Answer::status(500).body("word ".repeat(100_000)));
    long.code(1).stderr_has("error: word word").stderr_has("(HTTP 500 internal server error)");
    assert!(long.stderr.len() < 1000, "{}", long.stderr.len());
}

#[test]
fn a_terminal_is_not_steered_by_the_service() {
    let evil = "red \u{1b}[31m bell \u{7} c1 \u{9b}2J back\u{202e}wards \u{2066}hidden\r over";
    let world = World::new();
    world.images().on("GET", "/v2/images").times(2).answer(move || Answer::json(403, &json!({"message": evil})));
    let outcome = world.rimg(LIST).terminal().wait();
    outcome.code(1).stdout_has("red \\x1b[31m bell \\x07 c1 \\x9b2J back\\u202ewards \\u2066hidden over");
    for raw in ["\u{1b}[31m", "\u{7}", "\u{9b}", "\u{202e}", "\u{2066}"] {
        outcome.stdout_lacks(raw);
    }
    // Into a file goes what the service said; into the log never what steers.
    world.run(LIST.iter().chain(&["--log-file", "rimg.log"])).code(1).stderr_has("\u{1b}[31m");
    let log = fs::read_to_string(world.home.join("rimg.log")).unwrap();
    assert!(log.contains("ERROR red \\x1b[31m"), "{log:?}");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{202e}'), "{log:?}");
}

#[test]
fn a_terminal_is_not_steered_by_names() {
    each_service(|world| {
        let name = world.name("a\u{1b}[31m\u{202e}b");
        world.given_image(&name, b"x");
        for args in [vec!["image", "list"], vec!["image", "show", &name], vec!["image", "show", "no\u{1b}[31mne"]] {
            let outcome = world.rimg(args).terminal().wait();
            outcome.stdout_lacks("\u{1b}[31m").stdout_lacks("\u{202e}").stdout_has("\\x1b");
        }
    });
}

#[test]
fn an_answer_that_is_not_json() {
    let world = World::new();
    world.images().on("GET", "/v2/images").answer(|| Answer::html(200, "<html>Welcome to the portal</html>"));
    world.run(LIST).code(1).stdout_is("").stderr_is(&format!(
        "error: `{}/v2/images?limit=1000` did not answer with JSON\n\
         hint: check that the endpoint is the OpenStack service itself, not a web page or a proxy\n",
        world.images().url()
    ));
    for body in ["", "null", "[]", "{}", "{\"images\": 5}", "{\"images\": [5]}", "{\"images\": [{\"id\": 5}]}"] {
        let outcome = list_answered(move || Answer::status(200).body(body));
        outcome.code(1).stdout_is("").stderr_has("error: ");
    }
    let deep = "[".repeat(200_000);
    list_answered(move || Answer::status(200).body(deep.clone())).code(1).stderr_has("did not answer with JSON");
}

#[test]
fn an_answer_without_measure_is_not_held() {
    let world = World::new();
    world.images().on("GET", "/v2/images").answer(|| Answer::status(200).body(vec![b' '; 80 << 20]));
    let outcome = world.run(LIST);
    outcome.code(1).stdout_is("").stderr_is(&format!(
        "error: `{}/v2/images?limit=1000` answered with more than 64 MiB\n\
         hint: check that the endpoint is the OpenStack service itself\n",
        world.images().url()
    ));
}

#[test]
fn an_answer_that_breaks_off() {
    for url in 0..3 {
        let world = World::new();
        let images = world.images().on("GET", "/v2/images");
        match url {
            0 => images.close_after_answer(20),
            1 => images.content_length(1_000_000),
            _ => world.images().on("GET", "/v2/images").times(2).close(),
        }
        let outcome = world.run(LIST);
        outcome.code(1).stdout_is("").stderr_has("hint: try again\n");
        let what = if url == 2 {
            format!("error: the connection to `{}` broke: ", world.images().url())
        } else {
            format!("error: the answer of `{}` broke off: ", world.images().url())
        };
        outcome.stderr_has(&what);
    }
    let world = World::new();
    world.images().on("GET", "/v2/images").content_length(10);
    world.run(LIST).code(1).stderr_has("did not answer with JSON");
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_made_anew() {
    let world = World::new();
    world.images().on("GET", "/v2/images").close();
    world.run(LIST).ok().stderr_is("");
}

#[test]
fn a_token_request_is_not_repeated_by_itself() {
    let world = World::new();
    world.identity().on("POST", "/v3/auth/tokens").close();
    world.run(LIST).code(1).stderr_has(&format!("error: the connection to `{}` broke: ", world.identity().url()));
    assert_eq!(world.identity().requests().len(), 1);
}

#[test]
fn silence_has_an_end() {
    let limit = |world: &World, lines: &str| {
        let old = fs::read_to_string(world.clouds_yaml()).unwrap();
        let new = old.replace("    region_name: RegionOne\n", &format!("    region_name: RegionOne\n{lines}"));
        fs::write(world.clouds_yaml(), new).unwrap();
    };
    for (seconds, said) in [("1", "1 s"), ("0.5", "0.5 s")] {
        let world = World::new();
        limit(&world, &format!("    api_timeout: {seconds}\n"));
        world.images().on("GET", "/v2/images").stall();
        let started = Instant::now();
        world.run(LIST).code(1).stdout_is("").stderr_is(&format!(
            "error: `{}` has been silent for {said}\n\
             hint: try again; `api_timeout` in clouds.yaml sets another limit\n",
            world.images().url()
        ));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    let world = World::new();
    limit(&world, "    api_timeout: 1\n");
    world.images().on("GET", "/v2/images").stall_after(10);
    world.run(LIST).code(1).stderr_has(" has been silent for 1 s\n");
    let world = World::new();
    limit(&world, "    api_timeout: 1\n");
    world.identity().on("POST", "/v3/auth/tokens").stall();
    world.run(LIST).code(1).stderr_has(&format!("error: `{}` has been silent for 1 s\n", world.identity().url()));
}

#[test]
fn a_slow_answer_is_waited_for() {
    let world = World::new();
    world.given_image(&world.name("slow"), b"x");
    world.images().on("GET", "/v2/images").drip(100, Duration::from_millis(300));
    let run = world.rimg(LIST).env("OS_CLOUD", "envvars").env("OS_AUTH_URL", world.auth_url());
    let user =
        [("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret"), ("OS_PROJECT_NAME", "demo"), ("OS_API_TIMEOUT", "1")];
    let started = Instant::now();
    user.iter().fold(run, |run, (name, value)| run.env(name, value)).run().ok();
    assert!(started.elapsed() > Duration::from_secs(2), "the limit is on silence, not on the whole");
}

#[test]
fn nobody_answers() {
    let world = World::new();
    // Bound and closed again: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    world.run(LIST.iter().chain(&["--os-auth-url", &url])).code(1).stdout_is("").stderr_is(&format!(
        "error: cannot reach `{url}`: connection refused\n\
         hint: check the address in the cloud's configuration, the network, and HTTPS_PROXY/NO_PROXY\n"
    ));
}

#[test]
fn a_host_that_cannot_be() {
    let world = World::new();
    // A label of more than 63 letters: the resolver refuses it without asking anybody.
    let url = format!("http://{}.invalid/v3", "a".repeat(64));
    let outcome = world.run(LIST.iter().chain(&["--os-auth-url", &url]));
    outcome.code(1).stderr_has(&format!("error: cannot reach `{}`: ", url.trim_end_matches("/v3")));
}

#[test]
fn a_server_that_speaks_something_else() {
    let world = World::new();
    for words in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"\x15\x03\x03\x00\x02\x02\x46"] {
        let (url, talking) = babbler(words);
        world.run(LIST.iter().chain(&["--os-auth-url", &url])).code(1).stderr_is(&format!(
            "error: `{url}` does not speak HTTP\nhint: if it is meant to be TLS, its URL must begin with `https://`\n"
        ));
        talking.join().unwrap();
    }
}

#[test]
fn keystone_itself_has_trouble() {
    for (status, said) in
        [(400, "bad request"), (403, "forbidden"), (429, "too many requests"), (503, "service unavailable")]
    {
        let world = World::new();
        let trouble = json!({"error": {"message": "The words of Keystone.", "code": status, "title": "X"}});
        world.identity().on("POST", "/v3/auth/tokens").answer(move || Answer::json(status, &trouble));
        world.run(LIST).code(1).stdout_is("").stderr_has(&format!(
            "error: cannot sign in at `{}`: The words of Keystone (HTTP {status} {said})\n",
            world.auth_url()
        ));
        assert_eq!(world.identity().requests().len(), 1);
    }
    let world = World::new();
    world
        .identity()
        .on("POST", "/v3/auth/tokens")
        .answer(|| Answer::status(201).header("X-Subject-Token", "t").body("no JSON"));
    world.run(LIST).code(1).stderr_is(&format!(
        "error: `{}/auth/tokens` did not answer with JSON\n\
         hint: check that the endpoint is the OpenStack service itself, not a web page or a proxy\n",
        world.auth_url()
    ));
}

#[test]
fn a_wait_can_be_interrupted() {
    for signal in ["INT", "TERM"] {
        for (of_identity, method, path) in [(true, "POST", "/v3/auth/tokens"), (false, "GET", "/v2/images")] {
            let world = World::new();
            let server = if of_identity { world.identity() } else { world.images() };
            server.on(method, path).stall();
            let run = world.rimg(LIST).start();
            while server.asked(method, path).is_empty() {}
            run.signal(signal);
            run.wait().code(if signal == "INT" { 130 } else { 143 }).stdout_is("").stderr_is("error: interrupted\n");
        }
    }
}

#[test]
fn a_wait_for_a_source_or_a_reader_can_be_interrupted() {
    let world = World::new();
    let fifo = |name: &str| {
        let made = Command::new("mkfifo").arg(world.home.join(name)).status().unwrap();
        assert!(made.success());
    };
    fifo("silent");
    fifo("nobody");
    // Its other end is open, and nothing comes.
    let _writer = fs::File::options().read(true).write(true).open(world.home.join("silent")).unwrap();
    let silent = Stdin::Slow { pieces: vec![Vec::new()], pause: Duration::from_secs(60) };
    let create = ["image", "create", "x", "--disk-format", "raw"];
    let cases = [
        world.rimg(create).stdin(silent.clone()),
        world.rimg(create.iter().chain(&["--file", "-"])).stdin(silent),
        world.rimg(create.iter().chain(&["--file", "silent"])),
        world.rimg(create.iter().chain(&["--file", "nobody"])),
        world.rimg(["image", "save", "x", "--file", "nobody"]),
        world.rimg(["image", "metadef", "namespace", "import", "--file", "nobody"]),
    ];
    let signals = [("INT", 130), ("TERM", 143), ("HUP", 129)];
    for (run, (signal, code)) in cases.into_iter().zip(signals.into_iter().cycle()) {
        let running = run.start();
        listens(&running);
        // It is on its way to the wait, or there; both must do.
        thread::sleep(Duration::from_millis(200));
        running.signal(signal);
        running.wait().code(code).stdout_is("").stderr_is("error: interrupted\n");
    }
    assert!(world.images().requests().is_empty());
}

/// Waits until the program hears of signals.
fn listens(running: &Running) {
    let status = format!("/proc/{}/status", running.id());
    let heard = || {
        let status = fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        // SIGHUP is 1, SIGINT 2, SIGTERM 15.
        u64::from_str_radix(mask.trim(), 16).unwrap() & 0x4003 == 0x4003
    };
    let begun = Instant::now();
    while !heard() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not listen");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn redirects_are_followed_with_the_token_only_at_home() {
    let world = World::new();
    world.images().on("GET", "/v2/images").redirect(307, "/v2/images?limit=1000&moved=1");
    world.run(LIST).ok().stderr_is("");
    let asked = world.images().asked("GET", "/v2/images");
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|r| r.request.header("x-auth-token").is_some()));

    let elsewhere = Server::start(None, |_, _| Answer::json(200, &json!({"images": []})));
    for status in [301, 302, 303, 307, 308] {
        let world = World::new();
        world.images().on("GET", "/v2/images").redirect(status, &format!("{}/there", elsewhere.url()));
        world.run(LIST).ok().stdout_is("[]\n");
    }
    let there = elsewhere.requests();
    assert_eq!(there.len(), 5);
    assert!(there.iter().all(|r| r.request.path == "/there" && r.request.header("x-auth-token").is_none()));
}

#[test]
fn a_password_is_not_sent_on_to_another_host() {
    let elsewhere = Server::start(None, |_, _| Answer::status(404));
    let world = World::new();
    world.identity().on("POST", "/v3/auth/tokens").redirect(308, &format!("{}/v3/auth/tokens", elsewhere.url()));
    world.run(LIST).code(1).stderr_is(&format!(
        "error: `{}/auth/tokens` redirects to `{}/v3/auth/tokens`, where this request is not sent again\n\
         hint: if that is the right place, name it in the cloud's configuration (`auth_url`, `image_endpoint_override`)\n",
        world.auth_url(),
        elsewhere.url()
    ));
    assert_eq!(elsewhere.requests().len(), 0);
    // On the same host it is, as `openstack` does.
    let world = World::new();
    world.identity().on("POST", "/v3/auth/tokens").redirect(301, "/v3//auth/tokens");
    world.identity().on("POST", "/v3//auth/tokens").redirect(302, "/v3/auth/tokens");
    world.run(LIST).ok().stderr_is("");
    assert_eq!(world.identity().asked("POST", "/v3/auth/tokens").len(), 2);
}

#[test]
fn redirects_in_a_circle_end() {
    let world = World::new();
    world.images().on("GET", "/v2/images").always().redirect(302, "/v2/images");
    let url = world.images().url();
    world.run(LIST).code(1).stderr_is(&format!(
        "error: `{url}/v2/images` redirects to `{url}/v2/images`, one redirect too many\n\
         hint: if that is the right place, name it in the cloud's configuration (`auth_url`, `image_endpoint_override`)\n"
    ));
    assert_eq!(world.images().asked("GET", "/v2/images").len(), 6);
    // To nowhere, or to no web address at all.
    for location in ["ftp://127.0.0.1/", "javascript:1"] {
        list_answered(move || Answer::status(302).header("Location", location)).code(1).stderr_has("error: ");
    }
    list_answered(|| Answer::status(302)).code(1).stderr_is("error: the service answered HTTP 302 found\n");
}

#[test]
fn no_cloud_is_configured() {
    let world = World::new();
    fs::remove_file(world.clouds_yaml()).unwrap();
    let home = world.home.display();
    world.rimg(LIST).no_env("OS_CLOUD").run().code(1).stdout_is("").stderr_is(&format!(
        "error: no cloud is configured: there is no clouds.yaml in `{home}`, `{home}/.config/openstack`, \
         `/nonexistent/openstack` or `/etc/openstack`, and OS_AUTH_URL is not set\n\
         hint: name a cloud of a clouds.yaml with --os-cloud or OS_CLOUD; or `source openrc`, which sets OS_AUTH_URL and \
         other variables; or give --os-auth-url, --os-username and so on; or try rimg without a cloud, with \
         --os-cloud local\n"
    ));
    world.run(LIST).code(1).stderr_is(
        "error: there is no cloud `devstack`: no clouds.yaml was found\n\
         hint: write it to ~/.config/openstack/clouds.yaml, or set OS_CLIENT_CONFIG_FILE to the file that has it\n",
    );
}

#[test]
fn a_cloud_must_be_chosen_and_known() {
    let world = World::new();
    let file = world.clouds_yaml().display().to_string();
    let all = "`devstack`, `devstack-admin`, `devstack-other`";
    world.rimg(LIST).no_env("OS_CLOUD").run().code(1).stderr_is(&format!(
        "error: no cloud is chosen: `{file}` has {all}\nhint: choose one with --os-cloud or OS_CLOUD\n"
    ));
    world.run(LIST.iter().chain(&["--os-cloud", "nosuch"])).code(1).stderr_is(&format!(
        "error: there is no cloud `nosuch` in `{file}`\nhint: choose one of {all} with --os-cloud or OS_CLOUD\n"
    ));
}

#[test]
fn broken_yaml_is_named_by_file_and_line_and_not_quoted() {
    let world = World::new();
    let file =
        world.file(".config/openstack/clouds.yaml", "clouds:\n  devstack:\n    auth: {password: hunter2\n   x: [\n");
    let outcome = world.run(LIST);
    outcome
        .code(1)
        .stderr_lacks("hunter2")
        .stderr_has(&format!("error: `{}` is not valid YAML (line ", file.display()));
    // One in the current directory hides the right one behind it: said, and passed over.
    let world = World::new();
    world.file("clouds.yaml", "clouds: [hunter2");
    let outcome = world.run(LIST);
    outcome.ok().stderr_lacks("hunter2").stderr_has("warning: ").stderr_has("; skipping it\n");
    // One that was named is an error.
    let named = world.file("mine.yaml", "clouds: {devstack: hunter2}");
    let outcome = world.rimg(LIST).env("OS_CLIENT_CONFIG_FILE", &named).run();
    outcome.code(1).stderr_lacks("hunter2").stderr_is(&format!(
        "error: cloud `devstack` in `{}` is not a mapping\nhint: indent its keys below its name\n",
        named.display()
    ));
}

#[test]
fn clouds_are_looked_for_in_order() {
    let world = World::new();
    let right = fs::read_to_string(world.clouds_yaml()).unwrap();
    let wrong = right.replace("password: secret", "password: hunter2");
    // The first file found is the only one, whatever it holds.
    world.file("clouds.yaml", &wrong);
    world.run(LIST).code(1).stderr_has(&format!("in `{}/clouds.yaml`", world.home.display()));
    let named = world.file("elsewhere/mine.yml", &right);
    world.rimg(LIST).env("OS_CLIENT_CONFIG_FILE", &named).run().ok().stderr_is("");
    world
        .rimg(LIST)
        .env("OS_CLIENT_CONFIG_FILE", "nosuch.yaml")
        .run()
        .code(1)
        .stderr_has("named by OS_CLIENT_CONFIG_FILE, does not exist");
}

#[test]
fn a_setting_that_makes_no_sense_says_where_it_stands() {
    let world = World::new();
    let old = fs::read_to_string(world.clouds_yaml()).unwrap();
    world.file(
        ".config/openstack/clouds.yaml",
        old.replace("    region_name", "    api_timeout: soon\n    region_name"),
    );
    world.run(LIST).code(1).stderr_is(&format!(
        "error: `api_timeout` is not a number of seconds (from cloud `devstack` in `{}`)\nhint: correct `api_timeout` there\n",
        world.clouds_yaml().display()
    ));
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn how_much_is_said() {
    let world = World::new();
    world.run(LIST).ok().stderr_is("");
    for loud in [&["-vv"][..], &["--debug"], &["-v", "-v"]] {
        let loud = loud.iter().chain(&["--no-token-cache"]);
        world.run(LIST.iter().chain(loud)).ok().stderr_has("REQ: curl -g -i -X POST").stderr_has("RESP: [201]").json();
    }
    world.run(LIST.iter().chain(&["-v"])).ok().stderr_lacks("REQ:");
    // A warning is not an error: `-q` leaves it out.
    let stale = |args: &[&str]| {
        world.rimg(LIST.iter().chain(args)).env("OS_PROJECT_DOMAIN_NAME", "Default").env("OS_USERNAME", "other").run()
    };
    stale(&[]).stderr_has("warning: OS_USERNAME in the environment");
    stale(&["-q"]).code(1).stderr_lacks("warning: ").stderr_has("error: ");
    world.run(LIST.iter().chain(&["-q", "-v"])).code(2);
}

#[test]
fn how_long_each_request_took() {
    let world = World::new();
    let outcome = world.run(LIST.iter().chain(&["--timing"]));
    outcome.ok().json();
    outcome.stderr_has(&format!("POST {}/auth/tokens", world.auth_url())).stderr_has("| Total");
    // Also of a run that failed.
    let outcome = world.run(["image", "show", "nosuch", "--timing"]);
    outcome.code(1).stdout_is("").stderr_has("| Total").stderr_has("error: ");
}

#[test]
fn a_log_file() {
    let world = World::new();
    let log = world.home.join("rimg.log");
    world.run(["image", "show", "nosuch", "--log-file", "rimg.log"]).code(1).stderr_has("nosuch");
    let first = fs::read_to_string(&log).unwrap();
    assert!(first.contains(" ERROR ") && first.contains("nosuch") && !first.contains("REQ:"), "{first}");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    // It grows.
    world.run(LIST.iter().chain(&["--debug", "--log-file", "rimg.log"])).ok();
    let second = fs::read_to_string(&log).unwrap();
    assert!(second.starts_with(&first) && second.contains(" DEBUG REQ: curl "), "{second}");
    world
        .run(LIST.iter().chain(&["--log-file", "nosuch/rimg.log"]))
        .code(1)
        .stderr_is("error: cannot write the log file `nosuch/rimg.log`: no such file or directory\n");
}

#[test]
fn a_log_file_and_debug_of_clouds_yaml() {
    let world = World::new();
    let old = fs::read_to_string(world.clouds_yaml()).unwrap();
    let lines = "    debug: true\n    log_file: ~/cloud.log\n    region_name";
    world.file(".config/openstack/clouds.yaml", old.replace("    region_name", lines));
    world.run(LIST).ok().stderr_has("REQ: curl -g -i -X POST");
    let log = world.home.join("cloud.log");
    assert!(fs::read_to_string(&log).unwrap().contains(" DEBUG REQ: curl "));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_file(&log).unwrap();
    // Flags are stronger.
    world.run(LIST.iter().chain(&["-q", "--log-file", "mine.log"])).ok().stderr_is("");
    assert!(!log.exists() && world.home.join("mine.log").exists());
}

#[test]
fn the_reader_of_the_output_goes_away() {
    let world = World::new();
    let admin = world.session("admin");
    // Far more than a pipe holds.
    for number in 0..400 {
        let name = world.name(&format!("{number}-{}", "x".repeat(200)));
        let draft = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
        assert_eq!(admin.json("POST", "/v2/images", &draft).status, 201);
    }
    let cloud = ["--os-cloud", "devstack-admin", "--long"];
    let outcome = world.rimg(LIST.iter().chain(&cloud)).close_stdout_after(10).run();
    outcome.code(141).stderr_is("");
}
