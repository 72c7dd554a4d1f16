//! How attempts ended; and what was reported of those that had been closed as lost.

use super::codes::{Code, Ending};
use super::table::{Columns, Row, Table};
use crate::core::{Finding, Outcome, OutcomeKind, ResourceId};

/// How an attempt ended, and skips.
impl<'a> Row<'a> for (ResourceId, &'a Outcome) {
    const TABLE: Table = Table {
        name: "outcome",
        columns: &[
            ("attempt", "bigint"),
            ("resource", "bigint"),
            ("began_at_ms", "bigint"),
            ("finished_at_ms", "bigint"),
            ("kind", "smallint"),
            ("change", "smallint"),
            ("diff", "text"),
            ("message", "text"),
            ("remote_identity", "text"),
            ("facts", "text"),
            ("log", "text"),
        ],
        replaced_by: None,
    };

    fn columns<C: Columns<'a, Self>>(to: C) -> C {
        to.column(|(_, outcome)| outcome.attempt.0 as i64)
            .column(|(resource, _)| i64::from(resource.0))
            .column(|(_, outcome)| outcome.began_at.map(|at| at.0))
            .column(|(_, outcome)| outcome.finished_at.0)
            .column(|(_, outcome)| ending(&outcome.kind).code())
            .column(|(_, outcome)| finding(&outcome.kind).map(|finding| finding.change.code()))
            .column(|(_, outcome)| finding(&outcome.kind).map(|finding| &*finding.diff))
            .column(|(_, outcome)| message(&outcome.kind))
            .column(|(_, outcome)| finding(&outcome.kind).and_then(|finding| finding.remote_identity.as_deref()))
            .column(|(_, outcome)| finding(&outcome.kind).and_then(|finding| finding.facts.text()))
            .column(|(_, outcome)| outcome.log.as_deref())
    }

    fn weight(&self) -> usize {
        weight(self.1)
    }
}

/// What an executor reported of an attempt that had been closed as lost.
pub(super) struct LateResult<'a>(pub(super) &'a Outcome);

impl<'a> Row<'a> for LateResult<'a> {
    const TABLE: Table = Table {
        name: "late_result",
        columns: &[
            ("attempt", "bigint"),
            ("began_at_ms", "bigint"),
            ("finished_at_ms", "bigint"),
            ("kind", "smallint"),
            ("change", "smallint"),
            ("diff", "text"),
            ("message", "text"),
            ("remote_identity", "text"),
            ("facts", "text"),
            ("log", "text"),
        ],
        replaced_by: None,
    };

    fn columns<C: Columns<'a, Self>>(to: C) -> C {
        to.column(|late| late.0.attempt.0 as i64)
            .column(|late| late.0.began_at.map(|at| at.0))
            .column(|late| late.0.finished_at.0)
            .column(|late| ending(&late.0.kind).code())
            .column(|late| finding(&late.0.kind).map(|finding| finding.change.code()))
            .column(|late| finding(&late.0.kind).map(|finding| &*finding.diff))
            .column(|late| message(&late.0.kind))
            .column(|late| finding(&late.0.kind).and_then(|finding| finding.remote_identity.as_deref()))
            .column(|late| finding(&late.0.kind).and_then(|finding| finding.facts.text()))
            .column(|late| late.0.log.as_deref())
    }

    fn weight(&self) -> usize {
        weight(self.0)
    }
}

/// Bytes of its long texts.
fn weight(outcome: &Outcome) -> usize {
    let found =
        finding(&outcome.kind).map_or(0, |finding| finding.diff.len() + finding.facts.text().map_or(0, str::len));
    found + outcome.log.as_ref().map_or(0, |log| log.len())
}

const fn ending(kind: &OutcomeKind) -> Ending {
    match kind {
        OutcomeKind::Succeeded(_) => Ending::Succeeded,
        OutcomeKind::Failed { .. } => Ending::Failed,
        OutcomeKind::Revoked => Ending::Revoked,
        OutcomeKind::Lost => Ending::Lost,
        OutcomeKind::Skipped { .. } => Ending::Skipped,
    }
}

const fn finding(kind: &OutcomeKind) -> Option<&Finding> {
    match kind {
        OutcomeKind::Succeeded(finding) => Some(finding),
        OutcomeKind::Failed { finding, .. } => finding.as_ref(),
        OutcomeKind::Revoked | OutcomeKind::Lost | OutcomeKind::Skipped { .. } => None,
    }
}

fn message(kind: &OutcomeKind) -> Option<&str> {
    match kind {
        OutcomeKind::Failed { message, .. } => Some(message),
        OutcomeKind::Skipped { because } => Some(because),
        OutcomeKind::Succeeded(_) | OutcomeKind::Revoked | OutcomeKind::Lost => None,
    }
}
