//! Whose turn it is: imports are worked on a few at a time, and end when the
//! service does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::failure::{Failure, Result};

/// Imports that are worked on at a time; more wait.
const AT_A_TIME: u32 = 4;

/// The turns of the imports of a service.
pub struct Turns {
    free: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Default for Turns {
    fn default() -> Self {
        Turns { free: Arc::new(Semaphore::new(AT_A_TIME as usize)), stop: watch::Sender::new(false) }
    }
}

impl Turns {
    /// Waits for a turn, which lasts as long as what it answers with.
    pub async fn next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Does `work` when its turn comes; it is dropped, and so undone, when the service ends before it does.
    pub async fn in_turn(&self, work: impl Future<Output = ()>) {
        let Some(_turn) = self.next().await else { return };
        let work = async {
            work.await;
            Ok(())
        };
        // That it was dropped is told by what it leaves.
        let _ = self.until_stopped(work).await;
    }

    /// Does `work`, which is dropped, and fails (409), when the service ends before it does.
    pub async fn until_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(stopped()),
            outcome = work => outcome,
        }
    }

    /// Fails (409) when the service ends.
    pub fn check(&self) -> Result<()> {
        match *self.stop.borrow() {
            false => Ok(()),
            true => Err(stopped()),
        }
    }

    /// Lets those end within `grace` whose turn it is; what is not done by then is undone.
    pub async fn finish(&self, grace: Duration) {
        const UNDO: Duration = Duration::from_secs(5);
        let idle = || self.free.acquire_many(AT_A_TIME);
        if tokio::time::timeout(grace, idle()).await.is_err() {
            self.stop.send_replace(true);
            let _ = tokio::time::timeout(UNDO, idle()).await;
        }
    }
}

fn stopped() -> Failure {
    Failure::new(StatusCode::CONFLICT, "The service ended before the task did")
}
