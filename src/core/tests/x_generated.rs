//! X1, X3: random graphs, edits, ends, losses, suspensions and restarts. Every promise and every counter is checked after every step (`promises.rs`,
//! `naive.rs`); when the faults stop, everything becomes good within a bound.
//!
//! One seed decides everything; a failure names it, and `SEED=n` repeats it alone.

use super::world::{Crash, World};
use crate::core::{
    AttemptId, Change, Event, Finding, Intent, IntentParts, Life, Name, OnChange, OutcomeKind, PushMode, RepairAction,
    RequestKind, Scope,
};
use std::sync::Arc;

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const TARGETS: usize = 4;

struct Run {
    world: World,
    random: Random,
    names: usize,
    executors: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut world = World::new(["t0", "t1", "t2", "t3"]);
        world.lenient = true;
        if random.chance(50) {
            let action = if random.chance(30) { RepairAction::Report } else { RepairAction::Correct };
            world.repair_every(20_000, action);
        }
        let names = 3 + random.below(18);
        Self { world, random, names, executors: 1 }
    }

    /// A resource in the notation. Edges lead to lower numbers mostly, so that few pushes are refused.
    fn line(&mut self) -> String {
        let n = self.random.below(self.names);
        let edges = self.random.below(3);
        let reach = if self.random.chance(5) { self.names } else { n };
        let requires: Vec<String> =
            (0..edges).filter(|_| reach > 0).map(|_| format!("r{}", self.random.below(reach))).collect();
        let target = if self.random.chance(3) { 9 } else { n % TARGETS };
        let identity =
            if self.random.chance(10) { format!("r{}", self.random.below(self.names)) } else { format!("r{n}") };
        let flags = ["", " observe", " orphan", " create-first", " never", " approve", "", ""][self.random.below(8)];
        format!("r{n}@t{target}={}#{identity}{flags} <- {}", self.random.below(3), requires.join(" "))
    }

    fn push(&mut self) {
        let lines: Vec<String> = (0..=self.random.below(6)).map(|_| self.line()).collect();
        let removals = if self.random.chance(20) { self.random.below(3) } else { 0 };
        let removals: Vec<Name> = (0..removals).map(|_| format!("r{}", self.random.below(self.names)).into()).collect();
        let (each, prune) = (self.random.chance(80), self.random.chance(5));
        self.world.push_with(&lines.join(";"), |push| {
            push.removals = removals;
            push.prune = prune;
            push.mode = if each { PushMode::Each } else { PushMode::Whole };
        });
    }

    fn some_attempt(&mut self) -> Option<AttemptId> {
        let held: Vec<AttemptId> = self.world.held.keys().copied().collect();
        (!held.is_empty()).then(|| held[self.random.below(held.len())])
    }

    fn end_one(&mut self) {
        let Some(attempt) = self.some_attempt() else { return };
        let change = [Change::None, Change::Update][self.random.below(2)];
        let identity = self.random.chance(30).then(|| Name::from("an id"));
        let finding = Finding { change, remote_identity: identity, ..Finding::same() };
        let kind = match self.random.below(20) {
            0..4 => OutcomeKind::Failed { message: "no".into(), finding: None },
            4 => OutcomeKind::Lost,
            5 => OutcomeKind::Revoked,
            6 => OutcomeKind::Skipped { because: "forged".into() },
            _ => OutcomeKind::Succeeded(finding),
        };
        let begun = self.random.chance(80);
        self.world.finish_attempt(attempt, kind, begun);
    }

    fn lose_an_executor(&mut self) {
        let lost = format!("e{}", self.executors);
        self.executors += 1;
        let next = format!("e{}", self.executors);
        if self.random.chance(50) {
            self.world.connect(&next);
            self.world.lose(&lost);
        } else {
            self.world.lose(&lost);
            self.world.connect(&next);
        }
    }

    fn request(&mut self) {
        let kind = RequestKind::ALL[self.random.below(RequestKind::ALL.len())];
        let target = self.random.chance(30).then(|| format!("t{}", self.random.below(TARGETS)).into());
        let names = self.random.chance(30).then(|| (0..3).map(|n| format!("r{n}").into()).collect());
        self.world.request(kind, Scope { target, names });
    }

    /// The same where what is pushed waits: now and then somebody deploys, and for a while all is released at once.
    fn act_by_hand(&mut self) {
        match self.random.below(20) {
            0..2 => {
                let target = self.random.chance(30).then(|| format!("t{}", self.random.below(TARGETS)).into());
                let names = (0..3).map(|_| format!("r{}", self.random.below(self.names)).into());
                let names: Vec<Name> = names.collect();
                let names = self.random.chance(60).then_some(names);
                self.world.request(RequestKind::Deploy, Scope { target, names });
            }
            2 => {
                let on_change = if self.random.chance(30) { OnChange::Automatic } else { OnChange::Manual };
                self.world.change_settings(|settings| settings.on_change = on_change);
            }
            _ => self.act(),
        }
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..18 => self.push(),
            18..58 => self.end_one(),
            58..68 => {
                if let Some(attempt) = self.some_attempt() {
                    self.world.begin_attempt(attempt);
                }
            }
            68..74 => {
                let ms = self.random.below(30_000) as u64;
                self.world.advance(ms);
            }
            74..79 => self.request(),
            79..83 => {
                let suspend = self.random.chance(40);
                self.world.suspend(suspend);
            }
            83..87 => {
                let (target, suspend) = (format!("t{}", self.random.below(TARGETS)), self.random.chance(40));
                self.world.change_target(&target, |target| target.suspend = suspend);
            }
            87..89 => {
                let target = format!("t{}", self.random.below(TARGETS));
                self.world.step(Event::TargetRemoved(target.into()));
            }
            89..91 => self.lose_an_executor(),
            91..93 => self.world.reconnect(),
            93..95 => self.world.restart(),
            95 => {
                let crash = [Crash::BeforeCommit, Crash::BeforeSend, Crash::AfterSend][self.random.below(3)];
                self.world.crash = Some((self.world.steps + 1, crash));
            }
            96 => {
                let name = format!("r{}", self.random.below(self.names));
                self.world.forget(&name);
            }
            97 => {
                let lines = format!("{}; {}", self.line(), self.line());
                self.world.dry_run(&lines);
            }
            98 if self.random.chance(20) => self.world.step(Event::ReportOnly),
            _ => self.world.answer_revokes(),
        }
    }

    /// The faults stop, and nothing requires any more what is not there: everything becomes good, everything removed leaves.
    fn heal(&mut self) {
        self.world.settle();
        if self.world.state.report_only {
            self.world.restart();
        }
        self.world.suspend(false);
        self.world.change_settings(|settings| settings.on_change = OnChange::Automatic);
        let suspended: Vec<_> = self.world.state.suspensions().map(|suspension| suspension.target.clone()).collect();
        for target in suspended {
            self.world.request(RequestKind::Resume, Scope { target, names: None });
        }
        self.world.request(RequestKind::ApproveRemovals, Scope::default());
        (0..TARGETS).chain([9]).for_each(|n| self.world.target(&format!("t{n}")));
        let state = &self.world.state;
        let live = state.views().filter(|view| view.row.life == Life::Live);
        let upserts = live.map(|view| {
            let mut parts = IntentParts::from((*view.row.intent).clone());
            parts.requires.retain(|name| state.find(name).is_some());
            Arc::new(Intent::new(parts))
        });
        let upserts = upserts.collect();
        self.world.push_with("", |push| push.upserts = upserts);
        assert!(self.world.refused.is_empty());
        self.world.repair_every(20_000, RepairAction::Correct);
        self.world.answer_at_once();
        for _ in 0..10 {
            self.world.run_all();
            self.world.advance(150_000);
        }
        self.world.change_settings(|settings| settings.repair.schedule = crate::core::RepairSchedule::Off);
        self.world.run_all();
    }

    fn check_end(&self) {
        let world = &self.world;
        let holds = world.state.views().filter(|view| view.queued.is_some() || view.running.is_some());
        let holds: Vec<_> =
            holds.map(|view| (view.row.intent.name.clone(), world.state.why(view.row.resource))).collect();
        assert!(world.state.quiet(), "it does not come to rest: {holds:?}, dry runs {:?}", world.state.dry_runs);
        let open = (world.history.open_grants().count(), world.history.open_requests().count());
        assert_eq!(open, (0, 0), "grants and requests without an end");
        for view in world.state.views() {
            assert!(view.good, "{} is not good: {:?}", view.row.intent.name, world.state.why(view.row.resource));
        }
    }
}

fn play(seed: u64, manual: bool) {
    let mut run = Run::new(seed);
    if run.random.chance(50) {
        run.world.keep_answers();
    }
    if manual {
        run.world.manual();
    }
    if seed.is_multiple_of(3) {
        run.world.set_share(1 + run.random.below(6), run.random.chance(50));
    }
    let actions = 40 + run.random.below(80);
    (0..actions).for_each(|_| if manual { run.act_by_hand() } else { run.act() });
    run.heal();
    run.check_end();
}

fn play_all(manual: bool) {
    let one = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(200);
    let seeds = one.map_or(1..=count, |seed| seed..=seed);
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| play(seed, manual)) {
            eprintln!("repeat it with SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn x1_x3_random_environments_keep_every_promise_and_come_to_rest() {
    play_all(false);
}

#[test]
fn x1_x3_q7_the_same_where_users_release_by_hand() {
    play_all(true);
}
