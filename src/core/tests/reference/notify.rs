//! Reload debts: who is told when something that it requires has changed, and until when.
//!
//! Deliberately absent: the queue, but for the place that a debt gives (`events.rs` does the rest).

use super::super::super::{AttemptId, Change, Finding, Name, Operation, OutcomeKind, Reason, ResourceId};
use super::inputs::looks;
use super::model::{Model, Res, Run};

/// What a receiver owes: to whom it listens, and the last attempt that was granted when that changed.
pub(super) type Debt = (Name, AttemptId);

/// The attempt changed its target, as far as is known.
fn changed(run: &Run, kind: &OutcomeKind) -> bool {
    let finding: Option<&Finding> = match kind {
        OutcomeKind::Succeeded(finding) => Some(finding),
        OutcomeKind::Failed { finding, .. } => finding.as_ref(),
        _ => None,
    };
    run.operation == Operation::Enforce && finding.is_some_and(|finding| finding.change != Change::None)
}

impl Res {
    /// "A sender's Lost grant, or a stale finish that changed the target, is remembered as *maybe changed*."
    pub(super) fn remember_change(&mut self, run: &Run, kind: &OutcomeKind) {
        let lost = *kind == OutcomeKind::Lost && run.operation == Operation::Enforce;
        self.maybe_changed |= self.intent.policy.notify.send && (lost || changed(run, kind));
    }

    /// Something that it requires has changed, and it has not been told.
    pub(super) fn owes(&self) -> bool {
        self.debt.as_ref().is_some_and(|(_, after)| self.run.as_ref().is_none_or(|run| run.attempt <= *after))
    }
}

impl Model {
    /// "A sender whose attempt changed the target, or that turned from good to bad, leaves a *reload debt* on each direct dependent that receives."
    pub(super) fn tell(&mut self, id: ResourceId, run: &Run, kind: &OutcomeKind, was_good: bool) {
        let after = self.last_attempt.max(self.last_skip);
        let succeeded = matches!(kind, OutcomeKind::Succeeded(_));
        let res = self.all.get_mut(id).unwrap();
        if looks(run.reason) {
            // Nobody is told because of a report; what is corrected later tells them then.
            return;
        }
        let tells = succeeded && (changed(run, kind) || res.maybe_changed) || was_good && !res.good();
        if succeeded {
            res.maybe_changed = false;
            // "cleared only by the receiver's next success", of an attempt that was told.
            res.debt = res.debt.take().filter(|(_, after)| run.attempt <= *after);
        } else {
            res.remember_change(run, kind);
        }
        if tells && res.intent.policy.notify.send {
            let because = res.intent.name.clone();
            let receives = |res: &&Res| res.live() && res.intent.policy.notify.receive;
            let receivers: Vec<ResourceId> =
                self.dependents(id, false).into_iter().filter(receives).map(|res| res.id).collect();
            for receiver in receivers {
                let res = self.all.get_mut(receiver).unwrap();
                (res.debt, res.told) = (Some((because.clone(), after)), Some(run.priority));
                self.give_place(receiver, run.priority);
            }
        }
    }

    /// "A notification has the priority of the attempt that sent it" (D11).
    fn give_place(&mut self, id: ResourceId, priority: Reason) {
        let res = &self.all[&id];
        // What was skipped runs when that recovers, and "the dependent already runs: one more is queued" (D4).
        let runs_later = res.skipped && res.run.is_none();
        // What becomes defined by that very result joins with it, or as a change: that is open (`think_over`).
        if !runs_later && !res.was_undefined && !self.undefined(res) {
            self.all.get_mut(id).unwrap().queue(priority);
        }
    }
}
