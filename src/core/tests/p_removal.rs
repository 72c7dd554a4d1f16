//! P1 to P4: what is removed leaves a tombstone, which is deleted when nothing requires it any more, or an orphan.

use super::world::World;
use crate::core::{Event, Name, OutcomeKind, Reason, RequestKind, Scope};

#[test]
fn p1_it_is_deleted_after_all_that_required_it_is_gone() {
    let mut world = World::good_chain();
    world.remove(["r1", "r2", "r3"]);
    world.expect_granted(["delete r3"]);
    assert_eq!(world.why("r2"), "it is to be deleted, and is still required by r3");
    world.succeed("r3");
    world.expect_granted(["delete r2"]);
    world.succeed("r2");
    world.succeed("r1");
    world.expect([("r1", "deleted"), ("r2", "deleted"), ("r3", "deleted")]);
}

#[test]
fn p1_a_live_dependent_holds_the_delete_and_stands_on_the_tombstone() {
    let mut world = World::good_chain();
    world.remove(["r2"]);
    world.expect([("r2", "tombstone"), ("r3", "good")]);
    assert_eq!(world.why("r2"), "it is to be deleted, and is still required by r3");
    world.change("r3");
    world.expect_granted(["r3"]);
    world.succeed("r3");
    world.requires("r3", []);
    world.expect_granted(["delete r2"]);
}

#[test]
fn p1_a_skipped_one_that_is_removed_does_not_count_as_good() {
    let mut world = World::good_chain();
    world.change("r1");
    world.fail("r1", "no");
    world.change("r2");
    world.redeclare("r2", |declared| declared.attributes = "1".into());
    world.request(crate::core::RequestKind::Repair, crate::core::Scope { target: Some("t2".into()), names: None });
    world.change("r3");
    world.expect([("r2", "skipped"), ("r3", "skipped")]);
    world.forget_grants();
    world.remove(["r2"]);
    world.expect_granted([]);
    world.expect([("r2", "tombstone"), ("r3", "skipped")]);
}

#[test]
fn p1_a_delete_that_follows_a_lost_look_is_a_change() {
    for kind in [RequestKind::Repair, RequestKind::Report] {
        let mut world = World::deployed(["t1"], "a");
        world.request(kind, Scope::default());
        world.keep_answers();
        world.remove(["a"]);
        world.lose("e1");
        world.connect("e2");
        assert_eq!(world.last_reason("a"), Reason::Change);
        world.run_all();
        world.expect([("a", "deleted")]);
    }
}

#[test]
fn p2_a_failed_delete_retries_and_holds_what_it_required() {
    let mut world = World::good_chain();
    world.remove(["r2", "r3"]);
    world.fail("r3", "busy");
    world.expect([("r3", "tombstone"), ("r2", "tombstone")]);
    assert_eq!(world.why("r3"), "its last attempt failed: busy");
    world.forget_grants();
    world.restart();
    world.expect_granted([]);
    world.advance(10_000);
    world.expect_granted(["delete r3"]);
    world.succeed("r3");
    world.expect_granted(["delete r2"]);
}

#[test]
fn p2_a_users_deploy_tries_a_failed_delete_again_before_its_retry_is_due() {
    for name in [None, Some("r3"), Some("r2")] {
        let mut world = World::good_chain();
        world.remove(["r2", "r3"]);
        world.fail("r3", "busy");
        world.forget_grants();
        match name {
            None => world.deploy(),
            Some(name) => world.deploy_only([name]),
        }
        if name == Some("r2") {
            // It has not failed, and waits for r3.
            world.expect_granted([]);
            continue;
        }
        world.expect_granted(["delete r3"]);
        world.deploy();
        world.succeed("r3");
        world.expect_granted(["delete r2"]);
    }
}

#[test]
fn p3_orphan_observed_and_never_attempted_ones_are_orphans_and_nothing_is_sent() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("o orphan; w observe");
    world.connect("e1");
    world.run_all();
    world.push("n@nowhere");
    world.forget_grants();
    world.remove(["o", "w", "n"]);
    world.expect([("o", "orphan"), ("w", "orphan"), ("n", "orphan")]);
    world.expect_granted([]);
}

#[test]
fn p3_a_granted_one_that_gave_the_grant_back_was_never_attempted() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.remove(["a"]);
    assert_eq!(world.attempts("a"), ["revoked"]);
    world.expect([("a", "orphan")]);
}

#[test]
fn p4_a_failed_create_is_deleted_since_it_may_exist() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.fail("a", "timed out");
    world.forget_grants();
    world.remove(["a"]);
    world.expect_granted(["delete a"]);
}

#[test]
fn p_what_was_only_observed_names_nothing_that_a_delete_may_follow() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.succeed("a");
    world.observe("a", true);
    // Somebody else's thing stands in its place by now.
    world.succeed_changed("a");
    assert_eq!(world.row_of("a").remote_identity, None);
    world.observe("a", false);
    world.succeed_changed("a");
    assert_eq!(world.row_of("a").remote_identity.as_deref(), Some("id of a"));
}

#[test]
fn p4_so_is_a_create_that_was_lost() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.lose("e1");
    world.remove(["a"]);
    world.connect("e2");
    world.expect_granted(["a", "delete a"]);
}

#[test]
fn p4_a_create_that_runs_when_it_is_removed_is_deleted_after_it() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.remove(["a"]);
    world.expect_granted(["a"]);
    world.succeed_changed("a");
    world.expect_granted(["delete a"]);
    let held = world.held.values().next().unwrap();
    assert_eq!(held.grant.remote_identity.as_deref(), Some("id of a"));
}

#[test]
fn p1_a_delete_whose_executor_was_lost_may_have_begun_and_nothing_relies_on_the_tombstone_any_more() {
    let mut world = World::deployed(["t1", "t2"], "a");
    world.remove(["a"]);
    world.push("b@t2 <- a");
    world.forget_grants();
    world.lose("e1");
    world.restart();
    world.connect("e2");
    world.expect([("b", "undefined")]);
    world.expect_granted(["delete a"]);
}

#[test]
fn p1_what_is_removed_while_its_retry_is_out_is_deleted_for_its_removal() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.fail("a", "no");
    world.advance(10_000);
    world.keep_answers();
    world.remove(["a"]);
    world.lose("e1");
    assert_eq!(world.view("a").queued, Some(crate::core::Reason::Change));
}

#[test]
fn j3_what_a_user_asked_for_does_not_survive_a_removal() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("a");
    world.deploy();
    world.connect("e1");
    world.keep_answers();
    world.remove(["a"]);
    world.push("a=2");
    world.answer_revokes();
    let reasons: Vec<_> = world.history.grants.values().map(|(_, grant)| grant.reason).collect();
    assert_eq!(reasons, [crate::core::Reason::UserDeploy, crate::core::Reason::Change]);
}

#[test]
fn p1_a_tombstone_names_once_what_requires_it_under_one_name() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a; b@t2 <- a");
    world.push("b@t3 <- a");
    world.remove(["a"]);
    assert_eq!(world.why("a"), "it is to be deleted, and is still required by b");
}

#[test]
fn p_a_tombstone_on_a_target_that_is_gone_says_so_and_goes_on_when_it_is_back() {
    let mut world = World::deployed(["t1"], "a");
    world.step(Event::TargetRemoved("t1".into()));
    world.remove(["a"]);
    world.forget_grants();
    assert_eq!(world.why("a"), "target t1 does not exist");
    world.target("t1");
    world.expect_granted(["delete a"]);
}

#[test]
fn p_prune_removes_what_a_push_no_longer_names() {
    let mut world = World::good_chain();
    world.push_with("r1@t1", |push| (push.prune = true, push.message = Name::from("less")).0);
    world.expect_granted(["delete r3"]);
    world.run_all();
    world.expect([("r1", "good"), ("r2", "deleted"), ("r3", "deleted")]);
}

#[test]
fn p_a_delete_that_a_live_one_holds_leaves_the_environment_quiet() {
    let mut world = World::good_chain();
    world.remove(["r2"]);
    assert!(world.state.quiet());
    world.requires("r3", []);
    assert!(!world.state.quiet());
}

#[test]
fn p_what_waits_for_a_delete_that_a_live_one_holds_leaves_the_environment_quiet() {
    let mut world = World::deployed(["t1", "t2"], "a@t1; b@t2 <- a; c@t2 <- b");
    world.remove(["b"]);
    world.push("a@t2");
    assert_eq!(world.why("a"), "the earlier a must be deleted on its target first");
    assert!(world.state.quiet());
    world.requires("c", []);
    assert!(!world.state.quiet());
}

#[test]
fn p_of_two_tombstones_of_one_name_both_are_deleted_and_neither_is_forgotten() {
    let mut world = World::deployed(["t1"], "a#x; d <- a");
    world.push("a#y");
    world.begin("a");
    world.remove(["a"]);
    world.expect([("a", "running"), ("d", "undefined")]);
    world.restart();
    world.run_all();
    world.push("a#y");
    world.run_all();
    world.expect([("a", "good"), ("d", "good")]);
}

#[test]
fn p1_tombstones_that_came_to_require_each_other_in_different_versions_are_deleted() {
    for restarts in [false, true] {
        let mut world = World::deployed(["t1"], "a <- b; b; c <- a");
        world.remove(["a"]);
        // Like c it stands from now on, on what is left of a, which required it.
        world.requires("b", ["a"]);
        world.run_all();
        assert_eq!(world.why("a"), "it is to be deleted, and is still required by b, c");
        world.forget_grants();
        world.remove(["b"]);
        if restarts {
            world.restart();
        }
        world.remove(["c"]);
        world.run_all();
        // The newer word is that b requires a.
        world.expect_granted(["delete b", "delete c", "delete a"]);
        world.expect([("a", "deleted"), ("b", "deleted"), ("c", "deleted")]);
    }
}

#[test]
fn p4_what_is_not_there_under_its_recorded_identity_is_looked_for_once_more() {
    for restarts in [false, true] {
        let mut world = World::new(["t1"]);
        world.push("a");
        world.succeed_changed("a");
        // It was deleted by hand and made again, which nobody heard of: its executor ended.
        world.repair();
        world.lose("e1");
        world.remove(["a"]);
        world.connect("e2");
        world.forget_grants();
        let nothing = OutcomeKind::Succeeded(crate::core::Finding::same());
        assert_eq!(world.held.values().next().unwrap().grant.remote_identity.as_deref(), Some("id of a"));
        world.finish("a", nothing.clone());
        if restarts {
            world.restart();
        }
        world.expect_granted(["delete a"]);
        assert_eq!(world.held.values().next().unwrap().grant.remote_identity, None);
        world.finish("a", nothing);
        world.expect([("a", "deleted")]);
    }
}

#[test]
fn p1_a_live_dependent_holds_the_delete_of_what_has_only_failed_to_be_made() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a");
    world.fail("a", "no");
    world.forget_grants();
    world.remove(["a"]);
    world.expect_granted([]);
    assert_eq!(world.why("a"), "it is to be deleted, and is still required by b");
}

#[test]
fn p1_of_two_tombstones_of_one_name_what_requires_it_stands_on_the_newer_one() {
    let mut world = World::deployed(["t1", "t2"], "a#x create-first; b@t2 <- a");
    world.push("a#y create-first");
    world.fail("a", "no");
    world.remove(["a"]);
    world.run_all();
    assert_eq!(&*world.intent_of("a").identity, "y", "x is deleted, and y is what b requires");
    assert_eq!(world.why("a"), "it is to be deleted, and is still required by b");
}
