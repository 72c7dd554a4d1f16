//! What waits to be sent to one executor, in order.
//!
//! Bounded by the executor's credits: the scheduler grants no more than them, and revokes only what it granted. It acknowledges whatever it is told,
//! also what it never granted; who tells much and reads nothing is given up.

use crate::core::{AttemptId, Grant, Name, limits};
use crate::executor::limits::{SAID_BESIDE, SAID_PER_GRANT};
use crate::executor::protocol::{grant_to_wire, wire};
use prost::Message as _;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// One thing to send.
#[derive(Debug)]
pub(super) enum Outgoing {
    Grant(Arc<Grant>),
    Revoke(AttemptId),
    Acknowledge(AttemptId),
}

/// What a side may have to say at once of everything that this executor holds and can be granted.
pub(super) fn most_said(credits: u32, holds: &[AttemptId]) -> usize {
    SAID_PER_GRANT * (credits as usize + holds.len()) + SAID_BESIDE
}

/// The queue of one session, and the grants that the executor has not answered.
#[derive(Debug)]
pub(super) struct Outbox {
    environment: Name,
    credits: usize,
    most: usize,
    queue: VecDeque<Outgoing>,
    unanswered: HashSet<u64>,
    retire: bool,
}

/// Why a thing cannot be queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// More was granted than the executor takes: a mistake of the scheduler.
    Credits,
    /// The executor does not read what it is sent.
    Unread,
}

impl Outbox {
    pub(super) fn new(environment: Name, credits: u32, holds: &[AttemptId]) -> Self {
        let unanswered = holds.iter().map(|attempt| attempt.0).collect();
        let most = most_said(credits, holds);
        Self { environment, credits: credits as usize, most, queue: VecDeque::new(), unanswered, retire: false }
    }

    /// Queues one thing.
    pub(super) fn push(&mut self, outgoing: Outgoing) -> Result<(), Overflow> {
        if self.queue.len() >= self.most {
            return Err(Overflow::Unread);
        }
        if let Outgoing::Grant(grant) = &outgoing {
            self.count(grant.attempt)?;
        }
        self.queue.push_back(outgoing);
        Ok(())
    }

    /// Counts a grant as one of those that the executor takes.
    fn count(&mut self, AttemptId(attempt): AttemptId) -> Result<(), Overflow> {
        // What it holds from before a reconnect may have been answered already, and was granted within its credits.
        if self.unanswered.len() >= self.credits.max(1) && !self.unanswered.contains(&attempt) {
            return Err(Overflow::Credits);
        }
        self.unanswered.insert(attempt);
        Ok(())
    }

    pub(super) const fn push_retire(&mut self) {
        self.retire = true;
    }

    /// The executor answered a grant.
    pub(super) fn answered(&mut self, attempt: u64) {
        self.unanswered.remove(&attempt);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.unanswered.len()
    }

    /// Things that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.retire
    }

    /// The next batch: as much as fits, in order.
    pub(super) fn take(&mut self) -> wire::FromOwner {
        let mut batch = wire::FromOwner { retire: std::mem::take(&mut self.retire), ..wire::FromOwner::default() };
        let mut bytes = 0;
        for _ in 0..limits::BATCH_MESSAGES {
            match self.queue.front() {
                None => break,
                // The order inside a batch is grants, revokes, acknowledgements; a grant never follows its own revoke.
                Some(Outgoing::Grant(grant)) => {
                    let grant = grant_to_wire(grant, &self.environment);
                    let size = grant.encoded_len();
                    if bytes > 0 && bytes + size > limits::BATCH_BYTES {
                        break;
                    }
                    bytes += size;
                    batch.grants.push(grant);
                }
                Some(Outgoing::Revoke(attempt)) => batch.revoke.push(attempt.0),
                Some(Outgoing::Acknowledge(attempt)) => batch.acknowledged.push(attempt.0),
            }
            self.queue.pop_front();
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_nothing_is_not_told_without_end() {
        let mut outbox = Outbox::new("env".into(), 2, &[AttemptId(1)]);
        let most = most_said(2, &[AttemptId(1)]);
        for number in 0..most as u64 {
            assert_eq!(outbox.push(Outgoing::Acknowledge(AttemptId(number))), Ok(()));
        }
        assert_eq!(outbox.push(Outgoing::Acknowledge(AttemptId(0))), Err(Overflow::Unread));
        assert_eq!(outbox.take().acknowledged.len(), most);
        assert_eq!(outbox.push(Outgoing::Acknowledge(AttemptId(0))), Ok(()));
    }

    #[test]
    fn nobody_is_granted_more_than_he_takes() {
        let mut outbox = Outbox::new("env".into(), 2, &[AttemptId(1)]);
        assert_eq!(outbox.count(AttemptId(2)), Ok(()));
        assert_eq!(outbox.count(AttemptId(3)), Err(Overflow::Credits));
        assert_eq!(outbox.count(AttemptId(1)), Ok(()), "it holds that already");
        outbox.answered(1);
        assert_eq!(outbox.count(AttemptId(3)), Ok(()));
    }
}
