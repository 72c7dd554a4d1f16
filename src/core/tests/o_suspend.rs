//! O: suspend. Of an environment and of a target; what runs completes, acceptance goes on, dry runs run.

use super::world::World;
use crate::core::{Hold, Name, RepairAction, RequestKind, Scope};

fn of(target: Option<&str>) -> Scope {
    Scope { target: target.map(Name::from), names: None }
}

#[test]
fn o_what_runs_completes_and_nothing_else_starts_while_versions_are_accepted() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2; c <- a");
    world.begin("a");
    world.suspend(true);
    world.forget_grants();
    world.succeed("a");
    world.push("d; b@t2=2");
    world.repair();
    world.expect_granted([]);
    world.expect([("a", "queued"), ("b", "queued"), ("c", "queued"), ("d", "queued")]);
    assert_eq!(world.state.version().0, 2);
    assert_eq!(world.row_of("a").succeeded, Some(world.intent_of("a").hash()));
}

#[test]
fn o_resuming_goes_on_with_what_is_not_good_and_does_not_run_again_what_is() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2; f");
    world.succeed("a");
    world.fail("f", "no");
    world.suspend(true);
    world.advance(60_000);
    world.expect([("a", "good"), ("b", "queued"), ("f", "queued")]);
    world.forget_grants();
    world.suspend(false);
    world.expect_granted(["f", "b"]);
}

#[test]
fn o_suspend_survives_a_restart_and_takes_back_what_has_not_begun() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2");
    world.keep_answers();
    world.suspend(true);
    world.forget_grants();
    world.restart();
    world.answer_at_once();
    world.expect([("a", "queued"), ("b", "queued")]);
    world.expect_granted([]);
    assert_eq!(world.why("a"), "the environment is suspended");
    world.suspend(false);
    world.expect_granted(["a", "b"]);
}

#[test]
fn o_a_suspended_target_holds_its_own_and_what_requires_them_over_a_restart_too() {
    let mut world = World::new(["t1", "t2"]);
    world.change_target("t1", |target| target.suspend = true);
    world.push("a; b@t2 <- a; c@t2");
    world.expect_granted(["c"]);
    world.restart();
    world.run_all();
    world.expect([("a", "queued"), ("b", "queued"), ("c", "good")]);
    assert_eq!(world.why("a"), "target t1 is suspended");
    assert_eq!(world.why("b"), "it waits for a, which is queued or running");
    world.forget_grants();
    world.target("t1");
    world.run_all();
    world.expect_granted(["a", "b"]);
}

#[test]
fn o_dry_runs_run_while_the_environment_and_the_target_are_suspended() {
    let mut world = World::deployed(["t1"], "a; b");
    world.suspend(true);
    world.change_target("t1", |target| target.suspend = true);
    world.change("a");
    world.forget_grants();
    world.dry_run("a=2; b; c");
    world.expect_granted(["dry-run a", "dry-run b", "dry-run c"]);
    world.run_all();
    assert!(world.state.dry_runs.is_empty());
    world.expect([("a", "queued"), ("b", "good")]);
}

#[test]
fn o_deletes_are_held_too_and_go_on_after_it() {
    let mut world = World::deployed(["t1"], "a");
    world.suspend(true);
    world.forget_grants();
    world.remove(["a"]);
    world.expect_granted([]);
    assert_eq!(world.why("a"), "the environment is suspended");
    world.suspend(false);
    world.expect_granted(["delete a"]);
}

#[test]
fn o_a_verification_that_is_due_meanwhile_holds_no_dependent() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2 <- a");
    world.repair_every(60_000, RepairAction::Correct);
    world.change_target("t1", |target| target.suspend = true);
    world.advance(60_000);
    world.succeed("b");
    world.forget_grants();
    world.change("b");
    world.expect_granted(["b"]);
    world.expect([("a", "queued")]);
}

#[test]
fn o_what_a_user_suspends_stays_suspended_over_a_restart_until_a_user_resumes_it() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2; c <- a");
    world.begin("a");
    world.order(RequestKind::Suspend, of(None), "a new disk");
    world.succeed("a");
    world.change("a");
    world.forget_grants();
    world.restart();
    world.repair();
    world.expect_granted([]);
    world.expect([("a", "queued"), ("b", "queued"), ("c", "queued")]);
    assert_eq!(world.why("a"), "a test suspended the environment: a new disk");
    assert!(world.state.is_suspended());
    world.order(RequestKind::Resume, of(None), "");
    world.expect_granted(["a", "b"]);
    assert!(!world.state.is_suspended());
    assert_eq!(world.history.open_requests().count(), 1, "the repair alone is open");
}

#[test]
fn o_a_target_that_a_user_suspends_holds_its_own_and_what_requires_them() {
    let mut world = World::new(["t1", "t2"]);
    world.order(RequestKind::Suspend, of(Some("t1")), "");
    world.push("a; b@t2 <- a; c@t2");
    world.expect_granted(["c"]);
    world.restart();
    world.run_all();
    assert_eq!(world.why("a"), "a test suspended target t1");
    assert_eq!(world.why("b"), "it waits for a, which is queued or running");
    world.forget_grants();
    world.order(RequestKind::Resume, of(None), "");
    world.expect_granted([]);
    world.order(RequestKind::Resume, of(Some("t1")), "");
    world.run_all();
    world.expect_granted(["a", "b"]);
}

#[test]
fn o_resuming_lifts_what_users_ordered_and_not_what_the_settings_say() {
    let mut world = World::new(["t1"]);
    world.suspend(true);
    world.order(RequestKind::Suspend, of(None), "");
    world.push("a");
    world.order(RequestKind::Resume, of(None), "");
    world.expect_granted([]);
    assert_eq!(world.holds("a")[0], Hold::EnvironmentSuspended);
    world.suspend(false);
    world.expect_granted(["a"]);
}

#[test]
fn o_the_newest_of_two_orders_to_suspend_stands_and_one_resume_lifts_it() {
    let mut world = World::new(["t1"]);
    world.push("a");
    for message in ["first", "second"] {
        world.order(RequestKind::Suspend, of(None), message);
    }
    assert_eq!(world.why("a"), "a test suspended the environment: second");
    assert_eq!(world.history.open_requests().count(), 1);
    world.forget_grants();
    world.order(RequestKind::Resume, of(None), "");
    world.expect_granted(["a"]);
    assert_eq!(world.history.open_requests().count(), 0);
}
