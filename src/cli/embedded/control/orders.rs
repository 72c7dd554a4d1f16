//! Carries orders out on the schedulers of the environments that this process runs.

use super::attend::attend;
use super::{Answer, Kind, Order};
use crate::cli::CliError;
use crate::cli::embedded::away::{until_away, until_back};
use crate::cli::embedded::find;
use crate::cli::embedded::session::configure;
use crate::cli::output::time;
use crate::cli::verbs::why;
use crate::core::{EnvironmentState, Name};
use crate::scheduler::Scheduler;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// The environments that are run, each with its scheduler while there is one.
#[derive(Clone)]
pub(crate) struct Registry {
    private: bool,
    schedulers: Arc<Mutex<BTreeMap<Name, Option<Scheduler>>>>,
    /// Run, and neither what they are declared to be nor their first trouble is known yet.
    opening: Arc<Mutex<BTreeSet<Name>>>,
    /// Ended by an order, and not run again since.
    ended: Arc<Mutex<Vec<Name>>>,
    ends: mpsc::Sender<EndOrder>,
}

/// That an environment be given up, and everything that is known of it dropped.
pub(crate) struct EndOrder {
    pub(crate) environment: Name,
    /// Only where nothing of it is left.
    pub(crate) empty: bool,
    /// Whoever waits for it; whether the files still declare it.
    pub(crate) answer: oneshot::Sender<Result<bool, CliError>>,
}

/// An environment is known as run as long as this lives.
pub(crate) struct Registered {
    registry: Registry,
    environment: Name,
}

/// It takes orders as long as this lives.
pub(crate) struct Open<'a>(&'a Registered);

impl Registry {
    /// None yet; whether the database is the one in the data folder.
    pub(crate) fn new(private: bool) -> (Self, mpsc::Receiver<EndOrder>) {
        let (ends, orders) = mpsc::channel(1);
        (Self { private, schedulers: Arc::default(), opening: Arc::default(), ended: Arc::default(), ends }, orders)
    }

    /// Which environments were ended by an order, and not run again since.
    pub(crate) fn set_ended(&self, names: impl Iterator<Item = Name>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }

    async fn end(&self, environment: Name, empty: bool) -> Answer {
        let (answer, answered) = oneshot::channel();
        let sent = self.ends.send(EndOrder { environment: environment.clone(), empty, answer }).await;
        match (sent, answered.await) {
            (Ok(()), Ok(Ok(declared))) => Answer::Ended { declared },
            (Ok(()), Ok(Err(error))) => Answer::of(error),
            // It ends itself, and did not come to it.
            _ => closed(format!("the process is ending, and environment {environment} with it; try again when it has")),
        }
    }

    /// It will be run in a moment: commands wait until it has begun.
    pub(crate) fn announce(&self, environment: Name) {
        self.opening.lock().unwrap_or_else(PoisonError::into_inner).insert(environment);
    }

    /// From now on it is run.
    pub(crate) fn register(&self, environment: Name) -> Registered {
        self.with(|schedulers| schedulers.insert(environment.clone(), None));
        Registered { registry: self.clone(), environment }
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<Name, Option<Scheduler>>) -> T) -> T {
        change(&mut self.schedulers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hello(&self) -> Answer {
        Answer::Hello {
            process: std::process::id(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            private: self.private,
            environments: self.with(|schedulers| schedulers.keys().cloned().collect()),
            opening: self.opening.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect(),
            ended: self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Registered {
    /// From now on it takes orders.
    pub(crate) fn open(&self, scheduler: Scheduler) -> Open<'_> {
        self.registry.with(|schedulers| schedulers.insert(self.environment.clone(), Some(scheduler)));
        Open(self)
    }

    /// What was declared first has been accepted, or there is trouble: whoever waited for it may come.
    pub(crate) fn begun(&self) {
        self.registry.opening.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.environment);
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.registry.with(|schedulers| schedulers.insert(self.0.environment.clone(), None));
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.begun();
        self.registry.with(|schedulers| schedulers.remove(&self.environment));
    }
}

/// Carries an order out, and answers it. Ends early where nobody takes the answers any more.
pub(super) async fn carry_out(order: Order, registry: &Registry, answers: &mpsc::Sender<Answer>) {
    let last = match (environment_of(&order), &order) {
        (None, _) => registry.hello(),
        (Some(environment), Order::End { empty, .. }) => registry.end(environment.clone(), *empty).await,
        (Some(environment), _) => {
            let scheduler = registry.with(|schedulers| schedulers.get(environment).cloned());
            match scheduler {
                Some(Some(scheduler)) => {
                    tokio::select! {
                        done = on(&scheduler, order, answers) => done.unwrap_or_else(Answer::of),
                        never = tell_when_away(scheduler.away(), answers) => match never {},
                    }
                }
                Some(None) => closed(format!(
                    "environment {environment} takes no orders right now: it is being opened, or has trouble that `homeostat run` tells of\n  \
                     try again in a moment"
                )),
                None => closed(format!("process {} does not run environment {environment:?}", std::process::id())),
            }
        }
    };
    // Whoever asked may have gone.
    let _ = answers.send(last).await;
}

/// Tells whoever waits for an answer when history cannot be written, and when it can again.
async fn tell_when_away(mut away: watch::Receiver<Option<String>>, answers: &mpsc::Sender<Answer>) -> Infallible {
    loop {
        let reason = until_away(&mut away).await;
        // They may have gone.
        let _ = answers.send(Answer::Away { reason }).await;
        until_back(&mut away).await;
        let _ = answers.send(Answer::Back).await;
    }
}

fn closed(message: String) -> Answer {
    Answer::Refused { kind: Kind::Held, message }
}

fn environment_of(order: &Order) -> Option<&Name> {
    match order {
        Order::Hello {} => None,
        Order::Configure { environment, .. }
        | Order::Push { environment, .. }
        | Order::Request { environment, .. }
        | Order::Forget { environment, .. }
        | Order::Wait { environment, .. }
        | Order::Why { environment, .. }
        | Order::Holds { environment, .. }
        | Order::End { environment, .. } => Some(environment),
    }
}

async fn on(scheduler: &Scheduler, order: Order, answers: &mpsc::Sender<Answer>) -> Result<Answer, CliError> {
    Ok(match order {
        // Answered before.
        Order::Hello {} | Order::End { .. } => Answer::Done,
        Order::Configure { settings, targets, .. } => {
            configure(scheduler, settings, targets).await?;
            Answer::Done
        }
        Order::Push { push, .. } => Answer::Version { version: scheduler.push(push).await?.0 },
        Order::Forget { forget, .. } => Answer::Version { version: scheduler.forget(forget).await? },
        Order::Request { request, .. } => {
            let (request, resources) = scheduler.order(request).await?;
            Answer::Requested { request, resources }
        }
        Order::Wait { requests, .. } => attend(scheduler, requests, answers).await?,
        Order::Why { name, .. } => {
            let document =
                scheduler.read(move |state| why::document(state, &name, time::now(), why::Knows::Owner)).await??;
            Answer::Why { document }
        }
        Order::Holds { name, .. } => Answer::Holds { holds: scheduler.read(move |state| holds(state, &name)).await?? },
    })
}

fn holds(state: &EnvironmentState, name: &str) -> Result<Vec<crate::core::Hold>, CliError> {
    Ok(state.why(find(state, name)?.row.resource))
}
