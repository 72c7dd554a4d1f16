//! The `CustomResourceDefinitions`, generated from the Rust types, as they stand in `crds/`.
//!
//! What the derive cannot say is added here: how long some names may be, no `nullable` (absent is the only way to say nothing), no Rust-only formats.

use super::{Environment, Executor, Resource, Target};
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

/// Why the definitions cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// They cannot be turned into JSON.
    #[error("the definition of {kind} is not valid JSON")]
    Json {
        /// Which kind.
        kind: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// They cannot be written as YAML.
    #[error("the definition in {file} cannot be written as YAML: {reason}")]
    Yaml {
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
}

/// The definitions as files: name and YAML text. The file's name is the plural.
pub fn crds() -> Result<Vec<(String, String)>, CrdError> {
    let mut files = Vec::new();
    for (kind, definition) in crd_objects()? {
        let file = format!("{}s.yaml", kind.to_lowercase());
        let yaml = serde_saphyr::to_string(&definition)
            .map_err(|error| CrdError::Yaml { file: file.clone(), reason: error.to_string() })?;
        files.push((file, format!("# Generated from src/api by `make generate`; do not edit.\n---\n{yaml}")));
    }
    Ok(files)
}

/// The definitions by kind, in alphabetical order.
pub fn crd_objects() -> Result<Vec<(&'static str, Value)>, CrdError> {
    [
        ("Environment", Environment::crd()),
        ("Executor", Executor::crd()),
        ("Resource", Resource::crd()),
        ("Target", Target::crd()),
    ]
    .into_iter()
    .map(|(kind, definition)| {
        let mut value = serde_json::to_value(definition).map_err(|source| CrdError::Json { kind, source })?;
        finish(kind, &mut value);
        Ok((kind, value))
    })
    .collect()
}

/// The schema inside a definition.
pub(super) fn schema_of(definition: &Value) -> Option<&Value> {
    definition.pointer("/spec/versions/0/schema/openAPIV3Schema")
}

fn finish(kind: &str, definition: &mut Value) {
    if let Some(schema) = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        clean(schema);
        if let Some(status) = schema.pointer_mut("/properties/status") {
            without_defaults(status);
        }
        if let (Some(root), "Environment" | "Executor") = (schema.as_object_mut(), kind) {
            limit_name(root);
        }
    }
}

/// The name becomes the value of a label on pods, and those have 63 characters.
fn limit_name(root: &mut Map<String, Value>) {
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        let name = json!({"type": "string", "maxLength": 63});
        properties.insert("metadata".to_owned(), json!({"type": "object", "properties": {"name": name}}));
    }
}

/// Walks the schema itself, not the values of `default` and `enum` in it.
fn clean(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("nullable");
    schema.remove("title");
    for bound in ["minimum", "maximum"] {
        if let Some(whole) = schema.get(bound).and_then(Value::as_f64).filter(|number| number.fract() == 0.0) {
            schema.insert(bound.to_owned(), json!(whole as i64));
        }
    }
    let is_rust_format = schema.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"));
    if is_rust_format {
        schema.insert("format".to_owned(), json!("int32"));
    }
    children(schema, "properties");
    for below in ["items", "additionalProperties"] {
        if let Some(child) = schema.get_mut(below) {
            clean(child);
        }
    }
}

fn children(schema: &mut Map<String, Value>, below: &str) {
    if let Some(properties) = schema.get_mut(below).and_then(Value::as_object_mut) {
        properties.values_mut().for_each(clean);
    }
}

/// Status is written by us alone: nothing in it is filled in by the API server.
fn without_defaults(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    schema.remove("default");
    schema.get_mut("items").into_iter().for_each(without_defaults);
    schema
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(without_defaults);
}

#[cfg(test)]
mod tests;
