//! What a run can be found guilty of: a promise, the checker that noticed, and what it saw.

use std::fmt;

/// The promises of the design that a run attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    /// What `design.md` §6 says of when work starts, beside the order of I3.
    Holds,
}

macro_rules! checkers {
    ($($(#[$doc:meta])* $variant:ident = $promise:ident, $name:literal),* $(,)?) => {
        /// Who notices. Each watches one promise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Checker { $($(#[$doc])* $variant),* }

        impl Checker {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// The promise it watches.
            pub(crate) const fn promise(self) -> Promise {
                match self { $(Self::$variant => Promise::$promise),* }
            }

            /// As it is printed.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

checkers! {
    /// A run is as large as it says: so many resources and events. Less would prove less.
    LargeEnough = I1, "large-enough",
    /// When the faults have stopped, everything becomes good within a bound.
    ComesToRest = I1, "comes-to-rest",
    /// Then the targets are exactly as last written.
    AsLastWritten = I1, "as-last-written",
    /// Whoever dies wherever: what there is at rest is what there is without faults.
    SameAsUndisturbed = I1, "same-as-undisturbed",
    /// Whatever does not run has a reason, and it is so.
    WhyIsTrue = I1, "why-is-true",
    /// A scheduler ends only where it was taken over.
    LoopLives = I1, "loop-lives",
    /// An environment without an owner has one again soon after the lease of the last one.
    TakenOverInTime = I1, "taken-over-in-time",
    /// What was answered is in history, with the content that was pushed.
    AnsweredIsCommitted = I2, "answered-is-committed",
    /// What was in history stays there.
    AcceptedIsKept = I2, "accepted-is-kept",
    /// Nothing is granted on what it requires, unless that is good and idle.
    OrderOfGrants = I3, "order-of-grants",
    /// Nothing begins on a target while what it requires is worked on.
    OrderOfBegins = I3, "order-of-begins",
    /// Nothing is deleted while something requires it.
    OrderOfDeletes = I3, "order-of-deletes",
    /// No two executors work on one target.
    OneExecutorPerTarget = I4, "one-executor-per-target",
    /// Accepted effects of a resource have ascending epochs and attempts.
    OutcomesAscend = I4, "outcomes-ascend",
    /// A result in history was said by the executor that had the attempt.
    ResultsAreTrue = I4, "results-are-true",
    /// An owner that was taken over writes nothing.
    StaleOwnerWritesNothing = I4, "stale-owner-writes-nothing",
    /// Versions are gap-free, and history refuses no batch.
    HistoryRefusesNothing = I5, "history-refuses-nothing",
    /// Every grant has exactly one outcome.
    OneOutcomePerGrant = I5, "one-outcome-per-grant",
    /// What an executor reports of what it has lost is in history before that is acknowledged.
    LateResultsAreKept = I5, "late-results-are-kept",
    /// A grant is in history before an executor has it.
    GrantBeforeSend = I5, "grant-before-send",
    /// Only what a version removed is deleted.
    OnlyRemovedIsDeleted = I6, "only-removed-is-deleted",
    /// What was made on a version that is not the newest any more is refused.
    NothingFromAnOldView = I6, "nothing-from-an-old-view",
    /// What others made under the same name is left alone.
    StrangersUntouched = I6, "strangers-untouched",
    /// What we made is reachable from what is recorded, or was meant to be left.
    NothingUnknown = I6, "nothing-unknown",
    /// Much that was removed at once is deleted only when that was approved; what is protected never is.
    RemovalsAreApproved = I6, "removals-are-approved",
    /// At rest nothing is written, whatever is said again.
    RestWritesNothing = I7, "rest-writes-nothing",
    /// At rest nothing is sent, and no executor holds anything.
    RestSaysNothing = I7, "rest-says-nothing",
    /// At rest the loop sleeps.
    RestSleeps = I7, "rest-sleeps",
    /// Of a push only what is wrong itself is refused.
    OnlyBadIsRefused = I8, "only-bad-is-refused",
    /// While a target hangs and a thing can never be made, everything that does not stand on them is deployed within a bound.
    OthersGoOn = I8, "others-go-on",
    /// No secret is in history.
    NoSecretLeaks = I8, "no-secret-leaks",
    /// Nothing is granted in an environment or on a target that is suspended.
    NothingSuspendedStarts = Holds, "nothing-suspended-starts",
    /// Nothing is granted outside the windows of its target.
    WithinWindows = Holds, "within-windows",
    /// Nothing is granted beyond the rate of its target, or what may be in flight.
    WithinRates = Holds, "within-rates",
    /// Under manual release nothing is granted that no user has deployed.
    OnlyReleasedStarts = Holds, "only-released-starts",
    /// Dry runs, reports, refreshes and what is only observed change no target.
    LooksChangeNothing = Holds, "looks-change-nothing",
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) checker: Checker,
    /// What was seen.
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.checker.promise(), self.checker.name(), self.detail)
    }
}
