//! A door in front of an image service that offers Images API v1 and nothing
//! else: what is asked goes through byte by byte and is recorded, and uploads
//! can be broken off under way, so that the service itself sees a client go.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http::head;

/// A door on a port of its own, until it is dropped.
pub struct Front {
    address: SocketAddr,
    inside: Arc<Inside>,
}

#[derive(Default)]
struct Inside {
    asked: Mutex<Vec<String>>,
    /// After how many bytes each of the next uploads breaks off.
    breaks: Mutex<Vec<u64>>,
    stop: AtomicBool,
}

/// The versions that a service lists which has v1 alone.
const VERSIONS: &str =
    r#"{"versions": [{"id": "v1.1", "status": "CURRENT", "links": []}, {"id": "v1.0", "links": []}]}"#;

impl Front {
    /// In front of the service at `url`.
    pub fn start(url: &str) -> Front {
        let service: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inside = Arc::new(Inside::default());
        let front = Front { address, inside: inside.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if inside.stop.load(Ordering::SeqCst) {
                    return;
                }
                let inside = inside.clone();
                thread::spawn(move || pass(client, service, &inside));
            }
        });
        front
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The methods and targets that were asked, for instance `GET /v1/images/detail?limit=1`.
    pub fn asked(&self) -> Vec<String> {
        self.inside.asked.lock().unwrap().clone()
    }

    /// How often such a method was asked.
    pub fn count(&self, method: &str) -> usize {
        self.asked().iter().filter(|line| line.split(' ').next() == Some(method)).count()
    }

    /// Breaks the next `times` uploads off after so many bytes of data.
    pub fn break_uploads(&self, times: usize, after: u64) {
        *self.inside.breaks.lock().unwrap() = vec![after; times];
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.inside.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One request for each connection.
fn pass(client: TcpStream, service: SocketAddr, inside: &Inside) -> Option<()> {
    let mut from = BufReader::new(client.try_clone().ok()?);
    let lines = head(&mut from).ok()?;
    let (method, rest) = lines.first()?.split_once(' ')?;
    let target = rest.split(' ').next()?;
    inside.asked.lock().unwrap().push(format!("{method} {target}"));
    if target == "/" {
        let length = VERSIONS.len();
        let head = format!(
            "HTTP/1.1 300 Multiple Choices\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{VERSIONS}"
        );
        return (&client).write_all(head.as_bytes()).ok();
    }
    let is_upload = method == "PUT" && lines.iter().any(|line| line.to_lowercase().contains("octet-stream"));
    let breaks = if is_upload { inside.breaks.lock().unwrap().pop() } else { None };
    let mut server = TcpStream::connect(service).ok()?;
    let kept = lines[1..].iter().filter(|line| !line.to_lowercase().starts_with("connection:"));
    let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
    server.write_all(format!("{}\r\n{kept}Connection: close\r\n\r\n", lines[0]).as_bytes()).ok()?;
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let answers = thread::spawn(move || {
        let _ = io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut from.take(breaks.unwrap_or(u64::MAX)), &mut server);
    if breaks.is_some() {
        // Both sides see the other go.
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    } else {
        let _ = server.shutdown(Shutdown::Write);
    }
    let _ = answers.join();
    Some(())
}
