//! After every step: the state vector of each resource, the startable set, and the first `why`, side by side.
//!
//! Where the documents allow several answers, [`Model::why`] lists all of them. Deliberately absent: texts and times.

use super::super::super::{Blocked, Compliance, EnvironmentState, Hold, Intent, LastResult, Life, Name, ResourceView};
use super::model::{Model, Res, satisfies};
use super::release::Word;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

/// Everything that differs, one line each.
pub(super) fn compare(model: &Model, state: &EnvironmentState) -> Result<(), String> {
    let mut differences = Vec::new();
    let known: BTreeSet<_> = state.views().map(|view| view.row.resource).collect();
    let expected: BTreeSet<_> = model.ids().into_iter().chain(model.unreleased.keys().copied()).collect();
    unreleased(model, state, &mut differences);
    for id in known.symmetric_difference(&expected) {
        let name = state.view(*id).map_or_else(
            || model.all.get(*id).map(|res| res.intent.name.clone()),
            |view| Some(view.row.intent.name.clone()),
        );
        let side = if expected.contains(id) { "is gone" } else { "should be gone" };
        differences.push(format!("{} ({id}) {side}", name.unwrap_or_default()));
    }
    for res in model.all.values() {
        let Some(view) = state.view(res.id) else { continue };
        vector(model, res, &view, &mut differences);
        let mut why = state.why(res.id);
        let waits = why.iter().take_while(|hold| Model::is_of_release(hold)).count();
        let release: Vec<_> = why.drain(..waits).map(|hold| label(&hold)).collect();
        let facts = Some(model.held_facts(res)).filter(|facts| !facts.is_empty());
        let expected = res.pending.as_ref().map(|word| model.why_unreleased(&res.intent.name, word)).or(facts);
        if release.len() > 1
            || expected.as_ref().map_or(!release.is_empty(), |any| !release.iter().any(|it| any.contains(it)))
        {
            differences.push(format!("{}: waits for {release:?}, expected {expected:?}", res.intent.name));
        }
        let first = why.first().map(label).unwrap_or_default();
        let allowed = model.why(res);
        if !allowed.contains(&first) {
            differences.push(format!("{}: why is {first}, expected one of {allowed:?}", res.intent.name));
        }
        if let Some(Hold::RequiredBy { names }) = why.first() {
            let dependents: Vec<_> =
                model.dependents(res.id, false).iter().map(|other| other.intent.name.clone()).collect();
            if names.is_empty() || names.iter().any(|name| !dependents.contains(name)) {
                differences
                    .push(format!("{}: required by {names:?}, expected some of {dependents:?}", res.intent.name));
            }
        }
        if let Some(untrue) = model.untrue(res, view.row.due_at, &why) {
            differences.push(format!("{}: {untrue}", res.intent.name));
        }
        let starts = res.queued.is_some()
            && matches!(
                why.first(),
                Some(
                    Hold::ExecutorUnavailable { .. }
                        | Hold::Concurrency { .. }
                        | Hold::InFlight { .. }
                        | Hold::Rate { .. }
                )
            );
        if starts && !model.has_its_turn(res) || !starts && model.startable(res, false).is_ok() {
            differences.push(format!("{}: startable {starts}, why {why:?}", res.intent.name));
        }
    }
    if model.version != state.version() {
        differences.push(format!("version {} expected {}", state.version(), model.version));
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n  ")) }
}

/// What is accepted and no live resource is.
fn unreleased(model: &Model, state: &EnvironmentState, differences: &mut Vec<String>) {
    for (id, word) in &model.unreleased {
        let Some(view) = state.view(*id) else { continue };
        let row = &view.row;
        let (name, why) = (&word.intent.name, state.why(*id));
        let same = row.intent == word.intent && row.set == word.set && row.version == word.version;
        if !same || row.life != Life::Unreleased || view.compliance != Compliance::HasUpdate || view.good {
            differences.push(format!("{name} ({id}): not released is {view:?}, expected {word:?}"));
        }
        let (told, expected): (Vec<_>, _) = (why.iter().map(label).collect(), model.why_unreleased(name, word));
        if told.len() != 1 || !expected.contains(&told[0]) {
            differences.push(format!("{name} ({id}): waits for {told:?}, expected one of {expected:?}"));
        }
    }
    let (told, expected) = (state.versions(), model.versions());
    if told != expected {
        differences.push(format!("versions are {told:?}, expected {expected:?}"));
    }
}

/// Collects what differs. Only that is put into words: equal values are compared some million times.
struct Check<'a> {
    res: &'a Res,
    differences: &'a mut Vec<String>,
}

impl Check<'_> {
    fn same<T: PartialEq + Debug>(&mut self, what: &str, core: &T, reference: &T) {
        if core != reference {
            let name = &self.res.intent.name;
            let text = format!("{name} ({}): {what} is {core:?}, expected {reference:?}", self.res.id);
            self.differences.push(text);
        }
    }
}

fn vector(model: &Model, res: &Res, view: &ResourceView, differences: &mut Vec<String>) {
    let row = &view.row;
    let mut check = Check { res, differences };
    check.same("life", &row.life, &res.life);
    check.same("intent", &row.intent, &res.intent);
    check.same("set", &row.set, &res.set);
    // What a replaced one stays for was looked at before (`replace.rs`).
    check.same("after", &row.after, &res.after.or(res.successor));
    check.same("queued", &view.queued, &res.queued);
    let run = view.running.as_ref().map(|run| (run.attempt, &run.executor, run.operation, run.begun));
    let expected = res.run.as_ref().map(|run| (run.attempt, &run.executor, run.operation, run.begun));
    check.same("running", &run, &expected);
    check.same("attempted is expected", &model.same_hash(row.attempted, res.attempted), &true);
    // Of what is removed before it was what it wanted, nobody needs to know what it was.
    let was_nothing = !res.live() && !res.intent.inputs.is_empty() && row.succeeded.is_none() && !res.compliant();
    check.same("succeeded is expected", &(was_nothing || model.same_hash(row.succeeded, res.succeeded)), &true);
    check.same("last result", &row.last_result, &res.last_result);
    check.same("observed", &row.observed, &res.observed);
    check.same("failures", &row.failures, &res.failures);
    check.same("verified", &row.verified_at, &res.verified);
    check.same("remote identity", &row.remote_identity, &res.remote);
    let debt = row.reload.as_ref().map(|debt| (debt.because.clone(), debt.after));
    check.same("debt", &debt, &res.debt);
    check.same("maybe changed", &row.maybe_changed, &res.maybe_changed);
    check.same("version", &row.version, &res.version);
    let pending = |version, set: &Name, intent: &Arc<Intent>, removed| (version, set.clone(), intent.clone(), removed);
    let told = row.pending.as_ref().map(|word| pending(word.version, &word.set, &word.intent, word.removed));
    let word = res.pending.as_ref().map(|word| pending(word.version, &word.set, &word.intent, word.removed));
    check.same("pending", &told, &word);
    check.same("removal approved", &row.removal_approved, &res.approved);
    if !res.live() {
        return;
    }
    let facts: BTreeMap<Name, Name> = row.facts.iter().map(|(name, value)| (name.into(), value.into())).collect();
    check.same("facts", &facts, &res.facts);
    let told: BTreeSet<String> = row.facts_in_force.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    let held = res.in_force.iter().flatten().map(|((name, fact), value)| format!("{name} {fact} {value}"));
    check.same("facts in force", &told, &held.collect());
    check.same("digest", &row.secret_digest, &res.digest);
    check.same("once secret", &row.once_secret, &res.once_secret);
    let undefined = model.undefined(res);
    check.same("skipped", &row.skipped, &res.skipped);
    check.same("compliance", &view.compliance, &model.compliance(res));
    check.same("good", &view.good, &(res.good() && !undefined));
    let blocked = match (undefined, res.skipped) {
        (true, _) => Blocked::Undefined,
        (false, true) => Blocked::Dependency,
        (false, false) => Blocked::No,
    };
    check.same("blocked", &view.blocked, &blocked);
}

impl Model {
    pub(super) fn is_of_release(hold: &Hold) -> bool {
        matches!(hold, Hold::Release { .. } | Hold::ReplaceApproval { .. } | Hold::FactRelease { .. })
    }

    /// For what something waits that is accepted and not released.
    pub(super) fn why_unreleased(&self, name: &Name, word: &Word) -> Vec<String> {
        let removal = self.accepted(name).is_none();
        let approval: Vec<String> = self
            .awaits_replacement(name)
            .into_iter()
            .map(|of| format!("ReplaceApproval {of} {}", word.version))
            .collect();
        let plain = format!("Release {} {removal}", word.version);
        if approval.is_empty() { vec![plain] } else { approval }
    }

    /// The holds that may stand first: kind, and whom it names.
    pub(super) fn why(&self, res: &Res) -> Vec<String> {
        if res.run.is_some() {
            return vec!["Running".into()];
        }
        let target = &res.intent.target;
        let undefined = res.live() && self.undefined(res);
        if res.queued.is_none() && !undefined {
            let requirements = self.requirements(res);
            let bad = requirements
                .iter()
                .filter(|other| !satisfies(res, other) || self.busy(other) || other.queued.is_some());
            let first =
                res.after.and_then(|id| self.all.get(id)).map(|first| format!("TombstoneFirst {}", first.intent.name));
            let kept = !res.live() && self.kept(res, false);
            if kept {
                return vec!["RequiredBy".into(), "RetryAt".into()];
            }
            if let Some(successor) = self.successor(res) {
                return vec![format!("SuccessorFirst {}", successor.intent.name), "RetryAt".into()];
            }
            return match res.last_result {
                _ if res.skipped && res.live() => bad
                    .flat_map(|other| {
                        [
                            format!("RequirementNotGood {}", other.intent.name),
                            format!("RequirementBusy {}", other.intent.name),
                        ]
                    })
                    .collect(),
                LastResult::Failed => vec!["RetryAt".into()],
                // With a timer and a policy to correct, core calls it cancelled.
                _ if res.observed.differs() => vec!["Drifted".into(), "Cancelled".into()],
                _ if res.cancelled => first.into_iter().chain(["Cancelled".into(), "Good".into()]).collect(),
                _ => vec!["Good".into()],
            };
        }
        // The documents do not say whether what is undefined stands before what is suspended: either may be first.
        if undefined {
            return self.why_undefined(res);
        }
        let missing = (!self.targets.contains_key(target)).then(|| format!("TargetMissing {target}"));
        let stopping = self.stopping.then(|| "Stopping".into());
        // Where protection stands in the order, the documents do not say.
        let protected = (!res.live() && res.protected()).then(|| "Protected".into());
        let first: Vec<String> = stopping.into_iter().chain(protected).collect();
        let chain = |more: Vec<String>| first.iter().cloned().chain(more).chain(missing.clone()).collect();
        if self.awaits_approval(res) {
            return chain(vec!["RemovalApproval".into()]);
        }
        if self.suspended(res) || !first.is_empty() {
            return chain(self.why_suspended(res));
        }
        if self.closed(res) {
            return chain(vec![format!("OutsideWindow {target}")]);
        }
        self.why_not_granted(res)
    }

    fn why_suspended(&self, res: &Res) -> Vec<String> {
        let target = &res.intent.target;
        let settings = self.settings.suspend.then(|| "EnvironmentSuspended".to_string());
        let of_target = self.targets.get(target).is_some_and(|target| target.suspend);
        let of_target = of_target.then(|| format!("TargetSuspended {target}"));
        let ordered = self.suspended.contains_key(&None) || self.suspended.contains_key(&Some(target.clone()));
        settings.into_iter().chain(of_target).chain(ordered.then(|| "Suspended".to_string())).collect()
    }

    fn why_undefined(&self, res: &Res) -> Vec<String> {
        let target = &res.intent.target;
        let missing = res.intent.requires.iter().filter(|name| self.named(name).is_none_or(|other| !other.live()));
        let missing = missing.map(|name| {
            let waits = self.unreleased.values().any(|word| word.intent.name == *name);
            format!("{} {name}", if waits { "RequirementUnreleased" } else { "RequirementMissing" })
        });
        let requirements = self.requirements(res);
        let other = requirements.iter().filter(|other| self.undefined(other) || !other.live());
        let mut all: Vec<String> =
            missing.chain(other.map(|other| format!("RequirementUndefined {}", other.intent.name))).collect();
        let unknown = self.unknown(res).into_iter();
        all.extend(unknown.map(|(name, fact)| format!("FactUnknown {name} {fact}")));
        if !self.targets.contains_key(target) {
            all.push(format!("TargetMissing {target}"));
        }
        all.push("Stopping".to_string());
        all.extend(self.why_suspended(res));
        all
    }

    /// Of what is queued and neither suspended nor undefined.
    fn why_not_granted(&self, res: &Res) -> Vec<String> {
        if res.reports() {
            return self.places(res);
        }
        let mut all = Vec::from_iter(self.forgotten_runs(res).then(|| "ForgottenRuns".to_string()));
        if !res.live() {
            let kept = self.kept(res, false).then(|| "RequiredBy".to_string());
            let replaced = self.successor(res).map(|successor| format!("SuccessorFirst {}", successor.intent.name));
            let yields = self.yielding(res, false).then(|| "DependentsYielding".to_string());
            let held = self.kept(res, true) || self.successor(res).is_some() || self.forgotten_runs(res);
            let free = if held { Vec::new() } else { self.places(res) };
            let first =
                res.after.and_then(|id| self.all.get(id)).map(|first| format!("TombstoneFirst {}", first.intent.name));
            all.extend(kept.into_iter().chain(replaced).chain(yields).chain(first).chain(free));
            return all;
        }
        // In which order it is told of the others that it waits for, the documents do not say.
        let requirements = self.requirements(res);
        let first =
            res.after.and_then(|id| self.all.get(id)).map(|first| format!("TombstoneFirst {}", first.intent.name));
        let yields = self.yielding(res, false).then(|| "DependentsYielding".to_string());
        let certain = requirements.iter().any(|other| !self.perhaps_idle(other) || other.deleting());
        let certain = certain || first.is_some() || (self.yielding(res, true) && !res.good()) || !all.is_empty();
        let busy = requirements.iter().filter(|other| self.busy(other) || other.queued.is_some() || other.deleting());
        let busy = busy.map(|other| format!("RequirementBusy {}", other.intent.name));
        let bad = requirements.iter().filter(|other| !satisfies(res, other));
        let bad = bad.map(|other| format!("RequirementNotGood {}", other.intent.name));
        all.extend(busy.chain(bad).chain(first).chain(yields));
        if !certain {
            all.extend(self.places(res));
        }
        all
    }

    fn places(&self, res: &Res) -> Vec<String> {
        let target = &self.targets[&res.intent.target];
        let mut all = vec![format!("ExecutorUnavailable {}", target.pool)];
        if !self.nobody_there(target) {
            all.extend([format!("Concurrency {}", target.name), "InFlight".into(), format!("Rate {}", target.name)]);
        }
        all
    }
}

/// The kind of a hold, and whom it names.
fn label(hold: &Hold) -> String {
    match hold {
        Hold::Good { .. } => "Good".into(),
        Hold::Release { version, removal } => format!("Release {version} {removal}"),
        Hold::ReplaceApproval { name, version } => format!("ReplaceApproval {name} {version}"),
        Hold::RequirementUnreleased { name } => format!("RequirementUnreleased {name}"),
        Hold::Running(_) => "Running".into(),
        Hold::Stopping => "Stopping".into(),
        Hold::EnvironmentSuspended => "EnvironmentSuspended".into(),
        Hold::TargetSuspended { target } => format!("TargetSuspended {target}"),
        Hold::TargetMissing { target } => format!("TargetMissing {target}"),
        Hold::RequirementMissing { name } => format!("RequirementMissing {name}"),
        Hold::RequirementUndefined { name } => format!("RequirementUndefined {name}"),
        Hold::RequirementBusy { name } => format!("RequirementBusy {name}"),
        Hold::RequirementNotGood { name, .. } => format!("RequirementNotGood {name}"),
        Hold::TombstoneFirst { name } => format!("TombstoneFirst {name}"),
        Hold::RequiredBy { .. } => "RequiredBy".into(),
        Hold::ForgottenRuns => "ForgottenRuns".into(),
        Hold::DependentsYielding => "DependentsYielding".into(),
        Hold::SuccessorFirst { name } => format!("SuccessorFirst {name}"),
        Hold::ExecutorUnavailable { pool, .. } => format!("ExecutorUnavailable {pool}"),
        Hold::Concurrency { target, .. } => format!("Concurrency {target}"),
        Hold::RetryAt { .. } => "RetryAt".into(),
        Hold::FactUnknown { name, fact, .. } => format!("FactUnknown {name} {fact}"),
        Hold::FactRelease { name, fact } => format!("FactRelease {name} {fact}"),
        Hold::Drifted => "Drifted".into(),
        Hold::Suspended(_) => "Suspended".into(),
        Hold::Protected => "Protected".into(),
        Hold::RemovalApproval { .. } => "RemovalApproval".into(),
        Hold::OutsideWindow { target, .. } => format!("OutsideWindow {target}"),
        Hold::InFlight { .. } => "InFlight".into(),
        Hold::Rate { target, .. } => format!("Rate {target}"),
        Hold::Cancelled { .. } => "Cancelled".into(),
        Hold::ReportOnly => "ReportOnly".into(),
    }
}
