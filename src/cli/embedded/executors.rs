//! The executors of an embedded run: one child process per pool, started when the scheduler asks for it, restarted when it dies.
//!
//! A pool is not scaled down while the run lasts: a run is short, and a process is cheap to keep and slow to start.

use super::EmbeddedError;
use crate::cli::limits::{EXECUTOR_RETIRE, EXECUTOR_STARTED, EXECUTOR_STARTS};
use crate::core::{Message, Name, PoolName};
use crate::executor::Endpoint;
use crate::executor::process::{Child, ChildOptions, SocketPlace};
use crate::scheduler::Edge;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Carries a scheduler's messages to the endpoint, and its wishes for executors to the pools.
pub(super) struct PoolEdge {
    endpoint: Endpoint,
    /// Every pool of which an executor was ever wanted.
    wanted: watch::Sender<BTreeSet<PoolName>>,
}

impl PoolEdge {
    /// The edge, and where the pools hear of which of them an executor is wanted.
    pub(super) fn new(endpoint: Endpoint) -> (Self, watch::Receiver<BTreeSet<PoolName>>) {
        let (wanted, hears) = watch::channel(BTreeSet::new());
        (Self { endpoint, wanted }, hears)
    }
}

impl Edge for PoolEdge {
    fn deliver(&self, environment: &Name, messages: Vec<Message>) {
        self.endpoint.deliver(environment, messages);
    }

    fn scale(&self, _environment: &Name, pool: &PoolName, executors: u32) {
        if executors > 0 {
            self.wanted.send_if_modified(|wanted| wanted.insert(pool.clone()));
        }
    }
}

/// A pool whose executors do not run.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) pool: String,
    pub(super) message: String,
}

/// The executors of a session.
pub(super) struct Executors {
    endpoint: Endpoint,
    environment: Name,
    stop: watch::Sender<bool>,
    failures: mpsc::Receiver<Failure>,
    pools: tokio::task::JoinHandle<()>,
    listener: tokio::task::JoinHandle<()>,
}

impl Executors {
    /// Listens for executors, and starts those that are wanted from now on. Those of an earlier run have ended.
    pub(super) fn start(
        endpoint: Endpoint,
        environment: Name,
        folder: &Path,
        wanted: watch::Receiver<BTreeSet<PoolName>>,
    ) -> Result<Self, EmbeddedError> {
        endpoint.all_ended(&environment);
        let socket = SocketPlace::new(folder)?;
        let listener = Endpoint::bind_unix(socket.path())?;
        let (stop, stopping) = watch::channel(false);
        let (failed, failures) = mpsc::channel(1);
        let pool = Pool {
            endpoint: endpoint.clone(),
            environment: environment.clone(),
            folder: folder.to_owned(),
            socket: Arc::new(socket),
            stopping,
            failed,
        };
        let mut closing = stop.subscribe();
        let serving = endpoint.clone();
        let served = async move {
            if let Err(error) = serving.serve_unix(listener, told_to_stop(&mut closing)).await {
                tracing::error!(%error, "executors can no longer connect");
            }
        };
        let (pools, listener) = (tokio::spawn(pools(pool, wanted)), tokio::spawn(served));
        Ok(Self { endpoint, environment, stop, failures, pools, listener })
    }

    /// Waits for the first pool whose executors do not run.
    pub(super) async fn failed(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Takes their streams from the executors, which cancel what they run and end, and waits until they have.
    pub(super) async fn abandon(self) {
        self.stop.send_replace(true);
        self.endpoint.detach(&self.environment);
        self.ended().await;
    }

    /// Tells the executors to end when they have nothing left to do, and waits until they have.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        self.ended().await;
    }

    async fn ended(self) {
        // A panic in there has been reported, and there is nothing left to end.
        let _ = self.pools.await;
        self.listener.abort();
    }
}

/// Resolves when the session stops, or is gone.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and the session with it.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// What it takes to keep the executor of a pool running.
#[derive(Clone)]
struct Pool {
    endpoint: Endpoint,
    environment: Name,
    folder: PathBuf,
    socket: Arc<SocketPlace>,
    stopping: watch::Receiver<bool>,
    failed: mpsc::Sender<Failure>,
}

/// Starts each pool when it is first wanted; ends when all of them have ended.
async fn pools(pool: Pool, mut wanted: watch::Receiver<BTreeSet<PoolName>>) {
    let mut stopping = pool.stopping.clone();
    let mut known: BTreeSet<PoolName> = BTreeSet::new();
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stopping) => break,
            Ok(()) = wanted.changed() => {
                let new: Vec<PoolName> = wanted.borrow_and_update().difference(&known).cloned().collect();
                for name in new {
                    running.spawn(pool.clone().keep(name.clone()));
                    known.insert(name);
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

impl Pool {
    /// Keeps one executor of a pool running until the session stops.
    async fn keep(mut self, name: PoolName) {
        let mut short_lives = 0;
        while short_lives < EXECUTOR_STARTS {
            let began = Instant::now();
            let message = match self.run(&name).await {
                Ok(None) => return,
                Ok(Some(ended)) => ended,
                Err(error) => error.to_string(),
            };
            tracing::warn!(pool = %name, message, "an executor ended by itself");
            short_lives = if began.elapsed() < EXECUTOR_STARTED { short_lives + 1 } else { 0 };
            if short_lives == EXECUTOR_STARTS {
                // Only the first failure is looked at.
                let _ = self.failed.try_send(Failure { pool: name.to_string(), message });
            }
        }
    }

    /// Runs one executor. `None`: it ended because it was told to; else how it ended by itself.
    async fn run(&mut self, pool: &PoolName) -> Result<Option<String>, EmbeddedError> {
        let options =
            ChildOptions { socket: self.socket.path(), folder: &self.folder, environment: &self.environment, pool };
        let mut child = Child::start(&options)?;
        let name = child.name();
        let ended = tokio::select! {
            status = child.ended() => Some(status),
            () = told_to_stop(&mut self.stopping) => {
                self.endpoint.retire(&self.environment, &name);
                if tokio::time::timeout(EXECUTOR_RETIRE, child.ended()).await.is_err() {
                    child.kill().await;
                }
                None
            }
        };
        self.endpoint.ended(&self.environment, &name);
        Ok(ended)
    }
}
