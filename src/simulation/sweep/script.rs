//! What users of a swept world do: acts, each drawn from a stream of its own when the world rests before it, and from nothing but what is accepted
//! then. So a death, which shifts every other draw, changes nothing of what users want.
//!
//! The end of an act must not depend on when things happen, or nothing could be compared. There are two kinds:
//! - a *free* one has calls that overlap with the work on those before, and nothing in it is held back for long, so that everything becomes good
//!   whatever overtakes what: what it declares requires only what there is, what it removes nothing requires;
//! - in a *held* one something is suspended, refused, missing, forgotten, removed or declared badly. What was done before a hold came would depend on
//!   time; so there is one call, and then rest.
//!
//! A user waits for each answer before the next call: what is said again after a lost answer is then no news.
//!
//! Deliberately absent: cancelling, which takes what happens to be under way; windows and schedules, which are times; reports: one whose executor dies
//! finds nothing out, and is not made again.

use super::super::intents::is_there;
use super::super::orders::with;
use super::super::random::Random;
use super::super::users::{Users, push_of};
use super::super::world::World;
use crate::core::{
    Event, Forget, InputSource, Intent, IntentParts, Mode, Name, OnChange, Push, PushMode, RateLimit, Replace, Request,
    RequestKind, Scope, TargetName,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Acts of a script, free and held in turn.
pub(super) const ACTS: u64 = 5;
/// The longest pause between two calls that overlap.
const PAUSE_MS: u64 = 600;

/// One thing that somebody does.
#[derive(Debug)]
pub(super) enum Step {
    /// A call, whose answer is awaited.
    Say(Event),
    Pause(u64),
    Settings(OnChange, Option<u32>),
    Limits(TargetName, u32, Option<RateLimit>),
    Remove(TargetName),
    /// Somebody changes something on a target by hand: which, and how.
    ByHand(usize, usize),
    /// It can never be made from now on.
    Refuse(Name),
    /// A secret becomes another one; drawn from this.
    Rotate(u64),
    /// All comes to rest, and nobody looks.
    Settle,
    /// All comes to rest, and is looked at. `alone`: since the last rest nothing has overlapped.
    Rest {
        alone: bool,
    },
    /// What holds is lifted, and everything declared as it can be deployed.
    Heal,
}

struct Writer<'a> {
    users: &'a Users,
    /// What is wanted.
    current: BTreeMap<Name, Arc<Intent>>,
    random: Random,
    steps: Vec<Step>,
}

/// What users do next, in a world at rest.
pub(super) fn act(world: &World, seed: u64, number: u64) -> Vec<Step> {
    let current = world.store.journal.current.values().map(|intent| (intent.name.clone(), Arc::clone(intent)));
    let random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number);
    let mut writer = Writer { users: &world.users, current: current.collect(), random, steps: Vec::new() };
    match number {
        0 => writer.everything(),
        _ if number % 2 == 1 => writer.free(),
        _ => writer.held(),
    }
    writer.steps
}

impl Writer<'_> {
    fn say(&mut self, event: Event) {
        self.steps.push(Step::Say(event));
    }

    fn request(&mut self, kind: RequestKind, scope: Scope) {
        let (author, message) = ("a user".into(), "".into());
        self.say(Event::Request(Request { kind, scope, author, message, digest: None }));
    }

    fn some_name(&mut self) -> Name {
        self.users.some_name(&mut self.random)
    }

    /// Some names that nothing was said of in this act.
    fn fresh_names(&mut self, most: usize, said: &mut BTreeSet<Name>) -> BTreeSet<Name> {
        let names: BTreeSet<Name> = (0..=self.random.below(most)).map(|_| self.some_name()).collect();
        names.into_iter().filter(|name| said.insert(name.clone())).collect()
    }

    /// The first push. Everything requires lower numbers only, and these are there.
    fn everything(&mut self) {
        let names: BTreeSet<Name> = (0..self.users.names).map(|number| format!("r{number}").into()).collect();
        let upserts = names.iter().map(|name| self.healthy(name, &names)).collect();
        self.say(Event::Push(push_of(upserts, PushMode::Each)));
        self.steps.push(Step::Rest { alone: true });
    }

    /// An intent as every user's, but for what would hold it.
    fn healthy(&mut self, name: &Name, there: &BTreeSet<Name>) -> Arc<Intent> {
        let (users, random) = (self.users, &mut self.random);
        // Who bears another one's identity would be refused.
        let mut intent = users.intent(number_of(name), random);
        while intent.identity != *name {
            intent = users.intent(number_of(name), random);
        }
        let there: BTreeSet<&Name> = there.iter().collect();
        let target: TargetName = format!("t{}", number_of(name) % self.users.targets).into();
        with(&intent, |parts| {
            facts_by_value(parts);
            parts.requires.retain(|required| there.contains(required) && number_of(required) < number_of(name));
            parts.inputs.retain(|input| input.values.values().all(|source| is_there(source, &there)));
            (parts.target, parts.policy.mode) = (target, Mode::Enforce);
            parts.policy.protected = false;
            parts.policy.replace = Replace::DeleteFirst;
        })
    }

    fn free(&mut self) {
        let how = self.random.below(4);
        match how {
            0 => {
                self.by_hand();
                self.request(RequestKind::Repair, Scope::default());
            }
            1 => {
                let from = self.random.between(0, u64::MAX - 1);
                self.steps.push(Step::Rotate(from));
                self.request(RequestKind::Repair, Scope::default());
            }
            _ => self.settings(),
        }
        let mut said = BTreeSet::new();
        for _ in 0..2 + self.random.below(4) {
            self.overlapping(&mut said);
            let pause = self.random.between(0, PAUSE_MS);
            self.steps.push(Step::Pause(pause));
        }
        if how < 2 {
            // What becomes undefined meanwhile is no longer asked for, and whether it does depends on what was done before.
            self.steps.push(Step::Settle);
            self.request(RequestKind::Repair, Scope::default());
        }
        self.steps.push(Step::Rest { alone: false });
    }

    /// One call, or one setting, while what was said before is worked on.
    fn overlapping(&mut self, said: &mut BTreeSet<Name>) {
        match self.random.below(10) {
            0..4 => {
                let names = self.fresh_names(4, said);
                let there: BTreeSet<Name> = self.current.keys().chain(&names).cloned().collect();
                let upserts: Vec<_> = names.iter().map(|name| self.healthy(name, &there)).collect();
                self.current.extend(upserts.iter().map(|intent| (intent.name.clone(), Arc::clone(intent))));
                self.say(Event::Push(push_of(upserts, PushMode::Each)));
            }
            4 | 5 => {
                let names: Vec<Arc<Intent>> = self.current.values().cloned().collect();
                let some = names.iter().filter(|_| self.random.chance(30));
                let upserts: Vec<_> = some.cloned().collect();
                let upserts: Vec<_> = upserts.iter().map(|intent| self.other_attributes(intent)).collect();
                said.extend(upserts.iter().map(|intent| intent.name.clone()));
                self.current.extend(upserts.iter().map(|intent| (intent.name.clone(), Arc::clone(intent))));
                self.say(Event::Push(push_of(upserts, PushMode::Each)));
            }
            6 | 7 => {
                let names = self.fresh_names(3, said);
                let removals: Vec<Name> = names.into_iter().filter(|name| !self.is_required(name)).collect();
                self.current.retain(|name, _| !removals.contains(name));
                self.say(Event::Push(Push { removals, ..push_of(Vec::new(), PushMode::Each) }));
            }
            8 => {
                let kind = if self.random.chance(50) { RequestKind::Deploy } else { RequestKind::Repair };
                self.request(kind, Scope::default());
            }
            _ => {
                let target = self.users.some_target(&mut self.random);
                let (attempts, period_ms) = (1 + self.random.below(4) as u32, self.random.between(500, 4_000));
                let rate = self.random.chance(50).then_some(RateLimit { attempts, period_ms });
                self.steps.push(Step::Limits(target, 1 + self.random.below(3) as u32, rate));
            }
        }
    }

    fn is_required(&self, name: &Name) -> bool {
        let takes = |intent: &Arc<Intent>| intent.facts_taken().any(|of| of.name == *name);
        self.current.values().any(|intent| intent.requires.contains(name) || takes(intent))
    }

    fn other_attributes(&mut self, intent: &Intent) -> Arc<Intent> {
        let attributes = format!(r#"{{"value":{}}}"#, 5 + self.random.below(5)).into();
        with(intent, |parts| parts.attributes = attributes)
    }

    fn settings(&mut self) {
        let manual = self.users.manual && self.random.chance(60);
        let on_change = if manual { OnChange::Manual } else { OnChange::Automatic };
        let most = self.random.chance(50).then(|| 1 + self.random.below(3) as u32);
        self.steps.push(Step::Settings(on_change, most));
    }

    fn by_hand(&mut self) {
        for _ in 0..=self.random.below(3) {
            let (which, how) = (self.random.below(1_000), self.random.below(3));
            self.steps.push(Step::ByHand(which, how));
        }
    }

    /// Something holds, and then somebody says something; in the end it is all well again.
    fn held(&mut self) {
        self.hold();
        self.steps.push(Step::Rest { alone: true });
        let mut said = BTreeSet::new();
        let upserts = self.fresh_names(5, &mut said).iter().map(|name| self.any(name)).collect();
        let removals = self.fresh_names(4, &mut said).into_iter().collect();
        let approved = self.random.chance(70);
        self.say(Event::Push(Push { removals, approved, ..push_of(upserts, PushMode::Each) }));
        self.steps.extend([Step::Rest { alone: true }, Step::Heal, Step::Rest { alone: false }]);
    }

    fn any(&mut self, name: &Name) -> Arc<Intent> {
        let intent = self.users.intent(number_of(name), &mut self.random);
        with(&intent, facts_by_value)
    }

    fn hold(&mut self) {
        match self.random.below(7) {
            0 | 1 => {
                let name = self.some_name();
                self.steps.push(Step::Refuse(name));
            }
            2 => self.request(RequestKind::Suspend, Scope::default()),
            3 => {
                let target = Some(self.users.some_target(&mut self.random));
                self.request(RequestKind::Suspend, Scope { target, names: None });
            }
            4 => {
                let target = self.users.some_target(&mut self.random);
                self.steps.push(Step::Remove(target));
            }
            5 => {
                let names = vec![self.some_name()];
                self.say(Event::Forget(Forget { names, author: "a user".into(), message: "".into() }));
            }
            _ => {
                let (prune, approved) = (true, false);
                self.say(Event::Push(Push { prune, approved, ..push_of(Vec::new(), PushMode::Whole) }));
            }
        }
    }
}

fn number_of(name: &str) -> usize {
    name.strip_prefix('r').and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Of the facts of the model only what follows from the content: what a target calls a thing depends on what it has made before.
fn facts_by_value(parts: &mut IntentParts) {
    let sources = parts.inputs.iter_mut().flat_map(|input| input.values.values_mut());
    for source in sources {
        if let InputSource::Fact(of) = source
            && &*of.fact == "serial"
        {
            of.fact = "value".into();
        }
    }
}
