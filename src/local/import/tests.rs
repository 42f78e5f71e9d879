//! Imports over a real socket.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use super::*;
use crate::local::registry::{Task, now};
use crate::local::settings::{STAGING, Settings, StoreSettings};
use crate::local::tests::{self, Begun, begin, send, serving};
use crate::local::web_download::WebFilter;

/// Serves each request, in turn, one of these answers; says where.
fn web(answers: Vec<String>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

fn settings(ports: &[u16]) -> Settings {
    let store = |name: &str| StoreSettings { name: name.into(), description: String::new(), directory: None };
    let web_download = WebFilter { hosts: vec!["127.0.0.1".into()], ports: ports.into(), ..WebFilter::default() };
    Settings {
        stores: vec![store("one"), store("two")],
        default_store: "one".into(),
        web_download,
        ..Settings::default()
    }
}

/// Asks the service; answers with the status and the JSON.
fn ask(running: &Begun, method: &str, path: &str, body: &str) -> (u16, Value) {
    let kind = if path.ends_with("/stage") { "application/octet-stream" } else { "application/json" };
    let answer = send(running, method, path, &format!("Content-Type: {kind}\r\n"), body.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn create(running: &Begun, disk_format: &str) -> String {
    tests::create(running, json!({"disk_format": disk_format, "container_format": "bare"}))
}

/// Imports and waits for the end; answers with the image and the task.
fn import(running: &Begun, id: &str, body: &Value) -> (Value, Value) {
    let (status, answer) = ask(running, "POST", &format!("/v2/images/{id}/import"), &body.to_string());
    assert_eq!(status, 202, "{answer}");
    loop {
        let mut tasks = ask(running, "GET", &format!("/v2/images/{id}/tasks"), "").1;
        let task = tasks["tasks"].as_array_mut().unwrap().pop().unwrap();
        if task["status"] == "success" || task["status"] == "failure" {
            return (ask(running, "GET", &format!("/v2/images/{id}"), "").1, task);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn staged_data_gets_to_all_stores_and_can_be_copied_no_further() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), settings(&[]));
    let id = create(&running, "raw");
    assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
    let body = json!({"method": {"name": "glance-direct"}, "all_stores": true});
    let (image, task) = import(&running, &id, &body);
    assert_eq!((&image["status"], &image["stores"], &image["size"]), (&json!("active"), &json!("one,two"), &json!(4)));
    assert_eq!((&image[IMPORTING], &image[FAILED], image.get(TASK)), (&json!(""), &json!(""), None));
    assert_eq!((&task["message"], &task["result"]["image_id"]), (&json!("Copied 0 MiB"), &json!(id)));
    assert_eq!(std::fs::read_dir(directory.path().join("staging")).unwrap().count(), 0);
    let copy = json!({"method": {"name": "copy-image"}, "stores": ["two"]}).to_string();
    assert_eq!(ask(&running, "POST", &format!("/v2/images/{id}/import"), &copy).0, 400);
}

#[test]
fn what_is_not_what_was_declared_leaves_a_queued_image_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), settings(&[]));
    let id = create(&running, "qcow2");
    assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
    let (image, task) = import(&running, &id, &json!({"method": {"name": "glance-direct"}, "all_stores": true}));
    assert_eq!((&image["status"], &image[FAILED], &image[IMPORTING]), (&json!("queued"), &json!("one"), &json!("")));
    assert_eq!(task["status"], "failure");
    for left in ["staging", "stores/one", "stores/two"] {
        assert_eq!(std::fs::read_dir(directory.path().join(left)).unwrap().count(), 0, "{left}");
    }
}

#[test]
fn the_web_is_read_and_a_redirect_goes_nowhere_else() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndata".to_owned();
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\ndata".to_owned();
    let away = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/x\r\nConnection: close\r\n\r\n".to_owned();
    let here = "HTTP/1.1 302 Found\r\nLocation: /there\r\nConnection: close\r\n\r\n".to_owned();
    let port = web(vec![whole.clone(), short, away, here, whole]);
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), settings(&[port]));
    let body = json!({"method": {"name": "web-download", "uri": format!("http://127.0.0.1:{port}/x")}});
    for (status, words) in
        [("active", "Copied"), ("queued", "broke off"), ("queued", "Redirect to disallowed URL"), ("active", "Copied")]
    {
        let id = create(&running, "raw");
        let (image, task) = import(&running, &id, &body);
        assert_eq!(image["status"], status, "{task}");
        assert!(task["message"].as_str().unwrap().contains(words), "{task}");
    }
    let id = create(&running, "raw");
    for uri in ["http://127.0.0.1:1/x", "file:///etc/passwd", "http://127.0.0.2/x"] {
        let body = json!({"method": {"name": "web-download", "uri": uri}}).to_string();
        assert_eq!(ask(&running, "POST", &format!("/v2/images/{id}/import"), &body).0, 400, "{uri}");
    }
    assert_eq!(std::fs::read_dir(directory.path().join("staging")).unwrap().count(), 0);
}

#[test]
fn a_service_that_stops_waits_for_no_web_server() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(&[port]);
    settings.limits.grace = Duration::from_millis(50);
    let running = begin(directory.path(), settings.clone());
    let id = create(&running, "raw");
    let body = json!({"method": {"name": "web-download", "uri": format!("http://127.0.0.1:{port}/x")}});
    assert_eq!(ask(&running, "POST", &format!("/v2/images/{id}/import"), &body.to_string()).0, 202);
    // Someone has come, and is told nothing.
    let _silent = listener.accept().unwrap();
    let started = Instant::now();
    drop(running);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let (service, swept) = Service::open(directory.path(), settings).unwrap();
    assert!(swept.is_empty(), "{swept:?}");
    let (image, tasks) =
        service.registry.read(|s| Ok::<_, Failure>((s.image(&id)?.unwrap(), s.tasks_of(&id)?))).unwrap();
    assert_eq!((image.status, image.properties.get(TASK)), (Status::Queued, None));
    assert_eq!(tasks[0].status, TaskStatus::Failure);
}

#[test]
fn an_import_whose_process_ended_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    let (service, _) = Service::open(directory.path(), settings(&[])).unwrap();
    let mut image = Image::new(Uuid::new_v4().to_string());
    image.status = Status::Importing;
    image.properties.insert(TASK.to_owned(), "task".to_owned());
    put(&mut image, IMPORTING, &["one".to_owned(), "two".to_owned()]);
    let input = json!({"backend": ["one", "two"]});
    let task = Task { input, ..task("task", &image.id, TaskStatus::Pending, 1) };
    let files = [("one", FileState::Stored), (STAGING, FileState::Staged)];
    service
        .registry
        .write(|session| {
            session.add(&image)?;
            session.add_task(&task, "gone")?;
            for (store, state) in files {
                session.add_file(store, &image.id, store, "gone")?;
                session.complete_file(store, state, 0, &[])?;
            }
            Ok::<_, Failure>(())
        })
        .unwrap();
    drop(service);
    let (service, swept) = Service::open(directory.path(), settings(&[])).unwrap();
    assert_eq!(swept, [format!("image {}: an unfinished import", image.id)]);
    service
        .registry
        .read(|session| {
            let found = session.image(&image.id)?.unwrap();
            assert_eq!((found.status, &found.stores[..]), (Status::Queued, &[][..]));
            assert_eq!((found.properties.get(TASK), &*found.properties[IMPORTING]), (None, ""));
            assert_eq!(session.task("task")?.unwrap().status, TaskStatus::Failure);
            assert!(session.files(&image.id, FileState::Staged)?.is_empty());
            Ok::<_, Failure>(())
        })
        .unwrap();
}

/// A task that last said something so many minutes ago.
fn task(id: &str, image: &str, status: TaskStatus, minutes: i64) -> Task {
    let then = now() - minutes * 60 * 1_000_000;
    Task {
        id: id.into(),
        status,
        owner: Some("p".into()),
        user_id: "u".into(),
        image_id: image.into(),
        request_id: "r".into(),
        input: json!({"backend": ["two"]}),
        result: None,
        message: String::new(),
        created_at: then,
        updated_at: then,
        expires_at: None,
    }
}

#[test]
fn an_import_takes_over_what_another_has_let_lie_for_an_hour() {
    let directory = tempfile::tempdir().unwrap();
    let (service, swept) = Service::open(directory.path(), settings(&[])).unwrap();
    let running = serving(Arc::clone(&service), swept);
    let direct = json!({"method": {"name": "glance-direct"}, "stores": ["one"]});
    for (status, minutes, is_taken) in [
        (TaskStatus::Processing, 59, false),
        (TaskStatus::Processing, 61, true),
        (TaskStatus::Pending, 61, false),
        (TaskStatus::Pending, 121, true),
        (TaskStatus::Success, 1, false),
        (TaskStatus::Success, 61, true),
        (TaskStatus::Failure, 61, true),
    ] {
        let case = format!("{status:?} {minutes}");
        let id = create(&running, "raw");
        assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
        service
            .registry
            .write(|session| {
                let mut image = session.image(&id)?.unwrap();
                image.properties.insert(TASK.to_owned(), case.clone());
                put(&mut image, IMPORTING, &["two".to_owned()]);
                session.save(&mut image)?;
                // Of a process that lives: nothing to be swept.
                session.add_task(&task(&case, &id, status, minutes), service.run.id())?;
                Ok::<_, Failure>(())
            })
            .unwrap();
        if !is_taken {
            let refused = ask(&running, "POST", &format!("/v2/images/{id}/import"), &direct.to_string());
            assert_eq!(refused.0, 409, "{case}: {}", refused.1);
            continue;
        }
        let (image, _) = import(&running, &id, &direct);
        assert_eq!((&image["status"], &image[IMPORTING], image.get(TASK)), (&json!("active"), &json!(""), None));
        let old = service.registry.read(|session| session.task(&case)).unwrap().unwrap();
        let expected = match status {
            TaskStatus::Success => (TaskStatus::Success, ""),
            TaskStatus::Failure => (TaskStatus::Failure, ""),
            _ => (TaskStatus::Failure, "Expired lock preempted"),
        };
        assert_eq!((old.status, old.message.as_str()), expected, "{case}");
    }
    // A task that nobody knows any more holds nothing.
    let id = create(&running, "raw");
    assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
    service
        .registry
        .write(|session| {
            let mut image = session.image(&id)?.unwrap();
            image.properties.insert(TASK.to_owned(), "forgotten".to_owned());
            session.save(&mut image).map_err(Failure::from)
        })
        .unwrap();
    assert_eq!(import(&running, &id, &direct).0["status"], "active");
}

#[test]
fn an_import_that_lost_its_image_leaves_it_alone() {
    let directory = tempfile::tempdir().unwrap();
    let running = begin(directory.path(), settings(&[]));
    let id = create(&running, "raw");
    assert_eq!(ask(&running, "PUT", &format!("/v2/images/{id}/stage"), "data").0, 204);
    drop(running);
    let (service, _) = Service::open(directory.path(), settings(&[])).unwrap();
    service
        .registry
        .write(|session| {
            let mut image = session.image(&id)?.unwrap();
            image.properties.insert(TASK.to_owned(), "new".to_owned());
            session.save(&mut image)?;
            session.add_task(&task("old", &id, TaskStatus::Failure, 0), service.run.id()).map_err(Failure::from)
        })
        .unwrap();
    let old = Import {
        task: "old".into(),
        project: None,
        image: id.clone(),
        source: Source::Staged,
        stores: vec!["one".into()],
        all_must_succeed: true,
    };
    old.run(&service);
    service
        .registry
        .read(|session| {
            let image = session.image(&id)?.unwrap();
            assert_eq!((image.status, &*image.properties[TASK]), (Status::Uploading, "new"));
            assert_eq!(session.files(&id, FileState::Staged)?.len(), 1);
            Ok::<_, Failure>(())
        })
        .unwrap();
}
