//! What goes wrong, and how often: each seed has its own mixture, so that rare faults meet each other.

use super::agenda::Happening;
use super::clock::{RIGHT, some_rate};
use super::executor::{LEASE_MS, Phase};
use super::owner::Point;
use super::random::Random;
use super::stream::{LOSS_MS, SILENCE_MS};
use super::targets::Key;
use super::words::Fault;
use super::world::World;
use crate::core::{ExecutorName, Name, RequestKind, Scope};
use std::collections::{BTreeMap, BTreeSet};

/// How long after a fault what happens is counted as happening under it.
const ECHO_MS: u64 = 10_000;
/// A death of the owner is met by whoever follows it, while it finds its way.
const CRASH_ECHO_MS: u64 = 3_000;

/// Where a process may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Owner(Point),
    Executor(Phase),
}

/// Of a sweep: at which of the points that are met something dies.
struct Planned {
    at: BTreeSet<usize>,
    met: Vec<Place>,
}

/// The longest that a phase of an attempt takes: longer than an owner needs to follow another one, mostly.
const SLOW_MS: u64 = 6_000;

pub(super) struct Faults {
    /// None any more.
    pub(super) healed: bool,
    /// What the clock of the owner's machine is ahead.
    pub(super) skew_ms: i64,
    /// The clocks of this world run at rates of their own.
    drifts: bool,
    /// Per ten thousand, of the points where an owner can die.
    crash: usize,
    /// Per ten thousand, of the phases of attempts.
    kill: usize,
    /// Per ten thousand, of the attempts that may outlast a lease.
    part: usize,
    /// The next one of these is.
    pub(super) parts_next: bool,
    /// Per ten thousand, of the attempts whose target is changed by others when they have read it.
    between: usize,
    /// Percent of what executors say.
    repeat: usize,
    /// Percent of the phases of attempts that take seconds: an owner that dies is followed by another one while they last.
    slow: usize,
    weights: [usize; 9],
    /// Nothing goes wrong at random: processes die where it is planned.
    planned: Option<Planned>,
    counts: BTreeMap<Fault, u64>,
    last: BTreeMap<Fault, u64>,
    /// An owner has died, and nobody has taken over yet.
    crashed: bool,
    pub(super) now: u64,
}

impl Place {
    /// What a run without faults meets.
    pub(super) const WITHOUT_FAULTS: &[Self] = &[
        Self::Owner(Point::InRecovery),
        Self::Owner(Point::BeforeCommit),
        Self::Owner(Point::AfterCommit),
        Self::Owner(Point::BetweenSends),
        Self::Owner(Point::AfterSends),
        Self::Executor(Phase::Read),
        Self::Executor(Phase::Effect),
        Self::Executor(Phase::Report),
    ];

    /// As it is printed.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Owner(Point::InRecovery) => "owner: after it took over",
            Self::Owner(Point::BeforeCommit) => "owner: before a commit",
            Self::Owner(Point::AfterCommit) => "owner: after a commit, before its answer",
            Self::Owner(Point::BetweenSends) => "owner: before a message or an answer leaves",
            Self::Owner(Point::AfterSends) => "owner: after all that follows a commit",
            Self::Executor(Phase::Read) => "executor: before it reads",
            Self::Executor(Phase::Effect) => "executor: before its effect",
            Self::Executor(Phase::Report) => "executor: after its effect, before its result",
            Self::Executor(Phase::Cancelled) => "executor: while it cancels",
        }
    }
}

impl Faults {
    pub(super) fn new(random: &mut Random) -> Self {
        let drifts = random.chance(70);
        let mut some = |most: usize| if random.chance(40) { 0 } else { random.below(most) + 1 };
        Self {
            healed: false,
            skew_ms: 0,
            drifts,
            crash: some(300),
            kill: some(200),
            part: some(1_500),
            parts_next: false,
            between: some(1_000),
            repeat: some(25),
            slow: some(12),
            weights: std::array::from_fn(|_| some(10)),
            planned: None,
            counts: BTreeMap::new(),
            last: BTreeMap::new(),
            crashed: false,
            now: 0,
        }
    }

    pub(super) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
        if fault == Fault::Crash {
            self.crashed = true;
        } else {
            self.feel(fault);
        }
    }

    /// Nobody hears anything while the owner is dead: what that was like is felt by the next one.
    pub(super) fn takes_over(&mut self) {
        if std::mem::take(&mut self.crashed) {
            self.feel(Fault::Crash);
        }
    }

    /// A fault is felt again.
    pub(super) fn feel(&mut self, fault: Fault) {
        self.last.insert(fault, self.now);
    }

    /// How often each was met.
    pub(super) fn counts(&self) -> &BTreeMap<Fault, u64> {
        &self.counts
    }

    /// The faults that are still felt.
    pub(super) fn felt(&self) -> BTreeSet<Fault> {
        let echo_ms = |fault| if fault == Fault::Crash { CRASH_ECHO_MS } else { ECHO_MS };
        let felt = self.last.iter().filter(|&(&fault, &at)| self.now <= at + echo_ms(fault));
        felt.map(|(&fault, _)| fault).collect()
    }

    /// Whether an owner dies at this point; one that has just started dies more easily.
    pub(super) fn crashes(&mut self, point: Point, young: bool, random: &mut Random) -> bool {
        if let Some(dies) = self.meets(Place::Owner(point)) {
            return dies;
        }
        let chance = if young { self.crash * 4 } else { self.crash };
        !self.healed && random.below(10_000) < chance
    }

    /// Whether an executor is killed when an attempt comes to this phase.
    pub(super) fn kills_at(&mut self, phase: Phase, random: &mut Random) -> bool {
        let planned = self.meets(Place::Executor(phase));
        let kills = planned.unwrap_or_else(|| !self.healed && random.below(10_000) < self.kill);
        if kills {
            self.count(Fault::Executor);
        }
        kills
    }

    /// Whether the machine of an executor is cut off from everything when it begins something that may take so long.
    pub(super) fn parts_at(&mut self, phase: Phase, deadline_ms: u64, random: &mut Random) -> bool {
        if phase != Phase::Read || deadline_ms <= LEASE_MS || self.planned.is_some() {
            return false;
        }
        std::mem::take(&mut self.parts_next) || (!self.healed && random.below(10_000) < self.part)
    }

    /// Whether somebody changes what an executor has read before it acts on that.
    pub(super) fn comes_between(&mut self, random: &mut Random) -> bool {
        !self.healed && self.planned.is_none() && random.below(10_000) < self.between
    }

    /// Whether something that was said is heard again later.
    pub(super) fn repeats(&mut self, random: &mut Random) -> bool {
        !self.healed && self.planned.is_none() && random.chance(self.repeat)
    }

    /// Whether a new owner is told first what was configured some time ago.
    pub(super) fn shows_old_views(&self, random: &mut Random) -> bool {
        !self.healed && self.planned.is_none() && random.chance(30)
    }

    /// At which rate the clock of a process runs that starts now.
    pub(super) fn rate(&self, random: &mut Random) -> u64 {
        if self.drifts && self.planned.is_none() { some_rate(random) } else { RIGHT }
    }

    /// How long a phase of an attempt takes, at most `most_ms` as a rule.
    pub(super) fn takes_ms(&self, most_ms: u64, random: &mut Random) -> u64 {
        if !self.healed && random.chance(self.slow) {
            random.between(1_000, SLOW_MS)
        } else {
            random.between(1, most_ms)
        }
    }

    /// From now on a process dies at each of these points, counted from 1, and nothing else goes wrong.
    pub(super) fn plan(&mut self, at: &[usize]) {
        self.planned = Some(Planned { at: at.iter().copied().collect(), met: Vec::new() });
    }

    /// The points that were met, in order.
    pub(super) fn met(&self) -> &[Place] {
        self.planned.as_ref().map_or(&[], |planned| &planned.met)
    }

    /// Where deaths are planned: whether one is here.
    fn meets(&mut self, place: Place) -> Option<bool> {
        let planned = self.planned.as_mut()?;
        if self.healed {
            return Some(false);
        }
        planned.met.push(place);
        Some(planned.at.contains(&planned.met.len()))
    }
}

impl World {
    /// One fault, or none.
    pub(super) fn something_goes_wrong(&mut self) {
        let total: usize = self.faults.weights.iter().sum();
        let mut drawn = self.random.below(total + 20);
        let Some(which) = self.faults.weights.iter().position(|&weight| {
            let hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            hit
        }) else {
            return;
        };
        match which {
            0 => self.cut_a_stream(0),
            1 => {
                let for_ms = self.random.between(1_000, 90_000);
                self.cut_a_stream(for_ms);
            }
            2 => {
                if let Some(executor) = self.some_executor() {
                    self.faults.count(Fault::Executor);
                    self.kill_executor(&executor);
                }
            }
            3 => self.freeze_an_executor(),
            4 => {
                if let Some(owner) = self.newest_owner() {
                    self.note(&format!("owner-{owner} is killed"));
                    self.faults.count(Fault::Crash);
                    self.kill_owner(owner);
                }
            }
            5 => {
                let for_ms = self.random.between(500, 60_000);
                if let Some(owner) = self.newest_owner() {
                    self.faults.count(Fault::Zombie);
                    self.freeze_owner(owner, for_ms);
                }
            }
            6 => {
                self.faults.count(Fault::Store);
                self.store.away_until = self.now + self.random.between(100, 30_000);
                self.note("history is away");
            }
            7 => {
                self.faults.count(Fault::Store);
                self.store.lose_answers = self.random.between(1, 3) as u32;
                self.note("the next answers of history are lost");
            }
            _ => self.clock_jumps(),
        }
    }

    fn clock_jumps(&mut self) {
        const HOUR: i64 = 3_600_000;
        let jumps = [HOUR, -HOUR, 24 * HOUR, -24 * HOUR, -56 * 365 * 24 * HOUR, 0, 0, 30_000, -30_000];
        let Some(&skew) = self.random.pick(&jumps) else { return };
        self.faults.count(Fault::Clock);
        self.faults.skew_ms = skew;
        self.note(&format!("the owner's clock is off by {skew} ms"));
        for process in self.owners.values_mut() {
            process.clock.skew_ms = skew;
            process.standing.forget_starts();
        }
    }

    fn some_executor(&mut self) -> Option<ExecutorName> {
        let names: Vec<ExecutorName> = self.executors.keys().cloned().collect();
        self.random.pick(&names).cloned()
    }

    fn cut_a_stream(&mut self, for_ms: u64) {
        if let Some(executor) = self.some_executor() {
            self.cut_off(&executor, for_ms);
        }
    }

    fn cut_off(&mut self, executor: &ExecutorName, for_ms: u64) {
        let Some(state) = self.executors.get_mut(executor) else { return };
        state.cut_until = self.now + for_ms;
        let Some(id) = state.stream else { return };
        self.faults.count(Fault::Executor);
        self.note(&format!("the stream of {executor} is cut, for {for_ms} ms"));
        self.cut(id);
    }

    /// The machine of an executor reaches nobody, neither its owner nor its targets: its lease ends while it is at work.
    pub(super) fn part(&mut self, executor: &ExecutorName) {
        let for_ms = self.random.between(LEASE_MS, 2 * LOSS_MS);
        if let Some(state) = self.executors.get_mut(executor).filter(|state| state.stream.is_some()) {
            state.alone_until = self.now + for_ms;
            self.note(&format!("{executor} reaches no target any more"));
            self.cut_off(executor, for_ms);
            self.replace_soon();
        }
    }

    fn replace_soon(&mut self) {
        let at = self.now + self.random.between(500, 8_000);
        self.agenda.plan(at, Happening::Launch);
    }

    fn freeze_an_executor(&mut self) {
        let for_ms = self.random.between(500, 120_000);
        let Some(executor) = self.some_executor() else { return };
        let Some(state) = self.executors.get_mut(&executor).filter(|state| !state.frozen) else { return };
        state.frozen = true;
        let stream = state.stream;
        self.targets.frozen.insert(executor.clone());
        self.faults.count(Fault::Executor);
        self.note(&format!("{executor} freezes for {for_ms} ms"));
        if let Some(id) = stream {
            self.silence(id);
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.heard_at = Some(self.now);
            }
            if for_ms > SILENCE_MS {
                self.agenda.plan(self.now + SILENCE_MS, Happening::BrokenAtOwner(id));
                self.agenda.plan(self.now + SILENCE_MS, Happening::BrokenAtExecutor(id));
            }
        }
        self.agenda.plan(self.now + for_ms, Happening::ThawExecutor(executor));
    }

    /// SIGKILL. Whether its end is seen at once, or only believed in time, is chance.
    pub(super) fn kill_executor(&mut self, executor: &ExecutorName) {
        let Some(state) = self.executors.remove(executor) else { return };
        self.note(&format!("{executor} is killed"));
        self.targets.gone(executor);
        if let Some(id) = state.stream {
            self.cut(id);
        }
        for id in self.streams_where(|stream| stream.executor == *executor) {
            self.agenda.plan(self.now, Happening::BrokenAtExecutor(id));
        }
        if self.random.chance(60) {
            let at = self.now + self.random.between(200, 20_000);
            self.agenda.plan(at, Happening::Ended(executor.clone()));
        }
        self.replace_soon();
    }

    fn change_by_hand(&mut self, key: &Key, how: usize) {
        self.note(&format!("somebody changes {} by hand ({how})", key.2));
        self.targets.by_hand(key, how);
    }

    /// Somebody comes between what an executor has read and what it does.
    pub(super) fn come_between(&mut self, key: &Key) {
        if self.faults.comes_between(&mut self.random) {
            self.faults.count(Fault::Target);
            let how = self.random.below(3);
            self.change_by_hand(key, how);
        }
    }

    /// Something happens on the targets: what others change, what refuses, what hangs.
    pub(super) fn targets_act(&mut self) {
        self.faults.count(Fault::Target);
        let which = self.random.below(1_000);
        match self.random.below(6) {
            0..3 => {
                let how = self.random.below(3);
                if let Some(key) = self.targets.thing(which) {
                    self.change_by_hand(&key, how);
                }
            }
            3 => {
                let name: Name = self.users.some_name(&mut self.random);
                self.note(&format!("{name} begins to fail"));
                self.targets.failing.insert(name);
            }
            4 => {
                self.targets.failing.clear();
                self.targets.hung.clear();
            }
            _ => {
                let busy = self.targets.busy();
                let target = self.random.pick(&busy).cloned().filter(|_| self.random.chance(70));
                let target = target.unwrap_or_else(|| self.users.some_target(&mut self.random));
                self.note(&format!("{target} hangs"));
                self.targets.hung.insert(target.clone());
                // Somebody notices, and it is due again while it still hangs.
                if self.random.chance(50) {
                    self.request(RequestKind::Cancel, Scope { target: Some(target), names: None });
                }
            }
        }
    }
}
