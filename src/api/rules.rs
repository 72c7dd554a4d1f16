//! The CEL rules of the CRDs, each with a twin in Rust, so that an embedded run refuses exactly what a cluster refuses.
//!
//! A rule reaches the CRD as text through `#[schemars(extend(…))]`; [`super::schema`] finds its twin here by that text, and refuses to compile
//! a schema with a rule it has no twin for. Rules about changes (`oldSelf`) have no twin: embedded there is no old object.

use super::{Duration, FieldPath};
use serde_json::{Value, json};

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// As the API server evaluates it.
    pub cel: &'static str,
    /// What it says when it does not hold.
    pub message: &'static str,
    /// The field it is about, below the one that carries it.
    pub field: Option<&'static str>,
    /// The twin.
    pub holds: fn(&Value) -> bool,
}

impl Rule {
    /// As it stands in `x-kubernetes-validations`.
    pub(super) fn json(&self) -> Value {
        match self.field {
            Some(field) => json!({"rule": self.cel, "message": self.message, "fieldPath": format!(".{field}")}),
            None => json!({"rule": self.cel, "message": self.message}),
        }
    }
}

/// The field never changes.
pub(super) fn immutable(message: &str) -> Value {
    json!({"rule": "self == oldSelf", "message": message})
}

/// A duration lies between two others.
pub(super) fn duration_between(least: &str, most: &str) -> Value {
    json!({
        "rule": format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"),
        "message": format!("must be between {least} and {most}"),
    })
}

/// The bounds of a [`duration_between`] rule.
pub(super) fn bounds_of(cel: &str) -> Option<(Duration, Duration)> {
    let inner = cel.strip_prefix("duration(self) >= duration('")?.strip_suffix("')")?;
    let (least, most) = inner.split_once("') && duration(self) <= duration('")?;
    Some((least.parse().ok()?, most.parse().ok()?))
}

/// The path of a rule's field below `path`.
pub(super) fn field_path(path: &FieldPath, field: Option<&str>) -> FieldPath {
    field.map_or_else(|| path.clone(), |field| field.split('.').fold(path.clone(), |path, key| path.key(key)))
}

fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some()
}

fn is(value: &Value, field: &str, text: &str) -> bool {
    value.get(field).and_then(Value::as_str) == Some(text)
}

/// Whether one duration is at most another; true where either is not a duration, which is another error.
fn ordered(value: &Value, least: &str, most: &str) -> bool {
    let read = |field| value.get(field).and_then(Value::as_str).and_then(|text| text.parse::<Duration>().ok());
    read(least).zip(read(most)).is_none_or(|(least, most)| least <= most)
}

/// A settle time that can be reached.
pub(super) const SETTLE_ORDER: Rule = Rule {
    cel: "!has(self.quiet) || !has(self.max) || duration(self.quiet) <= duration(self.max)",
    message: "must not be longer than max",
    field: Some("quiet"),
    holds: |settle| ordered(settle, "quiet", "max"),
};
/// Retry delays in order.
pub(super) const RETRY_ORDER: Rule = Rule {
    cel: "!has(self.baseDelay) || !has(self.maxDelay) || duration(self.baseDelay) <= duration(self.maxDelay)",
    message: "must not be longer than maxDelay",
    field: Some("baseDelay"),
    holds: |retry| ordered(retry, "baseDelay", "maxDelay"),
};
/// One way to say when.
pub(super) const INTERVAL_OR_SCHEDULE: Rule = Rule {
    cel: "has(self.interval) != has(self.schedule)",
    message: "exactly one of interval and schedule must be set; leave repair out to turn it off",
    field: None,
    holds: |repair| has(repair, "interval") != has(repair, "schedule"),
};
/// Bounds of a pool in order.
pub(super) const REPLICAS_ORDER: Rule = Rule {
    cel: "!has(self.min) || !has(self.max) || self.min <= self.max",
    message: "must not be greater than max",
    field: Some("min"),
    holds: |replicas| {
        let read = |field| replicas.get(field).and_then(Value::as_i64);
        read("min").zip(read("max")).is_none_or(|(min, max)| min <= max)
    },
};
/// Fields of a connection go with its type.
pub(super) const CONNECTION_PATH: Rule = Rule {
    cel: "(self.type == 'file') == has(self.path)",
    message: "is required with type file, and belongs to it only",
    field: Some("path"),
    holds: |connection| is(connection, "type", "file") == has(connection, "path"),
};
/// As above.
pub(super) const CONNECTION_NAME: Rule = Rule {
    cel: "(self.type == 'configMap') == has(self.name)",
    message: "is required with type configMap, and belongs to it only",
    field: Some("name"),
    holds: |connection| is(connection, "type", "configMap") == has(connection, "name"),
};
/// As above.
pub(super) const CONNECTION_DELAY: Rule = Rule {
    cel: "self.type == 'local' || !has(self.delayMs)",
    message: "belongs to type local only",
    field: Some("delayMs"),
    holds: |connection| is(connection, "type", "local") || !has(connection, "delayMs"),
};
/// As above.
pub(super) const CONNECTION_KUBECONFIG: Rule = Rule {
    cel: "self.type == 'kubernetes' || !has(self.kubeconfig)",
    message: "belongs to type kubernetes only",
    field: Some("kubeconfig"),
    holds: |connection| is(connection, "type", "kubernetes") || !has(connection, "kubeconfig"),
};
/// As above.
pub(super) const CONNECTION_CONTEXT: Rule = Rule {
    cel: "self.type == 'kubernetes' || !has(self.context)",
    message: "belongs to type kubernetes only",
    field: Some("context"),
    holds: |connection| is(connection, "type", "kubernetes") || !has(connection, "context"),
};
/// A toleration for everything names no key's value.
pub(super) const TOLERATION_VALUE: Rule = Rule {
    cel: "!has(self.operator) || self.operator != 'Exists' || !has(self.value)",
    message: "must be absent with operator Exists",
    field: Some("value"),
    holds: |toleration| !is(toleration, "operator", "Exists") || !has(toleration, "value"),
};

/// One way to fill an attribute.
pub(super) const ONE_INPUT: Rule = Rule {
    cel: "[has(self.factRef), has(self.environmentVariable), has(self.file), has(self.format)].filter(given, given).size() == 1",
    message: "exactly one of factRef, environmentVariable, file and format must be set",
    field: None,
    holds: |input| {
        ["factRef", "environmentVariable", "file", "format"].into_iter().filter(|field| has(input, field)).count() == 1
    },
};
/// One way to say where a value comes from.
pub(super) const ONE_VALUE: Rule = Rule {
    cel: "[has(self.factRef), has(self.environmentVariable), has(self.file)].filter(given, given).size() == 1",
    message: "exactly one of factRef, environmentVariable and file must be set",
    field: None,
    holds: |value| {
        ["factRef", "environmentVariable", "file"].into_iter().filter(|field| has(value, field)).count() == 1
    },
};
/// Values go with a format.
pub(super) const INPUT_VALUES: Rule = Rule {
    cel: "has(self.format) == has(self.values)",
    message: "is required with format, and belongs to it only",
    field: Some("values"),
    holds: |input| has(input, "format") == has(input, "values"),
};

/// All rules with a twin.
pub(super) const RULES: [&Rule; 13] = [
    &SETTLE_ORDER,
    &RETRY_ORDER,
    &INTERVAL_OR_SCHEDULE,
    &REPLICAS_ORDER,
    &CONNECTION_PATH,
    &CONNECTION_NAME,
    &CONNECTION_DELAY,
    &CONNECTION_KUBECONFIG,
    &CONNECTION_CONTEXT,
    &TOLERATION_VALUE,
    &ONE_INPUT,
    &INPUT_VALUES,
    &ONE_VALUE,
];
