//! `kubernetes.Manifest`: any object of any cluster, held to its manifest by server-side apply.
//!
//! The API server does the thinking: it computes what an apply would change (a dry run), who owns which field, what is valid. This adaptor
//! decides three things only: when a field of somebody else may be taken (where the object is ours already, or the manifest says so), when an
//! object is ready, and which object may be deleted (the one whose UID was recorded).
//!
//! | file | what it knows |
//! |---|---|
//! | `manifest.rs` | what a manifest may say |
//! | `connection.rs`, `cluster.rs` | how a cluster is reached, its kinds, the calls |
//! | `difference.rs` | what differs, in words, without secrets |
//! | `readiness.rs`, `waiting.rs` | when an object is ready or gone |
//! | `identity.rs`, `deletion.rs` | which object is ours |
//! | `errors.rs` | why something failed |
//!
//! Deliberately absent: labels and annotations of ours on users' objects, a cache of objects, polling, deletion by name.

mod cluster;
mod connection;
mod deletion;
mod difference;
mod enforcement;
mod errors;
mod identity;
mod manifest;
mod readiness;
mod waiting;

use super::schema::Complaint;
use super::{Adaptor, AdaptorError, Assessment, Desired, FactValues, TypeSchema};
use crate::adaptors::limits::ATTEMPT_LAST_WORDS;
use crate::core::Change;
use async_trait::async_trait;
use connection::Clusters;
use deletion::Doomed;
use enforcement::Found;
use errors::KubernetesError;
use manifest::Manifest;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// The adaptor of Kubernetes objects.
#[derive(Default)]
pub struct Kubernetes {
    clusters: Clusters,
}

impl Kubernetes {
    /// With no cluster connected yet.
    pub fn new() -> Self {
        Self::default()
    }

    async fn assess(&self, desired: &Desired, deleting: bool) -> Result<Assessment, KubernetesError> {
        let cluster = self.clusters.get(&desired.connection).await?;
        let deadline = Instant::now() + working_time(desired.deadline);
        if deleting {
            deletion::assess(&cluster, desired, deadline).await
        } else {
            enforcement::assess(&cluster, desired, deadline).await
        }
    }

    async fn carry_out(&self, desired: &Desired, assessment: &Assessment) -> Result<Option<String>, KubernetesError> {
        let cluster = self.clusters.get(&desired.connection).await?;
        if let Some(doomed) = assessment.found.downcast_ref::<Doomed>() {
            return deletion::carry_out(&cluster, doomed).await.map(|()| None);
        }
        match assessment.found.downcast_ref::<Found>() {
            Some(found) => enforcement::carry_out(&cluster, found).await,
            None => Ok(assessment.remote_identity.clone()),
        }
    }

    /// Rotated credentials are read again by the next attempt.
    fn told(&self, desired: &Desired, error: &KubernetesError) -> AdaptorError {
        if matches!(error, KubernetesError::Unauthorized { .. }) {
            self.clusters.forget(&desired.connection);
        }
        AdaptorError(error.to_string())
    }
}

/// The group of an `apiVersion` makes an object the same thing, its version does not: a newer version of a kind is an update, never a replacement.
fn identity_part(pointer: &str, value: &serde_json::Value, _: &serde_json::Value) -> serde_json::Value {
    match value.as_str() {
        Some(api_version) if pointer == "/manifest/apiVersion" => {
            api_version.split_once('/').map_or("", |(group, _)| group).into()
        }
        _ => value.clone(),
    }
}

/// What is left of a deadline when the last words are said.
fn working_time(deadline: Duration) -> Duration {
    deadline.saturating_sub(ATTEMPT_LAST_WORDS.min(deadline / 4))
}

#[async_trait]
impl Adaptor for Kubernetes {
    fn types(&self) -> Vec<TypeSchema> {
        vec![TypeSchema {
            kind: "kubernetes.Manifest",
            description: "Any Kubernetes object, held to its manifest by server-side apply.",
            attributes: attributes(),
            identity: &[
                "/manifest/apiVersion",
                "/manifest/kind",
                "/manifest/metadata/namespace",
                "/manifest/metadata/name",
            ],
            identity_part: Some(identity_part),
            sensitive: &[],
            facts: enforcement::FACTS,
            check: Some(complaints),
        }]
    }

    fn masks(&self, _kind: &str, attributes: &Value) -> &'static [&'static str] {
        manifest::masks(attributes)
    }

    async fn difference(&self, desired: &Desired, deleting: bool) -> Result<Assessment, AdaptorError> {
        self.assess(desired, deleting).await.map_err(|error| self.told(desired, &error))
    }

    async fn apply(&self, desired: &Desired, assessment: &Assessment) -> Result<Option<String>, AdaptorError> {
        self.carry_out(desired, assessment).await.map_err(|error| self.told(desired, &error))
    }

    async fn facts(
        &self,
        desired: &Desired,
        assessment: &Assessment,
        as_desired: bool,
    ) -> Result<FactValues, AdaptorError> {
        let Some(found) = assessment.found.downcast_ref::<Found>() else { return Ok(FactValues::new()) };
        let applied = as_desired && assessment.difference.change != Change::None;
        let facts = async {
            let cluster = self.clusters.get(&desired.connection).await?;
            enforcement::facts(&cluster, found, applied).await
        };
        facts.await.map_err(|error| self.told(desired, &error))
    }
}

/// What the schema cannot say, said before anything is accepted.
fn complaints(attributes: &Value) -> Vec<Complaint> {
    match Manifest::parse(attributes) {
        Ok(_) => Vec::new(),
        Err(KubernetesError::Attributes { path, why }) => {
            vec![Complaint::new(format!("/{}", path.replace('.', "/")), why)]
        }
        Err(other) => vec![Complaint::new("", other.to_string())],
    }
}

fn attributes() -> Value {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 253});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["manifest"],
        "examples": [{
            "manifest": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "motd", "namespace": "web"},
                "data": {"motd": "Welcome.\n"},
            },
        }],
        "properties": {
            "manifest": {
                "type": "object",
                "description": "The object as one would give it to `kubectl apply`; what it leaves out is left to the cluster and to others.",
                "additionalProperties": true,
                "required": ["apiVersion", "kind", "metadata"],
                "properties": {
                    "apiVersion": name,
                    "kind": name,
                    "metadata": {
                        "type": "object",
                        "additionalProperties": true,
                        "required": ["name"],
                        "properties": {"name": name, "namespace": name},
                    },
                },
            },
            "readiness": {
                "type": "string",
                "enum": ["Wait", "None"],
                "default": "Wait",
                "description": "Whether an attempt succeeds only when the object is ready (by the rules of kstatus), or as soon as it is applied.",
            },
            "conflicts": {
                "type": "string",
                "enum": ["Report", "TakeOver"],
                "default": "Report",
                "description": "What happens where another field manager owns a declared field of an object that was not deployed from here before: \
                    the attempt fails and names it, or the field is taken over.",
            },
        },
    })
}
