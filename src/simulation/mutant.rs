//! Deliberate bugs, each with the promise it breaks and the checker that must notice, declared beforehand. They stand in the simulator's world, or
//! alter what passes in and out of the real scheduler; the scheduler itself has no switches. One that nobody notices is a hole in the simulator.

use super::violation::{Checker, Promise};
use super::world::World;
use crate::core::{
    Change, Event, Intent, IntentParts, LastResult, Life, LoadedRow, Name, OnChange, OutcomeKind, Record, RequestKind,
    Snapshot, Windows,
};
use crate::history::Batch;
use std::collections::BTreeSet;
use std::sync::Arc;

macro_rules! mutants {
    ($($variant:ident = $checker:ident, $name:literal, $says:literal),* $(,)?) => {
        /// A bug that a run can be given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mutant { $(#[doc = $says] $variant),* }

        impl Mutant {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is printed, and named on the command line.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What is wrong.
            pub(crate) const fn says(self) -> &'static str {
                match self { $(Self::$variant => $says),* }
            }

            /// Who must notice.
            pub(crate) const fn caught_by(self) -> Checker {
                match self { $(Self::$variant => Checker::$checker),* }
            }
        }
    };
}

mutants! {
    LoseTimers = ComesToRest, "lose-timers", "timers never wake the loop",
    LoseLost = ComesToRest, "lose-lost", "nobody is told that an executor is lost",
    LoseResults = ComesToRest, "lose-results", "one result in ten is acknowledged and not taken in",
    ForgetDebts = SameAsUndisturbed, "forget-debts", "a new owner does not know who is to be told to reload",
    ForgetMaybeChanged = SameAsUndisturbed, "forget-maybe-changed", "a new owner does not know what a lost attempt may have changed",
    SkipUpdates = AsLastWritten, "skip-updates", "updates are reported and not made",
    DeafToResume = WhyIsTrue, "deaf-to-resume", "what was suspended stays so when users resume it",
    LongLeases = TakenOverInTime, "long-leases", "what an owner holds is its for twice as long as its lease",
    EndOnUnavailable = LoopLives, "end-on-unavailable", "a scheduler gives up when history is away",

    AnswerBeforeCommit = AnsweredIsCommitted, "answer-before-commit", "callers are answered before the commit",
    DropRefusals = AnsweredIsCommitted, "drop-refusals", "refused intents are answered as accepted",
    LosePushedIntents = AnsweredIsCommitted, "lose-pushed-intents", "the last intent of a push of several is lost",
    CommitLater = AnsweredIsCommitted, "commit-later", "history says that it has committed before it has",
    TrimAccepted = AcceptedIsKept, "trim-accepted", "history keeps no more than the newest versions",

    GoodAtRestore = OrderOfGrants, "good-at-restore", "a new owner takes what failed for good",
    WorkOnRevoked = OrderOfBegins, "work-on-revoked", "an executor gives a grant back and works on it all the same",
    ReportEarly = OrderOfBegins, "report-early", "an executor reports success before it has ended",

    DeleteStanding = OrderOfDeletes, "delete-standing", "a new owner does not know what stands on something that is to be deleted",
    SkipEpochCheck = StaleOwnerWritesNothing, "skip-epoch-check", "history does not compare the epoch",
    WriteBackwards = OutcomesAscend, "write-backwards", "the grants of a batch are written in the wrong order",
    LostAtOnce = OneExecutorPerTarget, "lost-at-once", "an executor is believed lost as soon as its stream breaks",
    MarginWithoutDrift = OneExecutorPerTarget, "margin-without-drift", "an owner gives work away after the lease and the time to cancel, as if all clocks ran alike",
    WorkBeyondLease = OneExecutorPerTarget, "work-beyond-lease", "an executor works on when its lease is over",
    CreditLateResults = ResultsAreTrue, "credit-late-results", "a result heard late is credited to a newer attempt",

    RetryBlindly = HistoryRefusesNothing, "retry-blindly", "a commit whose reply was lost is written again as a new batch",
    SkipVersions = HistoryRefusesNothing, "skip-versions", "a version number is left out",
    ReuseAttempts = HistoryRefusesNothing, "reuse-attempts", "a new owner numbers attempts that were used",
    SendBeforeCommit = GrantBeforeSend, "send-before-commit", "grants are sent before they are committed",
    LoseOutcomes = OneOutcomePerGrant, "lose-outcomes", "outcomes of deletions are not written",
    LoseLateResults = LateResultsAreKept, "lose-late-results", "late results are not written",

    ForgetBases = NothingFromAnOldView, "forget-bases", "what was made on an old version is taken for made on the newest",
    DeleteWhatIsThere = StrangersUntouched, "delete-what-is-there", "what was read is deleted, whatever is there by then",
    OverwriteWhatIsThere = StrangersUntouched, "overwrite-what-is-there", "what was read is overwritten, whatever is there by then",
    DeleteByName = StrangersUntouched, "delete-by-name", "deletes go by name and not by identity",
    RemoveWithTarget = OnlyRemovedIsDeleted, "remove-with-target", "what is on a target that vanished is removed",
    RemoveUnseen = OnlyRemovedIsDeleted, "remove-unseen", "what is on targets that a new owner is not told of at first is removed",
    AbsenceDeletes = OnlyRemovedIsDeleted, "absence-deletes", "what a push does not name is removed",
    ForgetFailedCreates = NothingUnknown, "forget-failed-creates", "a new owner takes what failed for never attempted",
    DropTombstones = NothingUnknown, "drop-tombstones", "a new owner forgets what was to be deleted",

    ApproveEverything = RemovalsAreApproved, "approve-everything", "every removal counts as approved",

    RefuseNeighbours = OnlyBadIsRefused, "refuse-neighbours", "one bad intent refuses all of its push",
    OneLane = OthersGoOn, "one-lane", "an executor works on one target at a time",
    LeakInErrors = NoSecretLeaks, "leak-in-errors", "what a target says is not searched for secrets",
    ForgetOnceSecret = NoSecretLeaks, "forget-once-secret", "a difference is told of a thing that held a secret until now",
    LeakInDiffs = NoSecretLeaks, "leak-in-diffs", "a difference is told with the secrets in it",

    ForgetSuspensions = NothingSuspendedStarts, "forget-suspensions", "a new owner does not know what users have suspended",
    ForgetWindows = WithinWindows, "forget-windows", "targets have no windows",
    ForgetRates = WithinRates, "forget-rates", "targets have no rates",
    ForgetMaxInFlight = WithinRates, "forget-max-in-flight", "any number of attempts may be in flight",
    ReleaseUnasked = OnlyReleasedStarts, "release-unasked", "what waits for its release comes into force when the settings are told",
    EnforceDryRuns = LooksChangeNothing, "enforce-dry-runs", "dry runs change their target",
    EnforceReports = LooksChangeNothing, "enforce-reports", "what is only looked at is changed",

    WriteAtRest = RestWritesNothing, "write-at-rest", "every renewal of the lease writes the settings again",
    RepairAtRest = RestWritesNothing, "repair-at-rest", "every renewal of the lease verifies everything",
    ChatterAtRest = RestSaysNothing, "chatter-at-rest", "every renewal of the lease acknowledges something again",
    WakeAtRest = RestSleeps, "wake-at-rest", "the loop wakes every second",
}

impl Mutant {
    /// The promise it breaks.
    pub(crate) const fn promise(self) -> Promise {
        self.caught_by().promise()
    }

    /// Only a sweep notices it: the end is compared, and nothing else.
    pub(crate) fn needs_a_sweep(self) -> bool {
        self.caught_by() == Checker::SameAsUndisturbed
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mutant| mutant.name() == name)
    }
}

impl World {
    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What a new owner reads.
    pub(super) fn as_read(&self, mut snapshot: Snapshot) -> Snapshot {
        let failed = |row: &&mut LoadedRow| row.last_result == LastResult::Failed;
        match self.mutant {
            Some(Mutant::GoodAtRestore) => {
                for row in snapshot.resources.iter_mut().filter(failed).filter(|row| row.life == Life::Live) {
                    let hash = Some(row.intent.hash());
                    (row.attempted, row.succeeded, row.last_result) = (hash, hash, LastResult::Succeeded);
                    (row.due_at, row.skipped) = (None, false);
                }
            }
            Some(Mutant::ForgetFailedCreates) => {
                for row in snapshot.resources.iter_mut().filter(failed) {
                    (row.attempted, row.last_attempt, row.remote_identity) = (None, None, None);
                }
            }
            Some(Mutant::ForgetDebts) => snapshot.resources.iter_mut().for_each(|row| row.reload = None),
            Some(Mutant::ForgetMaybeChanged) => snapshot.resources.iter_mut().for_each(|row| row.maybe_changed = false),
            Some(Mutant::ForgetSuspensions) => snapshot.requests.retain(|open| open.kind != RequestKind::Suspend),
            Some(Mutant::DeleteStanding) => {
                let gone: BTreeSet<Name> = tombstones(&snapshot).map(|row| row.intent.name.clone()).collect();
                for row in snapshot.resources.iter_mut().filter(|row| row.life == Life::Live) {
                    let requires = row.intent.requires.iter().filter(|name| !gone.contains(*name)).cloned().collect();
                    row.intent = Arc::new(Intent::new(IntentParts {
                        requires,
                        ..IntentParts::from(Intent::clone(&row.intent))
                    }));
                }
            }
            Some(Mutant::DropTombstones) => snapshot.resources.retain(|row| row.life == Life::Live),
            Some(Mutant::ReuseAttempts) => snapshot.last_attempt.0 = snapshot.last_attempt.0.saturating_sub(3),
            _ => {}
        }
        snapshot
    }

    /// What an owner writes.
    pub(super) fn as_written(&self, batch: &Batch) -> Batch {
        let mut batch = batch.clone();
        match self.mutant {
            Some(Mutant::SkipVersions) => {
                for record in &mut batch.records {
                    if let Record::Version(version) = record
                        && version.number.0 >= 7
                    {
                        version.number.0 += 1;
                    }
                }
            }
            Some(Mutant::WriteBackwards) => {
                let is_grant = |record: &&mut Record| matches!(record, Record::Grant(..));
                let mut grants: Vec<Record> =
                    batch.records.iter_mut().filter(is_grant).map(|record| record.clone()).collect();
                for record in batch.records.iter_mut().filter(is_grant) {
                    *record = grants.pop().unwrap_or_else(|| record.clone());
                }
            }
            Some(Mutant::LoseOutcomes) => batch.records.retain(|record| {
                let Record::Outcome { outcome, .. } = record else { return true };
                !matches!(&outcome.kind, OutcomeKind::Succeeded(finding) if finding.change == Change::Delete)
            }),
            Some(Mutant::LoseLateResults) => batch.records.retain(|record| !matches!(record, Record::LateResult(_))),
            _ => {}
        }
        batch
    }
}

fn tombstones(snapshot: &Snapshot) -> impl Iterator<Item = &LoadedRow> {
    snapshot.resources.iter().filter(|row| row.life == Life::Tombstone)
}

/// What an owner makes of what it hears.
pub(super) fn as_heard(mutant: Option<Mutant>, mut event: Event) -> Event {
    match (mutant, &mut event) {
        (Some(Mutant::ForgetWindows), Event::TargetChanged(target)) => target.windows = Windows::default(),
        (Some(Mutant::ForgetBases), Event::Push(push)) => push.base = None,
        (Some(Mutant::ApproveEverything), Event::Push(push)) => push.approved = true,
        (Some(Mutant::DeafToResume), Event::Request(request)) if request.kind == RequestKind::Resume => {
            request.kind = RequestKind::Suspend;
        }
        (Some(Mutant::ForgetRates), Event::TargetChanged(target)) => target.rate_limit = None,
        (Some(Mutant::ForgetMaxInFlight), Event::SettingsChanged(settings)) => settings.max_in_flight = None,
        (Some(Mutant::ReleaseUnasked), Event::SettingsChanged(settings)) => settings.on_change = OnChange::Automatic,
        _ => {}
    }
    event
}
