//! Real PostgreSQL servers and real executor processes, and everything that goes wrong with them: stopped, killed, hung, slow, full, failed over,
//! cut off between a commit and its reply. Each scenario ends healed, and then history must be exact (`audit.rs`) and the targets right.
//!
//! `make test` runs a share of some minutes, as if with `HOMEOSTAT_KILLS=20`; `HOMEOSTAT_KILLS=500` runs 25 times as many rounds of each scenario.
//! No sleeps decide anything: a fault is placed by what is seen on the way to the database (`proxy.rs`), not by time. `FAULT_SEED` repeats a run's
//! random places. Names begin with the fault (R) or the behaviour (Q) that they are about.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod audit;
mod away;
mod commits;
mod disk;
mod executors;
mod failover;
mod forgets;
mod frozen;
mod full;
mod gate;
mod hung;
#[path = "../house/pipe.rs"]
mod pipe;
mod poison;
mod probes;
mod proxy;
mod readers;
mod restarts;
mod server;
mod shapes;
mod starved;
mod steps;
mod town;
mod writers;

use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// No healthy machine needs so long for anything here, a busy one neither.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// What `HOMEOSTAT_KILLS` is where nobody says.
const KILLS: usize = 20;

/// How many kills this run is about.
pub(crate) fn kills() -> usize {
    std::env::var("HOMEOSTAT_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS)
}

/// How often a scenario is repeated, which is `share` times in `make test`.
pub(crate) fn rounds(share: usize) -> usize {
    (share * kills()).div_ceil(KILLS).max(1)
}

/// Awaits something, and fails when it does not come in time.
pub(crate) async fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, coming).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// This program once more, as the process that the test of this name is where this variable is set. It ends with who waits for it.
pub(crate) fn this_program(test: &str, variable: &str, value: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(variable, value);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// Looks again and again until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    in_time(what, looking).await
}
