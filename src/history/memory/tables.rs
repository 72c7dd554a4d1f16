//! What is known of one environment, as plain collections: the memory's answer to the tables of PostgreSQL.

use super::super::batch_check::{check_successor, refuse};
use crate::core::limits::LOST_ATTEMPTS;
use crate::core::{
    AttemptId, DryRunId, ExecutorName, Grant, Intent, IntentRecord, Life, LoadedRow, Name, OpenGrant, Outcome,
    OutcomeKind, Record, RequestId, RequestRecord, ResourceId, ResourceRow, Settings, Snapshot, Target, Thing,
    Timestamp, VersionNumber, VersionRecord,
};
use crate::history::{AttemptSummary, Batch, DryRunResult, HistoryError, RequestSummary, VersionSummary};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The history and the current state of one environment.
#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) versions: Vec<VersionRecord>,
    /// What each version said of a resource; a view of `versions` by resource.
    pub(super) intents: BTreeMap<ResourceId, Vec<(VersionNumber, IntentRecord)>>,
    pub(super) rows: BTreeMap<ResourceId, ResourceRow>,
    pub(super) grants: BTreeMap<AttemptId, (ExecutorName, Arc<Grant>)>,
    /// Those without an outcome, so that a load need not search.
    pub(super) open: BTreeSet<AttemptId>,
    pub(super) outcomes: BTreeMap<AttemptId, (ResourceId, Outcome)>,
    pub(super) late: BTreeMap<AttemptId, Outcome>,
    pub(super) requests: BTreeMap<RequestId, RequestRecord>,
    pub(super) done: BTreeMap<RequestId, Timestamp>,
    pub(super) dry_runs: BTreeMap<DryRunId, Timestamp>,
    pub(super) dry_run_results: BTreeMap<DryRunId, BTreeMap<Name, DryRunResult>>,
    settings: Option<Settings>,
    targets: BTreeMap<Name, Target>,
}

impl Tables {
    fn version(&self) -> VersionNumber {
        self.versions.last().map(|version| version.number).unwrap_or_default()
    }

    /// Refuses what contradicts what is stored. Nothing is changed.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), HistoryError> {
        let mut seen = BTreeSet::new();
        let mut once = |kind: &'static str, number: u64, stored: bool| {
            if stored || !seen.insert((kind, number)) {
                refuse(format!("{kind} {number} is recorded already"))
            } else {
                Ok(())
            }
        };
        let mut results = BTreeSet::new();
        let mut parent = self.version();
        let mut recorded = BTreeMap::new();
        for record in &batch.records {
            match record {
                Record::Version(version) => {
                    check_successor(parent, version.number)?;
                    parent = version.number;
                    let intents =
                        version.intents.iter().filter_map(|record| Some((record.resource, record.intent.as_ref()?)));
                    recorded.extend(intents.map(|(resource, intent)| ((resource, version.number), intent)));
                }
                Record::Grant(_, grant) => once("grant", grant.attempt.0, self.grants.contains_key(&grant.attempt))?,
                Record::Outcome { outcome, .. } => {
                    once("outcome of attempt", outcome.attempt.0, self.outcomes.contains_key(&outcome.attempt))?;
                }
                Record::Request(order) => once("request", order.id.0, self.requests.contains_key(&order.id))?,
                Record::RequestDone(id, _) => once("end of request", id.0, self.done.contains_key(id))?,
                Record::DryRun { id, .. } => once("dry run", id.0, self.dry_runs.contains_key(id))?,
                Record::DryRunResult { id, name, .. } => {
                    let stored = self.dry_run_results.get(id).is_some_and(|results| results.contains_key(name));
                    if stored || !results.insert((id, name)) {
                        return refuse(format!("the result of {name:?} in dry run {id} is recorded already"));
                    }
                }
                Record::LateResult(outcome) => {
                    once("late result of attempt", outcome.attempt.0, self.late.contains_key(&outcome.attempt))?;
                }
                Record::Settings(_) | Record::Target(_) | Record::TargetRemoved(_) => {}
            }
        }
        batch.rows.iter().try_for_each(|row| {
            self.check_intent(row.resource, row.version, &row.intent, &recorded)?;
            let pending = row.pending.as_ref();
            pending
                .map_or(Ok(()), |pending| self.check_intent(row.resource, pending.version, &pending.intent, &recorded))
        })
    }

    /// PostgreSQL stores only the version; that this loses nothing is checked here, where it is cheap.
    fn check_intent(
        &self,
        resource: ResourceId,
        version: VersionNumber,
        intent: &Arc<Intent>,
        batch: &BTreeMap<(ResourceId, VersionNumber), &Arc<Intent>>,
    ) -> Result<(), HistoryError> {
        let stored = || {
            let records = self.intents.get(&resource)?.iter().rev();
            let mut upserts = records.filter(|(number, record)| *number <= version && record.intent.is_some());
            upserts.next().and_then(|(_, record)| record.intent.as_ref())
        };
        let in_batch =
            batch.range((resource, VersionNumber(0))..=(resource, version)).next_back().map(|(_, intent)| *intent);
        match in_batch.or_else(stored) {
            Some(recorded) if **recorded == **intent => Ok(()),
            _ => refuse(format!(
                "the current row of {:?} holds an intent that version {version} did not record",
                intent.name
            )),
        }
    }

    /// Writes a checked batch.
    pub(super) fn apply(&mut self, batch: &Batch) {
        batch.records.iter().for_each(|record| self.append(record));
        for row in &batch.rows {
            self.rows.insert(row.resource, row.clone());
        }
    }

    fn append(&mut self, record: &Record) {
        match record {
            Record::Version(version) => {
                for intent in &version.intents {
                    self.intents.entry(intent.resource).or_default().push((version.number, intent.clone()));
                }
                self.versions.push(version.clone());
            }
            Record::Grant(executor, grant) => {
                if !self.outcomes.contains_key(&grant.attempt) {
                    self.open.insert(grant.attempt);
                }
                self.grants.insert(grant.attempt, (executor.clone(), Arc::clone(grant)));
            }
            Record::Outcome { resource, outcome } => {
                self.open.remove(&outcome.attempt);
                self.outcomes.insert(outcome.attempt, (*resource, outcome.clone()));
            }
            Record::LateResult(outcome) => {
                self.late.insert(outcome.attempt, outcome.clone());
            }
            Record::Request(order) => {
                self.requests.insert(order.id, order.clone());
            }
            Record::RequestDone(id, at) => {
                self.done.insert(*id, *at);
            }
            Record::DryRun { id, at, .. } => {
                self.dry_runs.insert(*id, *at);
            }
            Record::DryRunResult { id, name, result, detail } => {
                let result = DryRunResult { name: name.clone(), result: (*result).into(), detail: detail.clone() };
                self.dry_run_results.entry(*id).or_default().insert(name.clone(), result);
            }
            Record::Settings(settings) => self.settings = Some(settings.clone()),
            Record::Target(target) => {
                self.targets.insert(target.name.clone(), target.clone());
            }
            Record::TargetRemoved(name) => {
                self.targets.remove(name);
            }
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let last_grant = self.grants.last_key_value().map(|(attempt, _)| *attempt);
        let last_outcome = self.outcomes.last_key_value().map(|(attempt, _)| *attempt);
        let last_intent = self.intents.last_key_value().map(|(resource, _)| *resource);
        let last_row = self.rows.last_key_value().map(|(resource, _)| *resource);
        let open_requests = self.requests.iter().filter(|(id, _)| !self.done.contains_key(id));
        Snapshot {
            version: self.version(),
            last_attempt: last_grant.max(last_outcome).unwrap_or_default(),
            last_resource: last_intent.max(last_row),
            last_request: self.requests.last_key_value().map(|(id, _)| *id).unwrap_or_default(),
            last_dry_run: self.dry_runs.last_key_value().map(|(id, _)| *id).unwrap_or_default(),
            settings: self.settings.clone(),
            targets: self.targets.values().cloned().collect(),
            resources: self
                .rows
                .values()
                .filter(|row| matches!(row.life, Life::Live | Life::Tombstone | Life::Unreleased))
                .cloned()
                .map(LoadedRow::from)
                .collect(),
            grants: self.open.iter().filter_map(|attempt| self.open_grant(*attempt)).collect(),
            lost: self.lost_attempts(),
            requests: open_requests.map(|(_, open)| open.clone()).collect(),
        }
    }

    fn lost_attempts(&self) -> Vec<(AttemptId, ExecutorName)> {
        let was_lost = |(attempt, (_, outcome)): &(&AttemptId, &(ResourceId, Outcome))| {
            outcome.kind == OutcomeKind::Lost && !self.late.contains_key(attempt)
        };
        let newest = self.outcomes.iter().rev().filter(was_lost).take(LOST_ATTEMPTS);
        newest.filter_map(|(attempt, _)| Some((*attempt, self.grants.get(attempt)?.0.clone()))).collect()
    }

    fn open_grant(&self, attempt: AttemptId) -> Option<OpenGrant> {
        let (executor, grant) = self.grants.get(&attempt)?;
        let resource = grant.resource?;
        let mut intents = self.intents.get(&resource).into_iter().flatten().rev();
        Some(OpenGrant {
            attempt,
            resource,
            thing: intents.find_map(|(_, record)| record.intent.as_deref().map(Thing::of)),
            executor: executor.clone(),
            operation: grant.operation,
            reason: grant.reason,
            hash: grant.hash,
        })
    }

    pub(super) fn versions(&self, before: Option<VersionNumber>, limit: u32) -> Vec<VersionSummary> {
        let older = self.versions.iter().rev().filter(|version| before.is_none_or(|before| version.number < before));
        older.take(limit as usize).map(summary).collect()
    }

    pub(super) fn intents_at(&self, version: VersionNumber) -> Option<Vec<IntentRecord>> {
        let known =
            |version| self.versions.binary_search_by_key(&version, |record: &VersionRecord| record.number).is_ok();
        if version != VersionNumber(0) && !known(version) {
            return None;
        }
        let newest =
            self.intents.values().filter_map(|records| records.iter().rev().find(|(number, _)| *number <= version));
        Some(newest.map(|(_, record)| record).filter(|record| record.intent.is_some()).cloned().collect())
    }

    pub(super) fn attempts(
        &self,
        names: Option<&[Name]>,
        before: Option<AttemptId>,
        limit: u32,
    ) -> Vec<AttemptSummary> {
        let asked: Option<BTreeSet<&Name>> = names.map(|names| names.iter().collect());
        let numbers: BTreeSet<AttemptId> = self.grants.keys().chain(self.outcomes.keys()).copied().collect();
        let older = numbers.into_iter().rev().filter(|attempt| before.is_none_or(|before| *attempt < before));
        older.filter_map(|attempt| self.attempt(attempt, asked.as_ref())).take(limit as usize).collect()
    }

    /// `None` where the resource never had a name that is asked for.
    fn attempt(&self, attempt: AttemptId, asked: Option<&BTreeSet<&Name>>) -> Option<AttemptSummary> {
        let grant = self.grants.get(&attempt);
        let end = self.outcomes.get(&attempt);
        let resource = end.map(|(resource, _)| *resource).or_else(|| grant?.1.resource)?;
        let records = self.intents.get(&resource);
        let was_called = |asked: &BTreeSet<&Name>| {
            records.is_some_and(|records| records.iter().any(|(_, record)| asked.contains(&record.name)))
        };
        if !asked.is_none_or(was_called) {
            return None;
        }
        Some(AttemptSummary {
            attempt,
            name: records
                .and_then(|records| records.last())
                .map_or_else(|| "".into(), |(_, record)| record.name.clone()),
            version: grant.map(|(_, grant)| grant.version),
            reason: grant.map(|(_, grant)| grant.reason),
            operation: grant.map(|(_, grant)| grant.operation),
            executor: grant.map(|(executor, _)| executor.clone()),
            reload: grant.and_then(|(_, grant)| grant.reload.clone()),
            granted_at: grant.map(|(_, grant)| grant.granted_at),
            outcome: end.map(|(_, outcome)| outcome.clone()),
            late: self.late.get(&attempt).cloned(),
        })
    }

    pub(super) fn requests(&self, before: Option<RequestId>, limit: u32) -> Vec<RequestSummary> {
        let older = self.requests.iter().rev().filter(|(id, _)| before.is_none_or(|before| **id < before));
        let summary = |(id, order): (&RequestId, &RequestRecord)| RequestSummary {
            order: order.clone(),
            done_at: self.done.get(id).copied(),
        };
        older.take(limit as usize).map(summary).collect()
    }

    pub(super) fn dry_run(&self, id: DryRunId) -> Vec<DryRunResult> {
        self.dry_run_results.get(&id).into_iter().flat_map(|results| results.values().cloned()).collect()
    }
}

fn summary(version: &VersionRecord) -> VersionSummary {
    let upserts = version.intents.iter().filter(|record| record.intent.is_some()).count();
    VersionSummary {
        number: version.number,
        at: version.at,
        author: version.author.clone(),
        source: version.source.clone(),
        message: version.message.clone(),
        upserts: upserts as u32,
        removals: (version.intents.len() - upserts) as u32,
    }
}
