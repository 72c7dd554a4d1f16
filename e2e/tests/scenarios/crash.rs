//! Crashes at the worst moment: an effect is on the target, its result is not in history.

use crate::attempts::{self, LOST, SUCCEEDED};
use e2e::cluster::{OPERATOR_NAMESPACE, kubectl, text};
use e2e::failure::ensure;
use e2e::scenario::READY;
use e2e::{Outcome, Scenario, folder, processes, run};
use kube::api::DynamicObject;

/// `before` ← `slow` ← `between` ← `slower` ← `after`: an attempt at a slow one runs until the scenario ends it.
fn write_slow_chain(scenario: &Scenario) -> Outcome {
    let claim = |name, requires: &[&str]| folder::claim(&scenario.namespace, name, requires);
    scenario.folder.put(&scenario.config_map("before", "1", &[]))?;
    scenario.folder.put(&claim("slow", &["before"]))?;
    scenario.folder.put(&folder::step("between", &["slow"]))?;
    scenario.folder.put(&claim("slower", &["between"]))?;
    scenario.folder.put(&folder::step("after", &["slower"]))
}

/// After all: everything in order, each success once, every grant with its outcome.
async fn nothing_was_forgotten(scenario: &Scenario) -> Outcome<Vec<attempts::Attempt>> {
    let all = attempts::of(scenario).await?;
    attempts::all_ended(&all)?;
    attempts::once_each_in_order(all.iter(), &["before", "slow", "between", "slower", "after"])?;
    Ok(all)
}

#[tokio::test]
async fn the_operator_is_killed_in_mid_deploy_by_a_crash_and_by_the_loss_of_its_pod() {
    run("operator-killed", async |scenario: &mut Scenario| {
        write_slow_chain(scenario)?;
        scenario.folder.apply().await?;
        scenario.until_claimed("slow").await?;
        let (pod, uid) = scenario.operator_pod().await?;
        processes::kill(&uid).await?;
        scenario.provide("slow").await?;

        scenario.until_claimed("slower").await?;
        kubectl(&["delete", "pod", &pod, "--namespace", OPERATOR_NAMESPACE, "--grace-period=0", "--force"]).await?;
        scenario.provide("slower").await?;
        // What it says of itself may be what the one before said: until its own name is there.
        let (_, uid) = scenario.operator_pod().await?;
        let owned = |object: &DynamicObject| text(object, "/status/owner").ends_with(&uid).then_some(());
        scenario.until_one(("Environment", folder::ENVIRONMENT), "is owned by the new pod", READY, owned).await?;
        scenario.until_ready(READY).await?;
        nothing_was_forgotten(scenario).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn an_executor_is_killed_in_mid_attempt() {
    run("executor-killed", async |scenario: &mut Scenario| {
        write_slow_chain(scenario)?;
        scenario.folder.apply().await?;
        scenario.until_claimed("slow").await?;
        let (_, uid) = scenario.executor_pod().await?;
        processes::kill(&uid).await?;
        scenario.provide("slow").await?;

        scenario.until_claimed("slower").await?;
        let (pod, _) = scenario.executor_pod().await?;
        kubectl(&["delete", "pod", &pod, "--namespace", &scenario.namespace, "--grace-period=0", "--force"]).await?;
        scenario.provide("slower").await?;
        scenario.until_ready(READY).await?;
        let all = nothing_was_forgotten(scenario).await?;
        for name in ["slow", "slower"] {
            let endings = attempts::endings(&all, name);
            let is_right = endings.first() == Some(&Some(LOST)) && endings.last() == Some(&Some(SUCCEEDED));
            ensure(is_right, || format!("the attempts at {name} ended as {endings:?}"))?;
        }
        Ok(())
    })
    .await;
}
