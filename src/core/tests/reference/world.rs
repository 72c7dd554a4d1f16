//! `core` and the reference side by side: one history, one fleet of executors, one clock, and a comparison after every step.
//!
//! An [`Action`] never names an attempt, only "the second one that this executor has begun", so that a list of actions still means something
//! after some are left out. Deliberately absent: decisions.

use super::super::super::{
    AttemptId, Change, DryRunId, DryRunItem, DryRunRequest, Effects, EnvironmentState, Epoch, Event, ExecutorName,
    Finding, Forget, Grant, Hash, Message, Name, OnChange, OpenGrant, OpenRequest, Operation, Outcome, OutcomeKind,
    Pool, Push, Record, Request, RequestId, RequestKind, ResourceId, ResourceRow, Scope, SessionNumber, Settings,
    Snapshot, Target, Timestamp, step,
};
use super::compare::compare;
use super::follow::{Seen, skips};
use super::model::{Model, Res};
use super::notation::told;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How an executor ends what it has begun.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Same,
    Changed,
    Identified,
    Failed,
    FailedHalfway,
    Lost,
}

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
    Stop,
    /// The owner dies, and another one starts; with it die the messages of the last step.
    Restart {
        unsent: bool,
    },
}

/// One attempt in an executor's hands, as the executor sees it.
#[derive(Clone, Debug)]
struct Held {
    grant: Arc<Grant>,
    begun: bool,
    asked_back: bool,
}

/// An executor process.
#[derive(Clone, Debug)]
struct Member {
    name: ExecutorName,
    pool: Name,
    connected: bool,
    held: Vec<Held>,
    /// Asked back, and never heard of.
    unheard: Vec<AttemptId>,
    last_outcome: Option<Outcome>,
    /// How often it was started.
    lives: u32,
}

/// What history has of the environment.
#[derive(Debug, Default)]
struct Store {
    snapshot: Snapshot,
    rows: BTreeMap<ResourceId, ResourceRow>,
    grants: BTreeMap<AttemptId, OpenGrant>,
}

pub(super) struct World {
    state: EnvironmentState,
    pub model: Model,
    store: Store,
    fleet: Vec<Member>,
    epoch: u64,
    unsent: Vec<Message>,
    /// What was last shown of a release: its digest, and what it was.
    shown: Option<(Hash, Vec<String>)>,
    pub trace: Vec<String>,
}

pub(super) const POOLS: [&str; 2] = ["p0", "p1"];
const START: Timestamp = Timestamp(1_700_000_000_000);

impl World {
    pub(super) fn new() -> Self {
        let member = |n: usize| Member {
            name: format!("e{n}").into(),
            pool: POOLS[n % 2].into(),
            connected: false,
            held: Vec::new(),
            unheard: Vec::new(),
            last_outcome: None,
            lives: 0,
        };
        Self {
            state: EnvironmentState::new("reference".into(), Epoch(1), START),
            model: Model { now: START, flowed: START, ..Model::default() },
            store: Store::default(),
            fleet: (0..4).map(member).collect(),
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
                id: RequestId(0),
                kind: *kind,
                scope: scope.clone(),
                author: "user".into(),
                message: "".into(),
                digest: None,
            })),
            Action::DeployShown(scope, now) => self.deploy_shown(scope, *now),
            Action::DryRun(items) => self.step(&Event::DryRun(DryRunRequest {
                id: DryRunId(0),
                items: items.clone(),
                author: "user".into(),
            })),
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
        self.step(&Event::Request(Request { id: RequestId(0), kind, scope, author, message, digest: Some(digest) }))
    }

    fn connect(&mut self, n: usize, credits: u32) -> Result<(), String> {
        let member = &mut self.fleet[n];
        if member.connected {
            return Ok(());
        }
        member.connected = true;
        member.unheard.clear();
        let holds = member.held.iter().map(|held| held.grant.attempt).collect();
        let (executor, pool) = (member.name.clone(), member.pool.clone());
        member.held.iter_mut().for_each(|held| held.asked_back = false);
        let begun: Vec<_> = member.held.iter().filter(|held| held.begun).map(|held| held.grant.attempt).collect();
        self.step(&Event::ExecutorConnected {
            executor: executor.clone(),
            pool,
            session: SessionNumber(1),
            credits,
            holds,
        })?;
        if begun.is_empty() { Ok(()) } else { self.step(&Event::Begun(executor, begun)) }
    }

    fn disconnect(&mut self, n: usize) -> Result<(), String> {
        let member = &mut self.fleet[n];
        if !std::mem::take(&mut member.connected) {
            return Ok(());
        }
        let name = member.name.clone();
        self.step(&Event::ExecutorDisconnected(name))
    }

    /// It ended; its pod's successor has another name.
    fn lose(&mut self, n: usize) -> Result<(), String> {
        let member = &mut self.fleet[n];
        let lives = member.lives + 1;
        let gone = std::mem::replace(&mut member.name, format!("e{n}.{lives}").into());
        (member.connected, member.lives) = (false, lives);
        member.held.clear();
        member.unheard.clear();
        member.last_outcome = None;
        self.step(&Event::ExecutorLost(gone))
    }

    /// "An executor *begins* granted work in order within its targets' concurrency."
    fn begin(&mut self, n: usize, pick: usize) -> Result<(), String> {
        let member = &mut self.fleet[n];
        let waiting: Vec<usize> = (0..member.held.len()).filter(|at| !member.held[*at].begun).collect();
        if waiting.is_empty() || !member.connected {
            return Ok(());
        }
        let held = &mut member.held[waiting[pick % waiting.len()]];
        held.begun = true;
        let (name, attempt) = (member.name.clone(), held.grant.attempt);
        self.step(&Event::Begun(name, vec![attempt]))
    }

    fn finish(&mut self, n: usize, pick: usize, end: End, begun: bool) -> Result<(), String> {
        let member = &mut self.fleet[n];
        let ready: Vec<usize> = (0..member.held.len()).filter(|at| member.held[*at].begun == begun).collect();
        if ready.is_empty() || !member.connected {
            return Ok(());
        }
        let held = member.held.remove(ready[pick % ready.len()]);
        let outcome = Outcome {
            attempt: held.grant.attempt,
            began_at: Some(self.model.now),
            finished_at: self.model.now,
            kind: ending(end, held.grant.operation),
        };
        member.last_outcome = Some(outcome.clone());
        let name = member.name.clone();
        self.step(&Event::Finished(name, outcome))
    }

    /// Answers what was asked back: given back, or refused because it has begun.
    fn answer(&mut self, n: usize) -> Result<(), String> {
        if self.fleet[n].connected {
            for attempt in std::mem::take(&mut self.fleet[n].unheard) {
                let (name, now) = (self.fleet[n].name.clone(), self.model.now);
                let outcome = Outcome { attempt, began_at: None, finished_at: now, kind: OutcomeKind::Revoked };
                self.step(&Event::Finished(name, outcome))?;
            }
        }
        while let Some(at) = self.fleet[n].held.iter().position(|held| held.asked_back) {
            let member = &mut self.fleet[n];
            if !member.connected {
                return Ok(());
            }
            let name = member.name.clone();
            if member.held[at].begun {
                member.held[at].asked_back = false;
                let attempt = member.held[at].grant.attempt;
                self.step(&Event::RevokeRefused(name, vec![attempt]))?;
            } else {
                let attempt = member.held.remove(at).grant.attempt;
                let now = self.model.now;
                let outcome = Outcome { attempt, began_at: None, finished_at: now, kind: OutcomeKind::Revoked };
                self.step(&Event::Finished(name, outcome))?;
            }
            self.deliver();
        }
        Ok(())
    }

    fn duplicate(&mut self, n: usize) -> Result<(), String> {
        let member = &self.fleet[n];
        match &member.last_outcome {
            Some(outcome) if member.connected => {
                let (name, outcome) = (member.name.clone(), outcome.clone());
                self.step(&Event::Finished(name, outcome))
            }
            _ => Ok(()),
        }
    }

    /// A result for an attempt that this executor does not have.
    fn forge(&mut self, n: usize, attempt: u64) -> Result<(), String> {
        let member = &self.fleet[n];
        let attempt = AttemptId(attempt % (self.model.last_attempt.0 + 3));
        if member.held.iter().any(|held| held.grant.attempt == attempt) {
            return Ok(());
        }
        let name = member.name.clone();
        let kind = OutcomeKind::Succeeded(Finding::same());
        let outcome = Outcome { attempt, began_at: Some(self.model.now), finished_at: self.model.now, kind };
        self.step(&Event::Begun(name.clone(), vec![attempt]))?;
        self.step(&Event::Finished(name, outcome))
    }

    fn deliver(&mut self) {
        for message in std::mem::take(&mut self.unsent) {
            match message {
                Message::Grant(to, _, grant) => {
                    if let Some(member) = self.fleet.iter_mut().find(|member| member.name == to && member.connected) {
                        member.held.push(Held { grant, begun: false, asked_back: false });
                    }
                }
                Message::Revoke(to, attempt) => {
                    let Some(member) = self.fleet.iter_mut().find(|member| member.name == to && member.connected)
                    else {
                        continue;
                    };
                    match member.held.iter_mut().find(|held| held.grant.attempt == attempt) {
                        Some(held) => held.asked_back = true,
                        None => member.unheard.push(attempt),
                    }
                }
                _ => {}
            }
        }
    }

    fn restart(&mut self) -> Result<(), String> {
        self.unsent.clear();
        self.epoch += 1;
        let snapshot = self.store.read();
        let (state, effects) =
            EnvironmentState::restore("reference".into(), Epoch(self.epoch), snapshot, self.model.now);
        self.state = state;
        for member in &mut self.fleet {
            member.connected = false;
            // A dry run is nobody's after a restart.
            member.held.retain(|held| held.grant.resource.is_some());
        }
        self.model.restart(&self.store.snapshot.requests);
        self.after(None, &effects)
    }

    fn step(&mut self, event: &Event) -> Result<(), String> {
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

    /// Faults stop: everything is there again and succeeds. "convergence within a bound", and then "another step yields no effect" (X2, X3, I1).
    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.trace.push("-- faults stop".into());
        let settings = Settings { suspend: false, on_change: OnChange::Automatic, ..self.model.settings.clone() };
        if self.model.stopping {
            self.act(&Action::Restart { unsent: false })?;
        }
        self.act(&Action::Settings(settings))?;
        self.act(&Action::Request(RequestKind::ApproveRemovals, Scope::default()))?;
        for target in self.model.suspended.keys().cloned().collect::<Vec<_>>() {
            self.act(&Action::Request(RequestKind::Resume, Scope { target, names: None }))?;
        }
        for n in 0..4 {
            self.act(&Action::Target(super::generator::target(n, false)))?;
            self.act(&Action::Connect(n, 8))?;
        }
        for _ in 0..400 {
            for n in 0..4 {
                self.act(&Action::Answer(n))?;
                while self.fleet[n].held.iter().any(|held| !held.begun) {
                    self.act(&Action::Begin(n, 0))?;
                }
                while self.fleet[n].held.iter().any(|held| held.begun) {
                    self.act(&Action::Finish(n, 0, End::Same))?;
                }
            }
            if self.model.open().is_empty() && self.unsent.is_empty() {
                let failed =
                    self.model.all.values().filter(|res| (res.failures > 0 || res.cancelled) && res.queued.is_none());
                match failed.filter_map(|res| res.due).min() {
                    Some(due) => self.act(&Action::Wait(due.ms_since(self.model.now).max(1)))?,
                    None => return self.rest(),
                }
            }
        }
        Err("it does not come to rest".into())
    }

    fn rest(&mut self) -> Result<(), String> {
        for res in self.model.all.values() {
            let undefined = self.model.undefined(res);
            // It waits for the delete of what was there, and that for what lives and requires it, as `why` says.
            let waits = res.after.is_some()
                || (res.queued.is_some() && self.model.requirements(res).iter().any(|other| !other.good()));
            let left = res.observed.differs()
                || (res.skipped && self.model.requirements(res).iter().any(|other| !other.good()));
            let fine = if res.live() {
                res.good() || undefined || left || waits
            } else {
                res.protected()
                    || !self.model.dependents(res.id, false).is_empty()
                    || self.model.successor(res).is_some()
            };
            if !fine {
                return Err(format!("{} does not converge: {res:?}", res.intent.name));
            }
        }
        // A delete that is never to be, because what was removed is protected, is not over.
        let stays = |res: &Res| !res.live() && (res.protected() || self.model.successor(res).is_some());
        let protected = self.model.all.values().any(stays);
        if !protected && !self.state.quiet() {
            return Err("nothing is left to do, and core is not quiet".into());
        }
        let mut effects = Effects::default();
        step(&mut self.state, Event::Tick, self.model.now, &mut effects);
        let still = effects.records.is_empty() && effects.rows.is_empty() && effects.messages.is_empty();
        if still { Ok(()) } else { Err(format!("at rest, another step yields {effects:?}")) }
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
        let last = [RequestKind::Cancel, RequestKind::Report];
        let rings_last = matches!(event, Some(Event::Request(request)) if last.contains(&request.kind));
        if event.is_some() && !rings_last {
            model.ring(event);
        }
        match event {
            Some(Event::Push(push)) => model.push(push, effects, &self.state)?,
            Some(Event::Forget(forget)) => model.forget(forget, effects, &self.state)?,
            Some(event) => {
                model.take(event, effects, &self.state)?;
                model.release_all(&self.state)?;
            }
            None => {}
        }
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

fn ending(end: End, operation: Operation) -> OutcomeKind {
    let change = match operation {
        Operation::Delete => Change::Delete,
        Operation::Observe | Operation::DryRun | Operation::Enforce => Change::Update,
    };
    let finding = |change, identity: Option<&str>| {
        let diff = if change == Change::None { "" } else { "a difference" };
        Finding { change, diff: diff.into(), remote_identity: identity.map(Name::from), ..Finding::same() }
    };
    match end {
        End::Same => OutcomeKind::Succeeded(Finding::same()),
        End::Changed => OutcomeKind::Succeeded(finding(change, None)),
        End::Identified => OutcomeKind::Succeeded(finding(change, Some("an identity"))),
        End::Failed => OutcomeKind::Failed { message: "it failed".into(), finding: None },
        End::FailedHalfway => {
            OutcomeKind::Failed { message: "halfway".into(), finding: Some(finding(change, Some("half an identity"))) }
        }
        End::Lost => OutcomeKind::Lost,
    }
}

impl Store {
    fn take(&mut self, state: &EnvironmentState, effects: &Effects) {
        let snapshot = &mut self.snapshot;
        for record in &effects.records {
            match record {
                Record::Version(version) => snapshot.version = version.number,
                Record::Grant(executor, grant) => {
                    snapshot.last_attempt = snapshot.last_attempt.max(grant.attempt);
                    let open = OpenGrant {
                        attempt: grant.attempt,
                        resource: grant.resource.unwrap(),
                        target: Some(grant.intent.target.clone()),
                        executor: executor.clone(),
                        operation: grant.operation,
                        reason: grant.reason,
                        hash: grant.hash,
                    };
                    self.grants.insert(grant.attempt, open);
                }
                Record::Outcome { outcome, .. } => {
                    snapshot.last_attempt = snapshot.last_attempt.max(outcome.attempt);
                    self.grants.remove(&outcome.attempt);
                }
                Record::Request { id, kind, scope, author, at, message } => {
                    snapshot.last_request = snapshot.last_request.max(*id);
                    let (scope, author, message) = (scope.clone(), author.clone(), message.clone());
                    snapshot.requests.push(OpenRequest { id: *id, kind: *kind, scope, author, at: *at, message });
                }
                Record::RequestDone(id, _) => snapshot.requests.retain(|request| request.id != *id),
                Record::DryRun { id, .. } => snapshot.last_dry_run = snapshot.last_dry_run.max(*id),
                Record::Settings(settings) => snapshot.settings = Some(settings.clone()),
                Record::Target(target) => {
                    snapshot.targets.retain(|other| other.name != target.name);
                    snapshot.targets.push(target.clone());
                }
                Record::TargetRemoved(name) => snapshot.targets.retain(|other| other.name != *name),
                Record::DryRunResult { .. } => {}
            }
        }
        for id in &effects.rows {
            if let Some(row) = state.row(*id) {
                snapshot.last_resource = snapshot.last_resource.max(Some(*id));
                self.rows.insert(*id, row.clone());
            }
        }
        for row in &effects.left {
            snapshot.last_resource = snapshot.last_resource.max(Some(row.resource));
            self.rows.remove(&row.resource);
        }
    }

    /// What is stored is what stands: no changed row was forgotten.
    fn check(&self, state: &EnvironmentState) -> Result<(), String> {
        let standing = state.views().count();
        let differs = self.rows.iter().find(|(id, row)| state.row(**id) != Some(*row));
        match differs {
            None if standing == self.rows.len() => Ok(()),
            None => Err(format!("{standing} rows stand, {} are stored", self.rows.len())),
            Some((id, row)) => Err(format!("{:?} is stored as {row:?}", state.row(*id))),
        }
    }

    fn read(&self) -> Snapshot {
        let resources = self.rows.values().cloned().collect();
        let grants = self.grants.values().cloned().collect();
        Snapshot { resources, grants, ..self.snapshot.clone() }
    }
}
