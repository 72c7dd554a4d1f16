//! The world of one seed: the virtual clock, everything that stands in it, and what happens next.

use super::Size;
use super::agenda::{Agenda, Happening};
use super::coverage::Coverage;
use super::executor::{Executor, LEASE_MS, Report, Said};
use super::faults::Faults;
use super::mutant::Mutant;
use super::owner::{OwnerId, Process};
use super::random::Random;
use super::secrets::Vault;
use super::stale::Seen;
use super::store::SimulatedStore;
use super::stream::{LOSS_MS, Stream, StreamId};
use super::targets::Targets;
use super::trace::Trace;
use super::users::Users;
use super::violation::{Checker, Violation};
use crate::core::{Event, ExecutorName, Name, limits};
use crate::history::{Batch, Fence};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Events that a loop may take in between two moments of the virtual clock: more is a loop that spins.
const MOST_AT_ONCE: u32 = 20_000;

pub(super) struct World {
    pub(super) random: Random,
    pub(super) agenda: Agenda,
    /// Milliseconds since the beginning.
    pub(super) now: u64,
    pub(super) store: SimulatedStore,
    pub(super) targets: Targets,
    pub(super) vault: Vault,
    pub(super) users: Users,
    pub(super) faults: Faults,
    pub(super) seen: Seen,
    pub(super) owners: BTreeMap<OwnerId, Process>,
    pub(super) last_owner: OwnerId,
    /// Owners whose end was seen.
    pub(super) ended_owners: Vec<Name>,
    /// Since when nobody has owned the environment who is awake.
    pub(super) vacant_since: Option<u64>,
    pub(super) executors: BTreeMap<ExecutorName, Executor>,
    pub(super) last_executor: u32,
    wanted_executors: u32,
    pub(super) streams: BTreeMap<StreamId, Stream>,
    pub(super) last_stream: StreamId,
    pub(super) coverage: Coverage,
    trace: Trace,
    /// Events that a core took in.
    pub(super) events: u64,
    /// Messages sent to executors.
    pub(super) sent: u64,
    /// Timers that fired.
    pub(super) wakes: u64,
    /// Enforcements and deletions carried out on targets.
    pub(super) effects: u64,
    /// What is being heard was said before.
    pub(super) repeats: bool,
    /// The deliberate bug of this run.
    pub(super) mutant: Option<Mutant>,
    /// What history has said it has, and has not.
    pub(super) committed_later: Option<(Fence, Arc<Batch>)>,
    pub(super) violation: Option<(u64, Violation)>,
}

impl World {
    pub(super) fn new(seed: u64, size: Size, mutant: Option<Mutant>, whole_trace: bool) -> Self {
        let mut random = Random::new(seed);
        let faults = Faults::new(&mut random);
        let users = Users::new(size, &mut random);
        let vault = Vault::new(&mut random);
        let mut store = SimulatedStore::new(mutant != Some(Mutant::SkipEpochCheck));
        store.trims = mutant == Some(Mutant::TrimAccepted);
        store.journal.manual = users.manual;
        Self {
            random,
            agenda: Agenda::default(),
            now: 0,
            store,
            targets: Targets::default(),
            vault,
            users,
            faults,
            seen: Seen::default(),
            owners: BTreeMap::new(),
            last_owner: 0,
            ended_owners: Vec::new(),
            vacant_since: None,
            executors: BTreeMap::new(),
            last_executor: 0,
            wanted_executors: 1,
            streams: BTreeMap::new(),
            last_stream: 0,
            coverage: Coverage::default(),
            trace: Trace::new(whole_trace),
            events: 0,
            sent: 0,
            wakes: 0,
            effects: 0,
            repeats: false,
            mutant,
            committed_later: None,
            violation: None,
        }
    }

    /// The first things that happen.
    pub(super) fn begin(&mut self) {
        self.agenda.plan(0, Happening::Start);
        self.agenda.plan(10, Happening::Launch);
        self.agenda.plan(100, Happening::Act);
        self.users_begin();
    }

    /// Lets things happen until a time, or until a promise is broken.
    pub(super) fn run_until(&mut self, until: u64) {
        let mut at_once = 0;
        while self.violation.is_none()
            && let Some((at, happening)) = self.agenda.next(until)
        {
            at_once = if at > self.now { 0 } else { at_once + 1 };
            if at_once > MOST_AT_ONCE {
                self.broke(Checker::RestSleeps, format!("something goes round and round at {} ms", self.now));
            }
            self.now = self.now.max(at);
            self.faults.now = self.now;
            self.happen(happening);
        }
        if self.violation.is_none() {
            self.now = self.now.max(until);
        }
    }

    fn happen(&mut self, happening: Happening) {
        let Some(happening) = self.unless_frozen(happening) else { return };
        match happening {
            Happening::Start => self.start_owner(),
            Happening::Wake(owner) => self.wake(owner),
            Happening::Renew(owner) => self.renew(owner),
            Happening::Commit(owner, fence, batch) => self.commit(owner, &fence, &batch),
            Happening::Answer(owner, answer) => self.answered(owner, answer),
            Happening::Told(owner, event) => self.told(owner, event),
            Happening::CatchUp(owner) => self.catch_up(owner),
            Happening::Call(owner, number) => self.call_arrives(owner, number),
            Happening::ThawOwner(owner) => self.thaw_owner(owner),
            Happening::EndOwner(owner) => self.kill_owner(owner),
            Happening::LossDue(owner, executor, since) => self.loss_due(owner, &executor, since),
            Happening::Ended(executor) => self.ended(&executor),
            Happening::Launch => self.launch(),
            Happening::Dial(executor) => self.dial(&executor),
            Happening::LeaseOver(executor, since) => self.lease_over(&executor, since),
            Happening::Attempt(executor, attempt, phase) => self.goes_on(&executor, attempt, phase),
            Happening::ThawExecutor(executor) => self.thaw_executor(&executor),
            Happening::ToOwner(stream, message) => self.arrives_at_owner(stream, message),
            Happening::ToExecutor(stream, message) => self.arrives_at_executor(stream, message),
            Happening::BrokenAtOwner(stream) => self.broken_at_owner(stream),
            Happening::BrokenAtExecutor(stream) => self.broken_at_executor(stream),
            Happening::Copy(executor, said) => self.heard_again_late(&executor, said),
            Happening::Lift(target) => self.lift(target),
            Happening::Take(target) => self.take_target(target),
            Happening::Edit(number, more) => self.edit_and_again(number, more),
            Happening::Act => self.act(),
        }
    }

    /// What happens to a process that stands still waits until it goes on.
    fn unless_frozen(&mut self, happening: Happening) -> Option<Happening> {
        let owner = match &happening {
            Happening::Wake(owner)
            | Happening::Renew(owner)
            | Happening::Answer(owner, _)
            | Happening::Told(owner, _)
            | Happening::Call(owner, _)
            | Happening::LossDue(owner, ..) => Some(*owner),
            Happening::ToOwner(stream, _) | Happening::BrokenAtOwner(stream) => {
                self.streams.get(stream).map(|stream| stream.owner)
            }
            _ => None,
        };
        if let Some(process) = owner.and_then(|owner| self.owners.get_mut(&owner)).filter(|process| process.frozen) {
            process.asleep.push(happening);
            return None;
        }
        let executor = match &happening {
            Happening::Dial(executor) | Happening::LeaseOver(executor, _) | Happening::Attempt(executor, ..) => {
                Some(executor.clone())
            }
            Happening::ToExecutor(stream, _) | Happening::BrokenAtExecutor(stream) => {
                self.streams.get(stream).map(|stream| stream.executor.clone())
            }
            _ => None,
        };
        if let Some(state) = executor.and_then(|name| self.executors.get_mut(&name)).filter(|state| state.frozen) {
            state.asleep.push(happening);
            return None;
        }
        Some(happening)
    }

    fn told(&mut self, owner: OwnerId, event: Event) {
        let gone = match &event {
            Event::TargetRemoved(name) if self.is(Mutant::RemoveWithTarget) => Some(name.clone()),
            _ => None,
        };
        self.step(owner, event);
        if let Some(target) = gone {
            let on_it = self.store.journal.current.values().filter(|intent| intent.target == target);
            let removals = on_it.map(|intent| intent.name.clone()).collect();
            self.step(owner, Event::Push(super::users::removal_of(removals)));
        }
    }

    /// Users and faults act, and will again.
    fn act(&mut self) {
        if self.faults.healed {
            return;
        }
        self.somebody_looks();
        match self.random.below(10) {
            0..6 => self.users_act(),
            6..9 => self.something_goes_wrong(),
            _ => self.targets_act(),
        }
        let pause = if self.random.chance(70) { self.random.between(10, 600) } else { self.random.between(600, 8_000) };
        self.agenda.plan(self.now + pause, Happening::Act);
    }

    /// There should be so many executors; more are kept.
    pub(super) fn scale(&mut self, executors: u32) {
        self.wanted_executors = executors;
        if self.executors_that_serve() < executors {
            let at = self.now + self.random.between(100, 3_000);
            self.agenda.plan(at, Happening::Launch);
        }
    }

    /// One whose machine reaches nobody is replaced, as one that has ended is.
    fn executors_that_serve(&self) -> u32 {
        self.executors.values().filter(|state| state.alone_until <= self.now).count() as u32
    }

    fn launch(&mut self) {
        if self.executors_that_serve() >= self.wanted_executors.max(1) {
            return;
        }
        self.last_executor += 1;
        let name: ExecutorName = format!("executor-{}", self.last_executor).into();
        self.note(&format!("{name} starts"));
        let rate = self.faults.rate(&mut self.random);
        self.executors.insert(name.clone(), Executor::new(self.now, rate));
        self.dial(&name);
        self.agenda.plan(self.now + 100, Happening::Launch);
    }

    /// A fact is heard a second time, by whoever owns the environment now.
    fn heard_again_late(&mut self, executor: &ExecutorName, said: Said) {
        let Some(owner) = self.newest_owner() else { return };
        let said = self.credited_to_a_newer_attempt(executor, said);
        let Some(process) = self.owners.get(&owner) else { return };
        let event = process.event_of(executor, said);
        self.repeats = true;
        self.step(owner, event);
        self.repeats = false;
    }

    fn credited_to_a_newer_attempt(&self, executor: &ExecutorName, said: Said) -> Said {
        match said {
            Said::Finished(report) if self.is(Mutant::CreditLateResults) => {
                let of_executor = self.store.journal.open().filter(|(_, granted)| granted.executor == *executor);
                let newest = of_executor.map(|(&attempt, _)| attempt).max();
                Said::Finished(Report { attempt: newest.unwrap_or(report.attempt), ..report })
            }
            said => said,
        }
    }

    /// What an owner waits after it last heard an executor, by its own clock.
    pub(super) fn loss_ms(&self) -> u64 {
        match self.mutant {
            Some(Mutant::LostAtOnce) => 0,
            Some(Mutant::MarginWithoutDrift) => LEASE_MS + limits::CANCEL_GRACE_MS,
            _ => LOSS_MS,
        }
    }

    pub(super) fn note(&mut self, line: &str) {
        self.trace.line(format!("{:>5} {:>8} ms  {line}", self.events, self.now));
    }

    /// A promise is broken: the first time counts.
    pub(super) fn broke(&mut self, checker: Checker, detail: String) {
        self.found(Some(Violation { checker, detail }));
    }

    pub(super) fn found(&mut self, violation: Option<Violation>) {
        if let Some(violation) = violation.filter(|_| self.violation.is_none()) {
            self.note(&violation.to_string());
            self.violation = Some((self.events, violation));
        }
    }

    pub(super) fn into_trace(self) -> Trace {
        self.trace
    }
}
