//! J: what fills attributes from elsewhere. "A value not yet known makes the resource Undefined; its arrival or change changes the intent"; of secrets
//! nothing is known but a digest, and "a first digest completes the hash and changes nothing".
//!
//! What an intent is with its values has a key of this model's own; keys and the hashes of `core` must mean the same (`same_hash`).
//! Deliberately absent: what attempts make of secrets.

use super::super::super::{
    EnvironmentState, Finding, Hash, InputSource, Intent, KnownFact, Name, OnChange, Operation, OutcomeKind, Reason,
    ResourceId,
};
use super::model::{Model, Res, Run};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::sync::Arc;

/// The hashes of `core`, and the keys of this model for the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    keys: BTreeMap<Hash, Hash>,
    hashes: BTreeMap<Hash, Hash>,
}

/// A number for what may be anything.
fn key(parts: &impl std::hash::Hash) -> Hash {
    let half = |seed: u8| {
        let mut hasher = DefaultHasher::new();
        (seed, parts).hash(&mut hasher);
        hasher.finish().to_le_bytes()
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half(0));
    bytes[8..].copy_from_slice(&half(1));
    Hash(bytes)
}

/// Which facts it takes, in the order in which it takes them.
pub(super) fn taken(intent: &Intent) -> Vec<(Name, Name)> {
    let sources = intent.inputs.iter().flat_map(|input| input.values.values());
    let facts = sources.filter_map(|source| match source {
        InputSource::Fact(of) => Some((of.name.clone(), of.fact.clone())),
        _ => None,
    });
    facts.collect()
}

/// Where it finds secrets: attribute and place, as text.
pub(super) fn secrets(intent: &Intent) -> Vec<(Name, String)> {
    let all = intent.inputs.iter().flat_map(|input| input.values.values().map(|source| (input.path.clone(), source)));
    let secret = all.filter(|(_, source)| !matches!(source, InputSource::Fact(_)));
    secret.map(|(path, source)| (path, format!("{source:?}"))).collect()
}

fn hidden(intent: &Intent) -> BTreeSet<Name> {
    secrets(intent).into_iter().map(|(path, _)| path).collect()
}

/// What an intent is with these facts and this digest.
fn complete(intent: &Intent, values: &[Option<Name>], digest: Option<Hash>) -> Hash {
    let base = if values.is_empty() { intent.hash() } else { key(&(intent.hash().0, values)) };
    completed(base, digest)
}

/// "A first digest completes the hash."
pub(super) fn completed(base: Hash, digest: Option<Hash>) -> Hash {
    digest.map_or(base, |digest| key(&(base.0, digest.0)))
}

impl Model {
    /// "A fact of a thing that goes away" stands until its delete begins: then what takes it is Undefined anyway.
    fn fact(&self, (name, fact): &(Name, Name)) -> Option<Name> {
        self.named(name)?.facts.get(fact).cloned()
    }

    /// "What takes it goes on with the facts that are in force."
    fn fact_among(&self, in_force: Option<&Taken>, of: &(Name, Name)) -> Option<Name> {
        in_force.and_then(|in_force| in_force.get(of).cloned()).or_else(|| self.fact(of))
    }

    fn values(&self, intent: &Intent, in_force: Option<&Taken>) -> Vec<Option<Name>> {
        taken(intent).iter().map(|of| self.fact_among(in_force, of)).collect()
    }

    /// As they are known, whatever is in force.
    pub(super) fn values_now(&self, intent: &Intent) -> Vec<Option<Name>> {
        self.values(intent, None)
    }

    /// Facts that it takes and that nobody knows.
    pub(super) fn unknown(&self, res: &Res) -> Vec<(Name, Name)> {
        let in_force = res.in_force.as_ref();
        taken(&res.intent).into_iter().filter(|of| self.fact_among(in_force, of).is_none()).collect()
    }

    /// What an attempt is to be given: the facts that are known, in order.
    pub(super) fn given(&self, told: &[KnownFact], intent: &Intent, in_force: Option<&Taken>) -> bool {
        let known = |of: (Name, Name)| Some((of.clone(), self.fact_among(in_force, &of)?));
        let expected = taken(intent).into_iter().filter_map(known);
        let told = told.iter().map(|known| ((known.of.name.clone(), known.of.fact.clone()), known.value.clone()));
        told.eq(expected)
    }

    /// The base of what it wants, and the whole, as things are now.
    fn wanted_now(&self, res: &Res, intent: &Intent, in_force: Option<&Taken>) -> (Hash, Hash) {
        let values = self.values(intent, in_force);
        let digest = res.digest.filter(|_| secrets(intent) == secrets(&res.intent));
        (complete(intent, &values, None), complete(intent, &values, digest))
    }

    /// What the newest accepted word on a resource makes of it.
    pub(super) fn with_word(&self, res: &Res, intent: &Arc<Intent>) -> Res {
        let (base, current) = self.wanted_now(res, intent, None);
        Res { intent: Arc::clone(intent), base, current, ..res.clone() }
    }

    /// It has another intent: what is known of the same secrets is true of both, and what they filled may be there still.
    pub(super) fn replace_intent(&mut self, id: ResourceId, intent: &Arc<Intent>) {
        let res = self.all.get_mut(id).unwrap();
        let old = std::mem::replace(&mut res.intent, Arc::clone(intent));
        res.digest = res.digest.filter(|_| secrets(&old) == secrets(intent));
        res.may_hold(hidden(&old));
        if old.hash() != intent.hash() {
            self.takes_intent(id);
        }
    }

    /// It has an intent from now on, whatever was known of another one.
    pub(super) fn takes_intent(&mut self, id: ResourceId) {
        let res = &self.all[&id];
        let (base, current) = self.wanted_now(res, &res.intent, res.in_force.as_ref());
        let res = self.all.get_mut(id).unwrap();
        (res.base, res.current) = (base, current);
    }

    /// What may have been learned is taken over, where `core` has learned it.
    pub(super) fn take_what_is_open(&mut self, state: &EnvironmentState) {
        for id in self.ids() {
            let res = self.all.get_mut(id).unwrap();
            let Some((perhaps, released)) = res.perhaps.take() else { continue };
            let told = state.row(id).map(|row| row.facts.iter().map(|(name, value)| (name.into(), value.into())));
            if told.is_some_and(|told| told.eq(perhaps.clone())) {
                let before = std::mem::replace(&mut res.facts, perhaps);
                self.hold_facts(id, &before, released);
            }
        }
    }

    /// "Under `onChange: Manual` a fact that changes by itself is no version, and waits for a user's deploy as one does. A fact that changes because
    /// of a released change follows from that, and is released with it." What was not known completely was released as what it turns out to be.
    pub(super) fn hold_facts(&mut self, source: ResourceId, before: &BTreeMap<Name, Name>, released: bool) {
        let (name, now) = (self.all[&source].intent.name.clone(), self.all[&source].facts.clone());
        let meant = self.named(&name).is_some_and(|res| res.id == source);
        if *before == now || !meant {
            return;
        }
        let manual = self.settings.on_change == OnChange::Manual;
        for id in self.ids() {
            let res = &self.all[&id];
            let of = taken(&res.intent);
            if !res.live() || res.unknown || of.iter().all(|(of, _)| *of != name) {
                continue;
            }
            let value = |of: &(Name, Name)| {
                let changes = of.0 == name && before.get(&of.1) != now.get(&of.1);
                let held = res.in_force.as_ref().and_then(|in_force| in_force.get(of)).cloned();
                match changes {
                    true if released || !manual => now.get(&of.1).cloned(),
                    true => held.or_else(|| before.get(&of.1).cloned()),
                    false => held.or_else(|| self.fact(of)),
                }
            };
            let kept: Vec<_> = of.iter().map(|of| (of.clone(), value(of))).collect();
            let differs = kept.iter().any(|(of, value)| *value != self.fact(of));
            let kept = kept.into_iter().filter_map(|(of, value)| Some((of, value?))).collect();
            if differs {
                self.met.insert("a fact waits for its release");
            }
            self.all.get_mut(id).unwrap().in_force = differs.then_some(kept);
        }
    }

    /// The facts for whose release it waits, as `why` may tell of them.
    pub(super) fn held_facts(&self, res: &Res) -> Vec<String> {
        let held = res.in_force.iter().flatten().filter(|(of, value)| self.fact(of).as_ref() != Some(value));
        held.map(|((name, fact), _)| format!("FactRelease {name} {fact}")).collect()
    }

    /// "Its arrival or change changes the intent": of everything whose facts are all known.
    pub(super) fn renew(&mut self, state: &EnvironmentState) {
        for id in self.ids() {
            let res = &self.all[&id];
            if !res.live() || taken(&res.intent).is_empty() {
                self.all.get_mut(id).unwrap().unknown = false;
                continue;
            }
            if !self.unknown(res).is_empty() {
                self.met.insert("a fact is not known");
                let res = self.all.get_mut(id).unwrap();
                // Another of its facts may have changed before, which made it another intent.
                let skipped = res.unknown || state.row(id).is_some_and(|row| row.skipped);
                (res.unknown, res.skipped) = (true, res.skipped && skipped);
                continue;
            }
            let (base, current) = self.wanted_now(res, &res.intent, res.in_force.as_ref());
            let res = self.all.get_mut(id).unwrap();
            let changed = res.current != current;
            (res.base, res.current) = (base, current);
            let arrives = std::mem::take(&mut res.unknown);
            // What it was attempted with comes back: it is no other intent.
            if arrives && res.attempted != Some(current) || changed && !arrives {
                self.met.insert(if arrives { "a fact arrives" } else { "a fact becomes another" });
                self.intent_changed(id);
            }
        }
    }

    /// What has been found of the secrets is not what is deployed: "then the resource had an update".
    pub(super) fn rotates(&mut self, id: ResourceId, run: &Run, kind: &OutcomeKind) -> bool {
        let OutcomeKind::Succeeded(Finding { secret_digest: Some(found), .. }) = kind else { return false };
        if run.digest.is_none_or(|told| told == *found) {
            return false;
        }
        let res = self.all.get_mut(id).unwrap();
        self.met.insert("secrets are rotated");
        if !res.counts(run) {
            return true;
        }
        res.digest = Some(*found);
        self.takes_intent(id);
        self.intent_changed(id);
        true
    }

    /// "A first digest completes the hash of the intent and changes nothing."
    pub(super) fn completes(&mut self, id: ResourceId, run: &Run, kind: &OutcomeKind) -> Run {
        let OutcomeKind::Succeeded(Finding { secret_digest: Some(found), .. }) = kind else { return run.clone() };
        let res = self.all.get_mut(id).unwrap();
        if run.stranger || !res.live() || res.unknown || res.base != run.base || run.operation == Operation::Delete {
            return run.clone();
        }
        // Its intent was another one in between: what was known of the secrets is forgotten, and an attempt has one hash, with what was known then.
        if run.hash != res.current && run.hash != completed(res.base, Some(*found)) {
            return run.clone();
        }
        res.digest = Some(*found);
        res.current = completed(res.base, res.digest);
        Run { hash: res.current, ..run.clone() }
    }

    /// Whether a hash of `core` and a key of this model mean the same, here as everywhere.
    pub(super) fn same_hash(&self, core: Option<Hash>, mine: Option<Hash>) -> bool {
        let (Some(core), Some(mine)) = (core, mine) else { return core.is_none() && mine.is_none() };
        let mut pairs = self.pairs.borrow_mut();
        let Pairs { keys, hashes } = &mut *pairs;
        *keys.entry(core).or_insert(mine) == mine && *hashes.entry(mine).or_insert(core) == core
    }
}

impl Res {
    /// What it finds is found of the newest intent.
    pub(super) fn counts(&self, run: &Run) -> bool {
        !run.stranger && self.live() && !self.unknown && run.hash == self.current
    }

    /// "Facts come only from the newest attempt": each success replaces them, a failure leaves what was known.
    pub(super) fn learn(&mut self, run: &Run, kind: &OutcomeKind) {
        let released = self.succeeded != Some(run.hash);
        if let OutcomeKind::Succeeded(finding) = kind
            && self.live()
            && !run.stranger
        {
            let facts = finding.facts.iter().map(|(name, value)| (name.into(), value.into())).collect();
            // Whether a stale one that was to verify secrets has read anything, nobody can tell; nor, later, whether it was to verify them.
            let reads = run.digest.is_none() && finding.secret_digest.is_none();
            if reads || run.hash == self.current && !self.unknown {
                self.facts = facts;
            } else {
                self.perhaps = Some((facts, released));
            }
        }
    }

    /// "The digest of what is deployed", for whoever only verifies that.
    pub(super) fn told_digest(&self) -> Option<Hash> {
        self.digest.filter(|_| !self.is_change())
    }

    /// "What was filled from a secret once may hold it for longer than the intent says so."
    pub(super) fn may_hold(&mut self, paths: impl IntoIterator<Item = Name>) {
        self.once_secret.extend(paths);
        let hidden = hidden(&self.intent);
        self.once_secret.retain(|path| !hidden.contains(path));
    }

    /// Everywhere in it a secret may be.
    pub(super) fn holds(&self) -> BTreeSet<Name> {
        self.once_secret.iter().cloned().chain(hidden(&self.intent)).collect()
    }

    /// "Until an attempt has made that attribute something else."
    pub(super) fn is_as_said(&mut self) {
        let attributes = self.intent.attributes.clone();
        let gives = |path: &Name| attributes.contains(&format!("\"{}\":", path.trim_start_matches('/')));
        self.once_secret.retain(|path| !gives(path));
    }
}

/// A user asked to look, and to correct nothing.
pub(super) fn looks(reason: Reason) -> bool {
    matches!(reason, Reason::Report | Reason::FactRefresh)
}

/// Facts that something takes, and their values.
pub(super) type Taken = BTreeMap<(Name, Name), Name>;

/// See [`Pairs`].
pub(super) type SharedPairs = RefCell<Pairs>;
