//! When the owner was last heard, on a monotonic clock.
//!
//! The lease runs from the *sending* of the newest message that the owner answered, which is earlier than the owner's receipt of it: whatever the
//! network does in between, the executor stops before the owner believes it has.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::{Duration, Instant};

/// No lease was agreed yet.
const NONE: u64 = u64::MAX;

/// The lease. Read by every lane before it begins an attempt, so that no work begins when it is over, whoever was asleep meanwhile.
#[derive(Debug)]
pub(super) struct Lease {
    base: Instant,
    answered_ms: AtomicU64,
    length_ms: AtomicU64,
}

impl Lease {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), answered_ms: AtomicU64::new(0), length_ms: AtomicU64::new(NONE) }
    }

    /// Milliseconds on this process's clock, from 1.
    pub(super) fn now_ms(&self) -> u64 {
        self.base.elapsed().as_millis() as u64 + 1
    }

    /// The owner's terms.
    pub(super) fn agree(&self, length_ms: u32) {
        self.length_ms.store(length_ms.max(1).into(), Ordering::Release);
    }

    /// The owner has received what was sent at `sent_ms`. What lies in the future is not believed.
    pub(super) fn answered(&self, sent_ms: u64) {
        self.answered_at(sent_ms, self.now_ms());
    }

    fn answered_at(&self, sent_ms: u64, now_ms: u64) {
        if sent_ms <= now_ms {
            self.answered_ms.fetch_max(sent_ms, Ordering::AcqRel);
        }
    }

    /// When it ends, in milliseconds of [`Lease::now_ms`].
    pub(super) fn end_ms(&self) -> u64 {
        match self.length_ms.load(Ordering::Acquire) {
            NONE => NONE,
            length => self.answered_ms.load(Ordering::Acquire).saturating_add(length),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.now_ms() >= self.end_ms()
    }

    /// Resolves when the lease is over; looks again when it was prolonged meanwhile.
    pub(super) async fn over(&self) {
        loop {
            match self.end_ms() {
                NONE => std::future::pending().await,
                end if self.now_ms() >= end => return,
                end => tokio::time::sleep_until(self.base + Duration::from_millis(end)).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_runs_from_the_sending_of_what_was_answered() {
        let lease = Lease::new();
        assert!(!lease.is_over(), "no lease, no end");
        lease.agree(1_000);
        lease.answered_at(400, 900);
        assert_eq!(lease.end_ms(), 1_400);
        lease.answered_at(u64::MAX - 1, 1_000);
        lease.answered_at(300, 1_000);
        assert_eq!(lease.end_ms(), 1_400, "neither the future nor the past counts");
        lease.answered_at(1_300, 1_500);
        assert_eq!(lease.end_ms(), 2_300, "heard again");
    }

    #[tokio::test]
    async fn its_end_is_awaited() {
        let lease = Lease::new();
        lease.agree(50);
        tokio::time::timeout(Duration::from_secs(20), lease.over()).await.unwrap_or_else(|_| unreachable!("it ends"));
        assert!(lease.is_over());
    }
}
