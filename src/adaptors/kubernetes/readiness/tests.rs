//! One line per rule of kstatus: an object as a cluster shows it, and the answer.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{ObjectKey, Readiness, readiness};
use serde_json::{Value, json};

fn judge(api_version: &str, kind: &str, object: &Value) -> String {
    let key = ObjectKey { api_version: api_version.into(), kind: kind.into(), namespace: None, name: "x".into() };
    match readiness(&key, object) {
        Readiness::Ready => "ready".into(),
        Readiness::Waiting(why) => format!("waits: {why}"),
        Readiness::Failed(why) => format!("failed: {why}"),
    }
}

fn deployment(change: impl FnOnce(&mut Value)) -> String {
    let mut object = json!({"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": {"observedGeneration": 2, "replicas": 3,
        "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3, "conditions": [
            {"type": "Available", "status": "True"}, {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}});
    change(&mut object);
    judge("apps/v1", "Deployment", &object)
}

#[test]
fn deployments() {
    assert_eq!(deployment(|_| ()), "ready");
    assert_eq!(
        deployment(|all| all["metadata"]["generation"] = json!(3)),
        "waits: its controller has seen generation 2, not yet 3"
    );
    assert_eq!(deployment(|all| all["status"] = json!({})), "waits: 0 of 3 replicas are updated");
    assert_eq!(deployment(|all| all["status"]["updatedReplicas"] = json!(1)), "waits: 1 of 3 replicas are updated");
    assert_eq!(deployment(|all| all["status"]["replicas"] = json!(4)), "waits: 1 old replicas are still there");
    assert_eq!(deployment(|all| all["status"]["availableReplicas"] = json!(2)), "waits: 2 of 3 replicas are available");
    let stuck =
        json!({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"});
    assert_eq!(
        deployment(|all| all["status"]["conditions"][1] = stuck),
        "failed: Progressing: ProgressDeadlineExceeded: timed out"
    );
    let quota =
        json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"});
    assert_eq!(
        deployment(|all| all["status"]["conditions"][0] = quota),
        "waits: ReplicaFailure: FailedCreate: exceeded quota"
    );
    let to_zero = deployment(|all| {
        all["spec"]["replicas"] = json!(0);
        all["status"] = json!({"observedGeneration": 2, "conditions": [{"type": "Available", "status": "True"}]});
    });
    assert_eq!(to_zero, "ready");
}

#[test]
fn stateful_sets() {
    let set = |change: &dyn Fn(&mut Value)| {
        let mut object = json!({"spec": {"replicas": 2}, "status": {"replicas": 2, "readyReplicas": 2, "updatedReplicas": 2,
            "currentRevision": "a", "updateRevision": "a"}});
        change(&mut object);
        judge("apps/v1", "StatefulSet", &object)
    };
    assert_eq!(set(&|_| ()), "ready");
    assert_eq!(set(&|all| all["status"]["readyReplicas"] = json!(1)), "waits: 1 of 2 replicas are ready");
    assert_eq!(set(&|all| all["status"]["updateRevision"] = json!("b")), "waits: 2 of 2 replicas are updated");
    assert_eq!(set(&|all| all["spec"]["updateStrategy"] = json!({"type": "OnDelete"})), "ready");
}

#[test]
fn daemon_sets_and_replica_sets() {
    let pods = |ready: i64| {
        json!({"status": {"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
        "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": ready}})
    };
    assert_eq!(judge("apps/v1", "DaemonSet", &pods(2)), "ready");
    assert_eq!(judge("apps/v1", "DaemonSet", &pods(1)), "waits: 1 of 2 pods are ready");
    assert_eq!(judge("apps/v1", "DaemonSet", &json!({})), "waits: its controller has not seen it yet");
    assert_eq!(
        judge("apps/v1", "ReplicaSet", &json!({"spec": {"replicas": 1}})),
        "waits: 0 of 1 replicas are available"
    );
}

#[test]
fn jobs_are_ready_when_complete() {
    let job = |status: &Value| judge("batch/v1", "Job", &json!({"spec": {}, "status": status}));
    assert_eq!(job(&json!({"active": 1})), "waits: the Job is not complete: 1 active, 0 succeeded, 0 failed");
    assert_eq!(job(&json!({"conditions": [{"type": "Complete", "status": "True"}]})), "ready");
    let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}]});
    assert_eq!(job(&failed), "failed: Failed: BackoffLimitExceeded: too often");
    assert_eq!(judge("batch/v1", "Job", &json!({"spec": {"suspend": true}})), "ready");
}

#[test]
fn pods() {
    let pod = |status: &Value| judge("v1", "Pod", &json!({"status": status}));
    assert_eq!(pod(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})), "ready");
    assert_eq!(pod(&json!({"phase": "Succeeded"})), "ready");
    assert_eq!(pod(&json!({"phase": "Failed", "message": "Evicted"})), "failed: the Pod has failed: Evicted");
    let waiting = |reason: &str| json!({"phase": "Pending", "containerStatuses": [{"name": "web", "state": {"waiting": {"reason": reason}}}]});
    assert_eq!(pod(&waiting("CrashLoopBackOff")), "failed: container web crashes again and again (CrashLoopBackOff)");
    assert_eq!(pod(&waiting("ImagePullBackOff")), "waits: container web waits: ImagePullBackOff");
    assert_eq!(pod(&waiting("ContainerCreating")), "waits: the Pod is not ready");
    let unscheduled =
        json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]);
    assert_eq!(
        pod(&json!({"phase": "Pending", "conditions": unscheduled})),
        "waits: not scheduled: Unschedulable: 0/1 nodes"
    );
}

#[test]
fn what_has_a_phase_or_one_condition() {
    assert_eq!(judge("v1", "Namespace", &json!({"status": {"phase": "Active"}})), "ready");
    assert_eq!(judge("v1", "Namespace", &json!({})), "waits: it has no phase yet, not Active");
    assert!(
        judge("v1", "PersistentVolumeClaim", &json!({"status": {"phase": "Pending"}})).contains("Pending, not Bound")
    );
    assert_eq!(
        judge("v1", "PersistentVolumeClaim", &json!({"status": {"phase": "Lost"}})),
        "failed: its volume is lost"
    );
    let definition = |conditions: Value| {
        judge("apiextensions.k8s.io/v1", "CustomResourceDefinition", &json!({"status": {"conditions": conditions}}))
    };
    assert_eq!(definition(json!([{"type": "Established", "status": "True"}])), "ready");
    assert_eq!(definition(json!([])), "waits: it has no condition Established yet");
    let taken = json!([{"type": "NamesAccepted", "status": "False", "reason": "Conflict", "message": "taken"}]);
    assert_eq!(definition(taken), "failed: its names are not accepted: Conflict: taken");
}

#[test]
fn any_other_kind_speaks_by_its_conditions() {
    let custom =
        |status: &Value| judge("example.org/v1", "Thing", &json!({"metadata": {"generation": 1}, "status": status}));
    assert_eq!(custom(&Value::Null), "ready");
    assert_eq!(custom(&json!({"conditions": [{"type": "Ready", "status": "True"}]})), "ready");
    assert_eq!(
        custom(&json!({"conditions": [{"type": "Ready", "status": "False", "reason": "No"}]})),
        "waits: Ready is not True: No"
    );
    let stalled = json!({"conditions": [{"type": "Stalled", "status": "True", "reason": "Bad", "message": "spec"}]});
    assert_eq!(custom(&stalled), "failed: Stalled: Bad: spec");
    assert_eq!(custom(&json!({"conditions": [{"type": "Reconciling", "status": "True"}]})), "waits: Reconciling");
    let leaving = json!({"metadata": {"deletionTimestamp": "2026-11-21T10:00:00Z"}});
    assert_eq!(judge("v1", "ConfigMap", &leaving), "failed: it is being deleted since 2026-11-21T10:00:00Z");
}
