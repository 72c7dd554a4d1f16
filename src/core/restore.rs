//! Building the state from history: at start, at a takeover, or only to look at it. What it finds undone, it queues: restart and event are one path.

use super::approval::Removals;
use super::derive::identity_key;
use super::line::Line;
use super::lost::LostAttempts;
use super::ready::Ageing;
use super::release::Unreleased;
use super::revisit::Revisit;
use super::share::Share;
use super::starts::Starts;
use super::state::{EnvironmentState, ExecutorState, Open, Run, TargetIndex};
use super::suspensions::Suspensions;
use super::timers::Latest;
use super::{
    AttemptId, DryRunId, Effects, Epoch, Life, LoadedRow, Name, OpenGrant, Reason, RequestId, RequestKind, ResourceId,
    Settings, Snapshot, Timestamp, VersionNumber,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

impl EnvironmentState {
    /// An environment nobody has said anything of.
    pub fn new(name: Name, epoch: Epoch, now: Timestamp) -> Self {
        Self {
            name,
            epoch,
            now,
            out: Effects::default(),
            stopping: false,
            unowned: false,
            report_only: false,
            version: VersionNumber(0),
            last_attempt: AttemptId(0),
            last_request: RequestId(0),
            last_dry_run: DryRunId(0),
            last_dry_run_attempt: 0,
            sequence: 0,
            settings: Settings::default(),
            resources: Vec::new(),
            live: HashMap::new(),
            tombstones: HashMap::new(),
            unreleased: Unreleased::default(),
            identities: HashMap::new(),
            wanted: HashMap::new(),
            waiting_for: HashMap::new(),
            outliving: BTreeSet::new(),
            entombed: BTreeSet::new(),
            targets: Vec::new(),
            target_index: BTreeMap::new(),
            pools: BTreeMap::new(),
            executors: BTreeMap::new(),
            open: BTreeMap::new(),
            lost: LostAttempts::default(),
            given_up: BTreeSet::new(),
            timers: BTreeSet::new(),
            wakes: BTreeSet::new(),
            in_flight: 0,
            waiting_for_room: Line::default(),
            ageing: Ageing::default(),
            relieved: BTreeSet::new(),
            requests: BTreeMap::new(),
            suspensions: Suspensions::default(),
            removals: Removals::default(),
            dry_runs: BTreeMap::new(),
            stranded: BTreeSet::new(),
            share: Share::default(),
            starts: Starts::default(),
            revisit: Revisit::default(),
            intakes: VecDeque::new(),
            telling: BTreeMap::new(),
            unsettled: VecDeque::new(),
            spread: 0,
            to_skip: VecDeque::new(),
            lenders: Vec::new(),
            borrowers: Vec::new(),
            dispatchable: BTreeSet::new(),
            thoughts: 0,
        }
    }

    /// Rebuilds the state. Executors of open grants count as disconnected until they say hello or are known to have ended.
    pub fn restore(name: Name, epoch: Epoch, snapshot: Snapshot, now: Timestamp) -> (Self, Effects) {
        let mut state = Self::new(name, epoch, now);
        state.share = Share::WHOLE;
        state.version = snapshot.version;
        state.last_attempt = snapshot.last_attempt;
        state.last_request = snapshot.last_request;
        state.last_dry_run = snapshot.last_dry_run;
        state.settings = snapshot.settings.unwrap_or_default();
        for open in &snapshot.requests {
            state.restore_suspension(open);
        }
        for target in snapshot.targets {
            let index = state.target_at(&target.name);
            if let Some(place) = state.target_mut(index) {
                place.bucket_full_at = target.rate_limit.map_or(now, |rate| rate.empty_at(now));
                place.target = Some(target);
            }
            state.look_at_windows(index);
        }
        // Tables that grow are hashed again each time.
        state.live.reserve(snapshot.resources.len());
        state.identities.reserve(snapshot.resources.len());
        for row in snapshot.resources {
            state.restore_row(row);
        }
        if let Some(last) = snapshot.last_resource {
            state.resources.resize_with(state.resources.len().max(last.0 as usize + 1), || None);
        }
        state.restore_edges();
        let ids: Vec<ResourceId> = state.ids().collect();
        for &id in &ids {
            state.look_up_inputs(id);
        }
        for grant in snapshot.grants {
            state.restore_grant(grant);
        }
        for (attempt, executor) in snapshot.lost {
            state.lost.add(attempt, executor);
        }
        for &id in &ids {
            state.count_removal(id);
            state.publish(id);
        }
        // What is undefined reaches all that stands on it before anything is queued, and perhaps skipped.
        state.spread_what_is_undefined();
        state.unsettled.clear();
        state.revisit = Revisit::default();
        state.spread = 0;
        let latest = Latest::of(&mut state);
        for &id in &ids {
            state.rearm_far_timer(id, latest);
        }
        state.look_at_removals();
        for &id in &ids {
            state.resume(id);
        }
        for open in snapshot.requests.into_iter().filter(|open| open.kind != RequestKind::Suspend) {
            state.resume_request(open);
        }
        state.settle();
        while state.look_at_removals() {
            state.settle();
        }
        state.dispatch();
        state.share = Share::default();
        let effects = std::mem::take(&mut state.out);
        (state, effects)
    }

    fn restore_row(&mut self, row: LoadedRow) {
        if row.life == Life::Unreleased {
            return self.restore_unreleased(row.into_row());
        }
        if row.pending.is_some() {
            self.unreleased.changed.insert(row.resource);
        }
        if row.facts_in_force.is_some() {
            self.unreleased.facts.insert(row.resource);
        }
        let (id, name, key) = (row.resource, row.intent.name.clone(), identity_key(&row.intent));
        let (life, after, due) = (row.life, row.after, row.due_at);
        self.insert(row.0);
        if life == Life::Live {
            self.live.insert(name, id);
            self.identities.insert(key, id);
        } else {
            self.tombstones.entry(name).or_default().insert(id);
            self.identities.entry(key).or_insert(id);
        }
        if let Some(tombstone) = after {
            self.waiting_for.entry(tombstone).or_default().insert(id);
            self.outliving.extend((life == Life::Tombstone).then_some(id));
        }
        if let Some(at) = due {
            self.timers.insert((at, id));
        }
    }

    fn restore_edges(&mut self) {
        let ids: Vec<ResourceId> = self.ids().collect();
        for &id in &ids {
            let Some(intent) = self.get(id).map(|resource| Arc::clone(&resource.row.intent)) else { continue };
            let names = &intent.requires;
            if self.is_tombstone(id) {
                self.entombed.insert(id);
                // A tombstone waits for nothing by name: only what still stands keeps the order of deletion.
                let standing: Vec<ResourceId> =
                    names.iter().filter_map(|name| self.tombstone(name).or_else(|| self.find(name))).collect();
                for requirement in standing {
                    self.link(id, requirement);
                }
                let successor = self.get(id).and_then(|resource| resource.row.after);
                if let Some(successor) =
                    successor.filter(|&next| self.get(next).is_some_and(super::state::Resource::is_live))
                {
                    self.link(id, successor);
                }
            } else {
                self.set_requirements(id, names);
            }
        }
        self.open_circles();
    }

    fn restore_grant(&mut self, grant: OpenGrant) {
        let OpenGrant { attempt, resource: id, thing, executor, operation, reason, hash } = grant;
        let Some(resource) = self.get_mut(id) else {
            let place = thing.as_ref().map(|thing| self.target_at(&thing.target));
            self.give_up(
                attempt,
                Open::Forgotten {
                    id,
                    target: place,
                    executor: executor.clone(),
                    thing: thing.map(|thing| thing.key()),
                },
            );
            return self.occupy(place, executor, attempt);
        };
        let (place, live) = (resource.target, resource.is_live());
        let credited = live || operation == super::Operation::Delete;
        resource.run = Some(Run {
            attempt,
            executor: executor.clone(),
            operation,
            reason,
            priority: reason,
            hash,
            begun: false,
            yielding: false,
            credited,
        });
        self.open.insert(attempt, Open::Resource(id));
        self.occupy(Some(place), executor, attempt);
    }

    /// An executor that was not heard of yet has this attempt, and the target is its own until that ends.
    fn occupy(&mut self, place: Option<TargetIndex>, executor: super::ExecutorName, attempt: AttemptId) {
        self.in_flight += 1;
        if let Some(target) = place.and_then(|place| self.target_mut(place)) {
            target.granted += 1;
            target.executor = Some(executor.clone());
        }
        self.dispatchable.extend(place);
        let unheard = || ExecutorState::default();
        self.executors.entry(executor).or_insert_with(unheard).holds.insert(attempt);
    }

    /// Queues what is undone and has no timer of its own, and asks back what would not be granted now.
    fn resume(&mut self, id: ResourceId) {
        self.unsettled.push_back(id);
        let Some(resource) = self.get(id) else { return };
        let idle = resource.row.due_at.is_none() && resource.run.is_none();
        let stale = resource.run.is_some()
            && if resource.is_live() { !resource.runs_current() } else { !resource.delete_granted() };
        if stale {
            self.ask_back(id);
        }
        let Some(resource) = self.get(id) else { return };
        if !resource.is_live() {
            if idle && super::queue::deletes(resource) {
                self.enqueue(id, Reason::Change);
            }
        } else if stale || (idle && !resource.row.skipped && self.needs_deploy(resource, false)) {
            let reason = self.reason_to_deploy(resource);
            self.enqueue(id, reason);
        }
    }
}
