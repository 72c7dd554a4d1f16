//! The group commit: one transaction that compares, counts, appends and replaces.

use super::attempts::Attempts;
use super::errors::Failure;
use super::outcomes::LateResult;
use super::{insert, ownership, state};
use crate::core::{
    DryRunId, Grant, IntentRecord, Name, Outcome, Record, RequestId, RequestRecord, ResourceId, Settings, Target,
    Timestamp, VersionNumber, VersionRecord,
};
use crate::history::{Batch, Fence, batch_check};
use sqlx::{Connection, PgConnection};
use std::collections::BTreeMap;

/// The records of a batch by table, each in the batch's order.
#[derive(Default)]
pub(super) struct Sorted<'a> {
    pub(super) versions: Vec<&'a VersionRecord>,
    pub(super) intents: Vec<(VersionNumber, &'a IntentRecord)>,
    pub(super) grants: Vec<(&'a Name, &'a Grant)>,
    pub(super) outcomes: Vec<(ResourceId, &'a Outcome)>,
    pub(super) late_results: Vec<LateResult<'a>>,
    pub(super) requests: Vec<&'a RequestRecord>,
    pub(super) requests_done: Vec<(RequestId, Timestamp)>,
    pub(super) dry_runs: Vec<(DryRunId, u32, &'a Name, Timestamp)>,
    pub(super) dry_run_results: Vec<(DryRunId, &'a Name, &'static str, &'a Name)>,
    /// Current state: the last one counts.
    pub(super) settings: Option<&'a Settings>,
    /// `None`: removed.
    pub(super) targets: BTreeMap<&'a Name, Option<&'a Target>>,
}

impl<'a> Sorted<'a> {
    fn new(records: &'a [Record]) -> Self {
        let mut sorted = Self::default();
        for record in records {
            match record {
                Record::Version(version) => {
                    sorted.intents.extend(version.intents.iter().map(|intent| (version.number, intent)));
                    sorted.versions.push(version);
                }
                Record::Grant(executor, grant) => sorted.grants.push((executor, grant)),
                Record::Outcome { resource, outcome } => sorted.outcomes.push((*resource, outcome)),
                Record::LateResult(outcome) => sorted.late_results.push(LateResult(outcome)),
                Record::Request(order) => sorted.requests.push(order),
                Record::RequestDone(id, at) => sorted.requests_done.push((*id, *at)),
                Record::DryRun { id, items, author, at } => sorted.dry_runs.push((*id, *items, author, *at)),
                Record::DryRunResult { id, name, result, detail } => {
                    sorted.dry_run_results.push((*id, name, result, detail));
                }
                Record::Settings(settings) => sorted.settings = Some(settings),
                Record::Target(target) => {
                    sorted.targets.insert(&target.name, Some(target));
                }
                Record::TargetRemoved(name) => {
                    sorted.targets.insert(name, None);
                }
            }
        }
        sorted
    }
}

/// Commits a checked batch.
pub(super) async fn commit(connection: &mut PgConnection, fence: &Fence, batch: &Batch) -> Result<(), Failure> {
    let sorted = Sorted::new(&batch.records);
    if let Some(attempts) = Attempts::of(&sorted, &batch.rows)
        && attempts.commit(connection, fence, batch.number).await?
    {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    write(&mut transaction, fence, batch, &sorted).await?;
    transaction.commit().await?;
    Ok(())
}

/// Finds out how a checked batch would fare.
pub(super) async fn probe(connection: &mut PgConnection, fence: &Fence, batch: &Batch) -> Result<(), Failure> {
    if batch.is_empty() {
        let found = ownership::look(connection, fence).await?;
        batch_check::is_next_batch(found.last_batch, batch.number)?;
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    write(&mut transaction, fence, batch, &Sorted::new(&batch.records)).await?;
    transaction.rollback().await?;
    Ok(())
}

/// Nothing is written of a batch that was committed before.
async fn write(
    connection: &mut PgConnection,
    fence: &Fence,
    batch: &Batch,
    sorted: &Sorted<'_>,
) -> Result<(), Failure> {
    let versions = sorted.versions.first().zip(sorted.versions.last()).map(|(first, last)| (first.number, last.number));
    if !ownership::advance(connection, fence, batch.number, versions).await? {
        // Why not is asked only now: one statement less for every batch that is as it should be.
        let locked = ownership::lock(connection, fence).await?;
        if !batch_check::is_next_batch(locked.last_batch, batch.number)? {
            return Ok(());
        }
        if let Some((first, _)) = versions {
            batch_check::check_successor(locked.version, first)?;
        }
        // What stood in the way has been undone just now; nothing can come between any more.
        ownership::advance(connection, fence, batch.number, versions).await?;
    }
    let environment = fence.environment;
    insert::records(connection, environment, sorted).await?;
    state::replace(connection, environment, &batch.rows, versions.is_some()).await?;
    targets(connection, environment, &sorted.targets).await?;
    if let Some(settings) = sorted.settings {
        let settings = serde_json::to_string(settings)?;
        sqlx::query("UPDATE environment SET settings = $2 WHERE id = $1")
            .bind(environment)
            .bind(settings)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn targets(
    connection: &mut PgConnection,
    environment: i64,
    targets: &BTreeMap<&Name, Option<&Target>>,
) -> Result<(), Failure> {
    let removed: Vec<&str> = targets.iter().filter(|(_, target)| target.is_none()).map(|(name, _)| &***name).collect();
    if !removed.is_empty() {
        sqlx::query("DELETE FROM target WHERE environment = $1 AND name = ANY($2)")
            .bind(environment)
            .bind(removed)
            .execute(&mut *connection)
            .await?;
    }
    let present: Vec<&Target> = targets.values().filter_map(|target| *target).collect();
    if !present.is_empty() {
        let names: Vec<&str> = present.iter().map(|target| &*target.name).collect();
        let definitions: Vec<String> = present.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        sqlx::query(
            "INSERT INTO target (environment, name, definition) SELECT $1, * FROM UNNEST($2::text[], $3::text[])
                 ON CONFLICT (environment, name) DO UPDATE SET definition = EXCLUDED.definition",
        )
        .bind(environment)
        .bind(names)
        .bind(definitions)
        .execute(connection)
        .await?;
    }
    Ok(())
}
