//! Objects as they were last seen: what matters of their metadata, their spec as `core` wants it or every reason why not, their status.
//!
//! They are watched untyped: an object that does not fit its type still has metadata and a body, so it can be told what is wrong with it, field by
//! field, and nobody else notices. Everything else of an object, managed fields first, is dropped here: 10,000 of them are kept.

use crate::api::{
    Checker, DEPLOY_REQUESTED_AT, EnvironmentStatus, ExecutorStatus, FieldError, FieldPath, ParsedEnvironment,
    ParsedExecutor, ParsedTarget, REMOVALS_APPROVED_AT, REPAIR_REQUESTED_AT, ResourceStatus, TargetStatus, Text,
};
use crate::cluster::{FIELD_MANAGER, ObjectRef};
use crate::controller::limits::LISTED_ERRORS;
use crate::core::Intent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt;
use kube::core::{DynamicObject, TypeMeta};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// The finalizer on objects that are still needed.
pub const FINALIZER: &str = "homeostat.dev/finalizer";
/// Ends a deletion that cannot end by itself: what is on the target stays there.
pub const FORCE_ORPHAN: &str = "homeostat.dev/force-orphan";

/// Our four kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `Environment`.
    Environment,
    /// `Target`.
    Target,
    /// `Executor`.
    Executor,
    /// `Resource`.
    Resource,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Environment, Self::Target, Self::Executor, Self::Resource];

    /// As `kind` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "Environment",
            Self::Target => "Target",
            Self::Executor => "Executor",
            Self::Resource => "Resource",
        }
    }
}

/// What matters of an object's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The version that was seen.
    pub resource_version: String,
    /// It has a deletion timestamp.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// The token of `deploy-requested-at`.
    pub deploy_requested: Option<String>,
    /// The token of `repair-requested-at`.
    pub repair_requested: Option<String>,
    /// The token of `removals-approved-at`.
    pub removals_approved: Option<String>,
    /// It carries `force-orphan`.
    pub force_orphan: bool,
    /// Who wrote its spec last.
    pub author: Option<String>,
}

impl Meta {
    /// Whether our finalizer is on it.
    pub fn is_held(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == FINALIZER)
    }

    /// For calls.
    pub fn reference(&self) -> ObjectRef<'_> {
        ObjectRef { namespace: &self.namespace, name: &self.name, uid: &self.uid }
    }

    /// Its finalizers with ours.
    pub fn finalizers_with_ours(&self) -> Vec<String> {
        let mut finalizers = self.finalizers.clone();
        if !self.is_held() {
            finalizers.push(FINALIZER.to_owned());
        }
        finalizers
    }

    /// Its finalizers without ours.
    pub fn finalizers_without_ours(&self) -> Vec<String> {
        self.finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect()
    }
}

/// An object: `parsed` is what its spec means, or every error in it on one line.
#[derive(Clone, Debug)]
pub struct Seen<P, S> {
    /// What matters of its metadata.
    pub meta: Meta,
    /// What it says.
    pub parsed: Result<P, String>,
    /// Its status, as far as it can be read.
    pub status: S,
}

/// An `Environment`.
pub type SeenEnvironment = Seen<ParsedEnvironment, EnvironmentStatus>;
/// A `Target`.
pub type SeenTarget = Seen<ParsedTarget, TargetStatus>;
/// An `Executor`.
pub type SeenExecutor = Seen<ParsedExecutor, ExecutorStatus>;
/// A `Resource`.
pub type SeenResource = Seen<Arc<Intent>, ResourceStatus>;

/// Requests by annotation that were handled: their tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// The last `deploy-requested-at`.
    pub deploy: Option<String>,
    /// The last `repair-requested-at`.
    pub repair: Option<String>,
    /// The last `removals-approved-at`, of an environment.
    pub approval: Option<String>,
}

impl Handled {
    /// As a status says it.
    pub fn read(deploy: Option<&Text>, repair: Option<&Text>) -> Self {
        let token = |token: Option<&Text>| token.map(|token| token.0.clone());
        Self { deploy: token(deploy), repair: token(repair), approval: None }
    }

    /// For a status.
    pub fn written(&self) -> (Option<Text>, Option<Text>) {
        (self.deploy.as_deref().map(Text::from), self.repair.as_deref().map(Text::from))
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub enum Object {
    /// An `Environment`.
    Environment(Arc<SeenEnvironment>),
    /// A `Target`.
    Target(Arc<SeenTarget>),
    /// An `Executor`.
    Executor(Arc<SeenExecutor>),
    /// A `Resource`.
    Resource(Arc<SeenResource>),
}

/// An object, and the environment it names; `None` where even that cannot be read.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The environment's name.
    pub environment: Option<String>,
    /// The object.
    pub object: Object,
}

impl Object {
    /// Its metadata.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Environment(seen) => &seen.meta,
            Self::Target(seen) => &seen.meta,
            Self::Executor(seen) => &seen.meta,
            Self::Resource(seen) => &seen.meta,
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Environment(_) => Kind::Environment,
            Self::Target(_) => Kind::Target,
            Self::Executor(_) => Kind::Executor,
            Self::Resource(_) => Kind::Resource,
        }
    }
}

/// Reads an object of a kind.
pub fn read(kind: Kind, checker: &Checker, mut object: DynamicObject) -> Placed {
    let meta = meta(&object);
    object.managed_fields_mut().clear();
    // A list does not say of each item what it is.
    object.types = Some(TypeMeta { api_version: crate::api::API_VERSION.to_owned(), kind: kind.as_str().to_owned() });
    let body = serde_json::to_value(&object).unwrap_or_default();
    let environment = match kind {
        Kind::Environment => Some(meta.name.clone()),
        _ => body.pointer("/spec/environmentRef/name").and_then(Value::as_str).map(str::to_owned),
    };
    let object = match kind {
        Kind::Environment => Object::Environment(seen(meta, checker.environment(&body), &body)),
        Kind::Target => Object::Target(seen(meta, checker.target(&body), &body)),
        Kind::Executor => Object::Executor(seen(meta, checker.executor(&body), &body)),
        Kind::Resource => {
            let intent = checker.resource(&body).and_then(|parsed| in_a_cluster(parsed.intent));
            Object::Resource(seen(meta, intent, &body))
        }
    };
    Placed { environment, object }
}

fn seen<P, S: DeserializeOwned + Default>(
    meta: Meta,
    parsed: Result<P, Vec<FieldError>>,
    body: &Value,
) -> Arc<Seen<P, S>> {
    let status = body.get("status").and_then(|status| S::deserialize(status).ok()).unwrap_or_default();
    Arc::new(Seen { meta, parsed: parsed.map_err(|errors| in_one_line(&errors)), status })
}

/// What only an embedded run can do is refused with its reason.
fn in_a_cluster(intent: Intent) -> Result<Arc<Intent>, Vec<FieldError>> {
    if !intent.takes_secrets() {
        return Ok(Arc::new(intent));
    }
    let message = "environmentVariable and file are for embedded runs: in a cluster they would be those of a pod, and nobody's to choose";
    let suggestion = Some("Secrets of the cluster (secretKeyRef) are not built yet".to_owned());
    Err(vec![FieldError::value(FieldPath::of(&["spec", "attributesFrom"]), message).suggest(suggestion)])
}

fn in_one_line(errors: &[FieldError]) -> String {
    let listed: Vec<String> = errors.iter().take(LISTED_ERRORS).map(ToString::to_string).collect();
    let more = errors.len().saturating_sub(LISTED_ERRORS);
    let tail = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{tail}", listed.join("; "))
}

fn meta(object: &DynamicObject) -> Meta {
    let annotation = |name: &str| object.annotations().get(name).filter(|value| !value.is_empty()).cloned();
    Meta {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizers: object.finalizers().to_vec(),
        deploy_requested: annotation(DEPLOY_REQUESTED_AT),
        repair_requested: annotation(REPAIR_REQUESTED_AT),
        removals_approved: annotation(REMOVALS_APPROVED_AT),
        force_orphan: annotation(FORCE_ORPHAN).is_some(),
        author: author(object.managed_fields()),
    }
}

/// The field manager that wrote last, ourselves and status apart.
fn author(fields: &[ManagedFieldsEntry]) -> Option<String> {
    let others =
        fields.iter().filter(|entry| entry.subresource.is_none() && entry.manager.as_deref() != Some(FIELD_MANAGER));
    others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0)).and_then(|entry| entry.manager.clone())
}
