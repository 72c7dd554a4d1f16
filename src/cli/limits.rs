//! Every bound of the commands and of embedded mode, with its unit and its reason.

use crate::controller::settle::Rest;
use std::time::Duration;

/// Bytes of one order: a push of a hundred thousand resources of some hundred bytes.
pub(crate) const ORDER_BYTES: usize = 64 * 1_048_576;
/// Orders longer than this are read one at a time, so that all connections together need little memory.
pub(crate) const LARGE_ORDER_BYTES: usize = 1_048_576;
/// Connections at once; more are told to come again.
pub(crate) const CONTROL_CONNECTIONS: usize = 32;
/// How long a connection may take to give an order, and to take an answer.
pub(crate) const CONTROL_PATIENCE: Duration = Duration::from_secs(30);
/// How long a process that opens or closes its data folder is waited for: crash recovery of its database, at most a few checkpoints' worth.
pub(crate) const CONTROL_OPENING: Duration = Duration::from_mins(1);
/// Pause after a connection to the control socket that could not be taken: without file descriptors it fails again at once.
pub(crate) const CONTROL_AGAIN: Duration = Duration::from_millis(100);
/// How often is looked whether a process has opened or closed its data folder.
pub(crate) const CONTROL_LOOK: Duration = Duration::from_millis(50);
/// A wait for it that takes no longer needs no words.
pub(crate) const CONTROL_AT_ONCE: Duration = Duration::from_millis(500);
/// How long a process that only reads the data folder is waited for, or one whose database is just starting or stopping.
pub(crate) const HOLDER_PATIENCE: Duration = Duration::from_secs(10);
/// How often progress is told.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// An executor that ends sooner than this after its start counts as one that does not start.
pub(crate) const EXECUTOR_STARTED: Duration = Duration::from_secs(10);
/// So many such executors in a row, and the pool is given up.
pub(crate) const EXECUTOR_STARTS: u32 = 3;
/// How long an executor that was told to end may take before it is killed; it has nothing left to do then.
pub(crate) const EXECUTOR_RETIRE: Duration = Duration::from_secs(15);
/// Ids kept: those of the latest crashes. An older one has lost its lease long ago.
pub(crate) const OWNERS_KEPT: usize = 64;
/// Connections to the database: the writer's, the lease's, and those of readers.
pub(crate) const DATABASE_CONNECTIONS: u32 = 4;
/// How long our ownership outlives us where nobody can know that we have ended, in milliseconds.
pub(crate) const LEASE_MS: u64 = 30_000;
/// How long the last commits, and giving the environment up, may take.
pub(crate) const SESSION_STOP: Duration = Duration::from_secs(15);
/// How long a session that ends may take to drop what history no longer keeps; the next one goes on with the rest.
pub(crate) const SESSION_TRIM: Duration = Duration::from_secs(5);
/// How long a commit may wait for the database before somebody is told.
pub(crate) const HISTORY_AWAY: Duration = Duration::from_secs(2);
/// Looks at the state are at most so far apart.
pub(crate) const GLANCE_INTERVAL: Duration = Duration::from_millis(50);
/// A look takes at most one part in so many of the time, and the first of them are that much closer together.
pub(crate) const GLANCE_SHARE: u32 = 16;
/// Without a commit for so long, what is left is looked at for holds that do not go away.
pub(crate) const WAIT_IDLE: Duration = Duration::from_secs(1);
/// Where nothing has ended for so long, it is told what a run waits for.
pub(crate) const STANDSTILL: Duration = Duration::from_secs(2);
/// Names that are told of what runs.
pub(crate) const STANDSTILL_NAMES: usize = 3;
/// Of what is queued so many are asked what they wait for.
pub(crate) const STANDSTILL_ASKED: usize = 64;
/// Attempts read from history at once.
pub(crate) const WAIT_PAGE: u32 = 10_000;
/// Time between two plain lines.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Versions or attempts read at once.
pub(crate) const CHECK_PAGE: u32 = 10_000;
/// Versions read at once to say who accepted what.
pub(crate) const COMPLIANCE_PAGE: u32 = 1_000;
/// How often is looked for more.
pub(crate) const LOGS_LOOK: Duration = Duration::from_millis(500);
/// Attempts read at once.
pub(crate) const LOGS_PAGE: u32 = 1_000;
/// How often the private database's process is looked at.
pub(crate) const SERVER_LOOK: Duration = Duration::from_secs(1);
/// How often the files are looked at.
pub(crate) const FILES_LOOK: Duration = Duration::from_secs(1);
/// While changes come to rest, they are looked at more often: the end of a change is not waited for longer than it takes.
pub(crate) const FILES_CLOSER_LOOK: Duration = Duration::from_millis(250);
/// How long changes of files must rest, so that a checkout or a copy of a folder is one version.
pub(crate) const FILES_REST: Rest = Rest { quiet_ms: 1_000, at_most_ms: 10_000 };
/// How long attempts that run may take to end when the process is told to end. What still runs then is closed as lost by the next run.
pub(crate) const ENDING_GRACE: Duration = Duration::from_mins(1);
/// How often is looked whether they have ended, where no commit says so.
pub(crate) const ENDING_LOOK: Duration = Duration::from_millis(50);
/// A session that could not go on is opened again after so long, doubled each time.
pub(crate) const SESSION_AGAIN: Duration = Duration::from_secs(1);
/// A session that could not go on is opened again after so long at most.
pub(crate) const SESSION_AGAIN_AT_MOST: Duration = Duration::from_mins(1);
/// A session that lasted so long was well.
pub(crate) const SESSION_WELL: Duration = Duration::from_mins(1);
/// Attempts that `logs -f` looks back at: more than end between two looks, and what one that stood still can take in at once.
pub(crate) const LOGS_BEHIND: usize = 16_384;
/// Lines that wait to be written before more are dropped.
pub(crate) const TOLD_LINES: usize = 4_096;
/// How long the last lines may take when the process ends.
pub(crate) const TOLD_LAST_WORDS: Duration = Duration::from_secs(5);
/// Lines of the log that wait to be written before more are dropped.
pub(crate) const LOG_LINES: usize = 8_192;
/// How long the last lines of the log may take when the process ends.
pub(crate) const LOG_LAST_WORDS: Duration = Duration::from_secs(1);
/// Refusals that one answer lists before it says how many more there are.
pub(crate) const LISTED_REFUSALS: usize = 100;
/// Attempts shown.
pub(crate) const SHOWN_ATTEMPTS: u32 = 5;
/// Resources of which one command says all that is known: more than anybody reads, and a bounded answer.
pub(crate) const SHOWN_RESOURCES: usize = 1_000;
/// Bytes of what a user says with `-m`, which history keeps and tables show: a few sentences.
pub(crate) const ORDER_MESSAGE_BYTES: usize = 4_096;
