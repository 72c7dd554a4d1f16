//! `core` and the reference side by side: one history, one fleet of executors, one clock, and a comparison after every step.
//!
//! An [`Action`] never names an attempt, only "the second one that this executor has begun", so that a list of actions still means something
//! after some are left out. Deliberately absent: decisions.

use super::super::super::{
    DryRunItem, DryRunRequest, Effects, EnvironmentState, Epoch, Event, Forget, Hash, Message, Name, Pool, Push,
    Request, RequestKind, Scope, Settings, Target, Timestamp, step,
};
use super::compare::compare;
use super::fleet::{End, Member, Truth};
use super::follow::{Seen, skips};
use super::model::Model;
use super::notation::told;
use super::store::Store;

/// What a generated trace is made of.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Push(Push),
    Forget(Forget),
    Request(RequestKind, Scope),
    /// A user's deploy of what was shown: just now, or when something was shown last.
    DeployShown(Scope, bool),
    DryRun(Vec<DryRunItem>),
    Settings(Settings),
    Target(Target),
    TargetRemoved(Name),
    Pool(Pool),
    PoolRemoved(Name),
    /// And why.
    PoolUnavailable(Name, Option<Name>),
    Connect(usize, u32),
    Disconnect(usize),
    Lose(usize),
    Begin(usize, usize),
    Finish(usize, usize, End),
    /// Without ever having said that it began.
    FinishAtOnce(usize, usize, End),
    Answer(usize),
    Duplicate(usize),
    Forge(usize, u64),
    Wait(u64),
    /// The clock was ahead by so much, and is right again.
    SetBack(u64),
    /// Everything that executors have goes well for a while.
    Calm,
    /// An executor comes back under its name, and has forgotten what it had.
    Forgets(usize, u32),
    /// A thing becomes another size.
    Grow(Name),
    /// The secret that stands there becomes another one.
    Rotate(Name),
    Stop,
    /// The owner dies, and another one starts; with it die the messages of the last step.
    Restart {
        unsent: bool,
    },
}

pub(super) struct World {
    pub state: EnvironmentState,
    pub model: Model,
    store: Store,
    pub fleet: Vec<Member>,
    pub truth: Truth,
    epoch: u64,
    pub unsent: Vec<Message>,
    /// What was last shown of a release: its digest, and what it was.
    shown: Option<(Hash, Vec<String>)>,
    pub trace: Vec<String>,
}

pub(super) const POOLS: [&str; 2] = ["p0", "p1"];
const START: Timestamp = Timestamp(1_700_000_000_000);

impl World {
    pub(super) fn new() -> Self {
        Self {
            state: EnvironmentState::new("reference".into(), Epoch(1), START),
            model: Model { now: START, flowed: START, ..Model::default() },
            store: Store::default(),
            fleet: (0..4).map(Member::new).collect(),
            truth: Truth::default(),
            epoch: 1,
            unsent: Vec::new(),
            shown: None,
            trace: Vec::new(),
        }
    }

    pub(super) fn act(&mut self, action: &Action) -> Result<(), String> {
        if !matches!(action, Action::Restart { unsent: true }) {
            self.deliver();
        }
        self.trace.push(told(action));
        match action {
            Action::Push(push) => self.step(&Event::Push(push.clone())),
            Action::Forget(forget) => self.step(&Event::Forget(forget.clone())),
            Action::Request(kind, scope) => self.step(&Event::Request(Request {
                kind: *kind,
                scope: scope.clone(),
                author: "user".into(),
                message: "".into(),
                digest: None,
            })),
            Action::DeployShown(scope, now) => self.deploy_shown(scope, *now),
            Action::DryRun(items) => {
                self.step(&Event::DryRun(DryRunRequest { items: items.clone(), author: "user".into() }))
            }
            Action::Settings(settings) => self.step(&Event::SettingsChanged(settings.clone())),
            Action::Target(target) => self.step(&Event::TargetChanged(target.clone())),
            Action::TargetRemoved(name) => self.step(&Event::TargetRemoved(name.clone())),
            Action::Pool(pool) => self.step(&Event::PoolChanged(pool.clone())),
            Action::PoolRemoved(name) => self.step(&Event::PoolRemoved(name.clone())),
            Action::PoolUnavailable(name, why) => self.step(&Event::PoolUnavailable(name.clone(), why.clone())),
            Action::Connect(n, credits) => self.connect(*n, *credits),
            Action::Disconnect(n) => self.disconnect(*n),
            Action::Lose(n) => self.lose(*n),
            Action::Begin(n, pick) => self.begin(*n, *pick),
            Action::Finish(n, pick, end) => self.finish(*n, *pick, *end, true),
            Action::FinishAtOnce(n, pick, end) => self.finish(*n, *pick, *end, false),
            Action::Answer(n) => self.answer(*n),
            Action::Duplicate(n) => self.duplicate(*n),
            Action::Forge(n, attempt) => self.forge(*n, *attempt),
            Action::Wait(ms) => {
                self.model.now = self.model.now.after_ms(*ms);
                self.step(&Event::Tick)
            }
            Action::SetBack(ms) => {
                self.model.set_back(*ms);
                self.step(&Event::Tick)
            }
            Action::Calm => self.calm(),
            Action::Forgets(n, credits) => self.forgets(*n, *credits),
            Action::Grow(identity) => {
                self.truth.grow(identity.clone());
                Ok(())
            }
            Action::Rotate(place) => {
                self.truth.rotate(place.clone());
                Ok(())
            }
            Action::Stop => self.step(&Event::Stop),
            Action::Restart { .. } => self.restart(),
        }
    }

    /// "Approving a digest releases exactly that plan or is refused as stale."
    fn deploy_shown(&mut self, scope: &Scope, now: bool) -> Result<(), String> {
        let would = self.model.would_release(scope);
        let digest = self.state.release_digest(scope);
        if digest.is_some() == would.is_empty() {
            return Err(format!("the digest of what would be released is {digest:?}, expected one of {would:?}"));
        }
        if now {
            self.shown = digest.map(|digest| (digest, would.clone()));
        }
        let Some((digest, shown)) = self.shown.clone() else { return Ok(()) };
        self.model.refuses = shown != would;
        let kind = RequestKind::Deploy;
        let (scope, author, message) = (scope.clone(), "user".into(), "".into());
        self.step(&Event::Request(Request { kind, scope, author, message, digest: Some(digest) }))
    }

    /// A difference, and how core stands by then.
    pub(super) fn told(&self, difference: &str) -> String {
        let mut lines = vec![difference.to_owned()];
        for view in self.state.views() {
            let (row, why) = (&view.row, self.state.why(view.row.resource));
            let runs = (view.queued, view.running.map(|run| run.operation), row.skipped, row.last_result);
            lines.push(format!("{} {} {:?} {runs:?} {why:?}", row.intent.name, row.resource, row.life));
        }
        lines.join("\n    ")
    }

    fn restart(&mut self) -> Result<(), String> {
        self.unsent.clear();
        self.epoch += 1;
        let snapshot = self.store.read();
        let (state, effects) =
            EnvironmentState::restore("reference".into(), Epoch(self.epoch), snapshot, self.model.now);
        self.state = state;
        for member in &mut self.fleet {
            member.hangs_up();
        }
        self.model.restart(&self.store.snapshot.requests);
        self.after(None, &effects)
    }

    pub(super) fn step(&mut self, event: &Event) -> Result<(), String> {
        if let Event::Begun(_, attempts) | Event::RevokeRefused(_, attempts) = event {
            self.trace.push(format!(
                "    {} {attempts:?}",
                if matches!(event, Event::Begun(..)) { "begun" } else { "refuses to give back" }
            ));
        }
        if let Event::Finished(name, outcome) = event {
            self.trace.push(format!("    {name} finishes {} {:?}", outcome.attempt, outcome.kind));
        }
        let mut effects = Effects::default();
        step(&mut self.state, event.clone(), self.model.now, &mut effects);
        self.after(Some(event), &effects)
    }

    /// The same event in the reference, and the comparison.
    fn after(&mut self, event: Option<&Event>, effects: &Effects) -> Result<(), String> {
        self.store.take(&self.state, effects);
        let model = &mut self.model;
        model.user_deploys = matches!(event, Some(Event::Request(request)) if request.kind == RequestKind::Deploy);
        let open = model.open();
        model.flow();
        model.released.clear();
        model.waits_in_core =
            self.state.views().filter_map(|view| Some((view.row.resource, view.row.after?))).collect();
        // What rings while something is cancelled, or is to be looked at, is due after it.
        let last = [RequestKind::Cancel, RequestKind::Report, RequestKind::FactRefresh];
        let rings_last = matches!(event, Some(Event::Request(request)) if last.contains(&request.kind));
        if event.is_some() && !rings_last {
            model.ring(event);
        }
        match event {
            Some(Event::Push(push)) => model.push(push, effects, &self.state)?,
            Some(Event::Forget(forget)) => {
                model.forget(forget, effects, &self.state)?;
                model.release_all(&self.state)?;
            }
            Some(event) => {
                model.take(event, effects, &self.state)?;
                model.release_all(&self.state)?;
            }
            None => {}
        }
        model.take_what_is_open(&self.state);
        model.renew(&self.state);
        if rings_last {
            model.ring(event);
        }
        if let Some(event) = event {
            model.reconcile(event, effects);
        }
        let queued = self.state.views().filter(|view| view.queued.is_some()).map(|view| view.row.resource).collect();
        let waiting = self.state.views().filter_map(|view| Some((view.row.resource, view.queued?)));
        let granted = effects.messages.iter().filter_map(|message| match message {
            Message::Grant(_, _, grant) => Some((grant.resource?, grant.reason)),
            _ => None,
        });
        let reasons = waiting.chain(granted).collect();
        let seen = Seen { skipped: skips(effects).collect(), queued, reasons };
        model.rearm(event, &seen);
        model.settle(&seen);
        model.raise(event, &seen);
        model.take_successors(matches!(event, Some(Event::Push(_))), &self.state)?;
        model.take_places();
        model.check_outcomes(&open, effects)?;
        model.check_requests(effects)?;
        model.check_skips(effects)?;
        model.follow(effects)?;
        compare(model, &self.state)?;
        model.check_granted()?;
        model.dry_runs_wait = self.state.open_dry_runs() > 0;
        model.check_pools(effects)?;
        model.remember();
        model.check_timers(event, &self.state)?;
        model.clock_stepped = false;
        self.store.check(&self.state)?;
        for message in &effects.messages {
            match message {
                Message::Grant(to, _, grant) => self.trace.push(format!(
                    "        grant {} {} {:?} {:?} to {to}",
                    grant.attempt, grant.intent.name, grant.operation, grant.reason
                )),
                Message::Revoke(to, attempt) => self.trace.push(format!("        ask {attempt} back from {to}")),
                Message::Accepted(version, refused) => {
                    let ids = super::follow::version_in(effects).into_iter().flat_map(|record| &record.intents);
                    let ids: Vec<_> = ids
                        .map(|entry| {
                            format!(
                                "{}{} {:?}",
                                if entry.intent.is_some() { "" } else { "-" },
                                entry.name,
                                entry.resource
                            )
                        })
                        .collect();
                    self.trace.push(format!("        version {version}, refused {refused:?}, {}", ids.join(" ")));
                }
                Message::Refused(refused) => self.trace.push(format!("        refused {refused:?}")),
                _ => {}
            }
        }
        self.unsent.extend(effects.messages.iter().cloned());
        Ok(())
    }
}
