//! Users and their clients: they push, remove, ask and configure, and say again what was not answered, in order, to whoever owns the environment.

use super::Size;
use super::agenda::Happening;
use super::intents::is_there;
use super::mutant::Mutant;
use super::owner::OwnerId;
use super::random::Random;
use super::violation::Checker;
use super::words::{Fault, State};
use super::world::World;
use crate::core::{
    DryRunItem, DryRunRequest, Event, Forget, Intent, IntentParts, Message, Mode, Name, OnChange, Pool, Push, PushMode,
    Repair, RepairAction, RepairSchedule, Request, RequestKind, ResourceView, Retry, Scope, Settings, Target,
    TargetName, VersionNumber, Windows,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The pool that every target names.
pub(super) const POOL: &str = "pool";
/// Edits of one resource at once, and within a second (R24).
const SHORT_STORM: u64 = 30;
const LONG_STORM: u64 = 1_000;
/// The longest that what is configured is under way to an owner that can be reached.
const TOLD_MS: u64 = 20;
/// The set that users push to.
const SET: &str = "default";

/// Credits of executors that come to their bound all the time, and of executors that a target which hangs does not fill.
pub(super) const FEW_CREDITS: u32 = 6;
const ENOUGH_CREDITS: u32 = crate::core::limits::GRANTS_AHEAD + 64;

/// Who waits for an answer: the number of the call.
pub(super) type Caller = u64;

/// What is configured, beside the intents.
#[derive(Clone, Debug)]
pub(super) struct Configured {
    settings: Settings,
    pool: Pool,
    pub(super) targets: BTreeMap<TargetName, Target>,
}

pub(super) struct Users {
    /// What was not answered yet, and to which owner it was sent.
    calls: BTreeMap<Caller, (Event, Option<OwnerId>)>,
    last_call: Caller,
    pub(super) names: usize,
    /// So many of them are declared so that they cannot be refused: a world is as large as it says.
    pub(super) accepted: usize,
    pub(super) targets: usize,
    /// Users of this world release by hand.
    pub(super) manual: bool,
    /// The first storm of this world is a long one.
    stormy: bool,
    /// Edits of long storms.
    pub(super) stormed: u64,
    /// Targets have windows.
    pub(super) windowed: bool,
    /// Facts and secrets fill attributes.
    pub(super) filled: bool,
    /// Grants that an executor takes before it has answered some: in some worlds few, so that this bound is met.
    pub(super) credits: u32,
    /// Nothing arrives before what was sent earlier.
    last_arrival: u64,
    pub(super) settings: Settings,
    pub(super) configured: BTreeMap<TargetName, Target>,
    pub(super) pool: Pool,
    /// Names that somebody asked to remove or to forget.
    pub(super) removed: BTreeSet<Name>,
    pub(super) forgotten: BTreeSet<Name>,
    /// Names that were removed after a version, and nobody has approved it.
    pub(super) unapproved: BTreeMap<Name, VersionNumber>,
}

impl Users {
    pub(super) fn new(size: Size, random: &mut Random) -> Self {
        let max_delay_ms = if random.chance(50) { random.between(1_000, 9_000) } else { 60_000 };
        let retry = Retry { base_delay_ms: 1_000, max_delay_ms, factor: 2.0, jitter: 0.2 };
        let mut users = Self {
            calls: BTreeMap::new(),
            last_call: 0,
            names: size.names + random.below(size.names),
            accepted: size.names,
            targets: size.targets + random.below(5),
            manual: random.chance(30),
            stormy: random.chance(10),
            stormed: 0,
            windowed: random.chance(40),
            filled: random.chance(60),
            credits: if random.chance(50) { FEW_CREDITS } else { ENOUGH_CREDITS },
            last_arrival: 0,
            settings: Settings { retry, ..Settings::default() },
            configured: BTreeMap::new(),
            pool: Pool { name: POOL.into(), min: 1, max: 1 + random.below(3) as u32, idle_timeout_ms: 60_000 },
            removed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            unapproved: BTreeMap::new(),
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

    pub(super) fn configuration(&self) -> Configured {
        let (settings, pool) = (self.settings.clone(), self.pool.clone());
        Configured { settings, pool, targets: self.configured.clone() }
    }

    /// Nobody waits for an answer.
    pub(super) fn are_answered(&self) -> bool {
        self.calls.is_empty()
    }
}

/// A push that nobody asked for.
pub(super) fn removal_of(removals: Vec<Name>) -> Push {
    Push { removals, ..push_of(Vec::new(), PushMode::Each) }
}

/// A push of one user.
pub(super) fn push_of(upserts: Vec<Arc<Intent>>, mode: PushMode) -> Push {
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
        let upserts = (0..self.users.names).map(|number| self.users.first_intent(number, &mut self.random)).collect();
        let push = push_of(upserts, PushMode::Each);
        self.say_to_owner(Event::Push(push));
    }

    /// One of the things that users do.
    pub(super) fn users_act(&mut self) {
        if self.users.manual && self.random.chance(25) {
            return self.users_release();
        }
        match self.random.below(100) {
            0..30 => self.users_push(),
            30..32 => self.users_act_on_what_they_saw(),
            32..34 => self.users_plan_to_take_a_target(),
            34..39 => self.users_remove(),
            39..42 => self.users_forget(),
            42..50 => self.users_request(),
            50..54 => self.users_dry_run(),
            54..62 => self.users_change_settings(),
            62..73 => self.users_change_target(),
            73..76 => self.users_push_all_again(),
            76..79 => self.users_storm(),
            79..80 => self.users_remove_everything(),
            80..82 => {
                self.users.pool.max = 1 + self.random.below(3) as u32;
                self.tell(Event::PoolChanged(self.users.pool.clone()));
            }
            82..94 => self.users_order(),
            94..96 => self.users_roll_back(),
            96..98 => self.users_push_something_bad(),
            _ => {
                self.note("a secret becomes another one");
                self.vault.rotate(&mut self.random);
            }
        }
    }

    fn users_remove_everything(&mut self) {
        self.note("everything is removed");
        let approved = self.random.chance(60);
        let push = Push { prune: true, approved, ..push_of(Vec::new(), PushMode::Whole) };
        self.say_to_owner(Event::Push(push));
    }

    pub(super) fn some_intents(&mut self, most: usize) -> Vec<Arc<Intent>> {
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
        let most = if self.random.chance(15) { 25 } else { 4 };
        let removals = (0..=self.random.below(most)).map(|_| self.users.some_name(&mut self.random)).collect();
        let push = Push { removals, approved: self.random.chance(60), ..push_of(Vec::new(), PushMode::Each) };
        self.say_to_owner(Event::Push(push));
    }

    fn users_forget(&mut self) {
        let mut names: Vec<Name> = (0..=self.random.below(3)).map(|_| self.users.some_name(&mut self.random)).collect();
        // Mostly what somebody waits for.
        let process = self.newest_owner().and_then(|id| self.owners.get(&id));
        let views = process.into_iter().flat_map(|process| process.heart.state().views());
        let deleting = views.filter(|view| State::of(Some(view)) == State::Deleting);
        let deleting: Vec<Name> = deleting.map(|view| view.row.intent.name.clone()).collect();
        names.extend(self.random.pick(&deleting).cloned());
        self.say_to_owner(Event::Forget(Forget { names, author: "a user".into(), message: "".into() }));
    }

    fn users_request(&mut self) {
        let kind = if self.random.chance(50) { RequestKind::Deploy } else { RequestKind::Repair };
        let scope = self.some_scope();
        self.request(kind, scope);
    }

    pub(super) fn request(&mut self, kind: RequestKind, scope: Scope) {
        self.say_to_owner(Event::Request(Request {
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
        self.say_to_owner(Event::DryRun(DryRunRequest { items, author: "a user".into() }));
    }

    fn users_change_settings(&mut self) {
        let every = RepairSchedule::EveryMs(self.random.between(5_000, 60_000));
        let schedule = if self.random.chance(60) { every } else { RepairSchedule::Off };
        let action = if self.random.chance(25) { RepairAction::Report } else { RepairAction::Correct };
        self.users.settings.repair = Repair { schedule, jitter_ms: None, action };
        self.users.settings.suspend = self.random.chance(15);
        let manual = self.users.manual && self.random.chance(80);
        self.users.settings.on_change = if manual { OnChange::Manual } else { OnChange::Automatic };
        self.users.settings.max_in_flight = self.random.chance(25).then(|| 1 + self.random.below(5) as u32);
        self.tell(Event::SettingsChanged(self.users.settings.clone()));
    }

    /// Just when something on it is due: an owner that still thinks other settings over has not thought of that yet.
    fn users_plan_to_take_a_target(&mut self) {
        let Some(process) = self.newest_owner().and_then(|id| self.owners.get(&id)) else { return };
        let wall = process.wall(self.now);
        let due = |view: ResourceView| Some((view.row.due_at.filter(|&at| at > wall)?, view.row.intent.target.clone()));
        let due: Vec<_> = process.heart.state().views().filter_map(due).collect();
        let Some((at, target)) = self.random.pick(&due) else { return };
        let in_ms = process.clock.lasts(at.ms_since(wall)).saturating_sub(TOLD_MS);
        self.agenda.plan(self.now + in_ms, Happening::Take(target.clone()));
    }

    pub(super) fn take_target(&mut self, name: TargetName) {
        if !self.faults.healed {
            self.users_change_settings();
            self.users.configured.remove(&name);
            self.tell(Event::TargetRemoved(name));
        }
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

    /// Many edits of one resource: some at once, or once in some worlds a thousand within a second.
    fn users_storm(&mut self) {
        self.faults.count(Fault::Storm);
        let number = self.random.below(self.users.names);
        if self.users.stormy && self.users.stormed == 0 {
            self.note(&format!("r{number} is edited a thousand times in a second"));
            self.edit_and_again(number, LONG_STORM);
            return;
        }
        for _ in 0..SHORT_STORM {
            self.edit(number);
        }
    }

    fn edit(&mut self, number: usize) {
        let intent = self.users.intent(number, &mut self.random);
        self.say_to_owner(Event::Push(push_of(vec![intent], PushMode::Each)));
    }

    /// One edit of a long storm, and so many more, one each millisecond. Whatever else goes wrong goes on meanwhile.
    pub(super) fn edit_and_again(&mut self, number: usize, more: u64) {
        self.faults.feel(Fault::Storm);
        self.users.stormed += 1;
        self.edit(number);
        if more > 1 && !self.faults.healed {
            self.agenda.plan(self.now + 1, Happening::Edit(number, more - 1));
        }
    }

    /// Nothing requires any more what is not there, everything is enforced, and every target is there and open.
    pub(super) fn users_heal(&mut self) {
        for number in (0..self.users.targets).chain([99]) {
            let mut target = self.users.configure(number, &mut self.random);
            target.rate_limit = None;
            target.windows = Windows::default();
            self.users.configured.insert(target.name.clone(), target);
        }
        self.users.settings.suspend = false;
        self.users.settings.max_in_flight = None;
        self.users.settings.repair = Repair::default();
        self.users.settings.on_change = OnChange::Automatic;
        if let Some(owner) = self.newest_owner() {
            self.tell_everything(owner);
        }
        self.users_lift_everything();
    }

    /// As [`World::users_heal`], for intents: called when nobody waits for an answer any more.
    pub(super) fn users_push_healthy_intents(&mut self) {
        let current = &self.store.journal.current;
        let names: BTreeSet<&Name> = current.values().map(|intent| &intent.name).collect();
        let heal = |intent: &Arc<Intent>| {
            let mut parts = IntentParts::from((**intent).clone());
            parts.requires.retain(|name| names.contains(name));
            parts.inputs.retain(|input| input.values.values().all(|source| is_there(source, &names)));
            parts.policy.mode = Mode::Enforce;
            parts.policy.protected = false;
            Arc::new(Intent::new(parts))
        };
        let upserts = current.values().map(heal).collect();
        let push = push_of(upserts, PushMode::Whole);
        self.say_to_owner(Event::Push(push));
        self.request(RequestKind::ApproveRemovals, Scope::default());
        // What a report has found is left until somebody deploys it.
        self.request(RequestKind::Deploy, Scope::default());
    }

    /// A call that is answered; it is sent again until it is.
    pub(super) fn say_to_owner(&mut self, event: Event) {
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
            if self.mutant == Some(Mutant::RefuseNeighbours) {
                push.mode = PushMode::Whole;
            }
        }
        self.call(owner, event, number);
    }

    /// What is configured, as its surroundings tell an owner.
    pub(super) fn tell(&mut self, event: Event) {
        if let Some(owner) = self.newest_owner().filter(|&owner| !self.is_behind(owner)) {
            self.tell_to(owner, event);
        }
    }

    fn tell_to(&mut self, owner: OwnerId, event: Event) {
        let delay = self.random.between(1, TOLD_MS);
        self.users.last_arrival = self.users.last_arrival.max(self.now + delay);
        self.agenda.plan(self.users.last_arrival, Happening::Told(owner, event));
    }

    /// An owner is told everything that is configured, and hears all that was not answered.
    pub(super) fn tell_everything(&mut self, owner: OwnerId) {
        self.is_up_to_date(owner);
        self.tell_all_of(owner, &self.users.configuration());
    }

    pub(super) fn tell_all_of(&mut self, owner: OwnerId, configured: &Configured) {
        let Some(process) = self.owners.get(&owner) else { return };
        let gone = process.heart.state().targets().map(|target| target.name.clone());
        let gone: Vec<TargetName> = gone.filter(|name| !configured.targets.contains_key(name)).collect();
        self.tell_to(owner, Event::SettingsChanged(configured.settings.clone()));
        self.tell_to(owner, Event::PoolChanged(configured.pool.clone()));
        for name in gone {
            self.tell_to(owner, Event::TargetRemoved(name));
        }
        for target in configured.targets.values() {
            self.tell_to(owner, Event::TargetChanged(target.clone()));
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
        if let (Event::Push(push), Some(Message::Accepted(_, refusals) | Message::Refused(refusals))) =
            (&event, message)
            && let Some(unjust) = self.refuses_what_is_good(push, message, refusals)
        {
            self.broke(Checker::OnlyBadIsRefused, format!("{}: {unjust}", super::words::describe(&event)));
        }
        if let (Event::Push(push), Some(Message::Accepted(version, _))) = (&event, message) {
            self.check_base(push, *version);
        }
        let journal = &self.store.journal;
        let wrong = match (&event, message) {
            (Event::Push(push), Some(Message::Accepted(version, refusals))) => {
                let refused: BTreeSet<&Name> = refusals.iter().map(|refusal| &refusal.name).collect();
                journal.lacks(*version, push, &refused)
            }
            // Whether it deserves that was looked at before.
            (Event::Push(_), Some(Message::Refused(_))) => None,
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
