//! P8, P9: names that are nobody's, and what is forgotten.

use super::world::{Crash, World};
use crate::core::{Event, Life, OutcomeKind};

#[test]
fn p8_a_requirement_that_names_nothing_is_undefined_and_its_arrival_defines_it() {
    let mut world = World::new(["t1"]);
    world.push("b <- a");
    world.expect([("b", "undefined")]);
    assert_eq!(world.why("b"), "it requires a, which does not exist");
    world.push("a");
    world.expect_granted(["a"]);
    world.succeed("a");
    world.expect_granted(["b"]);
}

#[test]
fn p8_a_requirement_that_becomes_an_orphan_makes_it_undefined_and_takes_its_grant_back() {
    let mut world = World::new(["t1", "t2"]);
    world.push("a orphan; b@t2 <- a");
    world.succeed("a");
    world.expect([("b", "granted")]);
    world.remove(["a"]);
    world.expect([("a", "orphan"), ("b", "undefined")]);
    assert_eq!(world.attempts("b"), ["revoked"]);
}

#[test]
fn p8_a_requirement_whose_delete_has_begun_is_undefined() {
    let mut world = World::deployed(["t1", "t2"], "a");
    world.remove(["a"]);
    world.begin("a");
    world.push("b@t2 <- a");
    world.expect([("b", "undefined")]);
    world.succeed("a");
    world.expect([("a", "deleted"), ("b", "undefined")]);
}

#[test]
fn p8_what_came_to_require_it_after_its_delete_began_does_not_hold_it() {
    let mut world = World::deployed(["t1", "t2"], "a; b@t2");
    world.remove(["a"]);
    world.begin("a");
    world.push("b@t2 <- a");
    world.fail("a", "busy");
    world.expect([("a", "tombstone"), ("b", "undefined")]);
    assert_eq!(world.why("a"), "its last attempt failed: busy");
    world.restart();
    world.expect([("b", "undefined")]);
    world.forget_grants();
    world.advance(10_000);
    world.expect_granted(["delete a"]);
}

#[test]
fn p9_forgetting_ends_a_hopeless_tombstone_and_touches_nothing() {
    let mut world = World::good_chain();
    world.remove(["r1", "r2"]);
    world.requires("r3", []);
    world.fail("r2", "the device is scrapped");
    world.forget_grants();
    world.forget("r2");
    world.expect([("r2", "orphan")]);
    world.expect_granted(["delete r1"]);
}

#[test]
fn p9_a_name_that_is_said_twice_forgets_one_thing() {
    let mut world = World::deployed(["t1"], "a#one");
    world.push("a#two");
    let (names, author) = (vec!["a".into(), "a".into()], "ana".into());
    world.step(Event::Forget(crate::core::Forget { names, author, message: "".into() }));
    let left: Vec<_> = world.state.views().map(|view| (view.row.intent.identity.to_string(), view.row.life)).collect();
    assert_eq!(left, [("one".to_owned(), Life::Tombstone)]);
}

#[test]
fn p9_forgetting_what_runs_records_its_end() {
    let mut world = World::chain();
    world.begin("r1");
    world.forget("r1");
    world.expect([("r1", "orphan"), ("r2", "undefined")]);
    world.restart();
    let attempt = *world.held.keys().next().unwrap();
    world.succeed("r1");
    assert!(matches!(world.history.outcomes[&attempt].1.kind, OutcomeKind::Succeeded(_)));
}

#[test]
fn p9_what_was_forgotten_while_it_ran_keeps_its_target_to_its_executor_also_after_a_restart() {
    let mut world = World::new(["t1"]);
    world.push("a");
    world.begin("a");
    world.forget("a");
    world.connect("e2");
    world.connected.remove("e1");
    world.restart();
    world.forget_grants();
    world.push("b");
    world.expect_granted([]);
    world.lose("e1");
    world.expect_granted(["b"]);
}

#[test]
fn p9_what_was_forgotten_is_asked_back_again_where_its_executor_never_heard_of_it() {
    let mut world = World::new(["t1"]);
    world.push("a");
    let attempt = world.attempt("a");
    world.crash = Some((world.steps + 1, Crash::BeforeSend));
    world.forget("a");
    assert!(world.held.is_empty(), "nobody works on what was forgotten");
    assert!(matches!(world.history.outcomes[&attempt].1.kind, OutcomeKind::Revoked));
}

#[test]
fn p9_what_is_forgotten_while_it_runs_and_wanted_again_waits_for_its_end_also_after_a_restart() {
    let mut world = World::new(["t1"]);
    world.change_target("t1", |target| target.concurrency = 2);
    world.push("a=1#thing");
    world.begin("a");
    world.forget("a");
    world.forget_grants();
    world.push("again=2#thing; other");
    world.expect_granted(["other"]);
    assert_eq!(world.why("again"), "an attempt from before it was forgotten still works on the same thing");
    world.restart();
    world.expect([("again", "queued")]);
    world.forget_grants();
    world.succeed("a");
    world.expect_granted(["again"]);
}
