//! HTTP: the one room that names the HTTP client crate.
//!
//! It adds what every request of rimg needs: trust and proxies, a limit on
//! connecting and on silence (never on the whole transfer), Ctrl-C, redirects
//! that take no secret to another host, a trace with secrets masked, and the
//! translation of statuses and broken connections into [`Error`]s.

mod answer;
mod credential;
mod failure;
mod redirect;
mod request;
mod retry;
mod tls;
mod trace;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use url::Url;

pub use answer::Answer;
pub use credential::{Credential, Renewed, Renewer, Token};
pub use request::Request;
pub use retry::{Next, Retries, Tries, spoken};
pub use tls::Tls;
pub use trace::shown_url;

use crate::error::{Error, Kind, Result};
use crate::interrupt::{self, Interrupt};
use crate::log::{Level, Log};
use crate::transfer::Meter;
use redirect::{drop_secrets, same_service};
use request::Payload;
use trace::shown_headers;

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// What shapes every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Certificates.
    pub tls: Tls,
    /// How long connecting may take.
    pub connect_limit: Duration,
    /// How long no byte may move, in either direction.
    pub stall_limit: Duration,
    /// How long the service may think after it has received a whole image:
    /// it may be copying it to its storage.
    pub digest_limit: Duration,
    /// Connect by IPv4 only.
    pub force_ipv4: bool,
    /// Ask no proxy, whatever the environment says: for our own machine.
    pub direct: bool,
    /// How often to try again what is asked of the image service.
    pub retries: Retries,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            tls: Tls::default(),
            connect_limit: Duration::from_secs(15),
            stall_limit: Duration::from_secs(60),
            digest_limit: Duration::from_secs(900),
            force_ipv4: false,
            direct: false,
            retries: Retries::default(),
        }
    }
}

/// The HTTP client of one run. Cheap to clone; connections are made on first use.
#[derive(Clone)]
pub struct Http {
    shared: Rc<Shared>,
    /// Absent in clean-up work, which a pressed Ctrl-C must not end.
    interrupt: Option<Interrupt>,
    /// Whether requests are tried again as the configuration says.
    insists: bool,
}

struct Shared {
    settings: Settings,
    log: Log,
    clients: OnceCell<Clients>,
    timings: RefCell<Vec<(String, Duration)>>,
    /// Services that are elsewhere now: where they were, and where they are.
    moved: RefCell<Vec<(Url, Url)>>,
}

struct Clients {
    pooled: reqwest::Client,
    /// For bodies that can be sent only once: a connection taken from a pool
    /// may have been closed by the server meanwhile.
    fresh: reqwest::Client,
}

impl Http {
    /// A client that says what it does to `log` and stops on `interrupt`.
    pub fn new(settings: Settings, log: Log, interrupt: Interrupt) -> Self {
        let (timings, moved) = Default::default();
        let shared = Shared { settings, log, clients: OnceCell::new(), timings, moved };
        Http { shared: Rc::new(shared), interrupt: Some(interrupt), insists: false }
    }

    /// The same client for clean-up after an interrupt: it does not stop for one.
    #[must_use]
    pub fn undisturbed(&self) -> Self {
        Http { interrupt: None, ..self.clone() }
    }

    /// The same client, which tries each request, or no request, again as the
    /// configuration says of the image service. At first it does not: who looks
    /// after further tries alone, or talks to another service, wants none.
    #[must_use]
    pub fn insisting(&self, insists: bool) -> Self {
        Http { insists, ..self.clone() }
    }

    /// Where this client says what it does.
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// What shapes every connection.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Every request so far, as `METHOD URL`, and how long its answer took.
    pub fn timings(&self) -> Vec<(String, Duration)> {
        self.shared.timings.borrow().clone()
    }

    /// From now on what begins with `from` is asked for at `to`.
    fn moved(&self, from: Url, to: Url) {
        self.shared.log.info(&format!("what was at `{}` is at `{}` now", shown_url(&from), shown_url(&to)));
        self.shared.moved.borrow_mut().push((from, to));
    }

    /// Where `url` is now, if it is elsewhere.
    fn elsewhere(&self, url: &Url) -> Option<Url> {
        self.shared.moved.borrow().iter().find_map(|(from, to)| {
            let rest = url.as_str().strip_prefix(from.as_str().trim_end_matches('/'))?;
            let begins = rest.is_empty() || rest.starts_with(['/', '?']);
            let moved = format!("{}{rest}", to.as_str().trim_end_matches('/'));
            begins.then(|| Url::parse(&moved).ok()).flatten()
        })
    }

    /// Where a service is now that is not at `url`, if it was an earlier run
    /// that learnt of that place: one sign-in tells. The only error is an interrupt.
    async fn found_again(&self, credential: &Credential, url: &Url) -> Result<Option<Url>> {
        // Another request may have found out.
        if credential.generation() == 0 && !credential.is_from_earlier() {
            return Ok(None);
        }
        match credential.renew_after(0, self).await {
            Err(error) if error.kind == Kind::Interrupted => Err(error),
            Err(_) => Ok(None),
            Ok(()) => Ok(self.elsewhere(url)),
        }
    }

    /// Waits, unless interrupted.
    pub async fn pause(&self, time: Duration) -> Result<()> {
        self.unless_interrupted(tokio::time::sleep(time)).await
    }

    /// Waits for `work`, unless interrupted.
    pub async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        self.or_interrupted(async { Ok(work.await) }).await
    }

    /// Does long work on a thread of its own, unless interrupted.
    pub async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.or_interrupted(interrupt::aside(work)).await
    }

    async fn or_interrupted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match &self.interrupt {
            Some(interrupt) => interrupt.or(work).await,
            None => work.await,
        }
    }

    /// Sends `request` and waits for the head of the answer, whatever its
    /// status. Where the configuration says so it is tried several times.
    pub async fn send(&self, request: Request) -> Result<Answer> {
        self.or_interrupted(self.insist(request)).await
    }

    async fn insist(&self, mut request: Request) -> Result<Answer> {
        let retries = &self.settings().retries;
        let mut tries = Tries::new(retries, 0);
        loop {
            let method = request.method.clone();
            let again = request.again();
            let outcome = self.exchange(request).await;
            let error = match &outcome {
                Ok(answer) => answer.status_error(),
                Err(error) => error.clone(),
            };
            // A status without its answer is that of a sign-in on the way.
            let of_request = outcome.is_ok() || error.status.is_none();
            let next = match self.insists && of_request && retries.of_plain(&method, &error) {
                true => tries.next(error.clone()).ok(),
                false => None,
            };
            let (Some(again), Some(next)) = (again, next) else { return outcome };
            self.log().note(&format!("{error}; {next}"));
            tokio::time::sleep(next.pause).await;
            request = again;
        }
    }

    /// One request and its answer, redirects followed.
    async fn exchange(&self, request: Request) -> Result<Answer> {
        let Request { method, mut url, mut headers, body, mut credential, secret } = request;
        url = self.elsewhere(&url).unwrap_or(url);
        let repeatable = method == Method::GET || method == Method::HEAD;
        // A document can be sent again; what streams by cannot.
        let again = match &body {
            Payload::Nothing => Some(None),
            Payload::Document(bytes) => Some(Some(bytes.clone())),
            Payload::Data(..) => None,
        };
        let mut body = Some(body);
        let mut redirects = 0;
        let (mut dropped, mut renewed) = (false, false);
        loop {
            let generation = credential.as_ref().map(|credential| {
                credential.show(&mut headers);
                credential.generation()
            });
            let sending = body.take().unwrap_or(match &again {
                Some(Some(bytes)) => Payload::Document(bytes.clone()),
                _ => Payload::Nothing,
            });
            let started = Instant::now();
            let outcome = self.once(&method, &url, &headers, sending, secret).await;
            self.shared.timings.borrow_mut().push((format!("{method} {}", shown_url(&url)), started.elapsed()));
            let mut answer = match (outcome, &credential) {
                (Ok(answer), _) => answer,
                // A pooled connection that the server had closed: once more, on a new one.
                (Err((_, Broken::Dropped)), _) if repeatable && !dropped => {
                    dropped = true;
                    continue;
                }
                (Err((error, Broken::Unreached)), Some(credential)) if again.is_some() && generation == Some(0) => {
                    url = self.found_again(credential, &url).await?.ok_or(error)?;
                    continue;
                }
                (Err((error, _)), _) => return Err(error),
            };
            if let (StatusCode::UNAUTHORIZED, Some(credential), Some(generation)) =
                (answer.status(), &credential, generation)
            {
                // Nothing was carried out, so any request may be sent again.
                if !renewed && again.is_some() && credential.can_renew() {
                    renewed = true;
                    self.shared.log.info("the token was refused: signing in anew");
                    // The connection can be used again once the answer is read.
                    answer.beginning(64 * 1024).await?;
                    credential.renew_after(generation, self).await?;
                    url = self.elsewhere(&url).unwrap_or(url);
                    continue;
                }
                answer.advice = if renewed { Some(REFUSED_AGAIN) } else { credential.advice() };
            }
            // OpenStack's services name each request; this is somebody else in the place of one.
            let is_stranger =
                || answer.status() == StatusCode::NOT_FOUND && answer.header("x-openstack-request-id").is_none();
            if let Some(credential) = &credential
                && generation == Some(0)
                && again.is_some()
                && is_stranger()
                && let Some(there) = self.found_again(credential, &url).await?
            {
                url = there;
                continue;
            }
            let Some(next) = redirect::target(&answer, &url) else { return Ok(answer) };
            let same = same_service(&url, &next);
            // A body may hold a secret, and what changes things is meant for this service alone.
            let refused = if !(next.scheme() == url.scheme() || next.scheme() == "https") {
                Some("which is not encrypted")
            } else if again.is_none() || !(repeatable || same) {
                Some("where this request is not sent again")
            } else if redirects == REDIRECTS {
                Some("one redirect too many")
            } else {
                None
            };
            if let Some(why) = refused {
                return Err(failure::redirected(&url, &next, why, answer.status()));
            }
            if !same {
                // The token is for this service, not for whom it points to.
                drop_secrets(&mut headers);
                credential = None;
            }
            self.shared.log.debug(&format!("redirected to {}", shown_url(&next)));
            url = next;
            redirects += 1;
        }
    }

    /// One request, one answer; of a failure also how far it came.
    async fn once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Payload,
        secret: bool,
    ) -> std::result::Result<Answer, (Error, Broken)> {
        let Shared { settings, log, .. } = &*self.shared;
        let clients = self.clients().map_err(|e| (e, Broken::Otherwise))?;
        if log.says(Level::Debug) {
            trace::request(log, method, url, headers, &body, secret);
        }
        let (client, meter) = match &body {
            Payload::Data(_, meter) => (&clients.fresh, Some(Arc::clone(meter))),
            _ => (&clients.pooled, None),
        };
        let request = client.request(method.clone(), url.clone()).headers(headers.clone());
        let request = match body {
            Payload::Nothing => request,
            Payload::Document(bytes) => request.body(bytes),
            Payload::Data(body, _) => request.body(reqwest::Body::wrap(body)),
        };
        let sent = tokio::select! {
            sent = request.send() => sent.map_err(|e| (failure::connection(&e, url, settings), Broken::by(&e))),
            error = stalled(meter, settings, url) => Err((error, Broken::Otherwise)),
        }?;
        let answer = Answer {
            inner: sent,
            stall_limit: settings.stall_limit,
            interrupt: self.interrupt.clone(),
            log: log.clone(),
            secret,
            advice: None,
        };
        if log.says(Level::Debug) {
            log.debug(&format!("RESP: [{}] {}", answer.status().as_u16(), shown_headers(answer.headers(), secret)));
        }
        Ok(answer)
    }

    fn clients(&self) -> Result<&Clients> {
        if let Some(clients) = self.shared.clients.get() {
            return Ok(clients);
        }
        let tls = self.shared.settings.tls.client_config()?;
        let build = |keep: usize| {
            let mut builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                // One HTTP/2 stream is bound by a proxy's window; uploads need the wire.
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(self.shared.settings.connect_limit)
                .pool_max_idle_per_host(keep)
                .user_agent(concat!("rimg/", env!("CARGO_PKG_VERSION")));
            if self.shared.settings.force_ipv4 {
                builder = builder.local_address(std::net::IpAddr::from([0, 0, 0, 0]));
            }
            // reqwest takes this for all names, `requests` and curl for all addresses as well.
            let none = |name: &&str| std::env::var(name).is_ok_and(|list| list.trim() == "*");
            if self.shared.settings.direct || ["no_proxy", "NO_PROXY"].iter().any(none) {
                builder = builder.no_proxy();
            }
            builder.build().map_err(|e| Error::new(Kind::Network, format!("cannot set up HTTP: {e}")))
        };
        let clients = Clients { pooled: build(8)?, fresh: build(0)? };
        Ok(self.shared.clients.get_or_init(|| clients))
    }
}

/// How far a request came that got no answer.
enum Broken {
    /// There was no connection.
    Unreached,
    /// The server closed the connection before it had answered anything.
    Dropped,
    /// Anything else.
    Otherwise,
}

impl Broken {
    fn by(error: &reqwest::Error) -> Self {
        match failure::was_dropped(error) {
            true => Broken::Dropped,
            // A certificate that is not trusted is no reason to look elsewhere.
            false if error.is_connect() && !failure::is_tls(error) => Broken::Unreached,
            false => Broken::Otherwise,
        }
    }
}

/// What to do about a service that refuses what the cloud has just given us.
const REFUSED_AGAIN: &str = "the service refused a new token too: ask who runs the cloud whether its services agree";

/// Ends when nothing has moved for too long.
async fn stalled(meter: Option<Arc<Meter>>, settings: &Settings, url: &Url) -> Error {
    let mut moved = 0;
    let mut since = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = meter.as_ref().map_or(0, |meter| meter.moved());
        let all_sent = meter.as_ref().is_some_and(|meter| meter.is_finished());
        // A source that has nothing to give is waited for as long as it takes.
        if now != moved || (!all_sent && meter.as_ref().is_some_and(|meter| meter.is_starved())) {
            moved = now;
            since = Instant::now();
        }
        let limit = if all_sent { settings.digest_limit } else { settings.stall_limit };
        // Connecting has its own limit and its own message.
        if since.elapsed() >= limit.max(settings.connect_limit) {
            return failure::stalled(url, limit, meter.map(|_| all_sent));
        }
    }
}
