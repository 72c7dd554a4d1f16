//! Names and numbers that identify things. Numbers are dense and per environment; names are the user's.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A name as the user wrote it, shared instead of copied.
pub type Name = Arc<str>;
/// The name of a `Target` object.
pub type TargetName = Name;
/// The name of an `Executor` object, which describes a pool of executor processes.
pub type PoolName = Name;
/// One executor process: the pod's UID in a cluster, a random id for a child process.
pub type ExecutorName = Name;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A resource or a tombstone of one environment; the index into the scheduler's tables. Never reused.
    ResourceId(u32)
}
number! {
    /// One attempt (a grant, or a skip decided by the scheduler), numbered 1, 2, 3 … per environment.
    AttemptId(u64)
}
number! {
    /// A version of an environment's intent, gap-free from 1; 0 is the empty environment.
    VersionNumber(u64)
}
number! {
    /// The fencing number of an environment's owner; every takeover raises it.
    Epoch(u64)
}
number! {
    /// One stream of one executor. Its endpoint numbers them, from 1, and no two alike; 0 is none.
    SessionNumber(u64)
}
number! {
    /// A request of a user (deploy, repair), per environment.
    RequestId(u64)
}
number! {
    /// A dry run, per environment.
    DryRunId(u64)
}
