//! The model targets: what is on them, and who works on them. They know nothing of Homeostat, and remember everything, so that promises are judged
//! by what happened and not by what was recorded of it.

use super::mutant::Mutant;
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

/// What was there when somebody looked, if anything was.
#[derive(Clone, Debug)]
pub(super) struct Read(Option<Object>);

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

    /// What is there.
    pub(super) fn read(&self, intent: &Intent) -> Read {
        Read(self.objects.get(&key_of(intent)).cloned())
    }

    /// Compares with what was read.
    pub(super) fn compare(Read(read): &Read, content: &Name) -> Finding {
        let change = match read {
            None => Change::Create,
            Some(object) if object.content == *content => Change::None,
            Some(_) => Change::Update,
        };
        let diff = match read {
            _ if change == Change::None => String::new(),
            None => format!("+ {content}"),
            Some(object) => format!("- {}\n+ {content}", object.content),
        };
        Finding {
            change,
            diff: diff.into(),
            remote_identity: read.as_ref().map(|object| object.identity.clone()),
            facts: read.as_ref().filter(|_| change == Change::None).map(Object::facts).unwrap_or_default(),
            ..Finding::same()
        }
    }

    /// Compares with what was read, and changes that. What is there already is adopted; what is another thing than was read is left alone (`None`).
    pub(super) fn enforce(
        &mut self,
        grant: &Grant,
        content: &Name,
        read: &Read,
        bug: Option<Mutant>,
    ) -> (Option<Finding>, Option<Violation>) {
        let finding = Self::compare(read, content);
        if bug == Some(Mutant::SkipUpdates) && finding.change == Change::Update {
            return (Some(finding), None);
        }
        let key = key_of(&grant.intent);
        let is_read = self.is_still(&key, read);
        if !is_read && finding.change == Change::None {
            return (Some(finding), None);
        }
        if !is_read && bug != Some(Mutant::OverwriteWhatIsThere) {
            return (None, None);
        }
        let stranger = self.stranger(&key).filter(|_| !is_read);
        let violation = stranger.map(|identity| Violation {
            checker: Checker::StrangersUntouched,
            detail: format!(
                "attempt {} overwrote {identity}, which somebody else had made since it looked",
                grant.attempt
            ),
        });
        let identity = finding.remote_identity.clone().unwrap_or_else(|| self.new_identity());
        let created = self.objects.get(&key).is_none_or(|before| before.created);
        let content = content.clone();
        let object = Object { identity: identity.clone(), content, resource: grant.resource, created };
        let facts = object.facts();
        self.note_change(&key, finding.change, grant.reload.is_some());
        self.objects.insert(key, object);
        (Some(Finding { remote_identity: Some(identity), facts, ..finding }), violation)
    }

    /// What is there is what was read: changed perhaps, but no other thing.
    fn is_still(&self, key: &Key, Read(read): &Read) -> bool {
        self.objects.get(key).map(|object| &object.identity) == read.as_ref().map(|object| &object.identity)
    }

    /// What somebody else made there.
    fn stranger(&self, key: &Key) -> Option<Name> {
        let object = self.objects.get(key).filter(|object| object.resource.is_none())?;
        Some(object.identity.clone())
    }

    /// The resource for which what is there was made; `None`: nothing is there, or somebody else made it.
    pub(super) fn made_for(&self, intent: &Intent) -> Option<ResourceId> {
        self.objects.get(&key_of(intent))?.resource
    }

    /// Deletes what was read, where it is what is recorded: by identity where there is one, else what we made under that name. What is another thing
    /// than was read is left alone (`None`).
    pub(super) fn delete(
        &mut self,
        grant: &Grant,
        read: &Read,
        bug: Option<Mutant>,
    ) -> (Option<Finding>, Option<Violation>) {
        let key = key_of(&grant.intent);
        let none = Finding::same();
        let is_meant = |object: &Object| match &grant.remote_identity {
            _ if bug == Some(Mutant::DeleteByName) => true,
            Some(identity) => object.identity == *identity,
            None => object.resource.is_some(),
        };
        if !read.0.as_ref().is_some_and(is_meant) {
            return (Some(none), None);
        }
        if !self.is_still(&key, read) && bug != Some(Mutant::DeleteWhatIsThere) {
            return (None, None);
        }
        let stranger = self.stranger(&key).map(|identity| Violation {
            checker: Checker::StrangersUntouched,
            detail: format!("attempt {} deleted {identity}, which somebody else had made", grant.attempt),
        });
        self.objects.remove(&key);
        self.note_change(&key, Change::Delete, false);
        (Some(Finding { change: Change::Delete, ..none }), stranger)
    }

    /// One of the things that are there.
    pub(super) fn thing(&self, which: usize) -> Option<Key> {
        self.objects.keys().nth(which % self.objects.len().max(1)).cloned()
    }

    /// What people do by hand: change, delete, or put something of their own in its place.
    pub(super) fn by_hand(&mut self, key: &Key, how: usize) {
        match how {
            0 => {
                if let Some(object) = self.objects.get_mut(key) {
                    object.content = "changed by hand".into();
                }
            }
            1 => drop(self.objects.remove(key)),
            _ => {
                let (identity, content) = (self.new_identity(), Arc::from("made by a stranger"));
                self.objects.insert(key.clone(), Object { identity, content, resource: None, created: false });
            }
        }
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
