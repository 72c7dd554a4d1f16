//! How an attempt ends, and what the result says of the resource.
//!
//! Deliberately absent: which of the two notifies (`notify.rs`).

use super::super::super::{
    Change, ExecutorName, LastResult, Mode, Observed, Operation, Outcome, OutcomeKind, Reason, ResourceId, Timestamp,
};
use super::inputs::looks;
use super::model::{Model, Res, Run};

impl Model {
    /// "Duplicate, late, reordered and forged results change nothing they should not": only the holder's answer to an open grant counts.
    pub(super) fn finish(&mut self, executor: &ExecutorName, outcome: &Outcome) {
        if self.strays.get(&outcome.attempt).is_some_and(|stray| stray.executor == *executor) {
            self.strays.remove(&outcome.attempt);
        } else if let Some(res) = self.run_of(executor, outcome.attempt) {
            let (id, run) = (res.id, res.run.clone().unwrap());
            self.ended(id, &run, run.begun, &outcome.kind);
        }
    }

    /// "Every grant ends in exactly one of: a result, Revoked, Lost."
    pub(super) fn ended(&mut self, id: ResourceId, run: &Run, began: bool, kind: &OutcomeKind) {
        let now = self.now;
        if matches!(kind, OutcomeKind::Revoked | OutcomeKind::Lost) {
            let target = self.all[&id].intent.target.clone();
            self.share_comes_back(&target);
        }
        let was_good = self.all[&id].good();
        let (live, fresh) = (self.all[&id].live(), self.all[&id].counts(run));
        let rotates = self.rotates(id, run, kind);
        let run = &if rotates { run.clone() } else { self.completes(id, run, kind) };
        let res = self.all.get_mut(id).unwrap();
        let (facts, released) = (res.facts.clone(), res.succeeded != Some(run.hash));
        let until = res.due.filter(|_| res.left_alone());
        res.run = None;
        res.due = res.due.filter(|_| res.cancelled);
        // "A failed create is deleted too": whatever was tried may exist, whoever is credited.
        let unsaid = matches!(kind, OutcomeKind::Revoked | OutcomeKind::Skipped { .. });
        res.touched |= !unsaid && (run.operation == Operation::Enforce || began || *kind != OutcomeKind::Lost);
        if !unsaid && (run.operation == Operation::Enforce || began || *kind != OutcomeKind::Lost) {
            res.last = run.attempt;
        }
        match kind {
            OutcomeKind::Revoked => self.given_back(id, run, true),
            // "one that had not begun runs again at once"; it may have begun all the same ("the last attempt that began or may have begun"),
            // and what only looks has touched nothing.
            OutcomeKind::Lost if !began => {
                if run.operation == Operation::Enforce && !(run.stranger && res.live()) {
                    res.attempted = Some(run.hash);
                    res.succeeded = res.succeeded.filter(|hash| *hash == run.hash);
                }
                res.remember_change(run, kind);
                // A delete may have begun, too.
                if run.operation == Operation::Delete {
                    (res.delete_began, res.failures) = (true, res.failures.max(1));
                }
                self.given_back(id, run, false);
            }
            OutcomeKind::Skipped { .. } => {}
            _ if rotates => {
                // Whoever asked for a look has been told: the secrets are others.
                if !(fresh || run.stranger && live) {
                    res.attempted = Some(run.hash);
                    res.succeeded = res.succeeded.filter(|hash| *hash == run.hash);
                }
                if looks(run.reason) && fresh {
                    self.answer(id);
                }
                self.follow_stale(id);
            }
            _ if run.operation == Operation::Delete => self.delete_ended(id, run, kind),
            _ if run.stranger && res.live() => {
                res.identify(run, kind);
                res.remember_change(run, kind);
                self.follow_stale(id);
            }
            _ if res.credit(run, kind, now) => {
                self.answer(id);
                self.tell(id, run, kind, was_good);
                if matches!(kind, OutcomeKind::Succeeded(_)) {
                    self.leave_alone_what_was_to_follow(id, until);
                }
            }
            _ => {
                res.remember_change(run, kind);
                self.follow_stale(id);
            }
        }
        if self.all.get(id).is_some() {
            self.hold_facts(id, &facts, released);
        }
        // "Adding the same again … cancels it": also where nothing would be deleted.
        if run.operation != Operation::Delete && self.all.get(id).is_some() {
            self.inherit(id);
        }
        if self.all.get(id).is_some_and(|res| !res.live() && res.leaves_an_orphan()) {
            self.leave(id);
        }
    }

    /// "That what has not begun is left alone for now": a reload and a correction too.
    fn leave_alone_what_was_to_follow(&mut self, id: ResourceId, until: Option<Timestamp>) {
        let res = &self.all[&id];
        let follows = (self.needs_deploy(res) || res.debt.is_some()) && !self.undefined(res) && res.queued.is_none();
        if follows && until.is_some() {
            let res = self.all.get_mut(id).unwrap();
            (res.cancelled, res.due) = (true, until);
        }
    }

    /// What the newest intent still needs after a stale finish is a change, whatever it waits for already.
    fn follow_stale(&mut self, id: ResourceId) {
        let res = &self.all[&id];
        if res.left_alone() {
            self.answer(id);
        } else if res.live() && !self.undefined(res) && self.needs_deploy(res) {
            self.all.get_mut(id).unwrap().queue(Reason::Change);
        }
    }

    fn given_back(&mut self, id: ResourceId, run: &Run, untouched: bool) {
        let res = &self.all[&id];
        if res.live() && res.left_alone() {
            return self.answer(id);
        }
        let asked = self.requests.values().any(|covered| covered.contains(&id));
        if untouched && res.live() && !run.stranger && !self.needs_deploy(res) && !asked {
            // Nothing is left to do about the intent that was granted.
            let res = self.all.get_mut(id).unwrap();
            res.queued = res.queued.filter(|reason| *reason != Reason::Change);
            if run.reason == Reason::Change {
                self.answer(id);
                return;
            }
        }
        if untouched && run.operation == Operation::Delete && self.heir(id).is_some() {
            self.all.get_mut(id).unwrap().delete_began = false;
            return self.inherit(id);
        }
        let res = self.all.get_mut(id).unwrap();
        if res.live() == (run.operation != Operation::Delete) && !run.stranger {
            // A delete that was given back goes on for the removal, whatever it was granted for.
            res.queue(if run.operation == Operation::Delete && untouched { Reason::Change } else { run.priority });
        } else if res.live() && run.stranger && !self.undefined(&self.all[&id]) && self.needs_deploy(&self.all[&id]) {
            self.all.get_mut(id).unwrap().queue(Reason::Change);
        }
    }

    /// The same thing, which waits for the end of this one.
    fn heir(&self, id: ResourceId) -> Option<ResourceId> {
        let res = self.all.get(id).filter(|res| !res.live())?;
        let waits = |other: &&Res| other.live() && other.after == Some(id) && other.thing() == res.thing();
        self.all.values().find(waits).map(|heir| heir.id)
    }

    /// "Adding the same again before its delete begins cancels it (state New, remote identity kept)."
    pub(super) fn inherit(&mut self, id: ResourceId) {
        let res = &self.all[&id];
        let Some(heir) = self.heir(id).filter(|_| res.run.is_none() && !res.delete_began) else { return };
        let (remote, debt, maybe_changed) = (res.remote.clone(), res.debt.clone(), res.maybe_changed);
        let holds = res.holds();
        let touched = res.touched || res.attempted.is_some();
        let heir = self.all.get_mut(heir).unwrap();
        (heir.remote, heir.touched) = (heir.remote.take().or(remote), heir.touched || touched);
        heir.may_hold(holds);
        (heir.debt, heir.maybe_changed) = (heir.debt.take().or(debt), heir.maybe_changed || maybe_changed);
        self.leave(id);
    }

    fn delete_ended(&mut self, id: ResourceId, run: &Run, kind: &OutcomeKind) {
        let res = self.all.get_mut(id).unwrap();
        if res.live() {
            // Added again, and the race was lost: what was there is gone or unknown, and it is New.
        } else if matches!(kind, OutcomeKind::Succeeded(finding) if finding.change == Change::None && res.remote.is_some())
        {
            // "Nothing we created is unreachable from a recorded identity or intent to create": after the one, the other.
            res.remote = None;
            (res.delete_began, res.failures) = (true, res.failures.max(1));
            res.queue(Reason::Change);
        } else if matches!(kind, OutcomeKind::Succeeded(_)) {
            self.leave(id);
        } else {
            // "a failed delete retries and holds what it required"
            res.identify(run, kind);
            res.delete_began = true;
            res.last_result = LastResult::Failed;
            res.failures += 1;
        }
    }
}

impl Res {
    /// "Nothing we created is unreachable from a recorded identity": it is kept whoever learned it.
    fn identify(&mut self, run: &Run, kind: &OutcomeKind) {
        let finding = match kind {
            OutcomeKind::Succeeded(finding) => Some(finding),
            OutcomeKind::Failed { finding, .. } => finding.as_ref(),
            _ => None,
        };
        let identity = finding.and_then(|finding| finding.remote_identity.clone());
        // What was only looked at may be somebody else's.
        if let Some(identity) = identity.filter(|_| run.operation == Operation::Enforce) {
            self.remote = Some(identity);
        }
    }

    /// A result, or the loss of work that had begun ("counts as a failure, so that work that kills its executor backs off").
    fn credit(&mut self, run: &Run, kind: &OutcomeKind, now: Timestamp) -> bool {
        self.attempted = Some(run.hash);
        self.identify(run, kind);
        self.learn(run, kind);
        if self.succeeded.is_some_and(|hash| hash != run.hash) {
            // What succeeded before is not what the target has now.
            self.succeeded = None;
        }
        let stale = !self.live() || run.hash != self.current || self.unknown;
        if stale && run.operation == Operation::Enforce && !matches!(kind, OutcomeKind::Succeeded(_)) {
            // It counts for nothing, and may have left the target half-way: what is there is not known to be what succeeded.
            self.succeeded = None;
        }
        let differs = matches!(kind, OutcomeKind::Succeeded(finding) if finding.change != Change::None);
        if self.live() && stale && run.operation == Operation::Observe && differs {
            // What it found is true of the intent that it was granted for, whichever counts now.
            self.succeeded = None;
        }
        if stale {
            // "A stale finish is recorded and never makes the resource good": the row keeps what was known of the intents that counted.
            return false;
        }
        if looks(run.reason) && self.intent.policy.mode == Mode::Enforce && !matches!(kind, OutcomeKind::Succeeded(_)) {
            // Whoever asked to be told, and for nothing to be corrected, is told that nothing was found out.
            (self.cancelled, self.due) = (false, None);
            return true;
        }
        (self.skipped, self.cancelled, self.due) = (false, false, None);
        if matches!(kind, OutcomeKind::Succeeded(_)) {
            let finding = if let OutcomeKind::Succeeded(finding) = kind { Some(finding) } else { None };
            let differs = run.operation == Operation::Observe && finding.is_some_and(|it| it.change != Change::None);
            self.succeeded = Some(run.hash);
            self.last_result = LastResult::Succeeded;
            self.verified = Some(now);
            self.observed = match run.reason {
                _ if !differs => Observed::Same,
                reason if looks(reason) => Observed::Reported,
                _ => Observed::Differs,
            };
            self.failures = 0;
            if !differs {
                self.is_as_said();
            }
        } else {
            self.last_result = LastResult::Failed;
            self.failures += 1;
        }
        true
    }
}
