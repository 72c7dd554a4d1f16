//! Removals that wait for a human: many at once, what is replaced only by approval (`release.rs`), and what is protected.
//!
//! A slip of the hand, a wrong folder or a GitOps tool that lost its source removes much at a time. So deletes that have not begun are held
//! together while they are many of an environment, until the removal is approved; the rest goes on. What is protected is never deleted.

use super::queue::deletes;
use super::state::{EnvironmentState, Resource};
use super::{ResourceId, Scope, limits};
use std::collections::BTreeSet;

/// Deletes that nobody has approved.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// What would be deleted, has not begun to be, and was not approved.
    pub(super) unapproved: BTreeSet<ResourceId>,
    /// They are many: none of them begins.
    pub(super) held: bool,
}

impl EnvironmentState {
    /// How many deletes wait together for an approval.
    pub fn removals_held(&self) -> usize {
        if self.removals.held { self.removals.unapproved.len() } else { 0 }
    }

    /// Counts a tombstone among the deletes that nobody approved, or no longer.
    pub(super) fn count_removal(&mut self, id: ResourceId) {
        if self.get(id).is_some_and(Resource::lacks_approval) {
            self.removals.unapproved.insert(id);
        } else {
            self.removals.unapproved.remove(&id);
        }
    }

    /// Whether they are many; where that has changed, each of them is thought over again, and it returns true.
    pub(super) fn look_at_removals(&mut self) -> bool {
        let count = self.removals.unapproved.len();
        let all = self.live.len() + count;
        let held = count > limits::REMOVALS && count * 100 > all * limits::REMOVALS_PERCENT;
        let changed = held != self.removals.held;
        if changed {
            self.removals.held = held;
            self.unsettled.extend(&self.removals.unapproved);
            self.out.changed.extend(&self.removals.unapproved);
        }
        changed
    }

    pub(super) fn awaits_approval(&self, resource: &Resource) -> bool {
        self.removals.held && self.removals.unapproved.contains(&resource.row.resource)
    }

    /// The deletes that an approval of this scope lets begin.
    pub(super) fn approvable(&self, scope: &Scope) -> BTreeSet<ResourceId> {
        let meant = |id: &&ResourceId| {
            self.get(**id).is_some_and(|resource| {
                let intent = &resource.row.intent;
                scope.target.as_ref().is_none_or(|target| *target == intent.target)
                    && scope.names.as_ref().is_none_or(|names| names.contains(&intent.name))
            })
        };
        let replaced: Vec<ResourceId> = self.replaced().collect();
        self.removals.unapproved.iter().chain(&replaced).filter(meant).copied().collect()
    }

    /// They may be deleted, however many they are, and also where another thing takes their name.
    pub(super) fn approve_removals(&mut self, removals: &BTreeSet<ResourceId>) {
        for &id in removals {
            if let Some(resource) = self.get_mut(id) {
                resource.row.removal_approved = true;
            }
            self.touch(id);
            self.count_removal(id);
            self.unsettled.push_back(id);
        }
        self.release_where_automatic();
    }
}

impl Resource {
    /// It is never deleted, whatever is asked.
    pub(super) fn is_protected(&self) -> bool {
        !self.is_live() && self.row.intent.policy.protected
    }

    fn lacks_approval(&self) -> bool {
        let begun = self.delete_failed() || (self.delete_granted() && self.run.as_ref().is_some_and(|run| run.begun));
        !(self.is_live() || self.row.removal_approved || self.is_protected() || begun) && deletes(self)
    }
}
