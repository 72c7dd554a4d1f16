//! A chain becomes Ready.
use e2e::{Scenario, run};

#[tokio::test]
async fn config_maps() {
    run("config-maps", async |scenario: &mut Scenario| {
        scenario.folder.put(&scenario.config_map("a", "1", &[]))?;
        scenario.folder.put(&scenario.config_map("b", "1", &["a"]))?;
        scenario.apply().await
    })
    .await;
}
