//! What is looked at after every step and before every effect.

use super::owner::OwnerId;
use super::standing::{Standing, violation};
use super::targets::key_of;
use super::violation::{Checker, Violation};
use super::words::{Fault, Kind, State};
use super::world::World;
use crate::core::{
    DeletionPolicy, EnvironmentState, Event, ExecutorName, Grant, Hold, LastResult, Life, Message, Mode, Name,
    Operation, OutcomeKind, Reason, RequestKind, ResourceView, Scope, Timestamp, VersionNumber, WindowKind, limits,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl World {
    /// After a step: what it grants must be on good and idle ground, and `why` must be true of everything.
    pub(super) fn watch(&mut self, id: OwnerId) {
        let Some(process) = self.owners.get_mut(&id) else { return };
        let looked_at = std::mem::replace(&mut process.looked_at, process.heart.gathered().messages.len());
        let now = process.wall(self.now);
        let (state, standing) = (process.heart.state(), &mut process.standing);
        let mut found = Vec::new();
        let views: Vec<ResourceView> = state.views().collect();
        let in_flight = views.iter().filter(|view| view.running.is_some()).count();
        let mut unreleased = Vec::new();
        let mut deletes = Vec::new();
        for message in process.heart.gathered().messages.iter().skip(looked_at) {
            if let Message::Grant(_, _, grant) = message {
                let row = grant.resource.and_then(|id| state.row(id));
                found.extend(busy_ground(state, grant));
                found.extend(standing.forbids(grant, row, in_flight, now));
                if grant.operation != Operation::DryRun && !standing.is_released(grant, |_| false) {
                    unreleased.push(Arc::clone(grant));
                }
                if grant.operation == Operation::Delete && row.is_some_and(|row| row.failures == 0) {
                    deletes.push(Arc::clone(grant));
                }
            }
        }
        // What is left to think over is not to be told yet.
        let thinks = process.heart.due_in_ms(now) == Some(0);
        for view in views.iter().filter(|_| !thinks) {
            found.extend(why_is_true(state, standing, view, now));
        }
        for grant in unreleased {
            let together = self.store.journal.goes_with(&grant.intent.name);
            let one_of_them = |scope: &Scope| {
                scope.names.as_ref().is_none_or(|names| names.iter().any(|name| together.contains(name)))
            };
            if !standing.is_released(&grant, one_of_them) {
                found.push(violation(Checker::OnlyReleasedStarts, &grant, "nobody has released it"));
            }
        }
        for grant in deletes {
            found.extend(unapproved(&self.users.unapproved, &views, &grant));
        }
        for violation in found {
            self.found(Some(violation));
        }
    }

    /// A grant arrives at an executor: it must be in history.
    pub(super) fn check_grant_is_recorded(&mut self, grant: &Grant) {
        if grant.operation != Operation::DryRun && !self.store.journal.grants.contains_key(&grant.attempt) {
            let detail = format!("attempt {} is at an executor and not in history", grant.attempt);
            self.broke(Checker::GrantBeforeSend, detail);
        }
    }

    /// An attempt begins on a target: nothing it requires may be worked on.
    pub(super) fn check_begin(&mut self, executor: &ExecutorName, grant: &Grant) {
        // Reports only look, and wait for nobody.
        if matches!(grant.operation, Operation::DryRun | Operation::Delete) || grant.reason.reports() {
            return;
        }
        let journal = &self.store.journal;
        // An edge that a newer version dropped orders nothing any more (design, Order: edges are those of the newest released intent), also where
        // a still newer one brings it back: meanwhile what was required may have been granted, and a grant that is asked back for it may begin
        // before it hears of that.
        let versions = (grant.version.0..=journal.newest().0).map(VersionNumber);
        let stood = |name: &&Name| {
            let requires =
                |version| journal.at(version, &grant.intent.name).is_some_and(|one| one.requires.contains(name));
            versions.clone().all(requires)
        };
        let mut required = grant.intent.requires.iter().filter(stood);
        let work = required.find_map(|name| Some((name, self.targets.works_for(journal.live(name)?.0)?)));
        if let Some((name, work)) = work {
            let detail = format!(
                "attempt {} ({}) begins at {executor} while attempt {} works on {name} at {}, which it requires",
                grant.attempt, grant.intent.name, work.attempt, work.executor
            );
            self.broke(Checker::OrderOfBegins, detail);
        }
    }

    /// Something is about to be deleted on a target: some version must have removed it.
    pub(super) fn check_delete(&mut self, grant: &Grant) {
        let wanted = grant.resource.is_some_and(|id| self.store.journal.current.contains_key(&id));
        if wanted && self.targets.object(&key_of(&grant.intent)).is_some() {
            let detail = format!("attempt {} deletes {}, which nobody removed", grant.attempt, grant.intent.name);
            self.broke(Checker::OnlyRemovedIsDeleted, detail);
        }
    }

    /// Counts in which states an event finds the resources it is about.
    pub(super) fn cover(&mut self, id: OwnerId, event: &Event) {
        let Some(process) = self.owners.get(&id) else { return };
        let mut felt = self.faults.felt();
        felt.extend((process.fence.epoch < self.store.newest).then_some(Fault::Zombie));
        felt.extend(felt.is_empty().then_some(Fault::None));
        if self.repeats {
            felt = BTreeSet::from([Fault::Repeated]);
        }
        let (state, now) = (process.heart.state(), process.wall(self.now));
        let of_name = |name: &Name| State::of(state.find_any(name).and_then(|id| state.view(id)).as_ref());
        let of_attempt = |attempt| {
            let view = state.views().find(|view| view.running.as_ref().is_some_and(|run| run.attempt == attempt));
            State::of(view.as_ref())
        };
        let mut cells: Vec<(State, Kind)> = Vec::new();
        let mut views = |kind, which: &dyn Fn(&ResourceView) -> bool| {
            cells.extend(state.views().filter(which).map(|view| (State::of(Some(&view)), kind)));
        };
        match event {
            Event::Push(push) => {
                cells.extend(push.upserts.iter().map(|intent| (of_name(&intent.name), Kind::Upsert)));
                cells.extend(push.removals.iter().map(|name| (of_name(name), Kind::Remove)));
            }
            Event::Forget(forget) => cells.extend(forget.names.iter().map(|name| (of_name(name), Kind::Forget))),
            Event::Request(request) => views(kind_of(request.kind), &|_| true),
            Event::SettingsChanged(_) => views(Kind::Settings, &|_| true),
            Event::TargetChanged(target) => views(Kind::Target, &|view| view.row.intent.target == target.name),
            Event::TargetRemoved(name) => views(Kind::TargetRemoved, &|view| view.row.intent.target == *name),
            Event::ExecutorDisconnected(executor) => views(Kind::Disconnected, &|view| has(view, executor)),
            Event::ExecutorLost(executor) => views(Kind::Lost, &|view| has(view, executor)),
            Event::Begun(_, attempts) => cells.extend(attempts.iter().map(|&one| (of_attempt(one), Kind::Begun))),
            Event::RevokeRefused(_, attempts) => {
                cells.extend(attempts.iter().map(|&one| (of_attempt(one), Kind::RevokeRefused)));
            }
            Event::Finished(_, outcome) => {
                let kind = match outcome.kind {
                    OutcomeKind::Succeeded(_) => Kind::Succeeded,
                    OutcomeKind::Failed { .. } => Kind::Failed,
                    _ => Kind::Revoked,
                };
                cells.push((of_attempt(outcome.attempt), kind));
            }
            Event::Tick => views(Kind::Due, &|view| view.row.due_at.is_some_and(|at| at <= now)),
            _ => {}
        }
        for (state, kind) in cells {
            for &fault in &felt {
                self.coverage.met(state, kind, fault);
            }
        }
    }
}

const fn kind_of(kind: RequestKind) -> Kind {
    match kind {
        RequestKind::Deploy => Kind::Deploy,
        RequestKind::Repair => Kind::Repair,
        RequestKind::Suspend => Kind::Suspend,
        RequestKind::Resume => Kind::Resume,
        RequestKind::Cancel => Kind::Cancel,
        RequestKind::Report => Kind::Report,
        RequestKind::FactRefresh => Kind::Refresh,
        RequestKind::ApproveRemovals => Kind::Approve,
    }
}

/// Many were removed at once, and this one was granted although nobody has approved any of them.
fn unapproved(removed: &BTreeMap<Name, VersionNumber>, views: &[ResourceView], grant: &Grant) -> Option<Violation> {
    let lacks = |name: &Name, version: VersionNumber| removed.get(name).is_some_and(|after| version > *after);
    if !lacks(&grant.intent.name, grant.version) {
        return None;
    }
    let waits = |view: &&ResourceView| {
        let policy = &view.row.intent.policy;
        let deletes = policy.mode == Mode::Enforce && policy.deletion_policy == DeletionPolicy::Delete;
        let touched = view.row.attempted.is_some() || view.row.remote_identity.is_some();
        let begun = view.row.failures > 0 || view.running.as_ref().is_some_and(|run| run.begun);
        let unapproved = lacks(&view.row.intent.name, view.row.version) && !begun && !policy.protected;
        view.row.life == Life::Tombstone && unapproved && deletes && touched
    };
    let count = views.iter().filter(waits).count();
    let live = views.iter().filter(|view| view.row.life == Life::Live).count();
    let many = count > limits::REMOVALS && count * 100 > (live + count) * limits::REMOVALS_PERCENT;
    many.then(|| Violation {
        checker: Checker::RemovalsAreApproved,
        detail: format!("{} is deleted, one of {count} whose removal nobody has approved", grant.intent.name),
    })
}

fn has(view: &ResourceView, executor: &ExecutorName) -> bool {
    view.running.as_ref().is_some_and(|run| run.executor == *executor)
}

/// What a name stands on: the live resource, else its tombstones.
fn required(state: &EnvironmentState, name: &Name) -> Vec<ResourceView> {
    if let Some(live) = state.find(name).and_then(|id| state.view(id)) {
        return vec![live];
    }
    let of_name = |view: &ResourceView| view.row.life == Life::Tombstone && view.row.intent.name == *name;
    state.views().filter(of_name).collect()
}

/// I3 in the scheduler's own state: what a new grant requires must not wait or run.
fn busy_ground(state: &EnvironmentState, grant: &Grant) -> Option<Violation> {
    if matches!(grant.operation, Operation::DryRun | Operation::Delete) || grant.reason.reports() {
        return None;
    }
    let busy = |view: &ResourceView| {
        let waits = view.row.life == Life::Live && view.queued.is_some() && !is_held_verification(state, view);
        // What only looks at it may begin its turn before the grants on it are asked back, and need not wait for that.
        waits || view.running.as_ref().is_some_and(|running| running.operation != Operation::Observe)
    };
    // Of several tombstones of one name it stands on one: which, is not to be told from here.
    let all_busy = |ones: &Vec<ResourceView>| ones.iter().all(busy);
    let grounds = grant.intent.requires.iter().map(|name| required(state, name));
    let on = grounds.filter(all_busy).flatten().next()?;
    let (name, on_name) = (&grant.intent.name, &on.row.intent.name);
    let (queued, running, why) = (on.queued, &on.running, state.why(on.row.resource));
    let detail = format!(
        "{name} is granted while {on_name}, which it requires, is queued ({queued:?}) or at work ({running:?}): {why:?}"
    );
    Some(Violation { checker: Checker::OrderOfGrants, detail })
}

/// A queued verification of something good that cannot run now holds nobody.
fn is_held_verification(state: &EnvironmentState, view: &ResourceView) -> bool {
    let verifies = view.queued.is_some_and(Reason::verifies) && view.good;
    let held = |hold: &Hold| {
        matches!(
            hold,
            Hold::EnvironmentSuspended
                | Hold::TargetSuspended { .. }
                | Hold::Suspended(_)
                | Hold::OutsideWindow { .. }
                | Hold::ExecutorUnavailable { .. }
        )
    };
    // Where a target has a rate, a verification holds nobody before its turn; whose turn it is cannot be seen from here.
    let rated = |target: &crate::core::Target| target.name == view.row.intent.target && target.rate_limit.is_some();
    verifies && (state.targets().any(rated) || state.why(view.row.resource).iter().any(held))
}

/// `why` names at least one hold, and the first one is so.
fn why_is_true(
    state: &EnvironmentState,
    standing: &Standing,
    view: &ResourceView,
    now: Timestamp,
) -> Option<Violation> {
    let row = &view.row;
    let name = &row.intent.name;
    let untrue = |detail| Some(Violation { checker: Checker::WhyIsTrue, detail });
    let why = state.why(row.resource);
    let Some(first) = why.first() else { return untrue(format!("nobody knows why {name} does not run")) };
    let target = || state.targets().find(|target| target.name == row.intent.target);
    let named = |name: &Name| required(state, name);
    let is_so = match first {
        Hold::Release { version, .. } | Hold::ReplaceApproval { version, .. } => view.unreleased() == Some(*version),
        Hold::FactRelease { .. } => row.facts_in_force.is_some(),
        Hold::RequirementUnreleased { name } => {
            state.find_any(name).and_then(|id| state.row(id)).is_some_and(|row| row.life == Life::Unreleased)
        }
        Hold::Good { .. } => view.good && view.queued.is_none(),
        Hold::Running(running) => view.running.as_ref() == Some(running),
        Hold::EnvironmentSuspended => state.settings().suspend,
        Hold::TargetSuspended { .. } => target().is_some_and(|target| target.suspend),
        Hold::TargetMissing { .. } => target().is_none(),
        Hold::RequirementMissing { name } => row.intent.requires.contains(name) && named(name).is_empty(),
        Hold::RequirementUndefined { name } => !named(name).is_empty(),
        Hold::RequirementBusy { name } => named(name).iter().any(|one| one.queued.is_some() || one.running.is_some()),
        Hold::RequirementNotGood { name, .. } => named(name).iter().any(|one| !one.good),
        Hold::TombstoneFirst { .. } => row.after.is_some(),
        Hold::RequiredBy { names } => !names.is_empty() && row.life == Life::Tombstone,
        Hold::RetryAt { at, .. } => row.last_result == LastResult::Failed && row.due_at == *at,
        Hold::Drifted => row.observed.differs(),
        Hold::InFlight { most } => state.settings().max_in_flight == Some(*most),
        Hold::Rate { .. } => target().is_some_and(|target| target.rate_limit.is_some()),
        Hold::ForgottenRuns
        | Hold::DependentsYielding
        | Hold::ExecutorUnavailable { .. }
        | Hold::Concurrency { .. } => view.queued.is_some(),
        Hold::Suspended(by) => match &by.target {
            Some(target) => standing.suspended_targets.contains(target) && *target == row.intent.target,
            None => standing.suspended,
        },
        Hold::OutsideWindow { target, window, .. } => {
            *target == row.intent.target && standing.may_be_closed(target, *window == WindowKind::Deploy, now)
        }
        Hold::Cancelled { until } => row.due_at == Some(*until) && standing.was_cancelled(&row.intent),
        Hold::FactUnknown { name, fact, .. } => {
            let takes = row.intent.facts_taken().any(|of| of.name == *name && of.fact == *fact);
            takes && named(name).iter().any(|one| one.row.facts.get(fact).is_none())
        }
        Hold::Protected => row.life == Life::Tombstone && row.intent.policy.protected,
        Hold::RemovalApproval { removals } => row.life == Life::Tombstone && state.removals_held() == *removals,
        Hold::SuccessorFirst { .. } => row.after.is_some() && row.life == Life::Tombstone,
        // Nobody here stops in good order, or is there for reports only.
        Hold::Stopping | Hold::ReportOnly => false,
    };
    if is_so { None } else { untrue(format!("{name} does not run for a reason that is not so: {why:?}")) }
}
