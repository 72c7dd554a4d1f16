//! `Target`: what resources are deployed on, and how it is reached.
//!
//! Deliberately absent until they do something: the connections `ssh` and `http`.

use super::conditions::Condition;
use super::names::{ObjectName, Reference, Text};
use super::{Duration, rules};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A host, a device, an API.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "homeostat.dev",
    version = "v1alpha1",
    kind = "Target",
    namespaced,
    status = "TargetStatus",
    derive = "PartialEq",
    shortname = "htgt",
    category = "homeostat",
    doc = "What resources are deployed on: a host, a device, an API.",
    selectable = ".spec.environmentRef.name",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.connection.type"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environmentRef.name", priority = 1),
    printcolumn(name = "Executor", type_ = "string", json_path = ".spec.executorRef.name", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TargetSpec {
    /// The Environment it belongs to. Immutable, so that one scheduler loop sees all its work.
    #[schemars(extend("x-kubernetes-validations" = [rules::immutable("environmentRef is immutable: one scheduler loop sees all work of a target; make a new Target")]))]
    pub environment_ref: Reference,
    /// How it is reached.
    pub connection: Connection,
    /// The Executor whose pods reach it. Absent: the Environment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_ref: Option<Reference>,
    /// Attempts that run on it at once. 1 means in order.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: u32,
    /// Nothing new starts on it.
    #[serde(default)]
    pub suspend: bool,
    /// When it may be worked on. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// How often something may start on it. Whoever takes the environment over begins with an empty bucket: the rate is never exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// When a target may be worked on. What runs when a window closes, runs to its end. A dry run, which changes nothing, keeps to none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Windows {
    /// For whatever is not what last succeeded there: changes, their retries, deletions. Empty: always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub deploy: Vec<Window>,
    /// For verifications, their retries, and the correction of drift. Empty: always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub repair: Vec<Window>,
}

/// A time that comes again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// When it opens: a cron expression of five fields.
    #[schemars(length(min = 9, max = 128))]
    pub start: String,
    /// How long it stays open.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("1m", "744h")]))]
    pub duration: Duration,
    /// Where `start` is meant, by its IANA name, such as `Europe/Brussels`. Absent: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// So many attempts at once, and in the long run so many per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Attempts, dry runs too.
    #[schemars(range(min = 1, max = 100_000))]
    pub attempts: u32,
    /// In this time.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("1s", "24h")]))]
    pub period: Duration,
}

const fn one() -> u32 {
    1
}

/// How a target is reached. Which fields go with which type is a rule of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rules::CONNECTION_PATH.json(),
    rules::CONNECTION_NAME.json(),
    rules::CONNECTION_DELAY.json(),
    rules::CONNECTION_KUBECONFIG.json(),
    rules::CONNECTION_CONTEXT.json()
]))]
pub struct Connection {
    /// `local`: the machine the executor runs on (embedded runs only; refused in a pod). `kubernetes`: the API server the executor's own service
    /// account reaches. `file` and `configMap`: where the `test` adaptor counts.
    #[serde(rename = "type")]
    pub kind: ConnectionType,
    /// With `local`: milliseconds every write is delayed by, for trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub delay_ms: Option<u32>,
    /// With `kubernetes`: a kubeconfig file on the machine the executor runs on, instead of the service
    /// account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096), regex(pattern = ABSOLUTE_PATH))]
    pub kubeconfig: Option<String>,
    /// With `kubernetes`: a context of that kubeconfig, instead of its current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub context: Option<String>,
    /// With `file`: the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096), regex(pattern = ABSOLUTE_PATH))]
    pub path: Option<String>,
    /// With `configMap`: its name, in the namespace of the executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
}

/// An absolute path without control characters.
pub(super) const ABSOLUTE_PATH: &str = r"^/[^\x00-\x1f\x7f]*$";

/// The kinds of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConnectionType {
    /// The executor's own machine.
    Local,
    /// A Kubernetes API server.
    Kubernetes,
    /// A file on the executor's own machine.
    File,
    /// A `ConfigMap` in the executor's own namespace.
    ConfigMap,
}

/// What is known of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetStatus {
    /// Ready, Stalled, Paused.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The value of `homeostat.dev/deploy-requested-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_deploy_at: Option<Text>,
    /// The value of `homeostat.dev/repair-requested-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_repair_at: Option<Text>,
}
