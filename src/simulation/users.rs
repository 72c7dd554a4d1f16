//! Users and their clients: they push, remove, ask and configure, and say again what was not answered, in order, to whoever owns the environment.

use super::agenda::Happening;
use super::mutant::Mutant;
use super::owner::OwnerId;
use super::random::Random;
use super::violation::Checker;
use super::words::Fault;
use super::world::World;
use crate::core::{
    DeletionPolicy, DryRunId, DryRunItem, DryRunRequest, Event, Forget, Intent, IntentParts, Message, Mode, Name,
    Notify, Policy, Pool, Push, PushMode, RateLimit, Repair, RepairAction, RepairSchedule, Request, RequestId,
    RequestKind, Retry, Scope, Settings, Target, TargetName, Windows,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The pool that every target names.
pub(super) const POOL: &str = "pool";
/// The set that users push to.
const SET: &str = "default";

/// Who waits for an answer: the number of the call.
pub(super) type Caller = u64;

pub(super) struct Users {
    /// What was not answered yet, and to which owner it was sent.
    calls: BTreeMap<Caller, (Event, Option<OwnerId>)>,
    last_call: Caller,
    names: usize,
    targets: usize,
    /// Nothing arrives before what was sent earlier.
    last_arrival: u64,
    pub(super) settings: Settings,
    pub(super) configured: BTreeMap<TargetName, Target>,
    pub(super) pool: Pool,
    /// Names that somebody asked to remove or to forget.
    pub(super) removed: BTreeSet<Name>,
    pub(super) forgotten: BTreeSet<Name>,
}

impl Users {
    pub(super) fn new(random: &mut Random) -> Self {
        let retry = Retry { base_delay_ms: 1_000, max_delay_ms: 60_000, factor: 2.0, jitter: 0.2 };
        let mut users = Self {
            calls: BTreeMap::new(),
            last_call: 0,
            names: 20 + random.below(20),
            targets: 2 + random.below(5),
            last_arrival: 0,
            settings: Settings { retry, ..Settings::default() },
            configured: BTreeMap::new(),
            pool: Pool { name: POOL.into(), min: 1, max: 1 + random.below(3) as u32, idle_timeout_ms: 60_000 },
            removed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        };
        for number in 0..users.targets {
            users.configure(number, random);
        }
        users
    }

    pub(super) fn some_name(&self, random: &mut Random) -> Name {
        format!("r{}", random.below(self.names)).into()
    }

    pub(super) fn some_target(&self, random: &mut Random) -> TargetName {
        format!("t{}", random.below(self.targets)).into()
    }

    /// Nobody waits for an answer.
    pub(super) fn are_answered(&self) -> bool {
        self.calls.is_empty()
    }

    fn configure(&mut self, number: usize, random: &mut Random) -> Target {
        let rate = RateLimit { attempts: 1 + random.below(4) as u32, period_ms: random.between(500, 10_000) };
        let target = Target {
            name: format!("t{number}").into(),
            pool: POOL.into(),
            connection: r#"{"type":"model"}"#.into(),
            concurrency: 1 + random.below(3) as u32,
            suspend: false,
            windows: Windows::default(),
            rate_limit: random.chance(20).then_some(rate),
        };
        self.configured.insert(target.name.clone(), target.clone());
        target
    }

    /// An intent for a number. Edges lead to lower numbers mostly, so that few pushes are refused.
    fn intent(&self, number: usize, random: &mut Random) -> Arc<Intent> {
        let reach = if random.chance(3) { self.names } else { number };
        let edges = if reach == 0 { 0 } else { random.below(4) };
        let requires = (0..edges).map(|_| format!("r{}", random.below(reach)).into()).collect();
        let target = if random.chance(2) { 99 } else { number % self.targets };
        let same = if random.chance(4) { random.below(self.names) } else { number };
        let mode = if random.chance(6) { Mode::Observe } else { Mode::Enforce };
        let deletion_policy = if random.chance(8) { DeletionPolicy::Orphan } else { DeletionPolicy::Delete };
        let notify = Notify { send: random.chance(30), receive: random.chance(80) };
        Arc::new(Intent::new(IntentParts {
            name: format!("r{number}").into(),
            kind: "model.Thing".into(),
            target: format!("t{target}").into(),
            identity: format!("r{same}").into(),
            attributes: format!(r#"{{"value":{}}}"#, random.below(5)).into(),
            requires,
            inputs: Vec::new(),
            labels: std::collections::BTreeMap::new(),
            policy: Policy {
                mode,
                deletion_policy,
                deadline_ms: random.between(5_000, 20_000),
                notify,
                ..Policy::default()
            },
        }))
    }
}

/// A push that nobody asked for.
pub(super) fn removal_of(removals: Vec<Name>) -> Push {
    Push { removals, ..push_of(Vec::new(), PushMode::Each) }
}

/// A push of one user.
fn push_of(upserts: Vec<Arc<Intent>>, mode: PushMode) -> Push {
    Push {
        set: SET.into(),
        upserts,
        removals: Vec::new(),
        approved: true,
        prune: false,
        base: None,
        mode,
        author: "a user".into(),
        source: "manifests".into(),
        message: "".into(),
    }
}

impl World {
    /// The first push: everything.
    pub(super) fn users_begin(&mut self) {
        let upserts = (0..self.users.names).map(|number| self.users.intent(number, &mut self.random)).collect();
        let push = push_of(upserts, PushMode::Each);
        self.say_to_owner(Event::Push(push));
    }

    /// One of the things that users do.
    pub(super) fn users_act(&mut self) {
        match self.random.below(100) {
            0..40 => self.users_push(),
            40..48 => self.users_remove(),
            48..51 => self.users_forget(),
            51..63 => self.users_request(),
            63..67 => self.users_dry_run(),
            67..77 => self.users_change_settings(),
            77..90 => self.users_change_target(),
            90..93 => self.users_push_all_again(),
            93..97 => self.users_storm(),
            97..98 => {
                self.note("everything is removed");
                let push = Push { prune: true, ..push_of(Vec::new(), PushMode::Whole) };
                self.say_to_owner(Event::Push(push));
            }
            _ => {
                self.users.pool.max = 1 + self.random.below(3) as u32;
                self.tell(Event::PoolChanged(self.users.pool.clone()));
            }
        }
    }

    fn some_intents(&mut self, most: usize) -> Vec<Arc<Intent>> {
        let count = 1 + self.random.below(most);
        (0..count)
            .map(|_| {
                let number = self.random.below(self.users.names);
                self.users.intent(number, &mut self.random)
            })
            .collect()
    }

    fn users_push(&mut self) {
        let upserts = self.some_intents(8);
        let mode = if self.random.chance(80) { PushMode::Each } else { PushMode::Whole };
        let mut push = push_of(upserts, mode);
        if self.random.chance(10) {
            push.removals = vec![self.users.some_name(&mut self.random)];
        }
        self.say_to_owner(Event::Push(push));
    }

    fn users_remove(&mut self) {
        let removals = (0..=self.random.below(4)).map(|_| self.users.some_name(&mut self.random)).collect();
        let push = Push { removals, ..push_of(Vec::new(), PushMode::Each) };
        self.say_to_owner(Event::Push(push));
    }

    fn users_forget(&mut self) {
        let names = vec![self.users.some_name(&mut self.random)];
        self.say_to_owner(Event::Forget(Forget { names, author: "a user".into(), message: "".into() }));
    }

    fn users_request(&mut self) {
        let kind = if self.random.chance(50) { RequestKind::Deploy } else { RequestKind::Repair };
        let target = self.random.chance(30).then(|| self.users.some_target(&mut self.random));
        let names = self.random.chance(30).then(|| (0..3).map(|_| self.users.some_name(&mut self.random)).collect());
        self.request(kind, Scope { target, names });
    }

    pub(super) fn request(&mut self, kind: RequestKind, scope: Scope) {
        self.say_to_owner(Event::Request(Request {
            id: RequestId(0),
            kind,
            scope,
            author: "a user".into(),
            message: "".into(),
            digest: None,
        }));
    }

    fn users_dry_run(&mut self) {
        let intents = self.some_intents(4);
        let items = intents.into_iter().map(|intent| DryRunItem { intent, removed: false }).collect();
        self.say_to_owner(Event::DryRun(DryRunRequest { id: DryRunId(0), items, author: "a user".into() }));
    }

    fn users_change_settings(&mut self) {
        let every = RepairSchedule::EveryMs(self.random.between(5_000, 60_000));
        let schedule = if self.random.chance(60) { every } else { RepairSchedule::Off };
        let action = if self.random.chance(25) { RepairAction::Report } else { RepairAction::Correct };
        self.users.settings.repair = Repair { schedule, jitter_ms: None, action };
        self.users.settings.suspend = self.random.chance(15);
        self.users.settings.max_in_flight = self.random.chance(25).then(|| 1 + self.random.below(5) as u32);
        self.tell(Event::SettingsChanged(self.users.settings.clone()));
    }

    fn users_change_target(&mut self) {
        let number = self.random.below(self.users.targets);
        let name: TargetName = format!("t{number}").into();
        if self.random.chance(15) {
            self.users.configured.remove(&name);
            return self.tell(Event::TargetRemoved(name));
        }
        let mut target = self.users.configure(number, &mut self.random);
        target.suspend = self.random.chance(25);
        self.users.configured.insert(name, target.clone());
        self.tell(Event::TargetChanged(target));
    }

    /// A client that is not sure says everything again as it stands in history.
    fn users_push_all_again(&mut self) {
        let upserts = self.store.journal.current.values().cloned().collect();
        let push = push_of(upserts, PushMode::Each);
        self.say_to_owner(Event::Push(push));
    }

    /// Many edits of one resource, one after the other.
    fn users_storm(&mut self) {
        self.faults.count(Fault::Storm);
        let number = self.random.below(self.users.names);
        for _ in 0..30 {
            let intent = self.users.intent(number, &mut self.random);
            let push = push_of(vec![intent], PushMode::Each);
            self.say_to_owner(Event::Push(push));
        }
    }

    /// Nothing requires any more what is not there, everything is enforced, and every target is there and open.
    pub(super) fn users_heal(&mut self) {
        for number in (0..self.users.targets).chain([99]) {
            let mut target = self.users.configure(number, &mut self.random);
            target.rate_limit = None;
            self.users.configured.insert(target.name.clone(), target);
        }
        self.users.settings.suspend = false;
        self.users.settings.max_in_flight = None;
        self.users.settings.repair = Repair::default();
        if let Some(owner) = self.newest_owner() {
            self.tell_everything(owner);
        }
    }

    /// As [`World::users_heal`], for intents: called when nobody waits for an answer any more.
    pub(super) fn users_push_healthy_intents(&mut self) {
        let current = &self.store.journal.current;
        let names: BTreeSet<&Name> = current.values().map(|intent| &intent.name).collect();
        let heal = |intent: &Arc<Intent>| {
            let mut parts = IntentParts::from((**intent).clone());
            parts.requires.retain(|name| names.contains(name));
            parts.policy.mode = Mode::Enforce;
            Arc::new(Intent::new(parts))
        };
        let upserts = current.values().map(heal).collect();
        let push = push_of(upserts, PushMode::Whole);
        self.say_to_owner(Event::Push(push));
    }

    /// A call that is answered; it is sent again until it is.
    fn say_to_owner(&mut self, event: Event) {
        match &event {
            Event::Push(push) => {
                self.users.removed.extend(push.removals.iter().cloned());
                if push.prune {
                    let all = (0..self.users.names).map(|number| Name::from(format!("r{number}")));
                    self.users.removed.extend(all);
                }
            }
            Event::Forget(forget) => self.users.forgotten.extend(forget.names.iter().cloned()),
            _ => {}
        }
        self.users.last_call += 1;
        self.users.calls.insert(self.users.last_call, (event, None));
        if let Some(owner) = self.newest_owner() {
            self.resend(owner);
        }
    }

    /// Sends what nobody has been sent, in order.
    pub(super) fn resend(&mut self, owner: OwnerId) {
        for (&number, (_, sent)) in &mut self.users.calls {
            if sent.is_none() {
                *sent = Some(owner);
                let delay = self.random.between(1, 20);
                self.users.last_arrival = self.users.last_arrival.max(self.now + delay);
                self.agenda.plan(self.users.last_arrival, Happening::Call(owner, number));
            }
        }
    }

    /// What this owner has not answered is to be said to another one.
    pub(super) fn unsend(&mut self, owner: OwnerId) {
        for (_, sent) in self.users.calls.values_mut() {
            if *sent == Some(owner) {
                *sent = None;
            }
        }
    }

    pub(super) fn call_arrives(&mut self, owner: OwnerId, number: Caller) {
        let Some((event, _)) = self.users.calls.get(&number) else { return };
        let mut event = event.clone();
        if let Event::Push(push) = &mut event {
            if self.mutant == Some(Mutant::LosePushedIntents) && push.upserts.len() > 1 {
                push.upserts.pop();
            }
            push.prune |= self.mutant == Some(Mutant::AbsenceDeletes);
        }
        self.call(owner, event, number);
    }

    /// What is configured, as its surroundings tell an owner.
    pub(super) fn tell(&mut self, event: Event) {
        let Some(owner) = self.newest_owner() else { return };
        self.tell_to(owner, event);
    }

    fn tell_to(&mut self, owner: OwnerId, event: Event) {
        let delay = self.random.between(1, 20);
        self.users.last_arrival = self.users.last_arrival.max(self.now + delay);
        self.agenda.plan(self.users.last_arrival, Happening::Told(owner, event));
    }

    /// A new owner is told everything that is configured, and hears all that was not answered.
    pub(super) fn tell_everything(&mut self, owner: OwnerId) {
        let Some(process) = self.owners.get(&owner) else { return };
        let gone = process.heart.state().targets().map(|target| target.name.clone());
        let gone: Vec<TargetName> = gone.filter(|name| !self.users.configured.contains_key(name)).collect();
        let targets: Vec<Target> = self.users.configured.values().cloned().collect();
        self.tell_to(owner, Event::SettingsChanged(self.users.settings.clone()));
        self.tell_to(owner, Event::PoolChanged(self.users.pool.clone()));
        for name in gone {
            self.tell_to(owner, Event::TargetRemoved(name));
        }
        for target in targets {
            self.tell_to(owner, Event::TargetChanged(target));
        }
        self.resend(owner);
    }

    /// A caller hears the answer: what it says must be in history.
    pub(super) fn reply(&mut self, number: Caller, message: Option<&Message>) {
        let Some((event, _)) = self.users.calls.remove(&number) else { return };
        let nothing_refused = match message {
            Some(Message::Accepted(version, _)) if self.is(Mutant::DropRefusals) => {
                Some(Message::Accepted(*version, Vec::new()))
            }
            _ => None,
        };
        let message = nothing_refused.as_ref().or(message);
        let journal = &self.store.journal;
        let wrong = match (&event, message) {
            (Event::Push(push), Some(Message::Accepted(version, refusals))) => {
                let refused: BTreeSet<&Name> = refusals.iter().map(|refusal| &refusal.name).collect();
                journal.lacks(*version, push, &refused)
            }
            (Event::Push(push), Some(Message::Refused(_))) if push.mode == PushMode::Whole => None,
            (Event::Forget(forget), Some(Message::Accepted(version, _))) => {
                let kept = forget.names.iter().find(|name| journal.at(*version, name).is_some());
                kept.map(|name| format!("{name} was forgotten and is in version {version}"))
            }
            (Event::Request(_), Some(Message::RequestAccepted(id, _))) if journal.requests.contains(id) => None,
            (Event::DryRun(_), Some(Message::DryRunAccepted(id))) if journal.dry_runs.contains(id) => None,
            (_, message) => Some(format!("{message:?} is not in history")),
        };
        if let Some(wrong) = wrong {
            self.broke(Checker::AnsweredIsCommitted, format!("{}: {wrong}", super::words::describe(&event)));
        }
    }
}
