//! Accepting a push: its plan becomes a version, and only what the version touches is scheduled; or it waits for its release (`release.rs`).

use super::derive::identity_key;
use super::state::{EnvironmentState, Resource};
use super::{
    Intent, IntentRecord, Message, Name, OnChange, Push, PushMode, Reason, Record, Refusal, RefusalKind, Replace,
    ResourceId, ResourceRow, VersionNumber, VersionRecord,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An intent to put in force.
pub(super) struct Upsert {
    /// The number under which history knows it; `None`: it is found or given now.
    pub(super) id: Option<ResourceId>,
    pub(super) set: Name,
    pub(super) intent: Arc<Intent>,
    /// The version that brought it.
    pub(super) version: VersionNumber,
}

impl EnvironmentState {
    pub(super) fn push(&mut self, push: &Push) {
        if push.base.is_some_and(|base| base < self.version) {
            let stale = Refusal { name: "".into(), kind: RefusalKind::StaleBase(self.version) };
            return self.out.messages.push(Message::Refused(vec![stale]));
        }
        let plan = self.plan_push(push);
        if push.mode == PushMode::Whole && !plan.refusals.is_empty() {
            self.out.messages.push(Message::Refused(plan.refusals));
            return;
        }
        if plan.is_empty() {
            self.out.messages.push(Message::Accepted(self.version, plan.refusals));
            return;
        }
        self.version.0 += 1;
        let waits = self.settings.on_change == OnChange::Manual
            || !self.unreleased.is_empty()
            || plan.changed.iter().any(|intent| self.replaces_by_approval(intent));
        let intents = if waits {
            self.hold_back(push, plan.removed, plan.changed, plan.added)
        } else {
            self.take_change_set(push, plan.removed, plan.changed, plan.added)
        };
        self.release_where_automatic();
        self.out.records.push(Record::Version(VersionRecord {
            number: self.version,
            at: self.now,
            author: push.author.clone(),
            source: push.source.clone(),
            message: push.message.clone(),
            intents: intents.into_values().collect(),
        }));
        self.out.messages.push(Message::Accepted(self.version, plan.refusals));
    }

    /// Accepts and releases. What the version says of each resource: one entry, since what is removed under one name and comes back under another
    /// has only moved.
    fn take_change_set(
        &mut self,
        push: &Push,
        removed: Vec<Name>,
        changed: Vec<Arc<Intent>>,
        added: Vec<Arc<Intent>>,
    ) -> BTreeMap<ResourceId, IntentRecord> {
        let mut said = BTreeMap::new();
        let (version, leaving) = (self.version, self.leave_their_identity(&changed));
        for name in removed.into_iter().chain(leaving) {
            let Some(&id) = self.live.get(&name) else { continue };
            said.insert(id, IntentRecord { resource: id, name, set: push.set.clone(), intent: None });
            self.remove(id, version, push.approved);
        }
        let upsert = |intent| Upsert { id: None, set: push.set.clone(), intent, version };
        let upserts: Vec<Upsert> = changed.into_iter().chain(added).map(upsert).collect();
        for (id, Upsert { set, intent, .. }) in self.apply(upserts) {
            let name = intent.name.clone();
            said.insert(id, IntentRecord { resource: id, name, set, intent: Some(intent) });
        }
        said
    }

    /// Puts intents in force. Edges when all names are known, work when all edges are, and it is known what stands on what is undefined.
    pub(super) fn apply(&mut self, upserts: Vec<Upsert>) -> Vec<(ResourceId, Upsert)> {
        let applied: Vec<_> = upserts.into_iter().map(|upsert| (self.upsert(&upsert), upsert)).collect();
        for (id, upsert) in &applied {
            self.set_requirements(*id, &upsert.intent.requires);
        }
        self.let_go_what_waits_for_itself();
        self.let_go_what_leaves_nothing();
        self.spread_what_is_undefined();
        for &(id, _) in &applied {
            self.schedule_change(id);
        }
        applied
    }

    /// What was removed and leaves nothing is gone before it is known what is undefined: a fact may be one of what its name was before.
    fn let_go_what_leaves_nothing(&mut self) {
        let mut at = 0;
        while let Some(&id) = self.unsettled.get(at) {
            if self.is_tombstone(id) {
                self.reconsider_tombstone(id);
            } else {
                self.renew_inputs(id);
            }
            at += 1;
        }
    }

    /// Names that become another thing. They leave a tombstone first, so that a thing which only changes its name is found as one.
    fn leave_their_identity(&self, changed: &[Arc<Intent>]) -> Vec<Name> {
        let leaves = |intent: &&Arc<Intent>| {
            let current = self.live.get(&intent.name).and_then(|&id| self.get(id));
            current.is_some_and(|resource| identity_key(&resource.row.intent) != identity_key(intent))
        };
        changed.iter().filter(leaves).map(|intent| intent.name.clone()).collect()
    }

    /// Puts an intent into the tables: in place, over the tombstone of the same thing, or as a new resource.
    fn upsert(&mut self, upsert: &Upsert) -> ResourceId {
        let Upsert { id, set, intent, version } = upsert;
        let key = identity_key(intent);
        if let Some(&id) = self.live.get(&intent.name) {
            self.update(id, set, intent, *version);
            return id;
        }
        let same_thing = self.identities.get(&key).copied().filter(|&id| self.is_tombstone(id));
        let can_return = |id: &ResourceId| !self.get(*id).is_some_and(super::state::Resource::delete_granted);
        let id = match (same_thing.filter(can_return), id) {
            (Some(tombstone), None) => {
                self.resurrect(tombstone, set, intent, *version);
                tombstone
            }
            (_, number) => {
                let id = number.unwrap_or_else(|| self.next_resource());
                let row = ResourceRow::new(id, set.clone(), Arc::clone(intent), *version);
                self.insert(Box::new(Resource::unplaced(row)));
                self.live.insert(intent.name.clone(), id);
                self.touch(id);
                self.order_replacement(id, same_thing, intent);
                id
            }
        };
        self.identities.insert(key, id);
        self.resolve(&intent.name);
        id
    }

    /// Which comes first, where it takes the place of what is to be deleted: what its name was, or the same thing.
    fn order_replacement(&mut self, id: ResourceId, same_thing: Option<ResourceId>, intent: &Intent) {
        let before = self.last_removed(&intent.name);
        match (same_thing.or(before), intent.policy.replace) {
            (Some(tombstone), Replace::CreateFirst) if same_thing.is_none() && self.can_outlive(tombstone) => {
                self.outlive(tombstone, id);
            }
            (Some(tombstone), _) => {
                self.wait_for(id, tombstone);
                self.ask_back(tombstone);
                // The same thing is deleted no more, also where its delete only waits for its turn.
                self.unsettled.push_back(tombstone);
            }
            (None, _) => {}
        }
    }

    /// A new intent for the same thing. Its retries start over if it is a change; an edge alone changes nothing but the order.
    pub(super) fn update(&mut self, id: ResourceId, set: &Name, intent: &Arc<Intent>, version: VersionNumber) {
        let Some(resource) = self.get_mut(id) else { return };
        let changes = resource.row.intent.hash() != intent.hash();
        if !intent.takes_the_secrets_of(&resource.row.intent) {
            resource.row.secret_digest = None;
        }
        resource.row.set = set.clone();
        resource.take_intent(intent);
        resource.row.version = version;
        if changes {
            resource.row.failures = 0;
            resource.row.skipped = false;
            self.disarm(id);
            self.ask_back(id);
        }
        self.look_up_inputs(id);
        self.touch(id);
    }

    pub(super) fn schedule_change(&mut self, id: ResourceId) {
        let Some(resource) = self.get(id) else { return };
        let wanted = self.needs_deploy(resource, false);
        let needs = wanted && resource.row.due_at.is_none() && !resource.row.skipped && !resource.runs_current();
        let only_for_change = resource.queued.is_some_and(|queued| queued.reason == Reason::Change);
        if needs {
            self.enqueue(id, Reason::Change);
        } else if only_for_change
            && (resource.runs_current() || (!wanted && resource.run.is_none() && !self.asked_for(id)))
        {
            self.dequeue(id);
        }
        self.publish(id);
        self.unsettled.push_back(id);
    }
}
