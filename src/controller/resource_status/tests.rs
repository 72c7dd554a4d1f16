//! The table of design.md §5, row by row, as golden lines `Type=Status Reason: message`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::{Acceptance, Known, Refusal, conditions};
use crate::core::{
    AttemptId, Blocked, Compliance, Hold, Intent, IntentParts, LastResult, Life, Observed, Operation, Reason,
    RefusalKind, ResourceId, ResourceRow, ResourceView, Running, Timestamp, VersionNumber, WindowKind,
};
use std::sync::Arc;

fn view() -> ResourceView {
    let intent = Intent::new(IntentParts {
        name: "r1".into(),
        kind: "test.Thing".into(),
        target: "t1".into(),
        identity: "{}".into(),
        attributes: "{}".into(),
        requires: vec![],
        ..IntentParts::default()
    });
    let row = ResourceRow::new(ResourceId(1), "objects".into(), Arc::new(intent), VersionNumber(1));
    ResourceView {
        row,
        compliance: Compliance::HasUpdate,
        good: false,
        blocked: Blocked::No,
        queued: Some(Reason::Change),
        running: None,
    }
}

fn good() -> ResourceView {
    let mut good = view();
    good.row.last_result = LastResult::Succeeded;
    good.row.succeeded = Some(good.row.intent.hash());
    good.row.attempted = good.row.succeeded;
    good.row.observed = Observed::Same;
    ResourceView { compliance: Compliance::Compliant, good: true, queued: None, ..good }
}

fn failed() -> ResourceView {
    let mut failed = view();
    failed.row.last_result = LastResult::Failed;
    failed.row.attempted = Some(failed.row.intent.hash());
    failed.row.error = Some("exit status 1\nno such file".into());
    ResourceView { compliance: Compliance::NonCompliant, queued: None, ..failed }
}

fn drifted() -> ResourceView {
    let mut drifted = good();
    drifted.row.observed = Observed::Differs;
    ResourceView { compliance: Compliance::NonCompliant, good: false, ..drifted }
}

fn run() -> Running {
    Running {
        attempt: AttemptId(7),
        executor: "pod".into(),
        operation: Operation::Enforce,
        begun: true,
        interrupted: false,
    }
}

#[derive(Default)]
struct Case {
    acceptance: Option<Acceptance>,
    deleting: bool,
    suspended: bool,
    view: Option<ResourceView>,
    holds: Vec<Hold>,
}

fn check(case: &Case, golden: &[&str]) {
    let acceptance = case.acceptance.clone().unwrap_or(Acceptance::Accepted);
    let known = Known {
        acceptance: &acceptance,
        deleting: case.deleting,
        suspended: case.suspended,
        view: case.view.as_ref(),
        holds: &case.holds,
    };
    let lines: Vec<String> = conditions(&known)
        .iter()
        .map(|c| format!("{}={} {}: {}", c.kind.as_str(), c.truth.as_str(), c.reason.as_str(), c.message))
        .collect();
    assert_eq!(lines, golden);
}

#[test]
fn new_queued_deploying() {
    check(
        &Case { acceptance: Some(Acceptance::Pending), ..Case::default() },
        &[
            "Ready=Unknown Pending: it is being taken into its environment",
            "Reconciling=True Pending: it is being taken into its environment",
        ],
    );
    check(
        &Case {
            view: Some(view()),
            holds: vec![Hold::Concurrency { target: "t1".into(), ahead: 17 }],
            ..Case::default()
        },
        &[
            "Ready=Unknown Queued: it waits for its turn on target t1",
            "Reconciling=True Queued: it waits for its turn on target t1",
        ],
    );
    check(
        &Case {
            view: Some(ResourceView { running: Some(run()), ..view() }),
            holds: vec![Hold::Running(run())],
            ..Case::default()
        },
        &["Ready=Unknown Deploying: it is being deployed", "Reconciling=True Deploying: it is being deployed"],
    );
}

#[test]
fn deployed_and_compliant_also_while_it_is_verified() {
    let golden = ["Ready=True Compliant: it is deployed as declared"];
    check(
        &Case { view: Some(good()), holds: vec![Hold::Good { next_repair: Some(Timestamp(5)) }], ..Case::default() },
        &golden,
    );
    let verified = ResourceView { running: Some(run()), queued: Some(Reason::Repair), ..good() };
    check(&Case { view: Some(verified), holds: vec![Hold::Running(run())], ..Case::default() }, &golden);
}

#[test]
fn failed_will_retry_also_while_it_retries() {
    let golden = [
        "Ready=False ProgressingWithRetry: exit status 1 no such file",
        "Reconciling=True ProgressingWithRetry: exit status 1 no such file",
    ];
    let retry = Hold::RetryAt { at: Some(Timestamp(9)), error: Some("exit status 1\nno such file".into()) };
    check(&Case { view: Some(failed()), holds: vec![retry], ..Case::default() }, &golden);
    let again = ResourceView { running: Some(run()), ..failed() };
    check(&Case { view: Some(again), holds: vec![Hold::Running(run())], ..Case::default() }, &golden);
}

#[test]
fn waits_for_something_else() {
    let rows = [
        (Hold::RequirementMissing { name: "r0".into() }, "DependencyNotFound", "it requires r0, which does not exist"),
        (Hold::RequirementUndefined { name: "r0".into() }, "DependencyNotReady", "it requires r0, which is undefined"),
        (
            Hold::RequirementBusy { name: "r0".into() },
            "DependencyNotReady",
            "it waits for r0, which is queued or running",
        ),
        (
            Hold::RequirementNotGood { name: "r0".into(), error: Some("boom".into()) },
            "DependencyNotReady",
            "it requires r0, which failed: boom",
        ),
        (Hold::TargetMissing { target: "t1".into() }, "TargetNotFound", "target t1 does not exist"),
        (
            Hold::ExecutorUnavailable { pool: "pool".into(), message: Some("ImagePullBackOff: no such image".into()) },
            "ExecutorUnavailable",
            "pool pool has no executor: ImagePullBackOff: no such image",
        ),
    ];
    for (hold, reason, message) in rows {
        let golden = [format!("Ready=False {reason}: {message}"), format!("Reconciling=True {reason}: {message}")];
        let golden: Vec<&str> = golden.iter().map(String::as_str).collect();
        check(&Case { view: Some(view()), holds: vec![hold], ..Case::default() }, &golden);
    }
}

#[test]
fn needs_a_human() {
    let rows = [
        (Refusal::Invalid("spec.type: unknown type host.Fil".into()), "InvalidSpec: spec.type: unknown type host.Fil"),
        (
            Refusal::Environment(RefusalKind::Cycle(["a", "b", "a"].map(Into::into).into())),
            "DependencyCycle: it requires itself: a → b → a",
        ),
        (
            Refusal::Environment(RefusalKind::DuplicateIdentity("r0".into())),
            "DuplicateIdentity: resource r0 already is this thing on this target; change or delete one of them",
        ),
        (
            Refusal::Environment(RefusalKind::OtherSet("compiled".into())),
            "OtherSet: a resource of this name belongs to resource set compiled",
        ),
        (
            Refusal::Environment(RefusalKind::TooLarge("requires", 1_024)),
            "TooLarge: requires exceeds the bound of 1024",
        ),
    ];
    for (refusal, text) in rows {
        let golden = [format!("Ready=False {text}"), format!("Stalled=True {text}")];
        let golden: Vec<&str> = golden.iter().map(String::as_str).collect();
        // Its last accepted intent stays and is even good: the object is Stalled all the same.
        check(&Case { acceptance: Some(Acceptance::Refused(refusal)), view: Some(good()), ..Case::default() }, &golden);
    }
}

#[test]
fn suspended_with_nothing_undeployed_keeps_its_last_value() {
    let paused = "Paused=True Suspended: nothing new starts while its environment or its target is suspended";
    let hold = vec![Hold::EnvironmentSuspended];
    check(
        &Case { suspended: true, view: Some(good()), holds: hold.clone(), ..Case::default() },
        &["Ready=True Compliant: it is deployed as declared", paused],
    );
    check(
        &Case { suspended: true, view: Some(failed()), holds: hold.clone(), ..Case::default() },
        &["Ready=False DeployFailed: exit status 1 no such file", paused],
    );
    let drift = "it differs from its intent, and its policy is to leave it";
    check(
        &Case { suspended: true, view: Some(drifted()), holds: hold, ..Case::default() },
        &[&format!("Ready=False Drifted: {drift}"), paused, &format!("Drifted=True Drifted: {drift}")],
    );
}

#[test]
fn outside_its_window_it_is_paused_and_nothing_reconciles() {
    let hold = Hold::OutsideWindow { target: "t1".into(), window: WindowKind::Deploy, opens_at: Some(Timestamp(9)) };
    let paused = "Paused=True OutsideWindow: nothing of it starts until the next window of its target opens";
    check(
        &Case { view: Some(view()), holds: vec![hold.clone()], ..Case::default() },
        &["Ready=Unknown OutsideWindow: its newest intent is not deployed while it is paused", paused],
    );
    check(
        &Case { view: Some(good()), holds: vec![hold], ..Case::default() },
        &["Ready=True Compliant: it is deployed as declared", paused],
    );
}

#[test]
fn suspended_with_undeployed_intent() {
    check(
        &Case { suspended: true, view: Some(view()), holds: vec![Hold::EnvironmentSuspended], ..Case::default() },
        &[
            "Ready=Unknown Suspended: its newest intent is not deployed while it is paused",
            "Paused=True Suspended: nothing new starts while its environment or its target is suspended",
        ],
    );
}

#[test]
fn waits_for_its_release() {
    let hold = Hold::Release { version: VersionNumber(2), removal: false };
    let next = "annotate it, its Target or its Environment with homeostat.dev/deploy-requested-at and any new value";
    let paused = format!("Paused=True WaitingForRelease: it waits for its release: {next}");
    let waiting = ResourceView { compliance: Compliance::HasUpdate, ..good() };
    check(
        &Case { view: Some(waiting.clone()), holds: vec![hold.clone()], ..Case::default() },
        &["Ready=Unknown WaitingForRelease: its newest intent is not deployed while it is paused", &paused],
    );
    check(
        &Case { view: Some(good()), holds: vec![hold], ..Case::default() },
        &["Ready=True Compliant: it is deployed as declared", &paused],
    );
    let removal = Hold::Release { version: VersionNumber(2), removal: true };
    check(
        &Case { deleting: true, view: Some(waiting), holds: vec![removal], ..Case::default() },
        &["Ready=False Deleting: it is not deleted while it is paused", &paused],
    );
}

#[test]
fn drift_found_and_only_reported() {
    let drift = "it differs from its intent, and its policy is to leave it";
    check(
        &Case { view: Some(drifted()), holds: vec![Hold::Drifted], ..Case::default() },
        &[&format!("Ready=False Drifted: {drift}"), &format!("Drifted=True Drifted: {drift}")],
    );
}

#[test]
fn deleting() {
    let mut tombstone = good();
    tombstone.row.life = Life::Tombstone;
    check(
        &Case { deleting: true, ..Case::default() },
        &[
            "Ready=False Deleting: its removal is being taken into its environment",
            "Reconciling=True Deleting: its removal is being taken into its environment",
        ],
    );
    let required = "it is to be deleted, and is still required by r2, r3";
    check(
        &Case {
            deleting: true,
            view: Some(tombstone.clone()),
            holds: vec![Hold::RequiredBy { names: vec!["r2".into(), "r3".into()] }],
            ..Case::default()
        },
        &[&format!("Ready=False Deleting: {required}"), &format!("Reconciling=True Deleting: {required}")],
    );
    let approval =
        "its deletion waits for an approval: 12 resources were removed at once; its Environment says how to approve it";
    check(
        &Case {
            deleting: true,
            view: Some(tombstone.clone()),
            holds: vec![Hold::RemovalApproval { removals: 12 }],
            ..Case::default()
        },
        &[&format!("Ready=False RemovalApproval: {approval}"), &format!("Stalled=True RemovalApproval: {approval}")],
    );
    let protected = "it was removed and is protected: it is never deleted on its target; annotate it with homeostat.dev/force-orphan to leave it \
                     there and let the object go";
    check(
        &Case { deleting: true, view: Some(tombstone.clone()), holds: vec![Hold::Protected], ..Case::default() },
        &[&format!("Ready=False Protected: {protected}"), &format!("Stalled=True Protected: {protected}")],
    );
    tombstone.row.error = Some("device says no".into());
    let error = "its deletion failed and is tried again: device says no";
    check(
        &Case { deleting: true, view: Some(tombstone), ..Case::default() },
        &[&format!("Ready=False Deleting: {error}"), &format!("Reconciling=True Deleting: {error}")],
    );
}
