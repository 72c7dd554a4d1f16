//! L: what a new owner does with what it finds. The same with real processes: `tests/embedded/restart.rs`, `tests/kill.rs`.

use super::world::{Crash, World};
use crate::core::{Life, OutcomeKind, RepairAction};

#[test]
fn l1_only_what_is_due_is_attempted_what_is_not_good_by_its_retry_and_what_is_good_by_its_verification() {
    let mut world = World::new(["t1", "t2"]);
    world.change_settings(|settings| settings.retry.jitter = 0.0);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("good; failed@t2");
    world.succeed("good");
    world.fail("failed", "no");
    world.forget_grants();
    world.restart();
    world.expect_granted([]);
    world.advance(4_999);
    world.restart();
    world.expect_granted([]);
    world.now = world.now.after_ms(1);
    world.restart();
    world.expect_granted(["failed"]);
    world.succeed("failed");
    world.now = world.now.after_ms(55_000);
    world.restart();
    world.expect_granted(["good"]);
    world.run_all();
    world.change_settings(|settings| settings.repair.schedule = crate::core::RepairSchedule::Off);
}

#[test]
fn l1_k6_what_failed_for_an_order_that_is_still_open_waits_for_its_retry() {
    for order in [World::deploy, World::repair] {
        let mut world = World::new(["t1", "t2"]);
        world.change_settings(|settings| settings.retry.jitter = 0.0);
        world.push("failed; slow@t2");
        world.fail("failed", "no");
        order(&mut world);
        world.fail("failed", "no");
        world.forget_grants();
        world.restart();
        assert_eq!(world.history.open_requests().count(), 1, "slow is not done");
        world.expect_granted([]);
        world.expect([("failed", "failed")]);
        world.advance(10_000);
        world.expect_granted(["failed"]);
        world.run_all();
    }
}

#[test]
fn l1_what_had_failed_when_it_was_ordered_is_attempted_by_the_next_owner() {
    let mut world = World::new(["t1", "t2"]);
    world.push("failed");
    world.fail("failed", "no");
    world.crash = Some((world.steps + 1, Crash::BeforeSend));
    world.deploy();
    world.expect([("failed", "granted")]);
}

#[test]
fn what_an_ended_owner_left_is_told_as_interrupted_to_who_only_looks() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.begin("a");
    assert_eq!((world.state.running(), world.state.begun()), (2, 1), "the second waits for its turn");
    world.state.mark_unowned();
    assert_eq!(world.why("a"), "attempt 1 was interrupted: what it did is not recorded");
    assert!(world.view("b").running.is_some_and(|running| running.interrupted));
    world.restart();
    world.run_all();
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn l2_what_is_undefined_or_blocked_is_not_run() {
    let mut world = World::new(["t1", "t2"]);
    world.push("failed; skipped@t2 <- failed; lost@nowhere; wants@t2 <- ghost; on@t2 <- wants");
    world.fail("failed", "no");
    world.forget_grants();
    for _ in 0..2 {
        world.restart();
        world.expect_granted([]);
        world.expect([
            ("failed", "failed"),
            ("skipped", "skipped"),
            ("lost", "undefined"),
            ("wants", "undefined"),
            ("on", "undefined"),
        ]);
    }
    assert_eq!(world.attempts("skipped"), ["skipped"], "once, not once per owner");
}

#[test]
fn l6_versions_that_were_accepted_while_nothing_ran_end_as_the_last_one_says() {
    let mut world = World::good_chain();
    world.suspend(true);
    world.push("r2@t2=2 <- r1; new");
    world.restart();
    world.push("r2@t2=3 <- r1; new=2; r1=2");
    world.restart();
    world.push("r3@t3 <- r2 new");
    world.suspend(false);
    world.run_all();
    world.expect_granted(["r1", "new", "r2"]);
    for (name, attributes) in [("r1", "2"), ("r2", "3"), ("new", "2")] {
        assert_eq!(&*world.intent_of(name).attributes, attributes);
    }
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good"), ("new", "good")]);
}

#[test]
fn l7_added_and_removed_while_nothing_ran_it_is_an_orphan_that_was_never_attempted() {
    let mut world = World::good_chain();
    world.suspend(true);
    world.push("new");
    world.restart();
    world.remove(["new"]);
    world.restart();
    world.suspend(false);
    world.run_all();
    world.expect_granted([]);
    assert_eq!(world.history.left("new").map(|row| row.life), Some(Life::Orphan));
    assert!(world.attempts("new").is_empty());
}

#[test]
fn l8_a_grant_that_never_arrived_is_asked_for_and_runs_again_under_a_new_number() {
    let mut world = World::new(["t1"]);
    world.push("a");
    // The grant was lost on its way: the executor knows nothing of it, and says so when it is asked.
    let first = world.attempt("a");
    world.held.clear();
    world.restart();
    let second = world.attempt("a");
    assert!(first < second);
    world.succeed("a");
    assert_eq!(world.attempts("a"), ["revoked", "succeeded"]);
}

#[test]
fn l8_a_grant_that_is_still_there_goes_on_and_is_credited_once() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.restart();
    world.succeed("a");
    world.restart();
    world.run_all();
    assert_eq!(world.attempts("a"), ["succeeded"]);
    world.expect([("a", "good")]);
}

#[test]
fn l8_a_grant_whose_executor_has_ended_is_lost_and_runs_again() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.connected.remove("e1");
    world.restart();
    world.lose("e1");
    world.connect("e2");
    world.advance(60_000);
    world.succeed("a");
    assert_eq!(world.attempts("a"), ["lost", "succeeded"]);
    let lost = world.history.outcomes.values().filter(|(_, outcome)| outcome.kind == OutcomeKind::Lost).count();
    assert_eq!((lost, world.history.open_grants().count()), (1, 0));
}

#[test]
fn l7_the_number_of_what_has_left_is_never_given_again() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    let gone = world.id("b");
    world.run_all();
    world.remove(["b"]);
    world.run_all();
    world.restart();
    world.push("c");
    assert!(world.id("c") > gone);
}

#[test]
fn l8_a_grant_of_an_older_intent_is_asked_back_by_the_next_owner() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.crash = Some((world.steps + 1, Crash::BeforeSend));
    world.change("a");
    assert_eq!(world.attempts("a"), ["revoked", "open"]);
}
