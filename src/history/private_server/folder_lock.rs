//! One process per data folder: a lock that says who holds it.
//!
//! The kernel gives the lock back when its holder ends, however it ends; what is written in the file is only for people.

use super::limits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file in the folder.
const LOCK_FILE: &str = "lock";

/// Held as long as this value lives.
#[derive(Debug)]
pub struct FolderLock {
    /// Open file descriptions hold locks.
    _file: File,
}

/// What a lock file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    command: String,
    since: String,
    /// It takes orders once it has opened everything; the number tells it from a later process of the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opens: Option<u64>,
    /// It only reads, and has soon done so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reads: bool,
}

/// Why a folder cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {holder}; wait until it has ended, stop it, or use another folder with --data-dir", folder.display())]
    Held {
        /// Which folder.
        folder: PathBuf,
        /// Process id, command, since when.
        holder: String,
    },
    /// The folder or the lock file cannot be used.
    #[error("cannot make or lock {}\n  name a folder with --data-dir that this user can make and write to", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl FolderLock {
    /// Locks `folder`, which is made if need be (for this user alone), or says who has it. Does not wait.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        Self::lock(folder, None, false)
    }

    /// The same, and says to others that its holder only reads: they wait for its end ([`Self::ends_soon`]) instead of being refused.
    pub fn acquire_to_read(folder: &Path) -> Result<Self, LockError> {
        Self::lock(folder, None, true)
    }

    /// The same, and says to others that its holder will take orders: until it does, and again while it ends, they wait ([`Self::opener`]).
    pub fn acquire_to_open(folder: &Path) -> Result<Self, LockError> {
        Self::lock(folder, began(std::process::id()), false)
    }

    /// Whether the holder of a folder that could not be locked only reads, or is just signing: then what is written there is of the one before.
    pub fn ends_soon(folder: &Path) -> bool {
        let text = fs::read_to_string(folder.join(LOCK_FILE)).unwrap_or_default();
        serde_json::from_str::<Holder>(&text).map_or(true, |holder| holder.reads || began(holder.pid).is_none())
    }

    /// Who holds the folder, where that is a process that takes orders, soon or now or a moment ago.
    pub fn opener(folder: &Path) -> Option<String> {
        let text = fs::read_to_string(folder.join(LOCK_FILE)).ok()?;
        let holder: Holder = serde_json::from_str(&text).ok()?;
        let lives = holder.opens.is_some() && began(holder.pid) == holder.opens;
        lives.then(|| holder.to_string())
    }

    /// Who holds the folder, where that is a process that does more than to read. Makes nothing.
    pub fn worker(folder: &Path) -> Option<String> {
        let mut file = File::open(folder.join(LOCK_FILE)).ok()?;
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let holder: Holder = serde_json::from_str(&text).ok()?;
        (!holder.reads).then(|| holder.to_string())
    }

    fn lock(folder: &Path, opens: Option<u64>, reads: bool) -> Result<Self, LockError> {
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Folder { path, source }
        };
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(unusable(parent))?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable(folder))?;
        let path = folder.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { folder: folder.to_owned(), holder: describe(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Folder { path, source }),
        }
        sign(&mut file, opens, reads).map_err(unusable(&path))?;
        Ok(Self { _file: file })
    }
}

/// Writes who we are.
fn sign(file: &mut File, opens: Option<u64>, reads: bool) -> std::io::Result<()> {
    let holder = Holder {
        pid: std::process::id(),
        command: command(std::env::args()),
        since: jiff::Timestamp::now().strftime("%F %T UTC").to_string(),
        opens,
        reads,
    };
    file.set_len(0)?;
    file.rewind()?;
    serde_json::to_writer(&mut *file, &holder)?;
    file.write_all(b"\n")
}

/// The command line, without what may hold a password.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let shown = arguments.map(|argument| if argument.contains("://") { "<url>".into() } else { argument });
    shown.collect::<Vec<_>>().join(" ").chars().take(limits::LOCK_COMMAND_CHARS).collect()
}

/// Reads who holds it; a holder that is just signing is known only by its lock.
fn describe(file: &mut File) -> String {
    let mut text = String::new();
    let holder = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    holder.map_or_else(|| "another process".into(), |holder| holder.to_string())
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (`{}`) since {}", self.pid, self.command.escape_debug(), self.since)
    }
}

/// When a process began, in the kernel's ticks; `None` where there is none of this id.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name, which may contain anything) state ppid …: the time is the 22nd.
    stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a b/c");
        let first = FolderLock::acquire(&deep).unwrap();
        let error = FolderLock::acquire(&deep).unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {} (`", std::process::id())) && error.contains(" since 20"),
            "{error}"
        );
        drop(first);
        FolderLock::acquire(&deep).unwrap();
    }

    #[test]
    fn a_reader_is_waited_for_and_a_worker_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let worker = FolderLock::acquire(folder.path()).unwrap();
        assert!(!FolderLock::ends_soon(folder.path()));
        assert!(FolderLock::worker(folder.path()).unwrap().contains(&format!("process {}", std::process::id())));
        drop(worker);
        assert_eq!(FolderLock::worker(folder.path()), None);
        assert_eq!(FolderLock::worker(&folder.path().join("never")), None);
        assert!(!folder.path().join("never").exists(), "asking makes nothing");
        let reader = FolderLock::acquire_to_read(folder.path()).unwrap();
        assert!(FolderLock::ends_soon(folder.path()));
        assert_eq!(FolderLock::worker(folder.path()), None);
        // Who has locked it and not signed yet has said nothing, or is not who is named there.
        fs::write(folder.path().join(LOCK_FILE), "").unwrap();
        assert!(FolderLock::ends_soon(folder.path()));
        let ended = Holder { pid: u32::MAX, command: String::new(), since: String::new(), opens: None, reads: false };
        fs::write(folder.path().join(LOCK_FILE), serde_json::to_string(&ended).unwrap()).unwrap();
        assert!(FolderLock::ends_soon(folder.path()));
        drop(reader);
    }

    #[test]
    fn who_will_take_orders_is_known_for_as_long_as_it_lives() {
        let folder = tempfile::tempdir().unwrap();
        drop(FolderLock::acquire(folder.path()).unwrap());
        assert_eq!(FolderLock::opener(folder.path()), None);
        drop(FolderLock::acquire_to_open(folder.path()).unwrap());
        assert!(FolderLock::opener(folder.path()).unwrap().contains(&format!("process {}", std::process::id())));
        let path = folder.path().join(LOCK_FILE);
        let text = fs::read_to_string(&path).unwrap();
        let mut other: Holder = serde_json::from_str(&text).unwrap();
        other.opens = other.opens.map(|began| began + 1);
        fs::write(&path, serde_json::to_string(&other).unwrap()).unwrap();
        assert_eq!(FolderLock::opener(folder.path()), None, "the number belongs to another process by now");
    }

    #[test]
    fn a_password_in_a_url_is_not_written() {
        let words = ["homeostat", "deploy", "--database-url=postgres://me:secret@db/x"];
        assert_eq!(command(words.into_iter().map(String::from)), "homeostat deploy <url>");
    }
}
