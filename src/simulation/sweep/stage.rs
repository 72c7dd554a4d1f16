//! How a script is played: step by step, each call answered before the next one, and the world at rest wherever the script says so.

use super::super::agenda::Happening;
use super::super::random::Random;
use super::super::targets::key_of;
use super::super::violation::Checker;
use super::super::world::World;
use super::REST_WITHIN_MS;
use super::script::Step;
use crate::core::{Event, Hold, Life, Repair, ResourceView, Windows};
use std::collections::BTreeSet;

/// How often it is looked whether a call is answered, or the world at rest.
const LOOK_MS: u64 = 100;

impl World {
    /// Processes start; nobody acts but the script, and nothing depends on the time of day.
    pub(super) fn open_stage(&mut self) {
        self.users.windowed = false;
        self.users.settings.repair = Repair::default();
        for target in self.users.configured.values_mut() {
            target.windows = Windows::default();
        }
        self.agenda.plan(0, Happening::Start);
        self.agenda.plan(10, Happening::Launch);
    }

    /// Does what a step says.
    pub(super) fn perform(&mut self, step: Step) {
        match step {
            Step::Say(event) => {
                self.say_to_owner(event);
                self.await_that("a call to be answered", |world| world.users.are_answered());
            }
            Step::Pause(ms) => self.run_until(self.now + ms),
            Step::Settings(on_change, most) => {
                self.users.settings.on_change = on_change;
                self.users.settings.max_in_flight = most;
                self.tell(Event::SettingsChanged(self.users.settings.clone()));
            }
            Step::Limits(name, concurrency, rate) => {
                if let Some(target) = self.users.configured.get_mut(&name) {
                    (target.concurrency, target.rate_limit) = (concurrency, rate);
                    let target = target.clone();
                    self.tell(Event::TargetChanged(target));
                }
            }
            Step::Remove(name) => {
                self.users.configured.remove(&name);
                self.tell(Event::TargetRemoved(name));
            }
            Step::ByHand(which, how) => {
                if let Some(key) = self.targets.thing(which) {
                    self.targets.by_hand(&key, how);
                }
            }
            Step::Refuse(name) => drop(self.targets.refusing.insert(name)),
            Step::Rotate(from) => self.vault.rotate(&mut Random::new(from)),
            Step::Heal => {
                self.targets.refusing.clear();
                self.everything_becomes_good();
            }
            Step::Settle => self.await_that("the world to settle", Self::rests),
            Step::Rest { .. } => {
                self.await_that("the world to rest", Self::rests);
                self.forgive_what_is_not_required();
            }
        }
    }

    /// Whoever does not require something any more need not reload for it, nor for what no longer tells anybody.
    fn forgive_what_is_not_required(&mut self) {
        let live = || self.store.journal.rows.values().filter(|row| row.life == Life::Live).map(|row| &row.intent);
        let sends: BTreeSet<_> = live().filter(|intent| intent.policy.notify.send).map(|intent| &intent.name).collect();
        let required: BTreeSet<_> = live()
            .flat_map(|intent| intent.requires.iter().map(move |name| (intent, name)))
            .filter(|(_, name)| sends.contains(name))
            .map(|(intent, name)| (key_of(intent), name.clone()))
            .collect();
        self.targets.forgive(|key, name| required.contains(&(key.clone(), name.clone())));
    }

    fn await_that(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let until = self.now + REST_WITHIN_MS;
        while self.violation.is_none() {
            self.run_until(self.now + LOOK_MS);
            if so(self) {
                return;
            }
            if self.now >= until {
                let why = self.what_is_left();
                self.broke(Checker::ComesToRest, format!("a sweep waits for {what}: {why}"));
            }
        }
    }

    /// Nothing is under way, and nothing will be before somebody acts; but for what can never be made, which is tried again and again.
    fn rests(&self) -> bool {
        let Some(process) = self.only_owner().and_then(|id| self.owners.get(&id)) else { return false };
        let state = process.heart.state();
        let thinks = process.heart.due_in_ms(process.wall(self.now)) == Some(0);
        let held = self.executors.values().any(|executor| !executor.held.is_empty());
        let heard = self.now >= process.started_at + LOOK_MS;
        let stays = |view: &ResourceView| {
            let why = state.why(view.row.resource);
            // What waits for its release says nothing of what is in force.
            let mut of_what_is_in_force = why.iter().filter(|hold| !matches!(hold, Hold::Release { .. }));
            view.running.is_none() && of_what_is_in_force.next().is_none_or(stays)
        };
        self.users.are_answered() && heard && !thinks && !held && state.views().all(|view| stays(&view))
    }
}

/// Whether this hold stays until somebody acts.
pub(super) fn stays(hold: &Hold) -> bool {
    match hold {
        // What was lost is tried again, and then it is either good or refused.
        Hold::RetryAt { error, .. } => error.as_ref().is_some_and(|error| error.contains("the target says no")),
        Hold::Running(_)
        | Hold::ForgottenRuns
        | Hold::DependentsYielding
        | Hold::ExecutorUnavailable { .. }
        | Hold::OutsideWindow { .. }
        | Hold::InFlight { .. }
        | Hold::Rate { .. }
        | Hold::Concurrency { .. } => false,
        _ => true,
    }
}
