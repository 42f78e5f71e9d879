//! The door: takes connections, reads requests within limits, finds out who
//! asks, lets the versions of the API answer, and writes down what was asked.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::Service;
use super::caller::{Caller, Identity};
use super::failure::{Failure, Result};
use super::identity as keystone;
use super::store::Download;
use super::versions::{self, Version};
use super::web_download::Remote;
use super::{v1, v2};

/// How much is read from a connection at a time, in bytes, and waits to be
/// written to it.
const READ: usize = 128 * 1024;

/// What an answer is made of.
pub enum Payload {
    /// Words.
    Whole(Bytes),
    /// Image data.
    File(Download),
    /// Image data that is elsewhere.
    Remote(Remote),
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::Whole(bytes)
    }
}

impl http_body::Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Payload::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Payload::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Payload::File(download) => Pin::new(download).poll_frame(context),
            Payload::Remote(remote) => Pin::new(remote).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Payload::Whole(bytes) => bytes.is_empty(),
            Payload::File(download) => download.is_end_stream(),
            Payload::Remote(remote) => remote.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Payload::File(download) => download.size_hint(),
            Payload::Remote(remote) => remote.size_hint(),
        }
    }
}

/// What a client sends after its headers, a piece at a time.
pub struct Body {
    incoming: Option<Incoming>,
    stall: Duration,
    /// How many bytes came, for the log.
    received: Arc<AtomicU64>,
}

impl Body {
    /// The next piece; `None` at the end. A client that sends nothing for too
    /// long, or goes away, is a failure.
    pub async fn piece(&mut self) -> Result<Option<Bytes>> {
        let Some(incoming) = &mut self.incoming else { return Ok(None) };
        loop {
            match tokio::time::timeout(self.stall, incoming.frame()).await {
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing that we want to know.
                    if let Ok(piece) = frame.into_data() {
                        self.received.fetch_add(piece.len() as u64, Ordering::Relaxed);
                        return Ok(Some(piece));
                    }
                }
                Ok(None) => {
                    self.incoming = None;
                    return Ok(None);
                }
                Ok(Some(Err(_))) => return Err(Failure::bad_request("The body of the request was cut short.")),
                Err(_) => {
                    return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "The client sent nothing for too long."));
                }
            }
        }
    }

    /// The whole, if it is of no more than `limit` bytes.
    async fn whole(&mut self, limit: usize) -> Result<Bytes> {
        let too_large = || Failure::too_large("The body of your request was too large for this server.");
        let length = self.incoming.as_ref().map_or(0, |incoming| incoming.size_hint().lower());
        if length > limit as u64 {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// Whether all of it was read.
    fn is_finished(&self) -> bool {
        self.incoming.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    /// Goes on reading what nobody wants, for a while: a connection that is
    /// closed while the client still sends loses the answer on its way
    /// (RFC 9112, section 9.6).
    async fn linger(mut self) {
        const LONGEST: Duration = Duration::from_secs(10);
        let _ = tokio::time::timeout(LONGEST, async { while let Ok(Some(_)) = self.piece().await {} }).await;
    }
}

/// A request, and who made it.
pub struct Asked {
    /// What is to be done.
    pub method: Method,
    /// The parts of the path after the version, decoded.
    pub path: Vec<String>,
    /// What follows the `?`, as it was sent.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// The body, still to be read.
    pub body: Body,
    /// The name of the request, as the answer will tell it.
    pub request_id: String,
    /// Where the client says that we are: `http://host:port`.
    pub base: String,
}

impl Asked {
    /// A header's text, if there is one of that name.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the request says that a body follows.
    pub fn has_body(&self) -> bool {
        self.body.incoming.as_ref().is_some_and(|incoming| !incoming.is_end_stream())
    }

    /// The body as JSON: an object or an array.
    pub async fn json(&mut self, limit: usize) -> Result<serde_json::Value> {
        let expected = || Failure::bad_request("Body expected in request.");
        if !self.has_body() {
            return Err(expected());
        }
        let bytes = self.body.whole(limit).await?;
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| Failure::bad_request("Malformed JSON in request body."))?;
        if !value.is_object() && !value.is_array() {
            return Err(Failure::bad_request("Unexpected body type. Expected list/dict."));
        }
        Ok(value)
    }
}

/// The answer to a request: `status`, and `value` as JSON.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Payload> {
    // What this program writes always can be: there is no map in it whose keys are not text.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Payload::from(Bytes::from(text)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The answer to who forgot the slash after the version.
fn moved(url: &str) -> Response<Payload> {
    let mut answer = Response::new(Payload::from(Bytes::new()));
    *answer.status_mut() = StatusCode::FOUND;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf8"));
    if let Ok(url) = HeaderValue::from_str(url) {
        headers.insert(LOCATION, url);
    }
    answer
}

/// The answer that has nothing to say but that it was done.
pub fn no_content() -> Response<Payload> {
    let mut answer = Response::new(Payload::from(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// What was asked and how it ended: one line of the request log.
#[derive(Debug)]
pub struct Logged<'a> {
    /// The client's address.
    pub remote: SocketAddr,
    /// As the answer names it.
    pub request_id: &'a str,
    /// Who asked: the user's and the project's ID.
    pub caller: Option<(&'a str, Option<&'a str>)>,
    /// What was to be done.
    pub method: &'a Method,
    /// To what: path and query.
    pub path: &'a str,
    /// The status of the answer.
    pub status: StatusCode,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// Bytes of the answer's body that were sent.
    pub sent: u64,
    /// How long it took.
    pub took: Duration,
    /// What went wrong, if the status says so or the answer was cut short.
    pub cause: Option<&'a str>,
}

/// Answers on `listener` until `shutdown` ends, then lets what is under way
/// end within the time that the settings allow.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    identity: Arc<dyn Identity>,
    shutdown: impl Future<Output = ()>,
) {
    let limits = service.settings.limits.clone();
    let seats = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let seat = tokio::select! {
            () = &mut shutdown => break,
            seat = Arc::clone(&seats).acquire_owned() => seat,
        };
        let (stream, remote) = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Out of file descriptors, or the client is gone already: others may do better soon.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let service = Arc::clone(&service);
        let identity = Arc::clone(&identity);
        let answering = service_fn(move |request| {
            let service = Arc::clone(&service);
            let identity = Arc::clone(&identity);
            async move { Ok::<_, Infallible>(answer(service, identity, remote, request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.stall)
            .max_buf_size(limits.header_bytes.max(READ))
            .serve_connection(TokioIo::new(Patient::new(stream, limits.stall)), answering);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that goes away is no news.
            let _ = connection.await;
            drop(seat);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(limits.grace, graceful.shutdown()).await;
}

async fn answer(
    service: Arc<Service>,
    identity: Arc<dyn Identity>,
    remote: SocketAddr,
    request: Request<Incoming>,
) -> Response<Watched> {
    let started = Instant::now();
    let (head, incoming) = request.into_parts();
    let path = head.uri.path_and_query().map_or(String::new(), |path| path.as_str().to_owned());
    let request_id = request_id(&head.headers);
    let mut note = Note {
        service: Arc::clone(&service),
        started,
        remote,
        request_id,
        caller: None,
        method: head.method.clone(),
        path,
        status: StatusCode::OK,
        received: Arc::default(),
        sent: 0,
        cause: None,
    };
    let received = Arc::clone(&note.received);
    let mut body = Body { incoming: Some(incoming), stall: service.settings.limits.stall, received };
    let outcome = route(&service, &identity, &head, &mut body, &mut note).await;
    if !body.is_finished() {
        tokio::spawn(body.linger());
    }
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(failure) => {
            note.cause = Some(failure.cause().to_owned());
            failure.answer(&head.method, &head.headers)
        }
    };
    note.status = answer.status();
    // Glance numbers a request once it knows who asks.
    if note.caller.is_some()
        && let Ok(value) = HeaderValue::from_str(&note.request_id)
    {
        answer.headers_mut().insert(HeaderName::from_static("x-openstack-request-id"), value);
    }
    answer.map(|payload| Watched { payload, note })
}

/// The name of the request: the client's own if it gave one, marked as an ID.
fn request_id(headers: &HeaderMap) -> String {
    const LONGEST: usize = 64;
    match headers.get("x-openstack-request-id").and_then(|value| value.to_str().ok()) {
        Some(given) if !given.is_empty() && given.len() <= LONGEST => match given.starts_with("req-") {
            true => given.to_owned(),
            false => format!("req-{given}"),
        },
        _ => format!("req-{}", Uuid::new_v4()),
    }
}

async fn route(
    service: &Arc<Service>,
    identity: &Arc<dyn Identity>,
    head: &http::request::Parts,
    body: &mut Body,
    note: &mut Note,
) -> Result<Response<Payload>> {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let size =
        head.uri.path().len() + head.uri.query().map_or(0, str::len) + head.headers.iter().map(size).sum::<usize>();
    if size > service.settings.limits.header_bytes {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Failure::new(status, "The request header fields were too large"));
    }
    let path = percent_decode_str(head.uri.path()).decode_utf8();
    let path = path.map_err(|_| Failure::bad_request("The URL is not UTF-8."))?;
    let mut path: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
    // An empty part means nothing, except at the end.
    let last = path.len().saturating_sub(1);
    let mut at = 0;
    path.retain(|part| {
        at += 1;
        !part.is_empty() || at > last
    });
    if head.method == Method::OPTIONS {
        return Ok(Response::new(Payload::from(Bytes::new())));
    }
    let host = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let base = format!("http://{host}");
    if path.first().is_some_and(|first| first == keystone::ROOT) {
        path.remove(0);
        let asked = keystone::Asked {
            method: head.method.clone(),
            path,
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            body: body.whole(service.settings.limits.json_bytes).await?,
            base,
        };
        let identity = Arc::clone(identity);
        // Passwords are hard to check on purpose: who signs in waits for a turn, and not on a thread.
        let turn = match asked.method == Method::POST {
            true => Arc::clone(&service.sign_ins).acquire_owned().await.ok(),
            false => None,
        };
        let reply = tokio::task::spawn_blocking(move || {
            // Held until it is done, even if the client goes away.
            let _turn = turn;
            identity.answer(&asked)
        });
        let reply = reply.await;
        let reply = reply.map_err(|_| Failure::internal("a request to the Identity API panicked"))?;
        let reply = reply.ok_or_else(Failure::nothing_here)?;
        (note.caller, note.cause) = (reply.caller, reply.cause);
        return Ok(reply.answer);
    }
    let with_v1 = service.settings.api_v1;
    if path.first().is_some_and(|first| first == "versions") {
        return Ok(versions::all(StatusCode::OK, &base, with_v1));
    }
    let Some(version) = path.first().and_then(|first| Version::named(first, with_v1)) else {
        return Ok(versions::all(StatusCode::MULTIPLE_CHOICES, &base, with_v1));
    };
    path.remove(0);
    let token = head.headers.get("x-auth-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    let Some(caller) = identity.caller(token) else {
        return Err(Failure::unauthorized(&identity.challenge(&base)));
    };
    note.caller = Some(Arc::clone(&caller));
    if path.is_empty() {
        return Ok(moved(&format!("{base}/{}/", version.path())));
    }
    let mut asked = Asked {
        method: head.method.clone(),
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers.clone(),
        caller,
        request_id: note.request_id.clone(),
        body: Body { incoming: body.incoming.take(), stall: body.stall, received: Arc::clone(&body.received) },
        base,
    };
    let answer = match version {
        Version::V1 => v1::answer(service, &mut asked).await,
        Version::V2 => v2::answer(service, &mut asked).await,
    };
    body.incoming = asked.body.incoming.take();
    answer
}

/// What the log will say once the answer is out.
struct Note {
    service: Arc<Service>,
    started: Instant,
    remote: SocketAddr,
    request_id: String,
    caller: Option<Arc<Caller>>,
    method: Method,
    path: String,
    status: StatusCode,
    received: Arc<AtomicU64>,
    sent: u64,
    cause: Option<String>,
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(log) = &self.service.settings.log {
            log(&Logged {
                remote: self.remote,
                request_id: &self.request_id,
                caller: self.caller.as_ref().map(|caller| (&*caller.user_id, caller.project_id.as_deref())),
                method: &self.method,
                path: &self.path,
                status: self.status,
                received: self.received.load(Ordering::Relaxed),
                sent: self.sent,
                took: self.started.elapsed(),
                cause: self.cause.as_deref(),
            });
        }
    }
}

/// An answer that is written down when its last byte was sent, or it broke off.
struct Watched {
    payload: Payload,
    note: Note,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.payload).poll_frame(context));
        match &frame {
            Some(Err(error)) => self.note.cause = Some(error.to_string()),
            Some(Ok(frame)) => self.note.sent += frame.data_ref().map_or(0, |data| data.len() as u64),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.payload.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.payload.is_end_stream() && self.note.cause.is_none() {
            self.note.cause = Some("the client went away before it had all".to_owned());
        }
    }
}

/// A connection that is given up when its client takes nothing for too long.
struct Patient {
    stream: TcpStream,
    stall: Duration,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream, stall: Duration) -> Self {
        Patient { stream, stall, waiting: None }
    }

    fn watch(&mut self, context: &mut Context, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.waiting = None;
            return wrote;
        }
        let stall = self.stall;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl tokio::io::AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        buffer: &mut tokio::io::ReadBuf,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        slices: &[io::IoSlice],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
