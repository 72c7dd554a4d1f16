//! What users ask for: deploy what is not compliant, repair everything (`intake.rs`), report (`report.rs`), suspend and resume (`suspensions.rs`),
//! cancel (`cancel.rs`), dry-run what may not be accepted yet.

use super::id_set::IdSet;
use super::ready::{Entry, Work};
use super::state::{DryRunState, EnvironmentState, Open, TargetIndex};
use super::{
    AttemptId, Change, DeletionPolicy, DryRunId, DryRunRequest, ExecutorName, Message, Name, Operation, OutcomeKind,
    Reason, Record, Refusal, RefusalKind, Request, RequestId, RequestKind, RequestRecord, ResourceId, limits,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl EnvironmentState {
    pub(super) fn request(&mut self, request: Request) {
        let refused = |kind| Message::Refused(vec![Refusal { name: "".into(), kind }]);
        if request.digest.is_some_and(|digest| self.release_digest(&request.scope) != Some(digest)) {
            return self.out.messages.push(refused(RefusalKind::StalePlan));
        }
        if request.kind.is_work() && !self.make_room_for_a_request() {
            return self.out.messages.push(refused(RefusalKind::TooManyRequests(limits::OPEN_REQUESTS)));
        }
        self.last_request.0 += 1;
        let id = self.last_request;
        let Request { kind, scope, author, message, digest, .. } = request;
        let order = RequestRecord { id, kind, scope, author, at: self.now, message, digest };
        match kind {
            RequestKind::Deploy => {
                self.release_covered(&order.scope);
                self.start_intake(order);
            }
            RequestKind::Repair | RequestKind::Report | RequestKind::FactRefresh | RequestKind::Cancel => {
                self.start_intake(order);
            }
            RequestKind::ApproveRemovals => {
                let covered = self.approvable(&order.scope);
                self.accept_request(&order, covered.len());
                self.approve_removals(&covered);
                self.out.records.push(Record::RequestDone(id, self.now));
            }
            RequestKind::Suspend => {
                self.accept_request(&order, 0);
                self.suspend(order);
            }
            RequestKind::Resume => {
                self.accept_request(&order, 0);
                self.resume_place(order.scope.target.as_ref());
                self.out.records.push(Record::RequestDone(id, self.now));
            }
        }
    }

    /// Where as many are open as may be, the oldest of those that wait for nothing but what a larger one waits for too ends, and that one goes on:
    /// whoever is killed while it deploys, and deploys the same again, is not refused one day. Whether there is room then.
    fn make_room_for_a_request(&mut self) -> bool {
        if self.requests.len() < limits::OPEN_REQUESTS {
            return true;
        }
        let taken_in = self.requests.iter().filter(|(id, _)| self.is_taken_in(**id));
        let Some((largest, all)) = taken_in.clone().max_by_key(|(_, covered)| covered.len()) else { return false };
        let mut others = taken_in.filter(|(id, covered)| *id != largest && covered.is_subset(all));
        let Some(id) = others.next().map(|(&id, _)| id) else { return false };
        self.requests.remove(&id);
        self.out.records.push(Record::RequestDone(id, self.now));
        true
    }

    fn accept_request(&mut self, order: &RequestRecord, covered: usize) {
        self.out.messages.push(Message::RequestAccepted(order.id, covered));
        self.out.records.push(Record::Request(order.clone()));
    }

    /// The resources that a request asked for and that are not dealt with yet; `None` once all are.
    pub fn asked_by(&self, request: RequestId) -> Option<impl Iterator<Item = ResourceId>> {
        self.requests.get(&request).map(IdSet::iter)
    }

    /// A request waits for it.
    pub(super) fn asked_for(&self, id: ResourceId) -> bool {
        self.requests.values().any(|covered| covered.contains(id))
    }

    /// The resource has been dealt with, for whoever asked.
    pub(super) fn answer_requests(&mut self, id: ResourceId) {
        let mut answered = false;
        for covered in self.requests.values_mut() {
            answered |= covered.remove(id) && covered.is_empty();
        }
        if answered {
            self.close_requests();
        }
    }

    pub(super) fn close_requests(&mut self) {
        let now = self.now;
        let empty = self.requests.iter().filter(|(_, covered)| covered.is_empty()).map(|(&id, _)| id);
        let done: Vec<RequestId> = empty.filter(|&id| self.is_taken_in(id)).collect();
        for id in done {
            self.requests.remove(&id);
            self.out.records.push(Record::RequestDone(id, now));
        }
    }

    pub(super) fn dry_run(&mut self, request: DryRunRequest) {
        self.last_dry_run.0 += 1;
        let id = self.last_dry_run;
        let mut request = request;
        let mut seen = BTreeSet::new();
        request.items.retain(|item| seen.insert(item.intent.name.clone()));
        let items = request.items.len() as u32;
        self.out.records.push(Record::DryRun { id, items, author: request.author, at: self.now });
        self.out.messages.push(Message::DryRunAccepted(id));
        let names: BTreeSet<Name> =
            request.items.iter().filter(|item| !item.removed).map(|item| item.intent.name.clone()).collect();
        self.dry_runs.insert(id, DryRunState { items: request.items, remaining: items });
        if items == 0 {
            self.dry_runs.remove(&id);
            self.out.messages.push(Message::DryRunFinished(id));
        }
        for item in 0..items {
            self.start_dry_run_item(id, item, &names);
        }
    }

    /// Decides what needs no look at the target; queues the rest.
    fn start_dry_run_item(&mut self, id: DryRunId, item: u32, names: &BTreeSet<Name>) {
        let Some(entry) = self.dry_runs.get(&id).and_then(|run| run.items.get(item as usize)) else { return };
        let intent = Arc::clone(&entry.intent);
        if entry.removed {
            let touched = self
                .live
                .get(&intent.name)
                .and_then(|&id| self.get(id))
                .is_some_and(super::state::Resource::ever_attempted);
            let deletes = touched
                && intent.policy.deletion_policy == DeletionPolicy::Delete
                && intent.policy.mode == super::Mode::Enforce;
            let (result, detail) = match (deletes, intent.policy.protected) {
                (true, false) => ("delete", ""),
                (true, true) => ("none", "it is protected: it is never deleted on its target"),
                (false, _) => ("none", ""),
            };
            return self.dry_run_result(id, item, result, detail.into());
        }
        let unknown = intent
            .requires
            .iter()
            .find(|name| !names.contains(*name) && self.bearer(name).is_none() && self.accepted(name).is_none());
        if let Some(name) = unknown {
            let detail = format!("it requires {name}, which does not exist");
            return self.dry_run_result(id, item, "undefined", detail.into());
        }
        let index = self.target_at(&intent.target);
        if self.target(index).is_none_or(|place| place.target.is_none()) {
            let detail = format!("target {} does not exist", intent.target);
            return self.dry_run_result(id, item, "undefined", detail.into());
        }
        if let Some(of) = self.first_unknown(&intent) {
            let detail =
                format!("it takes fact {} of {}, which is known when {} is deployed", of.fact, of.name, of.name);
            return self.dry_run_result(id, item, "known after apply", detail.into());
        }
        self.sequence += 1;
        let (turn, work) = ((Reason::DryRun, self.sequence), Work::DryRun(id, item));
        let entry = Entry { turn, since: self.sequence, work };
        if let Some(place) = self.target_mut(index) {
            place.ready.insert(entry);
        }
        self.dispatchable.insert(index);
    }

    /// The target is gone, and with it what waited for a look at it.
    pub(super) fn end_dry_runs_on(&mut self, index: TargetIndex) {
        let Some(place) = self.target_mut(index) else { return };
        for (id, item) in place.ready.take_dry_runs() {
            self.dry_run_result(id, item, "undefined", "its target does not exist any more".into());
        }
    }

    pub(super) fn grant_dry_run(
        &mut self,
        id: DryRunId,
        item: u32,
        attempt: AttemptId,
        executor: ExecutorName,
        index: TargetIndex,
    ) {
        let Some(entry) = self.dry_runs.get(&id).and_then(|run| run.items.get(item as usize)) else { return };
        let intent = Arc::clone(&entry.intent);
        let known = self.live.get(&intent.name).and_then(|&id| self.get(id));
        let remote_identity = known.and_then(|resource| resource.row.remote_identity.clone());
        let once_secret = self.held_by_what_is_meant(&intent);
        let Some(grant) = self.make_grant(index, intent, attempt, Reason::DryRun, Operation::DryRun) else { return };
        self.open.insert(attempt, Open::DryRun { id, item, target: index, executor: executor.clone() });
        self.send_grant(executor, Arc::new(super::Grant { once_secret, remote_identity, ..grant }));
    }

    pub(super) fn finish_dry_run(&mut self, id: DryRunId, item: u32, kind: &OutcomeKind) {
        match kind {
            OutcomeKind::Succeeded(finding) => {
                let result = match finding.change {
                    Change::None => "none",
                    Change::Create => "create",
                    Change::Update => "update",
                    Change::Replace => "replace",
                    Change::Delete => "delete",
                };
                self.dry_run_result(id, item, result, finding.diff.clone());
            }
            OutcomeKind::Failed { message, .. } => self.dry_run_result(id, item, "unavailable", message.clone()),
            OutcomeKind::Revoked | OutcomeKind::Lost | OutcomeKind::Skipped { .. } => {
                self.dry_run_result(id, item, "unavailable", "the executor ended before it reported a result".into());
            }
        }
    }

    fn dry_run_result(&mut self, id: DryRunId, item: u32, result: &'static str, detail: Name) {
        let Some(run) = self.dry_runs.get_mut(&id) else { return };
        let Some(name) = run.items.get(item as usize).map(|item| item.intent.name.clone()) else { return };
        run.remaining = run.remaining.saturating_sub(1);
        let done = run.remaining == 0;
        self.out.records.push(Record::DryRunResult { id, name, result, detail });
        if done {
            self.dry_runs.remove(&id);
            self.out.messages.push(Message::DryRunFinished(id));
        }
    }
}
