//! The documents of `-o json|yaml`. Their shape is part of the interface: fields are added, never renamed or removed.

use super::output::time::iso;
use crate::core::{
    Blocked, Change, Compliance, Counts, Finding, Hold, Input, LastResult, Life, Name, Outcome, OutcomeKind,
    ResourceView, Suspension, Timestamp, VersionNumber,
};
use crate::history::{AttemptSummary, VersionSummary};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The state of a resource in one word, for people and for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum State {
    /// Deployed as last written, and no difference seen since.
    Compliant,
    /// Its newest intent was not attempted yet.
    Updating,
    /// Its newest intent, its removal, or a fact that it takes, waits until a user deploys it.
    Unreleased,
    /// An executor has it.
    Deploying,
    /// An executor had it when the process that owned the environment ended; nobody has settled since what became of it.
    Interrupted,
    /// Its last attempt failed.
    Failed,
    /// Not attempted, because something it requires is not good.
    Skipped,
    /// A difference was found and left.
    Drifted,
    /// Not completely known: its target, or something it requires, does not exist.
    Undefined,
    /// Removed; being deleted on its target.
    Deleting,
}

impl State {
    /// Derives the word.
    pub(crate) fn of(view: &ResourceView) -> Self {
        match view {
            _ if view.row.life == Life::Tombstone => Self::Deleting,
            _ if view.running.as_ref().is_some_and(|running| running.interrupted) => Self::Interrupted,
            _ if view.running.is_some() => Self::Deploying,
            _ if view.blocked == Blocked::Undefined || view.compliance == Compliance::Undefined => Self::Undefined,
            _ if view.blocked == Blocked::Dependency => Self::Skipped,
            _ if view.compliance == Compliance::HasUpdate
                && (view.unreleased().is_some() || view.row.facts_in_force.is_some()) =>
            {
                Self::Unreleased
            }
            _ if view.good => Self::Compliant,
            _ if view.compliance == Compliance::HasUpdate => Self::Updating,
            _ if view.row.last_result == LastResult::Succeeded && view.row.observed.differs() => Self::Drifted,
            _ if view.row.last_result == LastResult::Failed => Self::Failed,
            _ => Self::Updating,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A list of things of one environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListDocument<T> {
    /// The environment's name.
    pub(crate) environment: Name,
    /// Its newest version.
    pub(crate) version: VersionNumber,
    /// How many resources are in which state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<Counts>,
    /// What users have suspended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) suspensions: Vec<SuspensionDocument>,
    /// The things.
    pub(crate) items: Vec<T>,
}

/// One resource.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResourceDocument {
    /// Its name.
    pub(crate) name: Name,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: Name,
    /// The target it is deployed on.
    pub(crate) target: Name,
    /// The set it belongs to.
    pub(crate) set: Name,
    /// Its state in one word.
    pub(crate) state: State,
    /// What is known of it against its newest intent.
    pub(crate) compliance: Compliance,
    /// The version that brought its intent.
    pub(crate) version: VersionNumber,
    /// The version that waits until a user deploys it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unreleased: Option<VersionNumber>,
    /// What it requires.
    pub(crate) requires: Vec<Name>,
    /// By which selectors find it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<Name, Name>,
    /// When an attempt last found or made it as declared.
    pub(crate) verified_at: Option<String>,
    /// When an attempt last changed it.
    pub(crate) deployed_at: Option<String>,
    /// When its retry or next verification is due.
    pub(crate) due_at: Option<String>,
    /// The last attempt that ended.
    pub(crate) last_attempt: Option<u64>,
    /// The last attempt that changed something.
    pub(crate) changed_by: Option<u64>,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Why the last attempt failed.
    pub(crate) error: Option<Name>,
    /// The difference that was found and left.
    pub(crate) drift: Option<Name>,
    /// What the target calls it.
    pub(crate) remote_identity: Option<Name>,
}

impl From<&ResourceView> for ResourceDocument {
    fn from(view: &ResourceView) -> Self {
        let row = &view.row;
        Self {
            name: row.intent.name.clone(),
            kind: row.intent.kind.clone(),
            target: row.intent.target.clone(),
            set: row.set.clone(),
            state: State::of(view),
            compliance: view.compliance,
            version: row.version,
            unreleased: view.unreleased(),
            requires: row.intent.requires.clone(),
            labels: row.intent.labels.clone(),
            verified_at: row.verified_at.map(iso),
            deployed_at: row.deployed_at.map(iso),
            due_at: row.due_at.map(iso),
            last_attempt: row.last_attempt.map(|attempt| attempt.0),
            changed_by: row.changed_by.map(|attempt| attempt.0),
            failures: row.failures,
            error: row.error.clone(),
            drift: row.drift.clone(),
            remote_identity: row.remote_identity.clone(),
        }
    }
}

/// What a user has suspended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SuspensionDocument {
    /// Only this target; absent: the whole environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Name>,
    /// Who ordered it.
    pub(crate) author: Name,
    /// When.
    pub(crate) at: String,
    /// Why.
    pub(crate) message: Name,
}

impl From<&Suspension> for SuspensionDocument {
    fn from(suspension: &Suspension) -> Self {
        Self {
            target: suspension.target.clone(),
            author: suspension.author.clone(),
            at: iso(suspension.at),
            message: suspension.message.clone(),
        }
    }
}

/// One resource with its attributes, its latest attempts and why it is where it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShowDocument {
    /// The resource.
    #[serde(flatten)]
    pub(crate) resource: ResourceDocument,
    /// Its attributes.
    pub(crate) attributes: serde_json::Value,
    /// What fills attributes from elsewhere, as declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) attributes_from: Vec<Input>,
    /// What its newest success has learned of it.
    pub(crate) facts: BTreeMap<Name, serde_json::Value>,
    /// Why it does not run, first that applies first.
    pub(crate) holds: Vec<Hold>,
    /// Its latest attempts, newest first.
    pub(crate) attempts: Vec<AttemptDocument>,
}

/// What is known of one resource.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FactsDocument {
    /// Its name.
    pub(crate) name: Name,
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: Name,
    /// When it was last found or made as declared.
    pub(crate) verified_at: Option<String>,
    /// Values by name.
    pub(crate) facts: BTreeMap<Name, serde_json::Value>,
}

impl From<&ResourceView> for FactsDocument {
    fn from(view: &ResourceView) -> Self {
        Self {
            name: view.row.intent.name.clone(),
            kind: view.row.intent.kind.clone(),
            verified_at: view.row.verified_at.map(iso),
            facts: super::verbs::facts::values(view),
        }
    }
}

/// One version.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VersionDocument {
    /// Its number.
    pub(crate) number: VersionNumber,
    /// When it was accepted.
    pub(crate) at: String,
    /// Who made it.
    pub(crate) author: Name,
    /// Where it came from.
    pub(crate) source: Name,
    /// Why.
    pub(crate) message: Name,
    /// Resources it added or changed.
    pub(crate) upserts: u32,
    /// Resources it removed.
    pub(crate) removals: u32,
}

impl From<&VersionSummary> for VersionDocument {
    fn from(version: &VersionSummary) -> Self {
        Self {
            number: version.number,
            at: iso(version.at),
            author: version.author.clone(),
            source: version.source.clone(),
            message: version.message.clone(),
            upserts: version.upserts,
            removals: version.removals,
        }
    }
}

/// How an attempt ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AttemptResult {
    /// It has not ended.
    Open,
    /// It has no end, and nobody works on it: the next owner settles it.
    Interrupted,
    /// Nothing differed.
    Unchanged,
    /// It did not exist and was made.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted and made again.
    Replaced,
    /// It was deleted.
    Deleted,
    /// It was only read, and differs.
    Differs,
    /// It failed.
    Failed,
    /// Never sent: something it requires is not good.
    Skipped,
    /// Taken back before it began.
    Revoked,
    /// The executor ended without a result.
    Lost,
}

impl AttemptResult {
    /// Derives the word from how the attempt ended; `observed` where nothing was applied.
    pub(crate) fn of(outcome: Option<&OutcomeKind>, observed: bool) -> Self {
        match outcome {
            None => Self::Open,
            Some(OutcomeKind::Failed { .. }) => Self::Failed,
            Some(OutcomeKind::Skipped { .. }) => Self::Skipped,
            Some(OutcomeKind::Revoked) => Self::Revoked,
            Some(OutcomeKind::Lost) => Self::Lost,
            Some(OutcomeKind::Succeeded(finding)) => match finding.change {
                Change::None => Self::Unchanged,
                _ if observed => Self::Differs,
                Change::Create => Self::Created,
                Change::Update => Self::Updated,
                Change::Replace => Self::Replaced,
                Change::Delete => Self::Deleted,
            },
        }
    }

    /// Whether the target was changed.
    pub(crate) const fn is_change(self) -> bool {
        matches!(self, Self::Created | Self::Updated | Self::Replaced | Self::Deleted)
    }
}

impl fmt::Display for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Interrupted => "interrupted",
            Self::Unchanged => "unchanged",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Replaced => "replaced",
            Self::Deleted => "deleted",
            Self::Differs => "differs",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        })
    }
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptDocument {
    /// Its number.
    pub(crate) attempt: u64,
    /// The resource's name.
    pub(crate) name: Name,
    /// The version it ran.
    pub(crate) version: Option<VersionNumber>,
    /// Why it was made.
    pub(crate) reason: Option<crate::core::Reason>,
    /// What it did.
    pub(crate) operation: Option<crate::core::Operation>,
    /// Who ran it.
    pub(crate) executor: Option<Name>,
    /// The requirement because of whose change it was told to reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reload: Option<Name>,
    /// When it was granted.
    pub(crate) granted_at: Option<String>,
    /// When it began.
    pub(crate) began_at: Option<String>,
    /// When it ended.
    pub(crate) finished_at: Option<String>,
    /// How it ended.
    pub(crate) result: AttemptResult,
    /// The difference it found.
    pub(crate) diff: Option<Name>,
    /// Why it failed, or which requirement it was skipped for.
    pub(crate) error: Option<Name>,
    /// What its adaptor said while it worked, line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<Name>,
    /// Milliseconds from its begin to its end.
    pub(crate) took_ms: Option<u64>,
    /// What its executor reported after the attempt had been closed as lost: nothing followed from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) late: Option<LateDocument>,
    #[serde(skip)]
    pub(crate) at: Option<Timestamp>,
}

/// A result that came too late to count.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LateDocument {
    /// When its executor ended.
    pub(crate) finished_at: String,
    /// How, by its word.
    pub(crate) result: AttemptResult,
    /// The difference it found.
    pub(crate) diff: Option<Name>,
    /// Why it failed.
    pub(crate) error: Option<Name>,
    /// What its adaptor said while it worked, line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<Name>,
}

impl LateDocument {
    fn of(outcome: &Outcome, observed: bool) -> Self {
        let (diff, error) = details(&outcome.kind);
        let result = AttemptResult::of(Some(&outcome.kind), observed);
        Self { finished_at: iso(outcome.finished_at), result, diff, error, log: outcome.log.clone() }
    }
}

impl fmt::Display for LateDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "given up for lost; reported later, and not counted: {}", self.result)?;
        self.error.iter().try_for_each(|error| write!(f, ": {error}"))
    }
}

impl AttemptDocument {
    /// The same, seen where nobody works on the environment.
    pub(crate) fn unless_at_work(self, at_work: bool) -> Self {
        let interrupted = !at_work && self.result == AttemptResult::Open;
        Self { result: if interrupted { AttemptResult::Interrupted } else { self.result }, ..self }
    }
}

impl From<&AttemptSummary> for AttemptDocument {
    fn from(attempt: &AttemptSummary) -> Self {
        let observed = attempt.operation == Some(crate::core::Operation::Observe);
        let ended = attempt.outcome.as_ref();
        let (diff, error) = ended.map(|outcome| details(&outcome.kind)).unwrap_or_default();
        let late = attempt.late.as_ref().map(|outcome| LateDocument::of(outcome, observed));
        let began_at = ended.and_then(|outcome| outcome.began_at);
        let took = began_at.zip(attempt.finished_at());
        Self {
            attempt: attempt.attempt.0,
            name: attempt.name.clone(),
            version: attempt.version,
            reason: attempt.reason,
            operation: attempt.operation,
            executor: attempt.executor.clone(),
            reload: attempt.reload.clone(),
            granted_at: attempt.granted_at.map(iso),
            began_at: began_at.map(iso),
            finished_at: attempt.finished_at().map(iso),
            result: AttemptResult::of(ended.map(|outcome| &outcome.kind), observed),
            diff,
            error: late.as_ref().map(|late| late.to_string().into()).or(error),
            log: ended.and_then(|outcome| outcome.log.clone()),
            took_ms: took.map(|(began, finished)| finished.ms_since(began)),
            late,
            at: attempt.finished_at().or(attempt.granted_at),
        }
    }
}

/// The difference an attempt found, and its error.
fn details(outcome: &OutcomeKind) -> (Option<Name>, Option<Name>) {
    let diff = |finding: &Finding| Some(finding.diff.clone()).filter(|diff| !diff.is_empty());
    match outcome {
        OutcomeKind::Succeeded(finding) => (diff(finding), None),
        OutcomeKind::Failed { message, finding } => (finding.as_ref().and_then(diff), Some(message.clone())),
        OutcomeKind::Skipped { because } => (None, Some(format!("{because} is not good").into())),
        OutcomeKind::Lost => (None, Some("the executor ended without a result".into())),
        OutcomeKind::Revoked => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observed_difference_is_not_called_a_change() {
        let outcome =
            OutcomeKind::Succeeded(Finding { change: Change::Update, diff: "mode".into(), ..Finding::same() });
        assert_eq!(AttemptResult::of(Some(&outcome), true), AttemptResult::Differs);
        assert_eq!(AttemptResult::of(Some(&outcome), false), AttemptResult::Updated);
        assert!(!AttemptResult::of(Some(&outcome), true).is_change());
        assert_eq!(AttemptResult::of(None, false), AttemptResult::Open);
    }
}
