//! What the status of an `Environment`, a `Target` and an `Executor` says: pure functions of what is known of them.
//!
//! Deliberately absent: numbers that change while work goes on as it should (attempts in flight, times of verifications): each would be a write.

use super::conditions::Conditions;
use crate::api::conditions::{ConditionType, Reason, Truth};
use crate::controller::limits::LISTED_NAMES;

/// What is known of an `Environment`.
#[derive(Clone, Debug, Default)]
pub struct EnvironmentFacts {
    /// What is wrong with its spec.
    pub invalid: Option<String>,
    /// Why its scheduler does not run, where it does not.
    pub not_running: Option<NotRunning>,
    /// Nothing new starts.
    pub suspended: bool,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Its resources.
    pub resources: Tally,
    /// Resources that have no object any more and are still being deleted on their targets.
    pub tombstones: u32,
    /// Deletes that wait together for an approval.
    pub removals_held: usize,
    /// Resources that become another thing when that is approved.
    pub replacements: usize,
    /// Resources whose newest intent, or whose removal, waits for its release.
    pub unreleased: u32,
}

/// Why a scheduler does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRunning {
    /// It is being started.
    Starting,
    /// History is not available, or held by another owner.
    History(String),
    /// A defect.
    Defect(String),
}

/// `Resource` objects by what their own status says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub total: u32,
    /// Settled, accepted and ready.
    pub ready: u32,
    /// Work goes on, or is waited for.
    pub reconciling: u32,
    /// Need a human; sorted.
    pub stalled: Vec<String>,
    /// A difference was found and left.
    pub drifted: u32,
}

/// The conditions of an `Environment`.
pub fn environment(facts: &EnvironmentFacts) -> Conditions {
    let conditions = environment_state(facts);
    let runs = facts.invalid.is_none() && facts.not_running.is_none() && !facts.deleting;
    if facts.unreleased as usize > 2 * facts.replacements && runs {
        let message = format!(
            "{} resources wait for their release: annotate this Environment, a Target or a Resource with {} and any new value",
            facts.unreleased,
            crate::api::DEPLOY_REQUESTED_AT
        );
        return conditions.and(ConditionType::Paused, Reason::WaitingForRelease, &message);
    }
    if !facts.suspended || facts.invalid.is_some() {
        return conditions;
    }
    conditions.without(ConditionType::Reconciling).and(
        ConditionType::Paused,
        Reason::Suspended,
        "nothing new starts while it is suspended",
    )
}

fn environment_state(facts: &EnvironmentFacts) -> Conditions {
    let resources = &facts.resources;
    if let Some(errors) = &facts.invalid {
        return Conditions::stalled(Reason::InvalidSpec, errors);
    }
    match &facts.not_running {
        Some(NotRunning::History(error)) => {
            return Conditions::reconciling(Truth::Unknown, Reason::HistoryUnavailable, error);
        }
        Some(NotRunning::Defect(error)) => return Conditions::stalled(Reason::InternalError, error),
        Some(NotRunning::Starting) => {
            return Conditions::reconciling(Truth::Unknown, Reason::Pending, "its scheduler is being started");
        }
        None => {}
    }
    if facts.deleting {
        let message = match (resources.total, facts.tombstones) {
            (0, 0) => "nothing is left on its targets".to_owned(),
            (0, left) => format!("{left} resources are being deleted on their targets"),
            (total, _) => format!("{total} Resource objects are left; delete them too"),
        };
        return Conditions::reconciling(Truth::False, Reason::DeletionWaits, &message);
    }
    if facts.removals_held > 0 {
        let message = format!(
            "{} resources were removed at once, and are deleted when that is approved: annotate this Environment with {} and any new value, or \
             apply the resources again",
            facts.removals_held,
            crate::api::REMOVALS_APPROVED_AT
        );
        return Conditions::stalled(Reason::RemovalApproval, &message);
    }
    if facts.replacements > 0 {
        let message = format!(
            "{} resources would become other things on their targets, and do when that is approved: annotate this Environment with {} and any new \
             value, or declare them again as they were",
            facts.replacements,
            crate::api::REMOVALS_APPROVED_AT
        );
        return Conditions::stalled(Reason::ReplaceApproval, &message);
    }
    if resources.ready == resources.total {
        return Conditions::ready(
            Truth::True,
            Reason::AllCompliant,
            &format!("{} resources are deployed as declared", resources.total),
        );
    }
    let message =
        format!("{} of {} resources are ready{}", resources.ready, resources.total, stalled(&resources.stalled));
    let conditions = Conditions::ready(Truth::False, Reason::ResourcesNotReady, &message);
    let conditions = match (resources.reconciling, resources.stalled.is_empty()) {
        (0, true) => conditions,
        (0, false) => conditions.and(ConditionType::Stalled, Reason::ResourcesStalled, &message),
        (_, _) => conditions.and(ConditionType::Reconciling, Reason::ResourcesNotReady, &message),
    };
    match resources.drifted {
        0 => conditions,
        count => conditions.and(
            ConditionType::Drifted,
            Reason::Drifted,
            &format!("{count} resources differ, and are left so"),
        ),
    }
}

fn stalled(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let more = names.len().saturating_sub(LISTED_NAMES);
    let listed: Vec<&str> = names.iter().take(LISTED_NAMES).map(String::as_str).collect();
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; a human is needed for {}{tail}", listed.join(", "))
}

/// What is known of a `Target`.
#[derive(Clone, Debug, Default)]
pub struct TargetFacts {
    /// What is wrong with its spec.
    pub invalid: Option<String>,
    /// Its environment does not exist.
    pub no_environment: bool,
    /// The pool it uses, where that does not exist.
    pub no_executor: Option<String>,
    /// Why that pool has no executor.
    pub unavailable: Option<String>,
    /// Nothing new starts on it.
    pub suspended: bool,
    /// It is being deleted, and so many resources are still on it.
    pub deletion_waits: Option<u32>,
}

/// The conditions of a `Target`.
pub fn target(facts: &TargetFacts) -> Conditions {
    if let Some(errors) = &facts.invalid {
        return Conditions::stalled(Reason::InvalidSpec, errors);
    }
    if facts.no_environment {
        return Conditions::reconciling(Truth::False, Reason::EnvironmentNotFound, "its environment does not exist");
    }
    if let Some(count) = facts.deletion_waits {
        let message = format!("{count} resources are still on it");
        return Conditions::reconciling(Truth::False, Reason::DeletionWaits, &message);
    }
    let conditions = match (&facts.no_executor, &facts.unavailable) {
        (Some(pool), _) => Conditions::reconciling(
            Truth::False,
            Reason::ExecutorNotFound,
            &format!("its executor {pool} does not exist in its environment"),
        ),
        (None, Some(why)) => Conditions::reconciling(Truth::False, Reason::ExecutorUnavailable, why),
        (None, None) => Conditions::ready(Truth::True, Reason::Ready, "it can be deployed on"),
    };
    if facts.suspended {
        return conditions.and(
            ConditionType::Paused,
            Reason::Suspended,
            "nothing new starts on it while it is suspended",
        );
    }
    conditions
}

/// What is known of an `Executor`.
#[derive(Clone, Debug, Default)]
pub struct ExecutorFacts {
    /// What is wrong with its spec.
    pub invalid: Option<String>,
    /// Its environment does not exist.
    pub no_environment: bool,
    /// Pods that are wanted now.
    pub wanted: u32,
    /// Executors that are connected.
    pub connected: u32,
    /// Why there is none, where that does not mend by itself in a moment.
    pub unavailable: Option<String>,
    /// It is being deleted, and resources that only its pods can delete are left.
    pub deletion_waits: bool,
}

/// The conditions of an `Executor`.
pub fn executor(facts: &ExecutorFacts) -> Conditions {
    if let Some(errors) = &facts.invalid {
        return Conditions::stalled(Reason::InvalidSpec, errors);
    }
    if facts.no_environment {
        return Conditions::reconciling(Truth::False, Reason::EnvironmentNotFound, "its environment does not exist");
    }
    if facts.deletion_waits {
        return Conditions::reconciling(
            Truth::False,
            Reason::DeletionWaits,
            "resources are left that only its pods can delete",
        );
    }
    match (&facts.unavailable, facts.connected, facts.wanted) {
        (Some(why), 0, _) => Conditions::reconciling(Truth::False, Reason::ExecutorUnavailable, why),
        (_, 0, 0) => Conditions::ready(Truth::True, Reason::Idle, "no executor is needed"),
        (_, 0, _) => Conditions::reconciling(Truth::Unknown, Reason::Starting, "its pods are being started"),
        _ => Conditions::ready(Truth::True, Reason::Connected, "its executors are connected"),
    }
}

#[cfg(test)]
mod tests {
    use super::{EnvironmentFacts, ExecutorFacts, NotRunning, Tally, TargetFacts, environment, executor, target};
    use crate::controller::conditions::Conditions;

    fn lines(conditions: &Conditions) -> Vec<String> {
        conditions
            .iter()
            .map(|c| format!("{}={} {}: {}", c.kind.as_str(), c.truth.as_str(), c.reason.as_str(), c.message))
            .collect()
    }

    fn tally(total: u32, ready: u32, reconciling: u32, stalled: &[&str]) -> Tally {
        Tally {
            total,
            ready,
            reconciling,
            stalled: stalled.iter().map(|name| (*name).to_owned()).collect(),
            drifted: 0,
        }
    }

    #[test]
    fn an_environment_says_that_much_was_removed_and_how_to_approve_it() {
        let facts =
            EnvironmentFacts { removals_held: 12, resources: tally(12, 0, 12, &[]), ..EnvironmentFacts::default() };
        let message = "12 resources were removed at once, and are deleted when that is approved: annotate this Environment with \
                       homeostat.dev/removals-approved-at and any new value, or apply the resources again";
        assert_eq!(
            lines(&environment(&facts)),
            [format!("Ready=False RemovalApproval: {message}"), format!("Stalled=True RemovalApproval: {message}")]
        );
    }

    #[test]
    fn an_environment_is_ready_when_every_resource_is() {
        let facts = |resources| EnvironmentFacts { resources, ..EnvironmentFacts::default() };
        assert_eq!(
            lines(&environment(&facts(tally(3, 3, 0, &[])))),
            ["Ready=True AllCompliant: 3 resources are deployed as declared"]
        );
        let one_of_three = "2 of 3 resources are ready";
        assert_eq!(
            lines(&environment(&facts(tally(3, 2, 1, &[])))),
            [
                format!("Ready=False ResourcesNotReady: {one_of_three}"),
                format!("Reconciling=True ResourcesNotReady: {one_of_three}")
            ]
        );
        let human = "1 of 3 resources are ready; a human is needed for a, b";
        assert_eq!(
            lines(&environment(&facts(tally(3, 1, 0, &["a", "b"])))),
            [format!("Ready=False ResourcesNotReady: {human}"), format!("Stalled=True ResourcesStalled: {human}")]
        );
        let drifted = Tally { drifted: 1, ..tally(2, 1, 0, &[]) };
        assert_eq!(
            lines(&environment(&facts(drifted))),
            [
                "Ready=False ResourcesNotReady: 1 of 2 resources are ready",
                "Drifted=True Drifted: 1 resources differ, and are left so"
            ]
        );
    }

    #[test]
    fn a_suspended_environment_is_paused_and_not_reconciling() {
        let facts = EnvironmentFacts { suspended: true, resources: tally(2, 1, 1, &[]), ..EnvironmentFacts::default() };
        assert_eq!(
            lines(&environment(&facts)),
            [
                "Ready=False ResourcesNotReady: 1 of 2 resources are ready",
                "Paused=True Suspended: nothing new starts while it is suspended"
            ]
        );
    }

    #[test]
    fn an_environment_that_cannot_work_says_why() {
        let facts = EnvironmentFacts {
            not_running: Some(NotRunning::History("connection refused".to_owned())),
            ..EnvironmentFacts::default()
        };
        assert_eq!(
            lines(&environment(&facts)).first().map(String::as_str),
            Some("Ready=Unknown HistoryUnavailable: connection refused")
        );
        let facts = EnvironmentFacts { deleting: true, resources: tally(2, 2, 0, &[]), ..EnvironmentFacts::default() };
        assert_eq!(
            lines(&environment(&facts)).first().map(String::as_str),
            Some("Ready=False DeletionWaits: 2 Resource objects are left; delete them too")
        );
    }

    #[test]
    fn targets_and_executors() {
        assert_eq!(lines(&target(&TargetFacts::default())), ["Ready=True Ready: it can be deployed on"]);
        let facts = TargetFacts { no_executor: Some("main".to_owned()), suspended: true, ..TargetFacts::default() };
        assert_eq!(lines(&target(&facts)).len(), 3);
        assert_eq!(lines(&executor(&ExecutorFacts::default())), ["Ready=True Idle: no executor is needed"]);
        let facts =
            ExecutorFacts { wanted: 1, unavailable: Some("ImagePullBackOff".to_owned()), ..ExecutorFacts::default() };
        assert_eq!(
            lines(&executor(&facts)).first().map(String::as_str),
            Some("Ready=False ExecutorUnavailable: ImagePullBackOff")
        );
    }
}
