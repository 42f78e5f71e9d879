//! Ctrl-C and SIGTERM, as something that can be awaited.
//!
//! The first signal ends whatever waits on [`Interrupt::raised`], so a
//! transfer takes its ordinary way out and cleans up after itself; the second
//! ends the process at once. At a prompt the first is taken back once what it
//! ended has ended.

use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, Result};

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C: what is under way is to stop.
    Interrupt,
    /// The program is to end.
    Terminate,
}

impl Signal {
    /// The exit code of a program that ended for it, as shells count: 128 and
    /// the number of the signal.
    pub fn exit_code(self) -> u8 {
        match self {
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }
}

/// Tells when the user (or the system) wants rimg to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Interrupt {
    heard: Arc<watch::Sender<Option<Signal>>>,
}

/// Does long work on a thread of its own, so that it can be waited for like any
/// other, and interrupted.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    outcome.await.unwrap_or_else(|_| Err(Error::interrupted()))
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on. Needs a running runtime.
    pub fn listen() -> Result<Self> {
        let heard = Arc::new(watch::Sender::new(None));
        let hear = Arc::clone(&heard);
        let raise = move |signal: Signal| {
            if hear.send_replace(Some(signal)).is_some() {
                std::process::exit(signal.exit_code().into());
            }
        };
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |e: std::io::Error| Error::io("cannot listen for signals", &e);
            let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
            let mut term = signal(SignalKind::terminate()).map_err(failed)?;
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        _ = int.recv() => raise(Signal::Interrupt),
                        _ = term.recv() => raise(Signal::Terminate),
                    }
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                raise(Signal::Interrupt);
            }
        });
        Ok(Interrupt { heard })
    }

    /// Ends when the first signal has come; never before.
    pub async fn raised(&self) {
        let mut heard = self.heard.subscribe();
        if heard.wait_for(Option::is_some).await.is_err() {
            // Nobody can raise it any more.
            std::future::pending::<()>().await;
        }
    }

    /// What was heard, if anything was.
    pub fn heard(&self) -> Option<Signal> {
        *self.heard.borrow()
    }

    /// Takes back what was heard, and tells what it was.
    pub fn lower(&self) -> Option<Signal> {
        self.heard.send_replace(None)
    }

    /// Runs `work` until it ends or the user interrupts it.
    pub async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.raised() => Err(Error::interrupted()),
            done = work => done,
        }
    }
}
