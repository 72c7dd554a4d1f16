//! When an attempt ends: ready, not ready in time, never ready.

use crate::{Scenario, refusal};
use homeostat::core::Change;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A `CustomResourceDefinition` of one namespaced kind with a free status.
pub(crate) fn definition(group: &str, kind: &str, plural: &str) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [{"name": "v1", "served": true,
        "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}}}]}})
}

impl Scenario {
    async fn report(&self, object: &Value, status: &Value) {
        let parameters = PatchParams::default();
        self.api(object)
            .patch_status(crate::name_of(object), &parameters, &Patch::Merge(&json!({"status": status})))
            .await
            .unwrap();
    }
}

fn ready(status: &str, generation: i64) -> Value {
    json!({"observedGeneration": generation, "conditions": [{"type": "Ready", "status": status, "reason": "Testing", "message": "as told"}]})
}

#[tokio::test]
async fn a_definition_is_ready_when_its_kind_is_served_and_then_its_objects_are_waited_for() {
    let scenario = Scenario::new("readiness").await;
    let of_kind = scenario.desired(&definition("readiness.example.org", "Thing", "things"));
    scenario.enforce(&of_kind).await.unwrap();
    let thing = |size: i64| json!({"apiVersion": "readiness.example.org/v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "readiness"}, "spec": {"size": size}});
    // no delay between the two: the kind is known at once
    let mut desired = scenario.desired(&thing(1));
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;

    // unready although as declared: the verification fails, with no difference
    scenario.report(&thing(1), &ready("False", 1)).await;
    desired.deadline = Duration::from_secs(2);
    let message = refusal(scenario.differs(&desired).await);
    assert!(
        message.starts_with(
            "Thing.readiness.example.org readiness/x is as declared but not ready: Ready is not True: Testing: as told"
        ),
        "{message}"
    );

    // an apply waits for the controller's word on the new generation, and hears it by a watch
    let mut desired = scenario.desired(&thing(2));
    desired.deadline = Duration::from_secs(30);
    let assessment = scenario.differs(&desired).await.unwrap();
    assert_eq!(assessment.difference.diff, "spec.size: 1 -> 2\n");
    let controller = async {
        while scenario.live(&thing(2)).await.unwrap()["spec"]["size"] != 2 {
            tokio::task::yield_now().await;
        }
        scenario.report(&thing(2), &ready("True", 2)).await;
    };
    let began = Instant::now();
    let (applied, ()) =
        tokio::join!(homeostat::adaptors::Adaptor::apply(&scenario.adaptor, &desired, &assessment), controller);
    applied.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "it was ready long before, but nobody heard");

    // nobody waits for what is stalled
    let stalled = json!({"observedGeneration": 2, "conditions": [{"type": "Stalled", "status": "True", "reason": "BadSpec", "message": "no"}]});
    scenario.report(&thing(2), &stalled).await;
    let began = Instant::now();
    let message = refusal(scenario.differs(&desired).await);
    assert!(
        message.contains("not ready: Stalled: BadSpec: no") && began.elapsed() < Duration::from_secs(5),
        "{message}"
    );
    desired.attributes["readiness"] = json!("None");
    assert_eq!(scenario.differs(&desired).await.unwrap().difference.change, Change::None);
}

#[tokio::test]
async fn a_late_object_fails_the_attempt_before_its_deadline_and_says_what_is_missing() {
    let scenario = Scenario::new("lateness").await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "disk", "namespace": "lateness"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let mut desired = scenario.desired(&claim);
    desired.deadline = Duration::from_secs(4);
    let began = Instant::now();
    let message = refusal(scenario.enforce(&desired).await);
    assert!(began.elapsed() < desired.deadline, "the host would have cut it off");
    assert!(
        message.starts_with(
            "PersistentVolumeClaim lateness/disk is applied but not ready: its phase is Pending, not Bound"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn namespaces_and_jobs_are_judged_by_what_controllers_say() {
    let scenario = Scenario::new("controllers").await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "controllers-inner"}});
    let mut desired = scenario.desired(&namespace);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;
    let suspended = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": "controllers-inner"}, "spec": {
        "suspend": true, "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "one", "image": "localhost/none:1"}]}}}});
    scenario.enforce(&scenario.desired(&suspended)).await.unwrap();
    // gone with all that is in it, when the deletion ends
    scenario.delete(&desired).await.unwrap();
    assert_eq!(scenario.live(&namespace).await, None);
    assert_eq!(scenario.live(&suspended).await, None);
}
