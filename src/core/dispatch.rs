//! Grants: which ready work goes to which executor, and how many executors are wanted.

use super::ready::{Entry, Work};
use super::state::{EnvironmentState, Open, Run, TargetIndex};
use super::{AttemptId, ExecutorName, Grant, Life, Message, Operation, Pool, PoolName, Reason, Record, ResourceId};
use std::collections::BTreeSet;
use std::sync::Arc;

impl EnvironmentState {
    /// Grants what can be granted on the targets that were marked, and says how many executors are wanted. Only what is left of the step's share is
    /// spent on it: something is left where everything has settled, and nowhere else.
    pub(super) fn dispatch(&mut self) {
        while let Some(index) = self.next_target() {
            let done = self.dispatch_target(index);
            self.count_working(index);
            self.arm_target(index);
            if !done {
                self.dispatchable.insert(index);
                break;
            }
        }
        self.scale_pools();
    }

    /// Any marked target; where executors are full, or the environment bounds what is in flight, the one on which the most important work of all waits.
    fn next_target(&mut self) -> Option<TargetIndex> {
        let bound = self.settings.max_in_flight;
        while let Some(index) = self.dispatchable.pop_first() {
            self.thoughts += 1;
            if bound.is_some() {
                self.wait_for_room(index);
            } else if !self.waits_its_turn(index) {
                return Some(index);
            }
            self.count_working(index);
            self.arm_target(index);
        }
        match bound {
            Some(most) => self.next_in_flight(most),
            None => self.next_in_line(),
        }
    }

    fn next_in_flight(&mut self, most: u32) -> Option<TargetIndex> {
        while self.in_flight < most {
            let relieved = self.next_in_line();
            if let Some(index) = relieved {
                self.wait_for_room(index);
            }
            self.thoughts += 1;
            let Some((standing, index)) = self.waiting_for_room.next(self.ageing.is_for_the_oldest()) else {
                // Nothing waits any more on the target that was next in line: there may be others.
                if relieved.is_some() {
                    continue;
                }
                return None;
            };
            if self.next_grantable(index).is_some() && self.executor_for(index).is_some() {
                self.ageing.count();
                return Some(index);
            }
            // What else it waits for marks it.
            self.wait_for_executor(index);
            self.waiting_for_room.remove(standing, index);
            if let Some(place) = self.target_mut(index) {
                place.waits_with = None;
            }
        }
        None
    }

    /// False where the share of this step has not sufficed.
    fn dispatch_target(&mut self, index: TargetIndex) -> bool {
        while let Some(entry) = self.next_grantable(index) {
            if !self.share.spend() {
                return false;
            }
            let work = entry.work;
            if let Work::Resource(id) = work
                && self.comes_to_its_turn(id)
            {
                continue;
            }
            let Some(executor) = self.executor_for(index) else { break };
            let now = self.now;
            if let Some(target) = self.target_mut(index) {
                target.ready.start(&entry);
                target.granted += 1;
                target.executor = Some(executor.clone());
                if let Some(rate) = target.target.as_ref().and_then(|target| target.rate_limit) {
                    target.bucket_full_at = rate.take(target.bucket_full_at, now);
                }
            }
            let attempt = match work {
                Work::Resource(_) => self.next_attempt(),
                Work::DryRun(..) => self.next_dry_run_attempt(),
            };
            if let Some(state) = self.executors.get_mut(&executor) {
                state.holds.insert(attempt);
            }
            match work {
                Work::Resource(id) => self.grant(id, attempt, executor),
                Work::DryRun(id, item) => self.grant_dry_run(id, item, attempt, executor, index),
            }
            if self.settings.max_in_flight.is_some() {
                break;
            }
        }
        self.wait_for_room(index);
        self.wait_for_executor(index);
        true
    }

    /// The first ready work of a target that nothing holds.
    pub(super) fn next_grantable(&self, index: TargetIndex) -> Option<Entry> {
        let place = self.target(index)?;
        let next = place.ready.next()?;
        self.has_room(place).then_some(next)
    }

    /// A verification on a target with a rate held nobody while it waited. Now that it is the next one its dependents' grants are asked back first.
    fn comes_to_its_turn(&mut self, id: ResourceId) -> bool {
        let Some(queued) = self.get_mut(id).and_then(|resource| resource.queued.as_mut()) else { return false };
        let turns = std::mem::take(&mut queued.awaits_turn);
        if turns {
            self.publish(id);
            self.settle();
        }
        turns
    }

    /// Remembers what a target waits with where the environment may have too much in flight for it.
    fn wait_for_room(&mut self, index: TargetIndex) {
        let waits = self.settings.max_in_flight.and_then(|_| self.target(index)?.ready.standing());
        let Some(place) = self.target_mut(index) else { return };
        let before = std::mem::replace(&mut place.waits_with, waits);
        if let Some(before) = before {
            self.waiting_for_room.remove(before, index);
        }
        if let Some(waits) = waits {
            self.waiting_for_room.insert(waits, index);
        }
    }

    /// The executor that works on the target; a new choice only while nothing is granted there, so that no two ever work on it.
    pub(super) fn executor_for(&self, index: TargetIndex) -> Option<ExecutorName> {
        let place = self.target(index)?;
        let target = place.target.as_ref()?;
        let free = |name: &ExecutorName| {
            let state = self.executors.get(name)?;
            let takes = place.granted < target.concurrency.saturating_add(state.lead());
            (state.connected && state.pool == target.pool && state.free() > 0 && takes).then_some(())
        };
        if let Some(current) = place.executor.as_ref().filter(|_| place.granted > 0) {
            return free(current).map(|()| current.clone());
        }
        let candidates = self.executors.iter().filter(|(name, _)| free(name).is_some());
        candidates.min_by_key(|(_, state)| state.holds.len()).map(|(name, _)| name.clone())
    }

    fn grant(&mut self, id: ResourceId, attempt: AttemptId, executor: ExecutorName) {
        let Some(resource) = self.get(id) else { return };
        let Some(reason) = resource.queued.map(|queued| queued.reason) else { return };
        let operation = self.operation(resource, reason);
        let hash = resource.hash();
        let grant = self.make_grant(resource.target, Arc::clone(&resource.row.intent), attempt, reason, operation);
        let Some(grant) = grant else { return };
        let grant = Arc::new(Grant {
            resource: Some(id),
            // What is deleted need not be known completely.
            hash: hash.unwrap_or(grant.hash),
            facts: self.known_facts(&resource.row.intent, resource.row.facts_in_force.as_deref()),
            secret_digest: resource.deployed_digest(),
            once_secret: resource.row.once_secret.clone(),
            version: resource.row.version,
            remote_identity: resource.row.remote_identity.clone(),
            reload: resource.row.reload.as_ref().filter(|_| resource.is_live()).map(|debt| debt.because.clone()),
            ..grant
        });
        let run = Run {
            attempt,
            executor: executor.clone(),
            operation,
            reason,
            priority: reason,
            hash: grant.hash,
            begun: false,
            yielding: false,
            credited: true,
        };
        let place = resource.target;
        if let Some(resource) = self.get_mut(id) {
            resource.queued = None;
            resource.run = Some(run);
        }
        if let Some(target) = self.target_mut(place) {
            target.queued.remove(id);
        }
        self.open.insert(attempt, Open::Resource(id));
        self.in_flight += 1;
        self.out.records.push(Record::Grant(executor.clone(), Arc::clone(&grant)));
        self.send_grant(executor, grant);
        self.show(id);
        self.publish(id);
        self.settle();
    }

    /// On its way, for the stream that the executor is known to have now.
    pub(super) fn send_grant(&mut self, executor: ExecutorName, grant: Arc<Grant>) {
        let session = self.executors.get(&executor).map_or_else(Default::default, |state| state.session);
        self.out.messages.push(Message::Grant(executor, session, grant));
    }

    pub(super) fn make_grant(
        &self,
        place: TargetIndex,
        intent: Arc<super::Intent>,
        attempt: AttemptId,
        reason: Reason,
        operation: Operation,
    ) -> Option<Grant> {
        let target = self.target(place)?.target.as_ref()?;
        Some(Grant {
            attempt,
            epoch: self.epoch,
            resource: None,
            hash: intent.hash(),
            facts: self.known_facts(&intent, None),
            secret_digest: None,
            once_secret: BTreeSet::new(),
            intent,
            version: self.version,
            reason,
            operation,
            connection: target.connection.clone(),
            concurrency: target.concurrency,
            remote_identity: None,
            reload: None,
            granted_at: self.now,
        })
    }

    /// A grant has ended: the target and the executor have room again.
    pub(super) fn release(&mut self, index: Option<TargetIndex>, executor: &ExecutorName, attempt: AttemptId) {
        if let Some(target) = index.and_then(|index| self.target_mut(index)) {
            target.granted = target.granted.saturating_sub(1);
        }
        self.dispatchable.extend(index);
        let Some(state) = self.executors.get_mut(executor) else { return };
        let was_full = state.is_full();
        state.holds.remove(attempt);
        if was_full {
            self.relieved.insert(executor.clone());
        }
    }

    /// Something that held a pool's targets has gone.
    pub(super) fn wake_pool(&mut self, pool: &PoolName) {
        let has_work = |place: &super::state::TargetState| !(place.ready.is_empty() && place.working.is_none());
        let places = self.places_of(pool).filter(|(_, place)| has_work(place)).map(|(index, _)| index);
        let places: Vec<TargetIndex> = places.collect();
        self.dispatchable.extend(places);
    }

    /// Keeps count of the targets with work, per pool.
    fn count_working(&mut self, index: TargetIndex) {
        let Some(place) = self.target(index) else { return };
        let works = place.granted > 0 || !(place.ready.is_empty() || self.stopping);
        let pool = place.target.as_ref().filter(|_| works).map(|target| target.pool.clone());
        if pool == place.working {
            return;
        }
        if let Some(before) = place.working.clone() {
            let state = self.pools.entry(before).or_default();
            state.working = state.working.saturating_sub(1);
        }
        if let Some(after) = pool.clone() {
            self.pools.entry(after).or_default().working += 1;
        }
        if let Some(place) = self.target_mut(index) {
            place.working = pool;
        }
    }

    /// As many executors as there are targets with work, within the pool's bounds.
    fn scale_pools(&mut self) {
        for (name, state) in &mut self.pools {
            let (min, max) = state.pool.as_ref().map_or((0, 1), |pool| (pool.min, pool.max));
            let wanted = state.working.max(min).min(max);
            if state.scaled != Some(wanted) {
                state.scaled = Some(wanted);
                self.out.messages.push(Message::Scale(name.clone(), wanted));
            }
        }
    }

    pub(super) fn change_pool(&mut self, pool: Pool) {
        let name = pool.name.clone();
        self.pools.entry(name.clone()).or_default().pool = Some(pool);
        self.wake_pool(&name);
    }

    pub(super) fn is_tombstone(&self, id: ResourceId) -> bool {
        self.get(id).is_some_and(|resource| resource.row.life == Life::Tombstone)
    }
}
