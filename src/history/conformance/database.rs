//! What only a database can promise: append-only by privilege and by trigger, a schema that says who may use it, durability.

use super::scenario::*;
use crate::core::VersionNumber;
use crate::history::postgres::PostgresStore;
use crate::history::private_server::PrivateServer;
use crate::history::{Batch, HistoryError, Store, test_database};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::Arc;

const HISTORY: [&str; 8] =
    ["version", "intent", "resource_grant", "outcome", "request", "request_done", "dry_run", "dry_run_result"];

/// A database with one row in each table of history, and a connection as the schema's owner.
async fn with_history() -> (PgConnectOptions, PgConnection) {
    let options = test_database::empty_database().await;
    let store: AnyStore = Arc::new(PostgresStore::connect(options.clone(), 2).await.unwrap());
    Owned::take(&store, "prod")
        .await
        .record(vec![version(1, vec![wants(0, "a", "1")]), grant(1, 0, "a"), succeeded(1, 0)])
        .await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    connection.execute("SET search_path = homeostat").await.unwrap();
    (options, connection)
}

async fn sqlstate(connection: &mut PgConnection, sql: String) -> String {
    let error = connection.execute(AssertSqlSafe(sql.clone())).await.expect_err(&sql);
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map_or_else(|| error.to_string(), Into::into)
}

/// Changes of one table of history, each of which must be refused.
fn changes(table: &str) -> [String; 3] {
    [format!("UPDATE {table} SET environment = 0"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
}

#[tokio::test]
async fn history_is_append_only_for_its_owner_by_trigger() {
    let (_, mut owner) = with_history().await;
    for sql in HISTORY.iter().flat_map(|table| changes(table)) {
        assert_eq!(sqlstate(&mut owner, sql).await, "23001");
    }
}

#[tokio::test]
async fn history_is_append_only_for_the_runtime_role_by_privilege() {
    let (_, mut runtime) = with_history().await;
    runtime.execute("SET ROLE homeostat_runtime").await.unwrap();
    for sql in HISTORY.iter().flat_map(|table| changes(table)) {
        assert_eq!(sqlstate(&mut runtime, sql).await, "42501");
    }
    // Claiming to be about to forget gives no right to.
    runtime.execute("SET homeostat.forgetting = 'on'").await.unwrap();
    for sql in [
        "DELETE FROM outcome",
        "DELETE FROM environment",
        "DROP TABLE outcome",
        "CREATE TABLE mine ()",
        "ALTER TABLE outcome DISABLE TRIGGER ALL",
    ] {
        assert_eq!(sqlstate(&mut runtime, sql.to_owned()).await, "42501", "{sql}");
    }
}

#[tokio::test]
async fn the_pool_works_as_the_runtime_role() {
    let store = test_database::store().await;
    assert_eq!(store.current_role().await, "homeostat_runtime");
}

#[tokio::test]
async fn many_processes_prepare_one_database_at_once() {
    let options = test_database::empty_database().await;
    let stores = [(); 6].map(|()| tokio::spawn(PostgresStore::connect(options.clone(), 1)));
    for store in stores {
        store.await.unwrap().unwrap().environments().await.unwrap();
    }
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_unless_it_says_otherwise() {
    let (options, mut owner) = with_history().await;
    owner.execute("INSERT INTO _sqlx_migrations VALUES (2, 'next', now(), true, '', 0)").await.unwrap();
    PostgresStore::connect(options.clone(), 1).await.unwrap();
    owner.execute("UPDATE compatibility SET readable_from = 2").await.unwrap();
    let error = PostgresStore::connect(options, 1).await.unwrap_err();
    assert!(matches!(&error, HistoryError::Schema { found, .. } if found == "2"), "{error}");
}

/// A demoted primary answers reads and refuses writes, on connections that live for ever.
#[tokio::test]
async fn a_connection_that_became_read_only_is_not_used_again() {
    let options = test_database::empty_database().await;
    let store = PostgresStore::connect(options.clone(), 1).await.unwrap();
    store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
    store.become_read_only().await;
    let error = store.renew(&owner("first", LONG_MS)).await.unwrap_err();
    assert!(matches!(error, HistoryError::Unavailable { .. }), "{error}");
    store.renew(&owner("first", LONG_MS)).await.unwrap();
}

#[tokio::test]
async fn a_killed_server_loses_no_acknowledged_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let server = PrivateServer::start(folder.path(), &|_| {}).await.unwrap();
        let store = PostgresStore::connect(server.connect_options(), 2).await.unwrap();
        let fence = store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
        let found = store.load(&fence).await.unwrap().version.0;
        assert!(found == acknowledged || found == acknowledged + 1, "acknowledged {acknowledged}, found {found}");
        acknowledged = found;
        let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
        for number in 1.. {
            if number == 20 {
                kill_process(pid, Signal::KILL).unwrap();
            }
            let batch = Batch {
                number,
                records: vec![version(acknowledged + 1, vec![wants(0, "a", &number.to_string())])],
                rows: vec![],
            };
            match store.commit(&fence, &batch).await {
                Ok(()) => acknowledged += 1,
                Err(HistoryError::Unavailable { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(acknowledged >= 3 * 19, "{acknowledged}");
    let server = PrivateServer::start(folder.path(), &|_| {}).await.unwrap();
    let store = PostgresStore::connect(server.connect_options(), 2).await.unwrap();
    let versions = store.versions("prod", None, 1_000).await.unwrap();
    let numbers: Vec<_> = versions.iter().rev().map(|version| version.number).collect();
    assert!(numbers.len() as u64 >= acknowledged);
    assert_eq!(numbers, (1..=numbers.len() as u64).map(VersionNumber).collect::<Vec<_>>());
    store.close().await;
    server.stop().await.unwrap();
}
