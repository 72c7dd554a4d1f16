//! A copy of an environment in memory, for dry runs: suspended, with executors of its own, gone when the run ends.

use super::session::Opening;
use super::{EmbeddedError, Place, Session, snapshot_state};
use crate::cli::CliError;
use crate::cli::arguments::StateOptions;
use crate::cli::manifests::Declared;
use crate::cli::output::Output;
use crate::core::{
    EnvironmentState, IntentRecord, Life, LoadedRow, Name, Record, ResourceRow, Settings, Snapshot, Target, Timestamp,
    VersionNumber, VersionRecord,
};
use crate::history::memory::MemoryStore;
use crate::history::{Batch, Owner, Store};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The copy.
pub(crate) struct Copy {
    /// The environment's name.
    pub(crate) environment: Name,
    /// What was copied.
    pub(crate) state: EnvironmentState,
    snapshot: Snapshot,
}

impl Copy {
    /// Copies the environment that is meant; an environment that does not exist yet is an empty one.
    pub(crate) async fn of(
        options: &StateOptions,
        declared: Option<&Declared>,
        output: Output,
    ) -> Result<Self, CliError> {
        let name = declared.map(|declared| &declared.name);
        match (Place::visit(options, output).await, name) {
            (Ok(place), _) => {
                let copied = Self::read(&place, options, name).await;
                place.close().await?;
                copied
            }
            (Err(EmbeddedError::Nothing { .. }), Some(name)) => {
                let state = EnvironmentState::restore(
                    name.clone(),
                    crate::core::Epoch(0),
                    Snapshot::default(),
                    Timestamp::default(),
                )
                .0;
                Ok(Self { environment: name.clone(), state, snapshot: Snapshot::default() })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// The state again, to try on it what a deploy would do.
    pub(crate) fn known(&self) -> EnvironmentState {
        let (name, now) = (self.environment.clone(), crate::cli::output::time::now());
        EnvironmentState::restore(name, crate::core::Epoch(0), self.snapshot.clone(), now).0
    }

    async fn read(place: &Place, options: &StateOptions, declared: Option<&Name>) -> Result<Self, CliError> {
        let environment = place.environment(options.environment.as_deref(), declared).await?;
        let snapshot = place.store.peek(&environment).await?.unwrap_or_default();
        let state = snapshot_state(&*place.store, &environment).await?;
        Ok(Self { environment, state, snapshot })
    }

    /// Runs `work` in a session on the copy.
    pub(crate) async fn run<T>(
        self,
        output: Output,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let folder = tempfile::Builder::new().prefix("homeostat-dry-run-").tempdir()?;
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let owner = Owner { id: "dry-run".into(), description: "dry run".into(), lease_ms: u64::from(u32::MAX) };
        fill(&*store, &self.environment, &owner, self.snapshot).await?;
        let opening = Opening {
            store,
            folder: folder.path(),
            server: None,
            environment: self.environment,
            owner: owner.id,
            ended: &[],
            output,
            report_only: false,
            signals: None,
        };
        Session::within(opening, work).await
    }
}

/// Writes what an owner would load as one version into an empty store.
async fn fill(store: &dyn Store, environment: &Name, owner: &Owner, snapshot: Snapshot) -> Result<(), CliError> {
    let fence = store.take(environment, owner, &[]).await?;
    // Nothing is due in the copy, and what is being deleted is not in it. A deploy releases what is accepted, so the copy has done so.
    let accepted: BTreeSet<Name> =
        snapshot.resources.iter().filter_map(|row| row.accepted()).map(|(_, intent)| intent.name.clone()).collect();
    let stays = |row: &ResourceRow| {
        row.accepted().is_some() || (row.life == Life::Live && !accepted.contains(&row.intent.name))
    };
    let rows = snapshot.resources.into_iter().map(LoadedRow::into_row).filter(stays).map(|row| {
        let (set, intent) = row
            .accepted()
            .map_or((row.set.clone(), Arc::clone(&row.intent)), |(set, intent)| (set.clone(), Arc::clone(intent)));
        let life = Life::Live;
        ResourceRow { version: VersionNumber(1), set, intent, life, pending: None, after: None, due_at: None, ..row }
    });
    let rows: Vec<ResourceRow> = rows.collect();
    let intents = rows.iter().map(|row| IntentRecord {
        resource: row.resource,
        name: row.intent.name.clone(),
        set: row.set.clone(),
        intent: Some(Arc::clone(&row.intent)),
    });
    let version = VersionRecord {
        number: VersionNumber(1),
        at: Timestamp::default(),
        author: "dry run".into(),
        source: "copy".into(),
        message: "".into(),
        intents: intents.collect(),
    };
    let mut records =
        vec![Record::Version(version), Record::Settings(suspended(snapshot.settings.unwrap_or_default()))];
    records.extend(snapshot.targets.into_iter().map(unrated).map(Record::Target));
    store.commit(&fence, &Batch { number: 1, records, rows }).await?;
    Ok(store.release(&fence).await?)
}

/// The same without its rate, which the environment's owner keeps: what a copy took of it would be counted nowhere.
pub(super) fn unrated(target: Target) -> Target {
    Target { rate_limit: None, ..target }
}

/// The same, but nothing starts by itself.
pub(super) fn suspended(settings: Settings) -> Settings {
    Settings { suspend: true, max_in_flight: None, ..settings }
}
