//! Reading conditions as any tool that knows kstatus reads them.

use kube::api::DynamicObject;
use serde_json::Value;

/// A condition of an object.
pub fn condition<'a>(object: &'a DynamicObject, kind: &str) -> Option<&'a Value> {
    let conditions = object.data.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

/// Status and reason of a condition, such as `("True", "Compliant")`; empty texts where there is none.
pub fn state<'a>(object: &'a DynamicObject, kind: &str) -> (&'a str, &'a str) {
    let read = |field| {
        condition(object, kind).and_then(|condition| condition.get(field)).and_then(Value::as_str).unwrap_or_default()
    };
    (read("status"), read("reason"))
}

/// The message of a condition.
pub fn message<'a>(object: &'a DynamicObject, kind: &str) -> &'a str {
    condition(object, kind).and_then(|condition| condition.get("message")).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the object is Ready, and Ready is about its newest generation.
pub fn is_ready(object: &DynamicObject) -> bool {
    let about =
        condition(object, "Ready").and_then(|condition| condition.get("observedGeneration")).and_then(Value::as_i64);
    let observed = object.data.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let newest = object.metadata.generation;
    state(object, "Ready").0 == "True" && about == newest && observed == newest
}

/// An object in one line, for people: `r7: generation 2 (observed 1), Ready False DependencyNotReady "waits for r6"`.
pub fn line(object: &DynamicObject) -> String {
    let name = object.metadata.name.as_deref().unwrap_or("?");
    let observed = object
        .data
        .pointer("/status/observedGeneration")
        .and_then(Value::as_i64)
        .map_or("none".to_owned(), |number| number.to_string());
    let generation = object.metadata.generation.unwrap_or_default();
    let deleting = if object.metadata.deletion_timestamp.is_some() { ", deleting" } else { "" };
    let told = |kind: &&str| condition(object, kind).is_some();
    let tell = |kind| {
        let (status, reason) = state(object, kind);
        format!(", {kind} {status} {reason} {:?}", message(object, kind))
    };
    let conditions: String =
        ["Ready", "Reconciling", "Stalled", "Paused", "Drifted"].into_iter().filter(told).map(tell).collect();
    format!("{name}: generation {generation} (observed {observed}){deleting}{conditions}")
}
