//! One task per environment: bounded inbox → `core::step` → one group commit → messages to the edges.
//!
//! **Architecture invariant:** nothing that depends on an uncommitted record leaves the process; no lock is held over I/O (there is no lock: the
//! state belongs to the task). While one batch is being committed the next one is gathered, so the cost of a commit is shared by all that
//! happened during the last one.

pub(crate) mod batch;
pub(crate) mod heart;
mod kept;
pub(crate) mod limits;
mod retention;
mod run;
mod writer;

#[cfg(test)]
mod tests;

use crate::core::{
    DryRunId, DryRunRequest, Effects, EnvironmentState, Epoch, Event, Forget, Message, Name, PoolName, Push, Record,
    Refusal, Request, RequestId, RequestKind, ResourceId, Scope, Snapshot, Timestamp, VersionNumber,
};
use crate::history::{HistoryError, Owner, Store, mending};
use crate::joined::joined;
use crate::scheduler::limits::{CALLS, COMMITS_KEPT, RENEW_LEAST_MS, RETENTION_EVERY};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// The outside of a scheduler: carries messages away. Must not block.
pub trait Edge: Send + Sync + 'static {
    /// `Message::{Grant, Revoke, Acknowledge}`, in order, for connected executors.
    fn deliver(&self, environment: &Name, messages: Vec<Message>);
    /// The pool should have this many executors.
    fn scale(&self, environment: &Name, pool: &PoolName, executors: u32);
}

/// What a commit made true; broadcast after it.
#[derive(Debug, Default)]
pub struct Committed {
    /// What was appended to history.
    pub records: Vec<Record>,
    /// Resources whose visible state changed; may repeat.
    pub changed: Vec<ResourceId>,
    /// What was said to callers, and dry run ends.
    pub messages: Vec<Message>,
}

/// A handle on a running scheduler. Cheap to clone; the scheduler runs until [`Scheduler::stop`].
#[derive(Clone)]
pub struct Scheduler {
    epoch: Epoch,
    inbox: mpsc::Sender<Vec<Event>>,
    calls: mpsc::Sender<Call>,
    committed: broadcast::Sender<Arc<Committed>>,
    ended: watch::Receiver<Option<String>>,
    away: watch::Receiver<Option<String>>,
    trims: mpsc::Sender<retention::Asked>,
}

/// What a handle asks of its loop.
enum Call {
    Event(Box<Event>, oneshot::Sender<Option<Message>>),
    Read(Box<dyn FnOnce(&EnvironmentState) + Send>),
    Stop(oneshot::Sender<()>),
}

/// Why a scheduler did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// History said no.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The push was refused.
    #[error("the push was refused: {} intents cannot be accepted", .0.len())]
    Refused(Vec<Refusal>),
    /// The scheduler has ended.
    #[error("the scheduler of this environment has ended: {0}")]
    Ended(String),
}

impl Scheduler {
    /// Takes ownership, loads the state and starts the loop.
    /// `ended`: owners that have provably ended (embedded: the folder lock is ours, so every earlier one).
    pub async fn start(
        environment: Name,
        store: Arc<dyn Store>,
        owner: Owner,
        ended: &[Name],
        edge: Arc<dyn Edge>,
    ) -> Result<Self, SchedulerError> {
        Self::start_trimming(environment, store, owner, ended, edge, RETENTION_EVERY).await
    }

    /// The same, and history is looked through so often for what is no longer kept.
    async fn start_trimming(
        environment: Name,
        store: Arc<dyn Store>,
        owner: Owner,
        ended: &[Name],
        edge: Arc<dyn Edge>,
        trims_every: Duration,
    ) -> Result<Self, SchedulerError> {
        let fence = store.take(&environment, &owner, ended).await?;
        let snapshot = store.load(&fence).await?;
        let (state, effects) = restore(environment.clone(), fence.epoch, snapshot).await?;
        let epoch = fence.epoch;
        let (inbox, events) = mpsc::channel(crate::core::limits::INBOX_EVENTS);
        let (calls, called) = mpsc::channel(CALLS);
        let (committed, _) = broadcast::channel(COMMITS_KEPT);
        let (end, ended) = watch::channel(None);
        let outside = (environment.clone(), Arc::clone(&edge));
        let (tells, away) = watch::channel(None);
        let writer = writer::spawn(environment, Arc::clone(&store), fence.clone(), edge, committed.clone(), tells);
        let run = run::Loop::new(state, effects, events, called, writer, outside);
        tokio::spawn(async move {
            // A panic in a step ends this environment's loop and nothing else; the handle says so.
            let reason = match tokio::spawn(run.run()).await {
                Ok(reason) => reason,
                Err(error) => format!("a defect in the scheduler: {error}"),
            };
            end.send_replace(Some(reason));
        });
        let (trims, asked) = mpsc::channel(1);
        let scheduler = Self { epoch, inbox, calls, committed, ended, away, trims };
        retention::spawn(scheduler.clone(), store, fence, asked, trims_every);
        Ok(scheduler)
    }

    /// The epoch that was taken.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Why history cannot be written right now: what happened last waits for its commit, which is tried again. `None`: it can.
    pub fn away(&self) -> watch::Receiver<Option<String>> {
        self.away.clone()
    }

    /// Where edges put events (batches).
    pub fn inbox(&self) -> mpsc::Sender<Vec<Event>> {
        self.inbox.clone()
    }

    /// Pushes intent; answers after the commit with the version and the refusals of single intents.
    pub async fn push(&self, push: Push) -> Result<(VersionNumber, Vec<Refusal>), SchedulerError> {
        match self.call(Event::Push(push)).await? {
            Some(Message::Accepted(version, refusals)) => Ok((version, refusals)),
            Some(Message::Refused(refusals)) => Err(SchedulerError::Refused(refusals)),
            _ => Err(self.gone().await),
        }
    }

    /// Ends resources without touching their targets; answers after the commit.
    pub async fn forget(&self, forget: Forget) -> Result<VersionNumber, SchedulerError> {
        match self.call(Event::Forget(forget)).await? {
            Some(Message::Accepted(version, _)) => Ok(version),
            _ => Err(self.gone().await),
        }
    }

    /// Requests a deploy or a repair; answers after the commit with its number and how many resources it covers.
    pub async fn request(
        &self,
        kind: RequestKind,
        scope: Scope,
        author: Name,
    ) -> Result<(RequestId, usize), SchedulerError> {
        self.order(Request { kind, scope, author, message: "".into(), digest: None }).await
    }

    /// The same with everything that a request can say; also suspends and resumes.
    pub async fn order(&self, request: Request) -> Result<(RequestId, usize), SchedulerError> {
        match self.call(Event::Request(request)).await? {
            Some(Message::RequestAccepted(id, covered)) => Ok((id, covered)),
            Some(Message::Refused(refusals)) => Err(SchedulerError::Refused(refusals)),
            _ => Err(self.gone().await),
        }
    }

    /// Starts a dry run; answers after the commit. Its end is a `Message::DryRunFinished` in a [`Committed`].
    pub async fn dry_run(&self, request: DryRunRequest) -> Result<DryRunId, SchedulerError> {
        match self.call(Event::DryRun(request)).await? {
            Some(Message::DryRunAccepted(id)) => Ok(id),
            Some(Message::Refused(refusals)) => Err(SchedulerError::Refused(refusals)),
            _ => Err(self.gone().await),
        }
    }

    /// Sends an event; answers once it is committed (settings, targets, pools).
    pub async fn send(&self, event: Event) -> Result<(), SchedulerError> {
        self.call(event).await.map(|_| ())
    }

    /// Reads the state, inside the loop, between two steps. What is seen may not be committed yet.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&EnvironmentState) -> T + Send + 'static,
    ) -> Result<T, SchedulerError> {
        let (answer, answered) = oneshot::channel();
        let read = move |state: &EnvironmentState| {
            // The caller may have gone; then nobody is interested.
            let _ = answer.send(read(state));
        };
        if self.calls.send(Call::Read(Box::new(read))).await.is_err() {
            return Err(self.gone().await);
        }
        match answered.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.gone().await),
        }
    }

    /// Drops from history what is no longer kept, and waits until that is done, was tried in vain, or the loop has ended.
    pub async fn trim(&self) {
        let (asks, done) = oneshot::channel();
        if self.trims.send(asks).await.is_ok() {
            let _ = done.await;
        }
    }

    /// What commits made true from now on. A slow receiver loses the oldest (`RecvError::Lagged`) and must read the state.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.committed.subscribe()
    }

    /// Waits until the loop ends, and says why it did.
    pub async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the process is ending".to_owned(),
        }
    }

    /// Ends the loop: nothing new starts, what is committed is delivered, ownership is released.
    pub async fn stop(self) -> Result<(), SchedulerError> {
        let (answer, answered) = oneshot::channel();
        if self.calls.send(Call::Stop(answer)).await.is_err() || answered.await.is_err() {
            return Err(self.gone().await);
        }
        self.ended().await;
        Ok(())
    }

    async fn call(&self, event: Event) -> Result<Option<Message>, SchedulerError> {
        mending::check_event(&event)?;
        let (answer, answered) = oneshot::channel();
        if self.calls.send(Call::Event(Box::new(event), answer)).await.is_err() {
            return Err(self.gone().await);
        }
        match answered.await {
            Ok(message) => Ok(message),
            Err(_) => Err(self.gone().await),
        }
    }

    async fn gone(&self) -> SchedulerError {
        SchedulerError::Ended(self.ended().await)
    }
}

/// Builds the state on a thread of its own: of a hundred thousand resources it takes long, and other environments of this process go on meanwhile.
async fn restore(
    environment: Name,
    epoch: Epoch,
    snapshot: Snapshot,
) -> Result<(EnvironmentState, Effects), SchedulerError> {
    let restored = tokio::task::spawn_blocking(move || EnvironmentState::restore(environment, epoch, snapshot, now()));
    joined(restored).await.map_err(|_| SchedulerError::Ended("the process is ending".to_owned()))
}

/// Renews the lease of a process until the task is aborted: at most six times a minute.
pub fn keep_lease(store: Arc<dyn Store>, owner: Owner) -> tokio::task::JoinHandle<()> {
    let every = Duration::from_millis((owner.lease_ms / 3).max(RENEW_LEAST_MS));
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            if let Err(error) = store.renew(&owner).await {
                tracing::warn!(%error, owner = %owner.description, "the lease could not be renewed; trying again");
            }
        }
    })
}

/// The time on this machine's clock, for the steps of a loop.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
