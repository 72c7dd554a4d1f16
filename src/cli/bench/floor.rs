//! The floor of the path: the rows of attempts by bare array statements and nothing else, in tables like history's own.

use super::BenchError;
use super::database::Meter;
use super::figure::rate;
use super::workload::RESULT_BYTES;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use std::time::Instant;

/// Attempts whose rows are written bare, at each batch size.
const ATTEMPTS: usize = 20_000;
const BATCHES: [usize; 4] = [512, 2_048, 8_192, 20_000];
/// Rows of history per attempt: the intent, its grant, its outcome, and the resource's current state, made and replaced.
pub(super) const ROWS_PER_ATTEMPT: usize = 5;
/// The tables that an attempt writes.
const TABLES: [&str; 4] = ["intent", "resource_grant", "outcome", "resource_state"];

/// Bytes of WAL per attempt, full-page images apart: of the version, and of carrying it out.
pub(super) async fn wal_per_attempt(connect: &PgConnectOptions) -> Result<[f64; 2], BenchError> {
    let mut connection = PgConnection::connect_with(connect).await?;
    make_tables(&mut connection).await?;
    let [_, batch, ..] = BATCHES;
    let meter = Meter::start(connect).await?;
    version(&mut connection, batch).await?;
    let accepted = meter.read().await?.wal_bytes;
    let meter = Meter::start(connect).await?;
    attempts(&mut connection, batch).await?;
    let carried_out = meter.read().await?.wal_bytes;
    drop_tables(&mut connection).await?;
    connection.close().await?;
    Ok([accepted, carried_out].map(|bytes| bytes / ATTEMPTS as f64))
}

/// Rows per second of the best batch size.
pub(super) async fn rows_per_s(connection: &mut PgConnection) -> Result<f64, BenchError> {
    let mut best = 0.0_f64;
    for batch in BATCHES {
        make_tables(connection).await?;
        sqlx::query("CHECKPOINT").execute(&mut *connection).await?;
        let began = Instant::now();
        version(connection, batch).await?;
        attempts(connection, batch).await?;
        best = best.max(rate(ATTEMPTS * ROWS_PER_ATTEMPT, began.elapsed()));
        drop_tables(connection).await?;
    }
    Ok(best)
}

/// Tables with the columns, constraints, indexes and storage parameters of history's, whatever those are: `LIKE` copies all but the last.
async fn make_tables(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for table in TABLES {
        let query = "SELECT coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '') FROM pg_class WHERE oid = $1::text::regclass";
        let real = sqlx::query(query).bind(format!("homeostat.{table}")).fetch_one(&mut *connection).await?;
        let storage: String = real.get(0);
        let make = format!("CREATE TABLE bare_{table} (LIKE homeostat.{table} INCLUDING ALL) {storage}");
        sqlx::query(sqlx::AssertSqlSafe(make)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn drop_tables(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for table in TABLES {
        sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE bare_{table}"))).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The intents and the states, in one transaction, as a version brings them.
async fn version(connection: &mut PgConnection, batch: usize) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for some in numbers().chunks(batch) {
        intents(&mut transaction, some).await?;
        states(&mut transaction, some, 1).await?;
    }
    transaction.commit().await
}

/// Batch by batch, grants, outcomes and the states they change.
async fn attempts(connection: &mut PgConnection, batch: usize) -> Result<(), sqlx::Error> {
    for some in numbers().chunks(batch) {
        let mut transaction = connection.begin().await?;
        grants(&mut transaction, some).await?;
        outcomes(&mut transaction, some).await?;
        states(&mut transaction, some, 2).await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn numbers() -> Vec<i64> {
    (0..ATTEMPTS as i64).collect()
}

async fn intents(connection: &mut PgConnection, numbers: &[i64]) -> Result<(), sqlx::Error> {
    let text = |length: usize| vec!["x".repeat(length); numbers.len()];
    let names: Vec<String> = numbers.iter().map(|number| format!("resource-{number}")).collect();
    sqlx::query(
        "INSERT INTO bare_intent (environment, resource, version, name, set_name, kind, target, identity, attributes, requires, policy)
             SELECT 1, resource, 1, name, 'default', 'test.Nothing', target, identity, attributes, requires, policy
             FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                 AS row (resource, name, target, identity, attributes, requires, policy)",
    )
    .bind(numbers)
    .bind(names)
    .bind(text(8))
    .bind(text(24))
    .bind(text(400))
    .bind(text(20))
    .bind(text(21))
    .execute(connection)
    .await
    .map(drop)
}

async fn grants(connection: &mut PgConnection, numbers: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO bare_resource_grant (environment, attempt, resource, version, epoch, granted_at_ms, operation, reason, intent_hash, executor)
             SELECT 1, attempt, attempt, 1, 1, attempt, 1, 2, hash, executor
             FROM UNNEST($1::bigint[], $2::bytea[], $3::text[]) AS row (attempt, hash, executor)",
    )
    .bind(numbers)
    .bind(vec![[7_u8; 16]; numbers.len()])
    .bind(vec!["x".repeat(20); numbers.len()])
    .execute(connection)
    .await
    .map(drop)
}

async fn outcomes(connection: &mut PgConnection, numbers: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO bare_outcome (environment, attempt, resource, began_at_ms, finished_at_ms, kind, change, diff)
             SELECT 1, attempt, attempt, attempt, attempt, 1, 3, diff FROM UNNEST($1::bigint[], $2::text[]) AS row (attempt, diff)",
    )
    .bind(numbers)
    .bind(vec!["x".repeat(RESULT_BYTES); numbers.len()])
    .execute(connection)
    .await
    .map(drop)
}

async fn states(connection: &mut PgConnection, numbers: &[i64], result: i16) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO bare_resource_state (environment, resource, version, failures, life, last_result, observed, skipped, attempted, succeeded,
                 set_name, maybe_changed, removal_approved)
             SELECT 1, resource, 1, 0, 1, $2, 1, false, hash, hash, 'default', false, false
             FROM UNNEST($1::bigint[], $3::bytea[]) AS row (resource, hash)
             ON CONFLICT (environment, resource) DO UPDATE SET last_result = EXCLUDED.last_result, attempted = EXCLUDED.attempted,
                 succeeded = EXCLUDED.succeeded",
    )
    .bind(numbers)
    .bind(result)
    .bind(vec![[7_u8; 16]; numbers.len()])
    .execute(connection)
    .await
    .map(drop)
}
