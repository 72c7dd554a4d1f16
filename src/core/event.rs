//! Everything that can happen to an environment.

use super::{
    AttemptId, ExecutorName, Intent, Name, Outcome, Pool, PoolName, SessionNumber, Settings, Target, TargetName,
    VersionNumber, limits,
};
use std::sync::Arc;

/// What `step` takes in.
#[derive(Clone, Debug)]
pub enum Event {
    /// Intent was pushed: manifests, objects, a rollback.
    Push(Push),
    /// Known no more, and left on their targets as they are: objects that vanished without a deletion, hopeless tombstones.
    Forget(Forget),
    /// A user asked for a deploy or a repair, or ordered a suspension, its end, or that work be left alone.
    Request(Request),
    /// A user asked for a dry run.
    DryRun(DryRunRequest),
    /// The environment's settings, as they are now.
    SettingsChanged(Settings),
    /// A target appeared or changed.
    TargetChanged(Target),
    /// A target is gone; what is on it becomes undefined, nothing is deleted.
    TargetRemoved(TargetName),
    /// A pool appeared or changed.
    PoolChanged(Pool),
    /// A pool is gone.
    PoolRemoved(PoolName),
    /// The pool cannot start executors, and why; `None`: it can again.
    PoolUnavailable(PoolName, Option<Name>),
    /// An executor said hello. `holds` are attempts it has not yet reported or whose report was not acknowledged.
    ExecutorConnected {
        /// Who.
        executor: ExecutorName,
        /// Of which pool.
        pool: PoolName,
        /// On which stream. What is granted from now on is for this one.
        session: SessionNumber,
        /// Grants it takes before it has answered some.
        credits: u32,
        /// Attempts it still knows.
        holds: Vec<AttemptId>,
    },
    /// Its stream ended; it may come back within its lease.
    ExecutorDisconnected(ExecutorName),
    /// It has provably ended, or its lease is over: nothing it holds runs any more.
    ExecutorLost(ExecutorName),
    /// The executor began these attempts.
    Begun(ExecutorName, Vec<AttemptId>),
    /// The executor finished an attempt, or gave it back unbegun (`Revoked`).
    Finished(ExecutorName, Outcome),
    /// The executor refuses to give these back: they have begun.
    RevokeRefused(ExecutorName, Vec<AttemptId>),
    /// The owner is there for reports only: it starts nothing else, from now on and for as long as it owns the environment.
    ReportOnly,
    /// Nothing happened but time.
    Tick,
    /// The owner is about to stop: grant nothing any more, take back what has not begun.
    Stop,
}

/// A change set: what some source wants from now on.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// The resource set it belongs to.
    pub set: Name,
    /// Intents to add or change.
    pub upserts: Vec<Arc<Intent>>,
    /// Names to remove, on top of what `prune` removes. One that is also among the upserts was removed and added again: it is new.
    pub removals: Vec<Name>,
    /// Remove everything of the set that is not among the upserts.
    pub prune: bool,
    /// A human has seen what is removed: however much it is, it need not be approved.
    pub approved: bool,
    /// The newest version its author has seen; a push on an older one is refused whole. `None`: whatever the newest one is.
    pub base: Option<VersionNumber>,
    /// Whether one refused intent refuses all.
    pub mode: PushMode,
    /// Who pushed it.
    pub author: Name,
    /// Where it came from: `manifests`, `objects`, `rollback`, …
    pub source: Name,
    /// Why, in the author's words.
    pub message: Name,
}

/// Ends resources without touching their targets. Answered like a push.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Forget {
    /// Live resources or tombstones.
    pub names: Vec<Name>,
    /// Who asked, or noticed.
    pub author: Name,
    /// Why.
    pub message: Name,
}

/// Whether a push stands or falls as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PushMode {
    /// Accepted or refused whole, with all its errors.
    Whole,
    /// Each intent for itself: a refused one keeps its last accepted intent, the others go on.
    Each,
}

/// Why an intent was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The resource.
    pub name: Name,
    /// Why.
    pub kind: RefusalKind,
}

/// The reasons for which an intent is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// It transitively requires itself; the names along the way, the first repeated at the end. One list for all members, however many they are.
    Cycle(Arc<[Name]>),
    /// The push was made on an older version than the newest, which is this one. Said of the push as a whole: the refusal has no name.
    StaleBase(VersionNumber),
    /// What would be released is not what was shown. Said of a request.
    StalePlan,
    /// So many requests wait to be dealt with already. Said of a request.
    TooManyRequests(usize),
    /// The same push names it twice.
    DuplicateName,
    /// Another resource already is this thing on this target.
    DuplicateIdentity(Name),
    /// Its name would become another thing on its target, and its policy is never to replace it.
    Replaces,
    /// It belongs to another resource set.
    OtherSet(Name),
    /// A bound of `limits` is exceeded: what, and the bound.
    TooLarge(&'static str, usize),
}

/// The way around a cycle in words; of a long one the middle is left out.
pub fn cycle_in_words(path: &[Name]) -> String {
    let left_out = path.len().saturating_sub(limits::LISTED_NAMES);
    if left_out <= 1 {
        return path.join(" → ");
    }
    let words = |part: Option<&[Name]>| part.unwrap_or_default().join(" → ");
    let (shown, end) = (path.get(..limits::LISTED_NAMES - 2), path.get(path.len() - 2..));
    format!("{} → … {left_out} more … → {}", words(shown), words(end))
}

/// A user's request for work now.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Request {
    /// What is asked.
    pub kind: RequestKind,
    /// Of what.
    pub scope: Scope,
    /// Who asks.
    pub author: Name,
    /// Why, in the author's words; may be empty.
    pub message: Name,
    /// Only what had this [release digest](super::EnvironmentState::release_digest) is released; refused where that is something else by now.
    #[serde(default)]
    pub digest: Option<super::Hash>,
}

/// What a user can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RequestKind {
    /// Everything that is not compliant.
    Deploy,
    /// Everything.
    Repair,
    /// That nothing new starts, in the environment or on the target of the scope, until it is lifted. The names of the scope say nothing here.
    Suspend,
    /// That a suspension ends: that of the environment, or that of the target of the scope.
    Resume,
    /// That what has not begun is left alone for now.
    Cancel,
    /// Everything that has been deployed is looked at, and nothing is corrected.
    Report,
    /// That removals which wait for an approval are deleted.
    ApproveRemovals,
    /// Their facts as they are now.
    FactRefresh,
}

impl RequestKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Deploy,
        Self::Repair,
        Self::Suspend,
        Self::Resume,
        Self::Cancel,
        Self::Report,
        Self::ApproveRemovals,
        Self::FactRefresh,
    ];

    /// What it is called where people read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Repair => "repair",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Report => "report",
            Self::ApproveRemovals => "approve removals",
            Self::FactRefresh => "refresh facts",
        }
    }

    /// It stays open until work is done; the others are carried out at once, or are in force until they are lifted.
    pub(crate) const fn is_work(self) -> bool {
        matches!(self, Self::Deploy | Self::Repair | Self::Report | Self::FactRefresh)
    }
}

/// Which resources are meant: the intersection of what is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Scope {
    /// Only on this target.
    pub target: Option<TargetName>,
    /// Only these.
    pub names: Option<Vec<Name>>,
}

/// A dry run of intents that may not be accepted yet.
#[derive(Clone, Debug)]
pub struct DryRunRequest {
    /// What to try; of several items of one name, the first.
    pub items: Vec<DryRunItem>,
    /// Who asks.
    pub author: Name,
}

/// One resource of a dry run.
#[derive(Clone, Debug)]
pub struct DryRunItem {
    /// The intent as it would be.
    pub intent: Arc<Intent>,
    /// It would be removed rather than deployed.
    pub removed: bool,
}
