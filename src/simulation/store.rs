//! History as the simulated owners reach it: the real one in memory, with the faults of a way to a server, and a journal of what it took in.
//!
//! Its calls return at once, since history in memory never waits; when a call is made, and when its answer arrives, is the world's to decide.

use super::journal::Journal;
use super::violation::Violation;
use crate::core::{Epoch, IntentRecord, Name, Retention, Snapshot, Timestamp, VersionNumber};
use crate::history::memory::MemoryStore;
use crate::history::{Batch, Fence, HistoryError, Owner, Store};
use futures::FutureExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The environment that every seed simulates.
pub(super) const ENVIRONMENT: &str = "simulated";

pub(super) struct SimulatedStore {
    memory: MemoryStore,
    clock: Arc<AtomicI64>,
    pub(super) journal: Journal,
    /// The epoch that was taken last.
    pub(super) newest: Epoch,
    /// Nobody reaches it until then.
    pub(super) away_until: u64,
    /// Answers to the next commits that get lost.
    pub(super) lose_answers: u32,
    /// Whoever writes is taken for the owner otherwise.
    pub(super) compares_epochs: bool,
    /// What is no longer the newest is dropped, however much is to be kept.
    pub(super) trims: bool,
    /// The last batch of each epoch that was taken in.
    taken: BTreeMap<Epoch, u64>,
}

/// What is kept by a history that drops too much.
const FEW_VERSIONS: Retention = Retention { versions: 3, attempts_ms: 0 };

/// The path of a call is broken.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost")]
struct Broken;

impl SimulatedStore {
    pub(super) fn new(compares_epochs: bool) -> Self {
        let clock = Arc::new(AtomicI64::new(0));
        let reading = Arc::clone(&clock);
        Self {
            memory: MemoryStore::new(move || Timestamp(reading.load(Ordering::Relaxed))),
            clock,
            journal: Journal::default(),
            newest: Epoch(0),
            away_until: 0,
            lose_answers: 0,
            compares_epochs,
            trims: false,
            taken: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, owner: &Owner, ended: &[Name], now: u64) -> Result<Fence, HistoryError> {
        self.reach(now, "taking the environment")?;
        let fence = at_once(self.memory.take(ENVIRONMENT, owner, ended))?;
        self.newest = fence.epoch;
        Ok(fence)
    }

    pub(super) fn renew(&self, owner: &Owner, now: u64) -> Result<(), HistoryError> {
        self.reach(now, "renewing the lease")?;
        at_once(self.memory.renew(owner))
    }

    pub(super) fn load(&self, fence: &Fence) -> Result<Snapshot, HistoryError> {
        at_once(self.memory.load(fence))
    }

    /// The content of a version, as history tells it.
    pub(super) fn intents_at(&self, version: VersionNumber) -> Option<Vec<IntentRecord>> {
        at_once(self.memory.intents_at(ENVIRONMENT, version)).ok().flatten()
    }

    /// Commits, and says what the journal finds wrong with what was taken in.
    pub(super) fn commit(
        &mut self,
        fence: &Fence,
        batch: &Batch,
        now: u64,
    ) -> (Result<(), HistoryError>, Vec<Violation>) {
        let doing = "committing a batch";
        if let Err(error) = self.reach(now, doing) {
            return (Err(error), Vec::new());
        }
        let stale = !self.compares_epochs && fence.epoch < self.newest;
        if let Err(error) = at_once(self.memory.commit(fence, batch))
            && !stale
        {
            return (Err(error), Vec::new());
        }
        if self.trims
            && let Err(error) = at_once(self.memory.trim(fence, FEW_VERSIONS, Timestamp(0)))
        {
            return (Err(error), Vec::new());
        }
        let last = self.taken.entry(fence.epoch).or_default();
        let is_new = batch.number > *last;
        *last = batch.number.max(*last);
        let found = if is_new { self.journal.append(fence.epoch, self.newest, batch) } else { Vec::new() };
        if self.lose_answers > 0 {
            self.lose_answers -= 1;
            return (Err(unavailable(doing)), found);
        }
        (Ok(()), found)
    }

    /// The server's clock, by which leases expire, is the true time. Answers nothing while it is away.
    fn reach(&self, now: u64, doing: &'static str) -> Result<(), HistoryError> {
        self.clock.store(now as i64, Ordering::Relaxed);
        if now < self.away_until { Err(unavailable(doing)) } else { Ok(()) }
    }
}

fn unavailable(doing: &'static str) -> HistoryError {
    HistoryError::Unavailable { doing, source: Box::new(Broken) }
}

/// The answer of a store that never waits.
fn at_once<T>(call: impl Future<Output = Result<T, HistoryError>>) -> Result<T, HistoryError> {
    call.now_or_never().unwrap_or_else(|| Err(unavailable("waiting for memory")))
}
