//! The `Resource` objects of one environment, and how far each has been taken in: which edits wait to become a version, which were refused, which
//! are being deleted.
//!
//! Pure: no client, no scheduler, no clock. What an object that is gone means is decided here, once: a removal that we finished ourselves is the end
//! of it; every other absence is an orphan, never a deletion.

use super::resource_status::{Acceptance, Refusal};
use super::seen::{Handled, SeenResource};
use super::settle::{Rest, Settle};
use crate::api::ResourceStatus;
use crate::core::{self, Forget, Intent, Push, PushMode, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The resource set that objects make.
pub const SET: &str = "objects";

/// One object.
#[derive(Debug)]
pub struct Entry {
    /// As it was last seen.
    pub object: Arc<SeenResource>,
    /// How far its newest generation has come.
    pub acceptance: Acceptance,
    /// The newest generation whose acceptance or refusal is in history.
    pub settled: Option<i64>,
    /// Its removal is in history; its finalizer may go when it has left the target.
    pub removed: bool,
    /// Its finalizer has been taken off: it will vanish.
    pub released: bool,
    /// The status it should have, as last written or read.
    pub status: ResourceStatus,
    /// Requests that were handled.
    pub handled: Handled,
}

/// What one push takes in.
#[derive(Debug, Default)]
pub struct Batch {
    /// Objects whose intent is wanted, as they were when the batch was made.
    pub upserts: Vec<(String, Arc<SeenResource>, Arc<Intent>)>,
    /// Objects that are being deleted.
    pub removals: Vec<(String, Arc<SeenResource>)>,
    /// Names that are left on their targets: their objects vanished, or somebody gave them up.
    pub orphans: BTreeSet<String>,
    /// Objects whose spec was refused already: nothing is pushed for them.
    pub invalid: Vec<String>,
    author: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Book {
    entries: BTreeMap<String, Entry>,
    edited: BTreeSet<String>,
    refused: BTreeSet<String>,
    vanished: BTreeSet<String>,
    settle: Settle,
}

impl Book {
    /// The object changed, or is gone. Returns whether its status must be thought over.
    pub fn see(&mut self, name: &str, object: Option<Arc<SeenResource>>, now: Timestamp) -> bool {
        if let Some(object) = object {
            return self.saw(name, object, now);
        }
        self.missed(name, now);
        false
    }

    fn saw(&mut self, name: &str, object: Arc<SeenResource>, now: Timestamp) -> bool {
        self.vanished.remove(name);
        let known = self.entries.get_mut(name).filter(|entry| entry.object.meta.uid == object.meta.uid);
        let Some(entry) = known else {
            let entry = Entry {
                acceptance: Acceptance::Pending,
                settled: None,
                removed: false,
                released: false,
                handled: Handled::read(
                    object.status.last_handled_deploy_at.as_ref(),
                    object.status.last_handled_repair_at.as_ref(),
                ),
                status: object.status.clone(),
                object,
            };
            self.entries.insert(name.to_owned(), entry);
            self.edit(name, now);
            return true;
        };
        let (before, after) = (&entry.object.meta, &object.meta);
        let edited = before.generation != after.generation
            || before.deleting != after.deleting
            || before.force_orphan != after.force_orphan
            // Our finalizer was taken off by hand: it is put on again.
            || (before.is_held() && !after.is_held() && !after.deleting)
            || entry.object.parsed != object.parsed;
        entry.object = object;
        if edited {
            self.edit(name, now);
        }
        edited
    }

    fn missed(&mut self, name: &str, now: Timestamp) {
        self.edited.remove(name);
        self.refused.remove(name);
        if let Some(entry) = self.entries.remove(name)
            && !entry.released
            && !entry.removed
        {
            self.vanished.insert(name.to_owned());
            self.settle.edited(now);
        }
    }

    /// The environment knows this live resource of ours from earlier: without an object it is an orphan.
    pub fn recall(&mut self, name: &str, now: Timestamp) {
        if !self.entries.contains_key(name) {
            self.vanished.insert(name.to_owned());
            self.settle.edited(now);
        }
    }

    /// The object must be taken in (again).
    pub fn edit(&mut self, name: &str, now: Timestamp) {
        self.edited.insert(name.to_owned());
        self.settle.edited(now);
    }

    /// Everything must be taken in again: the scheduler is a new one.
    pub fn edit_all(&mut self, now: Timestamp) {
        self.edited.extend(self.entries.keys().cloned());
        if !self.edited.is_empty() {
            self.settle.edited(now);
        }
    }

    /// The environment takes no intent from objects. Returns the names whose status must be thought over.
    pub fn refuse_source(&mut self, batch: &Batch) -> Vec<String> {
        for (name, object, _) in &batch.upserts {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.settle(object.meta.generation, Acceptance::Refused(Refusal::WrongSource));
            }
        }
        batch.upserts.iter().map(|(name, ..)| name.clone()).collect()
    }

    /// When the edits are due.
    pub fn due(&self, rest: Rest) -> Option<Timestamp> {
        self.settle.due(rest)
    }

    /// Takes all edits if they are due, and with them what was refused before: something else may have changed what refused it.
    pub fn take(&mut self, rest: Rest, now: Timestamp) -> Option<Batch> {
        if !self.settle.take(now, rest) {
            return None;
        }
        let mut batch = Batch { orphans: std::mem::take(&mut self.vanished), ..Batch::default() };
        let refused = std::mem::take(&mut self.refused);
        for name in std::mem::take(&mut self.edited).into_iter().chain(refused).collect::<BTreeSet<_>>() {
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            let object = Arc::clone(&entry.object);
            if object.meta.deleting {
                if object.meta.force_orphan {
                    batch.orphans.insert(name.clone());
                }
                batch.removals.push((name, object));
                continue;
            }
            match object.parsed.clone() {
                Ok(intent) => {
                    batch.author = batch.author.take().or_else(|| object.meta.author.clone());
                    batch.upserts.push((name, object, intent));
                }
                // Nothing to record: its last accepted intent stays.
                Err(errors) => {
                    entry.settle(object.meta.generation, Acceptance::Refused(Refusal::Invalid(errors)));
                    batch.invalid.push(name);
                }
            }
        }
        Some(batch)
    }

    /// The batch is in history, with these refusals. Returns the names whose status must be thought over.
    pub fn settled(&mut self, batch: &Batch, refusals: &[core::Refusal]) -> Vec<String> {
        let refused: BTreeMap<&str, &core::RefusalKind> =
            refusals.iter().map(|refusal| (&*refusal.name, &refusal.kind)).collect();
        for (name, object, _) in &batch.upserts {
            let acceptance = match refused.get(name.as_str()) {
                Some(kind) => {
                    self.refused.insert(name.clone());
                    Acceptance::Refused(Refusal::Environment((*kind).clone()))
                }
                None => Acceptance::Accepted,
            };
            if let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.object.meta.uid == object.meta.uid) {
                entry.settle(object.meta.generation, acceptance);
            }
        }
        for (name, object) in &batch.removals {
            if let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.object.meta.uid == object.meta.uid) {
                entry.removed = true;
                entry.settle(object.meta.generation, Acceptance::Accepted);
            }
        }
        let upserts = batch.upserts.iter().map(|(name, ..)| name.clone());
        upserts
            .chain(batch.removals.iter().map(|(name, _)| name.clone()))
            .chain(batch.invalid.iter().cloned())
            .collect()
    }

    /// The batch could not be taken in: all of it waits again.
    pub fn give_back(&mut self, batch: Batch, now: Timestamp) {
        self.edited.extend(batch.upserts.into_iter().map(|(name, ..)| name));
        self.edited.extend(batch.removals.into_iter().map(|(name, _)| name));
        self.vanished.extend(batch.orphans);
        self.settle.edited(now);
    }

    /// One object.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// One object, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.entries.get_mut(name)
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All objects, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter()
    }

    /// Objects whose removal is in history, and which are still there because of us.
    pub fn leaving(&self) -> Vec<String> {
        let leaving =
            self.entries.iter().filter(|(_, entry)| entry.removed && !entry.released && entry.object.meta.deleting);
        leaving.map(|(name, _)| name.clone()).collect()
    }

    /// Whether every object's newest generation is in history, or refused.
    pub fn is_settled(&self) -> bool {
        self.edited.is_empty() && self.vanished.is_empty()
    }
}

impl Entry {
    fn settle(&mut self, generation: i64, acceptance: Acceptance) {
        self.settled = Some(generation);
        // An edit that came meanwhile is decided by its own push.
        if self.object.meta.generation == generation {
            self.acceptance = acceptance;
        }
    }
}

impl Batch {
    /// The push of all intents and removals.
    pub fn push(&self) -> Push {
        Push {
            set: SET.into(),
            upserts: self.upserts.iter().map(|(_, _, intent)| Arc::clone(intent)).collect(),
            removals: self.removals.iter().map(|(name, _)| name.as_str().into()).collect(),
            prune: false,
            approved: false,
            base: None,
            mode: PushMode::Each,
            author: self.author.as_deref().unwrap_or(SET).into(),
            source: SET.into(),
            message: "".into(),
        }
    }

    /// What is left on its targets.
    pub fn forget(&self) -> Option<Forget> {
        (!self.orphans.is_empty()).then(|| Forget {
            names: self.orphans.iter().map(|name| name.as_str().into()).collect(),
            author: SET.into(),
            message: "its object is gone without a deletion, or was given up".into(),
        })
    }

    /// Whether the push would do anything at all.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty()
    }
}

#[cfg(test)]
mod tests;
