//! What an environment costs that has been there for a while: to take it over, and to have it when there is nothing to do.

use super::BenchError;
use super::database::Database;
use super::figure::Figure;
use super::workload::{self, LAYERS, nothing, target_name};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session};
use crate::cli::output::Output;
use crate::core::{Event, Name};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Resources that a restart loads.
pub(super) const RESTARTED: usize = 100_000;
/// Resources that have nothing to do.
pub(super) const IDLE: usize = 10_000;
const TARGETS: usize = 10;
/// How long nothing is watched.
const WATCHED: Duration = Duration::from_mins(1);
/// How long the server takes to count what was written before.
const COUNTED: Duration = Duration::from_secs(15);
const ENVIRONMENT: &str = "standing";
/// Where the bytes that recovery replays are noted, in the data folder.
const TO_REPLAY: &str = "to-replay";

/// Deploys resources, all of them good at the end.
pub(super) async fn prepare(state: &StateOptions, output: Output, resources: usize) -> Result<(), CliError> {
    let declared = workload::declared(ENVIRONMENT, resources, TARGETS);
    let choose = async |_: &Place| Ok((declared.name.clone(), ()));
    Session::run(state, output, choose, async |session: &mut Session, ()| {
        session.configure(&declared).await?;
        session.push(workload::push(declared.intents.clone())).await?;
        session.wait().await.map(drop)
    })
    .await
}

/// Accepts a change, and starts none of it: the next owner's first grant.
pub(super) async fn leave_one_change(state: &StateOptions, output: Output) -> Result<(), CliError> {
    let choose = async |_: &Place| Ok((Name::from(ENVIRONMENT), ()));
    Session::run_as(true, state, output, choose, async |session: &mut Session, ()| push_one_change(session).await).await
}

/// Deploys in a folder that is new, leaves one change, and kills the server and itself. No checkpoint is asked for in between, not even by an
/// orderly stop: what the deploy wrote is replayed.
pub(super) async fn deploy_killed(state: &StateOptions, output: Output) -> Result<(), CliError> {
    let declared = workload::declared(ENVIRONMENT, RESTARTED, TARGETS);
    let choose = async |place: &Place| {
        let server = place.server_process().ok_or(BenchError::NotOurs)?;
        Ok((declared.name.clone(), (server, place.connect_options())))
    };
    Session::run(state, output, choose, async |session: &mut Session, (server, connect)| {
        session.configure(&declared).await?;
        session.push(workload::push(declared.intents.clone())).await?;
        session.wait().await?;
        // From here on nothing starts.
        session.scheduler.send(Event::ReportOnly).await?;
        push_one_change(session).await?;
        let bytes = super::database::unreplayed(&connect).await?;
        std::fs::write(state.data_dir.join(TO_REPLAY), bytes.to_string())?;
        super::database::kill(server)?;
        super::database::kill(std::process::id())
    })
    .await
}

/// Bytes of WAL since the last checkpoint when the server of this folder was killed.
pub(super) fn to_replay(data: &Path) -> Result<f64, std::io::Error> {
    let noted = std::fs::read_to_string(data.join(TO_REPLAY))?;
    noted.parse().map_err(std::io::Error::other)
}

/// Of the lowest layer, with a word that no version had.
async fn push_one_change(session: &Session) -> Result<(), CliError> {
    let version = session.read(|state| state.version().0).await?;
    let number = RESTARTED / LAYERS - 1;
    let changed = nothing(number, Vec::new(), target_name(number % TARGETS), &format!("after {version}"));
    session.push(workload::push(vec![changed])).await.map(drop)
}

/// Seconds from the start of this process to the commit after which the first grant leaves.
pub(super) async fn restart(state: &StateOptions, output: Output, began_at_ms: u64) -> Result<f64, CliError> {
    let choose = async |_: &Place| Ok((Name::from(ENVIRONMENT), ()));
    let seconds = Session::run(state, output, choose, async |session: &mut Session, ()| {
        session.until(|state| state.counts().queued == 0).await?;
        let seconds = (now_ms().saturating_sub(began_at_ms)) as f64 / 1e3;
        session.wait().await?;
        Ok(seconds)
    });
    seconds.await
}

/// Seconds from the start of this process until a server that it started has given all that a restart loads, to somebody who keeps none of it.
pub(super) async fn bare_read(state: &StateOptions, output: Output, began_at_ms: u64) -> Result<f64, CliError> {
    let mut database = Database::open(state, output).await?;
    let bytes = database.read_all().await?;
    let seconds = (now_ms().saturating_sub(began_at_ms)) as f64 / 1e3;
    database.close().await?;
    if bytes < RESTARTED * workload::FILLING {
        return Err(BenchError::NotDeployed(RESTARTED).into());
    }
    Ok(seconds)
}

/// Megabytes of a process that has started the server and connected to it, and loaded nothing.
pub(super) async fn bare_idle(state: &StateOptions, output: Output) -> Result<f64, CliError> {
    let database = Database::open(state, output).await?;
    let resident = resident_mb()?;
    database.close().await?;
    Ok(resident)
}

fn resident_mb() -> Result<f64, std::io::Error> {
    Ok(super::resident_bytes()? as f64 / (1024.0 * 1024.0))
}

/// What is written in a minute, and what memory it takes, when nothing is to do; beside the latter that of a bare process ([`bare_idle`]).
pub(super) async fn idle(state: &StateOptions, output: Output, bare: f64) -> Result<Vec<Figure>, CliError> {
    let choose = async |place: &Place| Ok((Name::from(ENVIRONMENT), place.connect_options()));
    Session::run(state, output, choose, async |session: &mut Session, connect: PgConnectOptions| {
        session.wait().await?;
        // The server counts what a connection wrote when it has rested for a while.
        tokio::time::sleep(COUNTED).await;
        let mut connection = PgConnection::connect_with(&connect).await.map_err(BenchError::Database)?;
        let before = written(&mut connection).await.map_err(BenchError::Database)?;
        tokio::time::sleep(WATCHED).await;
        let rows = written(&mut connection).await.map_err(BenchError::Database)? - before;
        let resident = resident_mb()?;
        Ok(vec![
            Figure::new("idle_writes_per_minute", rows as f64).at_most(0.0),
            Figure::new("idle_rss_mb", resident)
                .at_most(64.0)
                .beside("the same program, connected and nothing loaded", bare),
        ])
    })
    .await
}

/// Rows ever written to history's tables, leases apart.
async fn written(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let query = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables
                 WHERE schemaname = 'homeostat' AND relname <> 'lease'";
    Ok(sqlx::query(query).fetch_one(connection).await?.get(0))
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
