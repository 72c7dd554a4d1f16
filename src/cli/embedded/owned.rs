//! An environment that this process owns for a moment, without executors: for orders that change what is known or wanted, and run nothing.
//!
//! Work that an order makes ready stays where it is until something runs the environment. Deliberately absent: signals; an order is one commit.

use super::session::owner_of;
use super::{EmbeddedError, Place};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::output::Output;
use crate::core::{Message, Name, PoolName};
use crate::executor::process;
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
pub(crate) struct Owned {
    /// Takes the orders.
    pub(crate) scheduler: Scheduler,
    /// Its name.
    pub(crate) environment: Name,
}

impl Owned {
    /// Locks the data folder, lets `prepare` choose the environment and check what can be checked before anything is owned, gives the orders of
    /// `work`, and closes everything afterwards, whatever came of it.
    pub(crate) async fn run<P, T>(
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<(Name, P), CliError>,
        work: impl AsyncFnOnce(&Self, P) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        Place::owned(options, output, async |place, owners| {
            let (environment, prepared) = prepare(place).await?;
            let owner = owner_of(owners.own());
            let store: Arc<dyn Store> = Arc::clone(&place.store);
            let scheduler =
                Scheduler::start(environment.clone(), store, owner, owners.ended(), Arc::new(NoExecutors)).await?;
            let owned = Self { scheduler: scheduler.clone(), environment };
            let done = work(&owned, prepared).await;
            let stopped = scheduler.stop().await;
            let done = done?;
            stopped?;
            Ok(done)
        })
        .await
    }

    /// Drops everything that is known of the environment that `prepare` chooses, its history too. Targets are not touched.
    pub(crate) async fn clear(
        options: &StateOptions,
        output: Output,
        prepare: impl AsyncFnOnce(&Place) -> Result<Name, CliError>,
    ) -> Result<Name, CliError> {
        Place::owned(options, output, async |place, owners| {
            let environment = prepare(place).await?;
            // An executor of a run that was killed may still be at work; when it has ended, nothing happens any more that nobody records.
            process::await_earlier(&place.folder).await.map_err(EmbeddedError::from)?;
            let fence = place.store.take(&environment, &owner_of(owners.own()), owners.ended()).await?;
            place.store.forget_environment(&fence).await?;
            Ok(environment)
        })
        .await
    }
}
