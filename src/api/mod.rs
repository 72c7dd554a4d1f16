//! The objects a user writes: CRD types, their schemas and rules, and the way from an untrusted object to the types of `core`.
//!
//! One validation serves a cluster and an embedded run: [`Checker`] walks an object along the schema of its CRD (rules included), then along
//! the adaptor's schema, and collects every error with its field path. [`manifest`] adds files, lines and columns.
//!
//! Deliberately absent: a client (see `cluster`), webhooks (rules are CEL in the CRDs), defaults that only one of the two ways would apply.

pub mod conditions;
mod crds;
mod duration;
mod environment;
mod executor;
mod field;
mod inputs;
pub(crate) mod limits;
pub mod manifest;
mod names;
mod parse;
mod pointer;
mod resource;
mod rules;
pub mod schema;
mod target;
mod types;

pub use crds::{CrdError, crd_objects, crds};
pub use duration::{Duration, DurationError};
pub use environment::{
    Deploy, Environment, EnvironmentSpec, EnvironmentStatus, Repair, RepairAction, ResourceCounts, Retry, Settle,
    Source, VersionStatus,
};
pub use executor::{
    Executor, ExecutorSpec, ExecutorStatus, PodTemplate, Quantity, Replicas, ResourceAmounts, ResourceRequirements,
    Toleration,
};
pub use field::{FieldError, FieldPath, Part, Segment, closest, did_you_mean};
pub use inputs::{AttributeFrom, FactReference, FileReference, ValueFrom, VariableReference};
pub use names::{DateTime, ObjectName, Reference, Text};
pub use parse::{Checker, CheckerError, ParsedEnvironment, ParsedExecutor, ParsedResource, ParsedTarget};
pub use pointer::put_at;
pub use resource::{DeletionPolicy, Mode, Policy, Resource, ResourceSpec, ResourceStatus};
pub use target::{Connection, ConnectionType, Target, TargetSpec, TargetStatus};
pub use types::Types;

/// The API group of all kinds.
pub const GROUP: &str = "homeostat.dev";
/// The only version.
pub const VERSION: &str = "v1alpha1";
/// What `apiVersion` says.
pub const API_VERSION: &str = "homeostat.dev/v1alpha1";
/// Any new value triggers one deploy of what is not compliant; echoed in `status.lastHandledDeployAt`.
pub const DEPLOY_REQUESTED_AT: &str = "homeostat.dev/deploy-requested-at";
/// Any new value triggers one repair; echoed in `status.lastHandledRepairAt`.
pub const REPAIR_REQUESTED_AT: &str = "homeostat.dev/repair-requested-at";
/// On an Environment: any new value approves once that removals which wait for it are deleted; echoed in `status.lastHandledApprovalAt`.
pub const REMOVALS_APPROVED_AT: &str = "homeostat.dev/removals-approved-at";
/// The pool that exists without an `Executor` object in embedded runs, and that an Environment uses when it names none.
pub const DEFAULT_POOL: &str = "default";
