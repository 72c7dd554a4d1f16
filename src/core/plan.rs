//! What a push would do: which intents are new or changed, which are removed, which are refused and why. Changes nothing.

use super::derive::identity_key;
use super::state::EnvironmentState;
use super::{Hash, Intent, Name, Push, PushMode, Refusal, RefusalKind, Replace, ResourceId, cycles, limits};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The change set that a push comes to.
#[derive(Clone, Debug, Default)]
pub struct PushPlan {
    /// Intents of names that no accepted version wants, by name.
    pub added: Vec<Arc<Intent>>,
    /// Those that differ from their newest intent, by name.
    pub changed: Vec<Arc<Intent>>,
    /// Those that leave, by name; one that is also added leaves and comes back new.
    pub removed: Vec<Name>,
    /// Of those that differ: they become another thing on their target, and wait until a user approves that.
    pub replaced: Vec<Name>,
    /// What is not accepted. In [`PushMode::Whole`] any refusal refuses all.
    pub refusals: Vec<Refusal>,
}

impl PushPlan {
    /// Nothing to accept.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl EnvironmentState {
    /// Works out what a push would do.
    pub fn plan_push(&self, push: &Push) -> PushPlan {
        let mut refusals = Vec::new();
        let mut seen = HashSet::with_capacity(push.upserts.len());
        let mut right = Vec::with_capacity(push.upserts.len());
        for intent in &push.upserts {
            // What is said first counts, also where it is refused: what is said of the name after it is no less of a duplicate.
            let new = seen.insert(&intent.name);
            let wrong = if new { self.check_alone(push, intent) } else { Some(RefusalKind::DuplicateName) };
            match wrong {
                Some(kind) => refusals.push(Refusal { name: intent.name.clone(), kind }),
                None => right.push((intent.name.clone(), Arc::clone(intent))),
            }
        }
        let mut wanted: BTreeMap<Name, Arc<Intent>> = right.into_iter().collect();
        let refused: BTreeSet<Name> = refusals.iter().map(|refusal| refusal.name.clone()).collect();
        let removed = self.removals(push, &wanted, &refused);
        wanted.retain(|name, intent| removed.contains(name) || self.differs(intent, &push.set));
        // A refused intent leaves its last accepted one in force, and with it what that one is and requires. What is refused as the thing of another
        // closes no cycle.
        while self.refuse_same_things(&mut wanted, &removed, &mut refusals)
            || self.refuse_cycles(&mut wanted, &removed, &mut refusals)
        {}
        if push.mode == PushMode::Whole && !refusals.is_empty() {
            return PushPlan { refusals, ..PushPlan::default() };
        }
        let stays = |name: &Name| self.accepted(name).is_some() && !removed.contains(name);
        let (changed, added) = wanted.into_values().partition(|intent| stays(&intent.name));
        let changed: Vec<Arc<Intent>> = changed;
        let replaced = changed.iter().filter(|intent| self.replaces_by_approval(intent));
        let replaced = replaced.map(|intent| intent.name.clone()).collect();
        PushPlan { added, changed, removed: removed.into_iter().collect(), replaced, refusals }
    }

    fn check_alone(&self, push: &Push, intent: &Intent) -> Option<RefusalKind> {
        if intent.attributes.len() > limits::ATTRIBUTES_BYTES {
            return Some(RefusalKind::TooLarge("bytes of attributes", limits::ATTRIBUTES_BYTES));
        }
        if intent.requires.len() > limits::REQUIRES {
            return Some(RefusalKind::TooLarge("names in requires", limits::REQUIRES));
        }
        if let Some(most) = intent.too_many_inputs() {
            return Some(RefusalKind::TooLarge("attributes or values in attributesFrom", most));
        }
        let (set, _) = self.accepted(&intent.name)?;
        if *set != push.set {
            return Some(RefusalKind::OtherSet(set.clone()));
        }
        let current = self.get(*self.live.get(&intent.name)?)?;
        let never = intent.policy.replace == Replace::Never && !push.removals.contains(&intent.name);
        (never && current.is_replaced_by(intent)).then_some(RefusalKind::Replaces)
    }

    fn removals(&self, push: &Push, wanted: &BTreeMap<Name, Arc<Intent>>, refused: &BTreeSet<Name>) -> BTreeSet<Name> {
        let of_set = |name: &Name| self.accepted(name).is_some_and(|(set, _)| *set == push.set);
        let mut removed: BTreeSet<Name> = push.removals.iter().filter(|name| of_set(name)).cloned().collect();
        if push.prune {
            let live = self.ids().filter_map(|id| self.get(id)).filter(|resource| resource.is_live());
            let names = live.map(|resource| &resource.row.intent.name).chain(self.unreleased.names());
            removed.extend(
                names.filter(|name| of_set(name) && !wanted.contains_key(*name) && !refused.contains(*name)).cloned(),
            );
        }
        removed
    }

    fn differs(&self, intent: &Intent, set: &Name) -> bool {
        let current = self.accepted(&intent.name);
        current.is_none_or(|(of, current)| **current != *intent || of != set)
    }

    /// Of two names for the same thing on the same target, the later one (the new one, else the greater name) is refused. Whether there were any.
    fn refuse_same_things(
        &self,
        wanted: &mut BTreeMap<Name, Arc<Intent>>,
        removed: &BTreeSet<Name>,
        refusals: &mut Vec<Refusal>,
    ) -> bool {
        let mut owners: HashMap<Hash, &Name> = HashMap::with_capacity(wanted.len());
        let mut refused = Vec::new();
        for (name, intent) in &*wanted {
            let key = identity_key(intent);
            let holder = self.accepted_as(&key).filter(|holder| {
                let moves_away = wanted.get(*holder).is_some_and(|next| identity_key(next) != key);
                *holder != name && !removed.contains(*holder) && !moves_away
            });
            match holder.or_else(|| owners.get(&key).copied()) {
                Some(holder) => {
                    refused.push(Refusal { name: name.clone(), kind: RefusalKind::DuplicateIdentity(holder.clone()) });
                }
                None => {
                    owners.insert(key, name);
                }
            }
        }
        let any = !refused.is_empty();
        for refusal in refused {
            wanted.remove(&refusal.name);
            refusals.push(refusal);
        }
        any
    }

    /// Refuses every member of a cycle. Whether there were any.
    fn refuse_cycles(
        &self,
        wanted: &mut BTreeMap<Name, Arc<Intent>>,
        removed: &BTreeSet<Name>,
        refusals: &mut Vec<Refusal>,
    ) -> bool {
        // An intent that keeps its edges closes no cycle that was not there before it.
        let keeps_edges = |intent: &Intent| {
            self.accepted(&intent.name).is_some_and(|(_, current)| current.requires == intent.requires)
        };
        let from = wanted.iter().filter(|(_, intent)| !keeps_edges(intent)).map(|(name, _)| name);
        let requires = |name: &&Name| self.requires_after_push(wanted, removed, name);
        let mut refused = Vec::new();
        for members in cycles::find(from, requires) {
            let path: Arc<[Name]> = cycles::path(&members, requires).into_iter().cloned().collect();
            let refuse = |name: &Name| Refusal { name: name.clone(), kind: RefusalKind::Cycle(Arc::clone(&path)) };
            refused.extend(members.into_iter().map(refuse));
        }
        for refusal in &refused {
            wanted.remove(&refusal.name);
        }
        let any = !refused.is_empty();
        refusals.extend(refused);
        any
    }

    /// What a name requires after the push.
    fn requires_after_push<'a>(
        &'a self,
        wanted: &'a BTreeMap<Name, Arc<Intent>>,
        removed: &BTreeSet<Name>,
        name: &Name,
    ) -> &'a [Name] {
        let accepted = || self.accepted(name).filter(|_| !removed.contains(name)).map(|(_, intent)| intent);
        wanted.get(name).or_else(accepted).map_or(&[], |intent| &intent.requires)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ResourceId> + '_ {
        (0_u32..).zip(&self.resources).filter(|(_, slot)| slot.is_some()).map(|(id, _)| ResourceId(id))
    }
}
