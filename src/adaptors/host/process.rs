//! Runs a program as a process group of its own, and ends the whole group when nobody waits for it any more.
//!
//! The process is kept by a task, not by the adaptor's future: that future may be dropped at any time, and the attempt's [`Work`] is held until
//! the process has really ended. A process that leaves its group, as daemons do, is on its own.

use crate::adaptors::{AdaptorError, Work};
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// Bytes of the end of a program's output that an error message shows.
const OUTPUT_BYTES: usize = 2_048;
/// How long the output may stay open after the program ended: a daemon it started may hold it for ever.
const DRAIN_TIME: Duration = Duration::from_millis(200);
/// The search path where the executor has none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How a program ended.
#[derive(Debug)]
pub(super) enum Exit {
    Success,
    /// `code` is absent where a signal ended it.
    Failure {
        code: Option<i32>,
        description: String,
    },
}

/// Runs a program to its end. Dropping the future kills its process group.
pub(super) async fn run(
    argv: &[String],
    cwd: &Path,
    env: &BTreeMap<String, String>,
    work: Work,
) -> Result<Exit, AdaptorError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(AdaptorError("there is no program to run".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(cwd).env_clear().env("LANG", "C.UTF-8");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()));
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    command.envs(env).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| {
        AdaptorError(format!(
            "cannot run {program:?} in {}: {error}; is it installed, and may the executor run it?",
            cwd.display()
        ))
    })?;
    let (waits, nobody_waits) = oneshot::channel::<()>();
    let kept = tokio::spawn(keep(child, nobody_waits, work));
    let ended = kept.await;
    // Held until here: dropping this future earlier drops it, and that ends the process.
    drop(waits);
    match ended {
        Ok(result) => result,
        Err(error) => Err(AdaptorError(format!("lost sight of {program:?}: {error}"))),
    }
}

async fn keep(mut child: Child, nobody_waits: oneshot::Receiver<()>, work: Work) -> Result<Exit, AdaptorError> {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = tokio::spawn(async move { tokio::join!(tail(stdout), tail(stderr)) });
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
    drop(work);
    let status = status.map_err(|error| AdaptorError(format!("cannot wait for the program's end: {error}")))?;
    if status.success() {
        output.abort();
        return Ok(Exit::Success);
    }
    let (stdout, stderr) = tokio::time::timeout(DRAIN_TIME, output).await.ok().and_then(Result::ok).unwrap_or_default();
    Ok(Exit::Failure { code: status.code(), description: described(status, &stdout, &stderr) })
}

/// Reads to the end and keeps the last bytes.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = vec![0; 8_192];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if kept.len() > 2 * OUTPUT_BYTES {
            kept.drain(..kept.len() - OUTPUT_BYTES);
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
    let start = output.len().saturating_sub(OUTPUT_BYTES);
    let text = String::from_utf8_lossy(output.get(start..).unwrap_or_default());
    match text.trim() {
        "" => format!("{how}, without output"),
        text => format!("{how}: {}{text}", if start > 0 { "…" } else { "" }),
    }
}
