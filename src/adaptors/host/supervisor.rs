//! Stands between an executor and a program it runs, so that the program does not outlive an executor that was killed.
//!
//! The executor starts its own binary once more as the leader of the program's process group, with one end of a socket as its standard input.
//! When the other end closes, whoever held it is gone, and the supervisor kills the group, itself included; as it leads the group, the number it
//! kills by cannot have become somebody else's. When the program ends, it says how over the socket and ends too. A death signal of the kernel
//! would reach the program alone, and comes when the *thread* that started it ends. Until the group is dead the supervisor shares a lock, for which
//! the next executor waits before it connects: the end of a process is known at once, that of its programs a moment later. Deliberately absent:
//! control groups, which need rights that an executor may not have.

use rustix::process::Signal;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::OnceLock;
use tokio::process::Command;

/// The first argument that makes this binary a supervisor.
const SUPERVISE: &str = "supervise-program";
/// This binary, also after it was replaced by a newer one.
const OURSELVES: &str = "/proc/self/exe";

/// The lock that supervisors share, where there is one.
static IS_OURS: OnceLock<Option<PathBuf>> = OnceLock::new();

/// From now on programs of this process have a supervisor, which shares `lock`. For processes whose `main` begins with [`run_if_asked`], and no others.
pub fn supervise_programs(lock: Option<PathBuf>) {
    // A supervisor begins in the folder of its program.
    IS_OURS.get_or_init(|| lock.map(|lock| std::path::absolute(&lock).unwrap_or(lock)));
}

/// Supervises a program where the command line asks for that; says then how this process ends.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() != Some(OsStr::new(SUPERVISE)) {
        return None;
    }
    let lock = arguments.next().filter(|lock| !lock.is_empty());
    Some(supervise(lock.map(PathBuf::from), arguments.next()?, arguments))
}

/// A command that starts a supervisor, to be followed by the program and its arguments, and our end of its socket. `None` where this process
/// has no supervisors.
pub(super) fn connection() -> Option<(Command, OwnedFd)> {
    let lock = IS_OURS.get()?.as_deref().unwrap_or(Path::new(""));
    let (ours, theirs) = UnixStream::pair().ok()?;
    let mut command = Command::new(OURSELVES);
    command.arg0("homeostat").arg(SUPERVISE).arg(lock).stdin(Stdio::from(OwnedFd::from(theirs)));
    Some((command, ours.into()))
}

/// What a supervisor says at its end.
pub(super) enum Report {
    NotStarted(String),
    Ended(ExitStatus),
}

impl Report {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ')? {
            ("ended", status) => Some(Self::Ended(ExitStatus::from_raw(status.parse().ok()?))),
            ("failed", error) => Some(Self::NotStarted(error.to_owned())),
            _ => None,
        }
    }
}

fn supervise(lock: Option<PathBuf>, program: OsString, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let mut socket = UnixStream::from(socket);
    let shared = match lock.map(|lock| share(&lock)).transpose() {
        Ok(shared) => shared,
        Err(error) => {
            let _ = socket.write_all(format!("failed {error}").as_bytes());
            return ExitCode::SUCCESS;
        }
    };
    // Looked at with the lock in hand: whoever comes later and gets the lock comes after this program.
    if is_closed(&socket) {
        return ExitCode::FAILURE;
    }
    let Ok(watched) = socket.try_clone() else { return ExitCode::FAILURE };
    let watch = std::thread::Builder::new().spawn(move || end_with(watched));
    if watch.is_err() {
        return ExitCode::FAILURE;
    }
    let ended = std::process::Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    let report = match ended.and_then(|mut child| child.wait()) {
        Ok(status) => format!("ended {}", status.into_raw()),
        Err(error) => format!("failed {error}"),
    };
    // Nobody to tell means that the watch is about to end us.
    let _ = socket.write_all(report.as_bytes());
    drop(shared);
    ExitCode::SUCCESS
}

/// The program does not inherit it, so a daemon that it starts does not hold it.
fn share(lock: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).append(true).open(lock)?;
    file.lock_shared()?;
    Ok(file)
}

/// Whether the other end is gone already.
fn is_closed(mut socket: &UnixStream) -> bool {
    let look = |socket: &mut &UnixStream| socket.read(&mut [0; 1]);
    let looked = socket.set_nonblocking(true).and_then(|()| look(&mut socket));
    socket.set_nonblocking(false).is_err() || !looked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Kills the group, and with it this process, when the other end of the socket is gone.
fn end_with(mut socket: UnixStream) {
    while let Ok(1..) = socket.read(&mut [0; 64]) {}
    let _ = rustix::process::kill_process_group(rustix::process::getpid(), Signal::KILL);
}
