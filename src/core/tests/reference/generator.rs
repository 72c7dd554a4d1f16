//! Traces from seeds: graphs of two dozen resources in two sets on four targets of two pools, and some hundred events.
//!
//! Deliberately absent: any look at the state. What an action means is decided when it is played.

use super::super::super::{
    DeletionPolicy, DryRunItem, FactRef, Forget, Input, InputSource, Intent, IntentParts, Mode, Name, Notify, OnChange,
    Policy, Pool, Push, PushMode, RateLimit, Repair, RepairAction, RepairSchedule, Replace, RequestKind, Retry, Scope,
    Settings, Target, Window, Windows, limits,
};
use super::fleet::End;
use super::world::{Action, POOLS};
use std::sync::Arc;

const NAMES: usize = 24;
const TARGETS: usize = 4;
/// So few hand on what they are, and turn their edges round.
const TANGLED: usize = 6;

/// A small generator of numbers (splitmix64), and what the whole trace is like.
struct Random {
    state: u64,
    /// Nearly all stands on one target, and only few attempts may be in flight: who goes first can be seen.
    crowded: bool,
    /// What is accepted mostly waits until a user deploys it.
    manual: bool,
    /// Much takes facts and secrets, and these change.
    facts: bool,
    /// What comes next, whatever else may happen.
    then: Vec<Action>,
}

impl Random {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
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

    /// Some are named more often than others: much happens to them at once.
    fn number(&mut self) -> usize {
        let most = if self.chance(40) { NAMES / 3 } else { NAMES };
        self.below(most)
    }

    fn name(&mut self) -> Name {
        format!("r{}", self.number()).into()
    }

    fn names(&mut self, most: usize) -> Vec<Name> {
        (0..self.below(most + 1)).map(|_| self.name()).collect()
    }

    fn intent(&mut self, n: usize) -> Arc<Intent> {
        let reach = if self.chance(3) { NAMES } else { n };
        let edges = if reach == 0 { 0 } else { self.below(if self.crowded { 2 } else { 4 }).min(reach) };
        let requires = (0..edges).map(|_| format!("r{}", self.below(reach)).into()).collect();
        let thing = match self.below(100) {
            0..4 => 100 + n,
            4..7 => self.below(NAMES),
            _ => n,
        };
        let target = match self.below(50) {
            0 => 9,
            1 => self.below(TARGETS),
            _ if self.crowded => 0,
            _ => thing % TARGETS,
        };
        let policy = Policy {
            mode: if self.chance(12) { Mode::Observe } else { Mode::Enforce },
            protected: self.chance(4),
            replace: match self.below(100) {
                0..25 => Replace::CreateFirst,
                25..35 => Replace::Never,
                35..47 => Replace::Approve,
                _ => Replace::DeleteFirst,
            },
            notify: Notify { send: self.chance(25), receive: !self.chance(10) },
            deletion_policy: if self.chance(12) { DeletionPolicy::Orphan } else { DeletionPolicy::Delete },
            ..Policy::default()
        };
        Arc::new(Intent::new(IntentParts {
            name: format!("r{n}").into(),
            kind: "test.Thing".into(),
            target: format!("t{target}").into(),
            identity: format!("\"{thing}\"").into(),
            attributes: self.attributes(thing),
            requires,
            inputs: self.inputs(reach),
            policy,
            ..IntentParts::default()
        }))
    }

    fn attributes(&mut self, thing: usize) -> Name {
        let token = if self.chance(15) { ",\"token\":\"public\"" } else { "" };
        format!("{{\"thing\":{thing}{token},\"value\":{}}}", self.below(3)).into()
    }

    /// Facts of what comes before it, and secrets.
    fn inputs(&mut self, reach: usize) -> Vec<Input> {
        let mut inputs = Vec::new();
        // Who goes first can be seen where everything is known.
        if self.crowded {
            return inputs;
        }
        if reach > 0 && self.chance(if self.facts { 50 } else { 8 }) {
            for path in ["/size", "/more"].iter().take(1 + usize::from(self.chance(15))) {
                let fact = if self.chance(12) { "owner" } else { "size" };
                let of = FactRef { name: format!("r{}", self.below(reach.min(4))).into(), fact: fact.into() };
                inputs.push(Input::of((*path).into(), InputSource::Fact(of)));
            }
        }
        if self.chance(if self.facts { 45 } else { 8 }) {
            let source = InputSource::EnvironmentVariable { name: self.place() };
            inputs.push(Input::of("/token".into(), source));
        }
        inputs
    }

    fn place(&mut self) -> Name {
        format!("S{}", self.below(2)).into()
    }

    /// A few that require each other in turn, and change what they are.
    fn tangle(&mut self) -> Action {
        let mut all: Vec<usize> = (0..2 + self.below(3)).map(|_| self.below(TANGLED)).collect();
        all.sort_unstable();
        all.dedup();
        let moves = self.chance(40);
        let mut upserts = Vec::new();
        for n in all {
            let thing = if moves { self.below(TANGLED) } else { n };
            let edges = if moves { 0 } else { self.below(3) };
            let requires = (0..edges).map(|_| self.below(TANGLED)).filter(|to| *to != n);
            let requires = requires.map(|to| format!("r{to}").into()).collect();
            let parts: IntentParts = (*self.intent(n)).clone().into();
            upserts.push(Arc::new(Intent::new(IntentParts {
                requires,
                inputs: Vec::new(),
                identity: format!("\"{thing}\"").into(),
                target: format!("t{}", if self.crowded { 0 } else { thing % TARGETS }).into(),
                ..parts
            })));
        }
        let removals = if self.chance(30) { vec![format!("r{}", self.below(TANGLED)).into()] } else { Vec::new() };
        Action::Push(of_set(0, upserts, removals, if self.chance(70) { PushMode::Each } else { PushMode::Whole }))
    }

    /// About as many removals as need an approval, where all has gone well before.
    fn many(&mut self) -> Action {
        let names = (0..11 + self.below(7)).map(|n| format!("r{n}").into()).collect();
        self.then.push(Action::Push(of_set(0, Vec::new(), names, PushMode::Whole)));
        Action::Calm
    }

    /// Something is removed, and wanted again soon.
    fn comes_back(&mut self) -> Action {
        let mut all: Vec<usize> = (0..=self.below(3)).map(|_| self.below(NAMES / 3)).collect();
        all.sort_unstable();
        all.dedup();
        let again = all.iter().map(|n| self.intent(*n)).collect();
        self.then.push(Action::Push(of_set(0, again, Vec::new(), PushMode::Each)));
        if self.chance(50) {
            let between = self.between();
            self.then.push(between);
        }
        let names = all.iter().map(|n| format!("r{n}").into()).collect();
        Action::Push(Push { approved: true, ..of_set(0, Vec::new(), names, PushMode::Whole) })
    }

    /// What hardly ever comes about by chance, one thing after the other.
    fn scene(&mut self) -> Action {
        let mut scene = match self.below(if self.manual { 5 } else { 4 }) {
            0 => self.a_pool_starts_after_all(),
            1 => self.a_delete_fails_before_another_comes(),
            2 => self.what_waits_for_a_delete_is_deployed(),
            3 if !self.manual => self.what_is_waited_for_is_wanted_sooner(),
            3 if self.chance(50) => self.what_cannot_be_apart_is_deployed_apart(),
            3 => self.an_heir_is_deployed(),
            _ => self.what_was_shown_replaces_something_else(),
        };
        scene.reverse();
        let first = scene.pop();
        self.then.extend(scene);
        first.unwrap_or(Action::Calm)
    }

    /// An enforced intent that takes nothing from elsewhere.
    fn plain(&mut self, n: usize, thing: usize, value: usize, requires: &[usize], replace: Replace) -> Arc<Intent> {
        let parts: IntentParts = (*self.intent(n)).clone().into();
        Arc::new(Intent::new(IntentParts {
            requires: requires.iter().map(|to| format!("r{to}").into()).collect(),
            inputs: Vec::new(),
            identity: format!("\"{thing}\"").into(),
            attributes: format!("{{\"thing\":{thing},\"value\":{value}}}").into(),
            target: format!("t{}", if self.crowded { 0 } else { thing % TARGETS }).into(),
            policy: Policy { replace, ..Policy::default() },
            ..parts
        }))
    }

    /// It was said that it cannot, and one of its executors comes and goes again.
    fn a_pool_starts_after_all(&mut self) -> Vec<Action> {
        let (n, push) = (self.below(2), self.push(false));
        let broken = Action::PoolUnavailable(POOLS[n].into(), Some("no such image".into()));
        let (come, go) = (Action::Connect(n, 3), Action::Disconnect(n));
        vec![push, go.clone(), Action::Disconnect(n + 2), broken, come.clone(), go, come]
    }

    fn a_delete_fails_before_another_comes(&mut self) -> Vec<Action> {
        // Hardly anything requires these.
        let n = 12 + self.below(6);
        let executor = if self.crowded { 0 } else { n % 2 };
        let removal = Push { approved: true, ..of_set(0, Vec::new(), vec![format!("r{n}").into()], PushMode::Whole) };
        let other = self.plain(n, 100 + n, 0, &[], Replace::CreateFirst);
        let fails = [executor, executor + 2].map(|n| [Action::Begin(n, 0), Action::Finish(n, 0, End::Failed)]);
        let another = Action::Push(of_set(0, vec![other], Vec::new(), PushMode::Each));
        [vec![Action::Calm, Action::Push(removal)], fails.concat(), vec![another]].concat()
    }

    /// While others wait for the same executor.
    fn what_waits_for_a_delete_is_deployed(&mut self) -> Vec<Action> {
        let n = self.below(TANGLED);
        let value = 3 + self.below(9);
        let others = (TANGLED..TANGLED + 4).map(|n| self.plain(n, n, value, &[], Replace::DeleteFirst)).collect();
        let another = self.plain(n, 100 + n, 0, &[], Replace::DeleteFirst);
        vec![
            Action::Calm,
            Action::Push(of_set(0, others, Vec::new(), PushMode::Each)),
            Action::Push(of_set(0, vec![another], Vec::new(), PushMode::Each)),
            deploy_of(Some(n)),
        ]
    }

    /// It was hurried for what waits for it, and others are as important as that; one attempt at a time, on one target.
    fn what_is_waited_for_is_wanted_sooner(&mut self) -> Vec<Action> {
        let n = self.below(TARGETS);
        let (busy, base, waits, other) = (n, n + TARGETS, n + 2 * TARGETS, n + 3 * TARGETS);
        let value = 20 + self.below(1_000);
        let mut push = |n: usize, more: usize, requires: &[usize]| {
            let intent = self.plain(n, n, value + more, requires, Replace::DeleteFirst);
            Action::Push(of_set(0, vec![intent], Vec::new(), PushMode::Each))
        };
        let (fails, runs) = (push(base, 0, &[]), push(busy, 0, &[]));
        let (waits, other, again) = (push(waits, 0, &[base]), push(other, 0, &[]), push(base, 1, &[]));
        let one_at_a_time = Settings { max_in_flight: Some(1), ..Settings::default() };
        let executor = if self.crowded { 0 } else { n % 2 };
        let ends = [executor, executor + 2].map(|n| [Action::Begin(n, 0), Action::Finish(n, 0, End::Failed)]);
        let repair = Scope { target: None, names: Some(vec![format!("r{base}").into()]) };
        [
            vec![Action::Calm, Action::Settings(one_at_a_time), fails],
            ends.concat(),
            vec![runs, Action::Request(RequestKind::Repair, repair), waits, other, again, Action::Calm],
        ]
        .concat()
    }

    /// Old and new edges would close a circle.
    fn what_cannot_be_apart_is_deployed_apart(&mut self) -> Vec<Action> {
        let (one, other) = self.two();
        let mut edges = |of_one: &[usize], of_other: &[usize]| {
            let one = self.plain(one, one, 0, of_one, Replace::DeleteFirst);
            let other = self.plain(other, other, 0, of_other, Replace::DeleteFirst);
            Action::Push(of_set(0, vec![one, other], Vec::new(), PushMode::Each))
        };
        vec![edges(&[other], &[]), deploy_of(None), edges(&[], &[one]), deploy_of(Some(other))]
    }

    /// Of a thing that leaves its name only when that is approved.
    fn an_heir_is_deployed(&mut self) -> Vec<Action> {
        let (one, other) = self.two();
        let mut things = |of_one: usize, of_other: usize| {
            let one = self.plain(one, of_one, 0, &[], Replace::Approve);
            let other = self.plain(other, of_other, 0, &[], Replace::DeleteFirst);
            Action::Push(of_set(0, vec![one, other], Vec::new(), PushMode::Each))
        };
        let (before, after) = (things(one, other), things(100 + one, one));
        vec![before, deploy_of(None), Action::Calm, after, deploy_of(Some(other))]
    }

    /// The same comes to replace something else than it did when it was shown.
    fn what_was_shown_replaces_something_else(&mut self) -> Vec<Action> {
        let n = self.below(NAMES / 3);
        let scope = Scope { target: None, names: Some(vec![format!("r{n}").into()]) };
        let mut push = |value| {
            let intent = self.plain(n, n, value, &[], Replace::DeleteFirst);
            Action::Push(of_set(0, vec![intent], Vec::new(), PushMode::Each))
        };
        let (shown, between) = (push(7), push(8));
        let (now, before) = (Action::DeployShown(scope.clone(), true), Action::DeployShown(scope, false));
        vec![shown.clone(), now, between, deploy_of(Some(n)), shown, before]
    }

    fn two(&mut self) -> (usize, usize) {
        let one = self.below(TANGLED);
        (one, (one + 1 + self.below(TANGLED - 1)) % TANGLED)
    }

    /// Everything is looked at, and more important things come while it is: what has waited longest has its turn among them.
    fn rush(&mut self) -> Action {
        let changes = self.push(false);
        self.then.extend([Action::Calm, changes]);
        Action::Request(RequestKind::Repair, Scope::default())
    }

    fn between(&mut self) -> Action {
        let executor = self.below(4);
        match self.below(4) {
            0 => Action::Answer(executor),
            1 => Action::Begin(executor, self.below(8)),
            2 => Action::Lose(executor),
            _ => {
                let end = self.end();
                Action::Finish(executor, self.below(8), end)
            }
        }
    }

    fn push(&mut self, first: bool) -> Action {
        if !first && self.chance(if self.manual { 20 } else { 5 }) {
            return self.tangle();
        }
        let set = usize::from(self.chance(25));
        let set = if first { 0 } else { set };
        let mine = |n: &usize| usize::from(*n >= 18) == set;
        let picked: Vec<usize> = if first {
            (0..NAMES).filter(mine).collect()
        } else {
            let count = self.below(6);
            let any = self.chance(4);
            (0..count).map(|_| self.number()).filter(|n| any || mine(n)).collect()
        };
        let whole = self.chance(50);
        let mut picked = picked;
        if !whole || self.chance(90) {
            picked.sort_unstable();
            picked.dedup();
        }
        let upserts = picked.iter().map(|n| self.intent(*n)).collect();
        let removals = match self.below(100) {
            _ if first => Vec::new(),
            // So many that they need an approval.
            0..6 => (0..9 + self.below(8)).map(|n| format!("r{n}").into()).collect(),
            6..36 => self.names(4),
            _ => Vec::new(),
        };
        let mode = if whole { PushMode::Whole } else { PushMode::Each };
        let (prune, approved) = (!first && self.chance(5), self.chance(50));
        Action::Push(Push { prune, approved, ..of_set(set, upserts, removals, mode) })
    }

    fn settings(&mut self, suspend: bool) -> Settings {
        let schedule = match self.below(6) {
            0 | 1 => RepairSchedule::Off,
            2 => RepairSchedule::Cron("*/2 * * * *".into()),
            _ => RepairSchedule::EveryMs(60_000),
        };
        let jitter_ms = [None, Some(0), Some(10_000)][self.below(3)];
        let retry = match self.below(3) {
            0 => Retry { base_delay_ms: 700, max_delay_ms: 9_000, factor: 3.0, jitter: 0.5 },
            _ => Retry::default(),
        };
        let action = if self.chance(40) { RepairAction::Report } else { RepairAction::Correct };
        let most = if self.crowded { [Some(1), Some(1), Some(2), None] } else { [None, None, Some(2), Some(5)] };
        let max_in_flight = most[self.below(4)];
        let on_change = if self.manual && self.chance(80) { OnChange::Manual } else { OnChange::Automatic };
        Settings {
            suspend,
            max_in_flight,
            on_change,
            retry,
            repair: Repair { schedule, jitter_ms, action },
            ..Settings::default()
        }
    }

    fn windows(&mut self) -> Vec<Window> {
        let one = |minutes: u64, share: u64| Window {
            start: format!("*/{minutes} * * * *").into(),
            duration_ms: minutes * 60_000 / share - 1_000,
            time_zone: None,
        };
        match self.below(5) {
            0 => vec![one(2, 2)],
            1 => vec![one(3, 3), one(4, 4)],
            _ => Vec::new(),
        }
    }

    fn kind(&mut self) -> RequestKind {
        match self.below(14) {
            13.. => RequestKind::FactRefresh,
            10 | 11 => RequestKind::Cancel,
            12 => RequestKind::Report,
            0..4 => RequestKind::Deploy,
            4..6 => RequestKind::Repair,
            6 => RequestKind::Suspend,
            7 | 8 => RequestKind::Resume,
            _ => RequestKind::ApproveRemovals,
        }
    }

    fn request(&mut self) -> Action {
        let (target, names) = (self.chance(40), self.chance(40));
        let target = target.then(|| format!("t{}", self.below(TARGETS)).into());
        let scope = Scope { target, names: names.then(|| self.names(6)) };
        if self.manual && self.chance(50) {
            return Action::DeployShown(scope, self.chance(45));
        }
        let kind = self.kind();
        Action::Request(kind, scope)
    }

    /// Whether what is deployed is as it was.
    fn look(&mut self) -> Action {
        let kind = if self.chance(50) { RequestKind::Repair } else { RequestKind::FactRefresh };
        let names = self.chance(50).then(|| (0..4).map(|n| format!("r{n}").into()).collect());
        Action::Request(kind, Scope { target: None, names })
    }

    fn pool(&mut self) -> Action {
        let name: Name = POOLS[self.below(2)].into();
        match self.below(8) {
            0 => Action::PoolRemoved(name),
            1 | 2 => Action::PoolUnavailable(name, Some("no such image".into())),
            3 => Action::PoolUnavailable(name, None),
            _ => {
                let min = self.below(3) as u32;
                let max = min + self.below(6) as u32;
                Action::Pool(Pool { name, min, max, idle_timeout_ms: 1_000 * self.below(30) as u64 })
            }
        }
    }

    fn end(&mut self) -> End {
        [End::Same, End::Changed, End::Changed, End::Identified, End::Failed, End::FailedHalfway, End::Same, End::Lost]
            [self.below(8)]
    }

    fn action(&mut self) -> Action {
        if let Some(next) = self.then.pop() {
            return next;
        }
        // Those of the pool of the first target.
        let executor = if self.crowded { self.below(2) * 2 } else { self.below(4) };
        let pick = self.below(8);
        match self.below(1000) {
            // Hardly a new owner, which counts its starts anew.
            100..130 | 917..928 if self.crowded || self.manual => self.request(),
            898..908 if self.crowded => self.rush(),
            60..130 if self.facts => self.look(),
            0..130 => self.push(false),
            130..330 if self.facts && self.chance(25) => Action::Grow(format!("\"{}\"", self.below(4)).into()),
            330..600 if self.facts && self.chance(3) => Action::Rotate(self.place()),
            860..863 => Action::Grow(format!("\"{}\"", self.number()).into()),
            863..865 => Action::Rotate(self.place()),
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
            810..820 if self.chance(30) => Action::Forgets(executor, 1 + pick as u32),
            810..820 => Action::Lose(executor),
            820..850 => {
                let suspend = self.chance(30);
                Action::Settings(self.settings(suspend))
            }
            850..880 => {
                let (n, suspend) = (self.below(TARGETS), self.chance(20));
                let windows = Windows { deploy: self.windows(), repair: self.windows() };
                let pool = if self.chance(10) { self.below(2) } else { n % 2 };
                let rate_limit = self.chance(25).then_some(RateLimit { attempts: 4, period_ms: 8_000 });
                Action::Target(Target { windows, rate_limit, pool: POOLS[pool].into(), ..target(n, suspend) })
            }
            880..885 => Action::TargetRemoved(format!("t{}", self.below(TARGETS)).into()),
            885..908 => self.request(),
            908..911 => self.pool(),
            911..914 => {
                let count = 1 + self.below(4);
                let items = (0..count).map(|_| {
                    let n = self.below(NAMES);
                    self.intent(n)
                });
                Action::DryRun(items.map(|intent| DryRunItem { intent, removed: false }).collect())
            }
            914..917 => {
                let names = self.names(2);
                Action::Forget(Forget { names, author: "user".into(), message: "".into() })
            }
            917..920 => Action::Stop,
            920..930 => Action::Restart { unsent: self.chance(50) },
            930..933 => self.many(),
            933..940 => self.comes_back(),
            940..943 => Action::Calm,
            943..946 => Action::SetBack(limits::CLOCK_STEP_MS + self.below(100_000) as u64),
            946..952 => self.scene(),
            _ if self.chance(10) => Action::Wait(1 + self.below(200_000) as u64),
            _ => Action::Wait(1 + self.below(20_000) as u64),
        }
    }
}

/// A user deploys one, or everything.
fn deploy_of(n: Option<usize>) -> Action {
    let names = n.map(|n| vec![format!("r{n}").into()]);
    Action::Request(RequestKind::Deploy, Scope { target: None, names })
}

/// A push of somebody who has seen nothing.
fn of_set(set: usize, upserts: Vec<Arc<Intent>>, removals: Vec<Name>, mode: PushMode) -> Push {
    Push {
        set: format!("s{set}").into(),
        upserts,
        removals,
        prune: false,
        approved: false,
        base: None,
        mode,
        author: "user".into(),
        source: "test".into(),
        message: "".into(),
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
    let facts = matches!(seed % 5, 1 | 4) || seed % 10 == 8;
    let mut random = Random {
        state: seed,
        crowded: seed.is_multiple_of(3) && !facts,
        manual: seed % 5 == 3,
        facts,
        then: Vec::new(),
    };
    let mut actions: Vec<Action> = (0..TARGETS).map(|n| Action::Target(target(n, false))).collect();
    actions.extend((0..3).map(|n| Action::Connect(n, 2 + n as u32 * 3)));
    actions.push(random.push(true));
    if seed.is_multiple_of(2) {
        actions.extend([random.pool(), random.pool()]);
    }
    if random.crowded || random.manual {
        actions.push(Action::Settings(random.settings(false)));
    }
    let more = 300 + random.below(200);
    actions.extend((0..more).map(|_| random.action()));
    actions
}
