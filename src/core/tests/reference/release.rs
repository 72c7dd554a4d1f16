//! Q7, S8, P7: what is accepted and comes into force later: under `Manual` when a user deploys it, and where a name becomes another thing and its
//! policy is `replace: Approve`, not before that is approved.
//!
//! A push is planned against what is accepted; order, edges and attempts know only what is released. Deliberately absent: what a version or a release
//! then does to the tables (`pushes.rs`).

use super::super::super::{
    EnvironmentState, Intent, Name, OnChange, Push, Replace, Request, RequestKind, ResourceId, Scope, VersionNumber,
    Versions,
};
use super::model::{Model, Res, thing};
use super::pushes::{Change, Plan, reaches, same_text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The newest accepted word on something.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub version: VersionNumber,
    pub set: Name,
    /// Where it is removed, the last one.
    pub intent: Arc<Intent>,
    pub removed: bool,
}

impl Model {
    /// "Good, order, edges and dispatch look at the newest *released* intent, compliance at the newest accepted one."
    pub(super) fn of_newest(&self, res: &Res, what: impl Fn(&Res) -> bool) -> bool {
        match &res.pending {
            Some(word) if !word.removed => what(&self.with_word(res, &word.intent)),
            _ => what(res),
        }
    }
}

impl Res {
    fn made(&self) -> bool {
        self.touched || self.attempted.is_some() || self.run.is_some()
    }
}

impl Model {
    /// What the newest accepted version says of a name.
    pub(super) fn accepted(&self, name: &str) -> Option<(Name, Arc<Intent>)> {
        let new = self.unreleased.values().find(|word| &*word.intent.name == name);
        let live = || {
            let res = self.live_named(name)?;
            match &res.pending {
                Some(word) => (!word.removed).then(|| (word.set.clone(), word.intent.clone())),
                None => Some((res.set.clone(), res.intent.clone())),
            }
        };
        new.map(|word| (word.set.clone(), word.intent.clone())).or_else(live)
    }

    /// Everything that the newest accepted version wants.
    pub(super) fn declared(&self) -> BTreeMap<Name, Arc<Intent>> {
        let live = self.all.values().filter(|res| res.live()).map(|res| res.intent.name.clone());
        let new = self.unreleased.values().map(|word| word.intent.name.clone());
        let names: BTreeSet<Name> = live.chain(new).collect();
        names.into_iter().filter_map(|name| self.accepted(&name).map(|(_, intent)| (name, intent))).collect()
    }

    /// A live resource, else what is accepted under the name, else its tombstone.
    pub(super) fn named_at_all(&self, name: &str) -> Option<ResourceId> {
        let new = self.unreleased.iter().find(|(_, word)| &*word.intent.name == name).map(|(id, _)| *id);
        self.live_named(name).map(|res| res.id).or(new).or_else(|| self.named(name).map(|res| res.id))
    }

    /// What each name becomes of which something is not released; `None`: nothing.
    fn words(&self) -> BTreeMap<Name, Option<Arc<Intent>>> {
        let live = self.all.values().filter(|res| res.pending.is_some()).map(|res| res.intent.name.clone());
        let new = self.unreleased.values().map(|word| word.intent.name.clone());
        live.chain(new).map(|name| (name.clone(), self.accepted(&name).map(|(_, intent)| intent))).collect()
    }

    /// What takes other facts than are known by now.
    fn with_facts_held(&self) -> BTreeSet<Name> {
        let held = self.all.values().filter(|res| res.live() && res.in_force.is_some());
        held.map(|res| res.intent.name.clone()).collect()
    }

    /// Everything of which something is not released.
    fn unreleased_names(&self) -> BTreeSet<Name> {
        self.words().into_keys().chain(self.with_facts_held()).collect()
    }

    /// Two that cannot be released apart: "the other members of a cycle that old and new edges would close, and the other name of a thing that only
    /// changes its name". The first of each pair is among these names.
    fn bound(&self, names: &BTreeSet<Name>, words: &BTreeMap<Name, Option<Arc<Intent>>>) -> Vec<(Name, Name)> {
        let live = self.all.values().filter(|res| res.live());
        let mut graph: BTreeMap<Name, Arc<Intent>> =
            live.clone().map(|res| (res.intent.name.clone(), res.intent.clone())).collect();
        for name in names {
            match words.get(name) {
                Some(Some(intent)) => drop(graph.insert(name.clone(), intent.clone())),
                Some(None) => drop(graph.remove(name)),
                None => {}
            }
        }
        let mut all = Vec::new();
        for name in names {
            if graph.contains_key(name) && reaches(name, name, &graph) {
                let inside = |other: &&Name| reaches(name, other, &graph) && reaches(other, name, &graph);
                all.extend(words.keys().filter(inside).map(|other| (name.clone(), other.clone())));
            }
            let (now, next) =
                (self.live_named(name).map(Res::thing), words.get(name).and_then(Option::as_deref).map(thing));
            if now == next {
                continue;
            }
            let gets = words.iter().filter(|(_, word)| now.is_some() && word.as_deref().map(thing) == now);
            all.extend(gets.map(|(other, _)| (name.clone(), other.clone())));
            let leaves = live.clone().filter(|res| next.as_ref() == Some(&res.thing()));
            all.extend(leaves.map(|res| (name.clone(), res.intent.name.clone())));
        }
        all.retain(|(one, other)| one != other);
        all
    }

    fn together(&self, mut names: BTreeSet<Name>, words: &BTreeMap<Name, Option<Arc<Intent>>>) -> BTreeSet<Name> {
        names.retain(|name| words.contains_key(name));
        loop {
            let before = names.len();
            names.extend(self.bound(&names, words).into_iter().map(|(_, other)| other));
            if names.len() == before {
                return names;
            }
        }
    }

    /// "Such an intent is accepted, and not released before a user has approved it."
    fn unapproved_replacements(&self) -> BTreeSet<Name> {
        let waits = |word: &&Word| {
            let old = self.live_named(&word.intent.name).filter(|old| old.made() && !old.approved);
            word.intent.policy.replace == Replace::Approve && old.is_some_and(|old| old.thing() != thing(&word.intent))
        };
        self.unreleased.values().filter(waits).map(|word| word.intent.name.clone()).collect()
    }

    /// Of these names and what cannot be apart from them, all that no approval holds back.
    fn releasable(&self, names: BTreeSet<Name>) -> BTreeSet<Name> {
        let words = self.words();
        let facts: BTreeSet<Name> = self
            .with_facts_held()
            .into_iter()
            .filter(|name| names.contains(name) && !words.contains_key(name))
            .collect();
        let held = self.unapproved_replacements();
        let mut names = self.together(names, &words);
        names.retain(|name| !held.contains(name));
        loop {
            let apart = self.bound(&names, &words).into_iter().filter(|(_, other)| !names.contains(other));
            let apart: BTreeSet<Name> = apart.map(|(name, _)| name).collect();
            if apart.is_empty() {
                names.extend(facts);
                return names;
            }
            names.retain(|name| !apart.contains(name));
        }
    }

    /// For whose approval a name waits: its own, or one that it cannot be released without.
    pub(super) fn awaits_replacement(&self, name: &Name) -> Vec<Name> {
        let held = self.unapproved_replacements();
        let all = self.together(BTreeSet::from([name.clone()]), &self.words());
        all.into_iter().filter(|name| held.contains(name)).collect()
    }

    /// An accepted version: what of it comes into force at once, the rest is laid beside the tables.
    pub(super) fn lay(&mut self, plan: &Plan, push: &Push, ids: &BTreeMap<Name, ResourceId>) -> Change {
        let asks = |intent: &Intent| intent.policy.replace == Replace::Approve && self.replaces(intent);
        let manual = self.settings.on_change == OnChange::Manual;
        if !manual
            && self.unreleased_names().is_empty()
            && !plan.upserts.values().any(|intent| !plan.removed.contains(&intent.name) && asks(intent))
        {
            let all = plan.upserts.iter();
            let upserts = all.map(|(name, intent)| (name.clone(), (push.set.clone(), intent.clone(), self.version)));
            let removed = plan.removed.iter().map(|name| (name.clone(), (push.approved, self.version)));
            return Change { upserts: upserts.collect(), removed: removed.collect(), approved: push.approved };
        }
        self.met.insert("laid beside the tables");
        // Removed and added again before it is released: that never happened.
        for name in &plan.removed {
            self.unreleased.retain(|_, word| word.intent.name != *name);
            self.lay_removal(name, push);
        }
        for (name, intent) in &plan.upserts {
            self.lay_intent(ids[name], push, intent);
        }
        if manual {
            return Change::default();
        }
        let names = self.releasable(self.unreleased_names());
        self.take_words(&names)
    }

    /// It would make its name another thing, where one was made.
    fn replaces(&self, intent: &Intent) -> bool {
        self.live_named(&intent.name).is_some_and(|old| old.made() && old.thing() != thing(intent))
    }

    /// The last word on what is removed says how; a removal that is said again is no news.
    fn lay_removal(&mut self, name: &Name, push: &Push) {
        let version = self.version;
        let Some(id) = self.live_named(name).map(|res| res.id) else { return };
        let res = self.all.get_mut(id).unwrap();
        if res.pending.as_ref().is_some_and(|word| word.removed) {
            return;
        }
        let intent = res.pending.take().map_or_else(|| res.intent.clone(), |word| word.intent);
        res.approved = push.approved;
        res.pending = Some(Word { version, set: push.set.clone(), intent, removed: true });
    }

    fn lay_intent(&mut self, id: ResourceId, push: &Push, intent: &Arc<Intent>) {
        let word = Word { version: self.version, set: push.set.clone(), intent: intent.clone(), removed: false };
        let before = self.unreleased.values().find(|word| word.intent.name == intent.name).cloned();
        self.unreleased.retain(|_, word| word.intent.name != intent.name);
        let Some(live) = self.live_named(&intent.name).map(|res| res.id) else {
            self.unreleased.insert(id, word);
            return;
        };
        let res = self.all.get_mut(live).unwrap();
        if res.thing() == thing(intent) {
            // "Going back before the release leaves nothing to release."
            let same = same_text(&res.intent, intent) && res.set == push.set;
            res.pending = (!same).then_some(word);
            res.approved = false;
            return;
        }
        self.lay_removal(&intent.name, push);
        // What was approved before was another thing. "Unless it is removed by name": who removes a name and declares it again has seen what goes.
        let replace = intent.policy.replace;
        let asked = |word: &Word| thing(&word.intent) == thing(intent) && word.intent.policy.replace == replace;
        if !before.is_some_and(|word| asked(&word)) {
            let seen = push.removals.contains(&intent.name);
            let res = self.all.get_mut(live).unwrap();
            res.approved = seen || push.approved && replace != Replace::Approve;
        }
        self.unreleased.insert(id, word);
    }

    /// Takes out what waits of these names, as a change of the tables.
    fn take_words(&mut self, names: &BTreeSet<Name>) -> Change {
        let mut change = Change::default();
        for name in names {
            let new = self.unreleased.values().find(|word| word.intent.name == *name).cloned();
            self.unreleased.retain(|_, word| word.intent.name != *name);
            let live = self.live_named(name).map(|res| res.id);
            let held = live.and_then(|id| self.all.get_mut(id)?.in_force.take()).is_some();
            let word = live.and_then(|id| self.all.get_mut(id)?.pending.take());
            if let Some((id, word)) = live.zip(word.as_ref().filter(|word| word.removed)) {
                // "A removal obeys the last word on it, released or not." As any other intent, that has not been skipped.
                let same = self.all[&id].intent.hash() == word.intent.hash();
                self.replace_intent(id, &word.intent);
                if held {
                    self.takes_intent(id);
                }
                let res = self.all.get_mut(id).unwrap();
                res.skipped &= same;
                res.set = word.set.clone();
                change.removed.insert(name.clone(), (res.approved, word.version));
            }
            if let Some(word) = new.or(word.filter(|word| !word.removed)) {
                change.upserts.insert(name.clone(), (word.set, word.intent, word.version));
            }
        }
        self.released.extend(names.iter().cloned());
        change
    }

    /// Releases these names, and those that cannot be released apart from them.
    fn release(&mut self, names: BTreeSet<Name>, state: &EnvironmentState) -> Result<(), String> {
        let names = self.releasable(names);
        let change = self.take_words(&names);
        let mut ids = BTreeMap::new();
        for name in change.upserts.keys() {
            let id = state.find(name).ok_or(format!("{name} should be released, and is not"))?;
            ids.insert(name.clone(), id);
        }
        if !names.is_empty() {
            self.met.insert("released by hand");
        }
        self.bring_into_force(&change, &ids, state)?;
        // What takes other facts from now on wants something else from now on.
        self.renew(state);
        Ok(())
    }

    /// Nothing waits for a release any more, but for what waits for an approval.
    pub(super) fn release_all(&mut self, state: &EnvironmentState) -> Result<(), String> {
        if self.settings.on_change == OnChange::Automatic {
            self.release(self.unreleased_names(), state)?;
        }
        Ok(())
    }

    /// Of which names a user's deploy of this scope releases something: what it leaves, and what it brings, stands on the target.
    fn covered(&self, scope: &Scope) -> BTreeSet<Name> {
        let on = |intent: &Intent| scope.target.as_ref().is_none_or(|target| *target == intent.target);
        let words = self.words();
        let here = |name: &Name| {
            let live = self.live_named(name).is_some_and(|res| on(&res.intent));
            live || words.get(name).and_then(Option::as_deref).is_some_and(on)
        };
        let named = |name: &Name| scope.names.as_ref().is_none_or(|names| names.contains(name));
        self.unreleased_names().into_iter().filter(|name| named(name) && here(name)).collect()
    }

    /// What a user's deploy of this scope would bring into force, and what that replaces.
    pub(super) fn would_release(&self, scope: &Scope) -> Vec<String> {
        let names = self.releasable(self.covered(scope));
        let text = |intent: Option<&Arc<Intent>>| intent.map(|intent| format!("{:?}", &***intent));
        let told = |name: &Name| {
            let (live, next) =
                (self.live_named(name).map(|res| &res.intent), self.accepted(name).map(|(_, next)| next));
            let facts = next.as_ref().map(|next| self.values_now(next));
            format!("{name}: {:?} with {facts:?} instead of {:?}", text(next.as_ref()), text(live))
        };
        names.iter().map(told).collect()
    }

    /// What a request brings into force before it is carried out.
    pub(super) fn release_for(&mut self, request: &Request, state: &EnvironmentState) -> Result<(), String> {
        match request.kind {
            RequestKind::Deploy => self.release(self.covered(&request.scope), state)?,
            RequestKind::ApproveRemovals => {
                let waiting = self.unapproved_replacements();
                for id in self.within(&request.scope) {
                    if !self.all[&id].live() || !waiting.contains(&self.all[&id].intent.name) {
                        continue;
                    }
                    self.all.get_mut(id).unwrap().approved = true;
                    self.met.insert("a replacement is approved");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// How far the newest versions have come.
    pub(super) fn versions(&self) -> Versions {
        let before = |version: VersionNumber| VersionNumber(version.0.saturating_sub(1));
        let pending = self.all.values().filter_map(|res| res.pending.as_ref());
        let waiting = pending.chain(self.unreleased.values()).map(|word| word.version).min();
        let released = waiting.map_or(self.version, before);
        let undone = self
            .all
            .values()
            .filter(|res| !res.live() || res.succeeded != Some(res.current) || !self.unknown(res).is_empty());
        let deployed = undone.map(|res| res.version).min().map_or(released, before).min(released);
        Versions { accepted: self.version, released, deployed }
    }
}
