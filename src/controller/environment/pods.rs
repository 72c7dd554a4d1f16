//! The executor pods of an environment's pools: made when the scheduler wants them, ended when idle, reported when they end or cannot start.

use super::ending::unless_changed;
use super::{EnvironmentLoop, TurnError};
use crate::api;
use crate::cluster::pods::{self, Owner, PodTemplate};
use crate::cluster::{Bounds, Class, Decision, Happened, ObjectRef, PodSeen, PoolState};
use crate::controller::seen::{SeenEnvironment, SeenExecutor};
use crate::controller::watch::own_pod;
use crate::core::{Event, ExecutorName, Name, PoolName};
use crate::scheduler;
use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is remembered of one pool.
#[derive(Debug, Default)]
pub(super) struct PoolTask {
    state: PoolState,
    /// Pods that are there and not on their way out.
    pub(super) pods: u32,
    /// Executors with a stream.
    pub(super) connected: u32,
    /// Executors that are wanted.
    pub(super) wanted: u32,
    /// Why it has none.
    pub(super) unavailable: Option<String>,
}

impl EnvironmentLoop {
    /// Makes, deletes and reports pods.
    pub(super) async fn see_to_pods(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        self.pool_wake = None;
        let Some(running) = self.running.as_ref() else { return Ok(()) };
        let connected = self.shared.endpoint.connected(&running.history);
        let busy: BTreeSet<ExecutorName> = connected
            .iter()
            .filter(|executor| executor.in_flight > 0)
            .map(|executor| executor.executor.clone())
            .collect();
        let wanted = running.edge.take_wanted();
        let history = running.history.clone();
        let executors: Vec<Arc<SeenExecutor>> = self.group.executors.values().cloned().collect();
        for executor in executors {
            let Ok(parsed) = &executor.parsed else { continue };
            let pool = parsed.pool.name.clone();
            let known = self.running.as_ref().is_some_and(|running| running.pools.contains_key(&pool));
            if !known {
                continue;
            }
            let seen: Vec<PodSeen> =
                self.pods.iter().filter(|pod| pod.owner == executor.meta.uid).map(|pod| pod.seen.clone()).collect();
            let bounds =
                Bounds { min: parsed.pool.min, max: parsed.pool.max, idle_timeout_ms: parsed.pool.idle_timeout_ms };
            let task = self.pools.entry(pool.clone()).or_default();
            let wanted = wanted.get(&pool).copied().unwrap_or_default();
            task.wanted = wanted.now;
            task.state.want(wanted.now, wanted.peak);
            let decision = task.state.decide(bounds, &seen, &busy, scheduler::now());
            task.pods =
                u32::try_from(seen.iter().filter(|pod| !pod.ended && !pod.deleting).count()).unwrap_or(u32::MAX);
            task.connected =
                u32::try_from(connected.iter().filter(|other| other.pool == pool).count()).unwrap_or(u32::MAX);
            for lost in &decision.lost {
                self.shared.endpoint.ended(&history, lost);
            }
            self.pool_wake = [self.pool_wake, decision.wake_at].into_iter().flatten().min();
            self.carry_out(&executor, &history, &decision).await?;
            self.say_unavailable(&executor, &pool, decision.unavailable).await?;
        }
        self.delete_strays(environment).await
    }

    async fn carry_out(
        &mut self,
        executor: &SeenExecutor,
        history: &Name,
        decision: &Decision,
    ) -> Result<(), TurnError> {
        let namespace = &executor.meta.namespace;
        for (name, uid) in &decision.delete {
            tracing::info!(environment = %history, pod = name, "an executor pod is not needed any more");
            unless_changed(self.shared.cluster.delete_pod(ObjectRef { namespace, name, uid }).await)?;
        }
        if decision.create == 0 || (executor.meta.deleting && self.terminating) {
            return Ok(());
        }
        let Ok(parsed) = &executor.parsed else { return Ok(()) };
        let owner = Owner { namespace, name: &executor.meta.name, uid: &executor.meta.uid, environment: history };
        let taken: BTreeSet<String> = self.pods.iter().map(|pod| pod.seen.name.clone()).collect();
        let template = template(&parsed.spec);
        let trusted = self.shared.trusted.pem();
        for name in pods::free_names(owner, &taken, decision.create) {
            let pod = pods::pod(name.clone(), owner, &template, &self.shared.pods, &trusted);
            let created = self.shared.cluster.create_pod(namespace, &pod).await;
            let Some(task) = self.pools.get_mut(executor.meta.name.as_str()) else { continue };
            match created {
                Ok(pod) => {
                    task.state.created();
                    tracing::info!(environment = %history, pod = name, "an executor pod was made");
                    // It may dial before its watch tells of it.
                    if let Some(own) = own_pod(&pod) {
                        self.pods.push(own.clone());
                        self.shared.index.apply_pod(own);
                    }
                }
                // A lost reply, or a watch that is behind: it will be told of.
                Err(error) if error.class() == Class::AlreadyExists => {}
                Err(error) => {
                    self.terminating |= error.namespace_terminating();
                    tracing::warn!(environment = %history, %error, "an executor pod cannot be made");
                    task.state.refused(&error.to_string(), scheduler::now());
                    self.wake.notify_one();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Tells the scheduler that a pool cannot start executors, or can again; once per change.
    async fn say_unavailable(
        &mut self,
        executor: &SeenExecutor,
        pool: &PoolName,
        why: Option<String>,
    ) -> Result<(), TurnError> {
        if let Some(task) = self.pools.get_mut(pool) {
            task.unavailable.clone_from(&why);
        }
        let Some(running) = self.running.as_mut() else { return Ok(()) };
        if running.unavailable.get(pool) == why.as_ref() {
            return Ok(());
        }
        let message: Option<Name> = why.as_deref().map(Into::into);
        running.scheduler.send(Event::PoolUnavailable(pool.clone(), message)).await?;
        match why {
            Some(why) => {
                self.shared.cluster.events().tell(Happened::PodFailed, "Executor", executor.meta.reference(), &why);
                running.unavailable.insert(pool.clone(), why);
            }
            None => drop(running.unavailable.remove(pool)),
        }
        Ok(())
    }

    /// Deletes pods whose `Executor` object is another one by now, or that were made for a predecessor of this environment.
    async fn delete_strays(&self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        let owners: BTreeSet<&str> = self.group.executors.values().map(|executor| executor.meta.uid.as_str()).collect();
        let ours = format!("/{}", environment.meta.uid);
        for pod in self.pods.iter().filter(|pod| !pod.seen.deleting) {
            if !owners.contains(pod.owner.as_str()) || !pod.environment.ends_with(&ours) {
                let object = ObjectRef { namespace: &pod.namespace, name: &pod.seen.name, uid: &pod.seen.uid };
                unless_changed(self.shared.cluster.delete_pod(object).await)?;
            }
        }
        Ok(())
    }

    /// Deletes the pods of one pool.
    pub(super) async fn delete_pods_of(&self, pool: &str) -> Result<(), TurnError> {
        for pod in self.pods.iter().filter(|pod| pod.pool == pool && !pod.seen.deleting) {
            let object = ObjectRef { namespace: &pod.namespace, name: &pod.seen.name, uid: &pod.seen.uid };
            unless_changed(self.shared.cluster.delete_pod(object).await)?;
        }
        Ok(())
    }

    /// Deletes all pods of the environment.
    pub(super) async fn stop_executors(&self) -> Result<(), TurnError> {
        let pools: BTreeSet<&str> = self.pods.iter().map(|pod| pod.pool.as_str()).collect();
        for pool in pools {
            self.delete_pods_of(pool).await?;
        }
        Ok(())
    }
}

/// From what an `Executor` object may say to what a pod has.
fn template(spec: &api::ExecutorSpec) -> PodTemplate {
    let closed = spec.pod_template.clone().unwrap_or_default();
    PodTemplate {
        image: spec.image.clone(),
        service_account: Some(spec.service_account_name.0.clone()),
        resources: closed.resources.map(|wanted| ResourceRequirements {
            requests: wanted.requests.map(amounts),
            limits: wanted.limits.map(amounts),
            ..ResourceRequirements::default()
        }),
        node_selector: closed.node_selector,
        tolerations: closed.tolerations.into_iter().map(toleration).collect(),
        image_pull_secrets: Vec::new(),
    }
}

fn amounts(amounts: api::ResourceAmounts) -> BTreeMap<String, Quantity> {
    let named = [("cpu", amounts.cpu), ("memory", amounts.memory), ("ephemeral-storage", amounts.ephemeral_storage)];
    named.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount?.to_string())))).collect()
}

fn toleration(wanted: api::Toleration) -> Toleration {
    Toleration {
        key: wanted.key,
        operator: wanted.operator,
        value: wanted.value,
        effect: wanted.effect,
        toleration_seconds: wanted.toleration_seconds,
    }
}
