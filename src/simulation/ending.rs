//! How a run ends: the faults stop, everything becomes good within a bound, the targets are as last written, and then nothing moves any more.

use super::Size;
use super::agenda::Happening;
use super::owner::OwnerId;
use super::targets::{Key, Object, key_of};
use super::violation::{Checker, Violation};
use super::world::World;
use crate::core::{
    DeletionPolicy, FactRef, Hold, Intent, KnownFact, Life, Mode, Observed, RequestKind, ResourceId, ResourceRow,
    ResourceView, Scope, VersionNumber,
};
use std::collections::BTreeSet;

/// How long everything may take to become good when the faults have stopped: leases, longest retries, and work.
const REST_WITHIN_MS: u64 = 20 * 60_000;
/// After so long nothing that was sent before the faults stopped is under way any more.
const ECHOES_MS: u64 = 130_000;
/// How long the rest is looked at.
const REST_MS: u64 = 24 * 3_600_000;
/// How often.
const LOOK_MS: u64 = 600_000;

impl World {
    /// From the end of the faults to the end of the run.
    pub(super) fn end(&mut self) {
        self.heal();
        self.run_until(self.now + ECHOES_MS);
        self.users_heal();
        self.come_to_rest("when the faults had stopped", |world| world.users.are_answered());
        self.make_everything_healthy();
        self.come_to_rest("when all intents could be deployed", World::is_good);
        self.verify_everything();
        self.come_to_rest("when everything was to be verified", World::is_good);
        if self.violation.is_none() {
            self.check_written();
            self.try_by_what_is_bad();
            self.come_to_rest("when nothing was bad any more", World::is_good);
        }
        if self.violation.is_none() {
            self.try_by_an_executor_that_is_parted();
            self.come_to_rest("when an executor was there again", World::is_good);
        }
        if self.violation.is_none() {
            self.check_end();
        }
        self.rest();
    }

    /// How a swept world ends: everything becomes good, as above.
    pub(super) fn end_of_script(&mut self) {
        self.heal();
        self.everything_becomes_good();
        if self.violation.is_none() {
            self.check_end();
        }
    }

    /// Whatever held is lifted, and everything can be deployed, and is.
    pub(super) fn everything_becomes_good(&mut self) {
        self.users_heal();
        self.come_to_rest("when everything was lifted", |world| world.users.are_answered());
        self.make_everything_healthy();
        self.come_to_rest("when all intents could be deployed", World::is_good);
    }

    /// What is protected and removed stays for ever, and with it what waits for it: users give it up, and what then requires nothing is mended.
    fn make_everything_healthy(&mut self) {
        for _ in 0..8 {
            self.users_push_healthy_intents();
            self.come_to_rest("when what was wrong was mended", |world| world.users.are_answered());
            self.run_until(self.now + 2_000);
            if !self.users_give_up_what_is_protected() {
                return;
            }
            self.come_to_rest("when what is protected was given up", |world| world.users.are_answered());
        }
    }

    /// Everything is verified, and one thing fails while nobody looks: only its timer brings it back.
    fn verify_everything(&mut self) {
        let names: Vec<_> = self.store.journal.current.values().map(|intent| intent.name.clone()).collect();
        self.targets.failing.extend(self.random.pick(&names).cloned());
        self.request(RequestKind::Repair, Scope::default());
        self.run_until(self.now + 10_000);
        self.targets.failing.clear();
    }

    fn heal(&mut self) {
        self.note("the faults stop");
        self.faults.healed = true;
        self.faults.skew_ms = 0;
        self.store.away_until = 0;
        self.store.lose_answers = 0;
        self.targets.hung.clear();
        self.targets.failing.clear();
        self.targets.refusing.clear();
        for state in self.executors.values_mut() {
            (state.cut_until, state.alone_until) = (0, 0);
        }
        for process in self.owners.values_mut() {
            process.clock.skew_ms = 0;
            process.standing.forget_starts();
        }
        let frozen = self.owners.iter().filter(|(_, process)| process.frozen).map(|(&id, _)| id);
        for owner in frozen.collect::<Vec<_>>() {
            self.agenda.plan(self.now, Happening::ThawOwner(owner));
        }
    }

    /// Waits until something is so, and nothing is under way.
    fn come_to_rest(&mut self, when: &str, so: impl Fn(&Self) -> bool) {
        let until = self.now + REST_WITHIN_MS;
        while self.violation.is_none() {
            self.run_until(self.now + 1_000);
            if so(self) && self.users.are_answered() {
                return;
            }
            self.deploy_what_a_report_found();
            if self.now >= until {
                let why = self.what_is_left();
                self.broke(Checker::ComesToRest, format!("{when}, it did not come to rest: {why}"));
            }
        }
    }

    /// What a report finds is left as it is until somebody deploys it: somebody does.
    fn deploy_what_a_report_found(&mut self) {
        let Some(process) = self.newest_owner().and_then(|id| self.owners.get(&id)) else { return };
        let state = process.heart.state();
        let left = |view: &ResourceView| {
            let reported = view.row.observed == Observed::Reported && view.queued.is_none() && view.running.is_none();
            reported && matches!(state.why(view.row.resource).first(), Some(Hold::Drifted))
        };
        let names: Vec<_> = state.views().filter(left).map(|view| view.row.intent.name.clone()).collect();
        if !names.is_empty() && self.users.are_answered() {
            self.request(RequestKind::Deploy, Scope { target: None, names: Some(names) });
        }
    }

    pub(super) fn only_owner(&self) -> Option<OwnerId> {
        let mut owners = self.owners.iter().filter(|(_, process)| !process.frozen);
        let (&id, process) = owners.next()?;
        (owners.next().is_none() && !process.heart.is_writing()).then_some(id)
    }

    /// Everything is good, and nothing is queued, granted, running or unacknowledged.
    fn is_good(&self) -> bool {
        let Some(process) = self.only_owner().and_then(|id| self.owners.get(&id)) else { return false };
        let state = process.heart.state();
        let held = self.executors.values().any(|executor| !executor.held.is_empty());
        !held && state.quiet() && state.views().all(|view| view.good)
    }

    pub(super) fn what_is_left(&self) -> String {
        let Some(process) = self.newest_owner().and_then(|id| self.owners.get(&id)) else {
            return "nobody owns the environment".to_owned();
        };
        let state = process.heart.state();
        let bad = state.views().filter(|view| !view.good || view.queued.is_some() || view.running.is_some());
        // What only waits for others says least.
        let mut bad: Vec<_> = bad.collect();
        bad.sort_by_key(|view| {
            let first = state.why(view.row.resource).into_iter().next();
            matches!(first, Some(Hold::RequirementNotGood { .. } | Hold::RequirementBusy { .. }))
        });
        let bad: Vec<String> = bad
            .iter()
            .take(5)
            .map(|view| {
                let why: Vec<String> = state.why(view.row.resource).iter().map(ToString::to_string).collect();
                format!("{} ({:?}): {}", view.row.intent.name, view.row.life, why.join("; "))
            })
            .collect();
        let held: usize = self.executors.values().map(|executor| executor.held.len()).sum();
        format!("{}; {held} attempts at executors; calls answered: {}", bad.join(" | "), self.users.are_answered())
    }

    /// Everything is on its target as it was last written.
    fn check_written(&mut self) {
        let mut current = self.store.journal.current.values();
        if let Some(intent) = current.find(|intent| !self.is_as_written(intent)) {
            let object = self.targets.object(&key_of(intent));
            let detail = format!("{} is wanted with {}, and there is {object:?}", intent.name, intent.attributes);
            self.broke(Checker::AsLastWritten, detail);
        }
    }

    fn check_end(&mut self) {
        self.check_written();
        let journal = &self.store.journal;
        let mut found: Vec<Violation> = Vec::new();
        let mut wrong = |checker, detail| found.push(Violation { checker, detail });
        for (attempt, granted) in journal.open() {
            let detail = format!("attempt {attempt} at {} has no outcome at rest", granted.executor);
            wrong(Checker::OneOutcomePerGrant, detail);
        }
        for (key, object) in self.targets.objects() {
            if let Some(id) = object.resource.filter(|_| object.created && !self.is_known(key, object)) {
                wrong(
                    Checker::NothingUnknown,
                    format!("{key:?} was made for resource {id}, which is {}", self.life(id)),
                );
            }
        }
        for version in (1..=journal.newest().0).map(VersionNumber) {
            let stored = self.store.intents_at(version).unwrap_or_default();
            let same = |record: &crate::core::IntentRecord| {
                journal.at(version, &record.name).is_some_and(|intent| Some(intent) == record.intent.as_ref())
            };
            if !stored.iter().all(same) || stored.len() != journal.count_at(version) {
                wrong(Checker::AcceptedIsKept, format!("version {version} is not in history as it was accepted"));
            }
        }
        let asked: BTreeSet<_> = self.users.removed.union(&self.users.forgotten).collect();
        for (name, version) in journal.removals() {
            if !asked.contains(name) {
                let detail = format!("version {version} removed {name}, which nobody asked for");
                wrong(Checker::OnlyRemovedIsDeleted, detail);
            }
        }
        for violation in found {
            self.found(Some(violation));
        }
    }

    /// What is on the target is what its intent says, with the facts that there are and the secrets as they are now.
    pub(super) fn is_as_written(&self, intent: &Intent) -> bool {
        let journal = &self.store.journal;
        let known = |of: &FactRef| {
            let object = self.targets.object(&key_of(journal.live(&of.name)?.1))?;
            Some(KnownFact { of: of.clone(), value: object.facts().get(&of.fact)?.into() })
        };
        let facts: Option<Vec<KnownFact>> = intent.facts_taken().map(known).collect();
        let content = facts.map(|facts| self.content_of(intent, &facts));
        let object = self.targets.object(&key_of(intent));
        content.is_some_and(|content| object.is_some_and(|object| object.content == content))
    }

    /// A run that was smaller than it was meant to be proves less than it says.
    pub(super) fn must_have_been_large(&mut self, size: Size) {
        let resources = self.store.journal.resources();
        if resources < size.names || self.events < size.events {
            let detail = format!("{resources} resources and {} events, of {size:?}", self.events);
            self.broke(Checker::LargeEnough, detail);
        }
    }

    /// What an object was made for, or what took it over, is wanted, or was left there on purpose.
    fn is_known(&self, key: &Key, object: &Object) -> bool {
        let journal = &self.store.journal;
        let kept = |row: &ResourceRow| {
            let policy = &row.intent.policy;
            let left = policy.deletion_policy == DeletionPolicy::Orphan || policy.mode == Mode::Observe;
            let forgotten = self.users.forgotten.contains(&row.intent.name);
            journal.current.contains_key(&row.resource) || (row.life == Life::Orphan && (left || forgotten))
        };
        let of_it = |row: &&ResourceRow| {
            let same = key_of(&row.intent) == *key;
            Some(row.resource) == object.resource || row.remote_identity.as_ref() == Some(&object.identity) || same
        };
        journal.rows.values().filter(of_it).any(kept)
    }

    fn life(&self, id: ResourceId) -> String {
        let rows = &self.store.journal.rows;
        let Some(of) = rows.get(&id).map(|row| key_of(&row.intent)) else { return "not in history".to_owned() };
        let told = rows.values().filter(|row| key_of(&row.intent) == of).map(|row| {
            let ResourceRow { resource, life, attempted, last_attempt, remote_identity, .. } = row;
            let (attempted, policy) = (attempted.is_some(), &row.intent.policy);
            format!("{resource}: {life:?}, attempted {attempted} {last_attempt:?}, {remote_identity:?}, {policy:?}")
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// I7: nothing is written, sent or woken, though everything is said again, the owner starts anew, and a day goes by.
    fn rest(&mut self) {
        let batches = self.store.journal.batches;
        if let Some(owner) = self.newest_owner() {
            self.note("everything is configured again");
            self.tell_everything(owner);
        }
        self.run_until(self.now + 60_000);
        if let Some(owner) = self.newest_owner() {
            self.note(&format!("owner-{owner} ends, and the next one starts"));
            self.kill_owner(owner);
        }
        self.run_until(self.now + 120_000);
        if self.violation.is_none() && !self.is_good() {
            self.broke(Checker::ComesToRest, format!("a new owner makes trouble: {}", self.what_is_left()));
        }
        let (sent, wakes, from) = (self.sent, self.wakes, self.now);
        while self.violation.is_none() && self.now < from + REST_MS {
            self.run_until(self.now + LOOK_MS);
            let written = self.store.journal.batches - batches;
            let (sent, wakes, minutes) = (self.sent - sent, self.wakes - wakes, (self.now - from) / 60_000);
            if written > 0 {
                self.broke(Checker::RestWritesNothing, format!("{written} batches were written at rest"));
            }
            if sent > 0 {
                self.broke(Checker::RestSaysNothing, format!("{sent} messages were sent at rest"));
            }
            // A loop without timers looks around once an hour, by a clock that may be fast.
            if wakes > minutes * 21 / 20 / 60 + 1 {
                self.broke(Checker::RestSleeps, format!("the loop woke {wakes} times in {minutes} minutes of rest"));
            }
        }
    }
}
