//! The executor's side: the process `homeostat executor`.
//!
//! ```text
//! stream ─► session ─► board ─► lanes ─► adaptor        one lane per attempt that a target may run at once
//!        ◄─ desk ◄──── reports ◄──┘                     what was answered is kept until the owner has recorded it
//! ```
//!
//! - [`session`]: the one loop that owns everything else; nothing on the way of an attempt takes a lock that others wait for.
//! - [`board`]: queues per target, and the lanes that begin grants in order.
//! - [`attempt`]: one attempt: deadline, cancellation, panic.
//! - [`desk`]: what is held and what is to be said.
//! - [`lease`]: when the owner was last heard, on a monotonic clock; [`watchdog`]: ends the process where work does not end.
//! - [`dial`]: how the owner is reached.
//!
//! What ends the process: the owner retires it; the stream ends and `--exit-with-stream` is given; a signal; or an attempt that does not end
//! within its deadline, or its cancellation, and the grace of `limits::CANCEL_GRACE_MS` (exit code [`EXIT_STUCK`]): the other attempts in
//! progress are lost with it, which the owner is told by the end of the stream.
//!
//! Deliberately absent: any state on disk. An executor that starts again is another executor.

mod attempt;
mod board;
mod desk;
mod dial;
mod lease;
mod session;
mod watchdog;

use super::secrets;
use crate::core::limits;
use crate::executor::limits::WORKER_LOCK_RETRY;
use std::path::{Path, PathBuf};

/// The exit code of a process that gave itself up because an attempt did not end.
pub const EXIT_STUCK: i32 = 86;

/// The flags of `homeostat executor`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The owner: `unix:PATH`, or `https://HOST:PORT`
    #[arg(long, value_name = "ADDRESS")]
    pub connect: String,
    /// The environment it works for
    #[arg(long, value_name = "NAME")]
    pub environment: String,
    /// The pool it belongs to
    #[arg(long, value_name = "NAME")]
    pub pool: String,
    /// Its id, unique per process run (in a cluster the UID of its pod)
    #[arg(long, value_name = "ID")]
    pub id: String,
    /// Bearer token, read at every connect
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Certificate of the authority that the owner's certificate must come from (PEM), read at every connect; required with https
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Grants it takes before it has answered some
    #[arg(long, value_name = "COUNT", default_value_t = limits::CREDITS)]
    pub credits: u32,
    /// Cancel all work and end when the stream ends, instead of connecting again
    #[arg(long)]
    pub exit_with_stream: bool,
    /// The key of the environment for digests of secrets; without it no attribute can be filled from a secret
    #[arg(long, value_name = "FILE")]
    pub secret_key: Option<PathBuf>,
    /// A file that is locked, waiting for its holder, before the first connect and until the process ends
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}

/// Why an executor ends otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The lock file cannot be opened.
    #[error("cannot open the lock file {path}")]
    Lock {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address is not one.
    #[error("cannot connect to {address:?}: {reason}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key for secrets cannot be used.
    #[error("{0}")]
    Key(String),
    /// The process cannot take signals.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// With `--exit-with-stream`: the owner is not there (any more).
    #[error("the owner at {address} is gone: {reason}")]
    OwnerGone {
        /// Where it was.
        address: String,
        /// How that showed.
        reason: String,
    },
}

/// Runs an executor to its end. Needs a multi-threaded tokio runtime.
pub async fn run(options: Options) -> Result<(), WorkerError> {
    let address = dial::Address::parse(&options)?;
    if let Some(key) = &options.secret_key {
        secrets::use_key(key).map_err(WorkerError::Key)?;
    }
    let stop = stop_signals()?;
    tokio::pin!(stop);
    let lock = match &options.lock {
        None => None,
        Some(path) => tokio::select! {
            () = &mut stop => return Ok(()),
            lock = lock_alone(path) => Some(lock?),
        },
    };
    let result = session::Session::new(options, address).run(stop).await;
    drop(lock);
    result
}

/// The lock that the programs which an executor runs share, beside the executor's own.
pub fn programs_lock(lock: &Path) -> PathBuf {
    lock.with_extension("programs.lock")
}

/// Waits for the lock, and then until no program of an earlier holder is left.
async fn lock_alone(path: &Path) -> Result<std::fs::File, WorkerError> {
    let held = lock(path).await?;
    drop(lock(&programs_lock(path)).await?);
    Ok(held)
}

/// Waits for the lock. The file stays; the operating system gives the lock back when the process ends, however it ends.
async fn lock(path: &Path) -> Result<std::fs::File, WorkerError> {
    let failed = |source| WorkerError::Lock { path: path.to_owned(), source };
    let file = std::fs::File::options().create(true).append(true).open(path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(WORKER_LOCK_RETRY).await,
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_signals() -> Result<impl Future<Output = ()>, WorkerError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(WorkerError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(WorkerError::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
