//! Accepting a push: its plan becomes a version, and only what the version touches is scheduled.

use super::derive::identity_key;
use super::state::EnvironmentState;
use super::{
    Intent, IntentRecord, Life, Message, Name, Push, PushMode, Reason, Record, Replace, ResourceId, ResourceRow,
    VersionRecord,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl EnvironmentState {
    pub(super) fn push(&mut self, push: &Push) {
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
        // One entry per resource: what is removed under one name and comes back under another has only moved.
        let mut intents: BTreeMap<ResourceId, IntentRecord> = BTreeMap::new();
        for name in plan.removed.iter().cloned().chain(self.leave_their_identity(&plan.changed)) {
            let Some(&id) = self.live.get(&name) else { continue };
            intents.insert(id, IntentRecord { resource: id, name, set: push.set.clone(), intent: None });
            self.remove(id, push.approved);
        }
        let mut upserted = Vec::new();
        for intent in plan.changed.into_iter().chain(plan.added) {
            let id = self.upsert(&push.set, &intent);
            upserted.push(id);
            let (name, set) = (intent.name.clone(), push.set.clone());
            intents.insert(id, IntentRecord { resource: id, name, set, intent: Some(intent) });
        }
        // Edges when all names are known, work when all edges are, and it is known what stands on what is undefined.
        for &id in &upserted {
            let requires = self.get(id).map(|resource| resource.row.intent.requires.clone()).unwrap_or_default();
            self.set_requirements(id, &requires);
        }
        self.spread_what_is_undefined();
        for &id in &upserted {
            self.schedule_change(id);
        }
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

    /// Names that become another thing. They leave a tombstone first, so that a thing which only changes its name is found as one.
    fn leave_their_identity(&self, changed: &[Arc<Intent>]) -> Vec<Name> {
        let leaves = |intent: &&Arc<Intent>| {
            let current = self.live.get(&intent.name).and_then(|&id| self.get(id));
            current.is_some_and(|resource| identity_key(&resource.row.intent) != identity_key(intent))
        };
        changed.iter().filter(leaves).map(|intent| intent.name.clone()).collect()
    }

    /// Puts an intent into the tables: in place, over the tombstone of the same thing, or as a new resource.
    fn upsert(&mut self, set: &Name, intent: &Arc<Intent>) -> ResourceId {
        let key = identity_key(intent);
        if let Some(&id) = self.live.get(&intent.name) {
            self.update(id, set, intent);
            return id;
        }
        let same_thing = self.identities.get(&key).copied().filter(|&id| self.is_tombstone(id));
        let id = match same_thing {
            Some(id) if !self.get(id).is_some_and(super::state::Resource::delete_granted) => {
                self.resurrect(id, set, intent, self.version);
                id
            }
            deleting => {
                let id = self.create(set, intent);
                let before = self.tombstone(&intent.name);
                match (deleting.or(before), intent.policy.replace) {
                    (Some(tombstone), Replace::CreateFirst) if deleting.is_none() && self.can_outlive(tombstone) => {
                        self.outlive(tombstone, id);
                    }
                    (Some(tombstone), _) => {
                        self.wait_for(id, tombstone);
                        self.ask_back(tombstone);
                    }
                    (None, _) => {}
                }
                id
            }
        };
        self.identities.insert(key, id);
        self.resolve(&intent.name);
        id
    }

    fn create(&mut self, set: &Name, intent: &Arc<Intent>) -> ResourceId {
        let id = self.next_resource();
        self.insert(ResourceRow {
            resource: id,
            set: set.clone(),
            intent: Arc::clone(intent),
            version: self.version,
            life: Life::Live,
            after: None,
            attempted: None,
            succeeded: None,
            last_result: super::LastResult::New,
            skipped: false,
            observed: super::Observed::Unknown,
            failures: 0,
            due_at: None,
            verified_at: None,
            deployed_at: None,
            last_attempt: None,
            changed_by: None,
            error: None,
            drift: None,
            remote_identity: None,
            facts: super::Facts::default(),
            reload: None,
            maybe_changed: false,
            removal_approved: false,
        });
        self.live.insert(intent.name.clone(), id);
        self.touch(id);
        id
    }

    /// A new intent for the same thing. Its retries start over if it is a change; an edge alone changes nothing but the order.
    fn update(&mut self, id: ResourceId, set: &Name, intent: &Arc<Intent>) {
        let version = self.version;
        let Some(resource) = self.get_mut(id) else { return };
        let changes = resource.row.intent.hash() != intent.hash();
        resource.row.set = set.clone();
        resource.row.intent = Arc::clone(intent);
        resource.row.version = version;
        if changes {
            resource.row.failures = 0;
            resource.row.skipped = false;
            self.disarm(id);
            self.ask_back(id);
        }
        self.touch(id);
    }

    fn schedule_change(&mut self, id: ResourceId) {
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
