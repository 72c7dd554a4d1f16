//! Notifications: what the attempt of a sender leaves on those that receive, until they have been told to reload.
//!
//! A debt is part of the receiver's row, so it is committed with the sender's result, and only the receiver's own success pays it: no crash
//! between the two loses a restart. What may have changed without a result that counts (lost, stale, failed half-way) is remembered on the
//! sender, and its next success leaves the debt.

use super::state::{EnvironmentState, Resource, Run};
use super::{Change, Finding, Intent, Name, Operation, Reason, ReloadDebt, ResourceId};
use std::sync::Arc;

impl Resource {
    /// Takes another intent for the same thing.
    pub(super) fn take_intent(&mut self, intent: &Arc<Intent>) {
        self.row.take_intent(intent);
        self.sends = intent.policy.notify.send;
    }

    /// Something it requires has changed, and it has not been told to reload since.
    pub(super) fn owes_reload(&self) -> bool {
        self.is_live() && self.row.reload.is_some()
    }

    /// Its success pays the debt: it was granted after the debt arose, and so was told to reload.
    pub(super) fn pays(&self, run: &Run) -> bool {
        self.row.reload.as_ref().is_none_or(|debt| run.attempt > debt.after)
    }

    /// The target may have been changed by a run that leaves no debt by itself. A tombstone remembers it too: it may be wanted again.
    pub(super) fn remember_change(&mut self) {
        self.row.maybe_changed |= self.sends;
    }
}

/// Whether the run has changed its target, as far as is known.
pub(super) fn changed(run: &Run, finding: Option<&Finding>) -> bool {
    run.operation == Operation::Enforce && finding.is_some_and(|finding| finding.change != Change::None)
}

impl EnvironmentState {
    /// Leaves a debt on each direct dependent that receives, and queues it with the priority of the attempt that sends.
    pub(super) fn notify(&mut self, id: ResourceId, priority: Reason) {
        let Some(sender) = self.get(id).filter(|sender| sender.is_live() && sender.sends) else { return };
        let because: Name = sender.row.intent.name.clone();
        let dependents: Vec<ResourceId> = sender.dependents.iter().copied().collect();
        // What has been granted by now was granted before the change, and does not know of it.
        let after = self.last_attempt;
        for dependent in dependents {
            let receives = |receiver: &&mut Resource| receiver.is_live() && receiver.row.intent.policy.notify.receive;
            let Some(receiver) = self.get_mut(dependent).filter(receives) else { continue };
            receiver.row.reload = Some(ReloadDebt { because: because.clone(), after });
            // What is skipped runs when what it was skipped for has recovered. What runs for that reason was granted before this debt arose.
            let runs_later = receiver.row.skipped && receiver.run.is_none();
            self.touch(dependent);
            if !runs_later {
                self.enqueue(dependent, priority);
            }
            self.unsettled.push_back(dependent);
        }
    }
}
