//! Attempts that were closed as lost, and of which their executor may still report an end: a late result. It is refused, for others may have worked on
//! the same meanwhile; history keeps what it says, once.

use super::limits::LOST_ATTEMPTS;
use super::state::{EnvironmentState, Open};
use super::{AttemptId, ExecutorName, Outcome, OutcomeKind, Record};
use std::collections::BTreeMap;

/// Who had them. The oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct LostAttempts(BTreeMap<AttemptId, ExecutorName>);

impl LostAttempts {
    pub(super) fn add(&mut self, attempt: AttemptId, executor: ExecutorName) {
        self.0.insert(attempt, executor);
        if self.0.len() > LOST_ATTEMPTS {
            self.0.pop_first();
        }
    }

    /// Whether this executor had it; from then on nobody had.
    fn take(&mut self, attempt: AttemptId, executor: &ExecutorName) -> bool {
        self.0.get(&attempt) == Some(executor) && self.0.remove(&attempt).is_some()
    }
}

impl EnvironmentState {
    /// Nobody waits for its end any more. That of a dry run is in no history, and neither is what is said of it later.
    pub(super) fn lose(&mut self, attempt: AttemptId) {
        let is_recorded = !matches!(self.open.get(&attempt), Some(Open::DryRun { .. }));
        if let Some(executor) = self.holder_of(attempt).filter(|_| is_recorded).cloned() {
            self.lost.add(attempt, executor);
        }
        let finished_at = self.now;
        self.close(Outcome { attempt, began_at: None, finished_at, kind: OutcomeKind::Lost, log: None });
    }

    /// An executor reports the end of something that it does not have, or has no longer.
    pub(super) fn refuse_late(&mut self, executor: &ExecutorName, outcome: Outcome) {
        if self.lost.take(outcome.attempt, executor) {
            self.out.records.push(Record::LateResult(outcome));
        }
    }
}
