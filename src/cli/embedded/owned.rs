//! An environment that this process owns for a moment, without executors: for orders that change what is known or wanted, and run nothing.
//!
//! Work that an order makes ready stays where it is until something runs the environment. Where another process does so, that takes the order. Deliberately absent: signals; an order is one commit.

use super::away::{Watch, given_up};
use super::control::Control;
use super::session::owner_of;
use super::{Beside, Place};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::output::Output;
use crate::core::{EnvironmentState, Forget, Message, Name, PoolName, Request, VersionNumber};
use crate::history::Store;
use crate::scheduler::{Edge, Scheduler};
use std::sync::Arc;

/// Nobody is there to hear of grants, and there are none: no executor ever connects.
struct NoExecutors;

impl Edge for NoExecutors {
    fn deliver(&self, _environment: &Name, _messages: Vec<Message>) {}

    fn scale(&self, _environment: &Name, _pool: &PoolName, _executors: u32) {}
}

/// The environment, owned.
pub(crate) struct Owned<'a> {
    /// Its name.
    pub(crate) environment: Name,
    by: By<'a>,
}

/// Who owns it.
enum By<'a> {
    Us(Scheduler),
    Beside(&'a Beside),
}

impl Owned<'_> {
    /// Locks the data folder, lets `prepare` choose the environment and check what can be checked before anything is owned, gives the orders of
    /// `work`, and closes everything afterwards, whatever came of it.
    pub(crate) async fn run<P, T>(
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&Owned<'_>, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        if let Some(control) = Control::reach(options, output).await? {
            return Beside::run(control, options, output, prepare, async |beside, prepared| {
                let environment = beside.environment().clone();
                work(&Owned { environment, by: By::Beside(beside) }, prepared).await
            })
            .await;
        }
        Place::expect_known(options)?;
        Place::owned(options, output, async |place, owners| {
            let (environment, prepared) = prepare(place).await?;
            let owner = owner_of(owners.own());
            let store: Arc<dyn Store> = Arc::clone(&place.store);
            let scheduler =
                Scheduler::start(environment.clone(), store, owner, owners.ended(), Arc::new(NoExecutors)).await?;
            let owned = Owned { environment, by: By::Us(scheduler.clone()) };
            // A signal ends the process, and takes back nothing that was answered.
            let (server, log) = (place.server_process(), place.folder.join("postgres.log"));
            let watch = Watch { away: scheduler.away(), signals: None, server, log };
            let done = tokio::select! {
                done = work(&owned, prepared) => done,
                error = given_up(Some(watch)) => Err(error),
            };
            let stopped = scheduler.stop().await;
            let done = done?;
            stopped?;
            Ok(done)
        })
        .await
    }

    /// Orders a suspension, its end, or a cancellation; answers after the commit.
    pub(crate) async fn order(&self, request: Request) -> Result<(), CliError> {
        match &self.by {
            By::Us(scheduler) => scheduler.order(request).await.map(|_| ()).map_err(CliError::from),
            By::Beside(beside) => beside.order(request).await.map(|_| ()),
        }
    }

    /// Ends resources without touching their targets; answers after the commit.
    pub(crate) async fn forget(&self, forget: Forget) -> Result<VersionNumber, CliError> {
        match &self.by {
            By::Us(scheduler) => Ok(scheduler.forget(forget).await?),
            By::Beside(beside) => beside.forget(forget).await,
        }
    }

    /// Reads the state.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&EnvironmentState) -> T + Send + 'static,
    ) -> Result<T, CliError> {
        match &self.by {
            By::Us(scheduler) => Ok(scheduler.read(read).await?),
            By::Beside(beside) => beside.read(read).await,
        }
    }

    /// Whether a process goes on with what waits, now.
    pub(crate) const fn goes_on(&self) -> bool {
        matches!(self.by, By::Beside(_))
    }
}
