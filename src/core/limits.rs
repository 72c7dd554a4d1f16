//! Every bound of the system, with its unit and its reason.

/// How long one attempt may take when nothing else is said, in milliseconds. Ten minutes covers a package installation.
pub const DEFAULT_DEADLINE_MS: u64 = 600_000;
/// Grants sent to a target ahead of its concurrency, so that an executor never waits for a commit.
pub const GRANTS_AHEAD: u32 = 256;
/// Bytes of one error message kept from an executor; the rest is cut with a mark.
pub const MESSAGE_BYTES: usize = 4_096;
/// Bytes of one diff kept from an executor; the rest is cut with a mark.
pub const DIFF_BYTES: usize = 65_536;
/// Bytes of one remote identity. Longer ones are refused.
pub const IDENTITY_BYTES: usize = 4_096;
/// Bytes of the attributes of one resource: a Kubernetes object cannot be larger either.
pub const ATTRIBUTES_BYTES: usize = 1_048_576;
/// Names in one `requires` list.
pub const REQUIRES: usize = 1_024;
/// Names a refusal or a `why` lists before it says "and N more".
pub const LISTED_NAMES: usize = 20;
/// Events a scheduler takes in before senders wait.
pub const INBOX_EVENTS: usize = 4_096;
/// Events stepped into one group commit before it is handed to the writer.
pub const EVENTS_PER_COMMIT: usize = 1_024;
/// Messages per batch on the executor stream.
pub const BATCH_MESSAGES: usize = 512;
/// Longest backoff exponent; beyond it the delay has long been capped.
pub const RETRY_EXPONENT: u32 = 32;
