//! One task per environment: bounded inbox → `core::step` → one group commit → messages to the edges.
//!
//! **Architecture invariant:** nothing that depends on an uncommitted record leaves the process; no lock is held over I/O (there is no lock: the
//! state belongs to the task).

use crate::core::{
    DryRunId, DryRunRequest, EnvironmentState, Epoch, Event, Message, Name, PoolName, Push, Record, Refusal, RequestId, RequestKind, ResourceId,
    Scope, VersionNumber,
};
use crate::history::{HistoryError, Owner, Store};
use std::sync::Arc;
use tokio::sync::broadcast;

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
    /// Resources whose visible state changed.
    pub changed: Vec<ResourceId>,
    /// What was said to the outside, dry run ends among it.
    pub messages: Vec<Message>,
}

/// A handle on a running scheduler. Cheap to clone; the scheduler runs until [`Scheduler::stop`].
#[derive(Clone)]
pub struct Scheduler { /* private */ }

/// Why a scheduler did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// History said no.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The push was refused.
    #[error("the push was refused")]
    Refused(Vec<Refusal>),
    /// The scheduler has ended.
    #[error("the scheduler of this environment has ended: {0}")]
    Ended(String),
}

impl Scheduler {
    /// Takes ownership, loads the state and starts the loop.
    /// `ended`: owners that have provably ended (embedded: the folder lock is ours, so every earlier one).
    pub async fn start(environment: Name, store: Arc<dyn Store>, owner: Owner, ended: &[Name], edge: Arc<dyn Edge>) -> Result<Self, SchedulerError>;
    /// The epoch that was taken.
    pub fn epoch(&self) -> Epoch;
    /// Where edges put events (batches).
    pub fn inbox(&self) -> tokio::sync::mpsc::Sender<Vec<Event>>;
    /// Pushes intent; answers after the commit with the version and the refusals of single intents.
    pub async fn push(&self, push: Push) -> Result<(VersionNumber, Vec<Refusal>), SchedulerError>;
    /// Requests a deploy or a repair; answers after the commit with its number and how many resources it covers.
    pub async fn request(&self, kind: RequestKind, scope: Scope, author: Name) -> Result<(RequestId, usize), SchedulerError>;
    /// Starts a dry run; answers after the commit. Its end is a `Message::DryRunFinished` in a `Committed`.
    pub async fn dry_run(&self, request: DryRunRequest) -> Result<DryRunId, SchedulerError>;
    /// Sends an event; answers once it is committed (settings, targets, pools).
    pub async fn send(&self, event: Event) -> Result<(), SchedulerError>;
    /// Reads the state, inside the loop, between two steps. What is seen may not be committed yet.
    pub async fn read<T: Send + 'static>(&self, read: impl FnOnce(&EnvironmentState) -> T + Send + 'static) -> Result<T, SchedulerError>;
    /// What commits made true from now on. A slow receiver loses the oldest (`RecvError::Lagged`) and must read the state.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Committed>>;
    /// Ends the loop: nothing new starts, what is committed is delivered, ownership is released.
    pub async fn stop(self) -> Result<(), SchedulerError>;
}
