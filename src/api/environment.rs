//! `Environment`: a tenant of its own, with its intent, history, scheduler loop and executors.
//!
//! Deliberately absent until they do something: `protected`, a default `deletionPolicy`.

use super::conditions::Condition;
use super::names::{DateTime, ObjectName, Text};
use super::{Duration, rules};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an environment is and how its work is done.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "homeostat.dev",
    version = "v1alpha1",
    kind = "Environment",
    namespaced,
    status = "EnvironmentStatus",
    derive = "PartialEq",
    shortname = "henv",
    category = "homeostat",
    doc = "A tenant of its own: intent, history, scheduler loop and executors. Nothing depends across environments.",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Resources", type_ = "integer", json_path = ".status.resources.total"),
    printcolumn(name = "Compliant", type_ = "integer", json_path = ".status.resources.compliant"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Accepted", type_ = "integer", json_path = ".status.version.accepted", priority = 1),
    printcolumn(name = "Released", type_ = "integer", json_path = ".status.version.released", priority = 1),
    printcolumn(name = "Deployed", type_ = "integer", json_path = ".status.version.deployed", priority = 1),
    printcolumn(name = "Next-Repair", type_ = "string", json_path = ".status.nextRepair", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentSpec {
    /// Where intent comes from: `Objects` (Resource objects of this namespace) or `Push` (versions pushed over the API). Immutable: one owner
    /// of intent, never two.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = [rules::immutable("source is immutable: intent has one owner; make a new Environment")]))]
    pub source: Source,
    /// Nothing new starts; what runs completes; changes are still accepted.
    #[serde(default)]
    pub suspend: bool,
    /// How changes become versions.
    #[serde(default)]
    pub deploy: Deploy,
    /// How good resources are verified again. Absent: never on their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
    /// What happens after a failed attempt.
    #[serde(default)]
    pub retry: Retry,
    /// How much of the past is kept.
    #[serde(default)]
    pub history: History,
    /// The Executor that targets use when they name none.
    #[serde(default = "default_executor")]
    pub executor: ObjectName,
}

fn default_executor() -> ObjectName {
    super::DEFAULT_POOL.into()
}

impl Default for EnvironmentSpec {
    fn default() -> Self {
        Self {
            source: Source::Objects,
            suspend: false,
            deploy: Deploy::default(),
            repair: None,
            retry: Retry::default(),
            history: History::default(),
            executor: default_executor(),
        }
    }
}

/// Where intent comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Source {
    /// Resource objects.
    #[default]
    Objects,
    /// Versions pushed over the API.
    Push,
}

/// How changes become versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Deploy {
    /// How long edits must rest before they become a version.
    pub settle: Settle,
    /// When a version comes into force: `Automatic`, at once; `Manual`, when a user deploys what it touches. Until then nothing of it runs.
    pub on_change: OnChange,
    /// Attempts that executors may have at once in the whole environment; dry runs are not counted. Absent: as many as its targets take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: Option<u32>,
}

/// When a version comes into force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnChange {
    /// At once.
    #[default]
    Automatic,
    /// When a user deploys what it touches.
    Manual,
}

/// How much of the past is kept. What is wanted now, and what it stands on, is kept whatever its age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// So many of the newest versions: a rollback can go back to them, and no further.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub versions: u32,
    /// Attempts, requests and dry runs, for this long after their end.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("1h", "8784h")]))]
    pub attempts: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self { versions: 1_000, attempts: Duration::from_secs(90 * 24 * 3_600) }
    }
}

/// How long edits must rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::SETTLE_ORDER.json()]))]
pub struct Settle {
    /// Without a further edit for this long.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("0s", "10m")]))]
    pub quiet: Duration,
    /// At the latest this long after the first edit.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("0s", "10m")]))]
    pub max: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(1), max: Duration::from_secs(10) }
    }
}

/// How good resources are verified again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rules::INTERVAL_OR_SCHEDULE.json()]))]
pub struct Repair {
    /// This long after the last verification. Exclusive with `schedule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("1s", "8784h")]))]
    pub interval: Option<Duration>,
    /// At the times of a cron expression (five fields, UTC). Exclusive with `interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 128))]
    pub schedule: Option<String>,
    /// Over how long the work is spread. Absent: over the whole interval; for a schedule not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("0s", "8784h")]))]
    pub jitter: Option<Duration>,
    /// What is done about a difference: `Correct` it, or only `Report` it.
    #[serde(default)]
    pub action: RepairAction,
}

/// What a verification does about a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RepairAction {
    /// Correct it.
    #[default]
    Correct,
    /// Report it and leave it.
    Report,
}

/// Exponential backoff, per resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::RETRY_ORDER.json()]))]
pub struct Retry {
    /// Delay after the first failure.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("10ms", "24h")]))]
    pub base_delay: Duration,
    /// Longest delay.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("10ms", "168h")]))]
    pub max_delay: Duration,
    /// Growth per failure.
    #[schemars(range(min = 1, max = 10))]
    pub factor: u32,
    /// Share of the delay that is taken off at random, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub jitter_percent: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { base_delay: Duration::from_secs(5), max_delay: Duration::from_secs(600), factor: 2, jitter_percent: 20 }
    }
}

/// What is known of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentStatus {
    /// Ready, Reconciling, Stalled, Paused.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation whose acceptance or refusal is in history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionStatus>,
    /// Resources by compliance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceCounts>,
    /// When a resource was last verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_repair: Option<DateTime>,
    /// When the next verification is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_repair: Option<DateTime>,
    /// Who runs its scheduler loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Text>,
    /// The value of `homeostat.dev/deploy-requested-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_deploy_at: Option<Text>,
    /// The value of `homeostat.dev/repair-requested-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_repair_at: Option<Text>,
    /// The value of `homeostat.dev/removals-approved-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_approval_at: Option<Text>,
}

/// Versions of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VersionStatus {
    /// The newest one.
    pub accepted: i64,
    /// The newest one that is in force completely.
    pub released: i64,
    /// The newest one that is in force and deployed completely.
    pub deployed: i64,
}

/// Resources of an environment, by compliance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceCounts {
    /// All that are wanted.
    pub total: i64,
    /// Deployed as last written.
    pub compliant: i64,
    /// Their newest intent was never attempted.
    pub has_update: i64,
    /// Attempted, and different.
    pub non_compliant: i64,
    /// Not completely known.
    pub undefined: i64,
    /// Removed, and not yet deleted on their target.
    pub deleting: i64,
}
