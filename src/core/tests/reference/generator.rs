//! Traces from seeds: graphs of two dozen resources in two sets on four targets of two pools, and some hundred events.
//!
//! Deliberately absent: any look at the state. What an action means is decided when it is played.

use super::super::super::{
    DeletionPolicy, DryRunItem, Forget, Intent, IntentParts, Mode, Name, Policy, Push, PushMode, Repair, RepairAction,
    RepairSchedule, RequestKind, Scope, Settings, Target, Windows,
};
use super::world::{Action, End, POOLS};
use std::sync::Arc;

const NAMES: usize = 24;
const TARGETS: usize = 4;

/// A small generator of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn name(&mut self) -> Name {
        format!("r{}", self.below(NAMES)).into()
    }

    fn names(&mut self, most: usize) -> Vec<Name> {
        (0..self.below(most + 1)).map(|_| self.name()).collect()
    }

    fn intent(&mut self, n: usize) -> Arc<Intent> {
        let reach = if self.chance(3) { NAMES } else { n };
        let edges = if reach == 0 { 0 } else { self.below(4).min(reach) };
        let requires = (0..edges).map(|_| format!("r{}", self.below(reach)).into()).collect();
        let thing = match self.below(100) {
            0..4 => 100 + n,
            4..7 => self.below(NAMES),
            _ => n,
        };
        let target = match self.below(50) {
            0 => 9,
            1 => self.below(TARGETS),
            _ => thing % TARGETS,
        };
        let policy = Policy {
            mode: if self.chance(12) { Mode::Observe } else { Mode::Enforce },
            deletion_policy: if self.chance(12) { DeletionPolicy::Orphan } else { DeletionPolicy::Delete },
            ..Policy::default()
        };
        Arc::new(Intent::new(IntentParts {
            name: format!("r{n}").into(),
            kind: "test.Thing".into(),
            target: format!("t{target}").into(),
            identity: format!("\"{thing}\"").into(),
            attributes: format!("{{\"thing\":{thing},\"value\":{}}}", self.below(3)).into(),
            requires,
            policy,
            ..IntentParts::default()
        }))
    }

    fn push(&mut self, first: bool) -> Action {
        let set = usize::from(self.chance(25));
        let set = if first { 0 } else { set };
        let mine = |n: &usize| usize::from(*n >= 18) == set;
        let picked: Vec<usize> = if first {
            (0..NAMES).filter(mine).collect()
        } else {
            let count = self.below(6);
            let any = self.chance(4);
            (0..count).map(|_| self.below(NAMES)).filter(|n| any || mine(n)).collect()
        };
        let whole = self.chance(50);
        let mut picked = picked;
        if !whole || self.chance(90) {
            picked.sort_unstable();
            picked.dedup();
        }
        let upserts = picked.iter().map(|n| self.intent(*n)).collect();
        let removals = if !first && self.chance(35) { self.names(4) } else { Vec::new() };
        let mode = if whole { PushMode::Whole } else { PushMode::Each };
        Action::Push(Push {
            set: format!("s{set}").into(),
            upserts,
            removals,
            prune: !first && self.chance(3),
            approved: true,
            base: None,
            mode,
            author: "user".into(),
            source: "test".into(),
            message: "".into(),
        })
    }

    fn settings(&mut self, suspend: bool) -> Settings {
        let schedule = match self.below(3) {
            0 => RepairSchedule::Off,
            _ => RepairSchedule::EveryMs(60_000),
        };
        let action = if self.chance(40) { RepairAction::Report } else { RepairAction::Correct };
        Settings { suspend, repair: Repair { schedule, jitter_ms: None, action }, ..Settings::default() }
    }

    fn end(&mut self) -> End {
        [End::Same, End::Changed, End::Changed, End::Identified, End::Failed, End::FailedHalfway, End::Same, End::Lost]
            [self.below(8)]
    }

    fn action(&mut self) -> Action {
        let executor = self.below(4);
        let pick = self.below(8);
        match self.below(1000) {
            0..130 => self.push(false),
            130..330 => Action::Begin(executor, pick),
            330..600 => {
                let end = self.end();
                Action::Finish(executor, pick, end)
            }
            600..620 => {
                let end = self.end();
                Action::FinishAtOnce(executor, pick, end)
            }
            620..740 => Action::Answer(executor),
            740..760 => Action::Duplicate(executor),
            760..770 => Action::Forge(executor, self.next()),
            770..800 => Action::Connect(executor, 1 + pick as u32),
            800..810 => Action::Disconnect(executor),
            810..820 => Action::Lose(executor),
            820..850 => {
                let suspend = self.chance(30);
                Action::Settings(self.settings(suspend))
            }
            850..880 => {
                let (n, suspend) = (self.below(TARGETS), self.chance(30));
                Action::Target(target(n, suspend))
            }
            880..885 => Action::TargetRemoved(format!("t{}", self.below(TARGETS)).into()),
            885..900 => {
                let (target, names) = (self.chance(40), self.chance(40));
                let target = target.then(|| format!("t{}", self.below(TARGETS)).into());
                let scope = Scope { target, names: names.then(|| self.names(6)) };
                let kind = if self.chance(50) { RequestKind::Deploy } else { RequestKind::Repair };
                Action::Request(kind, scope)
            }
            900..910 => {
                let count = 1 + self.below(4);
                let items = (0..count).map(|_| {
                    let n = self.below(NAMES);
                    self.intent(n)
                });
                Action::DryRun(items.map(|intent| DryRunItem { intent, removed: false }).collect())
            }
            910..915 => {
                let names = self.names(2);
                Action::Forget(Forget { names, author: "user".into(), message: "".into() })
            }
            915..920 => Action::Stop,
            920..930 => Action::Restart { unsent: self.chance(50) },
            _ => Action::Wait(1 + self.below(20_000) as u64),
        }
    }
}

pub(super) fn target(n: usize, suspend: bool) -> Target {
    let concurrency = 1 + (n % 2) as u32;
    Target {
        name: format!("t{n}").into(),
        pool: POOLS[n % 2].into(),
        connection: "{}".into(),
        concurrency,
        suspend,
        windows: Windows::default(),
        rate_limit: None,
    }
}

/// The trace of a seed.
pub(super) fn trace(seed: u64) -> Vec<Action> {
    let mut random = Random(seed);
    let mut actions: Vec<Action> = (0..TARGETS).map(|n| Action::Target(target(n, false))).collect();
    actions.extend((0..3).map(|n| Action::Connect(n, 2 + n as u32 * 3)));
    actions.push(random.push(true));
    let more = 300 + random.below(200);
    actions.extend((0..more).map(|_| random.action()));
    actions
}
