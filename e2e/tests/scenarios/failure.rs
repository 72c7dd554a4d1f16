//! A dependency that fails and recovers, by itself: nobody edits anything, the cause goes away.

use crate::attempts::{self, FAILED, SUCCEEDED};
use e2e::conditions::{message, state};
use e2e::failure::ensure;
use e2e::scenario::READY;
use e2e::{Scenario, folder, run};
use serde_json::json;

#[tokio::test]
async fn a_dependency_fails_for_want_of_a_right_holds_its_dependents_and_recovers_with_it() {
    run("failure", async |scenario: &mut Scenario| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "middle", "namespace": scenario.namespace}, "stringData": {"a": "b"}});
        let middle = folder::resource("middle", "kubernetes.Manifest", folder::CLUSTER_TARGET, &json!({"manifest": secret}), &["first"]);
        scenario.folder.put(&scenario.config_map("first", "1", &[]))?;
        scenario.folder.put(&middle)?;
        scenario.folder.put(&folder::step("last", &["middle"]))?;
        scenario.folder.put(&scenario.config_map("aside", "1", &[]))?;
        scenario.folder.apply().await?;

        let failed = |object: &kube::api::DynamicObject| {
            let is_told = state(object, "Ready") == ("False", "ProgressingWithRetry") && state(object, "Reconciling").0 == "True";
            (is_told && message(object, "Ready").contains("secrets")).then_some(())
        };
        scenario.until_one(("Resource", "middle"), "tells that it may not write secrets", READY, failed).await?;
        let held = |object: &kube::api::DynamicObject| {
            let blocked_by = object.data.pointer("/status/blockedBy") == Some(&json!(["middle"]));
            (blocked_by && state(object, "Ready") == ("False", "DependencyNotReady")).then_some(())
        };
        scenario.until_one(("Resource", "last"), "waits for middle", READY, held).await?;
        let ready = |object: &kube::api::DynamicObject| e2e::conditions::is_ready(object).then_some(());
        scenario.until_one(("Resource", "aside"), "is Ready meanwhile", READY, ready).await?;

        scenario.folder.grant_right("secrets").await?;
        scenario.until_ready(READY).await?;
        let attempts = attempts::of(scenario).await?;
        let middle = attempts::endings(&attempts, "middle");
        let (last, earlier) = middle.split_last().ok_or_else(|| e2e::Failure::Wrong("middle was never attempted".to_owned()))?;
        ensure(*last == Some(SUCCEEDED) && !earlier.is_empty() && earlier.iter().all(|ended| *ended == Some(FAILED)), || format!("middle: {middle:?}"))?;
        let sent = attempts::endings(&attempts, "last");
        ensure(sent == [Some(SUCCEEDED)], || format!("last was attempted while middle was not good: {sent:?}"))
    })
    .await;
}
