//! What happens to an environment that is held, as lines for people and documents for programs; and how it is read out of commits.
//!
//! Deliberately absent: verifications that find everything as declared. Nothing has happened.

use crate::cli::document::AttemptResult;
use crate::cli::output::{counted, styled_diff, time};
use crate::core::{
    AttemptId, EnvironmentState, LastResult, Name, Operation, Outcome, OutcomeKind, Reason, Record, RequestRecord,
    ResourceId, Timestamp, VersionNumber, VersionRecord,
};
use crate::scheduler::Committed;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

/// What kind of thing happened: the word that programs look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum What {
    /// The environment is held from now on.
    Started,
    /// It is held no longer.
    Stopped,
    /// A user has ended it: nothing is known of it any more.
    Ended,
    /// It is in the data folder, and nobody holds it.
    NotRun,
    /// A version was accepted.
    Accepted,
    /// Settings or targets have changed.
    Configured,
    /// Somebody asked for something.
    Requested,
    /// Files, or what they want, were refused.
    Refused,
    /// They are good again.
    Mended,
    /// A resource was made.
    Created,
    /// A resource was changed.
    Updated,
    /// A resource was made anew.
    Replaced,
    /// A resource was deleted.
    Deleted,
    /// A resource differed from its intent, and was corrected.
    Repaired,
    /// A resource differs from its intent, and was left.
    Drifted,
    /// A resource is good again.
    Recovered,
    /// An attempt failed.
    Failed,
    /// An executor ended with an attempt.
    Lost,
    /// A resource waits for another that is not good.
    Skipped,
    /// The environment cannot be held right now.
    Trouble,
    /// More happened than is told.
    Missed,
}

impl What {
    /// Whether it is told even where only errors are.
    pub(super) const fn is_bad(self) -> bool {
        matches!(self, Self::Refused | Self::Failed | Self::Lost | Self::Trouble | Self::Missed)
    }

    fn word(self) -> String {
        // The same word that programs see, as people write it.
        match self {
            Self::NotRun => "not run".to_owned(),
            word => format!("{word:?}").to_lowercase(),
        }
    }
}

/// Something that happened. As a document its shape is part of the interface.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Happening {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Name>,
    #[serde(rename = "event")]
    pub(super) what: What,
    /// The resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<AttemptId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionNumber>,
    /// More about it, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    /// The difference that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Name>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip)]
    due: Option<Timestamp>,
}

impl Happening {
    pub(super) fn of(what: What) -> Self {
        let at = time::iso(time::now());
        let (environment, name, attempt, version, diff) = (None, None, None, None, None);
        Self { at, environment, what, name, attempt, version, message: String::new(), diff, next: None, due: None }
    }

    pub(super) fn in_environment(self, environment: &Name) -> Self {
        Self { environment: Some(environment.clone()), ..self }
    }

    pub(super) fn at_version(self, version: VersionNumber) -> Self {
        Self { version: Some(version), ..self }
    }

    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..self }
    }

    fn due(self, due: Option<Timestamp>) -> Self {
        Self { due, next: due.map(time::iso), ..self }
    }

    /// `2026-11-21T18:39:14.123Z house failed motd (attempt 3): cannot write …; tried again in 5s`, and what does not fit indented below.
    pub(super) fn text(&self, diffs: bool) -> String {
        let mut line = self.at.clone();
        for word in [self.environment.as_deref(), Some(&*self.what.word()), self.name.as_deref()].into_iter().flatten()
        {
            let _ = write!(line, " {word}");
        }
        if let Some(version) = self.version {
            let _ = write!(line, " version {version}");
        }
        if let Some(attempt) = self.attempt {
            let _ = write!(line, " (attempt {attempt})");
        }
        if !self.message.is_empty() {
            let _ = write!(line, ": {}", self.message.trim_end().replace('\n', "\n    "));
        }
        if let Some(due) = self.due {
            let _ = write!(line, "; tried again {}", time::relative(due, time::now()));
        }
        if let Some(diff) = self.diff.as_deref().filter(|_| diffs) {
            let _ = write!(line, "\n{}", styled_diff(diff, "    ").trim_end());
        }
        line
    }
}

/// What must be remembered of earlier commits to say what a later one means.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    granted: HashMap<AttemptId, Granted>,
    /// Resources whose last attempt failed, and how many failed in a row.
    failing: BTreeMap<Name, u32>,
    skipped: BTreeSet<Name>,
}

#[derive(Clone, Debug)]
struct Granted {
    name: Name,
    reason: Reason,
    operation: Operation,
}

impl Chronicle {
    /// What is so when it begins.
    pub(super) fn of(state: &EnvironmentState) -> Self {
        let mut chronicle = Self::default();
        for view in state.views() {
            let name = view.row.intent.name.clone();
            if view.row.skipped {
                chronicle.skipped.insert(name);
            } else if view.row.last_result == LastResult::Failed {
                chronicle.failing.insert(name, view.row.failures);
            }
        }
        chronicle
    }

    /// Whether there is anything in a commit that it wants to see.
    pub(super) fn concerns(committed: &Committed) -> bool {
        !committed.records.is_empty()
    }

    /// What a commit means, in its order.
    pub(super) fn take(&mut self, committed: &Committed, state: &EnvironmentState) -> Vec<Happening> {
        committed.records.iter().filter_map(|record| self.record(record, state)).collect()
    }

    fn record(&mut self, record: &Record, state: &EnvironmentState) -> Option<Happening> {
        match record {
            Record::Version(version) => Some(accepted(version)),
            Record::Grant(_, grant) => {
                let (name, reason, operation) = (grant.intent.name.clone(), grant.reason, grant.operation);
                self.granted.insert(grant.attempt, Granted { name, reason, operation });
                None
            }
            Record::Outcome { resource, outcome } => self.outcome(*resource, outcome, state),
            Record::Request(RequestRecord { kind, author, message, .. }) => {
                let why = if message.is_empty() { String::new() } else { format!(": {message}") };
                Some(Happening::of(What::Requested).saying(format!("{} by {author}{why}", kind.word())))
            }
            Record::Settings(_) => Some(Happening::of(What::Configured).saying("settings")),
            Record::Target(target) => Some(Happening::of(What::Configured).saying(format!("target {}", target.name))),
            Record::TargetRemoved(name) => {
                Some(Happening::of(What::Configured).saying(format!("target {name} is gone")))
            }
            // What matters is on its way: whatever was lost runs again.
            Record::LateResult(_) | Record::RequestDone(..) | Record::DryRun { .. } | Record::DryRunResult { .. } => {
                None
            }
        }
    }

    fn outcome(&mut self, resource: ResourceId, outcome: &Outcome, state: &EnvironmentState) -> Option<Happening> {
        let granted = self.granted.remove(&outcome.attempt);
        let row = state.row(resource);
        let name = granted.as_ref().map(|granted| &granted.name).or(row.map(|row| &row.intent.name))?.clone();
        let observed = granted.as_ref().is_some_and(|granted| granted.operation == Operation::Observe);
        let verifies = granted.as_ref().is_some_and(|granted| granted.reason.verifies());
        let result = AttemptResult::of(Some(&outcome.kind), observed);
        let about =
            |what| Happening { name: Some(name.clone()), attempt: Some(outcome.attempt), ..Happening::of(what) };
        match &outcome.kind {
            OutcomeKind::Revoked => None,
            OutcomeKind::Skipped { because } => {
                let news = self.skipped.insert(name.clone());
                news.then(|| about(What::Skipped).saying(format!("{because} is not good")))
            }
            OutcomeKind::Failed { message, .. } => {
                *self.failing.entry(name.clone()).or_default() += 1;
                self.skipped.remove(&name);
                Some(about(What::Failed).saying(&**message).due(row.and_then(|row| row.due_at)))
            }
            OutcomeKind::Lost => Some(about(What::Lost).saying("the executor ended without a result")),
            OutcomeKind::Succeeded(finding) => {
                self.skipped.remove(&name);
                let what = what(result, verifies);
                let diff = Some(finding.diff.clone()).filter(|diff| !diff.is_empty());
                let failures = self.failing.remove(&name);
                match (failures, what) {
                    (Some(failures), what) if what != Some(What::Drifted) => {
                        let text = format!("{result} after {}", counted(failures as usize, "failed attempt"));
                        Some(Happening { diff, ..about(What::Recovered).saying(text) })
                    }
                    (_, what) => what.map(|what| Happening { diff, ..about(what) }),
                }
            }
        }
    }
}

/// What a success means; `None`: nothing was to be done.
const fn what(result: AttemptResult, verifies: bool) -> Option<What> {
    match result {
        AttemptResult::Differs => Some(What::Drifted),
        AttemptResult::Created | AttemptResult::Updated | AttemptResult::Replaced if verifies => Some(What::Repaired),
        AttemptResult::Created => Some(What::Created),
        AttemptResult::Updated => Some(What::Updated),
        AttemptResult::Replaced => Some(What::Replaced),
        AttemptResult::Deleted => Some(What::Deleted),
        _ => None,
    }
}

fn accepted(version: &VersionRecord) -> Happening {
    let changed = version.intents.iter().filter(|intent| intent.intent.is_some()).count();
    let removed = version.intents.len() - changed;
    let text = format!("{changed} changed, {removed} removed ({} by {})", version.source, version.author);
    Happening::of(What::Accepted).at_version(version.number).saying(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Epoch, Finding};

    /// Tells how attempts of one resource ended, one word each.
    fn told(ends: &[OutcomeKind]) -> Vec<What> {
        let state = EnvironmentState::new("house".into(), Epoch(1), Timestamp(0));
        let mut chronicle = Chronicle::default();
        let mut end = |(attempt, kind): (usize, &OutcomeKind)| {
            let attempt = AttemptId(attempt as u64);
            let granted = Granted { name: "motd".into(), reason: Reason::Repair, operation: Operation::Enforce };
            chronicle.granted.insert(attempt, granted);
            let outcome = Outcome { attempt, began_at: None, finished_at: Timestamp(0), kind: kind.clone(), log: None };
            chronicle.outcome(ResourceId(0), &outcome, &state).map(|happening| happening.what)
        };
        ends.iter().enumerate().filter_map(&mut end).collect()
    }

    #[test]
    fn what_is_as_declared_is_not_told_and_what_recovers_is() {
        let failed = || OutcomeKind::Failed { message: "no".into(), finding: None };
        let same = || OutcomeKind::Succeeded(Finding::same());
        let changed = || OutcomeKind::Succeeded(Finding { change: crate::core::Change::Update, ..Finding::same() });
        let skipped = || OutcomeKind::Skipped { because: "low".into() };
        assert_eq!(told(&[same(), OutcomeKind::Revoked, same()]), []);
        assert_eq!(told(&[changed()]), [What::Repaired]);
        assert_eq!(told(&[failed(), failed(), same(), same()]), [What::Failed, What::Failed, What::Recovered]);
        assert_eq!(told(&[skipped(), skipped(), same(), skipped()]), [What::Skipped, What::Skipped]);
        assert_eq!(told(&[OutcomeKind::Lost]), [What::Lost]);
    }

    #[test]
    fn a_line_is_told_with_everything_that_is_known() {
        let about =
            Happening { name: Some("motd".into()), attempt: Some(AttemptId(3)), ..Happening::of(What::Repaired) };
        let diff = Some("content:\n-a\n+b\n".into());
        let happening =
            Happening { at: "NOW".into(), diff, ..about.saying("one\ntwo").in_environment(&"house".into()) };
        assert_eq!(happening.text(false), "NOW house repaired motd (attempt 3): one\n    two");
        assert!(happening.text(true).ends_with("two\n    content:\n    -a\n    +b"), "{}", happening.text(true));
    }
}
