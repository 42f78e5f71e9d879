//! Work that waits on a disk, out of the way of the threads that serve.

use super::failure::{Failure, Result};

/// Does on a thread for it what waits on a disk.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}
