//! What holds after every step: the promises, that nothing is left lying, and that `why` says the truth.

use super::naive::Naive;
use super::world::World;
use crate::core::requests::OpenRequest;
use crate::core::{
    Effects, Grant, Hold, LastResult, Life, Message, Mode, Name, Observed, Operation, RepairAction, ResourceId,
};
use std::collections::BTreeSet;

/// Checks one step: its effects, and the state after it. History has the effects already.
pub(super) fn check(world: &World, effects: &Effects) {
    let state = &world.state;
    let naive = Naive::new(state);
    for message in &effects.messages {
        if let Message::Grant(_, _, grant) = message
            && grant.operation != Operation::DryRun
        {
            let id = grant.resource.unwrap();
            assert!(world.history.grants.contains_key(&grant.attempt), "Q1: attempt {} is not recorded", grant.attempt);
            check_grant(&naive, id, grant);
            assert!(grant.version <= world.released, "Q7: {} runs and was not released", grant.intent.name);
        }
    }
    check_history(world);
    if state.is_unfinished() {
        return;
    }
    super::naive::check(state);
    for id in state.ids() {
        nothing_is_left_lying(world, &naive, id);
        why_is_true(world, &naive, id);
    }
    check_requests(world);
}

/// I3: nothing starts on what it requires, unless that is good and idle; deletes run in reverse.
fn check_grant(naive: &Naive, id: ResourceId, grant: &Grant) {
    let mode = grant.intent.policy.mode;
    if grant.reason.reports() {
        return assert_eq!(grant.operation, Operation::Observe, "a report only looks");
    }
    if grant.operation == Operation::Delete {
        assert!(naive.kept_by(id).is_empty(), "I3: a delete was granted while something requires it");
        return;
    }
    for required in naive.requirements(id) {
        assert!(!naive.busy(required), "I3: granted while a requirement is queued, granted or running");
        assert!(naive.good(required) || mode == Mode::Observe, "I3: granted while a requirement is not good");
    }
    assert!(!naive.undefined(id), "granted while undefined");
}

/// I1: what is neither queued nor in an executor's hands is good, or has a timer, or a reason that ends by itself.
fn nothing_is_left_lying(world: &World, naive: &Naive, id: ResourceId) {
    let resource = world.state.get(id).unwrap();
    let row = &resource.row;
    if resource.queued.is_some() || resource.run.is_some() || row.due_at.is_some() || naive.undefined(id) {
        return;
    }
    let name = &row.intent.name;
    assert_eq!(row.life, Life::Live, "the tombstone of {name} is left lying");
    if row.skipped {
        let ends = naive.requirements(id).into_iter().any(|required| !naive.good(required) || naive.busy(required));
        return assert!(ends, "{name} is skipped for nothing");
    }
    let correct = world.state.settings.repair.action == RepairAction::Correct;
    let corrected = correct && row.intent.policy.mode == Mode::Enforce && row.observed != Observed::Reported;
    let left = row.observed.differs() && !corrected;
    assert!(naive.good(id) || (left && row.last_result == LastResult::Succeeded), "{name} is left lying");
}

/// `why` names at least one hold, and the first one is so.
fn why_is_true(world: &World, naive: &Naive, id: ResourceId) {
    let state = &world.state;
    let resource = state.get(id).unwrap();
    let row = &resource.row;
    let target = state.targets().find(|target| target.name == row.intent.target);
    let required =
        |name: &str| naive.requirements(id).into_iter().find(|&id| &*state.row(id).unwrap().intent.name == name);
    let on = |target: Option<&Name>| target.is_none_or(|target| *target == row.intent.target);
    let why = state.why(id);
    let first = why.first().unwrap_or_else(|| panic!("nobody knows why {} does not run", row.intent.name));
    let is_so = match first {
        Hold::Release { version, .. } => row.pending.as_ref().is_some_and(|pending| pending.version == *version),
        Hold::FactRelease { .. } => row.facts_in_force.is_some(),
        Hold::ReplaceApproval { name, .. } => row.pending.is_some() && state.replacements().any(|one| one == name),
        Hold::RequirementUnreleased { name } => state.unreleased.named(name).is_some() && state.find(name).is_none(),
        Hold::Good { next_repair } => naive.good(id) && resource.queued.is_none() && *next_repair == row.due_at,
        Hold::Running(running) => resource.run.as_ref().is_some_and(|run| run.attempt == running.attempt),
        Hold::Stopping => state.stopping,
        Hold::ReportOnly => state.report_only,
        Hold::Protected => !resource.is_live() && row.intent.policy.protected,
        Hold::RemovalApproval { removals } => {
            *removals == state.removals_held() && !resource.is_live() && !row.removal_approved
        }
        Hold::EnvironmentSuspended => state.settings.suspend,
        Hold::Suspended(by) => state.suspensions().any(|one| one == by && on(by.target.as_ref())),
        Hold::TargetSuspended { .. } => target.is_some_and(|target| target.suspend),
        Hold::TargetMissing { .. } => target.is_none(),
        Hold::RequirementMissing { name } => row.intent.requires.contains(name) && required(name).is_none(),
        Hold::RequirementUndefined { name } => naive.undefined(required(name).unwrap()),
        Hold::FactUnknown { name, fact, reported } => {
            let known = &state.row(required(name).unwrap()).unwrap().facts;
            known.get(fact).is_none() && reported.as_ref().is_none_or(|names| names.len() == known.iter().count())
        }
        Hold::RequirementBusy { name } => naive.busy(required(name).unwrap()),
        Hold::RequirementNotGood { name, .. } => !naive.good(required(name).unwrap()),
        Hold::TombstoneFirst { .. } => row.after.is_some_and(|after| state.is_tombstone(after)),
        Hold::SuccessorFirst { .. } => {
            !resource.is_live()
                && row.after.is_some_and(|after| state.get(after).unwrap().is_live() && !naive.good(after))
        }
        Hold::RequiredBy { .. } => !naive.kept_by(id).is_empty(),
        Hold::ForgottenRuns => naive.worked_on_by_forgotten(resource),
        Hold::DependentsYielding => naive.dependents(id).iter().any(|&id| state.get(id).unwrap().run.is_some()),
        Hold::ExecutorUnavailable { .. } => state.executor_for(resource.target).is_none(),
        Hold::OutsideWindow { .. } => state.held(resource),
        Hold::InFlight { most } => state.in_flight >= *most,
        Hold::Rate { until, .. } => until.is_some_and(|at| at > state.now),
        Hold::Concurrency { .. } => resource.queued.is_some_and(|queued| queued.ready),
        Hold::RetryAt { at, .. } => row.last_result == LastResult::Failed && row.due_at == *at,
        Hold::Cancelled { until } => resource.queued.is_none() && row.due_at == Some(*until),
        Hold::Drifted => row.observed.differs(),
    };
    assert!(is_so, "{} does not run for a reason that is not so: {first:?} of {why:?}", row.intent.name);
}

/// History and state tell the same: each row, each open grant, each open request.
fn check_history(world: &World) {
    let (state, history) = (&world.state, &world.history);
    assert_eq!(history.version, state.version());
    let rows = state.ids().filter_map(|id| state.row(id)).chain(state.unreleased.rows());
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| row.resource);
    let stored: Vec<_> = history.standing().collect();
    assert_eq!(stored, rows, "history and state differ in a row");
    let open = state.open.iter().filter(|(_, open)| !matches!(open, crate::core::state::Open::DryRun { .. }));
    assert!(history.open_grants().eq(open.map(|(&attempt, _)| attempt)), "open grants");
    let suspended = state.suspensions().map(|suspension| suspension.request);
    let open: BTreeSet<_> = state.requests.keys().copied().chain(suspended).collect();
    assert!(history.open_requests().eq(open), "open requests");
}

/// What is asked for is answered.
fn check_requests(world: &World) {
    let (state, history) = (&world.state, &world.history);
    for (request, OpenRequest { covered, .. }) in &state.requests {
        let waits = |id: ResourceId| state.get(id).is_some_and(|one| one.queued.is_some() || one.run.is_some());
        assert!(!covered.is_empty() && covered.iter().all(waits), "request {request} waits for nothing");
    }
    let unfinished = history.dry_runs.iter().filter(|(_, (items, results))| results.len() < *items as usize);
    let unfinished = unfinished.map(|(id, _)| *id).filter(|id| !world.lost_dry_runs.contains(id));
    assert!(unfinished.eq(state.dry_runs.keys().copied()), "open dry runs");
}
