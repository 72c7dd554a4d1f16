//! Drift made by hand: corrected by the next repair, or reported and left, as the environment says.

use e2e::cluster::{kubectl, text};
use e2e::conditions::state;
use e2e::scenario::READY;
use e2e::{Outcome, Scenario, folder, run};
use kube::api::DynamicObject;
use serde_json::json;

async fn edit_by_hand(scenario: &Scenario) -> Outcome {
    let patch = r#"{"data": {"value": "by hand"}}"#;
    kubectl(&["patch", "configmap", "motd", "--namespace", &scenario.namespace, "--type=merge", "--patch", patch])
        .await
        .map(drop)
}

#[tokio::test]
async fn drift_made_by_hand_is_repaired_or_reported() {
    run("drift", async |scenario: &mut Scenario| {
        scenario.folder.put(&scenario.config_map("motd", "as declared", &[]))?;
        scenario.folder.put(&folder::environment(&json!({"repair": {"interval": "1s"}})))?;
        scenario.folder.apply().await?;
        let ready = |object: &DynamicObject| e2e::conditions::is_ready(object).then_some(());
        scenario.until_one(("Resource", "motd"), "is Ready", READY, ready).await?;

        edit_by_hand(scenario).await?;
        let repaired = |map: &DynamicObject| (text(map, "/data/value") == "as declared").then_some(());
        scenario.until_one(("ConfigMap", "motd"), "is as declared again", READY, repaired).await?;

        scenario.folder.put(&folder::environment(&json!({"repair": {"interval": "1s", "action": "Report"}})))?;
        scenario.folder.apply().await?;
        let taken = |object: &DynamicObject| {
            (object.data.pointer("/status/observedGeneration")?.as_i64() == object.metadata.generation).then_some(())
        };
        scenario.until_one(("Environment", folder::ENVIRONMENT), "has taken the new policy", READY, taken).await?;
        edit_by_hand(scenario).await?;
        let reported = |object: &DynamicObject| {
            let is_told = state(object, "Ready") == ("False", "Drifted") && state(object, "Drifted").0 == "True";
            (is_told && text(object, "/status/drift").contains("by hand")).then_some(())
        };
        scenario.until_one(("Resource", "motd"), "is Drifted and shows the difference", READY, reported).await?;
        let left = |map: &DynamicObject| (text(map, "/data/value") == "by hand").then_some(());
        scenario.until_one(("ConfigMap", "motd"), "is left as it is", READY, left).await?;

        // Without a repair at all a user can still ask for one; and only so the status is quiet afterwards: it names the next repair.
        scenario.folder.put(&folder::environment(&json!({})))?;
        scenario.folder.apply().await?;
        scenario.until_one(("Environment", folder::ENVIRONMENT), "has taken the new policy", READY, taken).await?;
        kubectl(&[
            "annotate",
            "--namespace",
            &scenario.namespace,
            "environment.homeostat.dev/lab",
            "homeostat.dev/repair-requested-at=now",
        ])
        .await?;
        scenario.until_one(("ConfigMap", "motd"), "is as declared once more", READY, repaired).await?;
        let handled = |object: &DynamicObject| (text(object, "/status/lastHandledRepairAt") == "now").then_some(());
        scenario.until_one(("Environment", folder::ENVIRONMENT), "says that it has repaired", READY, handled).await?;
        scenario.until_ready(READY).await
    })
    .await;
}
