//! Ends the process where an attempt does not end, so that a target never loses its queue.
//!
//! A thread of its own, because an adaptor that blocks instead of waiting can stop the whole runtime, its timers too. It looks once a second at
//! one slot per lane.

use super::EXIT_STUCK;
use super::lease::Lease;
use crate::core::limits;
use crate::executor::limits::{WATCHDOG_LOOK, WATCHDOG_STOPPED};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

/// What a lane is at.
#[derive(Debug, Default)]
pub(super) struct Slot {
    attempt: AtomicU64,
    /// When its deadline is over, in milliseconds of [`Lease::now_ms`]; 0 where nothing runs.
    due_ms: AtomicU64,
}

impl Slot {
    pub(super) fn begin(&self, attempt: u64, due_ms: u64) {
        self.attempt.store(attempt, Ordering::Relaxed);
        self.due_ms.store(due_ms.max(1), Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.due_ms.store(0, Ordering::Release);
    }
}

/// The slots of all lanes.
#[derive(Debug)]
pub(super) struct Watchdog {
    slots: Mutex<Vec<Weak<Slot>>>,
    lease: Arc<Lease>,
    /// When everything was cancelled for good; 0 where it was not.
    stopped_ms: AtomicU64,
}

impl Watchdog {
    pub(super) fn new(lease: Arc<Lease>) -> Arc<Self> {
        Arc::new(Self { slots: Mutex::default(), lease, stopped_ms: AtomicU64::new(0) })
    }

    /// Watches until the process ends, or nobody else holds the watchdog any more.
    pub(super) fn watch(self: &Arc<Self>) {
        let watchdog = Arc::downgrade(self);
        let name = "watchdog".to_owned();
        let spawned = std::thread::Builder::new().name(name).spawn(move || {
            let mut looked = Instant::now();
            while let Some(watchdog) = watchdog.upgrade() {
                if looked.elapsed() < WATCHDOG_STOPPED
                    && let Some(attempt) = watchdog.stuck(watchdog.lease.now_ms())
                {
                    tracing::error!(
                        attempt,
                        "the attempt does not end after its deadline or cancellation; this executor gives itself up"
                    );
                    crate::telemetry::flush();
                    std::process::exit(EXIT_STUCK);
                }
                drop(watchdog);
                looked = Instant::now();
                std::thread::sleep(WATCHDOG_LOOK);
            }
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no watchdog: attempts that do not end are not noticed");
        }
    }

    pub(super) fn slot(&self) -> Arc<Slot> {
        let slot = Arc::new(Slot::default());
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() == slots.capacity() {
            slots.retain(|slot| slot.strong_count() > 0);
        }
        slots.push(Arc::downgrade(&slot));
        slot
    }

    /// Everything in progress was cancelled and nothing begins any more.
    pub(super) fn stop(&self) {
        self.stopped_ms.store(self.lease.now_ms(), Ordering::Release);
    }

    /// An attempt that should have ended, grace included.
    fn stuck(&self, now_ms: u64) -> Option<u64> {
        let cancelled = match self.stopped_ms.load(Ordering::Acquire) {
            0 => self.lease.end_ms(),
            stopped => stopped.min(self.lease.end_ms()),
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|slot| slot.strong_count() > 0);
        slots.iter().filter_map(Weak::upgrade).find_map(|slot| {
            let due = slot.due_ms.load(Ordering::Acquire);
            let over = due != 0 && now_ms > due.min(cancelled).saturating_add(limits::CANCEL_GRACE_MS);
            over.then(|| slot.attempt.load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_is_stuck_after_its_deadline_or_cancellation_and_the_grace() {
        let watchdog = Watchdog::new(Arc::new(Lease::new()));
        let (idle, slot) = (watchdog.slot(), watchdog.slot());
        idle.begin(1, 1);
        idle.end();
        slot.begin(7, 1_000_000);
        assert_eq!(watchdog.stuck(1_000_000 + limits::CANCEL_GRACE_MS), None);
        assert_eq!(watchdog.stuck(1_000_001 + limits::CANCEL_GRACE_MS), Some(7));
        watchdog.stop();
        assert_eq!(watchdog.stuck(limits::CANCEL_GRACE_MS), None);
        assert_eq!(watchdog.stuck(60_000 + limits::CANCEL_GRACE_MS), Some(7));
        slot.end();
        assert_eq!(watchdog.stuck(u64::MAX), None);
        slot.begin(8, 1);
        assert_eq!(watchdog.stuck(u64::MAX), Some(8));
        drop(slot);
        assert_eq!(watchdog.stuck(u64::MAX), None);
    }
}
