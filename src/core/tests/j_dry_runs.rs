//! J: dry runs, as far as they need no facts.

use super::notation::Declared;
use super::world::World;
use crate::core::{AttemptId, DryRunId, DryRunItem, Event, Refusal, RefusalKind, limits};

fn results(world: &World) -> Vec<(&str, &str)> {
    world.history.dry_runs[&DryRunId(1)].1.iter().map(|(name, (result, _))| (&**name, *result)).collect()
}

#[test]
fn j1_a_dry_run_looks_at_each_once_ignores_order_and_changes_no_state() {
    let mut world = World::chain();
    world.run_all();
    let before: Vec<_> = world.history.standing().cloned().collect();
    world.forget_grants();
    world.suspend(true);
    world.dry_run("r1@t1=2; r2@t2 <- r1; r2@t2=3; r3@t3 <- r2");
    world.expect_granted(["dry-run r1", "dry-run r2", "dry-run r3"]);
    world.succeed_changed("r1");
    world.succeed("r3");
    world.fail("r2", "no route");
    assert_eq!(results(&world), [("r1", "update"), ("r2", "unavailable"), ("r3", "none")]);
    assert_eq!(world.history.standing().cloned().collect::<Vec<_>>(), before);
}

#[test]
fn j4_a_dry_run_of_what_is_not_accepted_sees_its_own_edges() {
    let mut world = World::new(["t1"]);
    world.dry_run("new; on <- new; off <- nobody; lost@nowhere");
    world.expect_granted(["dry-run new", "dry-run on"]);
    world.run_all();
    assert_eq!(results(&world), [("lost", "undefined"), ("new", "none"), ("off", "undefined"), ("on", "none")]);
    assert_eq!(world.state.version().0, 0);
}

#[test]
fn j3_a_dry_run_survives_the_removal_of_a_resource() {
    let mut world = World::deployed(["t1"], "a");
    world.dry_run("a=2");
    world.begin("a");
    world.remove(["a"]);
    world.run_all();
    assert_eq!(results(&world), [("a", "none")]);
    world.expect([("a", "deleted")]);
}

#[test]
fn j1_a_dry_run_ends_when_its_executor_or_its_target_does() {
    let mut world = World::new(["t1"]);
    world.dry_run("a");
    world.lose("e1");
    assert_eq!(results(&world), [("a", "unavailable")]);
    world.target("t2");
    world.dry_run("b@t2");
    world.step(Event::TargetRemoved("t2".into()));
    assert!(world.state.quiet());
}

#[test]
fn j1_a_late_answer_to_a_dry_run_is_never_taken_for_that_of_an_attempt() {
    let mut world = World::new(["t1"]);
    world.dry_run("a");
    world.begin("a");
    world.restart();
    world.push("a=2");
    let attempts: Vec<AttemptId> = world.held.keys().copied().collect();
    world.finish("a", crate::core::OutcomeKind::Succeeded(crate::core::Finding::same()));
    assert!(attempts.len() == 2 && attempts[0].0 == 1);
    world.restart();
    assert_eq!(world.attempts("a"), ["succeeded"]);
    assert!(world.history.dry_runs[&DryRunId(1)].1.is_empty());
}

#[test]
fn j1_what_an_executor_gives_back_unseen_is_looked_at_by_the_next_one() {
    let mut world = World::new(["t1"]);
    world.dry_run("a");
    world.finish_attempt(world.attempt("a"), crate::core::OutcomeKind::Revoked, false);
    world.expect_granted(["dry-run a", "dry-run a"]);
    world.run_all();
    assert_eq!(results(&world), [("a", "none")]);
}

#[test]
fn j1_dry_runs_of_two_owners_share_no_number() {
    let mut world = World::new(["t1"]);
    world.dry_run("a");
    world.begin("a");
    world.restart();
    world.dry_run("b");
    assert_eq!((world.held.len(), world.history.dry_runs.len()), (2, 2));
}

#[test]
fn j1_an_environment_with_a_dry_run_that_waits_is_not_quiet() {
    let mut world = World::without_executor();
    world.target("t1");
    world.dry_run("a");
    assert!(!world.state.quiet());
}

#[test]
fn j4_what_is_in_no_dry_run_to_be_deployed_is_not_seen_by_its_edges() {
    let mut world = World::new(["t1"]);
    let item =
        |line: &str, removed| DryRunItem { intent: Declared::parse_all(line).remove(0).intent().into(), removed };
    let items = vec![item("on <- later", false), item("off <- gone", false), item("gone", true), item("later", false)];
    world.dry_run_of(items);
    world.run_all();
    assert_eq!(results(&world), [("gone", "none"), ("later", "none"), ("off", "undefined"), ("on", "none")]);
}

#[test]
fn j4_what_a_dry_run_names_and_nobody_has_is_not_remembered() {
    let mut world = World::new(["t1"]);
    let targets = world.state.targets.len();
    world.dry_run("a@nowhere; b@nor_here");
    assert_eq!(results(&world), [("a", "undefined"), ("b", "undefined")]);
    assert_eq!(world.state.targets.len(), targets);
}

#[test]
fn j4_dry_runs_that_do_not_end_do_not_gather_without_end() {
    let mut world = World::without_executor();
    world.target("t1");
    for _ in 0..limits::OPEN_REQUESTS {
        world.dry_run("a");
        assert_eq!(world.refused, []);
    }
    world.dry_run("a");
    let too_many = RefusalKind::TooManyRequests(limits::OPEN_REQUESTS);
    assert_eq!(world.refused, [Refusal { name: "".into(), kind: too_many }]);
    assert_eq!(world.state.open_dry_runs(), limits::OPEN_REQUESTS);
}
