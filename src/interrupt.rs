//! Ctrl-C and SIGTERM, as something that can be awaited.
//!
//! The first signal ends whatever waits on [`Interrupt::raised`], so a
//! transfer takes its ordinary way out and cleans up after itself; the second
//! ends the process at once.

use tokio::sync::watch;

use crate::error::{Error, Result};

/// Tells when the user (or the system) wants rimg to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Interrupt {
    raised: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on. Needs a running runtime.
    pub fn listen() -> Result<Self> {
        let (raise, raised) = watch::channel(false);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let failed = |e: std::io::Error| Error::io("cannot listen for signals", &e);
            let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
            let mut term = signal(SignalKind::terminate()).map_err(failed)?;
            tokio::spawn(async move {
                loop {
                    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
                    if raise.send_replace(true) {
                        std::process::exit(130);
                    }
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if raise.send_replace(true) {
                    std::process::exit(130);
                }
            }
        });
        Ok(Interrupt { raised })
    }

    /// Ends when the first signal has come; never before.
    pub async fn raised(&self) {
        let mut raised = self.raised.clone();
        if raised.wait_for(|raised| *raised).await.is_err() {
            // Nobody can raise it any more.
            std::future::pending::<()>().await;
        }
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
