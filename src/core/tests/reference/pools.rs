//! A5, and "the scheduler creates as many executors as it needs within the pool's bounds": what is said of pools, and how many executors are wanted.
//!
//! How many more than one are needed is `core`'s to choose, and how soon beyond the idle time fewer are. Deliberately absent: any choice.

use super::super::super::{Effects, Event, Message, Name, Pool, Timestamp};
use super::model::Model;
use std::collections::BTreeMap;

/// What is known of the pools. Neither of it is in history: whoever makes executors says it again to a new owner.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    known: BTreeMap<Name, Pool>,
    /// Why they cannot start.
    broken: BTreeMap<Name, Name>,
    /// How many executors were last wanted.
    wanted: BTreeMap<Name, u32>,
    /// When there was last anything to do.
    worked: BTreeMap<Name, Timestamp>,
}

impl Pools {
    /// What kept it from starting is true no more.
    pub(super) fn one_came(&mut self, pool: &Name) {
        self.broken.remove(pool);
    }
}

impl Model {
    pub(super) fn take_pool(&mut self, event: &Event) {
        let pools = &mut self.pools;
        match event {
            Event::PoolChanged(pool) => {
                pools.known.insert(pool.name.clone(), pool.clone());
                pools.worked.insert(pool.name.clone(), self.now);
            }
            Event::PoolRemoved(name) => drop(pools.known.remove(name)),
            Event::PoolUnavailable(name, Some(why)) => {
                pools.broken.insert(name.clone(), why.clone());
            }
            Event::PoolUnavailable(name, None) => drop(pools.broken.remove(name)),
            _ => {}
        }
    }

    /// "Its resources are held (`ExecutorUnavailable`, with the pool's message)."
    pub(super) fn says_why(&self, pool: &Name, message: Option<&Name>) -> bool {
        self.pools.broken.get(pool) == message
    }

    /// "The pool should have this many executors (already within its bounds)": at least one where one could work, and no more than "executors kept even
    /// without work" when nothing was to do for longer than the idle time.
    pub(super) fn check_pools(&mut self, effects: &Effects) -> Result<(), String> {
        for message in &effects.messages {
            let Message::Scale(name, wanted) = message else { continue };
            // What the bounds of a pool are that nobody has described, is open.
            let bounds = self.pools.known.get(name).map_or((0, u32::MAX), |pool| (pool.min, pool.max));
            if !(bounds.0..=bounds.1).contains(wanted) {
                return Err(format!("{wanted} of pool {name} are wanted, which has {bounds:?}"));
            }
            let before = self.pools.wanted.insert(name.clone(), *wanted);
            if before.is_some_and(|before| before > *wanted) && self.pools.known.contains_key(name) {
                self.met.insert("fewer executors are wanted");
            }
        }
        let waits = |pool: &Name| {
            let mut waiting = self.all.values().filter(|res| self.startable(res, false).is_ok());
            waiting.any(|res| self.targets[&res.intent.target].pool == *pool)
        };
        if self.pools.broken.keys().any(waits) {
            self.met.insert("a pool with work cannot start");
        }
        let known: Vec<Pool> = self.pools.known.values().cloned().collect();
        for pool in known {
            let wanted = self.pools.wanted.get(&pool.name).copied().unwrap_or(0);
            let of_pool = |target: &Name| self.targets.get(target).is_some_and(|target| target.pool == pool.name);
            let mine = |target: &Name| of_pool(target) || !self.targets.contains_key(target);
            let mut resources = self.all.values().filter(|res| mine(&res.intent.target));
            // Dry runs that wait are not known here.
            let works = resources.any(|res| res.queued.is_some() || res.run.is_some()) || !self.strays.is_empty();
            let mut able = self.all.values().filter(|res| of_pool(&res.intent.target));
            let needed = able.any(|res| res.run.is_some() || self.startable(res, false).is_ok());
            if needed && wanted == 0 && pool.max > 0 {
                return Err(format!("somebody is needed, and none of {pool:?} is wanted"));
            }
            if works || self.dry_runs_wait {
                self.pools.worked.insert(pool.name.clone(), self.now);
            }
            let idle_since = *self.pools.worked.entry(pool.name.clone()).or_insert(self.now);
            if self.now.ms_since(idle_since) > pool.idle_timeout_ms && wanted > pool.min {
                return Err(format!("nothing is to do since {idle_since:?}, and {wanted} of {pool:?} are wanted"));
            }
        }
        Ok(())
    }
}
