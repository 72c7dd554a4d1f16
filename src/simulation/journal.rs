//! What was committed, kept beside the store and judged record by record: the simulator's own memory of history, which shares nothing with it.

use super::standing::Standing;
use super::targets::key_of;
use super::violation::{Checker, Violation};
use crate::core::{
    AttemptId, Change, DryRunId, Epoch, ExecutorName, Facts, Grant, Intent, Life, Mode, Name, Operation, Outcome,
    OutcomeKind, Push, Record, RequestId, ResourceId, ResourceRow, VersionNumber, VersionRecord,
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
    /// What users have ordered and configured.
    pub(super) standing: Standing,
    /// What is in force need not be what is accepted.
    pub(super) manual: bool,
    pub(super) dry_runs: BTreeSet<DryRunId>,
    /// Batches that were taken in.
    pub(super) batches: u64,
    /// What executors have said of attempts, whoever heard it.
    told: BTreeMap<AttemptId, Vec<OutcomeKind>>,
    outcomes: BTreeMap<AttemptId, ResourceId>,
    late: BTreeSet<AttemptId>,
    latest: BTreeMap<ResourceId, (Epoch, AttemptId)>,
    /// The last attempt of each resource that says something of it, and how it ended.
    last: BTreeMap<ResourceId, (Arc<Grant>, OutcomeKind)>,
    /// Skipped since then, and not changed since that.
    skipped: BTreeSet<ResourceId>,
    /// Resources whose delete has failed, or may have begun.
    delete_tried: BTreeSet<ResourceId>,
    /// What is in force after the batch that is being taken in, of what it writes.
    arriving: BTreeMap<ResourceId, Option<Arc<Intent>>>,
}

/// How an end is recorded: facts only where they are news, digests of secrets never.
fn as_recorded(kind: &OutcomeKind) -> OutcomeKind {
    let mut kind = kind.clone();
    if let OutcomeKind::Succeeded(finding) | OutcomeKind::Failed { finding: Some(finding), .. } = &mut kind {
        (finding.facts, finding.secret_digest) = (Facts::default(), None);
    }
    kind
}

impl Journal {
    /// An executor says how an attempt ended.
    pub(super) fn said(&mut self, attempt: AttemptId, kind: &OutcomeKind) {
        let (said, kind) = (self.told.entry(attempt).or_default(), as_recorded(kind));
        if !said.contains(&kind) {
            said.push(kind);
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
        let missing = accepted().find(|intent| self.at(version, &intent.name).is_none_or(|stored| stored != *intent));
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

    /// Names that can be released only together with this one, by anything that any version has said: the other members of a cycle that old and new
    /// edges may close, and the other names of the same things.
    pub(super) fn goes_with(&self, name: &Name) -> BTreeSet<Name> {
        let said = || self.contents.iter().flat_map(BTreeMap::values);
        let mut together = BTreeSet::from([name.clone()]);
        loop {
            let before = together.len();
            let things: BTreeSet<_> =
                said().filter(|one| together.contains(&one.name)).map(|one| key_of(one)).collect();
            together.extend(said().filter(|one| things.contains(&key_of(one))).map(|one| one.name.clone()));
            let below = self.reached(&together, |intent, reached| {
                if reached.contains(&intent.name) { intent.requires.clone() } else { Vec::new() }
            });
            let above = self.reached(&together, |intent, reached| {
                let requires = intent.requires.iter().any(|name| reached.contains(name));
                if requires { vec![intent.name.clone()] } else { Vec::new() }
            });
            together.extend(below.intersection(&above).cloned());
            if together.len() == before {
                return together;
            }
        }
    }

    fn reached(&self, from: &BTreeSet<Name>, next: impl Fn(&Intent, &BTreeSet<Name>) -> Vec<Name>) -> BTreeSet<Name> {
        let mut reached = from.clone();
        loop {
            let more: Vec<Name> =
                self.contents.iter().flat_map(BTreeMap::values).flat_map(|intent| next(intent, &reached)).collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before {
                return reached;
            }
        }
    }

    /// Everything that versions have said of a name.
    pub(super) fn ever(&self, name: &Name) -> impl Iterator<Item = &Arc<Intent>> {
        self.contents.iter().filter_map(|content| content.get(name))
    }

    /// What a version wants, whole.
    pub(super) fn content(&self, version: VersionNumber) -> Option<&BTreeMap<Name, Arc<Intent>>> {
        self.contents.get((version.0 as usize).checked_sub(1)?)
    }

    /// Takes a committed batch in, and says what is wrong with it.
    pub(super) fn append(&mut self, by: Epoch, newest: Epoch, batch: &Batch) -> Vec<Violation> {
        let mut found = Vec::new();
        self.batches += 1;
        if by != newest {
            let detail = format!("epoch {by} wrote batch {} in epoch {newest}", batch.number);
            found.push(Violation { checker: Checker::StaleOwnerWritesNothing, detail });
        }
        let in_force = |row: &ResourceRow| (row.life == Life::Live).then(|| Arc::clone(&row.intent));
        self.arriving = batch.rows.iter().map(|row| (row.resource, in_force(row))).collect();
        for record in &batch.records {
            let version = self.newest();
            self.standing.recorded(record, version);
            match record {
                Record::Version(version) => self.version(version, &mut found),
                Record::Grant(executor, grant) => self.grant(executor, grant, &mut found),
                Record::Outcome { resource, outcome } => self.outcome(by, *resource, outcome, &mut found),
                Record::LateResult(outcome) => self.late_result(outcome, &mut found),
                Record::Request(order) => drop(self.requests.insert(order.id)),
                Record::DryRun { id, .. } => drop(self.dry_runs.insert(*id)),
                _ => {}
            }
        }
        for row in &batch.rows {
            if self.manual && row.life != Life::Live {
                self.forget_ends(row.resource);
            }
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
                if !self.manual {
                    self.forget_ends(record.resource);
                }
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

    /// What comes back is new; only an end that is recorded from then on says something of it.
    fn forget_ends(&mut self, resource: ResourceId) {
        self.last.remove(&resource);
        self.skipped.remove(&resource);
    }

    fn grant(&mut self, executor: &ExecutorName, grant: &Arc<Grant>, found: &mut Vec<Violation>) {
        let attempt = grant.attempt;
        if self.last_attempt().is_some_and(|last| last >= attempt) {
            let detail = format!("attempt {attempt} was granted after a newer one");
            found.push(Violation { checker: Checker::OutcomesAscend, detail });
        }
        let wrong = match grant.operation {
            // Reports only look, and wait for nobody.
            _ if grant.reason.reports() => None,
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

    /// What is in force under a name: under manual release what its row says, as far as that is one thing before and after this batch.
    fn in_force(&self, name: &str) -> Option<(ResourceId, &Arc<Intent>)> {
        if !self.manual {
            return self.live(name);
        }
        let live = |row: &&ResourceRow| row.life == Life::Live && *row.intent.name == *name;
        let mut rows = self.rows.values().filter(live);
        let row = rows.next().filter(|_| rows.next().is_none())?;
        let named = |intent: &Option<Arc<Intent>>| intent.as_ref().is_some_and(|intent| *intent.name == *name);
        let renamed = self.arriving.get(&row.resource).is_some_and(|intent| !named(intent));
        let another = self.arriving.iter().any(|(&id, intent)| id != row.resource && named(intent));
        (!renamed && !another).then_some((row.resource, &row.intent))
    }

    fn is_open(&self, id: ResourceId) -> bool {
        self.open().any(|(_, granted)| granted.grant.resource == Some(id))
    }

    /// Why nothing but a delete may be granted, as far as history can tell: what it requires has no end yet, or not the right one.
    fn forbids(&self, grant: &Grant) -> Option<String> {
        for name in &grant.intent.requires {
            // What stands as a tombstone keeps its standing until its delete begins: not to be told from here.
            let Some((id, intent)) = self.in_force(name) else { continue };
            if self.is_open(id) {
                return Some(format!("it requires {name}, which is granted"));
            }
            // Several words on it may have come into force one after the other within this batch.
            let mut others = self.ever(name).filter(|_| self.manual);
            // A fact that changes and changes back makes another intent of it and the old one again, which is not to be told from here.
            let takes_facts = intent.facts_taken().next().is_some();
            let good = takes_facts || self.is_good(id, intent) || others.any(|intent| self.is_good(id, intent));
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
        // Under manual release a word that ends a skip comes into force at another time than it is accepted.
        (self.manual || !self.skipped.contains(&id)) && grant.intent.hash() == intent.hash() && !differs
    }

    /// A delete waits for all that requires it, by name; once it has been tried, only for what is removed too.
    fn forbids_delete(&self, grant: &Grant) -> Option<String> {
        let (id, name) = (grant.resource?, &grant.intent.name);
        // Where several bear the name, who stands on which is not to be told from here.
        let only_one = self.named.get(name).is_some_and(|ids| ids.len() == 1);
        if !only_one || self.delete_tried.contains(&id) {
            return None;
        }
        let requires = |intent: &Arc<Intent>| intent.requires.contains(name);
        if self.manual {
            let live = self.rows.values().filter(|row| row.life == Life::Live && requires(&row.intent));
            // Of what this batch changes, several words may have come into force within it.
            let mut still = live.filter(|row| !self.arriving.contains_key(&row.resource));
            return still.next().map(|row| format!("{} requires it", row.intent.name));
        }
        let mut live = self.current.values().filter(|intent| requires(intent));
        live.next().map(|intent| format!("{} requires it", intent.name))
    }

    /// What could not be looked at is as it was: where a user only wanted to be told, and where another word on it has come into force meanwhile.
    fn says_nothing(&self, resource: ResourceId, grant: &Grant) -> bool {
        let overtaken = || self.current.get(&resource).is_none_or(|intent| intent.hash() != grant.intent.hash());
        let only_told = grant.reason.reports() && grant.intent.policy.mode == Mode::Enforce;
        grant.operation == Operation::Observe && (only_told || self.manual || overtaken())
    }

    fn was_told(&self, outcome: &Outcome) -> bool {
        self.told.get(&outcome.attempt).is_some_and(|told| told.contains(&as_recorded(&outcome.kind)))
    }

    fn late_result(&mut self, outcome: &Outcome, found: &mut Vec<Violation>) {
        let attempt = outcome.attempt;
        let lost = self.grants.get(&attempt).is_some_and(|granted| granted.outcome == Some(OutcomeKind::Lost));
        if !lost || !self.was_told(outcome) || !self.late.insert(attempt) {
            let detail = format!("attempt {attempt} has the late result {:?}", outcome.kind);
            found.push(Violation { checker: Checker::ResultsAreTrue, detail });
        }
    }

    /// This executor lost the attempt and has reported since how it ended, and history has no word of it. One that it gave back although that had
    /// begun is lost by its own report.
    pub(super) fn lacks_late_result(&self, executor: &ExecutorName, attempt: AttemptId) -> bool {
        let granted = self.grants.get(&attempt).filter(|granted| granted.executor == *executor);
        let lost = granted.is_some_and(|granted| granted.outcome == Some(OutcomeKind::Lost));
        let told = self.told.get(&attempt).is_some_and(|told| told.iter().any(|kind| *kind != OutcomeKind::Revoked));
        lost && told && !self.late.contains(&attempt)
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
        let told = self.was_told(outcome);
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
            OutcomeKind::Failed { .. } if grant.as_ref().is_some_and(|grant| self.says_nothing(resource, grant)) => {}
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
