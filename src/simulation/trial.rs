//! What chance alone brings about too rarely, put to the test in every world, when nothing else goes wrong.
//!
//! I8: everything changes at once while one target hangs, one thing can never be made and one intent can never be accepted. What does not
//! stand on any of them is deployed within a bound, as if they were not there.
//!
//! I4: everything changes at once, and one executor that is at work is parted from everybody until its work is another one's. What it still does when its
//! lease is over, by its own clock, must have ended when another one begins, by the owner's.

use super::executor::LEASE_MS;
use super::orders::{bad_intent, with};
use super::stream::LOSS_MS;
use super::users::push_of;
use super::violation::Checker;
use super::world::World;
use crate::core::{Event, Intent, Name, PushMode, TargetName};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How long what stands on nothing bad may take: an idle environment's longest way to a grant, and some time for each thing, since one may
/// require the other.
const AT_LEAST_MS: u64 = 30_000;
const EACH_MS: u64 = 2_000;

impl World {
    pub(super) fn try_by_what_is_bad(&mut self) {
        let current: Vec<Arc<Intent>> = self.store.journal.current.values().cloned().collect();
        let (Some(bad), Some(hung)) = (self.random.pick(&current).cloned(), self.random.pick(&current).cloned()) else {
            return;
        };
        // Where an executor takes few grants at once, those of a target that hangs may be all that it takes.
        let hangs = self.users.credits > super::users::FEW_CREDITS;
        if hangs {
            self.note(&format!("{} hangs", hung.target));
            self.targets.hung.insert(hung.target.clone());
        }
        self.note(&format!("{} can never be made", bad.name));
        self.targets.refusing.insert(bad.name.clone());
        let changed = |intent: &Arc<Intent>| with(intent, |parts| parts.attributes = r#"{"value":"tried"}"#.into());
        let mut upserts: Vec<Arc<Intent>> = current.iter().map(changed).collect();
        let impossible = with(&bad, |parts| (parts.name, parts.identity) = ("impossible".into(), "impossible".into()));
        upserts.push(bad_intent(&impossible));
        self.say_to_owner(Event::Push(push_of(upserts, PushMode::Each)));
        let others = others(&current, &bad.name, hangs.then_some(&hung.target));
        self.wait_for_others(&others);
        self.targets.hung.clear();
        self.targets.refusing.clear();
    }

    /// An executor at work reaches nobody; another one is there for its work.
    pub(super) fn try_by_an_executor_that_is_parted(&mut self) {
        let outlasts = |intent: &Arc<Intent>| {
            with(intent, |parts| {
                parts.attributes = r#"{"value":"moved"}"#.into();
                parts.policy.deadline_ms = 3 * LEASE_MS;
            })
        };
        let upserts = self.store.journal.current.values().map(outlasts).collect();
        self.faults.parts_next = true;
        self.say_to_owner(Event::Push(push_of(upserts, PushMode::Each)));
        self.run_until(self.now + 2 * LOSS_MS);
        self.faults.parts_next = false;
    }

    fn wait_for_others(&mut self, others: &BTreeSet<Name>) {
        let until = self.now + AT_LEAST_MS + EACH_MS * self.store.journal.current.len() as u64;
        while self.violation.is_none() {
            self.run_until(self.now + 1_000);
            let Some(late) = self.first_not_as_written(others) else { return };
            if self.now >= until {
                let why = self.why(&late);
                let detail = format!("{late} stands on nothing that is bad, and is not deployed in time: {why}");
                self.broke(Checker::OthersGoOn, detail);
            }
        }
    }

    fn first_not_as_written(&self, others: &BTreeSet<Name>) -> Option<Name> {
        let wanted = self.store.journal.current.values().filter(|intent| others.contains(&intent.name));
        let mut late = wanted.filter(|intent| !intent.attributes.contains("tried") || !self.is_as_written(intent));
        late.next().map(|intent| intent.name.clone())
    }

    fn why(&self, name: &Name) -> String {
        let Some(process) = self.newest_owner().and_then(|id| self.owners.get(&id)) else { return String::new() };
        let state = process.heart.state();
        let why = state.find(name).map(|id| state.why(id)).unwrap_or_default();
        why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// Everything that is neither bad, nor on the target that hangs, nor requires such a thing.
fn others(current: &[Arc<Intent>], bad: &Name, hung: Option<&TargetName>) -> BTreeSet<Name> {
    let is_bad = |intent: &&Arc<Intent>| intent.name == *bad || Some(&intent.target) == hung;
    let mut touched: BTreeSet<Name> = current.iter().filter(is_bad).map(|intent| intent.name.clone()).collect();
    loop {
        let stands = |intent: &&Arc<Intent>| intent.requires.iter().any(|name| touched.contains(name));
        let more: Vec<Name> = current.iter().filter(stands).map(|intent: &Arc<Intent>| intent.name.clone()).collect();
        let before = touched.len();
        touched.extend(more);
        if touched.len() == before {
            break;
        }
    }
    let free = |intent: &&Arc<Intent>| !touched.contains(&intent.name);
    current.iter().filter(free).map(|intent| intent.name.clone()).collect()
}
