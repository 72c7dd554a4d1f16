//! What users ask for besides deploys and repairs: that work is left alone for now, and that things are only looked at.
//!
//! Deliberately absent: how long "for now" is, beyond the longest delay of a retry.

use super::super::super::{LastResult, Mode, Reason, ResourceId, Scope};
use super::inputs::looks;
use super::model::{Model, Res};

impl Model {
    /// "That what has not begun is left alone for now": out of the queue, and back from executors. Deletes go on.
    pub(super) fn cancel(&mut self, scope: &Scope) {
        for id in self.within(scope) {
            let res = &self.all[&id];
            let waits = res.queued.is_some() || res.unbegun();
            if !res.live() || self.undefined(res) || !waits {
                continue;
            }
            let res = self.all.get_mut(id).unwrap();
            (res.queued, res.cancelled, res.due) = (None, true, None);
            // What an executor has may begin before it is asked back.
            if res.run.is_none() {
                self.answer(id);
            }
        }
    }

    /// "Everything that has been deployed is looked at, and nothing is corrected."
    pub(super) fn can_be_looked_at(&self, id: ResourceId) -> bool {
        let res = &self.all[&id];
        let deployed = res.succeeded == Some(res.current) || res.intent.policy.mode == Mode::Observe;
        deployed && res.after.is_none()
    }
}

impl Res {
    /// It comes again when its time has come, or when a new owner finds it undone: as what it is then. "A receiver with a debt is attempted even if
    /// its intent is unchanged": that is more than a verification.
    pub(super) fn comes_again(&self) -> Reason {
        if !self.live() {
            Reason::Retry
        } else if self.has_update() || self.compliant() && self.debt.is_some() {
            Reason::Change
        } else if self.last_result == LastResult::Failed || self.succeeded != Some(self.current) {
            // "Its last attempt failed, was lost, …"
            Reason::Retry
        } else {
            Reason::Repair
        }
    }

    /// What waits, or what an executor has, only looks because a user asked.
    pub(super) fn reports(&self) -> bool {
        self.run.as_ref().map(|run| run.reason).or(self.queued).is_some_and(looks)
    }

    /// Cancelled, and its time has not come.
    pub(super) fn left_alone(&self) -> bool {
        self.cancelled && self.queued.is_none()
    }
}
