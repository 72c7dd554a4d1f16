//! Removal: what requires goes before what it requires, whatever the order in which the objects are deleted.

use crate::attempts;
use e2e::scenario::READY;
use e2e::{Scenario, folder, run};

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
