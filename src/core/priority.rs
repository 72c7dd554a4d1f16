//! Inherited priority: what blocks a waiter takes the waiter's priority, or the most urgent work would wait behind the least urgent.
//!
//! A priority is only ever lent to what the waiter waits for. The reason that is recorded, and the priority of what an attempt triggers, stay its
//! own; so does the number inside a priority: nothing is raised more often than there are priorities, however the edges lie.

use super::state::{EnvironmentState, Resource};
use super::{Reason, ResourceId};

impl EnvironmentState {
    /// Something queued lends its priority to all that it waits for, directly or not. To what that is, is known once everything has settled.
    pub(super) fn lend_priority(&mut self, id: ResourceId) {
        if self.get(id).is_some_and(|resource| resource.queued.is_some()) {
            self.lenders.push(id);
        }
    }

    /// Something queued has come to stand in the way of what is queued already.
    pub(super) fn borrow_priority(&mut self, id: ResourceId) {
        self.borrowers.push(id);
    }

    /// Somebody's priority has not reached all that it is lent to.
    pub(super) fn lends(&self) -> bool {
        !(self.lenders.is_empty() && self.borrowers.is_empty())
    }

    /// Everything has settled, or as much of it as the step's share allows. So much is lent as that allows too, counted in resources that raise
    /// somebody: one looks at all its neighbours at once, and a hub has as many dependents as there are resources.
    pub(super) fn lend_priorities(&mut self) {
        while let Some(borrower) = self.borrowers.pop() {
            if self.borrow(borrower) && !self.share.spend() {
                return;
            }
        }
        while let Some(lender) = self.lenders.pop() {
            if self.lend(lender) && !self.share.spend() {
                return;
            }
        }
    }

    /// Whether somebody had a lower one.
    fn lend(&mut self, id: ResourceId) -> bool {
        let Some(resource) = self.get(id) else { return false };
        let Some((priority, _)) = resource.queued.map(|queued| queued.turn) else { return false };
        let mut raised = false;
        for blocker in self.blockers_of(resource) {
            raised |= self.hurry(blocker, priority);
        }
        raised
    }

    /// Whether it had a lower one.
    fn borrow(&mut self, id: ResourceId) -> bool {
        let Some(resource) = self.get(id) else { return false };
        let queued = self.waiters_of(resource).into_iter().filter_map(|waiter| waiter.queued);
        let most_urgent = queued.map(|queued| queued.turn.0).min();
        most_urgent.is_some_and(|priority| self.hurry(id, priority))
    }

    /// What something queued waits for, as far as that is queued itself and can be hurried.
    fn blockers_of(&self, resource: &Resource) -> Vec<ResourceId> {
        if !resource.is_live() {
            let kept_by = self.kept_by(resource).filter(|dependent| !dependent.is_live());
            return kept_by.map(|dependent| dependent.row.resource).collect();
        }
        let busy = self.requirements_of(resource).filter(|required| required.is_live() && !self.holds_nobody(required));
        busy.map(|required| required.row.resource).chain(resource.row.after).collect()
    }

    /// What is queued and waits for it, the other way round.
    fn waiters_of<'a>(&'a self, resource: &'a Resource) -> Vec<&'a Resource> {
        if resource.is_live() {
            let dependents = resource.dependents.iter().filter_map(|&dependent| self.get(dependent));
            return dependents.filter(|waiter| waiter.is_live()).collect();
        }
        let successors = self.waiting_for.get(&resource.row.resource).into_iter().flatten();
        let successors = successors.filter_map(|&successor| self.get(successor));
        successors.chain(self.requirements_of(resource).filter(|required| !required.is_live())).collect()
    }

    /// Something queued is wanted sooner. Whether it had a lower priority.
    pub(super) fn hurry(&mut self, id: ResourceId, priority: Reason) -> bool {
        let raised = self.raise(id, priority);
        if raised {
            self.lend_priority(id);
        }
        raised
    }

    /// Whether it had a lower one.
    fn raise(&mut self, id: ResourceId, priority: Reason) -> bool {
        let Some(queued) = self.get(id).and_then(|resource| resource.queued) else { return false };
        if queued.turn.0 <= priority {
            return false;
        }
        self.unready(id);
        if let Some(queued) = self.get_mut(id).and_then(|resource| resource.queued.as_mut()) {
            queued.turn.0 = priority;
        }
        if queued.ready {
            self.ready(id);
        }
        true
    }
}
