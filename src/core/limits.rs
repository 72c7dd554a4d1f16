//! The bounds that the brain and its edges agree on, each with its unit and its reason. One that a room alone must know stands in its own `limits.rs`.

/// How long one attempt may take when nothing else is said, in milliseconds. Ten minutes covers a package installation.
pub const DEFAULT_DEADLINE_MS: u64 = 600_000;
/// Grants sent to a target ahead of its concurrency, so that an executor never waits for a commit.
pub const GRANTS_AHEAD: u32 = 256;
/// Half of an executor's credits are for what its targets can run at once; of what is left of the other half one target takes at most one in so many
/// ahead. Eight targets with much to do have a hundred each, and those that hang never take all.
pub const LEAD_SHARE: u32 = 8;
/// Bytes of one error message kept from an executor; the rest is cut with a mark.
pub const MESSAGE_BYTES: usize = 4_096;
/// Bytes of one diff kept from an executor; the rest is cut with a mark.
pub const DIFF_BYTES: usize = 65_536;
/// Bytes of what an adaptor said in one attempt that are kept: its end, where mistakes show. What came before is counted.
pub const LOG_BYTES: usize = 16_384;
/// Lines of it.
pub const LOG_LINES: usize = 200;
/// Bytes of one of them; the rest is cut with a mark.
pub const LOG_LINE_BYTES: usize = 1_024;
/// Bytes of one remote identity. Longer ones are refused.
pub const IDENTITY_BYTES: usize = 4_096;
/// Facts that one attempt may report; more are left out.
pub const FACTS: usize = 64;
/// Bytes of all of them, names included: addresses and ids, not documents.
pub const FACTS_BYTES: usize = 16_384;
/// Bytes of the name of a fact.
pub const FACT_NAME_BYTES: usize = 64;
/// Attempts closed as lost that are remembered, so that what their executors report later is kept: those of hundreds of executors.
pub const LOST_ATTEMPTS: usize = 65_536;
/// Attributes of one resource that are filled from elsewhere, and values in the format of one.
pub const INPUTS: usize = 64;
/// Attributes of one thing of which is remembered that there were secrets in them; with more of them, all of the thing is hidden.
pub const ONCE_SECRET: usize = 16;
/// Requests for work that may wait to be dealt with; each remembers what it covers. One that waits for nothing that another does not wait for too makes
/// room for the next. As many dry runs may be open.
pub const OPEN_REQUESTS: usize = 256;
/// Bytes of the attributes of one resource: a Kubernetes object cannot be larger either.
pub const ATTRIBUTES_BYTES: usize = 1_048_576;
/// Names in one `requires` list.
pub const REQUIRES: usize = 1_024;
/// Names a refusal or a `why` lists before it says "and N more".
pub const LISTED_NAMES: usize = 20;
/// A clock that was set back by so many milliseconds is reason to look at every timer again; less only delays them by as much.
pub const CLOCK_STEP_MS: u64 = 10_000;
/// Events a scheduler takes in before senders wait.
pub const INBOX_EVENTS: usize = 4_096;
/// Events stepped into one group commit before it is handed to the writer.
pub const EVENTS_PER_COMMIT: usize = 1_024;
/// Starts of a cron expression that are remembered.
pub const STARTS_REMEMBERED: usize = 64;
/// Resources that one step looks at; what is left waits for the next one. A few milliseconds, so that no event waits long for another.
pub const RESOURCES_PER_STEP: usize = 4_096;
/// The part of them that is little: so many dependents are told at once, and so much at least goes to dry runs, beside all else.
pub const SMALL_SHARE: usize = 8;
/// Messages per batch on the executor stream.
pub const BATCH_MESSAGES: usize = 512;
/// Longest backoff exponent; beyond it the delay has long been capped.
pub const RETRY_EXPONENT: u32 = 32;
/// Bytes of grants or results in one batch on the executor stream; one larger item travels alone.
pub const BATCH_BYTES: usize = 1_048_576;
/// Bytes of one message on the executor stream: a batch, and one item more.
pub const STREAM_MESSAGE_BYTES: usize = 8 * 1_048_576;
/// So many removals need no approval, however small the environment is.
pub const REMOVALS: usize = 10;
/// So many percent of an environment need none either.
pub const REMOVALS_PERCENT: usize = 10;
/// Of so many starts on a target, one goes to what has waited longest there, whatever its priority; so does one of so many turns of targets that share room.
pub const STARTS_PER_AGED: u64 = 16;
/// Grants an executor takes before it has answered some: a tenth of a second of the fastest work, and 4 GiB of the largest.
pub const CREDITS: u32 = 4_096;
/// Grants an executor may say it still holds when it comes back: its credits, and what it answered but was not acknowledged.
pub const HOLDS: usize = 65_536;
/// Bytes of a name that an executor gives itself, its pool or its environment: a Kubernetes object's name is no longer.
pub const NAME_BYTES: usize = 253;
/// Types one executor may announce.
pub const EXECUTOR_TYPES: usize = 1_024;
/// Both sides of an executor stream say something at least this often, in milliseconds.
pub const HEARTBEAT_MS: u32 = 3_000;
/// An executor whose owner has not answered for so long cancels its work, in milliseconds.
pub const LEASE_MS: u32 = 30_000;
/// What the owner waits beyond the lease before it gives work away, in milliseconds: 5 % for clocks that drift, and the time it takes to cancel.
pub const LEASE_MARGIN_MS: u32 = 15_000;
/// How long cancelled work may take to end before the executor gives its process up, in milliseconds.
pub const CANCEL_GRACE_MS: u64 = 10_000;
/// Bytes of one manifest file: ten thousand resources of a few hundred bytes fit many times.
pub const MANIFEST_FILE_BYTES: usize = 64 * 1_048_576;
/// Bytes of one document in a manifest: what a Kubernetes object may have, and indentation.
pub const MANIFEST_DOCUMENT_BYTES: usize = 3 * 1_048_576;
/// Values in one document, aliases replaced: bounds what anchors can make of a few bytes.
pub const MANIFEST_NODES: usize = 200_000;
/// Nesting of a document; attributes have a lower bound of their own, reported with their path.
pub const MANIFEST_DEPTH: usize = 100;
/// Manifest files of one run.
pub const MANIFEST_FILES: usize = 100_000;
/// Nesting of folders with manifests; ends loops of symbolic links.
pub const MANIFEST_FOLDERS_DEEP: usize = 16;
