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

const HISTORY: [&str; 9] = [
    "version",
    "intent",
    "resource_grant",
    "outcome",
    "late_result",
    "request",
    "request_done",
    "dry_run",
    "dry_run_result",
];

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

/// Compiling a statement of ours takes longer than running it, and a third of the time of loading a large environment.
#[tokio::test]
async fn no_statement_is_compiled_whatever_the_database_says() {
    let options = test_database::empty_database().await;
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let database = options.get_database().unwrap();
    admin.execute(AssertSqlSafe(format!("ALTER DATABASE {database} SET jit = on"))).await.unwrap();
    let store = PostgresStore::connect(options, 1).await.unwrap();
    assert_eq!(store.setting("jit").await, "off");
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
    let HistoryError::Unavailable { doing: "renewing a lease", source } = &error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the database says: cannot execute INSERT in a read-only transaction (25006)");
    store.renew(&owner("first", LONG_MS)).await.unwrap();
}

/// What a database without superusers in sight looks like: an ordinary login that owns its database and may create no roles.
#[tokio::test]
async fn an_ordinary_login_needs_a_grant_to_be_restricted_and_works_without() {
    let options = test_database::empty_database().await;
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let database = options.get_database().unwrap().to_owned();
    let setup = format!(
        "DROP ROLE IF EXISTS ordinary_{database}; CREATE ROLE ordinary_{database} LOGIN; ALTER DATABASE {database} OWNER TO ordinary_{database}"
    );
    sqlx::raw_sql(AssertSqlSafe(setup)).execute(&mut admin).await.unwrap();
    PostgresStore::connect(test_database::empty_database().await, 1).await.unwrap(); // whose superuser creates the role, if it is the first
    let ordinary = options.username(&format!("ordinary_{database}"));

    let store = PostgresStore::connect(ordinary.clone(), 2).await.unwrap();
    assert_eq!(store.current_role().await, format!("ordinary_{database}"));
    let store: AnyStore = Arc::new(store);
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1")])]).await;
    let mut login = PgConnection::connect_with(&ordinary).await.unwrap();
    assert_eq!(sqlstate(&mut login, "DELETE FROM homeostat.version".into()).await, "23001");
    store.forget_environment(&owned.fence).await.unwrap();

    let grant = format!("GRANT homeostat_runtime TO ordinary_{database}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut admin).await.unwrap();
    let store = PostgresStore::connect(ordinary, 2).await.unwrap();
    assert_eq!(store.current_role().await, "homeostat_runtime");
    let store: AnyStore = Arc::new(store);
    let mut owned = Owned::take(&store, "prod").await;
    owned.record(vec![version(1, vec![wants(0, "a", "1")])]).await;
    store.forget_environment(&owned.fence).await.unwrap();
}

/// The owner lives on, and settles every commit whose reply it did not get by committing the same batch again.
#[tokio::test]
async fn a_killed_server_loses_no_acknowledged_batch_and_doubles_none() {
    const BATCHES: u64 = 90;
    let folder = tempfile::tempdir().unwrap();
    let mut server = PrivateServer::start(folder.path(), &|_| {}).await.unwrap();
    let store = PostgresStore::connect(server.connect_options(), 2).await.unwrap();
    let fence = store.take("prod", &owner("first", LONG_MS), &[]).await.unwrap();
    let mut kills = 0;
    for number in 1..=BATCHES {
        let records = vec![version(number, vec![wants(0, "a", &number.to_string())]), grant(number, 0, "a")];
        let batch = Batch { number, records, rows: vec![] };
        let (result, ()) = tokio::join!(store.commit(&fence, &batch), async {
            if number % 10 == 0 {
                // Each kill at another point of the way to the reply.
                for _ in 0..number / 5 {
                    tokio::task::yield_now().await;
                }
                kill_process(Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap(), Signal::KILL).unwrap();
            }
        });
        if number % 10 == 0 {
            kills += 1;
            server = PrivateServer::start(folder.path(), &|_| {}).await.unwrap();
        }
        // Each connection that the killed server had may have to be found dead first.
        let mut result = result;
        while let Err(HistoryError::Unavailable { .. }) = result {
            result = store.commit(&fence, &batch).await;
        }
        result.unwrap();
    }
    assert_eq!(kills, BATCHES / 10);
    let versions = store.versions("prod", None, 1_000).await.unwrap();
    let numbers: Vec<_> = versions.iter().rev().map(|version| version.number).collect();
    assert_eq!(numbers, (1..=BATCHES).map(VersionNumber).collect::<Vec<_>>());
    assert_eq!(store.attempts("prod", None, None, 1_000).await.unwrap().len() as u64, BATCHES);
    store.close().await;
    server.stop().await.unwrap();
}
