//! From what the scheduler committed to the status of objects, and to Events for what happened. A status that reads as before is not written.

use super::intake::is_local;
use super::written::Last;
use super::{EnvironmentLoop, TurnError, explain};
use crate::api::conditions::{self, ConditionType};
use crate::api::{
    DEFAULT_POOL, EnvironmentStatus, ExecutorStatus, ResourceCounts, ResourceStatus, TargetStatus, Text, VersionStatus,
};
use crate::cluster::StatusKey;
use crate::controller::book::Entry;
use crate::controller::conditions::Conditions;
use crate::controller::object_status::{self, EnvironmentFacts, ExecutorFacts, NotRunning, Tally, TargetFacts};
use crate::controller::resource_status::{self, Acceptance, Known};
use crate::controller::seen::{Kind, Meta, SeenEnvironment, SeenExecutor, SeenTarget};
use crate::core::{Counts, Hold, Life, Name, ResourceId, ResourceView, Versions};
use crate::scheduler;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one look at the state brings: rows by name, and the environment as a whole.
pub(super) struct Look {
    pub(super) views: Vec<(ResourceView, Vec<Hold>)>,
    versions: Versions,
    counts: Counts,
    removals_held: usize,
    replacements: usize,
}

/// Live before what is not released, and that before what is being deleted.
const fn rank(view: &ResourceView) -> u8 {
    match view.row.life {
        Life::Live => 0,
        Life::Unreleased => 1,
        _ => 2,
    }
}

impl EnvironmentLoop {
    /// Writes every status that reads otherwise than before.
    pub(super) async fn report(&mut self, environment: &SeenEnvironment) -> Result<(), TurnError> {
        let Some(running) = self.running.as_ref() else { return Ok(()) };
        let mut names: Vec<String> = std::mem::take(&mut self.stale).into_iter().collect();
        // What they wait for may read otherwise although they themselves did not change.
        names.extend(
            self.book
                .iter()
                .filter(|(_, entry)| !is_true(&entry.status, ConditionType::Ready))
                .map(|(name, _)| name.clone()),
        );
        names.sort_unstable();
        names.dedup();
        let ids: Vec<ResourceId> = std::mem::take(&mut self.changed).into_iter().collect();
        let wanted = names.clone();
        let look = running.scheduler.read(move |state| {
            let named = wanted.iter().filter_map(|name| state.find_any(name));
            let mut ids: Vec<ResourceId> = ids.into_iter().chain(named).collect();
            ids.sort_unstable();
            ids.dedup();
            let views = ids.into_iter().filter_map(|id| Some((state.view(id)?, state.why(id)))).collect();
            let (removals_held, replacements) = (state.removals_held(), state.replacements().count());
            Look { views, versions: state.versions(), counts: state.counts(), removals_held, replacements }
        });
        let look = look.await?;
        self.tell_events(&look);
        self.report_resources(environment, names, &look);
        self.report_environment(environment, &look);
        self.report_targets(environment);
        self.report_executors();
        Ok(())
    }

    fn report_resources(&mut self, environment: &SeenEnvironment, mut names: Vec<String>, look: &Look) {
        let now = scheduler::now();
        let mut views: BTreeMap<&str, (&ResourceView, &[Hold])> = BTreeMap::new();
        for (view, holds) in &look.views {
            // What a name was, is and is to be may stand side by side: what it is counts.
            let name: &str = &view.row.intent.name;
            let known = views.get(name).map(|(known, _)| rank(known));
            if known.is_none_or(|known| rank(view) < known) {
                views.insert(name, (view, holds));
            }
        }
        names.extend(views.keys().map(|name| (*name).to_owned()));
        names.sort_unstable();
        names.dedup();
        let suspended = environment.parsed.as_ref().is_ok_and(|parsed| parsed.settings.suspend);
        let targets = self.running.as_ref().map(|running| &running.targets);
        for name in names {
            let Some(entry) = self.book.get_mut(&name).filter(|entry| !entry.released) else { continue };
            let view = views.get(name.as_str());
            let target = view.map(|(view, _)| &view.row.intent.target);
            let target_suspended = target.is_some_and(|target| {
                targets.and_then(|targets| targets.get(target)).is_some_and(|target| target.suspend)
            });
            let known = Known {
                acceptance: &entry.acceptance,
                deleting: entry.object.meta.deleting,
                suspended: suspended || target_suspended,
                view: view.map(|(view, _)| *view),
                holds: view.map_or(&[], |(_, holds)| *holds),
            };
            let first_sight = entry.status.conditions.is_empty();
            if entry.acceptance == Acceptance::Pending && !first_sight {
                // After a restart: what it says is the best that is known until it is taken in again.
                continue;
            }
            let status = resource_status::status(&known, entry.settled, &entry.status, &entry.handled, now);
            put_resource(&self.shared, entry, status);
        }
    }

    fn report_environment(&mut self, environment: &SeenEnvironment, look: &Look) {
        let facts = EnvironmentFacts {
            invalid: environment.parsed.as_ref().err().cloned(),
            not_running: None,
            suspended: environment.parsed.as_ref().is_ok_and(|parsed| parsed.settings.suspend),
            deleting: environment.meta.deleting,
            resources: self.tally(),
            tombstones: look.counts.tombstones,
            removals_held: look.removals_held,
            replacements: look.replacements,
            unreleased: look.counts.unreleased,
        };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let counts = look.counts;
        let resources = ResourceCounts {
            total: counts.total.into(),
            compliant: counts.compliant.into(),
            has_update: (counts.updating + counts.unreleased).into(),
            non_compliant: (counts.failed + counts.drifted + counts.skipped).into(),
            undefined: counts.undefined.into(),
            deleting: counts.tombstones.into(),
        };
        let Versions { accepted, released, deployed } = look.versions;
        let version =
            VersionStatus { accepted: number(accepted.0), released: number(released.0), deployed: number(deployed.0) };
        let rest = EnvironmentStatus {
            version: Some(version),
            resources: Some(resources),
            owner: Some(Text(self.shared.owner.description.to_string())),
            ..EnvironmentStatus::default()
        };
        self.put_environment(environment, &object_status::environment(&facts), rest);
    }

    /// Says why nothing happens, where the scheduler does not run.
    pub(super) fn report_not_running(&mut self) {
        let Some(environment) = self.group.environment.clone() else { return };
        let facts = EnvironmentFacts {
            invalid: environment.parsed.as_ref().err().cloned(),
            not_running: Some(self.not_running.clone()),
            deleting: environment.meta.deleting,
            ..EnvironmentFacts::default()
        };
        let before = self.written.environment(&environment).status.clone();
        let rest = EnvironmentStatus {
            version: before.version,
            resources: before.resources,
            owner: before.owner,
            ..EnvironmentStatus::default()
        };
        self.put_environment(&environment, &object_status::environment(&facts), rest);
    }

    /// Says that the task of this environment panicked.
    pub fn report_defect(&mut self, why: String) {
        self.group = self.shared.index.take(&self.key).group;
        self.shared.index.retell(&self.key);
        self.not_running = NotRunning::Defect(why);
        self.report_not_running();
    }

    fn put_environment(&mut self, environment: &SeenEnvironment, conditions: &Conditions, rest: EnvironmentStatus) {
        let last = self.written.environment(environment);
        let generation = Some(environment.meta.generation);
        let (last_handled_deploy_at, last_handled_repair_at) = last.handled.written();
        let last_handled_approval_at = last.handled.approval.as_deref().map(Text::from);
        let status = EnvironmentStatus {
            last_handled_approval_at,
            conditions: conditions.written(generation, &last.status.conditions, scheduler::now()),
            observed_generation: generation,
            last_handled_deploy_at,
            last_handled_repair_at,
            ..rest
        };
        put(&self.shared, Kind::Environment, &environment.meta, last, status);
    }

    fn report_targets(&mut self, environment: &SeenEnvironment) {
        let default_pool: Name =
            environment.parsed.as_ref().map_or_else(|_| DEFAULT_POOL.into(), |parsed| parsed.pool.clone());
        let targets: Vec<Arc<SeenTarget>> = self.group.targets.values().cloned().collect();
        for target in targets {
            let mut facts = TargetFacts::default();
            match &target.parsed {
                Ok(parsed) => {
                    let wanted = parsed.with_default_pool(&default_pool);
                    let there = self.group.executors.contains_key(&*wanted.pool);
                    facts.no_executor = (!there).then(|| wanted.pool.to_string());
                    facts.unavailable = self.pools.get(&wanted.pool).and_then(|pool| pool.unavailable.clone());
                    facts.suspended = wanted.suspend;
                    if is_local(&wanted) {
                        let why = "spec.connection.type: local is for runs without a cluster; a pod's own file system is nobody's infrastructure";
                        facts.invalid = Some(why.to_owned());
                    }
                }
                Err(errors) => facts.invalid = Some(errors.clone()),
            }
            let needed = self.needed.as_ref().filter(|_| target.meta.deleting);
            facts.deletion_waits =
                needed.map(|needed| needed.get(target.meta.name.as_str()).copied().unwrap_or_default());
            self.put_target(&target, &facts);
        }
    }

    fn put_target(&mut self, target: &SeenTarget, facts: &TargetFacts) {
        let last = self.written.target(target);
        let generation = Some(target.meta.generation);
        let (last_handled_deploy_at, last_handled_repair_at) = last.handled.written();
        let status = TargetStatus {
            conditions: object_status::target(facts).written(generation, &last.status.conditions, scheduler::now()),
            observed_generation: generation,
            last_handled_deploy_at,
            last_handled_repair_at,
        };
        put(&self.shared, Kind::Target, &target.meta, last, status);
    }

    fn report_executors(&mut self) {
        let executors: Vec<Arc<SeenExecutor>> = self.group.executors.values().cloned().collect();
        for executor in executors {
            let task = self.pools.get(executor.meta.name.as_str());
            let facts = ExecutorFacts {
                invalid: executor.parsed.as_ref().err().cloned(),
                no_environment: false,
                wanted: task.map_or(0, |task| task.wanted),
                connected: task.map_or(0, |task| task.connected),
                unavailable: task.and_then(|task| task.unavailable.clone()),
                deletion_waits: executor.meta.deleting && self.needed.is_some(),
            };
            let pods = task.map_or(0, |task| task.pods);
            self.put_executor(&executor, &facts, pods);
        }
    }

    fn put_executor(&mut self, executor: &SeenExecutor, facts: &ExecutorFacts, pods: u32) {
        let last = self.written.executor(executor);
        let generation = Some(executor.meta.generation);
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let status = ExecutorStatus {
            conditions: object_status::executor(facts).written(generation, &last.status.conditions, scheduler::now()),
            observed_generation: generation,
            pods: Some(number(pods)),
            connected: Some(number(facts.connected)),
            in_flight: None,
        };
        put(&self.shared, Kind::Executor, &executor.meta, last, status);
    }

    /// Everything that waits for an environment says so.
    pub(super) fn report_without_environment(&mut self) {
        let targets: Vec<Arc<SeenTarget>> = self.group.targets.values().cloned().collect();
        for target in targets {
            let facts = TargetFacts {
                invalid: target.parsed.as_ref().err().cloned(),
                no_environment: true,
                ..TargetFacts::default()
            };
            self.put_target(&target, &facts);
        }
        let executors: Vec<Arc<SeenExecutor>> = self.group.executors.values().cloned().collect();
        for executor in executors {
            let facts = ExecutorFacts {
                invalid: executor.parsed.as_ref().err().cloned(),
                no_environment: true,
                ..ExecutorFacts::default()
            };
            self.put_executor(&executor, &facts, 0);
        }
        let now = scheduler::now();
        for name in std::mem::take(&mut self.stale) {
            let Some(entry) = self.book.get_mut(&name).filter(|entry| !entry.released) else { continue };
            let conditions = resource_status::without_environment(entry.object.parsed.as_ref().err(), &self.key.1);
            // Nothing of it is in any history: no generation has been observed.
            let before = entry.status.clone();
            let status =
                ResourceStatus { conditions: conditions.written(entry.settled, &before.conditions, now), ..before };
            put_resource(&self.shared, entry, status);
        }
    }

    /// What the objects' own status adds up to.
    fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (name, entry) in self.book.iter().filter(|(_, entry)| !entry.released) {
            tally.total += 1;
            // After a restart: what it says is the best that is known until it is taken in again. Counting it as unknown would flap.
            let known = entry.settled.or(entry.status.observed_generation);
            let settled = known == Some(entry.object.meta.generation) && !entry.object.meta.deleting;
            let accepted = entry.settled.is_none() || entry.acceptance == Acceptance::Accepted;
            let is = |kind| is_true(&entry.status, kind);
            if settled && accepted && is(ConditionType::Ready) {
                tally.ready += 1;
            } else if is(ConditionType::Stalled) {
                tally.stalled.push(name.clone());
            } else if is(ConditionType::Drifted) {
                tally.drifted += 1;
            } else if !settled || is(ConditionType::Reconciling) {
                tally.reconciling += 1;
            }
        }
        tally
    }
}

/// Whether a condition is true.
fn is_true(status: &ResourceStatus, kind: ConditionType) -> bool {
    conditions::get(&status.conditions, kind).is_some_and(|condition| condition.status == "True")
}

fn put_resource(shared: &super::Shared, entry: &mut Entry, status: ResourceStatus) {
    if entry.status != status {
        hand_in(shared, Kind::Resource, &entry.object.meta, &status);
        entry.status = status;
    }
}

fn put<S: PartialEq + Serialize>(shared: &super::Shared, kind: Kind, meta: &Meta, last: &mut Last<S>, status: S) {
    if last.status != status {
        hand_in(shared, kind, meta, &status);
        last.status = status;
    }
}

fn hand_in<S: Serialize>(shared: &super::Shared, kind: Kind, meta: &Meta, status: &S) {
    let key = StatusKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone(), uid: meta.uid.clone() };
    match serde_json::to_value(status) {
        Ok(status) => shared.statuses.put(key, status),
        Err(error) => tracing::error!(
            error = explain(&error),
            kind = kind.as_str(),
            name = meta.name,
            "a status cannot be written down"
        ),
    }
}
