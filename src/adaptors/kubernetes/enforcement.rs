//! Holding one object to its manifest: read it, let the server compute the difference, apply, wait until it works.

use super::super::{Assessment, Desired, Difference, FactValues};
use super::cluster::{ApplyMode, Cluster, Place};
use super::difference::{creation, difference, scrub};
use super::errors::KubernetesError;
use super::identity::{RemoteIdentity, deletion_timestamp, field_manager, has_applied, uid};
use super::manifest::{Conflicts, Manifest};
use super::waiting::{held_by, until_ready};
use crate::adaptors::limits::READY_GRACE;
use crate::core::Change;
use serde_json::Value;
use tokio::time::Instant;

/// What `apply` needs to know of what `difference` found.
pub(crate) struct Found {
    place: Place,
    manifest: Manifest,
    manager: String,
    /// What is sent: the manifest, with the UID of the object it is meant for where that exists.
    body: Value,
    force: bool,
    deadline: Instant,
    /// Of the object as it was read.
    facts: FactValues,
}

/// Reads and compares. Changes nothing.
pub(crate) async fn assess(
    cluster: &Cluster,
    desired: &Desired,
    deadline: Instant,
) -> Result<Assessment, KubernetesError> {
    let manifest = Manifest::parse(&desired.attributes)?;
    let manager = field_manager(&desired.environment);
    let (place, live) = cluster.read(&manifest.key).await?;
    let body = manifest.object.clone();
    let force = manifest.conflicts == Conflicts::TakeOver;
    let facts = live.as_ref().map(facts_of).unwrap_or_default();
    let mut found = Found { place, manifest, manager, body, force, deadline, facts };
    match live {
        None => assess_absent(cluster, found).await,
        Some(live) => {
            found.force |= is_ours(&live, desired, &found.manager);
            assess_present(cluster, found, &live).await
        }
    }
}

/// Ours is what an attempt recorded, and what still carries our field manager. There, a field that another manager changed is drift.
fn is_ours(live: &Value, desired: &Desired, manager: &str) -> bool {
    let recorded = desired.remote_identity.as_deref().and_then(RemoteIdentity::parse);
    recorded.is_some_and(|recorded| uid(live) == Some(recorded.uid.as_str())) || has_applied(live, manager)
}

async fn assess_absent(cluster: &Cluster, found: Found) -> Result<Assessment, KubernetesError> {
    let remark = match found.rehearse(cluster).await {
        Ok(_) => "",
        Err(KubernetesError::NotFound { missing, .. }) if missing.starts_with("namespaces ") => {
            " (its namespace does not exist yet: known after apply)"
        }
        Err(error) => return Err(error),
    };
    let difference =
        Difference { change: Change::Create, diff: creation(&found.place.key, &found.manifest.object, remark) };
    Ok(Assessment { difference, remote_identity: None, found: Box::new(found) })
}

async fn assess_present(cluster: &Cluster, mut found: Found, live: &Value) -> Result<Assessment, KubernetesError> {
    let key = &found.place.key;
    if let Some(since) = deletion_timestamp(live) {
        let held = held_by(key, live);
        return Err(KubernetesError::Terminating { object: key.to_string(), since: since.to_owned(), held });
    }
    let remote_identity = RemoteIdentity::of(key, live).and_then(|identity| identity.text());
    // With the UID in it, the server refuses to touch an object that has taken this one's place.
    if let (Some(uid), Some(metadata)) = (uid(live), found.body.pointer_mut("/metadata").and_then(Value::as_object_mut))
    {
        metadata.insert("uid".into(), uid.into());
    }
    let wanted = found.rehearse(cluster).await?;
    let diff = difference(&found.place.key, live, &wanted);
    if !diff.is_empty() {
        let difference = Difference { change: Change::Update, diff };
        return Ok(Assessment { difference, remote_identity, found: Box::new(found) });
    }
    if let (true, Some(uid)) = (found.manifest.waits, uid(live)) {
        let deadline = found.deadline.min(Instant::now() + READY_GRACE);
        until_ready(cluster, &found.place, uid, "as declared", deadline).await?;
    }
    let difference = Difference { change: Change::None, diff };
    Ok(Assessment { difference, remote_identity, found: Box::new(found) })
}

/// Applies and waits. Applying again changes nothing.
pub(crate) async fn carry_out(cluster: &Cluster, found: &Found) -> Result<Option<String>, KubernetesError> {
    let applied = found.apply(cluster, false).await?;
    if let (true, Some(uid)) = (found.manifest.waits, uid(&applied)) {
        until_ready(cluster, &found.place, uid, "applied", found.deadline).await?;
    }
    Ok(RemoteIdentity::of(&found.place.key, &applied).and_then(|identity| identity.text()))
}

/// What an object says of itself that others may need. Nothing of it is secret.
pub(crate) const FACTS: &[(&str, &str)] = &[
    ("uid", "Its UID."),
    ("clusterIP", "Of a Service: the address inside the cluster."),
    ("address", "Of a Service or an Ingress: the first address or host name of its load balancer."),
    ("phase", "Its phase, where it has one, such as `Bound` of a claim."),
];

fn facts_of(object: &Value) -> FactValues {
    let places: [(&str, &[&str]); 4] = [
        ("uid", &["/metadata/uid"]),
        ("clusterIP", &["/spec/clusterIP"]),
        ("address", &["/status/loadBalancer/ingress/0/ip", "/status/loadBalancer/ingress/0/hostname"]),
        ("phase", &["/status/phase"]),
    ];
    let found = places.into_iter().filter_map(|(name, pointers)| {
        let value = pointers.iter().find_map(|pointer| object.pointer(pointer))?;
        value.is_string().then(|| (name.to_owned(), value.clone()))
    });
    found.collect()
}

/// Facts as they are now. What was only looked at is as it was read.
pub(crate) async fn facts(cluster: &Cluster, found: &Found, applied: bool) -> Result<FactValues, KubernetesError> {
    if !applied {
        return Ok(found.facts.clone());
    }
    let (_, live) = cluster.read(&found.place.key).await?;
    Ok(live.as_ref().map(facts_of).unwrap_or_default())
}

impl Found {
    /// What the object would be.
    async fn rehearse(&self, cluster: &Cluster) -> Result<Value, KubernetesError> {
        self.apply(cluster, true).await
    }

    async fn apply(&self, cluster: &Cluster, dry_run: bool) -> Result<Value, KubernetesError> {
        let mode = ApplyMode { dry_run, force: self.force };
        cluster.apply(&self.place, &self.body, &self.manager, mode).await.map_err(|error| self.without_secrets(error))
    }

    /// An API server may quote a value that it does not like.
    fn without_secrets(&self, error: KubernetesError) -> KubernetesError {
        let clean = |text: String| scrub(&self.place.key, &self.manifest.object, &text);
        match error {
            KubernetesError::Invalid { call, causes } => KubernetesError::Invalid { call, causes: clean(causes) },
            KubernetesError::Forbidden { call, message, advice } => {
                KubernetesError::Forbidden { call, message: clean(message), advice }
            }
            KubernetesError::Refused { call, url, code, message } => {
                KubernetesError::Refused { call, url, code, message: clean(message) }
            }
            other => other,
        }
    }
}
