//! The naive reference: an environment as plain lists, everything derived by looking at everything, written from the documents alone.
//!
//! Each rule quotes what it follows. What the documents leave to `core` (which ready work is granted, which ids are given) is not decided here:
//! `follow.rs` checks it against these rules and takes it over. Deliberately absent: counters, indexes, marks, anything incremental.

use super::super::super::{
    AttemptId, Compliance, DeletionPolicy, ExecutorName, Hash, Intent, LastResult, Life, Mode, Name, Observed,
    Operation, Reason, RepairAction, RequestId, ResourceId, Settings, Target, Timestamp, VersionNumber,
};
use super::holds::{Bucket, Suspended};
use super::inputs::{SharedPairs, Taken, looks};
use super::notify::Debt;
use super::order::Place;
use super::pools::Pools;
use super::release::Word;
use super::table::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The attempts of resources are dense; those of dry runs, which history does not number, stand above this.
pub(super) const DRY_RUNS: AttemptId = AttemptId(1 << 62);

/// An attempt in an executor's hands.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub attempt: AttemptId,
    pub executor: ExecutorName,
    pub operation: Operation,
    pub reason: Reason,
    /// Of what it triggers: its reason, or what was asked of it since.
    pub priority: Reason,
    pub hash: Hash,
    /// That, without what secrets make of it.
    pub base: Hash,
    /// The digest of the secrets that it is to verify.
    pub digest: Option<Hash>,
    /// The name that the resource had when it was granted.
    pub name: Name,
    pub begun: bool,
    /// Asked back, and not answered yet.
    pub revoking: bool,
    /// Asked back since its executor said hello.
    pub asked: bool,
    /// Its executor came back without it: it never arrived, or its result is on the way.
    pub unknown: bool,
    /// What it runs was removed and added again since: its finish is not credited (B17).
    pub stranger: bool,
}

/// A resource or a tombstone.
#[derive(Clone, Debug)]
pub(super) struct Res {
    pub id: ResourceId,
    pub set: Name,
    pub intent: Arc<Intent>,
    pub life: Life,
    pub after: Option<ResourceId>,
    pub attempted: Option<Hash>,
    pub succeeded: Option<Hash>,
    pub last_result: LastResult,
    pub skipped: bool,
    pub observed: Observed,
    pub failures: u32,
    /// The last attempt that ended otherwise than given back.
    pub last: AttemptId,
    pub remote: Option<Name>,
    pub queued: Option<Reason>,
    pub run: Option<Run>,
    /// When its timer rings; taken over from `core` after its bounds were checked.
    pub due: Option<Timestamp>,
    /// Something may exist on the target because of it, or of an earlier one of the same id.
    pub touched: bool,
    /// As a tombstone: names it requires of which one has gone since.
    pub loose: BTreeSet<Name>,
    /// When an attempt last found or made it as wanted.
    pub verified: Option<Timestamp>,
    /// Its delete began once: it stands no more.
    pub delete_began: bool,
    /// It was undefined after the step before.
    pub was_undefined: bool,
    /// As a tombstone: it may be deleted, however much was removed with it.
    pub approved: bool,
    /// What it owes.
    pub debt: Option<Debt>,
    /// It is told so in this step, by an attempt of this priority.
    pub told: Option<Reason>,
    /// An attempt whose result does not count may have changed it.
    pub maybe_changed: bool,
    /// A user has cancelled its work, and its time has not come.
    pub cancelled: bool,
    /// As a tombstone: what took its name and is made first.
    pub successor: Option<ResourceId>,
    /// Where it stands in the queue, also while an executor may give it back.
    pub place: Option<Place>,
    /// It joined the queue, or a higher class, in this step.
    pub joined: bool,
    /// It was not in the queue before.
    pub anew: bool,
    /// The version that brought its intent, or removed it.
    pub version: VersionNumber,
    /// What is accepted of it and not released.
    pub pending: Option<Word>,
    /// What it wants with the facts that it takes, as they were last known; and that with the digest of its secrets.
    pub base: Hash,
    pub current: Hash,
    /// A fact that it takes was not known after the step before.
    pub unknown: bool,
    /// What its newest success learned.
    pub facts: BTreeMap<Name, Name>,
    /// What a stale success would have taught it, if it looked that far; and whether that was of a released change.
    pub perhaps: Option<(BTreeMap<Name, Name>, bool)>,
    /// The facts that it goes on with, where others are known by now and that is not released.
    pub in_force: Option<Taken>,
    pub digest: Option<Hash>,
    /// Attributes that were filled from secrets once.
    pub once_secret: BTreeSet<Name>,
}

/// One executor as the scheduler knows it.
#[derive(Clone, Debug)]
pub(super) struct Executor {
    pub pool: Name,
    pub connected: bool,
    pub credits: u32,
}

/// Grants that are not of a resource in the tables: dry runs, and runs of orphans.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    pub executor: ExecutorName,
    pub target: Name,
    /// What an orphan's run works on.
    pub thing: Option<(Name, Name, Name)>,
}

/// The environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub now: Timestamp,
    pub version: VersionNumber,
    pub last_attempt: AttemptId,
    /// Of what ended, skips too.
    pub last_skip: AttemptId,
    /// Dry runs count for themselves, above [`DRY_RUNS`].
    pub last_dry: AttemptId,
    pub last_request: RequestId,
    pub stopping: bool,
    pub settings: Settings,
    pub targets: BTreeMap<Name, Target>,
    pub executors: BTreeMap<ExecutorName, Executor>,
    pub all: Table,
    /// What is accepted and no live resource is.
    pub unreleased: BTreeMap<ResourceId, Word>,
    /// Names of which something is released in this step.
    pub released: BTreeSet<Name>,
    /// What a request would release is not what was shown.
    pub refuses: bool,
    pub strays: BTreeMap<AttemptId, Stray>,
    /// Requests that only want to see, and as what that is attempted.
    pub looks: BTreeMap<RequestId, Reason>,
    /// The newest attempt when a user asked.
    pub ordered_after: BTreeMap<RequestId, AttemptId>,
    /// What users asked for and was not dealt with yet.
    pub requests: BTreeMap<RequestId, BTreeSet<ResourceId>>,
    /// What this step skips.
    pub skips: BTreeSet<ResourceId>,
    /// Attempts of dry runs.
    pub dry: BTreeSet<AttemptId>,
    /// For which tombstone `core` lets a resource wait, after the step.
    pub waits_in_core: BTreeMap<ResourceId, ResourceId>,
    /// What users have suspended, and by which request.
    pub suspended: BTreeMap<Suspended, RequestId>,
    /// Orders that this step carries out or ends.
    pub done: BTreeSet<RequestId>,
    /// The rates of targets, as they stood at `flowed`.
    pub buckets: BTreeMap<Name, Bucket>,
    pub flowed: Timestamp,
    /// In this step a user asks for a deploy.
    pub user_deploys: bool,
    /// Steps so far: the time that the queue knows.
    pub steps: u64,
    /// What has started on a target since its owner is new.
    pub starts: BTreeMap<Name, u64>,
    pub pools: Pools,
    /// What this trace has met of what is rare.
    pub met: BTreeSet<&'static str>,
    pub pairs: SharedPairs,
    /// In this step the clock was set back; it was before.
    pub clock_stepped: bool,
    pub was_set_back: bool,
    /// What has left in this step: it may have lent before.
    pub gone: Vec<Res>,
    /// Something of a dry run waits.
    pub dry_runs_wait: bool,
}

impl Res {
    pub(super) fn new(id: ResourceId, set: Name, intent: Arc<Intent>) -> Self {
        Self {
            id,
            set,
            base: intent.hash(),
            current: intent.hash(),
            unknown: false,
            facts: BTreeMap::new(),
            perhaps: None,
            in_force: None,
            digest: None,
            once_secret: BTreeSet::new(),
            intent,
            life: Life::Live,
            after: None,
            attempted: None,
            succeeded: None,
            last_result: LastResult::New,
            skipped: false,
            observed: Observed::Unknown,
            failures: 0,
            last: AttemptId(0),
            remote: None,
            queued: None,
            run: None,
            due: None,
            touched: false,
            loose: BTreeSet::new(),
            verified: None,
            delete_began: false,
            was_undefined: false,
            approved: false,
            debt: None,
            told: None,
            maybe_changed: false,
            cancelled: false,
            successor: None,
            place: None,
            joined: false,
            anew: false,
            version: VersionNumber::default(),
            pending: None,
        }
    }

    pub(super) fn live(&self) -> bool {
        self.life == Life::Live
    }

    /// "of two Resources with the same (target, type, identity) …": what it is, whatever its name.
    pub(super) fn thing(&self) -> (Name, Name, Name) {
        thing(&self.intent)
    }

    /// "*good* = Succeeded, `succeeded_hash` is current, no difference observed"; Skipped is a last result, so a skipped one is not.
    pub(super) fn good(&self) -> bool {
        !self.skipped && self.compliant()
    }

    /// "A skip because of a neighbour never changes it."
    pub(super) fn compliant(&self) -> bool {
        self.last_result == LastResult::Succeeded
            && self.succeeded == Some(self.current)
            && !self.observed.differs()
            && !self.has_update()
    }

    /// "`HasUpdate` = current hash never attempted".
    pub(super) fn has_update(&self) -> bool {
        self.attempted != Some(self.current)
    }

    pub(super) fn unbegun(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.begun)
    }

    pub(super) fn deleting(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.operation == Operation::Delete)
    }

    /// "`Orphan`, Observe and never-attempted ones become orphans."
    pub(super) fn leaves_an_orphan(&self) -> bool {
        let policy = self.intent.policy;
        policy.deletion_policy == DeletionPolicy::Orphan
            || policy.mode == Mode::Observe
            || !(self.touched || self.attempted.is_some())
    }

    /// "A second request for a queued resource joins the tail of the higher class."
    pub(super) fn queue(&mut self, reason: Reason) {
        self.cancelled = false;
        if reason == Reason::FactRefresh && self.queued == Some(Reason::Repair) {
            // It brings the facts as well, sooner than it would have come, and corrects.
            self.place = self.place.map(Place::hurried);
            return;
        }
        self.anew |= self.queued.is_none();
        self.joined |= self.queued.is_none_or(|queued| reason < queued);
        self.queued = Some(self.queued.map_or(reason, |queued| queued.min(reason)));
    }
}

pub(super) fn thing(intent: &Intent) -> (Name, Name, Name) {
    (intent.target.clone(), intent.kind.clone(), intent.identity.clone())
}

impl Model {
    pub(super) fn ids(&self) -> Vec<ResourceId> {
        self.all.ids()
    }

    pub(super) fn live_named(&self, name: &str) -> Option<&Res> {
        self.all.values().find(|res| res.live() && &*res.intent.name == name)
    }

    /// What a name in `requires` stands for: a live resource, else the newest tombstone.
    pub(super) fn named(&self, name: &str) -> Option<&Res> {
        self.live_named(name).or_else(|| self.all.values().rev().find(|res| &*res.intent.name == name))
    }

    /// What it directly requires, as far as that exists.
    pub(super) fn requirements(&self, res: &Res) -> Vec<&Res> {
        res.intent.requires.iter().filter_map(|name| self.named(name)).collect()
    }

    /// What directly requires it, live or tombstoned. Which of several of one name a tombstone requires, and whether it does when one of them
    /// has gone, the documents do not say: `lenient` leaves those out.
    pub(super) fn dependents(&self, id: ResourceId, lenient: bool) -> Vec<&Res> {
        let name = &self.all[&id].intent.name;
        let alone = self.all.values().filter(|res| res.intent.name == *name).count() == 1;
        let stands = self.named(name).is_some_and(|res| res.id == id);
        let requires = |res: &&Res| {
            let certain = if res.live() { stands } else { alone && !res.loose.contains(name) };
            res.intent.requires.contains(name) && (certain || !lenient && !res.live())
        };
        self.all.values().filter(requires).collect()
    }

    /// "Undefined resources and all that transitively require them do not run."
    pub(super) fn undefined(&self, res: &Res) -> bool {
        self.undefined_from(res, &mut BTreeSet::new())
    }

    fn undefined_from(&self, res: &Res, seen: &mut BTreeSet<ResourceId>) -> bool {
        if !seen.insert(res.id) {
            return false;
        }
        if !self.targets.contains_key(&res.intent.target) {
            return true;
        }
        if !self.unknown(res).is_empty() {
            return true;
        }
        res.intent.requires.iter().any(|name| match self.named(name) {
            None => true,
            // "A `requires` that names a tombstone stands as the tombstone last stood until its delete begins, then it is Undefined."
            // Its delete is as good as begun when it is granted.
            Some(other) if !other.live() => other.delete_began || other.deleting(),
            Some(other) => self.undefined_from(other, seen),
        })
    }

    pub(super) fn compliance(&self, res: &Res) -> Compliance {
        // Its removal is the newest word on it.
        if res.pending.as_ref().is_some_and(|word| word.removed) {
            Compliance::HasUpdate
        } else if self.undefined(res) {
            Compliance::Undefined
        } else if res.pending.is_none() && res.in_force.is_some() || self.of_newest(res, Res::has_update) {
            Compliance::HasUpdate
        } else if self.of_newest(res, Res::compliant) {
            Compliance::Compliant
        } else {
            Compliance::NonCompliant
        }
    }

    /// "A held *verification* of a good resource holds nobody." What is held without any choice of `core`: suspended, or outside its window.
    pub(super) fn held_verification(&self, res: &Res) -> bool {
        let suspended = self.stopped(res).is_some();
        let verifies =
            matches!(res.queued, Some(Reason::Repair | Reason::UserRepair | Reason::Report | Reason::FactRefresh));
        res.live() && res.run.is_none() && res.good() && res.debt.is_none() && verifies && suspended
    }

    /// Queued, granted or running: whoever requires it waits. Of a tombstone only what ran before counts; its delete waits for its dependents.
    pub(super) fn busy(&self, res: &Res) -> bool {
        if res.live() {
            res.run.is_some() || (res.queued.is_some() && !self.held_verification(res))
        } else {
            res.run.as_ref().is_some_and(|run| run.operation != Operation::Delete)
        }
    }

    /// Whether `core` may see it as idle all the same: a verification of a good resource that only waits for its turn, which is a hold too.
    pub(super) fn perhaps_idle(&self, res: &Res) -> bool {
        !self.busy(res) || (res.run.is_none() && res.good() && res.debt.is_none())
    }

    /// What is asked of the executor. "Observe mode reads, diffs, never applies"; a repair of what is deployed follows the policy.
    pub(super) fn operation(&self, res: &Res, reason: Reason) -> Operation {
        if !res.live() {
            return Operation::Delete;
        }
        let change = res.succeeded != Some(res.current);
        let report = self.settings.repair.action == RepairAction::Report;
        let verification = matches!(reason, Reason::Repair | Reason::UserRepair | Reason::Retry);
        let reloads = res.debt.is_some();
        if res.intent.policy.mode == Mode::Observe || looks(reason) || (verification && report && !change && !reloads) {
            Operation::Observe
        } else {
            Operation::Enforce
        }
    }

    /// "No work of a resource is granted while something it directly requires is queued (held verifications excepted), granted, running or
    /// not good"; "queuing a requirement revokes its dependents' grants, and awaits each answer". `Err` names what is in the way.
    /// `lenient`: where the documents allow two readings, the one that lets more run.
    pub(super) fn startable(&self, res: &Res, lenient: bool) -> Result<(), &'static str> {
        let held = |held: bool, by: &'static str| if held { Err(by) } else { Ok(()) };
        held(res.queued.is_none(), "it is not queued")?;
        held(res.run.is_some(), "it is granted or running")?;
        held(self.stopping, "the owner stops")?;
        held(!self.targets.contains_key(&res.intent.target), "its target is missing")?;
        self.stopped(res).map_or(Ok(()), Err)?;
        if !res.live() {
            // "deleted on the target when nothing live or tombstoned requires it"
            // In which order tombstones go that waited for each other as long as they lived, is open.
            held(!lenient && res.after.is_some_and(|id| self.all.contains_key(id)), "a tombstone comes first")?;
            held(self.successor(res).is_some(), "what replaces it comes first")?;
            held(self.forgotten_runs(res), "what was forgotten still works on it")?;
            held(self.kept(res, lenient), "something requires the tombstone")?;
            return held(!lenient && self.yielding(res, false), "grants of dependents are out");
        }
        held(self.undefined(res), "it is undefined")?;
        held(res.after.is_some_and(|id| self.all.contains_key(id)), "a tombstone comes first")?;
        // What only looks waits for no neighbour.
        if res.reports() {
            return Ok(());
        }
        held(self.forgotten_runs(res), "what was forgotten still works on it")?;
        for other in self.requirements(res) {
            held(if lenient { !self.perhaps_idle(other) } else { self.busy(other) }, "a requirement is busy")?;
            held(other.deleting(), "a requirement is being deleted")?;
            held(!satisfies(res, other), "a requirement is not good")?;
        }
        held(self.yielding(res, lenient), "grants of dependents are out")
    }

    /// "Two executors never work on one" thing, nor two attempts: who ended an attempt for the tables has not ended it for the target.
    pub(super) fn forgotten_runs(&self, res: &Res) -> bool {
        let thing = Some(res.thing());
        self.strays.values().any(|stray| stray.thing == thing)
    }

    /// "deleted on the target when nothing live or tombstoned requires it"; when its delete has begun once, what lives and requires it is
    /// Undefined and waits. `lenient`: what is removed as well may have been cut from it since.
    pub(super) fn kept(&self, res: &Res, lenient: bool) -> bool {
        self.dependents(res.id, lenient).iter().any(|other| !res.delete_began || !lenient && !other.live())
    }

    /// "queuing a requirement revokes its dependents' grants, and awaits each answer". `lenient`: a delete requires nothing to be good. What only
    /// looks waits for no neighbour, and gives nothing back for one.
    pub(super) fn yielding(&self, res: &Res, lenient: bool) -> bool {
        // Whether what it replaces gives its grants back first, is open.
        let replaced = self.all.values().any(|other| other.successor == Some(res.id) && other.unbegun());
        let dependents = self.dependents(res.id, lenient);
        let yields = |other: &Res| {
            // In the step that asks it back, that is not known before all else is.
            let asked = other.run.as_ref().is_some_and(|run| run.revoking || self.must_revoke(other)) && !lenient;
            other.unbegun() && !(lenient && other.deleting()) && (asked || !other.reports())
        };
        replaced && !lenient || dependents.into_iter().any(yields)
    }

    /// Whether only its place is in its way. A held verification asks for no grants back before its turn has come.
    pub(super) fn has_its_turn(&self, res: &Res) -> bool {
        match self.startable(res, true) {
            Ok(()) => true,
            Err(why) => res.good() && why == "grants of dependents are out",
        }
    }

    /// What may not stay granted: "until [it begins] suspend, cancel, a removal or a newer intent may revoke it", and I3.
    pub(super) fn must_revoke(&self, res: &Res) -> bool {
        let Some(run) = res.run.as_ref().filter(|run| !run.begun) else { return false };
        let suspended = self.stopping || self.stopped(res).is_some();
        if run.operation == Operation::Delete {
            // What requires it since its delete was granted does not call it back: it is Undefined when the delete begins.
            return suspended || res.live();
        }
        suspended
            || !res.live()
            || run.hash != res.current
            || self.undefined(res)
            || !res.reports()
                && self.requirements(res).iter().any(|other| !self.perhaps_idle(other) || !satisfies(res, other))
    }
}

/// "Observe mode ignores the dependency's result" (M); anything else wants it good.
pub(super) fn satisfies(res: &Res, requirement: &Res) -> bool {
    res.intent.policy.mode == Mode::Observe || requirement.good()
}
