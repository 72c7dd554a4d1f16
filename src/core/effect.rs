//! What `step` wants done. Records are committed first, in one transaction; only then do the messages leave the process.

use super::{
    AttemptId, DryRunId, ExecutorName, Grant, PoolName, Record, Refusal, RequestId, ResourceId, ResourceRow,
    SessionNumber, VersionNumber,
};
use std::sync::Arc;

/// The effects of one or several steps, to be carried out together.
#[derive(Debug, Default)]
pub struct Effects {
    /// Rows to append to history, in this order.
    pub records: Vec<Record>,
    /// Resources whose current row changed; the rows are taken from the state when the batch is closed, so that each is written once.
    pub rows: Vec<ResourceId>,
    /// Last rows of resources that have left the scheduler's tables (deleted, orphaned).
    pub left: Vec<ResourceRow>,
    /// What leaves the process after the commit, in this order.
    pub messages: Vec<Message>,
    /// Resources whose visible state changed; newest wins, may repeat.
    pub changed: Vec<ResourceId>,
}

/// Something to tell the outside after the commit.
#[derive(Clone, Debug)]
pub enum Message {
    /// Hand this grant to an executor, on this stream and on no other: whoever has come back since is not known to be the one it was made for, and
    /// what it held may be given to another one at this moment.
    Grant(ExecutorName, SessionNumber, Arc<Grant>),
    /// Ask for a grant back, if it has not begun.
    Revoke(ExecutorName, AttemptId),
    /// This result is in history; the executor may forget it.
    Acknowledge(ExecutorName, AttemptId),
    /// The pool should have this many executors (already within its bounds).
    Scale(PoolName, u32),
    /// The push was accepted as this version, or changed nothing and this is the newest one. Refusals of single intents ride along.
    Accepted(VersionNumber, Vec<Refusal>),
    /// The push was refused whole.
    Refused(Vec<Refusal>),
    /// The request is recorded, and covers so many resources.
    RequestAccepted(RequestId, usize),
    /// The dry run is recorded.
    DryRunAccepted(DryRunId),
    /// All its resources have a result.
    DryRunFinished(DryRunId),
}
