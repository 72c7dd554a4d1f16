//! Removal: what requires goes before what it requires, whatever the order in which the objects are deleted.

use crate::attempts;
use e2e::cluster::kubectl;
use e2e::conditions::{message, state};
use e2e::scenario::READY;
use e2e::watch::Objects;
use e2e::{Scenario, folder, run};
use kube::api::DynamicObject;
use serde_json::json;

#[tokio::test]
async fn resources_are_deleted_on_their_targets_in_reverse_order() {
    run("removal", async |scenario: &mut Scenario| {
        let chain = ["a", "b", "c", "d", "e", "f"];
        scenario.folder.put(&scenario.config_map("a", "1", &[]))?;
        scenario.folder.put(&folder::step("b", &["a"]))?;
        scenario.folder.put(&scenario.config_map("c", "1", &["b"]))?;
        scenario.folder.put(&folder::step("d", &["c"]))?;
        scenario.folder.put(&scenario.config_map("e", "1", &["d"]))?;
        scenario.folder.put(&folder::step("f", &["e"]))?;
        scenario.folder.put(&scenario.config_map("stays", "1", &[]))?;
        scenario.apply().await?;

        // In the order of deployment: the wrong one.
        for name in chain {
            scenario.folder.delete_one("Resource", name).await?;
        }
        let only = |objects: &e2e::watch::Objects| {
            let names: Vec<&str> = objects.keys().map(String::as_str).collect();
            if names == ["stays"] { Ok(()) } else { Err(format!("{names:?} are there")) }
        };
        scenario.until("Resource", "gone: all but the last resource", READY, only).await?;
        let all = attempts::of(scenario).await?;
        let reverse: Vec<&str> = chain.into_iter().rev().collect();
        attempts::once_each_in_order(all.iter().filter(|attempt| attempt.deletes), &reverse)?;
        attempts::all_ended(&all)
    })
    .await;
}

#[tokio::test]
async fn much_that_is_removed_at_once_waits_for_an_approval_and_what_is_protected_stays() {
    run("approval", async |scenario: &mut Scenario| {
        // What kubectl deletes one after another is one removal.
        let settle = json!({"deploy": {"settle": {"quiet": "2s", "max": "10s"}}});
        scenario.folder.put(&folder::environment(&settle))?;
        let mut kept = scenario.config_map("kept", "1", &[]);
        kept["spec"]["policy"] = json!({"protected": true});
        scenario.folder.put(&kept)?;
        for number in 0..12 {
            scenario.folder.put(&folder::step(&format!("step{number:02}"), &[]))?;
        }
        scenario.apply().await?;

        kubectl(&["delete", "resources.homeostat.dev", "--all", "--wait=false", "--namespace", &scenario.namespace])
            .await?;
        let waits = |object: &DynamicObject| {
            let told = message(object, "Stalled");
            (state(object, "Stalled").1 == "RemovalApproval" && told.starts_with("12 resources were removed at once"))
                .then_some(())
        };
        scenario.until_one(("Environment", folder::ENVIRONMENT), "waits for an approval", READY, waits).await?;
        let protected = |object: &DynamicObject| (state(object, "Stalled").1 == "Protected").then_some(());
        scenario.until_one(("Resource", "kept"), "is protected", READY, protected).await?;
        if attempts::of(scenario).await?.iter().any(|attempt| attempt.deletes) {
            return Err(e2e::Failure::Wrong("something was deleted without an approval".to_owned()));
        }

        let environment = format!("environments.homeostat.dev/{}", folder::ENVIRONMENT);
        let approval = "homeostat.dev/removals-approved-at=now";
        kubectl(&["annotate", &environment, approval, "--namespace", &scenario.namespace]).await?;
        let only = |objects: &Objects| {
            let names: Vec<&str> = objects.keys().map(String::as_str).collect();
            if names == ["kept"] { Ok(()) } else { Err(format!("{names:?} are there")) }
        };
        scenario.until("Resource", "gone: all but what is protected", READY, only).await?;
        let orphan = "homeostat.dev/force-orphan=yes";
        kubectl(&["annotate", "resources.homeostat.dev/kept", orphan, "--namespace", &scenario.namespace]).await?;
        let none = |objects: &Objects| if objects.is_empty() { Ok(()) } else { Err("it is there".to_owned()) };
        scenario.until("Resource", "gone: the protected one, given up", READY, none).await?;
        kept["spec"]["policy"] = json!({"protected": false});
        scenario.folder.put(&kept)?;
        scenario.folder.apply().await?;
        scenario.until_ready(READY).await
    })
    .await;
}
