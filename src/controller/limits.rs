//! Every bound of the controllers, with its unit and its reason.

use std::time::Duration;

/// Commits are gathered for so long before status is thought over.
pub(crate) const GATHER: Duration = Duration::from_millis(100);
/// Wait after something failed, in milliseconds; doubled per failure in a row.
pub(crate) const RETRY_BASE_MS: u64 = 500;
/// Longest wait after something failed, in milliseconds.
pub(crate) const RETRY_MAX_MS: u64 = 30_000;
/// Even when nothing happens, an environment is looked at this often.
pub(crate) const LOOK_MS: u64 = 300_000;
/// Events that wait to be told; the oldest are dropped.
pub(crate) const EVENTS_KEPT: usize = 256;
/// Attempts whose reason is remembered until their outcome; a subscriber that fell behind forgets them all.
pub(crate) const REPAIRS_REMEMBERED: usize = 50_000;
/// Finalizers put on at once.
pub(crate) const FINALIZERS_AT_ONCE: usize = 16;
/// Names a message lists before it says how many more there are.
pub(crate) const LISTED_NAMES: usize = 5;
/// Characters of a difference that a status keeps.
pub(crate) const DRIFT_CHARACTERS: usize = 4_096;
/// Errors of a spec that a status lists.
pub(crate) const LISTED_ERRORS: usize = 5;
/// Wait before an environment whose task panicked is looked at again.
pub(crate) const AFTER_PANIC: Duration = Duration::from_secs(10);
