//! From objects to the scheduler: settings, targets and pools as they are now, edits once they have settled, requests once each.

use super::{EnvironmentLoop, Running, TurnError, rest};
use crate::api::{Settle, Source};
use crate::cluster::Happened;
use crate::controller::book::Batch;
use crate::controller::limits::FINALIZERS_AT_ONCE;
use crate::controller::seen::{Handled, Kind, Meta, SeenEnvironment, SeenExecutor, SeenTarget};
use crate::core::{self, Event, Forget, Intent, Name, OnChange, PoolName, RequestKind, Scope, TargetName};
use crate::scheduler::{self, SchedulerError};
use std::collections::BTreeMap;
use std::sync::Arc;

impl EnvironmentLoop {
    /// Tells the scheduler what changed of settings, targets and pools.
    pub(super) async fn tell(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        let Some(running) = self.running.as_mut() else { return Ok(()) };
        // An invalid spec changes nothing: what was valid last stays in force.
        if let Ok(parsed) = &environment.parsed {
            running.settle = parsed.settle.clone();
            let mut settings = parsed.settings.clone();
            if environment.meta.deleting {
                // Who deletes the environment has released what is left of it.
                settings.on_change = OnChange::Automatic;
            }
            if running.settings.as_ref() != Some(&settings) {
                running.scheduler.send(Event::SettingsChanged(settings.clone())).await?;
                running.settings = Some(settings);
            }
        }
        let default_pool: PoolName = match &environment.parsed {
            Ok(parsed) => parsed.pool.clone(),
            Err(_) => crate::api::DEFAULT_POOL.into(),
        };
        running.tell_pools(&self.group.executors).await?;
        running.tell_targets(&self.group.targets, &default_pool).await
    }

    /// Pushes what has settled.
    pub(super) async fn push(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        let now = scheduler::now();
        let Some(settle) = self.running.as_ref().map(|running| running.settle.clone()) else { return Ok(()) };
        // Nobody waits for more when the environment is on its way out.
        let settle = if environment.meta.deleting {
            Settle { quiet: crate::api::Duration::from_ms(200), ..settle }
        } else if self.releases(environment) {
            // What is asked for covers every edit that was made before it.
            Settle { quiet: crate::api::Duration::from_ms(0), max: crate::api::Duration::from_ms(0) }
        } else {
            settle
        };
        let Some(mut batch) = self.book.take(rest(&settle), now) else { return Ok(()) };
        if environment.parsed.as_ref().is_ok_and(|parsed| parsed.source == Source::Push) {
            self.stale.extend(self.book.refuse_source(&batch));
            batch.upserts.clear();
        }
        let unheld = self.hold_resources(&mut batch).await;
        for name in unheld {
            self.book.edit(&name, now);
        }
        match self.push_batch(&batch).await {
            Ok(refusals) => {
                let settled = self.book.settled(&batch, &refusals);
                self.stale.extend(settled);
                Ok(())
            }
            Err(error) => {
                self.book.give_back(batch, now);
                Err(error.into())
            }
        }
    }

    async fn push_batch(&self, batch: &Batch) -> Result<Vec<core::Refusal>, SchedulerError> {
        let Some(running) = self.running.as_ref() else { return Ok(Vec::new()) };
        // Before the push: what is forgotten must not begin to be deleted.
        if let Some(forget) = batch.forget() {
            self.orphan(running, forget).await?;
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (version, refusals) = running.scheduler.push(batch.push()).await?;
        tracing::info!(environment = %running.history, %version, upserts = batch.upserts.len(), removals = batch.removals.len(),
            refused = refusals.len(), "objects are taken in");
        Ok(refusals)
    }

    /// Leaves these on their targets, whether they are live or already being deleted.
    pub(super) async fn orphan(&self, running: &Running, forget: Forget) -> Result<(), SchedulerError> {
        let names = forget.names.clone();
        let known = running.scheduler.read(move |state| {
            let ids = names.iter().filter_map(|name| state.find_any(name));
            ids.filter_map(|id| state.row(id)).map(|row| Arc::clone(&row.intent)).collect::<Vec<_>>()
        });
        let known: Vec<Arc<Intent>> = known.await?;
        if known.is_empty() {
            return Ok(());
        }
        running.scheduler.forget(forget).await?;
        let names: Vec<&str> = known.iter().map(|intent| &*intent.name).collect();
        tracing::warn!(environment = %running.history, ?names, "left on their targets: their objects are gone, or were given up");
        for intent in &known {
            let note =
                format!("resource {} ({}) is left as it is on target {}", intent.name, intent.kind, intent.target);
            let events = self.shared.cluster.events();
            match (self.book.get(&intent.name), &self.group.environment) {
                (Some(entry), _) => events.tell(Happened::Orphaned, "Resource", entry.object.meta.reference(), &note),
                (None, Some(environment)) => {
                    events.tell(Happened::Orphaned, "Environment", environment.meta.reference(), &note);
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Puts our finalizer on every object before its intent is accepted. Takes those out of the batch for which that failed, and names them.
    async fn hold_resources(&self, batch: &mut Batch) -> Vec<String> {
        use futures::StreamExt as _;
        let missing: Vec<(String, Meta)> = batch
            .upserts
            .iter()
            .filter(|(_, object, _)| !object.meta.is_held())
            .map(|(name, object, _)| (name.clone(), object.meta.clone()))
            .collect();
        let held = futures::stream::iter(missing).map(|(name, meta)| async move {
            let finalizers = meta.finalizers_with_ours();
            let result = self.set_finalizers(Kind::Resource, &meta, &finalizers).await;
            (name, result)
        });
        let results: Vec<_> = held.buffer_unordered(FINALIZERS_AT_ONCE).collect().await;
        let mut failed = Vec::new();
        for (name, result) in results {
            if let Err(error) = result {
                tracing::info!(%error, "the object waits until it can be held");
                failed.push(name);
            }
        }
        batch.upserts.retain(|(name, ..)| !failed.contains(name));
        failed
    }

    /// Carries out what users asked for by annotation, each token once.
    pub(super) async fn answer_requests(&mut self) -> Result<(), TurnError> {
        let Some(running) = self.running.as_ref() else { return Ok(()) };
        if let Some(environment) = &self.group.environment {
            let last = self.written.environment(environment);
            last.handled = ask(running, &environment.meta, &last.handled, Scope::default).await?;
            approve_removals(running, &environment.meta, &mut last.handled).await?;
        }
        for (name, target) in &self.group.targets {
            let scope = || Scope { target: Some(name.as_str().into()), names: None };
            let last = self.written.target(target);
            last.handled = ask(running, &target.meta, &last.handled, scope).await?;
        }
        let asking: Vec<String> = self.stale.iter().filter(|name| self.asks(name)).cloned().collect();
        for name in asking {
            // Before it is in a version there is nothing that could run.
            let Some(entry) = self.book.get_mut(&name).filter(|entry| entry.settled.is_some()) else { continue };
            let scope = || Scope { target: None, names: Some(vec![name.as_str().into()]) };
            entry.handled = ask(running, &entry.object.meta, &entry.handled, scope).await?;
        }
        Ok(())
    }

    /// A user has asked for a deploy where that releases what is accepted.
    fn releases(&mut self, environment: &SeenEnvironment) -> bool {
        if environment.parsed.as_ref().is_ok_and(|parsed| parsed.settings.on_change == OnChange::Automatic) {
            return false;
        }
        let new =
            |meta: &Meta, handled: &Handled| meta.deploy_requested.is_some() && meta.deploy_requested != handled.deploy;
        new(&environment.meta, &self.written.environment(environment).handled)
            || self.group.targets.values().any(|target| new(&target.meta, &self.written.target(target).handled))
            || self
                .stale
                .iter()
                .filter_map(|name| self.book.get(name))
                .any(|entry| new(&entry.object.meta, &entry.handled))
    }

    /// Whether a resource carries a request that was not handled yet.
    pub(super) fn asks(&self, name: &str) -> bool {
        self.book.get(name).is_some_and(|entry| {
            let meta = &entry.object.meta;
            let new = |asked: &Option<String>, handled: &Option<String>| asked.is_some() && asked != handled;
            new(&meta.deploy_requested, &entry.handled.deploy) || new(&meta.repair_requested, &entry.handled.repair)
        })
    }
}

/// Requests what carries a new token; says which tokens are handled now.
async fn ask(
    running: &Running,
    meta: &Meta,
    handled: &Handled,
    scope: impl Fn() -> Scope,
) -> Result<Handled, SchedulerError> {
    let mut handled = handled.clone();
    let author: Name = meta.author.as_deref().unwrap_or("annotation").into();
    for (kind, asked, done) in [
        (RequestKind::Deploy, &meta.deploy_requested, &mut handled.deploy),
        (RequestKind::Repair, &meta.repair_requested, &mut handled.repair),
    ] {
        if asked.is_some() && asked != done {
            let (id, covered) = running.scheduler.request(kind, scope(), author.clone()).await?;
            tracing::info!(environment = %running.history, object = meta.name, ?kind, %id, covered, "requested by annotation");
            done.clone_from(asked);
        }
    }
    Ok(handled)
}

/// Who deletes the environment has approved that everything in it is deleted; else it takes a new token.
async fn approve_removals(running: &Running, meta: &Meta, handled: &mut Handled) -> Result<(), SchedulerError> {
    let author: Name = meta.author.as_deref().unwrap_or("annotation").into();
    let asked = meta.removals_approved.is_some() && meta.removals_approved != handled.approval;
    let implied = meta.deleting && running.scheduler.read(|state| state.removals_held() > 0).await?;
    if !(asked || implied) {
        return Ok(());
    }
    let (id, covered) = running.scheduler.request(RequestKind::ApproveRemovals, Scope::default(), author).await?;
    tracing::info!(environment = %running.history, %id, covered, "removals are approved");
    handled.approval.clone_from(&meta.removals_approved);
    Ok(())
}

/// A pod's own file system is nobody's infrastructure.
pub(super) fn is_local(target: &core::Target) -> bool {
    serde_json::from_str::<serde_json::Value>(&target.connection)
        .is_ok_and(|connection| connection.get("type").is_some_and(|kind| kind == "local"))
}

impl Running {
    async fn tell_pools(&mut self, seen: &BTreeMap<String, Arc<SeenExecutor>>) -> Result<(), TurnError> {
        for executor in seen.values() {
            let Ok(parsed) = &executor.parsed else { continue };
            let pool = &parsed.pool;
            let told = self.pools.get(&pool.name);
            // One that was released while it is being deleted stays released.
            let released = executor.meta.deleting && told.is_none() && self.released.contains(&executor.meta.uid);
            if told != Some(pool) && !released {
                self.scheduler.send(Event::PoolChanged(pool.clone())).await?;
                self.pools.insert(pool.name.clone(), pool.clone());
            }
        }
        let gone: Vec<PoolName> = self.pools.keys().filter(|name| !seen.contains_key(&***name)).cloned().collect();
        for name in gone {
            self.remove_pool(&name).await?;
        }
        Ok(())
    }

    async fn tell_targets(
        &mut self,
        seen: &BTreeMap<String, Arc<SeenTarget>>,
        default_pool: &PoolName,
    ) -> Result<(), TurnError> {
        for target in seen.values() {
            let Ok(parsed) = &target.parsed else { continue };
            let wanted = parsed.with_default_pool(default_pool);
            let told = self.targets.get(&wanted.name);
            let released = target.meta.deleting && told.is_none() && self.released.contains(&target.meta.uid);
            if told != Some(&wanted) && !released && !is_local(&wanted) {
                self.scheduler.send(Event::TargetChanged(wanted.clone())).await?;
                self.targets.insert(wanted.name.clone(), wanted);
            }
        }
        // What is on a target that vanished becomes undefined; nothing is deleted.
        let gone: Vec<TargetName> = self.targets.keys().filter(|name| !seen.contains_key(&***name)).cloned().collect();
        for name in gone {
            self.remove_target(&name).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_pool(&mut self, name: &PoolName) -> Result<(), SchedulerError> {
        if self.pools.remove(name).is_some() {
            self.scheduler.send(Event::PoolRemoved(name.clone())).await?;
        }
        Ok(())
    }

    pub(super) async fn remove_target(&mut self, name: &TargetName) -> Result<(), SchedulerError> {
        if self.targets.remove(name).is_some() {
            self.scheduler.send(Event::TargetRemoved(name.clone())).await?;
        }
        Ok(())
    }
}
