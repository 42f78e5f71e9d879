//! Images API v1 of `rimg serve`, by bare requests: each way to make an image,
//! each gate and how it refuses, and what v2 sees of it. What Glance 15 answers
//! to the same is held against it by tests/cloud/legacy.py.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{Reply, Session, ask};
use crate::support::{Answer, Server, World, random_uuid};

const FORMATS: [(&str, &str); 2] = [("x-image-meta-disk_format", "raw"), ("x-image-meta-container_format", "bare")];
const DATA: (&str, &str) = ("Content-Type", "application/octet-stream");
const MD5_OF_DATA: &str = "8d777f385d3dfec8815d20f7496026dc";

fn world() -> World {
    World::served_with("api_v1: true\n")
}

/// Makes an image with these headers, and its formats if there are none; its ID comes with the answer.
fn post(session: &Session, headers: &[(&str, &str)], body: &[u8]) -> (String, Reply) {
    let given = headers.iter().find(|(name, _)| *name == "x-image-meta-id");
    let id = given.map_or_else(random_uuid, |(_, id)| (*id).to_owned());
    let mut all = if given.is_some() { Vec::new() } else { vec![("x-image-meta-id", id.as_str())] };
    if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        all.push(DATA);
    }
    all.extend_from_slice(headers);
    let reply = session.ask("POST", "/v1/images", &all, body).unwrap();
    (id, reply)
}

fn active(session: &Session, more: &[(&str, &str)]) -> String {
    let (id, reply) = post(session, &[&FORMATS, more].concat(), b"data");
    assert_eq!(reply.status, 201, "{}", reply.text());
    id
}

fn put(session: &Session, id: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    session.ask("PUT", &format!("/v1/images/{id}"), headers, body).unwrap()
}

fn get(session: &Session, path: &str) -> Reply {
    session.ask("GET", path, &[], b"").unwrap()
}

fn head(session: &Session, id: &str) -> Reply {
    session.ask("HEAD", &format!("/v1/images/{id}"), &[], b"").unwrap()
}

fn status(session: &Session, id: &str) -> String {
    let reply = head(session, id);
    match reply.status {
        200 => reply.header("x-image-meta-status").unwrap().to_owned(),
        other => other.to_string(),
    }
}

fn v2(session: &Session, id: &str) -> Value {
    get(session, &format!("/v2/images/{id}")).json()
}

/// A refusal has its status, and one reason.
#[track_caller]
fn refused(reply: &Reply, status: u16, reason: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().replace("&#x27;", "'").contains(reason), "{}", reply.text());
}

#[track_caller]
fn becomes(session: &Session, id: &str, wanted: &str) {
    let begun = Instant::now();
    loop {
        let now = status(session, id);
        if now == wanted {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "image {id} is {now}, not {wanted}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn web() -> Server {
    Server::start(None, |request, _| match request.path.as_str() {
        "/data" => Answer::status(200).header("Content-Type", "application/octet-stream").body(b"data"),
        _ => Answer::status(404),
    })
}

#[test]
fn it_is_there_only_where_it_is_wanted() {
    let world = World::served();
    let demo = world.session("demo");
    let listed = get(&demo, "/v1/images");
    assert_eq!((listed.status, listed.text().contains("v1.")), (300, false));

    let world = World::served_with("api_v1: true\n");
    let demo = world.session("demo");
    for (path, status) in [("/", 300), ("/versions", 200), ("/v1.2/images", 300)] {
        let reply = get(&demo, path);
        assert_eq!(reply.status, status, "{path}");
        let versions = reply.json()["versions"].as_array().unwrap().clone();
        let of_v1: Vec<_> = versions.iter().filter(|one| one["status"] == "DEPRECATED").collect();
        assert_eq!(of_v1.iter().map(|one| &one["id"]).collect::<Vec<_>>(), ["v1.1", "v1.0"]);
        assert_eq!(of_v1[0]["links"][0]["href"], format!("{}/v1/", demo.image_url));
        assert_eq!(versions.iter().filter(|one| one["status"] == "CURRENT").count(), 1);
    }
    let moved = get(&demo, "/v1");
    assert_eq!((moved.status, moved.header("location")), (302, Some(&*format!("{}/v1/", demo.image_url))));
    for path in ["/v1/", "/v1.0/images", "/v1.1/images"] {
        assert_eq!(get(&demo, path).json(), json!({"images": []}), "{path}");
    }
    // Who chooses by the list still chooses v2.
    let create = ["image", "create", "new", "--disk-format", "raw", "--tag", "of-v2", "-f", "value", "-c", "tags"];
    world.run(create).ok().stdout_has("of-v2");
}

#[test]
fn nobody_and_no_path_and_no_method() {
    let world = world();
    let demo = world.session("demo");
    let url = format!("{}/v1/images", demo.image_url);
    assert_eq!(ask("GET", &url, &[("X-Auth-Token", "nobody's")], b"").unwrap().status, 401);
    for (method, path, status, allow) in [
        ("PUT", "/v1/images", 405, Some("GET, POST")),
        ("DELETE", "/v1/images/detail", 405, Some("GET, HEAD")),
        ("HEAD", "/v1/images/detail", 405, Some("GET")),
        ("PATCH", "/v1/images/x", 405, Some("GET, HEAD, PUT, DELETE")),
        ("POST", "/v1/images/x/members", 405, Some("GET, PUT")),
        ("GET", "/v1/images/x/members/y", 405, Some("PUT, DELETE")),
        ("POST", "/v1/images/x/members/y", 405, Some("GET, PUT, DELETE")),
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v1/images/", 404, None),
        ("GET", "/v1/images/x", 404, None),
        ("HEAD", "/v1/images/not-a-uuid", 404, None),
        ("PUT", "/v1/images/x", 404, None),
        ("DELETE", "/v1/images/x", 404, None),
    ] {
        let reply = demo.ask(method, path, &[], b"").unwrap();
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{method} {path}");
    }
}

#[test]
fn an_image_from_its_making_to_its_end() {
    let world = world();
    let demo = world.session("demo");
    let named =
        [("x-image-meta-name", "größe"), ("X-Image-Meta-Property-Os-Distro", "日本"), ("x-image-meta-min-ram", "4")];
    let (id, created) = post(&demo, &[&FORMATS[..], &named].concat(), b"data");
    assert_eq!(created.status, 201);
    assert_eq!(created.header("location"), Some(&*format!("{}/v1/images/{id}", demo.image_url)));
    assert_eq!(created.header("etag"), Some(MD5_OF_DATA));
    let image = &created.json()["image"];
    assert_eq!((&image["name"], &image["size"], &image["status"]), (&json!("größe"), &json!(4), &json!("active")));
    assert_eq!(image["properties"], json!({"os_distro": "日本"}));
    assert_eq!(
        (&image["is_public"], &image["deleted"], &image["deleted_at"]),
        (&json!(false), &json!(false), &Value::Null)
    );

    let shown = head(&demo, &id);
    assert_eq!((shown.status, shown.header("content-length")), (200, Some("0")));
    for (name, value) in [
        ("x-image-meta-name", "größe"),
        ("x-image-meta-property-os_distro", "日本"),
        ("x-image-meta-is_public", "False"),
        ("x-image-meta-checksum", MD5_OF_DATA),
        ("x-image-meta-min_ram", "4"),
        ("x-image-meta-owner", &demo.project),
        ("etag", MD5_OF_DATA),
    ] {
        assert_eq!(shown.header(name), Some(value), "{name}");
    }
    let data = get(&demo, &format!("/v1/images/{id}"));
    assert_eq!((data.status, &*data.body, data.header("content-length")), (200, &b"data"[..], Some("4")));
    assert_eq!(data.header("content-type"), Some("application/octet-stream"));
    assert_eq!(data.header("x-image-meta-id"), Some(&*id));

    let second = v2(&demo, &id);
    assert_eq!(
        (&second["status"], &second["visibility"], &second["size"]),
        (&json!("active"), &json!("shared"), &json!(4))
    );
    assert_eq!((&second["os_distro"], &second["checksum"]), (&json!("日本"), &json!(MD5_OF_DATA)));
    assert_eq!(second["os_hash_algo"], "sha512");
    assert_eq!(get(&demo, &format!("/v2/images/{id}/file")).body, b"data");

    let listed = get(&demo, "/v1/images").json();
    let brief = json!({"id": id, "name": "größe", "size": 4, "disk_format": "raw", "container_format": "bare",
        "checksum": MD5_OF_DATA});
    assert_eq!(listed, json!({"images": [brief]}));
    assert_eq!(get(&demo, "/v1/images/detail").json()["images"][0], *image);

    let deleted = demo.ask("DELETE", &format!("/v1/images/{id}"), &[], b"").unwrap();
    assert_eq!((deleted.status, deleted.body.len()), (200, 0));
    assert_eq!(world.files_in("fast"), 0);
    assert_eq!((status(&demo, &id), &*status(&world.session("admin"), &id)), ("404".to_owned(), "deleted"));
    assert_eq!(get(&demo, &format!("/v2/images/{id}")).status, 404);
    refused(&post(&demo, &[("x-image-meta-id", &id)], b"").1, 409, "already exists");
}

#[test]
fn data_that_comes_in_pieces_or_not_at_all() {
    let world = world();
    let demo = world.session("demo");
    let chunked = [("Transfer-Encoding", "chunked"), ("x-image-meta-store", "slow")];
    let (id, reply) = post(&demo, &[&FORMATS[..], &chunked].concat(), b"2\r\nda\r\n2\r\nta\r\n0\r\n\r\n");
    assert_eq!((reply.status, reply.header("etag")), (201, Some(MD5_OF_DATA)));
    assert_eq!((v2(&demo, &id)["stores"].as_str(), world.files_in("slow")), (Some("slow"), 1));

    let (queued, reply) = post(&demo, &[("x-image-meta-name", "later")], b"");
    assert_eq!(
        (reply.status, &reply.json()["image"]["status"], &reply.json()["image"]["size"]),
        (201, &json!("queued"), &json!(0))
    );
    refused(&get(&demo, &format!("/v1/images/{queued}")), 404, "is not active");
    refused(&put(&demo, &queued, &[DATA], b"data"), 400, "Disk format is not specified.");
    assert_eq!(status(&demo, &queued), "queued");
    let given = put(&demo, &queued, &[&FORMATS[..], &[DATA]].concat(), b"data");
    assert_eq!((given.status, &given.json()["image"]["status"]), (200, &json!("active")));
    refused(&put(&demo, &queued, &[DATA], b"data"), 409, "Cannot upload to an unqueued image");

    // One that is moved from another cloud keeps its times; whether it was deleted there is no matter.
    let moved = [("x-image-meta-created_at", "2001-02-03T04:05:06"), ("x-image-meta-deleted", "true")];
    let image = post(&demo, &moved, b"").1.json()["image"].clone();
    assert_eq!((&image["created_at"], &image["deleted"]), (&json!("2001-02-03T04:05:06.000000"), &json!(false)));

    let (empty, reply) = post(&demo, &[("x-image-meta-size", "0")], b"");
    assert_eq!((reply.status, &*status(&demo, &empty)), (201, "active"));
    let data = get(&demo, &format!("/v1/images/{empty}"));
    assert_eq!((data.status, data.body.len()), (200, 0));
}

#[test]
fn data_that_is_not_what_was_said_kills() {
    let world = world();
    let demo = world.session("demo");
    for (name, value, reason) in [
        ("x-image-meta-size", "5", "Supplied size (5) and size generated from uploaded image (4) did not match"),
        ("x-image-meta-checksum", "00000000000000000000000000000000", "Supplied checksum (0000"),
        ("Content-Type", "text/plain", "Content-Type must be application/octet-stream"),
    ] {
        let (id, reply) = post(&demo, &[&FORMATS[..], &[(name, value)]].concat(), b"data");
        refused(&reply, 400, reason);
        assert_eq!((&*status(&demo, &id), &v2(&demo, &id)["status"]), ("killed", &json!("killed")), "{name}");
        refused(&get(&demo, &format!("/v1/images/{id}")), 404, "is not active");
        refused(&put(&demo, &id, &[&FORMATS[..], &[DATA]].concat(), b"data"), 409, "unqueued");
        assert_eq!(demo.ask("DELETE", &format!("/v1/images/{id}"), &[], b"").unwrap().status, 200);
    }
    // What was said of an image that waits holds, too.
    let said = [("x-image-meta-checksum", MD5_OF_DATA), ("x-image-meta-size", "4")];
    let (id, _) = post(&demo, &[&FORMATS[..], &said].concat(), b"");
    refused(&put(&demo, &id, &[DATA], b"tada"), 400, "Supplied checksum");
    assert_eq!((&*status(&demo, &id), world.files_in("fast")), ("killed", 0));
    // The data may be anything: v1 does not look into it.
    let (id, reply) = post(&demo, &[("x-image-meta-disk_format", "qcow2"), FORMATS[1]], b"data");
    assert_eq!((reply.status, &*status(&demo, &id)), (201, "active"));
}

/// Sends a request for a new image whose body is to be of so many bytes, and the first of them.
fn begin(session: &Session, id: &str, length: usize) -> TcpStream {
    let host = session.image_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!(
        "POST /v1/images HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Auth-Token: {}\r\nx-image-meta-id: {id}\r\n\
         x-image-meta-disk_format: raw\r\nx-image-meta-container_format: bare\r\nContent-Type: \
         application/octet-stream\r\nContent-Length: {length}\r\n\r\ndata",
        session.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    becomes(session, id, "saving");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn a_client_that_goes_leaves_a_killed_image_and_no_data() {
    let world = world();
    let demo = world.session("demo");
    let id = random_uuid();
    let stream = begin(&demo, &id, 1000);
    assert_eq!(v2(&demo, &id)["status"], "saving");
    refused(&put(&demo, &id, &[&FORMATS[..], &[DATA]].concat(), b"data"), 409, "unqueued");
    assert_eq!(status(&demo, &id), "saving");
    drop(stream);
    becomes(&demo, &id, "killed");
    assert_eq!(world.files_in("fast"), 0);
}

#[test]
fn an_image_that_is_deleted_under_its_upload() {
    let world = world();
    let demo = world.session("demo");
    let id = random_uuid();
    let mut stream = begin(&demo, &id, 8);
    assert_eq!(demo.ask("DELETE", &format!("/v1/images/{id}"), &[], b"").unwrap().status, 200);
    stream.write_all(b"data").unwrap();
    let text = answer(stream);
    assert!(text.starts_with("HTTP/1.1 412 ") && text.contains("could not be found after upload"), "{text}");
    assert_eq!((&*status(&world.session("admin"), &id), world.files_in("fast")), ("deleted", 0));
}

#[test]
fn data_from_elsewhere() {
    let (world, web) = (world(), web());
    let demo = world.session("demo");
    let url = format!("{}/data", web.url());
    let missing = format!("{}/missing", web.url());
    let copy =
        |uri: &str, more: &[(&str, &str)]| post(&demo, &[&[("x-glance-api-copy-from", uri)], more].concat(), b"");
    let (copied, reply) = copy(&url, &FORMATS);
    assert_eq!((reply.status, &reply.json()["image"]["status"]), (201, &json!("queued")));
    becomes(&demo, &copied, "active");
    assert_eq!(get(&demo, &format!("/v2/images/{copied}/file")).body, b"data");
    refused(&copy(&missing, &FORMATS).1, 404, "could not find image at URI");
    let (failed, reply) = copy(&missing, &[&FORMATS[..], &[("x-image-meta-size", "4")]].concat());
    assert_eq!(reply.status, 201);
    becomes(&demo, &failed, "killed");
    let (later, _) = post(&demo, &FORMATS, b"");
    assert_eq!(put(&demo, &later, &[("x-glance-api-copy-from", &url)], b"").status, 200);
    becomes(&demo, &later, "active");
    refused(&put(&demo, &later, &[("x-glance-api-copy-from", &url)], b""), 400, "not in queued status");

    let place =
        |uri: &str, more: &[(&str, &str)]| post(&demo, &[&[("x-image-meta-location", uri)], more].concat(), b"");
    let files = world.files_in("fast");
    let (located, reply) = place(&url, &FORMATS);
    assert_eq!((reply.status, &reply.json()["image"]["size"]), (201, &json!(4)));
    assert!(!reply.text().contains("/data") && !format!("{:?}", head(&demo, &located)).contains("/data"));
    for path in [format!("/v1/images/{located}"), format!("/v2/images/{located}/file")] {
        let data = get(&demo, &path);
        assert_eq!((data.status, &*data.body, data.header("content-length")), (200, &b"data"[..], Some("4")), "{path}");
    }
    assert_eq!(world.files_in("fast"), files);
    assert_eq!(v2(&demo, &located)["status"], "active");
    let (wrong, reply) = place(&url, &[&FORMATS[..], &[("x-image-meta-size", "5")]].concat());
    refused(&reply, 409, "(provided size: 5, stored size: 4)");
    assert_eq!(status(&demo, &wrong), "queued");
    let (unformatted, reply) = place(&url, &[]);
    refused(&reply, 400, "Disk format is not specified.");
    assert_eq!(status(&demo, &unformatted), "queued");
    let (missing_one, reply) = place(&missing, &FORMATS);
    refused(&reply, 404, "could not find image at URI");
    assert_eq!(status(&demo, &missing_one), "404");
    // What is gone from there is gone.
    drop(web);
    assert_eq!(get(&demo, &format!("/v1/images/{located}")).status, 503);
    assert_eq!(demo.ask("DELETE", &format!("/v1/images/{located}"), &[], b"").unwrap().status, 200);
}

#[test]
fn what_is_no_source_is_refused_before_anything_is_made() {
    let (world, web) = (world(), web());
    let demo = world.session("demo");
    // This host is allowed by its address, and not by another name.
    let by_name = web.url().replace("127.0.0.1", "localhost");
    for uri in
        ["file:///etc/passwd", "ftp://127.0.0.1/x", "nonsense", "swift://a/b", "http://169.254.169.254/x", &by_name]
    {
        for header in ["x-image-meta-location", "x-glance-api-copy-from"] {
            let (id, reply) = post(&demo, &[&FORMATS[..], &[(header, uri)]].concat(), b"");
            refused(&reply, 400, "External sources are not supported: '");
            assert_eq!(status(&demo, &id), "404");
        }
    }
    for header in ["x-image-meta-location", "x-glance-api-copy-from"] {
        refused(&post(&demo, &[(header, "")], b"").1, 400, "External source should not be empty");
        let secret = post(&demo, &[(header, "ftp://me:sesame@host/x")], b"").1;
        refused(&secret, 400, "@host/x'");
        assert!(!secret.text().contains("sesame"));
    }
    let url = format!("{}/data", web.url());
    let (id, reply) = post(&demo, &[&FORMATS[..], &[("x-image-meta-location", &url)]].concat(), b"data");
    refused(&reply, 400, "invalid to provide multiple image sources");
    assert_eq!((&*status(&demo, &id), web.asked("GET", "/data").len()), ("queued", 0));
}

#[test]
fn each_gate_refuses_in_its_turn() {
    let world = World::served_with(
        "api_v1: true
policy: {add_image: 'not role:reader or role:admin', copy_from: 'role:admin', upload_image: 'role:admin'}
",
    );
    let demo = world.session("demo");
    refused(&post(&demo, &[], b"").1, 403, "Access was denied");
    let world = World::served_with(
        "api_v1: true
policy: {copy_from: 'role:admin', set_image_location: 'role:admin', download_image: 'role:admin'}
quota: {properties: 2, user_storage: 10, image_size: 20}
protected_properties:
- {pattern: ^admins_, create: [admin], read: [admin], update: [admin], delete: [admin]}
- {pattern: ^fixed_, create: [member], read: [member], update: [admin], delete: [admin]}
- {pattern: ., create: [admin, member], read: [admin, member], update: [admin, member], delete: [admin, member]}
",
    );
    let (demo, admin) = (world.session("demo"), world.session("admin"));
    let remote = ("x-image-meta-location", "http://127.0.0.1:1/x");
    let long = "9".repeat(30);
    for (headers, body, code, reason) in [
        (
            &[("x-image-meta-is_public", "true"), ("x-image-meta-property-admins_a", "1")][..],
            "",
            403,
            "Access was denied",
        ),
        (&[("x-glance-api-copy-from", "http://127.0.0.1:1/x")], "", 403, "Access was denied"),
        (&[("x-image-meta-property-admins_a", "1")], "", 403, "Property 'admins_a' is protected"),
        (
            &[
                ("x-image-meta-property-a", "1"),
                ("x-image-meta-property-b", "1"),
                ("x-image-meta-property-c", "1"),
                remote,
            ],
            "",
            413,
            "Attempted: 3, Maximum: 2",
        ),
        (&[remote], "", 403, "Access was denied"),
        (&[("x-image-meta-store", "floppy")], "data", 400, "Required store floppy is invalid"),
        (&[("x-image-meta-size", "21")], "", 400, "Denying attempt to upload image larger than 20 bytes."),
        (&[("x-image-meta-size", &long)], "", 400, "Denying attempt to upload image larger than 20 bytes."),
        (&[], "more than twenty bytes", 400, "Denying attempt to upload image larger than 20 bytes."),
        (&[("x-image-meta-min_disk", "2147483648")], "", 400, "'min_disk' value out of range"),
        (&[("x-image-meta-foo", "1")], "", 400, "Bad header: x-image-meta-foo"),
    ] {
        let (id, reply) = post(&demo, headers, body.as_bytes());
        refused(&reply, code, reason);
        assert_eq!(status(&demo, &id), "404", "{headers:?}");
    }
    refused(&post(&demo, &[("x-image-meta-id", "no-uuid")], b"").1, 400, "Invalid image id format");
    // Here the image is there before it is known that it is too much.
    let (id, reply) = post(&demo, &FORMATS, b"eleven char");
    refused(&reply, 413, "quota");
    assert_eq!((&*status(&demo, &id), world.files_in("fast")), ("killed", 0));
    let (id, reply) = post(
        &demo,
        &[&FORMATS[..], &[("Transfer-Encoding", "chunked")]].concat(),
        b"f\r\nfifteen letters\r\n0\r\n\r\n",
    );
    refused(&reply, 413, "quota");
    assert_eq!((&*status(&demo, &id), world.files_in("fast")), ("killed", 0));

    // It counts who sends the data, not whose the image is.
    let given = [&FORMATS[..], &[("x-image-meta-owner", &demo.project)]].concat();
    let (id, reply) = post(&admin, &given, b"7 bytes");
    assert_eq!((reply.status, &reply.json()["image"]["owner"]), (201, &json!(demo.project)));
    refused(&post(&demo, &FORMATS, b"4 ch").1, 413, "quota");
    assert_eq!(admin.ask("DELETE", &format!("/v1/images/{id}"), &[], b"").unwrap().status, 200);

    let id = active(&demo, &[("x-image-meta-property-fixed_a", "1")]);
    refused(&get(&demo, &format!("/v1/images/{id}")), 403, "Access was denied");
    assert_eq!(get(&admin, &format!("/v1/images/{id}")).body, b"data");
    let keep = ("x-glance-registry-purge-props", "false");
    assert_eq!(put(&admin, &id, &[("x-image-meta-property-admins_a", "1"), keep], b"").status, 200);
    assert_eq!(head(&demo, &id).header("x-image-meta-property-admins_a"), None);
    refused(&put(&demo, &id, &[("x-image-meta-property-fixed_a", "2")], b""), 403, "Property 'fixed_a' is protected");
    refused(&put(&demo, &id, &[("x-image-meta-property-b", "2")], b""), 403, "Property 'fixed_a' is protected");
    // What one may not read one cannot guess, and does not drop.
    refused(&put(&demo, &id, &[("x-image-meta-property-admins_a", "1"), keep], b""), 403, "'admins_a' is protected");
    let same = put(&demo, &id, &[("x-image-meta-property-fixed_a", "1")], b"");
    assert_eq!((same.status, &same.json()["image"]["properties"]), (200, &json!({"fixed_a": "1"})));
    assert_eq!(head(&admin, &id).header("x-image-meta-property-admins_a"), Some("1"));
    refused(&put(&demo, &id, &[("x-image-meta-property-b", "2"), keep], b""), 413, "Attempted: 3, Maximum: 2");
}

#[test]
fn headers_that_are_too_much_or_no_text() {
    let world = world();
    let demo = world.session("demo");
    let long = "a".repeat(70_000);
    assert_eq!(post(&demo, &[("x-image-meta-property-a", &long)], b"").1.status, 431);
    refused(&post(&demo, &[("x-image-meta-property-a", &long[..17_000])], b"").1, 400, "Header Line Too Long");
    let host = demo.image_url.trim_start_matches("http://");
    for (header, reason) in [
        (&b"x-image-meta-name: \xff\xfe"[..], "The header x-image-meta-name is not UTF-8."),
        (b"x-image-meta-size: 1\r\nx-image-meta-size: 2", "Cannot convert image size '1,2' to an integer."),
        // A name beyond ASCII is no name of a header.
        ("x-image-meta-property-größe: 1".as_bytes(), ""),
    ] {
        let mut stream = TcpStream::connect(host).unwrap();
        let head = format!(
            "POST /v1/images HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Auth-Token: {}\r\n",
            demo.token
        );
        stream.write_all(&[head.as_bytes(), header, b"\r\nContent-Length: 0\r\n\r\n"].concat()).unwrap();
        let text = answer(stream);
        assert!(text.starts_with("HTTP/1.1 400 ") && text.contains(reason), "{text}");
    }
    assert_eq!(get(&demo, "/v1/images").json(), json!({"images": []}));
}

#[test]
fn changes() {
    let world = world();
    let (demo, admin, other) = (world.session("demo"), world.session("admin"), world.session("other"));
    let id = active(&demo, &[("x-image-meta-property-a", "1"), ("x-image-meta-property-b", "2")]);
    let properties = |reply: Reply| {
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["image"]["properties"].clone()
    };
    let keep = ("x-glance-registry-purge-props", "false");
    assert_eq!(
        properties(put(&demo, &id, &[("x-image-meta-property-c", "3"), keep], b"")),
        json!({"a": "1", "b": "2", "c": "3"})
    );
    assert_eq!(properties(put(&demo, &id, &[("x-image-meta-property-b", "4")], b"")), json!({"b": "4"}));
    assert_eq!(properties(put(&demo, &id, &[], b"")), json!({}));
    let renamed = put(&demo, &id, &[("x-image-meta-name", "new"), ("x-image-meta-owner", "me")], b"").json();
    assert_eq!((&renamed["image"]["name"], &renamed["image"]["owner"]), (&json!("new"), &json!(demo.project)));
    for (headers, code, reason) in [
        (("x-image-meta-status", "queued"), 403, "Forbidden to modify 'status' of image."),
        (("x-image-meta-id", "x"), 403, "Forbidden to modify 'id' of image."),
        (("x-image-meta-size", "5"), 403, "Forbidden to modify 'size' of active image."),
        (("x-image-meta-checksum", "x"), 403, "Forbidden to modify 'checksum' of active image."),
        (("x-image-meta-is_public", "1"), 403, "Access was denied"),
        (("x-image-meta-location", "http://127.0.0.1:1/"), 400, "not in queued status"),
        (("x-image-meta-disk_format", "tape"), 400, "Invalid disk format 'tape' for image."),
    ] {
        refused(&put(&demo, &id, &[headers], b""), code, reason);
    }
    refused(&put(&other, &id, &[("x-image-meta-name", "mine")], b""), 404, "not found");
    assert_eq!(
        put(&admin, &id, &[("x-image-meta-is_public", "1"), ("x-image-meta-owner", &demo.project)], b"").status,
        200
    );
    assert_eq!(v2(&other, &id)["visibility"], "public");
    refused(&put(&other, &id, &[("x-image-meta-name", "mine")], b""), 403, "Forbidden to update image");
    refused(&other.ask("DELETE", &format!("/v1/images/{id}"), &[], b"").unwrap(), 403, "Forbidden to delete image");
    assert_eq!(put(&demo, &id, &[("x-image-meta-protected", "1")], b"").status, 200);
    refused(&demo.ask("DELETE", &format!("/v1/images/{id}"), &[], b"").unwrap(), 403, "Image is protected");
    assert_eq!(head(&demo, &id).header("x-image-meta-name"), Some("new"));
    // What the service itself notes is not for clients.
    refused(&put(&demo, &id, &[("x-image-meta-property-os_glance_x", "1")], b""), 403, "'os_glance_x' is protected");
    // A store is of interest only where there is data for it.
    let (queued, _) = post(&demo, &FORMATS, b"");
    let floppy = ("x-image-meta-store", "floppy");
    assert_eq!(put(&demo, &queued, &[floppy], b"").status, 200);
    refused(&put(&demo, &queued, &[floppy, DATA], b"data"), 400, "store floppy is invalid");
    assert_eq!(status(&demo, &queued), "queued");
}

#[test]
fn what_was_deleted_can_only_be_looked_at() {
    let world = world();
    let (demo, admin) = (world.session("demo"), world.session("admin"));
    let id = active(&demo, &[("x-image-meta-property-a", "1")]);
    assert_eq!(demo.ask("DELETE", &format!("/v2/images/{id}"), &[], b"").unwrap().status, 204);
    let path = format!("/v1/images/{id}");
    for (session, method, path, code) in [
        (&demo, "PUT", path.clone(), 404),
        (&admin, "PUT", path.clone(), 403),
        (&demo, "DELETE", path.clone(), 404),
        (&admin, "DELETE", path.clone(), 404),
        (&admin, "GET", path.clone(), 404),
        (&admin, "GET", format!("{path}/members"), 404),
        (&admin, "PUT", format!("{path}/members/x"), 404),
        (&admin, "DELETE", format!("{path}/members/x"), 404),
    ] {
        assert_eq!(session.ask(method, &path, &[], b"").unwrap().status, code, "{method} {path}");
    }
    let shown = head(&admin, &id);
    assert_eq!((shown.header("x-image-meta-deleted"), shown.header("x-image-meta-property-a")), (Some("True"), None));
    assert!(shown.header("x-image-meta-deleted_at").is_some());
    let since = |session: &Session| get(session, "/v1/images/detail?changes-since=2001-01-01T00:00:00").json();
    assert_eq!(since(&demo)["images"][0]["deleted"], true);
    assert_eq!(get(&demo, "/v1/images").json(), json!({"images": []}));
}

#[test]
fn what_the_one_version_makes_the_other_reads() {
    let world = world();
    let (demo, admin) = (world.session("demo"), world.session("admin"));
    let made = demo.json(
        "POST",
        "/v2/images",
        &json!({"name": "two", "disk_format": "raw", "container_format": "bare",
        "visibility": "private", "tags": ["t"], "with space": "x", "lines": "a\nb", "os_hidden": true}),
    );
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let shown = head(&demo, &id);
    assert_eq!((shown.header("x-image-meta-status"), shown.header("x-image-meta-size")), (Some("queued"), None));
    assert_eq!(shown.header("x-image-meta-property-lines"), Some("a b"));
    let listed = get(&demo, "/v1/images/detail").json()["images"][0].clone();
    assert_eq!(listed["properties"], json!({"with space": "x", "lines": "a\nb"}));
    assert_eq!(put(&demo, &id, &[DATA], b"data").status, 200);
    let second = v2(&demo, &id);
    assert_eq!(
        (&second["status"], &second["tags"], &second["visibility"]),
        (&json!("active"), &json!(["t"]), &json!("private"))
    );
    assert_eq!(get(&demo, &format!("/v1/images/{id}")).body, b"data");

    assert_eq!(admin.ask("POST", &format!("/v2/images/{id}/actions/deactivate"), &[], b"").unwrap().status, 204);
    assert_eq!(status(&demo, &id), "deactivated");
    for session in [&demo, &admin] {
        refused(&get(session, &format!("/v1/images/{id}")), 403, "is deactivated");
    }
    refused(&put(&demo, &id, &[("x-image-meta-size", "1")], b""), 403, "'size' of deactivated image");
    assert_eq!(admin.ask("POST", &format!("/v2/images/{id}/actions/reactivate"), &[], b"").unwrap().status, 204);

    // One that v1 has left without data is taken up by v2, but not one that it killed.
    let (queued, _) = post(&demo, &FORMATS, b"");
    assert_eq!(v2(&demo, &queued)["status"], "queued");
    assert_eq!(demo.ask("PUT", &format!("/v2/images/{queued}/file"), &[DATA], b"data").unwrap().status, 204);
    assert_eq!(status(&demo, &queued), "active");
    let (killed, _) = post(&demo, &[&FORMATS[..], &[("x-image-meta-size", "9")]].concat(), b"data");
    assert_eq!(demo.ask("PUT", &format!("/v2/images/{killed}/file"), &[DATA], b"data").unwrap().status, 409);
    assert_eq!(demo.ask("DELETE", &format!("/v2/images/{killed}"), &[], b"").unwrap().status, 204);
}

#[test]
fn members() {
    let world = World::served_with("api_v1: true\nquota: {members: 2}\n");
    let (demo, other) = (world.session("demo"), world.session("other"));
    let id = active(&demo, &[]);
    let path = |member: &str| format!("/v1/images/{id}/members/{member}");
    let all = format!("/v1/images/{id}/members");
    let members = |session: &Session| get(session, &all).json()["members"].clone();
    assert_eq!(status(&other, &id), "404");
    assert_eq!(demo.ask("PUT", &path(&other.project), &[], b"").unwrap().status, 204);
    assert_eq!(status(&other, &id), "active");
    assert_eq!(get(&other, &format!("/v1/images/{id}")).body, b"data");
    assert_eq!(members(&demo), json!([{"member_id": other.project, "can_share": false}]));
    assert_eq!(get(&demo, &format!("/v2/images/{id}/members")).json()["members"][0]["status"], "pending");
    let shared = json!({"shared_images": [{"image_id": id, "can_share": false}]});
    let of = |member: &str| format!("/v1/shared-images/{member}");
    assert_eq!(
        (get(&other, &of(&other.project)).json(), get(&demo, &of(&other.project)).json()),
        (shared.clone(), shared)
    );
    assert_eq!(get(&world.session("demo"), &of("nobody")).json(), json!({"shared_images": []}));
    // v1 lists what was offered, v2 what was accepted.
    assert_eq!(get(&other, "/v1/images").json()["images"].as_array().unwrap().len(), 1);
    assert_eq!(get(&other, "/v2/images").json()["images"], json!([]));

    refused(&other.ask("PUT", &path("third"), &[], b"").unwrap(), 404, "No permission to share that image");
    refused(&put(&other, &id, &[], b""), 404, "not found");
    assert_eq!(demo.json("PUT", &path(&other.project), &json!({"member": {"can_share": true}})).status, 204);
    assert_eq!(other.ask("PUT", &path("third"), &[], b"").unwrap().status, 204);
    assert_eq!(members(&other).as_array().unwrap().len(), 1);
    refused(&demo.ask("PUT", &path("fourth"), &[], b"").unwrap(), 413, "Attempted: 3, Maximum: 2");
    refused(&demo.ask("DELETE", &path("fourth"), &[], b"").unwrap(), 404, "Membership could not be found.");
    assert_eq!(demo.ask("DELETE", &path("third"), &[], b"").unwrap().status, 204);

    let kept = json!({"memberships": [{"member_id": "a", "can_share": 1}, {"member_id": other.project}]});
    assert_eq!(demo.json("PUT", &all, &kept).status, 204);
    let mut now: Vec<Value> = members(&demo).as_array().unwrap().clone();
    now.sort_by_key(Value::to_string);
    assert_eq!(now.iter().filter(|member| member["can_share"] == true).count(), 2);
    let many = json!({"memberships": [{"member_id": "a"}, {"member_id": "b"}, {"member_id": "c"}]});
    refused(&demo.json("PUT", &all, &many), 413, "Attempted: 3, Maximum: 2");
    for wrong in [json!({}), json!([]), json!({"memberships": 1}), json!({"memberships": [{"can_share": true}]})] {
        refused(&demo.json("PUT", &all, &wrong), 400, "Invalid membership association");
    }
    refused(&demo.ask("PUT", &all, &[], b"{").unwrap(), 400, "Malformed JSON");
    assert_eq!(demo.json("PUT", &all, &json!({"memberships": []})).status, 204);
    assert_eq!((members(&demo), &*status(&other, &id)), (json!([]), "404"));
}

#[test]
fn lists() {
    let world = world();
    let (demo, admin, other) = (world.session("demo"), world.session("admin"), world.session("other"));
    for (name, size, more) in [
        ("a", "5", ("x-image-meta-property-os", "x")),
        ("b", "3", ("x-image-meta-min_ram", "7")),
        ("c", "9", ("x-image-meta-protected", "on")),
    ] {
        post(&demo, &[("x-image-meta-name", name), ("x-image-meta-size", size), more], b"");
    }
    post(&other, &[("x-image-meta-name", "foreign")], b"");
    post(&admin, &[("x-image-meta-name", "public"), ("x-image-meta-is_public", "true")], b"");
    let names = |session: &Session, query: &str| {
        let reply = get(session, &format!("/v1/images?{query}"));
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let images = reply.json()["images"].as_array().unwrap().clone();
        images.iter().map(|image| image["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for (query, expected) in [
        ("", "public c b a"),
        ("sort_key=name&sort_dir=asc", "a b c public"),
        ("sort_key=size", "c a b public"),
        ("sort_key=size&sort_dir=asc&limit=2", "public b"),
        ("size_min=4", "c a"),
        ("size_min=4&size_max=5", "a"),
        ("property-os=x", "a"),
        ("property-os=y", ""),
        ("min_ram=7", "b"),
        ("protected=True", "c"),
        ("status=active", ""),
        ("name=in:a,b", "b a"),
        ("is_public=True", "public c b a"),
        ("limit=0", ""),
    ] {
        assert_eq!(names(&demo, query), expected, "{query}");
    }
    assert_eq!(names(&admin, ""), "public");
    assert_eq!(names(&admin, "is_public=None"), "public foreign c b a");
    assert_eq!(names(&admin, "is_public=False"), "foreign c b a");
    let first = get(&demo, "/v1/images?limit=2").json()["images"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(names(&demo, &format!("marker={first}")), "b a");
    for (query, reason) in [
        (format!("marker={}", random_uuid()), "Invalid marker. Image could not be found."),
        ("marker=x".to_owned(), "Invalid marker format"),
        ("size_min=x".to_owned(), "Bad value passed to filter size_min got x"),
        ("sort_key=owner".to_owned(), "Unsupported sort_key"),
    ] {
        refused(&get(&demo, &format!("/v1/images/detail?{query}")), 400, reason);
    }
    refused(&get(&other, &format!("/v1/images?marker={first}")), 400, "Invalid marker. Image could not be found.");
}

#[test]
fn what_v2_has_begun_is_shown_and_takes_no_other_data() {
    let stalled = Server::start(None, |_, _| {
        thread::sleep(Duration::from_secs(5));
        Answer::status(404)
    });
    let world = world();
    let demo = world.session("demo");
    let queued = || {
        let made = demo.json("POST", "/v2/images", &json!({"disk_format": "raw", "container_format": "bare"}));
        made.json()["id"].as_str().unwrap().to_owned()
    };
    let (saving, uploading, importing) = (queued(), queued(), queued());
    let host = demo.image_url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!(
        "PUT /v2/images/{saving}/file HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Auth-Token: {}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: 8\r\n\r\ndata",
        demo.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(demo.ask("PUT", &format!("/v2/images/{uploading}/stage"), &[DATA], b"data").unwrap().status, 204);
    let order = json!({"method": {"name": "web-download", "uri": format!("{}/data", stalled.url())}});
    assert_eq!(demo.json("POST", &format!("/v2/images/{importing}/import"), &order).status, 202);
    for (id, wanted) in [(&saving, "saving"), (&uploading, "uploading"), (&importing, "importing")] {
        becomes(&demo, id, wanted);
        let listed = get(&demo, "/v1/images/detail").json();
        let one = listed["images"].as_array().unwrap().iter().find(|image| image["id"] == **id).unwrap().clone();
        assert_eq!(one["status"], wanted);
        assert_eq!(put(&demo, id, &[&FORMATS[..], &[DATA]].concat(), b"other").status, 409, "{wanted}");
        assert_eq!(v2(&demo, id)["status"], wanted);
    }
    stream.write_all(b"data").unwrap();
    assert!(answer(stream).starts_with("HTTP/1.1 204 "));
    assert_eq!(get(&demo, &format!("/v1/images/{saving}")).body, b"datadata");
}
