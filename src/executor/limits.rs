//! Every bound of both ends of the executor protocol, and of the executor, with its unit and its reason.

use std::time::Duration;

/// How long an executor may take for its TLS handshake, and again for its hello.
pub(crate) const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes at once; more wait in the listener's backlog.
pub(crate) const HANDSHAKES: usize = 64;
/// TLS connections at once on which no executor of ours has said hello yet; more wait in the listener's backlog.
pub(crate) const STRANGERS: usize = 1_024;
/// How long such a connection is kept: its hello, and the API server's answer who it is, take less.
pub(crate) const STRANGER_TIME: Duration = Duration::from_secs(40);
/// Heartbeats that may be missed before a stream is given up.
pub(crate) const MISSED_HEARTBEATS: u32 = 3;
/// What either side of a stream may have to say of one grant, at most: it is granted and asked back, begun and ended, answered and acknowledged.
pub(crate) const SAID_PER_GRANT: usize = 4;
/// What it may have to say beside that.
pub(crate) const SAID_BESIDE: usize = 64;
/// How long children of an earlier run may take to end: the grace for cancelled work, several times.
pub(crate) const EARLIER_TIME: Duration = Duration::from_secs(45);
/// How often a held lock is tried again.
pub(crate) const CHILD_LOCK_RETRY: Duration = Duration::from_millis(10);
/// The longest path of a unix socket (`sockaddr_un`), without the NUL at its end.
pub(crate) const SOCKET_PATH_BYTES: usize = 107;
/// Bytes of a secret from which on its occurrences can be told from chance.
pub(crate) const SECRET_LEAST_BYTES: usize = 6;
/// Bytes of a secret at most: keys and certificates, not documents.
pub(crate) const SECRET_MOST_BYTES: usize = 65_536;
/// The longest deadline: a week.
pub(crate) const MOST_DEADLINE_MS: u64 = 7 * 24 * 3_600_000;
/// Revoked grants a queue may carry along before they are swept out.
pub(crate) const MOST_WAITING: usize = 4 * crate::core::limits::CREDITS as usize;
/// Targets without work that are remembered before they are swept out.
pub(crate) const MOST_IDLE_TARGETS: usize = 1_024;
/// How long connecting to the owner may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a TLS connection to the owner that says nothing is asked whether it is still there: an address that has gone answers no more.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long an executor may take to hear why its stream is ended.
pub(crate) const CLOSING_WORD: Duration = Duration::from_secs(1);
/// Pause after a connection that could not be accepted: without file descriptors it fails again at once.
pub(crate) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long the owner may take for its first answer: it may have to ask the API server who we are.
pub(crate) const WELCOME_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a lock that somebody else holds is tried again.
pub(crate) const WORKER_LOCK_RETRY: Duration = Duration::from_millis(20);
/// Reports taken from the lanes at once.
pub(crate) const REPORTS: usize = 1_024;
/// First delay between dials.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest delay between dials.
pub(crate) const MOST_BACKOFF: Duration = Duration::from_secs(5);
/// The same on one machine, where nobody else is burdened.
pub(crate) const MOST_BACKOFF_EMBEDDED: Duration = Duration::from_millis(200);
/// After a signal: how long what has begun may go on before it is cancelled.
pub(crate) const STOP_TIME: Duration = Duration::from_secs(15);
/// After everything has ended: how long the owner may take to record what was reported.
pub(crate) const FAREWELL_TIME: Duration = Duration::from_secs(3);
/// How often the watchdog looks for work that does not end.
pub(crate) const WATCHDOG_LOOK: Duration = Duration::from_secs(1);
/// A longer pause between two looks means that the process itself was stopped: others get the time to notice theirs.
pub(crate) const WATCHDOG_STOPPED: Duration = Duration::from_secs(3);
