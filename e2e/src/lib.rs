//! What the scenarios on a real Kubernetes are written with: apply manifests, await conditions, read history, kill processes.
//!
//! The cluster is already up and the operator installed: `e2e/run` does both
//! and starts the test binaries in the cluster's network. Everything here is what a user has: `kubectl`, watches, SQL. Deliberately absent: the
//! operator's own types (a scenario sees objects as JSON, so that a renamed field fails it), and sleeping: every wait is for a condition, with a
//! deadline, and says what it still lacked when the deadline came.

pub mod cluster;
pub mod conditions;
pub mod control_plane;
pub mod failure;
pub mod folder;
pub mod history;
pub mod processes;
pub mod report;
pub mod scenario;
pub mod watch;

pub use cluster::Cluster;
pub use failure::{Failure, Outcome};
pub use folder::Folder;
pub use scenario::{Scenario, run};
