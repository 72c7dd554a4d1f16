//! B: what gets scheduled. The chain is r1 ← r2 ← r3, each on its own target.

use super::world::World;
use crate::core::{Compliance, LastResult, Life, Reason, RepairAction, RequestKind, Scope};

#[test]
fn b1_a_deploy_when_all_is_good_runs_nothing() {
    let mut world = World::good_chain();
    world.deploy();
    world.expect_granted([]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn b2_a_deploy_with_one_failed_runs_only_that_one() {
    let mut world = World::good_chain();
    world.change("r3");
    world.fail("r3", "no");
    world.forget_grants();
    world.deploy();
    world.expect_granted(["r3"]);
    assert_eq!(world.history.open_requests().count(), 1);
    world.succeed("r3");
    world.expect_granted([]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn b3_a_deploy_while_it_runs_for_the_same_intent_queues_nothing() {
    let mut world = World::chain();
    world.begin("r1");
    world.deploy();
    world.expect([("r1", "running"), ("r2", "queued")]);
    world.succeed("r1");
    world.expect_granted(["r1", "r2"]);
    assert_eq!(world.attempts("r1"), ["succeeded"]);
}

#[test]
fn b4_b5_a_change_of_the_dependent_of_a_running_one_waits_for_it_and_is_queued_once() {
    let mut world = World::good_chain();
    world.change("r2");
    world.begin("r2");
    world.expect_granted(["r2"]);
    world.change("r3");
    world.expect([("r1", "good"), ("r2", "running"), ("r3", "queued")]);
    world.change("r3");
    world.succeed("r2");
    world.expect_granted(["r3"]);
    world.succeed("r3");
    world.expect_granted([]);
}

#[test]
fn b6_a_change_of_a_running_one_lets_it_run_and_queues_one_follow_up() {
    let mut world = World::good_chain();
    world.change("r2");
    world.begin("r2");
    world.change("r3");
    world.change("r2");
    world.change("r2");
    world.forget_grants();
    world.succeed("r2");
    world.expect_granted(["r2"]);
    world.expect([("r2", "granted"), ("r3", "queued")]);
    world.succeed("r2");
    world.expect_granted(["r3"]);
}

#[test]
fn b6_a_follow_up_that_is_taken_back_by_the_running_intent_is_dropped() {
    let mut world = World::good_chain();
    world.change("r2");
    world.begin("r2");
    world.change("r2");
    world.redeclare("r2", |declared| declared.attributes = "1+".into());
    world.forget_grants();
    world.succeed("r2");
    world.expect_granted([]);
    world.expect([("r2", "good")]);
}

#[test]
fn b7_when_both_runs_fail_the_dependent_is_released_after_the_second() {
    let mut world = World::good_chain();
    world.change("r2");
    world.begin("r2");
    world.change("r3");
    world.change("r2");
    world.fail("r2", "first");
    world.expect([("r2", "granted"), ("r3", "queued")]);
    world.fail("r2", "second");
    world.expect([("r2", "failed"), ("r3", "skipped")]);
    assert_eq!(world.attempts("r3"), ["succeeded", "skipped"]);
}

#[test]
fn b8_a_repair_while_one_runs_and_one_waits_adds_the_idle_one() {
    let mut world = World::good_chain();
    world.change("r2");
    world.change("r3");
    world.begin("r2");
    world.forget_grants();
    world.repair();
    world.expect_granted(["r1"]);
    assert_eq!(world.view("r3").queued, Some(Reason::Change));
}

#[test]
fn b9_a_follow_up_goes_back_to_waiting_when_its_requirement_changes() {
    let mut world = World::good_chain();
    world.change("r2");
    world.begin("r2");
    world.change("r2");
    world.change("r1");
    world.expect([("r1", "granted"), ("r2", "running")]);
    world.forget_grants();
    world.succeed("r2");
    world.expect([("r2", "queued")]);
    world.expect_granted([]);
    world.succeed("r1");
    world.expect_granted(["r2"]);
}

#[test]
fn b10_a_change_of_its_requirement_does_not_run_a_running_one_again() {
    let mut world = World::good_chain();
    world.change("r2");
    world.begin("r2");
    world.change("r1");
    world.run_all();
    world.expect_granted(["r2", "r1"]);
    world.expect([("r1", "good"), ("r2", "good"), ("r3", "good")]);
}

#[test]
fn b11_dropping_the_only_edge_it_waits_for_starts_it_at_once() {
    let mut world = World::chain();
    world.begin("r1");
    world.requires("r2", []);
    world.expect_granted(["r1", "r2"]);
}

#[test]
fn b12_a_new_edge_makes_a_queued_one_wait() {
    let mut world = World::without_executor();
    world.target("t1");
    world.target("t2");
    world.push("a; b@t2");
    world.requires("b", ["a"]);
    world.connect("e1");
    world.expect_granted(["a"]);
    assert_eq!(world.why("b"), "it waits for a, which is queued or running");
}

#[test]
fn b12_a_new_edge_takes_back_a_grant_that_has_not_begun() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2");
    world.requires("b", ["a"]);
    world.expect([("a", "granted"), ("b", "queued")]);
    world.requires("b", ["nobody"]);
    world.expect([("b", "undefined")]);
    world.requires("b", []);
    world.requires("b", ["nobody"]);
    world.expect([("b", "undefined")]);
    assert_eq!(world.attempts("b"), ["revoked", "revoked"]);
}

#[test]
fn b14_a_stale_finish_says_nothing_of_the_intent_that_replaced_it() {
    let mut world = World::new(["t1"]);
    world.push("r1");
    world.begin("r1");
    world.change("r1");
    world.succeed("r1");
    let row = world.row_of("r1");
    assert_eq!((row.last_result, row.verified_at, row.succeeded), (LastResult::New, None, None));
}

#[test]
fn b14_a_stale_finish_leaves_an_update_and_dependents_wait_for_the_second_run() {
    let mut world = World::good_chain();
    world.change("r1");
    world.change("r2");
    world.begin("r1");
    world.change("r1");
    world.forget_grants();
    world.succeed_changed("r1");
    world.expect_compliance("r1", Compliance::HasUpdate);
    world.expect_granted(["r1"]);
    world.expect([("r2", "queued")]);
    world.succeed("r1");
    world.expect_compliance("r1", Compliance::Compliant);
    world.expect_granted(["r2"]);
}

#[test]
fn b14_an_intent_whose_last_attempt_failed_stale_is_attempted_again_when_it_comes_back() {
    let mut world = World::good_chain();
    world.repair();
    world.begin("r1");
    world.change("r1");
    world.forget_grants();
    world.fail("r1", "half-way");
    world.expect_granted(["r1"]);
    world.redeclare("r1", |declared| declared.attributes = "1".into());
    world.expect_compliance("r1", Compliance::NonCompliant);
    world.run_all();
    world.expect([("r1", "good"), ("r2", "good")]);
}

#[test]
fn b14_a_difference_that_was_found_stale_is_corrected_when_its_intent_comes_back() {
    let mut world = World::good_chain();
    world.request(RequestKind::Report, Scope::default());
    world.begin("r1");
    world.change("r1");
    world.forget_grants();
    world.succeed_changed("r1");
    world.expect_granted(["r1"]);
    world.redeclare("r1", |declared| declared.attributes = "1".into());
    world.expect_compliance("r1", Compliance::NonCompliant);
    world.run_all();
    world.expect([("r1", "good"), ("r2", "good")]);
}

#[test]
fn b15_removing_a_begun_one_and_a_waiting_one_leaves_the_run_alone_and_releases_the_next() {
    let mut world = World::chain();
    world.begin("r1");
    world.change("r1");
    let r2 = world.id("r2");
    world.push_with("r3@t3", |push| push.removals = vec!["r1".into(), "r2".into()]);
    assert_eq!(world.word("r1"), "running");
    assert_eq!(world.row_of("r1").life, Life::Tombstone);
    assert_eq!(world.view("r1").queued, None);
    assert_eq!((world.word("r2"), world.state.view(r2).is_none()), ("orphan", true));
    world.expect_granted(["r1", "r3"]);
    assert_eq!(world.history.left("r2").unwrap().life, Life::Orphan);
}

#[test]
fn b17_removed_and_added_again_while_running_is_new_and_runs_a_second_time() {
    for in_one_version in [true, false] {
        let mut world = World::new(["t1"]);
        world.push("a");
        world.begin("a");
        if in_one_version {
            world.push_with("a", |push| push.removals = vec!["a".into()]);
        } else {
            world.remove(["a"]);
            world.push("a");
        }
        world.succeed_changed("a");
        world.expect_compliance("a", Compliance::HasUpdate);
        world.expect_granted(["a", "a"]);
        assert_eq!(world.row_of("a").remote_identity.as_deref(), Some("id of a"));
        world.succeed("a");
        world.expect([("a", "good")]);
    }
}

#[test]
fn b18_an_observed_resource_is_scheduled_like_any_other() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 observe <- a");
    world.expect_granted(["a"]);
    world.succeed("a");
    world.expect_granted(["observe b"]);
    world.succeed("b");
    world.expect([("b", "good")]);
}

#[test]
fn b19_a_version_that_only_changes_an_edge_changes_order_and_deploys_nothing() {
    let mut world = World::good_chain();
    world.requires("r1", []);
    assert_eq!(world.state.version().0, 1, "the same again is no version");
    world.requires("r3", ["r1"]);
    world.requires("r2", []);
    world.expect_granted([]);
    assert_eq!(world.state.version().0, 3);
    world.change("r1");
    world.change("r2");
    world.change("r3");
    world.expect_granted(["r1", "r2"]);
}

#[test]
fn b20_a_newer_intent_takes_back_a_grant_that_has_not_begun() {
    let mut world = World::good_chain();
    world.change("r1");
    world.change("r1");
    world.expect_granted(["r1", "r1"]);
    assert_eq!(world.attempts("r1"), ["succeeded", "revoked", "open"]);
    world.succeed("r1");
    world.expect([("r1", "good")]);
}

#[test]
fn b20_a_taking_back_that_loses_the_race_makes_the_finish_stale() {
    let mut world = World::good_chain();
    world.keep_answers();
    world.change("r1");
    world.change("r1");
    world.begin("r1");
    world.answer_revokes();
    world.succeed("r1");
    world.expect_compliance("r1", Compliance::HasUpdate);
    world.expect_granted(["r1", "r1"]);
}

#[test]
fn b20_what_is_wanted_again_as_it_is_deployed_before_its_grant_is_given_back_does_not_run() {
    let mut world = World::deployed(["t1"], "a=1");
    world.keep_answers();
    for other in ["a=2", "a=3", "a=1"] {
        world.push(other);
    }
    world.forget_grants();
    world.answer_at_once();
    world.expect_granted([]);
    world.expect([("a", "good")]);
}

#[test]
fn b20_a_change_that_is_taken_back_leaves_the_next_verification_armed() {
    let mut world = World::good_chain();
    world.repair_every(60_000, crate::core::RepairAction::Correct);
    world.change("r1");
    world.redeclare("r1", |declared| declared.attributes = "1".into());
    world.expect([("r1", "good")]);
    assert_eq!(world.attempts("r1"), ["succeeded", "revoked"]);
    assert!(world.row_of("r1").due_at.is_some());
}

#[test]
fn b_a_repair_that_joined_a_change_is_done_although_the_change_is_taken_back() {
    let mut world = World::good_chain();
    world.suspend(true);
    world.change("r1");
    world.repair();
    world.redeclare("r1", |declared| declared.attributes = "1".into());
    world.suspend(false);
    world.run_all();
    world.expect_granted(["r1", "r2", "r3"]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn b19_a_version_whose_only_change_is_a_label_deploys_nothing() {
    let mut world = World::deployed(["t1"], "a");
    let before = world.state.find("a").and_then(|id| world.state.view(id)).unwrap().row.intent;
    let labels = [("app".into(), "web".into())].into();
    let labelled = crate::core::Intent::new(crate::core::IntentParts { labels, ..(*before).clone().into() });
    assert_eq!((labelled.hash(), labelled == *before), (before.hash(), false));
    world.push_with("", |push| push.upserts = vec![labelled.into()]);
    assert_eq!(world.state.version().0, 2);
    assert!(world.state.quiet());
}

#[test]
fn b14_what_another_intent_may_have_changed_is_corrected_and_not_only_looked_at() {
    let mut world = World::new(["t1"]);
    world.repair_every(3_600_000, RepairAction::Report);
    world.push("a=1");
    world.run_all();
    world.push("a=2");
    world.fail("a", "no");
    world.push("a=1");
    world.fail("a", "no");
    world.forget_grants();
    world.advance(10_000);
    world.expect_granted(["a"]);
}

#[test]
fn b14_what_a_lost_attempt_may_have_changed_is_attempted_again_also_where_it_never_began() {
    let mut world = World::deployed(["t1"], "a=1");
    world.push("a=2");
    world.lose("e1");
    world.push("a=1");
    world.forget_grants();
    world.connect("e2");
    world.expect_granted(["a"]);
}

#[test]
fn b17_l8_also_over_a_restart() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.remove(["a"]);
    world.restart();
    world.push("a");
    world.succeed("a");
    assert_eq!(world.attempts("a"), ["succeeded", "open"]);
}
