//! Reading an environment as a whole: at a takeover, and for whoever asks without owning it.

use super::codes::{Code, Ending};
use super::errors::Failure;
use super::ownership::fenced;
use super::{resources, state};
use crate::core::limits::LOST_ATTEMPTS;
use crate::core::{
    AttemptId, DryRunId, Hash, Name, OpenGrant, RequestId, RequestRecord, Snapshot, Target, Thing, Timestamp,
    VersionNumber,
};
use crate::history::Fence;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

const ENVIRONMENT: &str = "
    SELECT id, version, settings, open_from,
        GREATEST((SELECT max(attempt) FROM resource_grant WHERE environment = id),
                 (SELECT max(attempt) FROM outcome WHERE environment = id), 0) AS last_attempt,
        GREATEST((SELECT max(resource) FROM intent WHERE environment = id),
                 (SELECT max(resource) FROM resource_state WHERE environment = id)) AS last_resource,
        COALESCE((SELECT max(request.id) FROM request WHERE environment = environment.id), 0) AS last_request,
        COALESCE((SELECT max(dry_run.id) FROM dry_run WHERE environment = environment.id), 0) AS last_dry_run
    FROM environment";

/// For the owner, who must be it until the end of the read.
pub(super) async fn load(connection: &mut PgConnection, fence: &Fence) -> Result<Snapshot, Failure> {
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    super::allow_long(&mut transaction).await?;
    let sql = environment_where(" WHERE id = $1 AND epoch = $2 AND claim = $3 FOR UPDATE");
    let query = sqlx::query(AssertSqlSafe(sql));
    let query = query.bind(fence.environment).bind(fence.epoch.0 as i64).bind(fence.claim);
    let environment = query.fetch_optional(&mut *transaction).await?.ok_or_else(|| fenced(fence))?;
    let snapshot = snapshot(&mut transaction, &environment).await?;
    // The next load need not look at what has ended by now.
    let open_from = snapshot.grants.first().map_or(snapshot.last_attempt.0 + 1, |grant| grant.attempt.0);
    sqlx::query("UPDATE environment SET open_from = $2 WHERE id = $1")
        .bind(fence.environment)
        .bind(open_from as i64)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(snapshot)
}

/// For everybody else: one consistent moment, and no lock.
pub(super) async fn peek(connection: &mut PgConnection, name: &str) -> Result<Option<Snapshot>, Failure> {
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    super::allow_long(&mut transaction).await?;
    let sql = environment_where(" WHERE name = $1");
    let environment = sqlx::query(AssertSqlSafe(sql)).bind(name).fetch_optional(&mut *transaction).await?;
    match environment {
        Some(environment) => snapshot(&mut transaction, &environment).await.map(Some),
        None => Ok(None),
    }
}

fn environment_where(condition: &'static str) -> String {
    format!("{ENVIRONMENT}{condition}")
}

async fn snapshot(connection: &mut PgConnection, environment: &PgRow) -> Result<Snapshot, Failure> {
    let number = |column| environment.try_get::<i64, _>(column).map(|number| number as u64);
    let id: i64 = environment.try_get("id")?;
    let settings: Option<&str> = environment.try_get("settings")?;
    Ok(Snapshot {
        version: VersionNumber(number("version")?),
        last_attempt: AttemptId(number("last_attempt")?),
        last_resource: environment.try_get::<Option<i64>, _>("last_resource")?.map(state::resource),
        last_request: RequestId(number("last_request")?),
        last_dry_run: DryRunId(number("last_dry_run")?),
        settings: settings.map(serde_json::from_str).transpose()?,
        targets: targets(connection, id).await?,
        resources: resources::read(connection, id).await?,
        grants: open_grants(connection, id, environment.try_get("open_from")?).await?,
        lost: lost_attempts(connection, id).await?,
        requests: open_requests(connection, id).await?,
    })
}

async fn targets(connection: &mut PgConnection, environment: i64) -> Result<Vec<Target>, Failure> {
    let rows = sqlx::query("SELECT definition FROM target WHERE environment = $1 ORDER BY name")
        .bind(environment)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(serde_json::from_str(row.try_get("definition")?)?)).collect()
}

async fn open_grants(
    connection: &mut PgConnection,
    environment: i64,
    open_from: i64,
) -> Result<Vec<OpenGrant>, Failure> {
    let rows = sqlx::query(
        "SELECT attempt, resource, executor, operation, reason, intent_hash, thing.target, thing.kind, thing.identity
         FROM resource_grant open
         LEFT JOIN LATERAL (
             SELECT target, kind, identity FROM intent
             WHERE intent.environment = open.environment AND intent.resource = open.resource AND target IS NOT NULL
             ORDER BY intent.version DESC LIMIT 1) thing ON true
         WHERE environment = $1 AND attempt >= $2
             AND NOT EXISTS (SELECT FROM outcome WHERE outcome.environment = open.environment AND outcome.attempt = open.attempt)
         ORDER BY attempt",
    )
    .bind(environment)
    .bind(open_from)
    .fetch_all(connection)
    .await?;
    rows.iter().map(open_grant).collect()
}

fn open_grant(row: &PgRow) -> Result<OpenGrant, Failure> {
    let part = |column: &str| row.try_get::<Option<&str>, _>(column).map(|part| part.map(Name::from));
    let thing = (part("target")?, part("kind")?, part("identity")?);
    Ok(OpenGrant {
        attempt: AttemptId(row.try_get::<i64, _>("attempt")? as u64),
        resource: state::resource(row.try_get("resource")?),
        thing: match thing {
            (Some(target), Some(kind), Some(identity)) => Some(Thing { target, kind, identity }),
            _ => None,
        },
        executor: row.try_get::<&str, _>("executor")?.into(),
        operation: Code::read(row, "operation")?,
        reason: Code::read(row, "reason")?,
        hash: Hash(row.try_get("intent_hash")?),
    })
}

async fn lost_attempts(connection: &mut PgConnection, environment: i64) -> Result<Vec<(AttemptId, Name)>, Failure> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT lost.attempt, granted.executor FROM (
             SELECT attempt FROM outcome WHERE environment = $1 AND kind = {lost}
                 AND NOT EXISTS (SELECT FROM late_result late WHERE late.environment = $1 AND late.attempt = outcome.attempt)
             ORDER BY attempt DESC LIMIT $2) lost
         JOIN resource_grant granted ON granted.environment = $1 AND granted.attempt = lost.attempt
         ORDER BY attempt DESC",
        lost = Ending::Lost.code()
    )))
    .bind(environment)
    .bind(LOST_ATTEMPTS as i64)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok((AttemptId(row.try_get::<i64, _>("attempt")? as u64), row.try_get::<&str, _>("executor")?.into()))
        })
        .collect()
}

async fn open_requests(connection: &mut PgConnection, environment: i64) -> Result<Vec<RequestRecord>, Failure> {
    let rows = sqlx::query(
        "SELECT id, kind, scope, author, taken_at_ms, after_attempt, message, digest FROM request
         WHERE environment = $1
             AND NOT EXISTS (SELECT FROM request_done WHERE request_done.environment = request.environment AND request_done.id = request.id)
         ORDER BY id",
    )
    .bind(environment)
    .fetch_all(connection)
    .await?;
    rows.iter().map(order).collect()
}

/// What somebody ordered, open or not.
pub(super) fn order(row: &PgRow) -> Result<RequestRecord, Failure> {
    Ok(RequestRecord {
        id: RequestId(row.try_get::<i64, _>("id")? as u64),
        kind: Code::read(row, "kind")?,
        scope: serde_json::from_str(row.try_get("scope")?)?,
        author: row.try_get::<&str, _>("author")?.into(),
        at: Timestamp(row.try_get("taken_at_ms")?),
        after: AttemptId(row.try_get::<i64, _>("after_attempt")? as u64),
        message: row.try_get::<&str, _>("message")?.into(),
        digest: row.try_get::<Option<[u8; 16]>, _>("digest")?.map(Hash),
    })
}
