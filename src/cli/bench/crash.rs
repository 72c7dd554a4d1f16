//! What a commit that was acknowledged is worth: PostgreSQL, and then the scheduler, are killed in mid-deploy, long before a checkpoint.

use super::BenchError;
use super::database::{self, Database};
use super::figure::Figure;
use super::workload;
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::embedded::{Place, Session};
use crate::cli::output::Output;
use crate::core::Record;
use tokio::sync::broadcast::error::RecvError;

const RESOURCES: usize = 20_000;
const TARGETS: usize = 10;
/// Outcomes that are acknowledged when the server is killed.
const ENOUGH: usize = 5_000;
/// Where their attempts are noted, in the data folder.
const NOTED: &str = "acknowledged.json";

/// Deploys until enough is acknowledged, notes what was, and does not survive it.
pub(super) async fn in_mid_deploy(state: &StateOptions, output: Output) -> Result<(), CliError> {
    let declared = workload::declared("crash", RESOURCES, TARGETS);
    let choose = async |place: &Place| Ok((declared.name.clone(), place.server_process()));
    Session::run(state, output, choose, async |session: &mut Session, server| {
        session.configure(&declared).await?;
        let mut commits = session.commits();
        session.push(workload::push(declared.intents.clone())).await?;
        let mut acknowledged: Vec<i64> = Vec::new();
        while acknowledged.len() < ENOUGH {
            match commits.recv().await {
                Ok(commit) => acknowledged.extend(commit.records.iter().filter_map(|record| match record {
                    Record::Outcome { outcome, .. } => Some(outcome.attempt.0 as i64),
                    _ => None,
                })),
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

/// How many of the outcomes that were acknowledged are not there when the server has recovered.
pub(super) async fn lost(state: &StateOptions, output: Output) -> Result<Vec<Figure>, CliError> {
    let noted = std::fs::read(state.data_dir.join(NOTED))?;
    let acknowledged: Vec<i64> =
        serde_json::from_slice(&noted).map_err(|error| CliError::Document(error.to_string()))?;
    let mut database = Database::open(state, output).await?;
    let query = "SELECT count(*) FROM UNNEST($1::bigint[]) AS acknowledged (attempt)
        WHERE NOT EXISTS (SELECT FROM homeostat.outcome WHERE outcome.attempt = acknowledged.attempt)";
    let missing = sqlx::query_scalar(query).bind(&acknowledged).fetch_one(&mut database.connection).await;
    let missing: i64 = missing.map_err(BenchError::Database)?;
    database.close().await?;
    let figure = Figure::new("acknowledged_rows_lost_by_kill", missing as f64).at_most(0.0);
    Ok(vec![figure.beside("acknowledged when it was killed", acknowledged.len() as f64)])
}
