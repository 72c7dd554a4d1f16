//! E: skipped for a dependency, and recovery.

use super::world::World;
use crate::core::{Blocked, Compliance, OutcomeKind, Reason, RequestKind, Scope};

/// a failed, b (which requires it) was skipped.
fn skipped() -> World {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a");
    world.fail("a", "disk full");
    world.forget_grants();
    world
}

#[test]
fn e1_a_bad_dependency_skips_without_sending_and_changes_no_compliance() {
    let mut world = skipped();
    assert_eq!(world.attempts("b"), ["skipped"]);
    world.expect_granted([]);
    assert_eq!(world.view("b").blocked, Blocked::Dependency);
    world.expect_compliance("b", Compliance::HasUpdate);
    assert_eq!(world.row_of("b").due_at, None);
    assert_eq!(world.why("b"), "it requires a, which failed: disk full");
    world.advance(1_000);
    assert_eq!(world.attempts("b"), ["skipped"]);
}

#[test]
fn e1_a_good_one_whose_verification_is_skipped_stays_compliant() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2 <- a");
    world.change("a");
    world.fail("a", "no");
    world.request(RequestKind::Repair, Scope { target: Some("t2".into()), names: None });
    world.expect([("b", "skipped")]);
    world.expect_compliance("b", Compliance::Compliant);
    assert!(!world.view("b").good);
}

#[test]
fn e2_its_failure_runs_nobody_and_its_later_success_runs_those_it_blocked() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a; b@t2 <- a; c@t3 <- a");
    world.change("a");
    world.change("b");
    world.forget_grants();
    world.fail("a", "no");
    world.expect_granted([]);
    world.expect([("b", "skipped"), ("c", "good")]);
    world.advance(10_000);
    world.expect_granted(["a"]);
    world.succeed("a");
    world.expect_granted(["b"]);
}

#[test]
fn e4_a_deploy_leaves_them_out_and_naming_one_or_a_repair_includes_it() {
    let mut world = skipped();
    let named = Scope { target: None, names: Some(vec!["b".into()]) };
    world.request(RequestKind::Deploy, Scope { target: Some("t2".into()), names: None });
    assert_eq!(world.attempts("b"), ["skipped"]);
    world.request(RequestKind::Deploy, named.clone());
    assert_eq!(world.attempts("b"), ["skipped", "skipped"]);
    world.request(RequestKind::Repair, named);
    assert_eq!(world.attempts("b"), ["skipped", "skipped", "skipped"]);
}

#[test]
fn e11_recovery_needs_no_new_version_and_goes_all_the_way_down() {
    let mut world = World::new(["t1"]);
    world.push("a; b <- a; c <- b; d <- c");
    world.fail("a", "no");
    world.expect([("b", "skipped"), ("c", "skipped"), ("d", "skipped")]);
    world.deploy();
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "good"), ("d", "good")]);
    assert_eq!(world.state.version().0, 1);
}

#[test]
fn e11_dropping_the_bad_edge_runs_it_at_once() {
    let mut world = skipped();
    world.requires("b", []);
    world.expect_granted(["b"]);
}

#[test]
fn e11_an_edge_dropped_from_a_skipped_one_that_keeps_a_bad_one_skips_it_no_second_time() {
    let mut world = World::new(["t1"]);
    world.push("a; ok; b <- a ok");
    world.succeed("ok");
    world.fail("a", "no");
    world.requires("b", ["a"]);
    assert_eq!(world.attempts("b"), ["skipped"]);
}

#[test]
fn e12_an_observed_difference_blocks_an_enforcing_dependent_until_it_is_gone() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a observe; b@t2 <- a");
    world.succeed_changed("a");
    world.expect([("a", "drifted"), ("b", "skipped")]);
    assert_eq!(world.why("b"), "it requires a, which is not compliant");
    world.repair();
    world.succeed("a");
    world.succeed("b");
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn e13_the_blocked_state_survives_a_restart() {
    let mut world = skipped();
    world.restart();
    world.expect([("a", "failed"), ("b", "skipped")]);
    assert_eq!(world.attempts("b"), ["skipped"]);
    world.advance(10_000);
    world.succeed("a");
    world.expect_granted(["a", "b"]);
}

#[test]
fn e13_what_recovers_while_nobody_owns_it_runs_when_somebody_does() {
    let mut world = skipped();
    world.push("a=2");
    world.succeed("a");
    world.restart();
    world.run_all();
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn e1_for_what_is_queued_again_in_the_same_step_nobody_is_skipped() {
    let mut world = World::new(["t1", "t2", "t3", "t4", "t5"]);
    world.push("x@t1; a@t2; b@t3 <- a; c@t4 <- b; all@t5 <- b c x");
    world.fail("a", "no");
    world.expect([("b", "skipped"), ("c", "skipped"), ("all", "queued")]);
    world.advance(10_000);
    world.succeed("a");
    world.succeed("x");
    world.succeed("b");
    world.expect([("c", "granted"), ("all", "queued")]);
    assert_eq!(world.attempts("all"), Vec::<&str>::new());
}

#[test]
fn b12_an_edge_added_to_one_that_is_queued_again_makes_it_wait_in_the_queue() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b; c@t2 <- a");
    world.fail("a", "no");
    world.expect([("c", "skipped")]);
    world.suspend(true);
    world.requires("c", []);
    assert!(world.view("c").queued.is_some());
    world.requires("c", ["b"]);
    assert!(world.view("c").queued.is_some());
}

#[test]
fn e1_a_skip_names_the_first_bad_requirement() {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push("a; b@t2; c@t3 <- a b");
    world.fail("b", "no");
    world.fail("a", "no");
    let kinds: Vec<_> = world.history.outcomes.values().map(|(_, outcome)| outcome.kind.clone()).collect();
    assert!(kinds.contains(&OutcomeKind::Skipped { because: "a".into() }), "{kinds:?}");
}

#[test]
fn e11_recovery_awaits_what_else_is_under_way() {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.push("a; b@t2; c@t3 <- a b");
    world.succeed("b");
    world.fail("a", "no");
    world.advance(10_000);
    world.request(RequestKind::Repair, Scope { target: Some("t2".into()), names: None });
    world.succeed("a");
    world.expect([("a", "good"), ("b", "granted"), ("c", "skipped")]);
    world.succeed("b");
    world.expect([("c", "granted")]);
}

#[test]
fn e11_what_recovers_is_a_change_if_it_was_never_attempted_and_a_retry_if_it_was() {
    for (before, reason) in [(false, Reason::Change), (true, Reason::Retry)] {
        let mut world = World::new(["t1", "t2"]);
        world.push("a; b@t2 <- a");
        if before {
            world.run_all();
            world.repair();
        }
        world.fail("a", "no");
        world.expect([("b", "skipped")]);
        world.advance(10_000);
        world.succeed("a");
        assert_eq!(world.last_reason("b"), reason);
    }
}
