//! Runs a program as a process group of its own, and ends the whole group when nobody waits for it any more.
//!
//! The process is kept by a task, not by the adaptor's future: that future may be dropped at any time, and the attempt's [`Work`] is held until
//! the process has really ended. In an executor a [`supervisor`] stands between, which ends the group also when the executor was killed. A process
//! that leaves its group, as daemons do, is on its own. What a program prints is said in the attempt's log as it comes, but for those that are run
//! for their output.

use super::supervisor::{self, Report};
use crate::adaptors::limits::{OUTPUT_DRAIN_TIME, OUTPUT_KEPT_BYTES, OUTPUT_LAST_TIME, OUTPUT_SHOWN_BYTES};
use crate::adaptors::{AdaptorError, Desired, Log, Printed, Work};
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};

/// The search path where the executor has none.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run, and how.
pub(super) struct Program<'a> {
    /// The program and its arguments.
    pub(super) argv: &'a [String],
    /// Where it runs.
    pub(super) cwd: &'a Path,
    /// Variables on top of PATH, HOME and LANG.
    pub(super) env: &'a BTreeMap<String, String>,
    /// What it reads from its standard input; for programs that end by themselves at once.
    pub(super) input: Option<Vec<u8>>,
    /// Whether what it prints is the point of running it: then all of it is awaited, and none of it said.
    pub(super) prints: bool,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Absent where a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed, where that was asked for.
    pub(super) stdout: String,
    /// For people: `exited with code 2: …`, with the end of its output.
    pub(super) description: String,
}

impl Ended {
    pub(super) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// Runs a program to its end. Dropping the future kills its process group.
pub(super) async fn run(program: Program<'_>, desired: &Desired) -> Result<Ended, AdaptorError> {
    let Some((name, arguments)) = program.argv.split_first() else {
        return Err(AdaptorError("there is no program to run".to_owned()));
    };
    let cannot_run = |error: &dyn std::fmt::Display| {
        let cwd = program.cwd.display();
        // The same error says that the program is not there, and that its folder is not.
        let why = if program.cwd.is_dir() {
            format!("cannot run {name:?} in {cwd}: {error}; is it installed, and may the executor run it?")
        } else {
            format!("cannot run {name:?} in {cwd}: there is no such folder; make it first, or require what makes it")
        };
        AdaptorError(why)
    };
    // What is fed ends by itself at once, and needs nobody to watch it.
    let supervision = if program.input.is_none() { supervisor::connection() } else { None };
    let (mut command, socket) = match supervision {
        Some((command, ours)) => (command, Some(ours)),
        None => (Command::new(name), None),
    };
    if socket.is_some() {
        command.arg(name);
    } else {
        command.stdin(if program.input.is_some() { Stdio::piped() } else { Stdio::null() });
    }
    command.args(arguments).current_dir(program.cwd).env_clear().env("LANG", "C.UTF-8");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()));
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    command.envs(program.env).process_group(0).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_run(&error))?;
    // The supervisor's end of the socket is in it: closed here, so that its end is seen.
    drop(command);
    let (waits, nobody_waits) = oneshot::channel::<()>();
    let fed = child.stdin.take().zip(program.input).map(|(mut stdin, input)| async move {
        // Who does not read its input says so by how it ends.
        let _ = stdin.write_all(&input).await;
    });
    let log = (!program.prints).then(|| desired.log.clone());
    let running = Running { child, socket, log };
    let work = desired.work.clone();
    let kept = tokio::spawn(async move {
        if let Some(fed) = fed {
            fed.await;
        }
        keep(running, nobody_waits, work).await
    });
    let ended = kept.await;
    // Held until here: dropping this future earlier drops it, and that ends the process.
    drop(waits);
    match ended {
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(Lost::NotStarted(error))) => Err(cannot_run(&error)),
        Ok(Err(Lost::Waiting(error))) => Err(AdaptorError(format!("cannot wait for the end of {name:?}: {error}"))),
        Err(error) => Err(AdaptorError(format!("lost sight of {name:?}: {error}"))),
    }
}

/// Why nothing is known of a program's end.
enum Lost {
    NotStarted(String),
    Waiting(std::io::Error),
}

struct Running {
    child: Child,
    /// Our end of the supervisor's socket.
    socket: Option<OwnedFd>,
    /// Where what it prints is said; `None`: that is the point of running it.
    log: Option<Log>,
}

async fn keep(mut running: Running, nobody_waits: oneshot::Receiver<()>, work: Work) -> Result<Ended, Lost> {
    let child = &mut running.child;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (stdout, stderr, log) = (child.stdout.take(), child.stderr.take(), running.log);
    let prints = log.is_none();
    let mut output = tokio::spawn(async move {
        let most = if log.is_none() { OUTPUT_KEPT_BYTES } else { OUTPUT_SHOWN_BYTES };
        tokio::join!(tail(stdout, most, log.clone()), tail(stderr, OUTPUT_SHOWN_BYTES, log.clone()))
    });
    let status = tokio::select! {
        status = child.wait() => status,
        _ = nobody_waits => {
            if let Some(group) = group {
                // It may just have ended by itself.
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            child.wait().await
        }
    };
    // So that nothing is said after the attempt's end.
    let printed = timeout(OUTPUT_LAST_TIME, &mut output).await;
    drop(work);
    let status = status.map_err(Lost::Waiting)?;
    let status = match running.socket.and_then(reported) {
        Some(Report::NotStarted(error)) => return Err(Lost::NotStarted(error)),
        Some(Report::Ended(status)) => status,
        // Without one, or it was killed with its group.
        None => status,
    };
    let (stdout, stderr) = match printed {
        Ok(printed) => printed.unwrap_or_default(),
        Err(_) if !status.success() => rest(output, OUTPUT_DRAIN_TIME).await,
        Err(_) if prints => output.await.unwrap_or_default(),
        Err(_) => rest(output, Duration::ZERO).await,
    };
    let description = described(status, &stdout, &stderr);
    Ok(Ended { code: status.code(), stdout: String::from_utf8_lossy(&stdout).into_owned(), description })
}

/// What the supervisor said before it ended, in one piece. It has ended, so there is nothing to wait for.
fn reported(socket: OwnedFd) -> Option<Report> {
    let mut socket = UnixStream::from(socket);
    socket.set_nonblocking(true).ok()?;
    let mut buffer = [0; OUTPUT_SHOWN_BYTES];
    let count = socket.read(&mut buffer).ok()?;
    Report::parse(std::str::from_utf8(buffer.get(..count)?).ok()?)
}

/// What comes in so much time, or nothing: then whoever holds the output open is not heard any more.
async fn rest(mut output: JoinHandle<(Vec<u8>, Vec<u8>)>, time: Duration) -> (Vec<u8>, Vec<u8>) {
    if let Ok(printed) = timeout(time, &mut output).await {
        return printed.unwrap_or_default();
    }
    output.abort();
    output.await.unwrap_or_default()
}

/// Reads to the end and keeps the last bytes: more than `most`, where there are more, so that it shows that there were.
async fn tail(stream: Option<impl AsyncRead + Unpin>, most: usize, log: Option<Log>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut printed = log.map(Printed::into);
    let mut buffer = vec![0; 8_192];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let read = buffer.get(..count).unwrap_or_default();
        if let Some(printed) = &mut printed {
            printed.take(read);
        }
        kept.extend_from_slice(read);
        if kept.len() > 2 * most {
            kept.drain(..kept.len() - most - 1);
        }
    }
    kept
}

fn described(status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended without a code".to_owned(),
    };
    let output = if stderr.iter().all(u8::is_ascii_whitespace) { stdout } else { stderr };
    let start = output.len().saturating_sub(OUTPUT_SHOWN_BYTES);
    let text = String::from_utf8_lossy(output.get(start..).unwrap_or_default());
    match text.trim() {
        "" => format!("{how}, without output"),
        text => format!("{how}: {}{text}", if start > 0 { "…" } else { "" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_what_is_printed_without_end_the_end_is_kept() {
        let printed = [vec![b'a'; 1_000_000], b"the end".to_vec()].concat();
        let kept = tail(Some(printed.as_slice()), 100, None).await;
        assert!(kept.len() > 100 && kept.len() <= 200 && kept.ends_with(b"the end"), "{}", kept.len());
    }
}
