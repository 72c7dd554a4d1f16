//! X5: duplicate, late, reordered and forged results change nothing they should not.

use super::world::World;
use crate::core::{AttemptId, Effects, Event, Finding, Outcome, OutcomeKind, SessionNumber, step};

fn result(world: &World, attempt: AttemptId, kind: OutcomeKind) -> Event {
    Event::Finished(
        "e1".into(),
        Outcome { attempt, began_at: Some(world.now), finished_at: world.now, kind, log: None },
    )
}

fn good() -> OutcomeKind {
    OutcomeKind::Succeeded(Finding::same())
}

fn bad() -> OutcomeKind {
    OutcomeKind::Failed { message: "no".into(), finding: None }
}

#[test]
fn x5_a_second_result_of_an_attempt_changes_nothing() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.succeed("a");
    for kind in [good(), bad(), OutcomeKind::Lost, OutcomeKind::Revoked] {
        let event = result(&world, attempt, kind);
        world.step(event);
        world.expect([("a", "good")]);
    }
    assert_eq!(world.attempts("a"), ["succeeded"]);
}

#[test]
fn x5_a_late_result_of_an_earlier_attempt_is_not_that_of_the_next() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.fail("a", "no");
    world.advance(10_000);
    let event = result(&world, attempt, good());
    world.step(event);
    world.expect([("a", "granted")]);
    world.step(Event::Begun("e1".into(), vec![attempt]));
    world.step(Event::RevokeRefused("e1".into(), vec![attempt]));
    world.expect([("a", "granted")]);
}

#[test]
fn x5_a_result_before_its_begin_counts_and_the_begin_after_it_does_not() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.held.clear();
    let event = result(&world, attempt, good());
    world.step(event);
    world.expect([("a", "good")]);
    world.step(Event::Begun("e1".into(), vec![attempt]));
    world.expect([("a", "good")]);
}

#[test]
fn x5_results_of_what_another_executor_has_or_nobody_had_change_nothing() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.connect("e2");
    let attempt = world.attempt("a");
    let outcome = Outcome { attempt, began_at: None, finished_at: world.now, kind: good(), log: None };
    world.step(Event::Finished("e2".into(), outcome.clone()));
    world.step(Event::Finished("stranger".into(), outcome.clone()));
    world.step(Event::Begun("e2".into(), vec![attempt]));
    for attempt in [0, 99, 1 << 62, u64::MAX] {
        world.step(Event::Finished("e1".into(), Outcome { attempt: AttemptId(attempt), ..outcome.clone() }));
    }
    world.expect([("a", "granted")]);
}

#[test]
fn x5_what_has_begun_cannot_be_given_back_and_nothing_is_skipped_by_an_executor() {
    for kind in [OutcomeKind::Revoked, OutcomeKind::Skipped { because: "b".into() }] {
        let mut world = World::new(["t1"]);
        world.push("a");
        world.begin("a");
        world.finish("a", kind);
        assert_eq!(world.attempts("a"), ["lost"]);
        world.expect([("a", "failed")]);
        world.forget_grants();
        world.remove(["a"]);
        world.expect_granted(["delete a"]);
    }
}

#[test]
fn x5_a_hello_with_attempts_nobody_knows_changes_nothing() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let holds = vec![world.attempt("a"), AttemptId(77), AttemptId(u64::MAX)];
    world.step(Event::ExecutorConnected {
        executor: "e1".into(),
        pool: "pool".into(),
        session: SessionNumber(1),
        credits: 9,
        holds: holds.clone(),
    });
    world.step(Event::ExecutorConnected {
        executor: "e9".into(),
        pool: "pool".into(),
        session: SessionNumber(2),
        credits: 9,
        holds,
    });
    world.expect([("a", "granted")]);
    assert_eq!(world.attempts("a"), ["open"]);
}

#[test]
fn x5_the_same_settings_targets_and_farewells_again_write_nothing() {
    let mut world = World::good_chain();
    let mut effects = Effects::default();
    let target = world.state.targets().next().cloned().unwrap();
    for event in [
        Event::TargetRemoved("never".into()),
        Event::SettingsChanged(world.settings.clone()),
        Event::TargetChanged(target),
    ] {
        step(&mut world.state, event, world.now, &mut effects);
    }
    assert!(effects.records.is_empty() && effects.rows.is_empty(), "{effects:?}");
    world.step(Event::TargetRemoved("never".into()));
    world.target("t1");
    world.suspend(false);
    world.lose("stranger");
    world.step(Event::ExecutorDisconnected("stranger".into()));
    world.expect_granted([]);
}
