//! The way to the database: the schema brought up to date by its owner, then a pool that works as the runtime role.

use super::Patience;
use super::errors::{classify, unavailable};
use crate::history::{HistoryError, limits};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool, SqlSafeStr};
use std::borrow::Cow;

/// Every migration, oldest first. A released one is never edited.
const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "history", include_str!("../../../migrations/0001_history.sql"))];
const ROLES: &str = include_str!("roles.sql");
/// Everything lives in a schema of its own, so that a database may be shared.
pub(super) const SCHEMA: &str = "homeostat";

/// Brings the schema up to date and opens a pool.
pub(super) async fn open(
    options: PgConnectOptions,
    max_connections: u32,
    patience: Patience,
) -> Result<PgPool, HistoryError> {
    // A URL's own statement logging is not wanted: binds are the users' data, and thousands of statements a second are nobody's reading.
    let options = options.disable_statement_logging();
    let prepared = tokio::time::timeout(patience.long_call, prepare(&options)).await;
    let restricted = prepared
        .map_err(|elapsed| HistoryError::Unavailable { doing: "preparing the schema", source: Box::new(elapsed) })??;
    if !restricted {
        tracing::warn!(
            "the database login may not act as the role homeostat_runtime, so only triggers keep history append-only; \
             an administrator can run: CREATE ROLE homeostat_runtime NOLOGIN; GRANT homeostat_runtime TO <login>"
        );
    }
    // Compiling a statement takes longer than any of ours: a third of the time of loading a hundred thousand resources.
    let session = AssertSqlSafe(format!(
        "SET search_path = {SCHEMA}; SET jit = off; SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; {}",
        statement_ms(patience),
        statement_ms(patience),
        limits::IDLE_IN_TRANSACTION_MS,
        if restricted { "SET ROLE homeostat_runtime" } else { "" },
    ))
    .into_sql_str();
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(patience.acquire)
        // A connection is tried when it is given back. Trying it again before its next use would cost each of a chain of commits a way there and back.
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move {
                if used.idle_for > limits::IDLE_UNTRIED {
                    return Ok(connection.ping().await.is_ok());
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(async move { sqlx::raw_sql(session).execute(connection).await.map(drop) })
        })
        .connect_with(options);
    pool.await.map_err(|error| classify("connecting to the database", error))
}

/// A little less than the call, so that the database gives up first and the connection can go on.
pub(super) fn statement_ms(patience: Patience) -> u128 {
    (patience.call * 5 / 6).as_millis().max(1) // 0 would mean no bound at all
}

/// As the schema's owner: migrations and roles. True: the runtime role can be taken.
async fn prepare(options: &PgConnectOptions) -> Result<bool, HistoryError> {
    let mut connection = options.connect().await.map_err(|error| classify("connecting to the database", error))?;
    let doing = "preparing the schema";
    check_encoding(&mut connection).await?;
    let outdated = match applied(&mut connection).await.map_err(|error| classify(doing, error))? {
        Some(newest) => newest < newest_known(),
        None => true,
    };
    if outdated {
        migrate(&mut connection).await?;
    }
    check_compatible(&mut connection).await?;
    if is_owner(&mut connection).await.map_err(|error| classify(doing, error))? {
        sqlx::raw_sql(ROLES)
            .execute(&mut connection)
            .await
            .map_err(|error| classify("creating the runtime role", error))?;
    }
    let restricted = sqlx::query("SET ROLE homeostat_runtime").execute(&mut connection).await.is_ok();
    let _ = connection.close().await; // nothing is left to be lost on it
    Ok(restricted)
}

/// In another encoding a name that somebody writes tomorrow may not exist.
async fn check_encoding(connection: &mut PgConnection) -> Result<(), HistoryError> {
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(connection)
        .await
        .map_err(|error| classify("reading the database's encoding", error))?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(HistoryError::Schema {
        found: format!("encoding {encoding}"),
        needed: "encoding UTF8".into(),
        advice: "create the database with TEMPLATE template0 ENCODING 'UTF8'".into(),
    })
}

fn newest_known() -> i64 {
    MIGRATIONS.last().map_or(0, |(number, ..)| *number)
}

/// The newest migration that was applied; `None` where there is no schema.
async fn applied(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('homeostat._sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(None);
    }
    sqlx::query_scalar("SELECT max(version) FROM homeostat._sqlx_migrations WHERE success").fetch_one(connection).await
}

async fn migrate(connection: &mut PgConnection) -> Result<(), HistoryError> {
    let migrations = MIGRATIONS.iter().map(|&(number, description, sql)| {
        Migration::new(number, Cow::Borrowed(description), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Newer ones may be there: whether this release can live with them is said by the table `compatibility`.
    migrator.set_ignore_missing(true);
    let doing = "migrating the schema";
    let unavailable = |error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => unavailable(doing, error),
        error => HistoryError::Unavailable { doing, source: Box::new(error) },
    };
    // The lock first: two processes that start on an empty database would both create the schema.
    connection.lock().await.map_err(unavailable)?;
    let created = sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS homeostat; SET search_path = homeostat")
        .execute(&mut *connection)
        .await;
    created.map_err(|error| classify("creating the schema", error))?;
    migrator.set_locking(false);
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => connection.unlock().await.map_err(unavailable),
        Err(MigrateError::VersionMismatch(number)) => Err(HistoryError::Schema {
            found: format!("a migration {number} of other content"),
            needed: format!("{}", newest_known()),
            advice: "this database was made by a release that was never published; use another database".into(),
        }),
        Err(error) => Err(unavailable(error)),
    }
}

async fn check_compatible(connection: &mut PgConnection) -> Result<(), HistoryError> {
    let readable_from: i64 = sqlx::query_scalar("SELECT readable_from FROM homeostat.compatibility")
        .fetch_one(connection)
        .await
        .map_err(|error| classify("reading the schema's compatibility", error))?;
    if readable_from <= newest_known() {
        return Ok(());
    }
    Err(HistoryError::Schema {
        found: readable_from.to_string(),
        needed: format!("{} or older", newest_known()),
        advice: "a newer release has migrated this database; run that release, or restore a backup of before".into(),
    })
}

/// Whether this login may grant what it owns; another one was set up by an administrator.
async fn is_owner(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'homeostat.environment'::regclass",
    )
    .fetch_one(connection)
    .await
}
