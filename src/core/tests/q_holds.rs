//! Q6: every kind of hold stops exactly what it should, `why` names the first that applies, and lifting it starts the work without a poll.

use super::world::{START, World};
use crate::core::{Event, Hold, Name, RateLimit, RepairAction, RequestKind, Scope, Window, WindowKind, Windows};

/// Opens at `start` (cron, UTC), for so many minutes.
fn window(start: &str, minutes: u64) -> Window {
    Window { start: start.into(), duration_ms: minutes * 60_000, time_zone: None }
}

fn deploys(windows: Vec<Window>) -> Windows {
    Windows { deploy: windows, repair: Vec::new() }
}

const HOUR: u64 = 3_600_000;

#[test]
fn q6_a_change_waits_for_its_window_and_starts_when_it_opens() {
    let mut world = World::new(["t1", "t2"]);
    world.change_target("t1", |target| target.windows = deploys(vec![window("0 3 * * *", 60)]));
    world.push("a; b@t2; c@t2 <- a");
    world.expect_granted(["b"]);
    let opens_at = Some(START.after_ms(3 * HOUR));
    let hold = Hold::OutsideWindow { target: "t1".into(), window: WindowKind::Deploy, opens_at };
    assert_eq!(world.holds("a")[0], hold);
    assert_eq!(world.why("c"), "it waits for a, which is queued or running");
    assert_eq!(world.state.next_due(), opens_at);
    world.advance(3 * HOUR - 1);
    world.expect_granted([]);
    world.advance(1);
    world.expect_granted(["a"]);
}

#[test]
fn q6_what_has_not_begun_when_the_window_closes_is_taken_back_and_what_has_completes() {
    let mut world = World::new(["t1"]);
    world.change_target("t1", |target| target.windows = deploys(vec![window("0 0 * * *", 60)]));
    world.push("a; b");
    world.expect_granted(["a", "b"]);
    world.begin("a");
    world.advance(HOUR);
    world.expect([("a", "running"), ("b", "queued")]);
    assert_eq!(world.attempts("b"), ["revoked"]);
    assert_eq!(world.why("b"), "target t1 is outside its deploy windows");
    world.succeed("a");
    world.expect_granted([]);
    world.advance(23 * HOUR);
    world.expect_granted(["b"]);
}

#[test]
fn q6_windows_overlap_and_are_read_in_their_time_zone() {
    let mut world = World::new(["t1"]);
    // In November Auckland is 13 hours ahead: its 13:30 is 00:30 here.
    let there = Window { time_zone: Some("Pacific/Auckland".into()), ..window("30 13 * * *", 60) };
    world.change_target("t1", |target| target.windows = deploys(vec![there, window("0 1 * * *", 60)]));
    world.push("a");
    world.expect_granted([]);
    world.advance(HOUR / 2);
    world.expect_granted(["a"]);
    world.succeed("a");
    world.advance(HOUR + HOUR / 4);
    world.change("a");
    world.expect_granted(["a"]);
    world.succeed("a");
    world.advance(HOUR / 4);
    world.change("a");
    world.expect_granted([]);
}

#[test]
fn q6_changing_or_dropping_a_window_starts_what_it_held() {
    for lift in [Windows::default(), deploys(vec![window("0 0 * * *", 60)])] {
        let mut world = World::new(["t1"]);
        world.change_target("t1", |target| target.windows = deploys(vec![window("0 3 * * *", 60)]));
        world.push("a");
        world.expect_granted([]);
        world.change_target("t1", |target| target.windows = lift);
        world.expect_granted(["a"]);
    }
}

#[test]
fn q6_a_window_that_never_opens_says_so() {
    let mut world = World::new(["t1"]);
    world.change_target("t1", |target| target.windows = deploys(vec![window("half past three", 60)]));
    world.push("a");
    assert_eq!(world.why("a"), "target t1 has no deploy window that ever opens");
    assert_eq!(world.state.next_due(), None);
}

#[test]
fn q6_deploy_and_repair_windows_stand_apart_and_a_repair_smuggles_no_change_in() {
    let mut world = World::new(["t1"]);
    let windows = Windows { deploy: vec![window("0 3 * * *", 60)], repair: vec![window("0 1 * * *", 60)] };
    world.push("a; b; c; d");
    world.run_all();
    world.change_target("t1", |target| target.windows = windows);
    world.forget_grants();
    world.change("a");
    world.remove(["c"]);
    world.repair();
    world.deploy();
    assert_eq!(world.why("a"), "target t1 is outside its deploy windows");
    assert_eq!(world.why("b"), "target t1 is outside its repair windows");
    assert_eq!(world.why("c"), "target t1 is outside its deploy windows");
    world.advance(HOUR);
    world.expect_granted(["b", "d"]);
    world.advance(2 * HOUR);
    world.expect([("b", "queued"), ("d", "queued")]);
    world.expect_granted(["a", "delete c"]);
}

#[test]
fn q6_the_retry_of_a_failed_change_keeps_to_deploy_windows_that_of_a_verification_to_repair_windows() {
    let mut world = World::new(["t1"]);
    world.push("a; b");
    world.succeed("b");
    world.fail("a", "no");
    world.repair();
    world.fail("b", "no");
    world.fail("a", "no");
    let windows = Windows { deploy: vec![window("0 3 * * *", 60)], repair: vec![window("0 1 * * *", 60)] };
    world.change_target("t1", |target| target.windows = windows);
    world.forget_grants();
    world.advance(HOUR);
    world.expect_granted(["b"]);
    world.advance(2 * HOUR);
    world.expect_granted(["a"]);
}

#[test]
fn q6_dry_runs_need_no_window() {
    let mut world = World::new(["t1"]);
    world.change_target("t1", |target| target.windows = deploys(vec![window("0 3 * * *", 60)]));
    world.dry_run("a");
    world.expect_granted(["dry-run a"]);
}

#[test]
fn h9_a_verification_outside_its_window_holds_no_dependent_until_it_opens() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2 <- a");
    let windows = Windows { deploy: Vec::new(), repair: vec![window("0 1 * * *", 60)] };
    world.change_target("t1", |target| target.windows = windows);
    world.repair();
    world.expect([("a", "queued"), ("b", "granted")]);
    world.begin("b");
    world.forget_grants();
    world.advance(HOUR);
    world.expect([("a", "granted"), ("b", "running")]);
}

#[test]
fn q6_a_window_survives_a_restart() {
    let mut world = World::new(["t1"]);
    world.change_target("t1", |target| target.windows = deploys(vec![window("0 3 * * *", 60)]));
    world.push("a");
    world.restart();
    assert_eq!(world.why("a"), "target t1 is outside its deploy windows");
    world.advance(3 * HOUR);
    world.expect_granted(["a"]);
}

fn rated(attempts: u32, period_ms: u64) -> World {
    let mut world = World::new(["t1", "t2"]);
    world.change_target("t1", |target| target.rate_limit = Some(RateLimit { attempts, period_ms }));
    world
}

#[test]
fn q6_a_rate_lets_a_burst_through_and_then_so_many_per_period() {
    let mut world = rated(2, 60_000);
    world.change_target("t1", |target| {
        target.rate_limit = Some(RateLimit { attempts: 2, period_ms: 60_000 });
        target.concurrency = 10;
    });
    world.push("a; b; c; d; e; z@t2");
    world.expect_granted(["a", "b", "z"]);
    let hold = Hold::Rate { target: "t1".into(), until: Some(START.after_ms(30_000)) };
    assert_eq!(world.holds("c")[0], hold);
    world.advance(29_999);
    world.expect_granted([]);
    world.advance(1);
    world.expect_granted(["c"]);
    world.advance(30_000);
    world.expect_granted(["d"]);
    world.advance(60_000);
    world.expect_granted(["e"]);
    assert_eq!(world.state.next_due(), None);
}

#[test]
fn q6_a_rated_target_is_granted_no_more_than_it_runs_at_once() {
    let mut world = rated(10, 60_000);
    world.push("a; b");
    world.expect_granted(["a"]);
    assert_eq!(world.why("b"), "target t1 is busy; 1 before it");
    world.succeed("a");
    world.expect_granted(["b"]);
}

#[test]
fn q6_a_new_owner_never_exceeds_the_rate_that_the_one_before_it_used_up() {
    let mut world = rated(2, 60_000);
    world.push("a; b; c");
    world.run_all();
    world.restart();
    world.forget_grants();
    world.advance(29_999);
    world.expect_granted([]);
    world.advance(1);
    world.expect_granted(["c"]);
}

#[test]
fn q6_a_clock_that_is_set_back_makes_nobody_wait_longer_for_a_rate_than_its_period() {
    let mut world = rated(1, 60_000);
    world.advance(2 * HOUR);
    world.push("a; b");
    world.succeed("a");
    world.expect_granted(["a"]);
    world.set_clock_back(HOUR);
    world.expect_granted([]);
    world.advance(60_000);
    world.expect_granted(["b"]);
}

#[test]
fn q6_lifting_a_rate_starts_what_it_held() {
    let mut world = rated(1, HOUR);
    world.push("a; b");
    world.succeed("a");
    assert_eq!(world.why("b"), "the rate limit of target t1 is used up");
    world.forget_grants();
    world.target("t1");
    world.expect_granted(["b"]);
}

#[test]
fn q6_dry_runs_count_against_a_rate() {
    let mut world = rated(1, HOUR);
    world.dry_run("a");
    world.run_all();
    world.push("a");
    assert_eq!(world.why("a"), "the rate limit of target t1 is used up");
}

#[test]
fn h9_verifications_that_wait_for_a_rate_hold_no_dependent_until_their_turn() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a; b; x@t2 <- b");
    world.change_target("t1", |target| target.rate_limit = Some(RateLimit { attempts: 1, period_ms: 60_000 }));
    world.keep_answers();
    world.forget_grants();
    world.request(RequestKind::Repair, Scope { target: Some("t1".into()), names: None });
    world.change("x");
    world.expect_granted(["a", "x"]);
    world.succeed("a");
    world.advance(60_000);
    // Now it is b's turn: it asks x's grant back, and awaits the answer.
    world.expect([("b", "queued"), ("x", "granted")]);
    assert_eq!(world.why("b"), "grants of resources that require it are being taken back");
    world.answer_revokes();
    world.expect([("b", "granted"), ("x", "queued")]);
}

#[test]
fn q6_no_more_is_in_flight_than_the_environment_allows_and_what_comes_first_anywhere_is_next() {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.change_settings(|settings| settings.max_in_flight = Some(2));
    world.push("a@t1; b@t2; c@t3; d@t3");
    world.expect_granted(["a", "b"]);
    assert_eq!(world.why("d"), "2 attempts are in flight, as many as the environment allows");
    let names: Option<Vec<Name>> = Some(vec!["d".into()]);
    world.request(RequestKind::Deploy, Scope { target: None, names });
    world.succeed("a");
    world.expect_granted(["d"]);
    world.succeed("b");
    world.expect_granted([]);
    world.succeed("d");
    world.expect_granted(["c"]);
    world.push("e; f@t2; g@t3");
    world.forget_grants();
    world.change_settings(|settings| settings.max_in_flight = None);
    world.expect_granted(["f", "g"]);
}

#[test]
fn q6_an_executor_that_comes_starts_what_waited_for_one() {
    let mut world = World::without_executor();
    world.target("t1");
    world.push("a");
    assert_eq!(world.why("a"), "no executor of pool pool is connected");
    world.step(Event::PoolUnavailable("pool".into(), Some("no such image".into())));
    assert_eq!(world.why("a"), "pool pool has no executor: no such image");
    world.connect("e1");
    world.expect_granted(["a"]);
}

#[test]
fn q6_holds_are_told_in_one_order() {
    let mut world = World::without_executor();
    world.change_target("t1", |target| {
        target.suspend = true;
        target.windows = deploys(vec![window("0 3 * * *", 60)]);
    });
    world.suspend(true);
    world.push("a; b <- a");
    let told: Vec<String> = world.holds("b").iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "the environment is suspended",
            "target t1 is suspended",
            "target t1 is outside its deploy windows",
            "it waits for a, which is queued or running",
            "no executor of pool pool is connected",
        ]
    );
}

#[test]
fn q6_nothing_to_do_writes_nothing_when_windows_open_and_close() {
    let mut world = World::deployed(["t1"], "a");
    world.change_target("t1", |target| target.windows = deploys(vec![window("0 * * * *", 30)]));
    world.repair_every(1_000 * HOUR, RepairAction::Correct);
    for _ in 0..48 {
        world.now = world.now.after_ms(HOUR / 2);
        let mut effects = crate::core::Effects::default();
        crate::core::step(&mut world.state, Event::Tick, world.now, &mut effects);
        assert!(effects.records.is_empty() && effects.rows.is_empty() && effects.messages.is_empty());
    }
}

#[test]
fn q6_another_rate_starts_with_a_full_bucket() {
    let mut world = rated(1, 60_000);
    world.push("a; b");
    world.succeed("a");
    world.expect_granted(["a"]);
    world.change_target("t1", |target| target.rate_limit = Some(RateLimit { attempts: 2, period_ms: 60_000 }));
    world.expect_granted(["b"]);
}

#[test]
fn q6_what_a_rate_did_not_let_through_while_nothing_waited_is_not_saved_up() {
    let mut world = rated(2, 60_000);
    world.change_target("t1", |target| {
        target.rate_limit = Some(RateLimit { attempts: 2, period_ms: 60_000 });
        target.concurrency = 10;
    });
    world.advance(3_600_000);
    world.push("a; b; c");
    world.expect_granted(["a", "b"]);
}

#[test]
fn q6_a_period_that_cannot_be_shared_evenly_is_never_exceeded() {
    let mut world = rated(3, 100);
    world.push("a; b; c; d");
    for name in ["a", "b", "c"] {
        world.succeed(name);
    }
    world.forget_grants();
    world.advance(33);
    world.expect_granted([]);
    world.advance(1);
    world.expect_granted(["d"]);
}

#[test]
fn q6_a_verification_that_waited_for_its_turn_comes_first_when_its_target_has_no_turns_any_more() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2 <- a; x@t2");
    world.change_settings(|settings| settings.max_in_flight = Some(1));
    world.change_target("t1", |target| target.rate_limit = Some(RateLimit { attempts: 1, period_ms: 3_600_000 }));
    world.change("a");
    world.succeed("a");
    world.change("x");
    world.request(RequestKind::Repair, Scope { target: None, names: Some(vec!["a".into()]) });
    world.change("b");
    world.forget_grants();
    world.change_target("t1", |target| target.rate_limit = None);
    world.succeed("x");
    world.expect_granted(["a"]);
    world.succeed("a");
    world.expect_granted(["b"]);
}
