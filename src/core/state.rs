//! The tables of one environment: resources by dense id, targets, pools, executors, and the indexes between them.
//!
//! **Architecture invariant:** nothing here is recomputed over all resources. What depends on neighbours is a counter that changes along edges (`graph.rs`).

use super::approval::Removals;
use super::dry_runs::DryRun;
use super::id_set::IdSet;
use super::intake::Intake;
use super::line::{Line, Standing};
use super::lost::LostAttempts;
use super::ready::{Ageing, ReadyQueue, Turn};
use super::release::Unreleased;
use super::requests::OpenRequest;
use super::revisit::Revisit;
use super::room::Server;
use super::share::Share;
use super::starts::Starts;
use super::suspensions::Suspensions;
use super::tell::Telling;
use super::windows::Opening;
use super::{
    AttemptId, DryRunId, Effects, Epoch, ExecutorName, Hash, Name, Operation, Pool, PoolName, Reason, RequestId,
    ResourceId, ResourceRow, SessionNumber, Settings, Target, TargetName, Timestamp, VersionNumber,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Everything the scheduler knows of one environment.
#[derive(Debug)]
pub struct EnvironmentState {
    pub(super) name: Name,
    pub(super) epoch: Epoch,
    /// The time of the step being made.
    pub(super) now: Timestamp,
    /// What the step being made wants done.
    pub(super) out: Effects,
    pub(super) stopping: bool,
    /// Nobody owns it: it is only looked at.
    pub(super) unowned: bool,
    /// Nothing starts but reports.
    pub(super) report_only: bool,

    pub(super) version: VersionNumber,
    pub(super) last_attempt: AttemptId,
    pub(super) last_request: RequestId,
    pub(super) last_dry_run: DryRunId,
    pub(super) last_dry_run_attempt: u32,
    /// Orders the queue: first come, first served within a priority.
    pub(super) sequence: u64,

    pub(super) settings: Settings,
    /// Indexed by `ResourceId`; `None` where the resource has left.
    pub(super) resources: Vec<Option<Box<Resource>>>,
    pub(super) live: HashMap<Name, ResourceId>,
    /// Several may bear one name: what it was before, and before that.
    pub(super) tombstones: HashMap<Name, BTreeSet<ResourceId>>,
    /// What is accepted and not released.
    pub(super) unreleased: Unreleased,
    /// (target, type, identity) of everything live or tombstoned.
    pub(super) identities: HashMap<Hash, ResourceId>,
    /// Who requires a name that does not exist.
    pub(super) wanted: HashMap<Name, BTreeSet<ResourceId>>,
    /// Who must wait until this tombstone is deleted.
    pub(super) waiting_for: HashMap<ResourceId, BTreeSet<ResourceId>>,
    /// Tombstones that stay, or have stayed, until what replaces them is good.
    pub(super) outliving: BTreeSet<ResourceId>,
    /// Tombstones of this step, which may close a circle of them.
    pub(super) entombed: BTreeSet<ResourceId>,

    pub(super) targets: Vec<TargetState>,
    pub(super) target_index: BTreeMap<TargetName, TargetIndex>,
    pub(super) pools: BTreeMap<PoolName, PoolState>,
    pub(super) executors: BTreeMap<ExecutorName, ExecutorState>,
    pub(super) open: BTreeMap<AttemptId, Open>,
    pub(super) lost: LostAttempts,
    /// What attempts of forgotten resources still work on.
    pub(super) given_up: BTreeSet<(Hash, AttemptId)>,
    pub(super) timers: BTreeSet<(Timestamp, ResourceId)>,
    /// When a window opens or closes, or a rate lets something through again.
    pub(super) wakes: BTreeSet<(Timestamp, TargetIndex)>,
    /// Attempts that executors have, dry runs apart.
    pub(super) in_flight: u32,
    /// Targets with work for which there may be too many of them; all that have room of their own.
    pub(super) waiting_for_room: Line,
    /// Of the turns in it.
    pub(super) ageing: Ageing,
    /// Executors that were full and are not, for whose room somebody may wait.
    pub(super) relieved: BTreeSet<ExecutorName>,
    pub(super) requests: BTreeMap<RequestId, OpenRequest>,
    pub(super) suspensions: Suspensions,
    pub(super) removals: Removals,
    pub(super) dry_runs: BTreeMap<DryRunId, DryRun>,
    /// Targets that were removed, and where something of dry runs may stand in line.
    pub(super) stranded: BTreeSet<TargetIndex>,

    /// How much of all this a step may do.
    pub(super) share: Share,
    /// Of the schedule of repairs.
    pub(super) starts: Starts,
    /// What concerns everything, or all that is on a target, at once.
    pub(super) revisit: Revisit,
    /// Requests that are being taken in, the first one first.
    pub(super) intakes: VecDeque<Intake>,
    /// What very many dependents are being told.
    pub(super) telling: BTreeMap<ResourceId, Telling>,
    /// Resources whose place must be thought over again.
    pub(super) unsettled: VecDeque<ResourceId>,
    /// So many of them, from the front, have told their dependents whether they are undefined.
    pub(super) spread: usize,
    /// Queued in vain, as far as is known before everything has settled.
    pub(super) to_skip: VecDeque<ResourceId>,
    /// They lend to what they wait for, once everything has settled, and borrow from what waits for them.
    pub(super) lenders: Vec<ResourceId>,
    pub(super) borrowers: Vec<ResourceId>,
    /// Targets to which something may be granted once everything has settled.
    pub(super) dispatchable: BTreeSet<TargetIndex>,
    /// How often a resource was thought over, or a target looked at, ever: what a step costs, in a measure that no loaded machine changes.
    pub(super) thoughts: u64,
}

/// A target's place in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetIndex(pub(super) u32);

/// A resource or tombstone.
#[derive(Debug)]
pub(super) struct Resource {
    /// What is stored of it.
    pub(super) row: ResourceRow,
    pub(super) target: TargetIndex,
    /// The hash of its intent with the facts that it takes; `None` while one of them is not known.
    pub(super) with_facts: Option<Hash>,
    /// Its intent takes any. It stands here too because whoever thinks a resource over asks first of all.
    pub(super) takes_facts: bool,
    /// Its intent notifies. It stands here too because whoever ends an attempt asks, and needs nothing else of the intent.
    pub(super) sends: bool,

    /// Requirements that exist.
    pub(super) requires: Vec<ResourceId>,
    /// Names it requires that do not exist.
    pub(super) missing: Vec<Name>,
    /// What requires it: live resources and tombstones.
    pub(super) dependents: BTreeSet<ResourceId>,
    /// Requirements that are queued, granted or running.
    pub(super) busy_requirements: u32,
    /// Requirements that are not good.
    pub(super) bad_requirements: u32,
    /// Requirements that are undefined.
    pub(super) undefined_requirements: u32,
    /// Dependents whose grant is being taken back.
    pub(super) yielding_dependents: u32,
    /// What its dependents have been told of it.
    pub(super) published: Published,
    /// It was undefined when it was last thought over.
    pub(super) was_undefined: bool,

    pub(super) queued: Option<Queued>,
    pub(super) run: Option<Run>,
}

/// What dependents count of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) busy: bool,
    pub(super) good: bool,
    pub(super) undefined: bool,
}

/// Work that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    pub(super) reason: Reason,
    /// Its place in the order: of its own priority, or that of what waits for it.
    pub(super) turn: Turn,
    /// When it was queued first, in the numbers of turns.
    pub(super) since: u64,
    /// It stands in its target's ready queue.
    pub(super) ready: bool,
    /// A verification whose turn on a target with a rate has not come: until then it holds nobody.
    pub(super) awaits_turn: bool,
}

/// Work in an executor's hands.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) attempt: AttemptId,
    pub(super) executor: ExecutorName,
    pub(super) operation: Operation,
    pub(super) reason: Reason,
    /// Of what it triggers: its reason, or what was asked of it since.
    pub(super) priority: Reason,
    pub(super) hash: Hash,
    pub(super) begun: bool,
    /// It has been asked back, and the answer is awaited.
    pub(super) yielding: bool,
    /// Its result may count; false when the resource was removed meanwhile.
    pub(super) credited: bool,
}

/// What an attempt number stands for.
#[derive(Clone, Debug)]
pub(super) enum Open {
    Resource(ResourceId),
    /// Of a resource that was forgotten meanwhile: the outcome is recorded, and whoever waits to work on the same thing waits no more.
    Forgotten {
        id: ResourceId,
        target: Option<TargetIndex>,
        executor: ExecutorName,
        /// What it works on (`identity_key`).
        thing: Option<Hash>,
    },
    DryRun {
        id: DryRunId,
        item: u32,
        target: TargetIndex,
        executor: ExecutorName,
    },
}

#[derive(Debug)]
pub(super) struct TargetState {
    /// `None`: resources name it, and it does not exist.
    pub(super) target: Option<Target>,
    pub(super) residents: BTreeSet<ResourceId>,
    pub(super) queued: IdSet<ResourceId>,
    /// What nothing holds but the room on the target.
    pub(super) ready: ReadyQueue,
    /// Grants without an outcome.
    pub(super) granted: u32,
    /// Who works on it; kept while anything is granted, so that no two ever do.
    pub(super) executor: Option<ExecutorName>,
    /// It counts as one of its pool's targets with work.
    pub(super) working: Option<PoolName>,
    /// Whether its windows are open, as of this step.
    pub(super) deploy: Opening,
    pub(super) repair: Opening,
    /// When the bucket of its rate is full again.
    pub(super) bucket_full_at: Timestamp,
    /// Its timer.
    pub(super) wakes_at: Option<Timestamp>,
    /// Its entry in `waiting_for_room`.
    pub(super) waits_with: Option<Standing>,
    /// Its entry in the line of whose room it waits for.
    pub(super) waits_for: Option<(Standing, Server)>,
}

#[derive(Debug, Default)]
pub(super) struct PoolState {
    pub(super) pool: Option<Pool>,
    pub(super) unavailable: Option<Name>,
    /// Targets that have work.
    pub(super) working: u32,
    /// What the outside was last told to scale to.
    pub(super) scaled: Option<u32>,
    /// Targets on which nobody works, while all its executors are full.
    pub(super) line: Line,
}

#[derive(Debug, Default)]
pub(super) struct ExecutorState {
    pub(super) pool: PoolName,
    /// The newest stream it said hello on.
    pub(super) session: SessionNumber,
    pub(super) credits: u32,
    pub(super) connected: bool,
    pub(super) holds: IdSet<AttemptId>,
    /// Targets on which it works, while it is full.
    pub(super) line: Line,
    /// Of its turns in this line and its pool's.
    pub(super) ageing: Ageing,
}

impl Resource {
    /// One that stands in no table: what it has of its intent is not filled in yet.
    pub(super) const fn unplaced(row: ResourceRow) -> Self {
        Self {
            row,
            target: TargetIndex(0),
            with_facts: None,
            takes_facts: false,
            sends: false,
            requires: Vec::new(),
            missing: Vec::new(),
            dependents: BTreeSet::new(),
            busy_requirements: 0,
            bad_requirements: 0,
            undefined_requirements: 0,
            yielding_dependents: 0,
            published: Published::UNSEEN,
            was_undefined: false,
            queued: None,
            run: None,
        }
    }
}

impl EnvironmentState {
    pub(super) fn get(&self, id: ResourceId) -> Option<&Resource> {
        self.resources.get(id.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: ResourceId) -> Option<&mut Resource> {
        self.resources.get_mut(id.0 as usize)?.as_deref_mut()
    }

    pub(super) fn target(&self, index: TargetIndex) -> Option<&TargetState> {
        self.targets.get(index.0 as usize)
    }

    pub(super) fn target_mut(&mut self, index: TargetIndex) -> Option<&mut TargetState> {
        self.targets.get_mut(index.0 as usize)
    }

    pub(super) fn places(&self) -> impl Iterator<Item = (TargetIndex, &TargetState)> {
        (0..).map(TargetIndex).zip(&self.targets)
    }

    pub(super) fn places_of(&self, pool: &PoolName) -> impl Iterator<Item = (TargetIndex, &TargetState)> {
        self.places().filter(|(_, place)| place.target.as_ref().is_some_and(|target| target.pool == *pool))
    }

    /// The target's place; a new one for a name never seen.
    pub(super) fn target_at(&mut self, name: &TargetName) -> TargetIndex {
        if let Some(&index) = self.target_index.get(name) {
            return index;
        }
        let index = TargetIndex(self.targets.len() as u32);
        self.targets.push(TargetState {
            target: None,
            residents: BTreeSet::new(),
            queued: IdSet::default(),
            ready: ReadyQueue::default(),
            granted: 0,
            executor: None,
            working: None,
            deploy: Opening::ALWAYS,
            repair: Opening::ALWAYS,
            bucket_full_at: Timestamp::default(),
            wakes_at: None,
            waits_with: None,
            waits_for: None,
        });
        self.target_index.insert(name.clone(), index);
        index
    }

    /// Puts a resource into the tables, without edges.
    pub(super) fn insert(&mut self, mut resource: Box<Resource>) {
        let (id, intent) = (resource.row.resource, &*resource.row.intent);
        let takes_facts = !intent.inputs.is_empty();
        resource.with_facts = (!takes_facts).then_some(intent.hash());
        let (sends, target) = (intent.policy.notify.send, self.target_at(&intent.target));
        (resource.takes_facts, resource.sends, resource.target) = (takes_facts, sends, target);
        if let Some(place) = self.target_mut(target) {
            place.residents.insert(id);
        }
        if self.resources.len() <= id.0 as usize {
            self.resources.resize_with(id.0 as usize + 1, || None);
        }
        if let Some(slot) = self.resources.get_mut(id.0 as usize) {
            *slot = Some(resource);
        }
    }

    /// A number that nothing has or had.
    pub(super) fn next_resource(&mut self) -> ResourceId {
        self.resources.push(None);
        ResourceId(self.resources.len() as u32 - 1)
    }

    pub(super) fn next_attempt(&mut self) -> AttemptId {
        self.last_attempt.0 += 1;
        self.last_attempt
    }

    /// Attempts of dry runs are not in history, so no later owner knows which numbers were used. Theirs carry the epoch and lie above all
    /// others: a late answer to one can never be taken for that of another attempt.
    pub(super) fn next_dry_run_attempt(&mut self) -> AttemptId {
        self.last_dry_run_attempt = self.last_dry_run_attempt.wrapping_add(1);
        let epoch = self.epoch.0 & 0x3fff_ffff;
        AttemptId(1 << 62 | epoch << 32 | u64::from(self.last_dry_run_attempt))
    }

    /// The stored row changed, and with it what can be seen.
    pub(super) fn touch(&mut self, id: ResourceId) {
        self.out.rows.push(id);
        self.out.changed.push(id);
    }

    /// What can be seen changed, but nothing that is stored.
    pub(super) fn show(&mut self, id: ResourceId) {
        self.out.changed.push(id);
    }
}
