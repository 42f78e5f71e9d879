//! The door: takes connections, finds out who asks, lets the versions of the API
//! answer, and writes down what was asked.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::answer::{Payload, moved};
use super::caller::Caller;
use super::connection::Patient;
use super::failure::{Failure, Result};
use super::identity::{self as keystone, Identity};
use super::request::{Asked, Body};
use super::service::Service;
use super::settings::Logged;
use super::versions::{self, Version};
use super::{v1, v2};

/// How much is read from a connection at a time, in bytes, and waits to be
/// written to it.
const READ: usize = 128 * 1024;

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

/// Lets who can answer a request.
async fn route(
    service: &Arc<Service>,
    identity: &Arc<dyn Identity>,
    head: &http::request::Parts,
    body: &mut Body,
    note: &mut Note,
) -> Result<Response<Payload>> {
    let mut path = path_of(head, service.settings.limits.header_bytes)?;
    let with_v1 = service.settings.api_v1;
    let version = path.first().and_then(|first| Version::named(first, with_v1));
    if head.method == Method::OPTIONS && version != Some(Version::V1) {
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
        return keystone_answer(service, identity, asked, note).await;
    }
    if path.first().is_some_and(|first| first == "versions") {
        return Ok(versions::all(StatusCode::OK, &base, with_v1));
    }
    let Some(version) = version else {
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
    let answer = image_answer(service, version, &mut asked).await;
    body.incoming = asked.body.incoming.take();
    answer
}

/// The parts of the path of a request whose head is no larger than `limit` bytes, decoded.
fn path_of(head: &http::request::Parts, limit: usize) -> Result<Vec<String>> {
    let size = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    let size =
        head.uri.path().len() + head.uri.query().map_or(0, str::len) + head.headers.iter().map(size).sum::<usize>();
    if size > limit {
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
    Ok(path)
}

/// What the Identity API answers.
async fn keystone_answer(
    service: &Service,
    identity: &Arc<dyn Identity>,
    asked: keystone::Asked,
    note: &mut Note,
) -> Result<Response<Payload>> {
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
    Ok(reply.answer)
}

/// What the Images API answers.
async fn image_answer(service: &Arc<Service>, version: Version, asked: &mut Asked) -> Result<Response<Payload>> {
    match version {
        Version::V1 => v1::answer(service, asked).await,
        Version::V2 => v2::answer(service, asked).await,
    }
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
