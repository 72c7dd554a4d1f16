//! A pool scales to zero when it is idle, and back when there is work: a change, or a deletion.

use crate::attempts;
use e2e::conditions::state;
use e2e::failure::ensure;
use e2e::scenario::READY;
use e2e::{Scenario, folder, run};
use kube::api::DynamicObject;
use serde_json::json;

#[tokio::test]
async fn an_idle_pool_has_no_pods_and_work_brings_them_back() {
    run("idle", async |scenario: &mut Scenario| {
        scenario.folder.put(&folder::executor(&json!({"replicas": {"min": 0, "max": 2}, "idleTimeout": "2s"})))?;
        scenario.folder.put(&scenario.config_map("a", "1", &[]))?;
        scenario.apply().await?;
        let idle = |object: &DynamicObject| {
            let pods = object.data.pointer("/status/pods").and_then(serde_json::Value::as_i64).unwrap_or_default();
            (state(object, "Ready") == ("True", "Idle") && pods == 0).then_some(())
        };
        let gone = |pods: &e2e::watch::Objects| if pods.is_empty() { Ok(()) } else { Err("there are pods".to_owned()) };
        scenario.until("Pod", "gone: the idle pod", READY, gone).await?;
        scenario.until_one(("Executor", folder::POOL), "is idle", READY, idle).await?;

        scenario.folder.put(&scenario.config_map("a", "2", &[]))?;
        scenario.apply().await?;
        let count = attempts::of(scenario).await?.len();
        ensure(count == 2, || format!("{count} attempts instead of 2"))?;
        // The folder is deleted while there is no pod: deleting needs one.
        scenario.until("Pod", "gone again: the idle pod", READY, gone).await?;
        scenario.until_one(("Executor", folder::POOL), "is idle again", READY, idle).await
    })
    .await;
}
