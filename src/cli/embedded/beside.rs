//! An environment that a process beside this one owns: orders go to its control socket, what is only read comes from history.

use super::control::{Answer, Control, Order};
use super::signals::Signals;
use super::wait::{attempts_since, differing, only_observed};
use super::{Finished, Place, snapshot_state};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::core::{AttemptId, EnvironmentState, Forget, Name, Push, Request, RequestId, VersionNumber};
use crate::history::Store;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// The environment, and the process that owns it.
pub(crate) struct Beside {
    control: Control,
    store: Arc<dyn Store>,
    environment: Name,
    output: Output,
    signals: Signals,
    began: Instant,
    /// Attempts above this number were made after this verb began.
    before: AttemptId,
    /// What was asked for.
    requests: Vec<RequestId>,
}

impl Beside {
    /// Lets `prepare` choose the environment and check what can be checked, and does `work` on it through its owner.
    pub(crate) async fn run<P, T>(
        control: Control,
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&mut Self, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let place = Place::beside(options).await?;
        let done = async {
            let (environment, prepared) = prepare(&place).await?;
            control.expect(&environment)?;
            let before = place.store.peek(&environment).await?.unwrap_or_default().last_attempt;
            let store = Arc::clone(&place.store) as Arc<dyn Store>;
            // From here on a signal ends the wait, and takes back nothing.
            let signals = Signals::catch()?;
            let (began, requests) = (Instant::now(), Vec::new());
            let mut beside = Self { control, store, environment, output, signals, began, before, requests };
            work(&mut beside, prepared).await
        };
        let done = done.await;
        place.close().await?;
        done
    }

    /// The environment's name.
    pub(super) fn environment(&self) -> &Name {
        &self.environment
    }

    pub(super) async fn configure(&self, declared: &Declared) -> Result<(), CliError> {
        let (settings, targets) = (declared.settings.clone(), declared.targets.clone());
        let order = Order::Configure { environment: self.environment.clone(), settings, targets };
        self.control.order(&order).await.map(|_| ())
    }

    pub(super) async fn push(&self, push: Push) -> Result<VersionNumber, CliError> {
        match self.control.order(&Order::Push { environment: self.environment.clone(), push }).await? {
            Answer::Version { version } => Ok(version),
            other => Err(other.unexpected()),
        }
    }

    pub(super) async fn forget(&self, forget: Forget) -> Result<VersionNumber, CliError> {
        match self.control.order(&Order::Forget { environment: self.environment.clone(), forget }).await? {
            Answer::Version { version } => Ok(version),
            other => Err(other.unexpected()),
        }
    }

    /// Ends the environment, where nothing of it is left; whether the files of its process still declare it.
    pub(super) async fn end(&self) -> Result<bool, CliError> {
        self.control.end(&self.environment, true).await
    }

    pub(super) async fn request(&mut self, request: Request) -> Result<usize, CliError> {
        let (id, resources) = self.order(request).await?;
        self.requests.push(id);
        Ok(resources)
    }

    pub(super) async fn order(&self, request: Request) -> Result<(RequestId, usize), CliError> {
        match self.control.order(&Order::Request { environment: self.environment.clone(), request }).await? {
            Answer::Requested { request, resources } => Ok((request, resources)),
            other => Err(other.unexpected()),
        }
    }

    /// Reads the state as history has it: everything that an order was answered for is in it.
    pub(super) async fn read<T>(&self, read: impl FnOnce(&EnvironmentState) -> T) -> Result<T, CliError> {
        Ok(read(&snapshot_state(&*self.store, &self.environment).await?))
    }

    /// Waits until the owner says that nothing is left of what was asked for. A signal ends the wait, and nothing else.
    pub(super) async fn wait(&mut self) -> Result<Finished, CliError> {
        let order = Order::Wait { environment: self.environment.clone(), requests: self.requests.clone() };
        let mut answers = self.control.stream(&order).await?;
        let mut progress = Progress::new(self.output);
        let answer = loop {
            tokio::select! {
                answer = answers.next() => match answer {
                    Ok(Answer::Progress { done, left, failed, waits_for }) => {
                        progress.show(done, left, failed, waits_for.as_deref());
                    }
                    other => break other.map(Some),
                },
                () = self.signals.first() => break Ok(None),
            }
        };
        progress.finish();
        let ended = Instant::now();
        let (version, counts, held, suspensions, interrupted) = match answer? {
            Some(Answer::Finished { version, counts, held, suspensions }) => {
                (version, counts, held, suspensions, false)
            }
            Some(other) => return Err(other.unexpected()),
            None => {
                let now = |state: &EnvironmentState| {
                    (state.version(), state.counts(), state.suspensions().cloned().collect())
                };
                let (version, counts, suspensions) = self.read(now).await?;
                (version, counts, Vec::new(), suspensions, true)
            }
        };
        let attempts = attempts_since(&*self.store, &self.environment, self.before).await?;
        let differing = differing(&attempts);
        let observed = if differing.is_empty() {
            BTreeSet::new()
        } else {
            self.read(move |state| only_observed(state, differing)).await?
        };
        Ok(Finished {
            environment: self.environment.clone(),
            version,
            interrupted,
            elapsed: ended.duration_since(self.began),
            ended,
            counts,
            attempts,
            held,
            observed,
            suspensions,
            holder: Some(self.control.holder()),
        })
    }
}
