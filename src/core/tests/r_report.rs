//! Reports: everything deployed is looked at, nothing is corrected, and what differs stays so until somebody or its time asks for more.

use super::world::START;
use super::world::World;
use crate::core::{Event, Hold, Name, RepairAction, RequestKind, Scope};

fn report(world: &mut World) {
    world.forget_grants();
    world.request(RequestKind::Report, Scope::default());
}

#[test]
fn what_differs_is_recorded_and_left_over_a_restart_until_a_user_asks() {
    let mut world = World::good_chain();
    report(&mut world);
    world.expect_granted(["observe r1", "observe r2", "observe r3"]);
    world.succeed_changed("r1");
    world.succeed("r2");
    world.succeed("r3");
    world.expect([("r1", "drifted"), ("r2", "good"), ("r3", "good")]);
    assert_eq!((world.state.counts().drifted, world.state.counts().failed), (1, 0));
    assert_eq!(world.row_of("r1").drift.as_deref(), Some("- a\n+ b"));
    assert_eq!(world.why("r1"), "it differs from its intent, and was left as it is");
    assert_eq!(world.history.open_requests().count(), 0);
    world.restart();
    world.expect_granted([]);
    report(&mut world);
    world.succeed_changed("r1");
    world.run_all();
    world.expect([("r1", "drifted"), ("r2", "good"), ("r3", "good")]);
    world.forget_grants();
    world.deploy();
    world.expect_granted(["r1"]);
}

#[test]
fn what_a_report_left_is_corrected_by_the_next_verification_where_there_is_one() {
    let mut world = World::new(["t1"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("a");
    world.run_all();
    report(&mut world);
    world.succeed_changed("a");
    world.expect_granted(["observe a"]);
    world.advance(60_000);
    world.expect_granted(["a"]);
}

#[test]
fn e1_what_is_skipped_has_no_timer_also_after_a_look_that_found_nothing_out() {
    let mut world = World::new(["t1", "t2"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("a; b@t2 <- a");
    world.run_all();
    world.change("a");
    world.fail("a", "no");
    world.repair();
    world.fail("a", "no");
    world.expect([("a", "failed"), ("b", "skipped")]);
    report(&mut world);
    world.fail("b", "no answer");
    world.expect([("b", "skipped")]);
    assert_eq!(world.row_of("b").due_at, None);
}

#[test]
fn a_report_waits_for_no_neighbour_and_skips_nothing() {
    let mut world = World::deployed(["t1", "t2", "t3"], "a; b@t2 <- a; c@t3 <- b");
    world.change("b");
    world.begin("b");
    report(&mut world);
    world.expect_granted(["observe a", "observe c"]);
    world.succeed_changed("a");
    world.succeed_changed("c");
    world.expect([("a", "drifted"), ("b", "running"), ("c", "drifted")]);
}

#[test]
fn a_change_of_what_a_report_found_different_is_made_although_its_first_attempt_was_lost() {
    let mut world = World::deployed(["t1"], "a");
    report(&mut world);
    world.succeed_changed("a");
    world.change("a");
    world.lose("e1");
    world.step(Event::TargetRemoved("t1".into()));
    world.target("t1");
    world.connect("e2");
    world.run_all();
    world.expect([("a", "good")]);
}

#[test]
fn a_report_is_not_asked_back_for_what_its_resource_requires() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2 <- a");
    world.keep_answers();
    report(&mut world);
    world.change("a");
    assert!(world.held[&world.attempt("a")].asked_back && !world.held[&world.attempt("b")].asked_back);
}

#[test]
fn what_is_not_deployed_is_not_looked_at() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a; b@t2 <- a; f");
    world.fail("a", "no");
    world.fail("f", "no");
    report(&mut world);
    world.expect_granted([]);
    assert_eq!(world.history.open_requests().count(), 0);
}

#[test]
fn nobody_is_told_to_reload_because_of_a_report_and_they_are_when_it_is_corrected() {
    let mut world = World::deployed(["t1"], "a send; b <- a");
    report(&mut world);
    world.succeed_changed("a");
    world.run_all();
    assert_eq!(world.row_of("b").reload, None);
    world.forget_grants();
    world.deploy();
    world.succeed_changed("a");
    world.expect_granted(["a", "b (reload for a)"]);
}

#[test]
fn whoever_asks_for_more_while_a_report_runs_gets_it_after() {
    let mut world = World::deployed(["t1"], "a");
    report(&mut world);
    world.begin("a");
    world.repair();
    world.succeed_changed("a");
    world.expect_granted(["observe a", "a"]);
}

#[test]
fn an_owner_that_is_there_for_reports_only_starts_nothing_else_and_the_next_one_does() {
    let mut world = World::new(["t1", "t2", "t3"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("a; b@t2; f@t3");
    world.succeed("a");
    world.succeed("b");
    world.step(Event::ReportOnly);
    world.expect([("f", "queued")]);
    assert_eq!(world.why("f"), "this run only reports");
    world.change("b");
    world.advance(60_000);
    report(&mut world);
    world.expect_granted(["observe a"]);
    world.run_all();
    assert_eq!(world.holds("b")[0], Hold::ReportOnly);
    world.forget_grants();
    world.restart();
    world.expect_granted(["b", "f"]);
}

#[test]
fn a_report_of_some_looks_at_those() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2; c");
    world.forget_grants();
    let names = Some(["a", "b"].map(Name::from).into());
    world.request(RequestKind::Report, Scope { target: Some("t1".into()), names });
    world.expect_granted(["observe a"]);
}

/// A look that came to nothing, and what is known after it.
fn vain_look(kind: RequestKind, how: fn(&mut World)) -> World {
    let mut world = World::deployed(["t1"], "a");
    let before = world.row_of("a");
    world.forget_grants();
    world.request(kind, Scope::default());
    world.begin("a");
    how(&mut world);
    world.expect([("a", "good")]);
    assert_eq!(world.history.open_requests().count(), 0, "whoever asked is still waiting");
    let after = world.row_of("a");
    assert_eq!((after.failures, after.error, after.due_at), (before.failures, before.error, before.due_at));
    world.advance(3_600_000);
    world
}

#[test]
fn a_look_that_fails_or_is_lost_is_told_and_no_retry_corrects_because_of_it() {
    for kind in [RequestKind::Report, RequestKind::FactRefresh] {
        vain_look(kind, |world| world.fail("a", "no route")).expect_granted(["observe a"]);
        let mut lost = vain_look(kind, |world| {
            world.lose("e1");
            world.connect("e2");
        });
        lost.expect_granted(["observe a"]);
    }
}

#[test]
fn after_a_vain_look_what_was_due_is_due_again() {
    let mut world = World::new(["t1"]);
    world.repair_every(60_000, RepairAction::Correct);
    world.push("a");
    world.run_all();
    world.advance(20_000);
    report(&mut world);
    world.fail("a", "no route");
    assert_eq!(world.row_of("a").due_at, Some(START.after_ms(60_000)));
    world.advance(40_000);
    world.expect_granted(["observe a", "a"]);
    world.fail("a", "no route");
    world.forget_grants();
    report(&mut world);
    world.fail("a", "no route");
    world.expect([("a", "failed")]);
    world.advance(60_000);
    world.expect_granted(["observe a", "a"]);
}

#[test]
fn a_look_at_what_is_only_ever_observed_fails_as_any_other() {
    let mut world = World::deployed(["t1"], "a observe");
    report(&mut world);
    world.fail("a", "no route");
    world.expect([("a", "failed")]);
    world.advance(60_000);
    world.expect_granted(["observe a", "observe a"]);
}
