//! One attempt: what is granted to an executor and how it ends.

use super::{AttemptId, Epoch, Facts, Hash, Intent, KnownFact, Name, ResourceId, Timestamp, VersionNumber};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the executor is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Read, diff, apply what differs.
    Enforce,
    /// Read and diff; report what differs (observe mode, repairs that only report).
    Observe,
    /// Read and diff for a dry run; no state changes.
    DryRun,
    /// Delete it on the target, by its recorded identity.
    Delete,
}

/// Why an attempt was made. The order is that of the priorities: first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// A user asked to deploy what is not compliant.
    UserDeploy,
    /// Its intent changed, or it was removed.
    Change,
    /// A user asked to verify.
    UserRepair,
    /// A dry run.
    DryRun,
    /// Its last attempt failed, was lost, or was skipped for a dependency that has recovered.
    Retry,
    /// A user asked for its facts as they are now.
    FactRefresh,
    /// It has not been verified for some time.
    Repair,
    /// A user asked to look at it, and to correct nothing.
    Report,
}

impl Reason {
    /// It is only about what may have changed by itself.
    pub(crate) const fn verifies(self) -> bool {
        matches!(self, Self::UserRepair | Self::Repair) || self.reports()
    }

    /// It only looks, because a user asked, whatever the environment's policy says.
    pub(crate) const fn reports(self) -> bool {
        matches!(self, Self::Report | Self::FactRefresh)
    }
}

/// Work handed to an executor. Committed to history before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its number; the idempotency key of everything that follows from it.
    pub attempt: AttemptId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The resource; `None` in a dry run, whose resources may not be accepted yet.
    pub resource: Option<ResourceId>,
    /// The intent it runs.
    pub intent: Arc<Intent>,
    /// Its hash, with the facts that it takes: by it a stale finish is recognised.
    pub hash: Hash,
    /// Those facts, as far as they are known.
    pub facts: Vec<KnownFact>,
    /// The digest of the secrets that are deployed, where the attempt is to verify them: with others it leaves the target as it is.
    pub secret_digest: Option<Hash>,
    /// Attributes in which secrets may be found, beside those that the intent fills from secrets.
    pub once_secret: BTreeSet<Name>,
    /// The version in which that intent was accepted.
    pub version: VersionNumber,
    /// Why.
    pub reason: Reason,
    /// What to do.
    pub operation: Operation,
    /// How the target is reached: canonical JSON.
    pub connection: Name,
    /// Attempts that may run at once on the target.
    pub concurrency: u32,
    /// What the target called it last time, where that is known.
    pub remote_identity: Option<Name>,
    /// The requirement because of whose change it is told to reload, also where nothing differs.
    pub reload: Option<Name>,
    /// When it was granted.
    pub granted_at: Timestamp,
}

/// What was changed on the target, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Nothing differs.
    None,
    /// It did not exist.
    Create,
    /// It existed and differed.
    Update,
    /// It is deleted and created again.
    Replace,
    /// It is deleted.
    Delete,
}

/// What an executor found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was done, or would be (dry run, observe).
    pub change: Change,
    /// The difference found, for people; bounded, redacted. Empty where nothing differs.
    pub diff: Name,
    /// What the target calls it; `None` leaves what was recorded.
    pub remote_identity: Option<Name>,
    /// What was learned of the thing on its target.
    pub facts: Facts,
    /// The keyed digest of the secrets that were found; never recorded with the outcome.
    pub secret_digest: Option<Hash>,
}

/// How an attempt ended: every grant has exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutcomeKind {
    /// The operation was carried out.
    Succeeded(Finding),
    /// The operation failed; the target may have been changed.
    Failed {
        /// What, where, why and what to do next; bounded.
        message: Name,
        /// What was known of the change when it failed.
        finding: Option<Finding>,
    },
    /// Taken back before it began.
    Revoked,
    /// The executor ended without a result.
    Lost,
    /// Never sent: something it requires is not good.
    Skipped {
        /// The first such requirement.
        because: Name,
    },
}

/// An attempt's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which attempt.
    pub attempt: AttemptId,
    /// When the executor began it; `None` where it never began.
    pub began_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub kind: OutcomeKind,
    /// What its adaptor said while it worked, line by line, for people; bounded, redacted. Nothing is decided by it.
    pub log: Option<Name>,
}

impl Finding {
    /// A finding without difference.
    pub fn same() -> Self {
        Self {
            change: Change::None,
            diff: "".into(),
            remote_identity: None,
            facts: Facts::default(),
            secret_digest: None,
        }
    }
}
