//! What is asked of `apt-get` and `dpkg`.

use super::super::place::failed;
use super::super::tool::Tool;
use super::Attributes;
use crate::adaptors::limits::LISTS_LOCK_PAUSE;
use crate::adaptors::{AdaptorError, Desired};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

const LISTS: &str = "/var/lib/apt/lists";
/// Where an interrupted `dpkg` leaves what it had not finished.
const UPDATES: &str = "/var/lib/dpkg/updates";

/// Attempts of this process bring the lists up to date one after the other.
static UPDATING: Mutex<()> = Mutex::const_new(());

/// An `apt-get` that asks nothing, keeps changed configuration files, and waits for locks.
fn apt_get(desired: &Desired, words: &[&str]) -> Tool {
    let wait = format!("DPkg::Lock::Timeout={}", desired.deadline.as_secs().max(1));
    let mut tool = quiet(Tool::new("apt-get"));
    // The machine may need a proxy; apt has no other way to learn the executor's.
    for name in ["http_proxy", "https_proxy", "no_proxy"] {
        if let Ok(value) = std::env::var(name) {
            tool = tool.env(name, &value);
        }
    }
    let settings =
        ["Dpkg::Options::=--force-confdef", "Dpkg::Options::=--force-confold", "Dpkg::Use-Pty=0", wait.as_str()];
    tool.words(["-y", "-q"])
        .words(settings.into_iter().flat_map(|setting| ["-o", setting]))
        .words(words.iter().copied())
}

fn quiet(tool: Tool) -> Tool {
    tool.env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBIAN_PRIORITY", "critical")
        .env("APT_LISTCHANGES_FRONTEND", "none")
        .env("NEEDRESTART_SUSPEND", "1")
        .env("UCF_FORCE_CONFFOLD", "1")
}

/// Completes what a killed `dpkg` left: until then `apt-get` refuses to do anything.
pub(super) async fn complete_what_was_interrupted(desired: &Desired) -> Result<(), AdaptorError> {
    let mut entries = match tokio::fs::read_dir(UPDATES).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("cannot look into", Path::new(UPDATES), error)),
    };
    let unreadable = |error| failed("cannot look into", Path::new(UPDATES), error);
    while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
        if entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            let words = ["--force-confdef", "--force-confold", "--configure", "--pending"];
            return quiet(Tool::new("dpkg")).words(words).succeed(desired).await;
        }
    }
    Ok(())
}

/// Whether the package lists are older than `most`, or were never fetched.
pub(super) async fn lists_are_old(most: Duration) -> Result<bool, AdaptorError> {
    let changed = match tokio::fs::metadata(LISTS).await.and_then(|metadata| metadata.modified()) {
        Ok(changed) => changed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(failed("cannot look at", Path::new(LISTS), error)),
    };
    // A time to come is that of a clock that was set back.
    Ok(SystemTime::now().duration_since(changed).is_ok_and(|age| age > most))
}

/// Brings the package lists up to date.
pub(super) async fn update(desired: &Desired) -> Result<(), AdaptorError> {
    let _one_by_one = UPDATING.lock().await;
    loop {
        // What cannot be fetched is an error, not a warning.
        let ended = apt_get(desired, &["-o", "APT::Update::Error-Mode=any", "update"]).end(desired, false).await?;
        if ended.succeeded() {
            break;
        }
        if !ended.description.contains("Could not get lock") {
            return Err(AdaptorError(format!("apt-get update: {}", ended.description)));
        }
        // The attempt's deadline ends this.
        tokio::time::sleep(LISTS_LOCK_PAUSE).await;
    }
    // Lists that were up to date already are not touched by apt.
    let touch = || {
        let folder = std::fs::File::open(LISTS)?;
        folder.set_modified(SystemTime::now())
    };
    tokio::task::spawn_blocking(touch)
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| failed("cannot note the time on", Path::new(LISTS), error))
}

/// Installs the package in the version that is wanted, or the newest, and removes nothing for it.
pub(super) async fn install(desired: &Desired, attributes: &Attributes) -> Result<(), AdaptorError> {
    let mut words = vec!["install", "--no-remove"];
    match attributes.install_recommends {
        Some(true) => words.push("--install-recommends"),
        Some(false) => words.push("--no-install-recommends"),
        None => {}
    }
    let wanted = attributes.version.as_ref().map(|version| format!("{}={version}", attributes.name));
    if wanted.is_some() {
        words.push("--allow-downgrades");
    }
    apt_get(desired, &words)
        .operand(wanted.as_ref().unwrap_or(&attributes.name))
        .succeed(desired)
        .await
        .map_err(without_noise)
}

/// Removes the package, and nothing else.
pub(super) async fn remove(desired: &Desired, name: &str, purge: bool) -> Result<(), AdaptorError> {
    let words = if purge { ["remove", "--purge"] } else { ["remove", "--no-auto-remove"] };
    let simulated = apt_get(desired, &words).words(["--simulate"]).operand(name).output(desired).await?;
    let package = name.split(':').next().unwrap_or(name);
    let removed = |line: &'_ str| {
        let word = line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg "))?.split(' ').next()?;
        word.split(':').next().map(str::to_owned)
    };
    let mut others: Vec<String> = simulated.lines().filter_map(removed).filter(|other| other != package).collect();
    if !others.is_empty() {
        others.dedup();
        let (count, some) = (others.len(), others.into_iter().take(10).collect::<Vec<_>>().join(", "));
        return Err(AdaptorError(format!(
            "{name} is needed by {count} installed packages ({some}); declare them absent too, and let this require them"
        )));
    }
    apt_get(desired, &words).operand(name).succeed(desired).await.map_err(without_noise)
}

/// What is no cause, and stands first wherever apt-utils is not installed.
fn without_noise(AdaptorError(error): AdaptorError) -> AdaptorError {
    AdaptorError(error.replacen("debconf: delaying package configuration, since apt-utils is not installed\n", "", 1))
}
