//! Reads for people: versions, attempts, dry runs. Bounded, newest first, by keys that paging cannot upset.

use super::codes::{Code, Ending};
use super::copied;
use super::errors::Failure;
use super::load;
use super::state::{self, INTENT_COLUMNS, Shared};
use crate::core::{
    AttemptId, DryRunId, Facts, Finding, IntentRecord, Name, Outcome, OutcomeKind, RequestId, Timestamp, VersionNumber,
};
use crate::history::limits::RESOURCES_ONE_BY_ONE;
use crate::history::{AttemptSummary, DryRunResult, RequestSummary, VersionSummary};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::sync::Arc;

pub(super) async fn environments(connection: &mut PgConnection) -> Result<Vec<Name>, Failure> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM environment ORDER BY name").fetch_all(connection).await?;
    Ok(names.into_iter().map(Into::into).collect())
}

pub(super) async fn versions(
    connection: &mut PgConnection,
    environment: &str,
    before: Option<VersionNumber>,
    limit: u32,
) -> Result<Vec<VersionSummary>, Failure> {
    let rows = sqlx::query(
        "SELECT number, accepted_at_ms, author, source, message, upserts, removals FROM version
         WHERE environment = (SELECT id FROM environment WHERE name = $1) AND number < $2 ORDER BY number DESC LIMIT $3",
    )
    .bind(environment)
    .bind(before.map_or(i64::MAX, |before| before.0 as i64))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(version).collect()
}

fn version(row: &PgRow) -> Result<VersionSummary, Failure> {
    let name = |column| row.try_get::<&str, _>(column).map(Name::from);
    Ok(VersionSummary {
        number: VersionNumber(row.try_get::<i64, _>("number")? as u64),
        at: Timestamp(row.try_get("accepted_at_ms")?),
        author: name("author")?,
        source: name("source")?,
        message: name("message")?,
        upserts: row.try_get::<i32, _>("upserts")? as u32,
        removals: row.try_get::<i32, _>("removals")? as u32,
    })
}

pub(super) async fn intents_at(
    connection: &mut PgConnection,
    environment: &str,
    version: VersionNumber,
) -> Result<Option<Vec<IntentRecord>>, Failure> {
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    super::allow_long(&mut transaction).await?;
    let id: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM environment WHERE name = $1 AND version >= $2
             AND ($2 = 0 OR EXISTS (SELECT FROM version WHERE version.environment = environment.id AND number = $2))",
    )
    .bind(environment)
    .bind(version.0 as i64)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(id) = id else { return Ok(None) };
    let query = format!(
        "SELECT resource, name, set_name, {INTENT_COLUMNS} FROM (
             SELECT DISTINCT ON (resource) * FROM intent WHERE environment = {id} AND version <= {} ORDER BY resource, version DESC
         ) intent WHERE kind IS NOT NULL ORDER BY resource",
        version.0 as i64
    );
    let read = copied::read(&mut transaction, &query, (Vec::new(), Shared::default()), |(records, shared), cells| {
        records.push(IntentRecord {
            resource: state::resource(cells.next()?),
            name: shared.name(cells.text()?),
            set: shared.name(cells.text()?),
            intent: Some(Arc::new(state::read_intent(cells, shared)?)),
        });
        Ok(())
    });
    read.await.map(|(records, _)| Some(records))
}

/// A page costs what is in it and not what history has: what the database knows of that is old, and by it a page is found by reading everything.
const BY_KEY: &str = "BEGIN READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";

/// Numbers first, from the keys alone, then what belongs to them. A skip has no grant and an open attempt no outcome.
const ATTEMPTS: &str = "
    WITH numbers AS (
        (SELECT attempt FROM resource_grant WHERE environment = $1 AND attempt < $2 ORDER BY attempt DESC LIMIT $3)
        UNION
        (SELECT attempt FROM outcome WHERE environment = $1 AND attempt < $2 ORDER BY attempt DESC LIMIT $3)
    ), page AS (SELECT attempt FROM numbers ORDER BY attempt DESC LIMIT $3)";

pub(super) async fn requests(
    connection: &mut PgConnection,
    environment: &str,
    before: Option<RequestId>,
    limit: u32,
) -> Result<Vec<RequestSummary>, Failure> {
    let rows = sqlx::query(
        "SELECT request.id, kind, scope, author, message, taken_at_ms, after_attempt, digest, done_at_ms FROM request
         LEFT JOIN request_done done ON done.environment = request.environment AND done.id = request.id
         WHERE request.environment = (SELECT id FROM environment WHERE name = $1) AND request.id < $2
         ORDER BY request.id DESC LIMIT $3",
    )
    .bind(environment)
    .bind(before.map_or(i64::MAX, |before| before.0 as i64))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(request).collect()
}

fn request(row: &PgRow) -> Result<RequestSummary, Failure> {
    Ok(RequestSummary { order: load::order(row)?, done_at: time(row, "done_at_ms")? })
}

/// The same of a few resources: ended attempts by index, open ones from the few that are open.
const ATTEMPTS_OF_FEW: &str = "
    WITH called AS (SELECT unnest($4::bigint[]) AS resource),
    numbers AS (
        (SELECT recent.attempt FROM called CROSS JOIN LATERAL (
             SELECT attempt FROM outcome
             WHERE outcome.environment = $1 AND outcome.resource = called.resource AND attempt < $2 ORDER BY attempt DESC LIMIT $3
         ) recent)
        UNION
        (SELECT attempt FROM resource_grant open
         WHERE environment = $1 AND attempt < $2 AND attempt >= (SELECT open_from FROM environment WHERE id = $1)
             AND resource IN (SELECT resource FROM called)
             AND NOT EXISTS (SELECT FROM outcome WHERE outcome.environment = open.environment AND outcome.attempt = open.attempt))
    ), page AS (SELECT attempt FROM numbers ORDER BY attempt DESC LIMIT $3)";

/// The same of many: attempts one by one, the newest first, until enough of them are theirs.
const ATTEMPTS_OF_MANY: &str = "
    WITH numbers AS (
        (SELECT attempt FROM resource_grant WHERE environment = $1 AND attempt < $2 AND resource = ANY ($4) ORDER BY attempt DESC LIMIT $3)
        UNION
        (SELECT attempt FROM outcome WHERE environment = $1 AND attempt < $2 AND resource = ANY ($4) ORDER BY attempt DESC LIMIT $3)
    ), page AS (SELECT attempt FROM numbers ORDER BY attempt DESC LIMIT $3)";

/// `OFFSET 0` keeps the lookups lookups: a planner that expects a few attempts compares all with all.
const ATTEMPT_COLUMNS: &str = "
    SELECT page.attempt, granted.version, granted.reason, granted.operation, granted.executor, granted.reload, granted.granted_at_ms,
        outcome.began_at_ms, outcome.finished_at_ms, outcome.kind, outcome.change, outcome.diff, outcome.message, outcome.remote_identity, outcome.facts,
        outcome.log, late.began_at_ms AS late_began_at_ms, late.finished_at_ms AS late_finished_at_ms, late.kind AS late_kind,
        late.change AS late_change, late.diff AS late_diff, late.message AS late_message, late.remote_identity AS late_remote_identity,
        late.facts AS late_facts, late.log AS late_log,
        COALESCE((SELECT name FROM intent WHERE environment = $1 AND intent.resource = COALESCE(outcome.resource, granted.resource)
                  ORDER BY version DESC LIMIT 1), '') AS name
    FROM page
    LEFT JOIN LATERAL (SELECT * FROM resource_grant WHERE environment = $1 AND attempt = page.attempt OFFSET 0) granted ON true
    LEFT JOIN LATERAL (SELECT * FROM outcome WHERE environment = $1 AND attempt = page.attempt OFFSET 0) outcome ON true
    LEFT JOIN LATERAL (SELECT * FROM late_result WHERE environment = $1 AND attempt = page.attempt OFFSET 0) late ON true
    ORDER BY page.attempt DESC";

pub(super) async fn attempts(
    connection: &mut PgConnection,
    environment: &str,
    names: Option<&[Name]>,
    before: Option<AttemptId>,
    limit: u32,
) -> Result<Vec<AttemptSummary>, Failure> {
    let mut transaction = connection.begin_with(BY_KEY).await?;
    let id: Option<i64> = sqlx::query_scalar("SELECT id FROM environment WHERE name = $1")
        .bind(environment)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(id) = id else { return Ok(Vec::new()) };
    let resources = match names {
        Some(names) => Some(ever_called(&mut transaction, id, names).await?),
        None => None,
    };
    let page = match &resources {
        None => ATTEMPTS,
        Some(few) if few.len() <= RESOURCES_ONE_BY_ONE => ATTEMPTS_OF_FEW,
        Some(_) => ATTEMPTS_OF_MANY,
    };
    let query = sqlx::query(AssertSqlSafe(format!("{page}{ATTEMPT_COLUMNS}")))
        .bind(id)
        .bind(before.map_or(i64::MAX, |before| before.0 as i64))
        .bind(i64::from(limit));
    let query = if let Some(resources) = resources { query.bind(resources) } else { query };
    let rows = query.fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    rows.iter().map(attempt).collect()
}

/// The resources that have, or ever had, one of these names.
async fn ever_called(connection: &mut PgConnection, environment: i64, names: &[Name]) -> Result<Vec<i64>, Failure> {
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let query = sqlx::query_scalar("SELECT DISTINCT resource FROM intent WHERE environment = $1 AND name = ANY ($2)");
    Ok(query.bind(environment).bind(names).fetch_all(connection).await?)
}

fn attempt(row: &PgRow) -> Result<AttemptSummary, Failure> {
    let number = AttemptId(row.try_get::<i64, _>("attempt")? as u64);
    let granted_at = time(row, "granted_at_ms")?;
    Ok(AttemptSummary {
        attempt: number,
        name: row.try_get::<&str, _>("name")?.into(),
        version: row.try_get::<Option<i64>, _>("version")?.map(|version| VersionNumber(version as u64)),
        reason: granted_at.map(|_| Code::read(row, "reason")).transpose()?,
        operation: granted_at.map(|_| Code::read(row, "operation")).transpose()?,
        executor: text(row, "executor")?,
        reload: text(row, "reload")?,
        granted_at,
        outcome: outcome(row, number, "")?,
        late: outcome(row, number, "late_")?,
    })
}

/// What of an outcome is in the columns whose names begin so.
fn outcome(row: &PgRow, attempt: AttemptId, prefix: &str) -> Result<Option<Outcome>, Failure> {
    let called = |column: &str| format!("{prefix}{column}");
    let text = |column: &str| text(row, &called(column));
    let Some(finished_at) = time(row, &called("finished_at_ms"))? else { return Ok(None) };
    let finding = || match row.try_get::<Option<i16>, _>(&*called("change"))? {
        None => Ok(None),
        Some(_) => Ok::<_, Failure>(Some(Finding {
            change: Code::read(row, &called("change"))?,
            diff: text("diff")?.unwrap_or_default(),
            remote_identity: text("remote_identity")?,
            facts: Facts::from_text(row.try_get(&*called("facts"))?),
            secret_digest: None,
        })),
    };
    let kind = match Ending::read(row, &called("kind"))? {
        Ending::Succeeded => OutcomeKind::Succeeded(finding()?.unwrap_or_else(Finding::same)),
        Ending::Failed => OutcomeKind::Failed { message: text("message")?.unwrap_or_default(), finding: finding()? },
        Ending::Revoked => OutcomeKind::Revoked,
        Ending::Lost => OutcomeKind::Lost,
        Ending::Skipped => OutcomeKind::Skipped { because: text("message")?.unwrap_or_default() },
    };
    let began_at = time(row, &called("began_at_ms"))?;
    Ok(Some(Outcome { attempt, began_at, finished_at, kind, log: text("log")? }))
}

pub(super) async fn dry_run(
    connection: &mut PgConnection,
    environment: &str,
    id: DryRunId,
) -> Result<Vec<DryRunResult>, Failure> {
    let mut rows = sqlx::query(
        "SELECT name, result, detail FROM dry_run_result
         WHERE environment = (SELECT id FROM environment WHERE name = $1) AND dry_run = $2",
    )
    .bind(environment)
    .bind(id.0 as i64)
    .fetch(connection);
    let mut results = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let name = |column| row.try_get::<&str, _>(column).map(Name::from);
        results.push(DryRunResult { name: name("name")?, result: name("result")?, detail: name("detail")? });
    }
    // The database would sort before it answers, on its disk where there are many; so it answers at once.
    results.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(results)
}

/// A text column that may be null.
fn text(row: &PgRow, column: &str) -> Result<Option<Name>, sqlx::Error> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Into::into))
}

/// A time column that may be null.
fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::test_database;
    use sqlx::Executor;

    #[tokio::test]
    async fn a_page_of_attempts_is_found_by_key_whatever_the_database_knows() {
        let mut connection = test_database::empty_history().await;
        connection
            .execute("INSERT INTO environment (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'prod')")
            .await
            .unwrap();
        let attempts = [
            r"INSERT INTO resource_grant (environment, attempt, resource, version, epoch, granted_at_ms, operation, reason, intent_hash, executor)
              SELECT 1, number, number % 100, 1, 1, 0, 1, 1, decode(repeat('00', 16), 'hex'), 'e1' FROM generate_series(1, 20000) number",
            "INSERT INTO outcome (environment, attempt, resource, finished_at_ms, kind)
              SELECT 1, number, number % 100, 0, 1 FROM generate_series(1, 20000) number",
        ];
        for rows in attempts {
            connection.execute(rows).await.unwrap();
        }
        for knowledge in ["SELECT 'nothing'", "ANALYZE"] {
            connection.execute(knowledge).await.unwrap();
            let mut transaction = connection.begin_with(BY_KEY).await.unwrap();
            let page = format!("EXPLAIN {ATTEMPTS}{ATTEMPT_COLUMNS}");
            let page = page.replace("$1", "1").replace("$2", "15000").replace("$3", "5000");
            let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(page)).fetch_all(&mut *transaction).await.unwrap();
            let whole = ["Bitmap", "Seq Scan", "Materialize", "Join Filter", "Hash Cond", "Merge Cond"];
            let whole: Vec<&String> = plan.iter().filter(|line| whole.iter().any(|how| line.contains(how))).collect();
            assert!(whole.is_empty(), "{whole:?} in {plan:#?}");
        }
    }
}
