//! An object that the operator cannot read harms only itself.
//!
//! The API server refuses such an object, so its definition is loosened while it is stored: the same as an object that was stored under an older
//! definition. Its watches break when a definition changes, which is part of the trial. One kind of object cannot even be told so: where a field with
//! a CEL rule has another JSON type than the rule knows, the API server refuses every write of the status; the operator logs it and goes on.

use e2e::cluster::{GROUP, calling};
use e2e::conditions::{message, state};
use e2e::scenario::READY;
use e2e::{Cluster, Outcome, Scenario, folder, run};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Takes anything; only what a selectable field names must be there.
fn loose() -> Value {
    let reference = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"environmentRef": reference}})
}

/// Gives the spec of Resources another schema. Returns the one before.
async fn set_schema(cluster: &Cluster, schema: &Value) -> Outcome<Value> {
    let name = format!("resources.{GROUP}");
    let definition = cluster.definitions().get(&name).await.map_err(calling(format!("read the definition {name}")))?;
    let before = definition.data.pointer(SPEC).cloned().unwrap_or_default();
    let mut versions = definition.data.pointer("/spec/versions").cloned().unwrap_or_default();
    versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = schema.clone();
    let patch = Patch::Merge(json!({"spec": {"versions": versions}}));
    cluster
        .definitions()
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .map_err(calling(format!("change the definition {name}")))?;
    Ok(before)
}

/// Stores an object as soon as the API server serves the loosened definition: it refuses it before.
async fn store(scenario: &Scenario, object: &DynamicObject) -> Outcome {
    let api = scenario.cluster.api(&scenario.namespace, "Resource");
    let end = tokio::time::Instant::now() + READY;
    loop {
        match api.create(&PostParams::default(), object).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 422 && tokio::time::Instant::now() < end => {}
            Err(error) => return Err(calling("store an object that does not decode")(error)),
        }
    }
}

#[tokio::test]
async fn a_resource_that_does_not_decode_harms_nobody() {
    run("undecodable", async |scenario: &mut Scenario| {
        scenario.folder.put(&scenario.config_map("good", "1", &[]))?;
        scenario.apply().await?;

        let strict = set_schema(&scenario.cluster, &loose()).await?;
        let spec = json!({"environmentRef": {"name": folder::ENVIRONMENT}, "type": "test.Thing", "targetRef": 7, "requires": "good"});
        let bad: DynamicObject = serde_json::from_value(
            json!({"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "Resource", "metadata": {"name": "bad"}, "spec": spec}),
        )
        .map_err(|error| e2e::Failure::Wrong(error.to_string()))?;
        let stored = store(scenario, &bad).await;
        set_schema(&scenario.cluster, &strict).await?;
        stored?;

        let told = |object: &DynamicObject| (state(object, "Stalled").0 == "True" && message(object, "Stalled").contains("spec.")).then_some(());
        scenario.until_one(("Resource", "bad"), "is Stalled and names the field", READY, told).await?;
        scenario.folder.put(&scenario.config_map("good", "2", &[]))?;
        scenario.folder.put(&folder::step("later", &["good"]))?;
        scenario.folder.apply().await?;
        let ready = |object: &DynamicObject| e2e::conditions::is_ready(object).then_some(());
        for name in ["good", "later"] {
            scenario.until_one(("Resource", name), "is Ready", READY, ready).await?;
        }
        e2e::cluster::kubectl(&["delete", "resource.homeostat.dev/bad", "--namespace", &scenario.namespace, "--timeout=30s"]).await?;
        scenario.until_ready(READY).await
    })
    .await;
}
