//! `step` alone: no clock, no history, no executors. Grants are answered as soon as they are given.

use super::bare_memory::{ROW_BYTES, Rows};
use super::figure::{Figure, median, percentile, rate};
use super::workload::{self, RESULT_BYTES, name_of, nothing, target_name};
use crate::core::limits::CREDITS;
use crate::core::{
    Change, Effects, EnvironmentState, Epoch, Event, ExecutorName, Finding, Grant, Message, Name, Outcome, OutcomeKind,
    RepairSchedule, Request, RequestKind, Scope, SessionNumber, Timestamp, step,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MILLION: usize = 1_000_000;
const HUNDRED_THOUSAND: usize = 100_000;
const TARGETS: usize = 10;
/// First deploys of a hundred thousand, each a fraction of a second: the median of them counts.
const DEPLOYS: usize = 5;
/// More than an executor has credits.
const MANY_TARGETS: usize = 10_000;
/// Pushes of ten changes each, for a ninety-ninth percentile.
const CHANGES: usize = 1_000;
const CHANGED: usize = 10;

/// A state, and what its executor has not answered yet.
struct Brain {
    state: EnvironmentState,
    granted: VecDeque<(ExecutorName, Arc<Grant>)>,
    /// Where steps put their effects: one after the other, as in a scheduler.
    effects: Effects,
    result: Name,
    /// Time spent in steps, and the longest of them.
    spent: Duration,
    longest: Duration,
    /// Time spent freeing what came of them, which a scheduler does after the commit.
    freeing: Duration,
}

impl Brain {
    fn new(targets: usize) -> Self {
        Self::with_credits(targets, u32::MAX)
    }

    fn with_credits(targets: usize, credits: u32) -> Self {
        let state = EnvironmentState::new("bench".into(), Epoch(1), Timestamp(0));
        let result = "y".repeat(RESULT_BYTES).into();
        let (spent, longest, freeing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (granted, effects) = (VecDeque::new(), Effects::default());
        let mut brain = Self { state, granted, effects, result, spent, longest, freeing };
        for number in 0..targets {
            brain.take(Event::TargetChanged(workload::target(target_name(number), 1)));
        }
        let (executor, pool) = ("executor".into(), crate::api::DEFAULT_POOL.into());
        brain.take(Event::ExecutorConnected { executor, pool, session: SessionNumber(1), credits, holds: Vec::new() });
        brain
    }

    /// An event, and all the steps that it takes.
    fn take(&mut self, event: Event) -> Duration {
        let mut took = self.step(event);
        while self.state.is_unfinished() {
            took += self.step(Event::Tick);
        }
        took
    }

    /// What comes of it is looked at, and freed, when its time is taken.
    fn step(&mut self, event: Event) -> Duration {
        let began = Instant::now();
        step(&mut self.state, event, Timestamp(0), &mut self.effects);
        let took = began.elapsed();
        self.spent += took;
        self.longest = self.longest.max(took);
        let Effects { records, rows, left, messages, changed } = &mut self.effects;
        let grants = messages.drain(..).filter_map(|message| match message {
            Message::Grant(executor, _, grant) => Some((executor, grant)),
            _ => None,
        });
        self.granted.extend(grants);
        let began = Instant::now();
        records.clear();
        rows.clear();
        left.clear();
        changed.clear();
        self.freeing += began.elapsed();
        took
    }

    fn answer_all(&mut self) {
        while let Some((executor, grant)) = self.granted.pop_front() {
            let finding = Finding { change: Change::Update, diff: self.result.clone(), ..Finding::same() };
            let (at, kind) = (Timestamp(0), OutcomeKind::Succeeded(finding));
            let outcome = Outcome { attempt: grant.attempt, began_at: Some(at), finished_at: at, kind, log: None };
            // As of a grant that was sent long ago: the step that ends it is the last to have it, and frees it.
            drop(grant);
            self.take(Event::Finished(executor, outcome));
        }
    }

    /// Forgets what was measured so far.
    fn rest(&mut self) {
        (self.spent, self.longest, self.freeing) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    }

    fn deploy(&mut self, intents: Vec<Arc<crate::core::Intent>>) {
        self.take(Event::Push(workload::push(intents)));
        self.answer_all();
    }

    fn compliant(&self) -> usize {
        self.state.counts().compliant as usize
    }
}

/// A user asks for a repair of everything.
fn repair_all() -> Event {
    let author = "bench".into();
    Event::Request(Request {
        kind: RequestKind::Repair,
        scope: Scope::default(),
        author,
        message: "".into(),
        digest: None,
    })
}

/// All of it but the memory.
pub(super) fn speed() -> Vec<Figure> {
    let (few, few_freed) = attempts(TARGETS, u32::MAX);
    let (many, _) = attempts(MANY_TARGETS, CREDITS);
    let mut figures = vec![
        Figure::new("core_attempts_per_s", few)
            .at_least(500_000.0)
            .beside("the same, what comes of the steps freed in the time", few_freed),
        Figure::new("core_attempts_per_s.10k_targets", many).beside("10 targets", few),
    ];
    figures.extend(a_million());
    figures.push(undefined_and_back());
    figures
}

/// Per second, of a version's first deploy: in steps alone, and with the time in which what came of them was freed.
fn attempts(targets: usize, credits: u32) -> (f64, f64) {
    let (mut alone, mut freed) = (Vec::new(), Vec::new());
    for _ in 0..DEPLOYS {
        let mut brain = Brain::with_credits(targets, credits);
        let intents = workload::intents(HUNDRED_THOUSAND, targets);
        brain.take(Event::Push(workload::push(intents)));
        brain.rest();
        brain.answer_all();
        alone.push(rate(brain.compliant(), brain.spent));
        freed.push(rate(brain.compliant(), brain.spent + brain.freeing));
    }
    (median(alone), median(freed))
}

fn a_million() -> [Figure; 3] {
    let mut brain = Brain::new(TARGETS);
    brain.deploy(workload::intents(MILLION, TARGETS));
    let width = MILLION / workload::LAYERS;
    let mut changes = Vec::with_capacity(CHANGES);
    // One of each layer, far apart from one another, none of them twice: nine have something below them, and nine something above.
    let number = |round, nth| nth % workload::LAYERS * width + (round * CHANGED + nth) * 7 % width;
    let rounds: Vec<Vec<usize>> =
        (0..CHANGES).map(|round| (0..CHANGED).map(|nth| number(round, nth)).collect()).collect();
    for round in &rounds {
        let changed = round.iter().map(|&number| {
            let requires = number.checked_sub(width).map(name_of).into_iter().collect();
            nothing(number, requires, target_name(number % TARGETS), "second")
        });
        let push = workload::push(changed.collect());
        changes.push(brain.take(Event::Push(push)));
        brain.answer_all();
    }
    brain.rest();
    brain.take(repair_all());
    brain.answer_all();
    let repair = std::mem::take(&mut brain.longest);
    let mut settings = brain.state.settings().clone();
    for suspend in [true, false] {
        settings.suspend = suspend;
        brain.take(Event::SettingsChanged(settings.clone()));
    }
    for schedule in [RepairSchedule::EveryMs(3_600_000), RepairSchedule::Cron("30 3 * * *".into()), RepairSchedule::Off]
    {
        settings.repair.schedule = schedule;
        brain.take(Event::SettingsChanged(settings.clone()));
    }
    let settings = brain.longest;
    // Before the rows of the floor take as much memory again.
    drop(brain);
    let mut rows = Rows::new(MILLION);
    let pass = rows.pass();
    let found = rows.find_and_change(name_of, &rounds);
    let [changed, found] = [changes, found].map(|times| percentile(times, 0.99).as_secs_f64() * 1e6);
    [
        Figure::new("core_change_10_of_1m_us", changed)
            .at_most(200.0)
            .beside("ten of a million bare rows found by name and changed", found),
        longest_step("repair_1m", repair, pass),
        longest_step("settings_1m", settings, pass),
    ]
}

/// Beside one bare pass over rows as many and as large: what a step without a bound would take at the least.
fn longest_step(of: &str, longest: Duration, pass: Duration) -> Figure {
    let [longest, pass] = [longest, pass].map(|time| time.as_secs_f64() * 1e3);
    let key = format!("core_longest_step_ms.{of}");
    Figure::new(key, longest).at_most(10.0).beside("one bare pass over as many rows", pass)
}

/// A root over a hundred thousand requires what does not exist, and no longer does.
fn undefined_and_back() -> Figure {
    let mut brain = Brain::new(TARGETS);
    let root = |requires: Vec<Name>| nothing(0, requires, target_name(0), "first");
    let above =
        (1..=HUNDRED_THOUSAND).map(|number| nothing(number, vec![name_of(0)], target_name(number % TARGETS), "first"));
    brain.deploy(std::iter::once(root(Vec::new())).chain(above).collect());
    brain.rest();
    brain.take(Event::Push(workload::push(vec![root(vec!["missing".into()])])));
    brain.take(Event::Push(workload::push(vec![root(Vec::new())])));
    brain.answer_all();
    longest_step("undefined_100k", brain.longest, Rows::new(HUNDRED_THOUSAND).pass())
}

/// Resident memory that the state takes, beside the intents themselves. In a process that has done nothing else.
pub(super) fn memory() -> Result<Vec<Figure>, std::io::Error> {
    let intents = workload::intents(HUNDRED_THOUSAND, TARGETS);
    let before = super::resident_bytes()?;
    let mut brain = Brain::new(TARGETS);
    // In versions of a thousand: a version's own records, which are history's, are freed again and leave little behind.
    for some in intents.chunks(1_000) {
        brain.deploy(some.to_vec());
    }
    let bytes = super::resident_bytes()?.saturating_sub(before) as f64 / brain.compliant().max(1) as f64;
    let figure = Figure::new("core_bytes_per_resource", bytes).at_most(1_024.0);
    Ok(vec![figure.beside("the row alone", ROW_BYTES as f64)])
}
