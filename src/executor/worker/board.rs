//! Granted work: a queue per target, and the lanes that take from it.
//!
//! A lane is a task that takes the next grant of its target, runs it, and takes the next one, until there is none; a target has as many as its
//! concurrency, and none where it has no work. Whether a grant begins or is revoked is decided by one atomic step on the grant.

use super::attempt::{self, Cancellation};
use super::lease::Lease;
use super::watchdog::Watchdog;
use crate::adaptors::Work;
use crate::executor::limits::{MOST_IDLE_TARGETS, MOST_WAITING};
use crate::executor::protocol::wire;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const REVOKED: u8 = 2;

/// A grant, and whether it has begun.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) grant: wire::Grant,
    state: AtomicU8,
}

impl Job {
    pub(super) const fn new(grant: wire::Grant) -> Self {
        Self { grant, state: AtomicU8::new(WAITING) }
    }

    /// Takes it back, if it has not begun.
    pub(super) fn revoke(&self) -> bool {
        self.turn(REVOKED)
    }

    fn begin(&self) -> bool {
        self.turn(BEGUN)
    }

    fn turn(&self, state: u8) -> bool {
        self.state.compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.state.load(Ordering::Acquire) == BEGUN
    }

    fn is_revoked(&self) -> bool {
        self.state.load(Ordering::Acquire) == REVOKED
    }
}

/// What lanes tell the session.
#[derive(Debug)]
pub(super) enum Report {
    Begun(u64),
    Finished(Box<Answer>),
    /// Taken back by the executor itself, unbegun, because its lease is over.
    GivenBack(u64),
}

/// A result, and when it began and ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: wire::Result,
    pub(super) began: Option<Instant>,
    pub(super) finished: Instant,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Job>>,
    lanes: u32,
    concurrency: u32,
}

#[derive(Debug, Default)]
struct Target {
    queue: Mutex<Queue>,
}

impl Target {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next grant that begins now; `None` ends the lane.
    fn next(&self) -> Option<Arc<Job>> {
        let mut queue = self.queue();
        if queue.lanes <= queue.concurrency {
            while let Some(job) = queue.waiting.pop_front() {
                if !job.is_revoked() {
                    return Some(job);
                }
            }
        }
        queue.lanes -= 1;
        None
    }
}

/// What every lane needs.
#[derive(Debug)]
struct Shared {
    reports: mpsc::Sender<Report>,
    cancellation: watch::Sender<Cancellation>,
    lease: Arc<Lease>,
    watchdog: Arc<Watchdog>,
}

/// The queues of all targets.
#[derive(Debug)]
pub(super) struct Board {
    targets: HashMap<String, Arc<Target>>,
    shared: Arc<Shared>,
    /// Held by every lane.
    lanes: Work,
}

impl Board {
    pub(super) fn new(reports: mpsc::Sender<Report>, lease: Arc<Lease>, watchdog: Arc<Watchdog>, lanes: Work) -> Self {
        let shared = Shared { reports, cancellation: watch::Sender::default(), lease, watchdog };
        Self { targets: HashMap::new(), shared: Arc::new(shared), lanes }
    }

    /// Queues a grant behind those of its target, and gives it a lane if there is room.
    pub(super) fn push(&mut self, job: Arc<Job>) {
        if !self.targets.contains_key(&job.grant.target) {
            if self.targets.len() >= MOST_IDLE_TARGETS {
                self.targets.retain(|_, target| target.queue().lanes > 0);
            }
            self.targets.insert(job.grant.target.clone(), Arc::default());
        }
        let Some(target) = self.targets.get(&job.grant.target) else { return };
        let mut queue = target.queue();
        if queue.waiting.len() >= MOST_WAITING {
            queue.waiting.retain(|job| !job.is_revoked());
        }
        queue.concurrency = job.grant.concurrency.max(1);
        queue.waiting.push_back(job);
        if queue.lanes < queue.concurrency {
            queue.lanes += 1;
            drop(queue);
            tokio::spawn(lane(Arc::clone(target), Arc::clone(&self.shared), self.lanes.clone()));
        }
    }

    /// Cancels everything in progress.
    pub(super) fn cancel(&self, reason: &str) {
        self.shared.cancellation.send_modify(|cancellation| {
            cancellation.number += 1;
            cancellation.reason = reason.into();
        });
    }
}

async fn lane(target: Arc<Target>, shared: Arc<Shared>, _lane: Work) {
    let mut cancellation = shared.cancellation.subscribe();
    let slot = shared.watchdog.slot();
    while let Some(job) = target.next() {
        let attempt = job.grant.attempt;
        cancellation.mark_unchanged();
        if shared.lease.is_over() {
            if job.revoke() && shared.reports.send(Report::GivenBack(attempt)).await.is_err() {
                return;
            }
            continue;
        }
        if !job.begin() {
            continue;
        }
        let began = Instant::now();
        let deadline_ms = attempt::deadline(&job.grant).as_millis() as u64;
        slot.begin(attempt, shared.lease.now_ms() + deadline_ms);
        // The session is gone only when the process ends.
        if shared.reports.send(Report::Begun(attempt)).await.is_err() {
            return;
        }
        let result = attempt::run(&job.grant, &mut cancellation).await;
        slot.end();
        let answer = Answer { result, began: Some(began), finished: Instant::now() };
        if shared.reports.send(Report::Finished(Box::new(answer))).await.is_err() {
            return;
        }
    }
}
