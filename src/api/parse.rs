//! From untrusted objects to the types of `core`. Collects all errors; a value that comes out is within every bound.
//!
//! The same for an object from a file and one from a cluster: there the API server has applied the same schema, but maybe an older one.
//! Deliberately absent: references between objects (`manifest` and the controllers know which others there are).

use super::crds::schema_of;
use super::field::shown;
use super::schema::{MAX_ERRORS, Schema, SchemaError};
use super::types::Types;
use super::{
    API_VERSION, CrdError, Duration, EnvironmentSpec, ExecutorSpec, FieldError, FieldPath, ResourceSpec, Settle,
    Source, TargetSpec, crd_objects, did_you_mean, environment, inputs, resource, target,
};
use crate::adaptors::registry;
use crate::core::{self, Intent, IntentParts, Name, PoolName, TargetName, limits};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An `Environment`, ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedEnvironment {
    /// Its name.
    pub name: Name,
    /// For the scheduler.
    pub settings: core::Settings,
    /// How long edits must rest.
    pub settle: Settle,
    /// Where its intent comes from.
    pub source: Source,
    /// The pool of targets that name none.
    pub pool: PoolName,
}

/// A `Resource`, ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedResource {
    /// The environment it belongs to.
    pub environment: Name,
    /// What is wanted.
    pub intent: Intent,
}

/// A `Target`, ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedTarget {
    /// The environment it belongs to.
    pub environment: Name,
    /// Its name.
    pub name: TargetName,
    /// The pool it names.
    pub pool: Option<PoolName>,
    connection: Name,
    concurrency: u32,
    suspend: bool,
    windows: core::Windows,
    rate_limit: Option<core::RateLimit>,
}

impl ParsedTarget {
    /// For the scheduler; `default` is the environment's pool.
    pub fn with_default_pool(&self, default: &PoolName) -> core::Target {
        core::Target {
            name: self.name.clone(),
            pool: self.pool.clone().unwrap_or_else(|| default.clone()),
            connection: self.connection.clone(),
            concurrency: self.concurrency,
            suspend: self.suspend,
            windows: self.windows.clone(),
            rate_limit: self.rate_limit,
        }
    }
}

/// An `Executor`, ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedExecutor {
    /// The environment it belongs to.
    pub environment: Name,
    /// For the scheduler.
    pub pool: core::Pool,
    /// For whoever makes its pods.
    pub spec: ExecutorSpec,
}

/// Checks objects and turns them into types of `core`. Made once, shared.
#[derive(Debug)]
pub struct Checker {
    kinds: BTreeMap<&'static str, Schema>,
    metadata: Schema,
    types: Types,
}

/// Why there is no checker: a mistake in the CRD types or in an adaptor, never of a user.
#[derive(Debug, thiserror::Error)]
pub enum CheckerError {
    /// The definitions cannot be generated.
    #[error("the definitions of the kinds cannot be generated")]
    Definitions(#[from] CrdError),
    /// A schema cannot be used.
    #[error("a schema cannot be used")]
    Schema(#[from] SchemaError),
}

impl Checker {
    /// A checker for the four kinds and these types.
    pub fn new(types: Types) -> Result<Self, CheckerError> {
        let mut kinds = BTreeMap::new();
        for (kind, definition) in crd_objects()? {
            let mut schema = schema_of(&definition).cloned().unwrap_or_default();
            if let Some(properties) = schema.pointer_mut("/properties").and_then(Value::as_object_mut) {
                // Checked by `structure`, and none of our business: what a file says about its status.
                for field in ["apiVersion", "kind", "status"] {
                    properties.insert(field.to_owned(), json!({"x-kubernetes-preserve-unknown-fields": true}));
                }
                // The rest of it is checked by `metadata`.
                let metadata = properties.entry("metadata").or_insert_with(|| json!({}));
                if let Some(metadata) = metadata.as_object_mut() {
                    metadata.insert("x-kubernetes-preserve-unknown-fields".to_owned(), Value::Bool(true));
                }
            }
            kinds.insert(kind, Schema::compile(&schema)?);
        }
        Ok(Self { kinds, metadata: Schema::compile(&metadata_schema())?, types })
    }

    /// The four kinds, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// The types of the adaptors.
    pub const fn types(&self) -> &Types {
        &self.types
    }

    /// Reads an `Environment`.
    pub fn environment(&self, object: &Value) -> Result<ParsedEnvironment, Vec<FieldError>> {
        let mut errors = self.structure("Environment", object);
        let schedule = object.pointer("/spec/repair/schedule").and_then(Value::as_str);
        let path = FieldPath::of(&["spec", "repair", "schedule"]);
        errors.extend(schedule.and_then(|schedule| cron_error(schedule, path)));
        let (name, spec): (Name, EnvironmentSpec) = typed(object, errors)?;
        Ok(ParsedEnvironment {
            name,
            settings: settings(&spec),
            settle: spec.deploy.settle,
            source: spec.source,
            pool: spec.executor.0.into(),
        })
    }

    /// Reads a `Target`.
    pub fn target(&self, object: &Value) -> Result<ParsedTarget, Vec<FieldError>> {
        let mut errors = self.structure("Target", object);
        errors.extend(window_errors(object));
        let (name, spec): (_, TargetSpec) = typed(object, errors)?;
        let windows = spec.windows.unwrap_or_default();
        let connection = object.pointer("/spec/connection").map(registry::canonical).unwrap_or_default();
        Ok(ParsedTarget {
            environment: spec.environment_ref.name.0.into(),
            name,
            pool: spec.executor_ref.map(|reference| reference.name.0.into()),
            connection: connection.into(),
            concurrency: spec.concurrency,
            suspend: spec.suspend,
            windows: core::Windows {
                deploy: windows.deploy.into_iter().map(window).collect(),
                repair: windows.repair.into_iter().map(window).collect(),
            },
            rate_limit: spec
                .rate_limit
                .map(|rate| core::RateLimit { attempts: rate.attempts, period_ms: rate.period.as_ms() }),
        })
    }

    /// Reads an `Executor`.
    pub fn executor(&self, object: &Value) -> Result<ParsedExecutor, Vec<FieldError>> {
        let (name, spec): (_, ExecutorSpec) = typed(object, self.structure("Executor", object))?;
        let pool = core::Pool {
            name,
            min: spec.replicas.min,
            max: spec.replicas.max,
            idle_timeout_ms: spec.idle_timeout.as_ms(),
        };
        Ok(ParsedExecutor { environment: (&*spec.environment_ref.name).into(), pool, spec })
    }

    /// Reads a `Resource`, its attributes against the schema of its type.
    pub fn resource(&self, object: &Value) -> Result<ParsedResource, Vec<FieldError>> {
        let mut errors = self.structure("Resource", object);
        let no_attributes = json!({});
        let attributes = object.pointer("/spec/attributes").unwrap_or(&no_attributes);
        let kind = object.pointer("/spec/type").and_then(Value::as_str);
        let known = kind.and_then(|kind| self.types.get(kind));
        let filled = inputs::with_placeholders(object, attributes, known);
        if let Some(kind) = kind {
            self.check_type(kind, &filled, &mut errors);
        }
        inputs::without_placeholders(object, &mut errors);
        inputs::refuse_literal_secrets(attributes, known, &mut errors);
        errors.extend(inputs::errors(object, attributes, known));
        inputs::explain_what_is_missing(&mut errors);
        let canonical = registry::canonical(attributes);
        if canonical.len() > limits::ATTRIBUTES_BYTES {
            let message = format!("must be at most {} bytes, is {}", limits::ATTRIBUTES_BYTES, canonical.len());
            errors.push(FieldError::value(attributes_path(), message));
        }
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let identity = known.map(|known| known.identity(name, attributes)).unwrap_or_default();
        if identity.len() > limits::IDENTITY_BYTES {
            let message = format!(
                "the attributes that make its identity must be at most {} bytes, are {}",
                limits::IDENTITY_BYTES,
                identity.len()
            );
            errors.push(FieldError::value(attributes_path(), message));
        }
        errors.extend(label_errors(object));
        let (name, spec): (Name, ResourceSpec) = typed(object, errors)?;
        let intent = Intent::new(IntentParts {
            name,
            kind: spec.kind.into(),
            target: spec.target_ref.name.0.into(),
            identity: identity.into(),
            attributes: canonical.into(),
            requires: spec.requires.into_iter().map(|name| name.0.into()).collect(),
            inputs: spec.attributes_from.into_iter().map(Into::into).collect(),
            labels: labels(object),
            policy: policy(&spec.policy.unwrap_or_default(), spec.notify),
        });
        Ok(ParsedResource { environment: spec.environment_ref.name.0.into(), intent })
    }

    /// What is wrong with an object of a kind before its meaning is looked at.
    fn structure(&self, kind: &'static str, object: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let root = FieldPath::default();
        for (field, wanted) in [("apiVersion", API_VERSION), ("kind", kind)] {
            let given = object.get(field).and_then(Value::as_str);
            if given != Some(wanted) {
                let is = given.map_or_else(|| "missing".to_owned(), shown);
                errors.push(FieldError::value(root.key(field), format!("must be {wanted}, is {is}")));
            }
        }
        match object.get("metadata") {
            Some(metadata) => self.metadata.check(metadata, &root.key("metadata"), &mut errors),
            None => errors.push(FieldError::value(FieldPath::of(&["metadata", "name"]), "is required")),
        }
        if let Some(schema) = self.kinds.get(kind) {
            schema.check(object, &root, &mut errors);
        }
        errors
    }

    /// Checks the attributes of a type; an unknown one is an error that names what is near.
    fn check_type(&self, kind: &str, attributes: &Value, errors: &mut Vec<FieldError>) {
        let path = FieldPath::of(&["spec", "type"]);
        let known = self.types.get(kind);
        if let Some(known) = known {
            if attributes.is_object() && errors.len() < MAX_ERRORS {
                known.check(attributes, &attributes_path(), errors);
            }
        } else if let Some(malformed) = errors.iter_mut().find(|error| error.path == path) {
            malformed.suggestion = did_you_mean(kind, self.types.names());
        } else {
            errors.push(unknown_type(kind, &self.types, path));
        }
    }
}

fn attributes_path() -> FieldPath {
    FieldPath::of(&["spec", "attributes"])
}

fn unknown_type(kind: &str, types: &Types, path: FieldPath) -> FieldError {
    let suggestion = did_you_mean(kind, types.names())
        .unwrap_or_else(|| format!("known types: {}", types.names().collect::<Vec<_>>().join(", ")));
    FieldError::value(path, format!("unknown type {}", shown(kind))).suggest(Some(suggestion))
}

/// What a person may say about an object, and what a cluster adds when the object is read back.
fn metadata_schema() -> Value {
    let name = json!({"type": "string", "minLength": 1, "maxLength": super::names::NAME_LENGTH, "pattern": super::names::NAME_PATTERN});
    let map = json!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 262_144}});
    let free = json!({"x-kubernetes-preserve-unknown-fields": true});
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": name,
            "namespace": {"type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
            "labels": map, "annotations": map, "finalizers": free, "ownerReferences": free, "managedFields": free,
            "uid": free, "resourceVersion": free, "generation": free, "generateName": free, "selfLink": free,
            "creationTimestamp": free, "deletionTimestamp": free, "deletionGracePeriodSeconds": free,
        },
    })
}

/// The typed spec, unless there are errors.
fn typed<S: DeserializeOwned>(object: &Value, mut errors: Vec<FieldError>) -> Result<(Name, S), Vec<FieldError>> {
    if errors.is_empty() {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        match object.get("spec").map(S::deserialize) {
            Some(Ok(spec)) => return Ok((name.into(), spec)),
            Some(Err(error)) => errors.push(FieldError::value(FieldPath::of(&["spec"]), error.to_string())),
            None => errors.push(FieldError::value(FieldPath::of(&["spec"]), "is required")),
        }
    }
    errors.sort();
    errors.dedup();
    Err(errors)
}

fn labels(object: &Value) -> BTreeMap<Name, Name> {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.as_str().into(), value.as_str()?.into()));
    labels.into_iter().flatten().filter_map(text).collect()
}

/// What an API server refuses in labels: a key is a name of at most 63 characters, with a domain before a slash where wanted; a value is one, or empty.
fn label_errors(object: &Value) -> Vec<FieldError> {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    let plain = |text: &str| {
        let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let bytes = text.as_bytes();
        bytes.len() <= 63 && bytes.iter().copied().all(inside) && ends(bytes.first()) && ends(bytes.last())
    };
    let key_is_right = |key: &str| match key.split_once('/') {
        Some((domain, name)) => {
            let part = |part: &str| plain(part) && part.bytes().all(|byte| !byte.is_ascii_uppercase() && byte != b'_');
            domain.len() <= 253 && domain.split('.').all(part) && plain(name)
        }
        None => plain(key),
    };
    let wrong = |(key, value): (&String, &Value)| {
        let value = value.as_str().unwrap_or_default();
        let message = if !key_is_right(key) {
            "is not a label's key: at most 63 letters, digits and -_. with a letter or digit at both ends, after a domain and / where wanted"
        } else if !(value.is_empty() || plain(value)) {
            "is not a label's value: at most 63 letters, digits and -_. with a letter or digit at both ends"
        } else {
            return None;
        };
        Some(FieldError::value(FieldPath::of(&["metadata", "labels"]).key(key), message))
    };
    labels.into_iter().flatten().filter_map(wrong).collect()
}

fn settings(spec: &EnvironmentSpec) -> core::Settings {
    let retry = core::Retry {
        base_delay_ms: spec.retry.base_delay.as_ms(),
        max_delay_ms: spec.retry.max_delay.as_ms(),
        factor: f64::from(spec.retry.factor),
        jitter: f64::from(spec.retry.jitter_percent) / 100.0,
    };
    core::Settings {
        suspend: spec.suspend,
        retry,
        repair: spec.repair.as_ref().map(repair).unwrap_or_default(),
        max_in_flight: spec.deploy.max_in_flight,
        on_change: match spec.deploy.on_change {
            environment::OnChange::Automatic => core::OnChange::Automatic,
            environment::OnChange::Manual => core::OnChange::Manual,
        },
        retention: core::Retention { versions: spec.history.versions, attempts_ms: spec.history.attempts.as_ms() },
    }
}

fn window(window: target::Window) -> core::Window {
    core::Window {
        start: window.start.into(),
        duration_ms: window.duration.as_ms(),
        time_zone: window.time_zone.map(Into::into),
    }
}

/// What is wrong with the windows of a target that the schema cannot say.
fn window_errors(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for kind in ["deploy", "repair"] {
        let windows = object.pointer(&format!("/spec/windows/{kind}")).and_then(Value::as_array);
        for (index, window) in windows.into_iter().flatten().enumerate() {
            let path = FieldPath::of(&["spec", "windows", kind]).index(index);
            let text = |field| window.get(field).and_then(Value::as_str);
            errors.extend(text("start").and_then(|start| cron_error(start, path.key("start"))));
            if let Some(zone) = text("timeZone").filter(|zone| !core::knows_time_zone(zone)) {
                let message = format!("is no time zone of the IANA database: {}", shown(zone));
                let example = Some("an example: `Europe/Brussels`; leave it out for UTC".to_owned());
                errors.push(FieldError::value(path.key("timeZone"), message).suggest(example));
            }
        }
    }
    errors
}

fn repair(repair: &environment::Repair) -> core::Repair {
    let schedule = match (repair.interval, &repair.schedule) {
        (Some(interval), _) => core::RepairSchedule::EveryMs(interval.as_ms()),
        (None, Some(schedule)) => core::RepairSchedule::Cron(schedule.as_str().into()),
        (None, None) => core::RepairSchedule::Off,
    };
    let action = match repair.action {
        environment::RepairAction::Correct => core::RepairAction::Correct,
        environment::RepairAction::Report => core::RepairAction::Report,
    };
    core::Repair { schedule, jitter_ms: repair.jitter.map(Duration::as_ms), action }
}

fn policy(policy: &resource::Policy, notify: Option<resource::Notify>) -> core::Policy {
    let resource::Notify { send, receive } = notify.unwrap_or_default();
    core::Policy {
        mode: match policy.mode {
            resource::Mode::Enforce => core::Mode::Enforce,
            resource::Mode::Observe => core::Mode::Observe,
        },
        deletion_policy: match policy.deletion_policy {
            resource::DeletionPolicy::Delete => core::DeletionPolicy::Delete,
            resource::DeletionPolicy::Orphan => core::DeletionPolicy::Orphan,
        },
        protected: policy.protected,
        replace: match policy.replace {
            resource::Replace::DeleteFirst => core::Replace::DeleteFirst,
            resource::Replace::CreateFirst => core::Replace::CreateFirst,
            resource::Replace::Never => core::Replace::Never,
            resource::Replace::Approve => core::Replace::Approve,
        },
        deadline_ms: policy.deadline.as_ms(),
        notify: core::Notify { send, receive },
    }
}

/// What is wrong with a cron expression. The API server cannot know, so this is the one check of a spec that only we make.
fn cron_error(schedule: &str, path: FieldPath) -> Option<FieldError> {
    let example = Some("an example: `0 3 * * *` is every day at 03:00".to_owned());
    if schedule.split_ascii_whitespace().count() != 5 {
        return Some(
            FieldError::value(path, format!("must be a cron expression of five fields, is {}", shown(schedule)))
                .suggest(example),
        );
    }
    let error = schedule.parse::<croner::Cron>().err()?;
    Some(FieldError::value(path, format!("is not a cron expression ({error})")).suggest(example))
}

#[cfg(test)]
mod tests;
