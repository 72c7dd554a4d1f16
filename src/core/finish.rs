//! How attempts end, and what follows from it.

use super::notify::changed;
use super::state::{EnvironmentState, Open, Resource, Run};
use super::{
    AttemptId, Change, ExecutorName, Finding, LastResult, Life, Message, Mode, Name, Observed, Operation, Outcome,
    OutcomeKind, Reason, Record, ResourceId,
};

impl EnvironmentState {
    /// An executor reports an end. Reports of attempts it was not granted, or that have ended before, change nothing.
    pub(super) fn finish(&mut self, executor: &ExecutorName, outcome: Outcome) {
        self.out.messages.push(Message::Acknowledge(executor.clone(), outcome.attempt));
        if self.holder_of(outcome.attempt) == Some(executor) {
            let outcome = self.believed(outcome);
            self.close(outcome);
        } else {
            self.refuse_late(executor, outcome);
        }
    }

    /// What begun work did is not unsaid by giving it back, and skipping is not an executor's to decide: nobody knows what such an attempt did.
    fn believed(&self, outcome: Outcome) -> Outcome {
        let run = match self.open.get(&outcome.attempt) {
            Some(Open::Resource(id)) => self.get(*id).and_then(|resource| resource.run.as_ref()),
            _ => None,
        };
        let begun = outcome.began_at.is_some() || run.is_some_and(|run| run.begun);
        let kind = match outcome.kind {
            OutcomeKind::Revoked if begun => OutcomeKind::Lost,
            OutcomeKind::Skipped { .. } => OutcomeKind::Lost,
            kind => kind,
        };
        Outcome { kind, ..outcome }
    }

    pub(super) fn holder_of(&self, attempt: AttemptId) -> Option<&ExecutorName> {
        match self.open.get(&attempt)? {
            Open::Resource(id) => self.get(*id)?.run.as_ref().map(|run| &run.executor),
            Open::Forgotten { executor, .. } | Open::DryRun { executor, .. } => Some(executor),
        }
    }

    /// Ends an open attempt: the only place where a grant gets its outcome.
    pub(super) fn close(&mut self, outcome: Outcome) {
        let ended = self.open.remove(&outcome.attempt);
        if matches!(ended, Some(Open::Resource(_) | Open::Forgotten { .. })) {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        match ended {
            Some(Open::Resource(id)) => self.close_resource(id, outcome),
            Some(Open::Forgotten { id, target, executor, thing }) => {
                self.release(target, &executor, outcome.attempt);
                if let Some(thing) = thing {
                    self.end_given_up(outcome.attempt, thing);
                }
                self.out.records.push(Record::Outcome { resource: id, outcome });
            }
            Some(Open::DryRun { id, item, target, executor }) => {
                self.release(Some(target), &executor, outcome.attempt);
                self.finish_dry_run(id, item, target, &outcome.kind);
            }
            None => {}
        }
    }

    fn close_resource(&mut self, id: ResourceId, outcome: Outcome) {
        self.stop_yielding(id);
        let Some(resource) = self.get_mut(id) else { return };
        let place = resource.target;
        let Some(run) = resource.run.take() else { return };
        self.release(Some(place), &run.executor, run.attempt);
        self.unsettled.push_back(id);
        let recorded = Outcome { kind: self.news(id, &outcome.kind), ..outcome };
        self.out.records.push(Record::Outcome { resource: id, outcome: recorded });
        match outcome.kind {
            OutcomeKind::Revoked | OutcomeKind::Skipped { .. } => self.after_revoked(id, &run),
            OutcomeKind::Lost => self.after_lost(id, &run),
            OutcomeKind::Succeeded(finding) => self.after_success(id, &run, &finding),
            OutcomeKind::Failed { message, finding } => self.after_failure(id, &run, message, finding.as_ref()),
        }
        self.count_removal(id);
        self.show(id);
        self.publish(id);
        // Nothing was made after all: what takes its name needs no approval.
        if self.get(id).is_some_and(|resource| resource.row.leaves() && !resource.ever_attempted()) {
            self.release_where_automatic();
        }
    }

    /// It never began: back into the queue, unless something newer stands there or nothing is left to do.
    fn after_revoked(&mut self, id: ResourceId, run: &Run) {
        if self.is_tombstone(id) {
            return self.after_revoked_delete(id);
        }
        if self.was_cancelled(id) {
            return self.answer_requests(id);
        }
        // What was skipped before runs when that recovers.
        let needs =
            |resource: &Resource| (self.needs_deploy(resource, false) && !resource.row.skipped) || self.asked_for(id);
        let asked = run.credited && run.reason != Reason::Change;
        let wanted = self.get(id).is_some_and(|resource| asked || needs(resource));
        if wanted {
            self.enqueue(id, run.again());
        } else {
            self.drop_needless_change(id);
            self.answer_requests(id);
        }
    }

    /// Another intent was to follow what has been given back, and by now it is wanted as it is deployed.
    fn drop_needless_change(&mut self, id: ResourceId) {
        let needless = |resource: &Resource| {
            resource.queued.is_some_and(|queued| queued.reason == Reason::Change) && !self.needs_deploy(resource, false)
        };
        if self.get(id).is_some_and(needless) {
            self.dequeue(id);
        }
    }

    /// Nobody knows what it did. Work that had begun counts as a failure, so that what kills its executor backs off.
    fn after_lost(&mut self, id: ResourceId, run: &Run) {
        let lost: Name = "the executor ended before it reported a result".into();
        if run.begun {
            if let Some(resource) = self.get_mut(id).filter(|_| run.operation == Operation::Enforce) {
                resource.remember_change();
            }
            return self.after_failure(id, run, lost, None);
        }
        if let Some(resource) = self.get_mut(id).filter(|_| run.operation == Operation::Enforce) {
            resource.tried(run);
            resource.remember_change();
            resource.row.last_attempt = Some(run.attempt);
            if !resource.good() {
                resource.row.error = Some(lost);
            }
            self.touch(id);
        }
        if run.operation == Operation::Delete {
            self.delete_may_have_begun(id);
        }
        if self.was_cancelled(id) {
            return self.answer_requests(id);
        }
        self.enqueue(id, run.again());
    }

    /// From here on nothing that requires the tombstone may rely on it.
    fn delete_may_have_begun(&mut self, id: ResourceId) {
        if let Some(resource) = self.get_mut(id) {
            resource.row.failures = resource.row.failures.max(1);
            self.touch(id);
        }
    }

    fn after_success(&mut self, id: ResourceId, run: &Run, finding: &Finding) {
        if run.operation == Operation::Delete {
            return self.after_delete(id, finding);
        }
        if self.take_rotation(id, run, finding) {
            return self.follow_up(id, false, false);
        }
        let now = self.now;
        let Some(resource) = self.get_mut(id) else { return };
        let run = &resource.complete(run, finding);
        let (was_good, pays) = (resource.good(), resource.pays(run));
        let released = resource.row.succeeded != Some(run.hash);
        resource.tried(run);
        let news = resource.learn(run, finding);
        let fresh = run.credited && resource.is_current(Some(run.hash));
        let row = &mut resource.row;
        let differs = run.operation == Operation::Observe && finding.change != Change::None;
        row.last_attempt = Some(run.attempt);
        // What was only looked at may be somebody else's: its identity is none that a delete may follow.
        if run.operation == Operation::Enforce && finding.remote_identity.is_some() {
            row.remote_identity.clone_from(&finding.remote_identity);
        }
        if run.operation == Operation::Enforce && finding.change != Change::None {
            row.deployed_at = Some(now);
            row.changed_by = Some(run.attempt);
        }
        let changed = changed(run, Some(finding));
        let reports = run.reason.reports();
        let notifies = fresh && !reports && (changed || row.maybe_changed || (was_good && differs));
        if fresh {
            row.maybe_changed &= reports;
            row.reload = row.reload.take().filter(|_| reports || !pays);
            row.succeeded = Some(run.hash);
            row.last_result = LastResult::Succeeded;
            row.observed = match run.reason {
                _ if !differs => Observed::Same,
                _ if reports => Observed::Reported,
                _ => Observed::Differs,
            };
            row.drift = differs.then(|| finding.diff.clone());
            row.skipped = false;
            row.failures = 0;
            row.error = None;
            row.verified_at = Some(now);
            if !differs {
                row.is_as_said();
            }
        } else if changed {
            resource.remember_change();
        } else if differs && run.credited {
            // What was found is true of the intent that it was found with: coming back to that one takes another attempt.
            row.succeeded = None;
        }
        self.touch(id);
        if let Some(before) = news {
            self.spread_facts(id, &before, released);
        }
        if notifies {
            self.notify(id, run.priority);
        }
        self.follow_up(id, fresh, run.reason == Reason::Repair);
    }

    /// Nothing was found under the recorded identity: somebody else deleted it. An attempt whose result was lost may have made it again since, under
    /// an identity that nobody recorded; so it is looked for once more, as something whose creation was lost is.
    fn after_delete(&mut self, id: ResourceId, finding: &Finding) {
        let recorded = self.get_mut(id).filter(|_| finding.change == Change::None);
        let recorded = recorded.and_then(|resource| resource.row.remote_identity.take());
        if recorded.is_none() {
            return self.retire(id, Life::Deleted);
        }
        self.delete_may_have_begun(id);
        self.enqueue(id, Reason::Change);
    }

    fn after_failure(&mut self, id: ResourceId, run: &Run, message: Name, finding: Option<&Finding>) {
        let tombstone = self.is_tombstone(id);
        let Some(resource) = self.get_mut(id) else { return };
        let was_good = resource.good();
        if run.operation != Operation::Delete {
            resource.tried(run);
        }
        if changed(run, finding) {
            resource.remember_change();
        }
        let current = resource.is_current(Some(run.hash));
        let row = &mut resource.row;
        let fresh = (run.credited && current) || (tombstone && run.operation == Operation::Delete);
        row.last_attempt = Some(run.attempt);
        if fresh && run.reason.reports() && row.intent.policy.mode == Mode::Enforce {
            return self.after_vain_look(id);
        }
        if let Some(identity) = finding.and_then(|finding| finding.remote_identity.clone())
            && run.operation == Operation::Enforce
        {
            row.remote_identity = Some(identity);
        }
        if !fresh && run.operation == Operation::Enforce {
            // It counts for nothing, and may have left the target half-way: coming back to this intent takes another attempt.
            row.succeeded = None;
        }
        if fresh {
            row.last_result = LastResult::Failed;
            row.skipped = false;
            row.failures = row.failures.saturating_add(1);
            row.error = Some(message);
        }
        self.touch(id);
        if fresh && was_good && !run.reason.reports() {
            self.notify(id, run.priority);
        }
        if fresh {
            if self.get(id).is_some_and(|resource| resource.queued.is_none()) {
                self.arm_retry(id);
            }
            self.answer_requests(id);
        } else {
            self.follow_up(id, false, false);
        }
    }

    /// After a finish that counts, the next verification; after a stale one, what the newest intent still needs.
    fn follow_up(&mut self, id: ResourceId, fresh: bool, steady: bool) {
        if self.is_tombstone(id) {
            self.enqueue(id, Reason::Change);
        } else if fresh {
            // A report pays no debt: what it was skipped for is forgotten with it, and the debt is not. A look may also find what by now is to be
            // corrected. What of that was cancelled is left alone.
            let idle = self.get(id).filter(|resource| resource.queued.is_none());
            match idle.map(|resource| (self.needs_deploy(resource, false), resource.owes_reload())) {
                Some((true, _)) if self.was_cancelled(id) => {}
                Some((true, owes)) => self.enqueue(id, if owes { Reason::Change } else { Reason::Repair }),
                Some((false, _)) => self.arm_verification(id, steady),
                None => {}
            }
            self.answer_requests(id);
        } else if self.was_cancelled(id) {
            self.answer_requests(id);
        } else if self.get(id).is_some_and(|resource| self.needs_deploy(resource, false)) {
            self.enqueue(id, Reason::Change);
        }
    }

    /// The executor said that these have begun.
    pub(super) fn begin(&mut self, executor: &ExecutorName, attempts: &[AttemptId]) {
        for attempt in attempts {
            let Some(Open::Resource(id)) = self.open.get(attempt).cloned() else { continue };
            let Some(run) = self.get_mut(id).and_then(|resource| resource.run.as_mut()) else { continue };
            if run.executor == *executor && run.attempt == *attempt {
                run.begun = true;
                self.stop_yielding(id);
                self.count_removal(id);
                self.show(id);
            }
        }
    }
}

impl Run {
    /// Why it runs again, if it must. What was asked before a removal does not survive it: the removal does, or what was added since.
    const fn again(&self) -> Reason {
        if self.credited { self.priority } else { Reason::Change }
    }
}

impl Resource {
    /// The target may now be as this run wanted it, and no longer as an earlier intent did. A run from before a removal says nothing of what
    /// was added since.
    fn tried(&mut self, run: &Run) {
        if !run.credited && self.is_live() {
            return;
        }
        self.row.attempted = Some(run.hash);
        self.row.succeeded = self.row.succeeded.filter(|&hash| hash == run.hash);
    }
}
