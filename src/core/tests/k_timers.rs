//! K: timers. Retries, verifications, and that neither is lost or doubled.

use super::world::{START, World};
use crate::core::{RepairAction, RepairSchedule, Timestamp, check_cron};
use std::collections::BTreeSet;

fn one() -> World {
    let mut world = World::new(["t1"]);
    world.change_settings(|settings| settings.retry.jitter = 0.0);
    world.push("a");
    world
}

#[test]
fn k1_a_timer_fires_when_it_is_due_and_not_before() {
    let mut world = one();
    world.fail("a", "no");
    assert_eq!(world.row_of("a").due_at, Some(START.after_ms(5_000)));
    world.forget_grants();
    world.advance(4_999);
    world.expect_granted([]);
    world.advance(1);
    world.expect_granted(["a"]);
    assert_eq!(world.state.next_due(), None);
}

#[test]
fn k1_a_timer_is_cancelled_by_what_makes_it_needless() {
    let mut world = one();
    world.fail("a", "no");
    world.change("a");
    assert_eq!(world.state.next_due(), None);
    world.fail("a", "no");
    world.remove(["a"]);
    assert_eq!(world.state.next_due(), None);
}

#[test]
fn k1_a_timer_that_is_past_due_fires_at_once() {
    let mut world = one();
    world.fail("a", "no");
    world.now = world.now.after_ms(3_600_000);
    world.forget_grants();
    world.restart();
    world.expect_granted(["a"]);
}

#[test]
fn k1_a_hundred_thousand_timers_cost_the_same_per_event() {
    let mut world = World::new(["t1"]).unchecked();
    world.repair_every(1_000_000, RepairAction::Correct);
    world.change_settings(|settings| settings.repair.jitter_ms = None);
    let lines: Vec<String> = (0..100_000).map(|n| format!("r{n}")).collect();
    world.push(&lines.join(";"));
    world.run_all();
    world.forget_grants();
    let due = world.state.next_due().unwrap();
    world.advance(due.ms_since(world.now));
    assert!(world.held.len() < 10, "one timer was due, {} fired", world.held.len());
}

#[test]
fn k2_good_verifies_bad_backs_off_undefined_waits_for_neither() {
    let mut world = one();
    world.repair_every(60_000, RepairAction::Correct);
    world.push("b; u <- nobody; o observe");
    world.succeed("a");
    world.fail("b", "no");
    world.succeed_changed("o");
    assert_eq!(world.row_of("a").due_at, Some(START.after_ms(60_000)));
    assert_eq!(world.row_of("b").due_at, Some(START.after_ms(5_000)));
    assert_eq!(world.row_of("u").due_at, None);
    assert_eq!(world.row_of("o").due_at, Some(START.after_ms(60_000)));
}

#[test]
fn k2_backoff_grows_to_its_bound_and_starts_over_with_a_success_or_a_change() {
    let mut world = one();
    let fail = |world: &mut World| {
        world.fail("a", "no");
        let delay = world.row_of("a").due_at.unwrap().ms_since(world.now);
        world.advance(delay);
        delay
    };
    let delays: Vec<u64> = (0..9).map(|_| fail(&mut world)).collect();
    assert_eq!(delays, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000]);
    world.change("a");
    assert_eq!(fail(&mut world), 5_000);
    world.succeed("a");
    world.repair();
    assert_eq!(fail(&mut world), 5_000);
}

#[test]
fn k3_a_changed_interval_is_armed_again_from_the_last_attempt() {
    let mut world = one();
    world.repair_every(60_000, RepairAction::Correct);
    world.succeed("a");
    world.advance(10_000);
    world.repair_every(30_000, RepairAction::Correct);
    assert_eq!(world.row_of("a").due_at, Some(START.after_ms(30_000)));
    world.change_settings(|settings| settings.repair.schedule = RepairSchedule::Off);
    assert_eq!(world.row_of("a").due_at, None);
    world.forget_grants();
    world.repair_every(5_000, RepairAction::Correct);
    world.expect_granted(["a"]);
}

#[test]
fn k3_a_cron_schedule_verifies_at_its_times() {
    let mut world = one();
    world.change_settings(|settings| settings.repair.schedule = RepairSchedule::Cron("30 3 * * *".into()));
    world.succeed("a");
    let half_past_three = START.after_ms((3 * 60 + 30) * 60_000);
    assert_eq!(world.row_of("a").due_at, Some(half_past_three));
    assert!(check_cron("30 3 * * *").is_ok() && check_cron("half past three").is_err());
    world.change_settings(|settings| settings.repair.schedule = RepairSchedule::Cron("half past three".into()));
    assert_eq!(world.row_of("a").due_at, None);
}

#[test]
fn k3_a_difference_that_was_only_reported_is_corrected_once_that_is_the_policy() {
    let mut world = one();
    world.repair_every(60_000, RepairAction::Report);
    world.succeed("a");
    world.advance(60_000);
    world.expect_granted(["a", "observe a"]);
    world.succeed_changed("a");
    world.expect([("a", "drifted")]);
    world.repair_every(60_000, RepairAction::Correct);
    world.expect_granted(["a"]);
}

#[test]
fn k3_what_is_being_looked_at_when_that_becomes_the_policy_is_corrected_too() {
    let mut world = one();
    world.repair_every(60_000, RepairAction::Report);
    world.succeed("a");
    world.advance(60_000);
    world.begin("a");
    world.repair_every(60_000, RepairAction::Correct);
    world.succeed_changed("a");
    world.expect_granted(["a", "observe a", "a"]);
}

#[test]
fn k4_what_was_deployed_in_one_second_is_verified_over_the_whole_interval() {
    let mut world = World::new(["t1"]).unchecked();
    world.repair_every(3_600_000, RepairAction::Correct);
    world.change_settings(|settings| settings.repair.jitter_ms = None);
    let lines: Vec<String> = (0..10_000).map(|n| format!("r{n}")).collect();
    world.push(&lines.join(";"));
    world.run_all();
    let due: Vec<Timestamp> = world.history.standing().filter_map(|row| row.due_at).collect();
    assert_eq!(due.len(), 10_000);
    let mut per_minute = [0; 61];
    for due in &due {
        per_minute[(due.ms_since(START) / 60_000) as usize] += 1;
    }
    assert!(per_minute[..60].iter().all(|&count| (100..240).contains(&count)), "not spread: {per_minute:?}");
}

#[test]
fn k5_a_report_only_verification_never_corrects_even_when_it_was_lost_skipped_or_failed() {
    let mut world = World::deployed(["t1", "t2"], "up@t2; a <- up");
    world.repair_every(60_000, RepairAction::Report);
    world.forget_grants();
    world.advance(60_000);
    world.succeed("up");
    world.expect_granted(["observe up", "observe a"]);
    world.lose("e1");
    world.connect("e2");
    world.expect_granted(["observe a"]);
    world.fail("a", "no route");
    world.advance(10_000);
    world.expect_granted(["observe a"]);
    world.succeed_changed("a");
    world.expect([("a", "drifted")]);
    world.deploy();
    world.expect_granted(["a"]);
}

#[test]
fn k6_retry_counts_and_due_times_survive_a_restart() {
    let mut world = one();
    world.fail("a", "no");
    world.advance(5_000);
    world.fail("a", "no");
    let before = world.row_of("a");
    world.restart();
    assert_eq!(world.row_of("a"), before);
    assert_eq!((before.failures, before.due_at), (2, Some(START.after_ms(15_000))));
}

#[test]
fn k6_an_overdue_one_runs_once_and_not_once_per_missed_time() {
    let mut world = one();
    world.repair_every(1_000, RepairAction::Correct);
    world.succeed("a");
    world.forget_grants();
    world.now = world.now.after_ms(3_600_000);
    world.restart();
    world.expect_granted(["a"]);
    world.succeed("a");
    world.tick();
    world.expect_granted([]);
}

#[test]
fn k6_a_verification_that_was_due_when_the_owner_died_is_not_forgotten() {
    let mut world = one();
    world.repair_every(1_000, RepairAction::Correct);
    world.succeed("a");
    world.suspend(true);
    world.advance(1_000);
    assert_eq!(world.view("a").queued, Some(crate::core::Reason::Repair));
    world.restart();
    world.forget_grants();
    world.suspend(false);
    world.expect_granted(["a"]);
    let due: BTreeSet<_> = world.history.standing().filter_map(|row| row.due_at).collect();
    assert!(due.is_empty());
}

/// A failed one that is verified every minute, on a machine whose clock is a day ahead.
fn ahead_by_a_day() -> World {
    let mut world = World::new(["t1", "t2"]);
    world.change_settings(|settings| settings.retry.max_delay_ms = 60_000);
    world.repair_every(60_000, RepairAction::Correct);
    world.now = START.after_ms(86_400_000);
    world.push("bad; good@t2");
    world.fail("bad", "no");
    world.succeed("good");
    world.forget_grants();
    world
}

#[test]
fn r13_a_clock_that_is_set_back_delays_neither_retries_nor_verifications() {
    let mut world = ahead_by_a_day();
    world.now = START;
    world.tick();
    let due = |world: &World, name: &str| world.row_of(name).due_at.unwrap();
    assert!(due(&world, "bad") <= START.after_ms(5_000) && due(&world, "good") == START.after_ms(60_000));
    world.advance(60_000);
    world.expect_granted(["bad", "good"]);
}

#[test]
fn r13_due_times_of_a_clock_that_was_ahead_are_not_believed_after_a_restart() {
    let mut world = ahead_by_a_day();
    world.now = START;
    world.restart();
    world.advance(60_000);
    world.expect_granted(["bad", "good"]);
}

#[test]
fn r13_a_clock_that_is_set_back_a_little_leaves_the_timers_as_they_are() {
    let mut world = one();
    world.advance(8_000);
    world.fail("a", "no");
    let before = world.row_of("a");
    world.now = START;
    world.tick();
    assert_eq!(world.row_of("a"), before);
}

#[test]
fn k4_a_verification_on_schedule_keeps_its_place_in_the_interval() {
    let mut world = one();
    world.repair_every(60_000, RepairAction::Correct);
    world.change_settings(|settings| settings.repair.jitter_ms = None);
    world.succeed("a");
    let first = world.row_of("a").due_at.unwrap();
    world.advance(first.ms_since(world.now));
    world.succeed("a");
    assert_eq!(world.row_of("a").due_at, Some(first.after_ms(60_000)));
    world.change_settings(|settings| settings.repair.schedule = RepairSchedule::Off);
}
