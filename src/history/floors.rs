//! The numbers that a store of this process has given: they are never given again, whatever the database says.
//!
//! A database that lost its last commits would give the same epoch and the same attempt numbers a second time, while executors still hold work under
//! them. Deliberately absent: what other processes gave; an executor refuses an epoch below the highest that it has seen.

use super::Batch;
use crate::core::{AttemptId, Epoch, Name, Record, Snapshot};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The highest numbers of each environment.
#[derive(Debug, Default)]
pub(super) struct Floors(Mutex<BTreeMap<Name, Floor>>);

#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    epoch: Epoch,
    attempt: AttemptId,
}

impl Floors {
    fn floors(&self) -> MutexGuard<'_, BTreeMap<Name, Floor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest epoch that was given; the next one is higher.
    pub(super) fn epoch(&self, environment: &str) -> Epoch {
        self.floors().get(environment).map(|floor| floor.epoch).unwrap_or_default()
    }

    /// This epoch was given.
    pub(super) fn took(&self, environment: &Name, epoch: Epoch) {
        let mut floors = self.floors();
        let floor = floors.entry(Name::clone(environment)).or_default();
        floor.epoch = floor.epoch.max(epoch);
    }

    /// This batch was committed.
    pub(super) fn committed(&self, environment: &Name, batch: &Batch) {
        let attempt = |record: &Record| match record {
            Record::Grant(_, grant) => Some(grant.attempt),
            Record::Outcome { outcome, .. } => Some(outcome.attempt),
            _ => None,
        };
        if let Some(highest) = batch.records.iter().filter_map(attempt).max() {
            let mut floors = self.floors();
            let floor = floors.entry(Name::clone(environment)).or_default();
            floor.attempt = floor.attempt.max(highest);
        }
    }

    /// The environment goes on behind what was given.
    pub(super) fn raise(&self, environment: &str, snapshot: &mut Snapshot) {
        let attempt = self.floors().get(environment).map(|floor| floor.attempt).unwrap_or_default();
        snapshot.last_attempt = snapshot.last_attempt.max(attempt);
    }
}
