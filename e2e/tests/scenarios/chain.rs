//! Twenty resources of both adaptors, each requiring the one before; then an edit in their middle.

use crate::attempts;
use e2e::cluster::text;
use e2e::failure::ensure;
use e2e::scenario::READY;
use e2e::{Outcome, Scenario, folder, run};

const LENGTH: usize = 20;

fn names() -> Vec<String> {
    (1..=LENGTH).map(|number| format!("r{number:02}")).collect()
}

fn write_chain(scenario: &Scenario) -> Outcome {
    let names = names();
    for (index, name) in names.iter().enumerate() {
        let requires: Vec<&str> =
            index.checked_sub(1).and_then(|before| names.get(before)).map(String::as_str).into_iter().collect();
        let manifest =
            if index % 2 == 0 { scenario.config_map(name, "1", &requires) } else { folder::step(name, &requires) };
        scenario.folder.put(&manifest)?;
    }
    Ok(())
}

#[tokio::test]
async fn twenty_resources_become_ready_in_order_and_an_edit_deploys_only_what_it_changes() {
    run("chain", async |scenario: &mut Scenario| {
        write_chain(scenario)?;
        scenario.apply().await?;
        let names = names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let deployed = attempts::of(scenario).await?;
        attempts::once_each_in_order(deployed.iter(), &names)?;
        attempts::all_ended(&deployed)?;

        scenario.folder.put(&scenario.config_map("r11", "2", &["r10"]))?;
        scenario.apply().await?;
        let value = |map: &kube::api::DynamicObject| (text(map, "/data/value") == "2").then_some(());
        scenario.until_one(("ConfigMap", "r11"), "has the new value", READY, value).await?;
        let all = attempts::of(scenario).await?;
        let since: Vec<&str> = all.iter().skip(deployed.len()).map(|attempt| attempt.name.as_str()).collect();
        ensure(since == ["r11"], || format!("the edit of r11 led to attempts at {since:?}"))
    })
    .await;
}
