//! Every bound of history, with its unit and its reason.

use std::time::Duration;

/// Longest path of a unix socket, in bytes: `sun_path` has 108 with its closing NUL.
pub(crate) const SOCKET_PATH_BYTES: usize = 107;
/// How long commands that read beside the one that ends may go on with that before its server is stopped under them.
pub(crate) const READERS_END: Duration = Duration::from_secs(10);
/// How long a private server may take to stop with a checkpoint before it is told to stop at once (it recovers at its next start).
pub(crate) const FAST_STOP: Duration = Duration::from_mins(1);
/// How long it may take to stop at once.
pub(crate) const IMMEDIATE_STOP: Duration = Duration::from_secs(10);
/// How long a private server may take to accept connections; crash recovery replays at most a few checkpoints' worth of log.
pub(crate) const SERVER_START: Duration = Duration::from_mins(5);
/// How often the state of a starting or stopping server is looked at.
pub(crate) const SERVER_POLL: Duration = Duration::from_millis(10);
/// After how long a start that is not over says that it goes on.
pub(crate) const SERVER_STILL_STARTING: Duration = Duration::from_secs(5);
/// Bytes of the private server's log kept before it is moved aside (one older file is kept).
pub(crate) const SERVER_LOG_BYTES: u64 = 4 * 1_048_576;
/// Bytes of a log's end that an error quotes.
pub(crate) const QUOTED_LOG_BYTES: u64 = 2_048;
/// Characters of the command line that a folder's lock remembers.
pub(crate) const LOCK_COMMAND_CHARS: usize = 256;
/// The oldest major version of PostgreSQL that history is written for: older ones get no fixes any more.
pub(crate) const OLDEST_POSTGRES: u32 = 14;
/// How long a call waits for a connection of the pool: longer than a failover's first hiccup, shorter than a user's patience.
pub(crate) const ACQUIRE: Duration = Duration::from_secs(10);
/// How long a connection may be idle before it is tried when it is needed: no server is restarted in less.
pub(crate) const IDLE_UNTRIED: Duration = Duration::from_millis(50);
/// How long a session of ours may keep a transaction open and say nothing, in milliseconds. An owner that is frozen in mid-commit holds the lock of its
/// environment no longer than this, in the midst of a stream of rows no longer than a statement may take, and a takeover waits no longer for it; between
/// two statements of a transaction we only build arrays.
pub(crate) const IDLE_IN_TRANSACTION_MS: u32 = 5_000;
/// How long a write or a bounded read may take as a whole.
pub(crate) const CALL: Duration = Duration::from_secs(30);
/// How much longer a batch may take for each record and row in it: more than a hundred times the floor that `homeostat bench` measures.
pub(crate) const WRITE: Duration = Duration::from_millis(1);
/// How long reading a whole environment, deleting one, or a migration may take: a million resources are read in well under a minute.
pub(crate) const LONG_CALL: Duration = Duration::from_mins(10);
/// The same for one statement of it, in milliseconds.
pub(crate) const LONG_STATEMENT_MS: u32 = 590_000;
/// Bytes of a name that is part of an index; PostgreSQL's entries have at most about 2,700.
pub(crate) const KEY_BYTES: usize = 2_048;
/// Rows in one statement: enough to forget the cost of the statement, and small arrays for the planner.
pub(crate) const STATEMENT_ROWS: usize = 4_096;
/// Bytes of text in one statement; one row may be larger.
pub(crate) const STATEMENT_BYTES: usize = 8 * 1_048_576;
/// Bytes of a table whose reading costs about as much as one probe into its index: by turns on a hundred thousand intents of 500 bytes, some 2 µs.
pub(crate) const PROBE_BYTES: u64 = 2_048;
/// Rows from which on a table that is only appended to is written as a stream: two ways to the database and back instead of one, and less per row.
pub(crate) const COPIED_ROWS: usize = 64;
/// Rows of a stream from the database that are read at once, by a thread of their own.
pub(crate) const COPIED_READ: usize = 64;
/// How many times as many are fetched ahead of it.
pub(crate) const COPIED_AHEAD: usize = 4;
/// Bytes of a stream of rows that are sent at once: the database works on them while the next are written.
pub(crate) const COPIED_BYTES: usize = 65_536;
/// Days after which the expired lease of a process that owns nothing is deleted.
pub(crate) const OLD_LEASE_DAYS: i32 = 1;
/// Rows of each kind that retention drops at once: the environment's writer waits meanwhile.
pub(super) const TRIMMED_ROWS: usize = 5_000;
/// Bytes of an escaped text that are kept.
pub(crate) const MENDED_BYTES: usize = 4_096;
/// Resources whose attempts are looked for one by one; of more, all attempts are gone through until enough are theirs.
pub(crate) const RESOURCES_ONE_BY_ONE: usize = 32;
