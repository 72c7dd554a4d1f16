//! What can be said against a batch before anything is looked up: the same for every store, so that a refusal names the record and not a constraint.
//!
//! PostgreSQL would refuse most of this too, in its own words and after the whole batch was sent. What depends on what is already stored
//! (the epoch, the batch number, the version counter, attempts in use) is each store's own to check, under its lock.

use super::{Batch, Fence, HistoryError};
use crate::core::{
    Epoch, Finding, Intent, IntentRecord, OutcomeKind, Record, RequestRecord, ResourceRow, VersionNumber, VersionRecord,
};
use std::cmp::Ordering;
use std::collections::HashSet;

/// Refuses a batch that can never be stored.
pub(super) fn check(batch: &Batch) -> Result<(), HistoryError> {
    let mut parent: Option<VersionNumber> = None;
    for record in &batch.records {
        check_record(record)?;
        if let Record::Version(version) = record {
            if let Some(parent) = parent {
                check_successor(parent, version.number)?;
            }
            parent = Some(version.number);
        }
    }
    let mut seen = HashSet::with_capacity(batch.rows.len());
    for row in &batch.rows {
        check_row(row)?;
        if !seen.insert(row.resource) {
            return refuse(format!("resource {} ({}) has two current rows", row.resource, row.intent.name));
        }
    }
    Ok(())
}

/// Versions are gap-free.
pub(super) fn check_successor(parent: VersionNumber, number: VersionNumber) -> Result<(), HistoryError> {
    if number.0 == parent.0 + 1 { Ok(()) } else { refuse(format!("version {number} does not follow version {parent}")) }
}

/// Whose the environment is, when its row says this epoch and this claim. A lower epoch is that of a database which has forgotten our take.
pub(super) fn check_owner(fence: &Fence, epoch: Epoch, claim: i64) -> Result<(), HistoryError> {
    match epoch.cmp(&fence.epoch) {
        Ordering::Equal if claim == fence.claim => Ok(()),
        Ordering::Less => {
            let found = format!("it is back at epoch {epoch}, and epoch {} was taken", fence.epoch);
            Err(HistoryError::Lost { last: None, found })
        }
        Ordering::Equal | Ordering::Greater => Err(HistoryError::Fenced { epoch: fence.epoch }),
    }
}

/// Batch numbers are gap-free per epoch. `Ok(false)`: committed already.
pub(super) fn is_next_batch(last: u64, number: u64) -> Result<bool, HistoryError> {
    match number {
        committed if committed <= last => Ok(false),
        next if next == last + 1 => Ok(true),
        _ => {
            let found = format!("batch {last} is the last one of this epoch, and batch {} was before", number - 1);
            Err(HistoryError::Lost { last: Some(last), found })
        }
    }
}

/// The error of a batch that can never be stored.
pub(super) fn refuse<T>(reason: String) -> Result<T, HistoryError> {
    Err(HistoryError::Refused { reason })
}

fn check_record(record: &Record) -> Result<(), HistoryError> {
    match record {
        Record::Version(version) => check_version(version),
        Record::Grant(executor, grant) if grant.resource.is_some() => {
            check_texts(|| format!("grant {}", grant.attempt), [Some(&**executor)])
        }
        Record::Grant(_, grant) => {
            refuse(format!("grant {} names no resource: dry runs are recorded by their results", grant.attempt))
        }
        Record::Outcome { outcome, .. } => {
            let texts = outcome_texts(&outcome.kind).into_iter().chain([outcome.log.as_deref()]);
            check_texts(|| format!("the outcome of attempt {}", outcome.attempt), texts)
        }
        Record::LateResult(outcome) => {
            let texts = outcome_texts(&outcome.kind).into_iter().chain([outcome.log.as_deref()]);
            check_texts(|| format!("the late result of attempt {}", outcome.attempt), texts)
        }
        Record::Request(RequestRecord { id, scope, author, message, .. }) => {
            let names = scope.names.iter().flatten().map(|name| Some(&**name));
            check_texts(
                || format!("request {id}"),
                [Some(&**author), Some(message), scope.target.as_deref()].into_iter().chain(names),
            )
        }
        Record::DryRun { id, author, .. } => check_texts(|| format!("dry run {id}"), [Some(&**author)]),
        Record::DryRunResult { id, name, result, detail } => check_texts(
            || format!("the result of {name:?} in dry run {id}"),
            [Some(&**name), Some(result), Some(detail)],
        ),
        Record::Target(target) => {
            let texts = [&target.name, &target.pool, &target.connection];
            check_texts(|| format!("target {:?}", target.name), texts.map(|text| Some(&**text)))
        }
        Record::TargetRemoved(name) => check_texts(|| format!("the removal of target {name:?}"), [Some(&**name)]),
        Record::RequestDone(..) | Record::Settings(_) => Ok(()),
    }
}

fn check_version(version: &VersionRecord) -> Result<(), HistoryError> {
    let texts = [&version.author, &version.source, &version.message];
    check_texts(|| format!("version {}", version.number), texts.map(|text| Some(&**text)))?;
    let mut seen = HashSet::with_capacity(version.intents.len());
    for IntentRecord { resource, name, set, intent } in &version.intents {
        let what = || format!("the intent of {name:?} in version {}", version.number);
        check_texts(what, [Some(&**name), Some(set)])?;
        check_texts(what, intent.iter().flat_map(|intent| intent_texts(intent)))?;
        if !seen.insert(resource) {
            return refuse(format!("version {} says two things of resource {resource} ({name})", version.number));
        }
    }
    Ok(())
}

fn check_row(row: &ResourceRow) -> Result<(), HistoryError> {
    let texts = [&row.error, &row.drift, &row.remote_identity];
    check_texts(
        || format!("the current row of {:?}", row.intent.name),
        texts
            .map(|text| text.as_deref())
            .into_iter()
            .chain([Some(&*row.set), row.reload.as_ref().map(|debt| &*debt.because)]),
    )
}

fn intent_texts(intent: &Intent) -> impl Iterator<Item = Option<&str>> {
    let texts = [&intent.name, &intent.kind, &intent.target, &intent.identity, &intent.attributes];
    texts.into_iter().chain(&intent.requires).map(|text| Some(&**text))
}

fn outcome_texts(kind: &OutcomeKind) -> [Option<&str>; 3] {
    fn with<'a>(message: Option<&'a str>, finding: Option<&'a Finding>) -> [Option<&'a str>; 3] {
        [message, finding.map(|finding| &*finding.diff), finding.and_then(|finding| finding.remote_identity.as_deref())]
    }
    match kind {
        OutcomeKind::Succeeded(finding) => with(None, Some(finding)),
        OutcomeKind::Failed { message, finding } => with(Some(message), finding.as_ref()),
        OutcomeKind::Skipped { because } => with(Some(because), None),
        OutcomeKind::Revoked | OutcomeKind::Lost => with(None, None),
    }
}

/// PostgreSQL's text holds every character but NUL.
pub(super) fn check_texts<'a>(
    what: impl Fn() -> String,
    texts: impl IntoIterator<Item = Option<&'a str>>,
) -> Result<(), HistoryError> {
    for text in texts.into_iter().flatten() {
        if let Some(at) = text.find('\0') {
            return refuse(format!("{} has a NUL character at byte {at} of a text", what()));
        }
    }
    Ok(())
}
