//! Who reads through the server of another process: whoever ends that server lets them finish first.
//!
//! A reader shares a lock for as long as it reads, and the stop of the server takes it for itself: who comes from then on waits for the next holder
//! of the folder. The kernel gives the lock back, so a reader that was killed keeps nobody. What is locked is the folder of the server's data, which
//! is there already: a file of its own could not be made on a full disk, where reading is all that still works.
//! Deliberately absent: a lock of whoever stays beside a server as long as it runs, as `logs -f` does. Nobody would wait for that.

use super::{DATA, ServerError, limits};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use tokio::time::Instant;

/// Held as long as one reads through the server of another process.
#[derive(Debug)]
pub struct ReadersLock {
    /// Open file descriptions hold locks.
    _data: File,
}

impl ReadersLock {
    /// Keeps the server of `folder` from being stopped; `None` where it is just being stopped, or made. Does not wait.
    ///
    /// # Errors
    /// The folder of its data cannot be used.
    pub fn share(folder: &Path) -> Result<Option<Self>, ServerError> {
        match Self::take(folder, File::try_lock_shared) {
            Err(ServerError::Folder { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            taken => taken,
        }
    }

    /// Waits until nobody reads; from then on nobody begins to. `None` where somebody still does after [`limits::READERS_END`].
    pub(super) async fn outwait(folder: &Path) -> Result<Option<Self>, ServerError> {
        let began = Instant::now();
        loop {
            let taken = Self::take(folder, File::try_lock)?;
            if taken.is_some() || began.elapsed() > limits::READERS_END {
                return Ok(taken);
            }
            tokio::time::sleep(limits::SERVER_POLL).await;
        }
    }

    fn take(folder: &Path, lock: impl FnOnce(&File) -> Result<(), TryLockError>) -> Result<Option<Self>, ServerError> {
        let path = folder.join(DATA);
        let unusable = |source| ServerError::Folder { path: path.clone(), source };
        let data = File::open(&path).map_err(unusable)?;
        match lock(&data) {
            Ok(()) => Ok(Some(Self { _data: data })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}
