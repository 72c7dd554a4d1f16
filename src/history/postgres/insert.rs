//! Appends to history: one statement per table, whatever the number of rows.

use super::codes::Code;
use super::commit::Sorted;
use super::errors::Failure;
use super::table::{self, Columns, Row, Table, chunks};
use crate::core::{
    DryRunId, Grant, IntentRecord, Name, RequestId, RequestRecord, Timestamp, VersionNumber, VersionRecord,
};
use sqlx::PgConnection;

/// Everything that is only ever appended.
pub(super) async fn records(
    connection: &mut PgConnection,
    environment: i64,
    sorted: &Sorted<'_>,
) -> Result<(), Failure> {
    for chunk in chunks(&sorted.versions, |_| 0) {
        versions(connection, environment, chunk).await?;
    }
    let intents: Vec<IntentRow<'_>> = sorted.intents.iter().map(IntentRow::of).collect::<Result<_, _>>()?;
    table::write(connection, environment, &intents).await?;
    table::write(connection, environment, &sorted.grants).await?;
    table::write(connection, environment, &sorted.outcomes).await?;
    table::write(connection, environment, &sorted.late_results).await?;
    requests(connection, environment, &sorted.requests).await?;
    requests_done(connection, environment, &sorted.requests_done).await?;
    dry_runs(connection, environment, &sorted.dry_runs).await?;
    table::write(connection, environment, &sorted.dry_run_results).await?;
    Ok(())
}

/// Binds one array per column.
macro_rules! insert {
    ($connection:expr, $environment:expr, $sql:literal, $($column:expr),+ $(,)?) => {
        sqlx::query($sql).bind($environment)$(.bind($column.collect::<Vec<_>>()))+.execute($connection).await.map(drop)
    };
}

async fn versions(connection: &mut PgConnection, environment: i64, rows: &[&VersionRecord]) -> Result<(), sqlx::Error> {
    let upserts = |version: &VersionRecord| version.intents.iter().filter(|record| record.intent.is_some()).count();
    insert!(
        connection,
        environment,
        "INSERT INTO version (environment, number, accepted_at_ms, upserts, removals, author, source, message)
             SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[], $4::integer[], $5::integer[], $6::text[], $7::text[], $8::text[])",
        rows.iter().map(|row| row.number.0 as i64),
        rows.iter().map(|row| row.at.0),
        rows.iter().map(|row| upserts(row) as i32),
        rows.iter().map(|row| (row.intents.len() - upserts(row)) as i32),
        rows.iter().map(|row| &*row.author),
        rows.iter().map(|row| &*row.source),
        rows.iter().map(|row| &*row.message),
    )
}

/// What a version says of a resource, with what is stored as JSON.
struct IntentRow<'a> {
    version: VersionNumber,
    record: &'a IntentRecord,
    requires: Option<String>,
    policy: Option<String>,
    labels: Option<String>,
    inputs: Option<String>,
}

impl<'a> IntentRow<'a> {
    fn of((version, record): &(VersionNumber, &'a IntentRecord)) -> Result<Self, serde_json::Error> {
        let intent = record.intent.as_ref();
        let labelled = intent.filter(|intent| !intent.labels.is_empty());
        let filled = intent.filter(|intent| !intent.inputs.is_empty());
        Ok(Self {
            version: *version,
            record,
            requires: intent.map(|intent| serde_json::to_string(&intent.requires)).transpose()?,
            policy: intent.map(|intent| serde_json::to_string(&intent.policy)).transpose()?,
            labels: labelled.map(|intent| serde_json::to_string(&intent.labels)).transpose()?,
            inputs: filled.map(|intent| serde_json::to_string(&intent.inputs)).transpose()?,
        })
    }
}

impl<'a> Row<'a> for IntentRow<'a> {
    const TABLE: Table = Table {
        name: "intent",
        columns: &[
            ("resource", "bigint"),
            ("version", "bigint"),
            ("name", "text"),
            ("set_name", "text"),
            ("kind", "text"),
            ("target", "text"),
            ("identity", "text"),
            ("attributes", "text"),
            ("requires", "text"),
            ("policy", "text"),
            ("labels", "text"),
            ("inputs", "text"),
        ],
        replaced_by: None,
    };

    fn columns<C: Columns<'a, Self>>(to: C) -> C {
        to.column(|row| i64::from(row.record.resource.0))
            .column(|row| row.version.0 as i64)
            .column(|row| &*row.record.name)
            .column(|row| &*row.record.set)
            .column(|row| row.record.intent.as_ref().map(|intent| &*intent.kind))
            .column(|row| row.record.intent.as_ref().map(|intent| &*intent.target))
            .column(|row| row.record.intent.as_ref().map(|intent| &*intent.identity))
            .column(|row| row.record.intent.as_ref().map(|intent| &*intent.attributes))
            .column(|row| row.requires.as_deref())
            .column(|row| row.policy.as_deref())
            .column(|row| row.labels.as_deref())
            .column(|row| row.inputs.as_deref())
    }

    fn weight(&self) -> usize {
        self.record.intent.as_ref().map_or(0, |intent| intent.attributes.len())
    }
}

/// A grant, and to whom.
impl<'a> Row<'a> for (&'a Name, &'a Grant) {
    const TABLE: Table = Table {
        name: "resource_grant",
        columns: &[
            ("attempt", "bigint"),
            ("resource", "bigint"),
            ("version", "bigint"),
            ("epoch", "bigint"),
            ("granted_at_ms", "bigint"),
            ("operation", "smallint"),
            ("reason", "smallint"),
            ("intent_hash", "bytea"),
            ("executor", "text"),
            ("reload", "text"),
        ],
        replaced_by: None,
    };

    fn columns<C: Columns<'a, Self>>(to: C) -> C {
        to.column(|(_, grant)| grant.attempt.0 as i64)
            .column(|(_, grant)| grant.resource.map(|resource| i64::from(resource.0)))
            .column(|(_, grant)| grant.version.0 as i64)
            .column(|(_, grant)| grant.epoch.0 as i64)
            .column(|(_, grant)| grant.granted_at.0)
            .column(|(_, grant)| grant.operation.code())
            .column(|(_, grant)| grant.reason.code())
            .column(|(_, grant)| grant.hash.0)
            .column(|(executor, _)| &***executor)
            .column(|(_, grant)| grant.reload.as_deref())
    }
}

/// People ask seldom; still one statement each, so that a script that asks a thousand times costs one commit.
async fn requests(connection: &mut PgConnection, environment: i64, orders: &[&RequestRecord]) -> Result<(), Failure> {
    for RequestRecord { id, kind, scope, author, at, after, message, digest } in orders {
        sqlx::query(
            "INSERT INTO request (environment, id, taken_at_ms, after_attempt, kind, scope, author, message, digest)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(environment)
        .bind(id.0 as i64)
        .bind(at.0)
        .bind(after.0 as i64)
        .bind(kind.code())
        .bind(serde_json::to_string(scope)?)
        .bind(&**author)
        .bind(&**message)
        .bind(digest.map(|digest| digest.0))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn requests_done(
    connection: &mut PgConnection,
    environment: i64,
    rows: &[(RequestId, Timestamp)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    insert!(
        connection,
        environment,
        "INSERT INTO request_done (environment, id, done_at_ms) SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[])",
        rows.iter().map(|(id, _)| id.0 as i64),
        rows.iter().map(|(_, at)| at.0),
    )
}

async fn dry_runs(
    connection: &mut PgConnection,
    environment: i64,
    rows: &[(DryRunId, u32, &Name, Timestamp)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    insert!(
        connection,
        environment,
        "INSERT INTO dry_run (environment, id, taken_at_ms, items, author)
             SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[], $5::text[])",
        rows.iter().map(|(id, ..)| id.0 as i64),
        rows.iter().map(|(.., at)| at.0),
        rows.iter().map(|(_, items, ..)| i64::from(*items)),
        rows.iter().map(|(_, _, author, _)| &***author),
    )
}

/// What a dry run would do with one resource, and how that differs.
impl<'a> Row<'a> for (DryRunId, &'a Name, &'static str, &'a Name) {
    const TABLE: Table = Table {
        name: "dry_run_result",
        columns: &[("dry_run", "bigint"), ("name", "text"), ("result", "text"), ("detail", "text")],
        replaced_by: None,
    };

    fn columns<C: Columns<'a, Self>>(to: C) -> C {
        to.column(|(id, ..)| id.0 as i64)
            .column(|(_, name, ..)| &***name)
            .column(|(_, _, result, _)| *result)
            .column(|(.., detail)| &***detail)
    }

    fn weight(&self) -> usize {
        self.3.len()
    }
}
