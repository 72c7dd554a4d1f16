//! What the executor holds, and what it has to say.
//!
//! A grant is held from its arrival until the owner has acknowledged the answer to it; what is held is said again after a reconnect.

use super::board::{Answer, Job, Report};
use crate::core::limits;
use crate::executor::protocol::wire;
use prost::Message as _;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
enum Held {
    /// Waiting or in progress.
    Granted(Arc<Job>),
    Answered(Box<Answer>),
    /// Given back unbegun.
    GivenBack,
}

/// What is held, and what of it is to be said next.
#[derive(Debug, Default)]
pub(super) struct Desk {
    held: HashMap<u64, Held>,
    /// How many of `held` are granted and not answered.
    unanswered: usize,
    begun: VecDeque<u64>,
    results: VecDeque<u64>,
    revoked: VecDeque<u64>,
    refused: VecDeque<u64>,
}

impl Desk {
    /// Grants that were not answered.
    pub(super) const fn unanswered(&self) -> usize {
        self.unanswered
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What a hello says is held.
    pub(super) fn holds(&self) -> Vec<u64> {
        let mut holds: Vec<u64> = self.held.keys().copied().collect();
        holds.sort_unstable();
        holds
    }

    pub(super) fn holds_attempt(&self, attempt: u64) -> bool {
        self.held.contains_key(&attempt)
    }

    pub(super) fn has_something_to_say(&self) -> bool {
        !(self.begun.is_empty() && self.results.is_empty() && self.revoked.is_empty() && self.refused.is_empty())
    }

    pub(super) fn granted(&mut self, job: Arc<Job>) {
        self.unanswered += 1;
        self.held.insert(job.grant.attempt, Held::Granted(job));
    }

    /// A grant that is answered without having been queued.
    pub(super) fn refused_grant(&mut self, result: wire::Result) {
        self.unanswered += 1;
        let attempt = result.attempt;
        self.settle(attempt, Held::Answered(Box::new(Answer { result, began: None, finished: Instant::now() })));
    }

    /// What a lane reports.
    pub(super) fn take(&mut self, report: Report) {
        match report {
            Report::Begun(attempt) => self.begun.push_back(attempt),
            Report::GivenBack(attempt) => self.settle(attempt, Held::GivenBack),
            Report::Finished(answer) => self.settle(answer.result.attempt, Held::Answered(answer)),
        }
    }

    /// The owner wants a grant back.
    pub(super) fn revoke(&mut self, attempt: u64) {
        match self.held.get(&attempt) {
            Some(Held::Granted(job)) if job.revoke() => self.settle(attempt, Held::GivenBack),
            Some(Held::Granted(_) | Held::Answered(_)) => self.refused.push_back(attempt),
            // Not known here: it will certainly not begin.
            Some(Held::GivenBack) | None => self.revoked.push_back(attempt),
        }
    }

    /// Gives everything back that has not begun.
    pub(super) fn give_back(&mut self) {
        let waiting =
            |(attempt, held): (&u64, &Held)| matches!(held, Held::Granted(job) if job.revoke()).then_some(*attempt);
        let given_back: Vec<u64> = self.held.iter().filter_map(waiting).collect();
        for attempt in given_back {
            self.settle(attempt, Held::GivenBack);
        }
    }

    /// The owner has recorded the answer.
    pub(super) fn acknowledged(&mut self, attempt: u64) {
        if !matches!(self.held.get(&attempt), None | Some(Held::Granted(_))) {
            self.held.remove(&attempt);
        }
    }

    /// A new stream: everything that is held is said again.
    pub(super) fn say_again(&mut self) {
        for list in [&mut self.begun, &mut self.results, &mut self.revoked, &mut self.refused] {
            list.clear();
        }
        for (attempt, held) in &self.held {
            match held {
                Held::Granted(job) if job.has_begun() => self.begun.push_back(*attempt),
                Held::Granted(_) => {}
                Held::Answered(_) => self.results.push_back(*attempt),
                Held::GivenBack => self.revoked.push_back(*attempt),
            }
        }
    }

    /// The next message: as much as fits. What has ended meanwhile is not said to have begun.
    pub(super) fn batch(&mut self, now: Instant) -> wire::FromExecutor {
        let mut batch = wire::FromExecutor::default();
        while batch.begun.len() < limits::BATCH_MESSAGES {
            let Some(attempt) = self.begun.pop_front() else { break };
            if matches!(self.held.get(&attempt), Some(Held::Granted(_))) {
                batch.begun.push(attempt);
            }
        }
        take_some(&mut self.revoked, &mut batch.revoked);
        take_some(&mut self.refused, &mut batch.revoke_refused);
        let mut bytes = 0;
        while batch.results.len() < limits::BATCH_MESSAGES && bytes < limits::BATCH_BYTES {
            let Some(attempt) = self.results.pop_front() else { break };
            if let Some(Held::Answered(answer)) = self.held.get(&attempt) {
                let age = |instant: Instant| now.saturating_duration_since(instant).as_millis() as u64;
                let (began_ms_ago, finished_ms_ago) = (answer.began.map(age), age(answer.finished));
                let result = wire::Result { began_ms_ago, finished_ms_ago, ..answer.result.clone() };
                bytes += result.encoded_len();
                batch.results.push(result);
            }
        }
        batch
    }

    fn settle(&mut self, attempt: u64, held: Held) {
        let list = if matches!(held, Held::Answered(_)) { &mut self.results } else { &mut self.revoked };
        list.push_back(attempt);
        self.held.insert(attempt, held);
        self.unanswered = self.unanswered.saturating_sub(1);
    }
}

fn take_some(from: &mut VecDeque<u64>, into: &mut Vec<u64>) {
    let count = from.len().min(limits::BATCH_MESSAGES);
    into.extend(from.drain(..count));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn job(attempt: u64) -> Arc<Job> {
        Arc::new(Job::new(wire::Grant { attempt, ..wire::Grant::default() }))
    }

    fn finished(attempt: u64) -> Report {
        let result = wire::Result { attempt, ..wire::Result::default() };
        Report::Finished(Box::new(Answer { result, began: Some(Instant::now()), finished: Instant::now() }))
    }

    #[test]
    fn what_ended_is_not_said_to_have_begun_and_is_kept_until_acknowledged() {
        let mut desk = Desk::default();
        for attempt in [1, 2] {
            desk.granted(job(attempt));
            desk.take(Report::Begun(attempt));
        }
        desk.take(finished(1));
        let batch = desk.batch(Instant::now());
        assert_eq!((batch.begun, batch.results[0].attempt, desk.unanswered()), (vec![2], 1, 1));
        assert!(!desk.has_something_to_say());
        assert_eq!(desk.holds(), [1, 2]);
        desk.acknowledged(2);
        desk.say_again();
        assert_eq!(desk.batch(Instant::now()).results.len(), 1, "said again on a new stream");
        desk.acknowledged(1);
        assert_eq!(desk.holds(), [2], "an attempt in progress cannot be acknowledged away");
    }

    #[test]
    fn what_has_not_begun_can_be_revoked() {
        let mut desk = Desk::default();
        desk.granted(job(1));
        desk.granted(job(2));
        desk.take(finished(2));
        for attempt in [1, 2, 3] {
            desk.revoke(attempt);
        }
        let batch = desk.batch(Instant::now());
        assert_eq!((batch.revoked, batch.revoke_refused), (vec![1, 3], vec![2]));
        assert_eq!(desk.unanswered(), 0);
    }

    #[test]
    fn batches_are_bounded() {
        let mut desk = Desk::default();
        let many = limits::BATCH_MESSAGES as u64 + 1;
        for attempt in 0..many {
            desk.granted(job(attempt));
            desk.take(finished(attempt));
        }
        assert_eq!(desk.batch(Instant::now()).results.len(), limits::BATCH_MESSAGES);
        assert_eq!(desk.batch(Instant::now()).results.len(), 1);
    }
}
