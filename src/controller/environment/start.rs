//! Starting and stopping the scheduler of an environment.

use super::{EnvironmentLoop, NotRunning, PodEdge, Running, TurnError, executors_of};
use crate::cluster::ObjectRef;
use crate::controller::book::{Book, SET};
use crate::controller::seen::SeenEnvironment;
use crate::core::{EnvironmentState, Event, Name};
use crate::history::HistoryError;
use crate::scheduler::{self, Edge, Scheduler, SchedulerError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, mpsc};

impl EnvironmentLoop {
    /// Starts the scheduler, if it does not run.
    pub(super) async fn start(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        if self.running.is_some() {
            return Ok(());
        }
        let meta = &environment.meta;
        let history: Name = format!("{}/{}/{}", meta.namespace, meta.name, meta.uid).into();
        let edge = Arc::new(PodEdge {
            endpoint: self.shared.endpoint.clone(),
            wanted: Mutex::default(),
            wake: Arc::clone(&self.wake),
        });
        let scheduler = self.take_ownership(&history, &edge).await?;
        tracing::info!(environment = %history, epoch = %scheduler.epoch(), "the scheduler runs");
        let committed = scheduler.subscribe();
        let unheard = scheduler.read(EnvironmentState::unheard_executors).await?;
        let inbox = ringing(scheduler.inbox(), Arc::clone(&self.wake));
        self.shared.endpoint.attach(history.clone(), scheduler.epoch(), inbox, unheard.clone());
        let alive = executors_of(&self.pods);
        for executor in unheard.iter().filter(|executor| !alive.contains(*executor)) {
            self.shared.endpoint.ended(&history, executor);
        }
        let known = scheduler.read(|state| {
            let declared = state.declared().filter(|(set, _)| ***set == *SET);
            let names: Vec<String> = declared.map(|(_, intent)| intent.name.to_string()).collect();
            (names, state.targets().cloned().collect::<Vec<_>>())
        });
        let (names, targets) = known.await?;
        let now = scheduler::now();
        self.book.edit_all(now);
        for name in names {
            self.book.recall(&name, now);
        }
        self.pools.clear();
        self.running = Some(Running {
            scheduler,
            history,
            uid: meta.uid.clone(),
            edge,
            committed,
            settings: None,
            targets: targets.into_iter().map(|target| (target.name.clone(), target)).collect(),
            pools: BTreeMap::new(),
            unavailable: BTreeMap::new(),
            settle: environment.parsed.as_ref().map(|parsed| parsed.settle.clone()).unwrap_or_default(),
            released: BTreeSet::new(),
            repairs: HashMap::new(),
        });
        Ok(())
    }

    /// Takes the environment; at once where its holder was a pod that is gone.
    async fn take_ownership(&self, history: &Name, edge: &Arc<PodEdge>) -> Result<Scheduler, SchedulerError> {
        let start = |ended: Vec<Name>| {
            let edge: Arc<dyn Edge> = Arc::clone(edge) as Arc<dyn Edge>;
            let (store, owner, history) = (Arc::clone(&self.shared.store), self.shared.owner.clone(), history.clone());
            async move { Scheduler::start(history, store, owner, &ended, edge).await }
        };
        match start(Vec::new()).await {
            Err(SchedulerError::History(HistoryError::Held { environment, holder, remaining_ms })) => {
                match self.ended_holder(&holder).await {
                    Some(ended) => start(vec![ended]).await,
                    None => Err(HistoryError::Held { environment, holder, remaining_ms }.into()),
                }
            }
            other => other,
        }
    }

    /// The id of a holder that was a pod and is gone. Holders describe themselves as `namespace/pod/uid`, see [`crate::operator`].
    async fn ended_holder(&self, holder: &str) -> Option<Name> {
        let mut parts = holder.split('/');
        let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
        match self.shared.cluster.pod_exists(ObjectRef { namespace, name, uid }).await {
            Ok(false) => Some(uid.into()),
            Ok(true) => None,
            Err(error) => {
                tracing::info!(%error, holder, "cannot tell whether the holder has ended; waiting for its lease");
                None
            }
        }
    }

    /// Stops the scheduler, if it runs. What it knows of the objects is kept: they are taken in again at the next start.
    pub(super) async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.shared.endpoint.detach(&running.history);
        self.pool_wake = None;
        if let Err(error) = running.scheduler.stop().await {
            tracing::info!(environment = %running.history, %error, "the scheduler had ended before it was stopped");
        }
        let same = self.group.environment.as_ref().is_some_and(|environment| environment.meta.uid == running.uid);
        if !same {
            // Another environment, or none: nothing that was accepted before means anything now.
            self.book = Book::default();
            self.not_running = NotRunning::Starting;
            self.shared.index.retell(&self.key);
        }
    }
}

/// The inbox, with a bell: what is said of a pool changes when an executor comes or goes, also where nothing is committed because of it.
fn ringing(inbox: mpsc::Sender<Vec<Event>>, bell: Arc<Notify>) -> mpsc::Sender<Vec<Event>> {
    let (sender, mut batches) = mpsc::channel::<Vec<Event>>(1);
    tokio::spawn(async move {
        while let Some(batch) = batches.recv().await {
            let rings =
                |event: &Event| matches!(event, Event::ExecutorConnected { .. } | Event::ExecutorDisconnected(_));
            let rings = batch.iter().any(rings);
            if inbox.send(batch).await.is_err() {
                return;
            }
            if rings {
                bell.notify_one();
            }
        }
    });
    sender
}
