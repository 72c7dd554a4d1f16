//! How a text that cannot be stored becomes one that can.

use crate::core::{Facts, Finding, Name, OutcomeKind, Record, ResourceRow};
use crate::history::limits::MENDED_BYTES;
use std::fmt::Write as _;

/// How much of a text is left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Severity {
    /// Everything but printable ASCII is escaped, and the end is cut: every encoding can store it.
    Escape,
    /// Nothing: for a database that has reasons of its own.
    Drop,
}

impl Severity {
    /// Strips the free texts of a record, and says so in one of them.
    pub(super) fn strip_record(self, record: &mut Record, reason: &str) {
        match record {
            Record::Version(version) => {
                self.strip(&mut version.author);
                self.strip(&mut version.source);
                self.mark(&mut version.message, reason);
            }
            Record::Outcome { outcome, .. } | Record::LateResult(outcome) => {
                self.strip_outcome(&mut outcome.kind, reason);
                self.strip_log(&mut outcome.log);
            }
            Record::Request(order) => {
                self.strip(&mut order.author);
                self.mark(&mut order.message, reason);
            }
            Record::DryRun { author, .. } => self.mark(author, reason),
            Record::DryRunResult { detail, .. } => self.mark(detail, reason),
            Record::Grant(..)
            | Record::RequestDone(..)
            | Record::Settings(_)
            | Record::Target(_)
            | Record::TargetRemoved(_) => {}
        }
    }

    /// The same for a current row.
    pub(super) fn strip_row(self, row: &mut ResourceRow, reason: &str) {
        self.strip_identity(&mut row.remote_identity);
        self.strip_facts(&mut row.facts);
        match (&mut row.error, &mut row.drift) {
            (Some(error), drift) => {
                self.mark(error, reason);
                if let Some(drift) = drift {
                    self.strip(drift);
                }
            }
            (None, Some(drift)) => self.mark(drift, reason),
            (None, None) => {}
        }
    }

    fn strip_outcome(self, kind: &mut OutcomeKind, reason: &str) {
        match kind {
            OutcomeKind::Succeeded(finding) => {
                self.strip_finding(finding);
                self.mark(&mut finding.diff, reason);
            }
            OutcomeKind::Failed { message, finding } => {
                self.mark(message, reason);
                if let Some(finding) = finding {
                    self.strip_finding(finding);
                }
            }
            OutcomeKind::Skipped { because } => self.mark(because, reason),
            OutcomeKind::Revoked | OutcomeKind::Lost => {}
        }
    }

    fn strip_finding(self, finding: &mut Finding) {
        self.strip(&mut finding.diff);
        self.strip_identity(&mut finding.remote_identity);
        self.strip_facts(&mut finding.facts);
    }

    fn strip_log(self, log: &mut Option<Name>) {
        if let Some(text) = log {
            self.strip(text);
        }
        log.take_if(|text| text.is_empty());
    }

    /// A changed identity would name something else: it is kept as it is, or not at all.
    fn strip_identity(self, identity: &mut Option<Name>) {
        if identity.as_deref().is_some_and(|identity| self.stripped(identity) != identity) {
            *identity = None;
        }
    }

    /// A changed value would be another fact, so is none: the same as for an identity.
    fn strip_facts(self, facts: &mut Facts) {
        if facts.text().is_some_and(|text| self.stripped(text) != text) {
            *facts = Facts::default();
        }
    }

    fn strip(self, text: &mut Name) {
        let stripped = self.stripped(text);
        if stripped != **text {
            *text = stripped.into();
        }
    }

    fn mark(self, text: &mut Name, reason: &str) {
        let reason = Self::Escape.stripped(reason);
        *text = format!("[history cannot store what was said here: {reason}] {}", self.stripped(text)).into();
    }

    fn stripped(self, text: &str) -> String {
        let mut kept = String::new();
        if matches!(self, Self::Drop) {
            return kept;
        }
        for character in text.chars() {
            if matches!(character, ' '..='~' | '\n' | '\t') {
                kept.push(character);
            } else {
                // Writing to a String does not fail.
                let _ = write!(kept, "{}", character.escape_unicode());
            }
            if kept.len() >= MENDED_BYTES {
                kept.push_str("...");
                break;
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::{AttemptId, Outcome, ResourceId};
    use crate::core::{Change, Timestamp};

    fn outcome(kind: OutcomeKind) -> Record {
        let outcome = Outcome { attempt: AttemptId(1), began_at: None, finished_at: Timestamp(0), kind, log: None };
        Record::Outcome { resource: ResourceId(0), outcome }
    }

    fn stripped(severity: Severity, kind: OutcomeKind) -> OutcomeKind {
        let mut record = outcome(kind);
        severity.strip_record(&mut record, "a reason");
        let Record::Outcome { outcome, .. } = record else { unreachable!() };
        outcome.kind
    }

    #[test]
    fn an_attempt_says_that_it_was_stripped_and_keeps_what_can_be_read() {
        let finding = Finding {
            change: Change::Update,
            diff: "ü\0".into(),
            remote_identity: Some("id-7".into()),
            ..Finding::same()
        };
        let kind = OutcomeKind::Failed { message: "line\none\0".into(), finding: Some(finding) };
        let OutcomeKind::Failed { message, finding } = stripped(Severity::Escape, kind.clone()) else { unreachable!() };
        assert_eq!(&*message, "[history cannot store what was said here: a reason] line\none\\u{0}");
        let finding = finding.unwrap();
        assert_eq!((&*finding.diff, finding.remote_identity.as_deref()), ("\\u{fc}\\u{0}", Some("id-7")));
        let OutcomeKind::Failed { message, finding } = stripped(Severity::Drop, kind) else { unreachable!() };
        assert_eq!(&*message, "[history cannot store what was said here: a reason] ");
        assert_eq!(finding.unwrap().diff, "".into());
    }

    #[test]
    fn an_identity_is_never_another_one() {
        let finding = Finding { remote_identity: Some("id\0".into()), ..Finding::same() };
        let OutcomeKind::Succeeded(finding) = stripped(Severity::Escape, OutcomeKind::Succeeded(finding)) else {
            unreachable!()
        };
        assert_eq!(finding.remote_identity, None);
        assert!(finding.diff.starts_with("[history cannot store"), "{}", finding.diff);
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = Severity::Escape.stripped(&"\u{10ffff}".repeat(10_000));
        assert!(text.len() < MENDED_BYTES + 16 && text.ends_with("..."), "{}", text.len());
    }
}
