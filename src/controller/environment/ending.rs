//! Holding objects that are still needed, and letting them go: finalizers that always end.
//!
//! A `Resource` goes when nothing of it is left in the scheduler; a `Target` when nothing is on it; an `Executor` when nothing is on any of its
//! targets; an `Environment` when it has no resource at all, as object or on a target. So a folder may be deleted in any order.

use super::{EnvironmentLoop, TurnError};
use crate::api::{Environment, Executor, Resource, Target};
use crate::cluster::{Class, ClusterError, Happened};
use crate::controller::book::SET;
use crate::controller::seen::{Kind, Meta, SeenEnvironment};
use crate::core::{Event, Forget, Name, TargetName};
use std::collections::{BTreeMap, BTreeSet};

impl EnvironmentLoop {
    /// Puts our finalizer on everything but resources, which are held right before their intent is accepted.
    pub(super) async fn hold(&self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        if environment.meta.deleting {
            return Ok(());
        }
        let targets = self.group.targets.values().map(|seen| (Kind::Target, &seen.meta));
        let executors = self.group.executors.values().map(|seen| (Kind::Executor, &seen.meta));
        for (kind, meta) in std::iter::once((Kind::Environment, &environment.meta)).chain(targets).chain(executors) {
            if !meta.deleting && !meta.is_held() {
                unless_changed(self.set_finalizers(kind, meta, &meta.finalizers_with_ours()).await)?;
            }
        }
        Ok(())
    }

    /// Lets go of what is no longer needed.
    pub(super) async fn release(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        self.release_resources().await?;
        self.give_up(environment).await?;
        let deleting = |meta: &Meta| meta.deleting && meta.is_held();
        let any = deleting(&environment.meta)
            || self.group.targets.values().any(|seen| deleting(&seen.meta))
            || self.group.executors.values().any(|seen| deleting(&seen.meta));
        if !any {
            self.needed = None;
            return Ok(());
        }
        let needed = self.count_needed().await?;
        self.release_targets_and_pools(&needed).await?;
        let left: u32 = needed.values().sum();
        self.needed = Some(needed);
        if deleting(&environment.meta) && left == 0 && self.book.is_empty() {
            tracing::info!(
                namespace = self.key.0,
                environment = self.key.1,
                "nothing is left on the targets; the environment ends"
            );
            self.stop_executors().await?;
            self.stop().await;
            self.ended = Some(environment.meta.uid.clone());
            unless_changed(
                self.set_finalizers(Kind::Environment, &environment.meta, &environment.meta.finalizers_without_ours())
                    .await,
            )?;
        }
        Ok(())
    }

    /// Takes the finalizer off resources that have left the scheduler, after that is in history.
    async fn release_resources(&mut self) -> Result<(), TurnError> {
        let leaving = self.book.leaving();
        let Some(running) = self.running.as_ref().filter(|_| !leaving.is_empty()) else { return Ok(()) };
        let gone: Vec<String> = running
            .scheduler
            .read(move |state| leaving.into_iter().filter(|name| state.find_any(name).is_none()).collect())
            .await?;
        if gone.is_empty() {
            return Ok(());
        }
        // What was read may be ahead of history: an event that changes nothing is answered once all before it is committed.
        running.scheduler.send(Event::Tick).await?;
        for name in gone {
            let Some(entry) = self.book.get(&name) else { continue };
            let meta = entry.object.meta.clone();
            let released = match self.set_finalizers(Kind::Resource, &meta, &meta.finalizers_without_ours()).await {
                Ok(()) => true,
                Err(error) if error.class() == Class::Gone => true,
                // It changed meanwhile: the watch brings what it is now.
                Err(error) if error.class() == Class::Conflict => false,
                Err(error) => return Err(error.into()),
            };
            if let Some(entry) = self.book.get_mut(&name) {
                entry.released = released;
            }
        }
        Ok(())
    }

    /// How many resources and tombstones are on each target, objects that are still to be taken in among them.
    async fn count_needed(&self) -> Result<BTreeMap<TargetName, u32>, TurnError> {
        let mut needed: BTreeMap<TargetName, u32> = BTreeMap::new();
        if let Some(running) = self.running.as_ref() {
            let on: Vec<TargetName> = running
                .scheduler
                .read(|state| state.views().map(|view| view.row.intent.target.clone()).collect())
                .await?;
            for target in on {
                *needed.entry(target).or_default() += 1;
            }
        }
        for (_, entry) in self.book.iter().filter(|(_, entry)| !entry.removed) {
            if let Ok(intent) = &entry.object.parsed {
                needed.entry(intent.target.clone()).or_insert(1);
            }
        }
        Ok(needed)
    }

    async fn release_targets_and_pools(&mut self, needed: &BTreeMap<TargetName, u32>) -> Result<(), TurnError> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let pools: BTreeSet<String> = running
            .targets
            .values()
            .filter(|target| needed.contains_key(&target.name))
            .map(|target| target.pool.to_string())
            .collect();
        let result = async {
            for (name, target) in
                self.group.targets.iter().filter(|(_, target)| target.meta.deleting && target.meta.is_held())
            {
                if !needed.contains_key(name.as_str()) {
                    running.released.insert(target.meta.uid.clone());
                    running.remove_target(&name.as_str().into()).await?;
                    unless_changed(
                        self.set_finalizers(Kind::Target, &target.meta, &target.meta.finalizers_without_ours()).await,
                    )?;
                }
            }
            for (name, executor) in
                self.group.executors.iter().filter(|(_, executor)| executor.meta.deleting && executor.meta.is_held())
            {
                if !pools.contains(name) {
                    running.released.insert(executor.meta.uid.clone());
                    running.remove_pool(&name.as_str().into()).await?;
                    self.delete_pods_of(name).await?;
                    unless_changed(
                        self.set_finalizers(Kind::Executor, &executor.meta, &executor.meta.finalizers_without_ours())
                            .await,
                    )?;
                }
            }
            Ok(())
        }
        .await;
        self.running = Some(running);
        result
    }

    /// Ends a deletion that cannot end: the user said so, or the namespace is going and takes Secrets and pods with it.
    async fn give_up(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        let meta = &environment.meta;
        if !meta.deleting || !(meta.force_orphan || self.terminating) {
            return Ok(());
        }
        let Some(running) = self.running.as_ref() else { return Ok(()) };
        let names: Vec<Name> =
            running.scheduler.read(|state| state.views().map(|view| view.row.intent.name.clone()).collect()).await?;
        let why = if self.terminating {
            "the namespace is being deleted, and no executor can start in it"
        } else {
            "force-orphan was asked for"
        };
        if !names.is_empty() {
            tracing::warn!(environment = %running.history, left = names.len(), why, "resources are left on their targets");
            let note = format!("{} resources are left on their targets: {why}", names.len());
            self.shared.cluster.events().tell(Happened::Orphaned, "Environment", meta.reference(), &note);
            self.orphan(running, Forget { names, author: SET.into(), message: why.into() }).await?;
        }
        self.stop_executors().await?;
        self.stop().await;
        self.ended = Some(meta.uid.clone());
        unless_changed(self.set_finalizers(Kind::Environment, meta, &meta.finalizers_without_ours()).await)?;
        Ok(())
    }

    /// There is no `Environment` object: what is being deleted goes, everything else waits for one and says so.
    pub(super) async fn without_environment(&mut self) -> Result<(), TurnError> {
        // One that was let go, and changed before its finalizer was off.
        let environment = self.group.environment.iter().map(|seen| (Kind::Environment, seen.meta.clone()));
        let targets = self.group.targets.values().map(|seen| (Kind::Target, seen.meta.clone()));
        let executors = self.group.executors.values().map(|seen| (Kind::Executor, seen.meta.clone()));
        let resources = self
            .book
            .iter()
            .filter(|(_, entry)| !entry.released)
            .map(|(_, entry)| (Kind::Resource, entry.object.meta.clone()));
        let going: Vec<(Kind, Meta)> = environment
            .chain(targets)
            .chain(executors)
            .chain(resources)
            .filter(|(_, meta)| meta.deleting && meta.is_held())
            .collect();
        for (kind, meta) in going {
            unless_changed(self.set_finalizers(kind, &meta, &meta.finalizers_without_ours()).await)?;
            if kind == Kind::Resource {
                let note = "its environment is gone: whatever it made is left on its target";
                self.shared.cluster.events().tell(Happened::Orphaned, kind.as_str(), meta.reference(), note);
                if let Some(entry) = self.book.get_mut(&meta.name) {
                    entry.released = true;
                }
            }
        }
        self.stop_executors().await?;
        self.report_without_environment();
        Ok(())
    }

    /// Writes the finalizers of one of our objects.
    pub(super) async fn set_finalizers(
        &self,
        kind: Kind,
        meta: &Meta,
        finalizers: &[String],
    ) -> Result<(), ClusterError> {
        let (cluster, object, seen) = (&self.shared.cluster, meta.reference(), meta.resource_version.as_str());
        match kind {
            Kind::Environment => cluster.set_finalizers::<Environment>(object, seen, finalizers).await,
            Kind::Target => cluster.set_finalizers::<Target>(object, seen, finalizers).await,
            Kind::Executor => cluster.set_finalizers::<Executor>(object, seen, finalizers).await,
            Kind::Resource => cluster.set_finalizers::<Resource>(object, seen, finalizers).await,
        }
    }
}

/// An object that is gone or changed meanwhile comes back by its watch, and is decided anew.
pub(super) fn unless_changed(result: Result<(), ClusterError>) -> Result<(), ClusterError> {
    match result {
        Err(error) if matches!(error.class(), Class::Gone | Class::Conflict) => Ok(()),
        other => other,
    }
}
