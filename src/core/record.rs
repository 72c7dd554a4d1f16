//! What is written to history, and what is read back when an environment gets an owner.

use super::{
    AttemptId, DryRunId, ExecutorName, Facts, Grant, Hash, Intent, LastResult, Life, LoadedRow, Name, Observed,
    Operation, Outcome, Reason, RequestId, RequestKind, ResourceId, Scope, Settings, Target, TargetName, Timestamp,
    VersionNumber,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One append to history.
#[derive(Clone, Debug)]
pub enum Record {
    /// A version was accepted.
    Version(VersionRecord),
    /// Work was granted (never that of a dry run: its record is [`Record::DryRunResult`]).
    Grant(ExecutorName, Arc<Grant>),
    /// An attempt ended (also a skip, which has no grant).
    Outcome {
        /// Which resource.
        resource: ResourceId,
        /// How.
        outcome: Outcome,
    },
    /// An executor reported the end of an attempt that had been closed as lost. Nothing follows from it.
    LateResult(Outcome),
    /// A user's request was taken.
    Request(RequestRecord),
    /// A request has been carried out; a suspension has been lifted.
    RequestDone(RequestId, Timestamp),
    /// A dry run was taken.
    DryRun {
        /// Its number.
        id: DryRunId,
        /// Resources in it.
        items: u32,
        /// Who asked.
        author: Name,
        /// When.
        at: Timestamp,
    },
    /// One resource of a dry run has its result.
    DryRunResult {
        /// Of which dry run.
        id: DryRunId,
        /// The resource's name (it may not be accepted yet).
        name: Name,
        /// `create`, `update`, `replace`, `delete`, `none`, `undefined`, `unavailable`.
        result: &'static str,
        /// The difference, or the reason it is not available.
        detail: Name,
    },
    /// The environment's settings changed.
    Settings(Settings),
    /// A target appeared or changed.
    Target(Target),
    /// A target is gone.
    TargetRemoved(Name),
}

/// An accepted change set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRecord {
    /// Its number: the parent's plus one.
    pub number: VersionNumber,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who made it.
    pub author: Name,
    /// Where it came from.
    pub source: Name,
    /// Why.
    pub message: Name,
    /// One entry per changed resource.
    pub intents: Vec<IntentRecord>,
}

/// What a version says of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentRecord {
    /// The resource.
    pub resource: ResourceId,
    /// Its name.
    pub name: Name,
    /// The set it belongs to.
    pub set: Name,
    /// What is wanted; `None` removes it.
    pub intent: Option<Arc<Intent>>,
}

/// The current state of a resource, as stored. Everything else is derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRow {
    /// The resource.
    pub resource: ResourceId,
    /// The set it belongs to.
    pub set: Name,
    /// Its newest released intent; for a tombstone the last one.
    pub intent: Arc<Intent>,
    /// The version that brought it; for a tombstone the one that removed it.
    pub version: VersionNumber,
    /// Live, tombstone, not released yet, or gone.
    pub life: Life,
    /// The tombstone that must be deleted before this one may run; of a tombstone, what takes its place and must be good before it goes.
    pub after: Option<ResourceId>,
    /// The hash of the last attempt that began or may have begun.
    pub attempted: Option<Hash>,
    /// The hash of the last attempt that succeeded.
    pub succeeded: Option<Hash>,
    /// How the last attempt that reached the target ended.
    pub last_result: LastResult,
    /// Skipped since then, because of something it requires.
    pub skipped: bool,
    /// What was seen on the target.
    pub observed: Observed,
    /// Failures in a row.
    pub failures: u32,
    /// When its retry or its next verification is due.
    pub due_at: Option<Timestamp>,
    /// When an attempt last found or made it as wanted.
    pub verified_at: Option<Timestamp>,
    /// When an attempt last changed it.
    pub deployed_at: Option<Timestamp>,
    /// The last attempt that ended with a result or was lost.
    pub last_attempt: Option<AttemptId>,
    /// The last attempt that changed something on the target.
    pub changed_by: Option<AttemptId>,
    /// Why the last attempt failed.
    pub error: Option<Name>,
    /// The difference that was found and left.
    pub drift: Option<Name>,
    /// What the target calls it.
    pub remote_identity: Option<Name>,
    /// What the newest success learned of it.
    pub facts: Facts,
    /// The facts as they were when it was released, where they are others by now and that is not released: a line `resource fact value` each.
    /// `None`: it takes them as they are.
    pub facts_in_force: Option<Name>,
    /// The keyed digest of the secrets that its newest intent takes; `None`: none, or no attempt has reported it yet.
    pub secret_digest: Option<Hash>,
    /// Attributes that were filled from secrets and are no longer: there may still be secrets in the thing. Empty text: anywhere in it.
    pub once_secret: BTreeSet<Name>,
    /// It is to be told to reload.
    pub reload: Option<ReloadDebt>,
    /// An attempt whose result does not count may have changed it: its next success notifies, even if it finds nothing to do.
    pub maybe_changed: bool,
    /// Of a tombstone, or of something whose removal is not released: it may be deleted, however much was removed with it.
    pub removal_approved: bool,
    /// What is accepted of it and not released.
    pub pending: Option<Box<Pending>>,
}

impl ResourceRow {
    /// A live resource that was never attempted.
    pub(crate) fn new(resource: ResourceId, set: Name, intent: Arc<Intent>, version: VersionNumber) -> Self {
        Self {
            resource,
            set,
            intent,
            version,
            life: Life::Live,
            after: None,
            attempted: None,
            succeeded: None,
            last_result: LastResult::New,
            skipped: false,
            observed: Observed::Unknown,
            failures: 0,
            due_at: None,
            verified_at: None,
            deployed_at: None,
            last_attempt: None,
            changed_by: None,
            error: None,
            drift: None,
            remote_identity: None,
            facts: Facts::default(),
            facts_in_force: None,
            secret_digest: None,
            once_secret: BTreeSet::new(),
            reload: None,
            maybe_changed: false,
            removal_approved: false,
            pending: None,
        }
    }
}

/// The newest accepted word on a live resource, while an older one is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The version that brought it.
    pub version: VersionNumber,
    /// The set it belongs to.
    pub set: Name,
    /// The newest intent; where it is removed, the last one.
    pub intent: Arc<Intent>,
    /// That version removes it.
    pub removed: bool,
}

/// Something a resource requires has changed, and the resource has not reloaded since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadDebt {
    /// The requirement that changed.
    pub because: Name,
    /// The last attempt granted when it did: only a later one has been told to reload.
    pub after: AttemptId,
}

/// What an intent is about, whatever its name: two with the same three are one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Where it is.
    pub target: TargetName,
    /// Its type.
    pub kind: Name,
    /// What it is there.
    pub identity: Name,
}

impl Thing {
    /// What the intent is about.
    pub fn of(intent: &Intent) -> Self {
        Self { target: intent.target.clone(), kind: intent.kind.clone(), identity: intent.identity.clone() }
    }
}

/// A grant without an outcome, read back at a takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenGrant {
    /// The attempt.
    pub attempt: AttemptId,
    /// The resource.
    pub resource: ResourceId,
    /// What it works on: nobody else may, also when the resource has been forgotten meanwhile. `None`: no intent of it is kept.
    pub thing: Option<Thing>,
    /// Who has it.
    pub executor: ExecutorName,
    /// What it does.
    pub operation: Operation,
    /// Why.
    pub reason: Reason,
    /// The intent it runs.
    pub hash: Hash,
}

/// A user's request as it was taken. It is open until it is carried out; a suspension, until it is lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Its number.
    pub id: RequestId,
    /// What was asked.
    pub kind: RequestKind,
    /// Of what.
    pub scope: Scope,
    /// Who asked.
    pub author: Name,
    /// When.
    pub at: Timestamp,
    /// The newest attempt then: later ones are made for this order too.
    pub after: AttemptId,
    /// Why, in the author's words.
    pub message: Name,
    /// The [release digest](super::EnvironmentState::release_digest) that it was given for.
    pub digest: Option<Hash>,
}

/// Everything an owner needs to go on.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The newest version.
    pub version: VersionNumber,
    /// The highest attempt number in use.
    pub last_attempt: AttemptId,
    /// The highest resource id in use.
    pub last_resource: Option<ResourceId>,
    /// The highest request number in use.
    pub last_request: RequestId,
    /// The highest dry run number in use.
    pub last_dry_run: DryRunId,
    /// Settings; `None` where none were ever recorded.
    pub settings: Option<Settings>,
    /// Targets.
    pub targets: Vec<Target>,
    /// Live resources, tombstones and what is not released (orphans and deleted ones stay in history).
    pub resources: Vec<LoadedRow>,
    /// Grants without an outcome.
    pub grants: Vec<OpenGrant>,
    /// The newest [`LOST_ATTEMPTS`](super::limits::LOST_ATTEMPTS) attempts that were closed as lost without a late result, and who had them.
    pub lost: Vec<(AttemptId, ExecutorName)>,
    /// Requests that are not done.
    pub requests: Vec<RequestRecord>,
}
