//! History in memory: the twin of PostgreSQL, for tests and the simulator.
//!
//! It keeps every promise of the contract but one: it does not outlive its process. Time is what the clock it was given says.
//! Deliberately absent: faults. A test that wants them wraps the store.

mod retention;
mod tables;

use super::floors::Floors;
use super::{
    AttemptSummary, Batch, DryRunResult, Fence, HistoryError, Owner, RequestSummary, Store, VersionSummary, batch_check,
};
use crate::core::{
    AttemptId, DryRunId, Epoch, IntentRecord, Name, RequestId, Retention, Snapshot, Timestamp, VersionNumber,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tables::Tables;

/// A store in memory. Share it by `Arc`; every owner of a test or simulation talks to the same one.
pub struct MemoryStore {
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    database: Mutex<Database>,
    floors: Floors,
}

/// What a store held at one moment.
#[derive(Clone, Default)]
pub struct Image(Database);

#[derive(Clone, Default)]
struct Database {
    environments: BTreeMap<Name, Environment>,
    leases: BTreeMap<Name, Lease>,
    last_environment: i64,
}

#[derive(Clone)]
struct Environment {
    id: i64,
    epoch: Epoch,
    claim: i64,
    owner: Option<Name>,
    last_batch: u64,
    tables: Tables,
}

#[derive(Clone)]
struct Lease {
    description: Name,
    expires_at: Timestamp,
}

impl MemoryStore {
    /// An empty store whose leases expire by `clock`.
    pub fn new(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), database: Mutex::default(), floors: Floors::default() }
    }

    /// What is stored now.
    pub fn image(&self) -> Image {
        Image(self.database().clone())
    }

    /// Goes back to what was stored then, as a database does that fails over to a replica which lagged behind.
    pub fn go_back(&self, image: Image) {
        *self.database() = image.0;
    }

    /// Nothing is left half-written where a caller panics: changes are checked before they are made.
    fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, environment: &str, read: impl FnOnce(&Tables) -> T) -> Option<T> {
        self.database().environments.get(environment).map(|environment| read(&environment.tables))
    }
}

impl Default for MemoryStore {
    /// A store on the system's clock.
    fn default() -> Self {
        Self::new(|| Timestamp(jiff::Timestamp::now().as_millisecond()))
    }
}

impl Database {
    fn lease(&mut self, owner: &Owner, now: Timestamp) {
        let lease = Lease { description: owner.description.clone(), expires_at: now.after_ms(owner.lease_ms) };
        self.leases.insert(owner.id.clone(), lease);
    }

    /// Who holds the environment against everybody but `owner`, and for how many milliseconds.
    fn holder(
        &self,
        environment: &Environment,
        owner: &Owner,
        ended: &[Name],
        now: Timestamp,
    ) -> Option<(String, u64)> {
        let holder = environment.owner.as_ref().filter(|holder| **holder != owner.id && !ended.contains(holder))?;
        let lease = self.leases.get(holder).filter(|lease| lease.expires_at > now)?;
        Some((lease.description.to_string(), lease.expires_at.ms_since(now)))
    }

    fn fenced(&mut self, fence: &Fence) -> Result<&mut Environment, HistoryError> {
        let found = self.environments.values_mut().find(|environment| environment.id == fence.environment);
        let found = found.ok_or(HistoryError::Fenced { epoch: fence.epoch })?;
        batch_check::check_owner(fence, found.epoch, found.claim)?;
        Ok(found)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn take(&self, environment: &str, owner: &Owner, ended: &[Name]) -> Result<Fence, HistoryError> {
        let now = (self.clock)();
        let mut database = self.database();
        if let Some(found) = database.environments.get(environment)
            && let Some((holder, remaining_ms)) = database.holder(found, owner, ended, now)
        {
            return Err(HistoryError::Held { environment: environment.to_owned(), holder, remaining_ms });
        }
        database.lease(owner, now);
        let Database { environments, last_environment, .. } = &mut *database;
        let taken = environments.entry(environment.into()).or_insert_with(|| {
            *last_environment += 1;
            Environment {
                id: *last_environment,
                epoch: Epoch(0),
                claim: 0,
                owner: None,
                last_batch: 0,
                tables: Tables::default(),
            }
        });
        taken.epoch = Epoch(taken.epoch.max(self.floors.epoch(environment)).0 + 1);
        taken.claim = taken.epoch.0 as i64; // never given twice by this store
        taken.owner = Some(owner.id.clone());
        taken.last_batch = 0;
        let fence = Fence { environment: taken.id, name: environment.into(), epoch: taken.epoch, claim: taken.claim };
        self.floors.took(&fence.name, fence.epoch);
        Ok(fence)
    }

    async fn renew(&self, owner: &Owner) -> Result<(), HistoryError> {
        let now = (self.clock)();
        self.database().lease(owner, now);
        Ok(())
    }

    async fn release(&self, fence: &Fence) -> Result<(), HistoryError> {
        let mut database = self.database();
        let environment = database.fenced(fence)?;
        environment.epoch.0 += 1;
        environment.owner = None;
        Ok(())
    }

    async fn load(&self, fence: &Fence) -> Result<Snapshot, HistoryError> {
        let mut snapshot = self.database().fenced(fence)?.tables.snapshot();
        self.floors.raise(&fence.name, &mut snapshot);
        Ok(snapshot)
    }

    async fn commit(&self, fence: &Fence, batch: &Batch) -> Result<(), HistoryError> {
        batch_check::check(batch)?;
        let mut database = self.database();
        let environment = database.fenced(fence)?;
        if batch_check::is_next_batch(environment.last_batch, batch.number)? {
            environment.tables.check(batch)?;
            environment.tables.apply(batch);
            environment.last_batch = batch.number;
        }
        self.floors.committed(&fence.name, batch);
        Ok(())
    }

    async fn probe(&self, fence: &Fence, batch: &Batch) -> Result<(), HistoryError> {
        batch_check::check(batch)?;
        let mut database = self.database();
        let environment = database.fenced(fence)?;
        if batch_check::is_next_batch(environment.last_batch, batch.number)? {
            environment.tables.check(batch)?;
        }
        Ok(())
    }

    async fn forget_environment(&self, fence: &Fence) -> Result<(), HistoryError> {
        let mut database = self.database();
        database.fenced(fence)?;
        database.environments.retain(|_, environment| environment.id != fence.environment);
        Ok(())
    }

    async fn owner(&self, environment: &str) -> Result<Option<String>, HistoryError> {
        let (now, database) = ((self.clock)(), self.database());
        let owner = database.environments.get(environment).and_then(|environment| environment.owner.as_ref());
        let lease = owner.and_then(|owner| database.leases.get(owner)).filter(|lease| lease.expires_at > now);
        Ok(lease.map(|lease| lease.description.to_string()))
    }

    async fn trim(&self, fence: &Fence, retention: Retention, now: Timestamp) -> Result<u64, HistoryError> {
        Ok(self.database().fenced(fence)?.tables.trim(retention, now))
    }

    async fn oldest_version(&self, environment: &str) -> Result<VersionNumber, HistoryError> {
        Ok(self.read(environment, Tables::oldest_version).unwrap_or_default())
    }

    async fn environments(&self) -> Result<Vec<Name>, HistoryError> {
        Ok(self.database().environments.keys().cloned().collect())
    }

    async fn peek(&self, environment: &str) -> Result<Option<Snapshot>, HistoryError> {
        Ok(self.read(environment, Tables::snapshot))
    }

    async fn versions(
        &self,
        environment: &str,
        before: Option<VersionNumber>,
        limit: u32,
    ) -> Result<Vec<VersionSummary>, HistoryError> {
        Ok(self.read(environment, |tables| tables.versions(before, limit)).unwrap_or_default())
    }

    async fn intents_at(
        &self,
        environment: &str,
        version: VersionNumber,
    ) -> Result<Option<Vec<IntentRecord>>, HistoryError> {
        Ok(self.read(environment, |tables| tables.intents_at(version)).flatten())
    }

    async fn attempts(
        &self,
        environment: &str,
        names: Option<&[Name]>,
        before: Option<AttemptId>,
        limit: u32,
    ) -> Result<Vec<AttemptSummary>, HistoryError> {
        Ok(self.read(environment, |tables| tables.attempts(names, before, limit)).unwrap_or_default())
    }

    async fn requests(
        &self,
        environment: &str,
        before: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestSummary>, HistoryError> {
        Ok(self.read(environment, |tables| tables.requests(before, limit)).unwrap_or_default())
    }

    async fn dry_run(&self, environment: &str, id: DryRunId) -> Result<Vec<DryRunResult>, HistoryError> {
        Ok(self.read(environment, |tables| tables.dry_run(id)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[tokio::test]
    async fn leases_expire_by_the_clock_that_was_given() {
        let now = Arc::new(AtomicI64::new(0));
        let store = MemoryStore::new({
            let now = Arc::clone(&now);
            move || Timestamp(now.load(Ordering::Relaxed))
        });
        let owner = |id: &str| Owner { id: id.into(), description: id.into(), lease_ms: 1_000 };
        store.take("prod", &owner("first"), &[]).await.unwrap();
        now.store(999, Ordering::Relaxed);
        let error = store.take("prod", &owner("second"), &[]).await.unwrap_err();
        assert!(matches!(error, HistoryError::Held { remaining_ms: 1, .. }), "{error}");
        store.renew(&owner("first")).await.unwrap();
        now.store(1_998, Ordering::Relaxed);
        store.take("prod", &owner("second"), &[]).await.unwrap_err();
        now.store(1_999, Ordering::Relaxed);
        store.take("prod", &owner("second"), &[]).await.unwrap();
    }
}
