//! Waits on one object until it is ready, or until it is gone, by watching it: no polling while nothing happens.
//!
//! A watch is a hint, a read is the truth: each round begins with a read, follows a watch from there, and begins again when that ends.

use super::cluster::{Cluster, Events, Place};
use super::errors::KubernetesError;
use super::identity::{deletion_timestamp, uid};
use super::manifest::ObjectKey;
use super::readiness::{Readiness, readiness};
use crate::adaptors::limits::{DISCOVERY_PAUSE, ROUND_PAUSE};
use futures::StreamExt;
use kube::core::WatchEvent;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

/// How a wait ended.
enum End {
    /// What was waited for has come.
    Reached,
    /// It will never come; the reason.
    Hopeless(String),
    /// Not by the deadline; what was missing last.
    Late(String),
}

/// What one look at the object means.
enum Look {
    Reached,
    Hopeless(String),
    Missing(String),
}

/// Waits until the object is ready. `stage` says in an error how far it got before.
pub(crate) async fn until_ready(
    cluster: &Cluster,
    place: &Place,
    uid: &str,
    stage: &'static str,
    deadline: Instant,
) -> Result<(), KubernetesError> {
    let began = Instant::now();
    let judge = |object: Option<&Value>| match object {
        None => Look::Hopeless("it was deleted by somebody else".to_owned()),
        Some(object) => match readiness(&place.key, object) {
            Readiness::Ready => Look::Reached,
            Readiness::Failed(why) => Look::Hopeless(why),
            Readiness::Waiting(why) => Look::Missing(why),
        },
    };
    let refused =
        |why: String, after: String| KubernetesError::NotReady { object: place.key.to_string(), stage, why, after };
    match follow(cluster, place, uid, deadline, judge).await? {
        End::Hopeless(why) => Err(refused(why, String::new())),
        End::Late(why) => Err(refused(why, format!(" (waited {} s)", began.elapsed().as_secs()))),
        End::Reached if place.key.is("apiextensions.k8s.io", "CustomResourceDefinition") => {
            let served = until_served(cluster, place, deadline).await?;
            served
                .then_some(())
                .ok_or_else(|| refused("the API server does not serve its kind yet".into(), String::new()))
        }
        End::Reached => Ok(()),
    }
}

/// Waits until the object with this UID is gone.
pub(crate) async fn until_gone(
    cluster: &Cluster,
    place: &Place,
    uid: &str,
    deadline: Instant,
) -> Result<(), KubernetesError> {
    let began = Instant::now();
    let judge =
        |object: Option<&Value>| object.map_or(Look::Reached, |object| Look::Missing(held_by(&place.key, object)));
    match follow(cluster, place, uid, deadline, judge).await? {
        End::Reached => Ok(()),
        End::Hopeless(held) | End::Late(held) => {
            Err(KubernetesError::StillThere { object: place.key.to_string(), seconds: began.elapsed().as_secs(), held })
        }
    }
}

/// Which finalizers keep an object from going, in words that follow a sentence; empty where none do.
pub(crate) fn held_by(key: &ObjectKey, object: &Value) -> String {
    let names = |pointer: &str| -> Vec<&str> {
        object.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let finalizers = [names("/metadata/finalizers"), names("/spec/finalizers")].concat();
    if finalizers.is_empty() || deletion_timestamp(object).is_none() {
        return String::new();
    }
    let mut held = format!(
        ", held by {} {}",
        if finalizers.len() == 1 { "finalizer" } else { "finalizers" },
        finalizers.join(", ")
    );
    if key.is("", "Namespace") {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let is_true = |condition: &&Value| condition.get("status").and_then(Value::as_str) == Some("True");
        for message in conditions.filter(is_true).filter_map(|condition| condition.get("message")?.as_str()) {
            held.push_str(": ");
            held.push_str(message);
        }
    }
    held
}

/// A definition is established a moment before the server answers for its kind; what requires it would meet "unknown kind".
async fn until_served(cluster: &Cluster, place: &Place, deadline: Instant) -> Result<bool, KubernetesError> {
    let Some(definition) = cluster.get(place).await? else { return Ok(false) };
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let served = versions.filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
    for version in served.filter_map(|version| version.get("name")?.as_str()) {
        while !cluster.serves(&format!("{group}/{version}"), kind).await? {
            if Instant::now() + DISCOVERY_PAUSE >= deadline {
                return Ok(false);
            }
            sleep(DISCOVERY_PAUSE).await;
        }
    }
    Ok(true)
}

/// Rounds of reading and watching until `judge` has had enough. An object with another UID counts as none.
async fn follow<J>(
    cluster: &Cluster,
    place: &Place,
    wanted: &str,
    deadline: Instant,
    judge: J,
) -> Result<End, KubernetesError>
where
    J: Fn(Option<&Value>) -> Look,
{
    let mut missing = "the API server could not be asked".to_owned();
    loop {
        match round(cluster, place, wanted, deadline, &judge).await {
            Ok(Look::Reached) => return Ok(End::Reached),
            Ok(Look::Hopeless(why)) => return Ok(End::Hopeless(why)),
            Ok(Look::Missing(why)) => missing = why,
            // what was asked for is on its way, whether or not we can see it at this moment
            Err(error) if error.is_transient() => {}
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        if now >= deadline {
            return Ok(End::Late(missing));
        }
        sleep(ROUND_PAUSE.min(deadline - now)).await;
    }
}

/// One read and the watch that follows it. Ends when `judge` is sure, or when the watch or the time ends.
async fn round<J>(
    cluster: &Cluster,
    place: &Place,
    wanted: &str,
    deadline: Instant,
    judge: &J,
) -> Result<Look, KubernetesError>
where
    J: Fn(Option<&Value>) -> Look,
{
    let object = cluster.get(place).await?.filter(|object| uid(object) == Some(wanted));
    let version = object.as_ref().and_then(|object| object.pointer("/metadata/resourceVersion")?.as_str());
    let mut look = judge(object.as_ref());
    let left = deadline.saturating_duration_since(Instant::now());
    let (Some(version), Look::Missing(_), false) = (version, &look, left.is_zero()) else { return Ok(look) };
    let mut events = cluster.watch(place, version, left).await?;
    while matches!(look, Look::Missing(_)) {
        let Some(seen) = next(&mut events, deadline).await else { break };
        look = match seen {
            Seen::Object(object) => judge(Some(&object).filter(|object| uid(object) == Some(wanted))),
            Seen::Gone => judge(None),
            Seen::Nothing => look,
        };
    }
    Ok(look)
}

/// What a watch brought.
enum Seen {
    Object(Value),
    Gone,
    Nothing,
}

/// The next event; `None` where the watch ended, broke or reached the deadline.
async fn next(events: &mut Events, deadline: Instant) -> Option<Seen> {
    match timeout_at(deadline, events.next()).await {
        Ok(Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)))) => Some(Seen::Object(object)),
        Ok(Some(Ok(WatchEvent::Deleted(_)))) => Some(Seen::Gone),
        Ok(Some(Ok(WatchEvent::Bookmark(_)))) => Some(Seen::Nothing),
        Ok(Some(Ok(WatchEvent::Error(_)) | Err(_)) | None) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_holds_a_deleted_object_is_named() {
        let key =
            |kind: &str| ObjectKey { api_version: "v1".into(), kind: kind.into(), namespace: None, name: "x".into() };
        let time = "2026-11-21T10:00:00Z";
        let object = json!({"metadata": {"deletionTimestamp": time, "finalizers": ["a.example/one", "b.example/two"]}});
        assert_eq!(held_by(&key("ConfigMap"), &object), ", held by finalizers a.example/one, b.example/two");
        assert_eq!(held_by(&key("ConfigMap"), &json!({"metadata": {"finalizers": ["kept"]}})), "");
        let namespace = json!({"metadata": {"deletionTimestamp": time}, "spec": {"finalizers": ["kubernetes"]}, "status": {"conditions": [
            {"status": "False", "message": "no"}, {"status": "True", "message": "2 pods are left"}]}});
        assert_eq!(held_by(&key("Namespace"), &namespace), ", held by finalizer kubernetes: 2 pods are left");
    }
}
