//! The local image service keeps what it was given, whatever happens to it.
//!
//! tests/kills.py is the long run of this: kills by chance, under load.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{self, Reply, Session};
use crate::support::run::{Outcome, Running};
use crate::support::{Run, random_uuid};

const BINARY: (&str, &str) = ("Content-Type", "application/octet-stream");

/// A data directory, and what is needed to serve it.
struct Place {
    directory: tempfile::TempDir,
}

/// A process that serves a [`Place`].
struct Served {
    running: Running,
    clouds: PathBuf,
    admin: Session,
}

impl Place {
    fn new(settings: &str) -> Place {
        let directory = tempfile::Builder::new().prefix("rimg-keeps-").tempdir().unwrap();
        let users = "stores: [{name: fast}, {name: slow}]\nprojects: [{name: admin}]\nusers:\n\
                     - {name: admin, password: secret, roles: [{project: admin, roles: [admin]}]}\n";
        fs::write(directory.path().join("serve.yaml"), format!("{users}{settings}")).unwrap();
        Place { directory }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn serve(&self) -> Served {
        self.serve_after("exec \"$@\"")
    }

    /// Serves it; `script` prepares the process, has the data directory in `$0`
    /// and ends with `exec "$@"`.
    fn serve_after(&self, script: &str) -> Served {
        let clouds = self.directory.path().join(format!("clouds-{}.yaml", random_uuid()));
        let (data, config) = (self.data(), self.directory.path().join("serve.yaml"));
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let running = Run::new("/bin/sh")
            .args(["-c", script, &path(&data), env!("CARGO_BIN_EXE_rimg"), "serve", "--listen", "127.0.0.1:0"])
            .args(["--data-dir", &path(&data), "--config", &path(&config), "--write-clouds-yaml", &path(&clouds)])
            .env("HOME", self.directory.path())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .deadline(Duration::from_secs(120))
            .start();
        eventually("the service starts", || clouds.exists());
        let text = fs::read_to_string(&clouds).unwrap();
        let url = text.lines().find_map(|line| line.trim().strip_prefix("auth_url: ")).unwrap();
        let admin = Session::sign_in(url.trim_matches('"'), "admin", None);
        Served { running, clouds, admin }
    }

    /// The data files, whole or not, of all stores and the staging area.
    fn files(&self) -> Vec<PathBuf> {
        files(&self.data())
    }
}

fn files(data: &Path) -> Vec<PathBuf> {
    let places = ["staging", "stores/fast", "stores/slow"].map(|place| data.join(place));
    places.iter().flat_map(|place| fs::read_dir(place).unwrap()).map(|entry| entry.unwrap().path()).collect()
}

impl Served {
    /// A queued image.
    fn queued(&self) -> String {
        let draft = json!({"name": "i", "disk_format": "raw", "container_format": "bare"});
        let made = self.admin.json("POST", "/v2/images", &draft);
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["id"].as_str().unwrap().to_owned()
    }

    fn upload(&self, id: &str, data: &[u8]) -> Reply {
        self.admin.ask("PUT", &format!("/v2/images/{id}/file"), &[BINARY], data).unwrap()
    }

    fn active(&self, data: &[u8]) -> String {
        let id = self.queued();
        let put = self.upload(&id, data);
        assert_eq!(put.status, 204, "{}", put.text());
        id
    }

    fn image(&self, id: &str) -> Value {
        self.admin.ask("GET", &format!("/v2/images/{id}"), &[], b"").unwrap().json()
    }

    fn download(&self, id: &str) -> std::io::Result<Reply> {
        self.admin.ask("GET", &format!("/v2/images/{id}/file"), &[], b"")
    }

    /// A connection on which this was sent.
    fn connection(&self, text: &str) -> TcpStream {
        let authority = self.admin.image_url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// The head of a request.
    fn head(&self, request: &str, headers: &str) -> String {
        format!("{request} HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {}\r\n{headers}\r\n", self.admin.token)
    }

    /// An upload of `size` bytes that is under way, with `sent` already sent.
    fn uploading(&self, id: &str, size: usize, sent: &[u8]) -> TcpStream {
        let headers = format!("Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n");
        let mut stream = self.connection(&self.head(&format!("PUT /v2/images/{id}/file"), &headers));
        stream.write_all(sent).unwrap();
        eventually("the upload begins", || self.image(id)["status"] == "saving");
        stream
    }

    /// Ends it with SIGKILL.
    fn kill(self) -> Outcome {
        self.running.signal("KILL");
        self.running.wait()
    }

    /// Ends it as one does; answers with what it said.
    fn stop(self) -> String {
        self.running.signal("TERM");
        self.running.wait().ok().stderr()
    }
}

/// Waits for what has to come true.
#[track_caller]
fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed().as_secs() < 30, "{what}: not within half a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The status of the answer that comes on a connection; `None` if it is closed without one.
fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while !text.windows(2).any(|two| two == b"\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => text.extend_from_slice(&buffer[..read]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(e) => panic!("no answer: {e}"),
        }
    }
    String::from_utf8_lossy(&text).split(' ').nth(1)?.parse().ok()
}

#[track_caller]
fn is_queued_without_data(served: &Served, id: &str) {
    eventually("the image is queued again", || served.image(id)["status"] == "queued");
    let image = served.image(id);
    assert_eq!((&image["size"], &image["checksum"]), (&Value::Null, &Value::Null), "{image}");
}

#[test]
fn what_a_kill_leaves_is_swept_and_said() {
    let place = Place::new("");
    let served = place.serve();
    let kept = served.active(b"kept");
    let cut = served.queued();
    let _upload = served.uploading(&cut, 1_000_000, &[7; 600_000]);
    eventually("data is written", || place.files().len() == 2);
    served.kill();
    let served = place.serve();
    is_queued_without_data(&served, &cut);
    assert_eq!(place.files().len(), 1);
    assert_eq!(served.download(&kept).unwrap().body, b"kept");
    assert_eq!(served.upload(&cut, b"again").status, 204);
    assert_eq!(fs::read_dir(place.data().join("runs")).unwrap().count(), 1, "the one that was killed is forgotten");
    let said = served.stop();
    assert!(said.contains(&format!("swept up image {cut}: unfinished data in store `fast`")), "{said}");
}

#[test]
fn who_starts_does_not_sweep_what_another_has_in_hand() {
    let place = Place::new("");
    let first = place.serve();
    let id = first.queued();
    let mut upload = first.uploading(&id, 1_000_000, &[7; 600_000]);
    // What is left of an older try of the same image, by a process that is no more.
    let registry = rusqlite::Connection::open(place.data().join("registry.sqlite")).unwrap();
    let row = "INSERT INTO files (id, image_id, store, state, run) VALUES ('old', ?1, 'fast', 'garbage', 'gone')";
    registry.execute(row, [&id]).unwrap();
    fs::write(place.data().join("stores/fast/old"), b"old").unwrap();
    let second = place.serve();
    assert_eq!(place.files().len(), 1);
    upload.write_all(&[7; 400_000]).unwrap();
    assert_eq!(status(&mut upload), Some(204));
    assert!(second.download(&id).unwrap().body == [7; 1_000_000]);
}

#[test]
fn several_may_start_at_once_on_a_new_directory_and_write_at_once() {
    let place = Place::new("");
    let served: Vec<Served> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..6).map(|_| scope.spawn(|| place.serve())).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let contested = served[0].queued();
    let (mut made, mut won) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let working: Vec<_> = served
            .iter()
            .enumerate()
            .map(|(at, one)| {
                let contested = &contested;
                scope.spawn(move || {
                    let data = |turn: usize| vec![(at * 16 + turn) as u8; 300_000];
                    let made: Vec<_> = (0..4).map(|turn| (one.active(&data(turn)), data(turn))).collect();
                    (made, one.upload(contested, &data(9)).status)
                })
            })
            .collect();
        for one in working {
            let (images, status) = one.join().unwrap();
            made.extend(images);
            won.push(status);
        }
    });
    won.sort();
    assert_eq!(won, [204, 409, 409, 409, 409, 409], "one upload wins");
    for (at, (id, data)) in made.iter().enumerate() {
        assert!(served[at % 6].download(id).unwrap().body == *data);
    }
    assert_eq!(place.files().len(), made.len() + 1);
}

/// Fills the store with an upload that does not fit, and sees that nothing of
/// it stays and all goes on.
fn fill(served: &Served, files: &dyn Fn() -> Vec<PathBuf>) {
    let kept = served.active(&[1; 500_000]);
    let id = served.queued();
    // Zeros would be as good, but for file systems that do not store them.
    let large: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_le_bytes).collect();
    for _ in 0..3 {
        let put = served.upload(&id, &large);
        assert_eq!(put.status, 413, "{}", put.text());
        is_queued_without_data(served, &id);
        eventually("nothing of it stays", || files().len() == 1);
    }
    assert_eq!(served.upload(&id, b"this fits").status, 204);
    assert_eq!(served.download(&id).unwrap().body, b"this fits");
    assert!(served.download(&kept).unwrap().body == [1; 500_000]);
    assert_eq!(served.admin.ask("DELETE", &format!("/v2/images/{kept}"), &[], b"").unwrap().status, 204);
}

/// As on a file system whose files cannot be larger. Runs everywhere.
#[test]
fn a_store_that_takes_no_more() {
    let place = Place::new("");
    let served = place.serve_after("trap '' XFSZ; ulimit -f 8192; exec \"$@\"");
    fill(&served, &|| place.files());
}

/// Images API v1 says the same, and gives the image up.
#[test]
fn a_store_that_takes_no_more_from_v1() {
    let place = Place::new("api_v1: true\n");
    let served = place.serve_after("trap '' XFSZ; ulimit -f 8192; exec \"$@\"");
    let large: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_le_bytes).collect();
    let id = served.queued();
    let put = served.admin.ask("PUT", &format!("/v1/images/{id}"), &[BINARY], &large).unwrap();
    assert_eq!(put.status, 413, "{}", put.text());
    let shown = served.admin.ask("HEAD", &format!("/v1/images/{id}"), &[], b"").unwrap();
    assert_eq!(shown.header("x-image-meta-status"), Some("killed"));
    eventually("nothing of it stays", || place.files().is_empty());
    let put = served.admin.ask("PUT", &format!("/v1/images/{}", served.queued()), &[BINARY], b"this fits").unwrap();
    assert_eq!(put.status, 200, "{}", put.text());
}

/// A disk of 8 MiB, which is really full. Only where a user may mount one for
/// a process of its own.
#[test]
fn a_full_disk() {
    let mount = "mount -t tmpfs -o size=8m rimg \"$0\"";
    let place = Place::new("");
    fs::create_dir(place.data()).unwrap();
    let data = place.data();
    let probe = Command::new("unshare").args(["-rm", "/bin/sh", "-c", mount]).arg(&data).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        // The harness swallows what a test prints that succeeds, but not this.
        let _ = std::io::stderr().write_all(b"a full disk: not run (no user namespaces here)\n");
        return;
    }
    let script = format!("exec unshare -rm /bin/sh -c '{mount} && exec \"$@\"' \"$0\" \"$@\"");
    let served = place.serve_after(&script);
    let inside = PathBuf::from(format!("/proc/{}/root", served.running.id())).join(data.strip_prefix("/").unwrap());
    fill(&served, &|| files(&inside));
    // A registry that has no room at all: nothing is lost by it.
    let last = served.active(b"last");
    let ballast = inside.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    drop(file);
    let id = served.admin.json("POST", "/v2/images", &json!({"disk_format": "raw", "container_format": "bare"}));
    assert!(matches!(id.status, 201 | 413), "{}", id.text());
    assert_eq!(served.download(&last).unwrap().body, b"last");
    fs::remove_file(ballast).unwrap();
    served.active(b"there is room again");
}

#[test]
fn clients_that_vanish() {
    let place = Place::new("");
    let served = place.serve();
    let id = served.queued();
    drop(served.uploading(&id, 1_000_000, &[7; 600_000]));
    is_queued_without_data(&served, &id);
    eventually("no file stays", || place.files().is_empty());
    // Ends as if it were whole: what was promised counts.
    let headers = [BINARY, ("x-openstack-image-size", "9")];
    let put = served.admin.ask("PUT", &format!("/v2/images/{id}/file"), &headers, b"short").unwrap();
    assert_eq!(put.status, 400);
    is_queued_without_data(&served, &id);
    assert_eq!(served.upload(&id, &[9; 3_000_000]).status, 204);
    let mut download = served.connection(&served.head(&format!("GET /v2/images/{id}/file"), ""));
    download.read_exact(&mut [0; 70_000]).unwrap();
    drop(download);
    assert!(served.download(&id).unwrap().body == [9; 3_000_000]);
}

#[test]
fn damage_is_noticed_when_it_is_read() {
    let place = Place::new("");
    let served = place.serve();
    let data: Vec<u8> = (0..250_000u32).flat_map(u32::to_le_bytes).collect();
    let (bad, short) = (served.active(&data), served.active(&data));
    let files = place.files();
    let registry = rusqlite::Connection::open(place.data().join("registry.sqlite")).unwrap();
    let file = |id: &str| {
        let name = registry.query_row("SELECT id FROM files WHERE image_id = ?1", [id], |row| row.get::<_, String>(0));
        let name = name.unwrap();
        files.iter().find(|path| path.ends_with(&name)).unwrap().clone()
    };
    let mut damaged = data.clone();
    damaged[777_777] ^= 1;
    fs::write(file(&bad), damaged).unwrap();
    fs::OpenOptions::new().write(true).open(file(&short)).unwrap().set_len(999_999).unwrap();
    let cut = served.download(&bad).unwrap_err();
    assert_eq!(cut.kind(), std::io::ErrorKind::UnexpectedEof, "the answer ends before the damage");
    // What is before the damage is as good as ever.
    let headers = [("Range", "bytes=0-999")];
    let part = served.admin.ask("GET", &format!("/v2/images/{bad}/file"), &headers, b"").unwrap();
    assert!(part.status == 206 && part.body == data[..1000]);
    assert_eq!(served.download(&short).unwrap().status, 500);
    for id in [&bad, &short] {
        let saved = Run::new(env!("CARGO_BIN_EXE_rimg"))
            .args(["image", "save", id, "--file", "out.img"])
            .env("HOME", place.directory.path())
            .env("OS_CLIENT_CONFIG_FILE", &served.clouds)
            .env("OS_CLOUD", "rimg-admin")
            .directory(place.directory.path())
            .run();
        saved.code(1);
        assert!(!place.directory.path().join("out.img").exists());
    }
    let said = served.stop();
    assert!(said.contains("is damaged at byte 524288 or soon after"), "{said}");
    assert!(said.contains("has 999999 bytes of 1000000"), "{said}");
}

#[test]
fn what_is_too_large_is_refused() {
    let place = Place::new("quota: {image_size: 100000}\n");
    let served = place.serve();
    let long = "x".repeat(70_000);
    let mut header = served.connection(&served.head("GET /v2/images", &format!("X-Long: {long}\r\n")));
    assert_eq!(status(&mut header), Some(431));
    let many = "X-One: 1\r\n".repeat(5000);
    assert_eq!(status(&mut served.connection(&served.head("GET /v2/images", &many))), Some(431));
    let mut line = served.connection(&served.head(&format!("GET /v2/images?name={long}"), ""));
    assert!(matches!(status(&mut line), Some(414 | 431)));
    // JSON: by what it says of its length, and by what comes.
    let mib2 = json!({"name": "x".repeat(2 << 20)}).to_string();
    let media = ("Content-Type", "application/json");
    assert_eq!(served.admin.ask("POST", "/v2/images", &[media], mib2.as_bytes()).unwrap().status, 413);
    let mut chunked = served.connection(&served.head("POST /v2/images", "Transfer-Encoding: chunked\r\n"));
    let _ = chunked.write_all(format!("{:x}\r\n{mib2}\r\n0\r\n\r\n", mib2.len()).as_bytes());
    assert_eq!(status(&mut chunked), Some(413));
    let deep = "[".repeat(100_000);
    assert_eq!(served.admin.ask("POST", "/v2/images", &[media], deep.as_bytes()).unwrap().status, 400);
    let sign_in = served.admin.image_url.clone() + "/identity/v3/auth/tokens";
    assert_eq!(client::ask("POST", &sign_in, &[media], mib2.as_bytes()).unwrap().status, 413);
    // Data: more than an image may have, and more than was said.
    let id = served.queued();
    assert_eq!(served.upload(&id, &[1; 100_001]).status, 413);
    is_queued_without_data(&served, &id);
    let headers = "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n";
    let mut chunked = served.connection(&served.head(&format!("PUT /v2/images/{id}/file"), headers));
    let _ = chunked.write_all(b"186a1\r\n").and_then(|()| chunked.write_all(&[1; 100_001]));
    let _ = chunked.write_all(b"\r\n0\r\n\r\n");
    assert_eq!(status(&mut chunked), Some(413));
    is_queued_without_data(&served, &id);
    assert!(place.files().is_empty());
    assert_eq!(served.upload(&id, &[1; 100_000]).status, 204);
}

#[test]
fn who_sends_nothing_is_not_waited_for() {
    let place = Place::new("limits: {stall: 1}\n");
    let served = place.serve();
    let id = served.queued();
    let begun = Instant::now();
    let mut silent = served.connection("");
    let mut half = served.connection("GET /v2/images HTTP/1.1\r\nHost");
    let mut upload = served.uploading(&id, 1000, b"some");
    let mut drips = served.connection("GET /v2/images HTTP/1.1\r\nX-Slow: ");
    let mut copy = drips.try_clone().unwrap();
    // A byte now and then is not a request either.
    std::thread::spawn(move || {
        while copy.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(200))
        }
    });
    assert!(matches!(status(&mut silent), None | Some(408)));
    assert!(matches!(status(&mut half), None | Some(408)));
    assert!(matches!(status(&mut drips), None | Some(408)));
    assert_eq!(status(&mut upload), Some(408));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    is_queued_without_data(&served, &id);
    assert!(place.files().is_empty());
    // Nor is one that takes nothing of a long answer.
    let large = served.active(&vec![5; 40 << 20]);
    let _idle = served.connection(&served.head(&format!("GET /v2/images/{large}/file"), ""));
    std::thread::sleep(Duration::from_secs(3));
    let said = served.stop();
    let line = said.lines().find(|line| line.contains("method=GET") && line.contains("/file")).unwrap_or_default();
    assert!(!line.contains(&format!("sent={}", 40 << 20)), "{said}");
}

#[test]
fn connections_beyond_the_limit_wait() {
    let place = Place::new("limits: {connections: 2}\n");
    let served = place.serve();
    // Those of the test itself are gone when these have an answer.
    let request = served.head("GET /v2/images", "");
    let mut held = [served.connection(&request), served.connection(&request)];
    assert!(held.iter_mut().all(|one| status(one) == Some(200)));
    let mut third = served.connection(&request);
    third.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(third.read(&mut [0; 1]).is_err(), "there is no seat for it yet");
    drop(held);
    third.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(status(&mut third), Some(200));
}

#[test]
fn nothing_that_a_client_says_is_a_path() {
    let place = Place::new("");
    let served = place.serve();
    fs::write(place.directory.path().join("secret"), b"secret").unwrap();
    let before = tree(place.directory.path());
    let up = [
        "../secret",
        "../../secret",
        "..%2f..%2fsecret",
        "%2e%2e/%2e%2e/secret",
        "%2fetc%2fpasswd",
        "..",
        ".",
        "%00",
        "a%00b",
    ];
    for name in up {
        for (method, path) in [
            ("GET", format!("/v2/images/{name}")),
            ("GET", format!("/v2/images/{name}/file")),
            ("PUT", format!("/v2/images/{name}/file")),
            ("PUT", format!("/v2/images/{name}/stage")),
            ("DELETE", format!("/v2/images/{name}")),
            ("DELETE", format!("/v2/stores/{name}/{}", random_uuid())),
            ("GET", format!("/v2/schemas/{name}")),
            ("GET", format!("/v2/metadefs/namespaces/{name}")),
            ("GET", format!("/v2/tasks/{name}")),
            ("GET", format!("/{name}")),
            ("GET", format!("/identity/v3/users/{name}")),
        ] {
            let reply = served.admin.ask(method, &path, &[BINARY], b"x").unwrap();
            assert!((300..500).contains(&reply.status), "{method} {path}: {} {}", reply.status, reply.text());
            assert!(!reply.text().contains("root:") && reply.body != b"secret", "{method} {path}");
        }
    }
    // Where such text is allowed it is text.
    for text in ["../../secret", "/etc/passwd", "a/b", "'; DROP TABLE images; --"] {
        let draft = json!({"name": text, "disk_format": "raw", "container_format": "bare", "tags": [text], "p": text});
        let made = served.admin.json("POST", "/v2/images", &draft).json();
        let id = made["id"].as_str().unwrap();
        assert_eq!((&made["name"], &made["tags"][0], &made["p"]), (&json!(text), &json!(text), &json!(text)));
        let headers = [BINARY, ("x-image-meta-store", text)];
        let put = served.admin.ask("PUT", &format!("/v2/images/{id}/file"), &headers, b"x").unwrap();
        assert_eq!(put.status, 400, "{}", put.text());
        let own = json!({"id": text, "name": "x"});
        assert_eq!(served.admin.json("POST", "/v2/images", &own).status, 400);
        let wish = json!({"method": {"name": "copy-image"}, "stores": [text]});
        assert!((400..500).contains(&served.admin.json("POST", &format!("/v2/images/{id}/import"), &wish).status));
        let query = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        for key in ["name", "p", "sort_key", "marker", "status", "id", "tag", "owner"] {
            let reply = served.admin.ask("GET", &format!("/v2/images?{key}={query}"), &[], b"").unwrap();
            assert!(reply.status < 500, "{key}: {}", reply.text());
        }
        assert_eq!(served.admin.ask("DELETE", &format!("/v2/images/{id}"), &[], b"").unwrap().status, 204);
    }
    assert_eq!(tree(place.directory.path()), before);
    assert_eq!(fs::read(place.directory.path().join("secret")).unwrap(), b"secret");
}

/// A short run of tests/kills.py; `RIMG_KILLS` and `RIMG_SEED` make it longer and tell it apart.
#[test]
fn kills_by_chance() {
    let kills = std::env::var("RIMG_KILLS").unwrap_or_else(|_| "12".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kills.py");
    let run = Command::new("python3").args([script, env!("CARGO_BIN_EXE_rimg"), "--kills", &kills]).output();
    let Ok(run) = run else {
        let _ = std::io::stderr().write_all(b"kills by chance: not run (no python3 here)\n");
        return;
    };
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}{err}");
}

/// All files below a directory.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(tree(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
