//! Taking a request in: what it means is found, and asked for, a share per step. Its answer follows when all has been looked at.

use super::requests::OpenRequest;
use super::state::{EnvironmentState, TargetIndex, TargetState};
use super::{AttemptId, LastResult, Message, Reason, Record, RequestId, RequestKind, RequestRecord, ResourceId, Scope};
use std::collections::BTreeSet;

/// A request of which not everything has been looked at.
#[derive(Debug)]
pub(super) struct Intake {
    order: RequestRecord,
    left: Left,
    covered: usize,
}

/// Ids that a scope may mean, one after the other; some of those that it does not list are nobody's any more.
#[derive(Debug)]
enum Left {
    Listed(std::vec::IntoIter<ResourceId>),
    /// All there were: to list a million would be the longest step of all.
    All(std::ops::Range<u32>),
    /// All of those that were on one target.
    On(TargetIndex, std::ops::Range<u32>),
}

impl Left {
    fn next(&mut self, targets: &[TargetState]) -> Option<ResourceId> {
        match self {
            Self::Listed(ids) => ids.next(),
            Self::All(numbers) => numbers.next().map(ResourceId),
            Self::On(index, numbers) => {
                let residents = &targets.get(index.0 as usize)?.residents;
                let next = *residents.range(ResourceId(numbers.start)..ResourceId(numbers.end)).next()?;
                numbers.start = next.0 + 1;
                Some(next)
            }
        }
    }
}

impl EnvironmentState {
    /// The order is in history before the first of what comes of it.
    pub(super) fn start_intake(&mut self, order: RequestRecord) {
        self.out.records.push(Record::Request(order.clone()));
        self.requests.insert(order.id, OpenRequest::new(order.kind));
        let left = self.in_scope(&order.scope);
        self.intakes.push_back(Intake { order, left, covered: 0 });
    }

    /// Goes on with the requests that came first.
    pub(super) fn take_in(&mut self) {
        while let Some(intake) = self.intakes.front_mut() {
            if !self.share.spend() {
                return;
            }
            let (request, kind, next) = (intake.order.id, intake.order.kind, intake.left.next(&self.targets));
            let named = intake.order.scope.names.is_some();
            match next {
                Some(id) if self.means(kind, named, id) => {
                    if let Some(intake) = self.intakes.front_mut() {
                        intake.covered += 1;
                    }
                    self.ask(kind, request, id);
                }
                Some(id) if kind == RequestKind::Deploy && self.waits_to_delete_again(id) => {
                    self.enqueue(id, Reason::UserDeploy);
                }
                Some(_) => {}
                None => self.end_intake(),
            }
        }
    }

    fn end_intake(&mut self) {
        let Some(Intake { order, covered, .. }) = self.intakes.pop_front() else { return };
        self.out.messages.push(Message::RequestAccepted(order.id, covered));
        self.close_requests();
    }

    pub(super) fn is_taken_in(&self, request: RequestId) -> bool {
        self.intakes.iter().all(|intake| intake.order.id != request)
    }

    fn ask(&mut self, kind: RequestKind, request: RequestId, id: ResourceId) {
        if let Some(open) = self.requests.get_mut(&request).filter(|_| kind.is_work()) {
            open.covered.insert(id);
        }
        match kind {
            RequestKind::Deploy => self.enqueue(id, Reason::UserDeploy),
            RequestKind::Repair => self.enqueue(id, Reason::UserRepair),
            RequestKind::Report => self.enqueue_report(id),
            RequestKind::FactRefresh => self.enqueue_refresh(id),
            RequestKind::Cancel => self.cancel(id),
            RequestKind::Suspend | RequestKind::Resume | RequestKind::ApproveRemovals => {}
        }
    }

    /// Goes on with work that history still has open. What has been verified or has failed since it was ordered is done, and so is what was cancelled
    /// since. A cancellation that was cut short ends: what it had reached is left alone, and nobody was told of more.
    pub(super) fn resume_request(&mut self, open: RequestRecord) {
        if open.kind == RequestKind::Cancel {
            return self.out.records.push(Record::RequestDone(open.id, self.now));
        }
        let RequestRecord { id, kind, scope, at, after, .. } = open;
        let verified = |resource: ResourceId| {
            self.get(resource).is_some_and(|resource| resource.row.verified_at.is_some_and(|verified| verified >= at))
        };
        let goes_on = |&resource: &ResourceId| {
            self.means(kind, scope.names.is_some(), resource)
                && (kind == RequestKind::Deploy || !verified(resource))
                && !self.failed_after(after, resource)
                && !self.cancelled_since(at, resource)
        };
        let mut left = self.in_scope(&scope);
        let covered: Vec<ResourceId> = std::iter::from_fn(|| left.next(&self.targets)).filter(goes_on).collect();
        self.requests.insert(id, OpenRequest::new(kind));
        for resource in covered {
            self.ask(kind, id, resource);
        }
        self.close_requests();
    }

    /// It was attempted after that one, has failed, and waits for its retry.
    fn failed_after(&self, attempt: AttemptId, id: ResourceId) -> bool {
        self.get(id).is_some_and(|resource| {
            let row = &resource.row;
            row.last_result == LastResult::Failed && row.due_at.is_some() && row.last_attempt > Some(attempt)
        })
    }

    /// A delete that failed, and whose retry is not due: whoever deploys has perhaps mended its cause. Nobody's request waits for its end, so it is
    /// not one of those that a request covers.
    fn waits_to_delete_again(&self, id: ResourceId) -> bool {
        self.get(id).is_some_and(|old| old.delete_failed() && old.queued.is_none() && old.run.is_none())
    }

    /// What a scope may mean, by id; a name is that of a live resource, or else of its newest tombstone.
    fn in_scope(&self, scope: &Scope) -> Left {
        let on_target = |id: &ResourceId| {
            let resource = self.get(*id);
            let target = scope.target.as_ref();
            target.is_none_or(|target| resource.is_some_and(|resource| resource.row.intent.target == *target))
        };
        let listed: Vec<ResourceId> = match (&scope.names, &scope.target) {
            (Some(names), _) => {
                let ids: BTreeSet<ResourceId> = names.iter().filter_map(|name| self.bearer(name)).collect();
                ids.into_iter().filter(on_target).collect()
            }
            (None, Some(target)) => match self.target_index.get(target) {
                Some(&index) => return Left::On(index, 0..self.resources.len() as u32),
                None => Vec::new(),
            },
            (None, None) => return Left::All(0..self.resources.len() as u32),
        };
        Left::Listed(listed.into_iter())
    }

    /// Whether a request means something in its scope. Undefined ones and what they block are left out; those skipped for a dependency are left
    /// out of a deploy, unless they are named.
    fn means(&self, kind: RequestKind, named: bool, id: ResourceId) -> bool {
        let Some(resource) = self.get(id).filter(|resource| resource.is_live() && !self.undefined(resource)) else {
            return false;
        };
        match kind {
            RequestKind::Deploy => {
                let skipped = resource.row.skipped;
                (self.needs_deploy(resource, true) && !skipped) || (skipped && named)
            }
            RequestKind::Repair => true,
            RequestKind::Report | RequestKind::FactRefresh => resource.can_be_reported(),
            RequestKind::Cancel => Self::can_be_cancelled(resource),
            RequestKind::Suspend | RequestKind::Resume | RequestKind::ApproveRemovals => false,
        }
    }
}
