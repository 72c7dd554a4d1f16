//! Every bound of the adaptors, with its unit and its reason.

use std::time::Duration;

/// The longest name of a user or a group that the tools take.
pub(crate) const ACCOUNT_NAME_BYTES: usize = 32;
/// How long the search for a short diff may take; then a longer one is shown.
pub(crate) const DIFF_TIME: Duration = Duration::from_millis(250);
/// Entries that are named when a folder is not empty.
pub(crate) const NAMED_ENTRIES: usize = 3;
/// The largest file that is edited.
pub(crate) const EDITED_BYTES: usize = 8 * 1_048_576;
/// Memory of one compiled pattern.
pub(crate) const PATTERN_BYTES: usize = 1_048_576;
/// The longest delay that a connection may ask for, in milliseconds; the Target's schema has the same.
pub(crate) const MOST_DELAY_MS: u64 = 10_000;
/// How long to wait before the lock of the lists is tried again; apt does not wait for this one by itself.
pub(crate) const LISTS_LOCK_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of the end of a program's output that an error message shows.
pub(crate) const OUTPUT_SHOWN_BYTES: usize = 2_048;
/// Bytes of the end of a program's output that are kept.
pub(crate) const OUTPUT_KEPT_BYTES: usize = 262_144;
/// How long what a program printed last is awaited when it has ended: a daemon it started may hold its output for ever.
pub(crate) const OUTPUT_LAST_TIME: Duration = Duration::from_secs(1);
/// Bytes of what is said in one attempt that are held until secrets are taken out of it: several times what is kept then.
pub(crate) const LOG_HELD_BYTES: usize = 65_536;
/// Bytes of one line of it.
pub(crate) const LOG_LINE_HELD_BYTES: usize = 16_384;
/// How long the output of a failed program may stay open: a daemon it started may hold it for ever.
pub(crate) const OUTPUT_DRAIN_TIME: Duration = Duration::from_secs(5);
/// How long one request may take, the client's own retries of 429, 503 and 504 included.
pub(crate) const CLUSTER_CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest watch request; after it the object is read again, so a silent connection is noticed.
pub(crate) const WATCH_SECONDS: u32 = 60;
/// Clusters that are remembered; more than one executor has targets.
pub(crate) const CLUSTERS_KEPT: usize = 64;
/// How long setting up a TCP connection may take.
pub(crate) const CLUSTER_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of one value that are shown.
pub(crate) const VALUE_CHARS: usize = 200;
/// How long an object that is as declared may take to become ready again before its verification fails. It covers a restart; a rollout gets
/// the whole deadline in the attempt that applies it.
pub(crate) const READY_GRACE: Duration = Duration::from_secs(10);
/// Longest name of a field manager, in bytes; the API server's limit.
pub(crate) const MANAGER_BYTES: usize = 128;
/// Longest name that an API server accepts, in bytes.
pub(crate) const OBJECT_NAME_BYTES: usize = 253;
/// Kept of an attempt's time for saying what went wrong, before the host ends it.
pub(crate) const ATTEMPT_LAST_WORDS: Duration = Duration::from_millis(1_500);
/// Between two rounds, where a watch ended at once: a server in trouble is not asked more often.
pub(crate) const ROUND_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks for a kind that a definition has just brought.
pub(crate) const DISCOVERY_PAUSE: Duration = Duration::from_millis(200);
/// Lines of the journal that are kept.
pub(crate) const JOURNAL_LINES: usize = 4_000;
/// Conflicting writes of a `ConfigMap` before it is given up.
pub(crate) const WORLD_CONFLICTS: u32 = 100;
/// One call to the API server.
pub(crate) const WORLD_CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause of the test adaptor before it writes again what somebody else has written meanwhile, at most: chance says how long, so that two part.
pub(crate) const WORLD_CONFLICT_PAUSE_MOST: Duration = Duration::from_millis(70);
/// The same at least.
pub(crate) const WORLD_CONFLICT_PAUSE: Duration = Duration::from_millis(5);
