//! What the outside may see of an environment: rows with what is derived from them, counts, and why something does not run.

use super::{
    AttemptId, Blocked, Compliance, ExecutorName, Life, Name, Operation, Reason, ResourceRow, Suspension, TargetName,
    Timestamp, VersionNumber, rfc3339,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One resource or tombstone as it stands.
#[derive(Clone, Debug)]
pub struct ResourceView {
    /// What is stored.
    pub row: ResourceRow,
    /// What is known of it against its latest intent.
    pub compliance: Compliance,
    /// Compliant, and not skipped since: others may rely on it.
    pub good: bool,
    /// Why it cannot run at all.
    pub blocked: Blocked,
    /// It waits for its turn, for this reason.
    pub queued: Option<Reason>,
    /// The attempt that an executor has.
    pub running: Option<Running>,
}

impl ResourceView {
    /// Something accepted that was never released.
    pub(super) fn new_unreleased(row: &ResourceRow) -> Self {
        let (compliance, blocked) = (Compliance::HasUpdate, Blocked::No);
        Self { row: row.clone(), compliance, good: false, blocked, queued: None, running: None }
    }

    /// The version whose word on it waits for its release.
    pub fn unreleased(&self) -> Option<VersionNumber> {
        let new = Some(self.row.version).filter(|_| self.row.life == Life::Unreleased);
        self.row.pending.as_ref().map(|pending| pending.version).or(new)
    }
}

/// An attempt in an executor's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// Its number.
    pub attempt: AttemptId,
    /// Who has it.
    pub executor: ExecutorName,
    /// What it does.
    pub operation: Operation,
    /// Whether the executor said that it began.
    pub begun: bool,
    /// Whoever owned the environment has ended without a word on it, and nobody owns it now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// How many resources are in which state. Each live resource is counted once, tombstones apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Live resources.
    pub total: u32,
    /// Good.
    pub compliant: u32,
    /// Latest intent not attempted yet.
    pub updating: u32,
    /// Their newest intent, or their removal, waits for its release.
    #[serde(skip_serializing_if = "is_none", default)]
    pub unreleased: u32,
    /// The last attempt failed.
    pub failed: u32,
    /// Skipped for a dependency.
    pub skipped: u32,
    /// A difference was found and left.
    pub drifted: u32,
    /// Not completely known.
    pub undefined: u32,
    /// Being deleted on their targets.
    pub tombstones: u32,
    /// Of all these: queued.
    pub queued: u32,
    /// Of all these: in an executor's hands.
    pub running: u32,
}

/// Most environments release what they accept.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_none(count: &u32) -> bool {
    *count == 0
}

/// How far the newest versions have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// The newest one.
    pub accepted: VersionNumber,
    /// The newest one that is in force completely.
    pub released: VersionNumber,
    /// The newest one that is in force and deployed completely.
    pub deployed: VersionNumber,
}

/// A typed reason why a resource does not start, or that it need not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "hold")]
pub enum Hold {
    /// It is as wanted; the next verification, where one is planned.
    Good {
        /// When.
        #[serde(with = "rfc3339::optional")]
        next_repair: Option<Timestamp>,
    },
    /// Its newest intent, or its removal, is accepted and comes into force when a user deploys it.
    Release {
        /// The version that brought it.
        version: VersionNumber,
        /// It is removed.
        removal: bool,
    },
    /// A fact that it takes has become another by itself, and comes into force when a user deploys it.
    FactRelease {
        /// What it is a fact of.
        name: Name,
        /// Which.
        fact: Name,
    },
    /// Its newest intent is accepted, and makes a name another thing on its target as soon as a user approves that.
    ReplaceApproval {
        /// Which name: its own, or one that cannot be released apart from it.
        name: Name,
        /// The version that brought it.
        version: VersionNumber,
    },
    /// An executor has it.
    Running(Running),
    /// The owner is stopping.
    Stopping,
    /// The owner is there for a report, and starts nothing else.
    ReportOnly,
    /// It was removed, and is protected: it is never deleted.
    Protected,
    /// Much was removed at once, and nobody has approved that it is deleted.
    RemovalApproval {
        /// How many deletes wait together.
        removals: usize,
    },
    /// The environment's settings say that it is suspended.
    EnvironmentSuspended,
    /// A user has suspended the environment, or its target.
    Suspended(Suspension),
    /// The settings of its target say that it is suspended.
    TargetSuspended {
        /// Which.
        target: TargetName,
    },
    /// Its target does not exist.
    TargetMissing {
        /// Which.
        target: TargetName,
    },
    /// It requires a name that does not exist.
    RequirementMissing {
        /// Which.
        name: Name,
    },
    /// It requires something that is accepted and was never released.
    RequirementUnreleased {
        /// Which.
        name: Name,
    },
    /// Something it requires is undefined.
    RequirementUndefined {
        /// Which.
        name: Name,
    },
    /// It takes a fact that is not known.
    FactUnknown {
        /// Of which resource.
        name: Name,
        /// Which.
        fact: Name,
        /// What the resource, which is as declared, has reported instead; `None`: it has not been deployed as declared yet.
        reported: Option<Vec<Name>>,
    },
    /// Something it requires is queued or running.
    RequirementBusy {
        /// Which.
        name: Name,
    },
    /// Something it requires is not good.
    RequirementNotGood {
        /// Which.
        name: Name,
        /// Its error, where it failed.
        error: Option<Name>,
    },
    /// A tombstone of the same name or identity must be deleted first.
    TombstoneFirst {
        /// Which.
        name: Name,
    },
    /// It was replaced, and stays until what replaces it is good.
    SuccessorFirst {
        /// Which.
        name: Name,
    },
    /// An attempt from before it was forgotten still works on the same thing.
    ForgottenRuns,
    /// It is to be deleted, and these still require it.
    RequiredBy {
        /// The first of them, sorted.
        names: Vec<Name>,
    },
    /// Grants of resources that require it are being taken back.
    DependentsYielding,
    /// No executor of its pool is connected; the pool's message, where it has one.
    ExecutorUnavailable {
        /// Which pool.
        pool: Name,
        /// Why it has none.
        message: Option<Name>,
    },
    /// Its target is closed to such work at present.
    OutsideWindow {
        /// Which.
        target: TargetName,
        /// Which of its windows is closed.
        window: WindowKind,
        /// When it opens; `None`: never.
        #[serde(with = "rfc3339::optional")]
        opens_at: Option<Timestamp>,
    },
    /// As many attempts are in flight as the environment allows.
    InFlight {
        /// So many.
        most: u32,
    },
    /// Its target's rate is used up.
    Rate {
        /// Which.
        target: TargetName,
        /// Until when.
        #[serde(with = "rfc3339::optional")]
        until: Option<Timestamp>,
    },
    /// Its target runs as many attempts as it may.
    Concurrency {
        /// Which.
        target: TargetName,
        /// How many are there before it.
        ahead: u32,
    },
    /// Its last attempt failed; when it is tried again.
    RetryAt {
        /// When.
        #[serde(with = "rfc3339::optional")]
        at: Option<Timestamp>,
        /// Why it failed.
        error: Option<Name>,
    },
    /// A user has cancelled its work; it comes again.
    Cancelled {
        /// When.
        #[serde(with = "rfc3339")]
        until: Timestamp,
    },
    /// A difference was found and left: the policy says so, or it was found by a report.
    Drifted,
}

/// The two kinds of windows a target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WindowKind {
    /// For changes.
    Deploy,
    /// For verifications.
    Repair,
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deploy => "deploy",
            Self::Repair => "repair",
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release { version, removal } => {
                let what = if *removal { "its removal" } else { "its newest intent" };
                write!(f, "{what} (version {version}) waits for release: it comes into force when a user deploys it")
            }
            Self::FactRelease { name, fact } => write!(
                f,
                "fact {fact} of {name}, which it takes, has changed, and waits for release: it comes into force when a user deploys it"
            ),
            Self::ReplaceApproval { name, version } => write!(
                f,
                "its newest intent (version {version}) waits for an approval: {name} would be deleted, and made as another thing"
            ),
            Self::Good { .. } => f.write_str("it is as declared; nothing to do"),
            Self::Running(run) if run.interrupted => {
                write!(f, "attempt {} was interrupted: what it did is not recorded", run.attempt)
            }
            Self::Running(run) if run.begun => write!(f, "attempt {} runs on executor {}", run.attempt, run.executor),
            Self::Running(run) => {
                write!(f, "attempt {} is granted to executor {} and has not begun", run.attempt, run.executor)
            }
            Self::Protected => f.write_str("it was removed and is protected: it is never deleted on its target"),
            Self::RemovalApproval { removals } => {
                write!(f, "its deletion waits for an approval: {removals} resources were removed at once")
            }
            Self::Stopping => f.write_str("the scheduler is stopping"),
            Self::ReportOnly => f.write_str("this run only reports"),
            Self::EnvironmentSuspended => f.write_str("the environment is suspended"),
            Self::Suspended(by) => by.fmt(f),
            Self::TargetSuspended { target } => write!(f, "target {target} is suspended"),
            Self::TargetMissing { target } => write!(f, "target {target} does not exist"),
            Self::RequirementMissing { name } => write!(f, "it requires {name}, which does not exist"),
            Self::RequirementUnreleased { name } => write!(f, "it requires {name}, which waits for release"),
            Self::RequirementUndefined { name } => write!(f, "it requires {name}, which is undefined"),
            Self::FactUnknown { name, fact, reported: None } => {
                write!(f, "it waits for fact {fact} of {name}, which is known when {name} is deployed")
            }
            Self::FactUnknown { name, fact, reported: Some(reported) } if reported.is_empty() => {
                write!(f, "it waits for fact {fact} of {name}, which reports no facts")
            }
            Self::FactUnknown { name, fact, reported: Some(reported) } => {
                write!(f, "it waits for fact {fact} of {name}, which reports only {}", reported.join(", "))
            }
            Self::RequirementBusy { name } => write!(f, "it waits for {name}, which is queued or running"),
            Self::RequirementNotGood { name, error: Some(error) } => {
                write!(f, "it requires {name}, which failed: {error}")
            }
            Self::RequirementNotGood { name, error: None } => write!(f, "it requires {name}, which is not compliant"),
            Self::TombstoneFirst { name } => write!(f, "the earlier {name} must be deleted on its target first"),
            Self::SuccessorFirst { name } => {
                write!(f, "it was replaced, and stays until the new {name} is as declared")
            }
            Self::ForgottenRuns => f.write_str("an attempt from before it was forgotten still works on the same thing"),
            Self::RequiredBy { names } => {
                write!(f, "it is to be deleted, and is still required by {}", names.join(", "))
            }
            Self::DependentsYielding => f.write_str("grants of resources that require it are being taken back"),
            Self::ExecutorUnavailable { pool, message: Some(message) } => {
                write!(f, "pool {pool} has no executor: {message}")
            }
            Self::ExecutorUnavailable { pool, message: None } => write!(f, "no executor of pool {pool} is connected"),
            Self::OutsideWindow { target, window, opens_at: Some(_) } => {
                write!(f, "target {target} is outside its {window} windows")
            }
            Self::OutsideWindow { target, window, opens_at: None } => {
                write!(f, "target {target} has no {window} window that ever opens")
            }
            Self::InFlight { most } => write!(f, "{most} attempts are in flight, as many as the environment allows"),
            Self::Rate { target, .. } => write!(f, "the rate limit of target {target} is used up"),
            Self::Concurrency { target, ahead } => write!(f, "target {target} is busy; {ahead} before it"),
            Self::RetryAt { error: Some(error), .. } => write!(f, "its last attempt failed: {error}"),
            Self::RetryAt { error: None, .. } => f.write_str("its last attempt was lost"),
            Self::Cancelled { .. } => f.write_str("its work was cancelled"),
            Self::Drifted => f.write_str("it differs from its intent, and was left as it is"),
        }
    }
}

/// `ana suspended target web: a new disk`.
impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => write!(f, "{} suspended target {target}", self.author)?,
            None => write!(f, "{} suspended the environment", self.author)?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}
