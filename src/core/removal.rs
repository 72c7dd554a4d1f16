//! Removal: tombstones, orphans, and how a removed resource comes back or makes way for its successor.

use super::derive::identity_key;
use super::queue::deletes;
use super::state::{EnvironmentState, Open, Resource};
use super::{
    AttemptId, Forget, Hash, Intent, IntentRecord, LastResult, Life, Message, Name, Observed, Reason, Record,
    ResourceId, VersionNumber, VersionRecord,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl EnvironmentState {
    /// No version wants it any more. What runs, runs on; what has not begun is asked back; its deletion waits for all that requires it.
    pub(super) fn remove(&mut self, id: ResourceId, version: VersionNumber, approved: bool) {
        self.let_predecessors_go(id);
        self.follow_no_more(id);
        self.dequeue(id);
        self.disarm(id);
        let Some(resource) = self.get_mut(id) else { return };
        if !resource.is_current(resource.row.succeeded) {
            // What it was last wanted to be it never became, and no next owner could tell.
            resource.row.succeeded = resource.row.succeeded.filter(|_| !resource.takes_facts);
        }
        resource.row.life = Life::Tombstone;
        resource.row.version = version;
        resource.row.failures = 0;
        resource.row.removal_approved = approved;
        if let Some(run) = resource.run.as_mut() {
            run.credited = false;
        }
        let (name, idle, to_delete) = (resource.row.intent.name.clone(), resource.run.is_none(), deletes(resource));
        self.live.remove(&name);
        self.tombstones.entry(name.clone()).or_default().insert(id);
        self.entombed.insert(id);
        self.resolve(&name);
        self.answer_requests(id);
        self.touch(id);
        self.ask_back(id);
        self.count_removal(id);
        if idle && to_delete {
            self.enqueue(id, Reason::Change);
        }
        self.unsettled.push_back(id);
    }

    /// It leaves the scheduler's tables; history keeps it.
    pub(super) fn retire(&mut self, id: ResourceId, life: Life) {
        self.stop_outliving(id);
        self.dequeue(id);
        self.disarm(id);
        self.unreleased.changed.remove(&id);
        self.unreleased.facts.remove(&id);
        let Some(resource) = self.get_mut(id) else { return };
        resource.row.life = life;
        resource.row.pending = None;
        let row = resource.row.clone();
        let place = resource.target;
        let name = row.intent.name.clone();
        self.unname_tombstone(&name, id);
        forget(&mut self.live, &name, id);
        self.orphan_dependents(id, &name);
        self.drop_requirements(id);
        if let Some(target) = self.target_mut(place) {
            target.residents.remove(&id);
        }
        forget(&mut self.identities, &identity_key(&row.intent), id);
        self.answer_requests(id);
        let before = row.after;
        self.out.left.push(row);
        self.show(id);
        if let Some(slot) = self.resources.get_mut(id.0 as usize) {
            *slot = None;
        }
        self.count_removal(id);
        self.let_successors_go(id, before);
    }

    fn unname_tombstone(&mut self, name: &Name, id: ResourceId) {
        let Some(ids) = self.tombstones.get_mut(name) else { return };
        ids.remove(&id);
        if ids.is_empty() {
            self.tombstones.remove(name);
        }
    }

    /// What waited for `id` now waits for what `id` itself waited for, where it has its name or is the same thing; else for another that its name was.
    fn let_successors_go(&mut self, id: ResourceId, before: Option<ResourceId>) {
        let standing = before.and_then(|before| Some((before, identity_key(&self.get(before)?.row.intent))));
        if let Some((before, key)) = standing {
            self.identities.entry(key).or_insert(before);
        }
        for successor in self.waiting_for.remove(&id).unwrap_or_default() {
            let Some(resource) = self.get_mut(successor) else { continue };
            resource.row.after = None;
            let before = standing.map(|(before, _)| before).filter(|&before| self.makes_way(before, successor));
            if let Some(before) = before.or_else(|| self.earlier_bearer(successor)) {
                self.wait_for(successor, before);
            }
            self.touch(successor);
            self.unsettled.push_back(successor);
        }
    }

    /// What the name of a live resource was before, and which does not stay for its sake.
    fn earlier_bearer(&self, id: ResourceId) -> Option<ResourceId> {
        let resource = self.get(id).filter(|resource| resource.is_live())?;
        let earlier = self.tombstones.get(&resource.row.intent.name)?;
        earlier.iter().rev().copied().find(|&other| self.get(other).is_some_and(|old| old.row.after != Some(id)))
    }

    /// What a name was last: the newest number is not it, where something older had come back in between.
    pub(super) fn last_removed(&self, name: &str) -> Option<ResourceId> {
        let removed_in = |id: &ResourceId| (self.get(*id).map(|old| old.row.version), *id);
        self.tombstones.get(name)?.iter().copied().max_by_key(removed_in)
    }

    /// The one must be deleted before the other may run: they bear one name, or are one thing.
    fn makes_way(&self, tombstone: ResourceId, id: ResourceId) -> bool {
        let intents = self.get(tombstone).zip(self.get(id)).map(|(first, then)| (&first.row.intent, &then.row.intent));
        intents.is_some_and(|(first, then)| first.name == then.name || identity_key(first) == identity_key(then))
    }

    /// Ends resources without touching their targets. What runs, runs on; its outcome is recorded and changes nothing.
    pub(super) fn forget(&mut self, forget: &Forget) {
        let mut said = BTreeMap::new();
        // A name that is said twice means one thing, not the live one and then the tombstone before it.
        for name in forget.names.iter().collect::<BTreeSet<_>>() {
            self.drop_unreleased(name, &mut said);
            let Some(id) = self.bearer(name) else { continue };
            let Some(resource) = self.get(id) else { continue };
            if resource.is_live() {
                let set = resource.row.set.clone();
                said.insert(id, IntentRecord { resource: id, name: name.clone(), set, intent: None });
            }
            if let Some(run) = resource.run.clone() {
                let (target, thing) = (Some(resource.target), Some(identity_key(&resource.row.intent)));
                self.ask_back(id);
                self.stop_yielding(id);
                self.give_up(run.attempt, Open::Forgotten { id, target, executor: run.executor, thing });
            }
            self.retire(id, Life::Orphan);
        }
        if !said.is_empty() {
            self.version.0 += 1;
            self.out.records.push(Record::Version(VersionRecord {
                number: self.version,
                at: self.now,
                author: forget.author.clone(),
                source: "forget".into(),
                message: forget.message.clone(),
                intents: said.into_values().collect(),
            }));
        }
        self.out.messages.push(Message::Accepted(self.version, Vec::new()));
        // What could not be released apart from it can now.
        self.release_where_automatic();
    }

    /// Nobody waits for what comes of the attempt, but whoever wants the same thing again waits until it has ended.
    pub(super) fn give_up(&mut self, attempt: AttemptId, forgotten: Open) {
        if let Open::Forgotten { thing: Some(thing), .. } = &forgotten {
            self.given_up.insert((*thing, attempt));
        }
        self.open.insert(attempt, forgotten);
    }

    /// Nobody works any more on what was forgotten.
    pub(super) fn end_given_up(&mut self, attempt: AttemptId, thing: Hash) {
        self.given_up.remove(&(thing, attempt));
        let again = self.identities.get(&thing).copied();
        let before = again.and_then(|id| self.get(id)?.row.after);
        for id in again.into_iter().chain(before) {
            self.show(id);
            self.unsettled.push_back(id);
        }
    }

    /// An attempt from before it was forgotten still works on the same thing.
    pub(super) fn is_worked_on_by_forgotten(&self, resource: &Resource) -> bool {
        // Hardly ever is anything.
        if self.given_up.is_empty() {
            return false;
        }
        let thing = identity_key(&resource.row.intent);
        self.given_up.range((thing, AttemptId(0))..).next().is_some_and(|(other, _)| *other == thing)
    }

    /// The delete was taken back before it began. A successor that is the same thing on the target takes it over; else the delete goes on.
    pub(super) fn after_revoked_delete(&mut self, id: ResourceId) {
        match self.same_successor(id) {
            Some(successor) => self.take_over(id, successor),
            None => self.enqueue(id, Reason::Change),
        }
    }

    /// The live resource that waits for a tombstone and is the same thing on the target.
    pub(super) fn same_successor(&self, tombstone: ResourceId) -> Option<ResourceId> {
        let key = identity_key(&self.get(tombstone)?.row.intent);
        let same =
            |id: &ResourceId| self.get(*id).is_some_and(|next| next.is_live() && identity_key(&next.row.intent) == key);
        self.waiting_for.get(&tombstone)?.iter().copied().find(same)
    }

    /// Nothing is deleted: what exists on the target is the successor's from now on.
    pub(super) fn take_over(&mut self, tombstone: ResourceId, successor: ResourceId) {
        let Some(old) = self.get(tombstone).map(|resource| resource.row.clone()) else { return };
        if let Some(resource) = self.get_mut(successor) {
            resource.row.may_hold(old.holds());
            resource.row.remote_identity = old.remote_identity;
            // Something may exist on the target, although nothing was attempted under the successor's number.
            resource.row.last_attempt = resource.row.last_attempt.or(old.last_attempt);
            resource.row.maybe_changed |= old.maybe_changed;
            resource.row.reload = resource.row.reload.take().or(old.reload);
            self.touch(successor);
        }
        self.retire(tombstone, Life::Orphan);
        self.identities.insert(identity_key(&old.intent), successor);
    }

    /// Wants a tombstone again before its delete began: it is new, but what the target calls it is kept.
    pub(super) fn resurrect(&mut self, id: ResourceId, set: &Name, intent: &Arc<Intent>, version: VersionNumber) {
        self.dequeue(id);
        self.disarm(id);
        self.stop_outliving(id);
        let Some(old) = self.get(id).map(|resource| resource.row.intent.name.clone()) else { return };
        self.unname_tombstone(&old, id);
        if old != intent.name {
            self.orphan_dependents(id, &old);
        }
        let Some(resource) = self.get_mut(id) else { return };
        resource.take_intent(intent);
        let row = &mut resource.row;
        row.life = Life::Live;
        row.set = set.clone();
        row.version = version;
        row.attempted = None;
        row.succeeded = None;
        row.last_result = LastResult::New;
        row.observed = Observed::Unknown;
        row.skipped = false;
        row.failures = 0;
        row.error = None;
        row.drift = None;
        let facts = std::mem::take(&mut row.facts);
        row.secret_digest = None;
        row.verified_at = None;
        row.removal_approved = false;
        let before = row.after;
        // What takes its facts is undefined until they are known again.
        let takers: Vec<ResourceId> = resource.dependents.iter().copied().filter(|_| !facts.is_empty()).collect();
        self.unsettled.extend(takers);
        self.count_removal(id);
        self.live.insert(intent.name.clone(), id);
        self.let_successors_go(id, before);
        if let Some(before) = before.filter(|&before| !self.makes_way(before, id)) {
            self.wait_no_more(id, before);
        }
        self.ask_back(id);
        self.touch(id);
    }

    fn wait_no_more(&mut self, id: ResourceId, tombstone: ResourceId) {
        if let Some(resource) = self.get_mut(id) {
            resource.row.after = None;
        }
        if let Some(successors) = self.waiting_for.get_mut(&tombstone) {
            successors.remove(&id);
        }
    }

    /// Whether a tombstone can still be made to stay for a while.
    pub(super) fn can_outlive(&self, tombstone: ResourceId) -> bool {
        self.get(tombstone).is_some_and(|old| !old.delete_granted() && !old.delete_failed() && old.row.after.is_none())
    }

    /// Makes a tombstone stay until `successor`, which replaces it, is good.
    pub(super) fn outlive(&mut self, tombstone: ResourceId, successor: ResourceId) {
        if let Some(old) = self.get_mut(tombstone) {
            old.row.after = Some(successor);
            self.waiting_for.entry(successor).or_default().insert(tombstone);
            self.link(tombstone, successor);
            self.outliving.insert(tombstone);
            self.unsettled.push_back(tombstone);
            self.touch(tombstone);
        }
    }

    /// Where what replaces a tombstone would itself wait for it, because something that the tombstone required is deleted first, the tombstone goes
    /// first too.
    pub(super) fn let_go_what_waits_for_itself(&mut self) {
        for tombstone in std::mem::take(&mut self.outliving) {
            let after = self.get(tombstone).filter(|old| !old.is_live()).and_then(|old| old.row.after);
            let Some(successor) = after.filter(|&next| !self.is_tombstone(next)) else { continue };
            if self.waits_in_the_end_for(successor, tombstone) {
                self.stop_outliving(tombstone);
            } else {
                self.outliving.insert(tombstone);
            }
        }
    }

    fn waits_in_the_end_for(&self, id: ResourceId, other: ResourceId) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([id]), vec![id]);
        while let Some(id) = next.pop() {
            let Some(resource) = self.get(id) else { continue };
            let requires = resource.requires.iter().copied().filter(|_| resource.is_live());
            let keepers = resource.dependents.iter().copied().filter(|&keeper| self.is_tombstone(keeper));
            let keepers = keepers.filter(|_| !resource.is_live());
            for waited in requires.chain(keepers).chain(resource.row.after) {
                if waited == other {
                    return true;
                }
                if seen.insert(waited) {
                    next.push(waited);
                }
            }
        }
        false
    }

    /// To make what its name means it waited for what that was before. To delete it, it need not, unless they are one thing.
    fn follow_no_more(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let before = resource.row.after.and_then(|before| self.get(before));
        let other = before.filter(|before| identity_key(&before.row.intent) != identity_key(&resource.row.intent));
        if let Some(other) = other.map(|before| before.row.resource) {
            self.wait_no_more(id, other);
        }
    }

    /// What stayed for the sake of `id` need not: it is removed itself.
    fn let_predecessors_go(&mut self, id: ResourceId) {
        for predecessor in self.waiting_for.get(&id).cloned().unwrap_or_default() {
            self.stop_outliving(predecessor);
        }
    }

    /// A tombstone no longer stays until something live, which replaces it, is good.
    fn stop_outliving(&mut self, tombstone: ResourceId) {
        let after = self.get(tombstone).and_then(|old| old.row.after);
        let Some(successor) = after.filter(|&next| !self.is_tombstone(next)) else { return };
        self.wait_no_more(tombstone, successor);
        self.cut(tombstone, successor);
        self.touch(tombstone);
        self.unsettled.push_back(tombstone);
    }

    /// It waits for a tombstone to be deleted, or, as one, for what replaces it to be good.
    pub(super) fn waits_for_another(&self, resource: &Resource) -> bool {
        let Some(other) = resource.row.after.and_then(|after| self.get(after)) else { return false };
        !other.is_live() || !other.published.good
    }

    /// Makes `id` wait until `tombstone` has been deleted.
    pub(super) fn wait_for(&mut self, id: ResourceId, tombstone: ResourceId) {
        if let Some(resource) = self.get_mut(id) {
            resource.row.after = Some(tombstone);
            self.waiting_for.entry(tombstone).or_default().insert(id);
        }
        self.lend_priority(id);
    }
}

/// Drops an index entry, if it still means `id`.
fn forget<K: std::hash::Hash + Eq>(index: &mut std::collections::HashMap<K, ResourceId>, key: &K, id: ResourceId) {
    if index.get(key) == Some(&id) {
        index.remove(key);
    }
}
