//! The record of intent and attempts: the [`Store`] contract, PostgreSQL, and its twin in memory.
//!
//! Both implementations pass one conformance suite (`conformance.rs`). The contract:
//!
//! 1. **Fencing.** Every write names a [`Fence`]. [`Store::commit`] first locks the environment's row and compares the epoch; a taken-over owner
//!    gets [`HistoryError::Fenced`] and has written nothing. So does one who has released the environment: a release raises the epoch too.
//! 2. **Atomic.** A [`Batch`] is in history whole or not at all, in the order of its records.
//! 3. **Idempotent.** A batch that was committed is recognised by its number and not written again, so that a commit whose reply was lost
//!    is settled by committing it again. A number that skips one is refused: something before it was never committed.
//! 4. **Append-only.** Versions, intents, grants, outcomes and dry run results are never changed: refused by privilege and by trigger.
//! 5. **Gap-free.** A version's number is the environment's counter plus one, else the batch is refused.
//! 6. **Once.** An attempt is granted once and has one outcome; a second one is refused. Beside it, it may have one late
//!    result ([`Record::LateResult`]).
//! 7. **Current rows repeat nothing.** A [`ResourceRow`]'s intent is the one that its version recorded, so only the version is stored.
//! 8. **Never back.** A database that lost commits it had acknowledged (a replica that lagged behind, a restored backup) is found out by the next
//!    commit or probe of the owner ([`HistoryError::Lost`]), who commits again what is missing; and no epoch or attempt number that a store has
//!    given is given by it again.
//! 9. **Clear refusals.** A [`HistoryError::Refused`] batch can never be committed and says what is wrong with which record; every other error of a
//!    commit leaves it open whether it was committed, and the same batch is committed again.

mod batch_check;
#[cfg(test)]
mod conformance;
mod floors;
mod limits;
pub mod memory;
pub(crate) mod mending;
pub mod postgres;
pub mod private_server;
#[cfg(test)]
pub(crate) mod test_database;

use crate::core::{
    AttemptId, DryRunId, Epoch, IntentRecord, Name, Operation, Outcome, Reason, Record, RequestId, RequestRecord,
    ResourceRow, Retention, Snapshot, Timestamp, VersionNumber,
};
use async_trait::async_trait;

/// Proof of ownership, carried by every write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The environment's number in history.
    pub environment: i64,
    /// Its name.
    pub name: Name,
    /// The epoch that was taken.
    pub epoch: Epoch,
    /// Drawn when it was taken. Where a database lost a take, the next taker is given the same epoch; the claim tells the two apart.
    pub claim: i64,
}

/// What one group commit writes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// 1, 2, 3 … per epoch, without a gap: the idempotency key.
    pub number: u64,
    /// Appends, in order.
    pub records: Vec<Record>,
    /// Current rows to replace, each resource once.
    pub rows: Vec<ResourceRow>,
}

impl Batch {
    /// Nothing would be written but its number.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.rows.is_empty()
    }
}

/// Who wants to own an environment.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Unique per process run: the pod's UID, or a random id.
    pub id: Name,
    /// For people: host and process id, or the pod's name.
    pub description: Name,
    /// How long the lease holds without renewal, in milliseconds. Expiry is judged by the database's clock.
    pub lease_ms: u64,
}

/// The record of intent and attempts.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes `owner` the owner of the environment, created if new, and raises its epoch.
    /// Refused with [`HistoryError::Held`] while another owner's lease runs, unless that owner is in `ended`: ids that have provably ended.
    async fn take(&self, environment: &str, owner: &Owner, ended: &[Name]) -> Result<Fence, HistoryError>;
    /// Renews the lease of a process for all its environments.
    async fn renew(&self, owner: &Owner) -> Result<(), HistoryError>;
    /// Gives the environment up, so that the next owner need not wait. From then on the fence is worth nothing.
    async fn release(&self, fence: &Fence) -> Result<(), HistoryError>;
    /// Reads what an owner needs to go on.
    async fn load(&self, fence: &Fence) -> Result<Snapshot, HistoryError>;
    /// Commits one batch.
    async fn commit(&self, fence: &Fence, batch: &Batch) -> Result<(), HistoryError>;
    /// Says what [`Store::commit`] would answer, and writes nothing. An empty batch of the next number asks whether everything acknowledged is still there.
    async fn probe(&self, fence: &Fence, batch: &Batch) -> Result<(), HistoryError>;
    /// Deletes everything known of an environment (its history too); fenced.
    async fn forget_environment(&self, fence: &Fence) -> Result<(), HistoryError>;

    /// Drops some of what retention does not keep, the oldest first; fenced. Answers how many rows: 0 says that nothing is left to drop.
    async fn trim(&self, fence: &Fence, retention: Retention, now: Timestamp) -> Result<u64, HistoryError>;

    /// Who owns the environment, for people; `None`: nobody whose lease runs.
    async fn owner(&self, environment: &str) -> Result<Option<String>, HistoryError>;
    /// Names of all environments, sorted.
    async fn environments(&self) -> Result<Vec<Name>, HistoryError>;
    /// What an owner would load, read without owning: for `status`, `show`, `why`. `None`: no such environment.
    async fn peek(&self, environment: &str) -> Result<Option<Snapshot>, HistoryError>;
    /// The newest versions first, at most `limit`, below `before` where given.
    async fn versions(
        &self,
        environment: &str,
        before: Option<VersionNumber>,
        limit: u32,
    ) -> Result<Vec<VersionSummary>, HistoryError>;
    /// The oldest version that is kept; version 0 where there is none.
    async fn oldest_version(&self, environment: &str) -> Result<VersionNumber, HistoryError>;
    /// The complete content of a version: every resource it wants, by resource number; nothing for version 0. `None`: no such version, or it is
    /// no longer kept.
    async fn intents_at(
        &self,
        environment: &str,
        version: VersionNumber,
    ) -> Result<Option<Vec<IntentRecord>>, HistoryError>;
    /// The newest attempts first, of whatever ever had one of these names or of all, at most `limit`, below `before` where given.
    async fn attempts(
        &self,
        environment: &str,
        names: Option<&[Name]>,
        before: Option<AttemptId>,
        limit: u32,
    ) -> Result<Vec<AttemptSummary>, HistoryError>;
    /// The newest requests first, at most `limit`, below `before` where given.
    async fn requests(
        &self,
        environment: &str,
        before: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestSummary>, HistoryError>;
    /// The results of a dry run, by name.
    async fn dry_run(&self, environment: &str, id: DryRunId) -> Result<Vec<DryRunResult>, HistoryError>;
}

/// One line of `homeostat history`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionSummary {
    /// Its number.
    pub number: VersionNumber,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who made it.
    pub author: Name,
    /// Where it came from.
    pub source: Name,
    /// Why.
    pub message: Name,
    /// Resources it added or changed.
    pub upserts: u32,
    /// Resources it removed.
    pub removals: u32,
}

/// One attempt, granted or skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptSummary {
    /// Its number.
    pub attempt: AttemptId,
    /// The resource's name.
    pub name: Name,
    /// The version it ran (`None` for a skip).
    pub version: Option<VersionNumber>,
    /// Why (`None` for a skip).
    pub reason: Option<Reason>,
    /// What it did (`None` for a skip).
    pub operation: Option<Operation>,
    /// Who ran it.
    pub executor: Option<Name>,
    /// The requirement because of whose change it was told to reload.
    pub reload: Option<Name>,
    /// When it was granted.
    pub granted_at: Option<Timestamp>,
    /// How it ended; `None` while it is open.
    pub outcome: Option<Outcome>,
    /// What its executor reported after the attempt had been closed as lost; nothing followed from it.
    pub late: Option<Outcome>,
}

impl AttemptSummary {
    /// When it ended; `None` while it is open.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.outcome.as_ref().map(|outcome| outcome.finished_at)
    }
}

/// What somebody ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSummary {
    /// The order itself.
    pub order: RequestRecord,
    /// When it was carried out, or lifted; `None` until then.
    pub done_at: Option<Timestamp>,
}

/// One resource of a dry run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRunResult {
    /// The resource's name.
    pub name: Name,
    /// `create`, `update`, `replace`, `delete`, `none`, `undefined`, `unavailable`.
    pub result: Name,
    /// The difference, or the reason it is not available.
    pub detail: Name,
}

/// What can go wrong with history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Another owner's lease runs.
    #[error(
        "environment {environment} is held by {holder}, whose lease ends in {} s unless it is renewed; \
         wait until that process has ended, or give the order where it runs",
        remaining_ms.div_ceil(1_000)
    )]
    Held {
        /// Which environment.
        environment: String,
        /// Who holds it, for people.
        holder: String,
        /// Milliseconds left.
        remaining_ms: u64,
    },
    /// The epoch is no longer ours; nothing was written.
    #[error("ownership was taken over (epoch {epoch}); nothing was written")]
    Fenced {
        /// The epoch we had.
        epoch: Epoch,
    },
    /// Commits that were acknowledged are not there any more.
    #[error(
        "the database has lost commits that it had acknowledged: {found}. Was it restored, or failed over to a replica that lagged behind?"
    )]
    Lost {
        /// The last batch of this epoch that is there; `None` where even the take is not.
        last: Option<u64>,
        /// The same for people.
        found: String,
    },
    /// A row can never be stored.
    #[error("history cannot store this batch: {reason}")]
    Refused {
        /// What the store said.
        reason: String,
    },
    /// The store is away, or the call timed out; try again.
    #[error("history is not available while {doing}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema is not one this release knows.
    #[error("the database schema is at {found}, this release needs {needed}: {advice}")]
    Schema {
        /// What was found.
        found: String,
        /// What is needed.
        needed: String,
        /// What to do.
        advice: String,
    },
}
