//! `Resource`: one thing with a desired state. Few kinds, many objects: this one is for every type of every adaptor.
//!
//! Deliberately absent until they do something: `repair`, `retry` in `policy`, and Secrets of the cluster in `attributesFrom`.

use super::conditions::Condition;
use super::inputs::AttributeFrom;
use super::names::{DateTime, ObjectName, Reference, Text};
use super::{Duration, rules};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `<adaptor>.<Type>`.
pub(super) const TYPE_PATTERN: &str = "^[a-z][a-z0-9]*[.][A-Z][A-Za-z0-9]*$";

/// What must be true.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "homeostat.dev",
    version = "v1alpha1",
    kind = "Resource",
    namespaced,
    status = "ResourceStatus",
    derive = "PartialEq",
    shortname = "hres",
    category = "homeostat",
    doc = "One thing with a desired state, on one target.",
    selectable = ".spec.environmentRef.name",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environmentRef.name", priority = 1),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.targetRef.name", priority = 1),
    printcolumn(name = "Compliance", type_ = "string", json_path = ".status.compliance", priority = 1),
    printcolumn(name = "Version", type_ = "integer", json_path = ".status.version", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpec {
    /// The Environment it belongs to. Immutable.
    #[schemars(extend("x-kubernetes-validations" = [rules::immutable("environmentRef is immutable; delete the Resource and make it again in the other Environment")]))]
    pub environment_ref: Reference,
    /// What it is: `<adaptor>.<Type>`, such as `host.File`. Immutable.
    #[serde(rename = "type")]
    #[schemars(length(max = 128), regex(pattern = TYPE_PATTERN), extend("x-kubernetes-validations" = [rules::immutable("type is immutable; delete the Resource and make one of the other type")]))]
    pub kind: String,
    /// The Target it is deployed on.
    pub target_ref: Reference,
    /// The desired state itself, checked against the schema of the type. Nothing in it is ever interpreted.
    #[serde(default)]
    #[schemars(schema_with = "free_form")]
    pub attributes: Map<String, Value>,
    /// Attributes whose values come from elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub attributes_from: Vec<AttributeFrom>,
    /// Names of Resources of the same Environment that must be good before this one is attempted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), extend("x-kubernetes-list-type" = "set"))]
    pub requires: Vec<ObjectName>,
    /// How it is treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Who is told to reload when something has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
}

fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 1024, "x-kubernetes-preserve-unknown-fields": true})
}

/// How a resource is treated, as opposed to what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// `Enforce`: differences are corrected. `Observe`: they are only reported, and removal leaves the thing where it is.
    pub mode: Mode,
    /// What happens on the target when the Resource is removed.
    pub deletion_policy: DeletionPolicy,
    /// It is never deleted on the target. When the Resource is removed, what it requires stays too, until this one is orphaned (`force-orphan`, `homeostat forget`) or declared again without protection.
    pub protected: bool,
    /// What happens when the name becomes another thing: on another target, or with other values in what makes its identity.
    pub replace: Replace,
    /// How long one attempt may take.
    #[schemars(extend("x-kubernetes-validations" = [rules::duration_between("1s", "24h")]))]
    pub deadline: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let deadline = Duration::from_ms(crate::core::limits::DEFAULT_DEADLINE_MS);
        Self {
            mode: Mode::Enforce,
            deletion_policy: DeletionPolicy::Delete,
            protected: false,
            replace: Replace::DeleteFirst,
            deadline,
        }
    }
}

/// Who is told to reload: a resource that receives, when one that it requires and that sends was changed by an attempt, or failed after it had
/// been as declared. A service, say, that requires its configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Notify {
    /// What requires it is told of its changes.
    pub send: bool,
    /// It is told of the changes of what it requires.
    pub receive: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self { send: false, receive: true }
    }
}

/// Whether differences are corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are only reported.
    Observe,
}

/// In which order a thing is replaced by another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Replace {
    /// The old thing is deleted, then the new one is made.
    #[default]
    DeleteFirst,
    /// The new thing is made; the old one is deleted when the new one is as declared.
    CreateFirst,
    /// It is not: such a change is refused.
    Never,
    /// As `DeleteFirst`, and not before a user has approved it; until then the old thing stays as it is.
    Approve,
}

/// What happens on the target when a resource is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is deleted there.
    #[default]
    Delete,
    /// It is left there.
    Orphan,
}

/// What is known of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceStatus {
    /// Ready, Reconciling, Stalled, Paused, Drifted.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The generation whose acceptance or refusal is in history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is known of it against its newest intent: Compliant, `HasUpdate`, `NonCompliant`, Undefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub compliance: Option<String>,
    /// How the last attempt that reached the target ended: New, Succeeded, Failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub last_result: Option<String>,
    /// What it waits for: names of Resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub blocked_by: Vec<ObjectName>,
    /// The version that brought its newest intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The last attempt that changed something on the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_deployed: Option<DateTime>,
    /// The difference that was found and left; cut at 4096 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Text>,
    /// The value of `homeostat.dev/deploy-requested-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_deploy_at: Option<Text>,
    /// The value of `homeostat.dev/repair-requested-at` that was last handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_repair_at: Option<Text>,
}
