//! J: facts, and their refresh.

use super::world::World;
use crate::core::{AttemptId, OutcomeKind, Reason, RepairAction, RequestKind, Scope};

fn refresh(world: &mut World, name: &str) {
    world.forget_grants();
    world.request(RequestKind::FactRefresh, Scope { target: None, names: Some(vec![name.into()]) });
}

fn facts(world: &World, name: &str) -> Vec<String> {
    world.row_of(name).facts.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// The facts that the outcome of an attempt was recorded with.
fn recorded(world: &World, attempt: u64) -> Option<String> {
    match &world.history.outcomes[&AttemptId(attempt)].1.kind {
        OutcomeKind::Succeeded(finding) => finding.facts.text().map(str::to_owned),
        _ => None,
    }
}

#[test]
fn facts_are_those_of_the_newest_success_and_history_keeps_their_news() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.learn("a", "size=5 owner=1");
    assert_eq!(facts(&world, "a"), ["owner=1", "size=5"]);
    world.repair();
    world.learn("a", "size=5 owner=1");
    world.repair();
    world.learn("a", "size=6");
    assert_eq!(facts(&world, "a"), ["size=6"]);
    assert_eq!([1, 2, 3].map(|attempt| recorded(&world, attempt).is_some()), [true, false, true]);
    world.repair();
    world.fail("a", "no route");
    world.restart();
    assert_eq!(facts(&world, "a"), ["size=6"], "a failure has learned nothing");
}

#[test]
fn j2_a_fact_refresh_looks_once_at_the_one_asked_and_corrects_nothing() {
    let mut world = World::good_chain();
    refresh(&mut world, "r2");
    world.expect_granted(["observe r2"]);
    assert_eq!(world.last_reason("r2"), Reason::FactRefresh);
    world.learn("r2", "size=7");
    assert_eq!(facts(&world, "r2"), ["size=7"]);
    assert_eq!(world.history.open_requests().count(), 0);
    world.expect_granted([]);
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good")]);
    refresh(&mut world, "r2");
    world.succeed_changed("r2");
    world.expect([("r2", "drifted")]);
    world.expect_granted(["observe r2"]);
}

#[test]
fn j2_a_fact_refresh_survives_a_restart_and_comes_after_retries_and_before_repairs() {
    let mut world = World::new(["t1"]);
    world.push("a; b; c");
    world.run_all();
    world.advance(1);
    world.forget_grants();
    world.suspend(true);
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["c".into()]) });
    refresh(&mut world, "b");
    world.request(RequestKind::Report, Scope { target: None, names: Some(vec!["a".into()]) });
    world.restart();
    world.suspend(false);
    world.expect_granted(["c", "observe b", "observe a"]);
    assert!(Reason::Retry < Reason::FactRefresh && Reason::FactRefresh < Reason::Repair);
}

#[test]
fn j2_what_is_queued_already_brings_the_facts_sooner_and_still_corrects() {
    let mut world = World::new(["t1"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("a; b");
    world.run_all();
    world.suspend(true);
    world.advance(60_000);
    refresh(&mut world, "b");
    world.suspend(false);
    world.expect_granted(["b", "a"]);
    assert_eq!(world.last_reason("b"), Reason::Repair);
    world.learn("b", "size=1");
    assert_eq!(facts(&world, "b"), ["size=1"]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn j2_what_is_not_deployed_has_nothing_to_refresh() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.fail("a", "no route");
    refresh(&mut world, "a");
    world.expect_granted([]);
    assert!(!world.state.can_be_refreshed("a"));
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn j3_a_fact_refresh_does_not_survive_the_removal_of_its_resource() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.run_all();
    world.suspend(true);
    refresh(&mut world, "a");
    world.remove(["a"]);
    assert_eq!(world.history.open_requests().count(), 0);
    world.suspend(false);
    world.expect_granted(["delete a"]);
    world.succeed("a");
    refresh(&mut world, "b");
    world.begin("b");
    world.remove(["b"]);
    world.learn("b", "size=9");
    assert_eq!(facts(&world, "b"), Vec::<String>::new(), "of what is removed nothing is learned");
    world.run_all();
    world.push("b");
    assert_eq!(facts(&world, "b"), Vec::<String>::new());
}
