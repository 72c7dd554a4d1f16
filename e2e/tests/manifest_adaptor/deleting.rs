//! Whose object is deleted, and whose never is.

use crate::{Scenario, refusal};
use homeostat::core::Change;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_recorded_object_is_deleted_and_only_once() {
    let scenario = Scenario::new("deletion").await;
    let manifest = scenario.config_map("settings", &json!({}));
    let mut desired = scenario.desired(&manifest);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;

    let found = scenario.delete(&desired).await.unwrap();
    assert_eq!(
        (found.difference.change, found.difference.diff.as_str()),
        (Change::Delete, "- ConfigMap deletion/settings\n")
    );
    assert_eq!(scenario.live(&manifest).await, None);
    let again = scenario.delete(&desired).await.unwrap();
    assert_eq!(again.difference.change, Change::None);
    assert!(again.difference.diff.contains("already deleted"), "{}", again.difference.diff);
}

#[tokio::test]
async fn a_stranger_of_the_same_name_is_never_deleted() {
    let scenario = Scenario::new("stranger").await;
    let manifest = scenario.config_map("settings", &json!({}));
    let mut desired = scenario.desired(&manifest);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;
    scenario.api(&manifest).delete("settings", &DeleteParams::default()).await.unwrap();
    let stranger = scenario.by("somebody", &manifest).await;

    let found = scenario.delete(&desired).await.unwrap();
    assert_eq!(found.difference.change, Change::None);
    assert!(found.difference.diff.contains("another object of that name"), "{}", found.difference.diff);
    assert_eq!(scenario.live(&manifest).await.unwrap()["metadata"]["uid"], stranger["metadata"]["uid"]);
}

#[tokio::test]
async fn a_stranger_that_comes_between_reading_and_deleting_survives() {
    let scenario = Scenario::new("between").await;
    let manifest = scenario.config_map("settings", &json!({}));
    let mut desired = scenario.desired(&manifest);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;
    let assessment = homeostat::adaptors::Adaptor::difference(&scenario.adaptor, &desired, true).await.unwrap();
    scenario.api(&manifest).delete("settings", &DeleteParams::default()).await.unwrap();
    scenario.by("somebody", &manifest).await;
    homeostat::adaptors::Adaptor::apply(&scenario.adaptor, &desired, &assessment).await.unwrap();
    assert!(scenario.live(&manifest).await.is_some());
}

#[tokio::test]
async fn a_failed_create_is_deleted_without_a_record_and_nothing_else_is() {
    let scenario = Scenario::new("unrecorded").await;
    // there is no node: its pod never runs
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "unrecorded"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "localhost/none:1"}]}}}});
    let mut desired = scenario.desired(&deployment);
    desired.deadline = Duration::from_secs(4);
    let message = refusal(scenario.enforce(&desired).await);
    assert!(message.starts_with("Deployment unrecorded/web is applied but not ready: 0 of 1 replicas"), "{message}");
    assert_eq!(scenario.delete(&desired).await.unwrap().difference.change, Change::Delete);
    assert_eq!(scenario.live(&deployment).await, None);

    let never_ours = scenario.config_map("theirs", &json!({"a": "1"}));
    scenario.by("somebody", &never_ours).await;
    let found = scenario.delete(&scenario.desired(&never_ours)).await.unwrap();
    assert_eq!(found.difference.change, Change::None);
    assert!(found.difference.diff.contains("never applied from here"), "{}", found.difference.diff);
    assert!(scenario.live(&never_ours).await.is_some());
}

#[tokio::test]
async fn a_deletion_waits_for_finalizers_and_names_them() {
    let scenario = Scenario::new("finalizers").await;
    let mut manifest = scenario.config_map("settings", &json!({}));
    manifest["metadata"]["finalizers"] = json!(["example.org/guard"]);
    let mut desired = scenario.desired(&manifest);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;

    desired.deadline = Duration::from_secs(2);
    let message = refusal(scenario.delete(&desired).await);
    assert!(
        message.contains("is deleted but still there after") && message.contains("held by finalizer example.org/guard"),
        "{message}"
    );
    let message = refusal(scenario.enforce(&desired).await);
    assert!(
        message.contains("is being deleted since") && message.contains("held by finalizer example.org/guard"),
        "{message}"
    );

    desired.deadline = Duration::from_secs(30);
    let release = async {
        let patch = json!({"metadata": {"finalizers": null}});
        scenario.api(&manifest).patch("settings", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    };
    let began = Instant::now();
    let (deleted, ()) = tokio::join!(scenario.delete(&desired), release);
    deleted.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "it was gone long before, but nobody heard");
    assert_eq!(scenario.live(&manifest).await, None);
}

#[tokio::test]
async fn what_has_no_kind_any_more_is_already_deleted() {
    let scenario = Scenario::new("kindless").await;
    let definition = super::waiting::definition("kindless.example.org", "Ghost", "ghosts");
    let mut of_kind = scenario.desired(&definition);
    of_kind.remote_identity = scenario.enforce(&of_kind).await.unwrap().1;
    let ghost = json!({"apiVersion": "kindless.example.org/v1", "kind": "Ghost", "metadata": {"name": "x", "namespace": "kindless"}});
    let mut desired = scenario.desired(&ghost);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;
    assert_eq!(scenario.delete(&of_kind).await.unwrap().difference.change, Change::Delete);

    let found = scenario.delete(&desired).await.unwrap();
    assert_eq!(found.difference.change, Change::None);
    let unknown = refusal(scenario.differs(&scenario.desired(&ghost)).await);
    assert!(unknown.contains("knows no kind Ghost in kindless.example.org/v1"), "{unknown}");
}
