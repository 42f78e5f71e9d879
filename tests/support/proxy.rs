//! A forward proxy for HTTP_PROXY, HTTPS_PROXY and NO_PROXY: absolute URIs and
//! CONNECT, to loopback only, each first line recorded.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::http::head;

/// A proxy on a port of its own, until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    hits: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    pub fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (hits, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let proxy = Proxy { address, hits: hits.clone(), stop: stop.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let hits = hits.clone();
                thread::spawn(move || forward(client, &hits));
            }
        });
        proxy
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The methods and targets that were asked of it, for instance
    /// `CONNECT 127.0.0.1:5000` or `GET http://127.0.0.1:9292/v2/images`.
    pub fn hits(&self) -> Vec<String> {
        self.hits.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(client: TcpStream, hits: &Mutex<Vec<String>>) -> Option<()> {
    let mut from = BufReader::new(client.try_clone().ok()?);
    let lines = head(&mut from).ok()?;
    let mut words = lines.first()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    hits.lock().unwrap().push(format!("{method} {target}"));
    let (authority, path) = match target.strip_prefix("http://") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => (target, ""),
    };
    let address: SocketAddr = authority.replace("localhost", "127.0.0.1").parse().ok()?;
    let mut server = TcpStream::connect(address).ok().filter(|_| address.ip().is_loopback())?;
    if method == "CONNECT" {
        (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    } else {
        // One request for each connection: the next may be for someone else.
        let kept = lines[1..].iter().filter(|text| !text.to_lowercase().starts_with("connection:"));
        let rest: String = kept.map(|text| format!("{text}\r\n")).collect();
        let path = if path.is_empty() { "/" } else { path };
        server.write_all(format!("{method} {path} HTTP/1.1\r\n{rest}Connection: close\r\n\r\n").as_bytes()).ok()?;
    }
    let (mut back, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let answers = thread::spawn(move || {
        let _ = io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let _ = io::copy(&mut from, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = answers.join();
    Some(())
}
