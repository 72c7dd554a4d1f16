//! The model targets: what is on them, and who works on them. They know nothing of Homeostat, and remember everything, so that promises are judged
//! by what happened and not by what was recorded of it.

use super::violation::{Checker, Violation};
use crate::core::{
    AttemptId, Change, ExecutorName, Facts, Finding, Grant, Intent, Name, Operation, ResourceId, TargetName,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// (target, type, identity).
pub(super) type Key = (TargetName, Name, Name);

/// Something on a target.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// What the target calls it; never used twice.
    pub(super) identity: Name,
    /// Its attributes, with what fills them.
    pub(super) content: Name,
    /// The resource that made or adopted it; `None`: somebody else did.
    pub(super) resource: Option<ResourceId>,
    /// It was not there before.
    pub(super) created: bool,
}

/// One attempt at work.
#[derive(Clone, Debug)]
pub(super) struct AtWork {
    pub(super) executor: ExecutorName,
    pub(super) attempt: AttemptId,
    pub(super) resource: Option<ResourceId>,
    /// It is a report: whatever requires it need not wait for that.
    looks: bool,
}

/// All targets.
#[derive(Debug, Default)]
pub(super) struct Targets {
    objects: BTreeMap<Key, Object>,
    at_work: BTreeMap<TargetName, Vec<AtWork>>,
    /// Processes that stand still: what they had begun is not at work.
    pub(super) frozen: BTreeSet<ExecutorName>,
    pub(super) hung: BTreeSet<TargetName>,
    /// Names whose enforcement always fails.
    pub(super) refusing: BTreeSet<Name>,
    /// Names whose enforcement fails for now.
    pub(super) failing: BTreeSet<Name>,
    last_identity: u64,
    /// Changes by attempts since they were last taken.
    changes: BTreeMap<Key, u64>,
    /// Things that are to reload, and what for.
    owed: BTreeMap<Key, BTreeSet<Name>>,
}

impl Object {
    /// What can be learned of it: something of what is in it, and what it is called.
    pub(super) fn facts(&self) -> Facts {
        let digest = crate::core::Hash::of(&[self.content.as_bytes()]).to_string();
        Facts::new([("value", format!("\"{digest}\"")), ("serial", format!("\"{}\"", self.identity))])
    }
}

pub(super) fn key_of(intent: &Intent) -> Key {
    (intent.target.clone(), intent.kind.clone(), intent.identity.clone())
}

impl Targets {
    pub(super) fn object(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter()
    }

    /// Where somebody is at work.
    pub(super) fn busy(&self) -> Vec<TargetName> {
        self.at_work.iter().filter(|(_, works)| !works.is_empty()).map(|(target, _)| target.clone()).collect()
    }

    /// Who works for a resource now, anywhere.
    pub(super) fn works_for(&self, resource: ResourceId) -> Option<&AtWork> {
        let mut all = self.at_work.values().flatten().filter(|work| !self.frozen.contains(&work.executor));
        all.find(|work| work.resource == Some(resource) && !work.looks)
    }

    /// An executor begins to work. A dry run only looks.
    pub(super) fn begin(&mut self, executor: &ExecutorName, grant: &Grant) -> Option<Violation> {
        if grant.operation == Operation::DryRun {
            return None;
        }
        let works = self.at_work.entry(grant.intent.target.clone()).or_default();
        let frozen = &self.frozen;
        let other = works.iter().find(|work| work.executor != *executor && !frozen.contains(&work.executor));
        let violation = other.map(|other| Violation {
            checker: Checker::OneExecutorPerTarget,
            detail: format!(
                "attempt {} begins on {} at {executor} while attempt {} is at work there at {}",
                grant.attempt, grant.intent.target, other.attempt, other.executor
            ),
        });
        let (attempt, resource, looks) = (grant.attempt, grant.resource, grant.reason.reports());
        works.push(AtWork { executor: executor.clone(), attempt, resource, looks });
        violation
    }

    /// An executor has ended an attempt, whatever came of it.
    pub(super) fn end(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        for works in self.at_work.values_mut() {
            works.retain(|work| !(work.executor == *executor && work.attempt == attempt));
        }
    }

    /// A process is gone, and with it all it worked on.
    pub(super) fn gone(&mut self, executor: &ExecutorName) {
        for works in self.at_work.values_mut() {
            works.retain(|work| work.executor != *executor);
        }
        self.frozen.remove(executor);
    }

    /// Read and compare.
    pub(super) fn compare(&self, intent: &Intent, content: &Name) -> Finding {
        let found = self.objects.get(&key_of(intent));
        let change = match found {
            None => Change::Create,
            Some(object) if object.content == *content => Change::None,
            Some(_) => Change::Update,
        };
        let diff = match found {
            _ if change == Change::None => String::new(),
            None => format!("+ {content}"),
            Some(object) => format!("- {}\n+ {content}", object.content),
        };
        Finding {
            change,
            diff: diff.into(),
            remote_identity: found.map(|object| object.identity.clone()),
            facts: found.filter(|_| change == Change::None).map(Object::facts).unwrap_or_default(),
            ..Finding::same()
        }
    }

    /// Read, compare and change, at once. What is there already is adopted.
    pub(super) fn enforce(&mut self, grant: &Grant, content: &Name, skips_updates: bool) -> Finding {
        let finding = self.compare(&grant.intent, content);
        if skips_updates && finding.change == Change::Update {
            return finding;
        }
        let identity = finding.remote_identity.clone().unwrap_or_else(|| self.new_identity());
        let key = key_of(&grant.intent);
        let created = self.objects.get(&key).is_none_or(|before| before.created);
        let content = content.clone();
        let object = Object { identity: identity.clone(), content, resource: grant.resource, created };
        let facts = object.facts();
        self.note_change(&key, finding.change, grant.reload.is_some());
        self.objects.insert(key, object);
        Finding { remote_identity: Some(identity), facts, ..finding }
    }

    /// The resource for which what is there was made; `None`: nothing is there, or somebody else made it.
    pub(super) fn made_for(&self, intent: &Intent) -> Option<ResourceId> {
        self.objects.get(&key_of(intent))?.resource
    }

    /// Deletes what is recorded: by identity where there is one, else what we made under that name.
    pub(super) fn delete(&mut self, grant: &Grant, by_name: bool) -> (Finding, Option<Violation>) {
        let key = key_of(&grant.intent);
        let none = Finding::same();
        let is_meant = |object: &&Object| match &grant.remote_identity {
            _ if by_name => true,
            Some(identity) => object.identity == *identity,
            None => object.resource.is_some(),
        };
        let Some(object) = self.objects.get(&key).filter(is_meant).cloned() else { return (none, None) };
        self.objects.remove(&key);
        self.note_change(&key, Change::Delete, false);
        let stranger = object.resource.is_none().then(|| Violation {
            checker: Checker::StrangersUntouched,
            detail: format!("attempt {} deleted {}, which somebody else had made", grant.attempt, object.identity),
        });
        (Finding { change: Change::Delete, ..none }, stranger)
    }

    /// What people do by hand: change, delete, or put something of their own in its place.
    pub(super) fn by_hand(&mut self, which: usize, how: usize) -> Option<Name> {
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        let key = keys.get(which % keys.len().max(1))?;
        let identity = self.new_identity();
        match how {
            0 => self.objects.get_mut(key)?.content = "changed by hand".into(),
            1 => drop(self.objects.remove(key)),
            _ => {
                let content = Arc::from("made by a stranger");
                self.objects.insert(key.clone(), Object { identity, content, resource: None, created: false });
            }
        }
        Some(key.2.clone())
    }

    /// Whoever changes reloads too.
    fn note_change(&mut self, key: &Key, change: Change, reloads: bool) {
        if change != Change::None {
            *self.changes.entry(key.clone()).or_default() += 1;
        }
        if reloads || change != Change::None {
            self.owed.remove(key);
        }
    }

    /// How often each thing was changed by an attempt since this was asked last.
    pub(super) fn take_changes(&mut self) -> BTreeMap<Key, u64> {
        std::mem::take(&mut self.changes)
    }

    /// From now on this thing is to reload, since that was changed.
    pub(super) fn owes(&mut self, key: Key, because: Name) {
        self.owed.entry(key).or_default().insert(because);
    }

    /// What a thing is to reload for.
    pub(super) fn owed(&self, key: &Key) -> impl Iterator<Item = &Name> {
        self.owed.get(key).into_iter().flatten()
    }

    /// Keeps only what is owed for a reason that still is one.
    pub(super) fn forgive(&mut self, is_required: impl Fn(&Key, &Name) -> bool) {
        for (key, because) in &mut self.owed {
            because.retain(|name| is_required(key, name));
        }
    }

    fn new_identity(&mut self) -> Name {
        self.last_identity += 1;
        format!("object-{}", self.last_identity).into()
    }
}
