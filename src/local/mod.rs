//! The local image service: a whole Glance, for one machine.
//!
//! ```text
//! server -> {v1, v2} -> {pipeline, import, serve_data} -> access -> service -> {policy, registry, store}
//!    \-> identity (whose token is it, who is there?)
//! ```
//!
//! Each room knows only rooms below it, but that `Service::open` has `sweep` go
//! first; `failure` knows nobody. This list goes from the top to the bottom.
//!
//! | room | what it is for |
//! | --- | --- |
//! | [`config`] | the configuration file of `rimg serve` |
//! | [`server`] | the door: who asks, which API answers, the request log |
//! | [`sweep`] | what dead processes had in hand is undone |
//! | [`v1`] | Images API v1: headers and answers |
//! | [`v2`] | Images API v2: requests and answers |
//! | [`identity`] | Identity API v3: signing in, and who there is |
//! | [`versions`] | which versions of the Images API there are |
//! | [`pipeline`] | how an image comes to be, gate by gate |
//! | [`import`] | how data gets in while nobody waits |
//! | [`serve_data`] | how data gets out |
//! | [`access`] | what a caller may do to an image |
//! | [`service`] | what a service is made of |
//! | [`settings`] | how it is set up |
//! | [`status`] | where an image is in its life |
//! | [`inspect`] | what the bytes of an image are |
//! | [`filter`] | what a filter of a list asks of an image |
//! | [`quota`] | how much of what |
//! | [`protection`] | which roles may touch which properties |
//! | [`policy`] | Glance's rules |
//! | [`registry`] | all metadata |
//! | [`webob`] | the pages that tell of a failure |
//! | [`answer`] | what an answer is made of |
//! | [`request`] | what is asked, and by whom |
//! | [`connection`] | clients may be slow, but not for ever |
//! | [`web_download`] | data on the web, from where that is allowed |
//! | [`turns`] | imports are worked on a few at a time |
//! | [`aside`] | work that waits on a disk |
//! | [`store`] | all data |
//! | [`run`] | which processes are at work |
//! | [`caller`] | who asks |
//! | [`failure`] | what went wrong, in Glance's words |
//!
//! It shares nothing with the client but words for errors, digests and disk
//! formats, so that the one checks the other over a real socket.

mod access;
mod answer;
mod aside;
mod caller;
pub mod config;
mod connection;
mod failure;
mod filter;
pub mod identity;
mod import;
mod inspect;
mod pipeline;
mod policy;
mod protection;
mod quota;
mod registry;
mod request;
mod run;
mod serve_data;
mod server;
mod service;
mod settings;
mod status;
mod store;
mod sweep;
mod turns;
mod v1;
mod v2;
mod versions;
mod web_download;
mod webob;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use caller::Caller;
pub use identity::{FixedToken, Identity};
pub use protection::ProtectedProperty;
pub use quota::Quota;
pub use service::Service;
pub use settings::{Limits, Log, Logged, Notes, Settings, StoreSettings};
pub use v2::metadefs::{Loaded, MetadefFiles};
pub use web_download::WebFilter;

use crate::error::{Error, Result};
use sweep::sweep_again;

/// A service that runs on a thread of its own, for as long as this lives.
pub struct Running {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    done: Option<oneshot::Receiver<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Stops taking connections, and ends when what is under way has ended or
    /// was undone.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(done) = self.done.take() {
            let _ = done.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends by itself; that it panicked was told on stderr.
            let _ = thread.join();
        }
    }
}

/// The service of the cloud `local`: for one user, inside the user's own program.
pub struct Private {
    /// The service.
    pub running: Running,
    /// The token that it takes, and no other.
    pub token: String,
    /// The project that the user's images belong to.
    pub project_id: Option<String>,
    /// What was swept up at the start, a line each.
    pub swept: Vec<String>,
}

/// Starts the service on a thread of its own and a free loopback port, for
/// the administrator of a service without a configuration file.
///
/// When it is dropped nobody can be waiting for an answer any more: what is
/// under way then is undone at once.
pub fn start(directory: &Path) -> Result<Private> {
    let mut settings = Settings::default();
    settings.limits.grace = std::time::Duration::ZERO;
    let caller = identity::admin(&settings.policy)?;
    let project_id = caller.project_id.clone();
    let (service, swept) = Service::open(directory, settings)?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(|e| not_started(&e))?;
    let token = identity::password::made_up()?;
    let running = run(service, listener, Arc::new(FixedToken::new(token.clone(), caller)))?;
    Ok(Private { running, token, project_id, swept })
}

/// Runs `service` on a thread of its own, answering on `listener`.
pub fn run(service: Arc<Service>, listener: std::net::TcpListener, identity: Arc<dyn Identity>) -> Result<Running> {
    listener.set_nonblocking(true).map_err(|e| not_started(&e))?;
    let url = format!("http://{}", listener.local_addr().map_err(|e| not_started(&e))?);
    let (stop, stopped) = oneshot::channel::<()>();
    let (ended, done) = oneshot::channel::<()>();
    let runtime = runtime(service.settings.limits.connections).map_err(|e| not_started(&e))?;
    let thread = std::thread::Builder::new()
        .name("local-image-service".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                if let Ok(listener) = TcpListener::from_std(listener) {
                    let stopped = async { drop(stopped.await) };
                    serve(listener, service, identity, stopped).await;
                }
            });
            // Lets threads finish that undo what was in hand.
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
            drop(ended);
        })
        .map_err(|e| not_started(&e))?;
    Ok(Running { url, stop: Some(stop), done: Some(done), thread: Some(thread) })
}

fn not_started(error: &std::io::Error) -> Error {
    Error::io("cannot start the local image service", error)
}

/// The runtime that a service of so many connections wants.
pub fn runtime(connections: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // An upload holds a thread for as long as it takes.
        .max_blocking_threads(connections + 16)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .build()
}

/// Answers on `listener` until `shutdown` ends, then lets transfers under way
/// end within [`Limits::grace`]; what is not done by then is undone.
pub async fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    identity: Arc<dyn Identity>,
    shutdown: impl Future<Output = ()>,
) {
    let grace = service.settings.limits.grace;
    let sweeping = tokio::spawn(sweep_again(Arc::clone(&service)));
    server::serve(listener, Arc::clone(&service), identity, shutdown).await;
    sweeping.abort();
    service.imports.finish(grace).await;
}

#[cfg(test)]
mod tests;
