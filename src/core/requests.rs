//! What users ask for: deploy what is not compliant, repair everything (`intake.rs`), report (`report.rs`), suspend and resume (`suspensions.rs`),
//! cancel (`cancel.rs`). Dry runs of what may not be accepted yet are in `dry_runs.rs`.

use super::id_set::IdSet;
use super::state::{EnvironmentState, Resource};
use super::{
    Message, Reason, Record, Refusal, RefusalKind, Request, RequestId, RequestKind, RequestRecord, ResourceId, limits,
};

/// One that has not been carried out.
#[derive(Debug)]
pub(super) struct OpenRequest {
    pub(super) kind: RequestKind,
    /// What it asked for and is not dealt with yet.
    pub(super) covered: IdSet<ResourceId>,
}

impl OpenRequest {
    pub(super) fn new(kind: RequestKind) -> Self {
        Self { kind, covered: IdSet::default() }
    }
}

impl EnvironmentState {
    pub(super) fn request(&mut self, request: Request) {
        let refused = |kind| Message::Refused(vec![Refusal { name: "".into(), kind }]);
        if request.digest.is_some_and(|digest| self.release_digest(&request.scope) != Some(digest)) {
            return self.out.messages.push(refused(RefusalKind::StalePlan));
        }
        let crowded = match request.kind {
            // Whoever wants less work is not refused because there is so much of it.
            RequestKind::Cancel => self.intakes.len() >= limits::OPEN_REQUESTS,
            kind => kind.is_work() && !self.make_room_for_a_request(),
        };
        if crowded {
            return self.out.messages.push(refused(RefusalKind::TooManyRequests(limits::OPEN_REQUESTS)));
        }
        self.last_request.0 += 1;
        let id = self.last_request;
        let Request { kind, scope, author, message, digest, .. } = request;
        let order = RequestRecord { id, kind, scope, author, at: self.now, after: self.last_attempt, message, digest };
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
        let Some((largest, all)) = taken_in.clone().max_by_key(|(_, open)| open.covered.len()) else { return false };
        let mut others = taken_in.filter(|(id, open)| *id != largest && open.covered.is_subset(&all.covered));
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
        self.requests.get(&request).map(|open| open.covered.iter())
    }

    /// A request waits for it.
    pub(super) fn asked_for(&self, id: ResourceId) -> bool {
        self.requests.values().any(|open| open.covered.contains(id))
    }

    /// The resource has been dealt with, for whoever asked.
    pub(super) fn answer_requests(&mut self, id: ResourceId) {
        self.answer_requests_for(id, |_| true);
    }

    /// It has been skipped. Work was to bring what somebody wanted to see of it too: a look waits for no neighbour, and is still to come.
    pub(super) fn answer_skipped(&mut self, id: ResourceId) {
        let looks = self.requests.values().filter(|open| open.covered.contains(id)).filter_map(|open| open.kind.look());
        let look = looks.min().filter(|_| self.get(id).is_some_and(Resource::can_be_reported));
        self.answer_requests_for(id, |kind| look.is_none() || kind.look().is_none());
        if let Some(look) = look {
            self.enqueue(id, look);
        }
    }

    fn answer_requests_for(&mut self, id: ResourceId, kinds: impl Fn(RequestKind) -> bool) {
        let mut answered = false;
        for open in self.requests.values_mut().filter(|open| kinds(open.kind)) {
            answered |= open.covered.remove(id) && open.covered.is_empty();
        }
        if answered {
            self.close_requests();
        }
    }

    pub(super) fn close_requests(&mut self) {
        let now = self.now;
        let empty = self.requests.iter().filter(|(_, open)| open.covered.is_empty()).map(|(&id, _)| id);
        let done: Vec<RequestId> = empty.filter(|&id| self.is_taken_in(id)).collect();
        for id in done {
            self.requests.remove(&id);
            self.out.records.push(Record::RequestDone(id, now));
        }
    }
}

impl RequestKind {
    /// Why something is attempted for it, where it only wants to see.
    const fn look(self) -> Option<Reason> {
        match self {
            Self::Report => Some(Reason::Report),
            Self::FactRefresh => Some(Reason::FactRefresh),
            _ => None,
        }
    }
}
