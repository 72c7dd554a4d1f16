//! The attempts that the current state refers to, and what history says of them. History is read in pages; what is kept grows with the resources.

use crate::cli::CliError;
use crate::cli::limits::CHECK_PAGE;
use crate::cli::output::counted;
use crate::core::{AttemptId, Name, Outcome, OutcomeKind, Snapshot};
use crate::history::{AttemptSummary, Store};
use std::collections::{BTreeMap, BTreeSet};

/// What is known when all attempts have been seen.
pub(super) struct Attempts {
    /// Named by the current state of a resource, and not found yet.
    referred: BTreeMap<AttemptId, Name>,
    /// Waited for, and not found yet.
    granted: BTreeSet<AttemptId>,
    open: usize,
    /// Without an end in history, and not waited for.
    forgotten: Option<AttemptId>,
    /// Named as ended, and without an end.
    unended: Option<AttemptId>,
    /// Ended, and never granted.
    ungranted: Option<AttemptId>,
    read: usize,
    /// The oldest that history has: what is older is no longer kept.
    oldest: Option<AttemptId>,
}

impl Attempts {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let referred = snapshot.resources.iter().flat_map(|row| {
            let attempts = [row.last_attempt, row.changed_by].into_iter().flatten();
            attempts.map(|attempt| (attempt, row.intent.name.clone()))
        });
        let granted: BTreeSet<AttemptId> = snapshot.grants.iter().map(|grant| grant.attempt).collect();
        let open = granted.len();
        Self {
            referred: referred.collect(),
            granted,
            open,
            forgotten: None,
            unended: None,
            ungranted: None,
            read: 0,
            oldest: None,
        }
    }

    /// Sees all up to the newest.
    pub(super) async fn read(
        &mut self,
        store: &dyn Store,
        environment: &str,
        newest: AttemptId,
    ) -> Result<(), CliError> {
        let mut before = Some(AttemptId(newest.0 + 1));
        loop {
            let page = store.attempts(environment, None, before, CHECK_PAGE).await?;
            for attempt in &page {
                self.see(attempt);
            }
            before = page.last().map(|attempt| attempt.attempt);
            if page.len() < CHECK_PAGE as usize {
                return Ok(());
            }
        }
    }

    fn see(&mut self, found: &AttemptSummary) {
        self.read += 1;
        self.oldest = Some(found.attempt);
        let referred = self.referred.remove(&found.attempt).is_some();
        let granted = self.granted.remove(&found.attempt);
        // A skip is decided, and never granted.
        if found.granted_at.is_none() && !found.outcome.as_ref().is_some_and(is_skip) {
            self.ungranted = self.ungranted.or(Some(found.attempt));
        }
        if found.outcome.is_none() {
            self.unended = self.unended.or(referred.then_some(found.attempt));
            self.forgotten = self.forgotten.or((!granted).then_some(found.attempt));
        }
    }

    /// What the current state names is in history and has ended, but for what is older than all that is kept.
    pub(super) fn recorded(&self) -> Result<String, String> {
        let kept = |attempt: AttemptId| self.oldest.is_none_or(|oldest| attempt > oldest);
        if let Some((attempt, name)) = self.referred.iter().find(|(attempt, _)| kept(**attempt)) {
            return Err(format!("the current state of {name} names attempt {attempt}, which is not in history"));
        }
        match self.unended {
            Some(attempt) => Err(format!("the current state knows the end of attempt {attempt}, and history does not")),
            None => Ok(format!("{}, with all that the current state names", counted(self.read, "attempt"))),
        }
    }

    /// What has no end is waited for, and what has one was granted.
    pub(super) fn open(&self) -> Result<String, String> {
        if let Some(attempt) = self.granted.first() {
            return Err(format!("attempt {attempt} is waited for, and not in history"));
        }
        match (self.forgotten, self.ungranted) {
            (Some(attempt), _) => Err(format!("attempt {attempt} has no end, and nobody waits for one")),
            (None, Some(attempt)) => Err(format!("attempt {attempt} was never granted, and has ended")),
            (None, None) => Ok(format!("{} without an end, all waited for", self.open)),
        }
    }
}

const fn is_skip(outcome: &Outcome) -> bool {
    matches!(outcome.kind, OutcomeKind::Skipped { .. })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::Timestamp;

    fn outcome(number: u64, kind: OutcomeKind) -> Outcome {
        Outcome { attempt: AttemptId(number), began_at: None, finished_at: Timestamp(2), kind, log: None }
    }

    fn attempt(number: u64, ended: bool) -> AttemptSummary {
        AttemptSummary {
            attempt: AttemptId(number),
            name: "motd".into(),
            version: None,
            reason: None,
            operation: None,
            executor: None,
            reload: None,
            granted_at: Some(Timestamp(1)),
            outcome: ended.then(|| outcome(number, OutcomeKind::Lost)),
            late: None,
        }
    }

    /// The current state names attempt 1 as ended and waits for attempt 2; history has these.
    fn seen(found: &[AttemptSummary]) -> Attempts {
        let mut attempts = Attempts::of(&Snapshot::default());
        attempts.referred.insert(AttemptId(1), "motd".into());
        attempts.granted.insert(AttemptId(2));
        for attempt in found {
            attempts.see(attempt);
        }
        attempts
    }

    #[test]
    fn s7_what_is_older_than_all_that_is_kept_is_not_missed() {
        let trimmed = seen(&[attempt(3, true), attempt(2, true)]);
        assert_eq!(trimmed.recorded().unwrap(), "2 attempts, with all that the current state names");
        let mut hole = seen(&[attempt(3, true), attempt(0, true)]);
        assert!(hole.recorded().is_err(), "older ones are there");
        hole.referred.clear();
        assert!(hole.recorded().is_ok());
    }

    #[test]
    fn what_history_or_the_current_state_has_forgotten_is_named() {
        let good = seen(&[attempt(2, false), attempt(1, true)]);
        assert!(good.recorded().is_ok() && good.open().is_ok());
        let ended_since = seen(&[attempt(2, true), attempt(1, true)]);
        assert!(ended_since.open().is_ok());
        let lost = seen(&[]);
        assert_eq!(lost.recorded().unwrap_err(), "the current state of motd names attempt 1, which is not in history");
        assert_eq!(lost.open().unwrap_err(), "attempt 2 is waited for, and not in history");
        let unended = seen(&[attempt(3, false), attempt(2, false), attempt(1, false)]);
        assert_eq!(
            unended.recorded().unwrap_err(),
            "the current state knows the end of attempt 1, and history does not"
        );
        assert_eq!(unended.open().unwrap_err(), "attempt 3 has no end, and nobody waits for one");
        let skip = OutcomeKind::Skipped { because: "db".into() };
        let ungranted = |number, kind| AttemptSummary {
            granted_at: None,
            outcome: Some(outcome(number, kind)),
            ..attempt(number, true)
        };
        let skipped = seen(&[attempt(2, true), ungranted(3, skip)]);
        assert!(skipped.open().is_ok(), "a skip is never granted");
        let forged = seen(&[attempt(2, true), ungranted(1, OutcomeKind::Lost)]);
        assert_eq!(forged.open().unwrap_err(), "attempt 1 was never granted, and has ended");
    }
}
