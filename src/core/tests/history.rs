//! A tiny history: folds effects into what an owner reads back, and refuses what the real one would refuse.

use crate::core::{
    AttemptId, DryRunId, Effects, EnvironmentState, ExecutorName, Grant, Intent, Life, LoadedRow, Name, OpenGrant,
    Outcome, OutcomeKind, Record, RequestId, RequestRecord, ResourceId, ResourceRow, Settings, Snapshot, Target, Thing,
    VersionNumber,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Default)]
pub(in crate::core) struct History {
    pub(super) version: VersionNumber,
    pub(super) intents: BTreeMap<(ResourceId, VersionNumber), Option<Arc<Intent>>>,
    pub(super) rows: BTreeMap<ResourceId, ResourceRow>,
    pub(super) grants: BTreeMap<AttemptId, (ExecutorName, Arc<Grant>)>,
    pub(super) outcomes: BTreeMap<AttemptId, (ResourceId, Outcome)>,
    pub(super) late: BTreeMap<AttemptId, Outcome>,
    pub(super) requests: BTreeMap<RequestId, RequestRecord>,
    pub(super) requests_done: BTreeSet<RequestId>,
    pub(super) dry_runs: BTreeMap<DryRunId, (u32, BTreeMap<Name, (&'static str, Name)>)>,
    settings: Option<Settings>,
    targets: BTreeMap<Name, Target>,
}

impl History {
    /// Commits the effects of one step, as the scheduler's writer does: records in order, then the rows as they stand.
    pub(super) fn commit(&mut self, effects: &Effects, state: &EnvironmentState) {
        for record in &effects.records {
            self.append(record);
        }
        let current = effects.rows.iter().filter_map(|&id| state.row(id));
        for row in current.chain(&effects.left) {
            self.put(row);
        }
    }

    fn append(&mut self, record: &Record) {
        match record {
            Record::Version(version) => {
                self.version.0 += 1;
                assert_eq!(version.number, self.version, "I5: versions are gap-free");
                for entry in &version.intents {
                    let before = self.intents.insert((entry.resource, version.number), entry.intent.clone());
                    assert!(before.is_none(), "two entries for resource {} in one version", entry.resource);
                }
            }
            Record::Grant(executor, grant) => {
                let newer = self.last_attempt() < grant.attempt;
                assert!(newer, "I4: attempt {} is not newer than all before", grant.attempt);
                self.grants.insert(grant.attempt, (executor.clone(), Arc::clone(grant)));
            }
            Record::Outcome { resource, outcome } => self.end(*resource, outcome),
            Record::LateResult(outcome) => {
                let (_, ended) = &self.outcomes[&outcome.attempt];
                assert_eq!(ended.kind, OutcomeKind::Lost, "Q5: only what was lost is reported late");
                let before = self.late.insert(outcome.attempt, outcome.clone());
                assert!(before.is_none(), "Q5: attempt {} has two late results", outcome.attempt);
            }
            Record::Request(order) => {
                let before = self.requests.insert(order.id, order.clone());
                assert!(before.is_none(), "request {} is recorded twice", order.id);
            }
            Record::RequestDone(id, _) => {
                assert!(self.requests.contains_key(id), "request {id} ends and was never recorded");
                assert!(self.requests_done.insert(*id), "request {id} ends twice");
            }
            Record::DryRun { id, items, .. } => {
                let before = self.dry_runs.insert(*id, (*items, BTreeMap::new()));
                assert!(before.is_none(), "dry run {id} is recorded twice");
            }
            Record::DryRunResult { id, name, result, detail } => {
                let results = &mut self.dry_runs.get_mut(id).unwrap().1;
                let before = results.insert(name.clone(), (*result, detail.clone()));
                assert!(before.is_none(), "{name} has two results in dry run {id}");
            }
            Record::Settings(settings) => self.settings = Some(settings.clone()),
            Record::Target(target) => drop(self.targets.insert(target.name.clone(), target.clone())),
            Record::TargetRemoved(name) => {
                assert!(self.targets.remove(name).is_some(), "target {name} was removed and never recorded");
            }
        }
    }

    fn end(&mut self, resource: ResourceId, outcome: &Outcome) {
        let attempt = outcome.attempt;
        if let Some((_, grant)) = self.grants.get(&attempt) {
            assert_eq!(grant.resource, Some(resource), "attempt {attempt} ends for another resource");
        } else {
            assert!(matches!(outcome.kind, OutcomeKind::Skipped { .. }), "attempt {attempt} ends ungranted");
            assert!(self.last_attempt() < attempt, "I4: skip {attempt} is not newer than all before");
        }
        let before = self.outcomes.insert(attempt, (resource, outcome.clone()));
        assert!(before.is_none(), "I5: attempt {attempt} has two outcomes");
    }

    fn put(&mut self, row: &ResourceRow) {
        let recorded = self.intents.range((row.resource, VersionNumber(0))..=(row.resource, row.version));
        let newest = recorded.rev().find_map(|(_, intent)| intent.as_ref());
        assert_eq!(
            newest,
            Some(&row.intent),
            "the row of {} holds an intent its version did not record",
            row.intent.name
        );
        if let Some(pending) = &row.pending {
            let said = self.intents[&(row.resource, pending.version)].as_ref();
            assert_eq!(
                said,
                Some(&pending.intent).filter(|_| !pending.removed),
                "what waits for its release was not recorded"
            );
        }
        self.rows.insert(row.resource, row.clone());
    }

    fn last_attempt(&self) -> AttemptId {
        let granted = self.grants.last_key_value().map(|(&attempt, _)| attempt);
        granted.max(self.outcomes.last_key_value().map(|(&attempt, _)| attempt)).unwrap_or_default()
    }

    pub(super) fn open_grants(&self) -> impl Iterator<Item = AttemptId> + '_ {
        self.grants.keys().copied().filter(|attempt| !self.outcomes.contains_key(attempt))
    }

    fn lost(&self) -> impl Iterator<Item = (AttemptId, ExecutorName)> {
        let was_lost = |attempt: &AttemptId| {
            let ended = self.outcomes.get(attempt);
            ended.is_some_and(|(_, outcome)| outcome.kind == OutcomeKind::Lost) && !self.late.contains_key(attempt)
        };
        self.grants.iter().rev().filter(move |(id, _)| was_lost(id)).map(|(id, (executor, _))| (*id, executor.clone()))
    }

    pub(super) fn open_requests(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.requests.keys().copied().filter(|id| !self.requests_done.contains(id))
    }

    /// What is known of resources that the scheduler still knows.
    pub(super) fn standing(&self) -> impl Iterator<Item = &ResourceRow> {
        self.rows.values().filter(|row| matches!(row.life, Life::Live | Life::Tombstone | Life::Unreleased))
    }

    /// The last row of this name that has left.
    pub(super) fn left(&self, name: &str) -> Option<&ResourceRow> {
        let mut left = self.rows.values().filter(|row| matches!(row.life, Life::Orphan | Life::Deleted));
        left.rfind(|row| &*row.intent.name == name)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let grants = self.open_grants().map(|attempt| {
            let (executor, grant) = &self.grants[&attempt];
            OpenGrant {
                attempt,
                resource: grant.resource.unwrap(),
                thing: Some(Thing::of(&grant.intent)),
                executor: executor.clone(),
                operation: grant.operation,
                reason: grant.reason,
                hash: grant.hash,
            }
        });
        let requests = self.open_requests().map(|id| self.requests[&id].clone());
        Snapshot {
            version: self.version,
            last_attempt: self.last_attempt(),
            last_resource: self.intents.last_key_value().map(|(&(id, _), _)| id),
            last_request: self.requests.last_key_value().map(|(&id, _)| id).unwrap_or_default(),
            last_dry_run: self.dry_runs.last_key_value().map(|(&id, _)| id).unwrap_or_default(),
            settings: self.settings.clone(),
            targets: self.targets.values().cloned().collect(),
            resources: self.standing().cloned().map(LoadedRow::from).collect(),
            grants: grants.collect(),
            lost: self.lost().collect(),
            requests: requests.collect(),
        }
    }
}
