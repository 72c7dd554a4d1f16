//! Awaiting work that another task does as if it were done here.

use tokio::task::{JoinError, JoinHandle};

/// What the task gives back. Its panic goes on here; an error says that it never came to an end, because the process ends.
pub(crate) async fn joined<T>(task: JoinHandle<T>) -> Result<T, JoinError> {
    match task.await.map_err(JoinError::try_into_panic) {
        Ok(result) => Ok(result),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(ending)) => Err(ending),
    }
}
