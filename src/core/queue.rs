//! The queue: what waits, what is ready, what is skipped. Every resource whose surroundings changed is thought over here until nothing moves.

use super::ready::{Entry, Work};
use super::state::{EnvironmentState, Queued, Resource};
use super::{Compliance, DeletionPolicy, LastResult, Mode, Name, Outcome, OutcomeKind, Reason, Record, ResourceId};

impl EnvironmentState {
    /// Queues work. A higher priority replaces a queued lower one and joins that priority's tail; a lower one is ignored.
    pub(super) fn enqueue(&mut self, id: ResourceId, reason: Reason) {
        let Some(resource) = self.get(id) else { return };
        let undefined = resource.is_live() && self.undefined(resource);
        if undefined || resource.queued.is_some_and(|queued| queued.reason <= reason) {
            return;
        }
        if reason == Reason::FactRefresh && resource.queued.is_some_and(|queued| queued.reason != Reason::Report) {
            // Whatever is queued for it already brings the facts, and does more than look.
            self.hurry(id, reason);
            return;
        }
        // A report leaves what it finds: whoever wants more comes after it.
        let enough = !resource.reports() || reason.reports();
        if resource.is_live() && resource.runs_current() && enough {
            return self.raise_run(id, reason);
        }
        let (place, before) = (resource.target, resource.queued);
        // Whoever waits already is not told that it comes to stand in their way.
        let borrows = resource.published.busy || !resource.is_live();
        self.unready(id);
        self.sequence += 1;
        let awaits_turn = reason.verifies() && self.target(place).is_some_and(super::state::TargetState::is_rated);
        let own = (reason, self.sequence);
        let (turn, since) = before.map_or((own, self.sequence), |before| (before.turn.min(own), before.since));
        let queued = Queued { reason, turn, since, ready: false, awaits_turn };
        if let Some(resource) = self.get_mut(id) {
            resource.queued = Some(queued);
        }
        if let Some(target) = self.target_mut(place) {
            target.queued.insert(id);
        }
        self.disarm(id);
        self.show(id);
        self.unsettled.push_back(id);
        self.publish(id);
        if borrows {
            self.borrow_priority(id);
        }
        self.lend_priority(id);
    }

    /// What was granted already is as important as the most important request for it.
    fn raise_run(&mut self, id: ResourceId, reason: Reason) {
        if let Some(run) = self.get_mut(id).and_then(|resource| resource.run.as_mut()) {
            run.priority = run.priority.min(reason);
        }
    }

    /// Takes work back out of the queue.
    pub(super) fn dequeue(&mut self, id: ResourceId) -> Option<Queued> {
        self.unready(id);
        let resource = self.get_mut(id)?;
        let (queued, place) = (resource.queued.take()?, resource.target);
        if let Some(target) = self.target_mut(place) {
            target.queued.remove(id);
        }
        self.show(id);
        self.unsettled.push_back(id);
        Some(queued)
    }

    pub(super) fn ready(&mut self, id: ResourceId) {
        let Some(resource) = self.get_mut(id) else { return };
        let place = resource.target;
        let Some(queued) = resource.queued.as_mut().filter(|queued| !queued.ready) else { return };
        queued.ready = true;
        let entry = queued.entry(id);
        if let Some(target) = self.target_mut(place) {
            target.ready.insert(entry);
        }
        self.dispatchable.insert(place);
    }

    pub(super) fn unready(&mut self, id: ResourceId) {
        let Some(resource) = self.get_mut(id) else { return };
        let place = resource.target;
        let Some(queued) = resource.queued.as_mut().filter(|queued| queued.ready) else { return };
        queued.ready = false;
        let entry = queued.entry(id);
        if let Some(target) = self.target_mut(place) {
            target.ready.remove(&entry);
        }
        self.dispatchable.insert(place);
    }

    /// Thinks over everything that was marked, until nothing moves, or as much of it as the step's share allows. What is undefined goes round first,
    /// so that nothing is dropped from the queue for what was so only while a step was half done. Skips come last: until then, what something
    /// is to be skipped for may be queued again, or turn out to be undefined.
    pub(super) fn settle(&mut self) {
        while (!self.telling.is_empty() || self.spread < self.unsettled.len()) && self.share.spend() {
            if !self.tell_next() {
                self.spread_next();
            }
        }
        while self.moves() && self.share.spend() {
            if self.tell_next() {
                continue;
            }
            if let Some(id) = self.unsettled.pop_front() {
                self.spread = self.spread.saturating_sub(1);
                self.think_over(id);
            } else if let Some(id) = self.to_skip.pop_front()
                && self.get(id).is_some_and(|resource| self.is_hopeless(resource))
            {
                self.skip(id);
            }
        }
        self.lend_priorities();
    }

    /// Something has been marked and not thought over.
    pub(super) fn moves(&self) -> bool {
        !(self.telling.is_empty() && self.unsettled.is_empty() && self.to_skip.is_empty())
    }

    fn think_over(&mut self, id: ResourceId) {
        self.thoughts += 1;
        match self.get(id) {
            Some(resource) if resource.is_live() => self.reconsider_live(id),
            Some(_) => self.reconsider_tombstone(id),
            None => {}
        }
    }

    /// Lets all that was marked tell its dependents whether it is undefined.
    pub(super) fn spread_what_is_undefined(&mut self) {
        while self.spread_next() {}
    }

    fn spread_next(&mut self) -> bool {
        let Some(&id) = self.unsettled.get(self.spread) else { return false };
        self.spread += 1;
        if self.get(id).is_some_and(|resource| self.undefined(resource) != resource.published.undefined) {
            self.publish(id);
        }
        true
    }

    /// Queued, and nothing that it requires will be good by what is queued or runs.
    fn is_hopeless(&self, resource: &Resource) -> bool {
        resource.is_live()
            && resource.queued.is_some()
            && resource.run.is_none()
            && resource.held_back()
            && !self.waits(resource)
            && !self.undefined(resource)
    }

    fn reconsider_live(&mut self, id: ResourceId) {
        self.renew_inputs(id);
        let Some(resource) = self.get(id) else { return };
        let was_undefined = resource.was_undefined;
        if self.undefined(resource) {
            self.dequeue(id);
            self.disarm(id);
            self.answer_requests(id);
        } else {
            let recovered = resource.row.skipped && resource.bad_requirements == 0 && resource.busy_requirements == 0;
            // What runs an older intent is followed up; what was skipped before stays skipped until that recovers.
            let defined = was_undefined && resource.queued.is_none() && !resource.row.skipped;
            let idle = resource.queued.is_none() && resource.run.is_none();
            if defined && self.needs_deploy(resource, false) {
                self.enqueue(id, Reason::Change);
            } else if idle && recovered {
                let never = self.compliance(resource) == Compliance::HasUpdate;
                self.enqueue(id, if never { Reason::Change } else { Reason::Retry });
            }
            self.place(id);
            self.keep_going(id);
            self.hurry_behind_its_run(id);
        }
        // Its surroundings may have changed under a grant that has not begun.
        let recalled = |resource: &Resource| {
            let busy = resource.busy_requirements > 0 && !resource.reports();
            let neighbours = busy || resource.held_back() || self.undefined(resource);
            resource.run.is_some() && (neighbours || self.held(resource))
        };
        if self.get(id).is_some_and(recalled) {
            self.ask_back(id);
        }
        let undefined = self.get(id).is_some_and(|resource| self.undefined(resource));
        if let Some(resource) = self.get_mut(id).filter(|_| undefined != was_undefined) {
            resource.was_undefined = undefined;
            self.show(id);
        }
        self.publish(id);
    }

    /// A verification behind a run of the same resource may come to hold those that wait for it, which its being busy anyway does not show.
    fn hurry_behind_its_run(&mut self, id: ResourceId) {
        let holds = |resource: &Resource| {
            let verifies = resource.queued.is_some_and(|queued| queued.reason.verifies());
            verifies && resource.run.is_some() && !self.holds_nobody(resource)
        };
        if self.get(id).is_some_and(holds) {
            self.borrow_priority(id);
        }
    }

    /// Nothing is left lying: what is idle and neither skipped nor undefined has its timer, or is queued.
    fn keep_going(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let waits_for_something = resource.queued.is_some()
            || resource.run.is_some()
            || resource.row.due_at.is_some()
            || resource.row.skipped;
        if waits_for_something {
            return;
        }
        if self.needs_deploy(resource, false) {
            let reason = self.reason_to_deploy(resource);
            self.enqueue(id, reason);
        } else {
            self.arm_verification(id, true);
        }
    }

    /// Why something that needs a deploy is attempted, when nothing else has happened.
    pub(super) fn reason_to_deploy(&self, resource: &Resource) -> Reason {
        match self.compliance(resource) {
            Compliance::HasUpdate => Reason::Change,
            Compliance::Compliant if resource.owes_reload() => Reason::Change,
            // It failed, or was lost before anything succeeded.
            _ if resource.row.last_result == LastResult::Failed => Reason::Retry,
            _ if !resource.is_current(resource.row.succeeded) => Reason::Retry,
            _ => Reason::Repair,
        }
    }

    /// Waiting, ready or skipped: one of them is true of everything queued.
    fn place(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id).filter(|resource| resource.queued.is_some()) else { return };
        if resource.run.is_some() || self.waits(resource) {
            self.unready(id);
        } else if resource.held_back() {
            self.unready(id);
            self.to_skip.push_back(id);
        } else if self.held(resource) {
            self.unready(id);
        } else {
            self.ready(id);
        }
    }

    /// Decided here, recorded, never sent; ends when what caused it recovers, not on a timer of its own.
    fn skip(&mut self, id: ResourceId) {
        self.dequeue(id);
        self.disarm(id);
        let because = self.first_bad_requirement(id).unwrap_or_default();
        let (attempt, now) = (self.next_attempt(), self.now);
        let outcome =
            Outcome { attempt, began_at: None, finished_at: now, kind: OutcomeKind::Skipped { because }, log: None };
        self.out.records.push(Record::Outcome { resource: id, outcome });
        if let Some(resource) = self.get_mut(id) {
            resource.row.skipped = true;
        }
        self.touch(id);
        self.answer_skipped(id);
    }

    pub(super) fn first_bad_requirement(&self, id: ResourceId) -> Option<Name> {
        let requires = &self.get(id)?.requires;
        let names = requires
            .iter()
            .filter_map(|&requirement| self.get(requirement))
            .filter(|required| !required.published.good);
        names.map(|required| &required.row.intent.name).min().cloned()
    }

    /// A tombstone is deleted when nothing requires it any more, or becomes an orphan where nothing is to be deleted.
    pub(super) fn reconsider_tombstone(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let idle = resource.run.is_none() && !resource.delete_failed();
        if let Some(successor) = self.same_successor(id).filter(|_| idle) {
            return self.take_over(id, successor);
        }
        if resource.run.is_none() && !deletes(resource) {
            return self.retire(id, super::Life::Orphan);
        }
        if resource.run.is_some() || self.waits(resource) || self.held(resource) {
            self.unready(id);
        } else {
            self.ready(id);
        }
        if self.get(id).is_some_and(|resource| resource.run.is_some() && self.held(resource)) {
            self.ask_back(id);
        }
        self.publish(id);
    }
}

impl Queued {
    /// Where it stands when it is ready.
    pub(super) fn entry(&self, id: ResourceId) -> Entry {
        Entry { turn: self.turn, since: self.since, work: Work::Resource(id) }
    }
}

/// Whether a tombstone has anything to delete that it may delete.
pub(super) fn deletes(resource: &Resource) -> bool {
    let policy = &resource.row.intent.policy;
    resource.ever_attempted() && policy.deletion_policy == DeletionPolicy::Delete && policy.mode == Mode::Enforce
}
