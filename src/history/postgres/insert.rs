//! Appends to history: one statement per table, whatever the number of rows.

use super::codes::{Code, Ending};
use super::commit::{self, Bound, Sorted, chunks};
use super::errors::Failure;
use super::table::{Table, column};
use crate::core::{
    DryRunId, Finding, Grant, IntentRecord, Name, Outcome, OutcomeKind, Record, RequestId, ResourceId, Timestamp,
    VersionNumber, VersionRecord,
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
    for chunk in
        chunks(&sorted.intents, |(_, record)| record.intent.as_ref().map_or(0, |intent| intent.attributes.len()))
    {
        intents(connection, environment, chunk).await?;
    }
    for chunk in chunks(&sorted.grants, |_| 0) {
        commit::write_rows(connection, environment, &GRANTS, |query| bind_grants(query, chunk)).await?;
    }
    for chunk in chunks(&sorted.outcomes, outcome_weight) {
        commit::write_rows(connection, environment, &OUTCOMES, |query| bind_outcomes(query, chunk)).await?;
    }
    requests(connection, environment, &sorted.requests).await?;
    requests_done(connection, environment, &sorted.requests_done).await?;
    dry_runs(connection, environment, &sorted.dry_runs).await?;
    for chunk in chunks(&sorted.dry_run_results, |(.., detail)| detail.len()) {
        dry_run_results(connection, environment, chunk).await?;
    }
    Ok(())
}

/// Bytes of an outcome's long texts.
pub(super) fn outcome_weight((_, outcome): &(ResourceId, &Outcome)) -> usize {
    let found =
        finding(&outcome.kind).map_or(0, |finding| finding.diff.len() + finding.facts.text().map_or(0, str::len));
    found + outcome.log.as_ref().map_or(0, |log| log.len())
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

async fn intents(
    connection: &mut PgConnection,
    environment: i64,
    rows: &[(VersionNumber, &IntentRecord)],
) -> Result<(), Failure> {
    let mut requires = Vec::with_capacity(rows.len());
    let mut policies = Vec::with_capacity(rows.len());
    let mut inputs = Vec::with_capacity(rows.len());
    let mut labels = Vec::with_capacity(rows.len());
    for (_, record) in rows {
        let intent = record.intent.as_ref();
        requires.push(intent.map(|intent| serde_json::to_string(&intent.requires)).transpose()?);
        policies.push(intent.map(|intent| serde_json::to_string(&intent.policy)).transpose()?);
        let filled = intent.filter(|intent| !intent.inputs.is_empty());
        inputs.push(filled.map(|intent| serde_json::to_string(&intent.inputs)).transpose()?);
        let labelled = intent.filter(|intent| !intent.labels.is_empty());
        labels.push(labelled.map(|intent| serde_json::to_string(&intent.labels)).transpose()?);
    }
    insert!(
        connection,
        environment,
        "INSERT INTO intent (environment, resource, version, name, set_name, kind, target, identity, attributes, requires, policy, inputs, labels)
             SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                                      $10::text[], $11::text[], $12::text[], $13::text[])",
        rows.iter().map(|(_, record)| i64::from(record.resource.0)),
        rows.iter().map(|(version, _)| version.0 as i64),
        rows.iter().map(|(_, record)| &*record.name),
        rows.iter().map(|(_, record)| &*record.set),
        rows.iter().map(|(_, record)| record.intent.as_ref().map(|intent| &*intent.kind)),
        rows.iter().map(|(_, record)| record.intent.as_ref().map(|intent| &*intent.target)),
        rows.iter().map(|(_, record)| record.intent.as_ref().map(|intent| &*intent.identity)),
        rows.iter().map(|(_, record)| record.intent.as_ref().map(|intent| &*intent.attributes)),
        requires.into_iter(),
        policies.into_iter(),
        inputs.into_iter(),
        labels.into_iter(),
    )?;
    Ok(())
}

/// Every grant.
pub(super) const GRANTS: Table = Table {
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

/// Binds [`GRANTS`].
pub(super) fn bind_grants(query: Bound, rows: &[(&Name, &Grant)]) -> Bound {
    let query = column(query, rows, |(_, grant)| grant.attempt.0 as i64);
    let query = column(query, rows, |(_, grant)| grant.resource.map(|resource| i64::from(resource.0)));
    let query = column(query, rows, |(_, grant)| grant.version.0 as i64);
    let query = column(query, rows, |(_, grant)| grant.epoch.0 as i64);
    let query = column(query, rows, |(_, grant)| grant.granted_at.0);
    let query = column(query, rows, |(_, grant)| grant.operation.code());
    let query = column(query, rows, |(_, grant)| grant.reason.code());
    let query = column(query, rows, |(_, grant)| grant.hash.0);
    let query = column(query, rows, |(executor, _)| &***executor);
    column(query, rows, |(_, grant)| grant.reload.as_deref())
}

/// How they ended, and skips.
pub(super) const OUTCOMES: Table = Table {
    name: "outcome",
    columns: &[
        ("attempt", "bigint"),
        ("resource", "bigint"),
        ("began_at_ms", "bigint"),
        ("finished_at_ms", "bigint"),
        ("kind", "smallint"),
        ("change", "smallint"),
        ("diff", "text"),
        ("message", "text"),
        ("remote_identity", "text"),
        ("facts", "text"),
        ("log", "text"),
    ],
    replaced_by: None,
};

/// Binds [`OUTCOMES`].
pub(super) fn bind_outcomes(query: Bound, rows: &[(ResourceId, &Outcome)]) -> Bound {
    let query = column(query, rows, |(_, outcome)| outcome.attempt.0 as i64);
    let query = column(query, rows, |(resource, _)| i64::from(resource.0));
    let query = column(query, rows, |(_, outcome)| outcome.began_at.map(|at| at.0));
    let query = column(query, rows, |(_, outcome)| outcome.finished_at.0);
    let query = column(query, rows, |(_, outcome)| ending(&outcome.kind).code());
    let query = column(query, rows, |(_, outcome)| finding(&outcome.kind).map(|finding| finding.change.code()));
    let query = column(query, rows, |(_, outcome)| finding(&outcome.kind).map(|finding| &*finding.diff));
    let query = column(query, rows, |(_, outcome)| message(&outcome.kind));
    let query = column(query, rows, |(_, outcome)| {
        finding(&outcome.kind).and_then(|finding| finding.remote_identity.as_deref())
    });
    let query = column(query, rows, |(_, outcome)| finding(&outcome.kind).and_then(|finding| finding.facts.text()));
    column(query, rows, |(_, outcome)| outcome.log.as_deref())
}

const fn ending(kind: &OutcomeKind) -> Ending {
    match kind {
        OutcomeKind::Succeeded(_) => Ending::Succeeded,
        OutcomeKind::Failed { .. } => Ending::Failed,
        OutcomeKind::Revoked => Ending::Revoked,
        OutcomeKind::Lost => Ending::Lost,
        OutcomeKind::Skipped { .. } => Ending::Skipped,
    }
}

const fn finding(kind: &OutcomeKind) -> Option<&Finding> {
    match kind {
        OutcomeKind::Succeeded(finding) => Some(finding),
        OutcomeKind::Failed { finding, .. } => finding.as_ref(),
        OutcomeKind::Revoked | OutcomeKind::Lost | OutcomeKind::Skipped { .. } => None,
    }
}

fn message(kind: &OutcomeKind) -> Option<&str> {
    match kind {
        OutcomeKind::Failed { message, .. } => Some(message),
        OutcomeKind::Skipped { because } => Some(because),
        OutcomeKind::Succeeded(_) | OutcomeKind::Revoked | OutcomeKind::Lost => None,
    }
}

/// People ask seldom; still one statement each, so that a script that asks a thousand times costs one commit.
async fn requests(connection: &mut PgConnection, environment: i64, rows: &[&Record]) -> Result<(), Failure> {
    for row in rows {
        let Record::Request { id, kind, scope, author, at, message } = row else { continue };
        sqlx::query(
            "INSERT INTO request (environment, id, taken_at_ms, kind, scope, author, message) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(environment)
        .bind(id.0 as i64)
        .bind(at.0)
        .bind(kind.code())
        .bind(serde_json::to_string(scope)?)
        .bind(&**author)
        .bind(&**message)
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

async fn dry_run_results(
    connection: &mut PgConnection,
    environment: i64,
    rows: &[(DryRunId, &Name, &'static str, &Name)],
) -> Result<(), sqlx::Error> {
    insert!(
        connection,
        environment,
        "INSERT INTO dry_run_result (environment, dry_run, name, result, detail)
             SELECT $1, * FROM UNNEST($2::bigint[], $3::text[], $4::text[], $5::text[])",
        rows.iter().map(|(id, ..)| id.0 as i64),
        rows.iter().map(|(_, name, ..)| &***name),
        rows.iter().map(|(_, _, result, _)| *result),
        rows.iter().map(|(.., detail)| &***detail),
    )
}
