//! What was committed, kept beside the store and judged record by record: the simulator's own memory of history, which shares nothing with it.

use super::violation::{Checker, Violation};
use crate::core::{
    AttemptId, Change, DryRunId, Epoch, ExecutorName, Grant, Intent, Mode, Name, Operation, Outcome, OutcomeKind, Push,
    Record, RequestId, ResourceId, ResourceRow, VersionNumber, VersionRecord,
};
use crate::history::Batch;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A grant, and how it ended.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) executor: ExecutorName,
    pub(super) grant: Arc<Grant>,
    pub(super) outcome: Option<OutcomeKind>,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) versions: Vec<VersionRecord>,
    /// What each version wants, by name.
    contents: Vec<BTreeMap<Name, Arc<Intent>>>,
    /// What is wanted now.
    pub(super) current: BTreeMap<ResourceId, Arc<Intent>>,
    /// The resources that a name has ever had.
    pub(super) named: BTreeMap<Name, BTreeSet<ResourceId>>,
    pub(super) grants: BTreeMap<AttemptId, Granted>,
    pub(super) rows: BTreeMap<ResourceId, ResourceRow>,
    pub(super) requests: BTreeSet<RequestId>,
    pub(super) dry_runs: BTreeSet<DryRunId>,
    /// Batches that were taken in.
    pub(super) batches: u64,
    /// What executors have said of attempts, whoever heard it.
    told: BTreeMap<AttemptId, Vec<OutcomeKind>>,
    outcomes: BTreeMap<AttemptId, ResourceId>,
    latest: BTreeMap<ResourceId, (Epoch, AttemptId)>,
    /// The last attempt of each resource that says something of it, and how it ended.
    last: BTreeMap<ResourceId, (Arc<Grant>, OutcomeKind)>,
    /// Skipped since then, and not changed since that.
    skipped: BTreeSet<ResourceId>,
    /// Resources whose delete has failed, or may have begun.
    delete_tried: BTreeSet<ResourceId>,
}

impl Journal {
    /// An executor says how an attempt ended.
    pub(super) fn said(&mut self, attempt: AttemptId, kind: &OutcomeKind) {
        let said = self.told.entry(attempt).or_default();
        if !said.contains(kind) {
            said.push(kind.clone());
        }
    }

    /// What a name was at a version.
    pub(super) fn at(&self, version: VersionNumber, name: &str) -> Option<&Arc<Intent>> {
        self.contents.get((version.0 as usize).checked_sub(1)?)?.get(name)
    }

    /// The newest version in history.
    pub(super) fn newest(&self) -> VersionNumber {
        self.versions.last().map(|version| version.number).unwrap_or_default()
    }

    /// How many resources a version wants.
    pub(super) fn count_at(&self, version: VersionNumber) -> usize {
        let content = (version.0 as usize).checked_sub(1).and_then(|index| self.contents.get(index));
        content.map_or(0, BTreeMap::len)
    }

    /// Names that versions took away, where the same version does not give the name again.
    pub(super) fn removals(&self) -> impl Iterator<Item = (&Name, VersionNumber)> {
        self.versions.iter().flat_map(|version| {
            let gone = version.intents.iter().filter(|record| record.intent.is_none());
            gone.map(|record| (&record.name, version.number)).filter(|(name, number)| self.at(*number, name).is_none())
        })
    }

    /// How many resources there ever were.
    pub(super) fn resources(&self) -> usize {
        self.named.values().flatten().collect::<BTreeSet<_>>().len()
    }

    /// Grants without an outcome.
    pub(super) fn open(&self) -> impl Iterator<Item = (&AttemptId, &Granted)> {
        self.grants.iter().filter(|(_, granted)| granted.outcome.is_none())
    }

    /// What of an accepted push is not in the version that it was answered with.
    pub(super) fn lacks(&self, version: VersionNumber, push: &Push, refused: &BTreeSet<&Name>) -> Option<String> {
        if version > self.newest() {
            return Some(format!("version {version} is not in history, which is at {}", self.newest()));
        }
        let accepted = || push.upserts.iter().filter(|intent| !refused.contains(&intent.name));
        let missing = accepted()
            .find(|intent| self.at(version, &intent.name).is_none_or(|stored| stored.content() != intent.content()));
        let kept = push
            .removals
            .iter()
            .find(|name| self.at(version, name).is_some() && !push.upserts.iter().any(|intent| intent.name == **name));
        match (missing, kept) {
            (Some(intent), _) => Some(format!("{} is not in version {version} as it was pushed", intent.name)),
            (_, Some(name)) => Some(format!("{name} was removed and is in version {version}")),
            _ => None,
        }
    }

    /// Takes a committed batch in, and says what is wrong with it.
    pub(super) fn append(&mut self, by: Epoch, newest: Epoch, batch: &Batch) -> Vec<Violation> {
        let mut found = Vec::new();
        self.batches += 1;
        if by != newest {
            let detail = format!("epoch {by} wrote batch {} in epoch {newest}", batch.number);
            found.push(Violation { checker: Checker::StaleOwnerWritesNothing, detail });
        }
        for record in &batch.records {
            match record {
                Record::Version(version) => self.version(version, &mut found),
                Record::Grant(executor, grant) => self.grant(executor, grant, &mut found),
                Record::Outcome { resource, outcome } => self.outcome(by, *resource, outcome, &mut found),
                Record::Request { id, .. } => drop(self.requests.insert(*id)),
                Record::DryRun { id, .. } => drop(self.dry_runs.insert(*id)),
                _ => {}
            }
        }
        for row in &batch.rows {
            self.rows.insert(row.resource, row.clone());
        }
        found
    }

    fn version(&mut self, version: &VersionRecord, found: &mut Vec<Violation>) {
        let last = self.newest();
        if version.number.0 != last.0 + 1 {
            let detail = format!("version {} follows version {last}", version.number);
            found.push(Violation { checker: Checker::HistoryRefusesNothing, detail });
        }
        for record in &version.intents {
            self.named.entry(record.name.clone()).or_default().insert(record.resource);
            let Some(intent) = &record.intent else {
                self.current.remove(&record.resource);
                // What comes back is new; only an end that is recorded from then on says something of it.
                self.last.remove(&record.resource);
                self.skipped.remove(&record.resource);
                continue;
            };
            let before = self.current.insert(record.resource, Arc::clone(intent));
            if before.is_none_or(|before| before.hash() != intent.hash()) {
                self.skipped.remove(&record.resource);
            }
        }
        let content = self.current.values().map(|intent| (intent.name.clone(), Arc::clone(intent)));
        self.contents.push(content.collect());
        self.versions.push(version.clone());
    }

    fn grant(&mut self, executor: &ExecutorName, grant: &Arc<Grant>, found: &mut Vec<Violation>) {
        let attempt = grant.attempt;
        if self.last_attempt().is_some_and(|last| last >= attempt) {
            let detail = format!("attempt {attempt} was granted after a newer one");
            found.push(Violation { checker: Checker::OutcomesAscend, detail });
        }
        let wrong = match grant.operation {
            Operation::Delete => self.forbids_delete(grant).map(|why| (Checker::OrderOfDeletes, why)),
            _ => self.forbids(grant).map(|why| (Checker::OrderOfGrants, why)),
        };
        if let Some((checker, why)) = wrong {
            let detail = format!("attempt {attempt} ({:?} {}) was granted: {why}", grant.operation, grant.intent.name);
            found.push(Violation { checker, detail });
        }
        let granted = Granted { executor: executor.clone(), grant: Arc::clone(grant), outcome: None };
        if self.grants.insert(attempt, granted).is_some() {
            let detail = format!("attempt {attempt} was granted twice");
            found.push(Violation { checker: Checker::OneOutcomePerGrant, detail });
        }
    }

    fn last_attempt(&self) -> Option<AttemptId> {
        let granted = self.grants.last_key_value().map(|(&attempt, _)| attempt);
        granted.max(self.outcomes.last_key_value().map(|(&attempt, _)| attempt))
    }

    /// The live resource of a name.
    pub(super) fn live(&self, name: &str) -> Option<(ResourceId, &Arc<Intent>)> {
        let ids = self.named.get(name)?;
        let mut live = ids.iter().filter_map(|id| Some((*id, self.current.get(id)?)));
        live.find(|(_, intent)| &*intent.name == name)
    }

    fn is_open(&self, id: ResourceId) -> bool {
        self.open().any(|(_, granted)| granted.grant.resource == Some(id))
    }

    /// Why nothing but a delete may be granted, as far as history can tell: what it requires has no end yet, or not the right one.
    fn forbids(&self, grant: &Grant) -> Option<String> {
        for name in &grant.intent.requires {
            // What stands as a tombstone keeps its standing until its delete begins: not to be told from here.
            let Some((id, intent)) = self.live(name) else { continue };
            if self.is_open(id) {
                return Some(format!("it requires {name}, which is granted"));
            }
            let good = self.is_good(id, intent);
            if !good && grant.intent.policy.mode == Mode::Enforce {
                let last =
                    self.last.get(&id).map(|(grant, kind)| (grant.attempt, grant.intent.hash() == intent.hash(), kind));
                return Some(format!(
                    "it requires {name}, which is not good: resource {id}, skipped {}, last (attempt, same intent, end): {last:?}",
                    self.skipped.contains(&id)
                ));
            }
        }
        None
    }

    /// Its last end that says something is a success with its newest intent.
    fn is_good(&self, id: ResourceId, intent: &Intent) -> bool {
        let Some((grant, OutcomeKind::Succeeded(finding))) = self.last.get(&id) else { return false };
        let differs = grant.operation == Operation::Observe && finding.change != Change::None;
        !self.skipped.contains(&id) && grant.intent.hash() == intent.hash() && !differs
    }

    /// A delete waits for all that requires it, by name; once it has been tried, only for what is removed too.
    fn forbids_delete(&self, grant: &Grant) -> Option<String> {
        let (id, name) = (grant.resource?, &grant.intent.name);
        // Where several bear the name, who stands on which is not to be told from here.
        let only_one = self.named.get(name).is_some_and(|ids| ids.len() == 1);
        if !only_one || self.delete_tried.contains(&id) {
            return None;
        }
        let mut live = self.current.values().filter(|intent| intent.requires.contains(name));
        live.next().map(|intent| format!("{} requires it", intent.name))
    }

    fn outcome(&mut self, by: Epoch, resource: ResourceId, outcome: &Outcome, found: &mut Vec<Violation>) {
        let attempt = outcome.attempt;
        let mut wrong = |checker, detail: String| found.push(Violation { checker, detail });
        let skip = matches!(outcome.kind, OutcomeKind::Skipped { .. });
        if self.outcomes.insert(attempt, resource).is_some() {
            wrong(Checker::OneOutcomePerGrant, format!("attempt {attempt} ended twice"));
        }
        let granted = self.grants.get_mut(&attempt);
        let grant = granted.as_ref().map(|granted| Arc::clone(&granted.grant));
        match granted {
            Some(granted) => {
                granted.outcome = Some(outcome.kind.clone());
                if granted.grant.resource != Some(resource) || skip {
                    wrong(Checker::ResultsAreTrue, format!("attempt {attempt} ended as one of resource {resource}"));
                }
            }
            None if skip => {}
            None => wrong(Checker::OneOutcomePerGrant, format!("attempt {attempt} ended and was never granted")),
        }
        let told = self.told.get(&attempt).is_some_and(|told| told.contains(&outcome.kind));
        if !told && !matches!(outcome.kind, OutcomeKind::Lost | OutcomeKind::Skipped { .. }) {
            let detail = format!("attempt {attempt} ended as {:?}, which no executor said of it", outcome.kind);
            wrong(Checker::ResultsAreTrue, detail);
        }
        let newest = (by, attempt);
        if self.latest.insert(resource, newest).is_some_and(|before| before >= newest) {
            let detail = format!("attempt {attempt} of epoch {by} ended after a newer one of resource {resource}");
            wrong(Checker::OutcomesAscend, detail);
        }
        let deletes = grant.as_ref().is_some_and(|grant| grant.operation == Operation::Delete);
        match &outcome.kind {
            OutcomeKind::Failed { .. } | OutcomeKind::Lost if deletes => drop(self.delete_tried.insert(resource)),
            OutcomeKind::Revoked | OutcomeKind::Lost => {}
            OutcomeKind::Skipped { .. } => drop(self.skipped.insert(resource)),
            kind => {
                // A delete that found nothing is granted once more; it has begun by then, and what is live and requires it is undefined.
                if deletes {
                    self.delete_tried.insert(resource);
                }
                self.skipped.remove(&resource);
                self.last.extend(grant.map(|grant| (resource, (grant, kind.clone()))));
            }
        }
    }
}
