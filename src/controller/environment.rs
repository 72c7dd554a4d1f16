//! One task per environment: what was last seen of its objects goes to its scheduler, what its scheduler commits goes back to their status.
//!
//! Each turn starts from what is there now, never from what an event said: a start, a missed event and a late one are the same path. The steps of a
//! turn: see → hold (finalizers) → start → tell (settings, targets, pools) → push (settled edits) → requests → pods → release (finalizers) → report
//! (status). Each can fail alone; then the next turn tries again, with backoff.
//!
//! **Name in history:** `<namespace>/<name>/<uid>`. An `Environment` made again under its old name is another tenant: its history starts at version
//! one, and nothing of its predecessor comes back to life. (2026-11: the alternative, reusing the name and dropping its rows, would have needed a
//! delete on append-only tables.)
//!
//! Deliberately absent: any decision about what runs. That is `core`'s.

mod commits;
mod ending;
mod intake;
mod pods;
mod report;
mod start;
mod written;

use super::book::Book;
use super::index::{Group, Index, Key, OwnPod};
use super::object_status::NotRunning;
use super::settle::Rest;
use crate::api::Settle;
use crate::cluster::{Cluster, ClusterError, Happened, StatusWriter, Trusted, pods::Common};
use crate::controller::limits::{EVENTS_KEPT, GATHER, LOOK_MS, RETRY_BASE_MS, RETRY_MAX_MS};
use crate::core::{ExecutorName, Name, Pool, PoolName, Reason, ResourceId, Settings, Target, TargetName, Timestamp};
use crate::executor::Endpoint;
use crate::history::{Owner, Store};
use crate::scheduler::{self, Committed, Edge, Scheduler, SchedulerError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};

/// What all environments of one operator share.
pub struct Shared {
    /// What was last seen of the cluster.
    pub index: Index,
    /// For writes.
    pub cluster: Cluster,
    /// History.
    pub store: Arc<dyn Store>,
    /// Where executors come in.
    pub endpoint: Endpoint,
    /// Where status goes.
    pub statuses: StatusWriter,
    /// This process.
    pub owner: Owner,
    /// What all executor pods have in common.
    pub pods: Common,
    /// What they trust.
    pub trusted: Trusted,
}

/// The task.
pub struct EnvironmentLoop {
    shared: Arc<Shared>,
    key: Key,
    wake: Arc<Notify>,
    group: Group,
    pods: Vec<OwnPod>,
    book: Book,
    running: Option<Running>,
    not_running: NotRunning,
    failures: u32,
    retry_at: Option<Timestamp>,
    /// Resources whose status must be thought over.
    stale: BTreeSet<String>,
    changed: BTreeSet<ResourceId>,
    /// What is to be told as Events.
    happened: Vec<(ResourceId, Happened, String)>,
    /// What is remembered of each pool.
    pools: BTreeMap<PoolName, pods::PoolTask>,
    pool_wake: Option<Timestamp>,
    /// The namespace is being deleted: no pod can be made any more.
    terminating: bool,
    /// The UID of the environment that was let go last.
    ended: Option<String>,
    /// How many resources are on each target; known while something is being deleted.
    needed: Option<BTreeMap<TargetName, u32>>,
    written: written::Written,
}

/// A scheduler and what it was last told.
struct Running {
    scheduler: Scheduler,
    history: Name,
    uid: String,
    edge: Arc<PodEdge>,
    committed: broadcast::Receiver<Arc<Committed>>,
    settings: Option<Settings>,
    targets: BTreeMap<TargetName, Target>,
    pools: BTreeMap<PoolName, Pool>,
    unavailable: BTreeMap<PoolName, String>,
    settle: Settle,
    /// UIDs of targets and executors that are being deleted and are needed no more.
    released: BTreeSet<String>,
    /// Why attempts that may correct drift were granted.
    repairs: HashMap<crate::core::AttemptId, Reason>,
}

/// Carries a scheduler's messages to its executors, and remembers how many it wants.
pub(super) struct PodEdge {
    endpoint: Endpoint,
    wanted: Mutex<BTreeMap<PoolName, Wanted>>,
    wake: Arc<Notify>,
}

/// Executors that a pool should have.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    now: u32,
    /// The most since it was last looked at.
    peak: u32,
}

impl PodEdge {
    /// What is wanted of each pool.
    fn take_wanted(&self) -> BTreeMap<PoolName, Wanted> {
        let mut pools = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = pools.clone();
        pools.values_mut().for_each(|wanted| wanted.peak = wanted.now);
        seen
    }
}

impl Edge for PodEdge {
    fn deliver(&self, environment: &Name, messages: Vec<crate::core::Message>) {
        self.endpoint.deliver(environment, messages);
    }

    fn scale(&self, _environment: &Name, pool: &PoolName, executors: u32) {
        let mut pools = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = pools.entry(pool.clone()).or_default();
        wanted.now = executors;
        wanted.peak = wanted.peak.max(executors);
        self.wake.notify_one();
    }
}

/// Why a turn did not come to its end.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl EnvironmentLoop {
    /// Not started yet.
    pub fn new(shared: Arc<Shared>, key: Key) -> Self {
        let wake = shared.index.wake(&key);
        shared.index.retell(&key);
        Self {
            shared,
            key,
            wake,
            group: Group::default(),
            pods: Vec::new(),
            book: Book::default(),
            running: None,
            not_running: NotRunning::Starting,
            failures: 0,
            retry_at: None,
            stale: BTreeSet::new(),
            changed: BTreeSet::new(),
            happened: Vec::new(),
            pools: BTreeMap::new(),
            pool_wake: None,
            terminating: false,
            ended: None,
            needed: None,
            written: written::Written::default(),
        }
    }

    /// Runs until the process ends.
    pub async fn run(mut self) {
        loop {
            self.see();
            if let Err(error) = self.turn().await {
                self.failed(&error).await;
            } else {
                self.failures = 0;
                self.retry_at = None;
            }
            self.wait().await;
        }
    }

    /// Takes in what changed in the cluster.
    fn see(&mut self) {
        let now = scheduler::now();
        let changes = self.shared.index.take(&self.key);
        self.group = changes.group;
        self.pods = changes.pods;
        for (name, object) in changes.resources {
            if self.book.see(&name, object, now) || self.asks(&name) {
                self.stale.insert(name);
            }
        }
    }

    async fn turn(&mut self) -> Result<(), TurnError> {
        // One that we let go may be shown a while longer: it counts as gone.
        let environment =
            self.group.environment.clone().filter(|environment| self.ended.as_ref() != Some(&environment.meta.uid));
        let Some(environment) = environment else {
            self.stop().await;
            return self.without_environment().await;
        };
        if self.running.as_ref().is_some_and(|running| running.uid != environment.meta.uid) {
            self.stop().await;
        }
        self.hold(&environment).await?;
        self.start(&environment).await?;
        self.tell(&environment).await?;
        self.push(&environment).await?;
        self.answer_requests().await?;
        self.see_to_pods(&environment).await?;
        self.release(&environment).await?;
        self.report(&environment).await
    }

    /// What to do after a turn that did not come to its end: a scheduler that has ended is let go, and all is tried again later.
    async fn failed(&mut self, error: &TurnError) {
        self.failures = self.failures.saturating_add(1);
        let delay = RETRY_BASE_MS.saturating_mul(1 << self.failures.min(8)).min(RETRY_MAX_MS);
        self.retry_at = Some(scheduler::now().after_ms(delay));
        tracing::warn!(namespace = self.key.0, environment = self.key.1, %error, delay_ms = delay, "a turn failed; trying again");
        if let TurnError::Scheduler(error) = error {
            self.not_running = match error {
                SchedulerError::Ended(reason) if reason.starts_with("a defect") => NotRunning::Defect(reason.clone()),
                other => NotRunning::History(explain(other)),
            };
            self.stop().await;
        }
        if self.running.is_none() {
            self.report_not_running();
        }
    }

    /// Sleeps until something happens or is due.
    async fn wait(&mut self) {
        let due = self.next_due();
        let sleep = Duration::from_millis(due.ms_since(scheduler::now()));
        let Some(running) = self.running.as_mut() else {
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
            return;
        };
        let scheduler = running.scheduler.clone();
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(sleep) => {}
            reason = scheduler.ended() => tracing::warn!(environment = %running.history, reason, "the scheduler ended"),
            received = running.committed.recv() => {
                let first = received.ok();
                tokio::time::sleep(GATHER).await;
                self.take_commits(first);
            }
        }
    }

    fn next_due(&self) -> Timestamp {
        let look = scheduler::now().after_ms(LOOK_MS);
        let settled = self.running.as_ref().and_then(|running| self.book.due(rest(&running.settle)));
        let due = if self.retry_at.is_some() { [self.retry_at, None] } else { [settled, self.pool_wake] };
        due.into_iter().flatten().min().unwrap_or(look).min(look)
    }
}

fn rest(settle: &Settle) -> Rest {
    Rest { quiet_ms: settle.quiet.as_ms(), at_most_ms: settle.max.as_ms() }
}

/// An error with its causes, on one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Pods by the executor's name.
fn executors_of(pods: &[OwnPod]) -> BTreeSet<ExecutorName> {
    pods.iter().filter(|pod| !pod.seen.ended).map(|pod| pod.seen.uid.clone()).collect()
}
