//! Targets that hang, with more granted ahead than an executor takes in all: the others go on.

use crate::eventually;
use crate::town::{Town, resource};
use futures::future::join_all;
use homeostat::core::{EnvironmentState, Intent, Policy, limits};
use serde_json::json;
use std::sync::Arc;

const HUNG: usize = 32;
const WELL: usize = 999;
/// On each that hangs, more than are granted ahead: together they could take every credit.
const BEHIND: usize = limits::GRANTS_AHEAD as usize + 1;

fn nothing(name: &str, target: &str) -> Arc<Intent> {
    resource(name, target, "test.Nothing", &json!({}), Policy::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_999_targets_go_on_beside_32_that_hang() {
    assert!(HUNG * BEHIND > limits::CREDITS as usize);
    let town = Town::start().await;
    let local = json!({"type": "local"});
    let world = json!({"type": "file", "path": town.folder().join("hung.json")});
    let hung: Vec<String> = (0..HUNG).map(|number| format!("hung-{number}")).collect();
    let well: Vec<String> = (0..WELL).map(|number| format!("well-{number}")).collect();
    join_all(hung.iter().map(|target| town.add_target(target, &world))).await;
    let hangs = json!({"value": "never", "script": [{"result": "hang"}]});
    let hanging = |target: &String| resource(target, target, "test.Thing", &hangs, Policy::default());
    town.push(hung.iter().map(hanging).collect(), "what hangs").await;
    let all_hang = async || (town.scheduler.read(begun).await.unwrap() == HUNG).then_some(());
    eventually("all that hangs", all_hang).await;
    let behind =
        |target: &String| (0..BEHIND).map(|number| nothing(&format!("{target}-{number}"), target)).collect::<Vec<_>>();
    town.push(hung.iter().flat_map(behind).collect(), "what waits behind it").await;

    join_all(well.iter().map(|target| town.add_target(target, &local))).await;
    town.push(well.iter().map(|target| nothing(target, target)).collect(), "what is well").await;
    let good =
        async || (town.scheduler.read(|state| state.counts().compliant as usize).await.unwrap() == WELL).then_some(());
    eventually("999 targets", good).await;
    assert_eq!(town.scheduler.read(begun).await.unwrap(), HUNG, "they hang as before");
    town.stop().await;
}

/// Attempts that have begun.
fn begun(state: &EnvironmentState) -> usize {
    state.views().filter(|view| view.running.as_ref().is_some_and(|run| run.begun)).count()
}
