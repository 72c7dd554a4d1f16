//! A scripted environment: targets, one pool, model executors, a history and a clock set by hand.
//!
//! Executors answer revocations at once, unless [`World::keep_answers`] was said; results come when a test says so.

mod seen;

use super::history::History;
use super::notation::Declared;
use super::promises;
use crate::core::{
    AttemptId, Change, DryRunId, DryRunItem, DryRunRequest, Effects, EnvironmentState, Epoch, Event, ExecutorName,
    Facts, Finding, Forget, Grant, Hash, Message, Mode, Name, OnChange, Operation, Outcome, OutcomeKind, Push,
    PushMode, Record, Refusal, Repair, RepairAction, RepairSchedule, Request, RequestKind, Scope, SessionNumber,
    Settings, Target, Timestamp, VersionNumber, Windows, step,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// 2026-11-21T00:00:00Z.
pub(super) const START: Timestamp = Timestamp(1_795_219_200_000);
/// Where the model executors belong.
const POOL: &str = "pool";

/// Where the owner dies in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Its effects were never committed: whoever sent the event sends it again.
    BeforeCommit,
    /// They were committed and nothing was sent.
    BeforeSend,
    /// They were committed and sent.
    AfterSend,
}

/// A grant in a model executor's hands.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) executor: ExecutorName,
    pub(super) grant: Arc<Grant>,
    pub(super) begun: bool,
    pub(super) asked_back: bool,
}

pub(super) struct World {
    pub(super) state: EnvironmentState,
    pub(super) history: History,
    pub(super) now: Timestamp,
    pub(super) held: BTreeMap<AttemptId, Held>,
    pub(super) lost_dry_runs: BTreeSet<DryRunId>,
    pub(super) declared: BTreeMap<String, Declared>,
    pub(super) settings: Settings,
    /// The answer to the last push: refusals.
    pub(super) refused: Vec<Refusal>,
    /// Everything up to this version was in force, or may have been, when a user deployed last.
    pub(super) released: VersionNumber,
    pub(super) steps: u32,
    pub(super) crash: Option<(u32, Crash)>,
    unacknowledged: BTreeMap<AttemptId, (ExecutorName, Outcome)>,
    granted: Vec<String>,
    pub(super) connected: BTreeSet<ExecutorName>,
    due: VecDeque<Event>,
    keeps_answers: bool,
    checked: bool,
    /// How much one step looks at; `None`: as much as ever.
    share: Option<usize>,
    /// Events come in between the shares of another one.
    hurried: bool,
    /// Beginning or ending what no executor holds does nothing: a crash may have taken it away.
    pub(super) lenient: bool,
}

impl World {
    /// One connected executor, these targets, nothing declared.
    pub(super) fn new<const N: usize>(targets: [&str; N]) -> Self {
        let mut world = Self::without_executor();
        world.connect("e1");
        for target in targets {
            world.target(target);
        }
        world
    }

    pub(super) fn without_executor() -> Self {
        Self {
            state: EnvironmentState::new("test".into(), Epoch(1), START),
            history: History::default(),
            now: START,
            held: BTreeMap::new(),
            lost_dry_runs: BTreeSet::new(),
            declared: BTreeMap::new(),
            settings: Settings::default(),
            refused: Vec::new(),
            released: VersionNumber(0),
            steps: 0,
            crash: None,
            unacknowledged: BTreeMap::new(),
            granted: Vec::new(),
            connected: BTreeSet::new(),
            due: VecDeque::new(),
            keeps_answers: false,
            checked: true,
            share: None,
            hurried: false,
            lenient: false,
        }
    }

    /// One connected executor, these targets, this declared and deployed.
    pub(super) fn deployed<const N: usize>(targets: [&str; N], declared: &str) -> Self {
        let mut world = Self::new(targets);
        world.push(declared);
        world.run_all();
        world
    }

    /// The chain of the checklist's group B: r1 ← r2 ← r3, each on its own target.
    pub(super) fn chain() -> Self {
        let mut world = Self::new(["t1", "t2", "t3"]);
        world.push("r1@t1; r2@t2 <- r1; r3@t3 <- r2");
        world
    }

    /// The same, all good.
    pub(super) fn good_chain() -> Self {
        let mut world = Self::chain();
        world.run_all();
        world.forget_grants();
        world
    }

    /// The same, and changes wait for a release.
    pub(super) fn manual_chain() -> Self {
        let mut world = Self::good_chain();
        world.manual();
        world
    }

    /// For a hundred thousand of something: checks nothing after each step.
    pub(super) fn unchecked(mut self) -> Self {
        self.checked = false;
        self
    }

    /// Each step looks at so many resources; `hurried`: the next event does not wait for the rest.
    pub(super) fn set_share(&mut self, share: usize, hurried: bool) {
        (self.share, self.hurried) = (Some(share), hurried);
        self.state.set_share(share);
    }

    /// What steps have left is done.
    pub(super) fn settle(&mut self) {
        self.hurried = false;
        self.tick();
    }

    pub(super) fn keep_answers(&mut self) {
        self.keeps_answers = true;
    }

    pub(super) fn answer_at_once(&mut self) {
        self.keeps_answers = false;
        self.answer_revokes();
    }

    // ---- what happens

    /// Takes an event in, commits and sends what it leads to, and checks every promise.
    pub(super) fn step(&mut self, event: Event) {
        self.due.push_back(event);
        while let Some(event) = self.due.pop_front() {
            self.steps += 1;
            let crash = self.crash.filter(|(at, _)| *at == self.steps).map(|(_, crash)| crash);
            let mut effects = Effects::default();
            step(&mut self.state, event.clone(), self.now, &mut effects);
            if crash == Some(Crash::BeforeCommit) {
                self.restart();
                // The end of a stream is told once; the new owner hears of the streams that there are now.
                if !matches!(event, Event::ExecutorDisconnected(_)) {
                    self.due.push_back(event);
                }
                continue;
            }
            self.commit(&effects);
            if crash != Some(Crash::BeforeSend) {
                self.send(&effects);
            }
            if crash.is_some() {
                self.restart();
            }
            if self.state.is_unfinished() && !self.hurried {
                self.due.push_front(Event::Tick);
            }
        }
    }

    fn commit(&mut self, effects: &Effects) {
        let deployed = |record: &Record| matches!(record, Record::Request(order) if order.kind == RequestKind::Deploy);
        let automatic = self.state.settings().on_change == OnChange::Automatic;
        if automatic || effects.records.iter().any(deployed) {
            self.released = self.state.version();
        }
        self.history.commit(effects, &self.state);
        if self.checked {
            promises::check(self, effects);
        }
    }

    fn send(&mut self, effects: &Effects) {
        for message in &effects.messages {
            match message {
                Message::Grant(executor, _, grant) => self.receive(executor, grant),
                Message::Revoke(executor, attempt) => self.ask_back(executor, *attempt),
                Message::Acknowledge(_, attempt) => drop(self.unacknowledged.remove(attempt)),
                Message::Accepted(_, refusals) | Message::Refused(refusals) => self.refused.clone_from(refusals),
                _ => {}
            }
        }
    }

    fn receive(&mut self, executor: &ExecutorName, grant: &Arc<Grant>) {
        let verb = match grant.operation {
            Operation::Enforce => "",
            Operation::Observe => "observe ",
            Operation::DryRun => "dry-run ",
            Operation::Delete => "delete ",
        };
        let reload = grant.reload.as_ref().map_or_else(String::new, |because| format!(" (reload for {because})"));
        self.granted.push(format!("{verb}{}{reload}", grant.intent.name));
        let held = Held { executor: executor.clone(), grant: Arc::clone(grant), begun: false, asked_back: false };
        let before = self.held.insert(grant.attempt, held);
        assert!(before.is_none(), "attempt {} was granted twice", grant.attempt);
        let here = self.held.values().filter(|held| held.grant.intent.target == grant.intent.target);
        assert!(here.into_iter().all(|held| held.executor == *executor), "I4: two executors work on one target");
    }

    fn ask_back(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        let Some(held) = self.held.get_mut(&attempt) else { return self.disown(executor, attempt) };
        held.asked_back = true;
        if !self.keeps_answers {
            self.answer(attempt);
        }
    }

    /// An executor answers for what it never had as for what it has not begun.
    fn disown(&mut self, executor: &ExecutorName, attempt: AttemptId) {
        if self.connected.contains(executor) && !self.unacknowledged.contains_key(&attempt) {
            let outcome =
                Outcome { attempt, began_at: None, finished_at: self.now, kind: OutcomeKind::Revoked, log: None };
            self.unacknowledged.insert(attempt, (executor.clone(), outcome.clone()));
            self.due.push_back(Event::Finished(executor.clone(), outcome));
        }
    }

    fn answer(&mut self, attempt: AttemptId) {
        let held = &self.held[&attempt];
        if held.begun {
            self.due.push_back(Event::RevokeRefused(held.executor.clone(), vec![attempt]));
        } else {
            let event = self.report(attempt, OutcomeKind::Revoked);
            self.due.push_back(event);
        }
    }

    /// What is left of an attempt at its executor is its report, until that is acknowledged.
    fn report(&mut self, attempt: AttemptId, kind: OutcomeKind) -> Event {
        let held = self.held.remove(&attempt).unwrap();
        let began_at = held.begun.then_some(self.now);
        let outcome = Outcome { attempt, began_at, finished_at: self.now, kind, log: None };
        self.unacknowledged.insert(attempt, (held.executor.clone(), outcome.clone()));
        Event::Finished(held.executor, outcome)
    }

    /// The executor answers what it was asked back.
    pub(super) fn answer_revokes(&mut self) {
        let asked = self.held.iter().filter(|(_, held)| held.asked_back).map(|(&attempt, _)| attempt);
        for attempt in asked.collect::<Vec<_>>() {
            self.answer(attempt);
        }
        self.tick();
    }

    pub(super) fn tick(&mut self) {
        self.step(Event::Tick);
    }

    pub(super) fn advance(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.tick();
    }

    pub(super) fn set_clock_back(&mut self, ms: u64) {
        self.now = self.now.before_ms(ms);
        self.tick();
    }

    /// The owner dies and another one takes over from what is in history; executors come back with what they hold.
    pub(super) fn restart(&mut self) {
        self.lost_dry_runs.extend(self.history.dry_runs.keys());
        let epoch = Epoch(self.state.epoch().0 + 1);
        let (state, effects) = EnvironmentState::restore("test".into(), epoch, self.history.snapshot(), self.now);
        self.state = state;
        self.share.into_iter().for_each(|share| self.state.set_share(share));
        self.commit(&effects);
        self.send(&effects);
        self.reconnect();
    }

    /// Streams end and begin anew; what was not acknowledged is reported again.
    pub(super) fn reconnect(&mut self) {
        let mut events: Vec<Event> = self.state.executors.keys().cloned().map(Event::ExecutorDisconnected).collect();
        events.extend(self.connected.iter().map(|executor| self.hello(executor)));
        let reports = self.unacknowledged.values().cloned();
        events.extend(reports.map(|(executor, outcome)| Event::Finished(executor, outcome)));
        let begun = self.held.iter().filter(|(_, held)| held.begun);
        events.extend(begun.map(|(&attempt, held)| Event::Begun(held.executor.clone(), vec![attempt])));
        self.due.extend(events);
        self.tick();
    }

    fn hello(&self, executor: &ExecutorName) -> Event {
        let held = self.held.iter().filter(|(_, held)| held.executor == *executor).map(|(&attempt, _)| attempt);
        let told = self.unacknowledged.iter().filter(|(_, (by, _))| by == executor).map(|(&attempt, _)| attempt);
        let holds = held.chain(told).collect();
        Event::ExecutorConnected {
            executor: executor.clone(),
            pool: POOL.into(),
            session: SessionNumber(1),
            credits: 1_000_000,
            holds,
        }
    }

    pub(super) fn connect(&mut self, executor: &str) {
        self.connected.insert(executor.into());
        let hello = self.hello(&executor.into());
        self.step(hello);
    }

    /// The executor ended: what it held is gone with it.
    pub(super) fn lose(&mut self, executor: &str) {
        self.connected.remove(executor);
        self.held.retain(|_, held| &*held.executor != executor);
        self.unacknowledged.retain(|_, (by, _)| &**by != executor);
        self.step(Event::ExecutorLost(executor.into()));
    }

    // ---- what users do

    pub(super) fn target(&mut self, name: &str) {
        self.change_target(name, |_| {});
    }

    pub(super) fn change_target(&mut self, name: &str, change: impl FnOnce(&mut Target)) {
        let connection = r#"{"type":"local"}"#.into();
        let mut target = Target {
            name: name.into(),
            pool: POOL.into(),
            connection,
            concurrency: 1,
            suspend: false,
            windows: Windows::default(),
            rate_limit: None,
        };
        change(&mut target);
        self.step(Event::TargetChanged(target));
    }

    /// Declares intents (see `notation.rs`) in the set `default`.
    pub(super) fn push(&mut self, lines: &str) {
        self.push_with(lines, |_| {});
    }

    pub(super) fn push_with(&mut self, lines: &str, change: impl FnOnce(&mut Push)) {
        let declared = Declared::parse_all(lines);
        let mut push = Push {
            set: "default".into(),
            upserts: declared.iter().map(|one| Arc::new(one.intent())).collect(),
            removals: Vec::new(),
            prune: false,
            approved: false,
            base: None,
            mode: PushMode::Whole,
            author: "a test".into(),
            source: "manifests".into(),
            message: "".into(),
        };
        change(&mut push);
        for one in declared {
            self.declared.insert(one.name.clone(), one);
        }
        self.step(Event::Push(push));
    }

    /// Pushes a declared resource again, with something changed.
    pub(super) fn redeclare(&mut self, name: &str, change: impl FnOnce(&mut Declared)) {
        let mut declared = self.declared[name].clone();
        change(&mut declared);
        let upsert = Arc::new(declared.intent());
        self.declared.insert(name.to_owned(), declared);
        self.push_with("", |push| push.upserts.push(upsert));
    }

    /// A new intent: other attributes.
    pub(super) fn change(&mut self, name: &str) {
        self.redeclare(name, |declared| declared.attributes.push('+'));
    }

    pub(super) fn requires<const N: usize>(&mut self, name: &str, requires: [&str; N]) {
        self.redeclare(name, |declared| declared.requires = requires.map(str::to_owned).into());
    }

    pub(super) fn observe(&mut self, name: &str, observe: bool) {
        self.redeclare(name, |declared| declared.mode = if observe { Mode::Observe } else { Mode::Enforce });
    }

    pub(super) fn remove<const N: usize>(&mut self, names: [&str; N]) {
        self.push_with("", |push| push.removals = names.map(Name::from).into());
    }

    pub(super) fn forget(&mut self, name: &str) {
        let forget = Forget { names: vec![name.into()], author: "a test".into(), message: "".into() };
        self.step(Event::Forget(forget));
    }

    pub(super) fn request(&mut self, kind: RequestKind, scope: Scope) {
        self.order(kind, scope, "");
    }

    pub(super) fn order(&mut self, kind: RequestKind, scope: Scope, message: &str) {
        let (author, message) = ("a test".into(), message.into());
        self.step(Event::Request(Request { kind, scope, author, message, digest: None }));
    }

    /// A deploy that was shown before.
    pub(super) fn release(&mut self, scope: Scope, digest: Option<Hash>) {
        let (kind, author, message) = (RequestKind::Deploy, "a test".into(), "".into());
        self.step(Event::Request(Request { kind, scope, author, message, digest }));
    }

    pub(super) fn deploy(&mut self) {
        self.request(RequestKind::Deploy, Scope::default());
    }

    pub(super) fn repair(&mut self) {
        self.request(RequestKind::Repair, Scope::default());
    }

    pub(super) fn dry_run(&mut self, lines: &str) {
        let items = Declared::parse_all(lines).into_iter();
        self.dry_run_of(items.map(|one| DryRunItem { intent: Arc::new(one.intent()), removed: false }).collect());
    }

    pub(super) fn dry_run_of(&mut self, items: Vec<DryRunItem>) {
        self.step(Event::DryRun(DryRunRequest { items, author: "a test".into() }));
    }

    pub(super) fn suspend(&mut self, suspend: bool) {
        self.change_settings(|settings| settings.suspend = suspend);
    }

    /// Versions come into force when a user deploys them.
    pub(super) fn manual(&mut self) {
        self.change_settings(|settings| settings.on_change = OnChange::Manual);
    }

    pub(super) fn deploy_only<const N: usize>(&mut self, names: [&str; N]) {
        let names = Some(names.map(Name::from).into());
        self.request(RequestKind::Deploy, Scope { target: None, names });
    }

    pub(super) fn repair_every(&mut self, interval_ms: u64, action: RepairAction) {
        let repair = Repair { schedule: RepairSchedule::EveryMs(interval_ms), jitter_ms: Some(0), action };
        self.change_settings(|settings| settings.repair = repair);
    }

    /// A repair finds that it differs, and leaves it so.
    pub(super) fn find_different(&mut self, name: &str) {
        self.repair_every(60_000, RepairAction::Report);
        self.repair();
        self.succeed_changed(name);
    }

    pub(super) fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.step(Event::SettingsChanged(self.settings.clone()));
    }

    // ---- what executors do

    /// The attempt that an executor holds for this resource. Of several, the first: that of the tombstone before its successor's.
    pub(super) fn attempt(&self, name: &str) -> AttemptId {
        let mut found = self.held.iter().filter(|(_, held)| &*held.grant.intent.name == name);
        *found.next().unwrap_or_else(|| panic!("no executor holds {name}")).0
    }

    fn holds_none(&self, name: &str) -> bool {
        self.lenient && self.held.values().all(|held| &*held.grant.intent.name != name)
    }

    pub(super) fn begin(&mut self, name: &str) {
        if !self.holds_none(name) {
            self.begin_attempt(self.attempt(name));
        }
    }

    pub(super) fn begin_attempt(&mut self, attempt: AttemptId) {
        let held = self.held.get_mut(&attempt).unwrap();
        held.begun = true;
        let executor = held.executor.clone();
        self.step(Event::Begun(executor, vec![attempt]));
    }

    /// Begins it, if nobody has, and ends it so.
    pub(super) fn finish(&mut self, name: &str, kind: OutcomeKind) {
        if !self.holds_none(name) {
            self.finish_attempt(self.attempt(name), kind, true);
        }
    }

    pub(super) fn finish_attempt(&mut self, attempt: AttemptId, kind: OutcomeKind, begun: bool) {
        self.held.get_mut(&attempt).unwrap().begun |= begun;
        let event = self.report(attempt, kind);
        self.step(event);
    }

    /// It ends well: nothing differed.
    pub(super) fn succeed(&mut self, name: &str) {
        if !self.holds_none(name) {
            let attempt = self.attempt(name);
            self.finish_attempt(attempt, self.done(attempt), true);
        }
    }

    /// Nothing differed, or it is deleted.
    fn done(&self, attempt: AttemptId) -> OutcomeKind {
        let deletes = self.held.get(&attempt).is_some_and(|held| held.grant.operation == Operation::Delete);
        let change = if deletes { Change::Delete } else { Change::None };
        OutcomeKind::Succeeded(Finding { change, ..Finding::same() })
    }

    /// It ends well, and there was something to do, or is, where it only observes.
    pub(super) fn succeed_changed(&mut self, name: &str) {
        let remote_identity = Some(format!("id of {name}").into());
        let finding = Finding { change: Change::Update, diff: "- a\n+ b".into(), remote_identity, ..Finding::same() };
        self.finish(name, OutcomeKind::Succeeded(finding));
    }

    /// It ends well, nothing differed, and these facts are reported: `size=5 owner="me"`.
    pub(super) fn learn(&mut self, name: &str, facts: &str) {
        let facts = Facts::new(facts.split_whitespace().filter_map(|fact| fact.split_once('=')));
        self.finish(name, OutcomeKind::Succeeded(Finding { facts, ..Finding::same() }));
    }

    /// It ends well, nothing differed, and it found secrets with this digest.
    pub(super) fn find_secrets(&mut self, name: &str, digest: u8) {
        let secret_digest = Some(Hash([digest; 16]));
        self.finish(name, OutcomeKind::Succeeded(Finding { secret_digest, ..Finding::same() }));
    }

    /// Its executor says nothing of it any more.
    pub(super) fn lose_attempt(&mut self, name: &str) {
        self.finish(name, OutcomeKind::Lost);
    }

    /// It fails half-way: what differed was known, and the change had begun.
    pub(super) fn fail_changed(&mut self, name: &str) {
        let finding = Finding { change: Change::Update, diff: "- a\n+ b".into(), ..Finding::same() };
        self.finish(name, OutcomeKind::Failed { message: "no".into(), finding: Some(finding) });
    }

    pub(super) fn fail(&mut self, name: &str, message: &str) {
        self.finish(name, OutcomeKind::Failed { message: message.into(), finding: None });
    }

    /// Everything that is granted succeeds, in order, until nothing is granted any more.
    pub(super) fn run_all(&mut self) {
        for _ in 0..1_000_000 {
            let Some(&attempt) = self.held.keys().next() else { return };
            self.finish_attempt(attempt, self.done(attempt), true);
        }
        panic!("it does not come to rest");
    }
}

/// X2: where nothing has happened since, another step does nothing.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() || self.state.next_due().is_some_and(|due| due <= self.now) {
            return;
        }
        let mut effects = Effects::default();
        step(&mut self.state, Event::Tick, self.now, &mut effects);
        assert_eq!(format!("{effects:?}"), format!("{:?}", Effects::default()), "X2: a step after rest had effects");
    }
}
