//! What was last seen of the cluster, by environment, and what of it changed since somebody looked.
//!
//! Fed by the watches with `apply`, `delete` and `reset`; read by one task per environment. No client and no I/O: the lock is held for look-ups only.
//! Deliberately absent: history. An object that vanished is simply not there any more, and what that means is decided by who knew it.

use super::seen::{Kind, Object, Placed, SeenEnvironment, SeenExecutor, SeenResource, SeenTarget};
use crate::cluster::PodSeen;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Namespace and name of an environment. The name is empty for objects that do not say which one they belong to.
pub type Key = (String, String);

/// An executor pod and whom it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPod {
    /// Namespace.
    pub namespace: String,
    /// What is known of it.
    pub seen: PodSeen,
    /// The environment's name in history.
    pub environment: String,
    /// The pool.
    pub pool: String,
    /// The UID of the `Executor` object that owns it.
    pub owner: String,
}

/// All objects of one environment.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The `Environment` object.
    pub environment: Option<Arc<SeenEnvironment>>,
    /// Targets by name.
    pub targets: BTreeMap<String, Arc<SeenTarget>>,
    /// Executors by name.
    pub executors: BTreeMap<String, Arc<SeenExecutor>>,
}

/// What changed since the last look.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Everything but the resources, as it is now.
    pub group: Group,
    /// Resources that changed: as they are now, or `None` where they are gone.
    pub resources: Vec<(String, Option<Arc<SeenResource>>)>,
    /// All executor pods of the environment.
    pub pods: Vec<OwnPod>,
}

#[derive(Default)]
struct Place {
    group: Group,
    resources: BTreeMap<String, Arc<SeenResource>>,
    changed: BTreeSet<String>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct State {
    places: BTreeMap<Key, Place>,
    /// In which place an object is, so that one that names another environment leaves the old one.
    homes: HashMap<(Kind, String, String), String>,
    /// By namespace and name.
    pods: BTreeMap<(String, String), OwnPod>,
    /// Watches that have not listed everything yet.
    unsynced: BTreeSet<String>,
}

/// The index. Cheap to clone.
#[derive(Clone, Default)]
pub struct Index {
    state: Arc<Mutex<State>>,
    /// Rung when there is a new environment, and when a watch has synced.
    news: Arc<Notify>,
}

impl Index {
    /// Announces a watch that must list before anybody acts.
    pub fn expect(&self, watch: &str) {
        self.state().unsynced.insert(watch.to_owned());
    }

    /// Whether all watches have listed.
    pub fn is_synced(&self) -> bool {
        self.state().unsynced.is_empty()
    }

    /// Resolves when there may be a new environment, or the watches have synced.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// All environments that anything belongs to.
    pub fn keys(&self) -> Vec<Key> {
        self.state().places.keys().cloned().collect()
    }

    /// Rung whenever something of this environment changes.
    pub fn wake(&self, key: &Key) -> Arc<Notify> {
        Arc::clone(&self.state().places.entry(key.clone()).or_default().wake)
    }

    /// An object was added or changed.
    pub fn apply(&self, placed: Placed) {
        self.state().apply(placed, &self.news);
    }

    /// An object is gone.
    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) {
        self.state().delete(kind, namespace, name);
    }

    /// These are all objects of a kind, in one namespace or in all.
    pub fn reset(&self, watch: &str, kind: Kind, namespace: Option<&str>, all: Vec<Placed>) {
        let mut state = self.state();
        let present: BTreeSet<(String, String)> = all
            .iter()
            .map(|placed| (placed.object.meta().namespace.clone(), placed.object.meta().name.clone()))
            .collect();
        let gone: Vec<(String, String)> = state
            .homes
            .keys()
            .filter(|(other, space, _)| *other == kind && namespace.is_none_or(|namespace| namespace == space))
            .map(|(_, space, name)| (space.clone(), name.clone()))
            .filter(|object| !present.contains(object))
            .collect();
        for (space, name) in gone {
            state.delete(kind, &space, &name);
        }
        for placed in all {
            state.apply(placed, &self.news);
        }
        state.synced(watch, &self.news);
    }

    /// A pod of ours was added or changed.
    pub fn apply_pod(&self, pod: OwnPod) {
        let mut state = self.state();
        state.ring_for(&pod);
        state.pods.insert((pod.namespace.clone(), pod.seen.name.clone()), pod);
    }

    /// A pod is gone.
    pub fn delete_pod(&self, namespace: &str, name: &str, uid: &str) {
        let mut state = self.state();
        let key = (namespace.to_owned(), name.to_owned());
        if state.pods.get(&key).is_some_and(|pod| *pod.seen.uid == *uid)
            && let Some(pod) = state.pods.remove(&key)
        {
            state.ring_for(&pod);
        }
    }

    /// These are all pods of ours, in one namespace or in all.
    pub fn reset_pods(&self, watch: &str, namespace: Option<&str>, all: Vec<OwnPod>) {
        let mut state = self.state();
        let (gone, kept) = std::mem::take(&mut state.pods)
            .into_iter()
            .partition(|((space, _), _)| namespace.is_none_or(|name| name == space));
        state.pods = kept;
        let gone: BTreeMap<(String, String), OwnPod> = gone;
        for pod in gone.values().chain(&all) {
            state.ring_for(pod);
        }
        state.pods.extend(all.into_iter().map(|pod| ((pod.namespace.clone(), pod.seen.name.clone()), pod)));
        state.synced(watch, &self.news);
    }

    /// Environment in history and pool of the pod with this UID, unless it has ended.
    pub fn pod_made_for(&self, uid: &str) -> Option<(Arc<str>, Arc<str>)> {
        let state = self.state();
        let pod = state.pods.values().find(|pod| *pod.seen.uid == *uid && !pod.seen.ended)?;
        // Only a pod of an Executor that is there now: its owner, not its annotations, is what we made it for.
        let places = state
            .places
            .range((pod.namespace.clone(), String::new())..)
            .take_while(|((space, _), _)| *space == pod.namespace);
        let owned =
            places.flat_map(|(_, place)| place.group.executors.values()).any(|executor| executor.meta.uid == pod.owner);
        owned.then(|| (pod.environment.as_str().into(), pod.pool.as_str().into()))
    }

    /// Takes what changed of an environment.
    pub fn take(&self, key: &Key) -> Changes {
        let mut state = self.state();
        let pods = state.pods.values().filter(|pod| pod.belongs_to(key)).cloned().collect();
        let Some(place) = state.places.get_mut(key) else { return Changes { pods, ..Changes::default() } };
        let changed = std::mem::take(&mut place.changed);
        let resources = changed.into_iter().map(|name| {
            let now = place.resources.get(&name).cloned();
            (name, now)
        });
        Changes { resources: resources.collect(), group: place.group.clone(), pods }
    }

    /// Marks everything of an environment as changed: whoever looks next starts from nothing.
    pub fn retell(&self, key: &Key) {
        let mut state = self.state();
        if let Some(place) = state.places.get_mut(key) {
            place.changed.extend(place.resources.keys().cloned());
            place.wake.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OwnPod {
    fn belongs_to(&self, (namespace, name): &Key) -> bool {
        self.namespace == *namespace && self.environment.split('/').nth(1) == Some(name)
    }
}

impl State {
    fn apply(&mut self, placed: Placed, news: &Notify) {
        let (kind, meta) = (placed.object.kind(), placed.object.meta());
        let home = (kind, meta.namespace.clone(), meta.name.clone());
        let before = self.homes.get(&home).cloned();
        // One that no longer says where it belongs stays where it was: that is where its last accepted intent is.
        let environment = placed.environment.or_else(|| before.clone()).unwrap_or_default();
        if before.as_ref().is_some_and(|before| *before != environment) {
            self.delete(kind, &home.1, &home.2);
        }
        let (namespace, name) = (home.1.clone(), home.2.clone());
        self.homes.insert(home, environment.clone());
        let key = (namespace, environment);
        if !self.places.contains_key(&key) {
            news.notify_one();
        }
        let place = self.places.entry(key).or_default();
        match placed.object {
            Object::Environment(seen) => place.group.environment = Some(seen),
            Object::Target(seen) => drop(place.group.targets.insert(name, seen)),
            Object::Executor(seen) => drop(place.group.executors.insert(name, seen)),
            Object::Resource(seen) => {
                place.changed.insert(name.clone());
                place.resources.insert(name, seen);
            }
        }
        place.wake.notify_one();
    }

    fn delete(&mut self, kind: Kind, namespace: &str, name: &str) {
        let Some(environment) = self.homes.remove(&(kind, namespace.to_owned(), name.to_owned())) else { return };
        let Some(place) = self.places.get_mut(&(namespace.to_owned(), environment)) else { return };
        match kind {
            Kind::Environment => place.group.environment = None,
            Kind::Target => drop(place.group.targets.remove(name)),
            Kind::Executor => drop(place.group.executors.remove(name)),
            Kind::Resource => {
                place.resources.remove(name);
                place.changed.insert(name.to_owned());
            }
        }
        place.wake.notify_one();
    }

    fn ring_for(&self, pod: &OwnPod) {
        let environment = pod.environment.split('/').nth(1).unwrap_or_default();
        if let Some(place) = self.places.get(&(pod.namespace.clone(), environment.to_owned())) {
            place.wake.notify_one();
        }
    }

    fn synced(&mut self, watch: &str, news: &Notify) {
        self.unsynced.remove(watch);
        if self.unsynced.is_empty() {
            news.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
