//! Reports: what has been deployed is looked at because a user asked, and left as it is, whatever the environment's policy says.
//!
//! A report only reads, so it waits for no neighbour and is skipped for none. What it finds is a verification's result: it is in history, and what
//! differs is no longer good. Nobody is told to reload because of it: what is corrected later tells them then. Where a look fails, or its executor is
//! lost, whoever asked is told by its outcome, and nothing follows from it: a retry would correct.
//!
//! Deliberately absent: what has not been deployed. It differs, and `status` says so.

use super::revisit::Why;
use super::state::{EnvironmentState, Resource};
use super::{LastResult, Mode, Reason, ResourceId};

impl Resource {
    /// There is something to look at: its intent is deployed, or is only ever looked at.
    pub(super) fn can_be_reported(&self) -> bool {
        self.row.after.is_none() && (!self.changes() || self.row.intent.policy.mode == Mode::Observe)
    }

    /// What an executor has of it, or else what is queued, is a report.
    pub(super) fn reports(&self) -> bool {
        let reason = self.run.as_ref().map(|run| run.reason).or(self.queued.map(|queued| queued.reason));
        reason.is_some_and(Reason::reports)
    }
}

impl EnvironmentState {
    /// A look has found out nothing: what was known stands, and what was to come is still to come. What is skipped has no timer.
    pub(super) fn after_vain_look(&mut self, id: ResourceId) {
        self.touch(id);
        if let Some(resource) = self.get(id).filter(|resource| resource.queued.is_none() && !resource.row.skipped) {
            if resource.row.last_result == LastResult::Failed {
                self.arm_retry(id);
            } else {
                self.arm_verification(id, false);
            }
        }
        self.answer_requests(id);
    }

    /// Queues a report. An owner that is there for reports only has nothing better to do with what is due anyway.
    pub(super) fn enqueue_report(&mut self, id: ResourceId) {
        self.drop_what_is_due(id);
        self.enqueue(id, Reason::Report);
    }

    pub(super) fn drop_what_is_due(&mut self, id: ResourceId) {
        let due = |resource: &Resource| {
            resource.queued.is_some_and(|queued| matches!(queued.reason, Reason::Retry | Reason::Repair))
        };
        if self.report_only && self.get(id).is_some_and(due) {
            self.dequeue(id);
        }
    }

    pub(super) fn only_report(&mut self) {
        self.report_only = true;
        self.revisit_all(Why { holds: true, ..Why::default() });
    }

    /// The owner is there for reports only.
    pub fn is_report_only(&self) -> bool {
        self.report_only
    }

    /// It is there for reports only, and this is none.
    pub(super) fn is_no_report(&self, resource: &Resource) -> bool {
        self.report_only && !resource.reports()
    }
}
