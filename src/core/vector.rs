//! The words of the state vector of a resource, and what is derived from them, in one place.

use serde::{Deserialize, Serialize};

/// Wanted, or removed and not yet deleted on its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// Some version wants it.
    #[default]
    Live,
    /// Removed; it is deleted on its target when nothing requires it any more.
    Tombstone,
    /// No version wants it any more; still known to history, in no index of the scheduler.
    Orphan,
    /// Deleted on its target.
    Deleted,
    /// Wanted by an accepted version, and never released: it has no part in the order, and nothing of it runs.
    Unreleased,
}

/// How the last attempt that reached the target ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastResult {
    /// Never attempted.
    #[default]
    New,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
}

/// What the last attempt saw on the target, when it left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Nothing is known.
    #[default]
    Unknown,
    /// It is as the attempted intent wants it.
    Same,
    /// A difference was found and left (observe mode, or a repair that only reports).
    Differs,
    /// A difference was found by a report that a user asked for. It is left until the next verification, or until a user asks for more.
    Reported,
}

impl Observed {
    /// A difference was found and left.
    pub const fn differs(self) -> bool {
        matches!(self, Self::Differs | Self::Reported)
    }
}

/// Why a resource cannot run at all at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blocked {
    /// It can.
    #[default]
    No,
    /// It, or something it transitively requires, is not completely known.
    Undefined,
    /// It was skipped because something it requires is not good.
    Dependency,
}

/// What is known of a resource against its newest accepted intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Compliance {
    /// Deployed as last written, and no difference seen since.
    Compliant,
    /// The latest intent was never attempted.
    HasUpdate,
    /// Attempted and different.
    NonCompliant,
    /// Not completely known.
    Undefined,
}
