//! What is accepted and comes into force later: under `Manual` when a user deploys it, and where a name becomes another thing and its policy says
//! `replace: Approve`, not before a user has approved that.
//!
//! The tables, the edges and the queue hold what is released, and nothing else: so nothing unreleased can run by a repair, a retry, a notification
//! or a recovery, and one unreleased edit freezes nothing that requires the resource. What is accepted lies beside them: a newer word on a live
//! resource in its row (`pending`), everything else here, until a user's deploy covers it. A push is planned against what is accepted.
//!
//! A removal that was taken back before its release never happened. A fact that changes by itself is such a word too: what takes it goes on with the
//! one that is in force (`inputs.rs`). What a release would bring into force has a digest, so that what was shown is released, or nothing.

use super::apply::Upsert;
use super::derive::identity_key;
use super::state::EnvironmentState;
use super::{
    Hash, Hold, Intent, IntentRecord, Life, Name, OnChange, Pending, Push, Replace, ResourceId, ResourceRow, Scope,
    VersionNumber,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What is accepted and not released.
#[derive(Debug, Default)]
pub(super) struct Unreleased {
    /// What no live resource is, by number.
    new: BTreeMap<ResourceId, ResourceRow>,
    by_name: HashMap<Name, ResourceId>,
    by_identity: HashMap<Hash, ResourceId>,
    /// Live resources on which there is a newer word.
    pub(super) changed: BTreeSet<ResourceId>,
    /// Live resources that take other facts than are known by now.
    pub(super) facts: BTreeSet<ResourceId>,
}

impl Unreleased {
    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.facts.is_empty()
    }

    pub(super) fn get(&self, id: ResourceId) -> Option<&ResourceRow> {
        self.new.get(&id)
    }

    pub(super) fn named(&self, name: &str) -> Option<ResourceId> {
        self.by_name.get(name).copied()
    }

    /// Of what no live resource is.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.rows().map(|row| &row.intent.name)
    }

    /// What no live resource is.
    pub(super) fn rows(&self) -> impl Iterator<Item = &ResourceRow> {
        self.new.values()
    }

    fn insert(&mut self, row: ResourceRow) {
        self.by_name.insert(row.intent.name.clone(), row.resource);
        self.by_identity.insert(identity_key(&row.intent), row.resource);
        self.new.insert(row.resource, row);
    }

    fn take(&mut self, name: &str) -> Option<ResourceRow> {
        let row = self.new.remove(&self.by_name.remove(name)?)?;
        let key = identity_key(&row.intent);
        if self.by_identity.get(&key) == Some(&row.resource) {
            self.by_identity.remove(&key);
        }
        Some(row)
    }
}

impl EnvironmentState {
    /// What the newest accepted version says of a name: its set and its intent.
    pub fn accepted(&self, name: &str) -> Option<(&Name, &Arc<Intent>)> {
        let live = || Some(&self.get(*self.live.get(name)?)?.row);
        self.unreleased.named(name).and_then(|id| self.unreleased.get(id)).or_else(live)?.accepted()
    }

    /// Everything that the newest accepted version wants, released or not: sets and intents.
    pub fn declared(&self) -> impl Iterator<Item = (&Name, &Arc<Intent>)> {
        let live = self.resources.iter().flatten().map(|resource| &resource.row);
        live.chain(self.unreleased.rows()).filter_map(ResourceRow::accepted)
    }

    /// The name that the newest accepted version has for a thing on a target.
    pub(super) fn accepted_as(&self, identity: &Hash) -> Option<&Name> {
        let live = self.identities.get(identity).and_then(|&id| self.get(id)).filter(|resource| resource.is_live());
        let stays = live.map(|resource| &resource.row).filter(|row| !row.leaves());
        let new = || self.unreleased.get(*self.unreleased.by_identity.get(identity)?);
        stays.or_else(new).map(|row| &row.intent.name)
    }

    /// Accepts a change set and releases nothing of it. What its version says of each resource.
    pub(super) fn hold_back(
        &mut self,
        push: &Push,
        removed: Vec<Name>,
        changed: Vec<Arc<Intent>>,
        added: Vec<Arc<Intent>>,
    ) -> BTreeMap<ResourceId, IntentRecord> {
        let mut said = BTreeMap::new();
        for name in removed {
            self.drop_unreleased(&name, &mut said);
            if let Some(&id) = self.live.get(&name) {
                self.hold_removal(id, push, &mut said);
            }
        }
        for intent in changed.into_iter().chain(added) {
            self.hold_intent(push, intent, &mut said);
        }
        said
    }

    /// A newer intent of a live resource, or something that no live resource is.
    fn hold_intent(&mut self, push: &Push, intent: Arc<Intent>, said: &mut BTreeMap<ResourceId, IntentRecord>) {
        let (name, set, key, version) = (intent.name.clone(), push.set.clone(), identity_key(&intent), self.version);
        let same_live = self.live.get(&name).copied();
        let same_live = same_live.filter(|&id| self.get(id).is_some_and(|live| identity_key(&live.row.intent) == key));
        let new = self.unreleased.named(&name).and_then(|id| self.unreleased.get(id));
        let same_new = new.filter(|row| identity_key(&row.intent) == key);
        let asked = same_new.is_some_and(|row| row.intent.policy.replace == intent.policy.replace);
        let number = same_new.map(|row| row.resource);
        if number.is_none() {
            self.drop_unreleased(&name, said);
        }
        let id = if let Some(id) = same_live {
            self.hold_change(id, Pending { version, set: set.clone(), intent: Arc::clone(&intent), removed: false });
            id
        } else {
            if let Some(&id) = self.live.get(&name) {
                self.hold_removal(id, push, said);
                if !asked {
                    self.ask_for_approval(id, push, &intent);
                }
            }
            let id = number.unwrap_or_else(|| self.next_resource());
            let row = ResourceRow::new(id, set.clone(), Arc::clone(&intent), version);
            self.unreleased.insert(ResourceRow { life: Life::Unreleased, ..row });
            self.touch(id);
            id
        };
        said.insert(id, IntentRecord { resource: id, name, set, intent: Some(intent) });
    }

    /// What was approved before was another thing. Who removes a name and declares it again has seen what goes.
    fn ask_for_approval(&mut self, id: ResourceId, push: &Push, next: &Intent) {
        let seen = push.removals.contains(&next.name);
        if let Some(old) = self.get_mut(id) {
            old.row.removal_approved = seen || (push.approved && next.policy.replace != Replace::Approve);
            self.touch(id);
        }
    }

    /// The newest word on a live resource. One that says what is in force anyway leaves nothing to release.
    fn hold_change(&mut self, id: ResourceId, pending: Pending) {
        let Some(resource) = self.get_mut(id) else { return };
        let row = &mut resource.row;
        let differs = pending.removed || pending.intent != row.intent || pending.set != row.set;
        row.removal_approved &= pending.removed;
        row.pending = differs.then(|| Box::new(pending));
        if differs {
            self.unreleased.changed.insert(id);
        } else {
            self.unreleased.changed.remove(&id);
        }
        self.touch(id);
    }

    fn hold_removal(&mut self, id: ResourceId, push: &Push, said: &mut BTreeMap<ResourceId, IntentRecord>) {
        let version = self.version;
        let Some(resource) = self.get_mut(id).filter(|resource| !resource.row.leaves()) else { return };
        let row = &mut resource.row;
        row.removal_approved = push.approved;
        let intent = row.pending.take().map_or_else(|| Arc::clone(&row.intent), |pending| pending.intent);
        let name = intent.name.clone();
        self.hold_change(id, Pending { version, set: push.set.clone(), intent, removed: true });
        said.insert(id, IntentRecord { resource: id, name, set: push.set.clone(), intent: None });
    }

    /// What was never released is wanted no more: nothing of it ever was anywhere.
    pub(super) fn drop_unreleased(&mut self, name: &Name, said: &mut BTreeMap<ResourceId, IntentRecord>) {
        let Some(row) = self.unreleased.take(name) else { return };
        let (resource, set) = (row.resource, row.set.clone());
        said.insert(resource, IntentRecord { resource, name: name.clone(), set, intent: None });
        self.out.left.push(ResourceRow { life: Life::Orphan, ..row });
        self.show(resource);
    }

    /// Releases what a user's deploy of this scope covers.
    pub(super) fn release_covered(&mut self, scope: &Scope) {
        let names = self.to_release(scope);
        if !names.is_empty() {
            self.release_names(&names);
        }
    }

    /// The names of which a user's deploy releases something.
    fn to_release(&self, scope: &Scope) -> BTreeSet<Name> {
        if self.unreleased.is_empty() {
            return BTreeSet::new();
        }
        let live = self.unreleased.changed.iter().chain(&self.unreleased.facts);
        let live = live.filter_map(|&id| self.get(id)).filter(|one| one.is_live()).map(|resource| &resource.row);
        let meant = |row: &&ResourceRow| {
            scope.target.as_ref().is_none_or(|target| *target == row.intent.target)
                && scope.names.as_ref().is_none_or(|names| names.contains(&row.intent.name))
        };
        let rows = live.chain(self.unreleased.rows()).filter(meant);
        let names: BTreeSet<Name> = rows.map(|row| row.intent.name.clone()).collect();
        self.without_what_is_to_be_approved(self.release_together(names))
    }

    /// A digest of everything that a user's deploy of this scope would bring into force now, and of what it would replace. `None`: nothing.
    pub fn release_digest(&self, scope: &Scope) -> Option<Hash> {
        let names = self.to_release(scope);
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for name in &names {
            let row = self.live.get(name).and_then(|&id| Some(&self.get(id)?.row));
            let content =
                |intent: Option<&Arc<Intent>>| intent.map_or_else(Vec::new, |intent| intent.content().0.to_vec());
            let accepted = self.accepted(name).map(|(_, intent)| intent);
            parts.extend([name.as_bytes().to_vec(), content(row.map(|row| &row.intent)), content(accepted)]);
            parts.extend(
                accepted
                    .into_iter()
                    .flat_map(|intent| self.known_facts(intent, None))
                    .flat_map(|known| [known.of.name, known.of.fact, known.value].map(|text| text.as_bytes().to_vec())),
            );
        }
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        (!names.is_empty()).then(|| Hash::of(&parts))
    }

    /// Nothing waits for a release any more.
    pub(super) fn release_where_automatic(&mut self) {
        if self.settings.on_change == OnChange::Automatic {
            self.release_covered(&Scope::default());
        }
    }

    fn release_names(&mut self, names: &BTreeSet<Name>) {
        let mut upserts = Vec::new();
        for name in names {
            if let Some(&id) = self.live.get(name) {
                self.release_facts(id);
                upserts.extend(self.release_live(id));
            }
        }
        for name in names {
            let Some(row) = self.unreleased.take(name) else { continue };
            let ResourceRow { resource, set, intent, version, .. } = row;
            upserts.push(Upsert { id: Some(resource), set, intent, version });
        }
        self.apply(upserts);
    }

    /// What waits for an approval stays, and with it all that cannot be released apart from it: what would be in a cycle with it as it is, the other
    /// name of its thing, and so on from there. Of names that can be released together.
    fn without_what_is_to_be_approved(&self, mut names: BTreeSet<Name>) -> BTreeSet<Name> {
        let mut staying: BTreeSet<Name> =
            names.iter().filter(|name| self.to_approve(name).is_some()).cloned().collect();
        while !staying.is_empty() {
            for name in &staying {
                names.remove(name);
            }
            // Only where edges have become the old ones again can there be a cycle that was not there before.
            let cycles = super::cycles::find(staying.iter().cloned(), |name| self.requires_after(&names, name));
            let others = staying.iter().flat_map(|name| self.other_names(name)).cloned();
            staying = cycles.into_iter().flatten().chain(others).filter(|name| names.contains(name)).collect();
        }
        names
    }

    /// The newer word on a live resource comes into force: a removal at once.
    fn release_live(&mut self, id: ResourceId) -> Option<Upsert> {
        self.unreleased.changed.remove(&id);
        let row = &mut self.get_mut(id)?.row;
        let approved = std::mem::take(&mut row.removal_approved);
        let Pending { version, set, intent, removed } = *row.pending.take()?;
        if !removed {
            return Some(Upsert { id: Some(id), set, intent, version });
        }
        // Its last intent says how it is removed.
        let reordered = row.intent.requires != intent.requires;
        self.update(id, &set, &intent, version);
        if reordered {
            self.set_requirements(id, &intent.requires);
        }
        self.remove(id, version, approved);
        None
    }

    /// These names, and those that cannot be released apart from them: the other members of a cycle that old and new edges would close, and the
    /// other name of a thing that only changes its name.
    fn release_together(&self, mut names: BTreeSet<Name>) -> BTreeSet<Name> {
        loop {
            let mut more: BTreeSet<Name> = names.iter().flat_map(|name| self.other_names(name)).cloned().collect();
            let cycles = super::cycles::find(names.iter().cloned(), |name| self.requires_after(&names, name));
            more.extend(cycles.into_iter().flatten().filter(|name| self.is_unreleased(name)));
            let before = names.len();
            names.extend(more);
            if names.len() == before {
                return names;
            }
        }
    }

    /// Where a thing on its target leaves one name and gets another one: who gets what this name leaves, and who leaves what this name gets.
    fn other_names(&self, name: &Name) -> impl Iterator<Item = &Name> {
        let leaving = |id: ResourceId| Some(&self.get(id)?.row).filter(|row| row.leaves() && row.life == Life::Live);
        let left = self.live.get(name).and_then(|&id| leaving(id));
        let gets = left.and_then(|row| self.unreleased.by_identity.get(&identity_key(&row.intent)));
        let gets = gets.and_then(|&id| self.unreleased.get(id));
        let new = self.unreleased.named(name).and_then(|id| self.unreleased.get(id));
        let leaves = new.and_then(|row| leaving(*self.identities.get(&identity_key(&row.intent))?));
        gets.into_iter().chain(leaves).map(|row| &row.intent.name)
    }

    /// It would make its name another thing, and waits until that is approved.
    pub(super) fn replaces_by_approval(&self, intent: &Intent) -> bool {
        let live = self.live.get(&intent.name).and_then(|&id| self.get(id));
        intent.policy.replace == Replace::Approve && live.is_some_and(|live| live.is_replaced_by(intent))
    }

    /// The live resource whose replacement waits for an approval.
    fn to_approve(&self, name: &str) -> Option<ResourceId> {
        let new = self.unreleased.get(self.unreleased.named(name)?)?;
        let id = *self.live.get(name)?;
        self.get(id).filter(|live| !live.row.removal_approved && self.replaces_by_approval(&new.intent)).map(|_| id)
    }

    fn to_approve_in<'a>(&self, mut names: impl Iterator<Item = &'a Name>) -> Option<&'a Name> {
        names.find(|name| self.to_approve(name).is_some())
    }

    /// Names that become another thing on their target as soon as a user approves it.
    pub fn replacements(&self) -> impl Iterator<Item = &Name> {
        self.unreleased.names().filter(|name| self.to_approve(name).is_some())
    }

    /// The resources that these names are until then.
    pub(super) fn replaced(&self) -> impl Iterator<Item = ResourceId> + '_ {
        self.unreleased.names().filter_map(|name| self.to_approve(name))
    }

    /// Why the newest word on a name is not in force.
    pub(super) fn release_hold(&self, name: &Name, version: VersionNumber) -> Hold {
        let group = self.release_together(BTreeSet::from([name.clone()]));
        if let Some(name) = self.to_approve_in(group.iter()) {
            return Hold::ReplaceApproval { name: name.clone(), version };
        }
        // What becomes another thing is not removed in the eyes of whoever declared it.
        Hold::Release { version, removal: self.accepted(name).is_none() }
    }

    fn is_unreleased(&self, name: &str) -> bool {
        let changed = self.live.get(name).is_some_and(|id| self.unreleased.changed.contains(id));
        changed || self.unreleased.named(name).is_some()
    }

    /// What a name requires when these names are released.
    fn requires_after(&self, names: &BTreeSet<Name>, name: &Name) -> Vec<Name> {
        let intent = if names.contains(name) {
            self.accepted(name).map(|(_, intent)| intent)
        } else {
            self.live.get(name).and_then(|&id| Some(&self.get(id)?.row.intent))
        };
        intent.map(|intent| intent.requires.clone()).unwrap_or_default()
    }

    pub(super) fn restore_unreleased(&mut self, row: ResourceRow) {
        let slots = self.resources.len().max(row.resource.0 as usize + 1);
        self.resources.resize_with(slots, || None);
        self.unreleased.insert(row);
    }

    /// The newest version of which everything is released.
    pub(super) fn released_version(&self) -> VersionNumber {
        let pending = |&id| Some(self.get(id)?.row.pending.as_ref()?.version);
        let live = self.unreleased.changed.iter().filter_map(pending);
        let first = live.chain(self.unreleased.rows().map(|row| row.version)).min();
        first.map_or(self.version, |first| VersionNumber(first.0.saturating_sub(1)))
    }
}

impl ResourceRow {
    /// Its removal is accepted, and not released.
    pub fn leaves(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.removed)
    }

    /// What the newest accepted version says of it, released or not: its set and its intent. `None`: it is removed.
    pub fn accepted(&self) -> Option<(&Name, &Arc<Intent>)> {
        match (self.life, &self.pending) {
            (Life::Live, Some(pending)) => Some((&pending.set, &pending.intent)).filter(|_| !pending.removed),
            (Life::Live | Life::Unreleased, _) => Some((&self.set, &self.intent)),
            _ => None,
        }
    }
}
