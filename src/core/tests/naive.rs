//! The scheduler's indexes and counters, recomputed from scratch from rows, queue and runs, and compared with what it keeps.

use crate::core::derive::identity_key;
use crate::core::ready::{Entry, Work};
use crate::core::room::Server;
use crate::core::state::{EnvironmentState, Open, Queued, Resource, Run, TargetIndex};
use crate::core::windows::Opening;
use crate::core::{AttemptId, Hash, LastResult, Life, Mode, Name, Operation, Reason, ResourceId, Target, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What the rules say of every resource, worked out without any counter.
pub(super) struct Naive<'a> {
    state: &'a EnvironmentState,
    resources: BTreeMap<ResourceId, &'a Resource>,
    undefined: BTreeSet<ResourceId>,
}

impl<'a> Naive<'a> {
    pub(super) fn new(state: &'a EnvironmentState) -> Self {
        let resources = state.ids().map(|id| (id, state.get(id).unwrap())).collect();
        let mut naive = Self { state, resources, undefined: BTreeSet::new() };
        loop {
            let grown: BTreeSet<ResourceId> = naive
                .resources
                .values()
                .filter(|resource| naive.is_undefined(resource))
                .map(|r| r.row.resource)
                .collect();
            if grown == naive.undefined {
                return naive;
            }
            naive.undefined = grown;
        }
    }

    fn is_undefined(&self, resource: &Resource) -> bool {
        if resource.row.life == Life::Tombstone {
            let deletes = |run: &Run| run.operation == Operation::Delete;
            return resource.row.failures > 0 || resource.run.as_ref().is_some_and(deletes);
        }
        let target_missing = !self.state.targets().any(|target| target.name == resource.row.intent.target);
        let required = |name: &Name| self.named(name).is_none_or(|id| self.undefined.contains(&id));
        target_missing || resource.row.intent.requires.iter().any(required) || self.hash(resource).is_none()
    }

    /// The hash of the newest intent with the facts that it takes, where they are known. A tombstone stands as it last stood.
    fn hash(&self, resource: &Resource) -> Option<Hash> {
        let intent = &resource.row.intent;
        if resource.row.life == Life::Tombstone {
            return resource.hash();
        }
        let mut parts = vec![intent.hash().0.to_vec()];
        for of in intent.facts_taken() {
            let facts = &self.resources[&self.named(&of.name)?].row.facts;
            let line = |line: &str| line.strip_prefix(&format!("{} {} ", of.name, of.fact)).map(ToOwned::to_owned);
            let in_force = resource.row.facts_in_force.as_deref().and_then(|text| text.lines().find_map(line));
            parts.push(in_force.or_else(|| facts.get(&of.fact).map(ToOwned::to_owned))?.into_bytes());
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let hash = if parts.len() == 1 { intent.hash() } else { Hash::of(&parts) };
        Some(resource.row.secret_digest.map_or(hash, |digest| Hash::of(&[&hash.0, &digest.0])))
    }

    /// What a live resource that requires this name stands on.
    fn named(&self, name: &Name) -> Option<ResourceId> {
        let newest = |tombstones: &BTreeSet<ResourceId>| tombstones.last().copied();
        self.state.live.get(name).copied().or_else(|| self.state.tombstones.get(name).and_then(newest))
    }

    pub(super) fn undefined(&self, id: ResourceId) -> bool {
        self.undefined.contains(&id)
    }

    pub(super) fn good(&self, id: ResourceId) -> bool {
        let row = &self.resources[&id].row;
        let hash = self.hash(self.resources[&id]);
        let succeeded = hash.is_some()
            && row.attempted == hash
            && row.succeeded == hash
            && row.last_result == LastResult::Succeeded;
        succeeded && !row.observed.differs() && !row.skipped
    }

    fn target_of(&self, resource: &Resource) -> Option<&'a Target> {
        self.state.targets().find(|target| target.name == resource.row.intent.target)
    }

    /// Its target or the environment lets nothing of it start.
    fn held(&self, resource: &Resource) -> bool {
        let verifies = resource.row.life == Life::Live
            && self.hash(resource).is_some_and(|hash| resource.row.succeeded == Some(hash));
        let ordered = self
            .state
            .suspensions()
            .any(|by| by.target.as_ref().is_none_or(|target| *target == resource.row.intent.target));
        let reason = resource.run.as_ref().map(|run| run.reason).or(resource.queued.map(|queued| queued.reason));
        let removed = resource.row.life == Life::Tombstone;
        ordered
            || (self.state.report_only && !reason.is_some_and(Reason::reports))
            || (removed && (resource.row.intent.policy.protected || self.awaits_approval(resource)))
            || self.state.settings.suspend
            || self.target_of(resource).is_none_or(|target| {
                let windows = if verifies { &target.windows.repair } else { &target.windows.deploy };
                target.suspend || !Opening::of(windows, self.state.now).open
            })
    }

    /// Deletes that have not begun and that nobody approved: more than ten, and more than a tenth of all there is.
    fn unapproved(&self) -> BTreeSet<ResourceId> {
        let lacks = |resource: &&Resource| {
            let row = &resource.row;
            let began = resource.run.as_ref().is_some_and(|run| run.begun && run.operation == Operation::Delete);
            row.life == Life::Tombstone
                && crate::core::queue::deletes(resource)
                && !(row.removal_approved || row.intent.policy.protected || began || row.failures > 0)
        };
        self.resources.values().copied().filter(lacks).map(|resource| resource.row.resource).collect()
    }

    fn awaits_approval(&self, resource: &Resource) -> bool {
        let unapproved = self.unapproved();
        let live = self.resources.values().filter(|resource| resource.row.life == Life::Live).count();
        unapproved.contains(&resource.row.resource)
            && unapproved.len() > 10
            && unapproved.len() * 10 > live + unapproved.len()
    }

    /// A verification of a good one that cannot run now holds nobody.
    fn holds_nobody(&self, resource: &Resource, queued: Queued) -> bool {
        let connected = |pool: &Name| self.state.executors.values().any(|one| one.connected && one.pool == *pool);
        let unreachable = self.target_of(resource).is_none_or(|target| !connected(&target.pool));
        queued.reason.verifies()
            && resource.row.reload.is_none()
            && self.good(resource.row.resource)
            && (queued.awaits_turn || unreachable || self.held(resource))
    }

    pub(super) fn busy(&self, id: ResourceId) -> bool {
        let resource = self.resources[&id];
        let waits = resource.queued.is_some_and(|queued| !self.holds_nobody(resource, queued));
        resource.run.is_some() || (resource.row.life == Life::Live && waits)
    }

    /// Direct requirements: of a live resource by name, of a tombstone those that still stand.
    pub(super) fn requirements(&self, id: ResourceId) -> Vec<ResourceId> {
        let resource = self.resources[&id];
        if resource.row.life == Life::Tombstone {
            return resource.requires.clone();
        }
        resource.row.intent.requires.iter().filter_map(|name| self.named(name)).collect()
    }

    pub(super) fn dependents(&self, id: ResourceId) -> Vec<ResourceId> {
        self.resources.keys().copied().filter(|&other| self.requirements(other).contains(&id)).collect()
    }

    /// What a tombstone's delete waits for: all that requires it, or, once its delete has begun, the tombstones that do.
    pub(super) fn kept_by(&self, id: ResourceId) -> Vec<ResourceId> {
        let begun = self.resources[&id].row.failures > 0;
        let keeps = |other: &ResourceId| !begun || self.resources[other].row.life == Life::Tombstone;
        self.dependents(id).into_iter().filter(keeps).collect()
    }

    pub(super) fn worked_on_by_forgotten(&self, resource: &Resource) -> bool {
        let key = identity_key(&resource.row.intent);
        self.state.open.values().any(|open| matches!(open, Open::Forgotten { thing, .. } if *thing == Some(key)))
    }

    /// Whether what is queued here may be granted as far as its neighbours go.
    fn startable(&self, id: ResourceId) -> bool {
        let resource = self.resources[&id];
        let yields = |other: &ResourceId| self.resources[other].run.as_ref().is_some_and(|run| run.yielding);
        let dependents = self.dependents(id);
        if resource.run.is_some() || self.held(resource) {
            return false;
        }
        if resource.queued.is_some_and(|queued| queued.reason.reports()) {
            return true;
        }
        if dependents.iter().any(yields) || self.worked_on_by_forgotten(resource) {
            return false;
        }
        if resource.row.life == Life::Tombstone {
            let in_place = |next: ResourceId| self.resources[&next].row.life == Life::Live && self.good(next);
            return self.kept_by(id).is_empty() && resource.row.after.is_none_or(in_place);
        }
        let ignores = resource.row.intent.policy.mode == Mode::Observe;
        let fine = |required: &ResourceId| !self.busy(*required) && (ignores || self.good(*required));
        resource.row.after.is_none() && self.requirements(id).iter().all(fine)
    }
}

/// Compares everything the scheduler keeps with what it would be from scratch.
pub(super) fn check(state: &EnvironmentState) {
    assert!(state.unsettled.is_empty() && state.dispatchable.is_empty(), "a step left something undecided");
    let naive = Naive::new(state);
    for &id in naive.resources.keys() {
        check_edges(&naive, id);
        check_counters(&naive, id);
    }
    check_names(&naive);
    assert_eq!(state.removals.unapproved, naive.unapproved(), "removals that nobody approved");
    check_targets(&naive);
    let counts = state.counts();
    assert_eq!((state.queued(), state.running()), (counts.queued, counts.running), "what is under way");
    check_executors(state);
    let timers: BTreeSet<(Timestamp, ResourceId)> =
        naive.resources.values().filter_map(|resource| Some((resource.row.due_at?, resource.row.resource))).collect();
    assert_eq!(state.timers, timers, "timers");
    assert_eq!(state.wakes.len(), state.targets.iter().filter(|place| place.wakes_at.is_some()).count(), "wakes");
}

fn check_edges(naive: &Naive, id: ResourceId) {
    let resource = naive.resources[&id];
    let name = &resource.row.intent.name;
    let set = |ids: Vec<ResourceId>| ids.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(resource.requires.clone()), set(naive.requirements(id)), "requirements of {name}");
    assert_eq!(resource.requires.len(), set(resource.requires.clone()).len(), "a requirement of {name} stands twice");
    assert_eq!(resource.dependents, set(naive.dependents(id)), "dependents of {name}");
    if resource.row.life == Life::Live {
        let missing = resource.row.intent.requires.iter().filter(|name| naive.named(name).is_none());
        let mut kept = resource.missing.clone();
        kept.sort();
        assert_eq!(kept, missing.cloned().collect::<Vec<_>>(), "missing names of {name}");
        assert!(kept.iter().all(|missing| naive.state.wanted[missing].contains(&id)), "{name} is not in `wanted`");
    }
}

fn check_counters(naive: &Naive, id: ResourceId) {
    let resource = naive.resources[&id];
    let name = &resource.row.intent.name;
    let requirements = naive.requirements(id);
    let count = |holds: &dyn Fn(ResourceId) -> bool| requirements.iter().filter(|&&id| holds(id)).count() as u32;
    assert_eq!(resource.busy_requirements, count(&|id| naive.busy(id)), "busy requirements of {name}");
    assert_eq!(resource.bad_requirements, count(&|id| !naive.good(id)), "bad requirements of {name}");
    assert_eq!(resource.undefined_requirements, count(&|id| naive.undefined(id)), "undefined requirements of {name}");
    let yields = |other: &&ResourceId| naive.resources[other].run.as_ref().is_some_and(|run| run.yielding);
    let yielding = resource.dependents.iter().filter(yields).count() as u32;
    assert_eq!(resource.yielding_dependents, yielding, "yielding dependents of {name}");
    assert_eq!(resource.sends, resource.row.intent.policy.notify.send, "whether {name} notifies");
    let published = resource.published;
    let expected = (naive.busy(id), naive.good(id), naive.undefined(id));
    assert_eq!((published.busy, published.good, published.undefined), expected, "what {name} published");
    if let Some(queued) = resource.queued {
        assert!(!naive.undefined(id) || resource.row.life == Life::Tombstone, "{name} is queued and undefined");
        assert_eq!(queued.ready, naive.startable(id), "whether {name} is ready");
        assert!(resource.row.due_at.is_none(), "{name} is queued and has a timer");
    }
}

fn check_names(naive: &Naive) {
    let state = naive.state;
    let of_life = |life| naive.resources.values().filter(move |resource| resource.row.life == life);
    let live: BTreeMap<Name, ResourceId> =
        of_life(Life::Live).map(|resource| (resource.row.intent.name.clone(), resource.row.resource)).collect();
    assert_eq!(state.live.clone().into_iter().collect::<BTreeMap<_, _>>(), live, "live names");
    assert_eq!(of_life(Life::Live).count(), live.len(), "two live resources of one name");
    let named: BTreeSet<(&Name, ResourceId)> =
        of_life(Life::Tombstone).map(|resource| (&resource.row.intent.name, resource.row.resource)).collect();
    let kept = state.tombstones.iter().flat_map(|(name, ids)| ids.iter().map(move |&id| (name, id)));
    assert_eq!(kept.collect::<BTreeSet<_>>(), named, "names of tombstones");
    assert_eq!(live.len() + of_life(Life::Tombstone).count(), naive.resources.len(), "something that left is kept");
    let wanted = state.wanted.iter().flat_map(|(name, ids)| ids.iter().map(move |id| (name, id)));
    for (name, id) in wanted {
        let resource = naive.resources.get(id).unwrap_or_else(|| panic!("{name} is wanted by something that left"));
        assert!(resource.missing.contains(name), "{name} is wanted by one that has it");
    }
    for waiter in naive.resources.values().filter(|resource| resource.is_live()) {
        let Some((priority, _)) = waiter.queued.map(|queued| queued.turn) else { continue };
        let required = waiter.requires.iter().filter_map(|id| naive.resources.get(id));
        for blocker in required.filter(|required| required.is_live() && !state.holds_nobody(required)) {
            let behind = blocker.queued.is_some_and(|queued| queued.turn.0 > priority);
            assert!(!behind, "{} waits behind its priority for {}", waiter.row.intent.name, blocker.row.intent.name);
        }
    }
    for (id, resource) in &naive.resources {
        let key = crate::core::derive::identity_key(&resource.row.intent);
        let holder =
            state.identities.get(&key).unwrap_or_else(|| panic!("{} has no identity", resource.row.intent.name));
        assert!(holder == id || resource.row.life == Life::Tombstone, "identity of {}", resource.row.intent.name);
        if let Some(after) = resource.row.after {
            assert!(state.waiting_for[&after].contains(id), "{} waits and nobody knows", resource.row.intent.name);
            let replaced = resource.row.life == Life::Tombstone;
            assert!(
                replaced || state.is_tombstone(after),
                "{} waits for what is no tombstone",
                resource.row.intent.name
            );
        }
    }
}

fn check_targets(naive: &Naive) {
    let state = naive.state;
    for (index, place) in (0_u32..).map(TargetIndex).zip(&state.targets) {
        let here = || naive.resources.values().filter(move |resource| resource.target == index);
        let ids = |some: &mut dyn Iterator<Item = &&Resource>| some.map(|r| r.row.resource).collect::<BTreeSet<_>>();
        assert_eq!(place.residents, ids(&mut here()), "residents");
        let queued = ids(&mut here().filter(|resource| resource.queued.is_some()));
        assert_eq!(place.queued, queued.into_iter().collect(), "queued on a target");
        let ready: BTreeSet<Entry> = here()
            .filter_map(|resource| resource.queued.filter(|queued| queued.ready).map(|queued| (resource, queued)))
            .map(|(resource, queued)| queued.entry(resource.row.resource))
            .collect();
        let kept = place.ready.iter().filter(|entry| matches!(entry.work, Work::Resource(_)));
        assert_eq!(kept.collect::<BTreeSet<_>>(), ready, "the ready queue of a target");
        let by_age = place.ready.iter_by_age().collect::<BTreeSet<_>>();
        assert_eq!(by_age, place.ready.iter().collect(), "the same by age");
        assert!(place.ready.iter_by_age().is_sorted_by_key(|entry| entry.since), "the oldest first");
        let on_it = |open: &&Open| match open {
            Open::Resource(id) => naive.resources[id].target == index,
            Open::Forgotten { target, .. } => *target == Some(index),
            Open::DryRun { target, .. } => *target == index,
        };
        assert_eq!(place.granted, state.open.values().filter(on_it).count() as u32, "grants on a target");
        let idle = state.next_grantable(index).is_none() || state.executor_for(index).is_none();
        assert!(idle, "something can be granted and is not");
        let works = place.granted > 0 || !(place.ready.is_empty() || state.stopping);
        let pool = place.target.as_ref().filter(|_| works).map(|target| &target.pool);
        assert_eq!(place.working.as_ref(), pool, "whether a target works");
        check_windows(state, index);
    }
    for (name, pool) in &state.pools {
        let working = state.targets.iter().filter(|place| place.working.as_ref() == Some(name)).count() as u32;
        assert_eq!(pool.working, working, "working targets of pool {name}");
    }
}

/// What is kept of a target's windows and its rate is what they say now, and its timer is the next thing that changes it.
fn check_windows(state: &EnvironmentState, index: TargetIndex) {
    let place = state.target(index).unwrap();
    let windows = place.target.as_ref().map(|target| target.windows.clone()).unwrap_or_default();
    assert_eq!(place.deploy, Opening::of(&windows.deploy, state.now), "deploy windows");
    assert_eq!(place.repair, Opening::of(&windows.repair, state.now), "repair windows");
    let rate = place.target.as_ref().and_then(|target| target.rate_limit);
    let share = rate.map(|rate| rate.opens_at(place.bucket_full_at)).filter(|&at| at > state.now);
    let edges = [place.deploy.edge, place.repair.edge, share.filter(|_| !place.ready.is_empty())];
    let next = edges.into_iter().flatten().min();
    assert_eq!(place.wakes_at, next, "the timer of a target");
    assert!(next.is_none_or(|at| state.wakes.contains(&(at, index))), "a timer that never fires");
    assert!(rate.is_some() || place.queued.iter().all(|id| !state.get(id).unwrap().queued.unwrap().awaits_turn));
    let waits = state.waiting_for_room.iter().filter(|(_, waiting)| *waiting == index).map(|(standing, _)| standing);
    assert!(waits.eq(place.waits_with), "what waits for room");
    let limited = state.settings.max_in_flight.is_some();
    let beside = place.target.as_ref().is_some_and(|target| place.granted < target.concurrency);
    let has_room = beside && share.is_none() && !state.stopping && state.executor_for(index).is_some();
    if has_room || place.waits_with.is_some() {
        assert_eq!(place.waits_with, place.ready.standing().filter(|_| limited), "what comes first there");
    }
    let waits_for = state.would_take(index, |_, executor| executor.free() == 0);
    assert!(waits_for.is_none() || place.waits_for == waits_for, "a target waits for room, and nobody knows");
    if let Some((standing, server)) = &place.waits_for {
        let line = match server {
            Server::Pool(name) => &state.pools[name].line,
            Server::Executor(name) => &state.executors[name].line,
        };
        assert!(line.iter().any(|waits| waits == (*standing, index)), "a target waits for room, and not in line");
    }
}

fn check_executors(state: &EnvironmentState) {
    let in_flight = state.open.values().filter(|open| !matches!(open, Open::DryRun { .. })).count() as u32;
    assert_eq!(state.in_flight, in_flight, "attempts in flight");

    let forgotten = |(&attempt, open): (&AttemptId, &Open)| match open {
        Open::Forgotten { thing, .. } => thing.map(|thing| (thing, attempt)),
        _ => None,
    };
    assert_eq!(state.given_up, state.open.iter().filter_map(forgotten).collect(), "what was forgotten and runs");
    let mut holds: BTreeMap<&Name, BTreeSet<AttemptId>> = BTreeMap::new();
    for (&attempt, open) in &state.open {
        let executor = match open {
            Open::Resource(id) => {
                let run = state.get(*id).and_then(|resource| resource.run.as_ref()).unwrap();
                assert_eq!(run.attempt, attempt, "a run and its number");
                &run.executor
            }
            Open::Forgotten { executor, .. } | Open::DryRun { executor, .. } => executor,
        };
        holds.entry(executor).or_default().insert(attempt);
    }
    for (name, executor) in &state.executors {
        let known = holds.remove(name).unwrap_or_default();
        assert_eq!(executor.holds, known.into_iter().collect(), "what {name} holds");
    }
    assert!(holds.is_empty(), "grants held by unknown executors: {holds:?}");
}
