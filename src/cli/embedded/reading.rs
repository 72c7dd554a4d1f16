//! An environment as history knows it, read without owning it: a verb that only reads never changes who works on what.

use super::Place;
use crate::cli::arguments::{SelectOptions, StateOptions};
use crate::cli::document::AttemptDocument;
use crate::cli::output::{Output, time};
use crate::cli::selection::Selection;
use crate::cli::{CliError, suggest};
use crate::core::{
    AttemptId, EnvironmentState, Epoch, IntentRecord, Life, Name, ResourceView, Snapshot, Timestamp, VersionNumber,
};
use crate::history::{AttemptSummary, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

/// An environment read at one moment.
pub(crate) struct Reading {
    /// History, for more than the state.
    pub(crate) store: Arc<dyn Store>,
    /// The environment's name.
    pub(crate) environment: Name,
    /// Its state.
    pub(crate) state: EnvironmentState,
    /// No attempt above this number was made when the state was read.
    pub(crate) last_attempt: AttemptId,
    /// When it was read.
    pub(crate) now: Timestamp,
    /// Another process holds the data folder, or the environment in the database of `--database-url`, and may work on it.
    pub(crate) at_work: bool,
}

impl Reading {
    /// Opens history, reads the environment that is meant, lets `work` look at it, and closes history whatever came of it.
    pub(crate) async fn with<T>(
        options: &StateOptions,
        output: Output,
        work: impl AsyncFnOnce(&Self) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        Place::visited(options, output, async |place| work(&Self::of(place, options).await?).await).await
    }

    async fn of(place: &Place, options: &StateOptions) -> Result<Self, CliError> {
        let environment = place.environment(options.environment.as_deref(), None).await?;
        let now = time::now();
        let snapshot = place.store.peek(&environment).await?.ok_or_else(|| place.nothing())?;
        let last_attempt = snapshot.last_attempt;
        let at_work = place.is_at_work(&environment).await?;
        let mut state = EnvironmentState::restore(environment.clone(), Epoch(0), snapshot, now).0;
        if !at_work {
            state.mark_unowned();
        }
        let store = Arc::clone(&place.store);
        Ok(Self { store, environment, state, last_attempt, now, at_work })
    }

    /// Attempts as documents.
    pub(crate) fn documents(&self, attempts: &[AttemptSummary]) -> Vec<AttemptDocument> {
        attempts.iter().map(|attempt| AttemptDocument::from(attempt).unless_at_work(self.at_work)).collect()
    }

    /// The resources that are meant, by name. That something was asked for and nothing is meant by it is told.
    ///
    /// # Errors
    /// [`CliError::Usage`] with a suggestion where a name, a target or a type does not exist.
    pub(crate) fn select(&self, options: &SelectOptions, output: Output) -> Result<Vec<ResourceView>, CliError> {
        for name in &options.names {
            self.find(name)?;
        }
        let mut views = self.fitting(options, output)?;
        views.sort_by(|one, other| one.row.intent.name.cmp(&other.row.intent.name));
        Ok(views)
    }

    /// The names whose attempts are meant; `None`: everybody's. What is named need not be known any more, as long as it has attempts.
    ///
    /// # Errors
    /// As [`Reading::select`].
    pub(crate) async fn select_attempts(
        &self,
        options: &SelectOptions,
        output: Output,
    ) -> Result<Option<Vec<Name>>, CliError> {
        let selection = Selection::new(options);
        for name in &options.names {
            let gone = self.state.find_any(name).is_none();
            if gone && self.store.attempts(&self.environment, Some(&[name.as_str().into()]), None, 1).await?.is_empty()
            {
                self.find(name)?;
            }
        }
        if selection.is_all() {
            return Ok(None);
        }
        if selection.names_only() {
            return Ok(Some(options.names.iter().map(|name| name.as_str().into()).collect()));
        }
        Ok(Some(self.fitting(options, output)?.into_iter().map(|view| view.row.intent.name.clone()).collect()))
    }

    fn fitting(&self, options: &SelectOptions, output: Output) -> Result<Vec<ResourceView>, CliError> {
        let selection = Selection::new(options);
        selection.check_place(&self.state, None)?;
        let selection = selection.within(&self.state, None, self.now);
        if let Some(nothing) = selection.nothing(&self.state, None) {
            output.note(&nothing);
        }
        Ok(self.state.views().filter(|view| selection.covers(&view.row.intent)).collect())
    }

    /// The resource of this name.
    ///
    /// # Errors
    /// [`CliError::Usage`] with a suggestion where there is none.
    pub(crate) fn find(&self, name: &str) -> Result<ResourceView, CliError> {
        find(&self.state, name)
    }
}

/// The state as an owner would load it; `None`: there is no such environment.
pub(crate) async fn peek(
    store: &dyn Store,
    environment: &Name,
    now: Timestamp,
) -> Result<Option<EnvironmentState>, CliError> {
    let snapshot = store.peek(environment).await?;
    Ok(snapshot.map(|snapshot| EnvironmentState::restore(environment.clone(), Epoch(0), snapshot, now).0))
}

/// The resource of this name, or what may have been meant.
pub(crate) fn find(state: &EnvironmentState, name: &str) -> Result<ResourceView, CliError> {
    state.find_any(name).and_then(|id| state.view(id)).ok_or_else(|| {
        let names: Vec<Name> = state.views().map(|view| view.row.intent.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        CliError::Usage(suggest::unknown("resource", name, &names, "`homeostat status` lists them all"))
    })
}

/// The state as history knows it; empty where there is no such environment yet.
pub(crate) async fn snapshot_state(store: &dyn Store, environment: &Name) -> Result<EnvironmentState, CliError> {
    let now = time::now();
    let state = peek(store, environment, now).await?;
    Ok(state.unwrap_or_else(|| EnvironmentState::restore(environment.clone(), Epoch(0), Snapshot::default(), now).0))
}

/// What a version of the environment wants, or which versions there are.
pub(crate) async fn content_of(
    store: &dyn Store,
    state: &EnvironmentState,
    version: VersionNumber,
) -> Result<Vec<IntentRecord>, CliError> {
    let environment = state.name();
    if let Some(content) = store.intents_at(environment, version).await? {
        return Ok(content);
    }
    let oldest = store.oldest_version(environment).await?;
    Err(CliError::Usage(if version < oldest {
        format!(
            "environment {environment} no longer keeps version {version}; the oldest that is kept is {oldest}\n  spec.history.versions of the Environment says how many are"
        )
    } else {
        format!(
            "environment {environment} has no version {version}; its newest is {}\n  `homeostat history` lists them",
            state.version()
        )
    }))
}

/// The names of everything that is live, or accepted.
pub(crate) fn known_names(state: &EnvironmentState) -> BTreeSet<Name> {
    state.views().filter(|view| view.row.life != Life::Tombstone).map(|view| view.row.intent.name.clone()).collect()
}
