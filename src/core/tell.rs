//! Telling dependents what has changed of a requirement: few at once, very many a share per step.

use super::state::{EnvironmentState, Published};
use super::{Reason, ResourceId};
use std::ops::Bound;

/// Of a requirement with very many dependents: those up to `last` count what it has published, the others what it had published before.
#[derive(Debug)]
pub(super) struct Telling {
    before: Published,
    last: Option<ResourceId>,
    /// The highest priority among those that wait, so far.
    most_urgent: Option<Reason>,
}

impl EnvironmentState {
    /// Tells the dependents what has changed, if anything has.
    pub(super) fn publish(&mut self, id: ResourceId) {
        // The change goes round when the one before has.
        if self.telling.contains_key(&id) {
            return;
        }
        let Some(resource) = self.get(id) else { return };
        let (before, now) = (resource.published, self.to_publish(resource));
        if before == now {
            return;
        }
        let many = resource.dependents.len() > self.share.small();
        let Some(resource) = self.get_mut(id) else { return };
        resource.published = now;
        if many {
            self.telling.insert(id, Telling { before, last: None, most_urgent: None });
            return;
        }
        // Taken out rather than copied: this is done twice for every attempt.
        let told = std::mem::take(&mut resource.dependents);
        for &dependent in &told {
            self.tell(dependent, before, now);
        }
        let turns_busy = now.busy && !before.busy;
        let asked: Vec<ResourceId> = if turns_busy { told.iter().copied().collect() } else { Vec::new() };
        if let Some(resource) = self.get_mut(id) {
            resource.dependents = told;
        }
        for dependent in asked {
            self.ask_back_for_neighbour(dependent);
        }
        if turns_busy {
            self.borrow_priority(id);
        }
    }

    fn tell(&mut self, dependent: ResourceId, before: Published, now: Published) {
        if let Some(resource) = self.get_mut(dependent) {
            resource.count(before, now);
        }
        self.unsettled.push_back(dependent);
    }

    /// Tells the next one of very many; false where nobody is to be told.
    pub(super) fn tell_next(&mut self) -> bool {
        let Some((&id, telling)) = self.telling.first_key_value() else { return false };
        let (before, after) = (telling.before, telling.last.map_or(Bound::Unbounded, Bound::Excluded));
        let known = self.get(id).map(|resource| {
            let next = resource.dependents.range((after, Bound::Unbounded)).next();
            (resource.published, next.copied())
        });
        let turns_busy = known.is_some_and(|(now, _)| now.busy && !before.busy);
        let Some((now, Some(next))) = known else {
            self.told_all(id, turns_busy);
            return true;
        };
        self.tell(next, before, now);
        if turns_busy {
            self.ask_back_for_neighbour(next);
        }
        let waits = self.get(next).filter(|resource| resource.is_live()).and_then(|resource| resource.queued);
        let waits = waits.map(|queued| queued.turn.0);
        if let Some(telling) = self.telling.get_mut(&id) {
            telling.last = Some(next);
            telling.most_urgent = [telling.most_urgent, waits].into_iter().flatten().min();
        }
        true
    }

    fn told_all(&mut self, id: ResourceId, turns_busy: bool) {
        let Some(telling) = self.telling.remove(&id) else { return };
        let live = self.get(id).is_some_and(super::state::Resource::is_live);
        if let Some(priority) = telling.most_urgent.filter(|_| turns_busy && live) {
            self.hurry(id, priority);
        }
        self.publish(id);
    }

    /// What it requires turns busy. What only looks waits for no neighbour.
    fn ask_back_for_neighbour(&mut self, id: ResourceId) {
        if self.get(id).is_some_and(|resource| !resource.reports()) {
            self.ask_back(id);
        }
    }

    /// What a dependent counts of a requirement.
    pub(super) fn told(&self, dependent: ResourceId, requirement: ResourceId) -> Published {
        let waits = self.telling.get(&requirement).filter(|telling| telling.last.is_none_or(|last| last < dependent));
        let published = || self.get(requirement).map_or(Published::UNSEEN, |required| required.published);
        waits.map_or_else(published, |telling| telling.before)
    }
}
