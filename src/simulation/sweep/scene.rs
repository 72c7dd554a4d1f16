//! What a world at rest looks like to its users, and what of it must be as it was without faults.
//!
//! Equal must be: what is on every target; every version; every resource that there is, with all that status tells of it and every reason why it does
//! not run; who has not reloaded since something that it requires was changed.
//!
//! These may differ, and are left out:
//! - numbers of attempts, epochs, requests and resources, and what a target calls what it makes: they count what happened, and more happens;
//! - times, failures in a row, and whether a retry is due yet, for the same reason; that what waits in the queue was skipped before, because what it
//!   requires was lost;
//! - the order in which reasons are told, and those that pass by themselves: a rate that is used up, an executor that is not back yet;
//! - rows of what is gone: what is removed before it was ever attempted is an orphan, and a moment later it is a tombstone that has been deleted;
//! - where calls overlap, how often a thing was changed on its target: a word that is overtaken may have been applied before. Where nothing overlaps, a
//!   death changes nothing once more: what was made is found again;
//! - whether what is to be deleted is compliant: nobody is told;
//! - a debt to reload more than without faults, of what is held: what it requires was lost, which is a failure. Not one less.

use super::super::targets::{Key, key_of};
use super::super::world::World;
use super::stage::stays;
use crate::core::{Blocked, Compliance, Hold, LastResult, Life, Name, ResourceView};
use std::collections::{BTreeMap, BTreeSet};

/// A world at rest, thing by thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    /// What must be equal, by what it is about.
    told: BTreeMap<String, String>,
    /// What owes a reload.
    owes: BTreeSet<String>,
    /// Changes of each thing on its target since the last rest, where nothing has overlapped.
    changes: Option<BTreeMap<Key, u64>>,
}

impl Scene {
    pub(super) fn of(world: &mut World, alone: bool) -> Self {
        let changes = Some(world.targets.take_changes()).filter(|_| alone);
        let (mut told, mut owes) = (BTreeMap::new(), BTreeSet::new());
        for (key, object) in world.targets.objects() {
            let whose = if object.resource.is_some() { "ours" } else { "a stranger's" };
            let created = if object.created { "created" } else { "adopted" };
            told.insert(format!("on its target, {key:?}"), format!("{}, {whose}, {created}", object.content));
        }
        let journal = &world.store.journal;
        told.insert("versions".to_owned(), journal.newest().to_string());
        for (name, intent) in journal.content(journal.newest()).into_iter().flatten() {
            told.insert(format!("wanted, {name}"), format!("{:?}", intent.content()));
        }
        let state = world.newest_owner().and_then(|id| world.owners.get(&id)).map(|process| process.heart.state());
        if let Some(state) = state {
            let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
            for view in state.views() {
                let about = format!("{:?} {}", view.row.life, view.row.intent.name);
                let number = numbers.entry(about.clone()).or_default();
                *number += 1;
                let why = state.why(view.row.resource);
                let about = format!("{about}, {number}");
                owes.extend(view.row.reload.is_some().then(|| about.clone()));
                told.insert(about, describe(world, &view, &why));
            }
        }
        Self { told, owes, changes }
    }
}

/// Everything that status tells of a resource.
fn describe(world: &World, view: &ResourceView, why: &[Hold]) -> String {
    let row = &view.row;
    let key = key_of(&row.intent);
    let there = world.targets.object(&key).map(|object| &object.identity);
    let identity = match (&row.remote_identity, there) {
        (None, _) => "unknown",
        (Some(known), Some(there)) if known == there => "known",
        (Some(_), _) => "another",
    };
    let pending = row.pending.as_ref().map(|pending| (pending.version, pending.removed));
    let owes: Vec<&Name> = world.targets.owed(&key).collect();
    // What failed may be due again by now, and what recovers waits in the queue as what it was skipped as.
    let failed = row.last_result == LastResult::Failed && !view.good;
    let waits = view.queued.is_some() && !failed;
    let holds: BTreeSet<String> = why.iter().filter(|hold| stays(hold) && !failed).map(without_times).collect();
    let skipped = (row.skipped, view.blocked == Blocked::Dependency) == (true, true) && !waits;
    let good = view.good || (waits && row.skipped && view.compliance == Compliance::Compliant);
    let compliance = Some(view.compliance).filter(|_| row.life == Life::Live);
    let undefined = view.blocked == Blocked::Undefined;
    format!(
        "{compliance:?} good={good} undefined={undefined} last={:?} skipped={skipped} observed={:?} queued={waits} of {:?} error={:?} drift={:?} identity {identity} fact={:?} secret={} \
         in-force={:?} is-to-reload-for={owes:?} approved={} pending={pending:?} waits-for-tombstone={} why={holds:?}",
        row.last_result,
        row.observed,
        row.version,
        row.error,
        row.drift,
        row.facts.get("value"),
        row.secret_digest.is_some(),
        row.facts_in_force.is_some(),
        row.removal_approved,
        row.after.is_some(),
    )
}

/// A reason in words, without the times in it.
fn without_times(hold: &Hold) -> String {
    match hold {
        Hold::Good { .. } => "good".to_owned(),
        Hold::Suspended(by) => format!("suspended by {}, {:?}", by.author, by.target),
        hold => hold.to_string(),
    }
}

/// The first thing that is not as it was without faults, at the first rest at which anything is.
pub(super) fn first_difference(calm: &[Scene], scenes: &[Scene]) -> Option<String> {
    if calm.len() != scenes.len() {
        return Some(format!("it rested {} times, and {} times without faults", scenes.len(), calm.len()));
    }
    let both = (1..).zip(calm.iter().zip(scenes));
    both.filter_map(|(number, (calm, scene))| Some((number, difference(calm, scene)?)))
        .map(|(number, what)| format!("rest {number} of {}: {what}", calm.len()))
        .next()
}

fn difference(calm: &Scene, scene: &Scene) -> Option<String> {
    let about: BTreeSet<&String> = calm.told.keys().chain(scene.told.keys()).collect();
    let none = "nothing".to_owned();
    let told = |of: &Scene, about: &String| of.told.get(about).unwrap_or(&none).clone();
    if let Some(about) = about.into_iter().find(|about| calm.told.get(*about) != scene.told.get(*about)) {
        return Some(format!(
            "{about} is\n    {}\n  and without faults\n    {}",
            told(scene, about),
            told(calm, about)
        ));
    }
    if let Some(about) = calm.owes.difference(&scene.owes).next() {
        return Some(format!("{about} owes no reload, and does without faults"));
    }
    let (calm, now) = (calm.changes.as_ref()?, scene.changes.as_ref()?);
    let keys: BTreeSet<&Key> = calm.keys().chain(now.keys()).collect();
    let count = |of: &BTreeMap<Key, u64>, key| of.get(key).copied().unwrap_or_default();
    let key = keys.into_iter().find(|key| count(calm, key) != count(now, key))?;
    Some(format!("{key:?} was changed {} times, {} times without faults", count(now, key), count(calm, key)))
}
