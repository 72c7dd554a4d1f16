//! The attributes of a `kubernetes.Manifest`, parsed once into something that can be sent safely.
//!
//! Everything that could make the request mean something else than the user wrote is refused here, with the field's path: parts of a URL in
//! a name, a list, a name the server would invent, fields that only the server writes. Deliberately absent: knowledge of kinds. What a field
//! of a Deployment may hold is the API server's to say.

use super::errors::KubernetesError;
use crate::adaptors::limits::OBJECT_NAME_BYTES;
use k8s_openapi::ByteString;
use serde_json::{Map, Value};
use std::fmt;

/// Fields of `metadata` that only the API server writes.
const SERVER_METADATA: [&str; 7] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"];

/// Where a Secret has values that are not shown; the last one is what `kubectl apply` has left there: a copy of all of it.
const SECRET_VALUES: [&str; 3] = [
    "/manifest/data",
    "/manifest/stringData",
    "/manifest/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
];

/// Which object on which cluster: the part of a manifest that says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectKey {
    /// `v1`, `apps/v1`, …
    pub(crate) api_version: String,
    /// `ConfigMap`, `Deployment`, …
    pub(crate) kind: String,
    /// Where it lives; `None` for what belongs to the whole cluster.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
}

/// What happens where another manager owns a field with another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflicts {
    /// The attempt fails and names the managers, unless the object is already ours.
    Report,
    /// The fields become ours.
    TakeOver,
}

/// The attributes, validated.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// Which object.
    pub(crate) key: ObjectKey,
    /// What is applied.
    pub(crate) object: Value,
    /// Whether an attempt waits until the object is ready.
    pub(crate) waits: bool,
    /// What happens on conflicts.
    pub(crate) conflicts: Conflicts,
}

impl ObjectKey {
    /// The API group; empty for the core group.
    pub(crate) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether values under `data` are secret.
    pub(crate) fn is_secret(&self) -> bool {
        self.kind == "Secret" && self.group().is_empty()
    }

    /// Whether it is this kind of this group, in any version.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.kind == kind && self.group() == group
    }
}

impl fmt::Display for ObjectKey {
    /// `Deployment shop/web`, `Namespace shop`, with the group where it is not one of Kubernetes' own short ones.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.kind)?;
        if self.group().contains('.') && !self.group().ends_with(".k8s.io") {
            write!(out, ".{}", self.group())?;
        }
        match &self.namespace {
            Some(namespace) => write!(out, " {namespace}/{}", self.name),
            None => write!(out, " {}", self.name),
        }
    }
}

impl Manifest {
    /// Parses the attributes.
    pub(crate) fn parse(attributes: &Value) -> Result<Self, KubernetesError> {
        let object = attributes
            .get("manifest")
            .ok_or_else(|| refused("manifest", "is missing; give a whole Kubernetes object"))?;
        let fields = object.as_object().ok_or_else(|| refused("manifest", "must be an object"))?;
        let key = key_of(fields)?;
        refuse_what_the_server_writes(fields)?;
        let mut object = object.clone();
        if key.is_secret() {
            fold_string_data(&mut object)?;
        }
        let waits = match attributes.get("readiness").map(Value::as_str) {
            None | Some(Some("Wait")) => true,
            Some(Some("None")) => false,
            Some(_) => return Err(refused("readiness", "must be Wait or None")),
        };
        let conflicts = match attributes.get("conflicts").map(Value::as_str) {
            None | Some(Some("Report")) => Conflicts::Report,
            Some(Some("TakeOver")) => Conflicts::TakeOver,
            Some(_) => return Err(refused("conflicts", "must be Report or TakeOver")),
        };
        Ok(Self { key, object, waits, conflicts })
    }
}

/// JSON pointers of what is not printed of these attributes: the values of a Secret, as in differences. What cannot be read may be one.
pub(crate) fn masks(attributes: &Value) -> &'static [&'static str] {
    let key = attributes.get("manifest").and_then(Value::as_object).map(key_of);
    if key.is_some_and(|key| key.is_ok_and(|key| !key.is_secret())) { &[] } else { &SECRET_VALUES }
}

fn refused(path: &str, why: impl Into<String>) -> KubernetesError {
    KubernetesError::Attributes { path: path.to_owned(), why: why.into() }
}

fn key_of(fields: &Map<String, Value>) -> Result<ObjectKey, KubernetesError> {
    let api_version = text(fields, "apiVersion", "manifest.apiVersion", "such as v1 or apps/v1")?;
    if !is_api_version(&api_version) {
        return Err(refused(
            "manifest.apiVersion",
            format!("{api_version:?} is neither VERSION nor GROUP/VERSION, such as v1 or apps/v1"),
        ));
    }
    let kind = text(fields, "kind", "manifest.kind", "such as ConfigMap")?;
    if !kind.starts_with(|first: char| first.is_ascii_alphabetic())
        || !kind.chars().all(|each| each.is_ascii_alphanumeric())
    {
        return Err(refused("manifest.kind", format!("{kind:?} is not the name of a kind, such as ConfigMap")));
    }
    if fields.contains_key("items") && kind.ends_with("List") {
        return Err(refused(
            "manifest.items",
            format!("a {kind} is a list; give each of its items a resource of its own"),
        ));
    }
    let metadata = fields.get("metadata").and_then(Value::as_object);
    let metadata =
        metadata.ok_or_else(|| refused("manifest.metadata", "is missing; it must be an object with a name"))?;
    if metadata.contains_key("generateName") {
        let why = "a name that the server invents cannot be found again; set metadata.name instead";
        return Err(refused("manifest.metadata.generateName", why));
    }
    let name = text(metadata, "name", "manifest.metadata.name", "the object's name")?;
    check_name("manifest.metadata.name", &name)?;
    let namespace = match metadata.get("namespace") {
        None => None,
        Some(Value::String(namespace)) => Some(namespace.clone()),
        Some(_) => return Err(refused("manifest.metadata.namespace", "must be a string")),
    };
    if let Some(namespace) = &namespace {
        check_name("manifest.metadata.namespace", namespace)?;
    }
    Ok(ObjectKey { api_version, kind, namespace, name })
}

fn text(fields: &Map<String, Value>, field: &str, path: &str, example: &str) -> Result<String, KubernetesError> {
    match fields.get(field) {
        None => Err(refused(path, format!("is missing; {example}"))),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(refused(path, "must be a string")),
    }
}

fn is_api_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').unwrap_or(("v1", text));
    let allowed = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit();
    let dns = |part: &str| !part.is_empty() && part.chars().all(|each| allowed(each) || each == '-');
    group.split('.').all(dns) && !version.is_empty() && version.chars().all(allowed)
}

/// What any API server accepts as one segment of a URL's path; the kind's own rules are stricter and the server's to apply.
pub(crate) fn check_name(path: &str, name: &str) -> Result<(), KubernetesError> {
    let odd = |each: char| each.is_control() || each.is_whitespace() || !each.is_ascii() || "/%?#\\\"".contains(each);
    if name.is_empty() || name == "." || name == ".." || name.contains(odd) {
        return Err(refused(path, format!("{name:?} cannot be the name of a Kubernetes object")));
    }
    if name.len() > OBJECT_NAME_BYTES {
        return Err(refused(path, format!("has {} bytes; a name has at most {OBJECT_NAME_BYTES}", name.len())));
    }
    Ok(())
}

fn refuse_what_the_server_writes(fields: &Map<String, Value>) -> Result<(), KubernetesError> {
    let why = "is written by the API server and cannot be declared; remove it";
    if fields.contains_key("status") {
        return Err(refused("manifest.status", why));
    }
    let metadata = fields.get("metadata").and_then(Value::as_object);
    let written = SERVER_METADATA.iter().find(|field| metadata.is_some_and(|metadata| metadata.contains_key(**field)));
    written.map_or(Ok(()), |field| Err(refused(&format!("manifest.metadata.{field}"), why)))
}

/// `stringData` is write-only: the server merges it into `data`, and never takes a key away again that a later apply leaves out. Doing the
/// merge here, by the server's rule (`stringData` wins), makes server-side apply own, and remove, the keys under `data`.
fn fold_string_data(object: &mut Value) -> Result<(), KubernetesError> {
    let Some(fields) = object.as_object_mut() else { return Ok(()) };
    check_strings(fields, "data")?;
    check_strings(fields, "stringData")?;
    let Some(Value::Object(plain)) = fields.remove("stringData") else { return Ok(()) };
    let data = fields.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    if let Value::Object(data) = data {
        for (key, value) in plain {
            let bytes = ByteString(value.as_str().unwrap_or_default().as_bytes().to_vec());
            data.insert(key, serde_json::to_value(bytes).unwrap_or(Value::Null));
        }
    }
    Ok(())
}

/// Refused here because the API server's message would quote the value.
fn check_strings(fields: &Map<String, Value>, field: &str) -> Result<(), KubernetesError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(values)) => match values.iter().find(|(_, value)| !value.is_string()) {
            None => Ok(()),
            Some((key, _)) => {
                Err(refused(&format!("manifest.{field}"), format!("the value of {key:?} must be a string")))
            }
        },
        Some(_) => Err(refused(&format!("manifest.{field}"), "must be an object of strings")),
    }
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;
