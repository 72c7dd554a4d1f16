//! Every bound of the scheduler, with its unit and its reason.

use std::time::Duration;

/// Records that may gather before nothing more is taken in until the batch under way is committed.
pub(crate) const PENDING_RECORDS: usize = 16_384;
/// Messages that may gather as well: some for each record, and answers to what changed nothing.
pub(crate) const PENDING_MESSAGES: usize = 4 * PENDING_RECORDS;
/// Changes that are gathered before those of the same resource are counted as one.
pub(crate) const PENDING_CHANGES: usize = 65_536;
/// Batches that are kept: more than a second's worth of the fastest commits.
pub(crate) const KEPT_BATCHES: usize = 1_024;
/// Records and rows in them, but for the newest batch, which is kept whatever its size.
pub(crate) const KEPT_RECORDS: usize = 16_384;
/// How many commits a slow subscriber may fall behind before it must read the state instead.
pub(crate) const COMMITS_KEPT: usize = 1_024;
/// Calls that wait for the loop before callers wait to call.
pub(crate) const CALLS: usize = 256;
/// Between two looks for what is no longer kept.
pub(crate) const RETENTION_EVERY: Duration = Duration::from_hours(1);
/// How long the loop sleeps when no timer is armed; events wake it at once.
pub(crate) const LOOP_IDLE: Duration = Duration::from_hours(1);
/// First and longest pause between two tries of the same commit.
pub(crate) const COMMIT_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// After how much silence the writer asks whether everything that was acknowledged is still there.
pub(crate) const LOOK_BACK: Duration = Duration::from_secs(30);
/// Milliseconds between two renewals of a lease at least: six a minute cost nothing, and a short lease is for tests.
pub(crate) const RENEW_LEAST_MS: u64 = 10_000;
