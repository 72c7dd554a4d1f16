//! The database beside the path: its settings, its counters, and what one commit takes.

use super::BenchError;
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::Place;
use crate::cli::output::Output;
use futures::TryStreamExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use std::io::Write;
use std::time::{Duration, Instant};

/// Commits of one row, for their median.
const COMMITS: usize = 500;
/// Counts statements; part of PostgreSQL, and loaded at its start.
const COUNTER: &str = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'all'\n";

/// What of its settings makes its figures better or worse.
const SETTINGS: [&str; 9] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "wal_level",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
];

/// The private server of a bench.
pub(super) struct Database {
    place: Place,
    pub(super) connection: PgConnection,
}

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) statements: f64,
    /// Without full-page images.
    pub(super) wal_bytes: f64,
}

impl Database {
    /// Makes the server, and has it count statements from its next start on.
    pub(super) async fn prepare(state: &StateOptions, output: Output) -> Result<Self, CliError> {
        Place::owned(state, output, async |_, _| Ok(())).await?;
        let settings = state.data_dir.join("postgres/postgresql.conf");
        std::fs::OpenOptions::new().append(true).open(settings)?.write_all(COUNTER.as_bytes())?;
        Self::open(state, output).await
    }

    pub(super) async fn open(state: &StateOptions, output: Output) -> Result<Self, CliError> {
        let place = Place::visit(state, output).await?;
        let connection = PgConnection::connect_with(&place.connect_options()).await.map_err(BenchError::Database)?;
        Ok(Self { place, connection })
    }

    pub(super) async fn close(self) -> Result<(), CliError> {
        self.connection.close().await.map_err(BenchError::Database)?;
        Ok(self.place.close().await?)
    }

    /// What matters of its settings, as it has them: of a server that was measured, in its folder, started once more as it was then.
    pub(super) async fn settings(state: &StateOptions, output: Output) -> Result<Vec<(String, String)>, CliError> {
        let mut database = Self::open(state, output).await?;
        let query = "SELECT name, current_setting(name) FROM UNNEST($1::text[]) AS shown (name)";
        let rows = sqlx::query(query).bind(SETTINGS.as_slice()).fetch_all(&mut database.connection).await;
        let rows = rows.map_err(BenchError::Database)?;
        database.close().await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Bytes of all states and intents, read as fast as the server gives them and thrown away.
    pub(super) async fn read_all(&mut self) -> Result<usize, CliError> {
        let mut bytes = 0;
        for table in ["resource_state", "intent"] {
            let all = format!("COPY homeostat.{table} TO STDOUT (FORMAT binary)");
            let rows = self.connection.copy_out_raw(&all).await.map_err(BenchError::Database)?;
            let read = rows.try_fold(0, async |bytes, some| Ok(bytes + some.len()));
            bytes += read.await.map_err(BenchError::Database)?;
        }
        Ok(bytes)
    }

    /// What one commit takes that changes one row: the median.
    pub(super) async fn commit_time(state: &StateOptions, output: Output) -> Result<Duration, CliError> {
        let mut database = Self::open(state, output).await?;
        let times = commits(&mut database.connection).await.map_err(BenchError::Database)?;
        database.close().await?;
        Ok(super::figure::percentile(times, 0.5))
    }
}

async fn commits(connection: &mut PgConnection) -> Result<Vec<Duration>, sqlx::Error> {
    sqlx::query("CREATE TABLE bare_commit AS SELECT 0 AS number").execute(&mut *connection).await?;
    let mut times = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let began = Instant::now();
        sqlx::query("UPDATE bare_commit SET number = number + 1").execute(&mut *connection).await?;
        times.push(began.elapsed());
    }
    sqlx::query("DROP TABLE bare_commit").execute(connection).await?;
    Ok(times)
}

/// Kills a process of ours at once.
pub(super) fn kill(process: u32) -> Result<(), CliError> {
    let pid = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw).ok_or(BenchError::NotOurs)?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(std::io::Error::from)?)
}

/// Bytes of WAL since the last checkpoint began: what recovery replays if the server is killed now.
pub(super) async fn unreplayed(connect: &PgConnectOptions) -> Result<f64, BenchError> {
    let mut connection = PgConnection::connect_with(connect).await?;
    let query = "SELECT (pg_current_wal_insert_lsn() - redo_lsn)::float8 FROM pg_control_checkpoint()";
    Ok(sqlx::query(query).fetch_one(&mut connection).await?.get(0))
}

/// Counters of the server around a run.
pub(super) struct Meter {
    connection: PgConnection,
    from: String,
}

impl Meter {
    pub(super) async fn start(connect: &PgConnectOptions) -> Result<Self, BenchError> {
        let mut connection = PgConnection::connect_with(connect).await?;
        for statement in [
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
            "CREATE EXTENSION IF NOT EXISTS pg_walinspect",
            "CHECKPOINT",
            "SELECT pg_stat_statements_reset()",
        ] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        let from = sqlx::query("SELECT pg_current_wal_insert_lsn()::text").fetch_one(&mut connection).await?.get(0);
        Ok(Self { connection, from })
    }

    pub(super) async fn read(mut self) -> Result<Cost, BenchError> {
        let statements = "SELECT sum(calls)::float8 FROM pg_stat_statements";
        let statements = sqlx::query(statements).fetch_one(&mut self.connection).await?.get(0);
        let wal = "SELECT sum(record_size)::float8 FROM pg_get_wal_stats($1::text::pg_lsn, pg_current_wal_flush_lsn())";
        let wal_bytes = sqlx::query(wal).bind(&self.from).fetch_one(&mut self.connection).await?.get(0);
        Ok(Cost { statements, wal_bytes })
    }
}
