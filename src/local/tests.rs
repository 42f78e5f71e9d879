//! The service over a real socket, with clients that do not behave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::registry::{FileState, Image, Session, Status};
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
struct Begun {
    url: String,
    token: &'static str,
    swept: Vec<String>,
    _running: Running,
}

fn begin(directory: &Path, settings: Settings) -> Begun {
    let (service, swept) = Service::open(directory, settings).unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let token = "a token";
    let running = run(service, listener, Arc::new(FixedToken::new(token.to_owned(), admin()))).unwrap();
    Begun { url: running.url.clone(), token, swept, _running: running }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
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

fn send(running: &Begun, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
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

fn create(running: &Begun, fields: Value) -> String {
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
