//! The server as a process: how it is started without privileges, how it ends with us, and how one that an earlier process left is stopped.

use super::{Progress, ServerError, limits};
use rustix::process::{Pid, Signal};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// `program` as an ordinary user, with an environment of its own, that gets the signal `at_our_death` when the thread that starts it ends.
pub(super) fn unprivileged(at_our_death: &str, program: &Path) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        // A child under another user id could not enter every folder; in a user namespace it is uid 1000 to itself and root to the files.
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--map-group=1000", "--", "setpriv"]);
        command
    } else {
        Command::new("setpriv")
    };
    command.args(["--pdeathsig", at_our_death, "--"]).arg(program);
    // Nothing of the user's `PG…` variables, and messages that can be searched for.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()))
        .env("LC_ALL", "C");
    // In a process group of its own, so that Ctrl-C reaches us alone and we stop in order. In `/`, so that no mount is kept busy.
    command.stdin(Stdio::null()).process_group(0).current_dir("/");
    command
}

/// A running child. The signal at our death belongs to a *thread*, so a thread of its own starts it and waits until it ends.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    /// Where in its log its own words begin.
    speaks_from: u64,
    end: oneshot::Receiver<()>,
    has_ended: bool,
}

impl Process {
    /// Starts it with its output appended to `log`.
    pub(super) fn spawn(mut command: Command, log: &Path) -> Result<Self, ServerError> {
        let unusable = |source| ServerError::Folder { path: log.to_owned(), source };
        if fs::metadata(log).is_ok_and(|found| found.len() > limits::SERVER_LOG_BYTES) {
            fs::rename(log, log.with_extension("log.1")).map_err(unusable)?;
        }
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(unusable)?;
        let speaks_from = output.metadata().map_err(unusable)?.len();
        command.stderr(output.try_clone().map_err(unusable)?).stdout(output);
        let (started, has_started) = std::sync::mpsc::sync_channel(1);
        let (ended, end) = oneshot::channel();
        keep("postgres", move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(spawn_error(&command, error)))),
            };
            drop(started.send(Ok(child.id())));
            drop(child.wait());
            let _ = ended.send(()); // nobody waits any more
        })?;
        let gone = || spawn_error(&Command::new("setpriv"), std::io::Error::other("the thread that starts it ended"));
        let pid = has_started.recv().unwrap_or_else(|_| Err(gone()))?;
        Ok(Self { pid, speaks_from, end, has_ended: false })
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// The end of what it has said, for an error.
    pub(super) fn last_words(&self, log: &Path) -> String {
        last_words(log, self.speaks_from)
    }

    /// Awaits its end; may be called again.
    pub(super) async fn ended(&mut self) {
        if !self.has_ended {
            drop((&mut self.end).await);
            self.has_ended = true;
        }
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        self.has_ended = self.has_ended || !matches!(self.end.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        if !self.has_ended {
            send(self.pid, signal);
        }
    }
}

impl Drop for Process {
    /// Not awaited: the next run waits for what is left.
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

/// Runs a program to its end; its output is the error where it fails.
pub(super) async fn run(mut command: Command) -> Result<(), ServerError> {
    let (done, result) = oneshot::channel();
    keep("initdb", move || {
        let output = command.output().map_err(|error| spawn_error(&command, error));
        drop(done.send(output.map(|output| (program_name(&command), output))));
    })?;
    let gone = || spawn_error(&Command::new("setpriv"), std::io::Error::other("the thread that runs it ended"));
    let (program, output) = result.await.unwrap_or_else(|_| Err(gone()))?;
    if output.status.success() {
        return Ok(());
    }
    let last_words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(ServerError::Failed { program, last_words: last_words.trim().to_owned() })
}

fn keep(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ServerError> {
    let spawned = std::thread::Builder::new().name(format!("{name}-keeper")).spawn(work);
    spawned.map(drop).map_err(|source| spawn_error(&Command::new(name), source))
}

/// The wrapped program, not the wrappers.
fn program_name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let program = words.filter(|word| word.to_string_lossy().starts_with('/')).map(Path::new).find_map(Path::file_name);
    program.unwrap_or_else(|| command.get_program()).to_string_lossy().into_owned()
}

fn spawn_error(command: &Command, source: std::io::Error) -> ServerError {
    ServerError::Spawn { program: command.get_program().to_string_lossy().into_owned(), package: "util-linux", source }
}

/// Whether the server says, in the file that it keeps for `pg_ctl`, that it accepts connections.
pub(super) fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = text.lines().map(str::trim);
    lines.next().is_some_and(|line| line.parse() == Ok(pid)) && lines.nth(6).is_some_and(|status| status == "ready")
}

/// The end of a log, of what was said after its first bytes.
fn last_words(log: &Path, after: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(limits::QUOTED_LOG_BYTES).max(after);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(limits::QUOTED_LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Stops whatever an earlier process left running on `data`, and removes the pid file of what ended without doing so: its number may belong
/// to somebody else by now, and then the server would refuse to start.
pub(super) async fn stop_leftover(data: &Path, on_progress: Progress<'_>) -> Result<(), ServerError> {
    let pid_file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let postmaster: Option<u32> = text.lines().next().and_then(|line| line.trim().parse().ok());
    let began = Instant::now();
    let mut told = None;
    loop {
        let left = server_processes(data);
        let Some(&first) = left.first() else { break };
        // Backends whose postmaster was killed notice it by themselves; they get time for it and then no more.
        let signal = match began.elapsed() {
            waited if waited > limits::FAST_STOP + limits::IMMEDIATE_STOP => {
                return Err(ServerError::WillNotStop { pid: first });
            }
            waited if waited > limits::FAST_STOP => Signal::QUIT,
            _ => Signal::INT,
        };
        if told != Some(signal) {
            told = Some(signal);
            on_progress(&format!(
                "stopping the private PostgreSQL that an earlier process left running (process {first})"
            ));
            left.iter()
                .filter(|&&pid| Some(pid) == postmaster || signal == Signal::QUIT)
                .for_each(|&pid| send(pid, signal));
        }
        tokio::time::sleep(limits::SERVER_POLL).await;
    }
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServerError::Folder { path: pid_file, source: error })
        }
        _ => Ok(()),
    }
}

/// All processes of a server on `data`: they are called postgres and live in that folder. A number in a file proves nothing, this does.
fn server_processes(data: &Path) -> Vec<u32> {
    let Ok(home) = fs::metadata(data) else { return Vec::new() };
    let lives_there = |pid: &u32| {
        let is_server = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("postgres"));
        is_server
            && fs::metadata(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (home.dev(), home.ino()))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(lives_there).collect()
}

/// One that has just ended needs no signal.
fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
