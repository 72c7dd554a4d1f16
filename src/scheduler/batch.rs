//! What gathers while the last batch is being committed, and what leaves the process when a batch is.

use super::Committed;
use crate::core::{Effects, EnvironmentState, Message, PoolName, ResourceId, ResourceRow};
use crate::history::{Batch, HistoryError};
use crate::scheduler::limits::PENDING_CHANGES;
use std::mem::take;

/// A caller that is answered when what it caused is committed.
pub(crate) struct Reply<C> {
    pub(crate) to: C,
    pub(crate) message: Option<Message>,
}

/// Effects that are not committed yet.
pub(super) struct Pending<C> {
    effects: Effects,
    replies: Vec<Reply<C>>,
    /// So many changes may gather before they are looked through.
    tidy_above: usize,
}

/// A closed batch: what is written, and what follows when it is.
pub(crate) struct Closed<C> {
    pub(crate) batch: Batch,
    pub(crate) messages: Vec<Message>,
    pub(crate) changed: Vec<ResourceId>,
    pub(crate) replies: Vec<Reply<C>>,
}

/// What a committed batch lets out, in this order.
pub(crate) struct Leaving<C> {
    /// Pools and how many executors they should have.
    pub(crate) scales: Vec<(PoolName, u32)>,
    /// For executors, in order.
    pub(crate) to_executors: Vec<Message>,
    /// For whoever watches.
    pub(crate) committed: Committed,
    /// For callers.
    pub(crate) replies: Vec<Reply<C>>,
}

/// What a store's answer to a commit means.
pub(crate) enum Verdict {
    /// It is in history.
    Committed,
    /// Nobody knows: the same batch is committed again, so that one whose reply was lost is recognised.
    Again(HistoryError),
    /// It never will be: the scheduler must end.
    Ended(String),
}

impl<C> Pending<C> {
    pub(super) fn from(effects: Effects) -> Self {
        Self { effects, replies: Vec::new(), tidy_above: PENDING_CHANGES }
    }

    /// Where steps put their effects.
    pub(super) fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// What has gathered so far.
    pub(super) fn gathered(&self) -> &Effects {
        &self.effects
    }

    /// Adds the effects of one step.
    pub(super) fn add(&mut self, effects: Effects) {
        self.effects.records.extend(effects.records);
        self.effects.rows.extend(effects.rows);
        self.effects.left.extend(effects.left);
        self.effects.messages.extend(effects.messages);
        self.effects.changed.extend(effects.changed);
    }

    /// Whoever waits for this is answered when what has gathered is committed.
    pub(super) fn reply(&mut self, to: C, message: Option<Message>) {
        self.replies.push(Reply { to, message });
    }

    pub(super) fn is_empty(&self) -> bool {
        let effects = &self.effects;
        let silent = effects.messages.is_empty() && effects.changed.is_empty() && self.replies.is_empty();
        silent && effects.records.is_empty() && effects.rows.is_empty() && effects.left.is_empty()
    }

    /// Records and rows gathered so far.
    pub(super) fn size(&self) -> usize {
        self.effects.records.len() + self.effects.rows.len()
    }

    /// Messages gathered so far.
    pub(super) fn messages(&self) -> usize {
        self.effects.messages.len()
    }

    /// Lets each changed resource count once, where many have gathered.
    pub(super) fn tidy(&mut self) {
        if self.effects.changed.len() > self.tidy_above {
            self.effects.changed.sort_unstable();
            self.effects.changed.dedup();
            self.tidy_above = PENDING_CHANGES.max(2 * self.effects.changed.len());
        }
    }

    /// Takes everything out, with the rows as they stand now: each resource once, the newest wins.
    pub(super) fn close(&mut self, state: &EnvironmentState, number: u64) -> Closed<C> {
        self.tidy_above = PENDING_CHANGES;
        let Effects { records, mut rows, left, messages, changed } = take(&mut self.effects);
        rows.sort_unstable();
        rows.dedup();
        let mut current: Vec<ResourceRow> = rows.iter().filter_map(|&id| state.row(id).cloned()).collect();
        current.extend(left);
        Closed { batch: Batch { number, records, rows: current }, messages, changed, replies: take(&mut self.replies) }
    }
}

impl<C> Closed<C> {
    /// Nothing of it must be in history before the outside hears of it.
    pub(crate) fn writes(&self) -> bool {
        !self.batch.records.is_empty() || !self.batch.rows.is_empty()
    }

    /// What goes out now that it is committed.
    pub(crate) fn leave(self) -> Leaving<C> {
        let (mut scales, mut to_executors, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for message in self.messages {
            match message {
                Message::Grant(..) | Message::Revoke(..) | Message::Acknowledge(..) => to_executors.push(message),
                Message::Scale(pool, executors) => scales.push((pool, executors)),
                _ => said.push(message),
            }
        }
        let committed = Committed { records: self.batch.records, changed: self.changed, messages: said };
        Leaving { scales, to_executors, committed, replies: self.replies }
    }
}

impl Verdict {
    /// Reads a store's answer.
    pub(crate) fn of(answer: Result<(), HistoryError>) -> Self {
        match answer {
            Ok(()) => Self::Committed,
            Err(error @ HistoryError::Unavailable { .. }) => Self::Again(error),
            Err(error) => Self::Ended(error.to_string()),
        }
    }
}

/// The messages that a caller waits for.
pub(super) fn answers(message: &Message) -> bool {
    matches!(
        message,
        Message::Accepted(..) | Message::Refused(_) | Message::RequestAccepted(..) | Message::DryRunAccepted(_)
    )
}
