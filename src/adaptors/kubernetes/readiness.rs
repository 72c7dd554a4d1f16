//! Whether an object has become what it was declared to be, by the rules of kstatus (sigs.k8s.io/cli-utils), which Flux and Helm also follow.
//!
//! Two answers differ from kstatus on purpose: a Job is ready when it is complete, not when it has started, because what requires a Job
//! requires its result; and a Pod that cannot be scheduled is waited for, because a cluster may grow. Pure: one object in, one answer out.

use super::manifest::ObjectKey;
use serde_json::Value;

/// How far an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It is what it was declared to be.
    Ready,
    /// It is on its way; the text says what is missing.
    Waiting(String),
    /// It will not get there by itself; the text says why.
    Failed(String),
}

use Readiness::{Failed, Ready, Waiting};

/// Judges an object as the API server returned it.
pub(crate) fn readiness(key: &ObjectKey, object: &Value) -> Readiness {
    if let Some(unsettled) = generic(object) {
        return unsettled;
    }
    match (key.group(), key.kind.as_str()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => volume_claim(object),
        ("", "Namespace") => phase_is(object, "Active"),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom_resource_definition(object),
        ("apiregistration.k8s.io", "APIService") => condition_is_true(object, "Available"),
        _ => ready_condition(object),
    }
}

/// What holds for every kind: nothing is known of it before its controller has seen the newest generation, and a controller may say itself
/// that it works or is stuck.
fn generic(object: &Value) -> Option<Readiness> {
    if let Some(since) = super::identity::deletion_timestamp(object) {
        return Some(Failed(format!("it is being deleted since {since}")));
    }
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if let Some((generation, observed)) =
        generation.zip(observed).filter(|(generation, observed)| observed < generation)
    {
        return Some(Waiting(format!("its controller has seen generation {observed}, not yet {generation}")));
    }
    if let Some(stalled) = condition(object, "Stalled").filter(|stalled| is_true(stalled)) {
        return Some(Failed(told("Stalled", stalled)));
    }
    condition(object, "Reconciling").filter(|doing| is_true(doing)).map(|doing| Waiting(told("Reconciling", doing)))
}

fn ready_condition(object: &Value) -> Readiness {
    match condition(object, "Ready") {
        Some(ready) if !is_true(ready) => Waiting(told("Ready is not True", ready)),
        _ => Ready,
    }
}

fn deployment(object: &Value) -> Readiness {
    let progressing = condition(object, "Progressing");
    if let Some(stuck) = progressing.filter(|progressing| text(progressing, "reason") == "ProgressDeadlineExceeded") {
        return Failed(told("Progressing", stuck));
    }
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|failure| is_true(failure)) {
        return Waiting(told("ReplicaFailure", failure));
    }
    let wanted = wanted_replicas(object);
    let all = status_count(object, "replicas");
    let updated = status_count(object, "updatedReplicas");
    let checks = [
        (updated < wanted, format!("{updated} of {wanted} replicas are updated")),
        (all > updated, format!("{} old replicas are still there", all - updated)),
        counted(object, "availableReplicas", wanted, "replicas are available"),
        counted(object, "readyReplicas", wanted, "replicas are ready"),
    ];
    match first_missing(&checks) {
        Some(missing) => Waiting(with_cause(missing, condition(object, "Available"))),
        None => condition_is_true(object, "Available"),
    }
}

fn replica_set(object: &Value) -> Readiness {
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|failure| is_true(failure)) {
        return Waiting(told("ReplicaFailure", failure));
    }
    let wanted = wanted_replicas(object);
    let all = status_count(object, "replicas");
    ready_unless(&[
        counted(object, "availableReplicas", wanted, "replicas are available"),
        counted(object, "readyReplicas", wanted, "replicas are ready"),
        (all > wanted, format!("{} replicas too many are still there", all - wanted)),
    ])
}

fn stateful_set(object: &Value) -> Readiness {
    if object.pointer("/spec/updateStrategy/type").and_then(Value::as_str) == Some("OnDelete") {
        return Ready;
    }
    let wanted = wanted_replicas(object);
    let all = status_count(object, "replicas");
    let partition = object.pointer("/spec/updateStrategy/rollingUpdate/partition").and_then(Value::as_i64).unwrap_or(0);
    let to_update = (wanted - partition).max(0);
    let revision = |field: &str| object.pointer(&format!("/status/{field}")).and_then(Value::as_str);
    let rolling = partition == 0 && revision("currentRevision") != revision("updateRevision");
    ready_unless(&[
        counted(object, "replicas", wanted, "replicas exist"),
        counted(object, "readyReplicas", wanted, "replicas are ready"),
        (all > wanted, format!("{} replicas too many are still there", all - wanted)),
        (
            partition > 0 && status_count(object, "updatedReplicas") < to_update,
            format!("not all of {to_update} replicas are updated"),
        ),
        (rolling, format!("{} of {wanted} replicas are updated", status_count(object, "updatedReplicas"))),
    ])
}

fn daemon_set(object: &Value) -> Readiness {
    if object.pointer("/status/observedGeneration").is_none() {
        return Waiting("its controller has not seen it yet".into());
    }
    let wanted = status_count(object, "desiredNumberScheduled");
    let on_delete = object.pointer("/spec/updateStrategy/type").and_then(Value::as_str) == Some("OnDelete");
    let (unupdated, text) = counted(object, "updatedNumberScheduled", wanted, "pods are updated");
    ready_unless(&[
        counted(object, "currentNumberScheduled", wanted, "pods are scheduled"),
        (unupdated && !on_delete, text),
        counted(object, "numberAvailable", wanted, "pods are available"),
        counted(object, "numberReady", wanted, "pods are ready"),
    ])
}

fn job(object: &Value) -> Readiness {
    for failure in ["Failed", "FailureTarget"] {
        if let Some(failed) = condition(object, failure).filter(|failed| is_true(failed)) {
            return Failed(told(failure, failed));
        }
    }
    let suspended = object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    if suspended || condition(object, "Complete").is_some_and(is_true) {
        return Ready;
    }
    let count = |field: &str| status_count(object, field);
    Waiting(format!(
        "the Job is not complete: {} active, {} succeeded, {} failed",
        count("active"),
        count("succeeded"),
        count("failed")
    ))
}

fn pod(object: &Value) -> Readiness {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Succeeded") => Ready,
        Some("Failed") => Failed(format!(
            "the Pod has failed: {}",
            bounded(object.pointer("/status/message").map_or("no message", text_of))
        )),
        _ if condition(object, "Ready").is_some_and(is_true) => Ready,
        _ => match container_trouble(object) {
            Some((reason, name)) if reason == "CrashLoopBackOff" => {
                Failed(format!("container {name} crashes again and again ({reason})"))
            }
            Some((reason, name)) => Waiting(format!("container {name} waits: {reason}")),
            None => unready_pod(object),
        },
    }
}

fn unready_pod(object: &Value) -> Readiness {
    match condition(object, "PodScheduled").filter(|scheduled| !is_true(scheduled)) {
        Some(unscheduled) => Waiting(told("not scheduled", unscheduled)),
        None => Waiting(with_cause("the Pod is not ready", condition(object, "Ready"))),
    }
}

/// The first container that waits for a reason, with the reason.
fn container_trouble(object: &Value) -> Option<(&str, &str)> {
    let statuses = ["initContainerStatuses", "containerStatuses"].into_iter();
    let mut all = statuses.filter_map(|field| object.pointer("/status")?.get(field)?.as_array()).flatten();
    all.find_map(|status| {
        let reason = status.pointer("/state/waiting/reason")?.as_str()?;
        let starting = matches!(reason, "ContainerCreating" | "PodInitializing");
        (!starting).then(|| (reason, text(status, "name")))
    })
}

fn volume_claim(object: &Value) -> Readiness {
    match phase_is(object, "Bound") {
        Waiting(why) => {
            Waiting(format!("{why} (where its StorageClass binds only when a Pod uses it, set readiness: None)"))
        }
        other => other,
    }
}

fn service(object: &Value) -> Readiness {
    let is_balanced = object.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
    let has_address =
        object.pointer("/spec/clusterIP").and_then(Value::as_str).is_some_and(|address| !address.is_empty());
    if is_balanced && !has_address { Waiting("it has no address yet".into()) } else { Ready }
}

fn custom_resource_definition(object: &Value) -> Readiness {
    match condition(object, "NamesAccepted").filter(|accepted| text(accepted, "status") == "False") {
        Some(refused) => Failed(told("its names are not accepted", refused)),
        None => condition_is_true(object, "Established"),
    }
}

fn phase_is(object: &Value, wanted: &str) -> Readiness {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some(phase) if phase == wanted => Ready,
        Some("Lost") => Failed("its volume is lost".into()),
        Some(phase) => Waiting(format!("its phase is {phase}, not {wanted}")),
        None => Waiting(format!("it has no phase yet, not {wanted}")),
    }
}

fn condition_is_true(object: &Value, name: &str) -> Readiness {
    match condition(object, name) {
        Some(found) if is_true(found) => Ready,
        Some(found) => Waiting(told(&format!("{name} is not True"), found)),
        None => Waiting(format!("it has no condition {name} yet")),
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "type") == name)
}

fn is_true(condition: &Value) -> bool {
    text(condition, "status") == "True"
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).map_or("", text_of)
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `Name: Reason: message`, as far as the condition tells.
fn told(name: &str, condition: &Value) -> String {
    let parts = [name, text(condition, "reason"), bounded(text(condition, "message"))];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn with_cause(missing: &str, condition: Option<&Value>) -> String {
    condition.filter(|condition| !is_true(condition)).map_or_else(|| missing.to_owned(), |cause| told(missing, cause))
}

/// A controller's message may be of any length; the rest is cut.
fn bounded(message: &str) -> &str {
    message.get(..message.floor_char_boundary(600)).unwrap_or(message)
}

fn wanted_replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn status_count(object: &Value, field: &str) -> i64 {
    object.pointer("/status").and_then(|status| status.get(field)).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether fewer than wanted are counted, and how to say so.
fn counted(object: &Value, field: &str, wanted: i64, what: &str) -> (bool, String) {
    let count = status_count(object, field);
    (count < wanted, format!("{count} of {wanted} {what}"))
}

fn first_missing(checks: &[(bool, String)]) -> Option<&str> {
    checks.iter().find(|(missing, _)| *missing).map(|(_, text)| text.as_str())
}

fn ready_unless(checks: &[(bool, String)]) -> Readiness {
    first_missing(checks).map_or(Ready, |missing| Waiting(missing.to_owned()))
}

#[cfg(test)]
#[path = "readiness/tests.rs"]
mod tests;
