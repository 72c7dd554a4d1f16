//! Create, no-op, update, drift, adoption, conflicts.

use crate::{Scenario, refusal, version_of};
use homeostat::core::Change;
use serde_json::json;

#[tokio::test]
async fn an_object_is_created_once_and_then_left_alone() {
    let scenario = Scenario::new("life").await;
    let manifest = scenario.config_map("settings", &json!({"colour": "red"}));
    let mut desired = scenario.desired(&manifest);

    let (found, identity) = scenario.enforce(&desired).await.unwrap();
    assert_eq!(found.difference.change, Change::Create);
    assert_eq!(found.difference.diff, "+ ConfigMap life/settings\n+ data.colour: \"red\"\n");
    let live = scenario.live(&manifest).await;
    let uid = live.as_ref().unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
    let recorded =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "life", "name": "settings", "uid": uid})
            .to_string();
    assert_eq!(serde_json::from_str::<serde_json::Value>(identity.as_ref().unwrap()).unwrap().to_string(), recorded);

    desired.remote_identity = identity.clone();
    let (found, again) = scenario.enforce(&desired).await.unwrap();
    assert_eq!((found.difference.change, found.difference.diff.as_str()), (Change::None, ""));
    assert_eq!(again, identity);
    // the contract: apply after apply changes nothing
    scenario.adaptor_apply(&desired).await;
    assert_eq!(version_of(scenario.live(&manifest).await), version_of(live));
}

impl Scenario {
    async fn adaptor_apply(&self, desired: &homeostat::adaptors::Desired) {
        use homeostat::adaptors::Adaptor;
        let assessment = self.differs(desired).await.unwrap();
        self.adaptor.apply(desired, &assessment).await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_manifest_updates_and_removes_its_own_fields_only() {
    let scenario = Scenario::new("update").await;
    let first = scenario.desired(&scenario.config_map("settings", &json!({"kept": "1", "gone": "2"})));
    scenario.enforce(&first).await.unwrap();
    let others = scenario.config_map("settings", &json!({"theirs": "x"}));
    scenario.by("somebody", &others).await;

    let manifest = scenario.config_map("settings", &json!({"kept": "one"}));
    let (found, _) = scenario.enforce(&scenario.desired(&manifest)).await.unwrap();
    assert_eq!(found.difference.change, Change::Update);
    assert_eq!(found.difference.diff, "- data.gone: \"2\"\ndata.kept: \"1\" -> \"one\"\n");
    assert_eq!(scenario.live(&manifest).await.unwrap()["data"], json!({"kept": "one", "theirs": "x"}));
}

#[tokio::test]
async fn drift_made_by_hand_is_found_and_corrected() {
    let scenario = Scenario::new("drift").await;
    let manifest = scenario.config_map("settings", &json!({"colour": "red"}));
    let mut desired = scenario.desired(&manifest);
    desired.remote_identity = scenario.enforce(&desired).await.unwrap().1;

    scenario.by("kubectl-edit", &scenario.config_map("settings", &json!({"colour": "blue"}))).await;
    let (found, _) = scenario.enforce(&desired).await.unwrap();
    assert_eq!(found.difference.diff, "data.colour: \"blue\" -> \"red\"\n");
    assert_eq!(scenario.live(&manifest).await.unwrap()["data"]["colour"], "red");

    // deleted by hand: created again, under a new identity
    scenario.api(&manifest).delete("settings", &kube::api::DeleteParams::default()).await.unwrap();
    let (found, identity) = scenario.enforce(&desired).await.unwrap();
    assert_eq!(found.difference.change, Change::Create);
    assert_ne!(identity, desired.remote_identity);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let scenario = Scenario::new("rehearsal").await;
    let manifest = scenario.config_map("settings", &json!({"colour": "red"}));
    scenario.differs(&scenario.desired(&manifest)).await.unwrap();
    assert_eq!(scenario.live(&manifest).await, None);

    let elsewhere =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "not-there-yet"}});
    let found = scenario.differs(&scenario.desired(&elsewhere)).await.unwrap();
    assert_eq!(found.difference.change, Change::Create);
    assert!(
        found.difference.diff.contains("its namespace does not exist yet: known after apply"),
        "{}",
        found.difference.diff
    );
    let message = refusal(scenario.enforce(&scenario.desired(&elsewhere)).await);
    assert!(message.contains("namespaces \"not-there-yet\" not found"), "{message}");
}

#[tokio::test]
async fn what_others_made_is_adopted_where_equal_and_respected_where_not() {
    let scenario = Scenario::new("adoption").await;
    let manifest = scenario.config_map("settings", &json!({"colour": "red"}));
    let before = scenario.by("helm", &manifest).await;
    let (found, identity) = scenario.enforce(&scenario.desired(&manifest)).await.unwrap();
    assert_eq!(found.difference.change, Change::None);
    assert!(identity.unwrap().contains(before["metadata"]["uid"].as_str().unwrap()));

    let mut desired = scenario.desired(&scenario.config_map("settings", &json!({"colour": "green"})));
    let message = refusal(scenario.differs(&desired).await);
    assert!(
        message.contains("manager \"helm\" owns .data.colour") && message.contains("conflicts: TakeOver"),
        "{message}"
    );
    assert_eq!(scenario.live(&manifest).await.unwrap()["data"]["colour"], "red");

    desired.attributes["conflicts"] = json!("TakeOver");
    let (found, _) = scenario.enforce(&desired).await.unwrap();
    assert_eq!(found.difference.diff, "data.colour: \"red\" -> \"green\"\n");
    assert_eq!(scenario.live(&manifest).await.unwrap()["data"]["colour"], "green");
}

#[tokio::test]
async fn a_secret_is_held_without_being_shown() {
    let scenario = Scenario::new("secrecy").await;
    let secret = |data: serde_json::Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "secrecy"}, "stringData": data});
    let (found, _) = scenario
        .enforce(&scenario.desired(&secret(json!({"user": "canary-1", "password": "canary-2"}))))
        .await
        .unwrap();
    assert_eq!(
        found.difference.diff,
        "+ Secret secrecy/keys\n+ data.password: (sensitive)\n+ data.user: (sensitive)\n"
    );

    let manifest = secret(json!({"user": "canary-3"}));
    let (found, _) = scenario.enforce(&scenario.desired(&manifest)).await.unwrap();
    assert_eq!(found.difference.diff, "- data.password: (sensitive)\ndata.user: (sensitive) -> (sensitive)\n");
    assert_eq!(scenario.live(&manifest).await.unwrap()["data"], json!({"user": "Y2FuYXJ5LTM="}));
    assert_eq!(scenario.differs(&scenario.desired(&manifest)).await.unwrap().difference.change, Change::None);
}
