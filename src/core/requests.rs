//! What users ask for: deploy what is not compliant, repair everything, report (`report.rs`), suspend and resume (`suspensions.rs`), cancel
//! (`cancel.rs`), dry-run what may not be accepted yet.

use super::ready::{Entry, Work};
use super::state::{DryRunState, EnvironmentState, Open, TargetIndex};
use super::{
    AttemptId, Change, DeletionPolicy, DryRunId, DryRunRequest, ExecutorName, Message, Name, OpenRequest, Operation,
    OutcomeKind, Reason, Record, Request, RequestId, RequestKind, ResourceId, Scope,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl EnvironmentState {
    pub(super) fn request(&mut self, request: Request) {
        self.last_request.0 += 1;
        let id = self.last_request;
        let Request { kind, scope, author, message, .. } = request;
        if kind == RequestKind::Deploy {
            self.release_covered(&scope);
        }
        let covered = self.covered(kind, &scope);
        self.out.messages.push(Message::RequestAccepted(id, covered.len()));
        let order = OpenRequest { id, kind, scope, author, at: self.now, message };
        let OpenRequest { scope, author, message, .. } = order.clone();
        self.out.records.push(Record::Request { id, kind, scope, author, at: self.now, message });
        match kind {
            RequestKind::Deploy | RequestKind::Repair | RequestKind::Report | RequestKind::FactRefresh => {
                self.start_request(id, kind, covered);
            }
            RequestKind::ApproveRemovals => {
                self.approve_removals(&covered);
                self.out.records.push(Record::RequestDone(id, self.now));
            }
            RequestKind::Suspend => self.suspend(order),
            RequestKind::Resume => {
                self.resume_place(order.scope.target.as_ref());
                self.out.records.push(Record::RequestDone(id, self.now));
            }
            RequestKind::Cancel => {
                self.cancel(&covered);
                self.out.records.push(Record::RequestDone(id, self.now));
            }
        }
    }

    pub(super) fn start_request(&mut self, id: RequestId, kind: RequestKind, covered: BTreeSet<ResourceId>) {
        self.requests.insert(id, covered.clone());
        for resource in covered {
            match kind {
                RequestKind::Deploy => self.enqueue(resource, Reason::UserDeploy),
                RequestKind::Repair => self.enqueue(resource, Reason::UserRepair),
                RequestKind::Report => self.enqueue_report(resource),
                RequestKind::FactRefresh => self.enqueue_refresh(resource),
                RequestKind::Suspend | RequestKind::Resume | RequestKind::Cancel | RequestKind::ApproveRemovals => {}
            }
        }
        self.close_requests();
    }

    /// The resources a request means. Undefined ones and what they block are left out; those skipped for a dependency are left out of a
    /// deploy, unless they are named.
    pub(super) fn covered(&self, kind: RequestKind, scope: &Scope) -> BTreeSet<ResourceId> {
        if kind == RequestKind::ApproveRemovals {
            return self.approvable(scope);
        }
        let on_target: Box<dyn Iterator<Item = ResourceId>> = match (&scope.names, &scope.target) {
            (Some(names), _) => Box::new(names.iter().filter_map(|name| self.live.get(name).copied())),
            (None, Some(target)) => {
                let place = self.target_index.get(target).and_then(|&index| self.target(index));
                Box::new(place.into_iter().flat_map(|place| place.residents.iter().copied()))
            }
            (None, None) => Box::new(self.ids()),
        };
        let meant = |id: &ResourceId| {
            let Some(resource) = self.get(*id).filter(|resource| resource.is_live() && !self.undefined(resource))
            else {
                return false;
            };
            let there = scope.target.as_ref().is_none_or(|target| resource.row.intent.target == *target);
            let skipped_and_named = resource.row.skipped && scope.names.is_some();
            let wanted = match kind {
                RequestKind::Deploy => {
                    (self.needs_deploy(resource, true) && !resource.row.skipped) || skipped_and_named
                }
                RequestKind::Repair => true,
                RequestKind::Report | RequestKind::FactRefresh => resource.can_be_reported(),
                RequestKind::Cancel => Self::can_be_cancelled(resource),
                RequestKind::Suspend | RequestKind::Resume | RequestKind::ApproveRemovals => false,
            };
            there && wanted
        };
        on_target.filter(meant).collect()
    }

    /// The resources that a request asked for and that are not dealt with yet; `None` once all are.
    pub fn asked_by(&self, request: RequestId) -> Option<&BTreeSet<ResourceId>> {
        self.requests.get(&request)
    }

    /// A request waits for it.
    pub(super) fn asked_for(&self, id: ResourceId) -> bool {
        self.requests.values().any(|covered| covered.contains(&id))
    }

    /// The resource has been dealt with, for whoever asked.
    pub(super) fn answer_requests(&mut self, id: ResourceId) {
        let mut answered = false;
        for covered in self.requests.values_mut() {
            answered |= covered.remove(&id) && covered.is_empty();
        }
        if answered {
            self.close_requests();
        }
    }

    fn close_requests(&mut self) {
        let now = self.now;
        let done: Vec<RequestId> =
            self.requests.iter().filter(|(_, covered)| covered.is_empty()).map(|(&id, _)| id).collect();
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
        let Some(grant) = self.make_grant(index, intent, attempt, Reason::DryRun, Operation::DryRun) else { return };
        self.open.insert(attempt, Open::DryRun { id, item, target: index, executor: executor.clone() });
        self.send_grant(executor, Arc::new(super::Grant { remote_identity, ..grant }));
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
