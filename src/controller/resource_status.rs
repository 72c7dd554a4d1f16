//! What the status of one `Resource` object says: a pure function of what the scheduler shows and of how far its object has been taken in.
//!
//! The table of design.md §5, one branch per row. A verification of a good resource shows nowhere: it must write nothing.

use super::conditions::Conditions;
use super::seen::Handled;
use crate::api::conditions::date_time;
use crate::api::conditions::{ConditionType, Reason, Truth};
use crate::api::{ObjectName, ResourceStatus, Text};
use crate::controller::limits::DRIFT_CHARACTERS;
use crate::core::{Compliance, Hold, LastResult, RefusalKind, ResourceView, Timestamp, cycle_in_words, limits};

/// How far the object's newest generation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Not yet decided in history.
    Pending,
    /// In a version, or already there.
    Accepted,
    /// Refused: its last accepted intent stays.
    Refused(Refusal),
}

/// Why the newest generation is not the intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The spec does not make an intent; every error with its field.
    Invalid(String),
    /// The environment refused the intent.
    Environment(RefusalKind),
    /// Its environment takes its intent by push.
    WrongSource,
}

/// What is known of a `Resource` object.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// How far its newest generation has come.
    pub acceptance: &'a Acceptance,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Its environment or its target is suspended.
    pub suspended: bool,
    /// Its row, live or (while deleting) tombstone; `None` before it is in a version.
    pub view: Option<&'a ResourceView>,
    /// Why it does not run, the first that applies first.
    pub holds: &'a [Hold],
}

/// The conditions.
pub fn conditions(known: &Known<'_>) -> Conditions {
    if known.deleting {
        return deleting(known);
    }
    match (known.acceptance, known.view) {
        (Acceptance::Refused(refusal), _) => {
            let (reason, message) = refused(refusal);
            Conditions::stalled(reason, &message)
        }
        (Acceptance::Pending, _) | (Acceptance::Accepted, None) => {
            Conditions::reconciling(Truth::Unknown, Reason::Pending, "it is being taken into its environment")
        }
        (Acceptance::Accepted, Some(view)) => accepted(view, known),
    }
}

/// The whole status. `before` is what was written last: it lends the times of conditions.
pub fn status(
    known: &Known<'_>,
    settled: Option<i64>,
    before: &ResourceStatus,
    handled: &Handled,
    now: Timestamp,
) -> ResourceStatus {
    let (last_handled_deploy_at, last_handled_repair_at) = handled.written();
    let row = known.view.map(|view| &view.row);
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    ResourceStatus {
        conditions: conditions(known).written(settled, &before.conditions, now),
        observed_generation: settled,
        compliance: known.view.map(|view| format!("{:?}", view.compliance)),
        last_result: row.map(|row| format!("{:?}", row.last_result)),
        blocked_by: blocked_by(known.holds),
        version: known.view.map(|view| number(view.unreleased().unwrap_or(view.row.version).0)),
        attempt: row.and_then(|row| row.changed_by).map(|attempt| number(attempt.0)),
        last_deployed: row.and_then(|row| row.deployed_at).map(date_time),
        drift: row
            .and_then(|row| row.drift.as_deref())
            .map(|drift| Text(drift.chars().take(DRIFT_CHARACTERS).collect())),
        last_handled_deploy_at,
        last_handled_repair_at,
    }
}

/// The conditions of a resource whose environment does not exist; `errors`: what is wrong with its spec.
pub fn without_environment(errors: Option<&String>, environment: &str) -> Conditions {
    if let Some(errors) = errors {
        return Conditions::stalled(Reason::InvalidSpec, errors);
    }
    let message = format!("environment {environment} does not exist in this namespace");
    Conditions::reconciling(Truth::False, Reason::EnvironmentNotFound, &message)
}

fn blocked_by(holds: &[Hold]) -> Vec<ObjectName> {
    let mut names: Vec<ObjectName> = Vec::new();
    for hold in holds {
        match hold {
            Hold::RequirementMissing { name }
            | Hold::RequirementUnreleased { name }
            | Hold::RequirementUndefined { name }
            | Hold::FactUnknown { name, .. }
            | Hold::RequirementBusy { name }
            | Hold::RequirementNotGood { name, .. }
            | Hold::TombstoneFirst { name }
            | Hold::SuccessorFirst { name } => names.push((&**name).into()),
            Hold::RequiredBy { names: others } => names.extend(others.iter().map(|name| ObjectName::from(&**name))),
            _ => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    names.truncate(limits::LISTED_NAMES);
    names
}

fn accepted(view: &ResourceView, known: &Known<'_>) -> Conditions {
    if let Some(hold) = known.holds.iter().find(|hold| matches!(hold, Hold::ReplaceApproval { .. })) {
        let next = "; its Environment says how to approve it";
        return Conditions::stalled(Reason::ReplaceApproval, &format!("{hold}{next}"));
    }
    let Some((reason, message)) = paused(known) else { return running(view, known.holds) };
    let paused = if view.compliance == Compliance::HasUpdate {
        Conditions::ready(Truth::Unknown, reason, "its newest intent is not deployed while it is paused")
    } else if reason == Reason::WaitingForRelease {
        // What waits needs no attempt; what is in force goes on.
        running(view, known.holds)
    } else if view.row.last_result == LastResult::Failed {
        Conditions::ready(
            Truth::False,
            Reason::DeployFailed,
            view.row.error.as_deref().unwrap_or("its last attempt was lost"),
        )
    } else {
        running(view, known.holds).without(ConditionType::Reconciling)
    };
    paused.and(ConditionType::Paused, reason, message)
}

/// Why nothing of it may start, where somebody wanted it so.
fn paused(known: &Known<'_>) -> Option<(Reason, &'static str)> {
    if known.holds.iter().any(|hold| matches!(hold, Hold::Release { .. } | Hold::FactRelease { .. })) {
        let message = "it waits for its release: annotate it, its Target or its Environment with homeostat.dev/deploy-requested-at and any new value";
        return Some((Reason::WaitingForRelease, message));
    }
    let ordered = known.holds.iter().any(|hold| matches!(hold, Hold::Suspended(_)));
    if known.suspended || ordered {
        return Some((Reason::Suspended, "nothing new starts while its environment or its target is suspended"));
    }
    let closed = known.holds.iter().any(|hold| matches!(hold, Hold::OutsideWindow { .. }));
    closed.then_some((Reason::OutsideWindow, "nothing of it starts until the next window of its target opens"))
}

fn running(view: &ResourceView, holds: &[Hold]) -> Conditions {
    if view.good {
        return Conditions::ready(Truth::True, Reason::Compliant, "it is deployed as declared");
    }
    if view.row.observed.differs() && view.compliance == Compliance::NonCompliant {
        let message = "it differs from its intent, and its policy is to leave it";
        return Conditions::ready(Truth::False, Reason::Drifted, message).and(
            ConditionType::Drifted,
            Reason::Drifted,
            message,
        );
    }
    if let Some((reason, message)) = holds.iter().find_map(waits) {
        return Conditions::reconciling(Truth::False, reason, &message);
    }
    // A failed attempt of the present intent says more than that it runs again just now; and it does not flap.
    if view.row.last_result == LastResult::Failed && view.compliance == Compliance::NonCompliant {
        let message = view.row.error.as_deref().unwrap_or("its last attempt was lost");
        return Conditions::reconciling(Truth::False, Reason::ProgressingWithRetry, message);
    }
    if view.running.is_some() {
        return Conditions::reconciling(Truth::Unknown, Reason::Deploying, "it is being deployed");
    }
    Conditions::reconciling(Truth::Unknown, Reason::Queued, &turn(holds))
}

/// What it waits for that somebody else must bring, if that is why it does not run.
fn waits(hold: &Hold) -> Option<(Reason, String)> {
    let reason = match hold {
        Hold::TargetMissing { .. } => Reason::TargetNotFound,
        Hold::RequirementMissing { .. } => Reason::DependencyNotFound,
        Hold::FactUnknown { .. } => Reason::WaitingForFact,
        Hold::RequirementUnreleased { .. }
        | Hold::RequirementUndefined { .. }
        | Hold::RequirementBusy { .. }
        | Hold::RequirementNotGood { .. }
        | Hold::TombstoneFirst { .. }
        | Hold::SuccessorFirst { .. } => Reason::DependencyNotReady,
        Hold::ExecutorUnavailable { .. } => Reason::ExecutorUnavailable,
        _ => return None,
    };
    Some((reason, hold.to_string()))
}

/// Why it is not its turn, without numbers that change all the time.
fn turn(holds: &[Hold]) -> String {
    match holds.first() {
        Some(Hold::Concurrency { target, .. }) => format!("it waits for its turn on target {target}"),
        Some(hold @ (Hold::ForgottenRuns | Hold::DependentsYielding | Hold::Stopping)) => hold.to_string(),
        _ => "it waits for its turn".to_owned(),
    }
}

fn deleting(known: &Known<'_>) -> Conditions {
    let Some(view) = known.view else {
        return Conditions::reconciling(
            Truth::False,
            Reason::Deleting,
            "its removal is being taken into its environment",
        );
    };
    if let Some(hold) = known.holds.iter().find(|hold| matches!(hold, Hold::Protected | Hold::RemovalApproval { .. })) {
        let protected = matches!(hold, Hold::Protected);
        let (reason, next) = if protected {
            (Reason::Protected, "; annotate it with homeostat.dev/force-orphan to leave it there and let the object go")
        } else {
            (Reason::RemovalApproval, "; its Environment says how to approve it")
        };
        return Conditions::stalled(reason, &format!("{hold}{next}"));
    }
    let required = known.holds.iter().find(|hold| matches!(hold, Hold::RequiredBy { .. }));
    let message = match (required, view.row.error.as_deref()) {
        (Some(hold), _) => hold.to_string(),
        (None, Some(error)) => format!("its deletion failed and is tried again: {error}"),
        (None, None) => match known.holds.iter().find_map(waits) {
            Some((_, message)) => format!("its deletion waits: {message}"),
            None => "it is being deleted on its target".to_owned(),
        },
    };
    match paused(known) {
        Some((reason, why)) => Conditions::ready(
            Truth::False,
            Reason::Deleting,
            "it is not deleted while it is paused",
        )
        .and(ConditionType::Paused, reason, why),
        None => Conditions::reconciling(Truth::False, Reason::Deleting, &message),
    }
}

fn refused(refusal: &Refusal) -> (Reason, String) {
    match refusal {
        Refusal::Invalid(errors) => (Reason::InvalidSpec, errors.clone()),
        Refusal::WrongSource => (
            Reason::WrongSource,
            "its environment takes its intent by push (spec.source), not from Resource objects".to_owned(),
        ),
        Refusal::Environment(kind) => match kind {
            RefusalKind::Cycle(path) => {
                (Reason::DependencyCycle, format!("it requires itself: {}", cycle_in_words(path)))
            }
            // Objects are pushed on whatever is the newest version.
            RefusalKind::StaleBase(newest) => (Reason::Pending, format!("version {newest} came first")),
            // Said of requests, never of objects.
            RefusalKind::StalePlan => (Reason::Pending, "what would be released has changed".to_owned()),
            RefusalKind::TooManyRequests(open) => (Reason::Pending, format!("{open} requests are open already")),
            RefusalKind::DuplicateName => (Reason::DuplicateIdentity, "its name is used twice".to_owned()),
            RefusalKind::DuplicateIdentity(other) => (
                Reason::DuplicateIdentity,
                format!("resource {other} already is this thing on this target; change or delete one of them"),
            ),
            RefusalKind::Replaces => (
                Reason::Replaces,
                "it would become another thing on its target, and policy.replace is Never; change that too, or use another name".to_owned(),
            ),
            RefusalKind::OtherSet(set) => {
                (Reason::OtherSet, format!("a resource of this name belongs to resource set {set}"))
            }
            RefusalKind::TooLarge(what, bound) => (Reason::TooLarge, format!("{what} exceeds the bound of {bound}")),
        },
    }
}

#[cfg(test)]
mod tests;
