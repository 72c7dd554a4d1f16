//! What a push is worth: accepted or refused, and what the accepted version does to the tables.

use super::super::super::{
    Effects, EnvironmentState, Forget, Intent, LastResult, Life, Message, Name, Observed, Push, PushMode, Reason,
    Replace, ResourceId, VersionNumber, VersionRecord,
};
use super::follow::version_in;
use super::model::{Model, Res, thing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a push would do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// New, changed, or removed and added again.
    pub upserts: BTreeMap<Name, Arc<Intent>>,
    pub removed: BTreeSet<Name>,
    pub refused: BTreeSet<Name>,
    /// Members of refused cycles that the push does not name: they are as they were, and told of it.
    pub members: BTreeSet<Name>,
}

/// What comes into force.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// With their sets, and the versions that brought them.
    pub upserts: BTreeMap<Name, (Name, Arc<Intent>, VersionNumber)>,
    /// Whether that is approved, and by which versions.
    pub removed: BTreeMap<Name, (bool, VersionNumber)>,
    /// What is replaced may be deleted, however much it is.
    pub approved: bool,
}

impl Model {
    /// The push, and what `core` answered to it.
    pub(super) fn push(&mut self, push: &Push, effects: &Effects, state: &EnvironmentState) -> Result<(), String> {
        let plan = self.plan(push);
        let nothing = plan.upserts.is_empty() && plan.removed.is_empty();
        let whole = push.mode == PushMode::Whole && !plan.refused.is_empty();
        let answer = effects.messages.iter().find_map(|message| match message {
            Message::Accepted(version, refused) => Some((Some(*version), refused)),
            Message::Refused(refused) => Some((None, refused)),
            _ => None,
        });
        let (accepted, refused) = answer.ok_or("a push is not answered")?;
        let names: BTreeSet<Name> = refused.iter().map(|refusal| refusal.name.clone()).collect();
        // A removal in another set may be refused or ignored.
        let foreign: BTreeSet<Name> = push
            .removals
            .iter()
            .filter(|name| self.accepted(name).is_some_and(|(set, _)| set != push.set))
            .cloned()
            .collect();
        let expected: BTreeSet<Name> = plan.refused.union(&plan.members).cloned().collect();
        let names: BTreeSet<Name> =
            names.into_iter().filter(|name| !foreign.contains(name) || expected.contains(name)).collect();
        let removed = |intent: &Intent| plan.removed.contains(&intent.name) || push.removals.contains(&intent.name);
        if push.upserts.iter().any(|intent| self.never_replaces(intent, removed(intent))) {
            self.met.insert("never replaced");
        }
        if accepted.is_none() != whole || names != expected {
            return Err(format!("answered {accepted:?}, refusing {refused:?}, expected {plan:?}"));
        }
        match version_in(effects) {
            None if whole || nothing => Ok(()),
            Some(record) if !whole && !nothing => {
                self.version.0 += 1;
                if record.number != self.version || accepted != Some(self.version) {
                    return Err(format!("version {} follows {}", record.number, self.version.0 - 1));
                }
                self.accept(&plan, push, record, state)
            }
            found => Err(format!("recorded {found:?}, expected {plan:?}")),
        }
    }

    /// "`forget` ends a hopeless one": nothing on a target is touched.
    pub(super) fn forget(
        &mut self,
        forget: &Forget,
        effects: &Effects,
        state: &EnvironmentState,
    ) -> Result<(), String> {
        // Of a live resource and the tombstones before it, the live one is meant.
        let mut ids: Vec<ResourceId> = forget.names.iter().filter_map(|name| self.named_at_all(name)).collect();
        // Whether the tombstone under the name of something unreleased is forgotten with that, is open.
        let new = forget.names.iter().filter(|name| self.unreleased.values().any(|word| word.intent.name == **name));
        let stays = new.filter_map(|name| self.named(name)).filter(|res| !res.live() && state.row(res.id).is_none());
        ids.extend(stays.map(|res| res.id).collect::<Vec<_>>());
        let version = forget.names.iter().any(|name| self.accepted(name).is_some());
        if version_in(effects).is_some() {
            self.version.0 += 1;
        } else if version {
            return Err("what is forgotten is still in the newest version".into());
        }
        for id in ids {
            let name = self.all.get(id).filter(|res| res.live()).map(|res| res.intent.name.clone());
            self.unreleased.retain(|other, word| *other != id && Some(&word.intent.name) != name.as_ref());
            self.leave(id);
        }
        Ok(())
    }

    /// "accepted or refused whole with all its errors"; or each for itself, where "every member [of a cycle] keeps its last accepted intent".
    pub(super) fn plan(&self, push: &Push) -> Plan {
        let named: BTreeSet<&Name> = push.upserts.iter().map(|intent| &intent.name).collect();
        let mine = |name: &Name| self.accepted(name).is_some_and(|(set, _)| set == push.set);
        let pruned = self.declared().into_keys().filter(|name| push.prune && !named.contains(name));
        let mut removed: BTreeSet<Name> = pruned.filter(mine).collect();
        removed.extend(push.removals.iter().filter(|name| mine(name)).cloned());
        let (mut refused, mut members) = (BTreeSet::new(), BTreeSet::new());
        // "with all its errors": of what is named twice, the first one is looked at further.
        let (mut upserts, mut twice): (Vec<Arc<Intent>>, BTreeSet<Name>) = (Vec::new(), BTreeSet::new());
        for intent in &push.upserts {
            if self.accepted(&intent.name).is_some_and(|(set, _)| set != push.set) {
                refused.insert(intent.name.clone());
            } else if upserts.iter().any(|other| other.name == intent.name) {
                twice.insert(intent.name.clone());
            } else if self.never_replaces(intent, removed.contains(&intent.name)) {
                refused.insert(intent.name.clone());
            } else {
                upserts.push(Arc::clone(intent));
            }
        }
        loop {
            let accepted: Vec<_> = upserts.iter().filter(|intent| !refused.contains(&intent.name)).collect();
            let wanted = self.wanted(&accepted, &removed);
            // What is another's thing already is refused before cycles are looked for.
            let taken = accepted.iter().filter(|intent| self.taken(intent, &accepted, &wanted, &removed));
            let mut bad: BTreeSet<Name> = taken.map(|intent| intent.name.clone()).collect();
            if bad.is_empty() {
                let closes = |intent: &&&Arc<Intent>| reaches(&intent.name, &intent.name, &wanted);
                bad = accepted.iter().filter(closes).map(|intent| intent.name.clone()).collect();
                let inside = |other: &&Name| {
                    bad.iter().any(|name| reaches(name, other, &wanted) && reaches(other, name, &wanted))
                };
                members.extend(wanted.keys().filter(inside).filter(|other| !named.contains(other)).cloned());
            }
            if bad.is_empty() {
                break;
            }
            refused.extend(bad);
        }
        // Each for itself: of what is named twice, the first one is accepted.
        upserts.retain(|intent| !refused.contains(&intent.name));
        refused.extend(twice);
        if push.mode == PushMode::Whole && !refused.is_empty() {
            return Plan { refused, members, ..Plan::default() };
        }
        let accepted = upserts.iter();
        let differs = |intent: &&Arc<Intent>| {
            removed.contains(&intent.name)
                || self.accepted(&intent.name).is_none_or(|(_, old)| !same_text(&old, intent))
        };
        let upserts = accepted.filter(differs).map(|intent| (intent.name.clone(), intent.clone())).collect();
        Plan { upserts, removed, refused, members }
    }

    /// The intents by name as they would be. What was removed and added again is removed, also where its new intent is refused.
    fn wanted(&self, accepted: &[&Arc<Intent>], removed: &BTreeSet<Name>) -> BTreeMap<Name, Arc<Intent>> {
        let kept = self.declared().into_iter().filter(|(name, _)| !removed.contains(name));
        let mut wanted: BTreeMap<_, _> = kept.collect();
        wanted.extend(accepted.iter().map(|intent| (intent.name.clone(), (*intent).clone())));
        wanted
    }

    /// "Of two Resources with the same (target, type, identity) the second is Stalled."
    fn taken(
        &self,
        intent: &Arc<Intent>,
        accepted: &[&Arc<Intent>],
        wanted: &BTreeMap<Name, Arc<Intent>>,
        removed: &BTreeSet<Name>,
    ) -> bool {
        let kept = |name: &Name| self.accepted(name).filter(|_| !removed.contains(name));
        let own = kept(&intent.name).is_some_and(|(_, old)| thing(&old) == thing(intent));
        // Which of two that came together is the second, the documents do not say: by name.
        let earlier: BTreeSet<&Name> =
            accepted.iter().map(|other| &other.name).filter(|other| **other < intent.name).collect();
        let changes = |name: &Name| accepted.iter().any(|other| other.name == *name);
        let holds = |name: &Name| kept(name).is_some_and(|(_, old)| thing(&old) == thing(intent));
        !own && wanted.values().any(|other| {
            let same = other.name != intent.name && thing(other) == thing(intent);
            same && (!changes(&other.name) || holds(&other.name) || earlier.contains(&other.name))
        })
    }

    /// Takes an accepted version over, with the ids that `core` gave: what comes into force at once, and what is laid beside it.
    fn accept(
        &mut self,
        plan: &Plan,
        push: &Push,
        record: &VersionRecord,
        state: &EnvironmentState,
    ) -> Result<(), String> {
        let given = record.intents.iter().filter(|entry| entry.intent.is_some());
        let ids: BTreeMap<Name, ResourceId> = given.map(|entry| (entry.name.clone(), entry.resource)).collect();
        if !ids.keys().eq(plan.upserts.keys()) {
            return Err(format!("the version names {:?}, expected {:?}", ids.keys(), plan.upserts.keys()));
        }
        let told = |name: &Name| {
            let moves = self.live_named(name).is_some_and(|res| ids.values().any(|id| *id == res.id));
            moves || record.intents.iter().any(|entry| entry.name == *name)
        };
        if let Some(name) = plan.removed.iter().find(|name| !told(name)) {
            return Err(format!("the version does not say that {name} is removed"));
        }
        let change = self.lay(plan, push, &ids);
        let mut ids = ids;
        for name in change.upserts.keys().filter(|name| !plan.upserts.contains_key(*name)) {
            let id = state.find(name).ok_or(format!("{name} should be released, and is not"))?;
            ids.insert(name.clone(), id);
        }
        self.bring_into_force(&change, &ids, state)
    }

    /// What a version or a release changes in the tables.
    pub(super) fn bring_into_force(
        &mut self,
        change: &Change,
        ids: &BTreeMap<Name, ResourceId>,
        state: &EnvironmentState,
    ) -> Result<(), String> {
        let kept: BTreeSet<ResourceId> = change.upserts.keys().map(|name| ids[name]).collect();
        let again: Vec<ResourceId> =
            change.removed.keys().filter_map(|name| self.live_named(name)).map(|res| res.id).collect();
        let named =
            change.upserts.keys().filter_map(|name| self.live_named(name)).filter(|res| !kept.contains(&res.id));
        let replaced: BTreeMap<Name, ResourceId> = named.map(|res| (res.intent.name.clone(), res.id)).collect();
        let replaced_ids = replaced.values().copied();
        let leaving: BTreeSet<ResourceId> =
            replaced_ids.chain(again.iter().copied()).filter(|id| !kept.contains(id)).collect();
        self.loosen_circles(&leaving);
        let leaves = |name: &Name, intent: &Intent| {
            leaving.iter().any(|id| self.all[id].thing() == thing(intent) && self.all[id].intent.name != *name)
        };
        // Or was what it was itself, before it became another thing.
        let returns = |intent: &Intent| self.all.values().any(|res| !res.live() && res.thing() == thing(intent));
        let taken_over = change.upserts.iter().filter(|(name, (_, intent, _))| leaves(name, intent) || returns(intent));
        let taken_over: BTreeSet<Name> = taken_over.map(|(name, _)| name.clone()).collect();
        for id in leaving {
            let name = self.all[&id].intent.name.clone();
            let removal = change.removed.get(&name).copied();
            let brought = change.upserts.get(&name).map(|(_, _, version)| *version);
            let version = removal.map(|(_, at)| at).or(brought);
            let moves = change.upserts.values().any(|(_, intent, _)| thing(intent) == self.all[&id].thing());
            self.bury(id, removal.map_or(change.approved, |(approved, _)| approved), moves);
            if let Some((res, version)) = self.all.get_mut(id).zip(version) {
                res.version = version;
            }
        }
        let before: BTreeSet<ResourceId> = self.all.ids().into_iter().collect();
        for (name, (set, intent, version)) in &change.upserts {
            let id = ids[name];
            let removed = again.contains(&id) && change.removed.contains_key(name);
            let moved = self.all.get(id).is_some_and(|res| res.intent.name != *name);
            if moved && let Some(old) = self.all.get(id).map(|res| res.intent.name.clone()) {
                self.loosen(&old);
            }
            if removed || moved {
                // Deploys and repairs that were asked for do not survive the removal (J3).
                self.answer(id);
            }
            match self.all.get_mut(id) {
                Some(res) if res.live() && !removed && !moved => {
                    res.set.clone_from(set);
                    self.change(id, intent);
                }
                // "the same identity under another name moves and destroys nothing": removed and added again, as far as its state goes.
                Some(res) => {
                    res.come_back(set, intent);
                    self.takes_intent(id);
                }
                None => {
                    self.all.insert(id, Res::new(id, set.clone(), intent.clone()));
                    self.takes_intent(id);
                }
            }
            let res = self.all.get_mut(id).unwrap();
            (res.version, res.pending, res.approved) = (*version, None, false);
            // It is no tombstone any more: nobody waits for it to be deleted.
            self.waits_no_more_for(id);
            // What was laid beside has a number of its own, also where the thing is still there.
            let same = |res: &&Res| !res.live() && res.id < id && res.thing() == thing(intent);
            if let Some(old) = self.all.values().find(same).map(|res| res.id).filter(|_| !before.contains(&id)) {
                self.all.get_mut(id).unwrap().after = Some(old);
                self.inherit(old);
            }
        }
        // What nothing has taken over after all.
        for id in self.ids() {
            let res = &self.all[&id];
            if !res.live() && res.run.is_none() && res.leaves_an_orphan() {
                // The same thing may hold what it may hold.
                let (thing, holds) = (res.thing(), res.holds());
                let heir = self.all.values().find(|other| other.live() && other.thing() == thing).map(|heir| heir.id);
                if let Some(heir) = heir.and_then(|heir| self.all.get_mut(heir)) {
                    heir.may_hold(holds);
                }
                self.leave(id);
            }
        }
        for (name, (_, intent, _)) in &change.upserts {
            let id = ids[name];
            let after = state.row(id).and_then(|row| row.after);
            let tombstones = self.all.values().filter(|res| !res.live());
            let create_first = intent.policy.replace == Replace::CreateFirst;
            let same = |res: &Res| res.thing() == thing(intent);
            let mine: Vec<&Res> = tombstones.filter(|res| same(res) || res.intent.name == *name).collect();
            // The new one comes before what only its name was; what it requires may make that impossible.
            let just = |res: &Res| create_first && replaced.get(name) == Some(&res.id);
            // Whether what was removed before under this name goes first, is open.
            let must: Vec<_> = mine.iter().filter(|res| same(res) || !create_first).map(|res| res.id).collect();
            // So may what another name was before, and that it takes over.
            let alone = intent.requires.is_empty() && !taken_over.contains(name);
            let first: Vec<_> = mine.iter().filter(|res| same(res) || !alone || !just(res)).map(|res| res.id).collect();
            // Whether one that was there before, and comes back under this name, waits for what had it, the documents do not say.
            let known = before.contains(&id);
            if after.map_or(!known && !must.is_empty(), |id| !first.contains(&id)) {
                return Err(format!("{name} must wait for one of {first:?}, and waits for {after:?}"));
            }
            self.all.get_mut(id).unwrap().after = after;
            // What was removed before under this name may stay for it.
            for old in self.ids() {
                if create_first && !self.all[&old].live() && state.row(old).and_then(|row| row.after) == Some(id) {
                    // What is gone in part is nobody's to rely on.
                    let res = &self.all[&old];
                    if res.successor != Some(id) && (res.delete_began || res.deleting()) {
                        return Err(format!("{name} has begun to be deleted, and stays for another"));
                    }
                    self.all.get_mut(old).unwrap().successor = Some(id);
                }
            }
            let old = replaced.get(name).filter(|_| create_first && !known).copied();
            old.map_or(Ok(()), |old| self.replace(old, id, state))?;
        }
        Ok(())
    }
}

impl Model {
    /// Tombstones that several versions have made require each other: in which order they go, is open.
    fn loosen_circles(&mut self, leaving: &BTreeSet<ResourceId>) {
        let gone = |res: &&Res| !res.live() || leaving.contains(&res.id);
        let wanted: Vec<(ResourceId, Name, Vec<Name>)> = self
            .all
            .values()
            .filter(gone)
            .map(|res| (res.id, res.intent.name.clone(), res.intent.requires.clone()))
            .collect();
        for (id, name, requires) in &wanted {
            let mut reached: BTreeSet<&Name> = requires.iter().collect();
            let mut open: Vec<&Name> = requires.iter().collect();
            while let Some(next) = open.pop() {
                let more = wanted.iter().filter(|(_, name, _)| name == next).flat_map(|(_, _, requires)| requires);
                open.extend(more.filter(|name| reached.insert(name)));
            }
            if reached.contains(name) {
                self.all.get_mut(*id).unwrap().loose.extend(requires.iter().cloned());
            }
        }
    }

    /// Its intent changed in place. "Retry … reset by success or a changed intent"; an edge changes order, not intent (B19).
    fn change(&mut self, id: ResourceId, intent: &Arc<Intent>) {
        let before = self.all[&id].current;
        self.replace_intent(id, intent);
        if self.all[&id].current != before {
            self.intent_changed(id);
        }
    }

    /// It wants something else than before, by its own intent or by what fills that.
    pub(super) fn intent_changed(&mut self, id: ResourceId) {
        let res = self.all.get_mut(id).unwrap();
        (res.failures, res.due, res.skipped, res.cancelled) = (0, None, false, false);
        let runs = res.run.as_ref().is_some_and(|run| run.hash == res.current && !run.stranger);
        let res = &self.all[&id];
        // "A receiver with a debt is attempted even if its intent is unchanged."
        let needs = self.needs_deploy(res) || res.debt.is_some() && !self.undefined(res);
        let asked = self.requests.values().any(|covered| covered.contains(&id));
        let res = self.all.get_mut(id).unwrap();
        if needs && !runs {
            // "A notification has the priority of the attempt that sent it", which may have made a fact another one as well.
            let told = res.told.filter(|_| !res.was_undefined);
            res.queue(told.map_or(Reason::Change, |told| told.min(Reason::Change)));
        } else if res.queued == Some(Reason::Change) && (runs || res.run.is_none() && !asked) {
            // Back to what runs already, or to what is deployed: nothing is to follow.
            res.queued = None;
        }
    }
}

impl Res {
    /// "Adding the same again before its delete begins cancels it (state New, remote identity kept)."
    fn come_back(&mut self, set: &Name, intent: &Arc<Intent>) {
        let mut run = self.run.take();
        if let Some(run) = &mut run {
            run.stranger = true;
        }
        let (remote, debt, maybe_changed) = (self.remote.take(), self.debt.take(), self.maybe_changed);
        let holds = self.holds();
        *self = Self {
            run,
            remote,
            debt,
            maybe_changed,
            touched: self.touched || self.attempted.is_some(),
            ..Self::new(self.id, set.clone(), intent.clone())
        };
        debug_assert!(
            self.life == Life::Live && self.last_result == LastResult::New && self.observed == Observed::Unknown
        );
        self.may_hold(holds);
        self.queue(Reason::Change);
    }
}

/// Everything that an intent says, as text: equal text makes no version.
#[derive(PartialEq)]
struct IntentText(String);

impl IntentText {
    fn of(intent: &Intent) -> Self {
        let parts: &super::super::super::IntentParts = intent;
        Self(format!("{parts:?}"))
    }
}

/// Equal text makes no version.
pub(super) fn same_text(one: &Intent, other: &Intent) -> bool {
    IntentText::of(one) == IntentText::of(other)
}

/// Whether one name requires the other, directly or not.
pub(super) fn reaches(name: &Name, other: &Name, wanted: &BTreeMap<Name, Arc<Intent>>) -> bool {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&Name> = vec![name];
    while let Some(next) = open.pop() {
        for required in wanted.get(next).iter().flat_map(|intent| intent.requires.iter()) {
            if required == other {
                return true;
            }
            if reached.insert(required) {
                open.push(required);
            }
        }
    }
    false
}
