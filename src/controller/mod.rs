//! Kubernetes in: from watched objects to the schedulers, and from their commits to status.
//!
//! ```text
//! watch ─► index ─► environment (one task each) ─► scheduler
//!                        │  ▲                          │
//!          cluster ◄─────┘  └──────── commits ◄────────┘
//! ```
//!
//! - [`watch`], [`seen`], [`index`]: what was last seen, by environment.
//! - [`environment`]: the task, and [`supervisor`], which keeps one per environment.
//! - [`book`], [`settle`], [`conditions`], [`resource_status`], [`object_status`]: its decisions, pure, tested without a cluster.
//!
//! **Architecture invariant:** absence never deletes. Only an object that was seen with a deletion timestamp is removed from an environment.

pub mod book;
pub mod conditions;
pub mod environment;
pub mod index;
pub(crate) mod limits;
pub mod object_status;
pub mod resource_status;
pub mod seen;
pub mod settle;
pub mod supervisor;
pub mod watch;

pub use environment::{EnvironmentLoop, Shared};
pub use index::Index;
pub use seen::Kind;
