//! The service over a real socket, with clients that do not behave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failure::Failure;
use super::registry::{FileState, Image, Session, Status};
use super::service::password_checks;
use super::*;

fn admin() -> Caller {
    Caller {
        user_id: "u".into(),
        project_id: Some("p".into()),
        roles: ["admin", "member", "reader"].map(str::to_owned).into(),
        is_admin: true,
        ..Caller::default()
    }
}

/// A service that runs, and what it swept before.
pub struct Begun {
    url: String,
    token: &'static str,
    swept: Vec<String>,
    _running: Running,
}

pub fn begin(directory: &Path, settings: Settings) -> Begun {
    let (service, swept) = Service::open(directory, settings).unwrap();
    serving(service, swept)
}

/// Serves to an administrator.
pub fn serving(service: Arc<Service>, swept: Vec<String>) -> Begun {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let token = "a token";
    let running = run(service, listener, Arc::new(FixedToken::new(token.to_owned(), admin()))).unwrap();
    Begun { url: running.url.clone(), token, swept, _running: running }
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        self.head.lines().find(named)?.split_once(": ").map(|(_, value)| value)
    }
}

fn connect(running: &Begun) -> TcpStream {
    let stream = TcpStream::connect(running.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn head(running: &Begun, method: &str, path: &str, headers: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {}\r\nConnection: close\r\n{headers}\r\n",
        running.token
    )
}

fn receive(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    // A connection that is reset has given what it had.
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {all:?}"));
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if status == 100 {
        panic!("nobody asked for it");
    }
    Answer { status, head, body: all[end + 4..].to_vec() }
}

pub fn send(running: &Begun, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = connect(running);
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    stream.write_all(head(running, method, path, &format!("{headers}{length}")).as_bytes()).unwrap();
    let _ = stream.write_all(body);
    receive(stream)
}

fn get(running: &Begun, path: &str) -> Answer {
    send(running, "GET", path, "", b"")
}

const OCTETS: &str = "Content-Type: application/octet-stream\r\n";

pub fn create(running: &Begun, fields: Value) -> String {
    let answer = send(running, "POST", "/v2/images", "", fields.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn raw(running: &Begun) -> String {
    create(running, json!({"disk_format": "raw", "container_format": "bare"}))
}

fn status(running: &Begun, id: &str) -> String {
    get(running, &format!("/v2/images/{id}")).json()["status"].as_str().unwrap().to_owned()
}

/// Waits for what happens in the background.
fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happens() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what} does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn data_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for store in ["stores/local", "staging"] {
        files.extend(std::fs::read_dir(directory.join(store)).unwrap().map(|entry| entry.unwrap().path()));
    }
    files
}

/// Not a disk, and not to be compressed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn an_image_from_its_making_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let id = raw(&running);
    let data = noise(3 * store::BLOCK + 17);
    let path = format!("/v2/images/{id}/file");
    assert_eq!(get(&running, &path).status, 204);
    assert_eq!(send(&running, "PUT", &path, OCTETS, &data).status, 204);
    let image = get(&running, &format!("/v2/images/{id}")).json();
    assert_eq!(image["status"], "active");
    assert_eq!(image["size"], data.len());
    let down = get(&running, &path);
    assert_eq!(down.header("content-md5"), image["checksum"].as_str());
    assert!(down.body == data);
    for (range, expected) in [
        ("bytes=0-0", &data[..1]),
        ("bytes=262143-262144", &data[262_143..262_145]),
        ("bytes=300000-", &data[300_000..]),
        ("bytes=-5", &data[data.len() - 5..]),
    ] {
        let part = send(&running, "GET", &path, &format!("Range: {range}\r\n"), b"");
        assert_eq!((part.status, part.body == expected), (206, true), "{range}");
    }
    assert_eq!(send(&running, "PUT", &path, OCTETS, b"again").status, 409);
    assert_eq!(send(&running, "DELETE", &format!("/v2/images/{id}"), "", b"").status, 204);
    assert_eq!(get(&running, &path).status, 404);
    assert!(data_files(directory.path()).is_empty());
}

#[test]
fn data_may_come_in_chunks() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let id = raw(&running);
    let mut stream = connect(&running);
    let headers = format!("{OCTETS}Transfer-Encoding: chunked\r\n");
    let path = format!("/v2/images/{id}/file");
    stream.write_all(head(&running, "PUT", &path, &headers).as_bytes()).unwrap();
    stream.write_all(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").unwrap();
    assert_eq!(receive(stream).status, 204);
    assert_eq!(get(&running, &path).body, b"abcde");
}

/// Sends the head and the first bytes of an upload, and waits until they are taken.
fn half_an_upload(running: &Begun, id: &str) -> TcpStream {
    let mut stream = connect(running);
    let headers = format!("{OCTETS}Content-Length: 1000000\r\n");
    stream.write_all(head(running, "PUT", &format!("/v2/images/{id}/file"), &headers).as_bytes()).unwrap();
    stream.write_all(&noise(600_000)).unwrap();
    eventually("the upload begins", || status(running, id) == "saving");
    stream
}

#[test]
fn a_client_that_vanishes_leaves_a_queued_image_and_no_data() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let id = raw(&running);
    let stream = half_an_upload(&running, &id);
    assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/file"), OCTETS, b"other").status, 409);
    drop(stream);
    eventually("the image is queued again", || status(&running, &id) == "queued");
    eventually("the data is gone", || data_files(directory.path()).is_empty());
    assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/file"), OCTETS, b"again").status, 204);
}

#[test]
fn an_image_that_is_deleted_while_it_is_sent_stays_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let id = raw(&running);
    let mut stream = half_an_upload(&running, &id);
    assert_eq!(send(&running, "DELETE", &format!("/v2/images/{id}"), "", b"").status, 204);
    stream.write_all(&noise(400_000)).unwrap();
    assert_eq!(receive(stream).status, 410);
    assert_eq!(get(&running, &format!("/v2/images/{id}")).status, 404);
    eventually("the data is gone", || data_files(directory.path()).is_empty());
}

#[test]
fn who_sends_too_much_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { quota: Quota { image_size: 1 << 20, ..Quota::default() }, ..Settings::default() };
    let running = begin(directory.path(), settings);
    let (said, unsaid) = (raw(&running), raw(&running));
    let answer = send(&running, "PUT", &format!("/v2/images/{said}/file"), OCTETS, &noise(16 << 20));
    assert_eq!(answer.status, 413);
    assert!(answer.head.starts_with("HTTP/1.1 413 Request Entity Too Large"), "{}", answer.head);
    // In chunks nobody knows beforehand.
    let mut stream = connect(&running);
    let headers = format!("{OCTETS}Transfer-Encoding: chunked\r\n");
    stream.write_all(head(&running, "PUT", &format!("/v2/images/{unsaid}/file"), &headers).as_bytes()).unwrap();
    let chunk = noise(1 << 20);
    for _ in 0..16 {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
        stream.write_all(&chunk).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(receive(stream).status, 413);
    for id in [said, unsaid] {
        assert_eq!(status(&running, &id), "queued");
    }
    eventually("the data is gone", || data_files(directory.path()).is_empty());
}

#[test]
fn damaged_data_is_not_passed_off_as_good() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let id = raw(&running);
    let data = noise(4 * store::BLOCK);
    let path = format!("/v2/images/{id}/file");
    assert_eq!(send(&running, "PUT", &path, OCTETS, &data).status, 204);
    let [file] = &data_files(directory.path())[..] else { panic!("one file") };

    let mut bytes = std::fs::read(file).unwrap();
    bytes[2 * store::BLOCK + 5] ^= 1;
    std::fs::write(file, &bytes).unwrap();
    let down = get(&running, &path);
    assert_eq!(down.header("content-length"), Some(data.len().to_string().as_str()));
    assert!(down.body.len() <= 2 * store::BLOCK && data.starts_with(&down.body), "{} bytes", down.body.len());
    assert_eq!(send(&running, "GET", &path, "Range: bytes=0-9\r\n", b"").body, &data[..10]);
    assert_eq!(send(&running, "GET", &path, "Range: bytes=524300-524310\r\n", b"").status, 500);

    std::fs::write(file, &bytes[..100]).unwrap();
    assert_eq!(get(&running, &path).status, 500);
}

#[test]
fn what_is_too_long_or_too_slow_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { stall: Duration::from_millis(300), json_bytes: 1000, ..Limits::default() };
    let running = begin(directory.path(), Settings { limits, ..Settings::default() });

    let long = format!("X-Long: {}\r\n", "x".repeat(100_000));
    assert_eq!(send(&running, "GET", "/v2/images", &long, b"").status, 431);
    let large = json!({"name": "x", "more": "x".repeat(2000)}).to_string();
    assert_eq!(send(&running, "POST", "/v2/images", "", large.as_bytes()).status, 413);

    let mut silent = connect(&running);
    silent.write_all(b"GET /v2").unwrap();
    let mut nothing = Vec::new();
    let _ = silent.read_to_end(&mut nothing);

    let id = raw(&running);
    let stalled = half_an_upload(&running, &id);
    assert_eq!(receive(stalled).status, 408);
    eventually("the image is queued again", || status(&running, &id) == "queued");
}

#[test]
fn two_processes_serve_the_same_images() {
    let directory = tempfile::tempdir().unwrap();
    let one = begin(directory.path(), Settings::default());
    let id = raw(&one);
    let stream = half_an_upload(&one, &id);
    // The other one finds work in hand whose owner is alive, and leaves it alone.
    let other = begin(directory.path(), Settings::default());
    assert_eq!(other.swept, [""; 0]);
    assert_eq!(status(&other, &id), "saving");
    let mut stream = stream;
    stream.write_all(&noise(400_000)).unwrap();
    assert_eq!(receive(stream).status, 204);
    assert_eq!(get(&other, &format!("/v2/images/{id}/file")).body.len(), 1_000_000);
    assert_eq!(send(&other, "DELETE", &format!("/v2/images/{id}"), "", b"").status, 204);
    assert_eq!(get(&one, &format!("/v2/images/{id}")).status, 404);
}

#[test]
fn what_a_dead_process_left_behind_is_swept() {
    let directory = tempfile::tempdir().unwrap();
    {
        // As it is when the power goes: rows that name a process which is no more.
        let (service, _) = Service::open(directory.path(), Settings::default()).unwrap();
        let kept = |session: &Session, id: &str, status, file: &str, state: Option<FileState>| {
            let mut image = Image::new(id.to_owned());
            image.status = status;
            image.owner = Some("p".into());
            session.add(&image)?;
            session.add_file(file, id, "local", "dead")?;
            if let Some(state) = state {
                session.complete_file(file, state, 1, b"")?;
            }
            Ok::<_, Failure>(())
        };
        service
            .registry
            .write(|session| {
                kept(session, "writing", Status::Saving, "aa", None)?;
                kept(session, "renamed", Status::Saving, "bb", None)?;
                kept(session, "deleted", Status::Active, "cc", Some(FileState::Stored))?;
                session.discard_file("cc", "dead")?;
                kept(session, "whole", Status::Active, "dd", Some(FileState::Stored))
            })
            .unwrap();
        let store = directory.path().join("stores/local");
        for name in ["aa.part", "bb", "cc", "dd"] {
            std::fs::write(store.join(name), b"x").unwrap();
        }
    }
    let running = begin(directory.path(), Settings::default());
    assert_eq!(running.swept.len(), 3, "{:?}", running.swept);
    assert_eq!(data_files(directory.path()), [directory.path().join("stores/local/dd")]);
    assert_eq!(status(&running, "writing"), "queued");
    assert_eq!(status(&running, "renamed"), "queued");
    assert_eq!(status(&running, "whole"), "active");
    assert_eq!(begin(directory.path(), Settings::default()).swept, [""; 0]);
}

#[test]
fn what_could_not_be_removed_is_removed_by_the_next_sweep() {
    let directory = tempfile::tempdir().unwrap();
    let (service, _) = Service::open(directory.path(), Settings::default()).unwrap();
    service
        .registry
        .write(|session| {
            session.add(&Image::new("i".to_owned()))?;
            session.add_file("aa", "i", "local", service.run.id())?;
            session.discard_file("aa", service.run.id()).map_err(Failure::from)
        })
        .unwrap();
    std::fs::write(directory.path().join("stores/local/aa"), b"x").unwrap();
    assert_eq!(service.sweep().unwrap(), [""; 0]);
    assert!(data_files(directory.path()).is_empty());
    assert!(service.registry.read(|session| session.runs()).unwrap().is_empty());
}

#[test]
fn an_image_in_a_store_that_is_set_up_no_more_is_deleted_with_its_other_copies() {
    let directory = tempfile::tempdir().unwrap();
    let (service, swept) = Service::open(directory.path(), Settings::default()).unwrap();
    let running = serving(Arc::clone(&service), swept);
    let id = raw(&running);
    service
        .registry
        .write(|session| {
            session.add_file("aa", &id, "gone", service.run.id())?;
            session.complete_file("aa", FileState::Stored, 4, b"").map_err(Failure::from)
        })
        .unwrap();
    assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/file"), OCTETS, b"data").status, 204);
    assert_eq!(send(&running, "DELETE", &format!("/v2/images/{id}"), "", b"").status, 204);
    assert!(data_files(directory.path()).is_empty());
}

#[test]
fn a_service_that_stops_lets_transfers_end() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let id = raw(&running);
    let mut stream = half_an_upload(&running, &id);
    let stopping = std::thread::spawn(move || drop(running));
    std::thread::sleep(Duration::from_millis(100));
    stream.write_all(&noise(400_000)).unwrap();
    assert_eq!(receive(stream).status, 204);
    stopping.join().unwrap();
    assert!(std::fs::read_dir(directory.path().join("runs")).unwrap().next().is_none());
}

#[test]
fn a_service_that_cannot_wait_longer_undoes_transfers() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { grace: Duration::from_millis(100), ..Limits::default() };
    let running = begin(directory.path(), Settings { limits, ..Settings::default() });
    let id = raw(&running);
    let stream = half_an_upload(&running, &id);
    drop(running);
    assert!(data_files(directory.path()).is_empty());
    drop(stream);
    let again = begin(directory.path(), Settings::default());
    assert_eq!(again.swept, [""; 0]);
    assert_eq!(status(&again, &id), "queued");
}

#[test]
fn no_name_of_a_user_reaches_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    for id in ["../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "' OR '1'='1", "a%00b"] {
        let id = id.replace(' ', "%20");
        assert_eq!(get(&running, &format!("/v2/images/{id}/file")).status, 404, "{id}");
    }
    let id = raw(&running);
    let headers = format!("{OCTETS}X-Image-Meta-Store: ../staging\r\n");
    assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/file"), &headers, b"x").status, 400);
    let hidden = format!("{OCTETS}X-Image-Meta-Store: os_glance_staging_store\r\n");
    assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/file"), &hidden, b"x").status, 400);
}

/// Lets everybody wait who signs in, and counts them.
struct Slow {
    inner: FixedToken,
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

impl Identity for Slow {
    fn caller(&self, token: &str) -> Option<Arc<Caller>> {
        self.inner.caller(token)
    }

    fn challenge(&self, base: &str) -> String {
        self.inner.challenge(base)
    }

    fn answer(&self, asked: &identity::Asked) -> Option<identity::Reply> {
        if asked.method == http::Method::POST {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(10));
            self.now.fetch_sub(1, Ordering::SeqCst);
            self.all.fetch_add(1, Ordering::SeqCst);
        }
        None
    }
}

#[test]
fn many_who_sign_in_take_turns_and_nobody_else_waits() {
    const MANY: usize = 300;
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { connections: MANY + 10, ..Limits::default() };
    let (service, _) = Service::open(directory.path(), Settings { limits, ..Settings::default() }).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let token = "a token";
    let slow = Arc::new(Slow {
        inner: FixedToken::new(token.to_owned(), admin()),
        now: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        all: AtomicUsize::new(0),
    });
    let identity: Arc<dyn Identity> = slow.clone();
    let running = run(service, listener, identity).unwrap();
    let running = Begun { url: running.url.clone(), token, swept: Vec::new(), _running: running };
    let sign_in =
        "POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    let mut waiting: Vec<TcpStream> = (0..MANY).map(|_| connect(&running)).collect();
    waiting.iter_mut().for_each(|stream| stream.write_all(sign_in.as_bytes()).unwrap());
    // Those who go away do not make room for more at a time.
    waiting.truncate(MANY - 50);
    let id = raw(&running);
    assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/file"), OCTETS, b"data").status, 204);
    assert_eq!(get(&running, "/identity/v3/auth/tokens").status, 404);
    let left = MANY - slow.all.load(Ordering::SeqCst);
    assert!(left > 50, "only {left} were still waiting");
    for stream in waiting {
        assert_eq!(receive(stream).status, 404);
    }
    let most = slow.most.load(Ordering::SeqCst);
    assert!((1..=password_checks()).contains(&most), "{most} at a time");
}

#[test]
fn usage_is_told_as_glance_tells_it() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    assert_eq!(get(&running, "/v2/info/usage").json(), json!({"usage": {}}));
    drop(running);
    let quota = Quota { user_storage: Some(10 << 20), ..Quota::default() };
    let (service, _) = Service::open(directory.path(), Settings { quota, ..Settings::default() }).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let token = "a token";
    let identity = Arc::new(FixedToken::new(token.to_owned(), admin()));
    let running = run(Arc::clone(&service), listener, identity).unwrap();
    let running = Begun { url: running.url.clone(), token, swept: Vec::new(), _running: running };
    let put = |id: &str, what: &str, size: usize| {
        assert_eq!(send(&running, "PUT", &format!("/v2/images/{id}/{what}"), OCTETS, &vec![1; size]).status, 204);
    };
    let (whole, staged, gone, copied) = (raw(&running), raw(&running), raw(&running), raw(&running));
    raw(&running);
    put(&whole, "file", (3 << 20) + 5);
    put(&staged, "stage", 2 << 20);
    put(&gone, "file", 1 << 20);
    put(&copied, "file", 1 << 20);
    assert_eq!(send(&running, "DELETE", &format!("/v2/images/{gone}"), "", b"").status, 204);
    create(&running, json!({"owner": "other"}));
    let half = raw(&running);
    let _upload = half_an_upload(&running, &half);
    service
        .registry
        .write(|session| {
            let mut image = session.image(&copied)?.unwrap();
            image.properties.insert(import::lock::IMPORTING.to_owned(), "local".to_owned());
            session.save(&mut image).map_err(Failure::from)
        })
        .unwrap();
    let usage = get(&running, "/v2/info/usage");
    assert_eq!((usage.status, usage.header("content-type")), (200, Some("application/json")));
    // Sizes in whole MiB; what has no limit has -1.
    let expected = json!({"usage": {
        "image_size_total": {"usage": 4, "limit": 10},
        "image_stage_total": {"usage": 2, "limit": -1},
        "image_count_total": {"usage": 5, "limit": -1},
        "image_count_uploading": {"usage": 3, "limit": -1},
    }});
    assert_eq!(usage.json(), expected);
    assert_eq!(send(&running, "POST", "/v2/info/usage", "", b"{}").status, 404);
}

/// All that comes back for these bytes, until the service ends the connection.
fn raw_answer(running: &Begun, bytes: &[u8]) -> String {
    let mut stream = connect(running);
    let _ = stream.write_all(bytes);
    let mut all = Vec::new();
    let ended = stream.read_to_end(&mut all);
    // One that is reset is ended, too; one that hangs is not.
    let is_hanging = ended.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(!is_hanging, "no end: {}", String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)));
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn what_is_malformed_ends_with_an_answer_and_the_next_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { stall: Duration::from_millis(300), json_bytes: 100_000, ..Limits::default() };
    let (service, _) = Service::open(directory.path(), Settings { limits, ..Settings::default() }).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let people = identity::Directory::of_admin(None);
    let keystone = identity::Keystone::new(people, jiff::SignedDuration::from_hours(1), &[]).unwrap();
    let running = run(service, listener, Arc::new(keystone)).unwrap();
    let keystone = Begun { url: running.url.clone(), token: "", swept: Vec::new(), _running: running };
    let images_directory = tempfile::tempdir().unwrap();
    let limits = Limits { stall: Duration::from_millis(300), json_bytes: 100_000, ..Limits::default() };
    let images = begin(images_directory.path(), Settings { limits, ..Settings::default() });
    let id = raw(&images);

    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let deep_map = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let with = |running: &Begun, method: &str, path: &str, body: &str| {
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        head(running, method, path, &headers) + body
    };
    let patch = |body: &str| {
        let kind = "application/openstack-images-v2.1-json-patch";
        let headers = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        head(&images, "PATCH", &format!("/v2/images/{id}"), &headers) + body
    };
    let chunked = |running: &Begun, path: &str, chunks: &str| {
        let headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
        head(running, "POST", path, headers) + chunks
    };
    let endless = format!("{:x}\r\n{}\r\n", 60_000, " ".repeat(60_000)).repeat(3);
    let many: String = (0..2000).map(|at| format!("X-{at}: y\r\n")).collect();
    let tokens = "/identity/v3/auth/tokens";
    let stalled = "Content-Type: application/json\r\nContent-Length: 50\r\n";
    let cases: Vec<(&str, &Begun, String, &[u16])> = vec![
        ("deep list", &images, with(&images, "POST", "/v2/images", &deep(40_000)), &[400]),
        ("deep map", &images, with(&images, "POST", "/v2/images", &deep_map(15_000)), &[400]),
        ("deep patch", &images, patch(&deep(40_000)), &[400]),
        (
            "deep value",
            &images,
            patch(&format!("[{{\"op\": \"add\", \"path\": \"/x\", \"value\": {}}}]", deep_map(15_000))),
            &[400],
        ),
        ("deep import", &images, with(&images, "POST", &format!("/v2/images/{id}/import"), &deep_map(15_000)), &[400]),
        ("deep sign-in", &keystone, with(&keystone, "POST", tokens, &deep_map(15_000)), &[400]),
        ("large sign-in", &keystone, with(&keystone, "POST", tokens, &" ".repeat(100_001)), &[413]),
        ("large sign-in in chunks", &keystone, chunked(&keystone, tokens, &endless), &[413]),
        ("large JSON in chunks", &images, chunked(&images, "/v2/images", &endless), &[413]),
        ("sign-in that stalls", &keystone, head(&keystone, "POST", tokens, stalled) + "{", &[408]),
        ("JSON that stalls", &images, head(&images, "POST", "/v2/images", stalled) + "{", &[408]),
        ("chunk that is none", &images, chunked(&images, "/v2/images", "zz\r\n"), &[400]),
        ("chunk beyond all numbers", &images, chunked(&images, "/v2/images", "fffffffffffffffff\r\n"), &[400]),
        ("many headers", &images, head(&images, "GET", "/v2/images", &many), &[431]),
        ("long path", &images, head(&images, "GET", &format!("/v2/{}", "x".repeat(66_000)), ""), &[414, 431]),
        ("long query", &images, head(&images, "GET", &format!("/v2/images?{}", "x".repeat(66_000)), ""), &[414, 431]),
        (
            "long header of a sign-in",
            &keystone,
            head(&keystone, "POST", tokens, &format!("X: {}\r\n", "x".repeat(200_000))),
            &[431],
        ),
        ("no HTTP", &images, "\u{16}\u{3}\u{1} hello\r\n\r\n".to_owned(), &[400]),
        (
            "two lengths",
            &images,
            head(&images, "POST", "/v2/images", "Content-Length: 1\r\nContent-Length: 2\r\n"),
            &[400],
        ),
        ("negative length", &images, head(&images, "POST", "/v2/images", "Content-Length: -1\r\n"), &[400]),
        ("not UTF-8", &images, head(&images, "GET", "/v2/images/%ff%fe", ""), &[400]),
    ];
    for (what, running, request, statuses) in cases {
        let answer = raw_answer(running, request.as_bytes());
        let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        assert!(status.is_some_and(|status| statuses.contains(&status)), "{what}: {answer:.300}");
        assert!(!answer.contains("panicked"), "{what}: {answer:.300}");
    }
    assert_eq!(get(&images, "/v2/images").status, 200);
    assert_eq!(get(&keystone, "/identity/v3").status, 200);
    assert_eq!(status(&images, &id), "queued");
}

#[test]
fn too_many_connections_wait_and_idle_ones_make_room() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { stall: Duration::from_millis(500), connections: 2, ..Limits::default() };
    let running = begin(directory.path(), Settings { limits, ..Settings::default() });
    // One says nothing, one a byte now and then, which never makes a request.
    let mut silent = connect(&running);
    let mut slow = connect(&running);
    let trickling = std::thread::spawn(move || {
        let started = Instant::now();
        while slow.write_all(b"G").is_ok() && started.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(50));
        }
        started.elapsed()
    });
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..10).map(|_| scope.spawn(|| get(&running, "/v2/images").status)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers, [200; 10]);
    assert!(started.elapsed() > Duration::from_millis(200), "nobody had to wait");
    assert!(trickling.join().unwrap() < Duration::from_secs(10));
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or_default(), 0);
    // One that asked, and goes on holding its connection, makes room as well.
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(&running)).collect();
    for stream in &mut held {
        stream
            .write_all(
                format!("GET /v2/images HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {}\r\n\r\n", running.token).as_bytes(),
            )
            .unwrap();
    }
    assert_eq!(get(&running, "/v2/images").status, 200);
}

#[test]
fn a_client_that_reads_nothing_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { stall: Duration::from_millis(300), connections: 1, ..Limits::default() };
    let running = begin(directory.path(), Settings { limits, ..Settings::default() });
    let id = raw(&running);
    let path = format!("/v2/images/{id}/file");
    assert_eq!(send(&running, "PUT", &path, OCTETS, &noise(64 << 20)).status, 204);
    let mut deaf = connect(&running);
    deaf.write_all(head(&running, "GET", &path, "").as_bytes()).unwrap();
    assert_eq!(get(&running, "/v2/images").status, 200);
    drop(deaf);
}

#[test]
fn a_refusal_quotes_the_rule_that_is_broken_and_what_breaks_it() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), Settings::default());
    let message = |path: &str, body: Value| {
        let answer = send(&running, "POST", path, "Accept: application/json\r\n", body.to_string().as_bytes());
        assert_eq!(answer.status, 400);
        answer.json()["message"].as_str().unwrap().trim_end().to_owned()
    };
    assert_eq!(
        message("/v2/images", json!({"name": 3, "min_ram": "x", "a": "b"})),
        "Provided object does not match schema 'image': 3 is not of type 'null', 'string'\n\n\
         Failed validating 'type' in schema['properties']['name']:\n    {'type': ['null', 'string'],\n     \
         'description': 'Descriptive name for the image',\n     'maxLength': 255}\n\n\
         On instance['name']:\n    3<br /><br />"
    );
    let property = json!({"title": "it's", "type": "nosuch"});
    assert_eq!(
        message("/v2/metadefs/namespaces", json!({"namespace": "n", "properties": {"p": property}})),
        "Provided object does not match schema 'namespace': 'nosuch' is not one of ['array', 'boolean', 'integer', \
         'number', 'object', 'string', None]\n\n\
         Failed validating 'enum' in schema['properties']['properties']['additionalProperties']['properties']['type']:\
         \n    {'type': 'string',\n     'enum': ['array',\n              'boolean',\n              'integer',\n              \
         'number',\n              'object',\n              'string',\n              None]}\n\n\
         On instance['properties']['p']['type']:\n    'nosuch'<br /><br />"
    );
}
