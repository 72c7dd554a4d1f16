//! History that cannot be written: a full disk, a database that is away. The commit is tried again for as long as it takes; whoever waits is told.
//!
//! Deliberately absent: a time after which a command gives up by itself. What has begun on a target ought to be recorded.

use super::{EmbeddedError, Signals, has_ended};
use crate::cli::CliError;
use crate::cli::limits::{HISTORY_AWAY, SERVER_LOOK};
use crate::cli::output::tell;
use std::path::PathBuf;
use tokio::sync::watch;

/// What is looked at.
pub(super) struct Watch {
    /// Why it cannot be written.
    pub(super) away: watch::Receiver<Option<String>>,
    /// The first signal gives up; `None`: it ends the process.
    pub(super) signals: Option<Signals>,
    /// The private database's process, and its log.
    pub(super) server: Option<u32>,
    pub(super) log: PathBuf,
}

/// What is told when it can be written again.
pub(crate) const BACK: &str = "history is written again, and what waited for it goes on";

/// Tells when history cannot be written, and when it can again. Resolves where that is given up, or cannot come any more; never without a watch.
pub(super) async fn given_up(watch: Option<Watch>) -> CliError {
    let Some(Watch { mut away, mut signals, server, log }) = watch else { return std::future::pending().await };
    loop {
        let reason = until_away(&mut away).await;
        tell(told(&reason, signals.is_some()));
        tokio::select! {
            () = until_back(&mut away) => tell(BACK),
            () = signalled(signals.as_mut()) => {
                tell("giving up: what runs is cancelled, and made good by the next run (again: stop at once)");
                return EmbeddedError::HistoryAway { reason }.into();
            }
            () = until_ended(server) => return EmbeddedError::ServerEnded { log }.into(),
        }
    }
}

/// Waits until it has been away for so long that it is worth a word; says why.
pub(crate) async fn until_away(away: &mut watch::Receiver<Option<String>>) -> String {
    loop {
        let reason = away.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        let Some(reason) = reason else {
            // The scheduler has ended, and its end is told elsewhere.
            return std::future::pending().await;
        };
        if tokio::time::timeout(HISTORY_AWAY, until_back(away)).await.is_err() {
            return away.borrow().clone().unwrap_or(reason);
        }
    }
}

/// Waits until it can be written.
pub(crate) async fn until_back(away: &mut watch::Receiver<Option<String>>) {
    let back = away.wait_for(Option::is_none).await.is_ok();
    if !back {
        std::future::pending::<()>().await;
    }
}

/// What can be done about it.
pub(crate) fn told(reason: &str, ends: bool) -> String {
    let gives_up = if ends { "; Ctrl-C gives up" } else { "" };
    format!(
        "history cannot be written: {reason}\n  it is tried again, and goes on by itself: see that the disk of the database has room, and that it answers{gives_up}"
    )
}

async fn signalled(signals: Option<&mut Signals>) {
    match signals {
        Some(signals) => signals.first().await,
        None => std::future::pending().await,
    }
}

async fn until_ended(server: Option<u32>) {
    while !server.is_some_and(has_ended) {
        tokio::time::sleep(SERVER_LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn what_is_away_for_a_moment_is_not_told_and_what_stays_away_is() {
        let (says, mut away) = watch::channel(Some("starting".to_owned()));
        let (told, ()) = tokio::join!(until_away(&mut away), async {
            tokio::task::yield_now().await;
            says.send_replace(None);
            tokio::task::yield_now().await;
            says.send_replace(Some("no space left".to_owned()));
        });
        assert_eq!(told, "no space left");
        tokio::join!(until_back(&mut away), async { drop(says.send_replace(None)) });
    }

    #[tokio::test]
    async fn where_the_private_database_has_ended_nothing_is_waited_for() {
        let (_says, away) = watch::channel(Some("connection refused".to_owned()));
        let watch = Watch { away, signals: None, server: Some(u32::MAX), log: "postgres.log".into() };
        let error = given_up(Some(watch)).await;
        assert!(error.report().starts_with("the private PostgreSQL has ended during the run"), "{}", error.report());
    }
}
