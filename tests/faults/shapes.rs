//! X4 through the whole path: a cycle, a chain and a fan-out of a size that is routine: a hundred thousand in the long form.

use crate::town::{ENVIRONMENT, Town, push_of};
use crate::{in_time, kills};
use homeostat::core::{EnvironmentState, Intent, IntentParts, Name, RefusalKind};
use homeostat::history::Store as _;
use homeostat::scheduler::SchedulerError;
use std::sync::Arc;

/// Resources of one shape, in the share and in the long form.
const SIZES: [usize; 2] = [2_000, 100_000];
/// From so many kills on it is the long form.
const MANY_KILLS: usize = 500;

fn nothing(name: &str, requires: Option<&str>) -> Arc<Intent> {
    Arc::new(Intent::new(IntentParts {
        name: name.into(),
        kind: "test.Nothing".into(),
        target: "local".into(),
        identity: format!("{{\"name\":\"{name}\"}}").as_str().into(),
        attributes: "{}".into(),
        requires: requires.map(Name::from).into_iter().collect(),
        ..IntentParts::default()
    }))
}

/// Waits until so many are compliant, for as long as more and more of them are.
async fn compliant(town: &Town, wanted: usize) {
    let mut reached = 0;
    while reached < wanted {
        let more = async || {
            let counted = |state: &EnvironmentState| state.counts().compliant as usize;
            let found = town.scheduler.read(counted).await.unwrap();
            (found >= wanted || found >= reached + 100).then_some(found)
        };
        reached = crate::eventually("more of them", more).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x4_a_cycle_a_chain_and_a_fan_out_are_routine() {
    let size = SIZES[usize::from(kills() >= MANY_KILLS)];
    let town = Town::start().await;
    town.add_local_target().await;
    let name = |number: usize| format!("link-{number}");

    let cycle = (0..size).map(|number| nothing(&name(number), Some(&name((number + 1) % size)))).collect();
    let refused = in_time("an answer", town.scheduler.push(push_of(cycle, "a cycle"))).await.unwrap_err();
    let SchedulerError::Refused(refusals) = refused else { panic!("{refused}") };
    assert_eq!(refusals.len(), size);
    assert!(refusals.iter().all(|refusal| matches!(&refusal.kind, RefusalKind::Cycle(path) if path.len() == size + 1)));
    assert!(town.store.versions(ENVIRONMENT, None, 9).await.unwrap().is_empty(), "nothing of it was recorded");

    let link = |number: usize| nothing(&name(number), number.checked_sub(1).map(name).as_deref());
    town.push((0..size).map(link).collect(), "a chain").await;
    compliant(&town, size).await;
    let last = name(size - 1);
    town.push((0..size).map(|number| nothing(&format!("leaf-{number}"), Some(&last))).collect(), "a fan-out").await;
    compliant(&town, 2 * size).await;
    assert_eq!(town.history().await.grants.len(), 2 * size);
    town.stop().await;
}
