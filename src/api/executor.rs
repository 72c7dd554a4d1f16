//! `Executor`: a pool of processes that run attempts.
//!
//! Deliberately absent until they do something: `placement: External`, `concurrency`, the `scale` subresource.
//! What a pod may be is a closed list: no host paths, no privileges, no foreign containers.

use super::conditions::Condition;
use super::names::{ObjectName, Reference};
use super::{Duration, rules};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A pool of executors.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "homeostat.dev",
    version = "v1alpha1",
    kind = "Executor",
    namespaced,
    status = "ExecutorStatus",
    derive = "PartialEq",
    shortname = "hexec",
    category = "homeostat",
    doc = "A pool of processes that run attempts. Who may write one can run code in pods with its service account.",
    selectable = ".spec.environmentRef.name",
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Pods", type_ = "integer", json_path = ".status.pods"),
    printcolumn(name = "Connected", type_ = "integer", json_path = ".status.connected"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "In-Flight", type_ = "integer", json_path = ".status.inFlight", priority = 1),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environmentRef.name", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ExecutorSpec {
    /// The Environment it belongs to. Immutable.
    #[schemars(extend("x-kubernetes-validations" = [rules::immutable("environmentRef is immutable; make a new Executor")]))]
    pub environment_ref: Reference,
    /// The adaptors its processes load.
    #[schemars(length(min = 1, max = 64), inner(length(max = 63), regex(pattern = ADAPTOR_PATTERN)), extend("x-kubernetes-list-type" = "set"))]
    pub adaptors: Vec<String>,
    /// How many pods, at least and at most.
    #[serde(default)]
    pub replicas: Replicas,
    /// How long a pod beyond `replicas.min` stays without work.
    #[serde(default = "default_idle_timeout")]
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("1s", "24h")]))]
    pub idle_timeout: Duration,
    /// The image of its pods. Absent: the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = IMAGE_PATTERN))]
    pub image: Option<String>,
    /// The service account of its pods, in this namespace: what they may do is what it may do. Never the operator's own.
    pub service_account_name: ObjectName,
    /// What else may be said of its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

pub(super) const ADAPTOR_PATTERN: &str = "^[a-z][a-z0-9]*$";
pub(super) const IMAGE_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$";

const fn default_idle_timeout() -> Duration {
    Duration::from_secs(60)
}

/// How many pods a pool has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::REPLICAS_ORDER.json()]))]
pub struct Replicas {
    /// Kept even without work.
    #[schemars(range(min = 0, max = 1000))]
    pub min: u32,
    /// At most.
    #[schemars(range(min = 1, max = 1000))]
    pub max: u32,
}

impl Default for Replicas {
    fn default() -> Self {
        Self { min: 0, max: 1 }
    }
}

/// What may be said of the pods of a pool: a closed list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// Requests and limits of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels of the nodes it may run on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints it tolerates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
    })
}

pub(super) const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

/// Requests and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRequirements {
    /// What is set aside for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceAmounts>,
    /// What it may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceAmounts>,
}

/// Amounts of what a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
pub struct ResourceAmounts {
    /// Processor time, in cores (`500m`, `2`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory, in bytes (`256Mi`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// Local storage, in bytes (`1Gi`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<Quantity>,
}

/// A quantity as Kubernetes writes it: an integer, or a text such as `500m` or `256Mi`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A whole number of units.
    Integer(i64),
    /// With a suffix.
    Text(String),
}

pub(super) const QUANTITY_PATTERN: &str = "^[0-9]{1,15}([.][0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$";

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 32, "pattern": QUANTITY_PATTERN})
    }
}

/// A taint that is tolerated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [rules::TOLERATION_VALUE.json()]))]
pub struct Toleration {
    /// The taint's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 316))]
    pub key: Option<String>,
    /// `Exists` or `Equal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "toleration_operator")]
    pub operator: Option<String>,
    /// The taint's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "toleration_effect")]
    pub effect: Option<String>,
    /// How long a `NoExecute` taint is tolerated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_622_400))]
    pub toleration_seconds: Option<i64>,
}

fn toleration_operator(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["Exists", "Equal"]})
}

fn toleration_effect(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]})
}

/// What is known of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutorStatus {
    /// Ready, Reconciling, Stalled.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<i32>,
    /// Executors with a stream to the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<i32>,
    /// Attempts they hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<i32>,
}
