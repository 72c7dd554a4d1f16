//! Executors as child processes of an embedded run: started, watched, and known for certain to have ended.
//!
//! A child holds a lock in the data folder from before its first connect until it ends, and ends with its stream. So a run that starts after
//! another one was killed waits for that lock ([`await_earlier`]) and knows that nothing the earlier run granted is still being worked on.
//! A child is its own process group: a Ctrl-C at the terminal reaches only its parent, which ends it in order.
//!
//! Deliberately absent: when a child is started, and how often; that is whoever runs the pool.

use super::secrets;
pub use super::secrets::{check_key, environment_folder};
use crate::allocator;
use crate::core::{ExecutorName, Hash, Name, PoolName};
use crate::executor::limits::{CHILD_LOCK_RETRY, EARLIER_TIME, SOCKET_PATH_BYTES};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::time::Instant;

const LOCK_PREFIX: &str = "executor-";
const LOCK_SUFFIX: &str = ".lock";
const SOCKET_PREFIX: &str = "executors-";
const SOCKET_SUFFIX: &str = ".sock";

/// What can go wrong with child processes.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The folder for locks and sockets cannot be used.
    #[error("cannot use {path} for executors")]
    Folder {
        /// Which path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An executor of an earlier run goes on.
    #[error(
        "an executor of an earlier run still holds {path} after {} s; see who it is with `fuser {path}`, and end it",
        EARLIER_TIME.as_secs()
    )]
    StillRunning {
        /// The lock it holds.
        path: PathBuf,
    },
    /// This program cannot be started again as a child.
    #[error("cannot start an executor process")]
    Start(#[source] std::io::Error),
}

/// What a child is told.
#[derive(Clone, Copy, Debug)]
pub struct ChildOptions<'a> {
    /// Where its owner listens.
    pub socket: &'a Path,
    /// The folder of its lock.
    pub folder: &'a Path,
    /// Its environment.
    pub environment: &'a Name,
    /// Its pool. One child per pool works at a time: the next one waits for the end of the last.
    pub pool: &'a PoolName,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Child {
    name: ExecutorName,
    process: tokio::process::Child,
}

impl Child {
    /// Starts this program as an executor.
    pub fn start(options: &ChildOptions<'_>) -> Result<Self, ProcessError> {
        let program = std::env::current_exe().map_err(ProcessError::Start)?;
        Self::start_program(&program, options)
    }

    /// Starts a program that takes the arguments of `homeostat`.
    pub fn start_program(program: &Path, options: &ChildOptions<'_>) -> Result<Self, ProcessError> {
        let name = format!("{}-{:016x}", options.pool, rand::random::<u64>());
        let mut connect = std::ffi::OsString::from("unix:");
        connect.push(options.socket);
        let mut command = tokio::process::Command::new(program);
        command.arg("executor").arg("--connect").arg(connect).arg("--exit-with-stream");
        command.arg(format!("--environment={}", options.environment));
        command.arg(format!("--pool={}", options.pool)).arg(format!("--id={name}"));
        let key = secrets::key_path(options.folder, options.environment);
        secrets::make_key(&key).map_err(|source| ProcessError::Folder { path: key.clone(), source })?;
        command.arg("--secret-key").arg(key);
        command.arg("--lock").arg(lock_path(options.folder, options.environment, options.pool));
        for name in allocator::variables() {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        let process = command.spawn().map_err(ProcessError::Start)?;
        Ok(Self { name: name.into(), process })
    }

    /// The executor's id.
    pub fn name(&self) -> ExecutorName {
        ExecutorName::clone(&self.name)
    }

    /// The process id; `None` once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for its end, and says how it ended. May be called again, also when an earlier call was dropped.
    pub async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("the executor cannot be waited for: {error}"),
        }
    }

    /// Kills it and waits for its end.
    pub async fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.start_kill();
        self.ended().await;
    }
}

/// A path for the owner's socket that no other run has used: a child that an earlier run started just before it was killed finds nobody there.
#[derive(Debug)]
pub struct SocketPlace {
    path: PathBuf,
    /// Where the data folder's path is too long for a socket.
    _short: Option<tempfile::TempDir>,
}

impl SocketPlace {
    /// In `folder`, which only its owner may enter from then on; else in a temporary folder.
    pub fn new(folder: &Path) -> Result<Self, ProcessError> {
        prepare(folder)?;
        let name = format!("{SOCKET_PREFIX}{:08x}{SOCKET_SUFFIX}", rand::random::<u32>());
        let path = folder.join(&name);
        if path.as_os_str().len() <= SOCKET_PATH_BYTES {
            return Ok(Self { path, _short: None });
        }
        let failed = |source| ProcessError::Folder { path: std::env::temp_dir(), source };
        let only_owner = std::fs::Permissions::from_mode(0o700);
        let short = tempfile::Builder::new().prefix("homeostat-").permissions(only_owner).tempdir().map_err(failed)?;
        Ok(Self { path: short.path().join(&name), _short: Some(short) })
    }

    /// Where to listen.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        // It may never have been bound.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Waits until all executors that earlier runs in this folder started have ended, and removes the sockets of these runs. Whoever calls it must hold
/// the folder, so that none is started, and calls it before it listens itself.
pub async fn await_earlier(folder: &Path) -> Result<(), ProcessError> {
    prepare(folder)?;
    let until = Instant::now() + EARLIER_TIME;
    for path in matching(folder, LOCK_PREFIX, LOCK_SUFFIX)? {
        let failed = |source| ProcessError::Folder { path: path.clone(), source };
        let file = std::fs::File::options().append(true).open(&path).map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                    tokio::time::sleep(CHILD_LOCK_RETRY).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => return Err(ProcessError::StillRunning { path }),
                Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
    remove_all(folder, SOCKET_PREFIX, SOCKET_SUFFIX)
}

fn lock_path(folder: &Path, environment: &str, pool: &str) -> PathBuf {
    let pool = Hash::of(&[pool.as_bytes()]);
    folder.join(format!("{}{pool}{LOCK_SUFFIX}", lock_prefix(environment)))
}

fn lock_prefix(environment: &str) -> String {
    format!("{LOCK_PREFIX}{}-", Hash::of(&[environment.as_bytes()]))
}

/// Removes the locks of an environment that has ended, and whose executors have.
pub fn remove_locks(folder: &Path, environment: &str) -> Result<(), ProcessError> {
    remove_all(folder, &lock_prefix(environment), LOCK_SUFFIX)
}

/// Somebody else may remove them too.
fn remove_all(folder: &Path, prefix: &str, suffix: &str) -> Result<(), ProcessError> {
    for path in matching(folder, prefix, suffix)? {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(ProcessError::Folder { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the folder, and keeps others out of it.
fn prepare(folder: &Path) -> Result<(), ProcessError> {
    let failed = |source| ProcessError::Folder { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}

fn matching(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<PathBuf>, ProcessError> {
    let failed = |source| ProcessError::Folder { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(suffix)) {
            found.push(folder.join(name));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "the executor ended".to_owned(),
        (Some(super::worker::EXIT_STUCK), _) => "the executor gave itself up because an attempt did not end".to_owned(),
        (Some(code), _) => format!("the executor exited with code {code}"),
        (None, Some(signal)) => format!("the executor was killed by signal {signal}"),
        (None, None) => "the executor ended without a code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_socket_has_a_short_path_and_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("data");
        std::fs::create_dir(&inside).unwrap();
        let (one, other) = (SocketPlace::new(&inside).unwrap(), SocketPlace::new(&inside).unwrap());
        assert_ne!(one.path(), other.path());
        assert_eq!(one.path().parent(), Some(inside.as_path()));
        assert_eq!(std::fs::metadata(&inside).unwrap().permissions().mode() & 0o777, 0o700);
        let long = inside.join("x".repeat(120));
        let short = SocketPlace::new(&long).unwrap();
        assert!(short.path().as_os_str().len() <= SOCKET_PATH_BYTES && !short.path().starts_with(&long));
        let made = short.path().parent().unwrap().to_owned();
        assert_eq!(std::fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        drop(short);
        assert!(!made.exists());
    }

    #[tokio::test]
    async fn earlier_executors_are_awaited_by_their_lock() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("executors-00000000.sock");
        std::fs::write(&socket, "").unwrap();
        await_earlier(folder.path()).await.unwrap();
        assert!(!socket.exists(), "sockets of earlier runs are removed");
        let held = std::fs::File::create(lock_path(folder.path(), "default", "local")).unwrap();
        held.lock().unwrap();
        let waiting = await_earlier(folder.path());
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        remove_locks(folder.path(), "another").unwrap();
        assert!(lock_path(folder.path(), "default", "local").exists(), "it is of another environment");
        drop(held);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        remove_locks(folder.path(), "default").unwrap();
        assert!(!lock_path(folder.path(), "default", "local").exists());
    }
}
