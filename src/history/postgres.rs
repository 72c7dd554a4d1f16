//! History in PostgreSQL: the store of every real environment. The schema is in `migrations/`, and says why it is as it is.
//!
//! One transaction per batch, one statement per table in it, arrays or streams instead of rows: what a commit costs is shared by all that is in it. What comes all
//! the time, attempts that begin and end, is one statement altogether (`attempts.rs`).
//! Connections must be the session's own (no transaction pooler in between): they carry a role and timeouts.
//!
//! Deliberately absent: retries. An error says whether the same call may be made again; when to make it is the caller's policy.

mod attempts;
mod cells;
mod codes;
mod commit;
mod connect;
mod copied;
mod copy;
mod errors;
mod insert;
mod load;
mod outcomes;
mod ownership;
mod reads;
mod resources;
mod retention;
mod state;
mod stuck;
mod table;

use super::floors::Floors;
use super::{
    AttemptSummary, Batch, DryRunResult, Fence, HistoryError, Owner, RequestSummary, Store, VersionSummary,
    batch_check, limits,
};
use crate::core::{AttemptId, DryRunId, IntentRecord, Name, RequestId, Retention, Snapshot, Timestamp, VersionNumber};
use async_trait::async_trait;
use errors::{classify_session, settle};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, PgPool, Postgres};
use std::sync::Arc;
use std::time::Duration;

/// A store in a PostgreSQL database. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    patience: Patience,
    floors: Arc<Floors>,
}

/// How long calls may take before the database counts as away. Whatever it does, no call takes longer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Waiting for a connection of the pool.
    pub acquire: Duration,
    /// A write or a bounded read as a whole. The database itself gives a statement up a little earlier.
    pub call: Duration,
    /// Reading a whole environment, deleting one, or a migration.
    pub long_call: Duration,
}

impl Patience {
    /// With a batch: what may take a call, and longer the more is in it. A push is one batch, however much it pushes, and giving it up for its size would
    /// be giving it up for ever.
    fn with(self, batch: &Batch) -> Duration {
        let written = u32::try_from(batch.records.len() + batch.rows.len()).unwrap_or(u32::MAX);
        self.call + limits::WRITE * written
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { acquire: limits::ACQUIRE, call: limits::CALL, long_call: limits::LONG_CALL }
    }
}

impl PostgresStore {
    /// Brings the schema of the database up to date, as its owner, and opens at most `max_connections` connections as the runtime role.
    pub async fn connect(options: PgConnectOptions, max_connections: u32) -> Result<Self, HistoryError> {
        Self::connect_with(options, max_connections, Patience::default()).await
    }

    /// The same, with other patience than the usual.
    pub async fn connect_with(
        options: PgConnectOptions,
        max_connections: u32,
        patience: Patience,
    ) -> Result<Self, HistoryError> {
        Ok(Self { pool: connect::open(options, max_connections, patience).await?, patience, floors: Arc::default() })
    }

    /// Ends all connections, after what runs on them.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn acquire(&self, doing: &'static str) -> Result<PoolConnection<Postgres>, HistoryError> {
        self.pool.acquire().await.map_err(|error| classify_session(doing, error))
    }
}

/// Runs work on a connection of the pool, within its time.
macro_rules! on_connection {
    ($store:expr, $doing:literal, $patience:expr, $module:ident::$work:ident($($argument:expr),*)) => {{
        let mut connection = $store.acquire($doing).await?;
        let result = tokio::time::timeout($patience, $module::$work(&mut connection, $($argument),*)).await;
        let done = settle(connection, $doing, result);
        if done.as_ref().err().is_some_and(stuck::may_be_behind) {
            stuck::end(&$store.pool.connect_options(), $store.patience).await;
        }
        done
    }};
}

/// Gives the statements of this transaction the time that a whole environment needs.
async fn allow_long(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    let setting = limits::LONG_STATEMENT_MS.to_string();
    sqlx::query("SELECT set_config('statement_timeout', $1, true)").bind(setting).execute(transaction).await.map(drop)
}

#[async_trait]
impl Store for PostgresStore {
    async fn take(&self, environment: &str, owner: &Owner, ended: &[Name]) -> Result<Fence, HistoryError> {
        let above = self.floors.epoch(environment);
        let taking = async || {
            on_connection!(
                self,
                "taking an environment",
                self.patience.call,
                ownership::take(environment, owner, ended, above)
            )
        };
        let fence = match taking().await {
            // What it was behind may have been ended.
            Err(error) if stuck::may_be_behind(&error) => taking().await?,
            taken => taken?,
        };
        self.floors.took(&fence.name, fence.epoch);
        Ok(fence)
    }

    async fn renew(&self, owner: &Owner) -> Result<(), HistoryError> {
        on_connection!(self, "renewing a lease", self.patience.call, ownership::lease(owner))
    }

    async fn release(&self, fence: &Fence) -> Result<(), HistoryError> {
        on_connection!(self, "releasing an environment", self.patience.call, ownership::release(fence))
    }

    async fn load(&self, fence: &Fence) -> Result<Snapshot, HistoryError> {
        let loading =
            async { on_connection!(self, "loading an environment", self.patience.long_call, load::load(fence)) };
        let mut snapshot = loading.await?;
        self.floors.raise(&fence.name, &mut snapshot);
        Ok(snapshot)
    }

    async fn commit(&self, fence: &Fence, batch: &Batch) -> Result<(), HistoryError> {
        batch_check::check(batch)?;
        let committing = async {
            on_connection!(self, "committing a batch", self.patience.with(batch), commit::commit(fence, batch))
        };
        committing.await?;
        self.floors.committed(&fence.name, batch);
        Ok(())
    }

    async fn probe(&self, fence: &Fence, batch: &Batch) -> Result<(), HistoryError> {
        batch_check::check(batch)?;
        on_connection!(self, "trying a batch", self.patience.with(batch), commit::probe(fence, batch))
    }

    async fn forget_environment(&self, fence: &Fence) -> Result<(), HistoryError> {
        on_connection!(self, "forgetting an environment", self.patience.long_call, ownership::forget(fence))
    }

    async fn trim(&self, fence: &Fence, retention: Retention, now: Timestamp) -> Result<u64, HistoryError> {
        on_connection!(
            self,
            "dropping what is no longer kept",
            self.patience.long_call,
            retention::trim(fence, retention, now)
        )
    }

    async fn oldest_version(&self, environment: &str) -> Result<VersionNumber, HistoryError> {
        on_connection!(self, "reading versions", self.patience.call, retention::oldest_version(environment))
    }

    async fn environments(&self) -> Result<Vec<Name>, HistoryError> {
        on_connection!(self, "listing environments", self.patience.call, reads::environments())
    }

    async fn owner(&self, environment: &str) -> Result<Option<String>, HistoryError> {
        on_connection!(self, "reading an owner", self.patience.call, ownership::owner(environment))
    }

    async fn peek(&self, environment: &str) -> Result<Option<Snapshot>, HistoryError> {
        on_connection!(self, "reading an environment", self.patience.long_call, load::peek(environment))
    }

    async fn versions(
        &self,
        environment: &str,
        before: Option<VersionNumber>,
        limit: u32,
    ) -> Result<Vec<VersionSummary>, HistoryError> {
        on_connection!(self, "reading versions", self.patience.call, reads::versions(environment, before, limit))
    }

    async fn intents_at(
        &self,
        environment: &str,
        version: VersionNumber,
    ) -> Result<Option<Vec<IntentRecord>>, HistoryError> {
        on_connection!(self, "rebuilding a version", self.patience.long_call, reads::intents_at(environment, version))
    }

    async fn attempts(
        &self,
        environment: &str,
        names: Option<&[Name]>,
        before: Option<AttemptId>,
        limit: u32,
    ) -> Result<Vec<AttemptSummary>, HistoryError> {
        on_connection!(self, "reading attempts", self.patience.call, reads::attempts(environment, names, before, limit))
    }

    async fn requests(
        &self,
        environment: &str,
        before: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestSummary>, HistoryError> {
        on_connection!(self, "reading requests", self.patience.call, reads::requests(environment, before, limit))
    }

    async fn dry_run(&self, environment: &str, id: DryRunId) -> Result<Vec<DryRunResult>, HistoryError> {
        on_connection!(self, "reading a dry run", self.patience.call, reads::dry_run(environment, id))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
impl PostgresStore {
    /// As whom the pool works.
    pub(super) async fn current_role(&self) -> String {
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&self.pool).await.unwrap()
    }

    /// What a connection of the pool has been told.
    pub(super) async fn setting(&self, name: &str) -> String {
        sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&self.pool).await.unwrap()
    }

    /// Makes one connection of the pool like one to a demoted primary.
    pub(super) async fn become_read_only(&self) {
        sqlx::query("SET default_transaction_read_only = on").execute(&self.pool).await.unwrap();
    }
}
