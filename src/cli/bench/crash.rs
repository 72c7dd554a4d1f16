//! What a commit that was acknowledged is worth: PostgreSQL, and then the scheduler, are killed in mid-deploy, long before a checkpoint.

use super::BenchError;
use super::database::{self, Database};
use super::figure::Figure;
use super::workload;
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session};
use crate::cli::output::Output;
use crate::core::{Name, Record};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tokio::sync::broadcast::error::RecvError;

const RESOURCES: usize = 20_000;
const TARGETS: usize = 10;
/// Outcomes that are acknowledged when the server is killed.
const ENOUGH: usize = 5_000;
/// Where what was acknowledged is noted, in the data folder.
const NOTED: &str = "acknowledged.json";

/// What was acknowledged, beside the intents of the version, which are known.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Acknowledged {
    version: i64,
    grants: Pairs,
    outcomes: Pairs,
}

/// Attempts and their resources, each in the order of the other.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Pairs {
    attempts: Vec<i64>,
    resources: Vec<i64>,
}

impl Acknowledged {
    fn note(&mut self, record: &Record) {
        match record {
            Record::Grant(_, grant) => {
                if let Some(resource) = grant.resource {
                    self.grants.push(grant.attempt.0, resource.0);
                }
            }
            Record::Outcome { resource, outcome } => self.outcomes.push(outcome.attempt.0, resource.0),
            _ => {}
        }
    }

    /// Rows of history: the version, its intents, grants and outcomes. The states that outcomes have left are looked at too, and are no more rows.
    fn count(&self) -> usize {
        1 + RESOURCES + self.grants.attempts.len() + self.outcomes.attempts.len()
    }
}

impl Pairs {
    fn push(&mut self, attempt: u64, resource: u32) {
        self.attempts.push(attempt as i64);
        self.resources.push(i64::from(resource));
    }
}

/// Deploys until enough is acknowledged, notes what was, and does not survive it.
pub(super) async fn in_mid_deploy(state: &StateOptions, output: Output) -> Result<(), CliError> {
    let declared = workload::declared("crash", RESOURCES, TARGETS);
    let choose = async |place: &Place| Ok((declared.name.clone(), place.server_process()));
    Session::run(state, output, choose, async |session: &mut Session, server| {
        session.configure(&declared).await?;
        let mut commits = session.commits();
        let version = session.push(workload::push(declared.intents.clone())).await?;
        let mut acknowledged = Acknowledged { version: version.0 as i64, ..Acknowledged::default() };
        while acknowledged.outcomes.attempts.len() < ENOUGH {
            match commits.recv().await {
                Ok(commit) => commit.records.iter().for_each(|record| acknowledged.note(record)),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(BenchError::NotDeployed(RESOURCES).into()),
            }
        }
        database::kill(server.ok_or(BenchError::NotOurs)?)?;
        let noted = serde_json::to_vec(&acknowledged).map_err(|error| CliError::Document(error.to_string()))?;
        std::fs::write(state.data_dir.join(NOTED), noted)?;
        database::kill(std::process::id())
    })
    .await
}

/// How many of the rows that were acknowledged are not there, or are others, when the server has recovered.
pub(super) async fn lost(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let noted = std::fs::read(state.data_dir.join(NOTED))?;
    let acknowledged: Acknowledged =
        serde_json::from_slice(&noted).map_err(|error| CliError::Document(error.to_string()))?;
    let mut database = Database::open(state, output).await?;
    let missing = missing(&mut database.connection, &acknowledged).await.map_err(BenchError::Database)?;
    database.close().await?;
    let figure = Figure::new("acknowledged_rows_lost_by_kill", missing as f64).at_most(0.0);
    Ok(vec![figure.beside("acknowledged when it was killed", acknowledged.count() as f64)])
}

async fn missing(connection: &mut PgConnection, acknowledged: &Acknowledged) -> Result<i64, sqlx::Error> {
    let intents = workload::declared("crash", RESOURCES, TARGETS).intents;
    let texts = |of: fn(&crate::core::Intent) -> &Name| intents.iter().map(|intent| of(intent).to_string()).collect();
    let (names, attributes): (Vec<String>, Vec<String>) =
        (texts(|intent| &intent.name), texts(|intent| &intent.attributes));
    let version = "SELECT (1 - count(*))::bigint FROM homeostat.version WHERE number = $1";
    let mut missing: i64 = sqlx::query_scalar(version).bind(acknowledged.version).fetch_one(&mut *connection).await?;
    let query = "SELECT count(*) FROM UNNEST($1::text[], $2::text[]) AS accepted (name, attributes)
        WHERE NOT EXISTS (SELECT FROM homeostat.intent
            WHERE intent.version = $3 AND intent.name = accepted.name AND intent.attributes = accepted.attributes)";
    let bound = sqlx::query_scalar::<_, i64>(query).bind(names).bind(attributes).bind(acknowledged.version);
    missing += bound.fetch_one(&mut *connection).await?;
    for (pairs, is_there) in [
        (&acknowledged.grants, "homeostat.resource_grant AS stored WHERE stored.attempt = acknowledged.attempt"),
        (&acknowledged.outcomes, "homeostat.outcome AS stored WHERE stored.attempt = acknowledged.attempt"),
        // The state is replaced by each attempt: that of an older one must not have come back.
        (
            &acknowledged.outcomes,
            "homeostat.resource_state AS stored WHERE stored.last_attempt >= acknowledged.attempt",
        ),
    ] {
        let query = format!(
            "SELECT count(*) FROM UNNEST($1::bigint[], $2::bigint[]) AS acknowledged (attempt, resource)
             WHERE NOT EXISTS (SELECT FROM {is_there} AND stored.resource = acknowledged.resource)"
        );
        let bound =
            sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(query)).bind(&pairs.attempts).bind(&pairs.resources);
        missing += bound.fetch_one(&mut *connection).await?;
    }
    Ok(missing)
}
