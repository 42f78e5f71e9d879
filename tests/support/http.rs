//! A small HTTP/1.1 server over real sockets: one thread for each connection,
//! bodies streamed and never held, every request recorded, faults on demand.
//!
//! It knows nothing of clouds: what it answers is a function of the request.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use md5::{Digest, Md5};
use serde_json::Value;

use super::fault::{Act, Fault};

/// Bodies are read and written in pieces of this size.
const PIECE: usize = 256 * 1024;
/// The head of a request must fit in this.
const MAX_HEAD: u64 = 64 * 1024;
/// Of each body, this much is kept in the record.
const KEPT: usize = 64 * 1024;
/// What a client of TLS begins with (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// The head of a request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    /// What follows the `?`, still encoded; empty without one.
    pub query: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The decoded pairs of the query, in order, repeated keys included.
    pub fn pairs(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }
}

/// One request as the server saw it.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub request: Request,
    /// How many bytes of body arrived.
    pub body_len: u64,
    /// SHA-512 of the body that arrived, in hexadecimal.
    pub body_sha512: String,
    /// The first 64 KiB of the body.
    pub body: Vec<u8>,
    /// The whole body arrived, as announced.
    pub complete: bool,
    /// The status sent back; 0 when nothing was.
    pub status: u16,
    done: bool,
}

impl Recorded {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("the body of {:?} is not JSON: {e}", self.request))
    }
}

/// The body of a request: read once, in pieces, counted and hashed on the way.
pub struct Body<'a> {
    from: &'a mut BufReader<Stream>,
    /// Bytes left of this body or this chunk.
    left: u64,
    chunked: bool,
    /// `Expect: 100-continue` was asked, and is not answered yet.
    expect: bool,
    ended: bool,
    /// Breaks off when at least so many bytes came.
    most: u64,
    /// Reads so much at a time, and pauses after it.
    drip: Option<(usize, Duration)>,
    buffer: Vec<u8>,
    kept: Vec<u8>,
    pub len: u64,
    md5: Md5,
    sha512: digest::Context,
}

impl Body<'_> {
    /// The next piece, or none at the end. A body cut short is an error.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.len >= self.most {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if std::mem::take(&mut self.expect) {
            self.from.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if self.left == 0 && !self.ended {
            if self.chunked {
                self.left = self.chunk_size()?;
            }
            self.ended = self.left == 0;
        }
        if self.ended {
            return Ok(None);
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; PIECE];
        }
        let most = self.left.min(self.drip.map_or(PIECE, |(piece, _)| piece) as u64) as usize;
        let got = self.from.read(&mut self.buffer[..most])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((_, pause)) = self.drip {
            thread::sleep(pause);
        }
        self.left -= got as u64;
        if self.chunked && self.left == 0 {
            line(self.from, 2)?;
        }
        self.len += got as u64;
        let piece = &self.buffer[..got];
        self.md5.update(piece);
        self.sha512.update(piece);
        let keep = got.min(KEPT - self.kept.len());
        self.kept.extend_from_slice(&piece[..keep]);
        Ok(Some(piece))
    }

    fn chunk_size(&mut self) -> io::Result<u64> {
        let text = line(self.from, 256)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| io::Error::other("bad chunk size"))?;
        if size == 0 {
            while !line(self.from, 4096)?.is_empty() {}
        }
        Ok(size)
    }

    /// Whether it comes in chunks, so that nobody knows how long it is.
    pub fn is_chunked(&self) -> bool {
        self.chunked
    }

    /// Reads what is left and forgets it.
    pub fn drain(&mut self) -> io::Result<()> {
        while self.next()?.is_some() {}
        Ok(())
    }

    /// The whole of a small body (at most 64 KiB are kept) as JSON.
    pub fn json(&mut self) -> Option<Value> {
        self.drain().ok()?;
        serde_json::from_slice(&self.kept).ok()
    }

    /// MD5 of what was read so far, in hexadecimal.
    pub fn md5(&self) -> String {
        hex(&self.md5.clone().finalize())
    }

    /// SHA-512 of what was read so far, in hexadecimal.
    pub fn sha512(&self) -> String {
        hex(self.sha512.clone().finish().as_ref())
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer, before it is sent.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content: Content,
    /// An error in the words of the service, not yet a page: explanation and detail.
    pub problem: Option<(String, String)>,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    /// A part of a file. Without `announced` there is no Content-Length and
    /// the end of the connection is the end of the body.
    File {
        file: File,
        start: u64,
        len: u64,
        announced: bool,
    },
}

impl Default for Content {
    fn default() -> Self {
        Content::Bytes(Vec::new())
    }
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Answer { status, ..Answer::default() }
    }

    pub fn json(status: u16, value: &Value) -> Self {
        Answer::status(status).header("Content-Type", "application/json").body(value.to_string())
    }

    pub fn html(status: u16, page: &str) -> Self {
        Answer::status(status).header("Content-Type", "text/html; charset=UTF-8").body(page)
    }

    /// A page in the form of WebOb's, with these words in it.
    pub fn page(status: u16, words: &str) -> Self {
        let page = format!("<html><head><title>t</title></head><body><h1>t</h1>{words}</body></html>");
        Answer::html(status, &page)
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.content = Content::Bytes(bytes.into());
        self
    }
}

/// The words that go with a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        // As WebOb, which Glance is made with, has them.
        413 => "Request Entity Too Large",
        416 => "Request Range Not Satisfiable",
        _ => http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Unknown"),
    }
}

/// A connection, plain or in TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(to),
            Stream::Tls(stream) => stream.read(to),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(from),
            Stream::Tls(stream) => stream.write(from),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// A line without its end, of at most `most` bytes. No line is an error.
pub fn line(from: &mut impl BufRead, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.by_ref().take(most).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(text(bytes))
}

/// The first of the characters that stand for bytes that are no UTF-8.
const STRAY: u32 = 0xF700;

/// Bytes as text; [`raw`] gives them back whatever they were.
fn text(bytes: Vec<u8>) -> String {
    let stray = |byte: u8| if byte < 128 { byte.into() } else { char::from_u32(STRAY + u32::from(byte)).unwrap() };
    String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().into_iter().map(stray).collect())
}

/// The bytes that were read as this text.
pub fn raw(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for char in text.chars() {
        match u32::from(char).checked_sub(STRAY).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The lines of a head, up to the empty one.
pub fn head(from: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut limited = from.take(MAX_HEAD);
    let mut lines = Vec::new();
    loop {
        let text = line(&mut limited, MAX_HEAD)?;
        if text.is_empty() {
            return Ok(lines);
        }
        lines.push(text);
    }
}

fn parse(lines: &[String]) -> Option<Request> {
    let (first, rest) = lines.split_first()?;
    let mut words = first.split(' ');
    let (method, target, _version) = (words.next()?, words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers =
        rest.iter().filter_map(|text| text.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
    Some(Request { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), headers })
}

type Handler = dyn Fn(&Request, &mut Body) -> Answer + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    tls: Option<Arc<rustls::ServerConfig>>,
    recorded: Mutex<Log>,
    faults: Mutex<Vec<Fault>>,
    connections: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
    /// How often all was forgotten: who waits for an end does not outlive that.
    ages: AtomicU64,
    stop: AtomicBool,
}

/// What was asked.
#[derive(Default)]
struct Log {
    /// So many came before those that are kept.
    forgotten: usize,
    kept: Vec<Recorded>,
}

/// A server on 127.0.0.1, at a port of its own, until it is dropped.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Serves `handler`, in TLS if there is a configuration for it.
    pub fn start(
        tls: Option<Arc<rustls::ServerConfig>>,
        handler: impl Fn(&Request, &mut Body) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            tls,
            recorded: Mutex::default(),
            faults: Mutex::default(),
            connections: AtomicU64::new(0),
            open: Mutex::default(),
            ages: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let of_thread = shared.clone();
        let listening = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.stop.load(Ordering::SeqCst) {
                    return;
                }
                of_thread.connections.fetch_add(1, Ordering::SeqCst);
                of_thread.open.lock().unwrap().extend(stream.try_clone());
                let shared = of_thread.clone();
                thread::spawn(move || shared.connection(stream));
            }
        });
        Server { address, shared, listening: Some(listening) }
    }

    /// `http://127.0.0.1:PORT`, or https.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What was asked so far, in order. Waits for what is still being answered,
    /// and for what a client that has already gone left on its way.
    pub fn requests(&self) -> Vec<Recorded> {
        let patience = Instant::now();
        let mut before = usize::MAX;
        loop {
            let recorded = self.shared.recorded.lock().unwrap().kept.clone();
            let quiet = recorded.len() == before && recorded.iter().all(|one| one.done);
            if quiet || patience.elapsed() > Duration::from_secs(5) {
                return recorded;
            }
            before = recorded.len();
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What was asked with this method and path (as in [`Server::on`]).
    pub fn asked(&self, method: &str, path: &str) -> Vec<Recorded> {
        let matches = |r: &Recorded| r.request.method == method && super::fault::path_matches(path, &r.request.path);
        self.requests().into_iter().filter(matches).collect()
    }

    /// How often this was asked so far, answered or not.
    pub fn asked_so_far(&self, method: &str, path: &str) -> usize {
        let recorded = self.shared.recorded.lock().unwrap();
        let matches = |r: &&Recorded| r.request.method == method && super::fault::path_matches(path, &r.request.path);
        recorded.kept.iter().filter(matches).count()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Begins anew: what was asked is forgotten, every connection ends, and every
    /// fault is gone, met or not. Answers with how many were met.
    pub fn forget(&self) -> usize {
        let faults = std::mem::take(&mut *self.shared.faults.lock().unwrap());
        self.shared.ages.fetch_add(1, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let mut recorded = self.shared.recorded.lock().unwrap();
        recorded.forgotten += recorded.kept.len();
        recorded.kept.clear();
        faults.iter().filter(|fault| fault.met()).count()
    }

    /// Begins a fault: the next request of this method and path goes wrong.
    /// In the path `*` is any one segment, and a last `**` any rest.
    pub fn on(&self, method: &str, path: &str) -> super::fault::Script<'_> {
        super::fault::Script::new(&self.shared.faults, method, path)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(self.address); // wakes the listener
        if let Some(thread) = self.listening.take() {
            let _ = thread.join();
        }
        let left: Vec<String> = self.shared.faults.lock().unwrap().iter().filter_map(Fault::unmet).collect();
        if !left.is_empty() && !thread::panicking() {
            panic!("these faults were prepared and never happened: {left:?}");
        }
    }
}

/// How long closing waits for what was not sent.
fn linger(from: &BufReader<Stream>) -> Option<Duration> {
    match from.get_ref() {
        Stream::Plain(socket) => rustix::net::sockopt::socket_linger(socket).unwrap_or(None),
        Stream::Tls(tls) => rustix::net::sockopt::socket_linger(&tls.sock).unwrap_or(None),
    }
}

impl Shared {
    fn connection(&self, socket: TcpStream) {
        let _ = socket.set_nodelay(true);
        let closer = socket.try_clone();
        let stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(config) => match rustls::ServerConnection::new(config.clone()) {
                Ok(tls) => Stream::Tls(Box::new(rustls::StreamOwned::new(tls, socket))),
                Err(_) => return,
            },
        };
        let mut from = BufReader::with_capacity(PIECE / 4, stream);
        while let Ok(true) = self.exchange(&mut from) {}
        if let Stream::Tls(tls) = from.get_mut() {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        // A clone is kept for `drop`: without this the peer would see no end.
        if linger(&from) != Some(Duration::ZERO) {
            let _ = closer.map(|socket| socket.shutdown(Shutdown::Both));
        }
    }

    /// One request and its answer. True: another may follow on the connection.
    fn exchange(&self, from: &mut BufReader<Stream>) -> io::Result<bool> {
        // Of a handshake nobody knows when it would end as a head does.
        if self.tls.is_none() && from.fill_buf()?.first() == Some(&HANDSHAKE) {
            return Ok(false);
        }
        let lines = head(from)?;
        let Some(request) = parse(&lines) else {
            from.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
            return Ok(false);
        };
        let index = {
            let mut recorded = self.recorded.lock().unwrap();
            recorded.kept.push(Recorded { request: request.clone(), ..Recorded::default() });
            recorded.forgotten + recorded.kept.len() - 1
        };
        let act = self.faults.lock().unwrap().iter_mut().find_map(|fault| fault.take(&request));
        let chunked = request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = Body {
            from,
            left: if chunked { 0 } else { length },
            chunked,
            expect: request.header("expect").is_some(),
            ended: false,
            most: u64::MAX,
            drip: match act.as_deref() {
                Some(Act::DripRequest { piece, pause }) => Some((*piece, *pause)),
                _ => None,
            },
            buffer: Vec::new(),
            kept: Vec::new(),
            len: 0,
            md5: Md5::new(),
            sha512: digest::Context::new(&digest::SHA512),
        };
        let answer = self.answer(&request, &mut body, act.as_deref());
        let (len, sha512, kept) = (body.len, body.sha512(), std::mem::take(&mut body.kept));
        let complete = body.ended || (body.left == 0 && !body.chunked);
        let note = |status: u16, done: bool| {
            let mut recorded = self.recorded.lock().unwrap();
            let place = index.checked_sub(recorded.forgotten);
            let Some(one) = place.and_then(|place| recorded.kept.get_mut(place)) else { return };
            (one.body_len, one.body_sha512, one.body) = (len, sha512.clone(), kept.clone());
            (one.complete, one.status, one.done) = (complete, status, done);
        };
        let Some(answer) = answer else {
            note(0, true);
            if matches!(act.as_deref(), Some(Act::ResetAfterRequest(_) | Act::ResetAnswer)) {
                self.reset(from.get_mut());
            }
            if matches!(act.as_deref(), Some(Act::Stall | Act::StallRequest(_))) {
                self.wait_for_end();
            }
            return Ok(false);
        };
        let status = answer.status;
        // A stalled answer is as done as it will ever be.
        note(status, matches!(act.as_deref(), Some(Act::StallAfter(_) | Act::Drip { .. })));
        let outcome = self.send(from.get_mut(), &request, answer, act.as_deref());
        note(status, true);
        Ok(outcome? && complete && request.header("connection").is_none_or(|v| !v.eq_ignore_ascii_case("close")))
    }

    /// The answer after faults that act before one is sent; none: just close.
    fn answer(&self, request: &Request, body: &mut Body, act: Option<&Act>) -> Option<Answer> {
        let mut answer = match act {
            Some(Act::Answer(make)) => {
                body.drain().ok()?;
                make()
            }
            Some(Act::AnswerEarly { after, make }) => {
                self.break_off(request, body, *after);
                return Some(make());
            }
            Some(Act::Close | Act::Stall) => {
                let _ = body.drain();
                return None;
            }
            Some(Act::ResetAnswer) => {
                (self.handler)(request, body);
                return None;
            }
            Some(Act::AnswerSlowly(pause)) => {
                thread::sleep(*pause);
                (self.handler)(request, body)
            }
            Some(Act::Meanwhile { after, deed }) => {
                if !after {
                    deed();
                }
                let answer = (self.handler)(request, body);
                if *after {
                    deed();
                }
                answer
            }
            Some(Act::Instead(make)) => {
                (self.handler)(request, body);
                make()
            }
            Some(Act::CloseAfterRequest(most) | Act::ResetAfterRequest(most) | Act::StallRequest(most)) => {
                self.break_off(request, body, *most);
                return None;
            }
            Some(Act::Twist { ranged: false, .. }) => {
                let mut whole = request.clone();
                whole.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("range"));
                (self.handler)(&whole, body)
            }
            _ => (self.handler)(request, body),
        };
        if let Some(Act::Twist { twist, .. }) = act {
            twist(&mut answer);
        }
        if let (Some(Act::Edit(edit)), Content::Bytes(bytes)) = (act, &mut answer.content) {
            let mut value = serde_json::from_slice(bytes).expect("an answer to edit is JSON");
            edit(&mut value);
            *bytes = value.to_string().into_bytes();
        }
        // What the handler did not care to read must not look like the next request.
        body.drain().ok()?;
        Some(answer)
    }

    /// Lets the service see so much of a body, and then that the client is gone.
    fn break_off(&self, request: &Request, body: &mut Body, most: u64) {
        body.most = most;
        if body.chunked || body.left > 0 {
            (self.handler)(request, body);
        }
    }

    /// Sends an answer. True: the connection may go on.
    fn send(&self, to: &mut Stream, request: &Request, answer: Answer, act: Option<&Act>) -> io::Result<bool> {
        let (mut source, len, announced): (Box<dyn Read>, u64, bool) = match answer.content {
            Content::Bytes(bytes) => {
                let len = bytes.len() as u64;
                (Box::new(io::Cursor::new(bytes)), len, true)
            }
            Content::File { mut file, start, len, announced } => {
                file.seek(SeekFrom::Start(start))?;
                (Box::new(file.take(len)), len, announced)
            }
        };
        let mut announced_len = len;
        let mut keep = announced;
        let (mut most, mut stall, mut drip) = (u64::MAX, false, None);
        match act {
            Some(Act::CloseAfterAnswer(bytes) | Act::ResetAfterAnswer(bytes)) => (most, keep) = (*bytes, false),
            Some(Act::StallAfter(bytes)) => (most, stall, keep) = (*bytes, true, false),
            Some(Act::Drip { piece, pause }) => drip = Some((*piece, *pause)),
            Some(Act::ContentLength(claimed)) => (announced_len, keep) = (*claimed, false),
            Some(Act::AnswerEarly { .. }) => keep = false,
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if announced && answer.status != 204 {
            head += &format!("Content-Length: {announced_len}\r\n");
        }
        if !keep {
            head += "Connection: close\r\n";
        }
        head += "x-openstack-request-id: req-00000000-0000-4000-8000-000000000000\r\n\r\n";
        to.write_all(&raw(&head))?;
        if request.method == "HEAD" || answer.status == 204 {
            return Ok(keep);
        }
        let mut buffer = vec![0; drip.map_or(PIECE, |(piece, _)| piece)];
        let mut sent = 0;
        while sent < most {
            let want = (most - sent).min(buffer.len() as u64) as usize;
            let got = source.read(&mut buffer[..want])?;
            if got == 0 {
                break;
            }
            to.write_all(&buffer[..got])?;
            to.flush()?;
            sent += got as u64;
            if let Some((_, pause)) = drip {
                if self.stop.load(Ordering::SeqCst) {
                    return Ok(false);
                }
                thread::sleep(pause);
            }
        }
        to.flush()?;
        if matches!(act, Some(Act::ResetAfterAnswer(_))) {
            // What was sent is to arrive: a reset drops what is still under way.
            thread::sleep(Duration::from_millis(100));
            self.reset(to);
        }
        if stall {
            self.wait_for_end();
        }
        Ok(keep)
    }

    /// Sees to it that the connection ends with RST once it is dropped.
    fn reset(&self, stream: &Stream) {
        let socket = match stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        };
        rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
        // Only the last descriptor that is closed resets.
        let peer = socket.peer_addr().ok();
        self.open.lock().unwrap().retain(|other| other.peer_addr().ok() != peer);
    }

    fn wait_for_end(&self) {
        let age = self.ages.load(Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) && self.ages.load(Ordering::SeqCst) == age {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A server that says this to the first who comes, whatever they say.
pub fn babbler(words: &'static [u8]) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let talking = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        let _ = client.write_all(words);
    });
    (url, talking)
}
