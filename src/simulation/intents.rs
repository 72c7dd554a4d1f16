//! What users declare and configure: intents and targets, drawn at random.

use super::random::Random;
use super::secrets::some_variable;
use super::users::{POOL, Users};
use super::windows::some_windows;
use crate::core::{
    DeletionPolicy, FactRef, Input, InputSource, Intent, IntentParts, Mode, Name, Notify, Policy, RateLimit, Replace,
    Target, Windows,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A fact that nothing ever reports.
const NO_FACT: &str = "none";

impl Users {
    pub(super) fn configure(&mut self, number: usize, random: &mut Random) -> Target {
        let rate = RateLimit { attempts: 1 + random.below(4) as u32, period_ms: random.between(500, 10_000) };
        let target = Target {
            name: format!("t{number}").into(),
            pool: POOL.into(),
            connection: r#"{"type":"model"}"#.into(),
            concurrency: 1 + random.below(3) as u32,
            suspend: false,
            windows: if self.windowed && random.chance(40) { some_windows(random) } else { Windows::default() },
            rate_limit: random.chance(20).then_some(rate),
        };
        self.configured.insert(target.name.clone(), target.clone());
        target
    }

    /// An intent for a number. Edges lead to lower numbers mostly, so that few pushes are refused.
    pub(super) fn intent(&self, number: usize, random: &mut Random) -> Arc<Intent> {
        let reach = if random.chance(3) { self.names } else { number };
        let edges = if reach == 0 { 0 } else { random.below(4) };
        let requires = (0..edges).map(|_| format!("r{}", random.below(reach)).into()).collect();
        let target = if random.chance(2) { 99 } else { number % self.targets };
        let same = if random.chance(4) { random.below(self.names) } else { number };
        Arc::new(Intent::new(IntentParts {
            name: format!("r{number}").into(),
            kind: "model.Thing".into(),
            target: format!("t{target}").into(),
            identity: format!("r{same}").into(),
            attributes: format!(r#"{{"value":{}}}"#, random.below(5)).into(),
            requires,
            inputs: if self.filled { inputs(reach, same, random) } else { Vec::new() },
            labels: BTreeMap::new(),
            policy: self.policy(random),
        }))
    }

    /// What is declared at the beginning.
    pub(super) fn first_intent(&self, number: usize, random: &mut Random) -> Arc<Intent> {
        loop {
            let intent = self.intent(number, random);
            if number >= self.accepted || is_acceptable(&intent, number) {
                return intent;
            }
        }
    }

    fn policy(&self, random: &mut Random) -> Policy {
        let replace = match random.below(20) {
            0 => Replace::Never,
            1 | 2 => Replace::CreateFirst,
            3 | 4 if self.manual => Replace::Approve,
            _ => Replace::DeleteFirst,
        };
        Policy {
            mode: if random.chance(6) { Mode::Observe } else { Mode::Enforce },
            deletion_policy: if random.chance(8) { DeletionPolicy::Orphan } else { DeletionPolicy::Delete },
            protected: random.chance(2),
            replace,
            // Some outlast the lease of their executor.
            deadline_ms: if random.chance(30) { random.between(40_000, 90_000) } else { random.between(5_000, 20_000) },
            notify: Notify { send: random.chance(30), receive: random.chance(80) },
        }
    }
}

/// It bears its own identity, and its edges lead to lower numbers: whatever the others are, it is on no circle.
fn is_acceptable(intent: &Intent, number: usize) -> bool {
    let lower =
        |name: &Name| name.strip_prefix('r').and_then(|of| of.parse().ok()).is_some_and(|of: usize| of < number);
    intent.identity == intent.name
        && intent.requires.iter().all(lower)
        && intent.facts_taken().all(|of| lower(&of.name))
}

/// What fills attributes: facts of lower numbers, secrets. Which things take a secret is said by what they are, but not all of their intents do.
fn inputs(reach: usize, same: usize, random: &mut Random) -> Vec<Input> {
    let mut inputs = Vec::new();
    if reach > 0 && random.chance(15) {
        let fact = match random.below(20) {
            0 => NO_FACT,
            1..10 => "serial",
            _ => "value",
        };
        let of = FactRef { name: format!("r{}", random.below(reach)).into(), fact: fact.into() };
        inputs.push(Input::of("/fact".into(), InputSource::Fact(of)));
    }
    if same % 12 == 5 && random.chance(75) {
        let source = InputSource::EnvironmentVariable { name: some_variable(random) };
        inputs.push(Input::of("/secret".into(), source));
    }
    inputs
}

/// What an input takes will come, if these names are there.
pub(super) fn is_there(source: &InputSource, names: &BTreeSet<&Name>) -> bool {
    match source {
        InputSource::Fact(of) => names.contains(&of.name) && &*of.fact != NO_FACT,
        _ => true,
    }
}
