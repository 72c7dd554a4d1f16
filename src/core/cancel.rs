//! Cancelling: what has not begun is taken out of the queue and back from executors, and left alone for a while.
//!
//! What is then not good has its timer, after the longest retry delay: nothing accepted is ever forgotten. A user's deploy, a new intent or a
//! recovery goes on with it at once. The timer is stored, so a cancelled attempt stays cancelled over a restart.
//!
//! Deliberately absent: deletes. Who removed something by mistake declares it again; that takes the delete back for good.

use super::state::{EnvironmentState, Resource};
use super::{LastResult, RepairSchedule, ResourceId, Timestamp};

impl EnvironmentState {
    /// Something of it waits to begin.
    pub(super) fn can_be_cancelled(resource: &Resource) -> bool {
        resource.queued.is_some() || resource.run.as_ref().is_some_and(|run| !run.begun)
    }

    pub(super) fn cancel(&mut self, id: ResourceId) {
        self.dequeue(id);
        self.ask_back(id);
        self.postpone(id);
        // What has begun, or begins before it is asked back, is still waited for by whoever asked for it.
        if self.get(id).is_some_and(|resource| resource.run.is_none()) {
            self.answer_requests(id);
        }
    }

    /// It needs a deploy and is left alone. What has failed waits in the same way, for its retry.
    pub(super) fn cancelled_until(&self, resource: &Resource) -> Option<Timestamp> {
        // A difference that was found and left has its own reason.
        let failed = resource.row.last_result == LastResult::Failed;
        let waits = resource.queued.is_none() && !failed && !resource.drifted();
        resource.row.due_at.filter(|_| waits && self.needs_deploy(resource, false))
    }

    /// It was cancelled after `ordered`, and nothing has gone on with it since: that would have taken its timer away. What an executor still has
    /// may have begun.
    pub(super) fn cancelled_since(&self, ordered: Timestamp, id: ResourceId) -> bool {
        let still = |resource: &&Resource| resource.run.is_none() && !resource.row.observed.differs();
        // What is skipped has no other timer.
        let skipped = |resource: &Resource| resource.row.due_at.filter(|_| resource.row.skipped);
        let until = self
            .get(id)
            .filter(still)
            .and_then(|resource| skipped(resource).or_else(|| self.cancelled_until(resource)));
        // By a clock that was set back since, the order is still to come, and says nothing of when.
        let later = |until| ordered > self.now || until >= ordered.after_ms(self.settings.retry.max_delay_ms);
        until.is_some_and(later)
    }

    /// Leaves it alone for as long as the longest retry delay.
    fn postpone(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let verifies = self.settings.repair.schedule != RepairSchedule::Off;
        if resource.run.is_some() || verifies || self.needs_deploy(resource, false) {
            self.arm(id, self.now.after_ms(self.settings.retry.max_delay_ms));
        }
    }

    /// It was cancelled while an executor had it: its timer is already there, which nothing else in an executor's hands has.
    pub(super) fn was_cancelled(&self, id: ResourceId) -> bool {
        self.get(id).is_some_and(|resource| resource.queued.is_none() && resource.row.due_at.is_some())
    }
}
