//! What gathers while the last batch is being committed.

use crate::core::{Effects, EnvironmentState, Message, Record, ResourceId, ResourceRow};
use crate::history::Batch;
use std::mem::take;
use tokio::sync::oneshot;

/// A caller that is answered when what it caused is committed.
pub(super) struct Reply {
    pub(super) to: oneshot::Sender<Option<Message>>,
    pub(super) message: Option<Message>,
}

/// Effects that are not committed yet.
#[derive(Default)]
pub(super) struct Pending {
    effects: Effects,
    replies: Vec<Reply>,
}

/// A closed batch: what is written, and what follows when it is.
pub(super) struct Closed {
    pub(super) batch: Batch,
    pub(super) messages: Vec<Message>,
    pub(super) changed: Vec<ResourceId>,
    pub(super) replies: Vec<Reply>,
}

impl Pending {
    pub(super) fn from(effects: Effects) -> Self {
        Self { effects, replies: Vec::new() }
    }

    /// Where steps put their effects.
    pub(super) fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }

    /// Adds the effects of one call, and remembers who waits for them.
    pub(super) fn add_call(&mut self, call: Effects, to: oneshot::Sender<Option<Message>>) {
        let message = call.messages.iter().find(|message| answers(message)).cloned();
        self.replies.push(Reply { to, message });
        self.effects.records.extend(call.records);
        self.effects.rows.extend(call.rows);
        self.effects.left.extend(call.left);
        self.effects.messages.extend(call.messages);
        self.effects.changed.extend(call.changed);
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

    /// Takes everything out, with the rows as they stand now: each resource once, the newest wins.
    pub(super) fn close(&mut self, state: &EnvironmentState, number: u64) -> Closed {
        let Effects { records, mut rows, left, messages, changed } = take(&mut self.effects);
        rows.sort_unstable();
        rows.dedup();
        let mut current: Vec<ResourceRow> = rows.iter().filter_map(|&id| state.row(id).cloned()).collect();
        current.extend(left);
        Closed { batch: Batch { number, records, rows: current }, messages, changed, replies: take(&mut self.replies) }
    }
}

impl Closed {
    /// Nothing of it must be in history before the outside hears of it.
    pub(super) fn writes(&self) -> bool {
        !self.batch.records.is_empty() || !self.batch.rows.is_empty()
    }

    pub(super) fn take_records(&mut self) -> Vec<Record> {
        take(&mut self.batch.records)
    }
}

/// The messages that a caller waits for.
fn answers(message: &Message) -> bool {
    matches!(
        message,
        Message::Accepted(..) | Message::Refused(_) | Message::RequestAccepted(..) | Message::DryRunAccepted(_)
    )
}
