//! Edges, and the counters that change along them: here alone, when a resource publishes (`tell.rs`) or an edge comes or goes.

use super::state::{EnvironmentState, Published, Resource};
use super::{Name, ResourceId};

impl EnvironmentState {
    /// Replaces the requirements of a resource by these names, and asks a grant back that would no longer be given.
    pub(super) fn set_requirements(&mut self, id: ResourceId, names: &[Name]) {
        self.drop_requirements(id);
        for name in names {
            self.require(id, name);
        }
        self.look_up_inputs(id);
        self.lend_priority(id);
        self.unsettled.push_back(id);
    }

    /// Adds an edge to what bears this name.
    fn require(&mut self, id: ResourceId, name: &Name) {
        match self.bearer(name) {
            Some(requirement) => self.link(id, requirement),
            None => self.want(id, name.clone()),
        }
    }

    /// What the name means in an edge: the live one, or else its newest tombstone.
    pub(super) fn bearer(&self, name: &str) -> Option<ResourceId> {
        self.find(name).or_else(|| self.tombstone(name))
    }

    /// The newest tombstone of this name.
    pub(super) fn tombstone(&self, name: &str) -> Option<ResourceId> {
        self.tombstones.get(name)?.last().copied()
    }

    /// Forgets all edges that start here.
    pub(super) fn drop_requirements(&mut self, id: ResourceId) {
        let Some(resource) = self.get_mut(id) else { return };
        let (requires, missing) = (std::mem::take(&mut resource.requires), std::mem::take(&mut resource.missing));
        for requirement in requires {
            self.unlink(id, requirement);
        }
        for name in missing {
            self.unwant(id, &name);
        }
    }

    /// Adds an edge; counters follow what the requirement has published.
    pub(super) fn link(&mut self, id: ResourceId, requirement: ResourceId) {
        let yields = self.get(id).is_some_and(|resource| resource.run.as_ref().is_some_and(|run| run.yielding));
        let published = self.told(id, requirement);
        let Some(required) = self.get_mut(requirement) else { return };
        required.dependents.insert(id);
        required.yielding_dependents += u32::from(yields);
        let Some(resource) = self.get_mut(id) else { return };
        resource.requires.push(requirement);
        resource.count(Published::UNSEEN, published);
        self.unsettled.push_back(requirement);
    }

    /// The other half of dropping an edge whose start has already forgotten it.
    fn unlink(&mut self, id: ResourceId, requirement: ResourceId) {
        let yields = self.get(id).is_some_and(|resource| resource.run.as_ref().is_some_and(|run| run.yielding));
        let published = self.told(id, requirement);
        let Some(required) = self.get_mut(requirement) else { return };
        required.dependents.remove(&id);
        shift(&mut required.yielding_dependents, yields, false);
        let Some(resource) = self.get_mut(id) else { return };
        resource.count(published, Published::UNSEEN);
        self.unsettled.push_back(requirement);
    }

    fn want(&mut self, id: ResourceId, name: Name) {
        self.wanted.entry(name.clone()).or_default().insert(id);
        if let Some(resource) = self.get_mut(id) {
            resource.missing.push(name);
        }
    }

    fn unwant(&mut self, id: ResourceId, name: &Name) {
        if let Some(ids) = self.wanted.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.wanted.remove(name);
            }
        }
    }

    /// The name means something else now: live ones that wanted it, or stand on another tombstone of it, require what it means.
    pub(super) fn resolve(&mut self, name: &Name) {
        let Some(now) = self.bearer(name) else { return };
        for dependent in self.wanted.remove(name).unwrap_or_default() {
            if let Some(resource) = self.get_mut(dependent) {
                resource.missing.retain(|missing| missing != name);
            }
            self.link(dependent, now);
            self.lend_priority(dependent);
            self.unsettled.push_back(dependent);
        }
        let others = self.tombstones.get(name).into_iter().flatten().copied().filter(|&other| other != now);
        let others: Vec<ResourceId> = others.collect();
        for other in others {
            let dependents = self.get(other).map(|resource| resource.dependents.clone()).unwrap_or_default();
            for dependent in dependents {
                if self.get(dependent).is_some_and(Resource::is_live) {
                    self.cut(dependent, other);
                    self.link(dependent, now);
                    self.lend_priority(dependent);
                    self.unsettled.push_back(dependent);
                }
            }
        }
    }

    /// A requirement no longer bears this name: its live dependents require whatever else does.
    pub(super) fn orphan_dependents(&mut self, id: ResourceId, name: &Name) {
        let dependents = self.get(id).map(|resource| resource.dependents.clone()).unwrap_or_default();
        for dependent in dependents {
            self.cut(dependent, id);
            if self.get(dependent).is_some_and(Resource::is_live) {
                self.require(dependent, name);
                self.lend_priority(dependent);
            }
            self.unsettled.push_back(dependent);
        }
    }

    pub(super) fn cut(&mut self, id: ResourceId, requirement: ResourceId) {
        if let Some(resource) = self.get_mut(id) {
            resource.requires.retain(|&required| required != requirement);
        }
        self.unlink(id, requirement);
    }

    /// Asks a grant back that has not begun. The requirements it would run on wait for the answer.
    pub(super) fn ask_back(&mut self, id: ResourceId) {
        let Some(run) = self.get_mut(id).and_then(|resource| resource.run.as_mut()) else { return };
        if run.begun || run.yielding {
            return;
        }
        run.yielding = true;
        let (executor, attempt) = (run.executor.clone(), run.attempt);
        self.out.messages.push(super::Message::Revoke(executor, attempt));
        self.count_yielding(id, true);
    }

    /// The run no longer yields: answered, or over.
    pub(super) fn stop_yielding(&mut self, id: ResourceId) {
        let Some(run) = self.get_mut(id).and_then(|resource| resource.run.as_mut()) else { return };
        if std::mem::take(&mut run.yielding) {
            self.count_yielding(id, false);
        }
    }

    fn count_yielding(&mut self, id: ResourceId, yields: bool) {
        let requires = self.get(id).map(|resource| resource.requires.clone()).unwrap_or_default();
        for requirement in requires {
            if let Some(required) = self.get_mut(requirement) {
                shift(&mut required.yielding_dependents, !yields, yields);
            }
            self.unsettled.push_back(requirement);
        }
    }
}

impl Resource {
    /// Of a requirement it counted the one, and counts the other from now on.
    pub(super) fn count(&mut self, before: Published, now: Published) {
        shift(&mut self.busy_requirements, before.busy, now.busy);
        shift(&mut self.bad_requirements, !before.good, !now.good);
        shift(&mut self.undefined_requirements, before.undefined, now.undefined);
    }
}

/// Moves a counter when what it counts turned true or false.
fn shift(counter: &mut u32, was: bool, is: bool) {
    *counter = counter.saturating_add(u32::from(is)).saturating_sub(u32::from(was));
}

impl Published {
    /// What a resource that was never looked at counts as.
    pub(super) const UNSEEN: Self = Self { busy: false, good: true, undefined: false };
}
