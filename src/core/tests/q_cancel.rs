//! Q2: cancelling takes back what has not begun, and nothing that was accepted is forgotten by it.

use super::world::World;
use crate::core::{Name, Reason, RepairAction, RepairSchedule, RequestKind, Scope};

/// The longest retry delay, in milliseconds.
const LONGEST: u64 = 600_000;

fn named(names: &[&str]) -> Scope {
    Scope { target: None, names: Some(names.iter().map(|name| Name::from(*name)).collect()) }
}

fn cancel(world: &mut World) {
    world.request(RequestKind::Cancel, Scope::default());
}

/// It comes when what was cancelled now does, and not before.
#[track_caller]
fn is_left_alone_until_its_time(world: &mut World, name: &str) {
    world.forget_grants();
    world.advance(LONGEST - 1);
    world.expect_granted([]);
    world.advance(1);
    world.expect_granted([name]);
}

#[test]
fn q2_what_runs_completes_and_everything_else_is_left_alone_until_its_time() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b; c <- a; d@t2 <- c");
    world.begin("a");
    world.deploy();
    cancel(&mut world);
    world.expect([("a", "running"), ("b", "new"), ("c", "new"), ("d", "new")]);
    assert_eq!(world.attempts("b"), ["revoked"]);
    world.forget_grants();
    world.succeed("a");
    world.expect_granted([]);
    assert_eq!(world.history.open_requests().count(), 0);
    world.advance(LONGEST);
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "good"), ("d", "good")]);
}

#[test]
fn q2_a_deploy_goes_on_at_once_with_what_was_cancelled() {
    let mut world = World::new(["t1"]);
    world.push("a; b <- a");
    cancel(&mut world);
    world.expect([("a", "new"), ("b", "new")]);
    world.forget_grants();
    world.deploy();
    world.run_all();
    world.expect_granted(["a", "b"]);
}

#[test]
fn q2_only_the_named_are_cancelled_and_what_requires_them_is_skipped_until_they_recover() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a; c@t2");
    world.request(RequestKind::Cancel, named(&["a"]));
    world.run_all();
    world.expect([("a", "new"), ("b", "skipped"), ("c", "good")]);
    world.advance(LONGEST);
    world.run_all();
    world.expect([("a", "good"), ("b", "good")]);
}

#[test]
fn q2_what_was_cancelled_stays_so_over_a_restart_also_before_its_executor_has_answered() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2; c <- a");
    world.keep_answers();
    cancel(&mut world);
    world.expect([("a", "granted"), ("c", "new")]);
    world.restart();
    world.answer_at_once();
    world.expect([("a", "new"), ("b", "new"), ("c", "new")]);
    world.forget_grants();
    world.advance(LONGEST);
    world.expect_granted(["a", "b"]);
}

#[test]
fn q2_what_was_cancelled_stays_so_over_a_restart_while_the_deploy_that_asked_for_it_goes_on_with_the_rest() {
    let mut world = World::new(["t1"]);
    world.push("a; b; c");
    world.begin("a");
    world.deploy();
    world.request(RequestKind::Cancel, named(&["c"]));
    world.forget_grants();
    world.restart();
    world.run_all();
    world.expect([("a", "good"), ("b", "good"), ("c", "new")]);
    assert_eq!(world.history.open_requests().count(), 0, "the deploy has nothing left to wait for");
    world.advance(LONGEST);
    world.run_all();
    world.expect([("c", "good")]);
}

#[test]
fn q2_a_clock_that_is_set_back_does_not_bring_back_what_an_executor_has_not_given_back_yet() {
    let mut world = World::deployed(["t1"], "a");
    world.keep_answers();
    world.repair();
    cancel(&mut world);
    world.set_clock_back(LONGEST);
    world.forget_grants();
    world.answer_at_once();
    world.expect([("a", "good")]);
    world.expect_granted([]);
}

#[test]
fn q2_a_look_that_was_cancelled_stays_so_over_a_restart_also_of_what_is_skipped() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a; b@t2 <- a; slow@t3");
    world.repair();
    world.fail("a", "no");
    world.succeed("slow");
    world.expect([("a", "failed"), ("b", "skipped")]);
    world.repair_every(60_000, RepairAction::Report);
    world.advance(1);
    world.change_target("t2", |target| target.suspend = true);
    world.request(RequestKind::FactRefresh, named(&["b", "slow"]));
    world.begin("slow");
    world.request(RequestKind::Cancel, named(&["b"]));
    world.restart();
    assert_eq!(world.view("b").queued, None);
}

#[test]
fn q2_r13_a_cancelled_correction_comes_although_the_clock_was_set_back() {
    let mut world = World::deployed(["t1"], "a");
    world.find_different("a");
    world.change_settings(|settings| {
        (settings.repair.schedule, settings.repair.action) = (RepairSchedule::Off, RepairAction::Correct);
    });
    cancel(&mut world);
    world.set_clock_back(60_000);
    is_left_alone_until_its_time(&mut world, "a");
}

#[test]
fn q2_r13_an_owner_whose_clock_was_set_back_leaves_alone_what_was_cancelled_too() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a@t1; b@t2");
    world.begin("a");
    world.deploy();
    world.request(RequestKind::Cancel, named(&["b"]));
    // The deploy was ordered a minute from now, and may not be what was asked for after the cancellation.
    world.now = world.now.before_ms(60_000);
    world.forget_grants();
    world.restart();
    world.expect_granted([]);
    world.expect([("a", "running"), ("b", "new")]);
    world.succeed("a");
    assert_eq!(world.history.open_requests().count(), 0, "the deploy has nothing left to wait for");
    world.advance(LONGEST);
    world.expect_granted(["b"]);
}

#[test]
fn q2_a_clock_that_is_set_back_leaves_what_was_cancelled_alone_for_as_long_as_a_cancellation_lasts_and_no_longer() {
    let mut world = World::new(["t1"]);
    world.advance(100 * LONGEST);
    world.push("a");
    cancel(&mut world);
    world.set_clock_back(100 * LONGEST);
    is_left_alone_until_its_time(&mut world, "a");
}

#[test]
fn q2_what_begins_before_it_is_taken_back_counts() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.keep_answers();
    world.deploy();
    cancel(&mut world);
    world.begin("a");
    world.succeed("a");
    world.answer_at_once();
    world.expect([("a", "good")]);
    assert_eq!(world.history.open_requests().count(), 0);
    assert_eq!(world.state.next_due(), None);
}

#[test]
fn q2_a_cancelled_follow_up_comes_later_and_a_cancelled_verification_too() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.change("a");
    cancel(&mut world);
    world.succeed("a");
    world.expect([("a", "new")]);
    world.advance(LONGEST);
    world.run_all();
    world.repair_every(60_000, RepairAction::Correct);
    world.advance(60_000);
    world.expect([("a", "granted")]);
    cancel(&mut world);
    world.expect([("a", "good")]);
    is_left_alone_until_its_time(&mut world, "a");
}

#[test]
fn q2_deletes_are_not_cancelled() {
    let mut world = World::deployed(["t1"], "a");
    world.remove(["a"]);
    cancel(&mut world);
    world.run_all();
    world.expect([("a", "deleted")]);
}

#[test]
fn q2_what_was_cancelled_comes_again_as_what_it_is() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.fail("b", "no");
    cancel(&mut world);
    world.advance(LONGEST);
    assert_eq!((world.last_reason("a"), world.last_reason("b")), (Reason::Change, Reason::Retry));
}

#[test]
fn q2_d12_a_reload_that_was_cancelled_comes_again_as_more_than_a_verification() {
    let mut world = World::deployed(["t1", "t2"], "conf@t1 send; service@t2 <- conf");
    world.change("conf");
    world.succeed_changed("conf");
    cancel(&mut world);
    world.expect([("service", "good")]);
    world.forget_grants();
    world.advance(LONGEST);
    world.expect_granted(["service (reload for conf)"]);
    assert_eq!(world.last_reason("service"), Reason::Change);
}

#[test]
fn q2_d12_a_reload_that_was_cancelled_behind_a_run_comes_later_too() {
    let mut world = World::deployed(["t1", "t2"], "conf@t1 send; service@t2 <- conf");
    world.change("service");
    world.begin("service");
    world.change("conf");
    world.succeed_changed("conf");
    cancel(&mut world);
    world.forget_grants();
    world.succeed("service");
    world.expect_granted([]);
    world.advance(LONGEST);
    world.expect_granted(["service (reload for conf)"]);
}

#[test]
fn q2_d12_a_reload_that_was_cancelled_stays_so_over_a_restart_while_the_repair_that_asked_for_it_goes_on() {
    let mut world = World::deployed(["t1", "t2", "t3"], "conf@t1 send; service@t2 <- conf; slow@t3");
    world.repair();
    world.begin("slow");
    world.succeed_changed("conf");
    cancel(&mut world);
    world.forget_grants();
    world.restart();
    world.succeed("slow");
    world.expect_granted([]);
    assert_eq!(world.history.open_requests().count(), 0, "the repair has nothing left to wait for");
    world.advance(LONGEST);
    world.expect_granted(["service (reload for conf)"]);
}

/// What was changed while all is suspended, and is cancelled, stays so for as long as the longest retry.
fn expect_left_alone_under_other_settings(world: &mut World) {
    cancel(world);
    world.suspend(false);
    world.forget_grants();
    world.repair_every(60_000, RepairAction::Correct);
    world.expect_granted([]);
    world.advance(LONGEST);
    world.expect_granted(["a"]);
}

#[test]
fn q2_other_settings_do_not_bring_back_what_was_cancelled() {
    let mut world = World::deployed(["t1"], "a");
    world.suspend(true);
    world.change("a");
    expect_left_alone_under_other_settings(&mut world);
}

#[test]
fn q2_an_update_of_what_differs_stays_cancelled_whatever_the_settings() {
    let mut world = World::new(["t1"]);
    world.push("a observe");
    world.succeed_changed("a");
    world.suspend(true);
    world.push("a=2");
    expect_left_alone_under_other_settings(&mut world);
}
