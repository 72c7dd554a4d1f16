//! Streams of rows (`copy.rs`) whose sender has fallen silent: frozen, or behind a network that drops everything. PostgreSQL heeds no timeout while it
//! waits for the rest of a stream, and keeps what the transaction has locked. So whoever waited for a lock in vain ends what has lasted longer than
//! any statement may.

use super::Patience;
use super::connect::{SCHEMA, statement_ms};
use super::errors::Answer;
use crate::history::HistoryError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// Of the same login only: of others the database tells nothing. By the database's time, whatever the clocks of the processes say.
const END: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = current_user AND state = 'active' AND wait_event = 'ClientRead'
             AND starts_with(query, $1) AND query_start < clock_timestamp() - $2 * interval '1 millisecond'";

/// How such a statement begins: no restore of a backup, which may take long, begins like it.
pub(super) fn head() -> String {
    format!("/* homeostat */ COPY {SCHEMA}.")
}

/// Whether the database has given a statement up because of its time: what it waited for may be such a stream.
pub(super) fn may_be_behind(error: &HistoryError) -> bool {
    let HistoryError::Unavailable { source, .. } = error else { return false };
    source.downcast_ref::<Answer>().is_some_and(|answer| ["55P03", "57014"].contains(&&*answer.state))
}

/// Ends them. On a connection of its own, as the login itself: the role that the pool works as may not. What fails is tried again with the call.
pub(super) async fn end(options: &PgConnectOptions, patience: Patience) {
    let ending = async {
        let mut connection = options.connect().await?;
        let ended: i64 =
            sqlx::query_scalar(END).bind(head()).bind(statement_ms(patience) as i64).fetch_one(&mut connection).await?;
        connection.close().await.map(|()| ended)
    };
    let failed = match tokio::time::timeout(patience.acquire, ending).await {
        Ok(Ok(0)) => return,
        Ok(Ok(ended)) => {
            tracing::warn!(ended, "ended writers that had fallen silent in the middle of a stream of rows");
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(elapsed) => elapsed.to_string(),
    };
    tracing::warn!(%failed, "writers that have fallen silent in the middle of a stream of rows cannot be looked for");
}
