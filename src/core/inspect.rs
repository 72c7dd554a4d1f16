//! Looking at the state: views, counts, and why something does not start. Reads only.

use super::state::{EnvironmentState, Open, Resource};
use super::{
    Blocked, Compliance, Counts, Epoch, Hold, LastResult, Name, RequestId, ResourceId, ResourceRow, ResourceView,
    Running, Settings, Target, VersionNumber, Versions,
};

impl EnvironmentState {
    /// The environment's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The owner's epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The newest accepted version.
    pub fn version(&self) -> VersionNumber {
        self.version
    }

    /// The number of the newest request.
    pub fn last_request(&self) -> RequestId {
        self.last_request
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The targets that exist, by name.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.target_index.values().filter_map(|&index| self.target(index)?.target.as_ref())
    }

    /// The live resource of this name.
    pub fn find(&self, name: &str) -> Option<ResourceId> {
        self.live.get(name).copied()
    }

    /// The live resource of this name, or else what is accepted under it, or else its tombstone.
    pub fn find_any(&self, name: &str) -> Option<ResourceId> {
        self.find(name).or_else(|| self.unreleased.named(name)).or_else(|| self.tombstone(name))
    }

    /// The stored row of a resource or tombstone, or of what is not released.
    pub fn row(&self, id: ResourceId) -> Option<&ResourceRow> {
        self.get(id).map(|resource| &resource.row).or_else(|| self.unreleased.get(id))
    }

    /// One resource or tombstone, or what is not released; `None` once it has left.
    pub fn view(&self, id: ResourceId) -> Option<ResourceView> {
        let unreleased = || self.unreleased.get(id).map(ResourceView::new_unreleased);
        self.get(id).map(|resource| self.view_of(resource)).or_else(unreleased)
    }

    /// All resources and tombstones, by id, and then what is not released.
    pub fn views(&self) -> impl Iterator<Item = ResourceView> + '_ {
        let resources = self.resources.iter().flatten().map(|resource| self.view_of(resource));
        resources.chain(self.unreleased.rows().map(ResourceView::new_unreleased))
    }

    /// How far the newest versions have come.
    pub fn versions(&self) -> Versions {
        let undone = |resource: &Resource| !resource.is_live() || !resource.is_current(resource.row.succeeded);
        let undone = self.resources.iter().flatten().filter(|resource| undone(resource));
        let first = undone.map(|resource| resource.row.version).min();
        let (accepted, released) = (self.version, self.released_version());
        let before = first.map_or(released, |first| VersionNumber(first.0.saturating_sub(1)));
        Versions { accepted, released, deployed: before.min(released) }
    }

    fn view_of(&self, resource: &Resource) -> ResourceView {
        ResourceView {
            row: resource.row.clone(),
            compliance: self.accepted_compliance(resource),
            good: resource.is_live() && resource.good() && !self.undefined(resource),
            blocked: self.blocked(resource),
            queued: resource.queued.map(|queued| queued.reason),
            running: resource.run.as_ref().map(|run| Running {
                attempt: run.attempt,
                executor: run.executor.clone(),
                operation: run.operation,
                begun: run.begun,
                interrupted: self.unowned,
            }),
        }
    }

    /// Executors that hold grants and have not said hello: after a restart, those to ask or to declare lost.
    pub fn unheard_executors(&self) -> Vec<super::ExecutorName> {
        let unheard = self.executors.iter().filter(|(_, executor)| !executor.connected && !executor.holds.is_empty());
        unheard.map(|(name, _)| name.clone()).collect()
    }

    /// Nothing is queued, granted or running, but for deletes that wait for what still requires them, and what waits for these: that may be for
    /// ever.
    pub fn quiet(&self) -> bool {
        let waits = |id: ResourceId| self.get(id).is_some_and(|resource| self.waits(resource));
        let mut queued = self.targets.iter().flat_map(|place| place.queued.iter());
        !self.is_unfinished() && self.open.is_empty() && self.dry_runs.is_empty() && queued.all(waits)
    }

    /// Dry runs that are not finished.
    pub fn open_dry_runs(&self) -> usize {
        self.dry_runs.len()
    }

    /// How many resources are queued. Costs what targets there are.
    pub fn queued(&self) -> u32 {
        self.targets.iter().map(|place| place.queued.len() as u32).sum()
    }

    /// Says that nobody owns it: what an executor had when its owner ended is told as interrupted.
    pub fn mark_unowned(&mut self) {
        self.unowned = true;
    }

    /// How many resources an executor has and has begun. Costs what is open.
    pub fn begun(&self) -> u32 {
        self.granted().filter(|resource| resource.run.as_ref().is_some_and(|run| run.begun)).count() as u32
    }

    /// How many resources an executor has. Costs what is open.
    pub fn running(&self) -> u32 {
        self.granted().count() as u32
    }

    /// The resources that are queued, or that an executor has, each once.
    pub fn views_under_way(&self) -> impl Iterator<Item = ResourceView> + '_ {
        let queued = self.targets.iter().flat_map(|place| place.queued.iter()).filter_map(|id| self.get(id));
        queued.chain(self.granted().filter(|resource| resource.queued.is_none())).map(|resource| self.view_of(resource))
    }

    /// The resources that an executor has. Costs what is open.
    pub fn views_running(&self) -> impl Iterator<Item = ResourceView> + '_ {
        self.granted().map(|resource| self.view_of(resource))
    }

    fn granted(&self) -> impl Iterator<Item = &Resource> {
        self.open.values().filter_map(|open| match open {
            Open::Resource(id) => self.get(*id),
            _ => None,
        })
    }

    /// Resources by state. Looks at all of them.
    pub fn counts(&self) -> Counts {
        let new = self.unreleased.rows().count() as u32;
        let mut counts = Counts { total: new, unreleased: new, ..Counts::default() };
        for resource in self.resources.iter().flatten() {
            counts.queued += u32::from(resource.queued.is_some());
            counts.running += u32::from(resource.run.is_some());
            if !resource.is_live() {
                counts.tombstones += 1;
                continue;
            }
            counts.total += 1;
            let row = &resource.row;
            let counter = match self.accepted_compliance(resource) {
                Compliance::Undefined => &mut counts.undefined,
                _ if row.skipped => &mut counts.skipped,
                Compliance::HasUpdate if row.pending.is_some() || row.facts_in_force.is_some() => {
                    &mut counts.unreleased
                }
                Compliance::Compliant => &mut counts.compliant,
                Compliance::HasUpdate => &mut counts.updating,
                Compliance::NonCompliant if row.last_result != LastResult::Failed && row.observed.differs() => {
                    &mut counts.drifted
                }
                Compliance::NonCompliant => &mut counts.failed,
            };
            *counter += 1;
        }
        counts
    }

    /// Why it does not start, or that it need not: the first that applies first.
    pub fn why(&self, id: ResourceId) -> Vec<Hold> {
        let Some(resource) = self.get(id) else { return self.why_unreleased(id) };
        let mut holds: Vec<Hold> = Vec::new();
        if let Some(pending) = &resource.row.pending {
            holds.push(self.release_hold(&resource.row.intent.name, pending.version));
        } else if let Some(of) = self.unreleased_fact(resource) {
            holds.push(Hold::FactRelease { name: of.name.clone(), fact: of.fact.clone() });
        }
        if let Some(running) = self.view_of(resource).running {
            holds.push(Hold::Running(running));
        }
        if resource.is_live() {
            self.why_undefined(resource, &mut holds);
        }
        if resource.queued.is_some() {
            holds.extend(self.holds_of(resource));
            return holds;
        }
        if self.is_kept(resource) {
            self.tell_kept(resource, &mut holds);
        }
        self.tell_tombstone(resource, &mut holds);
        if resource.is_live() && resource.row.skipped {
            self.tell_requirements(resource, &mut holds);
        }
        if resource.run.is_none() {
            self.why_idle(resource, &mut holds);
        }
        holds
    }

    fn why_unreleased(&self, id: ResourceId) -> Vec<Hold> {
        let row = self.unreleased.get(id);
        row.map(|row| self.release_hold(&row.intent.name, row.version)).into_iter().collect()
    }

    fn why_undefined(&self, resource: &Resource, holds: &mut Vec<Hold>) {
        if self.target(resource.target).is_none_or(|place| place.target.is_none()) {
            holds.push(Hold::TargetMissing { target: resource.row.intent.target.clone() });
        }
        holds.extend(resource.missing.iter().cloned().map(|name| match self.unreleased.named(&name) {
            Some(_) => Hold::RequirementUnreleased { name },
            None => Hold::RequirementMissing { name },
        }));
        for required in self.requirements_of(resource).filter(|required| required.published.undefined) {
            holds.push(Hold::RequirementUndefined { name: required.row.intent.name.clone() });
        }
        self.tell_unknown_facts(resource, holds);
    }

    fn why_idle(&self, resource: &Resource, holds: &mut Vec<Hold>) {
        let row = &resource.row;
        if let Some(until) = self.cancelled_until(resource) {
            holds.push(Hold::Cancelled { until });
        } else if self.blocked(resource) == Blocked::No && resource.is_live() && resource.good() {
            holds.push(Hold::Good { next_repair: row.due_at });
        } else if row.last_result == LastResult::Failed && !(row.skipped && resource.is_live()) {
            holds.push(Hold::RetryAt { at: row.due_at, error: row.error.clone() });
        } else if row.observed.differs() && !row.skipped {
            holds.push(Hold::Drifted);
        }
    }
}
